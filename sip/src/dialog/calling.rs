//! An outbound INVITE until its final response (RFC 3261 §13.2, §9.1).
//!
//! ```text
//!  Calling ──1xx──► Proceeding ──Cancel──► Cancelling ──► Cancelled
//!     └──Cancel──► CancelWanted ──1xx──────────┘  487, a crossing 2xx, or 64·T1
//! ```
//! Must not know calls or trunks, nor send anything itself.

mod early;

use std::collections::BTreeMap;
use std::time::Instant;

use bytes::Bytes;

use early::{Early, Settled};

use super::action::{Action, Purpose, refusal_for_now, response, sdp_of_response};
use super::session_timer::SessionTimer;
use super::update::{PeerOffer, Verdict};
use super::{Confirmed, Dialog, DialogId, Origin};
use crate::endpoint::policy::TimerPolicy;
use crate::endpoint::{Event, ExtraHeader, SessionKey, Unanswered};
use crate::message::{Method, Request, Response, StatusCode};
use crate::rng::Rng;
use crate::transaction::TransactionKey;
use crate::transaction::timing::WAIT;

/// Early dialogs one INVITE may have: forks beyond them ring unheard. Ours; carriers fork to a few.
pub const EARLY_DIALOGS_MAX: usize = 16;

/// The status that ends one early dialog among others. RFC 6228 §4.
const EARLY_DIALOG_TERMINATED: u16 = 199;

/// Our INVITE and the early dialogs it made.
#[derive(Debug)]
pub struct Calling {
    key: SessionKey,
    transaction: TransactionKey,
    /// By the peer's tag.
    early: BTreeMap<String, Early>,
    /// In one of the early dialogs.
    peer_offer: PeerOffer,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Nothing heard.
    Calling,
    /// A provisional response came.
    Proceeding,
    /// To be cancelled, but CANCEL must wait for a provisional response.
    CancelWanted { headers: Vec<ExtraHeader> },
    /// CANCEL is sent; without a final response the INVITE is given up.
    Cancelling {
        give_up_at: Instant,
        /// What the CANCEL said, for the BYE of a 2xx that crosses it.
        headers: Vec<ExtraHeader>,
    },
}

impl Calling {
    /// The INVITE went out in `transaction`.
    pub fn new(key: SessionKey, transaction: TransactionKey) -> Self {
        Calling {
            key,
            transaction,
            early: BTreeMap::new(),
            peer_offer: PeerOffer::None,
            state: State::Calling,
        }
    }

    /// The INVITE was sent again: with credentials, or with a longer session interval. One that is to be
    /// cancelled never is. Its early dialogs ended with the refusal (RFC 3261 §12.3).
    pub fn restart(&mut self, transaction: TransactionKey, out: &mut Vec<Action>) {
        self.settle_peer_offer(StatusCode::REQUEST_TERMINATED, out);
        self.early.clear();
        self.transaction = transaction;
        self.state = State::Calling;
    }

    /// True while the owner still wants an answer.
    pub fn is_wanted(&self) -> bool {
        matches!(self.state, State::Calling | State::Proceeding)
    }

    /// The owner gives up.
    pub fn cancel(&mut self, headers: Vec<ExtraHeader>, now: Instant, out: &mut Vec<Action>) {
        match self.state {
            State::Calling => self.state = State::CancelWanted { headers },
            State::Proceeding => self.send_cancel(headers, now, out),
            State::CancelWanted { .. } | State::Cancelling { .. } => {}
        }
    }

    /// A provisional response.
    pub fn handle_provisional(
        &mut self,
        invite: &Request,
        mut response: Response,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        match &mut self.state {
            State::Calling => self.state = State::Proceeding,
            State::Proceeding => {}
            State::CancelWanted { headers } => {
                let headers = std::mem::take(headers);
                self.send_cancel(headers, now, out);
                return;
            }
            State::Cancelling { .. } => return,
        }
        if response.status == StatusCode::TRYING {
            return;
        }
        let dialog = Dialog::of_caller(invite, &response);
        let remote_tag = dialog.id().remote_tag().to_owned();
        if !self.early.contains_key(&remote_tag) && self.early.len() >= EARLY_DIALOGS_MAX {
            return;
        }
        let early = self
            .early
            .entry(remote_tag.clone())
            .or_insert_with(|| Early::new(dialog));
        if !early.take(&mut response, out) {
            return;
        }
        if response.status.code() == EARLY_DIALOG_TERMINATED {
            self.drop_early(&remote_tag, out);
        }
        let sdp = sdp_of_response(&response);
        let (session, response) = (self.key, Box::new(response));
        out.push(Action::Event(Event::Progress {
            session,
            remote_tag,
            response,
            sdp,
        }));
    }

    /// The first 2xx: ACK, and the dialog is up, or BYE when the owner had given up.
    pub fn handle_success(
        &mut self,
        invite: &Request,
        response: Response,
        policy: TimerPolicy,
        now: Instant,
        out: &mut Vec<Action>,
    ) -> Option<Confirmed> {
        let mut dialog = Dialog::of_caller(invite, &response);
        let remote_tag = dialog.id().remote_tag().to_owned();
        let mut settled = Settled::No;
        if let Some(early) = self.early.get(&remote_tag) {
            dialog.continue_from(&early.dialog);
            settled = early.settled();
        }
        if self.peer_offer.remote_tag() != Some(remote_tag.as_str()) || !self.is_wanted() {
            self.settle_peer_offer(StatusCode::CALL_DOES_NOT_EXIST, out);
        }
        let ack = Box::new(dialog.ack(invite));
        out.push(Action::Ack {
            transaction: self.transaction,
            remote_tag: remote_tag.clone(),
            draft: ack,
        });
        let session = self.key;
        if !self.is_wanted() {
            let headers = match &self.state {
                State::CancelWanted { headers } | State::Cancelling { headers, .. } => headers.clone(),
                State::Calling | State::Proceeding => Vec::new(),
            };
            let draft = Box::new(dialog.request(Method::Bye).with_headers(headers));
            out.push(Action::Request {
                purpose: Purpose::Farewell,
                draft,
            });
            out.push(Action::Event(Event::Cancelled { session }));
            return None;
        }
        let (sdp, local_sdp) = match settled {
            Settled::No => (sdp_of_response(&response), invite.body.clone()),
            Settled::Answered(answer) => (Some(answer), invite.body.clone()),
            Settled::Changed(local_sdp) => (None, local_sdp),
        };
        let timer = SessionTimer::of_caller(policy, &response, now);
        let response = Box::new(response);
        out.push(Action::Event(Event::Answered {
            session,
            remote_tag,
            response,
            sdp,
        }));
        let mut confirmed = Confirmed::new(session, dialog, Origin::Us, timer, local_sdp);
        confirmed.continue_early(std::mem::take(&mut self.peer_offer), None);
        Some(confirmed)
    }

    /// A final failure; its ACK is the transaction's.
    pub fn handle_failure(&mut self, response: Response, out: &mut Vec<Action>) {
        self.settle_peer_offer(StatusCode::REQUEST_TERMINATED, out);
        let session = self.key;
        let event = if !self.is_wanted() && response.status == StatusCode::REQUEST_TERMINATED {
            Event::Cancelled { session }
        } else {
            Event::Refused {
                session,
                response: Box::new(response),
            }
        };
        out.push(Action::Event(event));
    }

    /// No final response: a timer, or the transport.
    pub fn handle_unanswered(&mut self, why: Unanswered, out: &mut Vec<Action>) {
        self.settle_peer_offer(StatusCode::REQUEST_TERMINATED, out);
        let session = self.key;
        let event = match self.is_wanted() {
            true => Event::Unanswered { session, why },
            false => Event::Cancelled { session },
        };
        out.push(Action::Event(event));
    }

    /// The wait after CANCEL ran out.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut Vec<Action>) {
        let State::Cancelling { give_up_at, .. } = self.state else {
            return;
        };
        if now >= give_up_at {
            self.settle_peer_offer(StatusCode::REQUEST_TERMINATED, out);
            out.push(Action::Abandon {
                transaction: self.transaction,
            });
            out.push(Action::Event(Event::Cancelled { session: self.key }));
        }
    }

    /// When `handle_timeout` has work.
    pub fn next_deadline(&self) -> Option<Instant> {
        match self.state {
            State::Cancelling { give_up_at, .. } => Some(give_up_at),
            State::Calling | State::Proceeding | State::CancelWanted { .. } => None,
        }
    }

    /// An UPDATE of the peer in one of the early dialogs (RFC 3311 §5.2).
    pub fn handle_update(
        &mut self,
        id: &DialogId,
        update: Box<Request>,
        transaction: TransactionKey,
        rng: &mut Rng,
        out: &mut Vec<Action>,
    ) {
        let Some(early) = self.early.get_mut(id.remote_tag()) else {
            return;
        };
        let response = match self.peer_offer.judge(&update, early.exchange()) {
            Verdict::Refuse(status) => refusal_for_now(&update, status, id.local_tag(), rng),
            Verdict::Confirm => {
                early.dialog.refresh(update.headers.contact());
                response(&update, StatusCode::OK, id.local_tag(), &[], None)
            }
            Verdict::Ask(offer) => {
                self.peer_offer.open(transaction, update.clone());
                return out.push(Action::Event(Event::Reinvite {
                    session: self.key,
                    request: update,
                    offer: Some(offer),
                }));
            }
        };
        out.push(Action::Respond {
            transaction,
            response,
        });
    }

    /// The owner accepts the offer of an UPDATE.
    pub fn accept_change(&mut self, sdp: Bytes, out: &mut Vec<Action>) {
        let contact = self.peer_offer.contact();
        let remote_tag = self.peer_offer.remote_tag();
        if let Some(early) = remote_tag.and_then(|tag| self.early.get_mut(tag)) {
            early.dialog.refresh(contact);
            early.change(sdp.clone());
        }
        self.peer_offer.settle(StatusCode::OK, &[], Some(sdp), out);
    }

    /// The owner refuses it: the session stays as it was.
    pub fn reject_change(&mut self, status: StatusCode, headers: &[ExtraHeader], out: &mut Vec<Action>) {
        self.peer_offer.settle(status, headers, None, out);
    }

    /// The early dialog of that name.
    pub fn early_mut(&mut self, id: &DialogId) -> Option<&mut Dialog> {
        self.early
            .get_mut(id.remote_tag())
            .map(|early| &mut early.dialog)
            .filter(|dialog| dialog.id() == id)
    }

    /// Names of its early dialogs.
    pub fn dialog_ids(&self) -> impl Iterator<Item = &DialogId> {
        self.early.values().map(|early| early.dialog.id())
    }

    fn drop_early(&mut self, remote_tag: &str, out: &mut Vec<Action>) {
        if self.peer_offer.remote_tag() == Some(remote_tag) {
            self.settle_peer_offer(StatusCode::CALL_DOES_NOT_EXIST, out);
        }
        self.early.remove(remote_tag);
    }

    fn settle_peer_offer(&mut self, status: StatusCode, out: &mut Vec<Action>) {
        self.peer_offer.settle(status, &[], None, out);
    }

    fn send_cancel(&mut self, headers: Vec<ExtraHeader>, now: Instant, out: &mut Vec<Action>) {
        out.push(Action::Cancel {
            transaction: self.transaction,
            headers: headers.clone(),
        });
        self.state = State::Cancelling {
            give_up_at: now + WAIT,
            headers,
        };
    }
}
