//! The one index of deadlines.
//!
//! Holds when each owner of deadlines next has work; the deadlines themselves are fields of the states that
//! need them. Must not know what is due.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::command::{Flow, RegistrationKey, SessionKey};
use crate::transaction::TransactionKey;

/// Who has work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TimerKey {
    /// A client transaction.
    Client(TransactionKey),
    /// A server transaction.
    Server(TransactionKey),
    /// A session.
    Session(SessionKey),
    /// A connection.
    Connection(Flow),
    /// A registration of ours.
    Registration(RegistrationKey),
    /// The bindings of a domain, by its place.
    Registrar(usize),
}

/// At most one deadline an owner, ordered by time.
#[derive(Debug, Default)]
pub(super) struct Timers {
    by_time: BTreeSet<(Instant, TimerKey)>,
    by_owner: BTreeMap<TimerKey, Instant>,
}

impl Timers {
    /// Sets, moves or clears the deadline of an owner.
    pub fn arm(&mut self, key: TimerKey, at: Option<Instant>) {
        let armed = match at {
            Some(at) => self.by_owner.insert(key, at),
            None => self.by_owner.remove(&key),
        };
        if armed == at {
            return;
        }
        if let Some(armed) = armed {
            self.by_time.remove(&(armed, key));
        }
        if let Some(at) = at {
            self.by_time.insert((at, key));
        }
        debug_assert_eq!(self.by_time.len(), self.by_owner.len());
    }

    /// How many owners have a deadline.
    pub fn len(&self) -> usize {
        self.by_owner.len()
    }

    /// Takes out every owner that is due, in order of time.
    pub fn take_due(&mut self, now: Instant) -> Vec<TimerKey> {
        let mut due = vec![];
        while let Some(&(at, key)) = self.by_time.first().filter(|(at, _)| *at <= now) {
            self.by_time.remove(&(at, key));
            self.by_owner.remove(&key);
            due.push(key);
        }
        due
    }

    /// The first deadline.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.by_time.first().map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_owner_has_one_deadline_and_the_first_comes_first() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let (one, two) = (
            TimerKey::Client(TransactionKey(1)),
            TimerKey::Server(TransactionKey(1)),
        );
        let mut timers = Timers::default();
        timers.arm(one, Some(at(30)));
        timers.arm(two, Some(at(20)));
        timers.arm(one, Some(at(10)));
        assert_eq!(timers.next_deadline(), Some(at(10)));
        assert_eq!(timers.take_due(at(20)), [one, two]);
        assert_eq!(timers.next_deadline(), None);
        timers.arm(one, Some(at(5)));
        timers.arm(one, None);
        assert_eq!(timers.take_due(at(100)), []);
    }
}
