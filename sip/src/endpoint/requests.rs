//! Requests of the peer: repeats, refusals, and the way to the session they are for (RFC 3261 §8.2, §12.2.2).

use std::sync::Arc;
use std::time::Instant;

use super::access::Sender;
use super::command::Flow;
use super::config::{RETRY_AFTER_S, reliability};
use super::event::{Event, IncomingInvite, Output};
use super::gate::{self, Refusal};
use super::policy::Policy;
use super::servers::{Machine, Server};
use super::timers::TimerKey;
use super::{Endpoint, SessionKey, Transport};
use crate::dialog::action::{SDP, sdp_of_request};
use crate::dialog::{DialogId, Phase, Ringing, Session};
use crate::message::{Method, Request, Response, StatusCode, top_via};
use crate::rng::TOKEN_LETTERS;
use crate::transaction::{InviteServer, MergeKey, NonInviteServer, Pass, ServerKey, TransactionKey};

impl Endpoint {
    /// A request that passed the guard.
    pub(super) fn handle_request(&mut self, flow: Flow, mut request: Request, now: Instant) {
        request.headers.stamp_source(flow.remote);
        if request.method == Method::Ack {
            return self.handle_ack(flow, &request, now);
        }
        let wire = ServerKey::of_request(&request);
        if let Some(key) = self.servers.find(&wire) {
            return self.with_server(key, now, |machine, out| machine.handle_repeat(out));
        }
        let is_inside = request.headers.to().tag().is_some();
        // Requests inside dialogs end load, so they may use the table up to twice its size.
        let room = self.config.limits.transactions_max * (1 + usize::from(is_inside));
        if self.transactions() >= room {
            return self.refuse_stateless(flow, &request, now);
        }
        if request.method == Method::Cancel {
            return self.handle_cancel(flow, wire, Box::new(request), now);
        }
        let merged = MergeKey::of_request(&request);
        let is_copy = merged
            .as_ref()
            .is_some_and(|merge| self.servers.find_merged(merge).is_some());
        let key = self.open_server(flow, &request, wire, merged, now);
        match is_inside {
            true => self.handle_inside(flow, key, Box::new(request), now),
            false if is_copy => self.respond_simply(key, &request, StatusCode::LOOP_DETECTED, None, now),
            false => self.handle_outside(flow, key, request, now),
        }
    }

    fn open_server(
        &mut self,
        flow: Flow,
        request: &Request,
        wire: ServerKey,
        merge: Option<MergeKey>,
        now: Instant,
    ) -> TransactionKey {
        let mut out = vec![];
        let machine = match request.method {
            Method::Invite => {
                let trying = Response::trying(request);
                Machine::Invite(InviteServer::start(trying, reliability(&flow), &mut out))
            }
            _ => Machine::NonInvite(NonInviteServer::start(reliability(&flow))),
        };
        let key = self.number_transaction();
        let fallback = fallback_flow(flow, request);
        self.servers
            .insert(key, Server::new(machine, flow, fallback, wire, merge));
        self.send_of_server(key, out, now);
        key
    }

    fn handle_outside(&mut self, flow: Flow, key: TransactionKey, request: Request, now: Instant) {
        let Some(sender) = self.admit(flow, key, &request, now) else {
            return;
        };
        let takes_register = self.takes_register(flow);
        let policy = self.policies.of(flow.remote.ip());
        if let Err(refusal) = gate::outside_dialog(&request, &policy, &self.hop_mark, takes_register) {
            return self.refuse(key, &request, refusal, now);
        }
        match request.method {
            Method::Invite => self.begin_session(flow, key, request, (policy, sender), now),
            Method::Register => self.handle_register(flow, key, &request, sender, now),
            _ => self.answer_options(key, &request, &policy, now),
        }
    }

    /// The session of a dialog, for requests of its own domain alone: whoever else has learned its tags is told that
    /// there is none (docs/threats.md: B18).
    fn find_dialog(&self, id: &DialogId, source: Flow) -> Option<SessionKey> {
        let found = self.sessions.find(id)?;
        let session = self.sessions.get(found)?;
        self.is_of_one_domain((session.flow, session.domain), source)
            .then_some(found)
    }

    /// Whether `source` is of the domain of a session at `home`. Once its peer has proved whose it is, only a source
    /// that proves the same is; no source that has proved another's is.
    fn is_of_one_domain(&self, (home, proved): (Flow, Option<usize>), source: Flow) -> bool {
        let proved = proved.or_else(|| self.domains.proved(&home));
        match (proved, self.domains.proved(&source)) {
            _ if home == source => true,
            (None, None) => self.domains.find(home) == self.domains.find(source),
            (home, source) => home == source,
        }
    }

    fn takes_register(&self, flow: Flow) -> bool {
        let domain = self.domains.of(flow);
        domain.is_some_and(|domain| domain.registrar.is_some())
    }

    fn begin_session(
        &mut self,
        flow: Flow,
        transaction: TransactionKey,
        request: Request,
        (policy, sender): (Policy, Sender),
        now: Instant,
    ) {
        if self.sessions.len() >= self.config.limits.sessions_max {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            let header = Some(("Retry-After", RETRY_AFTER_S.to_string()));
            return self.refuse(transaction, &request, Refusal { status, header }, now);
        }
        let replaced = match self.replaced_by(&request) {
            Ok(replaced) => replaced,
            Err(status) => return self.respond_simply(transaction, &request, status, None, now),
        };
        let session = self.sessions.next_key();
        let local_tag = self.rng.token(TOKEN_LETTERS);
        let request = Arc::new(request);
        let ringing = Ringing::new(
            session,
            transaction,
            request.clone(),
            &local_tag,
            policy,
            &mut self.rng,
        );
        let mut started = Session::new(session, flow, policy, Phase::Ringing(ringing));
        started.domain = self.domains.proved(&flow);
        self.sessions.insert(started);
        if let Some(server) = self.servers.get_mut(transaction) {
            server.session = Some(session);
        }
        let invite = IncomingInvite {
            session,
            flow,
            offer: sdp_of_request(&request),
            is_reliable: policy.is_reliable(&request.headers),
            request,
            user: match sender {
                Sender::User(user) => Some(user),
                Sender::Anyone => None,
            },
            replaced,
        };
        self.outputs.push_back(Output::Event(Event::Incoming(invite)));
    }

    fn handle_inside(&mut self, flow: Flow, key: TransactionKey, request: Box<Request>, now: Instant) {
        let id = DialogId::of_request(&request);
        let found = self.find_dialog(&id, flow);
        let policy = found
            .and_then(|session| self.sessions.get(session))
            .map_or_else(|| self.policies.of(flow.remote.ip()), |session| session.policy);
        if let Err(refusal) = gate::inside_dialog(&request, &policy) {
            return self.refuse(key, &request, refusal, now);
        }
        if request.method == Method::Subscribe {
            return self.handle_subscribe(key, &request, now);
        }
        let Some(session_key) = found else {
            return self.respond_simply(key, &request, StatusCode::CALL_DOES_NOT_EXIST, None, now);
        };
        let Some(session) = self.sessions.get_mut(session_key) else {
            return;
        };
        let number = request.headers.cseq().number;
        if !session
            .dialog_mut(&id)
            .is_some_and(|dialog| dialog.accept_cseq(number))
        {
            return self.respond_simply(key, &request, StatusCode::SERVER_INTERNAL_ERROR, None, now);
        }
        if flow.transport.is_stream() && flow.transport == session.flow.transport {
            // The peer opened a new connection: ours to it may be gone (RFC 5923).
            self.sessions.move_to(session_key, flow);
        }
        match request.method {
            Method::Options => self.answer_options(key, &request, &policy, now),
            Method::Refer => self.handle_refer(session_key, key, request, now),
            Method::Notify => self.with_session(session_key, now, |session, _, out| {
                session.handle_notify(&request, key, now, out);
            }),
            _ => {
                if let Some(server) = self
                    .servers
                    .get_mut(key)
                    .filter(|_| matches!(request.method, Method::Invite | Method::Update))
                {
                    server.session = Some(session_key);
                }
                self.with_session(session_key, now, |session, rng, out| {
                    session.handle_request(&id, request, key, rng, now, out);
                });
            }
        }
    }

    /// The ACK of a refusal ends in its transaction, whatever else is in it: half of what refusing costs would be
    /// reading it (docs/threats.md: B14). False: it is something else, or not plain to see.
    pub(super) fn absorb_ack(&mut self, bytes: &[u8], now: Instant) -> bool {
        let Some(via) = top_via::of_ack(bytes) else {
            return false;
        };
        let wire = ServerKey::of_via(&via, &Method::Invite);
        let Some(key) = wire.and_then(|wire| self.servers.find(&wire)) else {
            return false;
        };
        let mut is_refused = false;
        self.with_server(key, now, |machine, _| {
            if let Machine::Invite(invite) = machine
                && invite.is_refused()
            {
                is_refused = true;
                let _ = invite.handle_ack(now);
            }
        });
        is_refused
    }

    fn handle_ack(&mut self, flow: Flow, ack: &Request, now: Instant) {
        if let Some(key) = self.servers.find(&ServerKey::of_request(ack)) {
            let mut pass = Pass::Absorbed;
            self.with_server(key, now, |machine, _| {
                if let Machine::Invite(invite) = machine {
                    pass = invite.handle_ack(now);
                }
            });
            if pass == Pass::Absorbed {
                return;
            }
        }
        match self.find_dialog(&DialogId::of_request(ack), flow) {
            Some(session) => {
                self.with_session(session, now, |session, _, out| session.handle_ack(ack, now, out))
            }
            None => self.drop_message(flow.remote, "stray_ack"),
        }
    }

    /// The INVITE that a CANCEL of its own party means, and its session where that can still be cancelled.
    fn cancelled_by(&mut self, flow: Flow, cancel: &Request) -> Option<(TransactionKey, Option<SessionKey>)> {
        let cancelled = self.servers.find(&ServerKey::of_cancelled(cancel))?;
        let server = self.servers.get_mut(cancelled)?;
        let is_open = matches!(&server.machine, Machine::Invite(invite) if invite.is_proceeding());
        let (home, session) = (server.flow, server.session);
        let proved = session.and_then(|session| self.sessions.get(session)?.domain);
        self.is_of_one_domain((home, proved), flow)
            .then_some((cancelled, session.filter(|_| is_open)))
    }

    /// RFC 3261 §9.2: 200 to the CANCEL, 487 to its INVITE, nothing once that has its final response.
    fn handle_cancel(&mut self, flow: Flow, wire: ServerKey, cancel: Box<Request>, now: Instant) {
        let Some((cancelled, session)) = self.cancelled_by(flow, &cancel) else {
            // Without a transaction: the true CANCEL bears the same branch, and would be taken for a stranger's repeat.
            return self.respond_stateless(flow, &cancel, StatusCode::CALL_DOES_NOT_EXIST, None, now);
        };
        let key = self.open_server(flow, &cancel, wire, None, now);
        let ids = session
            .and_then(|session| self.sessions.get(session))
            .map(|one| one.dialog_ids());
        let tag = ids.and_then(|ids| ids.first().map(|id| id.local_tag().to_owned()));
        let tag = tag.unwrap_or_else(|| self.rng.token(TOKEN_LETTERS));
        let response = Response::to(&cancel, StatusCode::OK, Some(&tag));
        self.respond(key, response, now);
        if let Some(session) = session {
            self.with_session(session, now, |session, _, out| {
                session.handle_peer_cancel(cancel, cancelled, now, out);
            });
        }
    }

    /// RFC 3261 §11.2.
    fn answer_options(&mut self, key: TransactionKey, request: &Request, policy: &Policy, now: Instant) {
        let is_inside = request.headers.to().tag().is_some();
        if !self.is_accepting && !is_inside {
            let header = Some(("Retry-After", RETRY_AFTER_S.to_string()));
            return self.respond_simply(key, request, StatusCode::SERVICE_UNAVAILABLE, header, now);
        }
        let tag = self.rng.token(TOKEN_LETTERS);
        let mut response = Response::to(request, StatusCode::OK, Some(&tag));
        let source = self.servers.get_mut(key).map(|server| server.flow);
        let allow = gate::allow(policy, source.is_some_and(|flow| self.takes_register(flow)));
        for (name, value) in [
            ("Allow", allow.as_str()),
            ("Accept", SDP),
            ("Accept-Encoding", "identity"),
            ("Supported", policy.supported().as_str()),
        ] {
            let _ = response.headers.push(name, value);
        }
        self.respond(key, response, now);
    }

    fn refuse(&mut self, key: TransactionKey, request: &Request, refusal: Refusal, now: Instant) {
        self.respond_simply(key, request, refusal.status, refusal.header, now);
    }

    pub(super) fn respond_simply(
        &mut self,
        key: TransactionKey,
        request: &Request,
        status: StatusCode,
        header: Option<(&'static str, String)>,
        now: Instant,
    ) {
        let tag = self.rng.token(TOKEN_LETTERS);
        let mut response = Response::to(request, status, Some(&tag));
        if let Some((name, value)) = header {
            let _ = response.headers.push(name, &value);
        }
        self.respond(key, response, now);
    }

    /// 503 without a transaction: the table is full.
    fn refuse_stateless(&mut self, flow: Flow, request: &Request, now: Instant) {
        self.drop_message(flow.remote, "transactions_full");
        let header = Some(("Retry-After", RETRY_AFTER_S.to_string()));
        self.respond_stateless(flow, request, StatusCode::SERVICE_UNAVAILABLE, header, now);
    }

    /// A response that nothing remembers: to a repeat of its request another one goes out.
    fn respond_stateless(
        &mut self,
        flow: Flow,
        request: &Request,
        status: StatusCode,
        header: Option<(&'static str, String)>,
        now: Instant,
    ) {
        let tag = self.rng.token(TOKEN_LETTERS);
        let mut response = Response::to(request, status, Some(&tag));
        if let Some((name, value)) = header {
            let _ = response.headers.push(name, &value);
        }
        self.transmit(flow, response.to_bytes(), now);
    }

    /// Sends a response in its transaction, with what this endpoint says of itself.
    pub(super) fn respond(&mut self, key: TransactionKey, mut response: Response, now: Instant) {
        let Some(server) = self.servers.get_mut(key) else {
            return;
        };
        let status = response.status;
        let names_target = match response.headers.cseq().method {
            Method::Invite => (101..300).contains(&status.code()),
            Method::Update | Method::Refer | Method::Notify => status.is_success(),
            _ => false,
        };
        if names_target {
            let user = response.headers.to().uri().user_unescaped();
            let flow = server.flow;
            let session = server.session.and_then(|session| self.sessions.get(session));
            let host = session.and_then(|session| session.contact_host.clone());
            let policy = session.map(|session| session.policy).unwrap_or_default();
            let supported = policy.supported();
            let contact = self.contact(&flow, host.as_deref(), user.as_deref());
            response
                .headers
                .push_contact(&crate::message::NameAddr::new(contact));
            let _ = response.headers.push("Allow", &gate::allow(&policy, false));
            if !supported.is_empty() {
                let _ = response.headers.push("Supported", &supported);
            }
        }
        let _ = response.headers.push("Server", &self.config.user_agent);
        let bytes = response.to_bytes();
        self.with_server(key, now, |machine, out| match machine {
            Machine::Invite(invite) if !invite.is_proceeding() => {}
            Machine::Invite(invite) => match status.class() {
                1 => invite.respond_provisional(bytes, out),
                2 => invite.respond_success(bytes, now, out),
                _ => invite.respond_failure(bytes, now, out),
            },
            Machine::NonInvite(other) => other.respond(bytes, now, out),
        });
    }

    /// Sends our 2xx once more.
    pub(super) fn repeat_success(&mut self, key: TransactionKey, now: Instant) {
        self.with_server(key, now, |machine, out| match machine {
            Machine::Invite(invite) => invite.repeat_success(out),
            Machine::NonInvite(_) => debug_assert!(false, "only an INVITE has a 2xx that is repeated"),
        });
    }

    pub(super) fn time_out_server(&mut self, key: TransactionKey, now: Instant) {
        self.with_server(key, now, |machine, out| machine.handle_timeout(now, out));
    }

    /// Gives an input to a server transaction, sends what it wants sent, and forgets it when it is done.
    fn with_server(
        &mut self,
        key: TransactionKey,
        now: Instant,
        input: impl FnOnce(&mut Machine, &mut Vec<crate::transaction::Action>),
    ) {
        let Some(server) = self.servers.get_mut(key) else {
            return;
        };
        let mut out = vec![];
        input(&mut server.machine, &mut out);
        self.send_of_server(key, out, now);
    }

    fn send_of_server(&mut self, key: TransactionKey, out: Vec<crate::transaction::Action>, now: Instant) {
        let Some(server) = self.servers.get_mut(key) else {
            return;
        };
        let (is_terminated, deadline) = (server.machine.is_terminated(), server.machine.next_deadline());
        if let Some(fallback) = server.fallback.filter(|_| !out.is_empty())
            && !self.connections.is_open(&server.flow)
        {
            server.flow = fallback;
            server.fallback = None;
        }
        let flow = server.flow;
        if is_terminated {
            self.servers.remove(key);
        }
        self.timers.arm(TimerKey::Server(key), deadline);
        for action in out {
            match action {
                crate::transaction::Action::Send(bytes) => self.transmit(flow, bytes, now),
                crate::transaction::Action::TimedOut => {
                    debug_assert!(false, "server transactions do not time out to their user");
                }
            }
        }
    }
}

/// Where responses go when the request's connection has closed: its source address, the port of its Via
/// (RFC 3261 §18.2.2). The transport stays: what came by TLS is never answered in clear.
fn fallback_flow(flow: Flow, request: &Request) -> Option<Flow> {
    if flow.transport == Transport::Udp {
        return None;
    }
    let mut fallback = flow;
    fallback.remote.set_port(
        request
            .headers
            .via()
            .port()
            .unwrap_or(flow.transport.default_port()),
    );
    Some(fallback)
}
