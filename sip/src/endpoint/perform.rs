//! Carries out what sessions want: requests on their way, ACKs, CANCELs, events.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::clients::{Client, Machine, User};
use super::command::{ExtraHeader, Flow, SessionKey, Transport};
use super::config::reliability;
use super::event::Output;
use super::gate::{HOP_HEADER, allow};
use super::policy::Policy;
use super::timers::TimerKey;
use super::{Endpoint, TransactionKey};
use crate::dialog::{Action, Draft, Purpose, Session};
use crate::message::{MAGIC_COOKIE, Method, NameAddr, Request, Scheme, Uri, Via};
use crate::rng::{Rng, TOKEN_LETTERS};
use crate::transaction::timing::WAIT;
use crate::transaction::{InviteClient, NonInviteClient, Patience};

impl Endpoint {
    /// Gives an input to a session and carries out what it wants.
    pub(super) fn with_session(
        &mut self,
        key: SessionKey,
        now: Instant,
        input: impl FnOnce(&mut Session, &mut Rng, &mut Vec<Action>),
    ) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        let mut out = vec![];
        input(session, &mut self.rng, &mut out);
        self.sessions.index(key);
        for action in out {
            self.perform(key, action, now);
        }
        if self.sessions.get(key).is_some_and(Session::is_over) {
            self.sessions.remove(key);
        }
        let deadline = self.sessions.get(key).and_then(Session::next_deadline);
        self.timers.arm(TimerKey::Session(key), deadline);
    }

    /// Forgets a session that closes, unless a subscription still needs its dialog.
    fn close_session(&mut self, key: SessionKey, now: Instant) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        let mut out = vec![];
        session.settle_refer(&mut out);
        if !session.outlives_its_end() {
            self.sessions.remove(key);
        }
        for action in out {
            self.perform(key, action, now);
        }
    }

    fn perform(&mut self, key: SessionKey, action: Action, now: Instant) {
        match action {
            Action::Request { purpose, draft } => {
                let Some(flow) = self.sessions.get(key).map(|session| session.flow) else {
                    return;
                };
                let user = match purpose {
                    Purpose::Farewell => User::Nobody,
                    Purpose::Reinvite
                    | Purpose::Refresh
                    | Purpose::Prack
                    | Purpose::Info
                    | Purpose::Refer
                    | Purpose::Notify
                    | Purpose::Bye => User::InDialog(key, purpose),
                };
                self.request(user, *draft, flow, now);
            }
            Action::Ack {
                transaction,
                remote_tag,
                draft,
            } => {
                let Some(flow) = self.sessions.get(key).map(|session| session.flow) else {
                    return;
                };
                self.acknowledge(transaction, &remote_tag, *draft, flow, now);
            }
            Action::Cancel { transaction, headers } => self.cancel(transaction, &headers, now),
            Action::Abandon { transaction } => {
                if let Some(client) = self.clients.get_mut(transaction) {
                    if let Machine::Invite(invite) = &mut client.machine {
                        invite.destroy();
                    }
                    self.send_of_client(transaction, vec![], now);
                }
            }
            Action::Respond {
                transaction,
                response,
            } => self.respond(transaction, *response, now),
            Action::RepeatSuccess { transaction } => self.repeat_success(transaction, now),
            Action::Event(event) => {
                if event.closes() {
                    self.close_session(key, now);
                }
                self.outputs.push_back(Output::Event(event));
            }
        }
    }

    /// Sends a request inside a dialog in a client transaction of its own. `home` is where the session's
    /// peer is.
    pub(super) fn request(&mut self, user: User, draft: Draft, home: Flow, now: Instant) {
        let flow = self.route(home, draft.next_hop());
        let via = self.new_via(&flow);
        let mut request = draft.into_request(via);
        self.introduce(&mut request, &flow, user.session());
        self.authorize_ahead(user, &flow, &mut request);
        self.start_client(user, flow, request, vec![], WAIT, now);
    }

    /// Sends the ACK of a 2xx and keeps it for the repeats of that 2xx.
    pub(super) fn acknowledge(
        &mut self,
        transaction: TransactionKey,
        remote_tag: &str,
        draft: Draft,
        home: Flow,
        now: Instant,
    ) {
        let flow = self.route(home, draft.next_hop());
        let via = self.new_via(&flow);
        let ack = draft.into_request(via).to_bytes();
        if let Some(client) = self.clients.get_mut(transaction) {
            client.acks.insert(remote_tag.to_owned(), (flow, ack.clone()));
        }
        self.transmit(flow, ack, now);
    }

    /// CANCEL goes where its INVITE went, with the same branch (RFC 3261 §9.1).
    fn cancel(&mut self, transaction: TransactionKey, headers: &[ExtraHeader], now: Instant) {
        let Some(client) = self.clients.get_mut(transaction) else {
            return;
        };
        let (flow, mut cancel) = (client.flow, client.request.cancel());
        for header in headers {
            let _ = cancel.headers.push(&header.name, &header.value);
        }
        self.start_client(User::Nobody, flow, cancel, vec![], WAIT, now);
    }

    /// Starts a client transaction. `answered` names the headers that already carry credentials.
    pub(super) fn start_client(
        &mut self,
        user: User,
        flow: Flow,
        request: Request,
        answered: Vec<&'static str>,
        timer_b: Duration,
        now: Instant,
    ) -> TransactionKey {
        let (bytes, mut out) = (request.to_bytes(), vec![]);
        let patience = match user {
            User::Invite(_) => Patience::Endless,
            User::InDialog(_, _) | User::Registration(_) | User::Probe(_) | User::Nobody => {
                Patience::For(WAIT)
            }
        };
        let reliability = reliability(&flow);
        let machine = match request.method {
            Method::Invite => Machine::Invite(InviteClient::start(
                bytes,
                reliability,
                timer_b,
                patience,
                now,
                &mut out,
            )),
            _ => Machine::NonInvite(NonInviteClient::start(bytes, reliability, now, &mut out)),
        };
        let key = self.number_transaction();
        let acks = BTreeMap::new();
        self.clients.insert(
            key,
            Client {
                machine,
                flow,
                user,
                request,
                answered,
                acks,
                datagram: None,
            },
        );
        self.send_of_client(key, out, now);
        key
    }

    /// A Via of ours with a branch nobody can guess.
    pub(super) fn new_via(&mut self, flow: &Flow) -> Via {
        let branch = format!("{MAGIC_COOKIE}{}", self.rng.token(TOKEN_LETTERS));
        let domain = self.domains.of(*flow);
        let name = domain.and_then(|domain| domain.our_host.as_deref());
        self.config.via(flow, name, &branch)
    }

    /// Our Contact on `flow`, under the host its owner chose, else the one its domain knows us by.
    pub(super) fn contact(&self, flow: &Flow, chosen: Option<&str>, user: Option<&str>) -> Uri {
        let domain = self.domains.of(*flow);
        let name = domain.and_then(|domain| domain.our_host.as_deref());
        let host = chosen.or(domain.and_then(|domain| domain.contact_host.as_deref()));
        self.config.contact(flow, name, host, user)
    }

    /// Adds what this endpoint says of itself: Contact where the dialog has a target, Allow and Supported on
    /// INVITE and UPDATE, the hop mark and what is required on a first INVITE, User-Agent.
    pub(super) fn introduce(&mut self, request: &mut Request, flow: &Flow, session: Option<SessionKey>) {
        let names_target = matches!(
            request.method,
            Method::Invite | Method::Update | Method::Refer | Method::Notify
        );
        if names_target {
            let session = session.and_then(|key| self.sessions.get(key));
            let host = session.and_then(|session| session.contact_host.clone());
            let policy = session.map(|session| session.policy).unwrap_or_default();
            let user = request.headers.from().uri().user_unescaped();
            let contact = self.contact(flow, host.as_deref(), user.as_deref());
            request.headers.push_contact(&NameAddr::new(contact));
            if matches!(request.method, Method::Invite | Method::Update) {
                self.introduce_offerer(request, &policy);
            }
        }
        let _ = request.headers.push("User-Agent", &self.config.user_agent);
    }

    fn introduce_offerer(&self, request: &mut Request, policy: &Policy) {
        let _ = request.headers.push("Allow", &allow(policy, false));
        let is_first = request.headers.to().tag().is_none();
        if is_first {
            let _ = request.headers.push(HOP_HEADER, &self.hop_mark);
        }
        policy.introduce(&mut request.headers, is_first);
    }

    /// Where a request inside a dialog goes: over the connection the peer is on, to a phone that registers
    /// where its packets come from (RFC 5626 §5.3); else to the address the
    /// dialog names, if it is one and allowed (docs/threats.md: B25); else where the peer was last.
    ///
    /// Deviates from RFC 3263 §4: host names are not resolved here, and a Contact without `transport` is
    /// taken to mean the transport of the session. A session under TLS stays under TLS whatever `transport` says.
    fn route(&self, home: Flow, next_hop: &Uri) -> Flow {
        // A phone that registers may stand behind a NAT: its Contact is no address of ours to use.
        let domain = self.domains.of(home);
        let is_phone = domain.is_some_and(|domain| domain.registrar.is_some());
        if is_phone || self.connections.is_open(&home) {
            return home;
        }
        let Some(ip) = next_hop.host().and_then(|host| host.ip()) else {
            return home;
        };
        let Some(transport) = transport_to(home.transport, next_hop) else {
            return home;
        };
        let port = next_hop.port().unwrap_or(transport.default_port());
        let remote = SocketAddr::new(ip.to_canonical(), port);
        if remote.ip().is_unspecified() || remote.ip().is_multicast() || !self.is_allowed(remote) {
            return home;
        }
        let is_same_family = home.local.is_ipv4() == remote.is_ipv4();
        if transport == home.transport && is_same_family {
            return Flow { remote, ..home };
        }
        match self.config.local_for(transport, remote) {
            Some(local) => Flow {
                transport,
                local,
                remote,
            },
            None => home,
        }
    }
}

/// The transport to a next hop from a session on `home`; `None` where it asks for less than TLS in a session
/// under TLS, whose peer is then only reached where it was last.
fn transport_to(home: Transport, next_hop: &Uri) -> Option<Transport> {
    let named = next_hop.param("transport").map(str::to_ascii_lowercase);
    let wanted = match named.as_deref() {
        // RFC 3261 §26.2.2: `sips:` is TLS, whatever is below it.
        _ if *next_hop.scheme() == Scheme::Sips => Transport::Tls,
        Some("tls") => Transport::Tls,
        Some("tcp") => Transport::Tcp,
        Some("udp") => Transport::Udp,
        Some(_) | None => home,
    };
    (wanted.is_secure() || !home.is_secure()).then_some(wanted)
}

impl User {
    pub(super) fn session(self) -> Option<SessionKey> {
        match self {
            User::Invite(session) | User::InDialog(session, _) => Some(session),
            User::Registration(_) | User::Probe(_) | User::Nobody => None,
        }
    }
}
