//! Responses to our requests, and what becomes of requests that get none (RFC 3261 §8.1.3, §13.2.2).

use std::time::Instant;

use super::Endpoint;
use super::clients::{Machine, User};
use super::command::Flow;
use super::config::FORKS_MAX;
use super::event::Unanswered;
use super::timers::TimerKey;
use crate::dialog::{Dialog, Failure, Purpose};
use crate::message::{Method, Response, StatusCode};
use crate::transaction::{Action, Pass, TransactionKey};

impl Endpoint {
    /// A response that passed the guard.
    pub(super) fn handle_response(&mut self, flow: Flow, response: Response, now: Instant) {
        let Some(key) = self.clients.find(&response) else {
            return self.drop_message(flow.remote, "stray_response");
        };
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        let (status, request) = (response.status, &client.request);
        let mut out = vec![];
        let pass = match (&mut client.machine, status.class()) {
            (Machine::Invite(invite), 1) => invite.handle_provisional(now),
            (Machine::Invite(invite), 2) => invite.handle_success(now),
            (Machine::Invite(invite), _) => {
                invite.handle_failure(|| request.ack(&response).to_bytes(), now, &mut out)
            }
            (Machine::NonInvite(other), 1) => other.handle_provisional(now),
            (Machine::NonInvite(other), _) => other.handle_final(now),
        };
        let user = client.user;
        let register = matches!(user, User::Registration(_)).then(|| Box::new(client.request.clone()));
        self.send_of_client(key, out, now);
        if pass == Pass::Absorbed
            || self.retry_with_credentials(key, &response, flow, now)
            || self.retry_with_interval(key, &response, now)
        {
            return;
        }
        match user {
            User::Invite(_) | User::InDialog(_, Purpose::Reinvite) if status.is_success() => {
                self.handle_invite_success(key, user, response, now);
            }
            User::Invite(session) => {
                let Some(client) = self.clients.get_mut(key) else {
                    return;
                };
                let invite = client.request.clone();
                self.with_session(session, now, |session, _, out| {
                    if status.is_provisional() {
                        session.handle_provisional(&invite, response, now, out);
                    } else {
                        session.handle_failure(response, out);
                    }
                });
            }
            User::InDialog(session, purpose) if status.is_final() => {
                self.with_session(session, now, |session, rng, out| match status.is_success() {
                    true => session.handle_answer(purpose, &response, now, out),
                    false => {
                        let failure = Failure::of_response(&response);
                        session.handle_request_failure(purpose, failure, rng, now, out);
                    }
                });
            }
            User::Registration(registration) if status.is_final() => {
                if let Some(request) = register {
                    self.handle_registration_answer(registration, key, &request, &response, now);
                }
            }
            User::Probe(number) if status.is_final() => self.tell_probed(number, Some(status.code())),
            User::InDialog(_, _) | User::Registration(_) | User::Probe(_) | User::Nobody => {}
        }
    }

    /// A 2xx to an INVITE. The first is its session's; a repeat gets its ACK again; one of another fork
    /// gets ACK and BYE (RFC 3261 §13.2.2.4).
    fn handle_invite_success(&mut self, key: TransactionKey, user: User, response: Response, now: Instant) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        let remote_tag = response.headers.to().tag().unwrap_or_default();
        if let Some((flow, ack)) = client.acks.get(remote_tag) {
            let (flow, ack) = (*flow, ack.clone());
            return self.transmit(flow, ack, now);
        }
        let (is_first, invite) = (client.acks.is_empty(), client.request.clone());
        let flow = client.flow;
        match user {
            User::Invite(session) if is_first && self.sessions.get(session).is_some() => {
                self.with_session(session, now, |session, _, out| {
                    session.handle_success(&invite, response, now, out);
                });
            }
            User::Invite(_) if client.acks.len() < FORKS_MAX => {
                let mut dialog = Dialog::of_caller(&invite, &response);
                self.acknowledge(key, remote_tag, dialog.ack(&invite), flow, now);
                let bye = dialog.request(Method::Bye);
                self.request(User::Nobody, bye, flow, now);
            }
            User::InDialog(session, Purpose::Reinvite) if is_first => {
                let is_up = self
                    .sessions
                    .get_mut(session)
                    .is_some_and(|one| one.confirmed_mut().is_some());
                if is_up {
                    self.with_session(session, now, |session, _, out| {
                        if let Some(confirmed) = session.confirmed_mut() {
                            confirmed.handle_reinvite_success(&invite, key, &response, now, out);
                        }
                    });
                } else {
                    // The session ended while its re-INVITE was under way: its 2xx still wants an ACK.
                    let ack = Dialog::of_reinvite(&invite, &response).ack(&invite);
                    self.acknowledge(key, remote_tag, ack, flow, now);
                }
            }
            User::Invite(_)
            | User::InDialog(_, _)
            | User::Registration(_)
            | User::Probe(_)
            | User::Nobody => {}
        }
    }

    pub(super) fn time_out_client(&mut self, key: TransactionKey, now: Instant) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        let mut out = vec![];
        client.machine.handle_timeout(now, &mut out);
        self.send_of_client(key, out, now);
    }

    /// The transport of a client transaction failed.
    pub(super) fn fail_client(&mut self, key: TransactionKey, now: Instant) {
        if self.retry_by_datagram(key, now) {
            return;
        }
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        let user = client.user;
        if client.machine.handle_transport_failure() {
            self.send_of_client(key, vec![], now);
            self.tell_unanswered(key, user, Unanswered::Transport, now);
        }
    }

    /// Sends what a client transaction wants sent, and forgets it when it is done.
    pub(super) fn send_of_client(&mut self, key: TransactionKey, out: Vec<Action>, now: Instant) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        let (flow, user) = (client.flow, client.user);
        self.timers
            .arm(TimerKey::Client(key), client.machine.next_deadline());
        if client.machine.is_terminated() {
            self.clients.remove(key);
        }
        for action in out {
            match action {
                Action::Send(bytes) => self.transmit(flow, bytes, now),
                Action::TimedOut => self.tell_unanswered(key, user, Unanswered::Timeout, now),
            }
        }
    }

    /// No response counts as 408, a failed transport as 503 (RFC 3261 §8.1.3.1).
    fn tell_unanswered(&mut self, key: TransactionKey, user: User, why: Unanswered, now: Instant) {
        let status = match why {
            Unanswered::Timeout => StatusCode::REQUEST_TIMEOUT,
            Unanswered::Transport => StatusCode::SERVICE_UNAVAILABLE,
        };
        match user {
            User::Invite(session) => {
                self.with_session(session, now, |session, _, out| {
                    session.handle_unanswered(why, out)
                });
            }
            User::InDialog(session, purpose) => self.with_session(session, now, |session, rng, out| {
                session.handle_request_failure(purpose, Failure::plain(status), rng, now, out);
            }),
            User::Registration(registration) => {
                self.handle_registration_unanswered(registration, key, why, now);
            }
            User::Probe(number) => self.tell_probed(number, None),
            User::Nobody => {}
        }
    }
}
