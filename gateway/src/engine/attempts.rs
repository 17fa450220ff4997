//! The attempts of an outbound leg: INVITE after INVITE until one is answered or none is left.
//!
//! Targets of one leg share Call-ID and From tag (RFC 3263 §4.3 for addresses already known); the router
//! sees one leg, its record every attempt.

use sip::endpoint::{Command, ExtraHeader, Flow, OutgoingInvite, SessionKey, Unanswered};
use sip::message::Response;

use super::alarms::AlarmKind;
use super::ending::{End, end_leg};
use super::keys::LegKey;
use super::leg::{Addressee, Attempt, InviteText, Leg, Stage};
use super::tx::Tx;
use super::{answering, cause, playing, redirected, vouching, wire_number};
use crate::config::{DiversionOut, Trunk};
use crate::control::protocol::{Cause, CauseBy, EndReason, EndedBy, Event, LegRinging, OpOutcome};

/// The leg has its port: the INVITE goes to its first target.
pub fn port_opened(tx: &mut Tx, key: LegKey) {
    try_next(tx, key);
}

/// Sends the INVITE to the next target; false: there is none.
fn try_next(tx: &mut Tx, key: LegKey) -> bool {
    let Some(leg) = tx.world.legs.get_mut(&key) else {
        return false;
    };
    let Some(out) = leg.outbound_mut() else {
        return false;
    };
    if out.targets.is_empty() {
        return false;
    }
    let is_first = out.target.is_none();
    let target = out.targets.remove(0);
    out.target = Some(target);
    out.early_tag = None;
    leg.attempts.push(Attempt {
        peer: peer_text(&target),
        status: None,
        q850: None,
    });
    if !is_first {
        let session = SessionKey::Out(tx.world.make.number());
        let old = std::mem::replace(&mut leg.session, session);
        tx.world.sessions.remove(old);
        tx.world.sessions.insert(session, key);
    }
    let Some(sdp) = answering::make_offer(tx, key, false) else {
        return false;
    };
    let Some(invite) = invite_for(tx, key, target, sdp) else {
        return false;
    };
    tx.sip(Command::Invite(Box::new(invite)));
    true
}

fn invite_for(tx: &Tx, key: LegKey, flow: Flow, sdp: bytes::Bytes) -> Option<OutgoingInvite> {
    let leg = tx.world.legs.get(&key)?;
    let trunk = tx.setup.trunk(leg.trunk)?;
    let invite = &leg.outbound()?.invite;
    let attempt = leg.attempts.len().saturating_sub(1);
    let (request_uri, to) = match &invite.to {
        Addressee::Uri(uri) => (uri.clone(), format!("<{uri}>")),
        Addressee::Number(number) => {
            let uri = wire_number::uri(trunk, number, &flow.remote.to_string());
            (uri.clone(), format!("<{uri}>"))
        }
        Addressee::Phones { user, uris } => (
            uris.get(attempt)?.clone(),
            format!("<sip:{user}@{}>", trunk.from_host),
        ),
    };
    let mut headers = invite.headers.clone();
    headers.extend(history(trunk, invite, flow, &request_uri));
    headers.extend(vouching::headers(
        trunk,
        invite.statement.as_ref(),
        tx.now.wall_us,
    ));
    Some(OutgoingInvite {
        session: leg.session,
        flow,
        to,
        request_uri,
        from: invite.from.clone(),
        contact_host: trunk.contact_host.clone(),
        call_id: Some(invite.call_id.clone()),
        from_tag: Some(invite.from_tag.clone()),
        max_forwards: invite.max_forwards,
        headers,
        sdp,
        credentials: trunk.auth.as_ref().map(|auth| sip::endpoint::Credentials {
            username: auth.username.clone(),
            password: auth.password.clone(),
            realm: auth.realm.clone(),
        }),
        policy: trunk.sip_policy,
        timer_b: trunk.timer_b,
    })
}

/// History-Info ends with the target, so every attempt has its own.
fn history(trunk: &Trunk, invite: &InviteText, flow: Flow, request_uri: &str) -> Option<ExtraHeader> {
    if trunk.diversion_out != DiversionOut::HistoryInfo || invite.diverters.is_empty() {
        return None;
    }
    let target = match &invite.to {
        Addressee::Uri(_) | Addressee::Phones { .. } => request_uri.to_owned(),
        Addressee::Number(number) => wire_number::uri_as_sip(trunk, number, &flow.remote.to_string()),
    };
    Some(ExtraHeader {
        name: "History-Info".into(),
        value: redirected::histories(&invite.diverters, &target),
    })
}

/// A peer as records and events show it.
pub fn peer_text(flow: &Flow) -> String {
    let transport = match flow.transport {
        sip::endpoint::Transport::Udp => "udp",
        sip::endpoint::Transport::Tcp => "tcp",
        sip::endpoint::Transport::Tls => "tls",
    };
    format!("{};transport={transport}", flow.remote)
}

/// A provisional response above 100.
pub fn progressed(
    tx: &mut Tx,
    key: LegKey,
    remote_tag: String,
    response: &Response,
    sdp: Option<bytes::Bytes>,
) {
    let now = tx.now;
    let Some(leg) = tx.world.legs.get_mut(&key) else {
        return;
    };
    if !matches!(leg.stage, Stage::Trying | Stage::Ringing) {
        return;
    }
    if response.status.code() == 199 {
        return early_dialog_ended(tx, key, &remote_tag);
    }
    let first = leg.stage == Stage::Trying;
    leg.stage = Stage::Ringing;
    leg.times.ringing.get_or_insert(now);
    let wants_early = leg.outbound().is_some_and(|out| out.early_media);
    let mut early_media = false;
    if let Some(sdp) = sdp.filter(|_| wants_early) {
        early_media = take_early(tx, key, remote_tag, &sdp);
    }
    if first || early_media {
        tx.tell_leg(
            key,
            Event::LegRinging(LegRinging {
                early_media,
                sip: response.status.code(),
            }),
        );
    }
}

/// RFC 6228: this fork is given up. Where it was the one that is heard, the ring tone is heard again.
fn early_dialog_ended(tx: &mut Tx, key: LegKey, remote_tag: &str) {
    let Some(out) = tx.world.legs.get_mut(&key).and_then(Leg::outbound_mut) else {
        return;
    };
    if out.early_tag.as_deref() == Some(remote_tag) {
        out.early_tag = None;
    }
}

/// The newest early dialog is the one that is heard. True where it was not yet.
fn take_early(tx: &mut Tx, key: LegKey, remote_tag: String, sdp: &[u8]) -> bool {
    if !answering::take_answer(tx, key, Some(sdp), false) {
        return false;
    }
    let Some(out) = tx.world.legs.get_mut(&key).and_then(Leg::outbound_mut) else {
        return false;
    };
    let was = out.early_tag.replace(remote_tag.clone());
    was.as_deref() != Some(remote_tag.as_str())
}

/// The first 2xx.
pub fn answered(tx: &mut Tx, key: LegKey, remote_tag: &str, response: &Response, sdp: Option<bytes::Bytes>) {
    let Some(leg) = tx.world.legs.get_mut(&key) else {
        return;
    };
    if leg.is_ended() {
        return;
    }
    if let Some(attempt) = leg.attempts.last_mut() {
        attempt.status = Some(response.status.code());
    }
    let early = leg.outbound().and_then(|out| out.early_tag.clone());
    let usable = match &sdp {
        Some(sdp) => answering::take_answer(tx, key, Some(sdp), true),
        None => early.as_deref() == Some(remote_tag) && again_as_answered(tx, key),
    };
    if !usable {
        // The session is up by now, so this goes out as a BYE.
        let end = End {
            sip: Some(488),
            ..End::ours(EndedBy::Fault, EndReason::Failed)
        };
        return end_leg(tx, key, end);
    }
    if let Some(out) = tx.world.legs.get_mut(&key).and_then(Leg::outbound_mut) {
        out.ring_until = None;
        out.early_tag = None;
    }
    answering::mark_answered(tx, key);
    let op = tx
        .world
        .legs
        .get_mut(&key)
        .and_then(Leg::outbound_mut)
        .and_then(|out| out.op.take());
    if let Some(op) = op {
        playing::end_op(tx, op, OpOutcome::Ok);
    }
}

/// The answer came in a provisional response: from now on we send too.
fn again_as_answered(tx: &mut Tx, key: LegKey) -> bool {
    let negotiated = tx
        .world
        .legs
        .get(&key)
        .and_then(|leg| leg.media.plan.agreed.clone());
    let Some(negotiated) = negotiated else {
        return false;
    };
    answering::configure(tx, key, negotiated, true);
    true
}

/// A final refusal: the next target where the trunk routes on, else the end.
pub fn refused(tx: &mut Tx, key: LegKey, response: &Response) {
    let Some(leg) = tx.world.legs.get_mut(&key) else {
        return;
    };
    if leg.is_ended() {
        return;
    }
    let status = response.status.code();
    let meaning = cause::of_status(status, leg.times.ringing.is_some());
    let told = response
        .headers
        .reason()
        .iter()
        .find_map(sip::message::Reason::q850_cause);
    let q850 = told.unwrap_or(meaning.q850);
    let reason = told.and_then(cause::of_q850).unwrap_or(meaning.reason);
    let reason = if reason == EndReason::Completed {
        meaning.reason
    } else {
        reason
    };
    if let Some(attempt) = leg.attempts.last_mut() {
        (attempt.status, attempt.q850) = (Some(status), Some(q850));
    }
    let rang = leg.stage == Stage::Ringing;
    let trunk = leg.trunk;
    if matches!(status, 401 | 407)
        && let Some(trunk) = tx.setup.trunk(trunk)
    {
        tx.out.alarms.push((AlarmKind::AuthFailed, trunk.name.clone()));
    }
    let routes_on = tx
        .setup
        .trunk(trunk)
        .is_some_and(|trunk| trunk.route_on.contains(&status));
    if meaning.may_route_on && routes_on && !rang && try_next(tx, key) {
        return;
    }
    end_leg(
        tx,
        key,
        End {
            sip: Some(status),
            q850: Some(q850),
            ..End::by_peer(reason)
        },
    );
}

/// No final response at all: counts as 408 or 503, and the next target is tried at once.
pub fn unanswered(tx: &mut Tx, key: LegKey, why: Unanswered) {
    let Some(leg) = tx.world.legs.get_mut(&key) else {
        return;
    };
    if leg.is_ended() {
        return;
    }
    let (status, q850) = match why {
        Unanswered::Timeout => (408, 102),
        Unanswered::Transport => (503, 41),
    };
    if let Some(attempt) = leg.attempts.last_mut() {
        attempt.q850 = Some(q850);
    }
    if tx
        .setup
        .trunk(leg.trunk)
        .is_some_and(|trunk| trunk.route_on.contains(&status))
        && try_next(tx, key)
    {
        return;
    }
    let end = End {
        by: EndedBy::Timer,
        sip: None,
        q850: Some(q850),
        ..End::by_peer(EndReason::Unreachable)
    };
    end_leg(tx, key, end);
}

/// The ring limit was reached.
pub fn rang_out(tx: &mut Tx, key: LegKey) {
    let end = End {
        q850: Some(19),
        ..End::ours(EndedBy::Timer, EndReason::NoAnswer)
    };
    tx.because(Cause::By(CauseBy::Timer), |tx| end_leg(tx, key, end));
}
