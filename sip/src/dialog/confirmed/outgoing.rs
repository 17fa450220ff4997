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
        offer: Offer,
        not_before: Instant,
        tries: u8,
    },
    /// It is sent.
    Pending { offer: Offer, tries: u8, then: Then },
}

/// What a re-INVITE carries, and who hears of its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Offer {
    pub sdp: Bytes,
    pub intent: Intent,
}

/// Why it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Intent {
    /// The owner changes the session.
    Change,
    /// Nothing changes: the session is kept alive (RFC 4028 §7.4).
    Refresh,
}

/// What follows the INVITE under way.
#[derive(Debug)]
pub(super) enum Then {
    /// Nothing.
    Rest,
    /// A newer offer.
    Offer(Offer),
}

impl Outgoing {
    /// Takes an offer; a newer one replaces one that has not been sent.
    pub(super) fn want(&mut self, offer: Offer, now: Instant) {
        match self {
            Outgoing::Idle => {
                *self = Outgoing::Waiting {
                    offer,
                    not_before: now,
                    tries: 0,
                }
            }
            Outgoing::Waiting { offer: waiting, .. } => *waiting = offer,
            Outgoing::Pending { then, .. } => *then = Then::Offer(offer),
        }
    }

    /// The offer to send now.
    pub(super) fn start(&mut self, now: Instant) -> Option<Bytes> {
        let Outgoing::Waiting {
            offer,
            not_before,
            tries,
        } = self
        else {
            return None;
        };
        if now < *not_before {
            return None;
        }
        let (offer, tries) = (offer.clone(), *tries + 1);
        let sdp = offer.sdp.clone();
        *self = Outgoing::Pending {
            offer,
            tries,
            then: Then::Rest,
        };
        Some(sdp)
    }

    /// It met the peer's: waits until `at` with the newest offer. False after too many tries.
    pub(super) fn retry_later(&mut self, at: Instant) -> bool {
        let Outgoing::Pending { offer, tries, then } = self else {
            return false;
        };
        if *tries >= GLARE_TRIES_MAX {
            return false;
        }
        let offer = match then {
            Then::Rest => offer.clone(),
            Then::Offer(newer) => newer.clone(),
        };
        *self = Outgoing::Waiting {
            offer,
            not_before: at,
            tries: *tries,
        };
        true
    }

    /// It has its final response; a newer offer is next. The offer that it was about.
    pub(super) fn settle(&mut self, now: Instant) -> Option<Offer> {
        let Outgoing::Pending { offer, then, .. } = std::mem::replace(self, Outgoing::Idle) else {
            return None;
        };
        if let Then::Offer(newer) = then {
            self.want(newer, now);
        }
        Some(offer)
    }

    /// True when no offer is wanted or under way.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self, Outgoing::Idle)
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
