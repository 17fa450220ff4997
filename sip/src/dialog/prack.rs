//! Reliable provisional responses of a peer: which of them get a PRACK (RFC 3262 §4).
//!
//! One early dialog's order. Must not know what the responses carry.

use crate::endpoint::policy::REL100;
use crate::message::{RAck, Response};

/// RSeq of the last response that got its PRACK; none: the first one may have any.
#[derive(Debug, Default)]
pub(super) struct Acknowledged(Option<u32>);

/// What a provisional response is to the order of those before it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// Nobody waits for a PRACK.
    Unreliable,
    /// The next one: to be acknowledged with this.
    Next(RAck),
    /// A repeat, or one whose forerunner is missing: neither acknowledged nor heard.
    OutOfOrder,
}

impl Acknowledged {
    /// Takes a provisional response to our INVITE.
    pub(super) fn take(&mut self, response: &Response) -> Arrival {
        let rseq = response
            .headers
            .rseq()
            .filter(|_| response.headers.requires_option(REL100));
        let Some(rseq) = rseq else {
            return Arrival::Unreliable;
        };
        if self.0.is_some_and(|last| last.checked_add(1) != Some(rseq)) {
            return Arrival::OutOfOrder;
        }
        self.0 = Some(rseq);
        let cseq = response.headers.cseq().clone();
        Arrival::Next(RAck { rseq, cseq })
    }
}
