//! The hold music that needs no file: eight bars in C, a soft pad under a plucked line, that end where they
//! begin.

use super::Sound;
use crate::frame::RATE_HZ;

/// 19.2 s that repeat without a seam, about −20 dBov. Made anew at each call: keep it.
pub fn builtin_music() -> Sound {
    let mut score = Score {
        mix: vec![0.0; BAR_SAMPLES * BARS.len()],
    };
    for (bar, (chord, melody)) in BARS.iter().enumerate() {
        let start = bar * BAR_SAMPLES;
        for note in chord {
            score.add(start, *note, BAR_SAMPLES + BAR_SAMPLES / 4, Voice::Pad);
        }
        let [root, third, fifth] = *chord;
        let figure = [
            root - 12,
            fifth,
            third + 12,
            fifth,
            root,
            fifth,
            third + 12,
            fifth,
        ];
        for (eighth, note) in figure.into_iter().enumerate() {
            score.add(
                start + eighth * EIGHTH_SAMPLES,
                note,
                3 * EIGHTH_SAMPLES,
                Voice::Pluck(0.45),
            );
        }
        for (beat, note) in melody.iter().enumerate() {
            if *note > 0 {
                score.add(
                    start + beat * 2 * EIGHTH_SAMPLES,
                    *note,
                    5 * EIGHTH_SAMPLES,
                    Voice::Pluck(1.0),
                );
            }
        }
    }
    Sound::from_pcm(score.level())
}

struct Score {
    mix: Vec<f32>,
}

#[derive(Clone, Copy)]
enum Voice {
    /// Swells and sinks.
    Pad,
    /// Struck with this strength, rings out.
    Pluck(f32),
}

impl Score {
    /// Adds a note; what rings beyond the end comes in at the beginning, so that repeats join.
    fn add(&mut self, start: usize, note: i32, length: usize, voice: Voice) {
        let frequency = 440.0 * 2f64.powf(f64::from(note - 69) / 12.0);
        let turn = frequency / f64::from(RATE_HZ) * std::f64::consts::TAU;
        let round = self.mix.len();
        for n in 0..length {
            let share = n as f64 / length as f64;
            let phase = turn * n as f64;
            let value = match voice {
                Voice::Pad => {
                    let swell = (share * std::f64::consts::PI).sin().powf(0.6);
                    0.3 * swell * (phase.sin() + 0.25 * (2.0 * phase).sin() + 0.1 * (3.0 * phase).sin())
                }
                Voice::Pluck(strength) => {
                    let attack = (n as f64 / ATTACK_SAMPLES).min(1.0);
                    let ring = (-4.0 * share).exp() * (1.0 - share);
                    let overtones =
                        0.4 * (2.0 * phase).sin() * ring + 0.2 * (3.0 * phase).sin() * ring * ring;
                    f64::from(strength) * attack * ring * (phase.sin() + overtones)
                }
            };
            if let Some(sample) = self.mix.get_mut((start + n) % round) {
                *sample += value as f32;
            }
        }
    }

    fn level(self) -> Vec<i16> {
        let power = self.mix.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / self.mix.len() as f64;
        let scale = 32_768.0 * 10f64.powf(LEVEL_DBOV / 20.0) / power.sqrt().max(1e-9);
        self.mix
            .iter()
            .map(|s| (f64::from(*s) * scale).round().clamp(-32_768.0, 32_767.0) as i16)
            .collect()
    }
}

/// Power of the whole, dBov: as loud as speech on the telephone network.
const LEVEL_DBOV: f64 = -20.0;
/// 8 ms.
const ATTACK_SAMPLES: f64 = 64.0;
/// 0.3 s: 100 beats a minute.
const EIGHTH_SAMPLES: usize = 2400;
const BAR_SAMPLES: usize = 8 * EIGHTH_SAMPLES;
/// A chord and four beats of melody a bar, as MIDI note numbers; 0 rests.
const BARS: [([i32; 3], [i32; 4]); 8] = [
    ([60, 64, 67], [76, 0, 79, 76]),
    ([57, 60, 64], [72, 0, 76, 0]),
    ([53, 57, 60], [69, 72, 77, 0]),
    ([55, 59, 62], [74, 0, 71, 74]),
    ([60, 64, 67], [79, 0, 76, 72]),
    ([57, 60, 64], [76, 0, 72, 69]),
    ([53, 57, 60], [72, 69, 65, 69]),
    ([55, 59, 62], [67, 71, 74, 0]),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::FRAME_SAMPLES;

    fn level(samples: &[i16]) -> f64 {
        let power = samples.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / samples.len() as f64;
        10.0 * (power.max(1e-9) / 32_768f64.powi(2)).log10()
    }

    #[test]
    fn it_is_as_loud_as_speech_and_never_cut_off() {
        let music = builtin_music();
        assert!((level(music.pcm()) + 20.0).abs() < 0.1);
        assert!(music.pcm().iter().all(|s| s.unsigned_abs() < 28_000));
    }

    #[test]
    fn it_is_whole_frames_of_nineteen_seconds_without_a_silent_one() {
        let music = builtin_music();
        assert_eq!(music.len_ms(), 19_200);
        assert_eq!(music.pcm().len() % FRAME_SAMPLES, 0);
        for (n, frame) in music.pcm().chunks(FRAME_SAMPLES).enumerate() {
            assert!(level(frame) > -40.0, "frame {n}: {}", level(frame));
        }
    }

    #[test]
    fn its_end_joins_its_beginning() {
        let music = builtin_music();
        let samples = music.pcm();
        let steepest = samples
            .windows(2)
            .map(|w| (i32::from(w[1]) - i32::from(w[0])).abs())
            .max()
            .unwrap();
        let seam = (i32::from(samples[0]) - i32::from(samples[samples.len() - 1])).abs();
        assert!(seam <= steepest && steepest < 20_000);
    }
}
