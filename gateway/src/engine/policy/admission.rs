//! Admission: how many calls and legs may be up, and how fast new ones may come.
//!
//! A count is the number of live guards, one row each, never a counter that goes up and down: a call
//! that is gone cannot still be counted. Pure; time is an argument. Knows nothing of SIP.

use std::time::Instant;

use crate::engine::keys::{CallKey, LegKey};
use crate::engine::metrics::SlidingMax;
use crate::engine::table::{Row, Table};

/// Which way a leg on a trunk goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// The peer called us.
    In,
    /// We called the peer.
    Out,
}

/// Holds a place as long as it stands in its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guard;

impl Row for Guard {
    fn deadline(&self) -> Option<Instant> {
        None
    }
}

/// Tokens that come back with time: `rate` a second, at most `burst` saved up.
#[derive(Clone, Debug)]
pub struct TokenBucket {
    rate: u32,
    burst: u32,
    /// Nano-tokens, so that no fraction is lost between fills.
    level_nano: u64,
    filled_at: Instant,
}

const NANO: u64 = 1_000_000_000;

impl TokenBucket {
    /// A full bucket; with a `rate` of 0 no token is given at all.
    pub fn new(rate: u32, burst: u32, now: Instant) -> Self {
        TokenBucket {
            rate,
            burst,
            level_nano: u64::from(burst) * NANO,
            filled_at: now,
        }
    }

    /// Changes the rate; what was saved up stays.
    pub fn set_rate(&mut self, rate: u32, now: Instant) {
        self.fill(now);
        self.rate = rate;
    }

    /// Tokens a second.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// Whether a token is there, without taking it.
    pub fn has_token(&mut self, now: Instant) -> bool {
        self.fill(now);
        self.rate > 0 && self.level_nano >= NANO
    }

    /// Takes a token; false: there was none.
    pub fn take(&mut self, now: Instant) -> bool {
        if !self.has_token(now) {
            return false;
        }
        self.level_nano -= NANO;
        true
    }

    /// Returns a token.
    pub fn give_back(&mut self) {
        self.level_nano = self
            .level_nano
            .saturating_add(NANO)
            .min(u64::from(self.burst) * NANO);
    }

    fn fill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.filled_at);
        let elapsed_ns = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
        let gained = elapsed_ns.saturating_mul(u64::from(self.rate));
        self.level_nano = self
            .level_nano
            .saturating_add(gained)
            .min(u64::from(self.burst) * NANO);
        self.filled_at = now.max(self.filled_at);
    }
}

/// Limits of one scope (the instance or a trunk) and the bucket of its rate.
#[derive(Clone, Debug)]
pub struct Gate {
    /// Most at once.
    pub calls_max: u32,
    /// New ones a second.
    pub bucket: TokenBucket,
    /// Largest count of the last minute.
    pub peak: SlidingMax,
}

impl Gate {
    /// A gate with a full bucket.
    pub fn new(calls_max: u32, calls_per_second: u32, burst: u32, now: Instant) -> Self {
        Gate {
            calls_max,
            bucket: TokenBucket::new(calls_per_second, burst, now),
            peak: SlidingMax::default(),
        }
    }

    /// Whether one more fits beside `active`.
    pub fn has_room(&self, active: usize) -> bool {
        active < self.calls_max as usize
    }
}

/// The live guards.
#[derive(Debug, Default)]
pub struct Guards {
    /// One for each call that is up.
    pub calls: Table<CallKey, Guard>,
    /// One for each leg that is up, by trunk.
    pub legs: Table<(usize, Way, LegKey), Guard>,
}

impl Guards {
    /// Calls up now.
    pub fn calls(&self) -> usize {
        self.calls.len()
    }

    /// Legs of one trunk up now, both ways or one.
    pub fn legs_of(&self, trunk: usize, way: Option<Way>) -> usize {
        let of_trunk = self.legs.iter().filter(|((of, _, _), _)| *of == trunk);
        of_trunk
            .filter(|((_, going, _), _)| way.is_none_or(|way| way == *going))
            .count()
    }

    /// Whether anybody came or went since the last commit.
    pub fn is_touched(&self) -> bool {
        self.calls.touched().next().is_some() || self.legs.touched().next().is_some()
    }

    /// Makes changes final.
    pub fn commit(&mut self) {
        self.calls.commit();
        self.legs.commit();
    }

    /// Takes changes back.
    pub fn rollback(&mut self) {
        self.calls.rollback();
        self.legs.rollback();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_then_its_rate() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(20, 5, start);
        let at_once = (0..10).filter(|_| bucket.take(start)).count();
        assert_eq!(at_once, 5);
        let over_a_second = (1..=1000)
            .filter(|ms| bucket.take(start + Duration::from_millis(*ms)))
            .count();
        assert_eq!(over_a_second, 20);
    }

    #[test]
    fn a_rate_or_a_limit_of_zero_takes_none() {
        let now = Instant::now();
        let mut bucket = TokenBucket::new(20, 5, now);
        bucket.set_rate(0, now);
        assert!(!bucket.take(now) && !bucket.take(now + Duration::from_secs(60)));
        assert!(!Gate::new(0, 20, 5, now).has_room(0));
    }

    #[test]
    fn time_going_back_gives_no_tokens() {
        let now = Instant::now() + Duration::from_secs(10);
        let mut bucket = TokenBucket::new(1, 1, now);
        assert!(bucket.take(now));
        assert!(!bucket.take(now - Duration::from_secs(9)));
        assert!(!bucket.take(now));
    }

    #[test]
    fn counts_are_live_guards() {
        let mut guards = Guards::default();
        guards.legs.insert((0, Way::In, LegKey(1)), Guard);
        guards.legs.insert((0, Way::Out, LegKey(2)), Guard);
        guards.legs.insert((1, Way::In, LegKey(3)), Guard);
        assert_eq!(guards.legs_of(0, None), 2);
        assert_eq!(guards.legs_of(0, Some(Way::Out)), 1);
        guards.rollback();
        assert_eq!(guards.legs_of(0, None), 0);
    }
}
