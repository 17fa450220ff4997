//! Two INVITEs that met: how long each side waits before it tries again (RFC 3261 §14.1).
//!
//! Knows nothing of messages.

use std::time::Duration;

use crate::rng::Rng;

/// Who made the Call-ID of a dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// We did.
    Us,
    /// The peer did.
    Peer,
}

impl Origin {
    /// The wait after 491: 2.1 to 4.0 s for the owner of the Call-ID, 0 to 2.0 s for the other side,
    /// in steps of 10 ms, so that the two never try again together.
    pub fn glare_wait(self, rng: &mut Rng) -> Duration {
        let steps = match self {
            Origin::Us => 210 + rng.below(191),
            Origin::Peer => rng.below(201),
        };
        Duration::from_millis(steps * 10)
    }
}

/// How often one offer is tried again after 491 before its owner hears of it. With the waits above two
/// honest sides meet again only by a slow network; ours.
pub const GLARE_TRIES_MAX: u8 = 8;

/// Seconds of Retry-After told to a second INVITE while the first is unanswered. RFC 3261 §14.2.
pub fn retry_after_s(rng: &mut Rng) -> u64 {
    rng.below(11)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_those_of_rfc_3261_14_1() {
        let mut rng = Rng::new([7; 32]);
        let (mut us, mut peer) = (vec![], vec![]);
        for _ in 0..5_000 {
            us.push(Origin::Us.glare_wait(&mut rng).as_millis());
            peer.push(Origin::Peer.glare_wait(&mut rng).as_millis());
        }
        assert_eq!((us.iter().min(), us.iter().max()), (Some(&2_100), Some(&4_000)));
        assert_eq!((peer.iter().min(), peer.iter().max()), (Some(&0), Some(&2_000)));
        assert!(us.iter().chain(&peer).all(|ms| ms % 10 == 0));
    }
}
