//! What a phone is told once.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use media::Codec;

/// How much of what a phone hears is kept unless said otherwise.
pub const HEARING_KEPT_DEFAULT: Duration = Duration::from_secs(120);

/// Level of a phone's tone, dBov: two of them and music together stay below full scale.
pub const TONE_LEVEL_DBOV: f32 = -16.0;

/// A phone before it is started.
#[derive(Clone, Debug)]
pub struct Config {
    /// User part of its address: a name or a number.
    pub name: String,
    /// Where its sockets are bound.
    pub address: IpAddr,
    /// Its SIP port; 0 takes a free one.
    pub sip_port: u16,
    /// What it says, hertz.
    pub tone_hz: f32,
    /// The one codec it speaks.
    pub codec: Codec,
    /// What it does when it is called.
    pub behaviour: Behaviour,
    /// How much of what it hears is kept: 16 kB a second.
    pub hearing_kept: Duration,
}

/// What a phone does with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Rings and answers.
    Answer {
        /// How long it rings; zero answers at once, without 180.
        after: Duration,
    },
    /// Rings until the caller gives up.
    Ring,
    /// 486.
    Busy,
}

impl Config {
    /// A phone on loopback that speaks µ-law and answers at once.
    pub fn new(name: &str, tone_hz: f32) -> Config {
        Config {
            name: name.to_owned(),
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            sip_port: 0,
            tone_hz,
            codec: Codec::Pcmu,
            behaviour: Behaviour::Answer {
                after: Duration::ZERO,
            },
            hearing_kept: HEARING_KEPT_DEFAULT,
        }
    }
}
