//! A REFER of the peer: decided by the owner, then told by NOTIFY how the call came out (RFC 3515 §2.4).
//!
//! One NOTIFY at a time, so that none overtakes another; of what happens meanwhile the newest is told. Must not
//! know the call.

use std::time::Instant;

use super::{PACKAGE, SUBSCRIPTION_LIFE};
use crate::dialog::Dialog;
use crate::dialog::action::{Action, Purpose, response};
use crate::endpoint::ExtraHeader;
use crate::message::sip_frag::{SIP_FRAG, fragment};
use crate::message::{Method, Request, StatusCode};
use crate::transaction::TransactionKey;

/// At most one REFER of the peer.
#[derive(Debug, Default)]
pub enum Incoming {
    /// None.
    #[default]
    Idle,
    /// Its owner has not decided.
    Undecided {
        /// Its transaction.
        transaction: TransactionKey,
        /// It.
        request: Box<Request>,
    },
    /// Accepted: the peer is subscribed to the outcome.
    Notifying(Notifier),
}

/// The subscription of the peer.
#[derive(Debug)]
pub struct Notifier {
    /// CSeq of the REFER: the `id` of its event.
    id: u32,
    ends_at: Instant,
    /// The NOTIFY under way, if one is.
    sending: Option<Word>,
    /// What is told once that is answered.
    next: Option<Word>,
}

#[derive(Clone, Copy, Debug)]
struct Word {
    status: StatusCode,
    is_last: bool,
}

impl Incoming {
    /// True while there is none.
    pub fn is_idle(&self) -> bool {
        matches!(self, Incoming::Idle)
    }

    /// When `handle_timeout` has work.
    pub fn deadline(&self) -> Option<Instant> {
        match self {
            Incoming::Notifying(notifier) if !notifier.is_ending() => Some(notifier.ends_at),
            Incoming::Notifying(_) | Incoming::Undecided { .. } | Incoming::Idle => None,
        }
    }

    /// The owner refuses it.
    pub fn reject(&mut self, status: StatusCode, dialog: &Dialog, out: &mut Vec<Action>) {
        if !matches!(self, Incoming::Undecided { .. }) {
            return;
        }
        let Incoming::Undecided { transaction, request } = std::mem::take(self) else {
            return;
        };
        let response = response(&request, status, dialog.id().local_tag(), &[], None);
        out.push(Action::Respond {
            transaction,
            response,
        });
    }

    /// The owner accepts it: 202, and NOTIFY with 100, unless the peer wants none (RFC 4488 §4).
    pub fn accept(&mut self, dialog: &mut Dialog, now: Instant, out: &mut Vec<Action>) {
        let Incoming::Undecided { transaction, request } = self else {
            return;
        };
        let wants_no_subscription = request.headers.get("Refer-Sub").is_some_and(|value| {
            value
                .split(';')
                .next()
                .is_some_and(|word| word.trim().eq_ignore_ascii_case("false"))
        });
        let headers = wants_no_subscription.then(|| header("Refer-Sub", "false"));
        let (transaction, id) = (*transaction, request.headers.cseq().number);
        let response = response(
            request,
            StatusCode::ACCEPTED,
            dialog.id().local_tag(),
            headers.as_slice(),
            None,
        );
        out.push(Action::Respond {
            transaction,
            response,
        });
        if wants_no_subscription {
            *self = Incoming::Idle;
            return;
        }
        *self = Incoming::Notifying(Notifier {
            id,
            ends_at: now + SUBSCRIPTION_LIFE,
            sending: None,
            next: None,
        });
        self.notify(StatusCode::TRYING, dialog, now, out);
    }

    /// Tells how the call is; a final status is the last word.
    pub fn notify(&mut self, status: StatusCode, dialog: &mut Dialog, now: Instant, out: &mut Vec<Action>) {
        if let Incoming::Notifying(notifier) = self {
            let is_last = status.is_final();
            notifier.say(Word { status, is_last }, dialog, now, out);
        }
    }

    /// A NOTIFY was answered with 2xx.
    pub fn handle_notified(&mut self, dialog: &mut Dialog, now: Instant, out: &mut Vec<Action>) {
        let Incoming::Notifying(notifier) = self else {
            return;
        };
        if notifier.sending.take().is_some_and(|word| word.is_last) {
            *self = Incoming::Idle;
        } else if let Some(word) = notifier.next.take() {
            notifier.say(word, dialog, now, out);
        }
    }

    /// A NOTIFY was refused, or nobody answered it: there is no subscription (RFC 6665 §4.2.2).
    pub fn handle_notify_failure(&mut self) {
        if matches!(self, Incoming::Notifying(_)) {
            *self = Incoming::Idle;
        }
    }

    /// The subscription's time is over, and the call is not.
    pub fn handle_timeout(&mut self, dialog: &mut Dialog, now: Instant, out: &mut Vec<Action>) {
        if let Incoming::Notifying(notifier) = self
            && now >= notifier.ends_at
            && !notifier.is_ending()
        {
            let word = Word {
                status: StatusCode::TRYING,
                is_last: true,
            };
            notifier.say(word, dialog, now, out);
        }
    }
}

impl Notifier {
    fn is_ending(&self) -> bool {
        [self.sending, self.next]
            .into_iter()
            .flatten()
            .any(|word| word.is_last)
    }

    fn say(&mut self, word: Word, dialog: &mut Dialog, now: Instant, out: &mut Vec<Action>) {
        if self.is_ending() {
            return;
        }
        if self.sending.is_some() {
            self.next = Some(word);
            return;
        }
        self.sending = Some(word);
        let state = match word {
            Word { is_last: false, .. } => {
                let left = self.ends_at.saturating_duration_since(now).as_secs();
                format!("active;expires={left}")
            }
            Word { status, .. } if status.is_final() => "terminated;reason=noresource".to_owned(),
            Word { .. } => "terminated;reason=timeout".to_owned(),
        };
        let headers = vec![
            header("Event", &format!("{PACKAGE};id={}", self.id)),
            header("Subscription-State", &state),
        ];
        let draft = dialog.request(Method::Notify);
        let draft = draft
            .with_headers(headers)
            .with_body(SIP_FRAG, fragment(word.status));
        out.push(Action::Request {
            purpose: Purpose::Notify,
            draft: Box::new(draft),
        });
    }
}

fn header(name: &str, value: &str) -> ExtraHeader {
    ExtraHeader {
        name: name.to_owned(),
        value: value.to_owned(),
    }
}
