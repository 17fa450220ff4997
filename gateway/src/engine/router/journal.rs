//! The event journal: one order for everything that happened, kept long enough to resume from.
//!
//! Owns the numbering (`epoch`, `seq`) and the lines as they were written to clients. Bounded by bytes
//! and by age; what falls out can only be had as a snapshot. Knows nothing of connections or filters.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::control::protocol::Id;

/// Most bytes of lines kept. A gateway at 20 calls a second writes about 1 MiB a minute.
pub const JOURNAL_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Longest time a line is kept.
pub const JOURNAL_AGE_MAX: Duration = Duration::from_secs(15 * 60);

/// One numbered event as it was written.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its number; +1 from the one before.
    pub seq: u64,
    /// When it was written.
    pub at: Instant,
    /// What filters look at.
    pub facts: Facts,
    /// The JSON-RPC notification, without its line end.
    pub line: Arc<str>,
}

/// The parts of an event that a subscription may select by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// `leg.answered` and the like.
    pub kind: &'static str,
    /// Id of its call.
    pub call: Option<Id>,
    /// Id of its leg.
    pub leg: Option<Id>,
}

/// Where a client that was away stands.
#[derive(Debug, PartialEq, Eq)]
pub enum Cursor {
    /// The journal still has everything after it.
    Kept,
    /// Another run of the process, or a number not yet given out.
    EpochChanged,
    /// Fallen out of the journal.
    TooOld,
}

/// The journal.
#[derive(Debug)]
pub struct Journal {
    epoch: Arc<str>,
    entries: VecDeque<Entry>,
    bytes: usize,
    last_seq: u64,
}

impl Journal {
    /// An empty journal of a new epoch; its first event will be number 1.
    pub fn new(epoch: Arc<str>) -> Self {
        Journal {
            epoch,
            entries: VecDeque::new(),
            bytes: 0,
            last_seq: 0,
        }
    }

    /// Appends an event whose line is made from its number.
    pub fn append(&mut self, facts: Facts, line: impl FnOnce(u64) -> String, now: Instant) -> &Entry {
        self.last_seq += 1;
        let line: Arc<str> = line(self.last_seq).into();
        self.bytes += line.len();
        let entry = Entry {
            seq: self.last_seq,
            at: now,
            facts,
            line,
        };
        while self.bytes > JOURNAL_BYTES_MAX || self.oldest_is_over_age(now) {
            let Some(oldest) = self.entries.pop_front() else {
                break;
            };
            self.bytes -= oldest.line.len();
        }
        self.entries.push_back(entry);
        // The entry was pushed in the line above.
        #[expect(clippy::expect_used, reason = "the queue was pushed to one line above")]
        self.entries.back().expect("just pushed")
    }

    /// Number of the last event; 0 before the first.
    pub fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// Name of this run's numbering.
    pub fn epoch(&self) -> &Arc<str> {
        &self.epoch
    }

    /// Bytes kept.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether a client that saw `seq` of `epoch` last can go on from here.
    pub fn locate(&self, epoch: &str, seq: u64) -> Cursor {
        if epoch != &*self.epoch || seq > self.last_seq {
            return Cursor::EpochChanged;
        }
        let oldest = self.entries.front().map_or(self.last_seq + 1, |entry| entry.seq);
        if seq + 1 < oldest {
            Cursor::TooOld
        } else {
            Cursor::Kept
        }
    }

    /// Up to `most` events from number `from` on; `None`: some of them have fallen out.
    pub fn since(&self, from: u64, most: usize) -> Option<impl Iterator<Item = &Entry>> {
        let oldest = self.entries.front().map_or(self.last_seq + 1, |entry| entry.seq);
        let skip = usize::try_from(from.checked_sub(oldest)?).ok()?;
        Some(self.entries.iter().skip(skip).take(most))
    }

    /// All events that are about what is wanted, oldest first.
    pub fn about(&self, is_wanted: impl Fn(&Facts) -> bool) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| is_wanted(&entry.facts))
    }

    fn oldest_is_over_age(&self, now: Instant) -> bool {
        let oldest = self.entries.front();
        oldest.is_some_and(|entry| now.saturating_duration_since(entry.at) > JOURNAL_AGE_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(count: u64) -> (Journal, Instant) {
        let now = Instant::now();
        let mut journal = Journal::new("e1".into());
        for _ in 0..count {
            journal.append(Facts::default(), |seq| format!("line {seq}"), now);
        }
        (journal, now)
    }

    #[test]
    fn numbers_rise_by_one_from_one() {
        let (journal, _) = filled(3);
        let seqs: Vec<u64> = journal.since(1, 10).unwrap().map(|entry| entry.seq).collect();
        assert_eq!(seqs, vec![1, 2, 3]);
        assert_eq!(journal.last_seq(), 3);
    }

    #[test]
    fn a_cursor_is_kept_too_old_or_of_another_epoch() {
        let (mut journal, now) = filled(3);
        assert_eq!(journal.locate("e1", 3), Cursor::Kept);
        assert_eq!(journal.locate("e1", 0), Cursor::Kept);
        assert_eq!(journal.locate("e1", 4), Cursor::EpochChanged);
        assert_eq!(journal.locate("e0", 2), Cursor::EpochChanged);
        let later = now + JOURNAL_AGE_MAX + Duration::from_secs(1);
        journal.append(Facts::default(), |seq| format!("line {seq}"), later);
        assert_eq!(journal.locate("e1", 2), Cursor::TooOld);
        assert_eq!(journal.locate("e1", 3), Cursor::Kept);
        assert!(journal.since(2, 10).is_none());
    }

    #[test]
    fn bytes_are_bounded() {
        let now = Instant::now();
        let mut journal = Journal::new("e1".into());
        let line = "x".repeat(JOURNAL_BYTES_MAX / 4);
        for _ in 0..9 {
            journal.append(Facts::default(), |_| line.clone(), now);
        }
        assert!(journal.bytes() <= JOURNAL_BYTES_MAX + line.len());
        assert_eq!(journal.locate("e1", 1), Cursor::TooOld);
        assert_eq!(journal.last_seq(), 9);
    }
}
