//! G.722 at 64 kbit/s: two sub-bands of ADPCM behind a quadrature mirror filter, 16 kHz audio.
//!
//! The names of blocks (QUANTL, INVQAL, LOGSCL, …) and all tables are those of the Recommendation's §6. One byte is two
//! samples at 16 kHz, which RTP counts as one at 8000 Hz (RFC 3551 §4.5.2). Knows nothing of packets or of 8 kHz audio.

/// Samples to bytes.
#[derive(Clone, Debug)]
pub struct Encoder {
    window: Window,
    low: Band,
    high: Band,
}

impl Encoder {
    /// At rest.
    pub const fn new() -> Encoder {
        Encoder {
            window: [0; WINDOW],
            low: Band::new(LOW_STEP),
            high: Band::new(HIGH_STEP),
        }
    }

    /// Two samples of 16 kHz as one byte.
    pub fn encode(&mut self, pair: [i16; 2]) -> u8 {
        push(&mut self.window, pair.map(i32::from));
        let (first, second) = filter(&self.window);
        let low = (first + second) >> 14;
        let high = (second - first) >> 14;
        let low_code = quantise_low(saturate(low - self.low.predicted), self.low.step);
        self.low.update_low(low_code >> 2);
        let high_code = quantise_high(saturate(high - self.high.predicted), self.high.step);
        self.high.update_high(high_code);
        ((high_code << 6) | low_code) as u8
    }
}

/// Bytes to samples.
#[derive(Clone, Debug)]
pub struct Decoder {
    window: Window,
    low: Band,
    high: Band,
}

impl Decoder {
    /// At rest.
    pub const fn new() -> Decoder {
        Decoder {
            window: [0; WINDOW],
            low: Band::new(LOW_STEP),
            high: Band::new(HIGH_STEP),
        }
    }

    /// One byte as two samples of 16 kHz.
    pub fn decode(&mut self, byte: u8) -> [i16; 2] {
        let low_code = usize::from(byte & 0x3f);
        let high_code = usize::from(byte >> 6);
        let low = (self.low.predicted + ((self.low.step * of(&QM6, low_code)) >> 15)).clamp(-16_384, 16_383);
        self.low.update_low(low_code >> 2);
        let high =
            (self.high.predicted + ((self.high.step * of(&QM2, high_code)) >> 15)).clamp(-16_384, 16_383);
        self.high.update_high(high_code);
        push(&mut self.window, [low + high, low - high]);
        let (second, first) = filter(&self.window);
        [saturate(first >> 11) as i16, saturate(second >> 11) as i16]
    }
}

/// The last samples of the quadrature mirror filter, newest at the end.
type Window = [i32; WINDOW];

fn push(window: &mut Window, pair: [i32; 2]) {
    window.copy_within(2.., 0);
    if let Some(place) = window.last_chunk_mut::<2>() {
        *place = pair;
    }
}

/// The sums over the older and the newer sample of each pair.
fn filter(window: &Window) -> (i32, i32) {
    let (mut older, mut newer) = (0, 0);
    let (pairs, _) = window.as_chunks::<2>();
    for ((pair, forwards), backwards) in pairs.iter().zip(QMF).zip(QMF.iter().rev()) {
        older += pair[0] * forwards;
        newer += pair[1] * backwards;
    }
    (older, newer)
}

/// The adaptive quantiser and predictor of one sub-band, the same in encoder and decoder.
#[derive(Clone, Debug)]
struct Band {
    /// Signal estimate s, and its part of the zeros sz.
    predicted: i32,
    from_zeros: i32,
    /// Quantiser scale factor: logarithm and value.
    log_step: i32,
    step: i32,
    /// Coefficients of the poles and zeros.
    poles: [i32; 2],
    zeros: [i32; 6],
    /// Last reconstructed signals, partial ones, and quantised differences; newest first.
    rebuilt: [i32; 2],
    partial: [i32; 2],
    differences: [i32; 6],
}

impl Band {
    const fn new(step: i32) -> Band {
        Band {
            predicted: 0,
            from_zeros: 0,
            log_step: 0,
            step,
            poles: [0; 2],
            zeros: [0; 6],
            rebuilt: [0; 2],
            partial: [0; 2],
            differences: [0; 6],
        }
    }

    /// INVQAL, LOGSCL, SCALEL and the predictor, from the four leading bits of the code.
    fn update_low(&mut self, code: usize) {
        let difference = (self.step * of(&QM4, code)) >> 15;
        let log = ((self.log_step * 127) >> 7) + of(&WL, of(&RL42, code) as usize);
        self.log_step = log.clamp(0, 18_432);
        self.step = scale(self.log_step, 8);
        self.predict(difference);
    }

    /// INVQAH, LOGSCH, SCALEH and the predictor.
    fn update_high(&mut self, code: usize) {
        let difference = (self.step * of(&QM2, code)) >> 15;
        let log = ((self.log_step * 127) >> 7) + of(&WH, code & 1);
        self.log_step = log.clamp(0, 22_528);
        self.step = scale(self.log_step, 10);
        self.predict(difference);
    }

    /// Block 4: both adaptations, then the next estimate.
    fn predict(&mut self, difference: i32) {
        let rebuilt = saturate(self.predicted + difference);
        let partial = saturate(self.from_zeros + difference);
        self.adapt_poles(partial);
        self.adapt_zeros(difference);

        self.differences.copy_within(..5, 1);
        self.differences[0] = difference;
        self.rebuilt = [rebuilt, self.rebuilt[0]];
        self.partial = [partial, self.partial[0]];

        let pole = |pole: i32, rebuilt: i32| (pole * saturate(2 * rebuilt)) >> 15;
        let from_poles =
            saturate(pole(self.poles[0], self.rebuilt[0]) + pole(self.poles[1], self.rebuilt[1]));
        let sum = self
            .zeros
            .iter()
            .zip(&self.differences)
            .map(|(zero, difference)| (zero * saturate(2 * difference)) >> 15)
            .sum();
        self.from_zeros = saturate(sum);
        self.predicted = saturate(from_poles + self.from_zeros);
    }

    /// UPPOL2 and UPPOL1.
    fn adapt_poles(&mut self, partial: i32) {
        let is_like = |earlier: i32| (partial < 0) == (earlier < 0);
        let turned = saturate(self.poles[0] * 4);
        let turned = if is_like(self.partial[0]) { -turned } else { turned };
        let push = if is_like(self.partial[1]) { 128 } else { -128 };
        let second = push + (turned.min(32_767) >> 7) + ((self.poles[1] * 32_512) >> 15);
        let second = second.clamp(-12_288, 12_288);
        let push = if is_like(self.partial[0]) { 192 } else { -192 };
        let bound = saturate(15_360 - second);
        let first = saturate(push + ((self.poles[0] * 32_640) >> 15)).clamp(-bound, bound);
        self.poles = [first, second];
    }

    /// UPZERO.
    fn adapt_zeros(&mut self, difference: i32) {
        let push = if difference == 0 { 0 } else { 128 };
        for (zero, earlier) in self.zeros.iter_mut().zip(&self.differences) {
            let push = if (difference < 0) == (*earlier < 0) {
                push
            } else {
                -push
            };
            *zero = saturate(push + ((*zero * 32_640) >> 15));
        }
    }
}

/// QUANTL: 6 bits.
fn quantise_low(error: i32, step: i32) -> usize {
    let magnitude = if error < 0 { -(error + 1) } else { error };
    let passed = Q6
        .iter()
        .take_while(|level| magnitude >= (*level * step) >> 12)
        .count();
    // 30 intervals; negative ones count down from 63 in the two smallest, then from 31.
    match (error < 0, passed) {
        (false, _) => 61 - passed,
        (true, 0 | 1) => 63 - passed,
        (true, _) => 33 - passed,
    }
}

/// QUANTH: 2 bits.
fn quantise_high(error: i32, step: i32) -> usize {
    let magnitude = if error < 0 { -(error + 1) } else { error };
    match (error < 0, magnitude >= (564 * step) >> 12) {
        (true, true) => 0,
        (true, false) => 1,
        (false, true) => 2,
        (false, false) => 3,
    }
}

/// SCALEL and SCALEH: from logarithm to value.
fn scale(log_step: i32, exponent: i32) -> i32 {
    let mantissa = of(&ILB, ((log_step >> 6) & 31) as usize);
    let shift = exponent - (log_step >> 11);
    let value = if shift < 0 {
        mantissa << -shift
    } else {
        mantissa >> shift
    };
    value << 2
}

fn saturate(value: i32) -> i32 {
    value.clamp(i32::from(i16::MIN), i32::from(i16::MAX))
}

/// An entry of a table. Codes are masked to its size before; none is beyond.
fn of<const N: usize>(table: &[i32; N], index: usize) -> i32 {
    table.get(index).copied().unwrap_or(0)
}

/// Taps of the quadrature mirror filter.
const WINDOW: usize = 24;
/// First scale factors.
const LOW_STEP: i32 = 32;
const HIGH_STEP: i32 = 8;

/// One half of the filter's symmetric taps, every second one (table 11 of the Recommendation).
const QMF: [i32; 12] = [3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11];
/// Decision levels of the lower band.
const Q6: [i32; 29] = [
    35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1023, 1121, 1219,
    1339, 1458, 1612, 1765, 1980, 2195, 2557, 2919,
];
const WL: [i32; 8] = [-60, -30, 58, 172, 334, 538, 1198, 3042];
const RL42: [i32; 16] = [0, 7, 6, 5, 4, 3, 2, 1, 7, 6, 5, 4, 3, 2, 1, 0];
/// By the lower bit of the code: 0 is the outer interval.
const WH: [i32; 2] = [798, -214];
const ILB: [i32; 32] = [
    2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834, 2896,
    2960, 3025, 3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
];
const QM2: [i32; 4] = [-7408, -1616, 7408, 1616];
const QM4: [i32; 16] = [
    0, -20_456, -12_896, -8968, -6288, -4240, -2584, -1200, 20_456, 12_896, 8968, 6288, 4240, 2584, 1200, 0,
];
const QM6: [i32; 64] = [
    -136, -136, -136, -136, -24_808, -21_904, -19_008, -16_704, -14_984, -13_512, -12_280, -11_192, -10_232,
    -9360, -8576, -7856, -7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168, -2776, -2400, -2032,
    -1688, -1360, -1040, -728, 24_808, 21_904, 19_008, 16_704, 14_984, 13_512, 12_280, 11_192, 10_232, 9360,
    8576, 7856, 7192, 6576, 6000, 5456, 4944, 4464, 4008, 3576, 3168, 2776, 2400, 2032, 1688, 1360, 1040,
    728, 432, 136, -432, -136,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn through(samples: &[i16]) -> Vec<i16> {
        let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
        let (pairs, _) = samples.as_chunks::<2>();
        pairs
            .iter()
            .flat_map(|pair| decoder.decode(encoder.encode(*pair)))
            .collect()
    }

    fn sine(frequency: f64, level: f64) -> Vec<i16> {
        (0..16_000)
            .map(|n| (level * (f64::from(n) * frequency / 16_000.0 * std::f64::consts::TAU).sin()) as i16)
            .collect()
    }

    /// Signal over noise, decibels, after the filters' delay of 22 samples and the first 0.1 s.
    fn ratio_db(samples: &[i16]) -> f64 {
        let heard = through(samples);
        let (mut signal, mut noise) = (0.0, 0.0);
        for (sent, heard) in samples[1600..].iter().zip(&heard[1600 + DELAY_SAMPLES..]) {
            signal += f64::from(*sent).powi(2);
            noise += (f64::from(*heard) - f64::from(*sent)).powi(2);
        }
        10.0 * (signal / noise).log10()
    }

    const DELAY_SAMPLES: usize = 22;

    #[test]
    fn tones_of_both_bands_come_back() {
        for (frequency, least_db) in [(300.0, 35.0), (1000.0, 35.0), (3000.0, 30.0), (6000.0, 10.0)] {
            let ratio = ratio_db(&sine(frequency, 8000.0));
            assert!(ratio > least_db, "{frequency}: {ratio}");
        }
    }

    #[test]
    fn noise_like_speech_comes_back() {
        let mut seed = 1u32;
        let (mut near, mut far) = (0.0, 0.0);
        let speech: Vec<i16> = (0..16_000)
            .map(|n| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let noise = f64::from(seed >> 16) - 32_768.0;
                let syllable = (f64::from(n) / 16_000.0 * 4.0 * std::f64::consts::TAU)
                    .sin()
                    .abs();
                // Two poles at 500 Hz with a formant's width.
                let sample = 0.05 * noise * syllable + 1.9 * near - 0.93 * far;
                (far, near) = (near, sample);
                sample.clamp(-30_000.0, 30_000.0) as i16
            })
            .collect();
        let ratio = ratio_db(&speech);
        assert!(ratio > 20.0, "{ratio}");
    }

    #[test]
    fn silence_is_silent_and_full_scale_does_not_wrap() {
        assert!(through(&[0; 3200]).iter().all(|sample| sample.unsigned_abs() < 8));
        for level in [i16::MIN, i16::MAX] {
            let heard = through(&[level; 3200]);
            assert!(
                heard[1600..]
                    .iter()
                    .all(|s| (i32::from(*s) - i32::from(level)).abs() < 3000)
            );
        }
    }

    /// FNV-1a, 64 bits.
    fn digest(bytes: impl Iterator<Item = u8>) -> u64 {
        bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        })
    }

    #[test]
    fn noise_is_coded_bit_for_bit_as_by_libspandsp() {
        let mut seed = 1u32;
        let noise: Vec<i16> = (0..32_000)
            .map(|n| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let level = if n < 24_000 { n * 7 % 4096 } else { 4096 };
                ((((seed >> 16) as i32 - 32_768) * level) >> 13) as i16
            })
            .collect();
        let (pairs, _) = noise.as_chunks::<2>();
        let mut encoder = Encoder::new();
        let bytes: Vec<u8> = pairs.iter().map(|pair| encoder.encode(*pair)).collect();
        assert_eq!(digest(bytes.iter().copied()), ENCODED);
        let mut decoder = Decoder::new();
        let samples = bytes.iter().flat_map(|byte| decoder.decode(*byte));
        assert_eq!(digest(samples.flat_map(i16::to_le_bytes)), DECODED);
    }

    /// What libspandsp 0.0.6 makes of the same noise at 64 kbit/s. It stays at half scale: beyond full scale that library
    /// wraps where ours stops.
    const ENCODED: u64 = 0xad90_e184_a5b8_76c6;
    const DECODED: u64 = 0x803c_e4e1_73e7_b0bf;

    #[test]
    fn any_bytes_decode_without_harm() {
        let mut decoder = Decoder::new();
        let mut seed = 7u32;
        for _ in 0..200_000 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            decoder.decode((seed >> 24) as u8);
        }
    }
}
