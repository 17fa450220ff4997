//! The master keys of a secure stream (RFC 3711 §3.2.1).
//!
//! Never shown by `Debug`, wiped when dropped. Knows nothing of packets.

use std::fmt;

use webrtc_srtp::protection_profile::ProtectionProfile;
use zeroize::Zeroize;

/// Master key and salt of the longest suite, bytes.
const BYTES_MAX: usize = 46;

/// A cipher with its authentication (RFC 4568 §6.2, RFC 6188, RFC 7714).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SrtpSuite {
    /// AES_CM_128_HMAC_SHA1_80.
    AesCm128Sha1_80,
    /// AES_CM_128_HMAC_SHA1_32.
    AesCm128Sha1_32,
    /// AES_256_CM_HMAC_SHA1_80.
    Aes256CmSha1_80,
    /// AES_256_CM_HMAC_SHA1_32.
    Aes256CmSha1_32,
    /// AEAD_AES_128_GCM.
    AeadAes128Gcm,
    /// AEAD_AES_256_GCM.
    AeadAes256Gcm,
}

impl SrtpSuite {
    /// Every suite.
    pub const ALL: [SrtpSuite; 6] = [
        SrtpSuite::AesCm128Sha1_80,
        SrtpSuite::AesCm128Sha1_32,
        SrtpSuite::Aes256CmSha1_80,
        SrtpSuite::Aes256CmSha1_32,
        SrtpSuite::AeadAes128Gcm,
        SrtpSuite::AeadAes256Gcm,
    ];

    pub(super) fn profile(self) -> ProtectionProfile {
        match self {
            SrtpSuite::AesCm128Sha1_80 => ProtectionProfile::Aes128CmHmacSha1_80,
            SrtpSuite::AesCm128Sha1_32 => ProtectionProfile::Aes128CmHmacSha1_32,
            SrtpSuite::Aes256CmSha1_80 => ProtectionProfile::Aes256CmHmacSha1_80,
            SrtpSuite::Aes256CmSha1_32 => ProtectionProfile::Aes256CmHmacSha1_32,
            SrtpSuite::AeadAes128Gcm => ProtectionProfile::AeadAes128Gcm,
            SrtpSuite::AeadAes256Gcm => ProtectionProfile::AeadAes256Gcm,
        }
    }

    /// Bytes of the master key.
    pub fn key_bytes(self) -> usize {
        self.profile().key_len()
    }

    /// Bytes of the master salt.
    pub fn salt_bytes(self) -> usize {
        self.profile().salt_len()
    }

    /// Bytes an RTP packet grows by.
    pub fn rtp_tag_bytes(self) -> usize {
        let profile = self.profile();
        profile.rtp_auth_tag_len() + profile.aead_auth_tag_len()
    }

    /// Bytes of tag of an RTCP packet, which grows by four more.
    pub fn rtcp_tag_bytes(self) -> usize {
        let profile = self.profile();
        profile.rtcp_auth_tag_len() + profile.aead_auth_tag_len()
    }

    /// Where the E bit and the index of an RTCP packet stand, counted from its end: behind the tag with
    /// AEAD (RFC 7714 §9), before it without (RFC 3711 §3.4).
    pub(super) fn rtcp_index_from_end(self) -> usize {
        self.profile().rtcp_auth_tag_len() + 4
    }
}

/// The master key and salt of one direction.
#[derive(Clone, PartialEq, Eq)]
pub struct MasterKey {
    suite: SrtpSuite,
    bytes: [u8; BYTES_MAX],
}

impl MasterKey {
    /// A key; none: its length or that of its salt is not the suite's.
    pub fn new(suite: SrtpSuite, key: &[u8], salt: &[u8]) -> Option<MasterKey> {
        if key.len() != suite.key_bytes() || salt.len() != suite.salt_bytes() {
            return None;
        }
        let mut bytes = [0; BYTES_MAX];
        for (place, byte) in bytes.iter_mut().zip(key.iter().chain(salt)) {
            *place = *byte;
        }
        Some(MasterKey { suite, bytes })
    }

    /// Its suite.
    pub fn suite(&self) -> SrtpSuite {
        self.suite
    }

    pub(super) fn key(&self) -> &[u8] {
        self.bytes.get(..self.suite.key_bytes()).unwrap_or_default()
    }

    pub(super) fn salt(&self) -> &[u8] {
        let start = self.suite.key_bytes();
        self.bytes
            .get(start..start + self.suite.salt_bytes())
            .unwrap_or_default()
    }
}

impl Drop for MasterKey {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterKey")
            .field("suite", &self.suite)
            .finish_non_exhaustive()
    }
}

/// The keys of both directions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SrtpKeys {
    /// What is sent is encrypted with it.
    pub send: MasterKey,
    /// What comes is.
    pub receive: MasterKey,
}
