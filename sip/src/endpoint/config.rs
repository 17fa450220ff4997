//! What an endpoint is told once: its listeners, its name, its limits.
//!
//! Knows nothing of configuration files.

use std::net::SocketAddr;
use std::time::Duration;

use super::command::{Flow, Transport};
use crate::message::{Host, Uri, Via, ViaTransport};
use crate::transaction::Reliability;

/// The fixed part of an endpoint.
#[derive(Clone, Debug)]
pub struct EndpointConfig {
    /// Where it listens and what it says of that. At least one.
    pub listeners: Vec<Listener>,
    /// Text of User-Agent and Server.
    pub user_agent: String,
    /// The value of our hop mark; a fresh one from the seed when absent. Instances that could pass a
    /// call in a circle share one.
    pub hop_mark: Option<String>,
    /// How much it may hold.
    pub limits: Limits,
}

/// One listening socket.
#[derive(Clone, Debug)]
pub struct Listener {
    /// UDP, TCP or TLS.
    pub transport: Transport,
    /// Its bound address, as flows name it.
    pub local: SocketAddr,
    /// Host in Via and Contact.
    pub host: String,
    /// Port in Via and Contact.
    pub port: u16,
}

/// Named limits of the tables.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Sessions at once; a further INVITE is told 503.
    pub sessions_max: usize,
    /// Transactions at once; beyond it a request outside a dialog is told 503 without state.
    pub transactions_max: usize,
    /// TCP and TLS connections at once.
    pub connections_max: usize,
}

/// Sessions at once: ten times the calls one instance is sized for.
pub const SESSIONS_MAX: usize = 20_000;
/// Transactions at once. Each lingers up to 64·T1, so this is about 3,000 new ones a second.
pub const TRANSACTIONS_MAX: usize = 100_000;
/// TCP and TLS connections at once: docs/threats.md B13 has 5,000 slow ones that must not shut out the rest.
pub const CONNECTIONS_MAX: usize = 8_192;
/// TCP and TLS connections of one remote address.
pub const CONNECTIONS_PER_ADDRESS_MAX: usize = 256;
/// Messages that wait for one connection to open.
pub const PENDING_PER_CONNECTION_MAX: usize = 256;
/// How long a connection may take to open; half of timer B's default, so that another target has a chance.
pub const CONNECT_WAIT: Duration = Duration::from_secs(10);
/// How long one message may take on a connection (docs/threats.md: B13).
pub const MESSAGE_WAIT: Duration = Duration::from_secs(5);
/// How long a connection may be silent. Ours; NAT bindings for TCP live 2 h 4 min (RFC 5382 §5).
pub const CONNECTION_IDLE: Duration = Duration::from_secs(2 * 3600);
/// How long a connection that we opened may be silent before we ping it. RFC 5626 §4.4.1 lets servers
/// close after 120 s.
pub const PING_IDLE: Duration = Duration::from_secs(30);
/// How long the answer to our ping may take. RFC 5626 §4.4.1.
pub const PONG_WAIT: Duration = Duration::from_secs(10);
/// Retry-After of our own 503. Ours.
pub const RETRY_AFTER_S: u32 = 5;
/// Times one request is sent again with credentials (docs/threats.md: B15).
pub const CREDENTIAL_TRIES_MAX: u8 = 2;
/// Forks of one INVITE whose 2xx is acknowledged.
pub const FORKS_MAX: usize = 16;

impl Default for Limits {
    fn default() -> Self {
        Limits {
            sessions_max: SESSIONS_MAX,
            transactions_max: TRANSACTIONS_MAX,
            connections_max: CONNECTIONS_MAX,
        }
    }
}

impl EndpointConfig {
    /// One listener that says of itself what it is bound to.
    pub fn simple(transport: Transport, local: SocketAddr) -> Self {
        let host = Host::from(local.ip()).to_string();
        EndpointConfig {
            listeners: vec![Listener {
                transport,
                local,
                host,
                port: local.port(),
            }],
            user_agent: "media-gateway".to_owned(),
            hop_mark: None,
            limits: Limits::default(),
        }
    }

    /// The Via of a request on `flow`, under the listener's name or another of ours.
    pub(super) fn via(&self, flow: &Flow, name: Option<&str>, branch: &str) -> Via {
        let transport = match flow.transport {
            Transport::Udp => ViaTransport::Udp,
            Transport::Tcp => ViaTransport::Tcp,
            Transport::Tls => ViaTransport::Tls,
        };
        let (host, port) = self.advertised(flow, name);
        Via::new(transport, host, Some(port), branch)
    }

    /// The URI of Contact on `flow`. Under TLS it is a `sip:` URI too: `sips:` would forbid the peer every
    /// other leg of its way (RFC 5630 §3.1.3).
    pub(super) fn contact(
        &self,
        flow: &Flow,
        name: Option<&str>,
        host: Option<&str>,
        user: Option<&str>,
    ) -> Uri {
        let (advertised, port) = self.advertised(flow, name);
        let chosen = host.and_then(|host| Uri::parse(&format!("sip:{host}")).ok());
        let mut uri = chosen.unwrap_or_else(|| Uri::sip(advertised, Some(port)));
        if let Some(user) = user {
            uri = uri.with_user(user);
        }
        let word = match flow.transport {
            Transport::Udp => return uri,
            Transport::Tcp => "tcp",
            Transport::Tls => "tls",
        };
        uri.clone().with_param("transport", Some(word)).unwrap_or(uri)
    }

    /// Our address for another transport to the same kind of peer.
    pub(super) fn local_for(&self, transport: Transport, remote: SocketAddr) -> Option<SocketAddr> {
        let fits = |one: &&Listener| {
            one.transport == transport && one.local.ip().to_canonical().is_ipv4() == remote.ip().is_ipv4()
        };
        self.listeners.iter().find(fits).map(|listener| listener.local)
    }

    /// True for an address we listen on ourselves.
    pub(super) fn is_own(&self, flow: &Flow) -> bool {
        self.listeners
            .iter()
            .any(|one| one.transport == flow.transport && one.local == flow.remote)
    }

    fn advertised(&self, flow: &Flow, name: Option<&str>) -> (Host, u16) {
        let same = |one: &&Listener| one.transport == flow.transport && one.local == flow.local;
        let own = self.listeners.iter().find(same);
        let name = name.or(own.map(|listener| listener.host.as_str()));
        let host = name.and_then(|name| Host::parse(name).ok());
        (
            host.unwrap_or_else(|| Host::from(flow.local.ip())),
            own.map_or(flow.local.port(), |listener| listener.port),
        )
    }
}

/// How messages on a flow are repeated.
pub(super) fn reliability(flow: &Flow) -> Reliability {
    if flow.transport.is_stream() {
        Reliability::Reliable
    } else {
        Reliability::Unreliable
    }
}
