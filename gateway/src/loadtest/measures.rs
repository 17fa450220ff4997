//! The distributions that a load test takes. Pure.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

/// Times from 1 µs to a minute with three digits.
#[derive(Clone, Debug)]
pub struct Times(Option<Histogram<u64>>);

/// All of a run.
#[derive(Clone, Debug)]
pub struct Measures {
    /// INVITE to 200, as the caller sees it.
    pub setup: Times,
    /// INVITE to the first 18x or to 200.
    pub post_dial: Times,
    /// Sending of a frame to its arrival at the other end.
    pub latency: Times,
    /// Differences of two frames' latencies.
    pub jitter: Times,
    /// How late this program itself sent.
    pub own_lateness: Times,
}

impl Times {
    /// None yet.
    pub fn new() -> Times {
        Times(Histogram::new_with_bounds(1, LONGEST_US, 3).ok())
    }

    /// One more; what is longer than a minute counts as one.
    pub fn record(&mut self, time: Duration) {
        if let Some(histogram) = &mut self.0 {
            histogram.saturating_record(time.as_micros() as u64);
        }
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.0.as_ref().map_or(0, Histogram::len)
    }

    /// The time, milliseconds, that this part of them does not exceed; 0 where there is none.
    pub fn quantile_ms(&self, part: f64) -> f64 {
        self.0.as_ref().map_or(0.0, |histogram| {
            histogram.value_at_quantile(part) as f64 / 1_000.0
        })
    }

    /// For a report; `curve` is pairs of a part of all and the time that it does not exceed.
    pub fn to_json(&self) -> Value {
        let curve: Vec<(f64, f64)> = CURVE.map(|part| (part, self.quantile_ms(part))).to_vec();
        json!({
            "count": self.count(),
            "p50_ms": self.quantile_ms(0.5),
            "p90_ms": self.quantile_ms(0.9),
            "p99_ms": self.quantile_ms(0.99),
            "max_ms": self.quantile_ms(1.0),
            "curve": curve,
        })
    }
}

impl Default for Times {
    fn default() -> Times {
        Times::new()
    }
}

impl Measures {
    /// None yet.
    pub fn new() -> Measures {
        Measures {
            setup: Times::new(),
            post_dial: Times::new(),
            latency: Times::new(),
            jitter: Times::new(),
            own_lateness: Times::new(),
        }
    }
}

impl Default for Measures {
    fn default() -> Measures {
        Measures::new()
    }
}

/// Where a distribution is looked at.
const CURVE: [f64; 10] = [0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0];
/// Longest time told apart, microseconds.
const LONGEST_US: u64 = 60_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_in_milliseconds_and_what_is_too_long_still_counts() {
        let mut times = Times::new();
        for ms in 1..=100 {
            times.record(Duration::from_millis(ms));
        }
        assert!((49.9..50.1).contains(&times.quantile_ms(0.5)), "{times:?}");
        times.record(Duration::from_secs(3_600));
        assert_eq!(times.count(), 101);
        assert!(times.quantile_ms(1.0) >= 60_000.0);
        assert_eq!(Times::new().quantile_ms(0.99), 0.0);
    }
}
