//! How often each nonce was used: a count that does not go up is a replay (RFC 7616 §3.4, `nc`).
//!
//! Keeps only nonces that came with a right answer, at most [`NONCES_MAX`]. When full the oldest goes, and
//! every nonce made until then counts as too old from there on: forgetting never lets a replay through.
//! Must not know realms or users.

use std::collections::BTreeMap;

use super::nonce::Nonce;

/// The nonces in use.
#[derive(Debug, Default)]
pub(super) struct NonceUses {
    counts: BTreeMap<Nonce, u32>,
    /// Nonces made before this are too old, milliseconds.
    floor_ms: u64,
}

/// What a nonce's count says.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// Higher than any before.
    Fresh,
    /// Seen already, or overtaken.
    Repeated,
    /// The nonce is too old to tell.
    TooOld,
}

/// Nonces in use at once. Ours: one a phone and five minutes, for six times the users of a large instance.
pub(super) const NONCES_MAX: usize = 65_536;

impl NonceUses {
    /// Notes a use of a nonce that is valid for so long, both in milliseconds.
    pub fn note(&mut self, nonce: Nonce, count: u32, now_ms: u64, life_ms: u64) -> Use {
        self.forget_before(now_ms.saturating_sub(life_ms));
        if nonce.issued_ms < self.floor_ms {
            return Use::TooOld;
        }
        if let Some(last) = self.counts.get_mut(&nonce) {
            if count <= *last {
                return Use::Repeated;
            }
            *last = count;
            return Use::Fresh;
        }
        if self.counts.len() >= NONCES_MAX
            && let Some((oldest, _)) = self.counts.pop_first()
        {
            self.floor_ms = oldest.issued_ms + 1;
            if nonce.issued_ms < self.floor_ms {
                return Use::TooOld;
            }
        }
        self.counts.insert(nonce, count);
        Use::Fresh
    }

    fn forget_before(&mut self, floor_ms: u64) {
        self.floor_ms = self.floor_ms.max(floor_ms);
        while let Some(first) = self.counts.first_entry() {
            if first.key().issued_ms >= self.floor_ms {
                break;
            }
            first.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE_MS: u64 = 300_000;

    fn nonce(issued_ms: u64, unique: u64) -> Nonce {
        Nonce { issued_ms, unique }
    }

    #[test]
    fn a_count_must_go_up() {
        let mut uses = NonceUses::default();
        let mut note = |nonce, count| uses.note(nonce, count, 1_000, LIFE_MS);
        assert_eq!(note(nonce(1_000, 1), 1), Use::Fresh);
        assert_eq!(note(nonce(1_000, 1), 1), Use::Repeated);
        assert_eq!(note(nonce(1_000, 1), 5), Use::Fresh);
        assert_eq!(note(nonce(1_000, 1), 4), Use::Repeated);
        assert_eq!(note(nonce(1_000, 2), 1), Use::Fresh);
    }

    #[test]
    fn what_is_forgotten_is_too_old() {
        let mut uses = NonceUses::default();
        assert_eq!(uses.note(nonce(1_000, 1), 1, 1_000, LIFE_MS), Use::Fresh);
        assert_eq!(uses.note(nonce(400_000, 1), 1, 400_000, LIFE_MS), Use::Fresh);
        assert_eq!(uses.counts.len(), 1);
        assert_eq!(uses.note(nonce(1_000, 1), 2, 400_000, LIFE_MS), Use::TooOld);
    }

    #[test]
    fn a_full_table_gives_up_its_oldest_and_lets_none_of_its_age_in_again() {
        let mut uses = NonceUses::default();
        for issued in 0..NONCES_MAX as u64 {
            assert_eq!(uses.note(nonce(issued, 0), 1, 70_000, LIFE_MS), Use::Fresh);
        }
        assert_eq!(uses.note(nonce(70_000, 0), 1, 70_000, LIFE_MS), Use::Fresh);
        assert_eq!(uses.counts.len(), NONCES_MAX);
        assert_eq!(uses.note(nonce(0, 0), 2, 70_000, LIFE_MS), Use::TooOld);
        assert_eq!(uses.note(nonce(0, 9), 1, 70_000, LIFE_MS), Use::TooOld);
        assert_eq!(uses.note(nonce(1, 0), 1, 70_000, LIFE_MS), Use::Repeated);
    }
}
