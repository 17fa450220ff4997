//! The early dialog of an inbound INVITE: PRACKs, UPDATEs, and the offers in both.
//!
//! Must not know what is offered.

use std::time::Instant;

use bytes::Bytes;

use super::Ringing;
use crate::dialog::Confirmed;
use crate::dialog::action::{Action, refusal_for_now, response, sdp_of_request};
use crate::dialog::reliable::{Due, Exchange as OurSdp, Released};
use crate::dialog::update::{Exchange, Verdict};
use crate::endpoint::{Event, ExtraHeader};
use crate::message::{Method, Request, StatusCode};
use crate::rng::Rng;
use crate::transaction::TransactionKey;

impl Ringing {
    /// A PRACK; what waited for it goes out. The dialog is up when that was our 200.
    pub fn handle_prack(
        &mut self,
        prack: Box<Request>,
        transaction: TransactionKey,
        rng: &mut Rng,
        now: Instant,
        out: &mut Vec<Action>,
    ) -> Option<Confirmed> {
        let rack = prack.headers.rack();
        let taken = rack.and_then(|rack| self.reliable.as_mut()?.take(&rack, now));
        let Some(taken) = taken else {
            self.reply(&prack, transaction, StatusCode::CALL_DOES_NOT_EXIST, out);
            return None;
        };
        if taken.had_sdp && self.is_late_offer() {
            self.reply(&prack, transaction, StatusCode::OK, out);
            out.push(Action::Event(Event::EarlyAnswer {
                session: self.key,
                sdp: sdp_of_request(&prack),
            }));
        } else {
            self.consider(prack, transaction, rng, out);
        }
        match taken.next {
            Released::Nothing => None,
            Released::Provisional(response) => {
                out.push(Action::Respond {
                    transaction: self.transaction,
                    response,
                });
                None
            }
            Released::Answer(answer) => self.confirm_when_settled(answer, now, out),
        }
    }

    /// An UPDATE in the early dialog.
    pub fn handle_update(
        &mut self,
        update: Box<Request>,
        transaction: TransactionKey,
        rng: &mut Rng,
        out: &mut Vec<Action>,
    ) {
        self.consider(update, transaction, rng, out);
    }

    /// The owner accepts the offer of an UPDATE or PRACK; a 200 that waited for this goes out.
    pub fn accept_change(&mut self, sdp: Bytes, now: Instant, out: &mut Vec<Action>) -> Option<Confirmed> {
        self.dialog.refresh(self.peer_offer.contact());
        if self
            .peer_offer
            .settle(StatusCode::OK, &[], Some(sdp.clone()), out)
        {
            self.local_sdp = Some(sdp);
        }
        let held = self.held_answer.take()?;
        Some(self.confirm(held, now, out))
    }

    /// The owner refuses it: the session stays as it was, and a 200 that waited goes out.
    pub fn reject_change(
        &mut self,
        status: StatusCode,
        headers: &[ExtraHeader],
        now: Instant,
        out: &mut Vec<Action>,
    ) -> Option<Confirmed> {
        self.peer_offer.settle(status, headers, None, out);
        let held = self.held_answer.take()?;
        Some(self.confirm(held, now, out))
    }

    /// Repeats the response without PRACK; after 64·T1 the INVITE is refused (RFC 3262 §3).
    pub(super) fn chase_prack(&mut self, now: Instant, out: &mut Vec<Action>) {
        let Some(reliable) = &mut self.reliable else {
            return;
        };
        match reliable.take_due(now) {
            Due::Nothing => {}
            Due::Repeat(response) => out.push(Action::Respond {
                transaction: self.transaction,
                response,
            }),
            Due::GiveUp => {
                self.refuse(StatusCode::SERVER_TIMEOUT, None, &[], out);
                out.push(Action::Event(Event::PrackMissing { session: self.key }));
            }
        }
    }

    /// Answers a request that may carry an offer, or leaves it to the owner.
    fn consider(
        &mut self,
        request: Box<Request>,
        transaction: TransactionKey,
        rng: &mut Rng,
        out: &mut Vec<Action>,
    ) {
        match self.peer_offer.judge(&request, self.exchange()) {
            Verdict::Refuse(status) => {
                let response = refusal_for_now(&request, status, self.local_tag(), rng);
                out.push(Action::Respond {
                    transaction,
                    response,
                });
            }
            Verdict::Confirm => {
                if request.method == Method::Update {
                    self.dialog.refresh(request.headers.contact());
                }
                self.reply(&request, transaction, StatusCode::OK, out);
            }
            Verdict::Ask(offer) => {
                self.peer_offer.open(transaction, request.clone());
                out.push(Action::Event(Event::Reinvite {
                    session: self.key,
                    request,
                    offer: Some(offer),
                }));
            }
        }
    }

    /// The INVITE's own offer and answer. A peer that sends the next offer has our answer, even where its
    /// PRACK is late.
    fn exchange(&self) -> Exchange {
        let ours = self.reliable.as_ref().map(|reliable| reliable.exchange());
        match (ours, self.is_late_offer()) {
            (Some(OurSdp::Over), _) | (Some(OurSdp::Sent), false) => Exchange::Settled,
            (Some(OurSdp::Owed) | None, false) => Exchange::TheirsOpen,
            (Some(OurSdp::Sent | OurSdp::Owed) | None, true) => Exchange::OursOpen,
        }
    }

    fn reply(
        &self,
        request: &Request,
        transaction: TransactionKey,
        status: StatusCode,
        out: &mut Vec<Action>,
    ) {
        let response = response(request, status, self.local_tag(), &[], None);
        out.push(Action::Respond {
            transaction,
            response,
        });
    }
}
