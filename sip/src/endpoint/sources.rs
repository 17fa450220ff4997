//! How many messages each source may send: counted before one is read, so that a flood costs no state and
//! hardly any time (docs/threats.md: B14).
//!
//! A source's whole memory is the moment its allowance is full again; whoever is past that is forgotten, and
//! nothing is lost by it. Must not know messages.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::network::{Network, neighbourhood};

/// Word of the messages dropped here, for the metric's label.
pub const SOURCE_RATE: &str = "source_rate";

/// Sources that are counted at once, 2 MiB of memory; then the one that has used least gives way. Ours: more
/// peers than one instance is sized for.
pub const SOURCES_MAX: usize = 16_384;

/// Sources past their time that are forgotten with each message: more than one, so that the table shrinks.
const FORGOTTEN_AT_ONCE: usize = 2;

/// How many messages a source may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate {
    /// Messages a second, at least 1.
    pub per_second: u32,
    /// Messages that may come at once, at least 1.
    pub burst: u32,
}

impl Rate {
    /// Takes one message from an allowance that is whole again at `full_at`; when it is then. None: nothing is left.
    pub(super) fn take(self, full_at: Option<Instant>, now: Instant) -> Option<Instant> {
        let interval = Duration::from_secs(1) / self.per_second.max(1);
        let full_at = full_at.map_or(now, |full_at| full_at.max(now)) + interval;
        let is_left = full_at.saturating_duration_since(now) <= interval.saturating_mul(self.burst.max(1));
        is_left.then_some(full_at)
    }
}

/// The sources heard of late.
#[derive(Debug, Default)]
pub(super) struct Sources {
    rates: Vec<(Network, Rate)>,
    /// When the allowance of each is full again.
    full_at: BTreeMap<IpAddr, Instant>,
    /// The same, in order of time.
    by_time: BTreeSet<(Instant, IpAddr)>,
}

impl Sources {
    pub fn set_rates(&mut self, rates: Vec<(Network, Rate)>) {
        self.rates = rates;
    }

    /// Whether one more message of a source is read. An IPv6 network of 64 bits is one source.
    pub fn admits(&mut self, source: IpAddr, now: Instant) -> bool {
        let Some(rate) = self.rate_of(source) else {
            return true;
        };
        self.forget_past(now);
        let source = neighbourhood(source);
        let before = self.full_at.get(&source).copied();
        let Some(full_at) = rate.take(before, now) else {
            return false;
        };
        match before {
            Some(before) => drop(self.by_time.remove(&(before, source))),
            None => self.make_room(),
        }
        self.full_at.insert(source, full_at);
        self.by_time.insert((full_at, source));
        true
    }

    /// How many are counted.
    pub fn len(&self) -> usize {
        self.full_at.len()
    }

    /// That of the longest prefix around it, and of several the highest.
    fn rate_of(&self, source: IpAddr) -> Option<Rate> {
        let around = self.rates.iter().filter(|(network, _)| network.contains(source));
        around
            .max_by_key(|(network, rate)| (network.prefix_bits(), *rate))
            .map(|(_, rate)| *rate)
    }

    fn forget_past(&mut self, now: Instant) {
        for _ in 0..FORGOTTEN_AT_ONCE {
            match self.by_time.first() {
                Some((full_at, _)) if *full_at <= now => self.forget_first(),
                Some(_) | None => return,
            }
        }
    }

    fn make_room(&mut self) {
        if self.full_at.len() >= SOURCES_MAX {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        if let Some((_, source)) = self.by_time.pop_first() {
            self.full_at.remove(&source);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(rates: &[(&str, u32, u32)]) -> Sources {
        let mut sources = Sources::default();
        let rates = rates.iter().map(|(network, per_second, burst)| {
            let (per_second, burst) = (*per_second, *burst);
            (network.parse().unwrap(), Rate { per_second, burst })
        });
        sources.set_rates(rates.collect());
        sources
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let (mut sources, start) = (sources(&[("192.0.2.0/24", 10, 5)]), Instant::now());
        let passed = |sources: &mut Sources, now| {
            let asked = std::iter::repeat_with(|| sources.admits(ip("192.0.2.1"), now)).take(20);
            asked.filter(|passes| *passes).count()
        };
        assert_eq!(passed(&mut sources, start), 5);
        assert_eq!(passed(&mut sources, start + Duration::from_millis(99)), 0);
        assert_eq!(passed(&mut sources, start + Duration::from_millis(300)), 3);
        assert_eq!(passed(&mut sources, start + Duration::from_secs(60)), 5);
        assert!(sources.admits(ip("192.0.2.2"), start + Duration::from_secs(60)));
    }

    #[test]
    fn the_longest_prefix_decides_and_ipv6_neighbours_are_one() {
        let rates = [
            ("2001:db8::/32", 1, 2),
            ("2001:db8::/64", 1, 1),
            ("192.0.2.1", 1, 1),
        ];
        let (mut sources, now) = (sources(&rates), Instant::now());
        assert!(sources.admits(ip("2001:db8::1"), now));
        assert!(!sources.admits(ip("2001:db8::2"), now));
        assert!(sources.admits(ip("2001:db8:1::1"), now));
        assert!(sources.admits(ip("2001:db8:1::2"), now));
        assert!(!sources.admits(ip("2001:db8:1::3"), now));
        assert!(sources.admits(ip("192.0.2.1"), now));
        assert!(!sources.admits(ip("::ffff:192.0.2.1"), now), "mapped is the same");
        for _ in 0..3 {
            assert!(sources.admits(ip("198.51.100.1"), now), "no rate, no limit");
        }
    }

    #[test]
    fn the_table_is_bounded_and_empties_itself() {
        let (mut sources, start) = (sources(&[("0.0.0.0/0", 1, 2)]), Instant::now());
        let number = |number: u32| IpAddr::V4(std::net::Ipv4Addr::from_bits(number));
        let greedy = ip("203.0.113.1");
        assert!(sources.admits(greedy, start) && sources.admits(greedy, start));
        for one in 0..2 * SOURCES_MAX as u32 {
            assert!(sources.admits(number(one), start));
        }
        assert_eq!(sources.len(), SOURCES_MAX);
        assert!(
            !sources.admits(greedy, start),
            "who has used most is forgotten last"
        );
        let later = start + Duration::from_secs(3);
        for _ in 0..SOURCES_MAX {
            let _ = sources.admits(greedy, later);
        }
        assert_eq!((sources.len(), sources.by_time.len()), (1, 1));
    }
}
