//! `a=crypto`: the suites, keys and lines of SDES (RFC 4568, RFC 6188, RFC 7714 §14.2).
//!
//! A key is never shown by `Debug` and is wiped when dropped; texts it was written into are not. Knows
//! nothing of which line is chosen.

use std::fmt;

use zeroize::Zeroize;

use super::base64;
use crate::rng::Rng;

/// Most `a=crypto` lines of an m-line that are looked at.
pub const CRYPTO_LINES_MAX: usize = 16;
/// Master key and salt of the longest suite, bytes.
const KEY_BYTES_MAX: usize = 46;
/// Longest lifetime of a key is 2 to the power of this (RFC 4568 §6.1).
const LIFETIME_BITS_MAX: u32 = 48;

/// A crypto-suite we speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CryptoSuite {
    /// AES_CM_128_HMAC_SHA1_80 (RFC 4568 §6.2.1).
    AesCm128Sha1_80,
    /// AES_CM_128_HMAC_SHA1_32 (RFC 4568 §6.2.2): 32 bits of tag for RTP, 80 for RTCP.
    AesCm128Sha1_32,
    /// AES_256_CM_HMAC_SHA1_80 (RFC 6188 §4).
    Aes256CmSha1_80,
    /// AES_256_CM_HMAC_SHA1_32.
    Aes256CmSha1_32,
    /// AEAD_AES_128_GCM (RFC 7714 §14.2).
    AeadAes128Gcm,
    /// AEAD_AES_256_GCM.
    AeadAes256Gcm,
}

impl CryptoSuite {
    /// Every suite.
    pub const ALL: [CryptoSuite; 6] = [
        CryptoSuite::AesCm128Sha1_80,
        CryptoSuite::AesCm128Sha1_32,
        CryptoSuite::Aes256CmSha1_80,
        CryptoSuite::Aes256CmSha1_32,
        CryptoSuite::AeadAes128Gcm,
        CryptoSuite::AeadAes256Gcm,
    ];

    /// Its registered name.
    pub fn name(self) -> &'static str {
        match self {
            CryptoSuite::AesCm128Sha1_80 => "AES_CM_128_HMAC_SHA1_80",
            CryptoSuite::AesCm128Sha1_32 => "AES_CM_128_HMAC_SHA1_32",
            CryptoSuite::Aes256CmSha1_80 => "AES_256_CM_HMAC_SHA1_80",
            CryptoSuite::Aes256CmSha1_32 => "AES_256_CM_HMAC_SHA1_32",
            CryptoSuite::AeadAes128Gcm => "AEAD_AES_128_GCM",
            CryptoSuite::AeadAes256Gcm => "AEAD_AES_256_GCM",
        }
    }

    /// The suite of a name, in any case.
    pub fn from_name(name: &str) -> Option<CryptoSuite> {
        Self::ALL
            .into_iter()
            .find(|suite| suite.name().eq_ignore_ascii_case(name))
    }

    /// Bytes of the master key.
    pub fn master_key_bytes(self) -> usize {
        match self {
            CryptoSuite::AesCm128Sha1_80 | CryptoSuite::AesCm128Sha1_32 | CryptoSuite::AeadAes128Gcm => 16,
            CryptoSuite::Aes256CmSha1_80 | CryptoSuite::Aes256CmSha1_32 | CryptoSuite::AeadAes256Gcm => 32,
        }
    }

    /// Bytes of the master salt.
    pub fn master_salt_bytes(self) -> usize {
        match self {
            CryptoSuite::AesCm128Sha1_80
            | CryptoSuite::AesCm128Sha1_32
            | CryptoSuite::Aes256CmSha1_80
            | CryptoSuite::Aes256CmSha1_32 => 14,
            CryptoSuite::AeadAes128Gcm | CryptoSuite::AeadAes256Gcm => 12,
        }
    }

    fn bytes(self) -> usize {
        self.master_key_bytes() + self.master_salt_bytes()
    }
}

/// The master key and salt one side sends with.
#[derive(Clone, PartialEq, Eq)]
pub struct CryptoKey {
    suite: CryptoSuite,
    bytes: [u8; KEY_BYTES_MAX],
}

impl CryptoKey {
    /// A fresh one.
    pub fn draw(suite: CryptoSuite, rng: &mut Rng) -> CryptoKey {
        let mut key = CryptoKey::empty(suite);
        rng.fill(key.used_mut());
        key
    }

    /// The one that a key parameter writes.
    fn from_base64(suite: CryptoSuite, text: &str) -> Option<CryptoKey> {
        let mut key = CryptoKey::empty(suite);
        base64::decode_into(text, key.used_mut()).then_some(key)
    }

    fn empty(suite: CryptoSuite) -> CryptoKey {
        CryptoKey {
            suite,
            bytes: [0; KEY_BYTES_MAX],
        }
    }

    /// Its suite.
    pub fn suite(&self) -> CryptoSuite {
        self.suite
    }

    /// The master key.
    pub fn master_key(&self) -> &[u8] {
        self.bytes
            .get(..self.suite.master_key_bytes())
            .unwrap_or_default()
    }

    /// The master salt.
    pub fn master_salt(&self) -> &[u8] {
        self.bytes
            .get(self.suite.master_key_bytes()..self.suite.bytes())
            .unwrap_or_default()
    }

    fn used_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(..self.suite.bytes()).unwrap_or_default()
    }
}

impl Drop for CryptoKey {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl fmt::Debug for CryptoKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CryptoKey")
            .field("suite", &self.suite)
            .finish_non_exhaustive()
    }
}

/// One usable `a=crypto` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CryptoLine {
    /// Names the line within its m-line; an answer repeats it.
    pub tag: u32,
    /// What its writer sends with.
    pub key: CryptoKey,
}

impl CryptoLine {
    /// `1 AES_CM_128_HMAC_SHA1_80 inline:…|2^31`: RFC 4568 §9.1; none where it wants what we have not.
    ///
    /// Several keys, or one with an MKI, are refused, and so is every session parameter but WSH, which is
    /// a hint, and those that may be ignored (RFC 4568 §6.3). The lifetime is read and has no effect: no
    /// call comes near its default.
    pub(super) fn parse(value: &str) -> Option<CryptoLine> {
        let mut words = value.split_ascii_whitespace();
        let tag = words.next()?;
        if tag.len() > 9 || !tag.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let suite = CryptoSuite::from_name(words.next()?)?;
        let key = key(suite, words.next()?)?;
        words.all(is_harmless).then_some(CryptoLine {
            tag: tag.parse().ok()?,
            key,
        })
    }

    /// What stands behind `a=crypto:`.
    pub(super) fn value(&self) -> String {
        let used = self.key.bytes.get(..self.key.suite.bytes()).unwrap_or_default();
        format!(
            "{} {} inline:{}",
            self.tag,
            self.key.suite.name(),
            base64::encode(used)
        )
    }
}

/// `inline:KEY` or `inline:KEY|LIFETIME`.
fn key(suite: CryptoSuite, parameter: &str) -> Option<CryptoKey> {
    let (method, info) = parameter.split_once(':')?;
    if !method.eq_ignore_ascii_case("inline") {
        return None;
    }
    let mut parts = info.split('|');
    let key = CryptoKey::from_base64(suite, parts.next()?)?;
    let is_plain = match (parts.next(), parts.next()) {
        (None, _) => true,
        (Some(lifetime), None) => is_lifetime(lifetime),
        (Some(_), Some(_)) => false,
    };
    is_plain.then_some(key)
}

fn is_lifetime(text: &str) -> bool {
    let bits = |text: &str| text.parse::<u32>().is_ok_and(|bits| bits <= LIFETIME_BITS_MAX);
    let packets = |text: &str| {
        text.parse::<u64>()
            .is_ok_and(|packets| packets <= 1 << LIFETIME_BITS_MAX)
    };
    text.strip_prefix("2^").map_or_else(|| packets(text), bits)
}

fn is_harmless(parameter: &str) -> bool {
    parameter.starts_with('-')
        || parameter
            .get(..4)
            .is_some_and(|name| name.eq_ignore_ascii_case("WSH="))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::*;

    /// The key of the example in RFC 4568 §6.1.
    const EXAMPLE: &str = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";

    #[test]
    fn the_example_of_rfc_4568_is_read() {
        let line = CryptoLine::parse(&format!("1 AES_CM_128_HMAC_SHA1_80 inline:{EXAMPLE}|2^20")).unwrap();
        assert_eq!((line.tag, line.key.suite()), (1, CryptoSuite::AesCm128Sha1_80));
        assert_eq!(line.key.master_key(), b"wDfvg&T+)xG7@fb5");
        assert_eq!(line.key.master_salt(), b"jU,RaA}\\|p0%*#");
        assert_eq!(
            line.value(),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{EXAMPLE}")
        );
    }

    #[test]
    fn lines_that_are_taken_and_lines_that_are_not() {
        let table = [
            ("1 AES_CM_128_HMAC_SHA1_80 inline:KEY", true),
            ("007 aes_cm_128_hmac_sha1_32 INLINE:KEY", true),
            ("999999999  AES_CM_128_HMAC_SHA1_80  inline:KEY|2^31  ", true),
            ("1 AES_CM_128_HMAC_SHA1_80 inline:KEY|1048576", true),
            ("1 AES_CM_128_HMAC_SHA1_80 inline:KEY WSH=256 -odd=1", true),
            // An MKI, with and without a lifetime, and several keys.
            ("1 AES_CM_128_HMAC_SHA1_80 inline:KEY|1:4", false),
            ("1 AES_CM_128_HMAC_SHA1_80 inline:KEY|2^20|1:4", false),
            (
                "1 AES_CM_128_HMAC_SHA1_80 inline:KEY|2^20|1:4;inline:KEY|2^20|2:4",
                false,
            ),
            ("1 AES_CM_128_HMAC_SHA1_80 inline:KEY;inline:KEY", false),
            ("1 AES_CM_128_HMAC_SHA1_80 inline:KEY|2^49", false),
            ("1 AES_CM_128_HMAC_SHA1_80 inline:KEY|", false),
            ("1 AES_CM_128_HMAC_SHA1_80 inline:KEY KDR=1", false),
            ("1 AES_CM_128_HMAC_SHA1_80 inline:KEY UNENCRYPTED_SRTP", false),
            ("1 AES_CM_128_HMAC_SHA1_80 inline:KEY UNENCRYPTED_SRTCP", false),
            ("1 AES_CM_128_HMAC_SHA1_80 inline:KEY UNAUTHENTICATED_SRTP", false),
            ("1 AES_CM_128_HMAC_SHA1_80 inline:KEY WSH", false),
            ("1 F8_128_HMAC_SHA1_80 inline:KEY", false),
            ("1 AES_256_CM_HMAC_SHA1_80 inline:KEY", false),
            ("1 AES_CM_128_HMAC_SHA1_80 prompt:KEY", false),
            ("1 AES_CM_128_HMAC_SHA1_80 inline:KEYA", false),
            ("1 AES_CM_128_HMAC_SHA1_80 KEY", false),
            ("1 AES_CM_128_HMAC_SHA1_80", false),
            ("1234567890 AES_CM_128_HMAC_SHA1_80 inline:KEY", false),
            ("+1 AES_CM_128_HMAC_SHA1_80 inline:KEY", false),
            ("", false),
        ];
        for (text, is_taken) in table {
            let text = text.replace("KEY", EXAMPLE);
            assert_eq!(CryptoLine::parse(&text).is_some(), is_taken, "{text}");
        }
    }

    #[test]
    fn every_suite_is_written_and_read_again() {
        let mut rng = Rng::new([3; 32]);
        // Letters of the key parameter: 30, 46, 28 and 44 bytes (RFC 4568 §6.2, 6188 §4, 7714 §14.2).
        let letters = [40, 40, 64, 64, 40, 60];
        for (suite, letters) in CryptoSuite::ALL.into_iter().zip(letters) {
            let line = CryptoLine {
                tag: 4,
                key: CryptoKey::draw(suite, &mut rng),
            };
            let text = line.value();
            assert_eq!(text.rsplit_once(':').unwrap().1.len(), letters, "{text}");
            assert_eq!(CryptoLine::parse(&text).as_ref(), Some(&line));
            assert_eq!(CryptoSuite::from_name(suite.name()), Some(suite));
        }
    }

    #[test]
    fn a_key_is_not_shown() {
        let line = CryptoLine::parse(&format!("1 AES_CM_128_HMAC_SHA1_80 inline:{EXAMPLE}")).unwrap();
        assert_eq!(
            format!("{line:?}"),
            "CryptoLine { tag: 1, key: CryptoKey { suite: AesCm128Sha1_80, .. } }"
        );
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,120}", start in any::<bool>()) {
            let head = if start { "1 AES_CM_128_HMAC_SHA1_80 inline:" } else { "" };
            let _ = CryptoLine::parse(&format!("{head}{text}"));
        }
    }
}
