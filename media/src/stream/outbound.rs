//! The one RTP sequence a stream sends, unbroken whatever feeds it: relayed packets, the mixer, plays,
//! digits or silence.
//!
//! Owns: our SSRC, the sequence number and the timestamp. Knows nothing of payloads or sockets.

use std::time::{Duration, Instant};

use crate::rtp::{ClockRate, RtpTime, SeqNo, Ssrc};

/// A break in what we make ourselves after which the timestamp follows the clock again.
const BREAK: Duration = Duration::from_millis(200);

/// What the header of the next packet says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Our SSRC.
    pub ssrc: Ssrc,
    /// Its sequence number.
    pub sequence: SeqNo,
    /// Its timestamp.
    pub time: RtpTime,
    /// First of a talkspurt, or after a change of what feeds the stream.
    pub marker: bool,
}

/// Our side of one RTP session.
#[derive(Debug)]
pub struct Outbound {
    ssrc: Ssrc,
    clock: ClockRate,
    feed: Feed,
    last: SeqNo,
    /// Timestamp of the last packet, and what it covers, in units of the clock.
    time: RtpTime,
    samples: u32,
    sent_at: Option<Instant>,
    /// RTP packets sent.
    packets: u64,
    /// Payload bytes sent.
    bytes: u64,
}

/// What the last packet came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Feed {
    /// Nothing was sent yet, or the next packet begins a new talkspurt.
    Fresh,
    /// Made here.
    Made,
    /// One speaker's packets: what is added to its numbers.
    Relayed {
        speaker: u32,
        ssrc: Ssrc,
        sequence_add: u16,
        time_add: u32,
        first: SeqNo,
        time_in: RtpTime,
    },
}

impl Outbound {
    /// A sequence that starts at random numbers (RFC 3550 §5.1).
    pub fn new(ssrc: Ssrc, sequence: SeqNo, time: RtpTime) -> Self {
        Self {
            ssrc,
            clock: ClockRate::NARROWBAND,
            feed: Feed::Fresh,
            last: sequence,
            time,
            samples: 0,
            sent_at: None,
            packets: 0,
            bytes: 0,
        }
    }

    /// The clock of what is sent from now on.
    pub fn set_clock(&mut self, clock: ClockRate) {
        self.clock = clock;
    }

    /// The header for a packet made here that covers `samples` units of its clock.
    pub fn stamp_made(&mut self, samples: u32, now: Instant) -> Stamp {
        let (time, is_steady) = self.next_made(now);
        self.feed = Feed::Made;
        self.last = self.last.next();
        (self.time, self.samples, self.sent_at) = (time, samples, Some(now));
        Stamp {
            ssrc: self.ssrc,
            sequence: self.last,
            time,
            marker: !is_steady,
        }
    }

    /// The timestamp a packet made at `now` would have.
    pub fn time_made(&self, now: Instant) -> RtpTime {
        self.next_made(now).0
    }

    /// The header for a packet of a digit in place of `samples` samples of audio. Its timestamp stands still
    /// at the digit's beginning (RFC 4733 §2.5.1); the audio clock goes on.
    pub fn stamp_digit(&mut self, time: RtpTime, marker: bool, samples: u32, now: Instant) -> Stamp {
        let stamp = self.stamp_made(samples, now);
        Stamp {
            time,
            marker,
            ..stamp
        }
    }

    fn next_made(&self, now: Instant) -> (RtpTime, bool) {
        let is_steady = self.feed == Feed::Made
            && self
                .sent_at
                .is_some_and(|sent_at| now.saturating_duration_since(sent_at) < BREAK);
        let time = if is_steady {
            self.time.add(self.samples)
        } else {
            self.time_after_break(now)
        };
        (time, is_steady)
    }

    /// The header for a relayed packet, `None` if it belongs before what was already sent.
    ///
    /// `is_first` says that the speaker's own numbers began anew, so that the mapping must as well.
    pub fn stamp_relayed(&mut self, packet: &Relayed, now: Instant) -> Option<Stamp> {
        let mapped = match self.feed {
            Feed::Relayed {
                speaker,
                ssrc,
                sequence_add,
                time_add,
                first,
                time_in,
            } if speaker == packet.speaker && ssrc == packet.ssrc && !packet.is_first => {
                if packet.sequence.since(first) < 0 {
                    return None;
                }
                // A leap of the speaker's clock is taken out: our listener sees one steady clock.
                let leap = packet.time.since(time_in);
                (leap.unsigned_abs() < self.clock.units(LEAP)).then_some((sequence_add, time_add))
            }
            Feed::Fresh | Feed::Made | Feed::Relayed { .. } => None,
        };
        let is_joined = mapped.is_none();
        let (sequence_add, time_add) = mapped.unwrap_or_else(|| {
            let time = self.time_after_break(now);
            (
                self.last.next().0.wrapping_sub(packet.sequence.0),
                time.0.wrapping_sub(packet.time.0),
            )
        });
        let sequence = packet.sequence.add(sequence_add);
        let time = packet.time.add(time_add);
        let (first, time_in) = match self.feed {
            Feed::Relayed { first, time_in, .. } if !is_joined => (
                newest_or_recent(first, packet.sequence),
                newer(time_in, packet.time),
            ),
            Feed::Fresh | Feed::Made | Feed::Relayed { .. } => (packet.sequence, packet.time),
        };
        let (speaker, ssrc) = (packet.speaker, packet.ssrc);
        self.feed = Feed::Relayed {
            speaker,
            ssrc,
            sequence_add,
            time_add,
            first,
            time_in,
        };
        if is_joined || sequence.since(self.last) > 0 {
            self.last = sequence;
        }
        if is_joined || time.since(self.time) >= 0 {
            (self.time, self.samples, self.sent_at) = (time, packet.samples, Some(now));
        }
        Some(Stamp {
            ssrc: self.ssrc,
            sequence,
            time,
            marker: packet.marker || is_joined,
        })
    }

    /// A packet of the relayed speaker was kept back: the numbers close over the gap.
    pub fn skip_relayed(&mut self, speaker: u32, sequence: SeqNo) {
        if let Feed::Relayed {
            speaker: relayed,
            sequence_add,
            ..
        } = &mut self.feed
            && *relayed == speaker
            && self.last.0.wrapping_sub(*sequence_add) == sequence.0.wrapping_sub(1)
        {
            *sequence_add = sequence_add.wrapping_sub(1);
        }
    }

    /// The next packet begins a talkspurt: the stream may send again after a pause.
    pub fn interrupt(&mut self) {
        self.feed = Feed::Fresh;
    }

    /// Takes note of a packet that went out.
    pub fn count(&mut self, payload_bytes: usize) {
        self.packets += 1;
        self.bytes += payload_bytes as u64;
    }

    /// Our SSRC.
    pub fn ssrc(&self) -> Ssrc {
        self.ssrc
    }

    /// RTP packets and payload bytes sent.
    pub fn counts(&self) -> (u64, u64) {
        (self.packets, self.bytes)
    }

    /// The media clock at `now`, for a sender report; none before the first packet.
    pub fn time_at(&self, now: Instant) -> Option<RtpTime> {
        let sent_at = self.sent_at?;
        Some(
            self.time
                .add(self.clock.units(now.saturating_duration_since(sent_at))),
        )
    }

    fn time_after_break(&self, now: Instant) -> RtpTime {
        let passed = self.sent_at.map_or(0, |sent_at| {
            self.clock.units(now.saturating_duration_since(sent_at))
        });
        self.time.add(passed.max(self.samples))
    }
}

/// A packet on its way from one stream to another.
#[derive(Clone, Copy, Debug)]
pub struct Relayed {
    /// Slot of the speaker.
    pub speaker: u32,
    /// Its SSRC.
    pub ssrc: Ssrc,
    /// Its number.
    pub sequence: SeqNo,
    /// Its timestamp.
    pub time: RtpTime,
    /// Samples it covers.
    pub samples: u32,
    /// Its marker.
    pub marker: bool,
    /// The speaker's numbers began anew with it.
    pub is_first: bool,
}

/// A step of the speaker's timestamp that is a new clock base and no pause.
const LEAP: Duration = Duration::from_secs(10);

/// How far back a late packet still finds its own place.
const LATE_MAX: u16 = 100;

/// The first packet of a mapping, dragged along so that it stays comparable over the wrap.
fn newest_or_recent(first: SeqNo, sequence: SeqNo) -> SeqNo {
    let behind = sequence.0.wrapping_sub(first.0);
    if behind > LATE_MAX && behind < u16::MAX / 2 {
        SeqNo(sequence.0.wrapping_sub(LATE_MAX))
    } else {
        first
    }
}

fn newer(one: RtpTime, other: RtpTime) -> RtpTime {
    if other.since(one) > 0 { other } else { one }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: RtpTime = RtpTime(u32::MAX - 100);

    struct Feeder {
        out: Outbound,
        now: Instant,
    }

    impl Feeder {
        fn new() -> Self {
            Self {
                out: Outbound::new(Ssrc(9), SeqNo(65_534), START),
                now: Instant::now(),
            }
        }

        fn relay(&mut self, ssrc: u32, sequence: u16, time: u32) -> Option<(u16, u32, bool)> {
            self.now += Duration::from_millis(20);
            let packet = Relayed {
                speaker: 1,
                ssrc: Ssrc(ssrc),
                sequence: SeqNo(sequence),
                time: RtpTime(time),
                samples: 160,
                marker: false,
                is_first: false,
            };
            let stamp = self.out.stamp_relayed(&packet, self.now)?;
            Some((stamp.sequence.0, stamp.time.0.wrapping_sub(START.0), stamp.marker))
        }

        fn make(&mut self) -> (u16, u32, bool) {
            self.now += Duration::from_millis(20);
            let stamp = self.out.stamp_made(160, self.now);
            (stamp.sequence.0, stamp.time.0.wrapping_sub(START.0), stamp.marker)
        }
    }

    #[test]
    fn made_packets_follow_one_another_and_the_first_is_marked() {
        let mut feeder = Feeder::new();
        assert_eq!(feeder.make(), (65_535, 0, true));
        assert_eq!(feeder.make(), (0, 160, false));
        feeder.now += Duration::from_secs(1);
        assert_eq!(feeder.make(), (1, 160 + 160 + 8000, true));
    }

    #[test]
    fn relay_to_made_and_back_is_one_sequence() {
        let mut feeder = Feeder::new();
        assert_eq!(feeder.relay(5, 100, 7000), Some((65_535, 0, true)));
        assert_eq!(feeder.relay(5, 101, 7160), Some((0, 160, false)));
        assert_eq!(feeder.make(), (1, 320, true));
        assert_eq!(feeder.make(), (2, 480, false));
        assert_eq!(feeder.relay(5, 104, 7640), Some((3, 640, true)));
        assert_eq!(feeder.relay(5, 105, 7800), Some((4, 800, false)));
        assert_eq!(
            feeder.relay(6, 9, 1),
            Some((5, 960, true)),
            "another source of the speaker"
        );
    }

    #[test]
    fn losses_and_reordering_of_the_speaker_stay_visible() {
        let mut feeder = Feeder::new();
        feeder.relay(5, 100, 16_000);
        assert_eq!(feeder.relay(5, 103, 16_480), Some((2, 480, false)));
        assert_eq!(feeder.relay(5, 102, 16_320), Some((1, 320, false)));
        assert_eq!(
            feeder.relay(5, 99, 15_840),
            None,
            "it would take a number already sent"
        );
        assert_eq!(feeder.relay(5, 104, 16_640), Some((3, 640, false)));
    }

    #[test]
    fn a_leap_of_the_speakers_clock_is_taken_out() {
        let mut feeder = Feeder::new();
        feeder.relay(5, 1, 100);
        assert_eq!(feeder.relay(5, 2, 3_000_000), Some((0, 160, true)));
        assert_eq!(feeder.relay(5, 3, 3_000_160), Some((1, 320, false)));
    }

    #[test]
    fn packets_kept_back_leave_no_gap() {
        let mut feeder = Feeder::new();
        feeder.relay(5, 10, 0);
        feeder.out.skip_relayed(1, SeqNo(11));
        feeder.out.skip_relayed(1, SeqNo(12));
        assert_eq!(feeder.relay(5, 13, 480).map(|stamp| stamp.0), Some(0));
    }

    #[test]
    fn a_long_relay_goes_over_the_wrap_of_its_speaker() {
        let mut feeder = Feeder::new();
        let mut last = feeder.relay(5, 65_000, 0).unwrap().0;
        for step in 1..=70_000u32 {
            let sequence = 65_000u16.wrapping_add(step as u16);
            let stamp = feeder.relay(5, sequence, step * 160).unwrap();
            assert_eq!((stamp.0, stamp.2), (last.wrapping_add(1), false));
            last = stamp.0;
        }
    }
}
