//! When a stream's source is settled, so that its socket need hear no other.
//!
//! Only where the rule itself lets no other source in until the next configuration (`Strict`, and `Address` once its
//! port is learned). Behind NAT a source may move at any moment, and a connected socket would be deaf to it. Knows
//! nothing of sockets.

use std::net::SocketAddr;

/// Packets of the one right source that settle it: a second at 20 ms.
pub const SETTLED_PACKETS: u32 = 50;

/// How far the settling of one stream has come.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settling {
    packets: u32,
    source: Option<SocketAddr>,
}

impl Settling {
    /// A packet was taken in while `only` was the one source that the rule lets in. Gives it when it has settled,
    /// once.
    #[inline]
    pub fn note(&mut self, only: impl FnOnce() -> Option<SocketAddr>) -> Option<SocketAddr> {
        if self.source.is_some() {
            return None;
        }
        let Some(only) = only() else {
            self.packets = 0;
            return None;
        };
        self.packets += 1;
        if self.packets < SETTLED_PACKETS {
            return None;
        }
        self.source = Some(only);
        self.source
    }

    /// Begins anew unless `only` is still the one source; whether it was settled.
    pub fn keep(&mut self, only: Option<SocketAddr>) -> bool {
        let lost = self.source.is_some() && self.source != only;
        if self.source != only {
            *self = Self::default();
        }
        lost
    }

    /// Begins anew; whether it was settled.
    pub fn reset(&mut self) -> bool {
        std::mem::take(self).source.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_settles_once_and_begins_anew_with_another() {
        let (one, other) = ("192.0.2.1:4000".parse().ok(), "192.0.2.2:4000".parse().ok());
        let mut settling = Settling::default();
        let settled = |settling: &mut Settling, only: Option<SocketAddr>| {
            (1..=3 * SETTLED_PACKETS)
                .filter_map(|number| settling.note(|| only).map(|source| (number, source)))
                .collect::<Vec<_>>()
        };
        assert_eq!(settled(&mut settling, None), []);
        assert_eq!(settled(&mut settling, one), [(SETTLED_PACKETS, one.unwrap())]);
        assert!(!settling.keep(one));
        assert_eq!(settled(&mut settling, one), []);
        assert!(settling.keep(other));
        assert_eq!(settled(&mut settling, other), [(SETTLED_PACKETS, other.unwrap())]);
        assert!(settling.reset() && !settling.reset());
        assert_eq!(settled(&mut settling, other).len(), 1);
    }

    #[test]
    fn a_source_that_may_still_move_starts_the_count_again() {
        let one: Option<SocketAddr> = "192.0.2.1:4000".parse().ok();
        let mut settling = Settling::default();
        for _ in 0..10 {
            assert!((1..SETTLED_PACKETS).all(|_| settling.note(|| one).is_none()));
            assert_eq!(settling.note(|| None), None);
        }
    }
}
