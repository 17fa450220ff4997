//! Hold and resume, mute and unmute: flags of a leg, and what they mean to others is the matrix's.
//!
//! A hold stands whatever the peer says of the re-INVITE that may go with it. It survives every change
//! of bridge; only `leg.resume`, or a `bridge.swap` that names the leg, ends it.

use bytes::Bytes;
use sip::endpoint::Command;

use super::playing;
use super::sounds::MUSIC_DEFAULT;
use crate::control::protocol::{
    Event, Failure, HoldMusic, Id, LegHeld, LegMuting, MuteDirection, Name, Nothing, OpOutcome,
};
use crate::engine::calls::answering;
use crate::engine::keys::LegKey;
use crate::engine::leg::{Hold, Leg, Reinvite, Stage};
use crate::engine::op::Work;
use crate::engine::tx::Tx;

/// `leg.hold`; the op's id where the peer is told.
pub fn hold(tx: &mut Tx, key: LegKey, music: &HoldMusic, signal: bool) -> Result<Option<Id>, Failure> {
    let class = match music {
        HoldMusic::Class(class) => Some(class.as_str().to_owned()),
        HoldMusic::Silence => None,
    };
    if let Some(class) = &class
        && !tx.sounds.music.contains_key(class)
    {
        return Err(Failure::invalid_params(
            "params.music",
            format_args!("there is no music class `{class}`"),
        ));
    }
    let now = tx.now.mono;
    let leg = living(tx, key)?;
    let unchanged = leg.hold.as_ref().is_some_and(|hold| hold.music == class);
    match &mut leg.hold {
        Some(hold) => hold.music = class.clone(),
        None => {
            leg.hold_tally.count += 1;
            leg.hold = Some(Hold {
                music: class.clone(),
                since: now,
                signalled: false,
            });
        }
    }
    if !unchanged {
        tx.tell_leg(key, Event::LegHeld(LegHeld { music: music.clone() }));
    }
    signal_if(tx, key, signal, true)
}

/// Holds with the default music, as `bridge.swap` does.
pub fn hold_quietly(tx: &mut Tx, key: LegKey) -> Result<(), Failure> {
    if tx
        .leg(key)?
        .hold
        .as_ref()
        .is_some_and(|hold| hold.music.is_some())
    {
        return Ok(());
    }
    hold(tx, key, &HoldMusic::Class(Name::from(MUSIC_DEFAULT)), false).map(|_| ())
}

/// `leg.resume`; (was not held, the op's id where the peer is told).
pub fn resume(tx: &mut Tx, key: LegKey, signal: bool) -> Result<(bool, Option<Id>), Failure> {
    let now = tx.now.mono;
    let leg = living(tx, key)?;
    let Some(hold) = leg.take_hold(now) else {
        return Ok((true, None));
    };
    tx.tell_leg(key, Event::LegResumed(Nothing {}));
    let op = signal_if(tx, key, signal || hold.signalled, false)?;
    Ok((false, op))
}

/// `leg.mute`.
pub fn mute(tx: &mut Tx, key: LegKey, direction: MuteDirection) -> Result<(), Failure> {
    let (send, recv) = sides(direction);
    let leg = living(tx, key)?;
    let changed = (send && !leg.muted_send) || (recv && !leg.muted_recv);
    leg.muted_send |= send;
    leg.muted_recv |= recv;
    if changed {
        tx.tell_leg(key, Event::LegMuted(LegMuting { direction }));
    }
    Ok(())
}

/// `leg.unmute`.
pub fn unmute(tx: &mut Tx, key: LegKey, direction: MuteDirection) -> Result<(), Failure> {
    let (send, recv) = sides(direction);
    let leg = living(tx, key)?;
    let changed = (send && leg.muted_send) || (recv && leg.muted_recv);
    leg.muted_send &= !send;
    leg.muted_recv &= !recv;
    if changed {
        tx.tell_leg(key, Event::LegUnmuted(LegMuting { direction }));
    }
    Ok(())
}

fn sides(direction: MuteDirection) -> (bool, bool) {
    match direction {
        MuteDirection::Send => (true, false),
        MuteDirection::Recv => (false, true),
        MuteDirection::Both => (true, true),
    }
}

/// A leg that has not ended.
pub fn living<'a>(tx: &'a mut Tx, key: LegKey) -> Result<&'a mut Leg, Failure> {
    let leg = tx.leg_mut(key)?;
    if leg.is_ended() {
        Err(Failure::already_ended("leg", leg.id.as_str()))
    } else {
        Ok(leg)
    }
}

/// Tells the peer by re-INVITE where asked to and where there is a session to change.
fn signal_if(tx: &mut Tx, key: LegKey, signal: bool, held: bool) -> Result<Option<Id>, Failure> {
    if !signal {
        return Ok(None);
    }
    let leg = tx.leg(key)?;
    let (call, session, can_signal) = (leg.call, leg.session, leg.stage == Stage::Answered);
    if let Some(earlier) = leg.media.reinvite {
        playing::end_op(tx, earlier.op, OpOutcome::Cancelled);
    }
    let (op, id) = tx.start_op(call, Some(key), Work::Reinvite)?;
    if !can_signal {
        return Err(Failure::invalid_params("params.signal", "needs an answered leg"));
    }
    let mut was_signalled = false;
    if let Some(hold) = &mut tx.leg_mut(key)?.hold {
        was_signalled = std::mem::replace(&mut hold.signalled, held);
    }
    tx.leg_mut(key)?.media.reinvite = Some(Reinvite { op, was_signalled });
    let sdp =
        answering::make_offer(tx, key, held).ok_or_else(|| Failure::internal("no port for the offer"))?;
    tx.sip(Command::Reinvite { session, sdp });
    Ok(Some(id))
}

/// The peer took our re-INVITE.
pub fn peer_agreed(tx: &mut Tx, key: LegKey, sdp: Option<Bytes>) {
    let agreed = answering::take_answer(tx, key, sdp.as_deref(), true);
    let outcome = if agreed { OpOutcome::Ok } else { OpOutcome::Failed };
    finish(tx, key, outcome, Some(200));
}

/// The peer refused it: the session stays as it was, and so does the hold here.
pub fn peer_refused(tx: &mut Tx, key: LegKey, status: u16) {
    let held_before = |leg: &Leg| leg.media.reinvite.is_some_and(|reinvite| reinvite.was_signalled);
    if let Some(leg) = tx.world.legs.get_mut(&key) {
        let signalled = held_before(leg);
        if let Some(hold) = &mut leg.hold {
            hold.signalled = signalled;
        }
    }
    finish(tx, key, OpOutcome::Failed, Some(status));
}

fn finish(tx: &mut Tx, key: LegKey, outcome: OpOutcome, sip: Option<u16>) {
    let reinvite = tx
        .world
        .legs
        .get_mut(&key)
        .and_then(|leg| leg.media.reinvite.take());
    if let Some(Reinvite { op, .. }) = reinvite {
        playing::end_op_with(tx, op, outcome, sip);
    }
}
