//! Draining: no new calls, those that are up end by themselves or at the deadline.

use std::time::{Duration, Instant};

use super::ending::{End, end_call};
use crate::control::protocol::{
    Cause, CauseBy, DrainProgress, DrainResult, EndReason, EndedBy, Event, Nothing,
};
use crate::engine::policy::gates::Drain;
use crate::engine::trunks::registrations;
use crate::engine::tx::About;
use crate::engine::tx::Tx;

/// `drain.start`.
pub fn start(tx: &mut Tx, deadline_ms: Option<u64>) {
    let deadline = deadline_ms.map(|ms| tx.now.mono + Duration::from_millis(ms));
    let was_draining = tx.gates.is_draining();
    tx.gates.set_drain(Drain::On { deadline });
    if !was_draining {
        tx.sip(sip::endpoint::Command::SetAccepting { accepting: false });
    }
    progress(tx);
}

/// `drain.cancel`.
pub fn cancel(tx: &mut Tx) {
    if tx.gates.is_draining() {
        tx.gates.set_drain(Drain::Off);
        tx.sip(sip::endpoint::Command::SetAccepting { accepting: true });
        registrations::begin(tx);
    }
}

/// How far it is.
pub fn status(tx: &Tx) -> DrainResult {
    let deadline_ms = match tx.gates.drain() {
        Drain::On { deadline: Some(at) } => {
            u64::try_from(at.saturating_duration_since(tx.now.mono).as_millis()).ok()
        }
        Drain::On { deadline: None } | Drain::Off | Drain::Done => None,
    };
    DrainResult {
        draining: tx.gates.is_draining(),
        left: left(tx),
        deadline_ms,
    }
}

fn left(tx: &Tx) -> u64 {
    tx.world.calls.len() as u64
}

/// A call has gone, or the drain has begun: tells how many are left, and the end once.
pub fn progress(tx: &mut Tx) {
    if !matches!(tx.gates.drain(), Drain::On { .. }) {
        return;
    }
    let left = left(tx);
    tx.tell(About::default(), Event::DrainProgress(DrainProgress { left }));
    if left == 0 {
        registrations::leave(tx);
        done(tx);
    }
}

/// No carrier sends us calls any more: with the last call gone the drain is done.
pub fn registrations_left(tx: &mut Tx) {
    if matches!(tx.gates.drain(), Drain::On { .. }) && left(tx) == 0 {
        done(tx);
    }
}

fn done(tx: &mut Tx) {
    if tx.registrations.have_left() {
        tx.gates.set_drain(Drain::Done);
        tx.tell(About::default(), Event::DrainDone(Nothing {}));
        tx.out.drained = true;
    }
}

/// The deadline has come: the remaining calls are ended.
pub fn deadline_reached(tx: &mut Tx, now: Instant) {
    let Drain::On { deadline: Some(at) } = tx.gates.drain() else {
        return;
    };
    if now < at {
        return;
    }
    tx.gates.set_drain(Drain::On { deadline: None });
    let end = End {
        q850: Some(41),
        ..End::ours(EndedBy::Policy, EndReason::Draining)
    };
    for call in tx.world.calls.keys() {
        tx.because(Cause::By(CauseBy::Policy), |tx| end_call(tx, call, &end));
    }
}
