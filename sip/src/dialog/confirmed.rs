//! A session whose dialog is up: its re-INVITEs, INFOs and its end (RFC 3261 §14, §15).
//!
//! ```text
//!  incoming   Idle ──INVITE──► Undecided ──2xx──► AwaitingAck ──ACK──► Idle
//!  outgoing   Idle ──offer──► Waiting ──free──► Pending ──final──► Idle
//!                               ▲────────491────────┘
//! ```
//! One INVITE at a time in either direction: the other side's is told 491 or 500, our own waits. Beside it
//! the peer may have one UPDATE or PRACK with an offer open. Must not know calls or what the bodies mean.

mod incoming;
mod outgoing;
mod refresh;
mod update;

use std::time::Instant;

use bytes::Bytes;

use incoming::Incoming;
use outgoing::{Offer, Outgoing};

use super::action::{Action, Failure, Purpose, refusal_for_now, response, sdp_of_request, sdp_of_response};
use super::session_timer::SessionTimer;
use super::update::PeerOffer;
use super::{Dialog, Ending, Origin};
use crate::endpoint::{Event, ExtraHeader, SessionKey};
use crate::message::{Method, Request, Response, StatusCode};
use crate::rng::Rng;
use crate::transaction::TransactionKey;

/// The dialog of an answered call and at most one INVITE each way.
#[derive(Debug)]
pub struct Confirmed {
    key: SessionKey,
    dialog: Dialog,
    origin: Origin,
    incoming: Incoming,
    outgoing: Outgoing,
    peer_offer: PeerOffer,
    /// RSeq and CSeq of a provisional response whose PRACK may still come (RFC 3262 §3).
    unacknowledged: Option<(u32, u32)>,
    timer: SessionTimer,
    /// Our SDP as the peer has it: a refresh by re-INVITE offers it again.
    local_sdp: Bytes,
}

/// Where the session stands after an input.
#[must_use]
#[derive(Debug)]
pub enum Next {
    /// As it was, or closed by an event.
    Stay,
    /// BYE was sent.
    End(Box<Ending>),
}

impl Confirmed {
    /// A dialog that is up: of the caller's side once ACK is sent; the callee's must await it.
    pub fn new(
        key: SessionKey,
        dialog: Dialog,
        origin: Origin,
        timer: SessionTimer,
        local_sdp: Bytes,
    ) -> Self {
        Confirmed {
            key,
            dialog,
            origin,
            incoming: Incoming::Idle,
            outgoing: Outgoing::Idle,
            peer_offer: PeerOffer::None,
            unacknowledged: None,
            timer,
            local_sdp,
        }
    }

    /// The callee's side: our 2xx is sent and repeated until ACK.
    pub(super) fn await_ack(
        &mut self,
        transaction: TransactionKey,
        cseq: u32,
        is_late_offer: bool,
        now: Instant,
    ) {
        self.incoming = Incoming::first_answered(transaction, cseq, is_late_offer, now);
    }

    /// Takes over what is open in the early dialog.
    pub(super) fn continue_early(&mut self, peer_offer: PeerOffer, unacknowledged: Option<(u32, u32)>) {
        self.peer_offer = peer_offer;
        self.unacknowledged = unacknowledged;
    }

    /// Offers a change. It goes out once no INVITE is under way.
    pub fn reinvite(&mut self, sdp: Bytes, now: Instant, out: &mut Vec<Action>) {
        let intent = outgoing::Intent::Change;
        self.outgoing.want(Offer { sdp, intent }, now);
        self.send_waiting(now, out);
    }

    /// Accepts the peer's re-INVITE, or the offer of its UPDATE or PRACK.
    pub fn accept_reinvite(&mut self, sdp: Bytes, now: Instant, out: &mut Vec<Action>) {
        if self.peer_offer.is_open() {
            return self.accept_change(sdp, now, out);
        }
        let Incoming::Undecided { transaction, request } = &self.incoming else {
            return;
        };
        let transaction = *transaction;
        self.dialog.refresh(request.headers.contact());
        let headers = self.timer.answer(request, now);
        self.local_sdp = sdp.clone();
        let response = response(
            request,
            StatusCode::OK,
            self.dialog.id().local_tag(),
            &headers,
            Some(sdp),
        );
        out.push(Action::Respond {
            transaction,
            response,
        });
        let is_late_offer = sdp_of_request(request).is_none();
        let cseq = request.headers.cseq().number;
        self.incoming = Incoming::answered(transaction, cseq, is_late_offer, now);
    }

    /// Refuses it; the session stays as it was.
    pub fn reject_reinvite(
        &mut self,
        status: StatusCode,
        headers: &[ExtraHeader],
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        if !self.peer_offer.settle(status, headers, None, out) {
            self.settle_incoming(status, headers, out);
        }
        self.send_waiting(now, out);
    }

    /// Sends INFO.
    pub fn info(&mut self, content_type: &str, body: Bytes, out: &mut Vec<Action>) {
        let draft = Box::new(self.dialog.request(Method::Info).with_body(content_type, body));
        out.push(Action::Request {
            purpose: Purpose::Info,
            draft,
        });
    }

    /// Our INFO was taken.
    pub fn handle_info_answer(&mut self, status: StatusCode, out: &mut Vec<Action>) {
        out.push(Action::Event(Event::InfoAnswered {
            session: self.key,
            status: status.code(),
        }));
    }

    /// It was not; where that ends the dialog, only this is told.
    pub fn handle_info_failure(&mut self, status: StatusCode, out: &mut Vec<Action>) {
        if !self.handle_request_failure(status, out) {
            self.handle_info_answer(status, out);
        }
    }

    /// Ends it with BYE; before the first ACK the BYE waits (RFC 3261 §15).
    pub fn bye(&mut self, headers: Vec<ExtraHeader>, out: &mut Vec<Action>) -> Next {
        if self.incoming.defer_bye(&headers) {
            return Next::Stay;
        }
        self.end(headers, out)
    }

    /// A re-INVITE of the peer.
    pub fn handle_invite(
        &mut self,
        request: Box<Request>,
        transaction: TransactionKey,
        rng: &mut Rng,
        out: &mut Vec<Action>,
    ) {
        let glare = self.outgoing.is_pending() || self.incoming.awaits_answer_in_ack();
        let is_busy = self.incoming.is_undecided() || self.peer_offer.is_open();
        if glare || is_busy || self.incoming.has_deferred_bye() {
            let status = match glare {
                true => StatusCode::REQUEST_PENDING,
                false => StatusCode::SERVER_INTERNAL_ERROR,
            };
            let response = refusal_for_now(&request, status, self.dialog.id().local_tag(), rng);
            out.push(Action::Respond {
                transaction,
                response,
            });
            return;
        }
        let session = self.key;
        if self.incoming.is_awaiting_ack() {
            // A peer that sends its next INVITE has our 2xx: only its ACK was lost (RFC 5407 §3.1.4).
            out.push(Action::Event(Event::Acknowledged { session, sdp: None }));
        }
        let (copy, offer) = (request.clone(), sdp_of_request(&request));
        self.incoming = Incoming::Undecided { transaction, request };
        out.push(Action::Event(Event::Reinvite {
            session,
            request: copy,
            offer,
        }));
    }

    /// CANCEL of the peer's re-INVITE; its own 200 is sent by the endpoint. The session goes on.
    pub fn handle_cancel(&mut self, cancelled: TransactionKey, now: Instant, out: &mut Vec<Action>) {
        if self.incoming.is_undecided_in(cancelled) {
            self.settle_incoming(StatusCode::REQUEST_TERMINATED, &[], out);
            self.send_waiting(now, out);
        }
    }

    /// ACK of our 2xx.
    pub fn handle_ack(&mut self, ack: &Request, now: Instant, out: &mut Vec<Action>) -> Next {
        let Some(taken) = self.incoming.take_ack(ack.headers.cseq().number) else {
            return Next::Stay;
        };
        let sdp = sdp_of_request(ack).filter(|_| taken.is_late_offer);
        out.push(Action::Event(Event::Acknowledged {
            session: self.key,
            sdp,
        }));
        match taken.deferred_bye {
            Some(headers) => self.end(headers, out),
            None => {
                self.send_waiting(now, out);
                Next::Stay
            }
        }
    }

    /// BYE of the peer.
    pub fn handle_bye(&mut self, bye: Box<Request>, transaction: TransactionKey, out: &mut Vec<Action>) {
        let response = response(&bye, StatusCode::OK, self.dialog.id().local_tag(), &[], None);
        out.push(Action::Respond {
            transaction,
            response,
        });
        self.settle_peer(StatusCode::REQUEST_TERMINATED, out);
        out.push(Action::Event(Event::Bye {
            session: self.key,
            request: bye,
        }));
    }

    /// The first 2xx to our re-INVITE.
    pub fn handle_reinvite_success(
        &mut self,
        reinvite: &Request,
        transaction: TransactionKey,
        response: &Response,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        self.dialog.refresh(response.headers.contact());
        let draft = Box::new(self.dialog.ack(reinvite));
        let remote_tag = response.headers.to().tag().unwrap_or_default().to_owned();
        out.push(Action::Ack {
            transaction,
            remote_tag,
            draft,
        });
        self.timer.take_answer(response, now);
        let (session, sdp) = (self.key, sdp_of_response(response));
        if let Some(offer) = self.outgoing.settle(now) {
            self.local_sdp = offer.sdp;
            out.push(Action::Event(match offer.intent {
                outgoing::Intent::Change => Event::ReinviteAccepted { session, sdp },
                outgoing::Intent::Refresh => Event::Refreshed { session, sdp },
            }));
        }
        self.send_waiting(now, out);
    }

    /// A failure of our re-INVITE.
    pub fn handle_reinvite_failure(
        &mut self,
        failure: Failure,
        rng: &mut Rng,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        if self.offers_again(failure, rng, now) {
            return self.send_waiting(now, out);
        }
        let offer = self.outgoing.settle(now);
        if offer.is_some_and(|offer| offer.intent == outgoing::Intent::Change) {
            out.push(Action::Event(Event::ReinviteRefused {
                session: self.key,
                status: failure.status.code(),
            }));
        }
        if !self.handle_refresh_failure(failure, rng, now, out) {
            self.handle_request_failure(failure.status, out);
        }
        self.send_waiting(now, out);
    }

    /// A request of ours inside the dialog failed: 481 and 408 end it (RFC 3261 §12.2.1.2, RFC 5057). True: it
    /// is over.
    pub fn handle_request_failure(&mut self, status: StatusCode, out: &mut Vec<Action>) -> bool {
        match status {
            StatusCode::CALL_DOES_NOT_EXIST => {}
            StatusCode::REQUEST_TIMEOUT => self.farewell(out),
            _ => return false,
        }
        self.settle_peer(StatusCode::CALL_DOES_NOT_EXIST, out);
        self.outgoing = Outgoing::Idle;
        self.timer.stop();
        out.push(Action::Event(Event::Lost { session: self.key }));
        true
    }

    /// Repeats our 2xx, gives up the wait for its ACK, tries our re-INVITE again.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut Vec<Action>) -> Next {
        if let Some(given_up) = self.incoming.take_missing_ack(now) {
            if let Some(headers) = given_up.deferred_bye {
                return self.end(headers, out);
            }
            self.settle_peer(StatusCode::REQUEST_TERMINATED, out);
            self.farewell(out);
            self.outgoing = Outgoing::Idle;
            self.timer.stop();
            out.push(Action::Event(Event::AckMissing { session: self.key }));
            return Next::Stay;
        }
        if let Some(transaction) = self.incoming.take_due_repeat(now) {
            out.push(Action::RepeatSuccess { transaction });
        }
        self.keep_time(now, out);
        self.send_waiting(now, out);
        Next::Stay
    }

    /// When `handle_timeout` has work.
    pub fn next_deadline(&self) -> Option<Instant> {
        let retry = self.outgoing.deadline().filter(|_| self.is_free());
        let all = [self.incoming.deadline(), retry, self.timer.deadline()];
        all.into_iter().flatten().min()
    }

    /// Its dialog.
    pub fn dialog(&self) -> &Dialog {
        &self.dialog
    }

    /// Its dialog.
    pub fn dialog_mut(&mut self) -> &mut Dialog {
        &mut self.dialog
    }

    /// Sends the re-INVITE that waits, when neither side has one under way and its time has come.
    fn send_waiting(&mut self, now: Instant, out: &mut Vec<Action>) {
        if !self.is_free() {
            return;
        }
        let Some(sdp) = self.outgoing.start(now) else {
            return;
        };
        let draft = Box::new(
            self.dialog
                .request(Method::Invite)
                .with_headers(self.timer.request_headers())
                .with_body(super::action::SDP, sdp),
        );
        out.push(Action::Request {
            purpose: Purpose::Reinvite,
            draft,
        });
    }

    /// True while the peer has nothing open that an offer of ours would meet.
    fn is_free(&self) -> bool {
        self.incoming.is_idle() && !self.peer_offer.is_open()
    }

    /// Answers whatever of the peer its owner has not decided.
    fn settle_peer(&mut self, status: StatusCode, out: &mut Vec<Action>) {
        self.peer_offer.settle(status, &[], None, out);
        self.settle_incoming(status, &[], out);
    }

    /// Answers a re-INVITE of the peer that its owner has not decided.
    fn settle_incoming(&mut self, status: StatusCode, headers: &[ExtraHeader], out: &mut Vec<Action>) {
        let Incoming::Undecided { transaction, request } = &self.incoming else {
            return;
        };
        let response = response(request, status, self.dialog.id().local_tag(), headers, None);
        out.push(Action::Respond {
            transaction: *transaction,
            response,
        });
        self.incoming = Incoming::Idle;
    }

    fn end(&mut self, headers: Vec<ExtraHeader>, out: &mut Vec<Action>) -> Next {
        self.settle_peer(StatusCode::REQUEST_TERMINATED, out);
        Next::End(Box::new(Ending::start(
            self.key,
            self.dialog.clone(),
            headers,
            out,
        )))
    }

    fn farewell(&mut self, out: &mut Vec<Action>) {
        let draft = Box::new(self.dialog.request(Method::Bye));
        out.push(Action::Request {
            purpose: Purpose::Farewell,
            draft,
        });
    }
}
