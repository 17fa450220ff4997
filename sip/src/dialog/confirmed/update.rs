//! UPDATE and PRACK of the peer in a dialog that is up (RFC 3311 §5.2, RFC 3262 §3).
//!
//! Must not know what is offered.

use std::time::Instant;

use bytes::Bytes;

use super::{Confirmed, Incoming};
use crate::dialog::action::{Action, refusal_for_now, response, sdp_of_request};
use crate::dialog::reliable::is_rack_of;
use crate::dialog::update::{Exchange, Verdict};
use crate::endpoint::Event;
use crate::message::{Request, StatusCode};
use crate::rng::Rng;
use crate::transaction::TransactionKey;

impl Confirmed {
    /// An UPDATE: it refreshes target and timer, and may carry an offer.
    pub fn handle_update(
        &mut self,
        update: Box<Request>,
        transaction: TransactionKey,
        rng: &mut Rng,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        let local_tag = self.dialog.id().local_tag();
        let response = match self.peer_offer.judge(&update, self.exchange()) {
            Verdict::Refuse(status) => refusal_for_now(&update, status, local_tag, rng),
            Verdict::Confirm => {
                let headers = self.timer.answer(&update, now);
                let response = response(&update, StatusCode::OK, local_tag, &headers, None);
                self.dialog.refresh(update.headers.contact());
                response
            }
            Verdict::Ask(offer) => {
                self.peer_offer.open(transaction, update.clone());
                return out.push(Action::Event(Event::Reinvite {
                    session: self.key,
                    request: update,
                    offer: Some(offer),
                }));
            }
        };
        out.push(Action::Respond {
            transaction,
            response,
        });
    }

    /// A PRACK that comes after our 2xx: fine for the response that had none, stray otherwise.
    pub fn handle_prack(&mut self, prack: &Request, transaction: TransactionKey, out: &mut Vec<Action>) {
        let rack = prack.headers.rack();
        let fits = |(rseq, cseq): &(u32, u32)| rack.is_some_and(|rack| is_rack_of(&rack, *rseq, *cseq));
        let status = match self.unacknowledged.take_if(|waiting| fits(waiting)) {
            // Its response had no SDP, so an offer in it stands beside the one of the INVITE.
            Some(_) if sdp_of_request(prack).is_some() => StatusCode::NOT_ACCEPTABLE_HERE,
            Some(_) => StatusCode::OK,
            None => StatusCode::CALL_DOES_NOT_EXIST,
        };
        let response = response(prack, status, self.dialog.id().local_tag(), &[], None);
        out.push(Action::Respond {
            transaction,
            response,
        });
    }

    /// The owner accepts the offer that is open.
    pub(super) fn accept_change(&mut self, sdp: Bytes, now: Instant, out: &mut Vec<Action>) {
        self.dialog.refresh(self.peer_offer.contact());
        let headers = match self.peer_offer.update() {
            Some(update) => self.timer.answer(update, now),
            None => vec![],
        };
        self.local_sdp = sdp.clone();
        self.peer_offer.settle(StatusCode::OK, &headers, Some(sdp), out);
        self.send_waiting(now, out);
    }

    /// What is open in INVITEs.
    fn exchange(&self) -> Exchange {
        let ours_is_open = self.outgoing.is_pending() || self.incoming.awaits_answer_in_ack();
        match &self.incoming {
            _ if ours_is_open => Exchange::OursOpen,
            Incoming::Undecided { request, .. } => match sdp_of_request(request) {
                Some(_) => Exchange::TheirsOpen,
                None => Exchange::OursOpen,
            },
            Incoming::Idle | Incoming::FirstAnswered { .. } | Incoming::Answered(_) => Exchange::Settled,
        }
    }
}
