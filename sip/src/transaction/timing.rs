//! The timers of RFC 3261 table 4 and the retransmission schedule that three of them share.
//!
//! Knows nothing of messages.

use std::time::{Duration, Instant};

/// Round-trip estimate. RFC 3261 §17.1.1.1.
pub const T1: Duration = Duration::from_millis(500);
/// Longest gap between retransmissions of a non-INVITE request or a final INVITE response. §17.1.2.2.
pub const T2: Duration = Duration::from_secs(4);
/// Longest time a message stays in the network. §17.1.2.2.
pub const T4: Duration = Duration::from_secs(5);
/// 64·T1: how long anything is waited for. Timers B, F, H, J, L, M and the wait for ACK and after CANCEL.
pub const WAIT: Duration = Duration::from_secs(32);
/// Timer D: how long an INVITE client absorbs repeated final responses over UDP. §17.1.1.2.
pub const TIMER_D: Duration = Duration::from_secs(32);

/// Whether the transport repeats lost messages itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reliability {
    /// UDP: the transaction repeats, and lingers to absorb repeats.
    Unreliable,
    /// TCP: no repeats, no lingering.
    Reliable,
}

impl Reliability {
    /// The linger time of timers D, I, J and K: zero over a reliable transport.
    pub fn linger(self, unreliable: Duration) -> Duration {
        match self {
            Reliability::Unreliable => unreliable,
            Reliability::Reliable => Duration::ZERO,
        }
    }
}

/// A schedule of retransmissions with doubling gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resend {
    /// Over a reliable transport nothing is repeated.
    Never,
    /// The next repeat and the gap that led to it.
    Due {
        /// When.
        at: Instant,
        /// The gap; the next one is twice as long, up to the cap.
        after: Duration,
    },
}

impl Resend {
    /// Starts with a gap of T1 over UDP.
    pub fn start(reliability: Reliability, now: Instant) -> Self {
        match reliability {
            Reliability::Unreliable => Resend::every(T1, now),
            Reliability::Reliable => Resend::Never,
        }
    }

    /// Starts with a gap of T1 whatever the transport: a 2xx to INVITE crosses hops of both kinds
    /// (RFC 3261 §13.3.1.4).
    pub fn start_end_to_end(now: Instant) -> Self {
        Resend::every(T1, now)
    }

    /// Starts with a gap of `after`.
    pub fn every(after: Duration, now: Instant) -> Self {
        Resend::Due {
            at: now + after,
            after,
        }
    }

    /// True when a repeat is due; the following one is then scheduled at twice the gap, at most `cap`.
    pub fn take_due(&mut self, cap: Duration, now: Instant) -> bool {
        let Resend::Due { at, after } = *self else {
            return false;
        };
        if now < at {
            return false;
        }
        let after = (after * 2).min(cap);
        *self = Resend::Due {
            at: now + after,
            after,
        };
        true
    }

    /// When the next repeat is due.
    pub fn deadline(&self) -> Option<Instant> {
        match self {
            Resend::Never => None,
            Resend::Due { at, .. } => Some(*at),
        }
    }
}

/// The earlier of a schedule's next repeat and a fixed end.
pub(super) fn earlier(resend: &Resend, end: Instant) -> Option<Instant> {
    Some(resend.deadline().map_or(end, |at| at.min(end)))
}
