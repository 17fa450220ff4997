//! Our re-INVITE in a dialog that is up: wanted, under way, waiting out a glare.
//!
//! Must not know what is offered.

use std::time::Instant;

use bytes::Bytes;

use crate::dialog::glare::GLARE_TRIES_MAX;

/// At most one INVITE of ours, and the newest offer that waits behind it.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// None.
    Idle,
    /// An offer waits for its time, or for the peer's INVITE to end.
    Waiting {
        sdp: Bytes,
        not_before: Instant,
        tries: u8,
    },
    /// It is sent.
    Pending { sdp: Bytes, tries: u8, then: Then },
}

/// What follows the INVITE under way.
#[derive(Debug)]
pub(super) enum Then {
    /// Nothing.
    Rest,
    /// A newer offer.
    Offer(Bytes),
}

impl Outgoing {
    /// Takes an offer; a newer one replaces one that has not been sent.
    pub(super) fn want(&mut self, sdp: Bytes, now: Instant) {
        match self {
            Outgoing::Idle => {
                *self = Outgoing::Waiting {
                    sdp,
                    not_before: now,
                    tries: 0,
                }
            }
            Outgoing::Waiting { sdp: waiting, .. } => *waiting = sdp,
            Outgoing::Pending { then, .. } => *then = Then::Offer(sdp),
        }
    }

    /// The offer to send now.
    pub(super) fn start(&mut self, now: Instant) -> Option<Bytes> {
        let Outgoing::Waiting {
            sdp,
            not_before,
            tries,
        } = self
        else {
            return None;
        };
        if now < *not_before {
            return None;
        }
        let (sdp, tries) = (sdp.clone(), *tries + 1);
        *self = Outgoing::Pending {
            sdp: sdp.clone(),
            tries,
            then: Then::Rest,
        };
        Some(sdp)
    }

    /// It met the peer's: waits until `at` with the newest offer. False after too many tries.
    pub(super) fn retry_later(&mut self, at: Instant) -> bool {
        let Outgoing::Pending { sdp, tries, then } = self else {
            return false;
        };
        if *tries >= GLARE_TRIES_MAX {
            return false;
        }
        let sdp = match then {
            Then::Rest => sdp.clone(),
            Then::Offer(newer) => newer.clone(),
        };
        *self = Outgoing::Waiting {
            sdp,
            not_before: at,
            tries: *tries,
        };
        true
    }

    /// It has its final response; a newer offer is next.
    pub(super) fn settle(&mut self, now: Instant) {
        *self = match std::mem::replace(self, Outgoing::Idle) {
            Outgoing::Pending {
                then: Then::Offer(sdp),
                ..
            } => Outgoing::Waiting {
                sdp,
                not_before: now,
                tries: 0,
            },
            Outgoing::Idle | Outgoing::Waiting { .. } | Outgoing::Pending { .. } => Outgoing::Idle,
        };
    }

    /// True while it is under way.
    pub(super) fn is_pending(&self) -> bool {
        matches!(self, Outgoing::Pending { .. })
    }

    /// When it may be tried.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Outgoing::Waiting { not_before, .. } => Some(*not_before),
            Outgoing::Idle | Outgoing::Pending { .. } => None,
        }
    }
}
