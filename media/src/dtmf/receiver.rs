//! Makes one digit of the many packets of an event (RFC 4733 §2.5.2).
//!
//! An event is its timestamp: whatever repeats, copies or comes late under one timestamp is one digit. Only
//! packets of the source we hear may come here; a new source calls [`Receiver::reset`].

use std::time::{Duration, Instant};

use super::{DIGIT_MS_MAX, Digit, EventPayload};
use crate::rtp::{ClockRate, RtpTime};

/// A digit whose end is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pressed {
    /// Which.
    pub digit: Digit,
    /// How long, milliseconds, at most [`DIGIT_MS_MAX`].
    pub duration_ms: u32,
}

/// Receive state of one stream.
#[derive(Clone, Debug)]
pub struct Receiver {
    state: State,
    /// Timestamp of the last event reported or dropped.
    last: Option<RtpTime>,
    /// The last event that began.
    begun: Option<(Digit, RtpTime)>,
}

#[derive(Clone, Debug)]
enum State {
    Idle,
    /// A digit is held down.
    Down {
        digit: Digit,
        time: RtpTime,
        duration: u16,
        heard_at: Instant,
    },
    /// A digit was reported at the longest duration and is still held down.
    Overlong {
        digit: Digit,
        time: RtpTime,
        heard_at: Instant,
    },
}

impl Receiver {
    /// Nothing pressed.
    pub const fn new() -> Receiver {
        Receiver {
            state: State::Idle,
            last: None,
            begun: None,
        }
    }

    /// Takes one event packet; gives the digits it ends: one that lost its own end, then its own.
    pub fn handle_packet(
        &mut self,
        time: RtpTime,
        payload: &EventPayload,
        now: Instant,
    ) -> [Option<Pressed>; 2] {
        let Some(digit) = Digit::from_event(payload.event) else {
            return [None, None];
        };
        if self
            .last
            .is_some_and(|last| (-AGE_UNITS_MAX..=0).contains(&time.since(last)))
        {
            return [None, None];
        }
        let mut earlier = None;
        match &mut self.state {
            State::Idle => self.begin(digit, time, now),
            State::Overlong {
                digit: held,
                time: held_time,
                heard_at,
            } => {
                // Longer than the field holds, an event goes on under a new timestamp (§2.5.1.3).
                if *held == digit && now.duration_since(*heard_at) < END_LOST_AFTER {
                    *heard_at = now;
                    *held_time = time;
                    if payload.is_end {
                        self.end(time);
                    }
                    return [None, None];
                }
                self.begin(digit, time, now);
            }
            State::Down {
                digit: held,
                time: held_time,
                duration,
                ..
            } if *held_time != time => {
                if time.since(*held_time) < 0 {
                    return [None, None];
                }
                earlier = Some(Pressed {
                    digit: *held,
                    duration_ms: duration_ms(*duration),
                });
                self.begin(digit, time, now);
            }
            State::Down { .. } => {}
        }
        [earlier, self.go_on(payload, now)]
    }

    /// Ends a digit whose end packets are all lost.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<Pressed> {
        match self.state {
            State::Idle => None,
            State::Down {
                digit,
                time,
                duration,
                heard_at,
            } => {
                if now.duration_since(heard_at) < END_LOST_AFTER {
                    return None;
                }
                self.end(time);
                Some(Pressed {
                    digit,
                    duration_ms: duration_ms(duration),
                })
            }
            State::Overlong { time, heard_at, .. } => {
                if now.duration_since(heard_at) >= END_LOST_AFTER {
                    self.end(time);
                }
                None
            }
        }
    }

    /// When [`Receiver::handle_timeout`] has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        match self.state {
            State::Idle => None,
            State::Down { heard_at, .. } | State::Overlong { heard_at, .. } => {
                Some(heard_at + END_LOST_AFTER)
            }
        }
    }

    /// The digit that was pressed last, down or not, with its timestamp.
    pub fn begun(&self) -> Option<(Digit, RtpTime)> {
        self.begun
    }

    /// Forgets timestamps: another source is heard. A digit held down is ended.
    pub fn reset(&mut self) -> Option<Pressed> {
        let ended = match self.state {
            State::Down { digit, duration, .. } => Some(Pressed {
                digit,
                duration_ms: duration_ms(duration),
            }),
            State::Idle | State::Overlong { .. } => None,
        };
        *self = Receiver::new();
        ended
    }

    fn begin(&mut self, digit: Digit, time: RtpTime, now: Instant) {
        self.begun = Some((digit, time));
        self.state = State::Down {
            digit,
            time,
            duration: 0,
            heard_at: now,
        };
    }

    /// Updates the digit held down by its own packet.
    fn go_on(&mut self, payload: &EventPayload, now: Instant) -> Option<Pressed> {
        let State::Down {
            digit,
            time,
            duration,
            heard_at,
        } = &mut self.state
        else {
            return None;
        };
        *duration = payload.duration.max(*duration);
        *heard_at = now;
        let (digit, time) = (*digit, *time);
        let pressed = Pressed {
            digit,
            duration_ms: duration_ms(*duration),
        };
        if payload.is_end {
            self.end(time);
            return Some(pressed);
        }
        if pressed.duration_ms == DIGIT_MS_MAX {
            self.state = State::Overlong {
                digit,
                time,
                heard_at: now,
            };
            return Some(pressed);
        }
        None
    }

    fn end(&mut self, time: RtpTime) {
        self.state = State::Idle;
        self.last = Some(time);
    }
}

impl Default for Receiver {
    fn default() -> Receiver {
        Receiver::new()
    }
}

fn duration_ms(units: u16) -> u32 {
    let span = ClockRate::NARROWBAND.span(u32::from(units));
    u32::try_from(span.as_millis())
        .unwrap_or(u32::MAX)
        .min(DIGIT_MS_MAX)
}

/// Silence after which the end of a digit counts as lost: three of the longest usual packet intervals, 50 ms,
/// and one for jitter.
const END_LOST_AFTER: Duration = Duration::from_millis(200);
/// How much older than the last event a packet may be and still count as its past, timestamp units: 10 s.
const AGE_UNITS_MAX: i32 = 80_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    struct Phone {
        receiver: Receiver,
        start: Instant,
        heard: Vec<(char, u32)>,
    }

    impl Phone {
        fn new() -> Phone {
            Phone {
                receiver: Receiver::new(),
                start: Instant::now(),
                heard: Vec::new(),
            }
        }

        fn packet(&mut self, at_ms: u64, time: u32, event: u8, duration: u16, is_end: bool) {
            let now = self.start + Duration::from_millis(at_ms);
            let payload = EventPayload {
                event,
                is_end,
                volume: 10,
                duration,
            };
            let ended = self.receiver.handle_packet(RtpTime(time), &payload, now);
            self.heard.extend(
                ended
                    .into_iter()
                    .flatten()
                    .map(|p| (p.digit.to_char(), p.duration_ms)),
            );
        }

        fn timeout(&mut self, at_ms: u64) {
            let ended = self
                .receiver
                .handle_timeout(self.start + Duration::from_millis(at_ms));
            self.heard
                .extend(ended.map(|p| (p.digit.to_char(), p.duration_ms)));
        }
    }

    #[test]
    fn a_digit_is_reported_once_at_its_first_end() {
        let mut phone = Phone::new();
        for n in 1..=5u16 {
            phone.packet(u64::from(n) * 20, 1000, 5, n * 160, false);
        }
        for n in 6..=8 {
            phone.packet(n * 20, 1000, 5, 960, true);
        }
        phone.timeout(5000);
        assert_eq!(phone.heard, [('5', 120)]);
    }

    #[test]
    fn lost_ends_time_out_and_late_ones_add_nothing() {
        let mut phone = Phone::new();
        phone.packet(0, 1000, 1, 160, false);
        phone.packet(20, 1000, 1, 320, false);
        phone.timeout(219);
        assert_eq!(phone.heard, []);
        phone.timeout(220);
        phone.packet(230, 1000, 1, 480, true);
        assert_eq!(phone.heard, [('1', 40)]);
    }

    #[test]
    fn one_packet_of_a_digit_is_enough() {
        let mut phone = Phone::new();
        phone.packet(0, 1000, 11, 800, true);
        assert_eq!(phone.heard, [('#', 100)]);
    }

    #[test]
    fn the_next_digit_ends_one_whose_ends_are_lost() {
        let mut phone = Phone::new();
        phone.packet(0, 1000, 1, 320, false);
        phone.packet(100, 1800, 2, 320, true);
        assert_eq!(phone.heard, [('1', 40), ('2', 40)]);
    }

    #[test]
    fn the_same_digit_twice_is_two_timestamps() {
        let mut phone = Phone::new();
        for time in [u32::MAX - 100, 1000] {
            phone.packet(0, time, 7, 320, false);
            phone.packet(20, time, 7, 320, true);
        }
        assert_eq!(phone.heard, [('7', 40), ('7', 40)]);
    }

    #[test]
    fn packets_of_past_digits_say_nothing() {
        let mut phone = Phone::new();
        phone.packet(0, 1000, 1, 320, true);
        phone.packet(10, 2000, 2, 320, true);
        phone.packet(20, 1000, 1, 320, true);
        phone.packet(30, 2000, 2, 320, true);
        assert_eq!(phone.heard, [('1', 40), ('2', 40)]);
    }

    #[test]
    fn an_endless_digit_is_reported_once_at_the_longest_duration() {
        let mut phone = Phone::new();
        let mut time = 1000u32;
        let mut at_ms = 0;
        for _segment in 0..4 {
            for n in 1..=409u16 {
                at_ms += 20;
                phone.packet(at_ms, time, 3, n * 160, false);
            }
            time = time.wrapping_add(409 * 160);
        }
        phone.packet(at_ms, time, 3, 160, true);
        phone.packet(at_ms + 300, time + 5000, 3, 320, true);
        assert_eq!(phone.heard, [('3', DIGIT_MS_MAX), ('3', 40)]);
    }

    #[test]
    fn other_events_are_no_digits() {
        let mut phone = Phone::new();
        phone.packet(0, 1000, 16, 320, true);
        phone.packet(0, 1000, 255, 320, true);
        assert_eq!(phone.heard, []);
    }

    #[test]
    fn a_new_source_ends_the_digit_and_may_use_any_timestamp() {
        let mut phone = Phone::new();
        phone.packet(0, 50_000, 1, 320, false);
        assert_eq!(phone.receiver.reset().map(|p| p.duration_ms), Some(40));
        phone.packet(10, 49_000, 2, 320, true);
        assert_eq!(phone.heard, [('2', 40)]);
    }

    proptest! {
        /// Loss, copies and reordering between neighbours: each digit of which anything arrives is reported once.
        #[test]
        fn each_digit_is_reported_exactly_once(
            digits in proptest::collection::vec((0u8..16, 2u16..10), 1..12),
            fates in proptest::collection::vec(0u8..8, 200),
        ) {
            let mut sent = Vec::new();
            let mut time = 4_294_960_000u32;
            let mut at_ms = 0u64;
            for (event, updates) in &digits {
                for n in 1..=updates + 3 {
                    let is_end = n > *updates;
                    sent.push((at_ms, time, *event, n.min(*updates) * 160, is_end));
                    at_ms += 20;
                }
                time = time.wrapping_add(u32::from(updates + 5) * 160);
                at_ms += 60;
            }
            let mut arrived = Vec::new();
            for (packet, fate) in sent.iter().zip(fates.iter().cycle()) {
                match fate {
                    0 => {}
                    1 => arrived.extend([*packet, *packet]),
                    2 if !arrived.is_empty() => {
                        let last = arrived.len() - 1;
                        arrived.insert(last, *packet);
                    }
                    _ => arrived.push(*packet),
                }
            }
            let mut phone = Phone::new();
            for (at, time, event, duration, is_end) in &arrived {
                phone.timeout(*at);
                phone.packet(*at, *time, *event, *duration, *is_end);
            }
            phone.timeout(at_ms + 1000);
            let mut times: Vec<u32> = arrived.iter().map(|p| p.1).collect();
            times.dedup();
            times.sort_unstable();
            times.dedup();
            prop_assert!(phone.heard.len() <= times.len());
            // A digit whose only packet was overtaken by the next digit's is the one that may be missed.
            prop_assert!(phone.heard.len() + 2 >= times.len(), "{:?} of {}", phone.heard, times.len());
        }
    }
}
