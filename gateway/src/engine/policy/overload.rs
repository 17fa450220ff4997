//! Whether signalling is behind: a queue that stands, not one that came in a burst and goes (RFC 8289 §3).
//!
//! Waits and times are arguments. Knows no queue and no message.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::admission::Way;
use crate::control::protocol::ThrottleReason;
use crate::engine::Engine;
use crate::engine::io::Now;
use crate::engine::router::alarms::{self, AlarmKind};
use crate::engine::tallying;

/// A wait that is still good. Ours: far below the 200 ms after which an INVITE wants an answer (RFC 3261 §17.2.1).
pub const WAIT_TARGET: Duration = Duration::from_millis(40);
/// A queue that has stood above the target for so long stands.
pub const WAIT_STANDS: Duration = Duration::from_millis(100);
/// One that was standing within this time stands at once.
pub const WAIT_REMEMBERED: Duration = Duration::from_secs(5);

/// What is known of the queue.
#[derive(Clone, Copy, Debug, Default)]
pub struct Overload {
    above_since: Option<Instant>,
    stood_at: Option<Instant>,
    wait: Duration,
}

impl Overload {
    /// What comes now waits for so long; true: new calls are to be turned away.
    pub fn note(&mut self, wait: Duration, now: Instant) -> bool {
        self.wait = wait;
        if wait < WAIT_TARGET {
            self.above_since = None;
            return false;
        }
        let since = *self.above_since.get_or_insert(now);
        let is_known = self
            .stood_at
            .is_some_and(|at| now.saturating_duration_since(at) < WAIT_REMEMBERED);
        let stands = is_known || now.saturating_duration_since(since) >= WAIT_STANDS;
        if stands {
            self.stood_at = Some(now);
        }
        stands
    }

    /// The wait that was noted last.
    pub fn wait(&self) -> Duration {
        self.wait
    }
}

impl Engine {
    /// What comes now waits for so long; true: new calls are to be turned away unread.
    pub fn note_backlog(&mut self, wait: Duration, now: Instant) -> bool {
        self.overload.note(wait, now)
    }

    /// A new call of a listed source was turned away unread: it is counted, and leaves no record.
    pub fn handle_shed(&mut self, source: IpAddr, now: Now) {
        let setup = Arc::clone(&self.setup);
        let Some(index) = setup.trunk_by_source(source) else {
            return;
        };
        let place = tallying::place(&setup, index, Way::In);
        self.metrics.offered(place);
        self.metrics.throttled(place, ThrottleReason::Overload);
        let Some(trunk) = setup.trunk(index) else { return };
        self.alarms.note(AlarmKind::Overload, &trunk.name);
        alarms::tell(self, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_burst_is_no_overload_and_a_queue_that_stands_is() {
        let (mut overload, start) = (Overload::default(), Instant::now());
        assert!(!overload.note(300 * MS, start));
        assert!(!overload.note(60 * MS, start + 90 * MS));
        assert!(!overload.note(MS, start + 99 * MS), "it went");
        assert!(!overload.note(60 * MS, start + 150 * MS));
        assert!(!overload.note(60 * MS, start + 249 * MS));
        assert!(overload.note(60 * MS, start + 250 * MS));
        assert!(!overload.note(39 * MS, start + 260 * MS));
    }

    #[test]
    fn one_that_comes_back_soon_is_known_at_once_and_forgotten_after_a_while() {
        let (mut overload, start) = (Overload::default(), Instant::now());
        overload.note(60 * MS, start);
        assert!(overload.note(60 * MS, start + 100 * MS));
        assert!(!overload.note(MS, start + 200 * MS));
        assert!(overload.note(40 * MS, start + 5_000 * MS));
        assert!(!overload.note(MS, start + 5_001 * MS));
        assert!(!overload.note(60 * MS, start + 10_001 * MS));
        assert_eq!(overload.wait(), 60 * MS);
    }
}
