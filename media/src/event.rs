//! What a shard tells the engine. Knows nothing of SIP, calls or files.

use std::net::SocketAddr;

use crate::command::{DtmfKey, PlayKey, StreamKey};
use crate::dtmf::Told;
use crate::stream::{Quality, Stats};

/// Why a play ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlayEnd {
    /// Its last piece was sent.
    Completed,
    /// By `StopPlay`.
    Stopped,
    /// Its listener closed.
    ListenerClosed,
}

/// A happening on a shard.
#[derive(Clone, Debug)]
pub enum Event {
    /// A stream has its ports.
    Opened {
        /// Which stream.
        stream: StreamKey,
        /// Where it takes RTP; RTCP is one port higher.
        local: SocketAddr,
    },
    /// No port could be had.
    OpenFailed {
        /// Which stream.
        stream: StreamKey,
    },
    /// The first packet from the right source arrived since `Configure`.
    Receiving {
        /// Which stream.
        stream: StreamKey,
    },
    /// The first packet was sent since `Configure`.
    Sending {
        /// Which stream.
        stream: StreamKey,
    },
    /// Nothing arrived for the stream's silence limit (2 s) though it may receive.
    Silent {
        /// Which stream.
        stream: StreamKey,
    },
    /// Packets arrive again after `Silent`.
    Heard {
        /// Which stream.
        stream: StreamKey,
    },
    /// Nothing of what is sent gets to the party: its reports show it, or the kernel refuses all.
    Deaf {
        /// Which stream.
        stream: StreamKey,
    },
    /// What is sent gets there again after `Deaf`.
    Hearing {
        /// Which stream.
        stream: StreamKey,
    },
    /// A period of 5 s is over.
    Quality {
        /// Which stream.
        stream: StreamKey,
        /// How well it was.
        quality: Quality,
    },
    /// The party pressed a digit; comes at the digit's end, once.
    Dtmf {
        /// Who pressed it.
        stream: StreamKey,
        /// `0-9 * # A-D`.
        digit: char,
        /// How long, milliseconds.
        duration_ms: u32,
        /// How it was told, first where it was told twice.
        told: Told,
    },
    /// A digit of somebody this party hears, for a party that takes digits by signalling.
    DigitFor {
        /// Whom it is for.
        stream: StreamKey,
        /// `0-9 * # A-D`.
        digit: char,
        /// How long, milliseconds.
        duration_ms: u32,
    },
    /// All digits of an order are sent.
    DtmfSent {
        /// Which order.
        dtmf: DtmfKey,
    },
    /// A play put its first frame on the wire.
    PlayStarted {
        /// Which play.
        play: PlayKey,
    },
    /// A play is over.
    PlayEnded {
        /// Which play.
        play: PlayKey,
        /// Why.
        why: PlayEnd,
        /// How far it came, milliseconds of its own clock.
        position_ms: u64,
    },
    /// Numbers asked for.
    Stats {
        /// Which stream.
        stream: StreamKey,
        /// From the question.
        request: u64,
        /// The numbers; boxed, as they are many.
        stats: Box<Stats>,
    },
    /// A stream is gone, with its last numbers.
    Closed {
        /// Which stream.
        stream: StreamKey,
        /// The numbers.
        stats: Box<Stats>,
    },
}
