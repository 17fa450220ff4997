//! Answers to digest challenges (RFC 3261 §22.2, §22.3).
//!
//! Only for sessions we began, only to the address the request went to, only for the realm its owner named,
//! and at most twice a request (docs/threats.md: B15, B16).

use std::time::Instant;

use super::Endpoint;
use super::clients::User;
use super::command::{Flow, SessionKey};
use super::config::CREDENTIAL_TRIES_MAX;
use crate::auth::{DigestClient, Login};
use crate::dialog::Purpose;
use crate::message::{CSeq, Response};
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
        let session_key = match client.user {
            User::Invite(session) => session,
            User::InDialog(session, Purpose::Reinvite | Purpose::Info | Purpose::Bye) => session,
            User::InDialog(_, Purpose::Farewell) | User::Probe(_) | User::Nobody => return false,
        };
        let (SessionKey::Out(_), true) = (session_key, source.remote.ip() == client.flow.remote.ip()) else {
            return false;
        };
        let Some(session) = self.sessions.get_mut(session_key) else {
            return false;
        };
        let Some(credentials) = &mut session.credentials else {
            return false;
        };
        let Some(mut digest) = DigestClient::from_response(response, credentials.realm.as_deref()) else {
            return false;
        };
        let header = digest.header();
        let is_refused = client.answered.contains(&header) && !digest.challenge().stale;
        if is_refused || client.answered.len() >= usize::from(CREDENTIAL_TRIES_MAX) {
            return false;
        }
        let realm = digest.challenge().realm.clone();
        let login = Login {
            username: &credentials.username,
            password: &credentials.password,
        };
        let mut request = client.request.clone();
        let cnonce = self.rng.token(TOKEN_LETTERS);
        let value = digest.authorize(login, &request.method, &request.uri, &cnonce);
        credentials.realm.get_or_insert(realm);
        let Some(number) = session.retry_cseq(request.headers.cseq().number) else {
            return false;
        };
        if request.headers.set(header, &value).is_err() {
            return false;
        }
        request.headers.set_cseq(CSeq {
            number,
            method: request.method.clone(),
        });
        let (user, flow, mut answered) = (client.user, client.flow, client.answered.clone());
        answered.push(header);
        let via = self.new_via(&flow);
        request.headers.set_top_via(via);
        let next = self.next_transaction();
        if let User::Invite(_) = user
            && let Some(session) = self.sessions.get_mut(session_key)
            && let Some(calling) = session.calling_mut()
        {
            calling.restart(next);
        }
        let started = self.start_client(user, flow, request, answered, WAIT, now);
        debug_assert_eq!(started, next);
        true
    }
}
