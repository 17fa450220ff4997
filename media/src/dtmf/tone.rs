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
        self.state = if ticks + 1 >= self.schedule.ticks {
            State::Pause { left: PAUSE_TICKS }
        } else {
            State::Down {
                digit,
                ticks: ticks + 1,
            }
        };
    }
}

/// Level of the low frequency: −9 dBm0 (ETSI ES 201 235-2) is 3 dB below it in dBov.
const LOW_DBOV: f32 = -12.0;
/// The high frequency is 2 dB stronger, as lines weaken it more.
const HIGH_DBOV: f32 = -10.0;
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
                let is_loud = level_at(f64::from(frequency), &heard[..800]) > -14.0;
                assert_eq!(is_loud, expected.contains(&frequency), "{character} {frequency}");
            }
            assert!(heard[800..].iter().all(|s| *s == 0));
        }
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
