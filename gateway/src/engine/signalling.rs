//! What the SIP endpoint reports, handed to the room that knows what it means.
//!
//! Events of a session whose leg has ended are its echo and change nothing.

use bytes::Bytes;
use media::Change;
use sip::endpoint::{Command, Event as SipEvent, SessionKey};
use sip::message::Request;
use sip::message::info_digit::InfoDigit;

use super::audio::holding;
use super::audio::info_digits;
use super::audio::media_plan;
use super::calls::answering;
use super::calls::attempts;
use super::calls::cause;
use super::calls::early;
use super::calls::ending::{End, Overdue, end_leg};
use super::calls::inbound;
use super::calls::waiting;
use super::keys::LegKey;
use super::leg::Stage;
use super::transfers::referred;
use super::transfers::transferring;
use super::tx::Tx;
use crate::control::protocol::{Cause, CauseBy, EndReason, EndedBy, Event, LegUpdated, Nothing};

/// One report of the endpoint.
pub fn handle(tx: &mut Tx, event: SipEvent) {
    if let SipEvent::Incoming(invite) = event {
        return inbound::offered(tx, invite);
    }
    let session = event.session();
    let Some(key) = tx.world.sessions.get(&session).copied() else {
        if event.closes() {
            waiting::given_up(tx, session);
        }
        return;
    };
    if tx.world.legs.get(&key).is_none_or(|leg| leg.is_ended()) {
        return refuse_late_offer(tx, event);
    }
    match event {
        SipEvent::Incoming(_) => {}
        SipEvent::PeerCancelled { request, .. } => cancelled(tx, key, &request),
        SipEvent::Acknowledged { sdp, .. } => acknowledged(tx, key, sdp),
        SipEvent::EarlyAnswer { sdp, .. } => early::answered(tx, key, sdp),
        SipEvent::AckMissing { .. } => unacknowledged(tx, key, None, Overdue::Ack),
        SipEvent::PrackMissing { .. } => unacknowledged(tx, key, Some(504), Overdue::Prack),
        SipEvent::Progress {
            remote_tag,
            response,
            sdp,
            ..
        } => attempts::progressed(tx, key, remote_tag, &response, sdp),
        SipEvent::Answered {
            remote_tag,
            response,
            sdp,
            ..
        } => attempts::answered(tx, key, &remote_tag, &response, sdp),
        SipEvent::Refused { response, .. } => attempts::refused(tx, key, &response),
        SipEvent::Unanswered { why, .. } => attempts::unanswered(tx, key, why),
        // We cancelled, so the leg has ended already; should it not have, its end is told now.
        SipEvent::Cancelled { .. } => end_leg(tx, key, End::by_peer(EndReason::Cancelled)),
        SipEvent::Reinvite { request, offer, .. } => {
            early::note_fork(tx, key, &request);
            reinvited(tx, key, session, offer);
        }
        SipEvent::Refreshed { sdp, .. } => refreshed(tx, key, sdp),
        SipEvent::Expired { .. } => expired(tx, key),
        SipEvent::ReinviteAccepted { sdp, .. } => holding::peer_agreed(tx, key, sdp),
        SipEvent::ReinviteRefused { status, .. } => holding::peer_refused(tx, key, status),
        SipEvent::Bye { request, .. } => bye(tx, key, &request),
        SipEvent::ByeDone { .. } => {}
        SipEvent::Lost { .. } => {
            let end = End {
                by: EndedBy::Peer,
                q850: Some(41),
                ..End::by_peer(EndReason::Failed).waiting_for(Overdue::Dialog)
            };
            end_leg(tx, key, end);
        }
        SipEvent::Info { digit, .. } => pressed(tx, key, digit),
        SipEvent::InfoAnswered { status, .. } => info_digits::answered(tx, key, status),
        SipEvent::Referred {
            referral, refused, ..
        } => referred::asked(tx, key, *referral, refused),
        SipEvent::ReferProgress { status, .. } => transferring::refer_progressed(tx, key, status),
        SipEvent::ReferDone { outcome, .. } => transferring::refer_done(tx, key, outcome),
    }
}

/// A digit by INFO goes the way of one by telephone-event: through the stream, which knows its twins and hearers.
fn pressed(tx: &mut Tx, key: LegKey, pressed: InfoDigit) {
    tx.media_of(
        key,
        Change::HearDigit {
            stream: key.stream(),
            digit: pressed.digit,
            duration_ms: pressed.duration_ms,
        },
    );
}

/// Our 200 or 18x reached nobody: the endpoint has ended the session.
fn unacknowledged(tx: &mut Tx, key: LegKey, sip: Option<u16>, overdue: Overdue) {
    let end = End {
        by: EndedBy::Timer,
        sip,
        q850: Some(102),
        ..End::by_peer(EndReason::Unreachable).waiting_for(overdue)
    };
    end_leg(tx, key, end);
}

/// The answer to a refresh of ours: mostly what it was before.
fn refreshed(tx: &mut Tx, key: LegKey, sdp: Option<Bytes>) {
    if sdp.is_some() && !answering::take_answer(tx, key, sdp.as_deref(), true) {
        tx.out.log.push((
            true,
            "the answer to a refresh is unusable: media stays as it was".into(),
        ));
    }
}

/// The peer does not refresh the session, or does not know it any more (RFC 4028 §10).
fn expired(tx: &mut Tx, key: LegKey) {
    let end = End::ours(EndedBy::Timer, EndReason::SessionExpired).waiting_for(Overdue::Refresh);
    tx.because(Cause::By(CauseBy::Timer), |tx| end_leg(tx, key, end));
}

/// A re-INVITE that crosses our BYE still needs an answer; nothing else of an ended leg does.
fn refuse_late_offer(tx: &mut Tx, event: SipEvent) {
    if let SipEvent::Reinvite { session, .. } = event {
        tx.sip(Command::RejectReinvite {
            session,
            status: 481,
            headers: Vec::new(),
        });
    }
}

fn cancelled(tx: &mut Tx, key: LegKey, request: &Request) {
    let end = End {
        sip: Some(487),
        q850: cause::told(&request.headers.reason()).or(Some(16)),
        ..End::by_peer(EndReason::Cancelled)
    };
    end_leg(tx, key, end);
}

fn bye(tx: &mut Tx, key: LegKey, request: &Request) {
    // An answer elsewhere ends no call that is up: it is an ordinary end then.
    let q850 = cause::told(&request.headers.reason()).filter(|q850| *q850 != cause::ANSWERED_ELSEWHERE);
    let reason = q850.and_then(cause::of_q850).unwrap_or(EndReason::Completed);
    end_leg(
        tx,
        key,
        End {
            q850: q850.or(Some(16)),
            ..End::by_peer(reason)
        },
    );
}

fn acknowledged(tx: &mut Tx, key: LegKey, sdp: Option<Bytes>) {
    let Some(leg) = tx.world.legs.get_mut(&key) else {
        return;
    };
    if leg.stage == Stage::Answering {
        return answering::acknowledged(tx, key, sdp);
    }
    if std::mem::take(&mut leg.media.late_reoffer) {
        let _ = answering::take_answer(tx, key, sdp.as_deref(), true);
        tell_far_hold(tx, key);
    }
}

/// The peer changes the session, by re-INVITE, UPDATE or PRACK: answered as it asks, or refused and left
/// as it was.
fn reinvited(tx: &mut Tx, key: LegKey, session: SessionKey, offer: Option<Bytes>) {
    let body = match &offer {
        Some(offer) => answering::answer_to(tx, key, offer).ok(),
        None => {
            let held = tx
                .world
                .legs
                .get(&key)
                .is_some_and(|leg| leg.hold.as_ref().is_some_and(|hold| hold.signalled));
            if let Some(leg) = tx.world.legs.get_mut(&key) {
                leg.media.late_reoffer = true;
            }
            answering::make_offer(tx, key, held)
        }
    };
    let Some(sdp) = body else {
        let warning = offer.and_then(|offer| answering::warning_of(tx, key, &offer));
        tx.sip(Command::RejectReinvite {
            session,
            status: 488,
            headers: warning.into_iter().collect(),
        });
        return;
    };
    tx.sip(Command::AcceptReinvite { session, sdp });
    let is_up = tx
        .world
        .legs
        .get(&key)
        .is_some_and(|leg| leg.stage == Stage::Answered);
    if offer.is_some() && is_up {
        tell_far_hold(tx, key);
    }
}

/// Whether the peer holds us now, told where it changed.
fn tell_far_hold(tx: &mut Tx, key: LegKey) {
    let Some(leg) = tx.world.legs.get_mut(&key) else {
        return;
    };
    let holds = leg
        .media
        .plan
        .agreed
        .as_ref()
        .is_some_and(|negotiated| negotiated.remote_hold);
    let event = match (leg.far_held, holds) {
        (false, true) => Event::LegFarHeld(Nothing {}),
        (true, false) => Event::LegFarResumed(Nothing {}),
        (true, true) | (false, false) => Event::LegUpdated(LegUpdated {
            codec: leg
                .media
                .plan
                .agreed
                .as_ref()
                .map(|negotiated| media_plan::codec_name(negotiated.codec)),
            secure: None,
            gain_rx_db: None,
            gain_tx_db: None,
            on_controller_lost: None,
            max_duration_ms: None,
        }),
    };
    leg.far_held = holds;
    leg.media.silent_since = None;
    tx.tell_leg(key, event);
}
