//! TLS as the gateway uses it: which files, and what a peer must show.
//!
//! Values. Knows nothing of sockets or of what stands in the files.

use std::net::IpAddr;
use std::path::PathBuf;

pub use super::file::tls::TlsVersion;
use super::{Config, Trunk};

/// A certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct IdentityFiles {
    /// PEM: our certificate, then its chain.
    pub cert: PathBuf,
    /// PEM: its key.
    pub key: PathBuf,
}

/// What TLS listeners show and ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SipTls {
    /// What they show.
    pub identity: IdentityFiles,
    /// CAs of client certificates.
    pub ca: Option<PathBuf>,
    /// Whether every peer must show one.
    pub require_client_cert: bool,
    /// Oldest version taken.
    pub min: TlsVersion,
}

/// TLS towards the peers of a trunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrunkTls {
    /// CAs of the peer's certificates; none: the system's.
    pub ca: Option<PathBuf>,
    /// What we show where we connect.
    pub identity: Option<IdentityFiles>,
    /// The name the peer's certificate must show, lower case; none: the host it is dialled at.
    pub name: Option<String>,
    /// Oldest version taken.
    pub min: TlsVersion,
    /// Whether a peer is only taken for this trunk's by a certificate.
    pub is_known_by_certificate: bool,
}

/// What a source has shown of itself beside its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown<'a> {
    /// Nothing: it speaks UDP or TCP.
    Clear,
    /// TLS, and no certificate.
    NoCertificate,
    /// TLS, and a certificate with these names.
    Names(&'a [String]),
}

/// Whose a source is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Known<'a> {
    /// That trunk's.
    Trunk(&'a Trunk),
    /// Inside the `allow` of a trunk that knows its peers by a certificate, and without a fitting one.
    Unfit,
    /// Inside no `allow`.
    Unlisted,
}

impl Config {
    /// The trunk of a source: of the trunks with the longest `allow` prefix around it, the one that what it has
    /// shown fits. A shorter prefix never takes what a longer one has turned away.
    pub fn known(&self, source: IpAddr, shown: Shown<'_>) -> Known<'_> {
        let around = self.trunks_around(source);
        if around.is_empty() {
            return Known::Unlisted;
        }
        let mut trunks = around.iter().filter_map(|index| self.trunks.get(*index));
        let found = trunks.find(|trunk| trunk.fits(shown));
        found.map_or(Known::Unfit, Known::Trunk)
    }

    /// The trunks with the longest `allow` prefix around a source, by index: one, or several that certificates
    /// tell apart.
    pub fn trunks_around(&self, source: IpAddr) -> Vec<usize> {
        let prefixes = || self.trunks.iter().map(|trunk| trunk.prefix_around(source));
        let Some(longest) = prefixes().flatten().max() else {
            return Vec::new();
        };
        let with_index = prefixes().enumerate();
        with_index
            .filter(|(_, prefix)| *prefix == Some(longest))
            .map(|(index, _)| index)
            .collect()
    }

    /// Whether any trunk knows its peers by a certificate.
    pub fn has_certificates(&self) -> bool {
        self.trunks.iter().any(Trunk::is_known_by_certificate)
    }
}

impl Trunk {
    /// Whether a peer is only taken for this trunk's by a certificate.
    pub fn is_known_by_certificate(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.is_known_by_certificate)
    }

    fn fits(&self, shown: Shown<'_>) -> bool {
        match shown {
            Shown::Clear | Shown::NoCertificate => !self.is_known_by_certificate(),
            Shown::Names(names) => self.takes_names(names),
        }
    }

    /// Whether a certificate with these names is one of this trunk's peers'.
    pub fn takes_names(&self, names: &[String]) -> bool {
        let wanted = self.tls.as_ref().and_then(|tls| tls.name.as_ref());
        wanted.is_none_or(|wanted| names.contains(wanted))
    }

    fn prefix_around(&self, source: IpAddr) -> Option<u8> {
        let around = self.allow.iter().filter(|network| network.contains(source));
        around.map(|network| network.prefix).max()
    }
}
