//! A nonce that carries its own proof: when it was made, for which realm and address, under our key.
//!
//! ```text
//!  milliseconds (8 bytes) ‖ random (8 bytes) ‖ HMAC-SHA-256 over both, realm and address (first 16 bytes), in hex
//! ```
//! So none has to be kept that was only given out (docs/threats.md: B14). Must not know users.

use std::fmt;
use std::net::IpAddr;

use super::hmac::{hmac_sha256, is_same};

/// What nonces are signed with: drawn at the start, never shown.
#[derive(Clone)]
pub(super) struct NonceKey([u8; 32]);

/// A nonce of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Nonce {
    /// When it was made, milliseconds of the server's clock.
    pub issued_ms: u64,
    /// Tells apart what was made in one millisecond.
    pub unique: u64,
}

/// Hex digits: 8, 8 and 16 bytes.
const NONCE_DIGITS: usize = 64;

impl NonceKey {
    pub fn new(key: [u8; 32]) -> Self {
        NonceKey(key)
    }

    /// The text of a nonce.
    pub fn write(&self, nonce: Nonce, realm: &str, source: IpAddr) -> String {
        let proof = self.proof(nonce, realm, source);
        format!("{:016x}{:016x}{proof:032x}", nonce.issued_ms, nonce.unique)
    }

    /// The nonce, if we made it for this realm and address.
    pub fn read(&self, text: &str, realm: &str, source: IpAddr) -> Option<Nonce> {
        let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != NONCE_DIGITS || !text.bytes().all(is_hex) {
            return None;
        }
        let number = |range| u64::from_str_radix(text.get(range)?, 16).ok();
        let nonce = Nonce {
            issued_ms: number(0..16)?,
            unique: number(16..32)?,
        };
        let ours = self.write(nonce, realm, source);
        is_same(ours.as_bytes(), text.as_bytes()).then_some(nonce)
    }

    /// A value of this key that tells nothing of it: `opaque`, and the hashes of users there are not.
    pub fn derive(&self, label: &str) -> [u8; 32] {
        hmac_sha256(&self.0, &[b"label:", label.as_bytes()])
    }

    fn proof(&self, nonce: Nonce, realm: &str, source: IpAddr) -> u128 {
        let address = match source.to_canonical() {
            IpAddr::V4(v4) => u128::from(v4.to_bits()),
            IpAddr::V6(v6) => v6.to_bits(),
        };
        let hash = hmac_sha256(
            &self.0,
            &[
                b"nonce:",
                &nonce.issued_ms.to_be_bytes(),
                &nonce.unique.to_be_bytes(),
                &address.to_be_bytes(),
                realm.as_bytes(),
            ],
        );
        let (high, _) = hash.split_at(16);
        high.iter().fold(0, |all, byte| all << 8 | u128::from(*byte))
    }
}

impl fmt::Debug for NonceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NonceKey").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: Nonce = Nonce {
        issued_ms: 1_000,
        unique: 7,
    };

    fn at(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_nonce_is_read_back_under_its_key_realm_and_address_only() {
        let key = NonceKey::new([1; 32]);
        let text = key.write(NONCE, "r", at("192.0.2.1"));
        assert_eq!(text.len(), NONCE_DIGITS);
        assert_eq!(key.read(&text, "r", at("192.0.2.1")), Some(NONCE));
        assert_eq!(key.read(&text, "r", at("::ffff:192.0.2.1")), Some(NONCE));
        assert_eq!(key.read(&text, "s", at("192.0.2.1")), None);
        assert_eq!(key.read(&text, "r", at("192.0.2.2")), None);
        assert_eq!(NonceKey::new([2; 32]).read(&text, "r", at("192.0.2.1")), None);
    }

    #[test]
    fn a_nonce_with_any_digit_changed_is_not_ours() {
        let key = NonceKey::new([1; 32]);
        let text = key.write(NONCE, "r", at("192.0.2.1"));
        for place in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[place] = if changed[place] == b'0' { b'1' } else { b'0' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(key.read(&changed, "r", at("192.0.2.1")), None, "{place}");
        }
        for odd in [
            "",
            "dcd98b7102dd2f0e8b11d0f600bfb0c093",
            &text.to_uppercase(),
            &"é".repeat(32),
        ] {
            assert_eq!(key.read(odd, "r", at("192.0.2.1")), None, "{odd}");
        }
    }

    #[test]
    fn the_key_is_not_printed() {
        assert_eq!(format!("{:?}", NonceKey::new([1; 32])), "NonceKey { .. }");
    }
}
