//! How the values of something spread: an HDR histogram and the exact sum.

use hdrhistogram::Histogram;

/// Greatest value told apart; as microseconds a week, the longest call a limit may allow.
const GREATEST: u64 = 604_800_000_000;

/// Significant digits kept of each value: 1 % is finer than any bucket shown.
const DIGITS: u8 = 2;

/// Whole numbers from 0, each kept to 1 %.
#[derive(Clone, Debug, Default)]
pub struct Spread {
    /// Made at the first value: most trunks have one direction only.
    histogram: Option<Box<Histogram<u64>>>,
    sum: u128,
}

impl Spread {
    /// Takes note of one value.
    pub fn record(&mut self, value: u64) {
        self.record_many(value, 1);
    }

    /// Takes note of one value that came `times` times.
    pub fn record_many(&mut self, value: u64, times: u64) {
        if self.histogram.is_none() {
            self.histogram = Histogram::new_with_bounds(1, GREATEST, DIGITS).ok().map(Box::new);
        }
        debug_assert!(
            self.histogram.is_some(),
            "the bounds are constants that hdrhistogram takes"
        );
        let Some(histogram) = &mut self.histogram else {
            return;
        };
        histogram.saturating_record_n(value, times);
        self.sum = self.sum.saturating_add(u128::from(value) * u128::from(times));
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.histogram.as_ref().map_or(0, |histogram| histogram.len())
    }

    /// All together.
    pub fn sum(&self) -> u128 {
        self.sum
    }

    /// How many are at most `bound`, to 1 % of it.
    pub fn count_up_to(&self, bound: u64) -> u64 {
        self.histogram
            .as_ref()
            .map_or(0, |histogram| histogram.count_between(0, bound))
    }

    /// The value that `share` (0 to 1) of all stay within; zero before the first.
    pub fn quantile(&self, share: f64) -> u64 {
        self.histogram
            .as_ref()
            .map_or(0, |histogram| histogram.value_at_quantile(share))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_count_what_is_at_most_them() {
        let mut spread = Spread::default();
        for value in [0, 0, 1, 4, 5, 64, 65, 1000, u64::MAX] {
            spread.record(value);
        }
        let counts = [0, 1, 4, 64, 1024, GREATEST].map(|bound| spread.count_up_to(bound));
        assert_eq!(counts, [2, 3, 4, 6, 8, 9]);
        assert_eq!(spread.count(), 9);
    }
}
