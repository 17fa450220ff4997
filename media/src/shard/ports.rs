//! Port pairs of one shard: free, used, or resting after use; never two of these.
//!
//! Knows nothing of sockets: it only says which numbers to try.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::rng::Rng;

/// How long a closed pair rests before it is used again, so that late packets of the old call find a
/// closed port and not the next call. Twice the longest sensible jitter plus a peer's slow BYE.
pub const QUARANTINE: Duration = Duration::from_secs(5);

/// The even port of a pair: RTP here, RTCP one higher (RFC 3550 §11).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RtpPort(pub u16);

/// The pairs of one shard.
#[derive(Debug)]
pub struct Ports {
    free: Vec<RtpPort>,
    used: usize,
    resting: VecDeque<(Instant, RtpPort)>,
    total: usize,
}

impl Ports {
    /// All even ports of `first..=last` whose odd neighbour also lies inside.
    pub fn new(first: u16, last: u16) -> Self {
        let even = first.saturating_add(first % 2);
        let free: Vec<_> = (even..=last)
            .step_by(2)
            .filter(|port| *port < last)
            .map(RtpPort)
            .collect();
        let total = free.len();
        Self {
            free,
            used: 0,
            resting: VecDeque::with_capacity(total),
            total,
        }
    }

    /// Takes a random free pair (unguessable ports are a part of docs/threats.md A1).
    pub fn take(&mut self, rng: &mut Rng, now: Instant) -> Option<RtpPort> {
        self.release_rested(now);
        if self.free.is_empty() {
            return None;
        }
        let port = self.free.swap_remove(rng.below(self.free.len() as u64) as usize);
        self.used += 1;
        debug_assert!(self.is_consistent());
        Some(port)
    }

    /// Ends the use of a pair; it rests.
    pub fn give(&mut self, port: RtpPort, now: Instant) {
        debug_assert!(self.used > 0, "only a used pair is given back");
        self.used = self.used.saturating_sub(1);
        self.resting.push_back((now + QUARANTINE, port));
        debug_assert!(self.is_consistent());
    }

    /// Pairs in use.
    pub fn used(&self) -> usize {
        self.used
    }

    /// Pairs that could be taken at `now`.
    pub fn available(&self, now: Instant) -> usize {
        self.free.len() + self.resting.iter().take_while(|(until, _)| *until <= now).count()
    }

    fn release_rested(&mut self, now: Instant) {
        while let Some((until, port)) = self.resting.front().copied() {
            if until > now {
                break;
            }
            self.resting.pop_front();
            self.free.push(port);
        }
    }

    fn is_consistent(&self) -> bool {
        self.free.len() + self.used + self.resting.len() == self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_even_ports_with_their_odd_neighbour_inside() {
        let (now, mut rng) = (Instant::now(), Rng::new(1));
        let mut ports = Ports::new(20_001, 20_006);
        let mut got: Vec<_> = std::iter::from_fn(|| ports.take(&mut rng, now))
            .map(|port| port.0)
            .collect();
        got.sort_unstable();
        assert_eq!(got, [20_002, 20_004]);
    }

    #[test]
    fn a_closed_pair_rests_before_it_is_used_again() {
        let (now, mut rng) = (Instant::now(), Rng::new(1));
        let mut ports = Ports::new(20_000, 20_001);
        let port = ports.take(&mut rng, now).unwrap();
        ports.give(port, now);
        assert_eq!(
            ports.take(&mut rng, now + QUARANTINE - Duration::from_millis(1)),
            None
        );
        assert_eq!(ports.take(&mut rng, now + QUARANTINE), Some(port));
    }

    #[test]
    fn the_top_of_the_range_does_not_overflow() {
        let (now, mut rng) = (Instant::now(), Rng::new(1));
        let mut ports = Ports::new(65_533, 65_535);
        assert_eq!(ports.take(&mut rng, now), Some(RtpPort(65_534)));
        assert_eq!(ports.take(&mut rng, now), None);
    }
}
