//! Who may send a request outside dialogs: asked by digest where its source's domain wants that
//! (RFC 3261 §22.2, docs/threats.md: B9, B17, B23).
//!
//! One rule for all methods, before anything else of the request is looked at. Must not know what the
//! request wants.

use std::sync::Arc;
use std::time::Instant;

use super::Endpoint;
use super::command::Flow;
use crate::auth::{Asked, AuthHeaders, Users, Verdict, Why};
use crate::message::{Method, Request, Response, StatusCode};
use crate::rng::TOKEN_LETTERS;
use crate::transaction::TransactionKey;

/// Who sent a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    /// Nobody asked.
    Anyone,
    /// An authenticated user.
    User(String),
}

impl Endpoint {
    /// Who sent a request; `None` when that is not proven: it is answered already.
    pub(super) fn admit(
        &mut self,
        flow: Flow,
        key: TransactionKey,
        request: &Request,
        now: Instant,
    ) -> Option<Sender> {
        let Some(users) = self.users_for(flow, &request.method) else {
            return Some(Sender::Anyone);
        };
        let asked = Asked {
            method: &request.method,
            uri: &request.uri,
            source: flow.remote.ip(),
        };
        let values = request.headers.get_all(AuthHeaders::Server.answer());
        match self.digest.judge(&users, asked, values, now) {
            Verdict::Granted(user) => return Some(Sender::User(user)),
            Verdict::Ask(why) => {
                if why == Why::Wrong {
                    self.drop_message(flow.remote, "credentials_wrong");
                }
                self.ask(flow, key, request, &users, why, now);
            }
            Verdict::Blocked => {
                self.drop_message(flow.remote, "credentials_guessed");
                self.respond_simply(key, request, StatusCode::FORBIDDEN, None, now);
            }
        }
        None
    }

    /// Whose request it must be.
    fn users_for(&self, flow: Flow, method: &Method) -> Option<Arc<Users>> {
        let domain = self.domains.of(flow)?;
        match (method, &domain.registrar) {
            (Method::Register, Some(registrar)) => Some(registrar.users.clone()),
            _ => domain.challenge.clone(),
        }
    }

    fn ask(
        &mut self,
        flow: Flow,
        key: TransactionKey,
        request: &Request,
        users: &Users,
        why: Why,
        now: Instant,
    ) {
        let unique = self.rng.u64();
        let source = flow.remote.ip();
        let challenges = self.digest.challenges(users, source, why, unique, now);
        let tag = self.rng.token(TOKEN_LETTERS);
        let mut response = Response::to(request, StatusCode::UNAUTHORIZED, Some(&tag));
        for challenge in challenges {
            let pushed = response.headers.push(AuthHeaders::Server.challenge(), &challenge);
            debug_assert!(pushed.is_ok(), "{challenge}");
        }
        self.respond(key, response, now);
    }
}
