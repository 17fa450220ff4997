//! HMAC-SHA-256 (RFC 2104), and comparing without telling where texts differ.
//!
//! Knows nothing of what is signed.

use std::hint::black_box;

use sha2::{Digest, Sha256};

/// Block of SHA-256, bytes (RFC 4231 §1).
const BLOCK_BYTES: usize = 64;

/// The keyed hash over `parts`, one after the other.
pub(super) fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut block = [0; BLOCK_BYTES];
    let digested: [u8; 32] = Sha256::digest(key).into();
    let short = if key.len() > BLOCK_BYTES { &digested } else { key };
    for (to, from) in block.iter_mut().zip(short) {
        *to = *from;
    }
    let mut inner = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36));
    for part in parts {
        inner = inner.chain_update(part);
    }
    let outer = Sha256::new()
        .chain_update(block.map(|byte| byte ^ 0x5c))
        .chain_update(inner.finalize());
    outer.finalize().into()
}

/// Equality in a time that depends on the lengths alone (docs/threats.md: B23).
pub(super) fn is_same(left: &[u8], right: &[u8]) -> bool {
    let differing = left.iter().zip(right).fold(0, |differing, (left, right)| {
        black_box(differing | (left ^ right))
    });
    left.len() == right.len() && black_box(differing) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn rfc_4231_section_4_cases_1_2_and_6() {
        let case_1 = hmac_sha256(&[0x0b; 20], &[b"Hi There"]);
        assert_eq!(
            hex(&case_1),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        );
        let case_2 = hmac_sha256(b"Jefe", &[b"what do ya want ", b"for nothing?"]);
        assert_eq!(
            hex(&case_2),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        let case_6 = hmac_sha256(
            &[0xaa; 131],
            &[b"Test Using Larger Than Block-Size Key - Hash Key First"],
        );
        assert_eq!(
            hex(&case_6),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }

    #[test]
    fn only_equal_bytes_are_the_same() {
        assert!(is_same(b"", b"") && is_same(b"abc", b"abc"));
        for (left, right) in [("abc", "abd"), ("abc", "ab"), ("", "a"), ("xbc", "abc")] {
            assert!(!is_same(left.as_bytes(), right.as_bytes()), "{left} {right}");
        }
    }
}
