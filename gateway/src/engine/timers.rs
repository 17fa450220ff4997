//! Deadlines that have come: each row is woken by its own.

use std::time::Instant;

use super::audio::collecting;
use super::audio::info_digits;
use super::audio::playing;
use super::audio::taping;
use super::call::CallStage;
use super::calls::attempts;
use super::calls::cause;
use super::calls::draining;
use super::calls::ending::{End, Overdue, end_call, end_leg, finish_if_ready};
use super::keys::{CallKey, LegKey};
use super::router::controllers;
use super::transfers::referred;
use super::tx::Tx;
use crate::control::protocol::{Cause, CauseBy, EndReason, EndedBy};

/// One row that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// A call.
    Call(CallKey),
    /// A leg.
    Leg(LegKey),
    /// An op.
    Op(super::keys::OpKey),
    /// A recording.
    Recording(super::keys::RecordingKey),
    /// The drain.
    Drain,
}

/// Everything due at `now`, in a fixed order.
pub fn due(world: &super::world::World, drain: Option<Instant>, now: Instant) -> Vec<Due> {
    let mut due: Vec<Due> = Vec::new();
    due.extend(world.ops.due(now).into_iter().map(Due::Op));
    due.extend(world.recordings.due(now).into_iter().map(Due::Recording));
    due.extend(world.legs.due(now).into_iter().map(Due::Leg));
    due.extend(world.calls.due(now).into_iter().map(Due::Call));
    due.extend(drain.filter(|at| *at <= now).map(|_| Due::Drain));
    due
}

/// Wakes one row.
pub fn wake(tx: &mut Tx, due: Due) {
    match due {
        Due::Op(op) if collecting::is_collect(tx, op) => collecting::timed_out(tx, op),
        Due::Op(op) => playing::ran_out(tx, op),
        Due::Recording(recording) => taping::ran_full(tx, recording),
        Due::Leg(leg) => wake_leg(tx, leg),
        Due::Call(call) => wake_call(tx, call),
        Due::Drain => draining::deadline_reached(tx, tx.now.mono),
    }
}

fn wake_leg(tx: &mut Tx, key: LegKey) {
    let now = tx.now.mono;
    let Some(leg) = tx.world.legs.get(&key) else {
        return;
    };
    let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
    if is_due(leg.outbound().and_then(|out| out.ring_until)) {
        return attempts::rang_out(tx, key);
    }
    if is_due(leg.outbound().and_then(|out| out.names_until)) {
        return attempts::not_located(tx, key);
    }
    if is_due(leg.asked.as_ref().map(|asked| asked.until)) {
        return referred::expired(tx, key);
    }
    if is_due(leg.max_duration_at()) {
        return end_leg(tx, key, too_long());
    }
    if is_due(leg.media_timeout_at()) {
        let end = End::ours(EndedBy::Timer, EndReason::MediaTimeout);
        return end_leg(tx, key, end.waiting_for(Overdue::Media));
    }
    if is_due(leg.controller_lost_at) {
        return controllers::act(tx, key);
    }
    info_digits::wake(tx, key);
}

fn too_long() -> End {
    End::ours(EndedBy::Timer, EndReason::MaxDuration).waiting_for(Overdue::End)
}

fn wake_call(tx: &mut Tx, key: CallKey) {
    let now = tx.now.mono;
    let Some(call) = tx.world.calls.get(&key) else {
        return;
    };
    if call.max_duration_at.is_some_and(|at| at <= now) && !call.is_closing() {
        return end_call(tx, key, &too_long());
    }
    match call.stage {
        CallStage::Unclaimed { until, status } if until <= now => {
            let end = End {
                sip: Some(status),
                q850: Some(cause::q850_of_own_status(status)),
                ..End::ours(EndedBy::Policy, EndReason::NoAnswer)
            };
            tx.because(Cause::By(CauseBy::Policy), |tx| end_call(tx, key, &end));
        }
        CallStage::Closing { .. } => finish_if_ready(tx, key),
        CallStage::Unclaimed { .. } | CallStage::Live => {}
    }
}
