//! Whose packets a stream takes, and where it sends (docs/threats.md A1, A2, F3).
//!
//! Strict: only the agreed address and port. Address: the agreed port at once, else the first steady port of the
//! agreed address; then only that one, until signalled anew. NAT: the agreed one at once, else the first steady
//! source inside the networks; then only that one, until signalled anew. Two may still take its place: the agreed
//! address, once it is steady, and after a silence whoever goes on with the stream's own SSRC and numbers. Knows
//! nothing of payloads or codecs.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::command::{Network, SourceRule};
use crate::rtp::{SeqNo, Ssrc};

/// In-sequence packets of one SSRC that make a source steady. docs/threats.md F3.
pub const STEADY_PACKETS: u32 = 5;

/// Silence of the locked source before another may take its place: five packets of 20 ms.
pub const SOURCE_SILENCE: Duration = Duration::from_millis(100);

/// Numbers that a source which moved may have lost on the way: two seconds at 20 ms.
pub const MOVED_GAP: i16 = 100;

/// The rule of one stream and what it has learned.
#[derive(Debug)]
pub struct Latch {
    remote: Option<SocketAddr>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Only `remote`.
    Strict,
    /// Any port of the agreed address, until one is steady.
    Ports { candidate: Option<Candidate> },
    /// That one only.
    Fixed { source: SocketAddr },
    /// No source yet.
    Open {
        networks: Vec<Network>,
        candidate: Option<Candidate>,
    },
    /// One source.
    Locked {
        networks: Vec<Network>,
        source: SocketAddr,
        /// What it sent last, and when.
        ssrc: Ssrc,
        last: SeqNo,
        heard_at: Instant,
        candidate: Option<Candidate>,
    },
}

/// A source that is on its way to be steady.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    source: SocketAddr,
    ssrc: Ssrc,
    last: SeqNo,
    packets: u32,
}

impl Latch {
    /// Forgets what was learned; the rule holds from here.
    pub fn new(rule: &SourceRule, remote: Option<SocketAddr>) -> Self {
        let state = match rule {
            SourceRule::Strict => State::Strict,
            SourceRule::Address => State::Ports { candidate: None },
            SourceRule::Nat(networks) => State::Open {
                networks: networks.clone(),
                candidate: None,
            },
        };
        Self {
            remote: remote.map(canonical),
            state,
        }
    }

    /// Whether this packet is taken.
    pub fn admits(&mut self, from: SocketAddr, ssrc: Ssrc, sequence: SeqNo, now: Instant) -> bool {
        let from = canonical(from);
        if !self.may_admit(from) {
            return false;
        }
        match &mut self.state {
            State::Strict | State::Fixed { .. } => true,
            State::Ports { candidate } | State::Open { candidate, .. } => {
                let packets = Candidate::count(candidate, from, ssrc, sequence);
                if self.remote != Some(from) && packets < STEADY_PACKETS {
                    return false;
                }
                self.lock(from, ssrc, sequence, now);
                true
            }
            State::Locked {
                source,
                ssrc: its_ssrc,
                last,
                heard_at,
                candidate,
                ..
            } => {
                if *source == from {
                    if *its_ssrc != ssrc || sequence.since(*last) > 0 {
                        (*its_ssrc, *last) = (ssrc, sequence);
                    }
                    *heard_at = now;
                    return true;
                }
                let is_agreed = self.remote == Some(from);
                // Who only knows our port knows neither (RFC 3550 §8.1: both are random).
                let goes_on = *its_ssrc == ssrc && (1..=MOVED_GAP).contains(&sequence.since(*last));
                if !(is_agreed || goes_on) {
                    return false;
                }
                let steady = Candidate::count(candidate, from, ssrc, sequence) >= STEADY_PACKETS;
                let silent = now.saturating_duration_since(*heard_at) >= SOURCE_SILENCE;
                if !steady || !(is_agreed || silent) {
                    return false;
                }
                self.lock(from, ssrc, sequence, now);
                true
            }
        }
    }

    /// Whether a packet of this source could be taken, whatever its SSRC and number. Learns nothing.
    pub fn may_admit(&self, from: SocketAddr) -> bool {
        let from = canonical(from);
        match &self.state {
            State::Strict => self.remote == Some(from),
            State::Ports { .. } => self.remote.is_some_and(|remote| remote.ip() == from.ip()),
            State::Fixed { source } => *source == from,
            State::Open { networks, .. } => is_inside(networks, from),
            State::Locked { networks, source, .. } => *source == from || is_inside(networks, from),
        }
    }

    /// Whether an RTCP packet of this source may be read: the agreed one, or in NAT mode the host of the
    /// locked source. RTCP never moves the lock.
    pub fn admits_rtcp(&self, from: SocketAddr, remote_rtcp: Option<SocketAddr>) -> bool {
        let from = canonical(from);
        match &self.state {
            State::Strict => remote_rtcp.map(canonical) == Some(from),
            State::Ports { .. } | State::Open { .. } => false,
            State::Fixed { source } | State::Locked { source, .. } => source.ip() == from.ip(),
        }
    }

    /// The one source taken until the next configuration, if the rule lets in no other whatever happens.
    pub fn only_source(&self) -> Option<SocketAddr> {
        match &self.state {
            State::Strict => self.remote,
            State::Fixed { source } => Some(*source),
            State::Ports { .. } | State::Open { .. } | State::Locked { .. } => None,
        }
    }

    /// Where RTP is sent: the learned source, or the agreed address.
    pub fn destination(&self) -> Option<SocketAddr> {
        match &self.state {
            State::Strict | State::Ports { .. } | State::Open { .. } => self.remote,
            State::Fixed { source } | State::Locked { source, .. } => Some(*source),
        }
    }

    fn lock(&mut self, source: SocketAddr, ssrc: Ssrc, last: SeqNo, now: Instant) {
        let networks = match &mut self.state {
            State::Strict | State::Fixed { .. } => return,
            State::Ports { .. } => return self.state = State::Fixed { source },
            State::Open { networks, .. } | State::Locked { networks, .. } => std::mem::take(networks),
        };
        self.state = State::Locked {
            networks,
            source,
            ssrc,
            last,
            heard_at: now,
            candidate: None,
        };
    }
}

impl Candidate {
    fn count(candidate: &mut Option<Candidate>, source: SocketAddr, ssrc: Ssrc, sequence: SeqNo) -> u32 {
        let packets = match candidate {
            Some(known) if known.source == source && known.ssrc == ssrc && known.last.next() == sequence => {
                known.packets + 1
            }
            Some(_) | None => 1,
        };
        *candidate = Some(Candidate {
            source,
            ssrc,
            last: sequence,
            packets,
        });
        packets
    }
}

fn is_inside(networks: &[Network], source: SocketAddr) -> bool {
    networks.iter().any(|network| network.contains(source.ip()))
}

/// IPv4 in IPv6 clothes is the same source.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    const REMOTE: &str = "127.0.0.2:4000";
    const OTHER: &str = "127.0.0.66:4000";
    const OUTSIDE: &str = "10.0.0.1:4000";

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn nat() -> Latch {
        let networks = vec![Network {
            address: "127.0.0.0".parse().unwrap(),
            prefix: 8,
        }];
        Latch::new(&SourceRule::Nat(networks), Some(at(REMOTE)))
    }

    fn feed(latch: &mut Latch, from: &str, first: u16, count: u16, start: Instant) -> Vec<bool> {
        let ms = |index: u16| Duration::from_millis(20 * u64::from(index));
        (0..count)
            .map(|index| latch.admits(at(from), Ssrc(7), SeqNo(first + index), start + ms(index)))
            .collect()
    }

    #[test]
    fn strict_takes_the_agreed_address_and_port_only() {
        let now = Instant::now();
        let mut latch = Latch::new(&SourceRule::Strict, Some(at(REMOTE)));
        assert!(latch.admits(at(REMOTE), Ssrc(1), SeqNo(1), now));
        assert!(latch.admits(at("[::ffff:127.0.0.2]:4000"), Ssrc(1), SeqNo(2), now));
        assert!(!latch.admits(at("127.0.0.2:4002"), Ssrc(1), SeqNo(3), now));
        assert_eq!(feed(&mut latch, OTHER, 0, 20, now), [false; 20]);
        assert_eq!(latch.destination(), Some(at(REMOTE)));
    }

    #[test]
    fn nat_takes_the_agreed_source_at_once() {
        let now = Instant::now();
        let mut latch = nat();
        assert_eq!(feed(&mut latch, REMOTE, 0, 2, now), [true; 2]);
        assert_eq!(latch.destination(), Some(at(REMOTE)));
    }

    #[test]
    fn nat_takes_another_source_once_it_is_steady_and_sends_there() {
        let now = Instant::now();
        let mut latch = nat();
        assert_eq!(feed(&mut latch, OTHER, 65_533, 0, now), []);
        assert_eq!(
            feed(&mut latch, OTHER, 10, 6, now),
            [false, false, false, false, true, true]
        );
        assert_eq!(latch.destination(), Some(at(OTHER)));
        assert_eq!(
            feed(&mut latch, OUTSIDE, 0, 20, now + Duration::from_secs(9)),
            [false; 20]
        );
    }

    #[test]
    fn address_takes_the_first_steady_port_of_the_agreed_address_and_then_no_other() {
        let now = Instant::now();
        let other_port = "127.0.0.2:4444";
        let mut latch = Latch::new(&SourceRule::Address, Some(at(REMOTE)));
        assert_eq!(feed(&mut latch, OTHER, 0, 20, now), [false; 20]);
        assert!(!latch.may_admit(at(OTHER)) && latch.may_admit(at(other_port)));
        let taken = feed(&mut latch, other_port, 10, 6, now);
        assert_eq!(taken, [false, false, false, false, true, true]);
        assert_eq!(latch.destination(), Some(at(other_port)));
        // However silent it is, neither the agreed port nor another one takes its place.
        let later = now + Duration::from_secs(9);
        for from in [REMOTE, "127.0.0.2:4446", OTHER] {
            assert_eq!(feed(&mut latch, from, 0, 20, later), [false; 20], "{from}");
        }
        assert!(latch.admits_rtcp(at("127.0.0.2:9"), None) && !latch.admits_rtcp(at(OTHER), None));

        let mut latch = Latch::new(&SourceRule::Address, Some(at(REMOTE)));
        assert_eq!(
            feed(&mut latch, REMOTE, 0, 2, now),
            [true; 2],
            "the agreed port at once"
        );
        assert_eq!(feed(&mut latch, other_port, 10, 20, later), [false; 20]);
        let mut latch = Latch::new(&SourceRule::Address, None);
        assert_eq!(feed(&mut latch, REMOTE, 0, 20, now), [false; 20]);
    }

    #[test]
    fn a_locked_source_is_not_moved_while_it_speaks() {
        let now = Instant::now();
        let mut latch = nat();
        for index in 0..50u16 {
            let at_ms = now + Duration::from_millis(20 * u64::from(index));
            assert!(latch.admits(at(REMOTE), Ssrc(1), SeqNo(index), at_ms));
            assert!(!latch.admits(at(OTHER), Ssrc(2), SeqNo(index), at_ms));
        }
    }

    #[test]
    fn a_source_that_moved_goes_on_with_its_ssrc_and_numbers_within_200_ms() {
        let now = Instant::now();
        let mut latch = nat();
        assert!(latch.admits(at(REMOTE), Ssrc(7), SeqNo(99), now));
        let taken = feed(&mut latch, OTHER, 100, 7, now + Duration::from_millis(20));
        assert_eq!(taken, [false, false, false, false, true, true, true]);
    }

    #[test]
    fn however_silent_the_source_nobody_takes_its_place_with_other_numbers() {
        let now = Instant::now();
        let mut latch = nat();
        assert!(latch.admits(at(REMOTE), Ssrc(7), SeqNo(99), now));
        let later = now + Duration::from_secs(9);
        assert_eq!(feed(&mut latch, OTHER, 300, 20, later), [false; 20], "numbers");
        assert_eq!(feed(&mut latch, OTHER, 60, 20, later), [false; 20], "old numbers");
        let mut latch = nat();
        assert!(latch.admits(at(REMOTE), Ssrc(8), SeqNo(99), now));
        assert_eq!(feed(&mut latch, OTHER, 100, 20, later), [false; 20], "ssrc");
        assert_eq!(latch.destination(), Some(at(REMOTE)));
    }

    #[test]
    fn the_agreed_address_takes_its_stream_back_from_whoever_was_first() {
        let now = Instant::now();
        let mut latch = nat();
        feed(&mut latch, OTHER, 10, 6, now);
        assert_eq!(latch.destination(), Some(at(OTHER)));
        let mut taken = Vec::new();
        for index in 0..8u16 {
            taken.push(latch.admits(at(REMOTE), Ssrc(9), SeqNo(500 + index), now));
            latch.admits(at(OTHER), Ssrc(7), SeqNo(16 + index), now);
        }
        assert_eq!(taken, [false, false, false, false, true, true, true, true]);
        assert_eq!(latch.destination(), Some(at(REMOTE)));
    }
}
