//! The greatest value of the last minute.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How far it looks back.
pub const PEAK_WINDOW: Duration = Duration::from_secs(60);

/// Values closer together than this share one entry, so there are at most 121.
const GRAIN: Duration = Duration::from_millis(500);

/// A level's greatest value over [`PEAK_WINDOW`], right to [`GRAIN`].
///
/// Holds falling values only: one that was followed by a greater or equal one can never be the peak again.
/// The last entry is the level as it stands.
#[derive(Clone, Debug, Default)]
pub struct SlidingMax {
    /// Value, and when it was last true; values fall from front to back.
    falling: VecDeque<(u64, Instant)>,
}

impl SlidingMax {
    /// The level changed to `value`, and held its old one until `now`.
    pub fn observe(&mut self, value: u64, now: Instant) {
        if let Some((_, until)) = self.falling.back_mut() {
            *until = now;
        }
        while self.falling.back().is_some_and(|(smaller, _)| *smaller <= value) {
            self.falling.pop_back();
        }
        // Of two falling values within one grain the greater stands for both, and the level follows.
        let mut newest_first = self.falling.iter().rev().map(|(_, until)| *until);
        let crowded = match (newest_first.next(), newest_first.next()) {
            (Some(last), Some(before)) => last.duration_since(before) < GRAIN,
            (Some(_) | None, _) => false,
        };
        if crowded {
            self.falling.pop_back();
        }
        self.falling.push_back((value, now));
        self.forget(now);
    }

    /// The greatest value within the window that ends `now`.
    pub fn max(&self, now: Instant) -> u64 {
        let level = self.falling.back().map_or(0, |(value, _)| *value);
        let recent = self
            .falling
            .iter()
            .find(|(_, until)| now.duration_since(*until) <= PEAK_WINDOW);
        recent.map_or(level, |(value, _)| *value)
    }

    fn forget(&mut self, now: Instant) {
        while self.falling.len() > 1
            && self
                .falling
                .front()
                .is_some_and(|(_, until)| now.duration_since(*until) > PEAK_WINDOW)
        {
            self.falling.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peak_lasts_a_minute_after_the_level_fell() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut peak = SlidingMax::default();
        assert_eq!(peak.max(at(0)), 0);
        peak.observe(3, at(0));
        peak.observe(9, at(10));
        peak.observe(2, at(30));
        assert_eq!(peak.max(at(30)), 9);
        assert_eq!(peak.max(at(90)), 9, "it was 9 until second 30");
        assert_eq!(peak.max(at(91)), 2);
        assert_eq!(peak.max(at(10_000)), 2, "the level as it stands never ages");
    }

    #[test]
    fn level_that_stands_is_the_peak_however_old() {
        let start = Instant::now();
        let mut peak = SlidingMax::default();
        peak.observe(7, start);
        assert_eq!(peak.max(start + Duration::from_secs(3600)), 7);
        peak.observe(0, start + Duration::from_secs(3600));
        assert_eq!(peak.max(start + Duration::from_secs(3660)), 7);
        assert_eq!(peak.max(start + Duration::from_secs(3661)), 0);
    }

    #[test]
    fn agrees_with_the_plain_way_and_stays_small() {
        let start = Instant::now();
        let mut peak = SlidingMax::default();
        let mut seen: Vec<(u64, Instant)> = Vec::new();
        let mut random = 12345u64;
        for step in 0..20_000u64 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let now = start + Duration::from_millis(step * 37);
            let value = (random >> 33) % 100;
            peak.observe(value, now);
            seen.push((value, now));
            let level_at_edge = |window: Duration| {
                let edge = now.checked_sub(window).unwrap_or(start);
                let first = seen.partition_point(|(_, since)| *since < edge).saturating_sub(1);
                seen[first..].iter().map(|(value, _)| *value).max().unwrap_or(0)
            };
            let (least, most) = (
                level_at_edge(PEAK_WINDOW - GRAIN),
                level_at_edge(PEAK_WINDOW + GRAIN),
            );
            assert!(
                (least..=most).contains(&peak.max(now)),
                "step {step}: {} not in {least}..={most}",
                peak.max(now)
            );
            assert!(peak.falling.len() <= 122, "{}", peak.falling.len());
        }
    }
}
