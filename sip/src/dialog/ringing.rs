//! An inbound INVITE until our final response (RFC 3261 §13.3, §9.2).
//!
//! Must not know why it is answered or refused, nor send anything itself.

mod early;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::action::{Action, response, sdp_of_request};
use super::confirmed::Next;
use super::reliable::{Answer, Exchange, Reliable};
use super::session_timer::SessionTimer;
use super::update::PeerOffer;
use super::{Confirmed, Dialog, Origin};
use crate::endpoint::policy::Policy;
use crate::endpoint::{Event, ExtraHeader, SessionKey};
use crate::message::{Request, Response, StatusCode};
use crate::rng::Rng;
use crate::transaction::TransactionKey;

/// How often a provisional response above 100 is repeated, so that no proxy gives the call up.
/// RFC 3261 §13.3.1.1.
pub const PROVISIONAL_REPEAT: Duration = Duration::from_secs(60);

/// The peer's INVITE and the early dialog it made.
#[derive(Debug)]
pub struct Ringing {
    key: SessionKey,
    transaction: TransactionKey,
    invite: Arc<Request>,
    dialog: Dialog,
    policy: Policy,
    state: State,
    /// Set where provisional responses go out reliably.
    reliable: Option<Reliable>,
    peer_offer: PeerOffer,
    /// The 200, while the owner has an offer of the peer to decide first.
    held_answer: Option<Answer>,
    /// Headers of the BYE that follows a 200 that waits: the owner has answered, and hung up since.
    goodbye: Option<Vec<ExtraHeader>>,
    /// Our SDP as the peer has it: of a provisional response, or of our answer to an UPDATE or PRACK.
    local_sdp: Option<Bytes>,
}

#[derive(Debug)]
enum State {
    /// Only 100 was sent, by the transaction.
    Trying,
    /// The last provisional response and when it is sent again.
    Progressing {
        response: Box<Response>,
        repeat_at: Instant,
    },
}

impl Ringing {
    /// An INVITE came; our tag is given.
    pub fn new(
        key: SessionKey,
        transaction: TransactionKey,
        invite: Arc<Request>,
        local_tag: &str,
        policy: Policy,
        rng: &mut Rng,
    ) -> Self {
        let dialog = Dialog::of_callee(&invite, local_tag);
        let cseq = invite.headers.cseq().number;
        let is_reliable = policy.is_reliable(&invite.headers);
        Ringing {
            key,
            transaction,
            invite,
            dialog,
            policy,
            state: State::Trying,
            reliable: is_reliable.then(|| Reliable::new(cseq, rng)),
            peer_offer: PeerOffer::None,
            held_answer: None,
            goodbye: None,
            local_sdp: None,
        }
    }

    /// Sends a provisional response.
    pub fn progress(
        &mut self,
        status: StatusCode,
        sdp: Option<Bytes>,
        headers: &[ExtraHeader],
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        if self.local_sdp.is_none() {
            self.local_sdp.clone_from(&sdp);
        }
        let response = self.response(status, headers, sdp);
        self.send(response.clone(), now, out);
        self.state = State::Progressing {
            response,
            repeat_at: now + PROVISIONAL_REPEAT,
        };
    }

    /// Sends 200; the dialog is up and waits for ACK. None: the 200 itself waits, for a PRACK
    /// (RFC 3262 §3) or for the owner to decide what the peer has offered since.
    pub fn answer(
        &mut self,
        sdp: Bytes,
        headers: Vec<ExtraHeader>,
        now: Instant,
        out: &mut Vec<Action>,
    ) -> Option<Confirmed> {
        let answer = Answer { sdp, headers };
        let answer = match &mut self.reliable {
            Some(reliable) => reliable.answer(answer)?,
            None => answer,
        };
        self.confirm_when_settled(answer, now, out)
    }

    /// Refuses it. The session closes: nothing more can happen to it but repeats.
    pub fn reject(
        &mut self,
        status: StatusCode,
        reason: Option<String>,
        headers: &[ExtraHeader],
        out: &mut Vec<Action>,
    ) {
        self.refuse(status, reason, headers, out);
        out.push(Action::Event(Event::ByeDone { session: self.key }));
    }

    /// The owner hangs up: refused, or, where it has answered and the 200 waits, ended by BYE after that
    /// (RFC 3261 §15: no BYE before the ACK).
    pub fn bye(&mut self, headers: Vec<ExtraHeader>, out: &mut Vec<Action>) {
        let waits = self.reliable.as_ref().is_some_and(Reliable::holds_answer);
        if waits || self.held_answer.is_some() {
            self.goodbye.get_or_insert(headers);
            return;
        }
        self.reject(StatusCode::TEMPORARILY_UNAVAILABLE, None, &headers, out);
    }

    /// CANCEL of the peer; its own 200 is sent by the endpoint.
    pub fn handle_cancel(&mut self, cancel: Box<Request>, out: &mut Vec<Action>) {
        self.refuse(StatusCode::REQUEST_TERMINATED, None, &[], out);
        out.push(Action::Event(Event::PeerCancelled {
            session: self.key,
            request: cancel,
        }));
    }

    /// BYE in the early dialog; the INVITE is still owed its answer (RFC 3261 §15.1.2).
    pub fn handle_bye(&mut self, bye: Box<Request>, transaction: TransactionKey, out: &mut Vec<Action>) {
        let response = response(&bye, StatusCode::OK, self.local_tag(), &[], None);
        out.push(Action::Respond {
            transaction,
            response,
        });
        self.refuse(StatusCode::REQUEST_TERMINATED, None, &[], out);
        out.push(Action::Event(Event::Bye {
            session: self.key,
            request: bye,
        }));
    }

    /// Repeats the provisional response when that is due.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut Vec<Action>) {
        self.chase_prack(now, out);
        let State::Progressing { response, repeat_at } = &mut self.state else {
            return;
        };
        if now >= *repeat_at {
            *repeat_at = now + PROVISIONAL_REPEAT;
            let again = response.clone();
            self.send(again, now, out);
        }
    }

    /// When `handle_timeout` has work.
    pub fn next_deadline(&self) -> Option<Instant> {
        let repeat_at = match self.state {
            State::Trying => None,
            State::Progressing { repeat_at, .. } => Some(repeat_at),
        };
        let prack = self.reliable.as_ref().and_then(Reliable::deadline);
        [repeat_at, prack].into_iter().flatten().min()
    }

    /// Its dialog.
    pub fn dialog(&self) -> &Dialog {
        &self.dialog
    }

    /// Its dialog.
    pub fn dialog_mut(&mut self) -> &mut Dialog {
        &mut self.dialog
    }

    /// Sends a provisional response, in its turn where it is a reliable one.
    fn send(&mut self, response: Box<Response>, now: Instant, out: &mut Vec<Action>) {
        let response = match &mut self.reliable {
            Some(reliable) => reliable.send(response, now),
            None => Some(response),
        };
        let transaction = self.transaction;
        out.extend(response.map(|response| Action::Respond {
            transaction,
            response,
        }));
    }

    fn confirm_when_settled(
        &mut self,
        answer: Answer,
        now: Instant,
        out: &mut Vec<Action>,
    ) -> Option<Confirmed> {
        if self.peer_offer.is_open() {
            self.held_answer.get_or_insert(answer);
            return None;
        }
        Some(self.confirm(answer, now, out))
    }

    fn confirm(&mut self, answer: Answer, now: Instant, out: &mut Vec<Action>) -> Confirmed {
        let (timer, timer_headers) = SessionTimer::of_callee(self.policy.timer, &self.invite, now);
        let is_settled = self
            .reliable
            .as_ref()
            .is_some_and(|reliable| reliable.exchange() == Exchange::Over);
        let headers = [answer.headers, timer_headers].concat();
        let local_sdp = self.local_sdp.take().filter(|_| is_settled);
        let sdp = (!is_settled).then(|| answer.sdp.clone());
        let response = self.response(StatusCode::OK, &headers, sdp);
        out.push(Action::Respond {
            transaction: self.transaction,
            response,
        });
        let is_late_offer = self.is_late_offer() && !is_settled;
        let cseq = self.invite.headers.cseq().number;
        let local_sdp = local_sdp.unwrap_or(answer.sdp);
        let mut confirmed = Confirmed::new(self.key, self.dialog.clone(), Origin::Peer, timer, local_sdp);
        confirmed.await_ack(self.transaction, cseq, is_late_offer, now);
        let unacknowledged = self.reliable.as_ref().and_then(Reliable::unacknowledged);
        confirmed.continue_early(PeerOffer::None, unacknowledged.map(|rseq| (rseq, cseq)));
        if let Some(headers) = self.goodbye.take() {
            let next = confirmed.bye(headers, out);
            debug_assert!(matches!(next, Next::Stay), "it waits for the ACK");
        }
        confirmed
    }

    fn refuse(
        &mut self,
        status: StatusCode,
        reason: Option<String>,
        headers: &[ExtraHeader],
        out: &mut Vec<Action>,
    ) {
        self.peer_offer
            .settle(StatusCode::REQUEST_TERMINATED, &[], None, out);
        let mut response = self.response(status, headers, None);
        if let Some(reason) = reason {
            response.reason = reason;
        }
        out.push(Action::Respond {
            transaction: self.transaction,
            response,
        });
    }

    fn response(&self, status: StatusCode, headers: &[ExtraHeader], sdp: Option<Bytes>) -> Box<Response> {
        response(&self.invite, status, self.local_tag(), headers, sdp)
    }

    fn local_tag(&self) -> &str {
        self.dialog.id().local_tag()
    }

    fn is_late_offer(&self) -> bool {
        sdp_of_request(&self.invite).is_none()
    }
}
