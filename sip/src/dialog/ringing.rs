//! An inbound INVITE until our final response (RFC 3261 §13.3, §9.2).
//!
//! Must not know why it is answered or refused, nor send anything itself.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::action::{Action, response, sdp_of_request};
use super::{Confirmed, Dialog};
use crate::endpoint::{Event, ExtraHeader, SessionKey};
use crate::message::{Request, Response, StatusCode};
use crate::transaction::TransactionKey;

/// How often a provisional response above 100 is repeated, so that no proxy gives the call up.
/// RFC 3261 §13.3.1.1.
pub const PROVISIONAL_REPEAT: Duration = Duration::from_secs(60);

/// The peer's INVITE and the early dialog it made.
#[derive(Debug)]
pub struct Ringing {
    key: SessionKey,
    transaction: TransactionKey,
    invite: Box<Request>,
    dialog: Dialog,
    state: State,
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
    pub fn new(key: SessionKey, transaction: TransactionKey, invite: Box<Request>, local_tag: &str) -> Self {
        let dialog = Dialog::of_callee(&invite, local_tag);
        Ringing {
            key,
            transaction,
            invite,
            dialog,
            state: State::Trying,
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
        let response = self.response(status, headers, sdp);
        out.push(Action::Respond {
            transaction: self.transaction,
            response: response.clone(),
        });
        self.state = State::Progressing {
            response,
            repeat_at: now + PROVISIONAL_REPEAT,
        };
    }

    /// Sends 200; the dialog is up and waits for ACK.
    pub fn answer(
        &self,
        sdp: Bytes,
        headers: &[ExtraHeader],
        now: Instant,
        out: &mut Vec<Action>,
    ) -> Confirmed {
        let response = self.response(StatusCode::OK, headers, Some(sdp));
        out.push(Action::Respond {
            transaction: self.transaction,
            response,
        });
        let is_late_offer = sdp_of_request(&self.invite).is_none();
        let cseq = self.invite.headers.cseq().number;
        Confirmed::awaiting_ack(
            self.key,
            self.dialog.clone(),
            self.transaction,
            cseq,
            is_late_offer,
            now,
        )
    }

    /// Refuses it. The session closes: nothing more can happen to it but repeats.
    pub fn reject(
        &self,
        status: StatusCode,
        reason: Option<String>,
        headers: &[ExtraHeader],
        out: &mut Vec<Action>,
    ) {
        self.refuse(status, reason, headers, out);
        out.push(Action::Event(Event::ByeDone { session: self.key }));
    }

    /// CANCEL of the peer; its own 200 is sent by the endpoint.
    pub fn handle_cancel(&self, cancel: Box<Request>, out: &mut Vec<Action>) {
        self.refuse(StatusCode::REQUEST_TERMINATED, None, &[], out);
        out.push(Action::Event(Event::PeerCancelled {
            session: self.key,
            request: cancel,
        }));
    }

    /// BYE in the early dialog; the INVITE is still owed its answer (RFC 3261 §15.1.2).
    pub fn handle_bye(&self, bye: Box<Request>, transaction: TransactionKey, out: &mut Vec<Action>) {
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
        let State::Progressing { response, repeat_at } = &mut self.state else {
            return;
        };
        if now >= *repeat_at {
            *repeat_at = now + PROVISIONAL_REPEAT;
            out.push(Action::Respond {
                transaction: self.transaction,
                response: response.clone(),
            });
        }
    }

    /// When `handle_timeout` has work.
    pub fn next_deadline(&self) -> Option<Instant> {
        match self.state {
            State::Trying => None,
            State::Progressing { repeat_at, .. } => Some(repeat_at),
        }
    }

    /// Its dialog.
    pub fn dialog(&self) -> &Dialog {
        &self.dialog
    }

    /// Its dialog.
    pub fn dialog_mut(&mut self) -> &mut Dialog {
        &mut self.dialog
    }

    fn refuse(
        &self,
        status: StatusCode,
        reason: Option<String>,
        headers: &[ExtraHeader],
        out: &mut Vec<Action>,
    ) {
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
}
