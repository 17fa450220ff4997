//! How long something took, over all times it happened.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::Spread;

/// Durations, from a microsecond to a week, each to 1 %; their sum is exact to the microsecond.
#[derive(Clone, Debug, Default)]
pub struct Timing {
    us: Spread,
}

impl Timing {
    /// Takes note of one.
    pub fn record(&mut self, took: Duration) {
        self.us.record(microseconds(took));
    }

    /// Takes in another histogram of microseconds, as the media shards keep them.
    pub fn absorb(&mut self, other: &Histogram<u32>) {
        for value in other.iter_recorded() {
            self.us
                .record_many(value.value_iterated_to(), u64::from(value.count_at_value()));
        }
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.us.count()
    }

    /// All together.
    pub fn sum(&self) -> Duration {
        Duration::from_micros(u64::try_from(self.us.sum()).unwrap_or(u64::MAX))
    }

    /// How many took at most `bound`.
    pub fn count_up_to(&self, bound: Duration) -> u64 {
        self.us.count_up_to(microseconds(bound))
    }

    /// The time that `share` (0 to 1) of all stay within; zero before the first.
    pub fn quantile(&self, share: f64) -> Duration {
        Duration::from_micros(self.us.quantile(share))
    }
}

fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn counts_rise_with_the_bound_to_all() {
        let mut timing = Timing::default();
        for ms in [0, 1, 5, 6, 10, 99, 100, 102, 250, 5000, 700_000_000] {
            timing.record(MS(ms));
        }
        let counts = [0, 5, 10, 100, 1000, 60_000, 800_000_000].map(|bound| timing.count_up_to(MS(bound)));
        assert_eq!(counts, [1, 3, 5, 7, 9, 10, 11]);
    }

    #[test]
    fn nothing_recorded_is_all_zero() {
        let timing = Timing::default();
        assert_eq!(
            (timing.count(), timing.sum(), timing.quantile(0.99)),
            (0, Duration::ZERO, Duration::ZERO)
        );
    }

    #[test]
    fn quantiles_are_right_to_a_hundredth() {
        let mut timing = Timing::default();
        for ms in 1..=1000 {
            timing.record(MS(ms));
        }
        let p99 = timing.quantile(0.99).as_millis();
        assert!((980..=1000).contains(&p99), "{p99}");
        assert_eq!(timing.sum(), MS(500_500));
    }

    #[test]
    fn a_shard_histogram_is_taken_in_whole() {
        let mut lateness = Histogram::<u32>::new_with_bounds(1, 10_000_000, 2).unwrap();
        lateness.record_n(500, 3).unwrap();
        lateness.record(9_000_000).unwrap();
        let mut timing = Timing::default();
        timing.absorb(&lateness);
        assert_eq!(timing.count(), 4);
        assert_eq!(timing.count_up_to(MS(1)), 3);
    }
}
