//! The 20 ms grid all mixing, playing and recording runs on.

use std::time::{Duration, Instant};

/// Length of one tick and of one audio frame.
pub const TICK: Duration = Duration::from_millis(20);

/// A point of the grid, counted from the shard's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tick(pub u64);

/// Where the grid starts, and which tick comes next.
#[derive(Clone, Copy, Debug)]
pub struct Grid {
    start: Instant,
    next: Tick,
}

impl Grid {
    /// A grid whose first tick comes 20 ms after `start`.
    pub fn new(start: Instant) -> Self {
        Self { start, next: Tick(1) }
    }

    /// When the next tick is due.
    pub fn next_deadline(&self) -> Instant {
        self.start + Duration::from_millis(self.next.0.saturating_mul(20))
    }

    /// The tick that is due, and how late it is; `None` before its time. After a stall of more than
    /// [`CATCH_UP_TICKS_MAX`] the lost ticks are skipped: a burst of stale audio helps nobody.
    pub fn take_due(&mut self, now: Instant) -> Option<(Tick, Duration)> {
        let due = self.next_deadline();
        if now < due {
            return None;
        }
        let late = now - due;
        let behind = (late.as_millis() / TICK.as_millis()) as u64;
        if behind > CATCH_UP_TICKS_MAX {
            self.next = Tick(self.next.0 + behind);
        }
        let tick = self.next;
        self.next = Tick(tick.0 + 1);
        Some((tick, late))
    }

    /// Leaves out all ticks due by `now`: nobody needed them.
    pub fn skip_to(&mut self, now: Instant) {
        self.next = self.next.max(Tick(self.at(now).0 + 1));
    }

    /// The tick that comes next.
    pub fn next_tick(&self) -> Tick {
        self.next
    }

    /// The last tick whose time has come, at `now`.
    pub fn at(&self, now: Instant) -> Tick {
        Tick((now.saturating_duration_since(self.start).as_millis() / TICK.as_millis()) as u64)
    }

    /// The first tick at or after `now + wait`.
    pub fn after(&self, now: Instant, wait: Duration) -> Tick {
        Tick(self.at(now + wait).0 + 1)
    }
}

/// Ticks made up for after a stall, one after the other.
pub const CATCH_UP_TICKS_MAX: u64 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_come_every_20_ms_and_each_once() {
        let start = Instant::now();
        let mut grid = Grid::new(start);
        assert_eq!(grid.take_due(start + Duration::from_millis(19)), None);
        assert_eq!(
            grid.take_due(start + Duration::from_millis(21)),
            Some((Tick(1), Duration::from_millis(1)))
        );
        assert_eq!(grid.take_due(start + Duration::from_millis(21)), None);
        assert_eq!(grid.next_deadline(), start + Duration::from_millis(40));
    }

    #[test]
    fn a_short_stall_is_made_up_and_a_long_one_skipped() {
        let start = Instant::now();
        let mut grid = Grid::new(start);
        let short = start + Duration::from_millis(60);
        assert_eq!(std::iter::from_fn(|| grid.take_due(short)).count(), 3);
        let long = start + Duration::from_secs(60);
        assert_eq!(std::iter::from_fn(|| grid.take_due(long)).count(), 1);
        assert_eq!(grid.next_deadline(), long + TICK);
    }
}
