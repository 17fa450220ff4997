//! A stream's packets as they go over the wire: encrypted where keys were agreed, and never clear then
//! (docs/threats.md A3, A5).
//!
//! Tag first, then everything else: before it only the source is looked at, and nothing is learned from it.

use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;

use super::{Discard, Stream};
use crate::rtp::PacketKind;
use crate::srtp::{Refused, Srtp, SrtpKeys};

/// What to hand to the kernel.
#[derive(Debug)]
pub enum Sealed {
    /// The packet as it is: the stream is clear.
    Clear,
    /// This one in its place.
    Packet(Bytes),
    /// Nothing: it was sent before.
    Nothing,
}

impl Stream {
    /// Applies the keys of a configuration.
    pub(super) fn configure_srtp(&mut self, keys: Option<&SrtpKeys>) {
        match (&mut self.srtp, keys) {
            (Some(srtp), Some(keys)) => srtp.configure(keys),
            (None, Some(keys)) => self.srtp = Some(Box::new(Srtp::new(keys))),
            (Some(_) | None, None) => self.srtp = None,
        }
    }

    /// The RTP packet a datagram carries; none where the stream is clear and it is one itself.
    pub fn unprotect_rtp(
        &mut self,
        datagram: &[u8],
        from: SocketAddr,
        now: Instant,
    ) -> Result<Option<Bytes>, Discard> {
        let Some(srtp) = &mut self.srtp else {
            return Ok(None);
        };
        let opened = if !self.inbound.may_come_from(from) {
            Err(Discard::Source)
        } else if PacketKind::of(datagram) != PacketKind::Rtp {
            Err(Discard::Malformed)
        } else {
            srtp.unprotect_rtp(datagram, now).map_err(|why| match why {
                Refused::Malformed => Discard::Malformed,
                Refused::Tag if self.inbound.looks_clear(datagram) => Discard::Clear,
                Refused::Tag => Discard::Tag,
                Refused::Replay => Discard::Replay,
                Refused::Ssrc => Discard::Ssrc,
            })
        };
        match opened {
            Ok(packet) => Ok(Some(packet)),
            Err(why) => {
                self.inbound.discard(why);
                Err(why)
            }
        }
    }

    /// The compound RTCP packet a datagram carries; none where the stream is clear.
    pub fn unprotect_rtcp(&mut self, datagram: &[u8], now: Instant) -> Result<Option<Bytes>, Refused> {
        match &mut self.srtp {
            None => Ok(None),
            Some(srtp) => srtp.unprotect_rtcp(datagram, now).map(Some),
        }
    }

    /// An RTP packet in two pieces, as it may leave.
    pub fn protect_rtp(&mut self, header: &[u8], payload: &[u8]) -> Sealed {
        match &mut self.srtp {
            None => Sealed::Clear,
            Some(srtp) if payload.is_empty() => Sealed::of(srtp.protect_rtp(header)),
            Some(srtp) => Sealed::of(srtp.protect_rtp(&[header, payload].concat())),
        }
    }

    /// A compound RTCP packet, as it may leave.
    pub fn protect_rtcp(&mut self, compound: &[u8]) -> Sealed {
        match &mut self.srtp {
            None => Sealed::Clear,
            Some(srtp) => Sealed::of(srtp.protect_rtcp(compound)),
        }
    }
}

impl Sealed {
    fn of(packet: Option<Bytes>) -> Sealed {
        packet.map_or(Sealed::Nothing, Sealed::Packet)
    }
}
