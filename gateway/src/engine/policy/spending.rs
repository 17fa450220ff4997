//! What each limit against toll fraud has counted: dials of the last hour, seconds talked today.
//!
//! An hour is the running minute and the 59 before it, a day is one of UTC; both go by the wall clock, so that they
//! mean the same after a restart. A wall clock that steps back opens no new window: the latest minute and day
//! seen stay. One row a limit, and rows are configured, so the table is bounded. Pure; time is an
//! argument. Knows no limit.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Minutes of an hour's window.
const WINDOW_MINUTES: i64 = 60;
const MINUTE_US: i64 = 60_000_000;
const DAY_US: i64 = 24 * 60 * MINUTE_US;

/// One limit's counts. Keeps at most 60 minutes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// Dials by minute since the epoch, oldest first.
    minutes: VecDeque<(i64, u32)>,
    /// Day since the epoch that `seconds` belongs to.
    day: i64,
    /// Seconds that ended calls talked on that day.
    seconds: u64,
}

impl Spent {
    /// Counts a dial.
    pub fn dialled(&mut self, wall_us: i64) {
        let minute = self.minute(wall_us);
        match self.minutes.back_mut() {
            Some((latest, count)) if *latest == minute => *count = count.saturating_add(1),
            Some(_) | None => self.minutes.push_back((minute, 1)),
        }
        while self.minutes.len() > WINDOW_MINUTES as usize {
            self.minutes.pop_front();
        }
    }

    /// Takes back the dial counted last.
    pub fn undo(&mut self) {
        if let Some((_, count)) = self.minutes.back_mut() {
            *count = count.saturating_sub(1);
        }
    }

    /// Dials of the last hour.
    pub fn calls(&self, wall_us: i64) -> u64 {
        let from = self.minute(wall_us) - WINDOW_MINUTES;
        let recent = self.minutes.iter().filter(|(minute, _)| *minute > from);
        recent.map(|(_, count)| u64::from(*count)).sum()
    }

    /// Counts a call that ended now after so many seconds; what lay before midnight is another day's.
    pub fn talked(&mut self, seconds: u64, wall_us: i64) {
        let day = day(wall_us);
        if day > self.day {
            (self.day, self.seconds) = (day, 0);
        }
        self.seconds = self.seconds.saturating_add(of_today(seconds, wall_us));
    }

    /// Seconds that calls ended today have talked.
    pub fn seconds(&self, wall_us: i64) -> u64 {
        if day(wall_us) > self.day { 0 } else { self.seconds }
    }

    /// The running minute, never one before the latest.
    fn minute(&self, wall_us: i64) -> i64 {
        let minute = wall_us.div_euclid(MINUTE_US);
        self.minutes
            .back()
            .map_or(minute, |(latest, _)| minute.max(*latest))
    }
}

/// The part of the last so many seconds that lies after midnight UTC.
pub fn of_today(seconds: u64, wall_us: i64) -> u64 {
    let since_midnight = wall_us.rem_euclid(DAY_US) / 1_000_000;
    seconds.min(u64::try_from(since_midnight).unwrap_or(0))
}

fn day(wall_us: i64) -> i64 {
    wall_us.div_euclid(DAY_US)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-01-01T00:00:00Z.
    const MIDNIGHT: i64 = 1_767_225_600_000_000;
    const SECOND: i64 = 1_000_000;

    #[test]
    fn an_hour_is_the_last_sixty_minutes() {
        let mut spent = Spent::default();
        let at = |minute: i64, second: i64| MIDNIGHT + minute * MINUTE_US + second * SECOND;
        for (minute, second) in [(0, 5), (0, 59), (30, 0)] {
            spent.dialled(at(minute, second));
        }
        assert_eq!(spent.calls(at(30, 0)), 3);
        assert_eq!(spent.calls(at(59, 59)), 3);
        assert_eq!(spent.calls(at(60, 0)), 1);
        assert_eq!(spent.calls(at(90, 0)), 0);
        for minute in 100..400 {
            spent.dialled(at(minute, 0));
        }
        assert_eq!(spent.minutes.len(), 60, "bounded");
        assert_eq!(spent.calls(at(399, 0)), 60);
        spent.undo();
        assert_eq!(spent.calls(at(399, 0)), 59);
    }

    #[test]
    fn a_day_begins_at_midnight_utc_and_a_call_across_it_counts_on_both_sides() {
        let mut spent = Spent::default();
        spent.talked(600, MIDNIGHT - 1);
        assert_eq!(spent.seconds(MIDNIGHT - 1), 600);
        assert_eq!(spent.seconds(MIDNIGHT), 0);
        spent.talked(600, MIDNIGHT + 120 * SECOND);
        assert_eq!(spent.seconds(MIDNIGHT + 120 * SECOND), 120);
        assert_eq!(of_today(600, MIDNIGHT + 120 * SECOND), 120);
        assert_eq!(of_today(60, MIDNIGHT + 120 * SECOND), 60);
    }

    #[test]
    fn a_clock_that_steps_back_opens_no_new_window() {
        let mut spent = Spent::default();
        let later = MIDNIGHT + 90 * MINUTE_US;
        spent.dialled(later);
        spent.talked(60, later);
        assert_eq!(spent.calls(MIDNIGHT), 1);
        spent.dialled(MIDNIGHT);
        assert_eq!(spent.calls(later), 2);
        assert_eq!(spent.seconds(MIDNIGHT - DAY_US), 60);
        spent.talked(60, MIDNIGHT - SECOND);
        assert_eq!(spent.seconds(later), 120);
    }
}
