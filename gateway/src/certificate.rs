//! Certificates and keys in PEM files, and the names a certificate shows.
//!
//! Reads files; knows nothing of connections or trunks.

pub mod names;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use crate::config::IdentityFiles;

/// Longest file: the CA bundles of Linux distributions have about 250 KiB.
pub const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Which of the files it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A certificate with its chain.
    Cert,
    /// A private key.
    Key,
    /// A list of CAs.
    Ca,
}

/// A file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {fault}", path.display())]
pub struct CertificateError {
    /// Which.
    pub path: PathBuf,
    /// What it should have been.
    pub part: Part,
    /// Why not.
    pub fault: CertificateFault,
}

/// Why a file cannot be used, with the remedy.
#[derive(Debug, thiserror::Error)]
pub enum CertificateFault {
    /// The system does not give it.
    #[error("cannot be read: {0}; check its path and its rights")]
    Unreadable(#[from] io::Error),
    /// It is too long.
    #[error("is longer than {FILE_BYTES_MAX} bytes; write a PEM file")]
    TooLong,
    /// It has no certificate.
    #[error("has no certificate; write a PEM file with `BEGIN CERTIFICATE`")]
    NoCertificate,
    /// A certificate in it is none.
    #[error("has a certificate that cannot be read; write it again from its source")]
    BadCertificate,
    /// It has no key.
    #[error("has no private key; write a PEM file with one, not encrypted")]
    NoKey,
    /// The key's kind is unknown.
    #[error("has a key of another kind; write an ECDSA P-256 or P-384, Ed25519 or RSA key")]
    UnknownKey,
    /// The key is another certificate's.
    #[error("is not the key of the certificate; write the one it was made with")]
    Mismatch,
}

/// The one set of algorithms in use.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Reads a certificate, its chain and its key, and holds them against each other.
pub fn identity(files: &IdentityFiles) -> Result<Arc<CertifiedKey>, CertificateError> {
    let chain = certificates(&files.cert, Part::Cert)?;
    let of_key = |fault| error(&files.key, Part::Key, fault);
    let text = read(&files.key, Part::Key)?;
    let key = PrivateKeyDer::from_pem_slice(&text).map_err(|fault| {
        of_key(match fault {
            pem::Error::NoItemsFound => CertificateFault::NoKey,
            _ => CertificateFault::UnknownKey,
        })
    })?;
    let provider = provider();
    let signing = provider.key_provider.load_private_key(key);
    let signing = signing.map_err(|_| of_key(CertificateFault::UnknownKey))?;
    let certified = CertifiedKey::new(chain, signing);
    match certified.keys_match() {
        Ok(()) => Ok(Arc::new(certified)),
        Err(rustls::Error::InconsistentKeys(_)) => Err(of_key(CertificateFault::Mismatch)),
        Err(_) => Err(error(&files.cert, Part::Cert, CertificateFault::BadCertificate)),
    }
}

/// Reads a list of CAs.
pub fn roots(path: &Path) -> Result<RootCertStore, CertificateError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path, Part::Ca)? {
        let added = roots.add(certificate);
        added.map_err(|_| error(path, Part::Ca, CertificateFault::BadCertificate))?;
    }
    Ok(roots)
}

/// The system's CAs; empty where it has none. `SSL_CERT_FILE` and `SSL_CERT_DIR` say where else to look.
pub fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    // Old and odd ones among them are of no use, and no harm.
    roots.add_parsable_certificates(found.certs);
    roots
}

fn certificates(path: &Path, part: Part) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let text = read(path, part)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let found = found.map_err(|_| error(path, part, CertificateFault::BadCertificate))?;
    if found.is_empty() {
        return Err(error(path, part, CertificateFault::NoCertificate));
    }
    Ok(found)
}

fn read(path: &Path, part: Part) -> Result<Vec<u8>, CertificateError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes));
    let length = read.map_err(|source| error(path, part, source.into()))?;
    if length as u64 > FILE_BYTES_MAX {
        return Err(error(path, part, CertificateFault::TooLong));
    }
    Ok(bytes)
}

fn error(path: &Path, part: Part, fault: CertificateFault) -> CertificateError {
    CertificateError {
        path: path.to_owned(),
        part,
        fault,
    }
}
