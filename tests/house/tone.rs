//! Tones, and an ear for them.

/// Samples a second.
pub const RATE: f64 = 8000.0;

/// A sine of `hz` at `level` (0 to 1), from sample `position` on.
pub fn sine(hz: f64, level: f64, position: u64, into: &mut [i16]) {
    for (index, sample) in into.iter_mut().enumerate() {
        let time = (position + index as u64) as f64 / RATE;
        *sample = (f64::sin(std::f64::consts::TAU * hz * time) * level * 32767.0) as i16;
    }
}

/// Level of `hz` in `samples`, as the amplitude of a sine of full scale 1 (Goertzel).
pub fn level(samples: &[i16], hz: f64) -> f64 {
    if samples.is_empty() {
        return 0.0;
    }
    let omega = std::f64::consts::TAU * hz / RATE;
    let coefficient = 2.0 * omega.cos();
    let (mut before, mut now) = (0.0, 0.0);
    for sample in samples {
        let next = f64::from(*sample) / 32768.0 + coefficient * now - before;
        (before, now) = (now, next);
    }
    let power = now * now + before * before - coefficient * now * before;
    2.0 * power.max(0.0).sqrt() / samples.len() as f64
}

/// Root mean square, full scale 1.
pub fn rms(samples: &[i16]) -> f64 {
    let sum: f64 = samples
        .iter()
        .map(|sample| (f64::from(*sample) / 32768.0).powi(2))
        .sum();
    (sum / samples.len().max(1) as f64).sqrt()
}

/// µ-law by the segment rule of G.711, written for this test only.
pub fn mulaw(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = (i32::from(sample).abs().min(32635)) + 132;
    let exponent = (0..8).rev().find(|e| magnitude & (0x80 << e) != 0).unwrap_or(0);
    let mantissa = (magnitude >> (exponent + 3)) & 0x0f;
    !(sign | (exponent << 4) | mantissa) as u8
}

/// The sample of a µ-law byte.
pub fn from_mulaw(byte: u8) -> i16 {
    let byte = !byte;
    let (exponent, mantissa) = (i32::from((byte >> 4) & 7), i32::from(byte & 0x0f));
    let magnitude = (((mantissa << 3) + 132) << exponent) - 132;
    (if byte & 0x80 != 0 { -magnitude } else { magnitude }) as i16
}

/// The sample of an A-law byte.
pub fn from_alaw(byte: u8) -> i16 {
    let byte = byte ^ 0x55;
    let (exponent, mantissa) = (i32::from((byte >> 4) & 7), i32::from(byte & 0x0f));
    let magnitude = if exponent == 0 {
        (mantissa << 4) + 8
    } else {
        ((mantissa << 4) + 264) << (exponent - 1)
    };
    (if byte & 0x80 != 0 { magnitude } else { -magnitude }) as i16
}

/// A-law by the segment rule of G.711, written for this test only.
pub fn alaw(sample: i16) -> u8 {
    let sign = if sample < 0 { 0 } else { 0x80 };
    let magnitude = (i32::from(sample).abs()).min(32_635) >> 3;
    let exponent = (1..8).rev().find(|e| magnitude & (0x10 << e) != 0).unwrap_or(0);
    let mantissa = (magnitude >> exponent.max(1)) & 0x0f;
    (sign | (exponent << 4) | mantissa) as u8 ^ 0x55
}

/// A mono file of 16 bits a sample at 8000 Hz.
pub fn write_wav(path: &std::path::Path, samples: &[i16]) {
    write_wav_at(path, 8_000, samples);
}

/// The same at another rate.
pub fn write_wav_at(path: &std::path::Path, sample_rate: u32, samples: &[i16]) {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut wav = hound::WavWriter::create(path, spec).unwrap();
    for sample in samples {
        wav.write_sample(*sample).unwrap();
    }
    wav.finalize().unwrap();
}

/// The samples of a file at 8000 Hz: of a faster one every so-manieth, which for tones below 4000 Hz is enough.
pub fn read_narrow_wav(path: &std::path::Path) -> Vec<i16> {
    let rate = hound::WavReader::open(path).unwrap().spec().sample_rate as usize;
    read_wav(path)
        .remove(0)
        .into_iter()
        .step_by(rate / 8000)
        .collect()
}

/// The samples of a file of 16 bits a sample, by channel.
pub fn read_wav(path: &std::path::Path) -> Vec<Vec<i16>> {
    let wav = hound::WavReader::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let channels = usize::from(wav.spec().channels);
    let mut tracks = vec![Vec::new(); channels];
    for (index, sample) in wav.into_samples::<i16>().enumerate() {
        tracks[index % channels].push(sample.unwrap());
    }
    tracks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_survives_a_law() {
        let mut samples = [0; 1600];
        sine(800.0, 0.3, 0, &mut samples);
        let through: Vec<i16> = samples.iter().map(|sample| from_alaw(alaw(*sample))).collect();
        assert!((level(&through, 800.0) - 0.3).abs() < 0.01);
        assert!(level(&through, 1000.0) < 0.01);
    }

    #[test]
    fn a_tone_is_heard_through_mu_law_and_no_other() {
        let mut samples = [0; 1600];
        sine(800.0, 0.3, 0, &mut samples);
        let through: Vec<i16> = samples.iter().map(|sample| from_mulaw(mulaw(*sample))).collect();
        assert!((level(&through, 800.0) - 0.3).abs() < 0.01);
        assert!(level(&through, 1000.0) < 0.01);
    }
}
