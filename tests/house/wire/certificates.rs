//! A certificate authority of one test, and both sides of TLS as a peer sees them.

use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};

/// What the gateway's certificate names.
pub const GATEWAY_NAME: &str = "gateway.example";

pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate with its key.
pub struct Identity {
    pub certificate: CertificateDer<'static>,
    pem: String,
    key: KeyPair,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Authority { issuer }
    }

    /// A certificate of domains and addresses.
    pub fn issue(&self, names: &[&str]) -> Identity {
        let mut params = CertificateParams::default();
        let san = |name: &&str| match name.parse() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName((*name).try_into().unwrap()),
        };
        params.subject_alt_names = names.iter().map(san).collect();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Identity {
            certificate: certificate.der().clone(),
            pem: certificate.pem(),
            key,
        }
    }

    pub fn write(&self, path: &Path) {
        std::fs::write(path, self.issuer.pem()).unwrap();
    }

    /// A client that believes this authority alone.
    pub fn client(
        &self,
        shows: Option<&Identity>,
        version: &'static SupportedProtocolVersion,
    ) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots);
        Arc::new(match shows {
            Some(identity) => {
                let chain = vec![identity.certificate.clone()];
                builder
                    .with_client_auth_cert(chain, identity.private_key())
                    .unwrap()
            }
            None => builder.with_no_client_auth(),
        })
    }
}

impl Identity {
    /// As `NAME.pem`, `NAME.key`, and both in `NAME.both`, in that order of time.
    pub fn write(&self, folder: &Path, name: &str) {
        let at = |ending: &str| folder.join(format!("{name}.{ending}"));
        std::fs::write(at("both"), self.pem.clone() + &self.key.serialize_pem()).unwrap();
        std::fs::write(at("pem"), &self.pem).unwrap();
        std::fs::write(at("key"), self.key.serialize_pem()).unwrap();
    }

    /// A server that shows this.
    pub fn server(&self, version: &'static SupportedProtocolVersion) -> Arc<ServerConfig> {
        let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth();
        let chain = vec![self.certificate.clone()];
        Arc::new(builder.with_single_cert(chain, self.private_key()).unwrap())
    }

    fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::try_from(self.key.serialize_der()).unwrap()
    }
}
