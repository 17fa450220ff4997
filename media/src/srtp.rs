//! One secure stream's way in and out: SRTP and SRTCP (RFC 3711) behind a guard.
//!
//! The ciphers are `webrtc-srtp`'s. What it gets wrong, the guard keeps from it: a header it would read
//! beyond its end, an SRTCP packet too short or without its E bit, an SSRC nothing proves. It allocates and
//! copies each packet (docs/decisions/0010-srtp-is-guarded-and-copied.md). Knows nothing of sources,
//! sequence statistics or SDP.

mod header;
mod keys;
mod receiver;
mod rounds;
mod sender;

use std::time::{Duration, Instant};

use bytes::Bytes;

use receiver::Receiver;
use sender::Sender;

pub use keys::{MasterKey, SrtpKeys, SrtpSuite};
pub use receiver::{SSRCS_MAX, WINDOW_PACKETS};
pub use rounds::ROUNDS_MAX;

/// How long packets under the old key are taken after the first under the new one: what the network may
/// have turned around.
pub const OVERLAP: Duration = Duration::from_millis(500);

/// Why a packet is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Too short, another version, or lengths beyond the end.
    #[error("not an SRTP packet")]
    Malformed,
    /// Its tag is not that of the key.
    #[error("authentication failed")]
    Tag,
    /// It was taken before, or is older than the window.
    #[error("replayed")]
    Replay,
    /// One SSRC more than a stream may have.
    #[error("too many SSRCs")]
    Ssrc,
}

/// Both directions of one secure stream.
#[derive(Debug)]
pub struct Srtp {
    sender: Sender,
    receiver: Receiver,
    former: Former,
}

/// The key that the peer sent with before.
#[derive(Debug)]
enum Former {
    /// There is none, or none any more.
    Gone,
    /// Nothing has come under the new one yet.
    InUse(Box<Receiver>),
    /// The new one is in use; what was under way comes until then.
    Fading(Box<Receiver>, Instant),
}

impl Srtp {
    /// A stream that begins with these keys.
    pub fn new(keys: &SrtpKeys) -> Srtp {
        Srtp {
            sender: Sender::new(&keys.send),
            receiver: Receiver::new(&keys.receive),
            former: Former::Gone,
        }
    }

    /// Applies what was agreed. A key that stays goes on with its rollover counter and its window. A new
    /// one of ours begins at zero; under a new one of the peer its counter begins at zero or goes on, as the first
    /// packet shows, and the old one is taken until then. The
    /// peer may also go back to the key it has never left: then its round goes on, as a key may not begin anew
    /// (RFC 3711 §9.1).
    pub fn configure(&mut self, keys: &SrtpKeys) {
        if *self.sender.key() != keys.send {
            self.sender = Sender::new(&keys.send);
        }
        if *self.receiver.key() != keys.receive {
            self.expect(&keys.receive);
        }
    }

    /// The peer says that it will send under another key.
    fn expect(&mut self, key: &MasterKey) {
        self.former = match std::mem::replace(&mut self.former, Former::Gone) {
            // Nothing has come under the key that was expected: the one before it is still in use.
            Former::InUse(in_use) if in_use.key() == key => {
                self.receiver = *in_use;
                return;
            }
            Former::InUse(in_use) => {
                self.receiver = Receiver::after(key, &in_use);
                Former::InUse(in_use)
            }
            Former::Gone | Former::Fading(..) => {
                let next = Receiver::after(key, &self.receiver);
                let former = std::mem::replace(&mut self.receiver, next);
                Former::InUse(Box::new(former))
            }
        };
    }

    /// Encrypts an RTP packet; none: it is not one, or its index was used before.
    pub fn protect_rtp(&mut self, packet: &[u8]) -> Option<Bytes> {
        self.sender.protect_rtp(packet)
    }

    /// Encrypts a compound RTCP packet; none: it is not one.
    pub fn protect_rtcp(&mut self, compound: &[u8]) -> Option<Bytes> {
        self.sender.protect_rtcp(compound)
    }

    /// The RTP packet that a datagram carries.
    pub fn unprotect_rtp(&mut self, datagram: &[u8], now: Instant) -> Result<Bytes, Refused> {
        self.unprotect(now, |receiver| receiver.unprotect_rtp(datagram))
    }

    /// The compound RTCP packet that a datagram carries.
    pub fn unprotect_rtcp(&mut self, datagram: &[u8], now: Instant) -> Result<Bytes, Refused> {
        self.unprotect(now, |receiver| receiver.unprotect_rtcp(datagram))
    }

    fn unprotect(
        &mut self,
        now: Instant,
        mut with: impl FnMut(&mut Receiver) -> Result<Bytes, Refused>,
    ) -> Result<Bytes, Refused> {
        let taken = with(&mut self.receiver);
        match (&mut self.former, &taken) {
            (Former::Gone, _) | (Former::Fading(..), Ok(_)) | (_, Err(Refused::Malformed)) => taken,
            (Former::InUse(_), Ok(_)) => {
                if let Former::InUse(former) = std::mem::replace(&mut self.former, Former::Gone) {
                    self.former = Former::Fading(former, now + OVERLAP);
                }
                taken
            }
            (Former::Fading(_, until), Err(_)) if now > *until => {
                self.former = Former::Gone;
                taken
            }
            (Former::InUse(former) | Former::Fading(former, _), Err(_)) => with(former).or(taken),
        }
    }
}

#[cfg(test)]
mod tests;
