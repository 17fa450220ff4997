//! The overload gate: new calls that are turned away before any of them is read whole (RFC 3261 §21.5.4, RFC 7339 §1).
//!
//! The owner says when. What is under way is not touched: requests in dialogs, repeats of an INVITE that was taken,
//! ACK, CANCEL and responses pass as ever, and so does what may be a call for help. Knows no session.

use std::time::Instant;

use super::command::Flow;
use super::config::RETRY_AFTER_S;
use super::sources::Rate;
use super::{Endpoint, Output};
use crate::message::Method;
use crate::message::outline::{self, Outline};
use crate::transaction::ServerKey;

/// Word of new calls turned away here with 503, for the metric's label.
pub const OVERLOAD: &str = "overload";
/// Word of those that got no answer, as answers too cost time; they are sent again.
pub const OVERLOAD_UNANSWERED: &str = "overload_unanswered";

/// Answers to those turned away: at some 10 µs each they take a few parts of a hundred of a core.
pub const ANSWERS: Rate = Rate {
    per_second: 2_000,
    burst: 1_000,
};
/// Called numbers of so few digits may be emergency numbers, which are short everywhere (ITU-T E.161.1).
const SHORT_DIGITS_MAX: usize = 4;

/// The gate.
#[derive(Debug)]
pub(super) struct Shedding {
    is_on: bool,
    /// When the allowance of answers is whole again.
    answers_full_at: Option<Instant>,
}

impl Shedding {
    pub fn new() -> Shedding {
        Shedding {
            is_on: false,
            answers_full_at: None,
        }
    }

    fn may_answer(&mut self, now: Instant) -> bool {
        let full_at = ANSWERS.take(self.answers_full_at, now);
        self.answers_full_at = full_at.or(self.answers_full_at);
        full_at.is_some()
    }
}

impl Endpoint {
    /// Whether new calls are turned away unread from now on.
    pub fn set_shedding(&mut self, is_on: bool) {
        self.shedding.is_on = is_on;
    }

    /// Turns a message away, if the gate is shut and it is a new call. True: it is done with.
    pub(super) fn shed(&mut self, flow: Flow, bytes: &[u8], now: Instant) -> bool {
        if !self.shedding.is_on {
            return false;
        }
        let Some(invite) = outline::of_new_invite(bytes).filter(|invite| !may_be_for_help(invite)) else {
            return false;
        };
        let wire = invite
            .via()
            .and_then(|via| ServerKey::of_via(&via, &Method::Invite));
        if wire.is_none_or(|wire| self.servers.find(&wire).is_some()) {
            return false;
        }
        if !self.shedding.may_answer(now) {
            self.drop_message(flow.remote, OVERLOAD_UNANSWERED);
            return true;
        }
        // The same for each repeat (RFC 3261 §8.2.7), and nobody's to guess at.
        let tag = format!("{}-shed", self.hop_mark);
        let refusal = invite.refusal("503 Service Unavailable", &tag, RETRY_AFTER_S, flow.remote);
        if let Some(bytes) = refusal {
            self.outputs.push_back(Output::Dropped {
                remote: flow.remote,
                why: OVERLOAD,
            });
            self.transmit(flow, bytes.into(), now);
        }
        true
    }
}

/// An emergency service by its name (RFC 5031), or a number short enough to be one's.
fn may_be_for_help(invite: &Outline<'_>) -> bool {
    let Some((scheme, rest)) = invite.uri.split_once(':') else {
        return true;
    };
    let user = rest.split(['@', ';', '?']).next().unwrap_or(rest);
    let digits = user.bytes().filter(u8::is_ascii_digit).count();
    scheme.eq_ignore_ascii_case("urn") || digits <= SHORT_DIGITS_MAX && digits == user.len()
}
