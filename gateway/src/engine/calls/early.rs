//! Offers and answers before a call is answered: late offers in a reliable 18x, changes by UPDATE and PRACK
//! (RFC 3262 §5, RFC 3311).
//!
//! Knows nothing of RSeq or PRACK; the endpoint has those.

use bytes::Bytes;
use sip::message::Request;

use super::answering;
use crate::engine::keys::LegKey;
use crate::engine::leg::{Leg, Stage};
use crate::engine::tx::Tx;

/// The first reliable 18x must carry our offer where the INVITE had none.
pub fn owes_offer(leg: &Leg) -> bool {
    let inbound = leg.inbound();
    inbound.is_some_and(|inbound| inbound.offer.is_none() && inbound.is_reliable && inbound.sent.is_none())
}

/// Our offer of a late-offer call has no answer: none came by PRACK, so the ACK must bring it.
pub fn awaits_answer(leg: &Leg) -> bool {
    let is_late = leg.inbound().is_some_and(|inbound| inbound.offer.is_none());
    is_late && leg.media.plan.agreed.is_none()
}

/// The PRACK of our offer came, with the peer's answer.
pub fn answered(tx: &mut Tx, key: LegKey, answer: Option<Bytes>) {
    if !answering::take_answer(tx, key, answer.as_deref(), true) {
        answering::give_up(tx, key, "no usable answer in PRACK".into());
    }
}

/// A change of the early session comes from one fork: that is the one to be heard from now on.
pub fn note_fork(tx: &mut Tx, key: LegKey, request: &Request) {
    let Some(leg) = tx.world.legs.get_mut(&key) else {
        return;
    };
    let is_early = matches!(leg.stage, Stage::Trying | Stage::Ringing);
    if let Some(out) = leg.outbound_mut().filter(|_| is_early) {
        out.early_tag = Some(request.headers.from().tag().unwrap_or_default().to_owned());
    }
}
