//! Binds what the configuration names, before anything else runs.
//!
//! Where a port was 0 the configuration gets the real one, so that nobody past this point sees a 0.

use std::net::{SocketAddr, TcpListener as StdTcpListener, UdpSocket as StdUdpSocket};

use sip::endpoint::{EndpointConfig, Limits, Listener, Transport};
use tokio::net::TcpListener;

use super::StartError;
use crate::config::{Config, Http, Listen};
use crate::shell::tls::Tls;
use crate::shell::{tcp, udp};

/// Name and version in User-Agent and Server.
const USER_AGENT: &str = concat!("media-gateway/", env!("CARGO_PKG_VERSION"));

/// Bound sockets, and the configuration with their real addresses.
pub struct Bound {
    /// With real ports.
    pub config: Config,
    /// SIP over UDP.
    pub udp: Vec<StdUdpSocket>,
    /// SIP over TCP, bare or under TLS.
    pub tcp: Vec<(StdTcpListener, Transport)>,
    /// Certificates.
    pub tls: Tls,
    /// What the endpoint is told of them.
    pub endpoint: EndpointConfig,
    /// All of them.
    pub listeners: Vec<Listen>,
}

impl Bound {
    /// Binds all SIP listeners and tries the media addresses.
    pub fn bind(mut config: Config) -> Result<Bound, StartError> {
        let (mut udp_sockets, mut tcp_listeners, mut listeners) = (Vec::new(), Vec::new(), Vec::new());
        for listen in config.sip.listen.clone() {
            let failed = |source| StartError::Listen { listen, source };
            let addr = match listen.transport {
                Transport::Udp => {
                    let socket = udp::bind(listen.addr).map_err(failed)?;
                    let addr = socket.local_addr().map_err(failed)?;
                    udp_sockets.push(socket);
                    addr
                }
                Transport::Tcp | Transport::Tls => {
                    let listener = tcp::bind(listen.addr).map_err(failed)?;
                    let addr = listener.local_addr().map_err(failed)?;
                    tcp_listeners.push((listener, listen.transport));
                    addr
                }
            };
            let real = Listen { addr, ..listen };
            for trunk in config.trunks.iter_mut().filter(|trunk| trunk.listen == listen) {
                trunk.listen = real;
            }
            listeners.push(real);
        }
        config.sip.listen.clone_from(&listeners);
        for &address in &config.media.addresses {
            StdUdpSocket::bind((address, 0)).map_err(|source| StartError::Media { address, source })?;
        }
        let (tls, endpoint) = (Tls::new(&config)?, endpoint(&config));
        Ok(Bound {
            config,
            udp: udp_sockets,
            tcp: tcp_listeners,
            tls,
            endpoint,
            listeners,
        })
    }
}

/// What the endpoint says of each listener in Via and Contact.
fn endpoint(config: &Config) -> EndpointConfig {
    let listener = |listen: &Listen| {
        let media = config
            .media
            .addresses
            .iter()
            .find(|address| address.is_ipv4() == listen.addr.is_ipv4());
        let own = if listen.addr.ip().is_unspecified() {
            media.copied()
        } else {
            None
        };
        let ip = own.unwrap_or(listen.addr.ip());
        let host = if ip.is_ipv6() {
            format!("[{ip}]")
        } else {
            ip.to_string()
        };
        Listener {
            transport: listen.transport,
            local: listen.addr,
            host: config.sip.advertise.clone().unwrap_or(host),
            port: listen.addr.port(),
        }
    };
    EndpointConfig {
        listeners: config.sip.listen.iter().map(listener).collect(),
        user_agent: USER_AGENT.to_owned(),
        hop_mark: None,
        limits: Limits::default(),
    }
}

/// Binds the HTTP listener. Runs inside the runtime.
pub fn bind_http(http: Option<Http>) -> Result<Option<TcpListener>, StartError> {
    let Some(Http { listen: address }) = http else {
        return Ok(None);
    };
    let bind = |address: SocketAddr| TcpListener::from_std(tcp::bind(address)?);
    bind(address)
        .map(Some)
        .map_err(|source| StartError::Http { address, source })
}
