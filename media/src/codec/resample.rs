//! Between 8 and 16 kHz in the packet path: a half-band filter of fixed taps, 3 ms late each way.
//!
//! Every second tap of such a filter is 0 but the middle one, so one of two samples passes as it is. Flat to
//! 3.4 kHz; the tests hold the figures. Knows nothing of codecs.

/// 8 kHz to 16 kHz.
#[derive(Clone, Debug)]
pub struct Doubler {
    taps: [f32; TAPS],
    past: Past,
}

impl Doubler {
    /// Silence before.
    pub fn new() -> Doubler {
        Doubler {
            taps: taps(),
            past: Past::new(),
        }
    }

    /// One sample in, two out.
    pub fn push(&mut self, sample: i16) -> [i16; 2] {
        self.past.push(sample);
        [self.past.before(), saturate(self.past.filtered(&self.taps))]
    }
}

/// 16 kHz to 8 kHz.
#[derive(Clone, Debug)]
pub struct Halver {
    taps: [f32; TAPS],
    even: Past,
    odd: Past,
}

impl Halver {
    /// Silence before.
    pub fn new() -> Halver {
        Halver {
            taps: taps(),
            even: Past::new(),
            odd: Past::new(),
        }
    }

    /// Two samples in, one out.
    pub fn push(&mut self, [even, odd]: [i16; 2]) -> i16 {
        self.even.push(even);
        self.odd.push(odd);
        saturate(0.5 * (f32::from(self.even.after()) + self.odd.filtered(&self.taps)))
    }
}

/// The last samples, kept twice so that they always lie in one piece.
#[derive(Clone, Debug)]
struct Past {
    samples: [f32; 2 * TAPS],
    oldest: usize,
}

impl Past {
    const fn new() -> Past {
        Past {
            samples: [0.0; 2 * TAPS],
            oldest: 0,
        }
    }

    fn push(&mut self, sample: i16) {
        for place in [self.oldest, self.oldest + TAPS] {
            if let Some(place) = self.samples.get_mut(place) {
                *place = f32::from(sample);
            }
        }
        self.oldest = (self.oldest + 1) % TAPS;
    }

    /// Oldest first.
    fn all(&self) -> &[f32] {
        self.samples
            .get(self.oldest..self.oldest + TAPS)
            .unwrap_or_default()
    }

    /// The samples before and after the place that `filtered` speaks of.
    fn before(&self) -> i16 {
        self.all().get(TAPS / 2 - 1).map_or(0, |sample| *sample as i16)
    }

    fn after(&self) -> i16 {
        self.all().get(TAPS / 2).map_or(0, |sample| *sample as i16)
    }

    fn filtered(&self, taps: &[f32; TAPS]) -> f32 {
        self.all()
            .iter()
            .zip(taps)
            .map(|(sample, tap)| sample * tap)
            .sum()
    }
}

/// The taps between the samples: a sinc under a Blackman window, together 1.
fn taps() -> [f32; TAPS] {
    use std::f64::consts::PI;
    let half = TAPS as f64 / 2.0;
    let all: [f64; TAPS] = std::array::from_fn(|n| {
        let distance = n as f64 + 0.5 - half;
        let place = distance / half * PI;
        (PI * distance).sin() / (PI * distance) * (0.42 + 0.5 * place.cos() + 0.08 * (2.0 * place).cos())
    });
    let sum: f64 = all.iter().sum();
    all.map(|tap| (tap / sum) as f32)
}

fn saturate(sample: f32) -> i16 {
    sample.round().clamp(f32::from(i16::MIN), f32::from(i16::MAX)) as i16
}

/// Taps at the lower rate: 6 ms.
const TAPS: usize = 48;

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(frequency: f64, rate: f64) -> Vec<i16> {
        (0..rate as usize)
            .map(|n| (10_000.0 * (n as f64 * frequency / rate * std::f64::consts::TAU).sin()) as i16)
            .collect()
    }

    /// Level of one frequency against 10,000, decibels.
    fn level(frequency: f64, rate: f64, samples: &[i16]) -> f64 {
        let (mut re, mut im) = (0.0, 0.0);
        for (n, sample) in samples.iter().enumerate() {
            let angle = n as f64 * frequency / rate * std::f64::consts::TAU;
            re += f64::from(*sample) * angle.cos();
            im += f64::from(*sample) * angle.sin();
        }
        20.0 * (re.hypot(im) * 2.0 / samples.len() as f64 / 10_000.0)
            .max(1e-9)
            .log10()
    }

    #[test]
    fn the_telephone_band_passes_both_ways_within_a_tenth_of_a_decibel() {
        for frequency in [100.0, 300.0, 1000.0, 2000.0, 3000.0, 3400.0] {
            let mut doubler = Doubler::new();
            let up: Vec<i16> = sine(frequency, 8000.0)
                .into_iter()
                .flat_map(|s| doubler.push(s))
                .collect();
            let there = level(frequency, 16_000.0, &up[800..15_200]);
            assert!(there.abs() < 0.1, "up {frequency}: {there}");
            let image = level(8000.0 - frequency, 16_000.0, &up[800..15_200]);
            assert!(image < -65.0, "image of {frequency}: {image}");
            let mut halver = Halver::new();
            let (pairs, _) = up.as_chunks::<2>();
            let down: Vec<i16> = pairs.iter().map(|pair| halver.push(*pair)).collect();
            let back = level(frequency, 8000.0, &down[400..7600]);
            assert!(back.abs() < 0.2, "back {frequency}: {back}");
        }
    }

    #[test]
    fn what_lies_above_folds_back_into_the_telephone_band_below_65_decibels() {
        for frequency in [4600.0, 5000.0, 6000.0, 7000.0, 7700.0] {
            let mut halver = Halver::new();
            let wide = sine(frequency, 16_000.0);
            let (pairs, _) = wide.as_chunks::<2>();
            let down: Vec<i16> = pairs.iter().map(|pair| halver.push(*pair)).collect();
            let alias = level(8000.0 - frequency, 8000.0, &down[400..7600]);
            assert!(alias < -65.0, "alias of {frequency}: {alias}");
        }
    }

    #[test]
    fn full_scale_does_not_wrap() {
        let mut doubler = Doubler::new();
        let square = |n: usize| if n / 8 % 2 == 0 { i16::MAX } else { i16::MIN };
        let up: Vec<[i16; 2]> = (0..800).map(|n| doubler.push(square(n))).collect();
        let steepest = up
            .as_flattened()
            .windows(2)
            .map(|w| (i32::from(w[1]) - i32::from(w[0])).abs())
            .max();
        assert!(steepest < Some(60_000), "{steepest:?}");
    }
}
