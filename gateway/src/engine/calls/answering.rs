//! Taking an inbound leg up: 18x, the answer, its acknowledgement, and refusing it instead.
//!
//! A reply that needs our port waits for it (`Owed`); nothing else here waits.

use bytes::Bytes;
use media::Change;
use sip::endpoint::{Command, ExtraHeader, SessionKey};
use sip::sdp::{self, LocalMedia};

use super::cause;
use super::early;
use super::ending::{End, end_leg};
use super::inbound;
use crate::config::Trunk;
use crate::control::protocol::{EndReason, EndedBy, Event, Failure, LegAnswered, LegRinging, LegUpdated};
use crate::engine::audio::media_plan;
use crate::engine::keys::LegKey;
use crate::engine::leg::{Leg, Owed, Stage};
use crate::engine::tallying;
use crate::engine::transfers::replacing;
use crate::engine::tx::Tx;

/// `leg.progress`: 180 rings, 183 opens early media.
pub fn progress(tx: &mut Tx, key: LegKey, status: u16) -> Result<(), Failure> {
    let leg = unanswered(tx, key)?;
    let session = leg.session;
    let first = leg.stage == Stage::Trying;
    if status == 183 || early::owes_offer(leg) {
        owe(tx, key, Owed::Early(status))?;
    } else {
        tx.sip(Command::Progress {
            session,
            status,
            sdp: None,
            headers: Vec::new(),
        });
    }
    let now = tx.now;
    let leg = tx.leg_mut(key)?;
    leg.stage = Stage::Ringing;
    leg.times.ringing.get_or_insert(now);
    if first || status == 183 {
        tx.tell_leg(
            key,
            Event::LegRinging(LegRinging {
                early_media: status == 183,
                sip: status,
            }),
        );
    }
    Ok(())
}

/// `leg.answer`: sends 200 as soon as the port is known.
pub fn answer(tx: &mut Tx, key: LegKey) -> Result<(), Failure> {
    unanswered(tx, key)?;
    owe(tx, key, Owed::Answer)
}

/// `leg.reject`.
pub fn reject(tx: &mut Tx, key: LegKey, end: End) -> Result<(), Failure> {
    unanswered(tx, key)?;
    end_leg(tx, key, end);
    Ok(())
}

/// The stream has its port: what was owed goes out.
pub fn port_opened(tx: &mut Tx, key: LegKey) {
    let Some(inbound) = tx.world.legs.get(&key).and_then(Leg::inbound) else {
        return;
    };
    if let Err(failure) = pay(tx, key, inbound.owed) {
        give_up(tx, key, failure.message);
    }
}

/// A leg that the router answered and ended before its port was known has it: 200, BYE, and the port is given back.
pub fn say_goodbye(tx: &mut Tx, key: LegKey) {
    let Some(leg) = tx.world.legs.get(&key).filter(|leg| leg.owes_goodbye()) else {
        return;
    };
    let (session, q850) = (leg.session, leg.ended_q850());
    let with_reason = tx.setup.trunk(leg.trunk).is_some_and(|trunk| trunk.reason_out);
    let headers = q850.filter(|_| with_reason).map(cause::reason_headers);
    match our_body(tx, key) {
        Ok(sdp) => {
            tx.sip(Command::Answer {
                session,
                sdp,
                headers: Vec::new(),
            });
            let headers = headers.unwrap_or_default();
            tx.sip(Command::Bye { session, headers });
        }
        Err(_) => tx.sip(refusal(session, 488)),
    }
    if let Some(inbound) = tx.world.legs.get_mut(&key).and_then(Leg::inbound_mut) {
        inbound.owed = Owed::Nothing;
    }
    tx.media_of(key, Change::Close { stream: key.stream() });
}

/// Such a leg got no port: its peer is refused, and the shard that may yet open one is told to close it.
pub fn refuse_instead(tx: &mut Tx, leg: &Leg) {
    tx.sip(refusal(leg.session, 503));
    if leg.media.closed.is_none() {
        let stream = leg.key.stream();
        tx.media(leg.media.shard, Change::Close { stream });
    }
}

fn refusal(session: SessionKey, status: u16) -> Command {
    Command::Reject {
        session,
        status,
        reason: None,
        headers: Vec::new(),
    }
}

/// Our 200 was acknowledged, with the answer of a late-offer call.
pub fn acknowledged(tx: &mut Tx, key: LegKey, answer: Option<Bytes>) {
    let Some(leg) = tx.world.legs.get(&key) else {
        return;
    };
    if leg.stage != Stage::Answering {
        return;
    }
    if early::awaits_answer(leg) && !take_answer(tx, key, answer.as_deref(), true) {
        return give_up(tx, key, "no usable answer in ACK".into());
    }
    mark_answered(tx, key);
    replacing::answered(tx, key);
}

/// The leg talks from now on; tells so.
pub fn mark_answered(tx: &mut Tx, key: LegKey) {
    let now = tx.now;
    let Some(leg) = tx.world.legs.get_mut(&key) else {
        return;
    };
    leg.stage = Stage::Answered;
    leg.times.answered = Some(now);
    let setup = now.mono.saturating_duration_since(leg.times.offered.mono);
    let (call, trunk, way) = (leg.call, leg.trunk, leg.way());
    let codec = leg.media.plan.agreed.as_ref().map(|negotiated| negotiated.codec);
    let secure = leg.media.plan.is_secure();
    let Some(codec) = codec.map(media_plan::codec_name) else {
        return;
    };
    if let Some(call) = tx.world.calls.get_mut(&call) {
        call.answered.get_or_insert(now);
    }
    let place = tallying::place(tx.setup, trunk, way);
    tx.metrics.setup(place, setup);
    tx.metrics.answered(place, codec.as_str());
    let setup_ms = u64::try_from(setup.as_millis()).unwrap_or(u64::MAX);
    tx.tell_leg(
        key,
        Event::LegAnswered(LegAnswered {
            codec,
            secure,
            setup_ms,
        }),
    );
    crate::engine::streams::tell_media_up(tx, key);
    tx.renew_ledger(call);
}

/// Applies the peer's answer to our offer. False: it cannot be used.
pub fn take_answer(tx: &mut Tx, key: LegKey, answer: Option<&[u8]>, answered: bool) -> bool {
    let Some(leg) = tx.world.legs.get(&key) else {
        return false;
    };
    let Some(trunk) = tx.setup.trunk(leg.trunk) else {
        return false;
    };
    let (Some(offered), Some(answer)) = (leg.media.offered.as_ref(), answer) else {
        return false;
    };
    let Ok(negotiated) = sdp::accept_answer(offered, answer) else {
        return false;
    };
    if !media_plan::is_allowed(trunk, &negotiated) || !leg.media.plan.may_become(&negotiated) {
        return false;
    }
    configure(tx, key, negotiated, answered);
    true
}

/// Keeps what was agreed and tells the shard where it differs.
pub fn configure(tx: &mut Tx, key: LegKey, negotiated: sdp::Negotiated, answered: bool) {
    let Some(leg) = tx.world.legs.get_mut(&key) else {
        return;
    };
    let Some(trunk) = tx.setup.trunk(leg.trunk) else {
        return;
    };
    let config = media_plan::stream_config(trunk, &negotiated, answered);
    let was_secure = leg.media.plan.is_secure();
    leg.media.plan.agreed = Some(negotiated);
    let secure = leg.media.plan.is_secure();
    let is_other = secure != was_secure && leg.stage == Stage::Answered;
    let shard = leg.media.shard;
    let is_news = leg.media.plan.told.as_ref() != Some(&config);
    if is_news {
        leg.media.plan.told = Some(config.clone());
    }
    if is_other {
        tell_secure(tx, key, secure);
    }
    if is_news {
        let stream = key.stream();
        tx.media(shard, Change::Configure { stream, config });
    }
}

/// A change of an answered leg made it secure; before that its `leg.answered` tells.
fn tell_secure(tx: &mut Tx, key: LegKey, secure: bool) {
    let updated = LegUpdated {
        codec: None,
        secure: Some(secure),
        gain_rx_db: None,
        gain_tx_db: None,
        on_controller_lost: None,
        max_duration_ms: None,
    };
    tx.tell_leg(key, Event::LegUpdated(updated));
}

/// Our full offer at the next version; kept for the answer to come.
pub fn make_offer(tx: &mut Tx, key: LegKey, held: bool) -> Option<Bytes> {
    let leg = tx.world.legs.get_mut(&key)?;
    let trunk = tx.setup.trunk(leg.trunk)?;
    let port = leg.media.local?.port();
    let security = leg.media.plan.security_of_offer(trunk, tx.world.make.rng());
    let origin = (leg.media.sdp_id, leg.media.sdp_version);
    let mut ours = media_plan::local_media(trunk, port, origin, held, security);
    if let Some(negotiated) = &leg.media.plan.agreed {
        ours.follow(negotiated);
    }
    if let Some(codecs) = &leg.codecs {
        media_plan::limited(&mut ours, codecs);
    }
    let body = next_version(leg, &mut ours, sdp::offer);
    leg.media.offered = Some(ours);
    Some(body)
}

/// Writes our side; its version rises where it differs from what was sent last (RFC 3264 §8).
fn next_version(leg: &mut Leg, ours: &mut LocalMedia, write: impl Fn(&LocalMedia) -> Bytes) -> Bytes {
    let same = write(ours);
    if leg.media.sent.as_ref() == Some(&same) {
        return same;
    }
    ours.version += 1;
    let body = write(ours);
    leg.media.sdp_version = ours.version;
    leg.media.sent = Some(body.clone());
    body
}

fn unanswered<'a>(tx: &'a Tx, key: LegKey) -> Result<&'a Leg, Failure> {
    let leg = tx.leg(key)?;
    match (leg.inbound(), leg.stage) {
        (_, Stage::Ended { .. }) => Err(Failure::already_ended("leg", leg.id.as_str())),
        (Some(_), Stage::Trying | Stage::Ringing) if !leg.is_taken() => Ok(leg),
        (Some(_), Stage::Trying | Stage::Ringing | Stage::Answering | Stage::Answered) => {
            Err(Failure::invalid_state("the leg is answered already"))
        }
        (None, _) => Err(Failure::invalid_state("the leg is an outbound one")),
    }
}

fn owe(tx: &mut Tx, key: LegKey, owed: Owed) -> Result<(), Failure> {
    if tx.leg(key)?.media.local.is_some() {
        return pay(tx, key, owed);
    }
    if let Some(inbound) = tx.leg_mut(key)?.inbound_mut() {
        inbound.owed = owed;
    }
    Ok(())
}

/// Sends what is owed, with our SDP in it.
fn pay(tx: &mut Tx, key: LegKey, owed: Owed) -> Result<(), Failure> {
    let session = tx.leg(key)?.session;
    match owed {
        Owed::Nothing | Owed::Goodbye => {}
        Owed::Early(status) => {
            let sdp = Some(our_body(tx, key)?);
            tx.sip(Command::Progress {
                session,
                status,
                sdp,
                headers: Vec::new(),
            });
        }
        Owed::Answer => {
            let sdp = our_body(tx, key)?;
            tx.leg_mut(key)?.stage = Stage::Answering;
            tx.sip(Command::Answer {
                session,
                sdp,
                headers: Vec::new(),
            });
        }
    }
    if let Some(inbound) = tx.leg_mut(key)?.inbound_mut() {
        inbound.owed = Owed::Nothing;
    }
    Ok(())
}

/// The answer to the peer's offer, or our own offer; the same text each time it is asked for.
fn our_body(tx: &mut Tx, key: LegKey) -> Result<Bytes, Failure> {
    let leg = tx.leg(key)?;
    let inbound = leg
        .inbound()
        .ok_or_else(|| Failure::invalid_state("the leg is an outbound one"))?;
    if let Some(sent) = &inbound.sent {
        return Ok(sent.clone());
    }
    let body = match inbound.offer.clone() {
        Some(offer) => answer_to(tx, key, &offer)?,
        None => make_offer(tx, key, false).ok_or_else(|| Failure::internal("no port for the offer"))?,
    };
    if let Some(inbound) = tx.leg_mut(key)?.inbound_mut() {
        inbound.sent = Some(body.clone());
    }
    Ok(body)
}

/// What we have to answer an offer on this leg with, and its trunk.
fn ours_for<'a>(tx: &mut Tx<'a>, key: LegKey) -> Option<(&'a Trunk, sdp::LocalMedia)> {
    let leg = tx.world.legs.get(&key)?;
    let (trunk, local) = (tx.setup.trunk(leg.trunk)?, leg.media.local?);
    let held = leg.hold.as_ref().is_some_and(|hold| hold.signalled);
    let origin = (leg.media.sdp_id, leg.media.sdp_version);
    let plan = leg.media.plan.clone();
    let security = plan.security_of_answer(trunk, tx.world.make.rng());
    let ours = media_plan::local_media(trunk, local.port(), origin, held, security);
    Some((trunk, ours))
}

/// What is wrong with an offer in mid-call, in the words of a Warning (RFC 3261 §14.2, §20.43).
pub fn warning_of(tx: &mut Tx, key: LegKey, offer: &[u8]) -> Option<ExtraHeader> {
    let (trunk, ours) = ours_for(tx, key)?;
    let (code, text) = sdp::answer(offer, &ours).err()?.warning()?;
    Some(inbound::warning(trunk, code, text))
}

/// Answers an offer and applies what follows from it.
pub fn answer_to(tx: &mut Tx, key: LegKey, offer: &[u8]) -> Result<Bytes, Failure> {
    let (trunk, mut ours) = ours_for(tx, key).ok_or_else(|| Failure::internal("no port for the answer"))?;
    let (first, negotiated) = sdp::answer(offer, &ours).map_err(|_| Failure::codec_mismatch())?;
    if !media_plan::is_allowed(trunk, &negotiated) {
        return Err(Failure::codec_mismatch());
    }
    let leg = tx.leg_mut(key)?;
    let body = next_version(leg, &mut ours, |ours| {
        sdp::answer(offer, ours).map_or_else(|_| first.clone(), |(body, _)| body)
    });
    // A refresh offers this body again, line for line.
    leg.media.offered = Some(sdp::LocalMedia {
        side_lines: negotiated.side_lines.clone(),
        ..ours
    });
    // Who called hears us before its answer; whom we called does not.
    let may_send = leg.inbound().is_some() || leg.stage == Stage::Answered;
    configure(tx, key, negotiated, may_send);
    Ok(body)
}

/// The leg cannot be answered: its peer is told so.
pub fn give_up(tx: &mut Tx, key: LegKey, why: String) {
    tx.out.log.push((true, format!("leg cannot be answered: {why}")));
    let status = Some(488);
    end_leg(
        tx,
        key,
        End {
            sip: status,
            ..End::ours(EndedBy::Fault, EndReason::Failed)
        },
    );
}
