//! From a typed request to the room that does it, and from what it did to the typed result.
//!
//! One table; every row is one line of wiring. Runs inside a transaction, so an error undoes all of it.

use sip::endpoint::ExtraHeader;

use super::snapshot;
use crate::control::protocol::*;
use crate::engine::audio::bridging;
use crate::engine::audio::collecting;
use crate::engine::audio::holding;
use crate::engine::audio::playing;
use crate::engine::audio::recording::Target;
use crate::engine::audio::taping::{self, Spec};
use crate::engine::calls::answering;
use crate::engine::calls::cause;
use crate::engine::calls::dial_plan;
use crate::engine::calls::dialing;
use crate::engine::calls::draining;
use crate::engine::calls::ending::{End, end_leg};
use crate::engine::keys::{CallKey, LegKey, Named};
use crate::engine::op::{Audience, Manner};
use crate::engine::policy::gates::Scope;
use crate::engine::policy::number_map;
use crate::engine::transfers::transferring;
use crate::engine::trunks::switched;
use crate::engine::trunks::traces;
use crate::engine::tx::Tx;

/// Does what a request asks; not those about the connection itself, nor `batch` and `leg.stats`.
pub fn run(tx: &mut Tx, request: &Request) -> Result<ResultBody, Failure> {
    let done = || Ok(ResultBody::of(&Done {}));
    match request {
        Request::CallTag(params) => call_tag(tx, params).and_then(|()| done()),
        Request::CallEnd(params) => call_end(tx, params),
        Request::LegProgress(params) => leg_progress(tx, params),
        Request::LegAnswer(params) => leg_answer(tx, params).and_then(|()| done()),
        Request::LegReject(params) => leg_reject(tx, params).and_then(|()| done()),
        Request::LegDial(params) => leg_dial(tx, params),
        Request::TransferBlind(_)
        | Request::TransferAttended(_)
        | Request::TransferAccept(_)
        | Request::TransferReject(_) => transferring::run(tx, request),
        Request::LegHangup(params) => leg_hangup(tx, params),
        Request::LegHold(params) => {
            let op = holding::hold(tx, leg(tx, &params.leg)?, &params.music, params.signal)?;
            Ok(ResultBody::of(&LegHoldResult { op }))
        }
        Request::LegResume(params) => {
            let (already, op) = holding::resume(tx, leg(tx, &params.leg)?, params.signal)?;
            Ok(ResultBody::of(&LegResumeResult { already, op }))
        }
        Request::LegMute(params) => {
            holding::mute(tx, leg(tx, &params.leg)?, params.direction).and_then(|()| done())
        }
        Request::LegUnmute(params) => {
            holding::unmute(tx, leg(tx, &params.leg)?, params.direction).and_then(|()| done())
        }
        Request::LegSendDtmf(params) => op_result(playing::send_digits(tx, leg(tx, &params.leg)?, params)),
        Request::LegSet(params) => leg_set(tx, params).and_then(|()| done()),
        Request::BridgeCreate(params) => bridge_create(tx, params),
        Request::BridgeAdd(params) => {
            bridging::add(tx, bridging::find(tx, &params.bridge)?, leg(tx, &params.leg)?)
                .and_then(|()| done())
        }
        Request::BridgeRemove(params) => {
            bridging::remove(tx, bridging::find(tx, &params.bridge)?, leg(tx, &params.leg)?)
                .and_then(|()| done())
        }
        Request::BridgeMove(params) => {
            bridging::move_leg(tx, leg(tx, &params.leg)?, bridging::find(tx, &params.to)?)
                .and_then(|()| done())
        }
        Request::BridgeReplace(params) => {
            bridging::replace(tx, leg(tx, &params.old)?, leg(tx, &params.new)?).and_then(|()| done())
        }
        Request::BridgeSetMatrix(params) => {
            bridging::set_matrix(tx, bridging::find(tx, &params.bridge)?, &params.pairs).and_then(|()| done())
        }
        Request::BridgeSwap(params) => {
            bridging::swap(tx, bridging::find(tx, &params.bridge)?, &params.a, &params.b)
                .and_then(|()| done())
        }
        Request::BridgeDestroy(params) => match bridging::find(tx, &params.bridge) {
            Ok(bridge) => bridging::destroy(tx, bridge, params.then).and_then(|()| ended(false)),
            Err(failure) => already(failure),
        },
        Request::PlayStart(params) => op_result(playing::start(tx, params)),
        Request::PlayStop(params) => play_stop(tx, params),
        Request::PlayPause(params) => play_pause(tx, &params.op, true).and_then(|()| done()),
        Request::PlayResume(params) => play_pause(tx, &params.op, false).and_then(|()| done()),
        Request::CollectStart(params) => op_result(collecting::start(tx, leg(tx, &params.leg)?, params)),
        Request::RecordStart(params) => {
            let (_, recording) = taping::start(tx, params)?;
            Ok(ResultBody::of(&RecordStartResult { recording }))
        }
        Request::RecordPause(params) => {
            taping::pause(tx, taping::find(tx, &params.recording)?, text(&params.reason))
                .and_then(|()| done())
        }
        Request::RecordResume(params) => {
            taping::resume(tx, taping::find(tx, &params.recording)?, text(&params.reason))
                .and_then(|()| done())
        }
        Request::RecordStop(params) => {
            let recording = taping::find(tx, &params.recording)?;
            ended(!taping::stop(tx, recording, text(&params.reason)))
        }
        Request::PolicyCheck(params) => {
            let from = params.from.as_ref().map(Text::as_str);
            let decision = dial_plan::policy_check(tx, params.to.as_str(), from, params.trunk.as_ref())?;
            Ok(ResultBody::of(&decision))
        }
        Request::NumberMap(params) => number_map::ask(tx, params).map(|told| ResultBody::of(&told)),
        Request::LimitsGet(_) => Ok(ResultBody::of(&snapshot::limits(tx))),
        Request::LimitsSet(params) => limits_set(tx, params),
        Request::TrunkList(_) => Ok(ResultBody::of(&TrunkListResult {
            trunks: snapshot::trunks(tx),
        })),
        Request::TrunkEnable(params) => switched::switch(tx, &params.trunk, true),
        Request::TrunkDisable(params) => switched::switch(tx, &params.trunk, false),
        Request::PromptList(_) => Ok(ResultBody::of(&PromptListResult {
            prompts: snapshot::prompts(tx),
        })),
        Request::RecordingList(params) => recording_list(tx, params),
        Request::TraceStart(params) => {
            traces::start(tx, params).map(|trace| ResultBody::of(&TraceStartResult { trace }))
        }
        Request::TraceStop(params) => ended(!traces::stop(tx, &params.trace)),
        Request::DrainStart(_) | Request::DrainCancel(_) | Request::DrainStatus(_) => Ok(drain(tx, request)),
        Request::Hello(_)
        | Request::Subscribe(_)
        | Request::Unsubscribe(_)
        | Request::StateGet(_)
        | Request::Ping(_)
        | Request::SchemaGet(_)
        | Request::Batch(_)
        | Request::Explain(_)
        | Request::LegStats(_) => Err(Failure::internal("answered elsewhere")),
    }
}

fn drain(tx: &mut Tx, request: &Request) -> ResultBody {
    if let Request::DrainStart(params) = request {
        draining::start(tx, params.deadline_ms.map(|ms| ms.get().into()));
    } else if let Request::DrainCancel(_) = request {
        draining::cancel(tx);
    }
    ResultBody::of(&draining::status(tx))
}

fn op_result(op: Result<Id, Failure>) -> Result<ResultBody, Failure> {
    op.map(|op| ResultBody::of(&OpResult { op }))
}

fn ended(already_ended: bool) -> Result<ResultBody, Failure> {
    Ok(ResultBody::of(&EndResult { already_ended }))
}

/// Ending what has ended is a success.
fn already(failure: Failure) -> Result<ResultBody, Failure> {
    if failure.kind == ErrorKind::AlreadyEnded {
        ended(true)
    } else {
        Err(failure)
    }
}

fn text<const MAX: usize>(text: &Option<Text<MAX>>) -> Option<String> {
    text.as_ref().map(|text| text.as_str().to_owned())
}

/// The leg of that id.
pub fn leg(tx: &Tx, id: &Id) -> Result<LegKey, Failure> {
    match tx.named(id) {
        Some(Named::Leg(key)) => Ok(key),
        Some(_) | None => Err(Failure::not_found("leg", id.as_str())),
    }
}

fn call(tx: &Tx, id: &Id) -> Result<CallKey, Failure> {
    match tx.named(id) {
        Some(Named::Call(key)) => Ok(key),
        Some(_) | None => Err(Failure::not_found("call", id.as_str())),
    }
}

fn call_tag(tx: &mut Tx, params: &CallTag) -> Result<(), Failure> {
    let key = call(tx, &params.call)?;
    let row = tx.call_mut(key)?;
    if row.is_closing() {
        return Err(Failure::already_ended("call", params.call.as_str()));
    }
    row.tags.extend(params.tags.0.clone());
    let tags = Tags(row.tags.clone());
    tx.tell_call(key, Event::CallTagged(CallTagged { tags }));
    tx.renew_ledger(key);
    Ok(())
}

fn call_end(tx: &mut Tx, params: &CallEnd) -> Result<ResultBody, Failure> {
    let key = call(tx, &params.call)?;
    if tx.call_mut(key)?.is_closing() {
        return ended(true);
    }
    let given = params.cause.clone().unwrap_or_default();
    for leg in tx.call_mut(key)?.legs.clone() {
        let end = hangup(
            tx,
            leg,
            given.q850.map(Within::get),
            given.sip.map(Within::get),
            text(&given.reason),
        );
        end_leg(tx, leg, end);
    }
    ended(false)
}

/// How a hang-up by a client reads: an unanswered inbound leg is refused, a dialled one cancelled.
fn hangup(tx: &Tx, key: LegKey, q850: Option<u32>, sip: Option<u32>, phrase: Option<String>) -> End {
    let small = |value: u32| u16::try_from(value).ok();
    let (q850, sip) = (
        q850.and_then(|value| u8::try_from(value).ok()),
        sip.and_then(small),
    );
    let Some(leg) = tx.world.legs.get(&key) else {
        return End::ours(EndedBy::Control, EndReason::Completed);
    };
    let is_taken = leg.is_taken();
    let unanswered_in = leg.inbound().is_some() && !is_taken;
    let reason = match (is_taken, leg.inbound()) {
        (true, _) => EndReason::Completed,
        (false, Some(_)) => sip.map_or(EndReason::NoAnswer, cause::reason_of_own_status),
        (false, None) => EndReason::Cancelled,
    };
    let status = unanswered_in.then(|| sip.or(q850.map(cause::status_of_q850)).unwrap_or(480));
    let q850 = q850.or(status.map(cause::q850_of_own_status));
    End {
        sip: status,
        q850,
        phrase,
        ..End::ours(EndedBy::Control, reason)
    }
}

fn leg_dial(tx: &mut Tx, params: &LegDial) -> Result<ResultBody, Failure> {
    let dialled = dialing::dial(tx, params)?;
    Ok(ResultBody::of(&LegDialResult {
        leg: dialled.leg,
        call: dialled.call,
        op: dialled.op,
    }))
}

fn leg_progress(tx: &mut Tx, params: &LegProgress) -> Result<ResultBody, Failure> {
    let key = leg(tx, &params.leg)?;
    answering::progress(tx, key, params.status.code())?;
    let Some(play) = &params.play else {
        return Ok(ResultBody::of(&LegProgressResult { op: None }));
    };
    let sources = playing::sources(tx, &play.sources, "params.play.sources")?;
    let manner = Manner {
        repeat: play.repeat,
        gain_db: play.gain_db.0,
        ..Manner::default()
    };
    let (_, op) = playing::begin(tx, Audience::Leg(key), sources, manner)?;
    Ok(ResultBody::of(&LegProgressResult { op: Some(op) }))
}

fn leg_answer(tx: &mut Tx, params: &LegAnswer) -> Result<(), Failure> {
    let key = leg(tx, &params.leg)?;
    answering::answer(tx, key)?;
    if let Some(bridge) = &params.bridge {
        bridging::add(tx, bridging::find(tx, bridge)?, key)?;
    }
    Ok(())
}

fn leg_reject(tx: &mut Tx, params: &LegReject) -> Result<(), Failure> {
    let key = leg(tx, &params.leg)?;
    let status = u16::try_from(params.status.get()).unwrap_or(480);
    let retry = params.retry_after_s.map(|seconds| ExtraHeader {
        name: "Retry-After".into(),
        value: seconds.get().to_string(),
    });
    let end = End {
        sip: Some(status),
        q850: Some(cause::q850_of_own_status(status)),
        phrase: text(&params.reason),
        headers: retry.into_iter().collect(),
        ..End::ours(EndedBy::Control, cause::reason_of_own_status(status))
    };
    answering::reject(tx, key, end)
}

fn leg_hangup(tx: &mut Tx, params: &LegHangup) -> Result<ResultBody, Failure> {
    let key = leg(tx, &params.leg)?;
    if tx.leg(key)?.is_ended() {
        return ended(true);
    }
    let end = hangup(
        tx,
        key,
        params.q850.map(Within::get),
        params.sip.map(Within::get),
        text(&params.reason),
    );
    end_leg(tx, key, end);
    ended(false)
}

fn leg_set(tx: &mut Tx, params: &LegSet) -> Result<(), Failure> {
    let key = leg(tx, &params.leg)?;
    let row = holding::living(tx, key)?;
    if let Some(gain) = params.gain_rx_db {
        row.gain_rx_db = gain.0;
    }
    if let Some(gain) = params.gain_tx_db {
        row.gain_tx_db = gain.0;
    }
    if let Some(max) = params.max_duration_ms {
        row.max_duration = Some(std::time::Duration::from_millis(max.get().into()));
    }
    if let Some(lost) = params.on_controller_lost {
        row.on_controller_lost = Some(lost);
    }
    row.tags.extend(params.tags.0.clone());
    let updated = LegUpdated {
        gain_rx_db: params.gain_rx_db,
        gain_tx_db: params.gain_tx_db,
        on_controller_lost: params.on_controller_lost,
        max_duration_ms: params.max_duration_ms.map(|max| max.get().into()),
        codec: None,
        secure: None,
    };
    tx.tell_leg(key, Event::LegUpdated(updated));
    Ok(())
}

fn bridge_create(tx: &mut Tx, params: &BridgeCreate) -> Result<ResultBody, Failure> {
    let legs = params
        .legs
        .iter()
        .map(|id| leg(tx, id))
        .collect::<Result<Vec<_>, _>>()?;
    let owner = match (&params.call, legs.first()) {
        (Some(id), _) => Some(call(tx, id)?),
        (None, Some(first)) => Some(tx.leg(*first)?.call),
        (None, None) => None,
    };
    if let Some(row) = owner.map(|owner| tx.call_mut(owner)).transpose()?
        && row.is_closing()
    {
        return Err(Failure::already_ended("call", row.id.as_str()));
    }
    let (key, bridge) = bridging::create(tx, params, owner, &legs)?;
    let mut recording = None;
    if params.record {
        let owner = owner.ok_or_else(|| {
            Failure::invalid_params(
                "params.record",
                "needs `call` or `legs`: whose record tells of it",
            )
        })?;
        let (_, id) = taping::begin(tx, None, Target::Bridge(key), owner, &bridge, Spec::default())?;
        recording = Some(id);
    }
    Ok(ResultBody::of(&BridgeCreateResult { bridge, recording }))
}

fn play_stop(tx: &mut Tx, params: &PlayStop) -> Result<ResultBody, Failure> {
    if let Some(Named::Op(op)) = tx.named(&params.op)
        && collecting::is_collect(tx, op)
    {
        collecting::end(tx, op, CollectEndedWhy::Stopped);
        return ended(false);
    }
    match playing::find(tx, &params.op) {
        Ok(op) => {
            playing::stop(tx, op);
            ended(false)
        }
        Err(failure) => already(failure),
    }
}

fn play_pause(tx: &mut Tx, op: &Id, is_paused: bool) -> Result<(), Failure> {
    let op = playing::find(tx, op)?;
    playing::pause(tx, op, is_paused);
    Ok(())
}

fn limits_set(tx: &mut Tx, params: &LimitsSet) -> Result<ResultBody, Failure> {
    let scope = match &params.trunk {
        None => Scope::Instance,
        Some(name) => {
            let index = tx.setup.trunk_by_name(name.as_str());
            Scope::Trunk(index.ok_or_else(|| Failure::not_found("trunk", name.as_str()))?)
        }
    };
    let now = tx.now.mono;
    let (calls, rate) = (
        params.calls.map(Within::get),
        params.calls_per_second.map(Within::get),
    );
    tx.gates.set(scope, calls, rate, now);
    tx.out.save_limits = true;
    let limits = snapshot::limits(tx);
    tx.tell(
        crate::engine::tx::About::default(),
        Event::LimitsChanged(Box::new(limits.clone())),
    );
    Ok(ResultBody::of(&limits))
}

fn recording_list(tx: &mut Tx, params: &RecordingList) -> Result<ResultBody, Failure> {
    let wanted = params.call.as_ref().map(|id| call(tx, id)).transpose()?;
    let rows = tx
        .world
        .recordings
        .iter()
        .filter(|(_, row)| wanted.is_none_or(|call| call == row.call));
    let recordings = rows.map(|(_, row)| snapshot::recording_view(tx, row)).collect();
    Ok(ResultBody::of(&RecordingListResult { recordings }))
}
