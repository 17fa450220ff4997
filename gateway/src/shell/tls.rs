//! TLS (RFC 3261 §26, RFC 5922): certificates, their verification and renewal, and the handshake that turns a
//! TCP connection into a private one.
//!
//! Connections, their table and their limits are those of `tcp`. What a verified name means the core decides.

mod material;
mod refusal;
mod sides;
mod verifier;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use super::clock;
use crate::certificate::{CertificateError, names};
use crate::config::{Config, Trunk};
use crate::engine::trunks::tls_peers::TlsPeer;
pub use material::Look;
use material::Material;
use sides::Sides;

/// How long a handshake may take (docs/threats.md: B27).
pub const HANDSHAKE_WAIT: Duration = Duration::from_secs(5);

/// How often certificate files are looked at; what changed is in use after two looks.
pub const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The TLS of one gateway; clones are the same one.
#[derive(Clone, Debug)]
pub struct Tls {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: Config,
    material: Mutex<Material>,
    sides: Mutex<Arc<Sides>>,
    numbers: Mutex<Numbers>,
    look: Notify,
    /// Addresses that `tls.name` holds, which a certificate may show.
    addresses: Vec<IpAddr>,
}

/// What is counted.
#[derive(Clone, Debug, Default)]
pub struct Numbers {
    /// Handshakes that came to nothing, by reason.
    pub refused: BTreeMap<&'static str, u64>,
    /// Certificate files taken up while running.
    pub renewed: u64,
    /// Certificate files that could not be used, so that the earlier ones stay in use.
    pub failed: u64,
}

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be used.
    #[error(transparent)]
    File(#[from] CertificateError),
    /// A trunk's peers cannot be verified.
    #[error(
        "trunk `{trunk}`: its peers under TLS cannot be verified, as this system lists no CAs; set `tls.ca`"
    )]
    NoRoots {
        /// Which.
        trunk: String,
    },
    /// Servers of certificates cannot be verified.
    #[error("trunk.stir_hosts: no server can be verified, as this system lists no CAs; set `stir.fetch_ca`")]
    NoFetchRoots,
    /// The library takes none of it.
    #[error("{0}")]
    Setup(#[from] rustls::Error),
}

/// A handshake that came to nothing: the word of its metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused(pub &'static str);

impl Tls {
    /// Reads all files.
    pub fn new(config: &Config) -> Result<Tls, TlsError> {
        let material = Material::read(config)?;
        if let Some(trunk) = config.trunks.iter().find(|trunk| !can_verify(trunk, &material)) {
            let trunk = trunk.name.clone();
            return Err(TlsError::NoRoots { trunk });
        }
        let sides = Sides::new(config, &material)?;
        let names = config
            .trunks
            .iter()
            .filter_map(|trunk| trunk.tls.as_ref()?.name.as_ref());
        let addresses = names.filter_map(|name| name.parse().ok()).collect();
        Ok(Tls {
            shared: Arc::new(Shared {
                config: config.clone(),
                material: Mutex::new(material),
                sides: Mutex::new(Arc::new(sides)),
                numbers: Mutex::default(),
                look: Notify::new(),
                addresses,
            }),
        })
    }

    /// The handshake with a peer that connected.
    pub async fn accept(
        &self,
        stream: TcpStream,
        remote: SocketAddr,
    ) -> Result<(TlsStream<TcpStream>, TlsPeer), Refused> {
        let server = self.sides().server(&self.shared.config, remote.ip());
        let accepted = match server {
            Some(server) => timeout(HANDSHAKE_WAIT, TlsAcceptor::from(server).accept(stream)).await,
            None => return Err(self.refuse(remote, refusal::UNLISTED)),
        };
        self.secured(accepted.map(|done| done.map(TlsStream::Server)), remote, true)
    }

    /// The handshake with a peer that we connected to, on behalf of that trunk.
    pub async fn connect(
        &self,
        stream: TcpStream,
        remote: SocketAddr,
        trunk: Option<usize>,
    ) -> Result<(TlsStream<TcpStream>, TlsPeer), Refused> {
        let client = self.sides().client(&self.shared.config, remote, trunk);
        let Some((client, name)) = client else {
            return Err(self.refuse(remote, refusal::NOT_SET_UP));
        };
        let connector = TlsConnector::from(Arc::new(client));
        let connected = timeout(HANDSHAKE_WAIT, connector.connect(name, stream)).await;
        self.secured(connected.map(|done| done.map(TlsStream::Client)), remote, false)
    }

    /// What was counted so far.
    pub fn numbers(&self) -> Numbers {
        self.shared
            .numbers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Has the files looked at without waiting for the next look.
    pub fn look_now(&self) {
        self.shared.look.notify_one();
    }

    /// Looks at the files for ever: at once when told to, else every [`LOOK_EVERY`]. Without files it is done.
    pub async fn keep_looking(self) {
        if self.shared.config.sip.tls.is_none() {
            return;
        }
        loop {
            let look = tokio::select! {
                () = self.shared.look.notified() => Look::AtOnce,
                () = clock::after(LOOK_EVERY) => Look::Settled,
            };
            let tls = self.clone();
            // A disk may be slow.
            let looked = tokio::task::spawn_blocking(move || tls.renew(look)).await;
            if let Err(error) = looked {
                tracing::error!(%error, "certificate files could not be looked at");
            }
        }
    }

    /// Takes up files that have changed, for connections to come; those that are open keep theirs. A file that
    /// cannot be used leaves the earlier one in use.
    pub fn renew(&self, look: Look) {
        let mut material = self
            .shared
            .material
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let outcome = material.renew(look);
        for error in &outcome.failed {
            tracing::warn!("{error}; the certificate read before stays in use");
        }
        let mut numbers = self.shared.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        numbers.failed += outcome.failed.len() as u64;
        if outcome.renewed == 0 {
            return;
        }
        match Sides::new(&self.shared.config, &material) {
            Ok(sides) => {
                numbers.renewed += outcome.renewed as u64;
                *self.shared.sides.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(sides);
                tracing::info!(files = outcome.renewed, "changed certificates are in use");
            }
            Err(error) => {
                numbers.failed += outcome.renewed as u64;
                tracing::warn!(%error, "changed certificates cannot be used; the earlier ones stay in use");
            }
        }
    }

    fn secured(
        &self,
        done: Result<std::io::Result<TlsStream<TcpStream>>, tokio::time::error::Elapsed>,
        remote: SocketAddr,
        is_accepted: bool,
    ) -> Result<(TlsStream<TcpStream>, TlsPeer), Refused> {
        let stream = match done {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(self.refuse(remote, refusal::word(&error))),
            Err(_) => return Err(self.refuse(remote, refusal::TIMEOUT)),
        };
        let names = match stream.get_ref().1.peer_certificates().and_then(<[_]>::first) {
            Some(certificate) => match self.names(certificate, remote.ip()) {
                Some(names) => Some(names),
                None => return Err(self.refuse(remote, refusal::BAD_CERTIFICATE)),
            },
            None => None,
        };
        tracing::debug!(%remote, version = ?stream.get_ref().1.protocol_version(), "a handshake is done");
        Ok((stream, TlsPeer { names, is_accepted }))
    }

    fn names(&self, certificate: &CertificateDer<'_>, remote: IpAddr) -> Option<Vec<String>> {
        let mut addresses = self.shared.addresses.clone();
        addresses.push(remote.to_canonical());
        names::identities(certificate, &addresses).ok()
    }

    fn refuse(&self, remote: SocketAddr, why: &'static str) -> Refused {
        tracing::debug!(%remote, why, "a TLS handshake came to nothing");
        let mut numbers = self.shared.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        *numbers.refused.entry(why).or_default() += 1;
        Refused(why)
    }

    fn sides(&self) -> Arc<Sides> {
        Arc::clone(&self.shared.sides.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn can_verify(trunk: &Trunk, material: &Material) -> bool {
    let roots = material.roots(trunk.tls.as_ref().and_then(|tls| tls.ca.as_ref()));
    let has_peers = trunk.hosts.iter().any(|host| host.transport().is_secure());
    !has_peers || roots.is_some_and(|roots| !roots.is_empty())
}

#[cfg(test)]
mod tests;
