//! Adds up who is heard, one 20 ms frame at a time.
//!
//! A listener's row is either summed speaker by speaker with each one's gain ([`Mix::add`]), or, where all in
//! a room are heard alike, taken from the room's one sum by leaving its own voice out
//! ([`Mix::finish_without`]): n additions and n subtractions instead of n².
//!
//! Knows nothing of streams, plays or codecs.

mod limiter;

pub use limiter::Limiter;

use crate::frame::FRAME_SAMPLES;
use crate::gain::Gain;

/// A frame wide enough for every voice at once.
#[derive(Clone, Copy)]
pub struct Mix {
    sum: [i32; FRAME_SAMPLES],
}

impl Mix {
    /// Silence.
    pub const fn new() -> Mix {
        Mix {
            sum: [0; FRAME_SAMPLES],
        }
    }

    /// Back to silence.
    pub fn clear(&mut self) {
        self.sum.fill(0);
    }

    /// Adds a voice.
    pub fn add(&mut self, voice: &[i16; FRAME_SAMPLES], gain: Gain) {
        if gain.is_mute() {
            return;
        }
        if gain.is_unity() {
            for (sum, sample) in self.sum.iter_mut().zip(voice) {
                *sum += i32::from(*sample);
            }
            return;
        }
        for (sum, sample) in self.sum.iter_mut().zip(voice) {
            *sum += gain.apply(*sample);
        }
    }

    /// What one listener hears of the sum.
    pub fn finish(&self, limiter: &mut Limiter, out: &mut [i16; FRAME_SAMPLES]) {
        limiter.apply(&self.sum, out);
    }

    /// What a listener hears whose own voice is in the sum, added with `gain`: everyone else.
    pub fn finish_without(
        &self,
        own: &[i16; FRAME_SAMPLES],
        gain: Gain,
        limiter: &mut Limiter,
        out: &mut [i16; FRAME_SAMPLES],
    ) {
        let mut others = self.sum;
        for (sum, sample) in others.iter_mut().zip(own) {
            *sum -= gain.apply(*sample);
        }
        limiter.apply(&others, out);
    }
}

impl Default for Mix {
    fn default() -> Mix {
        Mix::new()
    }
}

/// Voices in one sum, at most. 64 full-scale voices at the highest gain stay below 2^25.
pub const VOICES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tone::tests::level_at;

    fn voice(frequency: f32, level_dbov: f32) -> [i16; FRAME_SAMPLES] {
        let mut frame = [0; FRAME_SAMPLES];
        crate::tone::fill([frequency, 0.0], [level_dbov, 0.0], 0, &mut frame);
        frame
    }

    #[test]
    fn one_voice_passes_unchanged() {
        let speaker = voice(1000.0, -3.1);
        let mut mix = Mix::new();
        mix.add(&speaker, Gain::UNITY);
        let mut out = [0; FRAME_SAMPLES];
        mix.finish(&mut Limiter::new(), &mut out);
        assert_eq!(out, speaker);
    }

    #[test]
    fn each_of_three_hears_the_other_two_and_not_itself() {
        let voices = [voice(400.0, -20.0), voice(1000.0, -20.0), voice(2000.0, -20.0)];
        let mut room = Mix::new();
        for speaker in &voices {
            room.add(speaker, Gain::UNITY);
        }
        for (listener, own) in voices.iter().enumerate() {
            let mut out = [0; FRAME_SAMPLES];
            room.finish_without(own, Gain::UNITY, &mut Limiter::new(), &mut out);
            for (speaker, frequency) in [400.0, 1000.0, 2000.0].into_iter().enumerate() {
                let is_heard = level_at(frequency, &out) > -21.0;
                assert_eq!(is_heard, speaker != listener, "{listener} hears {speaker}");
                assert!(speaker != listener || level_at(frequency, &out) < -75.0);
            }
        }
    }

    #[test]
    fn gain_holds_per_pair() {
        let mut mix = Mix::new();
        mix.add(&voice(400.0, -20.0), Gain::from_db(-10.0));
        mix.add(&voice(1000.0, -20.0), Gain::from_db(6.0));
        mix.add(&voice(2000.0, -20.0), Gain::MUTE);
        let mut out = [0; FRAME_SAMPLES];
        mix.finish(&mut Limiter::new(), &mut out);
        assert!((level_at(400.0, &out) + 30.0).abs() < 0.2);
        assert!((level_at(1000.0, &out) + 14.0).abs() < 0.2);
        assert!(level_at(2000.0, &out) < -70.0);
    }

    #[test]
    fn the_loudest_room_does_not_overflow() {
        let mut mix = Mix::new();
        for _ in 0..VOICES_MAX {
            mix.add(&[i16::MIN; FRAME_SAMPLES], Gain::from_db(f32::INFINITY));
        }
        let mut out = [0; FRAME_SAMPLES];
        mix.finish(&mut Limiter::new(), &mut out);
        assert!(out.iter().all(|s| *s < -32_000));
    }

    proptest! {
        /// The short way and the long way give the same samples.
        #[test]
        fn leaving_out_equals_adding_the_others(
            seeds in proptest::collection::vec(any::<i16>(), 2..8), db in -20.0f32..6.0,
        ) {
            let gain = Gain::from_db(db);
            let voices: Vec<[i16; FRAME_SAMPLES]> = seeds
                .iter()
                .map(|seed| std::array::from_fn(|n| seed.wrapping_mul(n as i16 | 1)))
                .collect();
            let mut room = Mix::new();
            voices.iter().for_each(|v| room.add(v, gain));
            for (own, own_voice) in voices.iter().enumerate() {
                let mut others = Mix::new();
                voices.iter().enumerate().filter(|(n, _)| *n != own).for_each(|(_, v)| others.add(v, gain));
                let (mut short, mut long) = ([0; FRAME_SAMPLES], [0; FRAME_SAMPLES]);
                room.finish_without(own_voice, gain, &mut Limiter::new(), &mut short);
                others.finish(&mut Limiter::new(), &mut long);
                prop_assert_eq!(short, long);
            }
        }
    }
}
