//! Reads WAV files into 8000 Hz mono, once, when they are loaded.

use std::io::Cursor;

use hound::{SampleFormat, WavReader};

use super::resample::to_narrowband;

/// What a file may cost.
#[derive(Clone, Copy, Debug)]
pub struct SoundLimits {
    /// Bytes of the file.
    pub bytes_max: usize,
    /// Length of the sound, milliseconds.
    pub length_ms_max: u64,
}

impl Default for SoundLimits {
    /// 64 MiB and 10 minutes.
    fn default() -> SoundLimits {
        SoundLimits {
            bytes_max: 64 << 20,
            length_ms_max: 10 * 60 * 1000,
        }
    }
}

/// Why a file is no sound for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SoundError {
    /// Larger than allowed.
    #[error("file of {actual_bytes} bytes; at most {limit_bytes} are allowed")]
    TooLarge {
        /// Allowed.
        limit_bytes: usize,
        /// Found.
        actual_bytes: usize,
    },
    /// Longer than allowed.
    #[error("sound of {actual_ms} ms; at most {limit_ms} ms are allowed")]
    TooLong {
        /// Allowed.
        limit_ms: u64,
        /// Found.
        actual_ms: u64,
    },
    /// No samples.
    #[error("file without samples")]
    Empty,
    /// A rate outside 8000 to 48,000 Hz.
    #[error("sample rate {0} Hz; 8000 to 48000 are taken")]
    Rate(u32),
    /// More channels than a file can sensibly have, or none.
    #[error("{0} channels; 1 to 8 are taken")]
    Channels(u16),
    /// An encoding other than PCM and floating point.
    #[error("encoding other than 8 to 32 bit PCM or 32 bit floating point")]
    Encoding,
    /// No WAV file, or one that ends too soon.
    #[error("not a whole WAV file")]
    Malformed,
}

/// Reads, mixes the channels down and converts the rate.
pub(super) fn read(bytes: &[u8], limits: SoundLimits) -> Result<Vec<i16>, SoundError> {
    if bytes.len() > limits.bytes_max {
        return Err(SoundError::TooLarge {
            limit_bytes: limits.bytes_max,
            actual_bytes: bytes.len(),
        });
    }
    let mut reader = WavReader::new(Cursor::new(bytes)).map_err(fault)?;
    let spec = reader.spec();
    if !(RATE_HZ_MIN..=RATE_HZ_MAX).contains(&spec.sample_rate) {
        return Err(SoundError::Rate(spec.sample_rate));
    }
    if spec.channels == 0 || spec.channels > CHANNELS_MAX {
        return Err(SoundError::Channels(spec.channels));
    }
    let length_ms = u64::from(reader.duration()) * 1000 / u64::from(spec.sample_rate);
    if length_ms > limits.length_ms_max {
        return Err(SoundError::TooLong {
            limit_ms: limits.length_ms_max,
            actual_ms: length_ms,
        });
    }
    let channels = usize::from(spec.channels);
    let mono = match spec.sample_format {
        SampleFormat::Float => mix_down(reader.samples::<f32>(), channels, 32_768.0)?,
        SampleFormat::Int => {
            let full_scale = (1u64 << (spec.bits_per_sample.clamp(1, 32) - 1)) as f32;
            mix_down(
                reader.samples::<i32>().map(|s| s.map(|s| s as f32)),
                channels,
                32_768.0 / full_scale,
            )?
        }
    };
    if mono.is_empty() {
        return Err(SoundError::Empty);
    }
    Ok(to_narrowband(&mono, spec.sample_rate))
}

fn mix_down(
    samples: impl Iterator<Item = Result<f32, hound::Error>>,
    channels: usize,
    scale: f32,
) -> Result<Vec<f32>, SoundError> {
    let share = scale / channels as f32;
    let mut mono = Vec::new();
    let mut sum = 0.0;
    for (n, sample) in samples.enumerate() {
        let sample = sample.map_err(fault)?;
        sum += if sample.is_finite() { sample } else { 0.0 };
        if (n + 1) % channels == 0 {
            mono.push(sum * share);
            sum = 0.0;
        }
    }
    Ok(mono)
}

fn fault(error: hound::Error) -> SoundError {
    match error {
        hound::Error::Unsupported | hound::Error::InvalidSampleFormat | hound::Error::TooWide => {
            SoundError::Encoding
        }
        hound::Error::IoError(_) | hound::Error::FormatError(_) | hound::Error::UnfinishedSample => {
            SoundError::Malformed
        }
    }
}

const RATE_HZ_MIN: u32 = 8000;
const RATE_HZ_MAX: u32 = 48_000;
const CHANNELS_MAX: u16 = 8;

#[cfg(test)]
mod tests {
    use hound::{WavSpec, WavWriter};
    use proptest::prelude::*;

    use super::super::Sound;
    use super::*;
    use crate::tone::tests::level_at;

    fn spec(channels: u16, sample_rate: u32, bits_per_sample: u16, sample_format: SampleFormat) -> WavSpec {
        WavSpec {
            channels,
            sample_rate,
            bits_per_sample,
            sample_format,
        }
    }

    /// A second of 1000 Hz with a peak of half full scale (−9.03 dBov) in every channel.
    fn file(spec: WavSpec) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        let mut writer = WavWriter::new(&mut bytes, spec).unwrap();
        for n in 0..spec.sample_rate {
            let turn = f64::from(n) * 1000.0 / f64::from(spec.sample_rate);
            let value = 0.5 * (turn * std::f64::consts::TAU).sin();
            for _ in 0..spec.channels {
                match spec.sample_format {
                    SampleFormat::Float => writer.write_sample(value as f32).unwrap(),
                    SampleFormat::Int => {
                        let full = f64::from(1u32 << (spec.bits_per_sample - 1));
                        writer.write_sample((value * full) as i32).unwrap();
                    }
                }
            }
        }
        writer.finalize().unwrap();
        bytes.into_inner()
    }

    #[test]
    fn every_layout_gives_the_same_tone() {
        for channels in [1, 2, 6] {
            for rate in [8000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000] {
                for (bits, format) in [
                    (8, SampleFormat::Int),
                    (16, SampleFormat::Int),
                    (24, SampleFormat::Int),
                    (32, SampleFormat::Float),
                ] {
                    let bytes = file(spec(channels, rate, bits, format));
                    let sound = Sound::from_wav(&bytes, SoundLimits::default()).unwrap();
                    assert!((7999..=8001).contains(&sound.pcm().len()), "{rate}");
                    let level = level_at(1000.0, &sound.pcm()[400..7600]);
                    assert!((level + 9.03).abs() < 0.15, "{channels} {rate} {bits}: {level}");
                }
            }
        }
    }

    #[test]
    fn limits_are_checked_at_load() {
        let bytes = file(spec(1, 8000, 16, SampleFormat::Int));
        let tight = SoundLimits {
            bytes_max: 100,
            ..SoundLimits::default()
        };
        assert!(matches!(
            Sound::from_wav(&bytes, tight),
            Err(SoundError::TooLarge { limit_bytes: 100, .. })
        ));
        let short = SoundLimits {
            length_ms_max: 999,
            ..SoundLimits::default()
        };
        let too_long = SoundError::TooLong {
            limit_ms: 999,
            actual_ms: 1000,
        };
        assert_eq!(Sound::from_wav(&bytes, short).unwrap_err(), too_long);
    }

    #[test]
    fn what_is_no_sound_is_named() {
        let of = |bytes: &[u8]| Sound::from_wav(bytes, SoundLimits::default()).unwrap_err();
        assert_eq!(of(b""), SoundError::Malformed);
        assert_eq!(
            of(b"ID3 not a wave file at all, is it, now"),
            SoundError::Malformed
        );
        assert_eq!(
            of(&file(spec(1, 96_000, 16, SampleFormat::Int))),
            SoundError::Rate(96_000)
        );
        let whole = file(spec(1, 8000, 16, SampleFormat::Int));
        assert_eq!(of(&whole[..whole.len() - 100]), SoundError::Malformed);
        let mut alaw = whole.clone();
        alaw[20] = 6;
        assert_eq!(of(&alaw), SoundError::Encoding);
        let mut empty = Cursor::new(Vec::new());
        WavWriter::new(&mut empty, spec(1, 8000, 16, SampleFormat::Int))
            .unwrap()
            .finalize()
            .unwrap();
        assert_eq!(of(&empty.into_inner()), SoundError::Empty);
    }

    proptest! {
        #[test]
        fn no_header_panics(changes in proptest::collection::vec((0usize..64, any::<u8>()), 1..6)) {
            let mut bytes = file(spec(2, 8000, 16, SampleFormat::Int));
            for (place, value) in changes {
                bytes[place] = value;
            }
            let _ = Sound::from_wav(&bytes, SoundLimits::default());
        }

        #[test]
        fn no_bytes_panic(tail in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut bytes = b"RIFF\xff\xff\xff\xffWAVEfmt ".to_vec();
            bytes.extend(tail);
            let _ = Sound::from_wav(&bytes, SoundLimits::default());
        }
    }
}
