//! What a phone heard of late: decoded packets with the time each came.
//!
//! Owns the samples, bounded by time and number. Pure: arrival times are arguments.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use media::frame::RATE_HZ;

use super::voice;

/// A stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its beginning.
    pub from: Instant,
    /// Its end.
    pub to: Instant,
}

/// A ring of what came.
#[derive(Debug)]
pub struct Hearing {
    kept: Duration,
    packets: VecDeque<Packet>,
    packets_total: u64,
}

#[derive(Debug)]
struct Packet {
    arrived: Instant,
    samples: Box<[i16]>,
}

impl Hearing {
    /// Remembers that much.
    pub fn new(kept: Duration) -> Hearing {
        Hearing {
            kept,
            packets: VecDeque::new(),
            packets_total: 0,
        }
    }

    /// A packet came.
    pub fn push(&mut self, arrived: Instant, samples: &[i16]) {
        self.packets_total += 1;
        self.packets.push_back(Packet {
            arrived,
            samples: samples.into(),
        });
        let is_old = |packet: &Packet| arrived.saturating_duration_since(packet.arrived) > self.kept;
        while self.packets.front().is_some_and(is_old) || self.packets.len() > PACKETS_MAX {
            self.packets.pop_front();
        }
    }

    /// Packets that ever came.
    pub fn packets_total(&self) -> u64 {
        self.packets_total
    }

    /// What came in a span, one packet after the other.
    pub fn samples(&self, span: Span) -> Vec<i16> {
        self.within(span)
            .flat_map(|packet| packet.samples.iter().copied())
            .collect()
    }

    /// The longest time without sound in a span, its two ends included. A packet sounds from its arrival for
    /// its own length; one that is all silence does not.
    pub fn gap_max(&self, span: Span) -> Duration {
        let mut quiet_since = span.from;
        let mut longest = Duration::ZERO;
        for packet in self.within(span) {
            if voice::loudness_dbov(&packet.samples) < SOUND_DBOV {
                continue;
            }
            longest = longest.max(packet.arrived.saturating_duration_since(quiet_since));
            quiet_since = packet.arrived + length(&packet.samples);
        }
        longest.max(span.to.saturating_duration_since(quiet_since))
    }

    fn within(&self, span: Span) -> impl Iterator<Item = &Packet> {
        self.packets
            .iter()
            .filter(move |packet| span.from <= packet.arrived && packet.arrived < span.to)
    }
}

fn length(samples: &[i16]) -> Duration {
    Duration::from_micros(samples.len() as u64 * 1_000_000 / u64::from(RATE_HZ))
}

/// Packets kept however long they are meant to be: 20 minutes at 50 a second.
const PACKETS_MAX: usize = 60_000;
/// Quieter than this a packet is silence, dBov: below the softest frame of the built-in music (−40).
const SOUND_DBOV: f32 = -45.0;

#[cfg(test)]
mod tests {
    use super::*;

    const LOUD: [i16; 160] = [3_000; 160];
    const QUIET: [i16; 160] = [8; 160];

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    fn hearing(start: Instant, packets: &[(u64, &[i16])]) -> Hearing {
        let mut hearing = Hearing::new(ms(1_000));
        for (at, samples) in packets {
            hearing.push(start + ms(*at), samples);
        }
        hearing
    }

    #[test]
    fn a_span_holds_what_came_in_it() {
        let start = Instant::now();
        let hearing = hearing(start, &[(0, &LOUD), (20, &QUIET), (40, &LOUD)]);
        let span = Span {
            from: start + ms(20),
            to: start + ms(40),
        };
        assert_eq!(hearing.samples(span), QUIET);
        assert_eq!(hearing.packets_total(), 3);
    }

    #[test]
    fn gaps_are_missing_and_silent_packets_and_the_ends() {
        let start = Instant::now();
        let span = |from, to| Span {
            from: start + ms(from),
            to: start + ms(to),
        };
        let steady = hearing(start, &[(0, &LOUD), (20, &LOUD), (40, &LOUD), (60, &LOUD)]);
        assert_eq!(steady.gap_max(span(0, 80)), ms(0));
        assert_eq!(steady.gap_max(span(0, 130)), ms(50));
        let lost = hearing(start, &[(0, &LOUD), (40, &LOUD), (60, &LOUD)]);
        assert_eq!(lost.gap_max(span(0, 80)), ms(20));
        let silent = hearing(start, &[(0, &LOUD), (20, &QUIET), (40, &QUIET), (60, &LOUD)]);
        assert_eq!(silent.gap_max(span(0, 80)), ms(40));
        assert_eq!(hearing(start, &[]).gap_max(span(0, 80)), ms(80));
    }

    #[test]
    fn what_is_older_than_kept_is_forgotten() {
        let start = Instant::now();
        let hearing = hearing(start, &[(0, &LOUD), (500, &LOUD), (1_001, &LOUD)]);
        assert_eq!(hearing.packets.len(), 2);
    }
}
