//! Commands of the owner. One that comes too late for its session is ignored: the event that explains it is
//! out already.

use std::time::Instant;

use super::Endpoint;
use super::clients::User;
use super::command::{Command, ExtraHeader, OutgoingInvite, SessionKey};
use super::event::{Event, Output, Unanswered};
use super::oversize::Datagram;
use crate::auth::Account;
use crate::dialog::{Action, Calling, Confirmed, Phase, Session, invite_headers};
use crate::message::{CallId, GuardError, MAX_FORWARDS_DEFAULT, Method, NameAddr, Request, StatusCode, Uri};
use crate::rng::TOKEN_LETTERS;

impl Endpoint {
    /// Carries out a command.
    pub(super) fn obey(&mut self, command: Command, now: Instant) {
        match command {
            Command::Invite(invite) => self.invite(*invite, now),
            Command::Probe(probe) => self.probe(&probe, now),
            Command::Progress {
                session,
                status,
                sdp,
                headers,
            } => {
                let status = between(status, 101, 199, StatusCode::RINGING);
                self.with_session(session, now, |session, _, out| {
                    session.progress(status, sdp, &headers, now, out);
                });
            }
            Command::Answer {
                session,
                sdp,
                headers,
            } => {
                self.with_session(session, now, |session, _, out| {
                    session.answer(sdp, headers, now, out)
                });
            }
            Command::Reject {
                session,
                status,
                reason,
                headers,
            } => {
                let status = between(status, 300, 699, StatusCode::SERVER_INTERNAL_ERROR);
                self.with_session(session, now, |session, _, out| {
                    session.reject(status, reason, &headers, out);
                });
            }
            Command::Cancel { session, headers } => {
                self.with_session(session, now, |session, _, out| session.cancel(headers, now, out));
            }
            Command::Bye { session, headers } => {
                self.with_session(session, now, |session, _, out| session.bye(headers, now, out));
            }
            Command::AcceptReinvite { session, sdp } => {
                self.with_session(session, now, |it, _, out| it.accept_change(sdp, now, out));
            }
            Command::RejectReinvite {
                session,
                status,
                headers,
            } => self.reject_change(session, status, &headers, now),
            Command::Reinvite { session, sdp } => {
                self.with_confirmed(session, now, |confirmed, out| confirmed.reinvite(sdp, now, out));
            }
            Command::Info {
                session,
                content_type,
                body,
            } => {
                self.with_confirmed(session, now, |it, out| it.info(&content_type, body, out));
            }
            Command::Refer { .. }
            | Command::AcceptRefer { .. }
            | Command::RejectRefer { .. }
            | Command::NotifyRefer { .. } => self.obey_refer(command, now),
            Command::Register(order) => self.register(*order, now),
            Command::Unregister { registration } => self.unregister(registration, now),
            Command::SetAccepting { accepting } => self.is_accepting = accepting,
        }
    }

    fn reject_change(&mut self, session: SessionKey, status: u16, headers: &[ExtraHeader], now: Instant) {
        let status = between(status, 300, 699, StatusCode::NOT_ACCEPTABLE_HERE);
        self.with_session(session, now, |session, _, out| {
            session.reject_change(status, headers, now, out);
        });
    }

    /// Gives an order to a session that is up.
    fn with_confirmed(
        &mut self,
        session: SessionKey,
        now: Instant,
        order: impl FnOnce(&mut Confirmed, &mut Vec<Action>),
    ) {
        self.with_session(session, now, |session, _, out| {
            if let Some(confirmed) = session.confirmed_mut() {
                order(confirmed, out);
            }
        });
    }

    fn invite(&mut self, invite: OutgoingInvite, now: Instant) {
        let (session, flow, timer_b) = (invite.session, invite.flow, invite.timer_b);
        let is_new = matches!(session, SessionKey::Out(_)) && self.sessions.get(session).is_none();
        debug_assert!(is_new, "an outbound session has a number of its own");
        if !is_new {
            return;
        }
        let has_room = self.sessions.len() < self.config.limits.sessions_max
            && self.transactions() < self.config.limits.transactions_max;
        let request = self.first_invite(&invite);
        let (true, false, Ok(request)) = (has_room, self.config.is_own(&flow), request) else {
            let why = Unanswered::Transport;
            return self
                .outputs
                .push_back(Output::Event(Event::Unanswered { session, why }));
        };
        let transaction = self.next_transaction();
        let calling = Calling::new(session, transaction);
        let mut started = Session::new(session, flow, invite.policy, Phase::Calling(calling));
        started.domain = self.domains.proved(&flow);
        started.contact_host = invite.contact_host;
        started.account = invite.credentials.map(Account::new);
        self.sessions.insert(started);
        let mut by_datagram = request.clone();
        self.introduce(&mut by_datagram, &flow, Some(session));
        let Some(stream) = self.stream_for(&flow, &by_datagram) else {
            let key = self.start_client(User::Invite(session), flow, by_datagram, vec![], timer_b, now);
            return debug_assert_eq!(key, transaction);
        };
        let mut by_stream = request;
        let via = self.new_via(&stream);
        by_stream.headers.set_top_via(via);
        self.introduce(&mut by_stream, &stream, Some(session));
        self.sessions.move_to(session, stream);
        let key = self.start_client(User::Invite(session), stream, by_stream, vec![], timer_b, now);
        debug_assert_eq!(key, transaction);
        if let Some(client) = self.clients.get_mut(key) {
            client.datagram = Some(Datagram { flow, timer_b });
        }
    }

    fn first_invite(&mut self, invite: &OutgoingInvite) -> Result<Request, GuardError> {
        let field = |name| move |error| GuardError::Field { name, error };
        let uri = Uri::parse(&invite.request_uri).map_err(GuardError::RequestUri)?;
        let call_id = invite
            .call_id
            .clone()
            .unwrap_or_else(|| self.rng.token(TOKEN_LETTERS));
        let from_tag = invite
            .from_tag
            .clone()
            .unwrap_or_else(|| self.rng.token(TOKEN_LETTERS));
        let from = NameAddr::parse(&invite.from)
            .map_err(field("From"))?
            .with_tag(&from_tag);
        let to = NameAddr::parse(&invite.to).map_err(field("To"))?.without_tag();
        let call_id = CallId::parse(&call_id).map_err(field("Call-ID"))?;
        let via = self.new_via(&invite.flow);
        let mut request = Request::new(Method::Invite, uri, via, from, to, call_id, 1);
        request
            .headers
            .set_max_forwards(invite.max_forwards.min(MAX_FORWARDS_DEFAULT));
        for header in &invite.headers {
            request.headers.push(&header.name, &header.value)?;
        }
        for header in invite_headers(&invite.policy.timer) {
            request.headers.push(&header.name, &header.value)?;
        }
        request.set_body(crate::dialog::action::SDP, invite.sdp.clone())?;
        Ok(request)
    }
}

pub(super) fn between(status: u16, low: u16, high: u16, otherwise: StatusCode) -> StatusCode {
    debug_assert!((low..=high).contains(&status));
    StatusCode::new(status)
        .filter(|status| (low..=high).contains(&status.code()))
        .unwrap_or(otherwise)
}
