//! The sending half: encrypts what leaves, and no two packets under one index.
//!
//! The same index twice would show the difference of two packets to whoever listens (RFC 3711 §9.1). Knows
//! nothing of where packets go.

use std::fmt;

use bytes::Bytes;
use webrtc_srtp::context::Context;

use super::header;
use super::keys::MasterKey;
use super::receiver::context;

/// One direction of one key; all of it under one SSRC.
pub(super) struct Sender {
    key: MasterKey,
    context: Context,
    used: Used,
}

/// Which of the latest sequence numbers were used.
#[derive(Clone, Copy, Debug)]
enum Used {
    None,
    /// Bit n: `latest` − n.
    Some {
        latest: u16,
        before: u128,
    },
}

impl Sender {
    /// Nothing was sent under this key.
    pub fn new(key: &MasterKey) -> Sender {
        Sender {
            key: key.clone(),
            context: context(key, None),
            used: Used::None,
        }
    }

    /// The key.
    pub fn key(&self) -> &MasterKey {
        &self.key
    }

    /// Encrypts an RTP packet.
    pub fn protect_rtp(&mut self, packet: &[u8]) -> Option<Bytes> {
        let header = header::read(packet, 0)?;
        if !self.used.take(header.sequence_number) {
            return None;
        }
        self.context.encrypt_rtp_with_header(packet, &header).ok()
    }

    /// Encrypts a compound RTCP packet; its index counts by itself.
    pub fn protect_rtcp(&mut self, compound: &[u8]) -> Option<Bytes> {
        self.context.encrypt_rtcp(compound).ok()
    }
}

impl Used {
    /// Marks a number as used; false: it was, or is too old to know.
    fn take(&mut self, sequence: u16) -> bool {
        let Used::Some { latest, before } = self else {
            *self = Used::Some {
                latest: sequence,
                before: 1,
            };
            return true;
        };
        let ahead = sequence.wrapping_sub(*latest);
        if ahead != 0 && ahead < 0x8000 {
            *before = before.checked_shl(u32::from(ahead)).unwrap_or(0) | 1;
            *latest = sequence;
            return true;
        }
        let Some(bit) = 1_u128.checked_shl(u32::from(latest.wrapping_sub(sequence))) else {
            return false;
        };
        let is_new = *before & bit == 0;
        *before |= bit;
        is_new
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("key", &self.key)
            .field("used", &self.used)
            .finish_non_exhaustive()
    }
}
