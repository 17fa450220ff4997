//! Sends digits as tones in the audio (ITU-T Q.23), for peers without telephone-events.

use super::{Digit, Schedule};
use crate::frame::FRAME_SAMPLES;
use crate::tone;

/// An order of digits under way as audio.
#[derive(Clone, Debug)]
pub struct ToneSender {
    schedule: Schedule,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    /// The digit sounds; ticks done.
    Down { digit: Digit, ticks: u32 },
    /// Silence after a digit.
    Pause { left: u32 },
}

/// What one tick sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToneTick {
    /// The frame was overwritten with a tone, or with the silence between two.
    Frame,
    /// The frame was left alone: all digits are sent.
    Done,
}

impl ToneSender {
    /// As [`super::Sender::new`].
    pub fn new(digits: &str, duration_ms: u32) -> Option<ToneSender> {
        Some(ToneSender {
            schedule: Schedule::new(digits, duration_ms)?,
            state: State::Pause { left: 0 },
        })
    }

    /// One tick: overwrites the frame while digits last.
    pub fn tick(&mut self, frame: &mut [i16; FRAME_SAMPLES]) -> ToneTick {
        match self.state {
            State::Down { digit, ticks } => self.sound(digit, ticks, frame),
            State::Pause { left: 0 } => match self.schedule.next() {
                Some(digit) => self.sound(digit, 0, frame),
                None => return ToneTick::Done,
            },
            State::Pause { left } => {
                frame.fill(0);
                self.state = State::Pause { left: left - 1 };
            }
        }
        ToneTick::Frame
    }

    fn sound(&mut self, digit: Digit, ticks: u32, frame: &mut [i16; FRAME_SAMPLES]) {
        let position = u64::from(ticks) * FRAME_SAMPLES as u64;
        tone::fill(digit.frequencies_hz(), [LOW_DBOV, HIGH_DBOV], position, frame);
        let is_last = ticks + 1 >= self.schedule.ticks;
        if ticks == 0 {
            swell(frame.iter_mut());
        }
        if is_last {
            swell(frame.iter_mut().rev());
        }
        self.state = if is_last {
            State::Pause { left: PAUSE_TICKS }
        } else {
            State::Down {
                digit,
                ticks: ticks + 1,
            }
        };
    }
}

/// From nothing to all, along half a cosine.
fn swell<'a>(samples: impl Iterator<Item = &'a mut i16>) {
    for (at, sample) in samples.take(RAMP_SAMPLES).enumerate() {
        let part = (at as f32 + 0.5) / RAMP_SAMPLES as f32;
        let gain = 0.5 - 0.5 * (part * std::f32::consts::PI).cos();
        *sample = (f32::from(*sample) * gain) as i16;
    }
}

/// Level of the low frequency: −10 dBm0, as 0 dBov are 6.18 dBm0 under µ-law (ITU-T G.100.1 annex A). Q.24 takes
/// 0 to −25 dBm0.
const LOW_DBOV: f32 = -16.2;
/// The high frequency is 2 dB stronger, as lines weaken it more; together they are −5.9 dBm0.
const HIGH_DBOV: f32 = -14.2;
/// A digit swells and fades this long, so that nothing clicks: 4 ms, which leave the shortest its 40 ms at all
/// but full level (Q.24: within 3 dB).
const RAMP_SAMPLES: usize = 32;
/// Silence after each digit: 80 ms.
const PAUSE_TICKS: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tone::tests::level_at;

    #[test]
    fn each_digit_has_its_two_frequencies_and_no_other() {
        for character in "0123456789*#ABCD".chars() {
            let mut sender = ToneSender::new(&character.to_string(), 100).unwrap();
            let mut heard = Vec::new();
            let mut frame = [0; FRAME_SAMPLES];
            while sender.tick(&mut frame) == ToneTick::Frame {
                heard.extend(frame);
            }
            assert_eq!(heard.len(), (100 + 80) * 8);
            let expected = Digit::from_char(character).unwrap().frequencies_hz();
            for frequency in [697.0f32, 770.0, 852.0, 941.0, 1209.0, 1336.0, 1477.0, 1633.0] {
                let is_loud = level_at(f64::from(frequency), &heard[..800]) > -18.0;
                assert_eq!(is_loud, expected.contains(&frequency), "{character} {frequency}");
            }
            assert!(heard[800..].iter().all(|s| *s == 0));
        }
    }

    #[test]
    fn a_digit_begins_and_ends_without_a_click_and_is_as_loud_as_was_said() {
        for character in "0123456789*#ABCD".chars() {
            let mut sender = ToneSender::new(&character.to_string(), 60).unwrap();
            let mut heard = Vec::new();
            let mut frame = [0; FRAME_SAMPLES];
            while sender.tick(&mut frame) == ToneTick::Frame {
                heard.extend(frame);
            }
            // Both at once climb by 9,000 a sample at most; in the first half millisecond they are far below.
            assert!(
                heard[..4]
                    .iter()
                    .chain(&heard[476..480])
                    .all(|sample| sample.abs() < 600),
                "{character}"
            );
            let [low, high] = Digit::from_char(character).unwrap().frequencies_hz();
            let middle = &heard[80..400];
            assert!(
                (level_at(f64::from(low), middle) + 16.2).abs() < 0.5,
                "{character}"
            );
            assert!(
                (level_at(f64::from(high), middle) + 14.2).abs() < 0.5,
                "{character}"
            );
        }
    }

    #[test]
    fn the_shortest_digits_sent_are_heard_by_our_own_ear() {
        let digits = "0123456789*#ABCD";
        let (mut sender, mut detector) = (
            ToneSender::new(digits, 40).unwrap(),
            super::super::Detector::new(),
        );
        let mut heard = String::new();
        let mut frame = [0; FRAME_SAMPLES];
        while sender.tick(&mut frame) == ToneTick::Frame {
            let ended = detector.handle_frame(&frame, false).ended;
            heard.extend(ended.map(|pressed| pressed.digit.to_char()));
        }
        assert_eq!(heard, digits);
    }

    #[test]
    fn after_the_last_digit_audio_passes() {
        let mut sender = ToneSender::new("1", 40).unwrap();
        let mut frame = [0; FRAME_SAMPLES];
        while sender.tick(&mut frame) == ToneTick::Frame {}
        frame.fill(77);
        assert_eq!(sender.tick(&mut frame), ToneTick::Done);
        assert_eq!(frame, [77; FRAME_SAMPLES]);
    }
}
