//! Whose certificates are taken: a chain to one of our CAs, and for a server a name that was dialled.
//!
//! One rule for both directions, as SIP peers are clients and servers of each other. Knows nothing of trunks.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
};
use webpki::{EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeId, KeyPurposeIdIter};

use crate::certificate::names;

/// Checks chains against a list of CAs.
#[derive(Clone, Debug)]
pub struct Chain {
    roots: Arc<RootCertStore>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Chain {
    /// Against these CAs.
    pub fn new(roots: Arc<RootCertStore>) -> Chain {
        let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms;
        Chain { roots, algorithms }
    }

    fn verify(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let certificate = EndEntityCert::try_from(certificate).map_err(refused)?;
        let (algorithms, anchors) = (self.algorithms.all, &self.roots.roots);
        certificate
            .verify_for_usage(algorithms, anchors, others, now, SipUsage, None, None)
            .map(|_| ())
            .map_err(refused)
    }
}

/// Verifies servers that we connect to.
#[derive(Debug)]
pub struct Servers {
    chain: Chain,
    names: Vec<String>,
}

impl Servers {
    /// Whose certificate must show one of these names, which are domains in lower case, or addresses.
    pub fn new(chain: Chain, names: Vec<String>) -> Servers {
        Servers { chain, names }
    }
}

impl ServerCertVerifier for Servers {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.chain.verify(end_entity, intermediates, now)?;
        let addresses: Vec<IpAddr> = self.names.iter().filter_map(|name| name.parse().ok()).collect();
        let shown = names::identities(end_entity, &addresses).map_err(refused)?;
        if self.names.iter().any(|name| shown.contains(name)) {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::NotValidForName.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.chain.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.chain.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.algorithms.supported_schemes()
    }
}

/// Verifies clients that connect to us; each must show a certificate. Whose it is the core decides.
#[derive(Debug)]
pub struct Clients {
    chain: Chain,
    hints: Vec<DistinguishedName>,
}

/// CAs named to a client at most; the system's list would fill the handshake.
const HINTS_MAX: usize = 16;

impl Clients {
    /// Whose certificate must come from these CAs.
    pub fn new(chain: Chain) -> Clients {
        let hints = chain.roots.subjects();
        let hints = if hints.len() > HINTS_MAX {
            Vec::new()
        } else {
            hints
        };
        Clients { chain, hints }
    }
}

impl ClientCertVerifier for Clients {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.chain.verify(end_entity, intermediates, now)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.chain.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.chain.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.algorithms.supported_schemes()
    }
}

/// What a SIP host's certificate may be made for: servers, clients, SIP domains (RFC 5924) or anything. Public
/// CAs sign for servers only, and a host that is dialled also dials, so a client is not asked for more.
struct SipUsage;

/// The tails of these usages, DER without tag and length.
const USAGES: [&[u8]; 4] = [
    // id-kp-serverAuth, 1.3.6.1.5.5.7.3.1
    &[0x2b, 6, 1, 5, 5, 7, 3, 1],
    // id-kp-clientAuth, 1.3.6.1.5.5.7.3.2
    &[0x2b, 6, 1, 5, 5, 7, 3, 2],
    // id-kp-sipDomain, 1.3.6.1.5.5.7.3.20
    &[0x2b, 6, 1, 5, 5, 7, 3, 20],
    // anyExtendedKeyUsage, 2.5.29.37.0
    &[0x55, 29, 37, 0],
];

impl ExtendedKeyUsageValidator for SipUsage {
    fn validate(&self, usages: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        let mut is_limited = false;
        for usage in usages {
            let usage = usage?;
            is_limited = true;
            if USAGES.iter().any(|known| KeyPurposeId::new(known) == usage) {
                return Ok(());
            }
        }
        if is_limited {
            Err(webpki::Error::ExtensionValueInvalid)
        } else {
            Ok(())
        }
    }
}

/// The reason as rustls tells it to the peer.
fn refused(error: webpki::Error) -> Error {
    let error = match error {
        webpki::Error::CertExpired { .. } => CertificateError::Expired,
        webpki::Error::CertNotValidYet { .. } => CertificateError::NotValidYet,
        webpki::Error::UnknownIssuer | webpki::Error::CaUsedAsEndEntity => CertificateError::UnknownIssuer,
        webpki::Error::ExtensionValueInvalid => CertificateError::InvalidPurpose,
        _ => CertificateError::BadEncoding,
    };
    error.into()
}
