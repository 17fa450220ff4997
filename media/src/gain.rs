//! A loudness change as a fixed-point factor, so that mixing stays in integers.
//!
//! Knows nothing of who is heard.

/// A factor of Q12: 4096 is 1.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gain(i32);

impl Gain {
    /// Leaves the samples alone.
    pub const UNITY: Gain = Gain(1 << FRACTION_BITS);
    /// Silences.
    pub const MUTE: Gain = Gain(0);

    /// From decibels. Above [`GAIN_DB_MAX`] is cut to it; below [`GAIN_DB_MIN`], and not-a-number, is silence.
    pub fn from_db(gain_db: f32) -> Gain {
        if gain_db.is_nan() || gain_db < GAIN_DB_MIN {
            return Gain::MUTE;
        }
        let factor = 10f32.powf(gain_db.min(GAIN_DB_MAX) / 20.0);
        Gain((factor * Gain::UNITY.0 as f32).round() as i32)
    }

    /// Whether samples pass unchanged.
    pub fn is_unity(self) -> bool {
        self == Gain::UNITY
    }

    /// Whether nothing passes.
    pub fn is_mute(self) -> bool {
        self == Gain::MUTE
    }

    /// One sample made louder or softer, rounded to nearest; wider than 16 bits when loud.
    #[inline]
    pub fn apply(self, sample: i16) -> i32 {
        (i32::from(sample) * self.0 + ROUND) >> FRACTION_BITS
    }

    /// A frame made louder or softer in place, saturated.
    pub fn apply_in_place(self, samples: &mut [i16]) {
        if self.is_unity() {
            return;
        }
        for sample in samples {
            *sample = self
                .apply(*sample)
                .clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16;
        }
    }
}

/// Loudest amplification, dB. A full-scale sample times 7.94 in Q12 stays inside 31 bits.
pub const GAIN_DB_MAX: f32 = 18.0;
/// Below this nothing of 16-bit speech is left to hear, dB.
pub const GAIN_DB_MIN: f32 = -60.0;
const FRACTION_BITS: u32 = 12;
const ROUND: i32 = 1 << (FRACTION_BITS - 1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_db_passes_every_sample_unchanged() {
        assert!(Gain::from_db(0.0).is_unity());
        for sample in i16::MIN..=i16::MAX {
            assert_eq!(Gain::UNITY.apply(sample), i32::from(sample));
        }
    }

    #[test]
    fn six_db_doubles_within_a_percent() {
        assert!((Gain::from_db(6.0206).apply(1000) - 2000).abs() <= 2);
        assert!((Gain::from_db(-6.0206).apply(1000) - 500).abs() <= 2);
    }

    #[test]
    fn extremes_neither_overflow_nor_leak() {
        assert_eq!(Gain::from_db(f32::INFINITY), Gain::from_db(GAIN_DB_MAX));
        assert!(Gain::from_db(f32::INFINITY).apply(i16::MIN) < -250_000);
        assert!(Gain::from_db(f32::NEG_INFINITY).is_mute());
        assert!(Gain::from_db(f32::NAN).is_mute());
    }

    #[test]
    fn in_place_saturates() {
        let mut samples = [30_000, -30_000, 0];
        Gain::from_db(12.0).apply_in_place(&mut samples);
        assert_eq!(samples, [i16::MAX, i16::MIN, 0]);
    }
}
