//! What the engine asks of a shard.
//!
//! A [`Command`] is a list of [`Change`]s that take effect together, between two turns: no packet and
//! no mixer tick ever sees half of one. Knows nothing of SIP, SDP, calls or files.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::frame::samples_of_ms;
use crate::recorder::TrackKey;
use crate::sound::Sound;
use crate::srtp::SrtpKeys;

/// One RTP session of one leg, numbered by the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamKey(pub u64);

/// One running play, numbered by the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PlayKey(pub u64);

/// One order to send digits, numbered by the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DtmfKey(pub u64);

/// A codec, with what `media::codec` says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// G.711 µ-law (RFC 3551 §4.5.14).
    Pcmu,
    /// G.711 A-law.
    Pcma,
    /// G.722 at 64 kbit/s: 16 kHz audio under a clock of 8000 Hz (RFC 3551 §4.5.2).
    G722,
    /// Opus (RFC 7587).
    Opus,
}

/// One agreed session, from offer and answer. Every field holds from the moment it is applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamConfig {
    /// What is sent.
    pub codec: Codec,
    /// Payload type of `codec` when sent.
    pub payload_type: u8,
    /// Payload types taken in, each with its codec (the whole negotiated list, RFC 3264 §6.1).
    pub accepts: Vec<(u8, Codec)>,
    /// telephone-event payload type in both directions, clock 8000 (RFC 4733).
    pub event_payload_type: Option<u8>,
    /// How digits of others reach this party.
    pub digits: DigitForm,
    /// Packet length sent, milliseconds: 10 to 60.
    pub ptime_ms: u8,
    /// Where RTP goes.
    pub remote: Option<SocketAddr>,
    /// Where RTCP goes; none: no RTCP is sent.
    pub remote_rtcp: Option<SocketAddr>,
    /// Which sources are heard.
    pub source: SourceRule,
    /// False: nothing is sent (peer holds us, or nothing is agreed yet).
    pub may_send: bool,
    /// False: what arrives is counted and dropped (we hold the peer by signalling).
    pub may_receive: bool,
    /// The keys of both directions; none: the stream is clear.
    pub srtp: Option<SrtpKeys>,
}

impl StreamConfig {
    /// Whether RTCP is to come to its port: not once something was agreed without it.
    pub fn needs_rtcp_socket(&self) -> bool {
        self.remote.is_none() || self.remote_rtcp.is_some()
    }

    /// How digits reach the party with what was agreed: without telephone-events there are none.
    pub fn digit_form(&self) -> DigitForm {
        match (self.digits, self.event_payload_type) {
            (DigitForm::Events, None) => DigitForm::Tones,
            (form, _) => form,
        }
    }

    /// Whether the party's own digits are listened for in its audio: where ours would reach it so, and where no
    /// telephone-events were agreed, whatever else may tell them.
    pub fn hears_tones(&self) -> bool {
        self.digits == DigitForm::Tones || self.event_payload_type.is_none()
    }
}

/// How digits reach a party.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DigitForm {
    /// As telephone-events, or as tones where none were agreed.
    Events,
    /// As tones in the audio.
    Tones,
    /// By the engine's signalling, which is told of each by `DigitFor`.
    Signalling,
}

/// Which RTP sources a stream takes (docs/threats.md A1 decides the words).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceRule {
    /// Only the address and port of `remote`.
    Strict,
    /// The address of `remote`, and there its port or else the first steady one; then only that one until the next
    /// configuration.
    Address,
    /// The first steady source inside these networks, then only that one until the next configuration.
    Nat(Vec<Network>),
}

/// An address block, for example 127.0.0.0/8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    /// Any address inside it.
    pub address: IpAddr,
    /// Leading bits that count.
    pub prefix: u8,
}

impl Network {
    /// Whether `address` lies inside; IPv4-mapped IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address.to_canonical(), address.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(host)) => {
                let bits = u32::from(self.prefix.min(32));
                let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
                u32::from(net) & mask == u32::from(host) & mask
            }
            (IpAddr::V6(net), IpAddr::V6(host)) => {
                let bits = u32::from(self.prefix.min(128));
                let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
                u128::from(net) & mask == u128::from(host) & mask
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

/// One speaker in a listener's row of the audibility matrix.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Heard {
    /// Who is heard.
    pub speaker: StreamKey,
    /// How loud, dB; 0.0 leaves the samples alone.
    pub gain_db: f32,
}

/// One piece of a play.
#[derive(Clone, Debug)]
pub enum Source {
    /// A prompt or a piece of music.
    Sound(Arc<Sound>),
    /// A tone.
    Tone(Tone),
    /// Silence, milliseconds.
    Silence(u32),
}

impl Source {
    /// Its samples; `None`: it goes on until stopped.
    pub fn length(&self) -> Option<u64> {
        match self {
            Source::Sound(sound) => Some(sound.pcm().len() as u64),
            Source::Tone(tone) => tone.duration_ms.map(samples_of_ms),
            Source::Silence(ms) => Some(samples_of_ms(*ms)),
        }
    }
}

/// A tone of up to two frequencies with a cadence.
#[derive(Clone, Debug, PartialEq)]
pub struct Tone {
    /// Hertz; the second may be 0.
    pub frequencies_hz: (f32, f32),
    /// Level of each frequency, dBov (0 = full scale), for example −16.
    pub level_dbov: f32,
    /// On and off spans, milliseconds, repeated; empty: steady.
    pub cadence_ms: Vec<u32>,
    /// How long, milliseconds; `None`: until stopped.
    pub duration_ms: Option<u32>,
}

/// How a play meets speech.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlayLayer {
    /// Under everything else: hold music, ringback. An announcement replaces it for its length.
    Background,
    /// Instead of speech and background.
    Replace,
    /// Mixed over speech.
    Over,
}

/// What a track takes of its party.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrackGate {
    /// The party's audio.
    Open,
    /// Silence: held, muted or paused.
    Silent,
}

/// One change of a shard's state.
#[derive(Clone, Debug)]
pub enum Change {
    /// Takes a port pair and makes a stream; answered by `Opened` or `OpenFailed`.
    Open {
        /// Its number.
        stream: StreamKey,
        /// Which of our addresses.
        address: IpAddr,
    },
    /// Applies what offer and answer agreed; the RTP sequence goes on unbroken.
    Configure {
        /// Which stream.
        stream: StreamKey,
        /// What was agreed.
        config: StreamConfig,
    },
    /// Ends a stream; its ports rest before they are used again. Answered by `Closed`.
    Close {
        /// Which stream.
        stream: StreamKey,
    },
    /// Gives a stream, with everything that runs on it, to another shard. It leaves all rows here, and its
    /// own row is empty there; RTP goes on unbroken. The other shard gets `Adopt` in the same step.
    HandOver {
        /// Which stream.
        stream: StreamKey,
        /// The number of the shard that takes it.
        to: usize,
    },
    /// A stream comes from another shard. What names it waits until it is there, and then happens in order.
    Adopt {
        /// Which stream.
        stream: StreamKey,
    },
    /// Replaces one listener's row: who it hears. An empty row sends silence (or the play).
    Hear {
        /// The listener.
        listener: StreamKey,
        /// The speakers.
        speakers: Vec<Heard>,
    },
    /// Starts a play towards one stream. On one layer the newest play is heard.
    Play {
        /// Its number.
        play: PlayKey,
        /// Who hears it.
        listener: StreamKey,
        /// Pieces in order.
        sources: Vec<Source>,
        /// How much of them is left out at the start, milliseconds.
        from_ms: u64,
        /// Start again after the last piece.
        repeat: bool,
        /// Loudness, dB.
        gain_db: f32,
        /// How it meets speech.
        layer: PlayLayer,
    },
    /// Ends a play; answered by `PlayEnded`.
    StopPlay {
        /// Which play.
        play: PlayKey,
    },
    /// Stops the clock of a play, or lets it go on.
    PausePlay {
        /// Which play.
        play: PlayKey,
        /// True: stop the clock.
        paused: bool,
    },
    /// Sends digits as telephone-events, or as tones where none were agreed or `inband` asks for it.
    SendDtmf {
        /// Its number.
        dtmf: DtmfKey,
        /// To whom.
        stream: StreamKey,
        /// `0-9 * # A-D`.
        digits: String,
        /// Length of each digit, milliseconds.
        duration_ms: u32,
        /// Tones in the audio even where events were agreed.
        inband: bool,
    },
    /// The party pressed a digit and said so by signalling: told, and passed on, like one that came as an
    /// event; the twin of such a one is dropped.
    HearDigit {
        /// Who pressed it.
        stream: StreamKey,
        /// `0-9 * # A-D`.
        digit: char,
        /// How long, milliseconds.
        duration_ms: u32,
    },
    /// Whether digits of this speaker pass to whoever hears it.
    PassDtmf {
        /// The speaker.
        stream: StreamKey,
        /// False while digits are collected.
        pass: bool,
    },
    /// Starts a track of what this party says.
    StartTrack {
        /// Its number.
        track: TrackKey,
        /// The party.
        stream: StreamKey,
        /// Open, or silent from the start.
        gate: TrackGate,
    },
    /// Opens or silences a track.
    GateTrack {
        /// Which track.
        track: TrackKey,
        /// Open or silent.
        gate: TrackGate,
    },
    /// Ends a track: its last block is handed out, marked last.
    StopTrack {
        /// Which track.
        track: TrackKey,
    },
    /// Asks for numbers; answered by `Stats`.
    Stats {
        /// Which stream.
        stream: StreamKey,
        /// Given back in the answer.
        request: u64,
    },
}

/// Changes that take effect together.
pub type Command = Vec<Change>;
