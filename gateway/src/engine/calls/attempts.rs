//! The attempts of an outbound leg: INVITE after INVITE until one is answered or none is left.
//!
//! Targets of one trunk share Call-ID and From tag (RFC 3263 §4.3); a fallback trunk begins anew, with its own
//! identity and limits. The router sees one leg, its record every attempt.

use std::time::Duration;

use sip::endpoint::{Command, ExtraHeader, Flow, OutgoingInvite, SessionKey, Unanswered};
use sip::message::Response;

use super::answering;
use super::cause;
use super::dial_plan;
use super::dial_plan::Targets;
use super::dialing;
use super::ending::{End, Overdue, end_leg};
use crate::config::{DiversionOut, Trunk};
use crate::control::protocol::{Cause, CauseBy, EndReason, EndedBy, Event, LegDial, LegRinging, OpOutcome};
use crate::engine::audio::playing;
use crate::engine::callers::passing_on;
use crate::engine::callers::redirected;
use crate::engine::callers::vouching;
use crate::engine::callers::wire_number;
use crate::engine::keys::LegKey;
use crate::engine::leg::{Addressee, Attempt, Heard, InviteText, Leg, Stage};
use crate::engine::policy::admission::Way;
use crate::engine::policy::emergency;
use crate::engine::router::alarms::AlarmKind;
use crate::engine::tallying;
use crate::engine::transfers::moved;
use crate::engine::transfers::transferring;
use crate::engine::trunks::health;
use crate::engine::trunks::peers::{Unrouted, peer_text, target_of};
use crate::engine::tx::Tx;

/// Q.850 cause 102: a timer ran out.
const RECOVERY_ON_TIMER_EXPIRY: u8 = 102;

/// The leg has its port: the INVITE goes to its first target, if DNS has said where that is.
pub fn port_opened(tx: &mut Tx, key: LegKey) {
    let waits = tx
        .world
        .legs
        .get(&key)
        .and_then(Leg::outbound)
        .is_some_and(|out| out.names_until.is_some());
    if !waits {
        try_next(tx, key);
    }
}

/// DNS has said something: a leg that waits for it looks again.
pub fn names_came(tx: &mut Tx, key: LegKey) {
    let Some(leg) = tx.world.legs.get(&key) else {
        return;
    };
    let (index, has_port) = (leg.trunk, leg.media.local.is_some());
    let now = tx.now.mono;
    match tx.peers.route(tx.setup, index, now) {
        Err(Unrouted::NotLocated) => {}
        Err(Unrouted::NoPeer | Unrouted::Down) => not_located(tx, key),
        Ok(flows) => {
            let Some(out) = tx.world.legs.get_mut(&key).and_then(Leg::outbound_mut) else {
                return;
            };
            (out.targets, out.names_until) = (flows, None);
            if has_port {
                try_next(tx, key);
            }
        }
    }
}

/// DNS names no peer that can be used: as a transport failure (RFC 3263 §4.3).
pub fn not_located(tx: &mut Tx, key: LegKey) {
    let Some(leg) = tx.world.legs.get_mut(&key) else {
        return;
    };
    let index = leg.trunk;
    if let Some(out) = leg.outbound_mut() {
        out.names_until = None;
    }
    let hosts = tx.setup.trunk(index).map_or_else(String::new, |trunk| {
        let names = trunk.hosts.iter().map(|host| host.site.host.as_str());
        names.collect::<Vec<_>>().join(" ")
    });
    if let Some(leg) = tx.world.legs.get_mut(&key) {
        leg.attempts.push(Attempt {
            peer: hosts,
            status: None,
            q850: Some(41),
        });
    }
    if !next_trunk(tx, key) {
        end_unreachable(tx, key, 41);
    }
}

/// Goes on with the next target of this trunk, or with the first of the next trunk; false: there is none, or the
/// trunk that was named allows no more attempts.
fn route_on(tx: &mut Tx, key: LegKey) -> bool {
    has_attempts(tx, key) && (try_next(tx, key) || next_trunk(tx, key))
}

/// Attempts are counted over all trunks of a leg, so that a chain of fallbacks is no longer than its first.
fn has_attempts(tx: &Tx, key: LegKey) -> bool {
    let Some(leg) = tx.world.legs.get(&key) else {
        return false;
    };
    let named = leg
        .outbound()
        .and_then(|out| tx.setup.trunk_by_name(out.dial.trunk.as_str()));
    let trunk = named.and_then(|index| tx.setup.trunk(index));
    trunk.is_some_and(|trunk| leg.attempts.len() < trunk.attempts_max)
}

/// Moves the leg to the next fallback trunk whose policy and limits take it.
fn next_trunk(tx: &mut Tx, key: LegKey) -> bool {
    loop {
        let Some(out) = tx.world.legs.get_mut(&key).and_then(Leg::outbound_mut) else {
            return false;
        };
        if out.fallback.is_empty() {
            return false;
        }
        let index = out.fallback.remove(0);
        let dial = out.dial.clone();
        let call = tx.world.legs.get(&key).map(|leg| leg.call);
        let dial = match emergency::is_one(tx.setup, index, dial.to.as_str()) {
            true => emergency::fitted(tx, index, &dial),
            false => dial,
        };
        let planned = dial_plan::plan(tx, index, &dial).and_then(|mut plan| {
            passing_on::settle(tx, call, &dial, &mut plan)?;
            dial_plan::admit(tx, &plan, false)?;
            Ok(plan)
        });
        tallying::dial(tx.metrics, tx.setup, index, planned.as_ref().map(|_| ()));
        match planned {
            Ok(plan) => {
                if move_to(tx, key, &dial, plan) {
                    return true;
                }
            }
            Err(failure) => {
                let kind = failure.kind.as_str();
                tx.out
                    .log
                    .push((true, format!("a fallback trunk did not take a call: {kind}")));
            }
        }
    }
}

/// The leg belongs to another trunk from now on.
fn move_to(tx: &mut Tx, key: LegKey, dial: &LegDial, plan: dial_plan::Plan) -> bool {
    let call = tx.world.legs.get(&key).map(|leg| leg.call);
    let hops = call.map(|call| dialing::hops_of(tx, call)).unwrap_or_default();
    let invite = dialing::invite_text(tx, dial, &plan, hops);
    let early_media = dialing::wants_early_media(tx, plan.trunk, dial);
    let names_until = dialing::names_until(tx, &plan.targets);
    let Some(leg) = tx.world.legs.get_mut(&key) else {
        return false;
    };
    let (from, has_port) = (leg.trunk, leg.media.local.is_some());
    leg.trunk = plan.trunk;
    if let Some(out) = leg.outbound_mut() {
        out.invite = invite;
        out.early_media = early_media;
        out.names_until = names_until;
        out.targets = match plan.targets {
            Targets::Known(flows) => flows,
            Targets::NotLocated => Vec::new(),
        };
    }
    tx.world.guards.legs.remove((from, Way::Out, key));
    tx.world.guards.legs.insert((plan.trunk, Way::Out, key));
    if let Some(call) = call {
        tx.renew_ledger(call);
    }
    names_until.is_some() || !has_port || try_next(tx, key)
}

/// Sends the INVITE to the next target; false: there is none. One that went down since the plan was made is
/// passed over.
fn try_next(tx: &mut Tx, key: LegKey) -> bool {
    let now = tx.now.mono;
    let Some(leg) = tx.world.legs.get_mut(&key) else {
        return false;
    };
    let index = leg.trunk;
    let Some(out) = leg.outbound_mut() else {
        return false;
    };
    let usable = out
        .targets
        .iter()
        .position(|flow| tx.peers.is_usable(index, target_of(*flow), now));
    let Some(usable) = usable else {
        return false;
    };
    let is_first = out.target.is_none();
    let target = out.targets.drain(..=usable).next_back();
    let Some(target) = target else {
        return false;
    };
    out.target = Some(target);
    out.early_tag = None;
    out.heard = Heard::Nothing;
    let is_seizure = out.seized.replace(index) != Some(index);
    leg.attempts.push(Attempt {
        peer: peer_text(target_of(target)),
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
    if is_seizure {
        tx.metrics.seized(tallying::place(tx.setup, index, Way::Out));
    }
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
    if leg.times.ringing.is_none() {
        leg.times.ringing = Some(now);
        let took = now.mono.saturating_duration_since(leg.times.offered.mono);
        tx.metrics
            .post_dial_delay(tallying::place(tx.setup, leg.trunk, Way::Out), took);
    }
    if let Some(out) = leg.outbound_mut() {
        let heard = if response.status.code() == 180 {
            Heard::Ringing
        } else {
            Heard::Progress
        };
        out.heard = out.heard.max(heard);
    }
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
    transferring::dialled_rang(tx, key, response.status.code());
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
    transferring::dialled_answered(tx, key);
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
    let Some(leg) = tx.world.legs.get(&key).filter(|leg| !leg.is_ended()) else {
        return;
    };
    let Some(out) = leg.outbound() else {
        return;
    };
    let (index, heard, target) = (leg.trunk, out.heard, out.target);
    let status = response.status.code();
    let meaning = cause::of_status(status, heard != Heard::Nothing);
    let told = response
        .headers
        .reason()
        .iter()
        .find_map(sip::message::Reason::q850_cause);
    let warned = cause::of_warnings(status, response.headers.values("Warning"));
    let q850 = told.or(warned).unwrap_or(meaning.q850);
    let reason = told.and_then(cause::of_q850).unwrap_or(meaning.reason);
    let reason = if reason == EndReason::Completed {
        meaning.reason
    } else {
        reason
    };
    note(tx, key, Some(status), q850);
    if let (503, Some(target), Some(seconds)) = (status, target, response.headers.retry_after()) {
        let (pause, now) = (Duration::from_secs(seconds.into()), tx.now.mono);
        tx.peers.rest(index, target, pause, now);
    }
    if matches!(status, 401 | 407)
        && let Some(trunk) = tx.setup.trunk(index)
    {
        tx.out.alarms.push((AlarmKind::AuthFailed, trunk.name.clone()));
    }
    if meaning.may_route_on && heard != Heard::Ringing && routes_on(tx, index, status) && route_on(tx, key) {
        return;
    }
    let contacts = moved::contacts(tx, key, response);
    end_leg(
        tx,
        key,
        End {
            contacts,
            sip: Some(status),
            q850: Some(q850),
            ..End::by_peer(reason)
        },
    );
}

/// Keeps what became of the attempt, for the record and for the operator.
fn note(tx: &mut Tx, key: LegKey, status: Option<u16>, q850: u8) {
    let now = tx.now;
    let Some(leg) = tx.world.legs.get_mut(&key) else {
        return;
    };
    if let Some(attempt) = leg.attempts.last_mut() {
        (attempt.status, attempt.q850) = (status, Some(q850));
    }
    let (index, target) = (leg.trunk, leg.outbound().and_then(|out| out.target));
    if leg.times.ringing.is_none() {
        let took = now.mono.saturating_duration_since(leg.times.offered.mono);
        tx.metrics
            .post_dial_delay(tallying::place(tx.setup, index, Way::Out), took);
    }
    if let Some(target) = target {
        health::failed(tx, index, target_of(target), status, q850);
    }
}

fn routes_on(tx: &Tx, index: usize, status: u16) -> bool {
    tx.setup
        .trunk(index)
        .is_some_and(|trunk| trunk.route_on.contains(&status))
}

/// No final response at all: counts as 408 or 503, and the next target is tried at once.
pub fn unanswered(tx: &mut Tx, key: LegKey, why: Unanswered) {
    let Some(leg) = tx.world.legs.get(&key).filter(|leg| !leg.is_ended()) else {
        return;
    };
    let (index, is_ringing) = (
        leg.trunk,
        leg.outbound().is_some_and(|out| out.heard == Heard::Ringing),
    );
    let (status, q850) = match why {
        Unanswered::Timeout => (408, RECOVERY_ON_TIMER_EXPIRY),
        Unanswered::Transport => (503, 41),
    };
    note(tx, key, None, q850);
    if !is_ringing && routes_on(tx, index, status) && route_on(tx, key) {
        return;
    }
    end_unreachable(tx, key, q850);
}

fn end_unreachable(tx: &mut Tx, key: LegKey, q850: u8) {
    let end = End {
        by: EndedBy::Timer,
        sip: None,
        q850: Some(q850),
        overdue: (q850 == RECOVERY_ON_TIMER_EXPIRY).then_some(Overdue::Response),
        ..End::by_peer(EndReason::Unreachable)
    };
    end_leg(tx, key, end);
}

/// The ring limit was reached.
pub fn rang_out(tx: &mut Tx, key: LegKey) {
    let end = End {
        q850: Some(19),
        ..End::ours(EndedBy::Timer, EndReason::NoAnswer).waiting_for(Overdue::Answer)
    };
    tx.because(Cause::By(CauseBy::Timer), |tx| end_leg(tx, key, end));
}
