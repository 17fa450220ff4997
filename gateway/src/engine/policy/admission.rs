//! Admission: how many calls and legs may be up, and how fast new ones may come.
//!
//! A count is the number of live guards, one row each, never a counter that goes up and down: a call
//! that is gone cannot still be counted. Pure; time is an argument. Knows nothing of SIP.

use std::collections::BTreeMap;
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

/// The live guards. None of the counts walks over them: each is asked for with every new call.
#[derive(Debug, Default)]
pub struct Guards {
    /// One for each call that is up.
    pub calls: Table<CallKey, Guard>,
    /// One for each leg that is up, by trunk.
    pub legs: LegGuards,
    /// One for each leg whose port pair has not come back: its stream is asked for, open, or being closed.
    pub ports: Table<LegKey, Guard>,
}

/// Guards of legs, by trunk and way.
#[derive(Debug, Default)]
pub struct LegGuards {
    tables: BTreeMap<(usize, Way), Table<LegKey, Guard>>,
}

impl LegGuards {
    /// A leg is up on this trunk.
    pub fn insert(&mut self, (trunk, way, leg): (usize, Way, LegKey)) {
        self.tables.entry((trunk, way)).or_default().insert(leg, Guard);
    }

    /// It no longer is.
    pub fn remove(&mut self, (trunk, way, leg): (usize, Way, LegKey)) {
        if let Some(table) = self.tables.get_mut(&(trunk, way)) {
            table.remove(leg);
        }
    }

    /// Legs up now, on all trunks.
    pub fn len(&self) -> usize {
        self.tables.values().map(Table::len).sum()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.tables.values().all(Table::is_empty)
    }

    fn of(&self, trunk: usize, way: Way) -> usize {
        self.tables.get(&(trunk, way)).map_or(0, Table::len)
    }

    fn is_touched(&self) -> bool {
        let mut tables = self.tables.values();
        tables.any(|table| table.touched().next().is_some())
    }
}

impl Guards {
    /// Calls up now.
    pub fn calls(&self) -> usize {
        self.calls.len()
    }

    /// Legs of one trunk up now, both ways or one.
    pub fn legs_of(&self, trunk: usize, way: Option<Way>) -> usize {
        match way {
            Some(way) => self.legs.of(trunk, way),
            None => self.legs.of(trunk, Way::In) + self.legs.of(trunk, Way::Out),
        }
    }

    /// Whether anybody came or went since the last commit.
    pub fn is_touched(&self) -> bool {
        self.calls.touched().next().is_some() || self.legs.is_touched()
    }

    /// Makes changes final.
    pub fn commit(&mut self) {
        self.calls.commit();
        self.legs.tables.values_mut().for_each(Table::commit);
        self.ports.commit();
    }

    /// Takes changes back.
    pub fn rollback(&mut self) {
        self.calls.rollback();
        self.legs.tables.values_mut().for_each(Table::rollback);
        self.ports.rollback();
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

    /// They are asked for with every new call: a walk over 20,000 would take a thousand times as long as one over 20.
    #[test]
    fn a_count_costs_the_same_however_many_are_up() {
        let cost = |up: u64| {
            let mut guards = Guards::default();
            for number in 0..up {
                guards.legs.insert((0, Way::In, LegKey(number)));
                guards.ports.insert(LegKey(number), Guard);
            }
            guards.commit();
            let spans = (0..20).map(|_| {
                let began = Instant::now();
                for _ in 0..1_000 {
                    let counts = (guards.legs_of(0, None), guards.ports.len());
                    assert_eq!(std::hint::black_box(counts), (up as usize, up as usize));
                }
                began.elapsed()
            });
            spans.min().unwrap()
        };
        let (few, many) = (cost(20), cost(20_000));
        assert!(many < few * 20 + Duration::from_micros(50), "{few:?} {many:?}");
    }

    #[test]
    fn counts_are_live_guards() {
        let mut guards = Guards::default();
        guards.legs.insert((0, Way::In, LegKey(1)));
        guards.legs.insert((0, Way::Out, LegKey(2)));
        guards.legs.insert((1, Way::In, LegKey(3)));
        assert_eq!(guards.legs_of(0, None), 2);
        assert_eq!(guards.legs_of(0, Some(Way::Out)), 1);
        guards.commit();
        guards.legs.remove((0, Way::In, LegKey(1)));
        assert_eq!((guards.legs_of(0, None), guards.legs.len()), (1, 2));
        guards.rollback();
        assert_eq!(guards.legs_of(0, None), 2);
    }
}
