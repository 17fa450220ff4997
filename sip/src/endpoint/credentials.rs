//! Answers to digest challenges (RFC 3261 §22.2, §22.3).
//!
//! Only for what we began, only to the address the request went to, only for the realm its owner named, and
//! at most twice a request (docs/threats.md: B15, B16).

use std::time::Instant;

use super::Endpoint;
use super::clients::User;
use super::command::{Flow, SessionKey};
use super::config::CREDENTIAL_TRIES_MAX;
use crate::auth::Account;
use crate::dialog::Purpose;
use crate::message::{CSeq, Request, Response};
use crate::rng::TOKEN_LETTERS;
use crate::transaction::TransactionKey;
use crate::transaction::timing::WAIT;

impl Endpoint {
    /// Sends a challenged request again with credentials; false when the challenge stands as a failure.
    pub(super) fn retry_with_credentials(
        &mut self,
        key: TransactionKey,
        response: &Response,
        source: Flow,
        now: Instant,
    ) -> bool {
        let Some(client) = self.clients.get_mut(key) else {
            return false;
        };
        let (user, flow) = (client.user, client.flow);
        let (mut answered, mut request) = (client.answered.clone(), client.request.clone());
        if source.remote.ip() != flow.remote.ip() || answered.len() >= usize::from(CREDENTIAL_TRIES_MAX) {
            return false;
        }
        let learnt = self
            .account(user)
            .and_then(|account| account.learn(response, source.remote.ip()));
        let Some(learnt) = learnt else {
            return false;
        };
        if answered.contains(&learnt.header) && !learnt.stale {
            return false;
        }
        let Some(number) = self.retry_cseq(user, request.headers.cseq().number) else {
            return false;
        };
        request.headers.set_cseq(CSeq {
            number,
            method: request.method.clone(),
        });
        self.authorize_ahead(user, &flow, &mut request);
        if !request.headers.has(learnt.header) {
            return false;
        }
        answered.push(learnt.header);
        let via = self.new_via(&flow);
        request.headers.set_top_via(via);
        let next = self.next_transaction();
        self.follow_retry(user, next);
        let started = self.start_client(user, flow, request, answered, WAIT, now);
        debug_assert_eq!(started, next);
        true
    }

    /// Puts in what is known to be asked for there, so that a request need not be refused first.
    pub(super) fn authorize_ahead(&mut self, user: User, flow: &Flow, request: &mut Request) {
        let cnonce = self.rng.token(TOKEN_LETTERS);
        let Some(account) = self.account(user) else {
            return;
        };
        let values = account.authorize(&request.method, &request.uri, flow.remote.ip(), &cnonce);
        for (header, value) in values {
            let set = request.headers.set(header, &value);
            debug_assert!(set.is_ok(), "{header}");
        }
    }

    /// What answers challenges to requests of this user; none for what the peer began.
    fn account(&mut self, user: User) -> Option<&mut Account> {
        match user {
            User::Invite(session)
            | User::InDialog(session, Purpose::Reinvite | Purpose::Info | Purpose::Bye) => match session {
                SessionKey::Out(_) => self.sessions.get_mut(session)?.account.as_mut(),
                SessionKey::In(_) => None,
            },
            User::Registration(registration) => {
                let registering = self.registrations.get_mut(&registration)?;
                Some(&mut registering.account)
            }
            User::InDialog(_, Purpose::Farewell) | User::Nobody => None,
        }
    }

    fn retry_cseq(&mut self, user: User, last: u32) -> Option<u32> {
        match user {
            User::Invite(session) | User::InDialog(session, _) => {
                self.sessions.get_mut(session)?.retry_cseq(last)
            }
            User::Registration(registration) => Some(self.registrations.get_mut(&registration)?.next_cseq()),
            User::Nobody => None,
        }
    }

    /// Whoever waits for the answer waits for that of the new request.
    fn follow_retry(&mut self, user: User, next: TransactionKey) {
        match user {
            User::Invite(session) => {
                let session = self.sessions.get_mut(session);
                if let Some(calling) = session.and_then(|session| session.calling_mut()) {
                    calling.restart(next);
                }
            }
            User::Registration(registration) => self.follow_registration(registration, next),
            User::InDialog(_, _) | User::Nobody => {}
        }
    }
}
