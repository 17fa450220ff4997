//! One early dialog of our INVITE: its PRACKs, its answer, and the UPDATEs of the peer in it.
//!
//! Must not know the other forks.

use bytes::Bytes;

use crate::dialog::Dialog;
use crate::dialog::action::{Action, Purpose, sdp_of_response};
use crate::dialog::prack::{Acknowledged, Arrival};
use crate::dialog::update::Exchange;
use crate::message::{Method, Response};

/// A dialog that one provisional response made.
#[derive(Debug)]
pub(super) struct Early {
    pub dialog: Dialog,
    acknowledged: Acknowledged,
    answer: Answer,
}

/// Whether our offer has its answer here. SDP of an unreliable response is only a foretaste
/// (RFC 3261 §13.2.1).
#[derive(Debug)]
enum Answer {
    /// Not yet.
    Open,
    /// It came in a reliable response.
    Given(Bytes),
    /// It did, and an UPDATE of the peer has changed the session since; our SDP is now this.
    Changed { local_sdp: Bytes },
}

/// What is left of an early dialog when its 2xx comes.
#[derive(Debug)]
pub(super) enum Settled {
    /// The 2xx has the answer.
    No,
    /// The answer came before.
    Answered(Bytes),
    /// Answered before and changed since; our SDP is now this.
    Changed(Bytes),
}

impl Early {
    pub(super) fn new(dialog: Dialog) -> Self {
        Early {
            dialog,
            acknowledged: Acknowledged::default(),
            answer: Answer::Open,
        }
    }

    /// Takes a provisional response and acknowledges it where it wants that. False: it is not to be heard.
    pub(super) fn take(&mut self, response: &mut Response, out: &mut Vec<Action>) -> bool {
        let is_reliable = match self.acknowledged.take(response) {
            Arrival::OutOfOrder => return false,
            Arrival::Unreliable => false,
            Arrival::Next(rack) => {
                let mut prack = Box::new(self.dialog.request(Method::Prack));
                prack.push_header("RAck", &rack.to_string());
                out.push(Action::Request {
                    purpose: Purpose::Prack,
                    draft: prack,
                });
                true
            }
        };
        match (&self.answer, sdp_of_response(response)) {
            (Answer::Open, Some(answer)) if is_reliable => self.answer = Answer::Given(answer),
            (Answer::Open, _) | (Answer::Given(_) | Answer::Changed { .. }, None) => {}
            // One answer an offer: what comes later is not one (RFC 3262 §5).
            (Answer::Given(_) | Answer::Changed { .. }, Some(_)) => response.clear_body(),
        }
        true
    }

    /// Where our offer stands.
    pub(super) fn exchange(&self) -> Exchange {
        match self.answer {
            Answer::Open => Exchange::OursOpen,
            Answer::Given(_) | Answer::Changed { .. } => Exchange::Settled,
        }
    }

    /// An UPDATE of the peer was accepted with this SDP of ours.
    pub(super) fn change(&mut self, local_sdp: Bytes) {
        self.answer = Answer::Changed { local_sdp };
    }

    /// The 2xx is here.
    pub(super) fn settled(&self) -> Settled {
        match &self.answer {
            Answer::Open => Settled::No,
            Answer::Given(answer) => Settled::Answered(answer.clone()),
            Answer::Changed { local_sdp } => Settled::Changed(local_sdp.clone()),
        }
    }
}
