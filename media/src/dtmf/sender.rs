//! Sends digits as telephone-events, one packet a tick (RFC 4733 §2.5.1).
//!
//! ```text
//! ticks:    M  .  .  .  E  E  E  -  -  M  .  …      M marker, E end, - pause
//! duration: 1  2  3  4  5  5  5        1
//! ```
//! Audio stops while a packet of the event is sent; the stream numbers the packets.

use super::{EventPayload, Schedule};
use crate::frame::FRAME_SAMPLES;
use crate::rtp::RtpTime;

/// An order of digits under way.
#[derive(Clone, Debug)]
pub struct Sender {
    schedule: Schedule,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    /// The digit sounds.
    Down { event: u8, time: RtpTime, ticks: u32 },
    /// The end is said again.
    Ending { event: u8, time: RtpTime, left: u32 },
    /// Audio between two digits.
    Pause { left: u32 },
}

/// What one tick sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendTick {
    /// This event packet instead of audio.
    Event {
        /// The payload.
        payload: [u8; 4],
        /// The event's timestamp.
        time: RtpTime,
        /// First packet of the event.
        marker: bool,
    },
    /// Audio as usual; digits follow.
    Pause,
    /// Audio as usual; all digits are sent.
    Done,
}

impl Sender {
    /// `None` when there is no digit, too many, or something else among them. Each digit lasts a whole number
    /// of ticks, from 40 ms to 8 s.
    pub fn new(digits: &str, duration_ms: u32) -> Option<Sender> {
        Some(Sender {
            schedule: Schedule::new(digits, duration_ms)?,
            state: State::Pause { left: 0 },
        })
    }

    /// One tick. `now` is the timestamp audio of this tick would have.
    pub fn tick(&mut self, now: RtpTime) -> SendTick {
        match self.state {
            State::Down { event, time, ticks } => self.send_update(event, time, ticks + 1),
            State::Ending { left: 0, .. } => {
                self.state = State::Pause { left: PAUSE_TICKS };
                self.tick(now)
            }
            State::Ending { event, time, left } => {
                self.state = State::Ending {
                    event,
                    time,
                    left: left - 1,
                };
                packet(event, time, self.schedule.ticks, true)
            }
            State::Pause { .. } if self.schedule.is_done() => SendTick::Done,
            State::Pause { left: 0 } => match self.schedule.next() {
                Some(digit) => self.send_update(digit.event(), now, 1),
                None => SendTick::Done,
            },
            State::Pause { left } => {
                self.state = State::Pause { left: left - 1 };
                SendTick::Pause
            }
        }
    }

    fn send_update(&mut self, event: u8, time: RtpTime, ticks: u32) -> SendTick {
        let is_end = ticks >= self.schedule.ticks;
        self.state = if is_end {
            State::Ending {
                event,
                time,
                left: END_REPEATS,
            }
        } else {
            State::Down { event, time, ticks }
        };
        packet(event, time, ticks, is_end)
    }
}

fn packet(event: u8, time: RtpTime, ticks: u32, is_end: bool) -> SendTick {
    let units = ticks.saturating_mul(FRAME_SAMPLES as u32);
    let duration = u16::try_from(units).unwrap_or(u16::MAX);
    let payload = EventPayload {
        event,
        is_end,
        volume: VOLUME,
        duration,
    }
    .to_bytes();
    SendTick::Event {
        payload,
        time,
        marker: ticks == 1,
    }
}

/// Times the end is sent again after the first (RFC 4733 §2.5.1.4: three in all).
const END_REPEATS: u32 = 2;
/// Ticks of audio after the last end; with its repeats the digits are 80 ms apart.
const PAUSE_TICKS: u32 = 2;
/// −10 dBm0.
const VOLUME: u8 = 10;

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::super::Receiver;
    use super::*;

    fn ticks_of(digits: &str, duration_ms: u32) -> Vec<SendTick> {
        let mut sender = Sender::new(digits, duration_ms).unwrap();
        let mut ticks = Vec::new();
        for n in 0..10_000u32 {
            let tick = sender.tick(RtpTime(n * 160));
            if tick == SendTick::Done {
                assert_eq!(sender.tick(RtpTime(0)), SendTick::Done);
                break;
            }
            ticks.push(tick);
        }
        ticks
    }

    #[test]
    fn a_digit_has_a_marker_a_growing_duration_and_three_ends() {
        let ticks = ticks_of("5", 100);
        let expected: Vec<_> = [
            (1, false),
            (2, false),
            (3, false),
            (4, false),
            (5, true),
            (5, true),
            (5, true),
        ]
        .into_iter()
        .enumerate()
        .map(|(n, (ticks, end))| {
            let duration: u16 = ticks * 160;
            let [high, low] = duration.to_be_bytes();
            let payload = [5, if end { 0x8a } else { 0x0a }, high, low];
            SendTick::Event {
                payload,
                time: RtpTime(0),
                marker: n == 0,
            }
        })
        .collect();
        assert_eq!(ticks, expected);
    }

    #[test]
    fn digits_are_eighty_milliseconds_apart_under_their_own_timestamps() {
        let ticks = ticks_of("12", 40);
        let pauses = ticks.iter().filter(|t| **t == SendTick::Pause).count();
        assert_eq!((ticks.len(), pauses), (4 + 2 + 4, 2));
        let SendTick::Event { time, marker, .. } = ticks[6] else {
            panic!("the second digit begins")
        };
        // The first ended at 2 × 160.
        assert_eq!((time, marker), (RtpTime(6 * 160), true));
    }

    #[test]
    fn what_is_sent_is_what_is_received() {
        let start = Instant::now();
        let mut receiver = Receiver::new();
        let mut heard = String::new();
        for tick in ticks_of("0123456789*#ABCD", 60) {
            if let SendTick::Event { payload, time, .. } = tick {
                let payload = EventPayload::parse(&payload).unwrap();
                for pressed in receiver
                    .handle_packet(time, &payload, start)
                    .into_iter()
                    .flatten()
                {
                    assert_eq!(pressed.duration_ms, 60);
                    heard.push(pressed.digit.to_char());
                }
            }
        }
        assert_eq!(heard, "0123456789*#ABCD");
    }

    #[test]
    fn nothing_but_digits_is_sent() {
        assert!(Sender::new("12w", 100).is_none());
        assert!(Sender::new("", 100).is_none());
    }
}
