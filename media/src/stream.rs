//! One RTP session of one leg.
//!
//! Owns: what is agreed, the receiving and sending halves, who it hears, what plays towards it, the digits
//! on their way, its reports and its numbers. Knows nothing of SIP, SDP text, files, or other streams but
//! by their slot.

mod digits;
mod emodel;
mod far_ear;
mod inbound;
mod latch;
mod measured;
mod outbound;
mod packer;
mod plays;
mod quality;
mod reporter;
mod secure;
mod settling;
mod sink;
mod speaker;
mod stats;
mod tones;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::codec::{Codec, Encoder};
use crate::command::{DigitForm, StreamConfig, StreamKey, TrackGate};
use crate::dtmf::{Presses, Receiver, Told};
use crate::jitter::Playout;
use crate::mixer::Limiter;
use crate::recorder::Track;
use crate::rtp::{RtpTime, SeqNo, Ssrc};
use crate::shard::ports::RtpPort;
use crate::shard::rng::Rng;
use crate::srtp::Srtp;

pub use digits::{DigitTick, Digits, ORDERS_MAX};
pub use emodel::{Impairment, mos};
pub use far_ear::FarEar;
pub use inbound::{Arrived, Content, Inbound, PAYLOAD_BYTES_MAX};
pub use latch::{Latch, SOURCE_SILENCE, STEADY_PACKETS};
pub use measured::Seen;
pub use outbound::{Outbound, Relayed, Stamp};
pub use packer::{Packer, silence};
pub use plays::{Alone, PLAYS_MAX, Plays, Step};
pub use quality::{Counted, Figures, Look, Looks, PERIOD_LOOKS, Quality};
pub use reporter::{REPORT_BYTES_MAX, REPORT_INTERVAL, Reporter};
pub use secure::Sealed;
pub use settling::{SETTLED_PACKETS, Settling};
pub use sink::{Ear, Format, Playing, Sink, Situation, Voice};
pub use speaker::{Belief, NEW_SSRC_PACKETS, NEW_SSRC_SILENCE, OLD_SSRC_SILENCE, Speaker};
pub use stats::{Discard, Discarded, Stats};
pub use tones::{Ended, News, Tones};

/// A stream in its shard. The parts are the shard's to drive; each keeps its own rules.
pub struct Stream {
    key: StreamKey,
    local: SocketAddr,
    port: RtpPort,
    /// The shard that opened it: its ports go back there.
    home: usize,
    config: Option<StreamConfig>,
    /// The receiving half.
    pub(crate) inbound: Inbound,
    /// The sending half.
    pub(crate) outbound: Outbound,
    /// Its encryption; none: it is clear.
    srtp: Option<Box<Srtp>>,
    /// RTCP.
    pub(crate) reporter: Reporter,
    /// Whom it hears.
    pub(crate) row: Vec<Ear>,
    /// Slots that have it in their row.
    pub(crate) heard_by: Vec<u32>,
    /// Of these, the ones that are sent its packets as they are.
    pub(crate) relay_to: Vec<u32>,
    /// Its audio on the 20 ms grid, while anyone needs it decoded.
    pub(crate) playout: Option<Box<Playout>>,
    /// What turns frames into payload; as agreed.
    pub(crate) encoder: Encoder,
    /// Frames on their way to packets.
    pub(crate) packer: Packer<u8>,
    /// Samples on their way to packets, of a codec that encodes only whole ones.
    pub(crate) samples: Packer<i16>,
    /// What feeds it.
    pub(crate) sink: Sink,
    /// What plays towards it.
    pub(crate) plays: Plays,
    /// Keeps its mix from clipping.
    pub(crate) limiter: Limiter,
    /// Digits on their way to it.
    pub(crate) digits: Digits,
    /// Digits its party presses.
    pub(crate) pressed: Receiver,
    /// The timestamp of the digit pressed last.
    pub(crate) pressed_at: Option<RtpTime>,
    /// The ear for digits in its audio; none: they are told otherwise, and need not be kept from anyone.
    pub(crate) tones: Option<Box<Tones>>,
    /// Its digits that may be told another way too.
    pub(crate) presses: Presses,
    /// The timestamp of the digit that `presses` was asked of last.
    judged_at: Option<RtpTime>,
    /// The timestamp of the last digit that was told another way before.
    pub(crate) twin_at: Option<RtpTime>,
    /// Whether its digits pass to whoever hears it.
    pub(crate) pass_dtmf: bool,
    /// The timestamp of the last digit that was kept from everyone.
    pub(crate) withheld_at: Option<RtpTime>,
    /// The last digit of a speaker whose packets were passed on to it: slot and timestamp.
    pub(crate) event_relayed: Option<(u32, RtpTime)>,
    /// Tracks of what its party says.
    pub(crate) tracks: Vec<Recording>,
    /// Whether its socket need hear its source only.
    pub(crate) settling: Settling,
    /// Silence as its listener on the engine's side knows it.
    pub(crate) watch: Watch,
    /// Its looks, once a second.
    looks: Looks,
    send_failed: u64,
}

/// A track and whether it takes the party's audio.
#[derive(Debug)]
pub(crate) struct Recording {
    /// The track.
    pub track: Track,
    /// Open, or silent.
    pub gate: TrackGate,
}

/// What was told of a stream's coming and going packets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Watch {
    /// `Receiving` was told since the last `Configure`.
    pub receiving_told: bool,
    /// `Sending` was told since the last `Configure`.
    pub sending_told: bool,
    /// `Silent` was told, and not yet `Heard`.
    pub is_silent: bool,
    /// `Deaf` was told, and not yet `Hearing`.
    pub is_deaf: bool,
    /// When the last configuration was applied: silence counts from here at the earliest.
    pub configured_at: Option<Instant>,
}

impl Stream {
    /// A stream with its ports, which are of shard `home`, and its own random numbers, hearing nobody.
    pub fn new(key: StreamKey, local: SocketAddr, port: RtpPort, home: usize, rng: &mut Rng) -> Self {
        let outbound = Outbound::new(
            Ssrc(rng.next_u32()),
            SeqNo(rng.next_u32() as u16 & FIRST_SEQUENCE_MASK),
            RtpTime(rng.next_u32()),
        );
        Self {
            key,
            local,
            port,
            home,
            config: None,
            inbound: Inbound::new(),
            outbound,
            srtp: None,
            reporter: Reporter::new(rng.next_u64()),
            row: Vec::new(),
            heard_by: Vec::new(),
            relay_to: Vec::new(),
            playout: None,
            encoder: Encoder::new(Codec::Pcmu),
            packer: Packer::new(),
            samples: Packer::new(),
            sink: Sink::Off,
            plays: Plays::default(),
            limiter: Limiter::new(),
            digits: Digits::default(),
            pressed: Receiver::new(),
            pressed_at: None,
            tones: None,
            presses: Presses::default(),
            judged_at: None,
            twin_at: None,
            pass_dtmf: true,
            withheld_at: None,
            event_relayed: None,
            tracks: Vec::new(),
            settling: Settling::default(),
            watch: Watch {
                receiving_told: false,
                sending_told: false,
                is_silent: false,
                is_deaf: false,
                configured_at: None,
            },
            looks: Looks::default(),
            send_failed: 0,
        }
    }

    /// Whether the digit that began at `time` is kept from everyone. One that was withheld stays so to the
    /// last of its packets: its end is sent three times, and a collect is over with the first.
    pub fn withholds(&mut self, time: RtpTime) -> bool {
        if !self.pass_dtmf {
            self.withheld_at = Some(time);
        }
        self.withheld_at == Some(time)
    }

    /// Looks whether the digit that an event packet is of was told another way before: such a one is kept from
    /// everyone.
    pub fn judge_press(&mut self, now: Instant) {
        let Some((digit, time)) = self.pressed.begun() else {
            return;
        };
        if self.judged_at == Some(time) {
            return self.presses.hold(Told::Events, now);
        }
        self.judged_at = Some(time);
        if self.presses.is_twin(digit, Told::Events, now) {
            self.twin_at = Some(time);
            self.withheld_at = Some(time);
        }
    }

    /// Applies what was agreed. SSRC, sequence and timestamp sent go on unbroken.
    pub fn configure(&mut self, mut config: StreamConfig, now: Instant) {
        config.ptime_ms = config.codec.packet_ms(sane_ptime_ms(config.ptime_ms));
        self.outbound.set_clock(config.codec.clock());
        self.inbound.configure(self.config.as_ref(), &config);
        self.configure_srtp(config.srtp.as_ref());
        if self.encoder.codec() != config.codec {
            self.encoder = Encoder::new(config.codec);
            self.packer.clear();
            self.samples.clear();
        }
        let is_same_peer = self
            .config
            .as_ref()
            .is_some_and(|before| before.remote == config.remote);
        if !is_same_peer {
            self.reporter.forget_hearing(&self.outbound);
        }
        self.config = Some(config);
        self.refresh_ear();
        self.watch.receiving_told = false;
        self.watch.sending_told = false;
        self.watch.configured_at = Some(now);
    }

    /// Takes note of a packet that was taken in; gives its source once that is settled.
    #[inline]
    pub fn settle(&mut self) -> Option<SocketAddr> {
        self.settling.note(|| self.inbound.only_source())
    }

    /// Its number.
    pub fn key(&self) -> StreamKey {
        self.key
    }

    /// Where it takes RTP.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Its pair of ports.
    pub fn port(&self) -> RtpPort {
        self.port
    }

    /// The shard whose range its ports are from.
    pub fn home(&self) -> usize {
        self.home
    }

    /// What is agreed.
    pub fn config(&self) -> Option<&StreamConfig> {
        self.config.as_ref()
    }

    /// What it is sent, and where to; none: nothing may be.
    pub fn sendable(&self) -> Option<(Format, SocketAddr)> {
        let config = self.config.as_ref().filter(|config| config.may_send)?;
        Some((
            Format {
                codec: config.codec,
                ptime_ms: config.ptime_ms,
            },
            self.inbound.destination()?,
        ))
    }

    /// What its party sends; none while nothing may be received.
    pub fn voice(&self) -> Option<Format> {
        let config = self.config.as_ref().filter(|config| config.may_receive)?;
        Some(Format {
            codec: self.inbound.codec()?,
            ptime_ms: config.ptime_ms,
        })
    }

    /// Gives it an ear for digits in its audio where they are told, or kept from everyone: a party that tells
    /// them by events may leave the tone in its audio beside them. What is held back is let go first.
    pub fn refresh_ear(&mut self) {
        let is_wanted = self.tells_tones() || !self.pass_dtmf;
        match &self.tones {
            None if is_wanted => self.tones = Some(Box::default()),
            Some(tones) if !is_wanted && !tones.holds_back() => self.tones = None,
            None | Some(_) => {}
        }
    }

    /// Whether a tone in its audio is a digit of its party's.
    pub fn tells_tones(&self) -> bool {
        self.config.as_ref().is_some_and(StreamConfig::hears_tones)
    }

    /// Whether digits in its audio are listened for, now or to the end of one.
    pub fn listens_for_tones(&self) -> bool {
        let is_sounding = |tones: &Tones| tones.is_sounding();
        self.tones
            .as_deref()
            .is_some_and(|tones| self.voice().is_some() || is_sounding(tones))
    }

    /// Whether its packets may pass as they are: not where digits in them are kept from everyone, or taken out
    /// for a listener that is told them in its own way. A packet is gone before a tone in it is known.
    pub fn may_be_relayed_to(&self, listener: &Stream) -> bool {
        self.tones
            .as_deref()
            .is_none_or(|tones| self.pass_dtmf && !tones.holds_back() && listener.hears_digits_as_tones())
    }

    fn hears_digits_as_tones(&self) -> bool {
        self.config
            .as_ref()
            .is_none_or(|config| config.digit_form() == DigitForm::Tones)
    }

    /// Whether `listener` is not to hear what this party says now: a tone, which it is told in its own way, or
    /// was told in any when the press was known without it.
    pub fn hides_tone_from(&self, listener: &Stream) -> bool {
        self.tones.as_deref().is_some_and(|tones| {
            tones.is_sounding() && (tones.is_twin() || !listener.hears_digits_as_tones())
        })
    }

    /// Takes note of a packet that was handed to the kernel, or refused by it.
    pub fn count_sent(&mut self, payload_bytes: usize, is_sent: bool) {
        if is_sent {
            self.outbound.count(payload_bytes);
        } else {
            self.send_failed += 1;
        }
    }

    /// A packet that counted as sent was refused by the kernel after all.
    pub fn count_refused(&mut self) {
        self.send_failed += 1;
    }

    /// How long nothing was heard at `now`, counted from the last configuration at the earliest.
    pub fn silence(&self, now: Instant) -> Option<Duration> {
        let since = self.inbound.heard_at().max(self.watch.configured_at)?;
        Some(now.saturating_duration_since(since))
    }

    /// Begins or ends the decoding of what its party says.
    pub fn set_decoding(&mut self, wanted: bool) {
        self.playout = wanted.then(|| Box::new(Playout::new()));
    }

    /// Another sink begins: half a packet of the old one is not sent with the new one's.
    pub fn begin_sink(&mut self) {
        self.packer.clear();
        self.samples.clear();
        if self.sink == Sink::Off {
            self.outbound.interrupt();
        }
    }
}

/// A sequence begins in the lower half: where the first packets are lost, a receiver of SRTP does not take
/// those after the wrap for those before it (RFC 3711 §3.3.1).
const FIRST_SEQUENCE_MASK: u16 = 0x7fff;

/// Default packet length (RFC 3551 §4.2).
const PTIME_MS_DEFAULT: u8 = 20;

/// docs/threats.md A11: 10 to 60 ms in steps of ten, or the default.
fn sane_ptime_ms(ptime_ms: u8) -> u8 {
    if (10..=60).contains(&ptime_ms) && ptime_ms.is_multiple_of(10) {
        ptime_ms
    } else {
        PTIME_MS_DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absurd_packet_lengths_become_the_default() {
        let sane: Vec<_> = [0, 1, 10, 15, 20, 30, 60, 61, 255].map(sane_ptime_ms).to_vec();
        assert_eq!(sane, [20, 20, 10, 20, 20, 30, 60, 20, 20]);
    }
}
