//! Whether the far side gets what is sent, as far as its reports show it (RFC 3550 §6.4).
//!
//! ```text
//! sent:     . . . . . . . . . . . . . . . . .
//! reports:      heard to 40   heard to 40       the same twice, and much was sent between: nothing gets there
//!               no block      no block          twice about nobody: nothing gets there
//! ```
//! A far side that never reports is taken to hear. Knows nothing of why nothing gets there.

use crate::rtp::rtcp::ReportBlock;

/// What the reports of one far side showed.
#[derive(Clone, Copy, Debug, Default)]
pub struct FarEar {
    /// Highest sequence number it told of.
    highest: Option<u32>,
    /// What was sent until its last report.
    sent_before: u64,
    /// Reports in a row that show that nothing got there; one that says so of a source it knows counts for two.
    misses: u32,
}

impl FarEar {
    /// A report came, with its block about us; so many packets were sent to it until now.
    pub fn handle_report(&mut self, block: Option<&ReportBlock>, sent: u64) {
        let sent_since = sent.saturating_sub(std::mem::replace(&mut self.sent_before, sent));
        match block {
            Some(block) => {
                let is_same = self.highest.replace(block.highest_seq) == Some(block.highest_seq);
                if !is_same {
                    self.misses = 0;
                } else if sent_since >= SENT_MIN {
                    self.misses = MISSES_MAX;
                }
            }
            None if sent_since >= SENT_MIN => self.misses = self.misses.saturating_add(1),
            None => {}
        }
    }

    /// Another far side, or the same with another agreement: nothing is known. So many packets were sent before.
    pub fn forget(&mut self, sent: u64) {
        *self = FarEar {
            sent_before: sent,
            ..FarEar::default()
        };
    }

    /// Whether nothing of what is sent gets there.
    pub fn is_deaf(&self) -> bool {
        self.misses >= MISSES_MAX
    }
}

/// Packets between two reports below which they show nothing: 1 s, far more than are on their way.
const SENT_MIN: u64 = 50;
/// Misses that count.
const MISSES_MAX: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::Ssrc;

    fn block(highest_seq: u32) -> ReportBlock {
        ReportBlock {
            ssrc: Ssrc(1),
            fraction_lost: 0,
            cumulative_lost: 0,
            highest_seq,
            jitter: 0,
            last_sr: 0,
            delay_since_last_sr: 0,
        }
    }

    /// After reports as (highest number told, packets sent until then).
    fn is_deaf_after(reports: &[(Option<u32>, u64)]) -> bool {
        let mut ear = FarEar::default();
        for (highest, sent) in reports {
            ear.handle_report(highest.map(block).as_ref(), *sent);
        }
        ear.is_deaf()
    }

    #[test]
    fn one_that_tells_of_nothing_new_while_much_was_sent_is_deaf() {
        assert!(!is_deaf_after(&[(Some(40), 60), (Some(290), 310)]));
        assert!(is_deaf_after(&[(Some(40), 60), (Some(40), 310)]));
        assert!(
            !is_deaf_after(&[(Some(40), 60), (Some(40), 80)]),
            "hardly anything was sent"
        );
        assert!(
            !is_deaf_after(&[(Some(40), 60), (Some(40), 310), (Some(400), 560)]),
            "hears again"
        );
    }

    #[test]
    fn one_that_tells_of_nobody_twice_is_deaf() {
        assert!(!is_deaf_after(&[(None, 250)]));
        assert!(is_deaf_after(&[(None, 250), (None, 500)]));
        assert!(is_deaf_after(&[(Some(40), 60), (None, 310), (None, 560)]));
        assert!(!is_deaf_after(&[(None, 0), (None, 10), (None, 20)]), "we hold");
        assert!(!is_deaf_after(&[(None, 250), (Some(400), 500), (None, 750)]));
    }

    #[test]
    fn another_agreement_forgets() {
        let mut ear = FarEar::default();
        for sent in [250, 500] {
            ear.handle_report(None, sent);
        }
        assert!(ear.is_deaf());
        ear.forget(500);
        assert!(!ear.is_deaf());
        ear.handle_report(None, 520);
        ear.handle_report(None, 540);
        assert!(!ear.is_deaf());
    }
}
