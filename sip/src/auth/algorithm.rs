//! The hash of a challenge.

use md5::{Digest, Md5};
use sha2::{Sha256, Sha512_256};

/// A digest algorithm this client computes (RFC 7616 §6.1, RFC 8760 §2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// MD5; what a challenge without algorithm means.
    Md5,
    /// MD5 with the session's own secret.
    Md5Sess,
    /// SHA-256.
    Sha256,
    /// SHA-256 with the session's own secret.
    Sha256Sess,
    /// SHA-512 cut to 256 bits.
    Sha512Of256,
    /// The same with the session's own secret.
    Sha512Of256Sess,
}

const NAMES: [(Algorithm, &str); 6] = [
    (Algorithm::Md5, "MD5"),
    (Algorithm::Md5Sess, "MD5-sess"),
    (Algorithm::Sha256, "SHA-256"),
    (Algorithm::Sha256Sess, "SHA-256-sess"),
    (Algorithm::Sha512Of256, "SHA-512-256"),
    (Algorithm::Sha512Of256Sess, "SHA-512-256-sess"),
];

impl Algorithm {
    /// The algorithm of that name, if it is computed here.
    pub fn parse(text: &str) -> Option<Algorithm> {
        let (algorithm, _) = NAMES
            .into_iter()
            .find(|(_, name)| name.eq_ignore_ascii_case(text))?;
        Some(algorithm)
    }

    /// Its registered name.
    pub fn name(self) -> &'static str {
        NAMES
            .into_iter()
            .find(|(algorithm, _)| *algorithm == self)
            .map_or("", |(_, name)| name)
    }

    /// True for the `-sess` forms.
    pub(super) fn is_session(self) -> bool {
        match self {
            Algorithm::Md5Sess | Algorithm::Sha256Sess | Algorithm::Sha512Of256Sess => true,
            Algorithm::Md5 | Algorithm::Sha256 | Algorithm::Sha512Of256 => false,
        }
    }

    /// True for MD5, which is answered where nothing better is asked (RFC 8760 §1).
    pub(super) fn is_weak(self) -> bool {
        match self {
            Algorithm::Md5 | Algorithm::Md5Sess => true,
            Algorithm::Sha256
            | Algorithm::Sha256Sess
            | Algorithm::Sha512Of256
            | Algorithm::Sha512Of256Sess => false,
        }
    }

    /// The hash of `text` in lower-case hex.
    pub(super) fn hash(self, text: &str) -> String {
        match self {
            Algorithm::Md5 | Algorithm::Md5Sess => hex(&Md5::digest(text)),
            Algorithm::Sha256 | Algorithm::Sha256Sess => hex(&Sha256::digest(text)),
            Algorithm::Sha512Of256 | Algorithm::Sha512Of256Sess => hex(&Sha512_256::digest(text)),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
