//! The REFERs of a session: in whichever phase it is, and after its end (RFC 3515, RFC 5057 §4.1).
//!
//! Must not know calls or trunks.

use std::time::{Duration, Instant};

use super::{Phase, Session};
use crate::dialog::action::{Action, Purpose, response};
use crate::dialog::refer::{Incoming, PACKAGE, Referral};
use crate::dialog::{Dialog, Failure};
use crate::endpoint::{Event, ExtraHeader, ReferOutcome};
use crate::message::sip_frag::{SIP_FRAG, status_of};
use crate::message::{Method, Request, StatusCode};
use crate::transaction::TransactionKey;

impl Session {
    /// The owner wants the peer to call somebody. A session that is not up, or has a REFER under way, tells so
    /// as a refusal: 481, 491.
    pub fn refer(&mut self, headers: Vec<ExtraHeader>, wait: Duration, out: &mut Vec<Action>) {
        let refused = match &self.phase {
            Phase::Confirmed(_) if self.refers.is_idle() => None,
            Phase::Confirmed(_) => Some(StatusCode::REQUEST_PENDING),
            Phase::Calling(_) | Phase::Ringing(_) | Phase::Ending(_) | Phase::Over(_) => {
                Some(StatusCode::CALL_DOES_NOT_EXIST)
            }
        };
        if let Some(status) = refused {
            let (session, outcome) = (self.key, ReferOutcome::Refused(status.code()));
            return out.push(Action::Event(Event::ReferDone { session, outcome }));
        }
        let Phase::Confirmed(confirmed) = &mut self.phase else {
            return;
        };
        let draft = confirmed
            .dialog_mut()
            .request(Method::Refer)
            .with_headers(headers);
        self.refers.outgoing.ask(draft.cseq(), wait);
        out.push(Action::Request {
            purpose: Purpose::Refer,
            draft: Box::new(draft),
        });
    }

    /// The owner accepts the REFER of the peer: 202, and NOTIFY from now on.
    pub fn accept_refer(&mut self, now: Instant, out: &mut Vec<Action>) {
        self.with_refers(|incoming, dialog| incoming.accept(dialog, now, out));
    }

    /// The owner refuses it.
    pub fn reject_refer(&mut self, status: StatusCode, out: &mut Vec<Action>) {
        self.with_refers(|incoming, dialog| incoming.reject(status, dialog, out));
    }

    /// The owner tells how the call that the peer asked for is.
    pub fn notify_refer(&mut self, status: StatusCode, now: Instant, out: &mut Vec<Action>) {
        self.with_refers(|incoming, dialog| incoming.notify(status, dialog, now, out));
    }

    /// A REFER of the peer. `is_taken`: the owner decides; else it is refused with 405 and the owner only
    /// told. One that meets another is told 491.
    pub fn handle_refer(
        &mut self,
        request: Box<Request>,
        transaction: TransactionKey,
        referral: Referral,
        is_taken: bool,
        out: &mut Vec<Action>,
    ) {
        let status = match &self.phase {
            Phase::Ending(_) | Phase::Over(_) => StatusCode::CALL_DOES_NOT_EXIST,
            Phase::Confirmed(_) if !is_taken => StatusCode::METHOD_NOT_ALLOWED,
            Phase::Confirmed(_) if self.refers.is_idle() => {
                self.refers.incoming = Incoming::Undecided { transaction, request };
                return self.tell_referral(referral, None, out);
            }
            Phase::Calling(_) | Phase::Ringing(_) | Phase::Confirmed(_) => StatusCode::REQUEST_PENDING,
        };
        let tag = request.headers.to().tag().unwrap_or_default().to_owned();
        let mut response = response(&request, status, &tag, &[], None);
        if status == StatusCode::METHOD_NOT_ALLOWED {
            let _ = response
                .headers
                .push("Allow", &crate::endpoint::allow(&self.policy, false));
        }
        out.push(Action::Respond {
            transaction,
            response,
        });
        if status == StatusCode::METHOD_NOT_ALLOWED && self.refers.take_telling() {
            self.tell_referral(referral, Some(status.code()), out);
        }
    }

    /// A NOTIFY of the peer: about our REFER, or about nothing here (RFC 6665 §4.1.3).
    pub fn handle_notify(
        &mut self,
        request: &Request,
        transaction: TransactionKey,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        let event = request.headers.event();
        let is_ours = event.is_some_and(|(package, id)| package == PACKAGE && self.refers.outgoing.is_of(id));
        let told = request
            .content_type()
            .filter(|kind| kind.is(SIP_FRAG))
            .and_then(|_| status_of(&request.body));
        let is_last = request.headers.is_last_notify();
        let status = match (is_ours, told) {
            (false, _) => StatusCode::CALL_DOES_NOT_EXIST,
            (true, None) if is_last => StatusCode::OK,
            (true, None) => StatusCode::BAD_REQUEST,
            (true, Some(_)) => StatusCode::OK,
        };
        let tag = request.headers.to().tag().unwrap_or_default().to_owned();
        let response = response(request, status, &tag, &[], None);
        out.push(Action::Respond {
            transaction,
            response,
        });
        if status == StatusCode::OK {
            let told = told.unwrap_or(StatusCode::TRYING);
            self.refers.handle_notify(self.key, told, is_last, now, out);
        }
    }

    /// A REFER or NOTIFY of ours was answered with 2xx.
    pub fn handle_refer_answer(&mut self, purpose: Purpose, now: Instant, out: &mut Vec<Action>) {
        match purpose {
            Purpose::Refer => self.refers.outgoing.accept(now),
            Purpose::Notify => {
                self.with_refers(|incoming, dialog| incoming.handle_notified(dialog, now, out));
            }
            _ => debug_assert!(false, "neither REFER nor NOTIFY"),
        }
    }

    /// One of them failed; false: it was neither. Only 481 to a REFER says more: that there is no dialog.
    pub(super) fn handle_refer_failure(
        &mut self,
        purpose: Purpose,
        failure: Failure,
        out: &mut Vec<Action>,
    ) -> bool {
        match purpose {
            Purpose::Notify => self.refers.incoming.handle_notify_failure(),
            Purpose::Refer => {
                self.refers.handle_refusal(self.key, failure, out);
                if let Phase::Confirmed(confirmed) = &mut self.phase
                    && failure.status == StatusCode::CALL_DOES_NOT_EXIST
                {
                    confirmed.handle_request_failure(failure.status, out);
                }
            }
            _ => return false,
        }
        true
    }

    /// The INVITE usage closes. True where a subscription keeps the dialog a while longer.
    pub fn outlives_its_end(&mut self) -> bool {
        let dialog = match &self.phase {
            Phase::Confirmed(confirmed) => confirmed.dialog().clone(),
            Phase::Ending(ending) => ending.dialog().clone(),
            Phase::Calling(_) | Phase::Ringing(_) | Phase::Over(_) => return false,
        };
        if self.refers.is_idle() {
            return false;
        }
        self.phase = Phase::Over(dialog);
        true
    }

    /// True once nothing is left of it.
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over(_)) && self.refers.is_idle()
    }

    /// Answers a REFER that the owner has not decided: the session ends.
    pub fn settle_refer(&mut self, out: &mut Vec<Action>) {
        self.reject_refer(StatusCode::CALL_DOES_NOT_EXIST, out);
    }

    pub(super) fn keep_refers(&mut self, now: Instant, out: &mut Vec<Action>) {
        let key = self.key;
        let Session { phase, refers, .. } = self;
        if let Some(dialog) = dialog_of(phase) {
            refers.handle_timeout(key, dialog, now, out);
        }
    }

    fn tell_referral(&self, referral: Referral, refused: Option<u16>, out: &mut Vec<Action>) {
        out.push(Action::Event(Event::Referred {
            session: self.key,
            referral: Box::new(referral),
            refused,
        }));
    }

    fn with_refers(&mut self, change: impl FnOnce(&mut Incoming, &mut Dialog)) {
        let Session { phase, refers, .. } = self;
        if let Some(dialog) = dialog_of(phase) {
            change(&mut refers.incoming, dialog);
        }
    }
}

/// The dialog that a subscription lives in.
fn dialog_of(phase: &mut Phase) -> Option<&mut Dialog> {
    match phase {
        Phase::Confirmed(confirmed) => Some(confirmed.dialog_mut()),
        Phase::Ending(ending) => Some(ending.dialog_mut()),
        Phase::Over(dialog) => Some(dialog),
        Phase::Calling(_) | Phase::Ringing(_) => None,
    }
}
