//! REFER inside a dialog: at most one at a time each way (RFC 3515), with the subscription it makes (RFC 6665).
//!
//! ```text
//!  theirs   Idle ──REFER──► Undecided ──202──► Notifying ──last NOTIFY answered──► Idle
//!  ours     Idle ──REFER──► Asked ──last NOTIFY, a refusal, or silence──► Idle
//! ```
//! A subscription outlives the INVITE usage (RFC 5057 §4.1): a peer may hang up once its REFER is accepted, and is
//! told how it came out all the same. Must not know who is called.

mod incoming;
mod outgoing;

use std::time::{Duration, Instant};

pub use incoming::Incoming;
pub use outgoing::Outgoing;

use super::action::Action;
use super::{Dialog, Failure};
use crate::endpoint::{Event, ReferOutcome, SessionKey};
use crate::message::{Replaces, StatusCode};

/// The event package of REFER (RFC 3515 §2.4).
pub const PACKAGE: &str = "refer";
/// How long the subscription to a REFER of the peer lives: longer than any call should ring. Ours.
pub const SUBSCRIPTION_LIFE: Duration = Duration::from_secs(300);
/// How long the first NOTIFY may take after the 2xx to our REFER. RFC 6665 §4.1.2.4, timer N: 64·T1.
pub const FIRST_NOTIFY_WAIT: Duration = crate::transaction::timing::WAIT;
/// REFERs of one session that its owner hears of though they were refused already. Ours: nobody dials by hand
/// more often, and a peer that floods must not fill a journal.
pub const REFUSED_TOLD_MAX: u8 = 8;

/// A REFER of the peer, as its owner decides it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referral {
    /// Whom it wants called: a URI without headers.
    pub to: String,
    /// The dialog that the call is to take the place of, as whoever is called knows it.
    pub replaces: Option<Replaces>,
    /// The session that this dialog is, where it is one of ours.
    pub replaced: Option<SessionKey>,
    /// Referred-By (RFC 3892), as received.
    pub referred_by: Option<String>,
}

/// The REFERs of one dialog.
#[derive(Debug, Default)]
pub struct Refers {
    /// The peer's.
    pub incoming: Incoming,
    /// Ours.
    pub outgoing: Outgoing,
    /// Refused ones that the owner was told of.
    told: u8,
}

impl Refers {
    /// True while a subscription keeps the dialog.
    pub fn is_idle(&self) -> bool {
        self.incoming.is_idle() && self.outgoing.is_idle()
    }

    /// True while the owner still hears of refused ones; counts one.
    pub fn take_telling(&mut self) -> bool {
        let may = self.told < REFUSED_TOLD_MAX;
        self.told = self.told.saturating_add(1);
        may
    }

    /// When `handle_timeout` has work.
    pub fn next_deadline(&self) -> Option<Instant> {
        let all = [self.incoming.deadline(), self.outgoing.deadline()];
        all.into_iter().flatten().min()
    }

    /// Ends the subscriptions whose time is over.
    pub fn handle_timeout(
        &mut self,
        key: SessionKey,
        dialog: &mut Dialog,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        self.incoming.handle_timeout(dialog, now, out);
        if self.outgoing.take_silence(now) {
            done(key, ReferOutcome::Silent, out);
        }
    }

    /// Our REFER was refused, or nobody answered it.
    pub fn handle_refusal(&mut self, key: SessionKey, failure: Failure, out: &mut Vec<Action>) {
        if self.outgoing.take() {
            done(key, ReferOutcome::Refused(failure.status.code()), out);
        }
    }

    /// What a NOTIFY of the peer says of our REFER; `is_last` ends it. A last one without a final status
    /// tells nothing of the call.
    pub fn handle_notify(
        &mut self,
        key: SessionKey,
        status: StatusCode,
        is_last: bool,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        if status.is_final() || is_last {
            self.outgoing = Outgoing::Idle;
            return done(
                key,
                match status.is_final() {
                    true => ReferOutcome::Notified(status.code()),
                    false => ReferOutcome::Silent,
                },
                out,
            );
        }
        self.outgoing.hear(now);
        out.push(Action::Event(Event::ReferProgress {
            session: key,
            status: status.code(),
        }));
    }
}

fn done(session: SessionKey, outcome: ReferOutcome, out: &mut Vec<Action>) {
    out.push(Action::Event(Event::ReferDone { session, outcome }));
}
