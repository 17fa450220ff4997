//! What is measured on a stream: its numbers since the beginning, and how well it is now.

use std::time::{Duration, Instant};

use super::Stream;
use super::emodel::mos;
use super::quality::{Counted, Figures, Quality};
use super::stats::Stats;
use crate::command::Codec;
use crate::rtp::{ClockRate, NtpTime};

/// What a look at a stream shows, once a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Seen {
    /// Nothing of what is sent gets to the party.
    pub is_deaf: bool,
    /// A period is over.
    pub quality: Option<Quality>,
}

impl Stream {
    /// Reads a datagram of RTCP, decrypted; false: it is none.
    pub fn handle_rtcp(&mut self, datagram: &[u8], wall: NtpTime, now: Instant) -> bool {
        self.reporter.handle_rtcp(datagram, &self.outbound, wall, now)
    }

    /// The look that is due once a second.
    pub fn look(&mut self, now: Instant) -> Seen {
        let reception = self.inbound.reception();
        let counted = Counted {
            expected: reception.expected(),
            received: reception.received(),
            late: self.inbound.discarded().late,
            sent: self.outbound.counts().0,
            refused: self.send_failed,
        };
        let look = self.looks.look(counted);
        Seen {
            is_deaf: look.is_refused || self.reporter.is_far_side_deaf(),
            quality: look.period.map(|lost| self.quality(lost, now)),
        }
    }

    fn quality(&self, lost: Option<f32>, now: Instant) -> Quality {
        let one_way = self.one_way();
        let rx = lost.map(|loss| Figures {
            loss,
            jitter_ms: self.inbound.reception().jitter_ms(self.clock()),
            mos: mos(self.codec_heard(), loss, one_way),
        });
        let tx = self.reporter.fresh(now).map(|block| {
            let loss = f32::from(block.fraction_lost) / 256.0;
            Figures {
                loss,
                jitter_ms: self.reporter.remote_jitter_ms(self.clock()),
                mos: mos(self.codec_sent(), loss, one_way),
            }
        });
        let rtt_ms = self.reporter.rtt().map(|rtt| rtt.as_secs_f32() * 1000.0);
        Quality { rx, tx, rtt_ms }
    }

    /// Its numbers.
    pub fn stats(&self) -> Stats {
        let (packets_received, bytes_received) = self.inbound.counts();
        let (packets_sent, bytes_sent) = self.outbound.counts();
        let reception = self.inbound.reception();
        let (rtt, one_way) = (self.reporter.rtt(), self.one_way());
        let expected = reception.expected();
        let loss = reception.lost() as f32 / expected.max(1) as f32;
        let remote = self.reporter.remote();
        let discarded = self.inbound.discarded();
        Stats {
            packets_received,
            bytes_received,
            packets_lost: reception.lost(),
            packets_discarded: discarded.total(),
            discarded,
            jitter_ms: reception.jitter_ms(self.clock()),
            mos: (expected > 0).then(|| mos(self.codec_heard(), loss, one_way)),
            packets_sent,
            bytes_sent,
            send_failed: self.send_failed,
            remote_packets_lost: remote.map_or(0, |block| block.cumulative_lost.max(0) as u64),
            remote_jitter_ms: self.reporter.remote_jitter_ms(self.clock()),
            remote_mos: self.remote_mos(one_way),
            rtt_ms: rtt.map(|rtt| rtt.as_secs_f32() * 1000.0),
        }
    }

    /// What the far side says itself of the voice it hears goes before what its loss makes likely.
    fn remote_mos(&self, one_way: Duration) -> Option<f32> {
        let voice = self.reporter.voice();
        let told = voice.and_then(|voice| voice.mos_conversational.or(voice.mos_listening));
        let told = told.map(|tenths| f32::from(tenths) / 10.0);
        let by_loss = |loss: u8| mos(self.codec_sent(), f32::from(loss) / 256.0, one_way);
        told.or_else(|| self.reporter.remote().map(|block| by_loss(block.fraction_lost)))
    }

    fn one_way(&self) -> Duration {
        let rtt = self.reporter.rtt();
        rtt.map_or(ASSUMED_ONE_WAY, |rtt| rtt / 2 + ASSUMED_ONE_WAY)
    }

    fn clock(&self) -> ClockRate {
        let config = self.config();
        config.map_or(ClockRate::NARROWBAND, |config| config.codec.clock())
    }

    fn codec_sent(&self) -> Codec {
        self.config().map_or(Codec::Pcmu, |config| config.codec)
    }

    fn codec_heard(&self) -> Codec {
        self.inbound.codec().unwrap_or(self.codec_sent())
    }
}

/// Packetisation and playout beside the network's own delay: one packet of 20 ms and two in the jitter
/// buffer.
const ASSUMED_ONE_WAY: Duration = Duration::from_millis(60);
