//! Voices known by their frequencies, and how to find them in what was heard.
//!
//! A voice sounds in a *slice* of 200 ms when the power at its frequencies is above a threshold. A frequency
//! counts only where it is a peak, as the foot of a neighbour's spectrum is none: Hann's window keeps a steady
//! neighbour some 45 dB down, but not a note that is just struck or a tone that stops.
//! Pure: knows nothing of phones.

use media::frame::RATE_HZ;

/// Somebody or something that can be heard.
#[derive(Clone, Debug, PartialEq)]
pub struct Voice {
    /// For people.
    pub name: String,
    /// Its frequencies, hertz. Several stand for one voice: the notes of a tune.
    pub frequencies_hz: Vec<f32>,
}

/// How a voice was heard over some time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Heard {
    /// Slices of 200 ms looked at.
    pub slices: usize,
    /// Slices in which it sounded.
    pub present: usize,
    /// Level of the middle slice, dBov.
    pub level_dbov: f32,
}

impl Voice {
    /// A voice of one tone.
    pub fn tone(name: &str, frequency_hz: f32) -> Voice {
        Voice {
            name: name.to_owned(),
            frequencies_hz: vec![frequency_hz],
        }
    }

    /// Music in C major, such as the built-in tune: the white keys from C3 to C7.
    pub fn white_keys(name: &str) -> Voice {
        const WHITE: [i32; 7] = [0, 2, 4, 5, 7, 9, 11];
        let notes = (4..8).flat_map(|octave| WHITE.map(|step| octave * 12 + step));
        Voice {
            name: name.to_owned(),
            frequencies_hz: notes.map(note_hz).collect(),
        }
    }
}

impl Heard {
    /// It sounded all the time.
    pub fn is_steady(&self) -> bool {
        self.slices > 0 && self.present == self.slices
    }

    /// It did not sound at all. Also true where nothing came.
    pub fn is_absent(&self) -> bool {
        self.present == 0
    }
}

/// Listens for a voice in all whole slices of `samples`.
pub fn listen(samples: &[i16], voice: &Voice) -> Heard {
    let mut levels: Vec<f32> = samples
        .chunks_exact(SLICE_SAMPLES)
        .map(|slice| voice_level_dbov(slice, voice))
        .collect();
    levels.sort_by(f32::total_cmp);
    Heard {
        slices: levels.len(),
        present: levels.iter().filter(|level| **level >= PRESENT_DBOV).count(),
        level_dbov: levels.get(levels.len() / 2).copied().unwrap_or(SILENCE_DBOV),
    }
}

/// Power at those of a voice's frequencies that are peaks.
fn voice_level_dbov(slice: &[i16], voice: &Voice) -> f32 {
    let powers = voice.frequencies_hz.iter().filter_map(|hz| {
        let power = power_at(*hz, slice);
        let is_peak = [hz - BESIDE_HZ, hz + BESIDE_HZ]
            .iter()
            .all(|beside| power > PEAK_RATIO * power_at(*beside, slice));
        is_peak.then_some(power)
    });
    to_dbov(powers.sum::<f64>() as f32)
}

/// Mean power of one frequency where 1 is full scale, by Goertzel's algorithm under Hann's window.
pub fn power_at(frequency_hz: f32, samples: &[i16]) -> f64 {
    let omega = std::f64::consts::TAU * f64::from(frequency_hz) / f64::from(RATE_HZ);
    let turn = 2.0 * omega.cos();
    let step = std::f64::consts::TAU / samples.len().max(1) as f64;
    let (mut one, mut two, mut weight) = (0.0, 0.0, 0.0);
    for (at, sample) in samples.iter().enumerate() {
        let hann = 0.5 - 0.5 * (step * (at as f64 + 0.5)).cos();
        weight += hann;
        let next = f64::from(*sample) / FULL_SCALE * hann + turn * one - two;
        (two, one) = (one, next);
    }
    let power = one * one + two * two - turn * one * two;
    // A sine of amplitude a gives (a·weight/2)² and has the mean power a²/2.
    2.0 * power / (weight * weight).max(f64::MIN_POSITIVE)
}

/// Mean power of all that sounds.
pub fn loudness_dbov(samples: &[i16]) -> f32 {
    let sum: f64 = samples
        .iter()
        .map(|sample| (f64::from(*sample) / FULL_SCALE).powi(2))
        .sum();
    to_dbov((sum / samples.len().max(1) as f64) as f32)
}

fn to_dbov(power: f32) -> f32 {
    (10.0 * power.log10()).max(SILENCE_DBOV)
}

fn note_hz(midi: i32) -> f32 {
    440.0 * ((midi - 69) as f32 / 12.0).exp2()
}

/// Length of a slice: 200 ms.
pub const SLICE_SAMPLES: usize = RATE_HZ as usize / 5;
/// Quieter than this a voice does not sound, dBov: 25 dB below the tones of phones, 15 above the noise that G.711
/// makes of them.
pub const PRESENT_DBOV: f32 = -42.0;
/// Where the feet of a peak are: at three bins of a slice Hann's window is 45 dB down.
const BESIDE_HZ: f32 = 15.0;
/// Power of a peak over its feet: 6 dB.
const PEAK_RATIO: f64 = 4.0;
/// Nothing at all, dBov.
pub const SILENCE_DBOV: f32 = -90.0;
/// The largest sample and one: 0 dBov.
const FULL_SCALE: f64 = 32_768.0;

#[cfg(test)]
mod tests {
    use media::Tone;
    use media::codec::g711;
    use media::sound::builtin_music;
    use media::tone::render;

    use super::*;

    fn tone(frequency_hz: f32, level_dbov: f32, seconds: usize) -> Vec<i16> {
        let mut samples = vec![0; seconds * RATE_HZ as usize];
        let tone = Tone {
            frequencies_hz: (frequency_hz, 0.0),
            level_dbov,
            cadence_ms: Vec::new(),
            duration_ms: None,
        };
        render(&tone, 0, &mut samples);
        samples
    }

    /// As it comes over the wire.
    fn coded(samples: &[i16]) -> Vec<i16> {
        let mut bytes = vec![0; samples.len()];
        let mut heard = vec![0; samples.len()];
        g711::encode_alaw(samples, &mut bytes);
        g711::decode_alaw(&bytes, &mut heard);
        heard
    }

    fn sum(parts: &[&[i16]]) -> Vec<i16> {
        let mut all = vec![0i16; parts[0].len()];
        for part in parts {
            for (to, from) in all.iter_mut().zip(*part) {
                *to = to.saturating_add(*from);
            }
        }
        all
    }

    #[test]
    fn a_tone_is_heard_at_its_level_and_another_is_not() {
        let samples = coded(&tone(1281.0, -16.0, 1));
        let heard = listen(&samples, &Voice::tone("a", 1281.0));
        assert_eq!((heard.slices, heard.present), (5, 5));
        assert!((heard.level_dbov + 16.0).abs() < 0.5, "{heard:?}");
        for other in [440.0, 807.0, 1262.0, 1300.0, 2154.3, 3843.0] {
            assert!(listen(&samples, &Voice::tone("b", other)).is_absent(), "{other}");
        }
    }

    #[test]
    fn two_tones_under_music_are_each_heard() {
        let music = builtin_music();
        let parts = [
            &tone(807.0, -16.0, 4)[..],
            &tone(2154.3, -16.0, 4),
            &music.pcm()[8_000..40_000],
        ];
        let samples = coded(&sum(&parts));
        for (voice, is_there) in [(807.0, true), (2154.3, true), (1281.0, false), (1709.9, false)] {
            let heard = listen(&samples, &Voice::tone("", voice));
            assert_eq!(
                (heard.is_steady(), heard.is_absent()),
                (is_there, !is_there),
                "{voice}: {heard:?}"
            );
        }
        assert!(listen(&samples, &Voice::white_keys("music")).is_steady());
    }

    #[test]
    fn tones_between_the_keys_are_no_music_and_music_is_none_of_them() {
        let between = [604.5, 807.0, 1281.0, 1709.9, 2154.3];
        let tones: Vec<_> = between.iter().map(|hz| tone(*hz, -16.0, 1)).collect();
        for tone in &tones {
            let heard = listen(&coded(tone), &Voice::white_keys("music"));
            assert!(heard.is_absent(), "{heard:?}");
        }
        let music = builtin_music();
        let all = coded(music.pcm());
        // Wherever the slices lie, notes are struck in the middle of some.
        for shift in (0..SLICE_SAMPLES).step_by(100) {
            let heard = listen(&all[shift..], &Voice::white_keys("music"));
            assert!(heard.is_steady(), "shift {shift}: {heard:?}");
            for hz in between {
                let heard = listen(&all[shift..], &Voice::tone("", hz));
                assert!(heard.is_absent(), "{hz} shift {shift}: {heard:?}");
            }
        }
    }

    #[test]
    fn a_tone_that_stops_anywhere_is_nobody_else() {
        for stop in (800..2_400).step_by(50) {
            let mut samples = tone(807.0, -16.0, 1);
            samples[stop..stop + 4_000].fill(0);
            assert!(
                listen(&samples, &Voice::white_keys("music")).is_absent(),
                "{stop}"
            );
            for other in [1281.0, 1709.9, 2154.3] {
                assert!(
                    listen(&samples, &Voice::tone("", other)).is_absent(),
                    "{other} {stop}"
                );
            }
        }
    }

    #[test]
    fn a_voice_that_stops_is_neither_steady_nor_absent() {
        let mut samples = tone(807.0, -16.0, 1);
        samples[4_800..].fill(0);
        let heard = listen(&samples, &Voice::tone("a", 807.0));
        assert_eq!((heard.slices, heard.present), (5, 3));
        assert!(!heard.is_steady() && !heard.is_absent());
    }

    #[test]
    fn nothing_heard_is_absent_and_silent() {
        let heard = listen(&[], &Voice::tone("a", 807.0));
        assert!(heard.is_absent() && !heard.is_steady());
        assert_eq!(heard.level_dbov, SILENCE_DBOV);
        assert_eq!(loudness_dbov(&[]), SILENCE_DBOV);
        assert!((loudness_dbov(&tone(807.0, -16.0, 1)) + 16.0).abs() < 0.05);
    }
}
