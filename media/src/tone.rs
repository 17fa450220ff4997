//! Tones with a cadence, computed from their position alone: no state, so no phase can ever slip.
//!
//! Knows nothing of plays or listeners.

use crate::command::Tone;
use crate::frame::{RATE_HZ, samples_of_ms};

/// Writes the tone's samples from `position` (samples since its start) on, and says how many; fewer than asked
/// only where the tone ends.
pub fn render(tone: &Tone, position: u64, samples: &mut [i16]) -> usize {
    let left = tone
        .duration_ms
        .map_or(u64::MAX, |ms| samples_of_ms(ms).saturating_sub(position));
    let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(samples.len());
    let Some(mut rest) = samples.get_mut(..wanted) else {
        return 0;
    };
    let mut position = position;
    while !rest.is_empty() {
        let (is_on, span) = cadence_at(&tone.cadence_ms, position);
        let length = usize::try_from(span).unwrap_or(usize::MAX).min(rest.len());
        let (part, after) = rest.split_at_mut(length);
        if is_on {
            let frequencies = [tone.frequencies_hz.0, tone.frequencies_hz.1];
            fill(frequencies, [tone.level_dbov; 2], position, part);
        } else {
            part.fill(0);
        }
        position += length as u64;
        rest = after;
    }
    wanted
}

/// Writes the sum of two sines with their own levels. Hertz outside 0 to 4000 are silent.
pub(crate) fn fill(frequencies_hz: [f32; 2], levels_dbov: [f32; 2], position: u64, samples: &mut [i16]) {
    let [low, high] = frequencies_hz;
    let [low_level, high_level] = levels_dbov;
    let mut low = Oscillator::at(low, low_level, position);
    let mut high = Oscillator::at(high, high_level, position);
    for sample in samples {
        let sum = low.next() + high.next();
        *sample = sum.round().clamp(f64::from(i16::MIN), f64::from(i16::MAX)) as i16;
    }
}

/// Whether a cadence is on at `position`, and for how many samples more.
fn cadence_at(cadence_ms: &[u32], position: u64) -> (bool, u64) {
    let round: u64 = cadence_ms.iter().map(|ms| samples_of_ms(*ms)).sum();
    let Some(mut place) = position.checked_rem(round) else {
        return (true, u64::MAX);
    };
    // With an odd number of spans every second round is the other way about.
    let is_odd_round = cadence_ms.len() % 2 == 1 && (position / round) % 2 == 1;
    let mut is_on = !is_odd_round;
    for ms in cadence_ms {
        let span = samples_of_ms(*ms);
        if place < span {
            return (is_on, span - place);
        }
        place -= span;
        is_on = !is_on;
    }
    (is_on, 1)
}

/// A sine as a turning pointer. Set exactly at its start, it drifts by less than 1e-12 over a frame.
struct Oscillator {
    sine: f64,
    cosine: f64,
    turn_sine: f64,
    turn_cosine: f64,
}

impl Oscillator {
    fn at(frequency_hz: f32, level_dbov: f32, position: u64) -> Oscillator {
        let frequency = f64::from(frequency_hz);
        if !(frequency > 0.0 && frequency < f64::from(RATE_HZ) / 2.0 && level_dbov.is_finite()) {
            return Oscillator {
                sine: 0.0,
                cosine: 0.0,
                turn_sine: 0.0,
                turn_cosine: 1.0,
            };
        }
        let turn = frequency / f64::from(RATE_HZ);
        let (turn_sine, turn_cosine) = (turn * std::f64::consts::TAU).sin_cos();
        let phase = (position as f64 * turn).fract();
        let (sine, cosine) = (phase * std::f64::consts::TAU).sin_cos();
        let peak = peak_of_dbov(level_dbov);
        Oscillator {
            sine: sine * peak,
            cosine: cosine * peak,
            turn_sine,
            turn_cosine,
        }
    }

    fn next(&mut self) -> f64 {
        let sample = self.sine;
        let sine = self.sine * self.turn_cosine + self.cosine * self.turn_sine;
        self.cosine = self.cosine * self.turn_cosine - self.sine * self.turn_sine;
        self.sine = sine;
        sample
    }
}

/// Peak of a sine whose power is `level_dbov`. 0 dBov is the power of a full-scale square wave, so the loudest
/// sine is −3.01 dBov (ITU-T G.100.1 §A.1); what is asked beyond is cut to it.
fn peak_of_dbov(level_dbov: f32) -> f64 {
    let power_root = 10f64.powf(f64::from(level_dbov) / 20.0) * 32_768.0;
    (power_root * std::f64::consts::SQRT_2).min(32_767.0)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Level of one frequency in dBov, by Goertzel's algorithm.
    pub(crate) fn level_at(frequency_hz: f64, samples: &[i16]) -> f64 {
        let turn = 2.0 * std::f64::consts::PI * frequency_hz / f64::from(RATE_HZ);
        let (mut one, mut two) = (0.0, 0.0);
        for sample in samples {
            let next = f64::from(*sample) + 2.0 * turn.cos() * one - two;
            (two, one) = (one, next);
        }
        let power = one * one + two * two - 2.0 * turn.cos() * one * two;
        let peak = 2.0 * power.max(1e-9).sqrt() / samples.len() as f64;
        20.0 * (peak / std::f64::consts::SQRT_2 / 32_768.0).log10()
    }

    fn tone(frequencies_hz: (f32, f32), cadence_ms: &[u32], duration_ms: Option<u32>) -> Tone {
        Tone {
            frequencies_hz,
            level_dbov: -16.0,
            cadence_ms: cadence_ms.to_vec(),
            duration_ms,
        }
    }

    #[test]
    fn both_frequencies_have_the_asked_level_and_nothing_else_is_there() {
        let mut samples = [0; 8000];
        assert_eq!(render(&tone((440.0, 480.0), &[], None), 0, &mut samples), 8000);
        for frequency in [440.0, 480.0] {
            assert!((level_at(frequency, &samples) + 16.0).abs() < 0.05);
        }
        for frequency in [300.0, 460.0, 880.0, 920.0, 3000.0] {
            assert!(level_at(frequency, &samples) < -80.0, "{frequency}");
        }
    }

    #[test]
    fn frames_are_one_tone_however_they_are_cut() {
        let tone = tone((425.0, 0.0), &[], None);
        let mut whole = [0; 1600];
        render(&tone, 0, &mut whole);
        let mut cut = [0; 1600];
        let mut position = 0;
        for part in cut.chunks_mut(7) {
            render(&tone, position, part);
            position += part.len() as u64;
        }
        assert!(whole == cut);
    }

    #[test]
    fn the_phase_is_exact_after_a_day() {
        let tone = tone((1000.0, 0.0), &[], None);
        let (mut start, mut late) = ([0; 160], [0; 160]);
        render(&tone, 0, &mut start);
        render(&tone, 86_400 * 8000, &mut late);
        for (a, b) in start.iter().zip(&late) {
            assert!((a - b).abs() <= 1);
        }
    }

    #[test]
    fn a_cadence_is_kept_to_the_sample() {
        // German ringing: 425 Hz, 1 s on, 4 s off.
        let mut samples = vec![1; 8 * 6000];
        render(&tone((425.0, 0.0), &[1000, 4000], None), 0, &mut samples);
        assert!(samples[8000..40_000].iter().all(|s| *s == 0));
        assert!(samples[40_000..48_000].iter().any(|s| *s > 5000));
        assert!(level_at(425.0, &samples[..8000]) > -16.1);
    }

    #[test]
    fn odd_cadences_alternate_and_empty_ones_are_steady() {
        assert_eq!(cadence_at(&[10], 79), (true, 1));
        assert_eq!(cadence_at(&[10], 80), (false, 80));
        assert_eq!(cadence_at(&[10], 160), (true, 80));
        assert_eq!(cadence_at(&[0, 0], 5), (true, u64::MAX));
        assert_eq!(cadence_at(&[0, 10], 0), (false, 80));
    }

    #[test]
    fn a_tone_ends_after_its_duration() {
        let tone = tone((425.0, 0.0), &[], Some(30));
        let mut samples = [9; 160];
        assert_eq!(render(&tone, 0, &mut samples), 160);
        assert_eq!(render(&tone, 160, &mut samples), 80);
        assert_eq!(render(&tone, 320, &mut samples), 0);
    }

    #[test]
    fn absurd_numbers_are_silent_or_cut() {
        for frequency in [f32::NAN, f32::INFINITY, -5.0, 4000.0, 0.0] {
            let mut samples = [1; 160];
            render(&tone((frequency, 0.0), &[], None), 3, &mut samples);
            assert_eq!(samples, [0; 160]);
        }
        let loud = Tone {
            level_dbov: 40.0,
            ..tone((1000.0, 1200.0), &[], None)
        };
        let mut samples = [0; 160];
        render(&loud, 0, &mut samples);
        assert!(samples.contains(&i16::MAX));
    }
}
