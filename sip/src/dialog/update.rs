//! Offers of the peer outside an INVITE: in UPDATE (RFC 3311) and in PRACK (RFC 3262 §5).
//!
//! One rule for early and confirmed dialogs. Must not know what is offered, nor in which phase.

use bytes::Bytes;

use super::action::{Action, response, sdp_of_request};
use crate::endpoint::ExtraHeader;
use crate::message::{Method, NameAddr, Request, StatusCode};
use crate::transaction::TransactionKey;

/// Where the offers and answers of a dialog stand, PRACK and UPDATE apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exchange {
    /// None is open.
    Settled,
    /// Ours has no answer, or is still due.
    OursOpen,
    /// The peer's has none.
    TheirsOpen,
}

/// At most one offer of the peer that its owner has not answered.
#[derive(Debug, Default)]
pub(super) enum PeerOffer {
    /// None.
    #[default]
    None,
    /// This request carries it.
    Open {
        transaction: TransactionKey,
        request: Box<Request>,
    },
}

/// What becomes of such a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is told 491, or 500 with Retry-After.
    Refuse(StatusCode),
    /// It carries no offer: 200.
    Confirm,
    /// The owner decides.
    Ask(Bytes),
}

impl PeerOffer {
    /// Judges an UPDATE or PRACK (RFC 3311 §5.2).
    pub(super) fn judge(&self, request: &Request, exchange: Exchange) -> Verdict {
        match (self, sdp_of_request(request), exchange) {
            (PeerOffer::Open { .. }, _, _) => Verdict::Refuse(StatusCode::SERVER_INTERNAL_ERROR),
            (PeerOffer::None, None, _) => Verdict::Confirm,
            (PeerOffer::None, Some(_), Exchange::OursOpen) => Verdict::Refuse(StatusCode::REQUEST_PENDING),
            (PeerOffer::None, Some(_), Exchange::TheirsOpen) => {
                Verdict::Refuse(StatusCode::SERVER_INTERNAL_ERROR)
            }
            (PeerOffer::None, Some(offer), Exchange::Settled) => Verdict::Ask(offer),
        }
    }

    /// Keeps it until the owner has decided.
    pub(super) fn open(&mut self, transaction: TransactionKey, request: Box<Request>) {
        *self = PeerOffer::Open { transaction, request };
    }

    /// True while the owner has not decided.
    pub(super) fn is_open(&self) -> bool {
        matches!(self, PeerOffer::Open { .. })
    }

    /// The UPDATE that is open; a PRACK moves no target and sets no timer.
    pub(super) fn update(&self) -> Option<&Request> {
        match self {
            PeerOffer::Open { request, .. } if request.method == Method::Update => Some(request),
            PeerOffer::Open { .. } | PeerOffer::None => None,
        }
    }

    /// The tag of whoever sent it.
    pub(super) fn remote_tag(&self) -> Option<&str> {
        match self {
            PeerOffer::Open { request, .. } => Some(request.headers.from().tag().unwrap_or_default()),
            PeerOffer::None => None,
        }
    }

    /// The new target that an open UPDATE names.
    pub(super) fn contact(&self) -> Option<NameAddr> {
        self.update().and_then(|update| update.headers.contact())
    }

    /// Settles it. False: there was none.
    pub(super) fn settle(
        &mut self,
        status: StatusCode,
        headers: &[ExtraHeader],
        sdp: Option<Bytes>,
        out: &mut Vec<Action>,
    ) -> bool {
        let PeerOffer::Open { transaction, request } = std::mem::take(self) else {
            return false;
        };
        let local_tag = request.headers.to().tag().unwrap_or_default();
        let response = response(&request, status, local_tag, headers, sdp);
        out.push(Action::Respond {
            transaction,
            response,
        });
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Message, parse};

    #[test]
    fn an_offer_is_judged_by_what_is_open() {
        let (not_now, pending) = (StatusCode::SERVER_INTERNAL_ERROR, StatusCode::REQUEST_PENDING);
        let offer = Bytes::from_static(b"offer");
        for (exchange, body, expected) in [
            (Exchange::Settled, "", Verdict::Confirm),
            (Exchange::OursOpen, "", Verdict::Confirm),
            (Exchange::TheirsOpen, "", Verdict::Confirm),
            (Exchange::Settled, "offer", Verdict::Ask(offer)),
            (Exchange::OursOpen, "offer", Verdict::Refuse(pending)),
            (Exchange::TheirsOpen, "offer", Verdict::Refuse(not_now)),
        ] {
            assert_eq!(
                PeerOffer::None.judge(&update(body), exchange),
                expected,
                "{exchange:?} {body}"
            );
            let mut open = PeerOffer::None;
            open.open(TransactionKey(1), Box::new(update("first")));
            assert_eq!(open.judge(&update(body), exchange), Verdict::Refuse(not_now));
        }
    }

    #[test]
    fn it_is_settled_once() {
        let (mut open, mut out) = (PeerOffer::None, vec![]);
        open.open(TransactionKey(1), Box::new(update("offer")));
        assert!(open.settle(StatusCode::OK, &[], None, &mut out));
        assert!(!open.settle(StatusCode::OK, &[], None, &mut out) && !open.is_open());
        assert_eq!(out.len(), 1);
    }

    fn update(body: &str) -> Request {
        let text = format!(
            "UPDATE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP x;branch=z9hG4bKd\r\nFrom: <sip:e@f>;tag=1\r\n\
             To: <sip:a@b>;tag=2\r\nCall-ID: i\r\nCSeq: 7 UPDATE\r\nContent-Type: application/sdp\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        match parse(&Bytes::from(text)).unwrap() {
            Message::Request(request) => request,
            Message::Response(_) => panic!("a response"),
        }
    }
}
