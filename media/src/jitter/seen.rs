//! Tells copies of a packet from its first arrival. Knows nothing of time.

use crate::rtp::ExtendedSeq;

/// Which of the last 64 sequence numbers came.
#[derive(Clone, Copy, Default)]
pub(super) struct Seen {
    highest: u64,
    /// Bit n: `highest` − n came.
    bits: u64,
}

impl Seen {
    /// Notes a number and says whether it came for the first time.
    pub fn is_first(&mut self, seq: ExtendedSeq) -> bool {
        if seq.0 > self.highest {
            let ahead = seq.0 - self.highest;
            self.bits = u32::try_from(ahead)
                .ok()
                .and_then(|by| self.bits.checked_shl(by))
                .unwrap_or(0)
                | 1;
            self.highest = seq.0;
            return true;
        }
        // Older than the window: too late to be played, so whether it is a copy does not matter.
        let back = self.highest - seq.0;
        let bit = u32::try_from(back)
            .ok()
            .and_then(|by| 1u64.checked_shl(by))
            .unwrap_or(0);
        let is_first = self.bits & bit == 0;
        self.bits |= bit;
        is_first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_told_within_sixty_four_numbers() {
        let mut seen = Seen::default();
        let at = |n: u64| ExtendedSeq(70_000 + n);
        assert!(seen.is_first(at(0)));
        assert!(!seen.is_first(at(0)));
        assert!(seen.is_first(at(63)));
        assert!(!seen.is_first(at(0)));
        assert!(seen.is_first(at(5)));
        assert!(!seen.is_first(at(5)));
        assert!(seen.is_first(at(1_000_000)));
        assert!(!seen.is_first(at(1_000_000)));
    }

    #[test]
    fn older_numbers_pass_as_new() {
        let mut seen = Seen::default();
        seen.is_first(ExtendedSeq(70_064));
        assert!(seen.is_first(ExtendedSeq(70_000)));
        assert!(seen.is_first(ExtendedSeq(70_000)));
    }
}
