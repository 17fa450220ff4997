//! What DNS said, by its time to live: answers, negative ones, and stale ones while DNS is away.
//!
//! Says which questions are due; asks none itself. Time is an argument. Must not know what the names are for.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::target::{Question, Record};

/// Questions remembered at once (docs/threats.md: B29); further ones get no answer.
pub const QUESTIONS_MAX: usize = 1024;
/// Records kept of one answer; the rest is cut.
pub const RECORDS_MAX: usize = 64;
/// Shortest time an answer is believed, so that a time to live of 0 is no storm of questions.
pub const TTL_MIN: Duration = Duration::from_secs(1);
/// Longest time an answer is believed.
pub const TTL_MAX: Duration = Duration::from_secs(24 * 3600);
/// Longest time a negative answer is believed (RFC 2308 §5 leaves up to 3 h).
pub const NEGATIVE_TTL_MAX: Duration = Duration::from_secs(300);
/// How long after its end an answer is still used while DNS is away (RFC 8767 §5 has 1 to 3 days).
pub const STALE_MAX: Duration = Duration::from_secs(24 * 3600);
/// How soon a question that failed is asked again (RFC 8767 §5: 30 s at most often; here until one is known).
pub const RETRY: Duration = Duration::from_secs(5);
/// How long an answer may take before the question counts as failed.
pub const ANSWER_WAIT: Duration = Duration::from_secs(10);

/// What became of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Records, none of them where the name has none, and how long that holds.
    Known {
        /// The records.
        records: Vec<Record>,
        /// For so long.
        ttl: Duration,
    },
    /// No server answered, or with a failure.
    Failed,
}

/// Every question that anything rests on.
#[derive(Debug, Default)]
pub struct NameCache {
    entries: BTreeMap<Question, Entry>,
}

#[derive(Debug)]
struct Entry {
    known: Known,
    next: Next,
}

#[derive(Debug)]
enum Known {
    Nothing,
    /// Used until `stale_until`.
    Records {
        records: Vec<Record>,
        stale_until: Instant,
    },
}

#[derive(Clone, Copy, Debug)]
enum Next {
    AskAt(Instant),
    AnswerBy(Instant),
}

impl NameCache {
    /// Wants a question answered from now on; false where there is no room for it.
    pub fn want(&mut self, question: &Question, now: Instant) -> bool {
        if self.entries.contains_key(question) {
            return true;
        }
        if self.entries.len() >= QUESTIONS_MAX {
            return false;
        }
        let entry = Entry {
            known: Known::Nothing,
            next: Next::AskAt(now),
        };
        self.entries.insert(question.clone(), entry);
        true
    }

    /// Forgets every question but those that `is_wanted` holds.
    pub fn retain(&mut self, is_wanted: impl Fn(&Question) -> bool) {
        self.entries.retain(|question, _| is_wanted(question));
    }

    /// The records of a question, stale ones too; `None` where nothing is known.
    pub fn records(&self, question: &Question, now: Instant) -> Option<&[Record]> {
        match &self.entries.get(question)?.known {
            Known::Records { records, stale_until } if now < *stale_until => Some(records),
            Known::Records { .. } | Known::Nothing => None,
        }
    }

    /// Takes an answer. One to a question that nobody wants is dropped.
    pub fn handle_answer(&mut self, question: &Question, answer: Answer, now: Instant) {
        let Some(entry) = self.entries.get_mut(question) else {
            return;
        };
        match answer {
            Answer::Known { mut records, ttl } => {
                records.truncate(RECORDS_MAX);
                let longest = if records.is_empty() {
                    NEGATIVE_TTL_MAX
                } else {
                    TTL_MAX
                };
                let ttl = ttl.clamp(TTL_MIN, longest);
                // Asked again a little before its end, so that no dial finds it stale.
                entry.next = Next::AskAt(now + ttl - ttl / 10);
                entry.known = Known::Records {
                    records,
                    stale_until: now + ttl + STALE_MAX,
                };
            }
            Answer::Failed => entry.next = Next::AskAt(now + RETRY),
        }
    }

    /// The questions to ask now, each until it is answered or [`ANSWER_WAIT`] is over.
    pub fn take_due(&mut self, now: Instant) -> Vec<Question> {
        let mut due = Vec::new();
        for (question, entry) in &mut self.entries {
            match entry.next {
                Next::AskAt(at) if at <= now => {
                    entry.next = Next::AnswerBy(now + ANSWER_WAIT);
                    due.push(question.clone());
                }
                Next::AnswerBy(at) if at <= now => entry.next = Next::AskAt(now + RETRY),
                Next::AskAt(_) | Next::AnswerBy(_) => {}
            }
        }
        due
    }

    /// When [`NameCache::take_due`] has work.
    pub fn next_deadline(&self) -> Option<Instant> {
        let at = self.entries.values().map(|entry| match entry.next {
            Next::AskAt(at) | Next::AnswerBy(at) => at,
        });
        at.min()
    }

    /// Questions remembered.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True where nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::target::QuestionKind;

    fn question(name: &str) -> Question {
        Question {
            name: name.to_owned(),
            kind: QuestionKind::A,
        }
    }

    fn known(ttl_s: u64) -> Answer {
        Answer::Known {
            records: vec![Record::Address("192.0.2.1".parse().unwrap())],
            ttl: Duration::from_secs(ttl_s),
        }
    }

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn an_answer_is_asked_for_again_before_its_end() {
        let (mut cache, start, one) = (NameCache::default(), Instant::now(), question("a.example"));
        assert!(cache.want(&one, start));
        assert_eq!(cache.take_due(start), std::slice::from_ref(&one));
        assert_eq!(cache.take_due(start), []);
        cache.handle_answer(&one, known(100), start);
        assert_eq!(cache.next_deadline(), Some(start + s(90)));
        assert_eq!(cache.take_due(start + s(89)), []);
        assert_eq!(cache.take_due(start + s(90)), std::slice::from_ref(&one));
        assert_eq!(cache.records(&one, start + s(99)).map(<[_]>::len), Some(1));
    }

    #[test]
    fn a_stale_answer_is_used_while_dns_is_away() {
        let (mut cache, start, one) = (NameCache::default(), Instant::now(), question("a.example"));
        cache.want(&one, start);
        cache.take_due(start);
        cache.handle_answer(&one, known(1), start);
        let mut now = start + s(1);
        for _ in 0..20 {
            assert_eq!(cache.take_due(now), std::slice::from_ref(&one));
            cache.handle_answer(&one, Answer::Failed, now);
            assert_eq!(cache.records(&one, now).map(<[_]>::len), Some(1));
            now += RETRY;
        }
        assert_eq!(cache.records(&one, start + s(1) + STALE_MAX), None);
    }

    #[test]
    fn a_negative_answer_is_an_answer_and_does_not_last() {
        let (mut cache, start, one) = (NameCache::default(), Instant::now(), question("a.example"));
        cache.want(&one, start);
        cache.take_due(start);
        let nothing = Answer::Known {
            records: vec![],
            ttl: s(86_400),
        };
        cache.handle_answer(&one, nothing, start);
        assert_eq!(cache.records(&one, start), Some(&[][..]));
        assert_eq!(cache.next_deadline(), Some(start + s(270)));
    }

    #[test]
    fn a_resolver_that_says_nothing_is_asked_again() {
        let (mut cache, start, one) = (NameCache::default(), Instant::now(), question("a.example"));
        cache.want(&one, start);
        cache.take_due(start);
        assert_eq!(cache.take_due(start + ANSWER_WAIT), []);
        assert_eq!(cache.take_due(start + ANSWER_WAIT + RETRY), [one]);
    }

    #[test]
    fn a_time_to_live_of_nothing_is_no_storm() {
        let (mut cache, start, one) = (NameCache::default(), Instant::now(), question("a.example"));
        cache.want(&one, start);
        cache.take_due(start);
        cache.handle_answer(&one, known(0), start);
        assert_eq!(cache.next_deadline(), Some(start + Duration::from_millis(900)));
    }

    #[test]
    fn questions_and_records_are_bounded() {
        let (mut cache, now) = (NameCache::default(), Instant::now());
        for number in 0..QUESTIONS_MAX {
            assert!(cache.want(&question(&format!("{number}.example")), now));
        }
        assert!(!cache.want(&question("one.too.many"), now));
        let many = Answer::Known {
            records: vec![Record::Address("192.0.2.1".parse().unwrap()); 5000],
            ttl: s(60),
        };
        cache.handle_answer(&question("0.example"), many, now);
        assert_eq!(
            cache.records(&question("0.example"), now).map(<[_]>::len),
            Some(RECORDS_MAX)
        );
        cache.handle_answer(&question("stranger.example"), known(1), now);
        assert_eq!(cache.len(), QUESTIONS_MAX);
        cache.retain(|question| question.name == "0.example");
        assert_eq!(cache.len(), 1);
    }
}
