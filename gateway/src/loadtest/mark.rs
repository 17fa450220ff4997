//! What each side of each call says: frames that tell whose they are and which in turn.
//!
//! A frame of 20 ms is two tones, each a multiple of 50 Hz and so orthogonal over a frame. The low one is the
//! *beat*: the number of the frame modulo 16. The high one is a digit of the mark: the four hexadecimal
//! digits of call and direction go by in turn. There are 256 frames, encoded once; what a relay leaves as it
//! was is known by comparing bytes, and only what a codec or a mixer touched is decoded and measured.
//! Pure: knows nothing of calls or packets.

use media::Codec;
use media::codec::{Decoder, Encoder};
use media::frame::{FRAME_SAMPLES, RATE_HZ};

/// Frames until beats begin again: 320 ms, the longest delay that can be told.
pub const BEATS: u8 = 16;
/// Calls that marks tell apart: 16 bits, one of them the direction.
pub const CALLS_MAX: u32 = 1 << 15;

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark(u16);

/// What a frame turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sound {
    /// A frame of a mark.
    Frame {
        /// Its number modulo [`BEATS`].
        beat: u8,
        /// The digit of the mark at that beat.
        digit: u8,
    },
    /// Nothing.
    Silence,
    /// Something else.
    Noise,
}

/// All frames, encoded.
#[derive(Debug)]
pub struct Book {
    codec: Codec,
    frames: Vec<[u8; FRAME_SAMPLES]>,
}

impl Mark {
    /// The caller's mark of a call, or the answerer's. `call` is below [`CALLS_MAX`].
    pub fn new(call: u32, is_answerer: bool) -> Mark {
        Mark((call as u16) << 1 | u16::from(is_answerer))
    }

    /// The digit said at a beat.
    pub fn digit(self, beat: u8) -> u8 {
        (self.0 >> (4 * (beat % 4)) & 15) as u8
    }
}

impl Book {
    /// Renders and encodes the 256 frames.
    pub fn new(codec: Codec) -> Book {
        let frame = |number: u16| {
            let (beat, digit) = ((number / 16) as u8, (number % 16) as u8);
            let (low, high) = (beat_hz(beat), digit_hz(digit));
            let samples: [i16; FRAME_SAMPLES] = std::array::from_fn(|at| {
                let turn = std::f32::consts::TAU * at as f32 / RATE_HZ as f32;
                (AMPLITUDE * ((turn * low).sin() + (turn * high).sin())) as i16
            });
            let mut payload = [0; FRAME_SAMPLES];
            Encoder::new(codec).encode(&samples, &mut payload);
            payload
        };
        Book {
            codec,
            frames: (0..256).map(frame).collect(),
        }
    }

    /// The payload that `mark` says at `beat`.
    pub fn frame(&self, mark: Mark, beat: u8) -> &[u8] {
        let number = usize::from(beat % BEATS) * 16 + usize::from(mark.digit(beat));
        self.frames.get(number).map_or(&[], |frame| &frame[..])
    }

    /// What a payload says; `guess` is what is looked for first.
    pub fn read(&self, payload: &[u8], guess: (Mark, u8)) -> Sound {
        let (mark, beat) = guess;
        if payload == self.frame(mark, beat) {
            let (beat, digit) = (beat % BEATS, mark.digit(beat));
            return Sound::Frame { beat, digit };
        }
        let mut samples = [0; FRAME_SAMPLES];
        let length = Decoder::new(self.codec).decode(payload, &mut samples);
        measure(samples.get(..length).unwrap_or(&[]))
    }
}

fn measure(samples: &[i16]) -> Sound {
    let energy: f32 = samples.iter().map(|sample| f32::from(*sample).powi(2)).sum();
    if energy < SILENCE * SILENCE * FRAME_SAMPLES as f32 {
        return Sound::Silence;
    }
    let loudest = |hz: fn(u8) -> f32| {
        let shares = (0..16).map(|number| (number, share(hz(number), samples, energy)));
        shares.max_by(|one, other| one.1.total_cmp(&other.1))
    };
    match (loudest(beat_hz), loudest(digit_hz)) {
        (Some((beat, low)), Some((digit, high))) if low > SHARE_MIN && high > SHARE_MIN => {
            Sound::Frame { beat, digit }
        }
        _ => Sound::Noise,
    }
}

/// Share of the energy that is at one frequency, by Goertzel's algorithm over whole periods.
fn share(hz: f32, samples: &[i16], energy: f32) -> f32 {
    let turn = 2.0 * (std::f32::consts::TAU * hz / RATE_HZ as f32).cos();
    let (mut one, mut two) = (0.0, 0.0);
    for sample in samples {
        let next = f32::from(*sample) + turn * one - two;
        (two, one) = (one, next);
    }
    let power = one * one + two * two - turn * one * two;
    2.0 * power / (samples.len().max(1) as f32 * energy)
}

fn beat_hz(beat: u8) -> f32 {
    400.0 + 100.0 * f32::from(beat % BEATS)
}

fn digit_hz(digit: u8) -> f32 {
    2_000.0 + 100.0 * f32::from(digit % 16)
}

/// Of each tone, in steps of 16 bits: two together stay 12 dB below full scale.
const AMPLITUDE: f32 = 4_000.0;
/// Root mean square of what counts as silence.
const SILENCE: f32 = 100.0;
/// Share of a frame's energy that each of its tones must have; half where nothing was added.
const SHARE_MIN: f32 = 0.3;

#[cfg(test)]
mod tests {
    use media::codec::g711;

    use super::*;

    #[test]
    fn every_frame_is_read_back_whatever_was_guessed_and_after_the_other_law() {
        let book = Book::new(Codec::Pcmu);
        for call in [0, 1, 0x1234, CALLS_MAX - 1] {
            for is_answerer in [false, true] {
                let mark = Mark::new(call, is_answerer);
                for beat in 0..BEATS {
                    let expected = Sound::Frame {
                        beat,
                        digit: mark.digit(beat),
                    };
                    let payload = book.frame(mark, beat);
                    assert_eq!(book.read(payload, (mark, beat)), expected);
                    assert_eq!(book.read(payload, (Mark::new(77, false), beat + 1)), expected);
                    let (mut samples, mut law) = ([0; FRAME_SAMPLES], [0; FRAME_SAMPLES]);
                    g711::decode_ulaw(payload, &mut samples);
                    g711::encode_alaw(&samples, &mut law);
                    assert_eq!(Book::new(Codec::Pcma).read(&law, (mark, beat)), expected);
                }
            }
        }
    }

    #[test]
    fn marks_of_two_calls_or_two_directions_differ_within_four_frames() {
        let differ = |one: Mark, other: Mark| (0..4).any(|beat| one.digit(beat) != other.digit(beat));
        for call in 1..2_000 {
            assert!(differ(Mark::new(call, false), Mark::new(call, true)));
            assert!(differ(Mark::new(call, false), Mark::new(call - 1, false)));
        }
    }

    #[test]
    fn silence_and_two_voices_at_once_are_no_frame() {
        let book = Book::new(Codec::Pcmu);
        let guess = (Mark::new(1, false), 0);
        assert_eq!(book.read(&[0xff; FRAME_SAMPLES], guess), Sound::Silence);
        assert_eq!(book.read(&[], guess), Sound::Silence);
        let mut sum = [0i16; FRAME_SAMPLES];
        for call in [0x0111, 0x0666] {
            let mut samples = [0; FRAME_SAMPLES];
            g711::decode_ulaw(book.frame(Mark::new(call, false), call as u8), &mut samples);
            for (to, from) in sum.iter_mut().zip(samples) {
                *to += from;
            }
        }
        let mut payload = [0; FRAME_SAMPLES];
        g711::encode_ulaw(&sum, &mut payload);
        assert_eq!(book.read(&payload, guess), Sound::Noise);
    }
}
