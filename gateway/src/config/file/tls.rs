//! What `[sip.tls]` and a trunk's `tls` may say.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What TLS listeners show, and what they ask of peers.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SipTls {
    /// PEM file: our certificate, then the chain up to its CA.
    pub cert: String,
    /// PEM file with the key of `cert`, not encrypted.
    pub key: String,
    /// PEM file of the CAs whose client certificates are taken; a trunk's `tls.ca` goes before it.
    pub ca: Option<String>,
    /// Every peer that connects must show a certificate of `ca`; where its trunk sets `tls.name`, with that name.
    #[serde(default)]
    pub require_client_cert: bool,
    /// Oldest version taken; a trunk's `tls.min` may be stricter.
    #[serde(default)]
    pub min: TlsVersion,
}

/// TLS towards the peers of a trunk, and what they must show.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TrunkTls {
    /// PEM file of the CAs its certificates come from. Default: the system's CAs.
    pub ca: Option<String>,
    /// PEM file with the certificate we show where we connect; with it the trunk is mutual: the peer must show
    /// one too where it connects. Needs `key`.
    pub cert: Option<String>,
    /// PEM file with the key of `cert`, not encrypted.
    pub key: Option<String>,
    /// Name the peer's certificate must show: a domain, or an address. No pattern: `*.example.com` is met by a
    /// certificate with exactly that text. Default: the host it is dialled at.
    #[schemars(length(min = 1, max = 253))]
    pub name: Option<String>,
    /// Oldest version taken.
    pub min: TlsVersion,
}

/// A version of TLS.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum TlsVersion {
    /// RFC 5246.
    #[default]
    #[serde(rename = "1.2")]
    V12,
    /// RFC 8446.
    #[serde(rename = "1.3")]
    V13,
}

impl TlsVersion {
    /// The word the file uses.
    pub fn word(self) -> &'static str {
        match self {
            TlsVersion::V12 => "1.2",
            TlsVersion::V13 => "1.3",
        }
    }
}
