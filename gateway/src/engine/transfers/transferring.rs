//! Transfers: a party is taken to another, by a leg of ours or by REFER, and all stays as it was while that fails.
//!
//! ```text
//!  blind      REFER ──refused──► a leg of ours is dialled ──answered──► it takes the place of the other party
//!               └─ last NOTIFY 2xx: BYE · anything else, or silence: nothing has changed
//!  attended   REFER with Replaces ──refused──► both parties in one bridge, at once
//!  accepted   a leg of ours is dialled for a peer's REFER (`referred`), which hears of it by NOTIFY
//! ```
//! Until a transfer is done no leg leaves its bridge, so there is nothing to restore. Knows nothing of Refer-To.

use std::time::Duration;

use sip::endpoint::{Command, ReferOutcome, ReferTarget};

use crate::config::ReferOut;
use crate::control::protocol::{
    BridgeCreate, BridgeLeftWhy, CallerId, Done, EndReason, EndedBy, Event, Failure, Id, LegDial, Name,
    OpOutcome, OpResult, Request, ResultBody, Tags, Text, TransferAttended, TransferBlind, TransferProgress,
    Within,
};
use crate::engine::audio::bridging;
use crate::engine::audio::holding;
use crate::engine::audio::playing;
use crate::engine::callers::wire_number;
use crate::engine::calls::dial_plan;
use crate::engine::calls::dialing;
use crate::engine::calls::ending::{End, end_leg};
use crate::engine::keys::{BridgeKey, LegKey, OpKey};
use crate::engine::leg::{Addressee, Leg, Stage};
use crate::engine::op::{Transfer, TransferStage, Work};
use crate::engine::router::commands;
use crate::engine::tallying::{self, Count};
use crate::engine::tx::Tx;

/// What a failed dial is told as, where its peer gave no status: nobody could be reached.
const UNREACHED: u16 = 480;

/// `transfer.*`.
pub fn run(tx: &mut Tx, request: &Request) -> Result<ResultBody, Failure> {
    let op = match request {
        Request::TransferBlind(params) => blind(tx, params)?,
        Request::TransferAttended(params) => attended(tx, params)?,
        Request::TransferAccept(params) => super::referred::accept(tx, params)?,
        Request::TransferReject(params) => {
            super::referred::reject(tx, params)?;
            return Ok(ResultBody::of(&Done {}));
        }
        _ => return Err(Failure::internal("answered elsewhere")),
    };
    Ok(ResultBody::of(&OpResult { op }))
}

fn blind(tx: &mut Tx, params: &TransferBlind) -> Result<Id, Failure> {
    let key = transferable(tx, &params.leg)?;
    let leg = tx.leg(key)?;
    let own = tx.setup.trunk(leg.trunk).map(|trunk| trunk.name.clone());
    let trunk = params.trunk.clone().or(own.map(|name| Name::from(name.as_str())));
    let trunk = trunk.ok_or_else(|| Failure::internal("the trunk is gone"))?;
    let dial = leg_dial(
        tx,
        key,
        &params.to,
        trunk,
        params.caller_id.clone(),
        params.ring_timeout_ms,
    )?;
    let leaving = only_other(tx, key, None);
    let by_refer = sends_refer(tx, key) && params.trunk.is_none();
    if !by_refer {
        let (op, id) = begin(tx, key, Transfer::new(dial.clone(), leaving))?;
        dial_for(tx, op, &dial)?;
        return Ok(id);
    }
    let target = refer_target(tx, key, &dial)?;
    let (_, id) = begin(tx, key, Transfer::new(dial, leaving))?;
    send_refer(tx, key, target, params.ring_timeout_ms.get());
    Ok(id)
}

fn attended(tx: &mut Tx, params: &TransferAttended) -> Result<Id, Failure> {
    let key = transferable(tx, &params.leg)?;
    let with = transferable(tx, &params.with)?;
    if key == with {
        return Err(Failure::invalid_params("params.with", "must be another leg"));
    }
    let (leg, other) = (tx.leg(key)?, tx.leg(with)?);
    let (session, same_trunk) = (other.session, leg.trunk == other.trunk);
    let sends_replaces = tx
        .setup
        .trunk(leg.trunk)
        .is_some_and(|trunk| trunk.transfers.replaces_out);
    if same_trunk && sends_replaces && sends_refer(tx, key) {
        let (_, id) = begin(tx, key, Transfer::with(with))?;
        let ring = Within::<1, 3_600_000, 60_000>::default().get();
        send_refer(tx, key, ReferTarget::Session(session), ring);
        return Ok(id);
    }
    let (op, id) = begin(tx, key, Transfer::with(with))?;
    join(tx, key, with)?;
    playing::end_op_with(tx, op, OpOutcome::Ok, None);
    Ok(id)
}

/// An answered leg without a transfer under way.
pub fn transferable(tx: &mut Tx, id: &Id) -> Result<LegKey, Failure> {
    let key = commands::leg(tx, id)?;
    if holding::living(tx, key)?.stage != Stage::Answered {
        return Err(Failure::invalid_state("the leg is not answered"));
    }
    match of_leg(tx, key) {
        Some(_) => Err(Failure::invalid_state("the leg is being transferred")),
        None => Ok(key),
    }
}

fn of_leg(tx: &Tx, key: LegKey) -> Option<OpKey> {
    let mut ops = tx.world.ops.iter();
    ops.find(|(_, op)| op.leg == Some(key) && matches!(op.work, Work::Transfer(_)))
        .map(|(key, _)| key)
}

/// Starts the op of a transfer.
pub fn begin(tx: &mut Tx, key: LegKey, transfer: Transfer) -> Result<(OpKey, Id), Failure> {
    let call = tx.leg(key)?.call;
    tx.start_op(call, Some(key), Work::Transfer(Box::new(transfer)))
}

/// The dial that a transfer makes, in the call of the party that is transferred.
pub fn leg_dial<const MAX: u32>(
    tx: &Tx,
    key: LegKey,
    to: &Text<256>,
    trunk: Name,
    caller_id: Option<CallerId>,
    ring_timeout_ms: Within<1, MAX, 60_000>,
) -> Result<LegDial, Failure> {
    let call = tx.leg(key)?.call;
    Ok(LegDial {
        to: to.clone(),
        trunk,
        call: tx.world.calls.get(&call).map(|call| call.id.clone()),
        id: None,
        caller_id,
        redirected: None,
        ring_timeout_ms: Within::new(ring_timeout_ms.get()).unwrap_or_default(),
        early_media: None,
        bridge: None,
        auto_answer: false,
        headers: Default::default(),
        codecs: None,
        key: None,
        fence: None,
        tags: Tags::default(),
    })
}

/// Dials a leg of ours for a transfer: policy, limits and route as for any dial.
pub fn dial_for(tx: &mut Tx, op: OpKey, dial: &LegDial) -> Result<LegKey, Failure> {
    let index = tx.setup.trunk_by_name(dial.trunk.as_str());
    let dialled = dialing::dial(tx, dial);
    match (index, &dialled) {
        (Some(index), Ok(_)) => tx.out.counts.push(Count::Dialled(index)),
        (Some(index), Err(failure)) => tallying::dial(tx.metrics, tx.setup, index, Err(failure)),
        (None, _) => {}
    }
    let leg = commands::leg(tx, &dialled?.leg)?;
    if let Some(out) = tx.leg_mut(leg)?.outbound_mut() {
        out.transfer = Some(op);
    }
    if let Some(transfer) = transfer_mut(tx, op) {
        transfer.stage = TransferStage::Dialling(leg);
    }
    Ok(leg)
}

fn transfer_mut<'a>(tx: &'a mut Tx, op: OpKey) -> Option<&'a mut Transfer> {
    match &mut tx.world.ops.get_mut(&op)?.work {
        Work::Transfer(transfer) => Some(transfer),
        _ => None,
    }
}

fn transfer_of(tx: &Tx, op: OpKey) -> Option<(LegKey, Transfer)> {
    let row = tx.world.ops.get(&op)?;
    match &row.work {
        Work::Transfer(transfer) => Some((row.leg?, Transfer::clone(transfer))),
        _ => None,
    }
}

fn sends_refer(tx: &Tx, key: LegKey) -> bool {
    let trunk = tx.world.legs.get(&key).and_then(|leg| tx.setup.trunk(leg.trunk));
    trunk.is_some_and(|trunk| trunk.transfers.refer_out == ReferOut::Send)
}

/// Whom REFER names: what a dial on the leg's trunk would, and only where that may be dialled.
fn refer_target(tx: &mut Tx, key: LegKey, dial: &LegDial) -> Result<ReferTarget, Failure> {
    let index = tx.leg(key)?.trunk;
    let plan = dial_plan::plan(tx, index, dial)?;
    let trunk = tx
        .setup
        .trunk(index)
        .ok_or_else(|| Failure::internal("the trunk is gone"))?;
    let host = match &plan.targets {
        dial_plan::Targets::Known(flows) => flows.first().map(|flow| flow.remote.to_string()),
        dial_plan::Targets::NotLocated => None,
    };
    let uri = match (plan.to, host) {
        (Addressee::Uri(uri), _) => Some(uri),
        (Addressee::Number(number), Some(host)) => Some(wire_number::uri(trunk, &number, &host)),
        (Addressee::Phones { uris, .. }, _) => uris.first().cloned(),
        (Addressee::Number(_), None) => None,
    };
    uri.map(ReferTarget::Uri)
        .ok_or_else(|| Failure::no_route(&trunk.name))
}

fn send_refer(tx: &mut Tx, key: LegKey, to: ReferTarget, wait_ms: u32) {
    let Some(leg) = tx.world.legs.get(&key) else {
        return;
    };
    let (session, trunk) = (leg.session, tx.setup.trunk(leg.trunk));
    let referred_by = trunk.map(|trunk| format!("<sip:{}>", trunk.from_host));
    tx.sip(Command::Refer {
        session,
        to,
        referred_by,
        wait: Duration::from_millis(wait_ms.into()),
    });
}

/// The peer tells how the call is that our REFER asked for.
pub fn refer_progressed(tx: &mut Tx, key: LegKey, status: u16) {
    if let Some(op) = of_leg(tx, key) {
        tell_progress(tx, op, status);
    }
}

/// Our REFER is over. Where it was refused the transfer is done here, unless the peer knows no such call.
pub fn refer_done(tx: &mut Tx, key: LegKey, outcome: ReferOutcome) {
    let Some(op) = of_leg(tx, key) else { return };
    let Some((_, transfer)) = transfer_of(tx, op).filter(|(_, it)| it.stage == TransferStage::Referring)
    else {
        return;
    };
    match outcome {
        ReferOutcome::Silent => playing::end_op_with(tx, op, OpOutcome::Failed, None),
        ReferOutcome::Notified(status) => {
            tell_progress(tx, op, status);
            if !(200..300).contains(&status) {
                return playing::end_op_with(tx, op, OpOutcome::Failed, Some(status));
            }
            playing::end_op_with(tx, op, OpOutcome::Ok, Some(status));
            for leg in [Some(key), transfer.with].into_iter().flatten() {
                end_leg(tx, leg, End::ours(EndedBy::Control, EndReason::Completed));
            }
        }
        ReferOutcome::Refused(481) => playing::end_op_with(tx, op, OpOutcome::Failed, Some(481)),
        ReferOutcome::Refused(status) => {
            tell_progress(tx, op, status);
            do_here(tx, op, key, &transfer);
        }
    }
}

/// By a leg of ours, or by one bridge, after all.
fn do_here(tx: &mut Tx, op: OpKey, key: LegKey, transfer: &Transfer) {
    let Some(app) = tx.world.legs.get(&key).map(|leg| leg.app.clone()) else {
        return;
    };
    let before = std::mem::replace(&mut tx.app, app);
    let done = match (&transfer.dial, transfer.with) {
        (Some(dial), _) => dial_for(tx, op, dial).map(|_| false),
        (None, Some(with)) => join(tx, key, with).map(|()| true),
        (None, None) => Err(Failure::internal("a transfer to nobody")),
    };
    tx.app = before;
    match done {
        Ok(true) => playing::end_op_with(tx, op, OpOutcome::Ok, None),
        Ok(false) => {}
        Err(failure) => {
            let kind = failure.kind.as_str();
            tx.out.log.push((
                true,
                format!("a transfer that the peer refused could not be done here: {kind}"),
            ));
            playing::end_op_with(tx, op, OpOutcome::Failed, None);
        }
    }
}

/// A leg dialled for a transfer rings.
pub fn dialled_rang(tx: &mut Tx, key: LegKey, status: u16) {
    let Some((op, transfer)) = dialled_for(tx, key) else {
        return;
    };
    notify(tx, &transfer, status);
    tell_progress(tx, op, status);
}

/// A leg dialled for a transfer was answered: it takes its place.
pub fn dialled_answered(tx: &mut Tx, key: LegKey) {
    let Some((op, transfer)) = dialled_for(tx, key) else {
        return;
    };
    let Some((party, _)) = transfer_of(tx, op) else {
        return;
    };
    if let Some(out) = tx.world.legs.get_mut(&key).and_then(Leg::outbound_mut) {
        out.transfer = None;
    }
    tell_progress(tx, op, 200);
    match seat(tx, party, key, transfer.leaving) {
        Ok(()) => {
            notify(tx, &transfer, 200);
            playing::end_op_with(tx, op, OpOutcome::Ok, Some(200));
        }
        // A router has put one of them elsewhere, or the bridge is full: whoever was called is not left alone.
        Err(_) => {
            notify(tx, &transfer, 500);
            playing::end_op_with(tx, op, OpOutcome::Failed, None);
            end_leg(tx, key, End::ours(EndedBy::Control, EndReason::Failed));
        }
    }
}

/// A leg has ended: one that was dialled for a transfer, or one in whose place somebody is to come.
pub fn leg_ended(tx: &mut Tx, key: LegKey) {
    if let Some((op, transfer)) = dialled_for(tx, key) {
        let told = tx
            .world
            .legs
            .get(&key)
            .and_then(|leg| leg.attempts.last()?.status);
        let status = told.filter(|status| *status >= 300);
        notify(tx, &transfer, status.unwrap_or(UNREACHED));
        playing::end_op_with(tx, op, OpOutcome::Failed, status);
    }
    let leaving: Vec<(LegKey, LegKey)> = tx
        .world
        .ops
        .iter()
        .filter_map(|(_, op)| match &op.work {
            Work::Transfer(transfer) if transfer.leaving == Some(key) => match transfer.stage {
                TransferStage::Dialling(dialled) => Some((op.leg?, dialled)),
                TransferStage::Referring => None,
            },
            _ => None,
        })
        .collect();
    for (party, dialled) in leaving {
        // Whoever is left alone hears the other one ring.
        let bridge = tx.world.legs.get(&party).and_then(|leg| leg.bridge);
        if let Some(bridge) = bridge {
            let _ = bridging::add(tx, bridge, dialled);
        }
    }
}

/// The party that is transferred has hung up: nobody is called for it any more.
pub fn party_ended(tx: &mut Tx, op: OpKey) {
    let Some((_, transfer)) = transfer_of(tx, op) else {
        return;
    };
    notify(tx, &transfer, 487);
    playing::end_op_with(tx, op, OpOutcome::Cancelled, None);
    if let TransferStage::Dialling(leg) = transfer.stage {
        end_leg(tx, leg, End::ours(EndedBy::Control, EndReason::Cancelled));
    }
}

fn dialled_for(tx: &Tx, key: LegKey) -> Option<(OpKey, Transfer)> {
    let op = tx.world.legs.get(&key)?.outbound()?.transfer?;
    transfer_of(tx, op).map(|(_, transfer)| (op, transfer))
}

/// The peer whose REFER this is for is told by NOTIFY, also after it hung up.
fn notify(tx: &mut Tx, transfer: &Transfer, status: u16) {
    if let Some(session) = transfer.referrer {
        tx.sip(Command::NotifyRefer { session, status });
    }
}

fn tell_progress(tx: &mut Tx, op: OpKey, sip: u16) {
    tx.tell_op(op, Event::TransferProgress(TransferProgress { sip }));
}

/// Two parties that are up talk from now on, and whoever was between them does not.
pub fn join(tx: &mut Tx, party: LegKey, with: LegKey) -> Result<(), Failure> {
    let leaving = only_other(tx, party, Some(with));
    seat(tx, party, with, leaving)
}

/// The one other member of a leg's bridge, `but` aside.
fn only_other(tx: &Tx, key: LegKey, but: Option<LegKey>) -> Option<LegKey> {
    let bridge = tx.world.legs.get(&key)?.bridge?;
    let members = tx.world.bridges.get(&bridge)?.legs.iter().copied();
    let others: Vec<LegKey> = members.filter(|leg| *leg != key && Some(*leg) != but).collect();
    match others.as_slice() {
        [one] => Some(*one),
        _ => None,
    }
}

/// `newcomer` comes to `party`: in the place of `leaving`, or into its bridge where that one has gone; where several
/// others are with it, the two get a bridge of their own.
fn seat(tx: &mut Tx, party: LegKey, newcomer: LegKey, leaving: Option<LegKey>) -> Result<(), Failure> {
    let Some(bridge) = tx.leg(party)?.bridge else {
        return fresh(tx, party, newcomer);
    };
    let leaves = leaving.filter(|leg| {
        tx.world
            .legs
            .get(leg)
            .is_some_and(|leg| leg.bridge == Some(bridge))
    });
    let is_in = tx.leg(newcomer)?.bridge == Some(bridge);
    match (leaves, is_in) {
        (Some(leg), true) => {
            bridging::leave(tx, bridge, leg, BridgeLeftWhy::Removed);
            Ok(())
        }
        (Some(leg), false) => bridging::replace(tx, leg, newcomer),
        (None, _) if leaving.is_some() || is_pair(tx, bridge, party, newcomer) => {
            bridging::move_leg(tx, newcomer, bridge)
        }
        (None, _) => fresh(tx, party, newcomer),
    }
}

/// Nobody but these two is there.
fn is_pair(tx: &Tx, bridge: BridgeKey, party: LegKey, newcomer: LegKey) -> bool {
    let members = tx.world.bridges.get(&bridge).map(|row| row.legs.as_slice());
    members
        .unwrap_or_default()
        .iter()
        .all(|leg| *leg == party || *leg == newcomer)
}

fn fresh(tx: &mut Tx, party: LegKey, newcomer: LegKey) -> Result<(), Failure> {
    let call = tx.leg(party)?.call;
    let params = BridgeCreate {
        id: None,
        call: None,
        legs: Vec::new(),
        max_legs: Within::default(),
        record: false,
        key: None,
        fence: None,
        tags: Tags::default(),
    };
    let (bridge, _) = bridging::create(tx, &params, Some(call), &[])?;
    bridging::move_leg(tx, party, bridge)?;
    bridging::move_leg(tx, newcomer, bridge)
}
