//! Idempotency: a command repeated with its key gets the stored reply and changes nothing.
//!
//! Keys belong to an app. Only successes are kept; a refusal frees its key. Commands finish within one
//! input here, so a key is never seen while its command still runs.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use crate::control::protocol::{Key, Name, ResultBody};

/// How long a reply is kept.
pub const REPLY_AGE_MAX: Duration = Duration::from_secs(600);
/// Replies kept at most, over all apps; beyond, the oldest go first.
pub const REPLIES_MAX: usize = 100_000;

/// A reply as it was given.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    digest: [u8; 32],
    /// Number of the last event of the command.
    pub seq: u64,
    /// Its result.
    pub body: ResultBody,
}

/// What a key is known for.
#[derive(Debug, PartialEq)]
pub enum Known<'a> {
    /// Nothing.
    No,
    /// The same command: this was its reply.
    Same(&'a Stored),
    /// Another command.
    Other,
}

/// Replies by app and key.
#[derive(Debug, Default)]
pub struct Replies {
    stored: BTreeMap<(Name, Key), Stored>,
    by_age: VecDeque<(Instant, (Name, Key))>,
}

impl Replies {
    /// What this key of this app is known for.
    pub fn find(&mut self, app: &Name, key: &Key, digest: &[u8; 32], now: Instant) -> Known<'_> {
        self.forget_old(now);
        match self.stored.get(&(app.clone(), key.clone())) {
            None => Known::No,
            Some(stored) if stored.digest == *digest => Known::Same(stored),
            Some(_) => Known::Other,
        }
    }

    /// Keeps a reply.
    pub fn keep(&mut self, app: Name, key: Key, digest: [u8; 32], seq: u64, body: ResultBody, now: Instant) {
        self.by_age.push_back((now, (app.clone(), key.clone())));
        self.stored.insert((app, key), Stored { digest, seq, body });
        self.forget_old(now);
    }

    fn forget_old(&mut self, now: Instant) {
        while let Some((at, name)) = self.by_age.front() {
            let is_old = now.saturating_duration_since(*at) >= REPLY_AGE_MAX;
            if !is_old && self.by_age.len() <= REPLIES_MAX {
                return;
            }
            self.stored.remove(name);
            self.by_age.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_known_for_ten_minutes_and_for_one_command() {
        let now = Instant::now();
        let (app, key) = (Name::from("default"), Key::new("k1").unwrap());
        let mut replies = Replies::default();
        replies.keep(app.clone(), key.clone(), [1; 32], 7, ResultBody::default(), now);
        assert!(matches!(replies.find(&app, &key, &[1; 32], now), Known::Same(stored) if stored.seq == 7));
        assert_eq!(replies.find(&app, &key, &[2; 32], now), Known::Other);
        assert_eq!(replies.find(&Name::from("other"), &key, &[1; 32], now), Known::No);
        assert_eq!(replies.find(&app, &key, &[1; 32], now + REPLY_AGE_MAX), Known::No);
        assert!(replies.stored.is_empty());
    }

    #[test]
    fn the_oldest_go_first_when_there_are_too_many() {
        let now = Instant::now();
        let mut replies = Replies::default();
        for number in 0..=REPLIES_MAX {
            let key = Key::new(&format!("k{number}")).unwrap();
            replies.keep(Name::from("a"), key, [0; 32], 0, ResultBody::default(), now);
        }
        assert_eq!(replies.stored.len(), REPLIES_MAX);
        assert_eq!(
            replies.find(&Name::from("a"), &Key::new("k0").unwrap(), &[0; 32], now),
            Known::No
        );
    }
}
