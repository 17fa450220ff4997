//! One INVITE usage from its first INVITE to its closing event, in whichever phase it is.
//!
//! Gives each input to the phase it belongs to; an input that comes too early or too late for the phase is
//! answered or ignored here. Must not know calls, trunks or sockets.

mod refers;

use std::time::Instant;

use bytes::Bytes;

use super::action::{Action, Failure, Purpose, refusal_for_now, response};
use super::confirmed::Next;
use super::refer::Refers;
use super::{Calling, Confirmed, Dialog, DialogId, Ending, Ringing};
use crate::auth::Account;
use crate::endpoint::policy::Policy;
use crate::endpoint::{Event, ExtraHeader, Flow, SessionKey, Unanswered};
use crate::message::info_digit::InfoDigit;
use crate::message::{Method, Request, Response, StatusCode};
use crate::rng::Rng;
use crate::transaction::TransactionKey;

/// One INVITE usage.
///
/// Owns its phase, where its peer is, and what may answer a challenge.
#[derive(Debug)]
pub struct Session {
    key: SessionKey,
    /// Where its messages go unless the dialog names another place.
    pub flow: Flow,
    /// Whose it is, by its place in the list of domains, once the peer's connection has proved that.
    pub domain: Option<usize>,
    /// Host of Contact, when its owner chose one.
    pub contact_host: Option<String>,
    /// Answers to challenges; none for sessions of the peer (docs/threats.md: B16).
    pub account: Option<Account>,
    /// The extensions spoken with its peer.
    pub policy: Policy,
    /// Whether a 422 may still be answered by an INVITE with a longer session interval.
    may_raise: bool,
    /// REFERs in its dialog.
    refers: Refers,
    phase: Phase,
}

/// Where an INVITE usage stands.
#[derive(Debug)]
pub enum Phase {
    /// Our INVITE has no final response.
    Calling(Calling),
    /// The peer's INVITE has none.
    Ringing(Ringing),
    /// There was a 2xx.
    Confirmed(Confirmed),
    /// Our BYE is on its way.
    Ending(Ending),
    /// It has closed; a subscription made by REFER keeps its dialog.
    Over(Dialog),
}

impl Session {
    /// A session in its first phase.
    pub fn new(key: SessionKey, flow: Flow, policy: Policy, phase: Phase) -> Self {
        Session {
            key,
            flow,
            domain: None,
            contact_host: None,
            account: None,
            policy,
            may_raise: true,
            refers: Refers::default(),
            phase,
        }
    }

    /// Its number.
    pub fn key(&self) -> SessionKey {
        self.key
    }

    /// Where it stands.
    pub fn phase(&self) -> &Phase {
        &self.phase
    }

    /// The owner sends a provisional response.
    pub fn progress(
        &mut self,
        status: StatusCode,
        sdp: Option<Bytes>,
        headers: &[ExtraHeader],
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        if let Phase::Ringing(ringing) = &mut self.phase {
            ringing.progress(status, sdp, headers, now, out);
        }
    }

    /// The owner answers.
    pub fn answer(&mut self, sdp: Bytes, headers: Vec<ExtraHeader>, now: Instant, out: &mut Vec<Action>) {
        if let Phase::Ringing(ringing) = &mut self.phase
            && let Some(confirmed) = ringing.answer(sdp, headers, now, out)
        {
            self.phase = Phase::Confirmed(confirmed);
        }
    }

    /// The owner accepts a change that the peer wants: a re-INVITE, or the offer of an UPDATE or PRACK.
    pub fn accept_change(&mut self, sdp: Bytes, now: Instant, out: &mut Vec<Action>) {
        match &mut self.phase {
            Phase::Calling(calling) => calling.accept_change(sdp, out),
            Phase::Ringing(ringing) => {
                if let Some(confirmed) = ringing.accept_change(sdp, now, out) {
                    self.phase = Phase::Confirmed(confirmed);
                }
            }
            Phase::Confirmed(confirmed) => confirmed.accept_reinvite(sdp, now, out),
            Phase::Ending(_) | Phase::Over(_) => {}
        }
    }

    /// The owner refuses it; the session stays as it was.
    pub fn reject_change(
        &mut self,
        status: StatusCode,
        headers: &[ExtraHeader],
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        match &mut self.phase {
            Phase::Calling(calling) => calling.reject_change(status, headers, out),
            Phase::Ringing(ringing) => {
                if let Some(confirmed) = ringing.reject_change(status, headers, now, out) {
                    self.phase = Phase::Confirmed(confirmed);
                }
            }
            Phase::Confirmed(confirmed) => confirmed.reject_reinvite(status, headers, now, out),
            Phase::Ending(_) | Phase::Over(_) => {}
        }
    }

    /// The owner refuses.
    pub fn reject(
        &mut self,
        status: StatusCode,
        reason: Option<String>,
        headers: &[ExtraHeader],
        out: &mut Vec<Action>,
    ) {
        if let Phase::Ringing(ringing) = &mut self.phase {
            ringing.reject(status, reason, headers, out);
        }
    }

    /// The owner gives up its INVITE; one that was answered in the meantime ends with BYE.
    pub fn cancel(&mut self, headers: Vec<ExtraHeader>, now: Instant, out: &mut Vec<Action>) {
        match &mut self.phase {
            Phase::Calling(calling) => calling.cancel(headers, now, out),
            Phase::Confirmed(confirmed) => {
                let next = confirmed.bye(headers, out);
                self.follow(next, out);
            }
            Phase::Ringing(_) | Phase::Ending(_) | Phase::Over(_) => {}
        }
    }

    /// The owner hangs up; before the answer that means CANCEL or a refusal.
    pub fn bye(&mut self, headers: Vec<ExtraHeader>, now: Instant, out: &mut Vec<Action>) {
        match &mut self.phase {
            Phase::Calling(calling) => calling.cancel(headers, now, out),
            Phase::Ringing(ringing) => ringing.bye(headers, out),
            Phase::Confirmed(confirmed) => {
                let next = confirmed.bye(headers, out);
                self.follow(next, out);
            }
            Phase::Ending(_) | Phase::Over(_) => {}
        }
    }

    /// The phase in which re-INVITE and INFO have a meaning.
    pub fn confirmed_mut(&mut self) -> Option<&mut Confirmed> {
        match &mut self.phase {
            Phase::Confirmed(confirmed) => Some(confirmed),
            Phase::Calling(_) | Phase::Ringing(_) | Phase::Ending(_) | Phase::Over(_) => None,
        }
    }

    /// The phase in which our first INVITE is under way.
    pub fn calling_mut(&mut self) -> Option<&mut Calling> {
        match &mut self.phase {
            Phase::Calling(calling) => Some(calling),
            Phase::Ringing(_) | Phase::Confirmed(_) | Phase::Ending(_) | Phase::Over(_) => None,
        }
    }

    /// A request of the peer in the dialog `id`, its CSeq in order: INVITE, PRACK, UPDATE, BYE or INFO.
    pub fn handle_request(
        &mut self,
        id: &DialogId,
        request: Box<Request>,
        transaction: TransactionKey,
        rng: &mut Rng,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        match (&mut self.phase, &request.method) {
            (Phase::Ending(ending), _) => ending.handle_request(&request, transaction, out),
            (Phase::Confirmed(confirmed), Method::Invite) => {
                confirmed.handle_invite(request, transaction, rng, out);
            }
            (Phase::Confirmed(confirmed), Method::Bye) => confirmed.handle_bye(request, transaction, out),
            (Phase::Ringing(ringing), Method::Bye) => ringing.handle_bye(request, transaction, out),
            (Phase::Calling(calling), Method::Update) => {
                calling.handle_update(id, request, transaction, rng, out);
            }
            (Phase::Ringing(ringing), Method::Update) => {
                ringing.handle_update(request, transaction, rng, out);
            }
            (Phase::Confirmed(confirmed), Method::Update) => {
                confirmed.handle_update(request, transaction, rng, now, out);
            }
            (Phase::Ringing(ringing), Method::Prack) => {
                if let Some(confirmed) = ringing.handle_prack(request, transaction, rng, now, out) {
                    self.phase = Phase::Confirmed(confirmed);
                }
            }
            (Phase::Confirmed(confirmed), Method::Prack) => {
                confirmed.handle_prack(&request, transaction, out);
            }
            (Phase::Over(_), _) | (Phase::Calling(_), Method::Prack) => {
                let status = StatusCode::CALL_DOES_NOT_EXIST;
                let response = response(&request, status, id.local_tag(), &[], None);
                out.push(Action::Respond {
                    transaction,
                    response,
                });
            }
            (Phase::Ringing(_) | Phase::Calling(_), Method::Invite) => {
                let status = StatusCode::SERVER_INTERNAL_ERROR;
                let response = refusal_for_now(&request, status, id.local_tag(), rng);
                out.push(Action::Respond {
                    transaction,
                    response,
                });
            }
            (Phase::Confirmed(_) | Phase::Ringing(_) | Phase::Calling(_), Method::Info) => {
                take_info(self.key, id, &request, transaction, out);
            }
            // A callee may not send BYE before its 2xx (RFC 3261 §15): our INVITE still gets its answer.
            (Phase::Calling(_) | Phase::Ringing(_) | Phase::Confirmed(_), _) => {
                let response = response(&request, StatusCode::OK, id.local_tag(), &[], None);
                out.push(Action::Respond {
                    transaction,
                    response,
                });
            }
        }
    }

    /// ACK of a 2xx of ours.
    pub fn handle_ack(&mut self, ack: &Request, now: Instant, out: &mut Vec<Action>) {
        if let Phase::Confirmed(confirmed) = &mut self.phase {
            let next = confirmed.handle_ack(ack, now, out);
            self.follow(next, out);
        }
    }

    /// CANCEL of the INVITE in transaction `cancelled`.
    pub fn handle_peer_cancel(
        &mut self,
        cancel: Box<Request>,
        cancelled: TransactionKey,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        match &mut self.phase {
            Phase::Ringing(ringing) => ringing.handle_cancel(cancel, out),
            Phase::Confirmed(confirmed) => confirmed.handle_cancel(cancelled, now, out),
            Phase::Calling(_) | Phase::Ending(_) | Phase::Over(_) => {}
        }
    }

    /// A provisional response to our first INVITE.
    pub fn handle_provisional(
        &mut self,
        invite: &Request,
        response: Response,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        if let Phase::Calling(calling) = &mut self.phase {
            calling.handle_provisional(invite, response, now, out);
        }
    }

    /// The first 2xx to our first INVITE.
    pub fn handle_success(
        &mut self,
        invite: &Request,
        response: Response,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        let timer = self.policy.timer;
        let Phase::Calling(calling) = &mut self.phase else {
            return;
        };
        if let Some(confirmed) = calling.handle_success(invite, response, timer, now, out) {
            self.phase = Phase::Confirmed(confirmed);
        }
    }

    /// A final failure of our first INVITE.
    pub fn handle_failure(&mut self, response: Response, out: &mut Vec<Action>) {
        if let Phase::Calling(calling) = &mut self.phase {
            calling.handle_failure(response, out);
        }
    }

    /// Our first INVITE got no final response.
    pub fn handle_unanswered(&mut self, why: Unanswered, out: &mut Vec<Action>) {
        if let Phase::Calling(calling) = &mut self.phase {
            calling.handle_unanswered(why, out);
        }
    }

    /// A request of ours inside a dialog failed.
    pub fn handle_request_failure(
        &mut self,
        purpose: Purpose,
        failure: Failure,
        rng: &mut Rng,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        if self.handle_refer_failure(purpose, failure, out) {
            return;
        }
        match (&mut self.phase, purpose) {
            (Phase::Confirmed(confirmed), Purpose::Reinvite) => {
                confirmed.handle_reinvite_failure(failure, rng, now, out);
            }
            (Phase::Confirmed(confirmed), Purpose::Refresh) => {
                confirmed.handle_refresh_failure(failure, rng, now, out);
            }
            (Phase::Confirmed(confirmed), Purpose::Info) => {
                confirmed.handle_info_failure(failure.status, out)
            }
            (Phase::Ending(ending), Purpose::Bye) => ending.finish(out),
            // What was sent before our BYE does not matter any more, and a PRACK that failed leaves the
            // INVITE to its own answer.
            (
                Phase::Calling(_)
                | Phase::Ringing(_)
                | Phase::Confirmed(_)
                | Phase::Ending(_)
                | Phase::Over(_),
                Purpose::Reinvite
                | Purpose::Refresh
                | Purpose::Prack
                | Purpose::Info
                | Purpose::Refer
                | Purpose::Notify
                | Purpose::Bye
                | Purpose::Farewell,
            ) => {}
        }
    }

    /// A request of ours inside the dialog, no INVITE, was answered with 2xx.
    pub fn handle_answer(
        &mut self,
        purpose: Purpose,
        response: &Response,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        match (purpose, &mut self.phase) {
            (Purpose::Bye, Phase::Ending(ending)) => ending.finish(out),
            (Purpose::Refresh, Phase::Confirmed(confirmed)) => confirmed.handle_refreshed(response, now),
            (Purpose::Info, Phase::Confirmed(confirmed)) => {
                confirmed.handle_info_answer(response.status, out)
            }
            (Purpose::Refer | Purpose::Notify, _) => self.handle_refer_answer(purpose, now, out),
            (
                Purpose::Reinvite
                | Purpose::Refresh
                | Purpose::Prack
                | Purpose::Info
                | Purpose::Bye
                | Purpose::Farewell,
                _,
            ) => {}
        }
    }

    /// Whatever is due in this phase.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut Vec<Action>) {
        match &mut self.phase {
            Phase::Calling(calling) => calling.handle_timeout(now, out),
            Phase::Ringing(ringing) => ringing.handle_timeout(now, out),
            Phase::Confirmed(confirmed) => {
                let next = confirmed.handle_timeout(now, out);
                self.follow(next, out);
            }
            Phase::Ending(_) | Phase::Over(_) => {}
        }
        self.keep_refers(now, out);
    }

    /// When `handle_timeout` has work.
    pub fn next_deadline(&self) -> Option<Instant> {
        let of_phase = match &self.phase {
            Phase::Calling(calling) => calling.next_deadline(),
            Phase::Ringing(ringing) => ringing.next_deadline(),
            Phase::Confirmed(confirmed) => confirmed.next_deadline(),
            Phase::Ending(_) | Phase::Over(_) => None,
        };
        [of_phase, self.refers.next_deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Names of the dialogs it has, early ones too.
    pub fn dialog_ids(&self) -> Vec<DialogId> {
        match &self.phase {
            Phase::Calling(calling) => calling.dialog_ids().cloned().collect(),
            Phase::Ringing(ringing) => vec![ringing.dialog().id().clone()],
            Phase::Confirmed(confirmed) => vec![confirmed.dialog().id().clone()],
            Phase::Ending(ending) => vec![ending.dialog().id().clone()],
            Phase::Over(dialog) => vec![dialog.id().clone()],
        }
    }

    /// One of its dialogs.
    pub fn dialog_mut(&mut self, id: &DialogId) -> Option<&mut Dialog> {
        let dialog = match &mut self.phase {
            Phase::Calling(calling) => return calling.early_mut(id),
            Phase::Ringing(ringing) => ringing.dialog_mut(),
            Phase::Confirmed(confirmed) => confirmed.dialog_mut(),
            Phase::Ending(ending) => ending.dialog_mut(),
            Phase::Over(dialog) => dialog,
        };
        (dialog.id() == id).then_some(dialog)
    }

    /// The sequence number of a request that goes out again, with credentials or a longer interval. None
    /// when its answer is not wanted any more.
    pub fn retry_cseq(&mut self, request: &Request) -> Option<u32> {
        let headers = &request.headers;
        if let (Phase::Calling(calling), None) = (&self.phase, headers.to().tag()) {
            return calling.is_wanted().then_some(headers.cseq().number + 1);
        }
        let id = DialogId::new(headers.call_id(), headers.from().tag(), headers.to().tag());
        let number = self.dialog_mut(&id).map(Dialog::bump_cseq)?;
        if request.method == Method::Refer {
            self.refers.outgoing.renumber(number);
        }
        Some(number)
    }

    /// The peer wants a longer session interval than our INVITE offered (422). False: once is enough, or
    /// asking again is useless (RFC 4028 §7.3).
    pub fn raise_interval(&mut self, min_s: u32) -> bool {
        let may_raise = std::mem::replace(&mut self.may_raise, false);
        may_raise && self.policy.timer.raise(min_s)
    }

    fn follow(&mut self, next: Next, out: &mut Vec<Action>) {
        match next {
            Next::Stay => {}
            Next::End(ending) => {
                self.phase = Phase::Ending(*ending);
                self.settle_refer(out);
            }
        }
    }
}

/// INFO is 200 in every early and confirmed dialog; what it cannot say was refused before.
fn take_info(
    session: SessionKey,
    id: &DialogId,
    request: &Request,
    transaction: TransactionKey,
    out: &mut Vec<Action>,
) {
    out.push(Action::Respond {
        transaction,
        response: response(request, StatusCode::OK, id.local_tag(), &[], None),
    });
    let kind = request.content_type();
    if let Some(digit) = kind.and_then(|kind| InfoDigit::parse(&kind, &request.body)) {
        out.push(Action::Event(Event::Info { session, digit }));
    }
}
