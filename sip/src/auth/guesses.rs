//! Wrong answers by address: who guesses passwords is let guess slowly (docs/threats.md: B23).
//!
//! Only answers over a nonce of ours count. A nonce is made for one address, so nobody can use up the
//! guesses of another by forging his packets. Must not know users.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::network::neighbourhood;

/// Wrong answers of the last while, by address; an IPv6 network of 64 bits counts as one.
#[derive(Debug, Default)]
pub(super) struct Guesses {
    by_source: BTreeMap<IpAddr, Count>,
}

#[derive(Debug)]
struct Count {
    wrong: u32,
    /// When it begins anew.
    until: Instant,
}

/// Wrong answers of one address in [`GUESS_WINDOW`] until no further one is looked at. Ours: an office
/// behind one address may have some phones with an old password.
pub const GUESSES_MAX: u32 = 60;
/// How long wrong answers count.
pub const GUESS_WINDOW: Duration = Duration::from_secs(60);
/// Addresses that are watched at once; then the count that ends first gives way.
pub const GUESSERS_MAX: usize = 4_096;

impl Guesses {
    /// True when this address has no guess left.
    pub fn are_used_up(&self, source: IpAddr, now: Instant) -> bool {
        let count = self.by_source.get(&neighbourhood(source));
        count.is_some_and(|count| count.until > now && count.wrong >= GUESSES_MAX)
    }

    /// A wrong answer.
    pub fn note(&mut self, source: IpAddr, now: Instant) {
        let source = neighbourhood(source);
        if !self.by_source.contains_key(&source) && self.by_source.len() >= GUESSERS_MAX {
            self.by_source.retain(|_, count| count.until > now);
            self.give_way();
        }
        let fresh = Count {
            wrong: 0,
            until: now + GUESS_WINDOW,
        };
        let count = self.by_source.entry(source).or_insert(fresh);
        if count.until <= now {
            (count.wrong, count.until) = (0, now + GUESS_WINDOW);
        }
        count.wrong = count.wrong.saturating_add(1);
    }

    fn give_way(&mut self) {
        if self.by_source.len() < GUESSERS_MAX {
            return;
        }
        let first = self.by_source.iter().min_by_key(|(_, count)| count.until);
        if let Some(source) = first.map(|(source, _)| *source) {
            self.by_source.remove(&source);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guesses_come_back_after_the_window() {
        let (mut guesses, start) = (Guesses::default(), Instant::now());
        let source = "2001:db8::1".parse().unwrap();
        for _ in 0..GUESSES_MAX {
            assert!(!guesses.are_used_up(source, start));
            guesses.note(source, start);
        }
        assert!(guesses.are_used_up(source, start));
        assert!(guesses.are_used_up("2001:db8::2".parse().unwrap(), start));
        assert!(!guesses.are_used_up("2001:db8:0:1::1".parse().unwrap(), start));
        let later = start + GUESS_WINDOW;
        assert!(!guesses.are_used_up(source, later));
        guesses.note(source, later);
        assert!(!guesses.are_used_up(source, later));
    }

    #[test]
    fn the_table_is_bounded() {
        let (mut guesses, start) = (Guesses::default(), Instant::now());
        for number in 0..=GUESSERS_MAX as u32 {
            let source = IpAddr::V4(std::net::Ipv4Addr::from_bits(number));
            guesses.note(source, start + Duration::from_millis(number.into()));
        }
        assert_eq!(guesses.by_source.len(), GUESSERS_MAX);
        assert!(
            !guesses
                .by_source
                .contains_key(&"0.0.0.0".parse::<IpAddr>().unwrap())
        );
    }
}
