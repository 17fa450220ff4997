//! rustls' configurations, made of what the files hold: one a trunk and side.
//!
//! Sessions are not resumed: a certificate is looked at on every connection, so that one that is taken away
//! opens none any more. Knows nothing of sockets.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::{DnsName, ServerName};
use rustls::server::NoServerSessionStorage;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, ServerConfig, SupportedProtocolVersion, version};

use super::material::Material;
use super::verifier::{Chain, Clients, Servers};
use crate::certificate::provider;
use crate::config::{Config, SipTls, TlsVersion, Transport, Trunk, TrunkTls};

/// Both sides of every trunk, in their order.
#[derive(Debug, Default)]
pub struct Sides {
    trunks: Vec<Side>,
}

#[derive(Debug)]
struct Side {
    server: Arc<ServerConfig>,
    client: ClientConfig,
    /// The CAs of servers.
    chain: Chain,
}

impl Sides {
    /// Of everything that was read; a trunk for which something is missing has none.
    pub fn new(config: &Config, material: &Material) -> Result<Sides, rustls::Error> {
        let Some(listeners) = &config.sip.tls else {
            return Ok(Sides::default());
        };
        let missing = || rustls::Error::General("a certificate was not read".to_owned());
        let mut trunks = Vec::with_capacity(config.trunks.len());
        for trunk in &config.trunks {
            let of_peers = material.roots(trunk.tls.as_ref().and_then(|tls| tls.ca.as_ref()));
            let chain = Chain::new(of_peers.ok_or_else(missing)?);
            trunks.push(Side {
                server: server(listeners, trunk, material).ok_or_else(missing)??,
                client: client(trunk.tls.as_ref(), &chain, material).ok_or_else(missing)??,
                chain,
            });
        }
        Ok(Sides { trunks })
    }

    /// For a peer that connects from there; none: no trunk lists the address.
    pub fn server(&self, config: &Config, source: IpAddr) -> Option<Arc<ServerConfig>> {
        // Trunks that share a source have the same CAs and versions; which of them it is the name tells later.
        let index = config.trunks_around(source).first().copied()?;
        self.trunks.get(index).map(|side| Arc::clone(&side.server))
    }

    /// For a connection to there, with the name to ask for. `dialling` is the trunk that wants it; without
    /// one, whichever has a peer there or else lists the address.
    pub fn client(
        &self,
        config: &Config,
        remote: SocketAddr,
        dialling: Option<usize>,
    ) -> Option<(ClientConfig, ServerName<'static>)> {
        let trunks = match dialling {
            Some(index) => vec![index],
            None => trunks_at(config, remote),
        };
        let side = self.trunks.get(*trunks.first()?)?;
        let name_of = |index: &usize| config.trunks.get(*index)?.tls.as_ref()?.name.clone();
        let mut names: Vec<String> = trunks.iter().filter_map(name_of).collect();
        if names.is_empty() {
            names.push(remote.ip().to_canonical().to_string());
        }
        // Only a domain may be asked for (RFC 6066 §3).
        let domain = names
            .first()
            .and_then(|name| DnsName::try_from(name.clone()).ok());
        let asked = domain.map_or(ServerName::IpAddress(remote.ip().into()), ServerName::DnsName);
        let mut client = side.client.clone();
        let servers = Servers::new(side.chain.clone(), names);
        client.dangerous().set_certificate_verifier(Arc::new(servers));
        Some((client, asked))
    }
}

fn trunks_at(config: &Config, remote: SocketAddr) -> Vec<usize> {
    let has_peer = |trunk: &Trunk| {
        let mut hosts = trunk.hosts.iter();
        hosts.any(|host| host.literal() == Some((Transport::Tls, remote)))
    };
    let dialled: Vec<usize> = (0..config.trunks.len())
        .filter(|index| config.trunks.get(*index).is_some_and(has_peer))
        .collect();
    if dialled.is_empty() {
        config.trunks_around(remote.ip())
    } else {
        dialled
    }
}

/// None: a file was not read.
fn server(
    listeners: &SipTls,
    trunk: &Trunk,
    material: &Material,
) -> Option<Result<Arc<ServerConfig>, rustls::Error>> {
    let identity = material.identity(&listeners.identity)?;
    let min = trunk
        .tls
        .as_ref()
        .map_or(listeners.min, |tls| tls.min.max(listeners.min));
    let of_clients = trunk
        .tls
        .as_ref()
        .and_then(|tls| tls.ca.as_ref())
        .or(listeners.ca.as_ref());
    let is_asked = listeners.require_client_cert || trunk.is_known_by_certificate();
    let roots = if is_asked {
        Some(material.roots(of_clients)?)
    } else {
        None
    };
    let build = || {
        let builder =
            ServerConfig::builder_with_provider(provider()).with_protocol_versions(versions(min))?;
        let builder = match roots {
            Some(roots) => builder.with_client_cert_verifier(Arc::new(Clients::new(Chain::new(roots)))),
            None => builder.with_no_client_auth(),
        };
        let mut server = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(identity)));
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        Ok(Arc::new(server))
    };
    Some(build())
}

/// None: a file was not read. The names of the server are set for each connection.
fn client(
    tls: Option<&TrunkTls>,
    chain: &Chain,
    material: &Material,
) -> Option<Result<ClientConfig, rustls::Error>> {
    let identity = match tls.and_then(|tls| tls.identity.as_ref()) {
        Some(files) => Some(material.identity(files)?),
        None => None,
    };
    let min = tls.map(|tls| tls.min).unwrap_or_default();
    let build = || {
        let nobody: Arc<dyn ServerCertVerifier> = Arc::new(Servers::new(chain.clone(), Vec::new()));
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(versions(min))?
            .dangerous()
            .with_custom_certificate_verifier(nobody);
        let mut client = match identity {
            Some(identity) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity))),
            None => builder.with_no_client_auth(),
        };
        client.resumption = Resumption::disabled();
        Ok(client)
    };
    Some(build())
}

fn versions(min: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    match min {
        TlsVersion::V12 => &FROM_12,
        TlsVersion::V13 => &FROM_13,
    }
}

static FROM_12: [&SupportedProtocolVersion; 2] = [&version::TLS13, &version::TLS12];
static FROM_13: [&SupportedProtocolVersion; 1] = [&version::TLS13];
