//! What each party of each call says: frames that tell whose they are and which in turn.
//!
//! A frame of 20 ms is two tones, each a multiple of 50 Hz and so orthogonal over a frame. The low one is the
//! *beat*: the number of the frame modulo 16. The high one is a digit of the mark. There are 256 frames, encoded
//! once; what a relay leaves as it was is known by comparing bytes, and only what a codec or a mixer touched is
//! decoded into a [`Chord`] and measured. Pure: knows nothing of calls or packets.

use std::cell::Cell;

use media::Codec;
use media::codec::{Decoder, Encoder};
use media::frame::{FRAME_SAMPLES, RATE_HZ};

/// Frames until beats begin again: 320 ms, the longest delay that can be told.
pub const BEATS: u8 = 16;
/// Calls that marks tell apart.
pub const CALLS_MAX: u32 = 1 << 16;
/// Parties of a call.
pub const PARTIES: usize = 3;

/// Who of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Party {
    /// Who calls.
    Caller,
    /// Who is called.
    Answerer,
    /// Who is called into a room of three.
    Third,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    call: u16,
    party: Party,
}

/// A frame that was heard, decoded. Each of its tones is measured when it is asked for first.
#[derive(Clone, Debug)]
pub struct Chord {
    samples: [i16; FRAME_SAMPLES],
    length: usize,
    energy: f32,
    shares: [Cell<Option<f32>>; TONES],
}

/// How a frame is made up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Of those who should be in it, and nothing else.
    Known,
    /// There is somebody else's frame in it.
    Another,
    /// Of nothing that is a frame: concealed, faded, or noise.
    Unclear,
}

/// All frames, encoded.
#[derive(Debug)]
pub struct Book {
    codec: Codec,
    frames: Vec<[u8; FRAME_SAMPLES]>,
}

impl Party {
    /// All, in the order in which they come.
    pub const ALL: [Party; PARTIES] = [Party::Caller, Party::Answerer, Party::Third];

    /// Its place in [`Party::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }
}

impl Mark {
    /// A party's mark of a call below [`CALLS_MAX`].
    pub fn new(call: u32, party: Party) -> Mark {
        Mark {
            call: call as u16,
            party,
        }
    }

    /// The digit said at a beat: those of the call go by in turn, shifted so that no two parties of a call ever
    /// say the same at the same beat.
    pub fn digit(self, beat: u8) -> u8 {
        let of_call = (self.call >> (4 * (beat % 4))) as u8 & 15;
        let party = self.party as u8;
        // Differences of two parties are 2 beat + 1 or 4 beat + 2, which 16 divides for no beat.
        let shift = ((2 * party + 1) * (beat % BEATS) + party) % 16;
        of_call ^ shift
    }
}

impl Book {
    /// Renders and encodes the 256 frames.
    pub fn new(codec: Codec) -> Book {
        let frame = |number: u16| {
            let (beat, digit) = ((number / 16) as u8, (number % 16) as u8);
            let [low, high] = tones(beat, digit).map(tone_hz);
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

    /// What a payload sounds like.
    pub fn decode(&self, payload: &[u8]) -> Chord {
        let mut samples = [0; FRAME_SAMPLES];
        let length = Decoder::new(self.codec).decode(payload, &mut samples);
        let energy = samples.iter().map(|sample| f32::from(*sample).powi(2)).sum();
        Chord {
            samples,
            length: length.min(FRAME_SAMPLES),
            energy,
            shares: [const { Cell::new(None) }; TONES],
        }
    }
}

impl Chord {
    /// True for nothing to hear.
    pub fn is_silence(&self) -> bool {
        self.energy < SILENCE * SILENCE * FRAME_SAMPLES as f32
    }

    /// The beat at which `mark` says this, at or after `next` where there are several; none where it is not in it.
    pub fn find(&self, mark: Mark, next: u8) -> Option<u8> {
        (0..BEATS)
            .map(|ahead| (next + ahead) % BEATS)
            .find(|beat| tones_of(mark, *beat).all(|tone| self.share(tone) > SHARE_MIN))
    }

    /// How it is made up, where those who should be in it say `known` at those beats.
    pub fn read(&self, known: impl Iterator<Item = (Mark, u8)>) -> Reading {
        let known: u32 = known
            .flat_map(|(mark, beat)| tones_of(mark, beat))
            .fold(0, |set, tone| set | 1 << tone);
        if self.sum(known) > EXPLAINED_MIN {
            return Reading::Known;
        }
        let others = (0..TONES).filter(|tone| known & 1 << tone == 0 && self.share(*tone) > SHARE_MIN);
        let others: u32 = others.fold(0, |set, tone| set | 1 << tone);
        let (low, high) = (
            self.sum((known | others) & LOW),
            self.sum((known | others) & !LOW),
        );
        // What is left of a frame that was concealed lies between the tones.
        let is_of_frames = low + high > EXPLAINED_MIN && low > SHARE_MIN && high > SHARE_MIN;
        if is_of_frames && others != 0 {
            Reading::Another
        } else {
            Reading::Unclear
        }
    }

    fn sum(&self, set: u32) -> f32 {
        let in_it = (0..TONES).filter(|tone| set & 1 << tone != 0);
        in_it.map(|tone| self.share(tone)).sum()
    }

    fn share(&self, tone: usize) -> f32 {
        let Some(known) = self.shares.get(tone) else {
            return 0.0;
        };
        let share = known.get().unwrap_or_else(|| self.measure(tone_hz(tone)));
        known.set(Some(share));
        share
    }

    /// Share of the energy that is at one frequency, by Goertzel's algorithm over whole periods.
    fn measure(&self, hz: f32) -> f32 {
        let turn = 2.0 * (std::f32::consts::TAU * hz / RATE_HZ as f32).cos();
        let (mut one, mut two) = (0.0, 0.0);
        for sample in self.samples.iter().take(self.length) {
            let next = f32::from(*sample) + turn * one - two;
            (two, one) = (one, next);
        }
        let power = one * one + two * two - turn * one * two;
        2.0 * power / (self.length.max(1) as f32 * self.energy.max(1.0))
    }
}

/// The two tones of a frame: the low one and the high one.
fn tones(beat: u8, digit: u8) -> [usize; 2] {
    [usize::from(beat % BEATS), usize::from(BEATS + digit % 16)]
}

fn tones_of(mark: Mark, beat: u8) -> impl Iterator<Item = usize> {
    tones(beat, mark.digit(beat)).into_iter()
}

fn tone_hz(tone: usize) -> f32 {
    400.0 + 100.0 * tone as f32
}

/// All tones: those of beats, then those of digits.
const TONES: usize = 32;
/// The low ones.
const LOW: u32 = 0xffff;
/// Of each tone, in steps of 16 bits: four together stay 6 dB below full scale.
const AMPLITUDE: f32 = 4_000.0;
/// Root mean square of what counts as silence.
const SILENCE: f32 = 100.0;
/// Share of a frame's energy that those who are in it have; what the laws add is far below the rest.
const EXPLAINED_MIN: f32 = 0.9;
/// Share of a frame's energy from which on a tone is in it. Of one speaker each tone has a half, of two a quarter; a
/// sixth is left where two speak the same one, which counts twice, and two others.
const SHARE_MIN: f32 = 0.12;

#[cfg(test)]
impl Book {
    /// What a mixer makes of those who say this at those beats.
    pub fn mix(&self, speakers: &[(Mark, u8)]) -> [u8; FRAME_SAMPLES] {
        let mut sum = [0i16; FRAME_SAMPLES];
        for (mark, beat) in speakers {
            let mut samples = [0; FRAME_SAMPLES];
            Decoder::new(self.codec).decode(self.frame(*mark, *beat), &mut samples);
            sum.iter_mut().zip(samples).for_each(|(to, from)| *to += from);
        }
        let mut payload = [0; FRAME_SAMPLES];
        Encoder::new(self.codec).encode(&sum, &mut payload);
        payload
    }
}

#[cfg(test)]
mod tests {
    use media::codec::g711;

    use super::*;

    const CALLS: [u32; 4] = [0, 1, 0x1234, CALLS_MAX - 1];

    fn samples(book: &Book, mark: Mark, beat: u8) -> [i16; FRAME_SAMPLES] {
        let mut samples = [0; FRAME_SAMPLES];
        g711::decode_ulaw(book.frame(mark, beat), &mut samples);
        samples
    }

    fn mixed(book: &Book, speakers: &[(Mark, u8)]) -> Chord {
        book.decode(&book.mix(speakers))
    }

    #[test]
    fn every_frame_is_read_back_whatever_was_expected_and_after_the_other_law() {
        let book = Book::new(Codec::Pcmu);
        for (call, party) in CALLS
            .into_iter()
            .flat_map(|call| Party::ALL.map(|party| (call, party)))
        {
            let mark = Mark::new(call, party);
            for beat in 0..BEATS {
                let chord = book.decode(book.frame(mark, beat));
                assert_eq!(chord.find(mark, beat), Some(beat));
                assert_eq!(chord.find(mark, beat + 1), Some(beat));
                assert_eq!(chord.read([(mark, beat)].into_iter()), Reading::Known);
                let mut law = [0; FRAME_SAMPLES];
                g711::encode_alaw(&samples(&book, mark, beat), &mut law);
                assert_eq!(Book::new(Codec::Pcma).decode(&law).find(mark, beat), Some(beat));
            }
        }
    }

    #[test]
    fn two_speakers_are_both_found_at_any_two_beats_and_who_is_silent_is_not() {
        let book = Book::new(Codec::Pcmu);
        for call in CALLS {
            let [one, other, third] = Party::ALL.map(|party| Mark::new(call, party));
            for (beat, at) in (0..BEATS).flat_map(|beat| (0..BEATS).map(move |at| (beat, at))) {
                let chord = mixed(&book, &[(one, beat), (other, at)]);
                assert_eq!(chord.find(one, beat), Some(beat), "{call} {beat} {at}");
                assert_eq!(chord.find(other, at), Some(at), "{call} {beat} {at}");
                let both = [(one, beat), (other, at)];
                assert_eq!(chord.read(both.into_iter()), Reading::Known, "{call} {beat} {at}");
                let alone = book.decode(book.frame(one, beat));
                assert_eq!(alone.find(other, at), None, "{call} {beat} {at}");
                assert_eq!(alone.find(third, at), None, "{call} {beat} {at}");
            }
        }
    }

    #[test]
    fn a_third_who_should_not_be_there_is_another() {
        let book = Book::new(Codec::Pcmu);
        let [one, other, _] = Party::ALL.map(|party| Mark::new(7, party));
        let known = [(one, 3), (other, 9)];
        let stranger = (Mark::new(8, Party::Caller), 12);
        let read = |chord: Chord, known: &[(Mark, u8)]| chord.read(known.iter().copied());
        assert_eq!(
            read(mixed(&book, &[known[0], known[1], stranger]), &known),
            Reading::Another
        );
        assert_eq!(
            read(mixed(&book, &[known[0], stranger]), &known),
            Reading::Another
        );
        assert_eq!(read(mixed(&book, &[stranger]), &[]), Reading::Another);
        // A frame that was begun anew in its middle, as concealment may.
        let mut torn = *book.frame(one, 3).first_chunk::<FRAME_SAMPLES>().unwrap();
        torn.copy_within(17..137, 40);
        assert_eq!(read(book.decode(&torn), &known[..1]), Reading::Unclear);
    }

    #[test]
    fn marks_of_two_calls_or_two_parties_differ_within_eight_frames() {
        let differ =
            |one: Mark, other: Mark, within| (0..within).any(|beat| one.digit(beat) != other.digit(beat));
        for call in 1..2_000 {
            for (one, other) in Party::ALL
                .into_iter()
                .flat_map(|one| Party::ALL.map(|other| (one, other)))
            {
                let (own, next) = (Mark::new(call, one), Mark::new(call - 1, other));
                assert!(differ(own, next, 8));
                assert!(
                    one == other
                        || (0..BEATS).all(|beat| own.digit(beat) != Mark::new(call, other).digit(beat))
                );
            }
        }
    }

    #[test]
    fn silence_is_silence() {
        let book = Book::new(Codec::Pcmu);
        assert!(book.decode(&[0xff; FRAME_SAMPLES]).is_silence());
        assert!(book.decode(&[]).is_silence());
        assert!(
            !book
                .decode(book.frame(Mark::new(1, Party::Caller), 0))
                .is_silence()
        );
    }
}
