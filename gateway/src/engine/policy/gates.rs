//! Gates: the limits of the instance and of each trunk, their buckets and their recent past.
//!
//! Limits may change while calls are up; that ends none of them. Tokens of a command that is taken
//! back return. Knows nothing of calls; who is up is counted in `admission`.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::admission::Gate;

/// New calls remembered to tell the current rate; a busier gateway shows this as its rate.
pub const RATE_SAMPLES_MAX: usize = 4096;

/// Which gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The whole instance.
    Instance,
    /// One trunk, by index.
    Trunk(usize),
}

/// Whether new calls are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drain {
    /// They are.
    Off,
    /// They are not; calls that are up go on.
    On {
        /// When those are ended.
        deadline: Option<Instant>,
    },
    /// They are not, and none is left.
    Done,
}

/// How long a closed stream's ports rest: packets of the old call are gone by then.
pub const PORT_REST: Duration = media::shard::ports::QUARANTINE;

/// All gates.
#[derive(Debug)]
pub struct Gates {
    instance: Entry,
    trunks: Vec<Entry>,
    drain: Drain,
    /// Limits were changed while calls ran, now or by an earlier run.
    is_set: bool,
    free_mb: Option<u64>,
    disk_fault: Option<String>,
    /// When ports of closed streams can be had again.
    resting: VecDeque<Instant>,
    /// What commands have changed since the last commit.
    before: Option<Before>,
}

/// What a command changes of the gates, as it was at the last commit.
#[derive(Debug)]
struct Before {
    drain: Drain,
    is_set: bool,
    /// Calls and calls a second, in the order in which they were changed.
    limits: Vec<(Scope, u32, u32)>,
}

#[derive(Debug)]
struct Entry {
    gate: Gate,
    recent: VecDeque<Instant>,
}

impl Gates {
    /// Gates as configured: calls and calls per second of the instance, then of each trunk in order,
    /// each with the depth of its bucket.
    pub fn new(instance: (u32, u32, u32), trunks: &[(u32, u32, u32)], now: Instant) -> Self {
        let entry = |(calls, rate, burst): (u32, u32, u32)| Entry {
            gate: Gate::new(calls, rate, burst, now),
            recent: VecDeque::new(),
        };
        Gates {
            instance: entry(instance),
            trunks: trunks.iter().copied().map(entry).collect(),
            drain: Drain::Off,
            is_set: false,
            free_mb: None,
            disk_fault: None,
            resting: VecDeque::new(),
            before: None,
        }
    }

    /// Makes everything that commands have changed final.
    pub fn commit(&mut self) {
        self.before = None;
    }

    /// Takes back what they have changed since the last commit.
    pub fn rollback(&mut self, now: Instant) {
        let Some(before) = self.before.take() else {
            return;
        };
        (self.drain, self.is_set) = (before.drain, before.is_set);
        for (scope, calls, rate) in before.limits.into_iter().rev() {
            if let Some(entry) = self.entry_mut(scope) {
                entry.gate.calls_max = calls;
                entry.gate.bucket.set_rate(rate, now);
            }
        }
    }

    fn before(&mut self) -> &mut Before {
        let (drain, is_set) = (self.drain, self.is_set);
        self.before.get_or_insert_with(|| Before {
            drain,
            is_set,
            limits: Vec::new(),
        })
    }

    /// Whether one more fits beside `active`.
    pub fn has_room(&self, scope: Scope, active: usize) -> bool {
        self.entry(scope).is_some_and(|entry| entry.gate.has_room(active))
    }

    /// Takes a rate token; false: there was none.
    pub fn take(&mut self, scope: Scope, now: Instant) -> bool {
        let Some(entry) = self.entry_mut(scope) else {
            return false;
        };
        if !entry.gate.bucket.take(now) {
            return false;
        }
        entry.recent.push_back(now);
        if entry.recent.len() > RATE_SAMPLES_MAX {
            entry.recent.pop_front();
        }
        true
    }

    /// Whether a token is there, without taking it.
    pub fn has_token(&mut self, scope: Scope, now: Instant) -> bool {
        self.entry_mut(scope)
            .is_some_and(|entry| entry.gate.bucket.has_token(now))
    }

    /// Returns a token whose INVITE never came to be.
    pub fn give_back(&mut self, scope: Scope) {
        if let Some(entry) = self.entry_mut(scope) {
            entry.gate.bucket.give_back();
            entry.recent.pop_back();
        }
    }

    /// Notes how many are up, for the peak.
    pub fn note(&mut self, scope: Scope, active: usize, now: Instant) {
        if let Some(entry) = self.entry_mut(scope) {
            entry.gate.peak.observe(active as u64, now);
        }
    }

    /// Most calls at once.
    pub fn calls_max(&self, scope: Scope) -> u32 {
        self.entry(scope).map_or(0, |entry| entry.gate.calls_max)
    }

    /// New calls allowed a second.
    pub fn calls_per_second(&self, scope: Scope) -> u32 {
        self.entry(scope).map_or(0, |entry| entry.gate.bucket.rate())
    }

    /// Largest count of the last minute.
    pub fn peak(&self, scope: Scope, active: usize, now: Instant) -> usize {
        self.entry(scope)
            .map_or(active, |entry| (entry.gate.peak.max(now) as usize).max(active))
    }

    /// New calls taken in the last second.
    pub fn rate(&self, scope: Scope, now: Instant) -> usize {
        let recent = self.entry(scope).map(|entry| &entry.recent).into_iter().flatten();
        recent
            .filter(|at| now.saturating_duration_since(**at) < Duration::from_secs(1))
            .count()
    }

    /// Whether limits were ever changed from those of the configuration.
    pub fn is_set(&self) -> bool {
        self.is_set
    }

    /// Changes limits; `None` leaves one as it is.
    pub fn set(&mut self, scope: Scope, calls: Option<u32>, calls_per_second: Option<u32>, now: Instant) {
        let was = (scope, self.calls_max(scope), self.calls_per_second(scope));
        self.before().limits.push(was);
        self.is_set = true;
        let Some(entry) = self.entry_mut(scope) else {
            return;
        };
        if let Some(calls) = calls {
            entry.gate.calls_max = calls;
        }
        if let Some(rate) = calls_per_second {
            entry.gate.bucket.set_rate(rate, now);
        }
    }

    /// Whether new calls are taken.
    pub fn drain(&self) -> Drain {
        self.drain
    }

    /// New calls are refused.
    pub fn is_draining(&self) -> bool {
        self.drain != Drain::Off
    }

    /// Starts, ends or finishes a drain.
    pub fn set_drain(&mut self, drain: Drain) {
        self.before();
        self.drain = drain;
    }

    /// Free space where recordings go, mebibytes, as told last.
    pub fn free_mb(&self) -> Option<u64> {
        self.free_mb
    }

    /// Notes the free space.
    pub fn set_disk(&mut self, free_mb: u64) {
        self.free_mb = Some(free_mb);
        self.disk_fault = None;
    }

    /// Why nothing can be written where recordings go, as told last; none: it can.
    pub fn disk_fault(&self) -> Option<&str> {
        self.disk_fault.as_deref()
    }

    /// Notes that nothing can be written there, until there is free space again.
    pub fn set_disk_fault(&mut self, why: String) {
        self.disk_fault = Some(why);
    }

    /// A stream has closed: its ports rest.
    pub fn rest_port(&mut self, now: Instant) {
        self.resting.push_back(now + PORT_REST);
    }

    /// Port pairs that rest now.
    pub fn resting(&mut self, now: Instant) -> usize {
        while self.resting.front().is_some_and(|at| *at <= now) {
            self.resting.pop_front();
        }
        self.resting.len()
    }

    /// When the drain's deadline comes.
    pub fn next_deadline(&self) -> Option<Instant> {
        match self.drain {
            Drain::On { deadline } => deadline,
            Drain::Off | Drain::Done => None,
        }
    }

    /// How many trunks there are.
    pub fn trunks(&self) -> usize {
        self.trunks.len()
    }

    fn entry(&self, scope: Scope) -> Option<&Entry> {
        match scope {
            Scope::Instance => Some(&self.instance),
            Scope::Trunk(index) => self.trunks.get(index),
        }
    }

    fn entry_mut(&mut self, scope: Scope) -> Option<&mut Entry> {
        match scope {
            Scope::Instance => Some(&mut self.instance),
            Scope::Trunk(index) => self.trunks.get_mut(index),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_given_back_can_be_taken_again() {
        let now = Instant::now();
        let mut gates = Gates::new((100, 1, 1), &[], now);
        assert!(gates.take(Scope::Instance, now));
        assert!(!gates.take(Scope::Instance, now));
        gates.give_back(Scope::Instance);
        assert_eq!(gates.rate(Scope::Instance, now), 0);
        assert!(gates.take(Scope::Instance, now));
    }

    #[test]
    fn lowering_a_limit_leaves_no_room_but_harms_nobody() {
        let now = Instant::now();
        let mut gates = Gates::new((100, 0, 5), &[(50, 0, 5)], now);
        gates.set(Scope::Instance, Some(10), None, now);
        assert!(!gates.has_room(Scope::Instance, 60));
        assert!(gates.has_room(Scope::Trunk(0), 49));
        assert!(!gates.has_room(Scope::Trunk(0), 50));
        assert!(!gates.has_room(Scope::Trunk(7), 0));
    }

    #[test]
    fn what_a_refused_batch_has_changed_is_taken_back_to_its_first_image() {
        let now = Instant::now();
        let mut gates = Gates::new((100, 20, 5), &[(50, 10, 5)], now);
        gates.set(Scope::Instance, Some(90), None, now);
        gates.commit();
        gates.set(Scope::Instance, Some(1), Some(2), now);
        gates.set(Scope::Instance, Some(3), None, now);
        gates.set(Scope::Trunk(0), None, Some(4), now);
        gates.set_drain(Drain::Done);
        gates.rollback(now);
        let limits = |scope| (gates.calls_max(scope), gates.calls_per_second(scope));
        assert_eq!(
            (limits(Scope::Instance), limits(Scope::Trunk(0))),
            ((90, 20), (50, 10))
        );
        assert!(gates.is_set() && !gates.is_draining());
        gates.rollback(now);
        assert_eq!(gates.calls_max(Scope::Instance), 90, "once is enough");
    }

    #[test]
    fn the_rate_is_of_the_last_second() {
        let now = Instant::now();
        let mut gates = Gates::new((100, 20, 5), &[], now);
        for _ in 0..5 {
            gates.take(Scope::Instance, now);
        }
        assert_eq!(gates.rate(Scope::Instance, now), 5);
        assert_eq!(gates.rate(Scope::Instance, now + Duration::from_secs(1)), 0);
    }
}
