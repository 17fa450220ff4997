//! An authority and signers of its own making, for tests.

use rcgen::{BasicConstraints, CertificateParams, CustomExtension, IsCa, Issuer, KeyPair};
use rustls_pki_types::CertificateDer;

use super::{Attest, Signer};

/// A certificate authority.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate of a signer, with its key.
pub(crate) struct Leaf {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Authority {
    pub(crate) fn new() -> Authority {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        Authority {
            pem: certificate.pem(),
            issuer: Issuer::new(params, key),
        }
    }

    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// A signer's certificate, with this TNAuthList.
    pub(crate) fn issue(&self, list: Option<Vec<u8>>) -> Leaf {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        let oid = [1, 3, 6, 1, 5, 5, 7, 1, 26];
        let extension = list.map(|list| CustomExtension::from_oid_content(&oid, list));
        params.custom_extensions.extend(extension);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Leaf { certificate, key }
    }
}

impl Leaf {
    pub(crate) fn pem(&self) -> String {
        self.certificate.pem()
    }

    pub(crate) fn der(&self) -> CertificateDer<'static> {
        self.certificate.der().clone()
    }

    pub(crate) fn signer(&self, x5u: &str, attest: Attest) -> Signer {
        Signer::new(&self.key.serialize_pem(), x5u, attest).unwrap()
    }
}

/// DER of a TNAuthList; a range has a hundred numbers.
pub(crate) fn tn_auth_list(entries: &[(&str, &str)]) -> Vec<u8> {
    let element = |tag: u8, content: &[u8]| [&[tag, u8::try_from(content.len()).unwrap()], content].concat();
    let entries = entries.iter().map(|(kind, text)| {
        let text = element(0x16, text.as_bytes());
        match *kind {
            "spc" => element(0xa0, &text),
            "range" => element(0xa1, &element(0x30, &[text, element(0x02, &[100])].concat())),
            _ => element(0xa2, &text),
        }
    });
    element(0x30, &entries.collect::<Vec<_>>().concat())
}
