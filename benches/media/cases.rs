//! What is measured: kinds of work by name and number of legs, and the voices their callers speak with.

use media::codec::{Codec, Encoder};
use media::srtp::Srtp;

use crate::driver::{Driver, Speech, Voice};
use crate::floor::Work;
use crate::subject::{OPUS, keys};

/// A kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Two parties in clear with the same codec.
    Relay,
    /// Rooms of three.
    Mix,
    /// Music on hold.
    Music,
    /// Relayed, and every leg recorded.
    Record,
    /// Relayed between a clear leg and a secure one.
    Srtp,
    /// G.711 on one leg, Opus on the other.
    Opus,
}

/// One case: `KIND-LEGS`.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub kind: Kind,
    pub legs: usize,
}

/// All there are, in the order they are run.
pub const CASES: [Case; 12] = [
    case(Kind::Relay, 400),
    case(Kind::Relay, 1_600),
    case(Kind::Relay, 4_000),
    case(Kind::Mix, 90),
    case(Kind::Mix, 300),
    case(Kind::Mix, 900),
    case(Kind::Music, 400),
    case(Kind::Music, 1_000),
    case(Kind::Music, 2_000),
    case(Kind::Record, 400),
    case(Kind::Srtp, 800),
    case(Kind::Opus, 40),
];

const fn case(kind: Kind, legs: usize) -> Case {
    Case { kind, legs }
}

impl Kind {
    pub const ALL: [Kind; 6] = [
        Kind::Relay,
        Kind::Mix,
        Kind::Music,
        Kind::Record,
        Kind::Srtp,
        Kind::Opus,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Kind::Relay => "relay",
            Kind::Mix => "mix",
            Kind::Music => "music",
            Kind::Record => "record",
            Kind::Srtp => "srtp",
            Kind::Opus => "opus",
        }
    }

    /// The floor of this work.
    pub fn floor(self) -> Work {
        match self {
            Kind::Relay | Kind::Record | Kind::Srtp | Kind::Opus => Work::Relay,
            Kind::Mix => Work::Mix(3),
            Kind::Music => Work::Music,
        }
    }

    /// What callers send.
    pub fn speech(self) -> Speech {
        match self {
            Kind::Relay | Kind::Record | Kind::Srtp | Kind::Opus => Speech::Stamped,
            Kind::Mix => Speech::Bursts { room: 3 },
            Kind::Music => Speech::Nothing,
        }
    }

    /// Most delay it may add at its 99th percentile, microseconds: the turn, or a frame and the jitter buffer.
    pub fn added_us_max(self) -> u64 {
        match self {
            Kind::Mix | Kind::Opus => 45_000,
            Kind::Relay | Kind::Record | Kind::Srtp | Kind::Music => 5_000,
        }
    }

    /// Whether work is counted by packets sent out, as none come in.
    pub fn is_counted_out(self) -> bool {
        self == Kind::Music
    }

    /// Gives callers the codecs and ciphers of this work; floors pass on what is in clear.
    pub fn give_voices(self, driver: &mut Driver, legs: usize) {
        for leg in 0..legs {
            let is_second = leg % 2 == 1;
            let voice: Box<dyn Voice> = match (self, is_second) {
                (Kind::Srtp, true) => Box::new(Secure::new()),
                (Kind::Opus, true) => Box::new(Opus::new()),
                (Kind::Opus, false) => Box::new(Plain),
                _ => continue,
            };
            driver.set_voice(leg, voice);
        }
    }
}

impl Case {
    /// Finds `relay-400`; a kind alone is all its cases.
    pub fn find(text: &str) -> Vec<Case> {
        let (name, legs) = text.split_once('-').unwrap_or((text, ""));
        let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.name() == name) else {
            return Vec::new();
        };
        match legs.parse() {
            Ok(legs) => vec![case(kind, legs)],
            Err(_) if legs.is_empty() => CASES.into_iter().filter(|case| case.kind == kind).collect(),
            Err(_) => Vec::new(),
        }
    }

    pub fn name(&self) -> String {
        format!("{}-{}", self.kind.name(), self.legs)
    }
}

/// µ-law as it is; what comes back was transcoded.
struct Plain;

impl Voice for Plain {
    fn encode(&mut self, packet: &[u8], datagram: &mut Vec<u8>) {
        datagram.extend_from_slice(packet);
    }

    fn is_heard(&mut self, datagram: &[u8]) -> bool {
        datagram[1] & 0x7f == 0
    }
}

/// A secure leg. What comes back is told by its length: the cipher of the callers has other work.
struct Secure(Srtp);

impl Secure {
    fn new() -> Secure {
        Secure(Srtp::new(&keys()))
    }
}

impl Voice for Secure {
    fn encode(&mut self, packet: &[u8], datagram: &mut Vec<u8>) {
        if let Some(sealed) = self.0.protect_rtp(packet) {
            datagram.extend_from_slice(&sealed);
        }
    }

    fn is_heard(&mut self, datagram: &[u8]) -> bool {
        datagram.len() == 12 + 160 + 10
    }
}

/// A leg that sends one frame of Opus again and again.
struct Opus {
    payload: Vec<u8>,
}

impl Opus {
    fn new() -> Opus {
        let mut payload = vec![0; 400];
        let samples: Vec<i16> = (0..160)
            .map(|at| if at % 20 < 10 { 4000 } else { -4000 })
            .collect();
        let length = Encoder::new(Codec::Opus).encode(&samples, &mut payload);
        payload.truncate(length);
        Opus { payload }
    }
}

impl Voice for Opus {
    fn encode(&mut self, packet: &[u8], datagram: &mut Vec<u8>) {
        datagram.extend_from_slice(&packet[..12]);
        datagram[1] = OPUS;
        // The clock of Opus is 48 kHz (RFC 7587 §4.1).
        let time = u32::from_be_bytes([packet[4], packet[5], packet[6], packet[7]]).wrapping_mul(6);
        datagram[4..8].copy_from_slice(&time.to_be_bytes());
        datagram.extend_from_slice(&self.payload);
    }

    fn is_heard(&mut self, datagram: &[u8]) -> bool {
        datagram[1] & 0x7f == OPUS
    }
}
