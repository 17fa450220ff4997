//! A request that goes out again with something added: the next number, a new branch, the same place.
//!
//! Must not know what was added but the session interval that a 422 asks for.

use std::time::Instant;

use super::Endpoint;
use super::clients::User;
use crate::dialog::invite_headers;
use crate::message::{CSeq, Request, Response, StatusCode};
use crate::transaction::TransactionKey;
use crate::transaction::timing::WAIT;

impl Endpoint {
    /// Sends the request of a client transaction again, as it is now; false when nobody wants its answer
    /// any more. `answered` names the headers that carry credentials.
    pub(super) fn send_again(
        &mut self,
        key: TransactionKey,
        mut request: Request,
        answered: Vec<&'static str>,
        now: Instant,
    ) -> bool {
        let Some(client) = self.clients.get_mut(key) else {
            return false;
        };
        let (user, flow) = (client.user, client.flow);
        let Some(number) = self.next_number(user, &request) else {
            return false;
        };
        request.headers.set_cseq(CSeq {
            number,
            method: request.method.clone(),
        });
        let via = self.new_via(&flow);
        request.headers.set_top_via(via);
        let next = self.next_transaction();
        self.follow_again(user, next, now);
        let started = self.start_client(user, flow, request, answered, WAIT, now);
        debug_assert_eq!(started, next);
        true
    }

    /// The number of the request as it goes out again; none: its answer is not wanted any more.
    fn next_number(&mut self, user: User, request: &Request) -> Option<u32> {
        match user {
            User::Invite(session) | User::InDialog(session, _) => {
                self.sessions.get_mut(session)?.retry_cseq(request)
            }
            User::Registration(registration) => Some(self.registrations.get_mut(&registration)?.next_cseq()),
            User::Probe(_) | User::Nobody => None,
        }
    }

    /// Whoever waits for the answer waits for that of the new request.
    pub(super) fn follow_again(&mut self, user: User, next: TransactionKey, now: Instant) {
        match user {
            User::Invite(session) => self.with_session(session, now, |session, _, out| {
                if let Some(calling) = session.calling_mut() {
                    calling.restart(next, out);
                }
            }),
            User::Registration(registration) => self.follow_registration(registration, next),
            User::InDialog(_, _) | User::Probe(_) | User::Nobody => {}
        }
    }

    /// Sends a first INVITE again with the session interval that a 422 asks for (RFC 4028 §7.3); false when
    /// the refusal stands.
    pub(super) fn retry_with_interval(
        &mut self,
        key: TransactionKey,
        response: &Response,
        now: Instant,
    ) -> bool {
        let wanted = response
            .headers
            .min_se()
            .filter(|_| response.status == StatusCode::SESSION_INTERVAL_TOO_SMALL);
        let (Some(min_s), Some(client)) = (wanted, self.clients.get_mut(key)) else {
            return false;
        };
        let User::Invite(session) = client.user else {
            return false;
        };
        let (mut request, answered) = (client.request.clone(), client.answered.clone());
        let Some(session) = self.sessions.get_mut(session) else {
            return false;
        };
        if !session.raise_interval(min_s) {
            return false;
        }
        for header in invite_headers(&session.policy.timer) {
            if request.headers.set(&header.name, &header.value).is_err() {
                return false;
            }
        }
        self.send_again(key, request, answered, now)
    }
}
