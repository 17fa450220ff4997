//! RTCP of one stream: reports of ours, and what the far side says of us (RFC 3550 §6).
//!
//! Reports are information only: a BYE ends nothing, an address is never learned from one (docs/threats.md A7, A8).

use std::time::{Duration, Instant};

use crate::rtp::rtcp::{Compound, CompoundWriter, ReportBlock, RtcpPacket, SenderInfo, VoipMetrics};
use crate::rtp::time::{round_trip, short_span};
use crate::rtp::{ClockRate, NtpTime, Reception};

use super::far_ear::FarEar;
use super::outbound::Outbound;

/// Mean time between two reports (RFC 3550 §6.2: at least 5 s with few members).
pub const REPORT_INTERVAL: Duration = Duration::from_secs(5);

/// A report says something of now for so long: the longest interval (RFC 3550 §6.3.1), and one that was lost.
const FRESH_FOR: Duration = Duration::from_secs(15);

/// Room for the longest report we write: SR with one block, a name of 16 bytes and a BYE are 112 bytes.
pub const REPORT_BYTES_MAX: usize = 160;

/// The reporting half of a stream.
#[derive(Debug)]
pub struct Reporter {
    /// Our canonical name: random, so that it tells nothing (RFC 7022 §4.2).
    cname: [u8; 16],
    /// Middle bits of the last sender report heard, and when it came.
    last_sr: Option<(u32, Instant)>,
    packets_at_report: u64,
    remote: Option<ReportBlock>,
    remote_at: Option<Instant>,
    voice: Option<VoipMetrics>,
    ear: FarEar,
    rtt: Option<Duration>,
    has_left: bool,
}

impl Reporter {
    /// Nothing heard yet.
    pub fn new(cname: u64) -> Self {
        let mut name = [b'0'; 16];
        for (place, byte) in name.iter_mut().enumerate() {
            let digit = (cname >> (4 * place)) & 0xf;
            *byte = char::from_digit(digit as u32, 16).map_or(b'0', |digit| digit as u8);
        }
        Self {
            cname: name,
            last_sr: None,
            packets_at_report: 0,
            remote: None,
            remote_at: None,
            voice: None,
            ear: FarEar::default(),
            rtt: None,
            has_left: false,
        }
    }

    /// Reads a datagram of the right source; one that is no RTCP is no loss. `ours` is what is sent to it.
    pub fn handle_rtcp(&mut self, datagram: &[u8], ours: &Outbound, wall: NtpTime, now: Instant) -> bool {
        let Ok(compound) = Compound::parse(datagram) else {
            return false;
        };
        let (mut is_report, mut about_us) = (false, None);
        for packet in compound.packets() {
            let blocks = match packet {
                RtcpPacket::SenderReport { info, blocks, .. } => {
                    self.last_sr = Some((info.ntp.middle(), now));
                    blocks
                }
                RtcpPacket::ReceiverReport { blocks, .. } => blocks,
                RtcpPacket::Bye(_) => {
                    self.has_left = true;
                    continue;
                }
                RtcpPacket::ExtendedReport(voice) => {
                    self.voice = voice.filter(|voice| voice.ssrc == ours.ssrc()).or(self.voice);
                    continue;
                }
                RtcpPacket::SourceDescription { .. } | RtcpPacket::Other(_) => continue,
            };
            is_report = true;
            about_us = blocks.iter().find(|block| block.ssrc == ours.ssrc()).or(about_us);
        }
        if is_report {
            self.ear.handle_report(about_us.as_ref(), ours.counts().0);
        }
        if let Some(block) = about_us {
            let rtt = round_trip(wall, block.last_sr, block.delay_since_last_sr);
            self.rtt = rtt.or(self.rtt);
            (self.remote, self.remote_at) = (Some(block), Some(now));
        }
        true
    }

    /// Writes the next report; with `leaves` the last one. Gives its length.
    pub fn write(
        &mut self,
        outbound: &Outbound,
        reception: &mut Reception,
        leaves: bool,
        clock: (NtpTime, Instant),
        buffer: &mut [u8],
    ) -> Option<usize> {
        let (wall, now) = clock;
        let (last_sr, delay) = self.last_sr.map_or((0, 0), |(middle, came_at)| {
            (middle, short_span(now.saturating_duration_since(came_at)))
        });
        let block = reception.report_block(last_sr, delay);
        let (packets, bytes) = outbound.counts();
        let is_sender = packets > self.packets_at_report;
        self.packets_at_report = packets;
        let ours = outbound.ssrc();
        let writer = CompoundWriter::new(buffer);
        let writer = match outbound.time_at(now) {
            Some(time) if is_sender => {
                let info = SenderInfo {
                    ntp: wall,
                    time,
                    packets: packets as u32,
                    bytes: bytes as u32,
                };
                writer.sender_report(ours, &info, block.as_ref())
            }
            Some(_) | None => writer.receiver_report(ours, block.as_ref()),
        };
        let writer = writer.cname(ours, &self.cname);
        if leaves {
            writer.bye(ours).finish()
        } else {
            writer.finish()
        }
    }

    /// What the far side said last of what we send.
    pub fn remote(&self) -> Option<&ReportBlock> {
        self.remote.as_ref()
    }

    /// The same where it says something of now.
    pub fn fresh(&self, now: Instant) -> Option<&ReportBlock> {
        let is_fresh = |at| now.saturating_duration_since(at) <= FRESH_FOR;
        self.remote
            .as_ref()
            .filter(|_| self.remote_at.is_some_and(is_fresh))
    }

    /// What the far side said of the voice it hears, if it speaks of it at all (RFC 3611).
    pub fn voice(&self) -> Option<&VoipMetrics> {
        self.voice.as_ref()
    }

    /// Whether its reports show that it gets nothing of what is sent.
    pub fn is_far_side_deaf(&self) -> bool {
        self.ear.is_deaf()
    }

    /// Another agreement: what earlier reports showed of the far side's hearing holds no longer.
    pub fn forget_hearing(&mut self, ours: &Outbound) {
        self.ear.forget(ours.counts().0);
    }

    /// Jitter the far side sees, milliseconds.
    pub fn remote_jitter_ms(&self, clock: ClockRate) -> f32 {
        let jitter = self.remote.map_or(0, |block| block.jitter);
        jitter as f32 * 1000.0 / clock.hz() as f32
    }

    /// Round trip, once known.
    pub fn rtt(&self) -> Option<Duration> {
        self.rtt
    }

    /// Whether the far side said goodbye. Nothing is done about it.
    pub fn has_left(&self) -> bool {
        self.has_left
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::{Header, RtpTime, SeqNo, Ssrc};

    fn ntp(since_start: Duration) -> NtpTime {
        NtpTime::from_unix(since_start)
    }

    #[test]
    fn two_reporters_measure_their_round_trip() {
        let start = Instant::now();
        let at = |ms: u64| (ntp(Duration::from_millis(ms)), start + Duration::from_millis(ms));
        let (mut ours, mut theirs) = (Reporter::new(1), Reporter::new(2));
        let mut outbound = Outbound::new(Ssrc(1), SeqNo(0), RtpTime(0));
        let mut peer = Outbound::new(Ssrc(2), SeqNo(0), RtpTime(0));
        let (mut heard, mut heard_there) = (Reception::new(), Reception::new());
        let mut buffer = [0; REPORT_BYTES_MAX];
        for number in 0..100u32 {
            if number % 10 == 3 {
                continue;
            }
            let stamp = outbound.stamp_made(160, start);
            outbound.count(160);
            let header = Header {
                marker: false,
                payload_type: 0,
                seq: SeqNo(number as u16),
                time: RtpTime(number * 160),
                ssrc: stamp.ssrc,
            };
            heard_there.handle_packet(&header, false, RtpTime(number * 160));
        }
        let len = ours
            .write(&outbound, &mut heard, false, at(1000), &mut buffer)
            .unwrap();
        let (wall, now) = at(1030);
        assert!(theirs.handle_rtcp(&buffer[..len], &peer, wall, now));
        let len = theirs
            .write(&peer, &mut heard_there, true, at(1530), &mut buffer)
            .unwrap();
        let (wall, now) = at(1560);
        assert!(ours.handle_rtcp(&buffer[..len], &outbound, wall, now));
        let rtt = ours.rtt().unwrap();
        assert!(
            rtt.abs_diff(Duration::from_millis(60)) < Duration::from_millis(1),
            "{rtt:?}"
        );
        assert_eq!(ours.remote().map(|block| block.cumulative_lost), Some(10));
        assert!(ours.has_left());
        peer.interrupt();
    }

    #[test]
    fn junk_of_every_length_changes_nothing() {
        let mut reporter = Reporter::new(1);
        let ours = Outbound::new(Ssrc(1), SeqNo(0), RtpTime(0));
        for len in 0..=64usize {
            for first in [0x00u8, 0x80, 0x81, 0x9f, 0xff] {
                let mut datagram = vec![200u8; len];
                if let Some(byte) = datagram.first_mut() {
                    *byte = first;
                }
                reporter.handle_rtcp(&datagram, &ours, ntp(Duration::ZERO), Instant::now());
            }
        }
        assert_eq!(reporter.rtt(), None);
    }
}
