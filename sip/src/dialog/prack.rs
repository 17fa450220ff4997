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

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::message::{Message, parse};

    #[test]
    fn only_the_next_number_is_acknowledged() {
        let mut acknowledged = Acknowledged::default();
        assert_eq!(acknowledged.take(&response("")), Arrival::Unreliable);
        assert_eq!(acknowledged.take(&response("RSeq: 5\r\n")), Arrival::Unreliable);
        for (rseq, is_next) in [
            (5, true),
            (5, false),
            (4, false),
            (7, false),
            (6, true),
            (7, true),
        ] {
            let head = format!("Require: 100rel\r\nRSeq: {rseq}\r\n");
            let arrival = acknowledged.take(&response(&head));
            match is_next {
                true => assert!(matches!(arrival, Arrival::Next(rack) if rack.rseq == rseq)),
                false => assert_eq!(arrival, Arrival::OutOfOrder, "{rseq}"),
            }
        }
    }

    #[test]
    fn the_largest_number_has_no_successor() {
        let mut acknowledged = Acknowledged(Some(u32::MAX));
        let zero = response("Require: 100rel\r\nRSeq: 0\r\n");
        assert_eq!(acknowledged.take(&zero), Arrival::OutOfOrder);
    }

    fn response(head: &str) -> Response {
        let text = format!(
            "SIP/2.0 180 Ringing\r\nVia: SIP/2.0/UDP x;branch=z9hG4bKd\r\nFrom: <sip:e@f>;tag=1\r\n\
             To: <sip:a@b>;tag=2\r\nCall-ID: i\r\nCSeq: 7 INVITE\r\n{head}Content-Length: 0\r\n\r\n"
        );
        match parse(&Bytes::from(text)).unwrap() {
            Message::Response(response) => response,
            Message::Request(_) => panic!("a request"),
        }
    }
}
