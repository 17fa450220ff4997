//! Brings any rate to 8000 Hz with a windowed sinc, for files at load. Not for the packet path.

use crate::frame::RATE_HZ;

/// Converts samples of ±32,768 at `rate_hz`, 8000 or more, to 16 bits at 8000 Hz.
pub(super) fn to_narrowband(samples: &[f32], rate_hz: u32) -> Vec<i16> {
    if rate_hz == RATE_HZ {
        return samples.iter().map(|sample| saturate(*sample)).collect();
    }
    let filter = Filter::new(rate_hz);
    let length = (samples.len() as u64 * u64::from(RATE_HZ)).div_ceil(u64::from(rate_hz));
    (0..length).map(|n| saturate(filter.at(samples, n))).collect()
}

/// One row of taps for each place an output sample can have between two input samples.
struct Filter {
    taps: Vec<Vec<f32>>,
    /// Input samples per output sample, as a fraction in lowest terms.
    step: (u64, u64),
    reach: i64,
}

impl Filter {
    fn new(rate_hz: u32) -> Filter {
        let divisor = greatest_common_divisor(rate_hz, RATE_HZ);
        let (phases, advance) = (RATE_HZ / divisor, rate_hz / divisor);
        // Output bandwidth over input bandwidth: everything above 3.6 kHz goes, none of it folds back.
        let cutoff = f64::from(RATE_HZ) / f64::from(rate_hz) * PASS_SHARE;
        let reach = (ZERO_CROSSINGS / cutoff).ceil() as i64;
        let row = |phase: u32| {
            let offset = f64::from(phase) / f64::from(phases);
            let taps: Vec<f64> = (-reach + 1..=reach)
                .map(|n| tap(n as f64 - offset, cutoff, reach as f64))
                .collect();
            let sum: f64 = taps.iter().sum();
            taps.into_iter().map(|tap| (tap / sum) as f32).collect()
        };
        let step = (u64::from(advance), u64::from(phases));
        Filter {
            taps: (0..phases).map(row).collect(),
            step,
            reach,
        }
    }

    fn at(&self, samples: &[f32], output: u64) -> f32 {
        let (advance, phases) = self.step;
        let place = output * advance;
        let centre = (place / phases) as i64;
        let Some(taps) = self.taps.get((place % phases) as usize) else {
            return 0.0;
        };
        let start = centre - self.reach + 1;
        let skipped = usize::try_from(-start).unwrap_or(0);
        let from = usize::try_from(start).unwrap_or(0);
        let input = samples.get(from..).unwrap_or_default();
        taps.iter()
            .skip(skipped)
            .zip(input)
            .map(|(tap, sample)| tap * sample)
            .sum()
    }
}

/// A sinc under a Blackman window.
fn tap(distance: f64, cutoff: f64, reach: f64) -> f64 {
    let angle = std::f64::consts::PI * distance * cutoff;
    let sinc = if angle.abs() < 1e-9 {
        1.0
    } else {
        angle.sin() / angle
    };
    let place = (distance / reach).clamp(-1.0, 1.0) * std::f64::consts::PI;
    sinc * (0.42 + 0.5 * place.cos() + 0.08 * (2.0 * place).cos())
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 {
        a
    } else {
        greatest_common_divisor(b, a % b)
    }
}

fn saturate(sample: f32) -> i16 {
    sample.round().clamp(f32::from(i16::MIN), f32::from(i16::MAX)) as i16
}

/// Share of the output band that the middle of the filter's slope lies at: 3.68 kHz.
const PASS_SHARE: f64 = 0.92;
/// Zero crossings of the sinc each way.
const ZERO_CROSSINGS: f64 = 24.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tone::tests::level_at;

    fn sine(frequency: f64, rate_hz: u32) -> Vec<f32> {
        let turn = frequency / f64::from(rate_hz) * std::f64::consts::TAU;
        (0..rate_hz)
            .map(|n| (16_384.0 * (f64::from(n) * turn).sin()) as f32)
            .collect()
    }

    #[test]
    fn the_telephone_band_passes_flat() {
        for rate in [11_025, 16_000, 44_100, 48_000] {
            for frequency in [300.0, 1000.0, 2000.0, 3000.0, 3300.0] {
                let out = to_narrowband(&sine(frequency, rate), rate);
                let level = level_at(frequency, &out[400..7600]);
                assert!((level + 9.03).abs() < 0.2, "{rate} {frequency}: {level}");
            }
        }
    }

    #[test]
    fn nothing_above_folds_back() {
        for rate in [16_000, 44_100, 48_000] {
            for frequency in [4300.0, 5000.0, 7000.0] {
                let out = to_narrowband(&sine(frequency, rate), rate);
                let level = level_at(8000.0 - frequency, &out[400..7600]);
                assert!(level < -65.0, "{rate} {frequency}: {level}");
            }
        }
    }

    #[test]
    fn odd_rates_and_short_inputs_hold() {
        assert_eq!(to_narrowband(&[1000.0; 3], 47_999).len(), 1);
        assert_eq!(to_narrowband(&[], 44_100), []);
        let steady = to_narrowband(&[1000.0; 4800], 48_000);
        assert!(steady[100..700].iter().all(|s| (*s - 1000).abs() <= 1));
    }
}
