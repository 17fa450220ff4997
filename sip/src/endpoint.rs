//! The conductor of the stack: bytes, commands and time in, bytes and events out.
//!
//! ```text
//!  handle_datagram ─┐  admission   message      gate          ┌─► Output::Send, Connect, Disconnect
//!  handle_stream   ─┤  network ──► guard ──► transactions ──► sessions ──► Output::Event
//!  handle_command  ─┘                            ▲    one timer index ▲
//! ```
//! Owns the tables of connections, transactions and sessions, the timer index and the output queue, and
//! decides nothing that one of them can decide. After any `handle_*` call, drain [`Endpoint::poll_output`]
//! until `None`, then sleep until [`Endpoint::next_deadline`]. Must not know routing, admission of calls,
//! billing or what a body means.

mod access;
mod again;
mod clients;
pub mod command;
pub mod config;
mod connections;
mod credentials;
mod domains;
pub mod event;
mod gate;
mod orders;
pub mod oversize;
#[doc(hidden)]
pub mod pair;
mod perform;
pub mod policy;
mod probes;
mod refers;
mod registrar;
mod registrations;
mod requests;
mod responses;
mod servers;
mod sessions;
pub mod shedding;
pub mod sources;
mod timers;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;

pub use command::{
    Command, Credentials, ExtraHeader, Flow, OutgoingInvite, OutgoingProbe, ReferTarget, RegisterOrder,
    RegisterServer, RegistrationKey, SessionKey, Transport,
};
pub use config::{EndpointConfig, Limits, Listener};
pub use domains::{Domain, Registrar};
pub use event::{Event, IncomingInvite, Output, ReferOutcome, RegistrationEvent, Replaced, Unanswered};
pub use gate::HOP_HEADER;
pub(crate) use gate::allow;
pub use policy::{Policy, RefreshMethod, RefresherWish, Support, TimerPolicy};
pub use shedding::{OVERLOAD, OVERLOAD_UNANSWERED};
pub use sources::{Rate, SOURCE_RATE};

pub use crate::dialog::refer::Referral;

use crate::auth::DigestServer;
use crate::message::{self, GuardError, Message};
use crate::network::Network;
use crate::rng::{Rng, TOKEN_LETTERS};
use crate::transaction::TransactionKey;
use crate::transport::framer::Frame;
use clients::Clients;
use connections::{Connections, Due, Sending};
use domains::Domains;
use policy::Policies;
use registrations::Registrations;
use servers::Servers;
use sessions::Sessions;
use shedding::Shedding;
use sources::Sources;
use timers::{TimerKey, Timers};

/// A keep-alive of ours on a connection (RFC 5626 §3.5.1).
const PING: &[u8] = b"\r\n\r\n";

/// A SIP user agent without sockets or clock.
#[derive(Debug)]
pub struct Endpoint {
    config: EndpointConfig,
    rng: Rng,
    /// What we put on every INVITE of ours and refuse to see again (RFC 3261 §16.3).
    hop_mark: String,
    /// What OPTIONS is told.
    is_accepting: bool,
    /// Messages that are heard are told as [`Output::Heard`] first.
    is_tapped: bool,
    /// Whoever is not in one of these is not heard at all.
    allowed: Vec<Network>,
    /// How much of the others is heard.
    sources: Sources,
    /// Whether new calls are read at all.
    shedding: Shedding,
    /// What is spoken with those who call.
    policies: Policies,
    /// What those must prove, and where their phones are.
    domains: Domains,
    digest: DigestServer,
    registrations: Registrations,
    connections: Connections,
    clients: Clients,
    servers: Servers,
    sessions: Sessions,
    timers: Timers,
    transactions_numbered: u64,
    /// Flows that failed while something was sent on them.
    failed: Vec<Flow>,
    outputs: VecDeque<Output>,
}

impl Endpoint {
    /// An endpoint that hears nobody until [`Endpoint::set_allowed`]. All its tags, branches and waits
    /// come from `seed`.
    pub fn new(config: EndpointConfig, seed: [u8; 32]) -> Self {
        debug_assert!(!config.listeners.is_empty());
        let mut rng = Rng::new(seed);
        let drawn = rng.token(TOKEN_LETTERS);
        let mut nonce_key = [0; 32];
        nonce_key.fill_with(|| rng.byte());
        Endpoint {
            hop_mark: config.hop_mark.clone().unwrap_or(drawn),
            rng,
            is_accepting: true,
            is_tapped: false,
            allowed: vec![],
            shedding: Shedding::new(),
            sources: Sources::default(),
            policies: Policies::default(),
            domains: Domains::default(),
            digest: DigestServer::new(nonce_key),
            registrations: Registrations::new(),
            connections: Connections::new(config.limits.connections_max),
            config,
            clients: Clients::default(),
            servers: Servers::default(),
            sessions: Sessions::default(),
            timers: Timers::default(),
            transactions_numbered: 0,
            failed: vec![],
            outputs: VecDeque::new(),
        }
    }

    /// Says who is heard: messages from other sources leave no state and get no answer (docs/threats.md: B18, B24).
    pub fn set_allowed(&mut self, networks: Vec<Network>) {
        self.allowed = networks;
    }

    /// Says how many messages each source of a network may send; of several networks the longest prefix counts,
    /// and outside of all there is no limit (docs/threats.md: B14).
    pub fn set_rates(&mut self, rates: Vec<(Network, Rate)>) {
        self.sources.set_rates(rates);
    }

    /// Says which extensions are spoken with the peers of a network when they call; of several networks
    /// the longest prefix counts, and outside of all none is spoken. Sessions that are there keep theirs.
    pub fn set_policies(&mut self, policies: Vec<(Network, Policy)>) {
        self.policies = Policies::new(policies);
    }

    /// Says what must be proven by whom, and who may register; forgets what was registered.
    pub fn set_domains(&mut self, domains: Vec<Domain>) {
        self.domains = Domains::new(domains);
    }

    /// A datagram arrived.
    pub fn handle_datagram(&mut self, flow: Flow, bytes: Bytes, now: Instant) {
        self.assert_drained();
        debug_assert_eq!(flow.transport, Transport::Udp);
        if !self.is_allowed(flow.remote) {
            return self.drop_message(flow.remote, "unlisted_source");
        }
        if !self.sources.admits(flow.remote.ip(), now) {
            return self.drop_message(flow.remote, SOURCE_RATE);
        }
        // Keep-alives of NAT bindings: line ends, or a few zero bytes.
        if bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            return;
        }
        self.heard(flow, &bytes);
        if !self.shed(flow, &bytes, now) {
            self.handle_message(flow, &bytes, now);
        }
        self.settle(now);
    }

    /// Whether each message that is heard is told first, for a trace.
    pub fn set_tapped(&mut self, is_tapped: bool) {
        self.is_tapped = is_tapped;
    }

    fn heard(&mut self, flow: Flow, bytes: &Bytes) {
        if self.is_tapped {
            let bytes = bytes.clone();
            self.outputs.push_back(Output::Heard { flow, bytes });
        }
    }

    /// Bytes of a TCP or TLS connection arrived.
    pub fn handle_stream(&mut self, flow: Flow, bytes: Bytes, now: Instant) {
        self.assert_drained();
        debug_assert!(flow.transport.is_stream());
        if !self.is_allowed(flow.remote) {
            self.drop_message(flow.remote, "unlisted_source");
            return self.close(flow);
        }
        if !self.connections.push(flow, &bytes, now) {
            return self.drop_message(flow.remote, "unknown_connection");
        }
        while let Some(frame) = self.connections.poll(flow, now) {
            match frame {
                Ok(Frame::Message(_) | Frame::Ping) if !self.sources.admits(flow.remote.ip(), now) => {
                    self.drop_message(flow.remote, SOURCE_RATE);
                }
                Ok(Frame::Message(bytes)) => {
                    self.heard(flow, &bytes);
                    if !self.shed(flow, &bytes, now) {
                        self.handle_message(flow, &bytes, now);
                    }
                }
                // RFC 5626 §4.4.1: the double CRLF of the peer is answered with one.
                Ok(Frame::Ping) => self.transmit(flow, Bytes::from_static(b"\r\n"), now),
                Ok(Frame::Pong) => self.connections.handle_pong(flow, now),
                Err(broken) => {
                    self.refuse_broken(flow, &broken.head, &broken.error, now);
                    self.close(flow);
                }
            }
        }
        self.arm_connection(flow);
        self.settle(now);
    }

    /// A TCP or TLS connection opened: accepted, or asked for by [`Output::Connect`].
    pub fn handle_connected(&mut self, flow: Flow, now: Instant) {
        self.assert_drained();
        if !self.is_allowed(flow.remote) {
            self.drop_message(flow.remote, "unlisted_source");
            return self.outputs.push_back(Output::Disconnect { flow });
        }
        match self.connections.open(flow, now) {
            Some(queue) => {
                let sends = queue.into_iter().map(|bytes| Output::Send { flow, bytes });
                self.outputs.extend(sends);
                self.arm_connection(flow);
            }
            None => {
                self.drop_message(flow.remote, "connections_full");
                self.outputs.push_back(Output::Disconnect { flow });
            }
        }
    }

    /// The peer of a connection, new or open, has proved whose it is: `domain` is that one's place in the list given
    /// to [`Endpoint::set_domains`], whatever its address says (RFC 5923 §5). Holds until the connection closes; the
    /// sessions it carries stay that domain's.
    pub fn prove(&mut self, flow: Flow, domain: usize) {
        self.domains.prove(flow, domain);
        self.sessions.prove(flow, domain);
    }

    /// A TCP or TLS connection closed or could not be opened, or a UDP destination is unreachable.
    pub fn handle_disconnected(&mut self, flow: Flow, now: Instant) {
        self.assert_drained();
        self.domains.forget(&flow);
        self.connections.remove(flow);
        self.arm_connection(flow);
        self.failed.push(flow);
        self.settle(now);
    }

    /// The owner wants something done.
    pub fn handle_command(&mut self, command: Command, now: Instant) {
        self.assert_drained();
        self.obey(command, now);
        self.settle(now);
    }

    /// The time of [`Endpoint::next_deadline`] has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.assert_drained();
        for key in self.timers.take_due(now) {
            match key {
                TimerKey::Client(key) => self.time_out_client(key, now),
                TimerKey::Server(key) => self.time_out_server(key, now),
                TimerKey::Session(key) => {
                    self.with_session(key, now, |session, _, out| session.handle_timeout(now, out));
                }
                TimerKey::Registration(key) => self.time_out_registration(key, now),
                TimerKey::Registrar(domain) => self.expire_bindings(domain, now),
                TimerKey::Connection(flow) => {
                    match self.connections.handle_timeout(flow, now) {
                        Due::Nothing => {}
                        Due::Ping => self.outputs.push_back(Output::Send {
                            flow,
                            bytes: Bytes::from_static(PING),
                        }),
                        Due::Close => self.close(flow),
                    }
                    self.arm_connection(flow);
                }
            }
        }
        self.settle(now);
    }

    /// What the shell must do next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Endpoint::handle_timeout`] has work.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.timers.next_deadline()
    }

    /// Sessions there are.
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// Dialogs there are, early ones too.
    pub fn dialogs(&self) -> usize {
        self.sessions.dialogs()
    }

    /// Transactions there are, both kinds.
    pub fn transactions(&self) -> usize {
        self.clients.len() + self.servers.len()
    }

    /// Owners of deadlines that are armed.
    pub fn timers(&self) -> usize {
        self.timers.len()
    }

    /// Contacts registered here.
    pub fn bindings(&self) -> usize {
        self.domains.bindings_len()
    }

    /// Connections there are, also those that are being opened.
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// Sources whose messages are counted now.
    pub fn sources(&self) -> usize {
        self.sources.len()
    }

    fn handle_message(&mut self, flow: Flow, bytes: &Bytes, now: Instant) {
        if self.absorb_ack(bytes, now) {
            return;
        }
        match message::parse(bytes) {
            Ok(Message::Request(request)) => self.handle_request(flow, request, now),
            Ok(Message::Response(response)) => self.handle_response(flow, response, now),
            Err(error) => self.refuse_broken(flow, bytes, &error, now),
        }
    }

    /// Answers a message that the guard refused, when enough of it could be read (docs/threats.md: B12).
    fn refuse_broken(&mut self, flow: Flow, bytes: &[u8], error: &GuardError, now: Instant) {
        self.drop_message(flow.remote, error.label());
        let tag = self.rng.token(TOKEN_LETTERS);
        if let Some(mut response) = message::refusal(bytes, error, &tag) {
            response.headers.stamp_source(flow.remote);
            let bytes = response.to_bytes();
            self.transmit(flow, bytes, now);
        }
    }

    fn is_allowed(&self, remote: SocketAddr) -> bool {
        self.allowed.iter().any(|network| network.contains(remote.ip()))
    }

    fn drop_message(&mut self, remote: SocketAddr, why: &'static str) {
        self.outputs.push_back(Output::Dropped { remote, why });
    }

    /// Sends bytes, opening a connection when there is none.
    fn transmit(&mut self, flow: Flow, bytes: Bytes, now: Instant) {
        match flow.transport {
            Transport::Udp => self.outputs.push_back(Output::Send { flow, bytes }),
            Transport::Tcp | Transport::Tls => match self.connections.send(flow, bytes, now) {
                Sending::Now(bytes) => self.outputs.push_back(Output::Send { flow, bytes }),
                Sending::Queued => {}
                Sending::Connect => {
                    self.outputs.push_back(Output::Connect { flow });
                    self.arm_connection(flow);
                }
                Sending::Refused => {
                    self.drop_message(flow.remote, "connections_full");
                    self.failed.push(flow);
                }
            },
        }
    }

    fn close(&mut self, flow: Flow) {
        if self.connections.remove(flow) {
            self.outputs.push_back(Output::Disconnect { flow });
            self.failed.push(flow);
        }
        self.arm_connection(flow);
    }

    /// Tells the users of flows that failed. Each failure ends transactions, so this comes to rest.
    fn settle(&mut self, now: Instant) {
        while let Some(flow) = self.failed.pop() {
            self.lose_bindings(flow);
            for key in self.clients.on_flow(flow) {
                self.fail_client(key, now);
            }
            self.lose_registrations(flow, now);
        }
    }

    fn arm_connection(&mut self, flow: Flow) {
        self.timers
            .arm(TimerKey::Connection(flow), self.connections.deadline(&flow));
    }

    fn number_transaction(&mut self) -> TransactionKey {
        self.transactions_numbered += 1;
        TransactionKey(self.transactions_numbered)
    }

    /// The number the next transaction will have.
    fn next_transaction(&self) -> TransactionKey {
        TransactionKey(self.transactions_numbered + 1)
    }

    fn assert_drained(&self) {
        debug_assert!(
            self.outputs.is_empty(),
            "drain poll_output() before the next input"
        );
    }
}
