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
use crate::message::{Request, Response};
use crate::rng::TOKEN_LETTERS;
use crate::transaction::TransactionKey;

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
        self.authorize_ahead(user, &flow, &mut request);
        if !request.headers.has(learnt.header) {
            return false;
        }
        answered.push(learnt.header);
        self.send_again(key, request, answered, now)
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
            | User::InDialog(
                session,
                Purpose::Reinvite
                | Purpose::Prack
                | Purpose::Refresh
                | Purpose::Info
                | Purpose::Refer
                | Purpose::Notify
                | Purpose::Bye,
            ) => match session {
                SessionKey::Out(_) => self.sessions.get_mut(session)?.account.as_mut(),
                SessionKey::In(_) => None,
            },
            User::Registration(registration) => {
                let registering = self.registrations.get_mut(&registration)?;
                Some(&mut registering.account)
            }
            User::InDialog(_, Purpose::Farewell) | User::Probe(_) | User::Nobody => None,
        }
    }
}
