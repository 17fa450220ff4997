//! What a stream takes in: source, SSRC, sequence and payload type are checked in this order, and
//! everything thrown away is counted by reason.
//!
//! Knows nothing of who hears it.

use std::net::SocketAddr;
use std::time::Instant;

use super::latch::Latch;
use super::speaker::{Belief, Speaker};
use super::stats::{Discard, Discarded};
use crate::command::{Codec, SourceRule, StreamConfig};
use crate::rtp::{Header, Packet, PacketKind, Reception, RtpTime, Verdict};

/// Most audio in a packet, bytes of G.711: 120 ms. docs/threats.md A10.
pub const PAYLOAD_BYTES_MAX: usize = 960;

/// Packets of audio are multiples of 10 ms, 80 bytes of G.711 (RFC 3551 §4.2).
const CLEAR_AUDIO_BYTES: usize = 80;

/// Shortest telephone-event payload (RFC 4733 §2.3).
const EVENT_BYTES_MIN: usize = 4;

/// The receiving half of a stream.
#[derive(Debug)]
pub struct Inbound {
    latch: Latch,
    speaker: Speaker,
    reception: Reception,
    accepts: Vec<(u8, Codec)>,
    event_payload_type: Option<u8>,
    may_receive: bool,
    codec: Option<Codec>,
    heard_at: Option<Instant>,
    packets: u64,
    bytes: u64,
    discarded: Discarded,
}

/// A packet that belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrived {
    /// Its fixed fields.
    pub header: Header,
    /// Where its payload begins.
    pub payload_at: usize,
    /// Where its payload ends.
    pub payload_end: usize,
    /// What it carries.
    pub content: Content,
    /// Where it stands in its source's sequence; never `Suspect`.
    pub verdict: Verdict,
}

/// What a packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Audio in this codec.
    Audio {
        /// Which.
        codec: Codec,
        /// Another than the packet before: whoever relays this stream looks again.
        is_change: bool,
    },
    /// A piece of a digit (RFC 4733).
    Event,
}

impl Inbound {
    /// Takes nothing until configured.
    pub fn new() -> Self {
        Self {
            latch: Latch::new(&SourceRule::Strict, None),
            speaker: Speaker::default(),
            reception: Reception::new(),
            accepts: Vec::new(),
            event_payload_type: None,
            may_receive: false,
            codec: None,
            heard_at: None,
            packets: 0,
            bytes: 0,
            discarded: Discarded::default(),
        }
    }

    /// Applies what was agreed. A source that stays the same goes on unbroken.
    pub fn configure(&mut self, before: Option<&StreamConfig>, config: &StreamConfig) {
        let is_same_peer =
            before.is_some_and(|before| before.remote == config.remote && before.source == config.source);
        if !is_same_peer {
            self.latch = Latch::new(&config.source, config.remote);
        }
        // A new agreement may bring a new SSRC with its first packet (docs/threats.md F3: at most one lost).
        self.speaker.forget();
        self.accepts.clone_from(&config.accepts);
        self.event_payload_type = config.event_payload_type;
        self.may_receive = config.may_receive;
        if !config.accepts.iter().any(|(_, codec)| Some(*codec) == self.codec) {
            self.codec = Some(config.codec);
        }
    }

    /// Judges a datagram. `arrival` is the shard's media clock.
    pub fn handle_rtp(
        &mut self,
        datagram: &[u8],
        from: SocketAddr,
        arrival: RtpTime,
        now: Instant,
    ) -> Result<Arrived, Discard> {
        let judged = self.judge(datagram, from, arrival, now);
        match &judged {
            Ok(arrived) => {
                self.heard_at = Some(now);
                self.packets += 1;
                self.bytes += (arrived.payload_end - arrived.payload_at) as u64;
            }
            Err(why) => self.discarded.count(*why),
        }
        judged
    }

    fn judge(
        &mut self,
        datagram: &[u8],
        from: SocketAddr,
        arrival: RtpTime,
        now: Instant,
    ) -> Result<Arrived, Discard> {
        if PacketKind::of(datagram) != PacketKind::Rtp {
            return Err(Discard::Malformed);
        }
        let packet = Packet::parse(datagram).map_err(|_| Discard::Malformed)?;
        let header = packet.header;
        if !self.latch.admits(from, header.ssrc, header.seq, now) {
            return Err(Discard::Source);
        }
        if !self.may_receive {
            return Err(Discard::NotReceiving);
        }
        let is_event = self.event_payload_type == Some(header.payload_type);
        let codec = self
            .accepts
            .iter()
            .find(|(number, _)| *number == header.payload_type);
        if !is_event && codec.is_none() {
            return Err(Discard::PayloadType);
        }
        if packet.payload.len() > PAYLOAD_BYTES_MAX {
            return Err(Discard::TooLong);
        }
        if packet.payload.len() < if is_event { EVENT_BYTES_MIN } else { 1 } {
            return Err(Discard::Malformed);
        }
        match self.speaker.judge(&header, now) {
            Belief::Known => {}
            Belief::New if self.reception.ssrc() != Some(header.ssrc) => self.reception.forget_source(),
            Belief::New => {}
            Belief::Refused => return Err(Discard::Ssrc),
        }
        let units = codec.map_or(1, |(_, codec)| codec.units_per_sample());
        let arrival = RtpTime(arrival.0.wrapping_mul(units));
        let verdict = self.reception.handle_packet(&header, is_event, arrival);
        if verdict == Verdict::Suspect {
            return Err(Discard::Ssrc);
        }
        let content = match codec {
            Some((_, codec)) if !is_event => Content::Audio {
                codec: *codec,
                is_change: self.codec.replace(*codec) != Some(*codec),
            },
            Some(_) | None => Content::Event,
        };
        let payload_at = packet
            .payload
            .as_ptr()
            .addr()
            .saturating_sub(datagram.as_ptr().addr());
        Ok(Arrived {
            header,
            payload_at,
            payload_end: payload_at + packet.payload.len(),
            content,
            verdict,
        })
    }

    /// Whether a packet of this source may be taken at all. Learns nothing.
    pub fn may_come_from(&self, from: SocketAddr) -> bool {
        self.latch.may_admit(from)
    }

    /// Whether a packet whose tag is wrong looks as it would without one: an agreed payload type, and whole
    /// 10 ms of audio or a digit behind the header, where a tag makes other lengths. Opus may have any length.
    pub fn looks_clear(&self, datagram: &[u8]) -> bool {
        let Ok(packet) = Packet::parse(datagram) else {
            return false;
        };
        let (kind, len) = (packet.header.payload_type, packet.payload.len());
        let is_audio = self
            .accepts
            .iter()
            .any(|(number, codec)| *number == kind && !codec.is_framed());
        (is_audio && len > 0 && len.is_multiple_of(CLEAR_AUDIO_BYTES))
            || (self.event_payload_type == Some(kind) && len == EVENT_BYTES_MIN)
    }

    /// A packet that belonged turned out useless later on.
    pub fn discard(&mut self, why: Discard) {
        self.discarded.count(why);
    }

    /// Whether RTCP of this source is read.
    pub fn admits_rtcp(&self, from: SocketAddr, remote_rtcp: Option<SocketAddr>) -> bool {
        self.latch.admits_rtcp(from, remote_rtcp)
    }

    /// The one source taken until the next configuration, if no other can be.
    pub fn only_source(&self) -> Option<SocketAddr> {
        self.latch.only_source()
    }

    /// Where RTP is sent.
    pub fn destination(&self) -> Option<SocketAddr> {
        self.latch.destination()
    }

    /// What is heard, or agreed as long as nothing was.
    pub fn codec(&self) -> Option<Codec> {
        self.codec
    }

    /// Whether what arrives is taken in.
    pub fn may_receive(&self) -> bool {
        self.may_receive
    }

    /// When the last packet was taken in.
    pub fn heard_at(&self) -> Option<Instant> {
        self.heard_at
    }

    /// Sequence statistics.
    pub fn reception(&self) -> &Reception {
        &self.reception
    }

    /// Sequence statistics, for a report.
    pub fn reception_mut(&mut self) -> &mut Reception {
        &mut self.reception
    }

    /// Packets and payload bytes taken in.
    pub fn counts(&self) -> (u64, u64) {
        (self.packets, self.bytes)
    }

    /// What was thrown away.
    pub fn discarded(&self) -> Discarded {
        self.discarded
    }
}

impl Default for Inbound {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::{SeqNo, Ssrc};

    const REMOTE: &str = "127.0.0.2:4000";

    fn config() -> StreamConfig {
        StreamConfig {
            codec: Codec::Pcmu,
            payload_type: 0,
            accepts: vec![(0, Codec::Pcmu), (8, Codec::Pcma)],
            event_payload_type: Some(101),
            digits: crate::command::DigitForm::Events,
            ptime_ms: 20,
            remote: Some(REMOTE.parse().unwrap()),
            remote_rtcp: None,
            source: SourceRule::Strict,
            may_send: true,
            may_receive: true,
            srtp: None,
        }
    }

    fn inbound(config: &StreamConfig) -> Inbound {
        let mut inbound = Inbound::new();
        inbound.configure(None, config);
        inbound
    }

    fn feed(
        inbound: &mut Inbound,
        from: &str,
        payload_type: u8,
        seq: u16,
        len: usize,
    ) -> Result<Content, Discard> {
        let header = Header {
            marker: false,
            payload_type,
            seq: SeqNo(seq),
            time: RtpTime(0),
            ssrc: Ssrc(1),
        };
        let mut datagram = header.to_bytes().to_vec();
        datagram.resize(12 + len, 1);
        let from = from.parse().unwrap();
        inbound
            .handle_rtp(&datagram, from, RtpTime(0), Instant::now())
            .map(|arrived| arrived.content)
    }

    #[test]
    fn every_payload_type_agreed_is_taken_and_a_change_is_told() {
        let mut inbound = inbound(&config());
        let mu = |is_change| {
            Ok(Content::Audio {
                codec: Codec::Pcmu,
                is_change,
            })
        };
        let a = |is_change| {
            Ok(Content::Audio {
                codec: Codec::Pcma,
                is_change,
            })
        };
        assert_eq!(feed(&mut inbound, REMOTE, 0, 1, 160), mu(false));
        assert_eq!(feed(&mut inbound, REMOTE, 8, 2, 160), a(true));
        assert_eq!(feed(&mut inbound, REMOTE, 8, 3, 160), a(false));
        assert_eq!(feed(&mut inbound, REMOTE, 101, 4, 4), Ok(Content::Event));
        assert_eq!(feed(&mut inbound, REMOTE, 0, 5, 160), mu(true));
    }

    #[test]
    fn everything_else_is_dropped_and_counted_by_reason() {
        let mut inbound = inbound(&config());
        assert_eq!(
            feed(&mut inbound, "127.0.0.66:4000", 0, 1, 160),
            Err(Discard::Source)
        );
        assert_eq!(feed(&mut inbound, REMOTE, 3, 1, 160), Err(Discard::PayloadType));
        assert_eq!(feed(&mut inbound, REMOTE, 0, 1, 961), Err(Discard::TooLong));
        assert_eq!(feed(&mut inbound, REMOTE, 0, 1, 0), Err(Discard::Malformed));
        assert_eq!(feed(&mut inbound, REMOTE, 101, 1, 3), Err(Discard::Malformed));
        assert!(feed(&mut inbound, REMOTE, 0, 1, 160).is_ok());
        assert_eq!(feed(&mut inbound, REMOTE, 0, 20_000, 160), Err(Discard::Ssrc));
        inbound.configure(
            Some(&config()),
            &StreamConfig {
                may_receive: false,
                srtp: None,
                ..config()
            },
        );
        assert_eq!(feed(&mut inbound, REMOTE, 0, 2, 160), Err(Discard::NotReceiving));
        assert_eq!(inbound.discarded().total(), 7);
        assert_eq!(inbound.counts(), (1, 160));
    }

    #[test]
    fn payloads_of_any_length_are_judged_without_harm() {
        let mut inbound = inbound(&config());
        for len in [0usize, 1, 159, 960, 961, 65_507] {
            for payload_type in [0, 8, 101, 127] {
                let _ = feed(&mut inbound, REMOTE, payload_type, len as u16, len);
            }
        }
    }
}
