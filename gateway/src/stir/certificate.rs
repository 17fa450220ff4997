//! Certificates: which are trusted, which belong to a URL, and which numbers they may sign for (RFC 8226).
//!
//! Chains are checked by `webpki`, the one that TLS uses. Fetches nothing; knows no token.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use super::der;

/// Longest file of certificates, bytes. docs/threats.md: B28.
pub const CERTIFICATE_BYTES_MAX: usize = 16 * 1024;
/// Most certificates of one chain.
const CHAIN_MAX: usize = 6;
/// id-pe-TNAuthList, 1.3.6.1.5.5.7.1.26 (RFC 8226 §9).
const TN_AUTH_LIST: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x01, 0x1a];

/// Anchors, and the certificates known beforehand by the URL that tokens name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    anchors: Vec<CertificateDer<'static>>,
    chains: BTreeMap<String, Chain>,
}

/// The certificate of a signer, then those above it; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    certificates: Arc<[CertificateDer<'static>]>,
}

impl Chain {
    /// Reads PEM of at most [`CERTIFICATE_BYTES_MAX`] (RFC 7515 §4.1.5).
    pub fn read(pem: &[u8]) -> Result<Chain, CertificateError> {
        if pem.len() > CERTIFICATE_BYTES_MAX {
            return Err(CertificateError::TooLong);
        }
        let certificates = certificates(pem, CHAIN_MAX)?;
        if certificates
            .first()
            .is_none_or(|first| EndEntityCert::try_from(first).is_err())
        {
            return Err(CertificateError::Unreadable);
        }
        Ok(Chain {
            certificates: certificates.into(),
        })
    }

    /// The signer's.
    pub(super) fn signer(&self) -> Option<&CertificateDer<'static>> {
        self.certificates.first()
    }
}

/// Why certificates cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Not PEM, or none in it.
    #[error("holds no certificate in PEM")]
    NoCertificate,
    /// Too long.
    #[error("is longer than {CERTIFICATE_BYTES_MAX} bytes")]
    TooLong,
    /// A certificate that cannot be used as what it should be.
    #[error("holds a certificate that cannot be read")]
    Unreadable,
}

impl Trust {
    /// Adds the anchors of a PEM file.
    pub fn add_anchors(&mut self, pem: &[u8]) -> Result<(), CertificateError> {
        let anchors = certificates(pem, usize::MAX)?;
        if anchors
            .iter()
            .any(|anchor| anchor_from_trusted_cert(anchor).is_err())
        {
            return Err(CertificateError::Unreadable);
        }
        self.anchors.extend(anchors);
        Ok(())
    }

    /// Adds the certificate of a URL, the signer's first, then those above it.
    pub fn add_chain(&mut self, x5u: &str, pem: &[u8]) -> Result<(), CertificateError> {
        self.chains.insert(place(x5u), Chain::read(pem)?);
        Ok(())
    }

    /// How many URLs have their certificate here.
    pub fn chains(&self) -> usize {
        self.chains.len()
    }

    /// The certificates of a URL.
    pub(super) fn chain(&self, x5u: &str) -> Option<&Chain> {
        self.chains.get(&place(x5u))
    }

    /// Whether a chain ends at an anchor and every certificate of it is valid at that time.
    pub(super) fn is_trusted(&self, chain: &Chain, now_s: u64) -> bool {
        let Some((first, above)) = chain.certificates.split_first() else {
            return false;
        };
        let Ok(signer) = EndEntityCert::try_from(first) else {
            return false;
        };
        let anchors: Vec<_> = self
            .anchors
            .iter()
            .filter_map(|anchor| anchor_from_trusted_cert(anchor).ok())
            .collect();
        let algorithms = [webpki::ring::ECDSA_P256_SHA256, webpki::ring::ECDSA_P384_SHA384];
        let time = UnixTime::since_unix_epoch(Duration::from_secs(now_s));
        // RFC 8226 names no extended key usage: most certificates have none, which fits any.
        let usage = KeyUsage::client_auth();
        signer
            .verify_for_usage(&algorithms, &anchors, above, time, usage, None, None)
            .is_ok()
    }
}

fn certificates(
    pem: &[u8],
    certificates_max: usize,
) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem)
        .take(certificates_max)
        .collect();
    match read {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) | Err(_) => Err(CertificateError::NoCertificate),
    }
}

/// A URL as it is looked up: scheme and host without case (RFC 3986 §6.2.2.1).
fn place(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let end = rest.find('/').unwrap_or(rest.len());
    let (host, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
    format!(
        "{}://{}{path}",
        scheme.to_ascii_lowercase(),
        host.to_ascii_lowercase()
    )
}

/// Whether an ES256 signature of 64 bytes over `signed` is the certificate's.
pub(super) fn is_signed_by(certificate: &CertificateDer<'_>, signed: &[u8], signature: &[u8]) -> bool {
    let (Ok(certificate), Ok(signature)) = (
        EndEntityCert::try_from(certificate),
        p256::ecdsa::Signature::from_slice(signature),
    ) else {
        return false;
    };
    let signature = signature.to_der();
    certificate
        .verify_signature(webpki::ring::ECDSA_P256_SHA256, signed, signature.as_bytes())
        .is_ok()
}

/// Whether a certificate may sign for a number: it has no TNAuthList, or one that names the number, a range
/// around it, or a service provider, whose numbers its authority has judged (RFC 8226 §9).
pub(super) fn may_sign_for(certificate: &CertificateDer<'_>, number: &str) -> bool {
    let Some(list) = der::extension(certificate, TN_AUTH_LIST) else {
        return true;
    };
    let Some((list, _)) = der::element(list).filter(|(list, _)| list.tag == der::SEQUENCE) else {
        return false;
    };
    der::elements(list.content).any(|entry| match entry.tag & 0x1f {
        0 => true,
        1 => is_in_range(entry.content, number),
        2 => ia5(&entry) == number.as_bytes(),
        _ => false,
    })
}

/// `{start, count}`, tagged explicitly or not.
fn is_in_range(content: &[u8], number: &str) -> bool {
    let inner = der::element(content).filter(|(inner, _)| inner.tag == der::SEQUENCE);
    let mut parts = der::elements(inner.map_or(content, |(inner, _)| inner.content));
    let (Some(start), Some(count)) = (parts.next(), parts.next()) else {
        return false;
    };
    let digits = |text: &[u8]| std::str::from_utf8(text).ok()?.parse::<u64>().ok();
    let count = count.content.iter().try_fold(0_u64, |sum, octet| {
        sum.checked_mul(256)?.checked_add(u64::from(*octet))
    });
    let (Some(first), Some(wanted), Some(count)) = (digits(start.content), digits(number.as_bytes()), count)
    else {
        return false;
    };
    start.tag == der::IA5_STRING
        && start.content.len() == number.len()
        && wanted.checked_sub(first).is_some_and(|offset| offset < count)
}

/// The text of an entry, tagged explicitly or not.
fn ia5<'a>(entry: &der::Element<'a>) -> &'a [u8] {
    match der::element(entry.content) {
        Some((inner, _)) if inner.tag == der::IA5_STRING => inner.content,
        Some(_) | None => entry.content,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stir::testing::{Authority, tn_auth_list};

    const NOW_S: u64 = 1_795_000_000;

    #[test]
    fn chains_end_at_an_anchor_or_are_not_trusted() {
        let (ours, theirs) = (Authority::new(), Authority::new());
        let leaf = ours.issue(None);
        let mut trust = Trust::default();
        trust.add_anchors(ours.pem().as_bytes()).unwrap();
        trust
            .add_chain("HTTPS://Cert.Example.org/A.pem", leaf.pem().as_bytes())
            .unwrap();
        let chain = trust.chain("https://cert.example.org/A.pem").unwrap();
        assert!(trust.is_trusted(chain, NOW_S));
        assert!(
            trust.chain("https://cert.example.org/a.pem").is_none(),
            "paths have case"
        );
        assert!(!trust.is_trusted(chain, 1), "not valid yet");
        assert!(!trust.is_trusted(chain, 99_999_999_999), "expired");
        let mut other = Trust::default();
        other.add_anchors(theirs.pem().as_bytes()).unwrap();
        assert!(!other.is_trusted(chain, NOW_S));
        assert!(!Trust::default().is_trusted(chain, NOW_S));
    }

    #[test]
    fn what_holds_no_certificate_is_refused() {
        let mut trust = Trust::default();
        assert_eq!(
            trust.add_anchors(b"nothing"),
            Err(CertificateError::NoCertificate)
        );
        let empty = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert_eq!(trust.add_anchors(empty), Err(CertificateError::Unreadable));
        assert_eq!(
            trust.add_chain("https://x", empty),
            Err(CertificateError::Unreadable)
        );
        let long = vec![b' '; CERTIFICATE_BYTES_MAX + 1];
        assert_eq!(
            trust.add_chain("https://x", &long),
            Err(CertificateError::TooLong)
        );
    }

    #[test]
    fn a_list_of_numbers_bounds_what_may_be_signed() {
        let authority = Authority::new();
        let of = |list: Option<Vec<u8>>| authority.issue(list).der();
        assert!(may_sign_for(&of(None), "4930123456"));
        let one = of(Some(tn_auth_list(&[("one", "4930123456")])));
        assert!(may_sign_for(&one, "4930123456") && !may_sign_for(&one, "4930123457"));
        let range = of(Some(tn_auth_list(&[("range", "4930123400")])));
        for (number, fits) in [
            ("4930123400", true),
            ("4930123499", true),
            ("4930123500", false),
            ("493012340", false),
        ] {
            assert_eq!(may_sign_for(&range, number), fits, "{number}");
        }
        let provider = of(Some(tn_auth_list(&[("one", "1"), ("spc", "709J")])));
        assert!(may_sign_for(&provider, "4930123456"));
        assert!(
            !may_sign_for(&of(Some(vec![0x30, 0x00])), "4930123456"),
            "an empty list allows nothing"
        );
        assert!(!may_sign_for(&of(Some(vec![0xff])), "4930123456"));
    }
}
