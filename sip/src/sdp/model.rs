//! The parts of a session description that offer and answer look at.
//!
//! Owns nothing; knows nothing of text, of SIP, or of how packets are sent.

use std::net::{IpAddr, Ipv4Addr};

use super::crypto::CryptoLine;
use super::negotiated::Negotiated;
use super::security::{Profile, Security};

/// Packet lengths we send, milliseconds, ascending. Any other wish falls back to our own.
pub const PTIMES_MS: [u8; 5] = [10, 20, 30, 40, 60];
/// Packet length when nobody says otherwise, milliseconds. RFC 3551 §4.5.
pub const PTIME_MS_DEFAULT: u8 = 20;
/// Payload type of telephone-event in our first offers; by custom, no RFC fixes it.
pub const EVENT_PAYLOAD_TYPE: u8 = 101;

/// Payload type of Opus in our first offers: the first dynamic one.
pub const OPUS_PAYLOAD_TYPE: u8 = 96;

/// An audio codec we can negotiate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Codec {
    /// G.711 µ-law, static payload type 0 (RFC 3551 §6).
    Pcmu,
    /// G.711 A-law, static payload type 8.
    Pcma,
    /// G.722, static payload type 9; its clock is 8000 though it is sampled at 16 kHz (RFC 3551 §4.5.2).
    G722,
    /// Opus; its clock is 48,000 and its channels are two, whatever it carries (RFC 7587 §7).
    Opus,
}

impl Codec {
    /// The encoding name of RFC 3551, as rtpmap and the configuration write it.
    pub fn name(self) -> &'static str {
        match self {
            Codec::Pcmu => "PCMU",
            Codec::Pcma => "PCMA",
            Codec::G722 => "G722",
            Codec::Opus => "opus",
        }
    }

    /// The codec of an encoding name, in any case.
    pub fn from_name(name: &str) -> Option<Codec> {
        [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus]
            .into_iter()
            .find(|codec| codec.name().eq_ignore_ascii_case(name))
    }

    /// The payload type we give it in a first offer.
    pub fn payload_type(self) -> u8 {
        match self {
            Codec::Pcmu => 0,
            Codec::Pcma => 8,
            Codec::G722 => 9,
            Codec::Opus => OPUS_PAYLOAD_TYPE,
        }
    }

    /// The clock of rtpmap, hertz.
    pub fn clock_rate_hz(self) -> u32 {
        match self {
            Codec::Pcmu | Codec::Pcma | Codec::G722 => 8000,
            Codec::Opus => 48_000,
        }
    }

    /// The channels of rtpmap.
    pub fn channels(self) -> u8 {
        match self {
            Codec::Pcmu | Codec::Pcma | Codec::G722 => 1,
            Codec::Opus => 2,
        }
    }

    /// What we ask of who sends it to us: packets that repeat the one before, and the line of an agent kept free
    /// (RFC 7587 §6.1).
    pub(super) fn parameters(self) -> Option<&'static str> {
        match self {
            Codec::Pcmu | Codec::Pcma | Codec::G722 => None,
            Codec::Opus => Some("useinbandfec=1;maxaveragebitrate=40000"),
        }
    }
}

/// Which way media flows, seen from whoever wrote the description (RFC 3264 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Both ways; what holds where nothing is written.
    SendReceive,
    /// From the writer only.
    SendOnly,
    /// To the writer only.
    ReceiveOnly,
    /// Neither way; RTCP goes on.
    Inactive,
}

impl Direction {
    /// The direction with these two freedoms.
    pub fn new(sends: bool, receives: bool) -> Direction {
        match (sends, receives) {
            (true, true) => Direction::SendReceive,
            (true, false) => Direction::SendOnly,
            (false, true) => Direction::ReceiveOnly,
            (false, false) => Direction::Inactive,
        }
    }

    /// Whether the writer sends.
    pub fn sends(self) -> bool {
        matches!(self, Direction::SendReceive | Direction::SendOnly)
    }

    /// Whether the writer receives.
    pub fn receives(self) -> bool {
        matches!(self, Direction::SendReceive | Direction::ReceiveOnly)
    }

    /// The attribute's name.
    pub fn attribute(self) -> &'static str {
        match self {
            Direction::SendReceive => "sendrecv",
            Direction::SendOnly => "sendonly",
            Direction::ReceiveOnly => "recvonly",
            Direction::Inactive => "inactive",
        }
    }

    pub(super) fn from_attribute(name: &str) -> Option<Direction> {
        match name {
            "sendrecv" => Some(Direction::SendReceive),
            "sendonly" => Some(Direction::SendOnly),
            "recvonly" => Some(Direction::ReceiveOnly),
            "inactive" => Some(Direction::Inactive),
            _ => None,
        }
    }
}

/// An m-line that is carried along with port 0, so that the count and order of lines stay (RFC 3264 §8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedLine {
    /// Media type, for example `video`.
    pub media: String,
    /// Profile, for example `RTP/SAVP`.
    pub protocol: String,
    /// Its first format.
    pub format: String,
}

/// The refused lines around our audio line.
///
/// Comes out of every negotiation; whoever makes the next offer of the session puts it back into
/// [`LocalMedia::side_lines`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SideLines {
    /// Above the audio line.
    pub before: Vec<RefusedLine>,
    /// Below it.
    pub after: Vec<RefusedLine>,
}

/// Our half of an audio stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalMedia {
    /// Where we receive, as the peer must see it.
    pub address: IpAddr,
    /// RTP port.
    pub port: u16,
    /// RTCP port; `None` is `port` + 1. Written as a=rtcp where it is neither (RFC 3605).
    pub rtcp_port: Option<u16>,
    /// Codecs in our order of preference.
    pub codecs: Vec<Codec>,
    /// telephone-event in our offer, and its number; `None` offers and answers no events. An answer
    /// takes the offerer's number. In a later offer: the number agreed before (RFC 3264 §8.3.2).
    pub event_payload_type: Option<u8>,
    /// The number of Opus in our offer. In a later one: that agreed before.
    pub opus_payload_type: u8,
    /// Packet length we like, milliseconds: one of [`PTIMES_MS`].
    pub ptime_ms: u8,
    /// What we are ready for; an answer narrows it to what the offer allows.
    pub direction: Direction,
    /// Session id of o=, the same for the whole session.
    pub session_id: u64,
    /// Version of o=: the caller adds one where the description differs from its last, and only there.
    pub version: u64,
    /// Whether it is encrypted, with our keys.
    pub security: Security,
    /// Answer with one codec beside telephone-event, as some peers change codec where two are left.
    pub answer_one: bool,
    /// The other lines of the session, from the last negotiation; empty for a first offer.
    pub side_lines: SideLines,
}

impl LocalMedia {
    /// G.711 both ways at 20 ms, with events, ready for a first offer or answer.
    pub fn new(address: IpAddr, port: u16, session_id: u64) -> LocalMedia {
        LocalMedia {
            address,
            port,
            rtcp_port: None,
            codecs: vec![Codec::Pcmu, Codec::Pcma],
            event_payload_type: Some(EVENT_PAYLOAD_TYPE),
            opus_payload_type: OPUS_PAYLOAD_TYPE,
            ptime_ms: PTIME_MS_DEFAULT,
            direction: Direction::SendReceive,
            session_id,
            version: 1,
            security: Security::Clear,
            answer_one: true,
            side_lines: SideLines::default(),
        }
    }

    /// The payload type a codec has in our offer.
    pub fn payload_type(&self, codec: Codec) -> u8 {
        match codec {
            Codec::Pcmu | Codec::Pcma | Codec::G722 => codec.payload_type(),
            Codec::Opus => self.opus_payload_type,
        }
    }

    /// Goes on with the lines and numbers agreed before: a number means one thing for a whole session (RFC 3264
    /// §8.3.2).
    pub fn follow(&mut self, agreed: &Negotiated) {
        self.side_lines = agreed.side_lines.clone();
        self.event_payload_type = agreed.event_payload_type.or(self.event_payload_type);
        let opus = agreed.accepts.iter().find(|(_, codec)| *codec == Codec::Opus);
        if let Some((number, _)) = opus {
            self.opus_payload_type = *number;
        } else if self.event_payload_type == Some(self.opus_payload_type) {
            self.opus_payload_type += 1;
        }
    }
}

/// A session description as read, reduced to what negotiation needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionDescription {
    /// Version of o=, where it is a number: the same as before means nothing changed (RFC 3264 §8).
    pub version: Option<u64>,
    /// Its m-lines in order.
    pub media: Vec<MediaDescription>,
}

impl SessionDescription {
    /// Our codecs among the formats of its audio lines, in the peer's order, each once.
    pub fn codecs(&self) -> Vec<Codec> {
        let mut codecs = Vec::new();
        for format in self
            .media
            .iter()
            .filter(|line| line.is_audio())
            .flat_map(|line| &line.formats)
        {
            if let Encoding::Audio(codec) = format.encoding
                && !codecs.contains(&codec)
            {
                codecs.push(codec);
            }
        }
        codecs
    }
}

/// One m-line with what belongs to it; session-level values are already filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaDescription {
    /// The line as it is refused.
    pub line: RefusedLine,
    /// RTP port; 0 is refused or unused.
    pub port: u16,
    /// Formats in the writer's order.
    pub formats: Vec<Format>,
    /// Where the writer receives.
    pub address: RemoteAddress,
    /// a=rtcp: port, and address where one is written (RFC 3605).
    pub rtcp: Option<(u16, Option<IpAddr>)>,
    /// Which way, seen from the writer.
    pub direction: Direction,
    /// a=ptime, milliseconds, unchecked.
    pub ptime_ms: Option<u32>,
    /// a=maxptime, milliseconds, unchecked.
    pub maxptime_ms: Option<u32>,
    /// The a=crypto lines we could serve, in order (RFC 4568).
    pub crypto: Vec<CryptoLine>,
    /// It has a=crypto lines we could not.
    pub has_unusable_crypto: bool,
}

impl MediaDescription {
    /// Whether it is an audio line that is in use.
    pub fn is_audio(&self) -> bool {
        self.line.media.eq_ignore_ascii_case("audio") && self.port != 0
    }

    /// Its profile, where it is one we speak.
    pub fn profile(&self) -> Option<Profile> {
        Profile::from_word(&self.line.protocol)
    }
}

/// One format of an m-line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// RTP payload type, 0 to 127.
    pub payload_type: u8,
    /// What it stands for.
    pub encoding: Encoding,
}

/// What a payload type stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// One of our codecs.
    Audio(Codec),
    /// telephone-event at 8000 Hz (RFC 4733).
    Event,
    /// Anything we do not speak.
    Foreign,
}

/// What c= says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemoteAddress {
    /// An address.
    Ip(IpAddr),
    /// 0.0.0.0, ::, or a name under .invalid: the writer receives nothing (RFC 3264 §8.4, RFC 6157 §5.1).
    Nowhere,
    /// A name, a multicast or broadcast address, or another network.
    Unusable,
    /// No c= at either level.
    Absent,
}

impl RemoteAddress {
    pub(super) fn from_ip(address: IpAddr) -> RemoteAddress {
        let address = address.to_canonical();
        if address.is_unspecified() {
            RemoteAddress::Nowhere
        } else if address.is_multicast() || address == IpAddr::V4(Ipv4Addr::BROADCAST) {
            RemoteAddress::Unusable
        } else {
            RemoteAddress::Ip(address)
        }
    }
}
