//! The end of legs and calls, in the one order clients rely on.
//!
//! `leg.ended`, what hung on the leg, `bridge.left`, `bridge.destroyed`, `record.stopped`; and once
//! storage has answered or its time is over, `call.ended` and `call.record`.

use media::Change;
use sip::endpoint::{Command, ExtraHeader};

use super::answering;
use super::call_record;
use super::cause;
use crate::control::protocol::{
    BridgeLeftWhy, Cause, CollectEndedWhy, EndReason, EndedBy, Event, LegEnded, Nothing, OpOutcome,
    PlayEndedWhy,
};
use crate::engine::audio::bridging;
use crate::engine::audio::playing;
use crate::engine::audio::taping;
use crate::engine::call::{CallStage, RECORD_WAIT};
use crate::engine::keys::{BridgeKey, CallKey, LegKey, Named, OpKey};
use crate::engine::leg::{Leg, Origin, Owed, Stage};
use crate::engine::op::Work;
use crate::engine::policy::admission::Way;
use crate::engine::policy::fraud;
use crate::engine::tallying::Count;
use crate::engine::transfers::transferring;
use crate::engine::tx::Tx;

/// How a leg ends, and what its peer is told.
#[derive(Clone, Debug)]
pub struct End {
    /// Who ends it.
    pub by: EndedBy,
    /// Why.
    pub reason: EndReason,
    /// The SIP status that decided, or that we send.
    pub sip: Option<u16>,
    /// The Q.850 cause; none: the one of `reason`.
    pub q850: Option<u8>,
    /// Whether the peer still has to be told.
    pub tell_peer: bool,
    /// A reason phrase of the router.
    pub phrase: Option<String>,
    /// Further headers for the peer.
    pub headers: Vec<ExtraHeader>,
    /// Where a 3xx sends the caller, for the router.
    pub contacts: Vec<String>,
    /// What did not come in time, if that ends it.
    pub overdue: Option<Overdue>,
}

/// What a leg waited for in vain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overdue {
    /// The ACK of our 200 (RFC 3261 §13.3.1.4).
    Ack,
    /// The PRACK of our reliable 18x (RFC 3262 §3).
    Prack,
    /// A refresh of the session, the peer's or the answer to ours (RFC 4028 §10).
    Refresh,
    /// The answer to another request of ours in its dialog, or the peer has forgotten it (RFC 3261 §12.2.1.2).
    Dialog,
    /// A final response of any peer to our INVITE (RFC 3261 §17.1.1.2, timer B).
    Response,
    /// The answer within the ring limit.
    Answer,
    /// Audio, for `media_timeout_s`.
    Media,
    /// Its end within the longest time.
    End,
}

impl Overdue {
    /// The label's word.
    pub fn word(self) -> &'static str {
        match self {
            Overdue::Ack => "ack",
            Overdue::Prack => "prack",
            Overdue::Refresh => "refresh",
            Overdue::Dialog => "dialog",
            Overdue::Response => "response",
            Overdue::Answer => "answer",
            Overdue::Media => "media",
            Overdue::End => "end",
        }
    }
}

impl End {
    /// An end that the peer already knows of.
    pub fn by_peer(reason: EndReason) -> Self {
        End {
            by: EndedBy::Peer,
            reason,
            sip: None,
            q850: None,
            tell_peer: false,
            phrase: None,
            headers: Vec::new(),
            contacts: Vec::new(),
            overdue: None,
        }
    }

    /// The same because this did not come in time.
    #[must_use]
    pub fn waiting_for(self, overdue: Overdue) -> Self {
        End {
            overdue: Some(overdue),
            ..self
        }
    }

    /// An end that the peer must be told of.
    pub fn ours(by: EndedBy, reason: EndReason) -> Self {
        End {
            by,
            tell_peer: true,
            ..End::by_peer(reason)
        }
    }
}

/// Ends a leg. A leg that has ended already stays as it was.
pub fn end_leg(tx: &mut Tx, key: LegKey, end: End) {
    let Some(leg) = tx.world.legs.get(&key) else {
        return;
    };
    if leg.is_ended() {
        return;
    }
    let (trunk, way, call) = (leg.trunk, leg.way(), leg.call);
    let end = End {
        q850: end.q850.or(Some(cause::q850_of_reason(end.reason))),
        ..end
    };
    if end.tell_peer {
        tell_peer(tx, key, &end);
    }
    let talked = mark_ended(tx, key, &end);
    let was_answered = talked.is_some();
    if let (Some(talked), Way::Out) = (talked, way) {
        let number = tx.world.legs.get(&key).and_then(|leg| leg.to.number.clone());
        fraud::talked(tx, trunk, number.as_deref(), talked);
    }
    tx.out.counts.push(Count::LegEnded {
        on: (trunk, way),
        reason: end.reason,
        talked,
        overdue: end.overdue,
    });
    tell_ended(tx, key, &end);
    end_ops_of(tx, key, was_answered);
    if let Some(bridge) = tx.world.legs.get(&key).and_then(|leg| leg.bridge) {
        bridging::leave(tx, bridge, key, BridgeLeftWhy::LegEnded);
    }
    transferring::leg_ended(tx, key);
    taping::leg_ended(tx, key);
    let is_open = |leg: &Leg| leg.media.closed.is_none() && !leg.owes_goodbye();
    if tx.world.legs.get(&key).is_some_and(is_open) {
        tx.media_of(key, Change::Close { stream: key.stream() });
    }
    tx.world.guards.legs.remove((trunk, way, key));
    tx.renew_ledger(call);
    close_call_if_empty(tx, call);
}

/// Ends every leg of a call that still lives.
pub fn end_call(tx: &mut Tx, call: CallKey, end: &End) {
    let Some(row) = tx.world.calls.get(&call) else {
        return;
    };
    for leg in row.legs.clone() {
        end_leg(tx, leg, end.clone());
    }
}

/// Closes the leg's books; how long it talked, if it did.
fn mark_ended(tx: &mut Tx, key: LegKey, end: &End) -> Option<std::time::Duration> {
    let now = tx.now;
    let leg = tx.world.legs.get_mut(&key)?;
    let talked = leg
        .times
        .answered
        .map(|at| now.mono.saturating_duration_since(at.mono));
    let _ = leg.take_hold(now.mono);
    leg.asked = None;
    leg.stage = Stage::Ended {
        by: end.by,
        reason: end.reason,
        sip: end.sip,
        q850: end.q850,
    };
    leg.times.ended = Some(now);
    if let Some(out) = leg.outbound_mut() {
        (out.ring_until, out.names_until) = (None, None);
    }
    talked
}

fn tell_ended(tx: &mut Tx, key: LegKey, end: &End) {
    let Some(leg) = tx.world.legs.get(&key) else {
        return;
    };
    let spans = call_record::spans(leg, tx.now);
    let ended = LegEnded {
        by: end.by,
        reason: end.reason,
        sip: end.sip,
        q850: end.q850.map(u16::from),
        ring_ms: spans.ring_ms,
        talk_ms: spans.talk_ms,
        hold_ms: spans.hold_ms,
        contacts: end.contacts.clone(),
        answered_elsewhere: end.reason == EndReason::Cancelled && end.q850 == Some(cause::ANSWERED_ELSEWHERE),
    };
    tx.tell_leg(key, Event::LegEnded(ended));
}

/// Says it to the peer in the words its state allows: a final response, CANCEL or BYE.
fn tell_peer(tx: &mut Tx, key: LegKey, end: &End) {
    let Some(leg) = tx.world.legs.get(&key) else {
        return;
    };
    let (session, stage) = (leg.session, leg.stage);
    let mut headers = end.headers.clone();
    let with_reason = tx.setup.trunk(leg.trunk).is_some_and(|trunk| trunk.reason_out);
    if let Some(q850) = end.q850.filter(|_| with_reason) {
        headers.extend(cause::reason_headers(q850));
    }
    let command = match (&leg.origin, stage) {
        (_, Stage::Ended { .. }) => return,
        (_, Stage::Answered) | (Origin::In(_), Stage::Answering) => Command::Bye { session, headers },
        (Origin::In(_), Stage::Trying | Stage::Ringing) if owes_answer(leg, end) => {
            if let Some(inbound) = tx.world.legs.get_mut(&key).and_then(Leg::inbound_mut) {
                inbound.owed = Owed::Goodbye;
            }
            return;
        }
        (Origin::In(_), Stage::Trying | Stage::Ringing) => {
            let status = end.sip.unwrap_or_else(|| status_for(end));
            Command::Reject {
                session,
                status,
                reason: end.phrase.clone(),
                headers,
            }
        }
        // No INVITE is out yet: the port was still being opened.
        (Origin::Out(out), _) if out.target.is_none() => return,
        (Origin::Out(_), Stage::Trying | Stage::Ringing | Stage::Answering) => {
            Command::Cancel { session, headers }
        }
    };
    tx.sip(command);
}

/// The router has answered and hangs up while the port is still being opened: 200 and BYE go out once it is. Ends of
/// ours for other reasons wait for nothing.
fn owes_answer(leg: &Leg, end: &End) -> bool {
    leg.is_taken() && end.by == EndedBy::Control
}

/// The status that refuses an unanswered inbound leg for a reason of our own.
fn status_for(end: &End) -> u16 {
    use EndReason::*;
    match end.reason {
        NoAnswer | Completed | Cancelled => 480,
        NotAllowed => 403,
        Limit | Draining | ControllerLost => 503,
        Failed => 500,
        Busy | Rejected | NotFound | Unreachable | MediaTimeout | SessionExpired | MaxDuration => {
            end.q850.map_or(480, cause::status_of_q850)
        }
    }
}

/// Ends what hung on the leg: its dial, plays, collect, digits.
fn end_ops_of(tx: &mut Tx, key: LegKey, was_answered: bool) {
    let of_leg = |tx: &Tx| -> Vec<OpKey> {
        let ops = tx.world.ops.iter().filter(|(_, op)| op.leg == Some(key));
        ops.map(|(op, _)| op).collect()
    };
    // A dial's op ends right after the event that decided it, so dials come first.
    for op in of_leg(tx) {
        let Some(row) = tx.world.ops.get(&op) else {
            continue;
        };
        if matches!(row.work, Work::Dial) {
            let cancelled = matches!(stage_reason(tx, key), Some(EndReason::Cancelled));
            let outcome = if cancelled {
                OpOutcome::Cancelled
            } else {
                OpOutcome::Failed
            };
            playing::end_op(tx, op, if was_answered { OpOutcome::Ok } else { outcome });
        }
    }
    for op in of_leg(tx) {
        let Some(row) = tx.world.ops.get(&op) else {
            continue;
        };
        match &row.work {
            Work::Dial => {}
            Work::Collect(_) => crate::engine::audio::collecting::end(tx, op, CollectEndedWhy::LegEnded),
            Work::Play(_) => playing::end_play(tx, op, PlayEndedWhy::LegEnded),
            Work::Transfer(_) => transferring::party_ended(tx, op),
            Work::SendDtmf(_) | Work::Reinvite => playing::end_op(tx, op, OpOutcome::Cancelled),
        }
    }
}

fn stage_reason(tx: &Tx, key: LegKey) -> Option<EndReason> {
    match tx.world.legs.get(&key)?.stage {
        Stage::Ended { reason, .. } => Some(reason),
        Stage::Trying | Stage::Ringing | Stage::Answering | Stage::Answered => None,
    }
}

/// Once no leg lives: bridges fall, recordings stop, and the record waits for storage.
fn close_call_if_empty(tx: &mut Tx, call: CallKey) {
    let Some(row) = tx.world.calls.get(&call) else {
        return;
    };
    let lives = row
        .legs
        .iter()
        .filter_map(|leg| tx.world.legs.get(leg))
        .any(|leg| !leg.is_ended());
    if lives || row.is_closing() {
        return;
    }
    let bridges: Vec<BridgeKey> = row.bridges.clone();
    bridging::call_ended(tx, &bridges);
    taping::stop_all_of(tx, call);
    tx.world.guards.calls.remove(call);
    let (now, by) = (tx.now, tx.cause.clone());
    if let Some(row) = tx.world.calls.get_mut(&call) {
        row.stage = CallStage::Closing {
            ended: now,
            by,
            give_up_at: now.mono + RECORD_WAIT,
        };
    }
    finish_if_ready(tx, call);
}

/// Writes the record of a closing call whose recordings and streams have all answered.
pub fn finish_if_ready(tx: &mut Tx, call: CallKey) {
    let Some(row) = tx.world.calls.get(&call) else {
        return;
    };
    let CallStage::Closing { give_up_at, .. } = row.stage else {
        return;
    };
    let legs_done = row
        .legs
        .iter()
        .filter_map(|leg| tx.world.legs.get(leg))
        .all(is_closed);
    let settled = legs_done && taping::all_settled(tx, call);
    if settled || tx.now.mono >= give_up_at {
        finish(tx, call);
    }
}

/// Its stream has told its last numbers, or there never was one.
fn is_closed(leg: &Leg) -> bool {
    leg.media.closed.is_some()
}

fn finish(tx: &mut Tx, call: CallKey) {
    let Some(CallStage::Closing { by, .. }) = tx.world.calls.get(&call).map(|row| &row.stage) else {
        return;
    };
    let cause = by.clone();
    tx.because(cause, |tx| {
        tx.tell_call(call, Event::CallEnded(Nothing {}));
        let Some(record) = call_record::of_call(tx, call) else {
            return;
        };
        call_record::write(tx, call, record);
    });
    forget(tx, call);
}

/// Frees every name of the call: they may be used again.
fn forget(tx: &mut Tx, call: CallKey) {
    let Some(row) = tx.world.calls.remove(call) else {
        return;
    };
    tx.world.names.remove(row.id);
    for leg in row.legs {
        let Some(leg) = tx.world.legs.remove(leg) else {
            continue;
        };
        if leg.owes_goodbye() {
            answering::refuse_instead(tx, &leg);
        }
        tx.world.names.remove(leg.id);
        tx.world.sessions.remove(leg.session);
        // A shard that has not told within the time of the record tells no more.
        tx.world.guards.ports.remove(leg.key);
    }
    for recording in row.recordings {
        taping::forget(tx, recording);
    }
    for name in row.ops {
        tx.world.names.remove(name);
    }
    for past in row.bridge_log {
        // One that other calls' legs are in lives on, under its name.
        if let Some(Named::Bridge(bridge)) = tx.named(&past.id)
            && tx.world.bridges.get(&bridge).is_none()
        {
            tx.world.names.remove(past.id);
        }
    }
    super::draining::progress(tx);
}

/// A command that changed a leg or a call of an unclaimed call has claimed it.
pub fn claim_touched(tx: &mut Tx) {
    if !matches!(tx.cause, Cause::Command { .. }) {
        return;
    }
    let of_legs = tx
        .world
        .legs
        .touched()
        .filter_map(|leg| tx.world.legs.get(leg))
        .map(|leg| leg.call);
    let touched: Vec<CallKey> = tx.world.calls.touched().copied().chain(of_legs).collect();
    for call in touched {
        if let Some(call) = tx.world.calls.get_mut(&call)
            && matches!(call.stage, CallStage::Unclaimed { .. })
        {
            call.stage = CallStage::Live;
        }
    }
}

/// Ends a call whose handling panicked: its legs are told, its record says whose fault it was.
pub fn end_faulty_call(tx: &mut Tx, call: CallKey) {
    end_call(
        tx,
        call,
        &End {
            sip: Some(500),
            ..End::ours(EndedBy::Fault, EndReason::Failed)
        },
    );
}

/// The process stops: every call ends now, its records follow as storage answers.
pub fn end_all_for_stop(tx: &mut Tx) {
    let end = End {
        q850: Some(41),
        ..End::ours(EndedBy::Policy, EndReason::Draining)
    };
    for call in tx.world.calls.keys() {
        end_call(tx, call, &end);
    }
}
