//! What had to be dropped, counted by a stable word: the label of one metric.
//!
//! Shared by every task of the shell. Knows nothing of Prometheus.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Datagrams for which the engine's queue had no room.
pub const DATAGRAM_QUEUE_FULL: &str = "datagram_queue_full";
/// Datagrams the kernel refused to send.
pub const DATAGRAM_NOT_SENT: &str = "datagram_not_sent";
/// Messages for a TCP connection that is not open.
pub const STREAM_NOT_OPEN: &str = "stream_not_open";
/// TCP connections closed because their write queue was full.
pub const STREAM_QUEUE_FULL: &str = "stream_queue_full";
/// TCP connections refused because there were too many.
pub const STREAM_REFUSED: &str = "stream_refused";
/// Commands for which a shard's backlog had no room.
pub const SHARD_BACKLOG_FULL: &str = "shard_backlog_full";
/// Call records and ledger lines for which the writer's queue had no room.
pub const RECORD_QUEUE_FULL: &str = "record_queue_full";
/// Orders for which the recordings writer's queue had no room.
pub const RECORDER_QUEUE_FULL: &str = "recorder_queue_full";
/// Messages of a trace for which its writer's queue had no room.
pub const TRACE_QUEUE_FULL: &str = "trace_queue_full";
/// Inputs whose handling panicked.
pub const INPUT_PANICKED: &str = "input_panicked";

/// Counts by word. Words are constants of the code, so the map has a bound.
#[derive(Debug, Default)]
pub struct Losses {
    counts: Mutex<BTreeMap<&'static str, u64>>,
}

impl Losses {
    /// Counts one.
    pub fn count(&self, why: &'static str) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(why).or_default() += 1;
    }

    /// All counts so far.
    pub fn snapshot(&self) -> BTreeMap<&'static str, u64> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// One count so far.
    pub fn of(&self, why: &str) -> u64 {
        self.snapshot().get(why).copied().unwrap_or(0)
    }
}
