//! A REFER of ours: what its answer and the peer's NOTIFYs say (RFC 3515 §2.4.4), and what their absence does.
//!
//! Must not know who is called, nor what is done when it fails.

use std::time::{Duration, Instant};

use super::FIRST_NOTIFY_WAIT;

/// At most one REFER of ours.
#[derive(Debug, Default)]
pub enum Outgoing {
    /// None.
    #[default]
    Idle,
    /// Its last NOTIFY has not come.
    Asked {
        /// Its CSeq: the `id` of its event.
        id: u32,
        /// How long the last NOTIFY may take, from the first sign that it was accepted.
        wait: Duration,
        /// Set once it was accepted.
        accepted: Option<Waiting>,
    },
}

/// The waits of a REFER that was accepted.
#[derive(Clone, Copy, Debug)]
pub struct Waiting {
    /// No NOTIFY at all until then is silence; none once one came.
    first_by: Option<Instant>,
    last_by: Instant,
}

impl Outgoing {
    /// True while there is none.
    pub fn is_idle(&self) -> bool {
        matches!(self, Outgoing::Idle)
    }

    /// It went out.
    pub fn ask(&mut self, id: u32, wait: Duration) {
        *self = Outgoing::Asked {
            id,
            wait,
            accepted: None,
        };
    }

    /// It went out once more, with credentials.
    pub fn renumber(&mut self, number: u32) {
        if let Outgoing::Asked { id, .. } = self {
            *id = number;
        }
    }

    /// A 2xx to it.
    pub fn accept(&mut self, now: Instant) {
        if let Outgoing::Asked { wait, accepted, .. } = self {
            accepted.get_or_insert(Waiting {
                first_by: Some(now + FIRST_NOTIFY_WAIT),
                last_by: now + *wait,
            });
        }
    }

    /// A NOTIFY that is not the last; it may come before the 2xx.
    pub fn hear(&mut self, now: Instant) {
        if let Outgoing::Asked { wait, accepted, .. } = self {
            let last_by = accepted.map_or(now + *wait, |waiting| waiting.last_by);
            *accepted = Some(Waiting {
                first_by: None,
                last_by,
            });
        }
    }

    /// Whether a NOTIFY with this `id` is about it; only a second REFER of a dialog needs one.
    pub fn is_of(&self, event_id: Option<&str>) -> bool {
        match self {
            Outgoing::Idle => false,
            Outgoing::Asked { id, .. } => event_id.is_none_or(|named| named == id.to_string()),
        }
    }

    /// Ends it; false: there was none.
    pub fn take(&mut self) -> bool {
        !std::mem::take(self).is_idle()
    }

    /// Ends it when the peer has said nothing for too long.
    pub fn take_silence(&mut self, now: Instant) -> bool {
        self.deadline().is_some_and(|at| at <= now) && self.take()
    }

    /// When silence ends it.
    pub fn deadline(&self) -> Option<Instant> {
        let Outgoing::Asked {
            accepted: Some(waiting),
            ..
        } = self
        else {
            return None;
        };
        Some(
            waiting
                .first_by
                .map_or(waiting.last_by, |first_by| first_by.min(waiting.last_by)),
        )
    }
}
