//! The keys that SDP agreed (RFC 4568), as the packet path takes them (RFC 3711). Pure.

use media::srtp::{MasterKey, SrtpKeys, SrtpSuite};
use sip::sdp::{AgreedCrypto, CryptoKey, CryptoSuite};

/// The keys of both directions.
pub fn srtp_keys(agreed: &AgreedCrypto) -> SrtpKeys {
    SrtpKeys {
        send: master_key(&agreed.ours),
        receive: master_key(&agreed.theirs),
    }
}

fn master_key(key: &CryptoKey) -> MasterKey {
    let suite = match key.suite() {
        CryptoSuite::AesCm128Sha1_80 => SrtpSuite::AesCm128Sha1_80,
        CryptoSuite::AesCm128Sha1_32 => SrtpSuite::AesCm128Sha1_32,
        CryptoSuite::Aes256CmSha1_80 => SrtpSuite::Aes256CmSha1_80,
        CryptoSuite::Aes256CmSha1_32 => SrtpSuite::Aes256CmSha1_32,
        CryptoSuite::AeadAes128Gcm => SrtpSuite::AeadAes128Gcm,
        CryptoSuite::AeadAes256Gcm => SrtpSuite::AeadAes256Gcm,
    };
    #[expect(
        clippy::expect_used,
        reason = "both sides take the lengths from the suite, and all suites are tried in the tests"
    )]
    MasterKey::new(suite, key.master_key(), key.master_salt()).expect("a key fits its suite")
}

#[cfg(test)]
mod tests {
    use sip::rng::Rng;

    use super::*;

    #[test]
    fn keys_of_every_suite_fit_the_media_plane() {
        let mut rng = Rng::new([1; 32]);
        for suite in CryptoSuite::ALL {
            let key = master_key(&CryptoKey::draw(suite, &mut rng));
            let lengths = (key.suite().key_bytes(), key.suite().salt_bytes());
            assert_eq!(lengths, (suite.master_key_bytes(), suite.master_salt_bytes()));
            assert_eq!(format!("{:?}", key.suite()), format!("{suite:?}"));
        }
    }
}
