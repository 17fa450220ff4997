//! Signing: an Identity value that says what we vouch for (RFC 8224 §6.1, RFC 8588 §6).
//!
//! Signatures are deterministic (RFC 6979), so nothing here needs randomness. Owns the key.

use p256::SecretKey;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use p256::pkcs8::DecodePrivateKey;

use super::passport::{self, Attest, Party};

/// A key, where others find its certificate, and the most it vouches for.
#[derive(Clone, PartialEq, Eq)]
pub struct Signer {
    key: SigningKey,
    x5u: String,
    attest: Attest,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer")
            .field("x5u", &self.x5u)
            .field("attest", &self.attest)
            .finish_non_exhaustive()
    }
}

/// Why a key cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No PKCS #8 with a key of P-256.
    #[error("holds no P-256 key as PKCS #8 in PEM")]
    Unreadable,
}

/// What a token is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The number shown, canonical.
    pub orig: String,
    /// The number called, canonical.
    pub dest: String,
    /// What is vouched for, if the signer vouches for so much.
    pub attest: Attest,
    /// Where the call began.
    pub origid: String,
}

impl Signer {
    /// Takes a key in PEM.
    pub fn new(pem: &str, x5u: &str, attest: Attest) -> Result<Signer, KeyError> {
        let key = SecretKey::from_pkcs8_pem(pem).map_err(|_| KeyError::Unreadable)?;
        Ok(Signer {
            key: SigningKey::from(key),
            x5u: x5u.to_owned(),
            attest,
        })
    }

    /// Where its certificate is.
    pub fn x5u(&self) -> &str {
        &self.x5u
    }

    /// The most it vouches for.
    pub fn attest(&self) -> Attest {
        self.attest
    }

    /// The value of an Identity header, signed at this time.
    pub fn identity(&self, statement: &Statement, now_s: i64) -> String {
        let header = passport::header(&self.x5u, Some("shaken"));
        let orig = Party::Number(statement.orig.clone());
        let dest = Party::Number(statement.dest.clone());
        let attest = statement.attest.min(self.attest);
        let claims = passport::shaken_claims(&orig, &dest, now_s, attest, &statement.origid);
        self.value(&format!("{header}.{claims}"), Some("shaken"))
    }

    fn value(&self, signed: &str, ppt: Option<&str>) -> String {
        let signature: Signature = self.key.sign(signed.as_bytes());
        let ppt = ppt.map_or(String::new(), |ppt| format!(";ppt={ppt}"));
        let signature = passport::encoded(signature.to_bytes());
        format!("{signed}.{signature};info=<{}>;alg=ES256{ppt}", self.x5u)
    }

    /// A signature over any header and claims: what tests need of other signers.
    #[cfg(test)]
    pub(crate) fn value_of(&self, header: &str, claims: &str, ppt: Option<&str>) -> String {
        self.value(&format!("{header}.{claims}"), ppt)
    }
}
