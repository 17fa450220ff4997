//! The receiving half: tag first, then the window; state only for an SSRC whose first packet was proved.
//!
//! `webrtc-srtp` makes state for whatever SSRC it is shown, before it looks at the tag, and starts that
//! SSRC's window there. So a packet of an unknown SSRC is tried in a context that is thrown away every so
//! many tries and has no window; only what passed there is shown to the one that lasts. Knows nothing of sources.

use std::fmt;

use bytes::Bytes;
use webrtc_rtp::header::Header;
use webrtc_srtp::Error;
use webrtc_srtp::context::Context;
use webrtc_srtp::option::{srtcp_replay_protection, srtp_replay_protection};

use super::keys::{MasterKey, SrtpSuite};
use super::rounds::{Rounds, bring_forward};
use super::{Refused, header};

/// Packets a window spans: RFC 3711 §3.3.2 wants 64 at least, docs/threats.md A14 the double.
pub const WINDOW_PACKETS: usize = 128;

/// SSRCs one key is taken from, for RTP and for RTCP each. A call has one, another after each transfer at
/// the far end; all keep their windows, so that none is ever replayed.
pub const SSRCS_MAX: usize = 32;

/// Unproved SSRCs that the throw-away context may hold.
const TRIES_MAX: usize = 64;

/// Shortest RTCP packet: its header and an SSRC, which stay readable (RFC 3711 §3.4).
const RTCP_HEADER_BYTES: usize = 8;

/// One direction of one key.
pub(super) struct Receiver {
    key: MasterKey,
    proved: Context,
    rtp_ssrcs: Vec<u32>,
    rtcp_ssrcs: Vec<u32>,
    trial: Context,
    tries: usize,
    /// Where each SSRC is.
    rounds: Rounds,
    /// Where each was under the key before.
    before: Rounds,
    /// A context that was brought to the round an SSRC had under the key before: its SSRC and round.
    going_on: Option<(u32, u64, Context)>,
}

impl Receiver {
    /// Nothing was heard under this key.
    pub fn new(key: &MasterKey) -> Receiver {
        Receiver {
            key: key.clone(),
            proved: context(key, Some(WINDOW_PACKETS)),
            rtp_ssrcs: Vec::new(),
            rtcp_ssrcs: Vec::new(),
            trial: context(key, None),
            tries: 0,
            rounds: Rounds::default(),
            before: Rounds::default(),
            going_on: None,
        }
    }

    /// The same, after another key: an SSRC may go on in its round, or begin anew.
    pub fn after(key: &MasterKey, former: &Receiver) -> Receiver {
        Receiver {
            before: former.rounds.clone(),
            ..Receiver::new(key)
        }
    }

    /// The key.
    pub fn key(&self) -> &MasterKey {
        &self.key
    }

    /// Checks and decrypts.
    pub fn unprotect_rtp(&mut self, datagram: &[u8]) -> Result<Bytes, Refused> {
        let suite = self.key.suite();
        let header = header::read(datagram, suite.rtp_tag_bytes()).ok_or(Refused::Malformed)?;
        if !self.rtp_ssrcs.contains(&header.ssrc) {
            if self.rtp_ssrcs.len() >= SSRCS_MAX {
                return Err(Refused::Ssrc);
            }
            self.begin_try();
            if self.trial.decrypt_rtp_with_header(datagram, &header).is_err() {
                self.prove_later_round(datagram, &header)?;
            }
            self.tries = TRIES_MAX;
            self.rtp_ssrcs.push(header.ssrc);
            self.going_on = None;
        }
        let taken = self.proved.decrypt_rtp_with_header(datagram, &header);
        if taken.is_ok() {
            self.rounds.note(header.ssrc, header.sequence_number);
        }
        taken.map_err(|error| refused(&error))
    }

    /// Takes a packet of an SSRC that goes on in the round it had under the key before.
    fn prove_later_round(&mut self, datagram: &[u8], header: &Header) -> Result<(), Refused> {
        let later = self.before.later(header.ssrc, header.sequence_number);
        let index = later.ok_or(Refused::Tag)?;
        let is_there = |(ssrc, round, _): &(u32, u64, Context)| (*ssrc, *round) == (header.ssrc, index >> 16);
        if !self.going_on.as_ref().is_some_and(is_there) {
            let mut context = context(&self.key, None);
            bring_forward(&mut context, header.ssrc, index);
            self.going_on = Some((header.ssrc, index >> 16, context));
        }
        let Some((_, _, context)) = &mut self.going_on else {
            return Err(Refused::Tag);
        };
        context
            .decrypt_rtp_with_header(datagram, header)
            .map_err(|_| Refused::Tag)?;
        bring_forward(&mut self.proved, header.ssrc, index);
        self.rounds.begin(header.ssrc, index);
        Ok(())
    }

    /// Checks and decrypts. A packet in clear, which the suites would let through unauthenticated, is none.
    pub fn unprotect_rtcp(&mut self, datagram: &[u8]) -> Result<Bytes, Refused> {
        let ssrc = encrypted_sender(datagram, self.key.suite()).ok_or(Refused::Malformed)?;
        if !self.rtcp_ssrcs.contains(&ssrc) {
            if self.rtcp_ssrcs.len() >= SSRCS_MAX {
                return Err(Refused::Ssrc);
            }
            self.begin_try();
            self.trial.decrypt_rtcp(datagram).map_err(|_| Refused::Tag)?;
            self.tries = TRIES_MAX;
            self.rtcp_ssrcs.push(ssrc);
        }
        let taken = self.proved.decrypt_rtcp(datagram);
        taken.map_err(|error| refused(&error))
    }

    /// A throw-away context that has held its share is made anew.
    fn begin_try(&mut self) {
        if self.tries >= TRIES_MAX {
            self.trial = context(&self.key, None);
            self.tries = 0;
        }
        self.tries += 1;
    }

    /// SSRCs with state: proved ones, and at most this many others.
    #[cfg(test)]
    pub fn states(&self) -> (usize, usize) {
        (self.rtp_ssrcs.len() + self.rtcp_ssrcs.len(), self.tries)
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("key", &self.key)
            .field("ssrcs", &self.rtp_ssrcs)
            .finish_non_exhaustive()
    }
}

/// Who sends an RTCP packet that is long enough and has its E bit set (RFC 3711 §3.4).
fn encrypted_sender(datagram: &[u8], suite: SrtpSuite) -> Option<u32> {
    if datagram.len() < RTCP_HEADER_BYTES + 4 + suite.rtcp_tag_bytes() {
        return None;
    }
    let [flags, _, _, _, a, b, c, d]: &[u8; RTCP_HEADER_BYTES] = datagram.first_chunk()?;
    let index_at = datagram.len().checked_sub(suite.rtcp_index_from_end())?;
    let is_encrypted = datagram.get(index_at)? & 0x80 != 0;
    (flags >> 6 == 2 && is_encrypted).then(|| u32::from_be_bytes([*a, *b, *c, *d]))
}

/// A context of this key, with a window for whatever lasts.
pub(super) fn context(key: &MasterKey, window: Option<usize>) -> Context {
    let rtp = window.map(srtp_replay_protection);
    let rtcp = window.map(srtcp_replay_protection);
    #[expect(
        clippy::expect_used,
        reason = "the only error is a key of a wrong length, and a MasterKey has the right one"
    )]
    Context::new(key.key(), key.salt(), key.suite().profile(), rtp, rtcp)
        .expect("a master key fits its suite")
}

fn refused(error: &Error) -> Refused {
    match error {
        Error::SrtpSsrcDuplicated(..) | Error::SrtcpSsrcDuplicated(..) => Refused::Replay,
        // The crate's errors may grow; all others say that the packet is not of this key.
        _ => Refused::Tag,
    }
}
