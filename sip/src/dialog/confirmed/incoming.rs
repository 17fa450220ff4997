//! The peer's INVITE in a dialog that is up: decided by the owner, then repeated until ACK.
//!
//! Must not know what is offered or answered.

use std::time::Instant;

use crate::endpoint::ExtraHeader;
use crate::message::Request;
use crate::transaction::TransactionKey;
use crate::transaction::timing::{Resend, T2, WAIT};

/// At most one INVITE of the peer (RFC 3261 §13.3.1.4, §14.2).
#[derive(Debug)]
pub(super) enum Incoming {
    /// None.
    Idle,
    /// A re-INVITE the owner has not answered.
    Undecided {
        transaction: TransactionKey,
        request: Box<Request>,
    },
    /// The 2xx to the first INVITE waits for its ACK; so does our BYE, if there is one.
    FirstAnswered { answered: Answered, bye: Bye },
    /// The 2xx to a re-INVITE waits for its ACK.
    Answered(Answered),
}

/// A 2xx of ours without ACK yet.
#[derive(Debug)]
pub(super) struct Answered {
    transaction: TransactionKey,
    cseq: u32,
    is_late_offer: bool,
    resend: Resend,
    give_up_at: Instant,
}

/// Whether the owner has hung up before the ACK.
#[derive(Debug)]
pub(super) enum Bye {
    /// No.
    Unwanted,
    /// Yes: it goes out after the ACK, or at the end of the wait (RFC 3261 §15).
    Deferred(Vec<ExtraHeader>),
}

/// How a wait for ACK ended.
#[derive(Debug)]
pub(super) struct WaitEnd {
    /// The offer was in our 2xx, so the answer is in the ACK.
    pub is_late_offer: bool,
    /// The headers of a BYE that may now go out.
    pub deferred_bye: Option<Vec<ExtraHeader>>,
}

impl Incoming {
    pub(super) fn first_answered(
        transaction: TransactionKey,
        cseq: u32,
        is_late_offer: bool,
        now: Instant,
    ) -> Self {
        let answered = Answered::new(transaction, cseq, is_late_offer, now);
        Incoming::FirstAnswered {
            answered,
            bye: Bye::Unwanted,
        }
    }

    pub(super) fn answered(
        transaction: TransactionKey,
        cseq: u32,
        is_late_offer: bool,
        now: Instant,
    ) -> Self {
        Incoming::Answered(Answered::new(transaction, cseq, is_late_offer, now))
    }

    /// True when a BYE of ours must wait; its headers are kept, those of the first one.
    pub(super) fn defer_bye(&mut self, headers: &[ExtraHeader]) -> bool {
        let Incoming::FirstAnswered { bye, .. } = self else {
            return false;
        };
        if let Bye::Unwanted = bye {
            *bye = Bye::Deferred(headers.to_vec());
        }
        true
    }

    /// Ends the wait when this is the ACK waited for.
    pub(super) fn take_ack(&mut self, cseq: u32) -> Option<WaitEnd> {
        let answered = self.waiting()?;
        if answered.cseq != cseq {
            return None;
        }
        self.end_wait()
    }

    /// Ends the wait when 64·T1 are over.
    pub(super) fn take_missing_ack(&mut self, now: Instant) -> Option<WaitEnd> {
        if now < self.waiting()?.give_up_at {
            return None;
        }
        self.end_wait()
    }

    /// The transaction whose 2xx is to be repeated.
    pub(super) fn take_due_repeat(&mut self, now: Instant) -> Option<TransactionKey> {
        let answered = match self {
            Incoming::FirstAnswered { answered, .. } | Incoming::Answered(answered) => answered,
            Incoming::Idle | Incoming::Undecided { .. } => return None,
        };
        answered.resend.take_due(T2, now).then_some(answered.transaction)
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let answered = self.waiting()?;
        Some(
            answered
                .resend
                .deadline()
                .map_or(answered.give_up_at, |at| at.min(answered.give_up_at)),
        )
    }

    pub(super) fn is_idle(&self) -> bool {
        matches!(self, Incoming::Idle)
    }

    pub(super) fn is_undecided(&self) -> bool {
        matches!(self, Incoming::Undecided { .. })
    }

    pub(super) fn is_undecided_in(&self, cancelled: TransactionKey) -> bool {
        matches!(self, Incoming::Undecided { transaction, .. } if *transaction == cancelled)
    }

    pub(super) fn is_awaiting_ack(&self) -> bool {
        self.waiting().is_some()
    }

    /// True while our offer has no answer: it will come in the ACK.
    pub(super) fn awaits_answer_in_ack(&self) -> bool {
        self.waiting().is_some_and(|answered| answered.is_late_offer)
    }

    pub(super) fn has_deferred_bye(&self) -> bool {
        matches!(
            self,
            Incoming::FirstAnswered {
                bye: Bye::Deferred(_),
                ..
            }
        )
    }

    fn waiting(&self) -> Option<&Answered> {
        match self {
            Incoming::FirstAnswered { answered, .. } | Incoming::Answered(answered) => Some(answered),
            Incoming::Idle | Incoming::Undecided { .. } => None,
        }
    }

    fn end_wait(&mut self) -> Option<WaitEnd> {
        match std::mem::replace(self, Incoming::Idle) {
            Incoming::FirstAnswered {
                answered,
                bye: Bye::Deferred(headers),
            } => Some(WaitEnd {
                is_late_offer: answered.is_late_offer,
                deferred_bye: Some(headers),
            }),
            Incoming::FirstAnswered {
                answered,
                bye: Bye::Unwanted,
            }
            | Incoming::Answered(answered) => Some(WaitEnd {
                is_late_offer: answered.is_late_offer,
                deferred_bye: None,
            }),
            other @ (Incoming::Idle | Incoming::Undecided { .. }) => {
                *self = other;
                None
            }
        }
    }
}

impl Answered {
    fn new(transaction: TransactionKey, cseq: u32, is_late_offer: bool, now: Instant) -> Self {
        let resend = Resend::start_end_to_end(now);
        Answered {
            transaction,
            cseq,
            is_late_offer,
            resend,
            give_up_at: now + WAIT,
        }
    }
}
