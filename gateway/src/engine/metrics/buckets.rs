//! Values counted between bounds that are known beforehand: small where a histogram to 1 % is large.

/// How many values lie up to each bound, and their sum.
#[derive(Clone, Debug)]
pub struct Buckets {
    bounds: &'static [f64],
    /// Between the bound before and this one; the last is beyond all.
    counts: Vec<u64>,
    sum: f64,
}

impl Buckets {
    /// None counted. The bounds rise.
    pub fn new(bounds: &'static [f64]) -> Buckets {
        debug_assert!(bounds.is_sorted(), "bounds rise");
        Buckets {
            bounds,
            counts: vec![0; bounds.len() + 1],
            sum: 0.0,
        }
    }

    /// Takes note of one value.
    pub fn record(&mut self, value: f64) {
        let place = self.bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.counts.get_mut(place) {
            *count += 1;
        }
        self.sum += value;
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// All together.
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// Each bound with how many values lie between the one before and it; the last bound is infinite.
    pub fn between(&self) -> Vec<(f64, u64)> {
        let bounds = self.bounds.iter().copied().chain([f64::INFINITY]);
        bounds.zip(self.counts.iter().copied()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_lies_up_to_the_first_bound_that_is_not_below_it() {
        let mut buckets = Buckets::new(&[1.0, 2.0, 4.0]);
        for value in [0.5, 1.0, 1.5, 2.0, 4.5] {
            buckets.record(value);
        }
        assert_eq!(
            buckets.between(),
            [(1.0, 2), (2.0, 2), (4.0, 0), (f64::INFINITY, 1)]
        );
        assert_eq!((buckets.count(), buckets.sum()), (5, 9.5));
    }
}
