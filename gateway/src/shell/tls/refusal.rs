//! Why a handshake came to nothing: the words of the metric.
//!
//! Knows nothing of counters.

use std::io;

use rustls::{CertificateError, Error, PeerIncompatible};

/// No trunk lists the address.
pub const UNLISTED: &str = "unlisted_source";
/// The handshake took too long.
pub const TIMEOUT: &str = "timeout";
/// The peer went away in the middle of it.
pub const CLOSED: &str = "closed";
/// The certificate comes from none of our CAs, or is its own.
pub const UNKNOWN_CA: &str = "unknown_ca";
/// The certificate's time is over, or has not come.
pub const EXPIRED: &str = "expired";
/// The certificate shows another name.
pub const WRONG_NAME: &str = "wrong_name";
/// The certificate cannot be used otherwise.
pub const BAD_CERTIFICATE: &str = "bad_certificate";
/// The peer had to show a certificate and did not.
pub const NO_CERTIFICATE: &str = "no_certificate";
/// No version in common.
pub const VERSION: &str = "version";
/// No cipher or the like in common.
pub const INCOMPATIBLE: &str = "incompatible";
/// The peer refused us.
pub const BY_PEER: &str = "by_peer";
/// What came is not TLS.
pub const MALFORMED: &str = "malformed";
/// No TLS is set up.
pub const NOT_SET_UP: &str = "not_set_up";

/// The word for the error of a handshake.
pub fn word(error: &io::Error) -> &'static str {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(Error::InvalidCertificate(error)) => certificate(error),
        Some(Error::NoCertificatesPresented) => NO_CERTIFICATE,
        Some(Error::PeerIncompatible(error)) => incompatible(error),
        Some(Error::AlertReceived(_)) => BY_PEER,
        Some(_) => MALFORMED,
        None => CLOSED,
    }
}

fn certificate(error: &CertificateError) -> &'static str {
    match error {
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => EXPIRED,
        CertificateError::UnknownIssuer => UNKNOWN_CA,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => WRONG_NAME,
        _ => BAD_CERTIFICATE,
    }
}

fn incompatible(error: &PeerIncompatible) -> &'static str {
    match error {
        PeerIncompatible::ServerDoesNotSupportTls12Or13
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
        // Only clients older than TLS 1.2 leave it out.
        | PeerIncompatible::SignatureAlgorithmsExtensionRequired
        | PeerIncompatible::SupportedVersionsExtensionRequired
        | PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled
        | PeerIncompatible::Tls13RequiredForQuic => VERSION,
        _ => INCOMPATIBLE,
    }
}
