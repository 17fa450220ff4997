//! Twenty milliseconds of audio, and the one pair of Q.23 frequencies that makes them up, if one does.
//!
//! Knows nothing of what was heard before.

use std::sync::LazyLock;

use super::Digit;
use super::digit::{HIGH_HZ, LOW_HZ};
use crate::frame::RATE_HZ;

/// Samples of a window: 20 ms.
pub(super) const WINDOW_SAMPLES: usize = 160;
/// Samples from one window to the next.
pub(super) const HOP_SAMPLES: usize = WINDOW_SAMPLES / 2;

/// Samples under a Hann window, −1 to 1, and their power.
pub(super) struct Window {
    weighted: [f32; WINDOW_SAMPLES],
    /// Mean square under the window; that of a sine of amplitude 1 is a half.
    power: f32,
}

/// The pair a window holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pair {
    pub digit: Digit,
    /// Its share of the window's power.
    pub share: f32,
    /// Power of the high tone over that of the low one.
    twist: f32,
    /// Off their frequencies, as a part of them.
    off: [f32; 2],
}

impl Pair {
    /// Whether both may be windows of one press. Its frequencies and its twist stand still, also where it
    /// fills but a part of a window; what rings in speech moves.
    pub fn goes_on(&self, before: &Pair) -> bool {
        let is_steady = |(now, then): (&f32, &f32)| (now - then).abs() <= DRIFT_MAX;
        self.digit == before.digit
            && self.off.iter().zip(&before.off).all(is_steady)
            && self.twist <= before.twist * TWIST_STEP_MAX
            && before.twist <= self.twist * TWIST_STEP_MAX
    }
}

/// A tone as it was measured.
#[derive(Clone, Copy)]
struct Heard {
    /// Square of its amplitude.
    square: f32,
    /// Off its frequency, as a part of it.
    deviation: f32,
}

impl Window {
    pub fn new(samples: &[i16; WINDOW_SAMPLES]) -> Window {
        let mut weighted = [0.0; WINDOW_SAMPLES];
        let mut power = 0.0;
        for ((place, sample), weight) in weighted.iter_mut().zip(samples).zip(&TABLES.hann) {
            let value = f32::from(*sample) / 32_768.0;
            *place = value * weight;
            power += *place * value;
        }
        Window {
            weighted,
            power: power / WEIGHT,
        }
    }

    /// The pair it holds.
    pub fn pair(&self) -> Option<Pair> {
        if self.power < SQUARE_MIN {
            return None;
        }
        let (row, low) = self.loudest(&TABLES.low)?;
        let (column, high) = self.loudest(&TABLES.high)?;
        if low < SQUARE_MIN / 2.0 || high < SQUARE_MIN / 2.0 {
            return None;
        }
        // Cheap and wide, before the tones are looked at closely.
        if (low + high) / 2.0 < self.power * SHARE_MIN / 2.0 {
            return None;
        }
        let low = self.measure(TABLES.low.get(row)?);
        let high = self.measure(TABLES.high.get(column)?);
        let share = (low.square + high.square) / 2.0 / self.power;
        let is_pair = low.square >= SQUARE_MIN
            && high.square >= SQUARE_MIN
            && low.deviation.abs() <= DEVIATION_MAX
            && high.deviation.abs() <= DEVIATION_MAX
            && high.square <= low.square * HIGH_OVER_LOW_MAX
            && low.square <= high.square * LOW_OVER_HIGH_MAX
            && share >= SHARE_MIN
            && !self.has_harmonics(row, column, low.square, high.square);
        let pair = Pair {
            digit: Digit::at(row, column)?,
            share,
            twist: high.square / low.square,
            off: [low.deviation, high.deviation],
        };
        is_pair.then_some(pair)
    }

    /// The loudest of a group and the square of its amplitude; none where another is about as loud.
    fn loudest(&self, group: &[Probe; 4]) -> Option<(usize, f32)> {
        let (mut best, mut next) = ((0, 0.0), 0.0f32);
        for (place, probe) in group.iter().enumerate() {
            let square = self.square(probe.centre);
            if square > best.1 {
                next = next.max(best.1);
                best = (place, square);
            } else {
                next = next.max(square);
            }
        }
        (best.1 > next * OVER_NEXT_MIN).then_some(best)
    }

    /// Amplitude and frequency of a tone near a probe, from its bin and one on either side: exact for a sine
    /// under a whole Hann window, and symmetric under a part of one.
    fn measure(&self, probe: &Probe) -> Heard {
        let square = self.square(probe.centre);
        let (below, centre, above) = (
            self.square(probe.below).sqrt(),
            square.sqrt(),
            self.square(probe.above).sqrt(),
        );
        let bins = 2.0 * (above - below) / (below + 2.0 * centre + above).max(f32::MIN_POSITIVE);
        Heard {
            square: square * scalloping(bins),
            deviation: bins * BIN_HZ / probe.hz,
        }
    }

    /// Speech that rings at both frequencies also rings at their doubles (Q.24 §3, talk-off).
    fn has_harmonics(&self, row: usize, column: usize, low: f32, high: f32) -> bool {
        let (Some(low_probe), Some(high_probe)) = (TABLES.low.get(row), TABLES.high.get(column)) else {
            return true;
        };
        // The double of some low frequencies falls upon the high one.
        let is_apart = (2.0 * low_probe.hz - high_probe.hz).abs() > 3.0 * BIN_HZ;
        self.square(high_probe.double) > high * HARMONIC_MAX
            || (is_apart && self.square(low_probe.double) > low * HARMONIC_MAX)
    }

    /// Square of the amplitude at one frequency, by Goertzel's algorithm; `turn` is twice the cosine of its
    /// angle a sample.
    fn square(&self, turn: f32) -> f32 {
        let (mut one, mut two) = (0.0f32, 0.0f32);
        for sample in &self.weighted {
            (one, two) = (sample + turn * one - two, one);
        }
        let square = one * one + two * two - turn * one * two;
        square.max(0.0) * (2.0 / WEIGHT) * (2.0 / WEIGHT)
    }
}

/// What a tone loses so many bins off the middle, as a factor that gives it back.
fn scalloping(bins: f32) -> f32 {
    if bins.abs() < 0.01 {
        return 1.0;
    }
    let bins = bins.clamp(-0.9, 0.9);
    let angle = std::f32::consts::PI * bins;
    let factor = angle * (1.0 - bins * bins) / angle.sin();
    factor * factor
}

/// Where one frequency is looked for: twice the cosine of each angle a sample.
struct Probe {
    hz: f32,
    centre: f32,
    below: f32,
    above: f32,
    double: f32,
}

impl Probe {
    fn new(hz: f32) -> Probe {
        let turn = |hz: f32| 2.0 * (std::f32::consts::TAU * hz / RATE_HZ as f32).cos();
        Probe {
            hz,
            centre: turn(hz),
            below: turn(hz - BIN_HZ),
            above: turn(hz + BIN_HZ),
            double: turn(2.0 * hz),
        }
    }
}

struct Tables {
    hann: [f32; WINDOW_SAMPLES],
    low: [Probe; 4],
    high: [Probe; 4],
}

static TABLES: LazyLock<Tables> = LazyLock::new(|| Tables {
    hann: std::array::from_fn(|at| {
        let angle = std::f32::consts::TAU * (at as f32 + 0.5) / WINDOW_SAMPLES as f32;
        0.5 - 0.5 * angle.cos()
    }),
    low: LOW_HZ.map(Probe::new),
    high: HIGH_HZ.map(Probe::new),
});

/// Sum of the window.
const WEIGHT: f32 = WINDOW_SAMPLES as f32 / 2.0;
/// Width of a bin.
const BIN_HZ: f32 = RATE_HZ as f32 / WINDOW_SAMPLES as f32;
/// Quietest tone of a pair: −39 dBm0, so that a pair of −30 dBm0 may have all the twist of Q.24; its amplitude
/// is −42.2 dB of full scale, as the loudest sine of G.711 is 3.17 dBm0.
const SQUARE_MIN: f32 = 0.000_06;
/// Off its frequency, at most: Q.24 takes 1.5 % and refuses 3.5 %.
const DEVIATION_MAX: f32 = 0.025;
/// The high tone may be this much louder than the low one: Q.24 takes 4 dB, and 2 dB more are left for noise.
const HIGH_OVER_LOW_MAX: f32 = 4.0;
/// The low one than the high one: Q.24 takes 8 dB, and 2 dB more are left.
const LOW_OVER_HIGH_MAX: f32 = 10.0;
/// Share of the window's power that is the pair. A tone that fills 13 of 20 ms still has it, and 15 dB above
/// white noise it has 0.97.
const SHARE_MIN: f32 = 0.78;
/// The loudest of a group is 5 dB above the next: one 1.5 % off its frequency still is 9 dB above.
const OVER_NEXT_MIN: f32 = 3.16;
/// Second harmonics stay 13 dB below their tone.
const HARMONIC_MAX: f32 = 0.05;
/// How far a frequency may seem to move from one window to the next: noise 15 dB below moves the weaker tone
/// by 0.5 %.
const DRIFT_MAX: f32 = 0.008;
/// How far twist may seem to move: 2 dB.
const TWIST_STEP_MAX: f32 = 1.6;
