//! REFER, its subscriptions, and INVITE with Replaces: which sessions they are about (RFC 3515, RFC 3891).
//!
//! Must not know trunks: whether a peer may take the place of a dialog is its owner's to say.

use std::time::{Duration, Instant};

use super::Endpoint;
use super::command::{Command, ExtraHeader, ReferTarget, SessionKey};
use super::event::Replaced;
use super::orders::between;
use crate::dialog::refer::{PACKAGE, Referral};
use crate::dialog::{DialogId, Phase, Session};
use crate::message::{NameAddr, Replaces, Request, StatusCode, Uri};
use crate::transaction::TransactionKey;

/// The tag that stands for none in Replaces (RFC 3891 §6.1).
const NO_TAG: &str = "0";

impl Endpoint {
    /// Carries out a command about REFER; others have their own room.
    pub(super) fn obey_refer(&mut self, command: Command, now: Instant) {
        match command {
            Command::Refer {
                session,
                to,
                referred_by,
                wait,
            } => self.refer(session, &to, referred_by, wait, now),
            Command::AcceptRefer { session } => {
                self.with_session(session, now, |session, _, out| session.accept_refer(now, out));
            }
            Command::RejectRefer { session, status } => {
                let status = between(status, 400, 699, StatusCode::DECLINE);
                self.with_session(session, now, |session, _, out| session.reject_refer(status, out));
            }
            Command::NotifyRefer { session, status } => {
                let status = between(status, 100, 699, StatusCode::SERVER_INTERNAL_ERROR);
                self.with_session(session, now, |it, _, out| it.notify_refer(status, now, out));
            }
            _ => debug_assert!(false, "no command about REFER"),
        }
    }

    /// The owner wants a peer to call somebody else.
    fn refer(
        &mut self,
        session: SessionKey,
        to: &ReferTarget,
        referred_by: Option<String>,
        wait: Duration,
        now: Instant,
    ) {
        let target = self.refer_target(to);
        self.with_session(session, now, |session, _, out| match target {
            Some(target) => {
                let mut headers = vec![header("Refer-To", target)];
                headers.extend(referred_by.map(|by| header("Referred-By", by)));
                session.refer(headers, wait, out);
            }
            None => session.refuse_own_refer(out),
        });
    }

    /// The value of Refer-To; none: the dialog that it should name is not up.
    fn refer_target(&self, to: &ReferTarget) -> Option<String> {
        match to {
            ReferTarget::Uri(uri) => {
                let uri = Uri::parse(uri).ok()?;
                Some(NameAddr::new(uri).to_string())
            }
            ReferTarget::Session(session) => {
                let Phase::Confirmed(confirmed) = self.sessions.get(*session)?.phase() else {
                    return None;
                };
                // As the far end of that dialog knows it: its tag is the peer's.
                let (dialog, id) = (confirmed.dialog(), confirmed.dialog().id());
                let replaces = Replaces {
                    call_id: id.call_id().clone(),
                    to_tag: tag_text(id.remote_tag()),
                    from_tag: tag_text(id.local_tag()),
                    early_only: false,
                };
                let uri = dialog.remote_target().clone().into_request_uri();
                Some(format!("<{uri}?Replaces={}>", replaces.escaped()))
            }
        }
    }

    /// A REFER inside a dialog.
    pub(super) fn handle_refer(
        &mut self,
        session: SessionKey,
        key: TransactionKey,
        request: Box<Request>,
        now: Instant,
    ) {
        let Some(refer_to) = request.headers.refer_to() else {
            return self.respond_simply(key, &request, StatusCode::BAD_REQUEST, None, now);
        };
        let referral = Referral {
            to: refer_to.target.to_string(),
            replaced: refer_to.replaces.as_ref().and_then(|one| self.find_replaced(one)),
            replaces: refer_to.replaces,
            referred_by: request.headers.get("Referred-By").map(str::to_owned),
        };
        let is_taken = self
            .sessions
            .get(session)
            .is_some_and(|one| one.policy.takes_refer);
        self.with_session(session, now, |session, _, out| {
            session.handle_refer(request, key, referral, is_taken, out);
        });
    }

    /// A SUBSCRIBE inside a dialog, or to one that is gone: there is nothing to subscribe to but what a REFER
    /// has begun (RFC 6665 §4.2.1.1).
    pub(super) fn handle_subscribe(&mut self, key: TransactionKey, request: &Request, now: Instant) {
        let is_refer = request
            .headers
            .event()
            .is_some_and(|(package, _)| package == PACKAGE);
        match is_refer {
            true => self.respond_simply(key, request, StatusCode::CALL_DOES_NOT_EXIST, None, now),
            false => {
                let header = Some(("Allow-Events", PACKAGE.to_owned()));
                self.respond_simply(key, request, StatusCode::BAD_EVENT, header, now);
            }
        }
    }

    /// What an INVITE wants to take the place of; the status that refuses it where there is no such dialog.
    pub(super) fn replaced_by(&self, invite: &Request) -> Result<Option<Replaced>, StatusCode> {
        let Some(text) = invite.headers.get("Replaces") else {
            return Ok(None);
        };
        let replaces = Replaces::parse(text).ok_or(StatusCode::BAD_REQUEST)?;
        let session = self
            .find_replaced(&replaces)
            .ok_or(StatusCode::CALL_DOES_NOT_EXIST)?;
        let found = self
            .sessions
            .get(session)
            .ok_or(StatusCode::CALL_DOES_NOT_EXIST)?;
        Ok(Some(Replaced {
            session,
            refusal: refusal(found, replaces.early_only).map(StatusCode::code),
        }))
    }

    fn find_replaced(&self, replaces: &Replaces) -> Option<SessionKey> {
        let id = |remote_tag| DialogId::new(&replaces.call_id, Some(&replaces.to_tag), Some(remote_tag));
        let found = self.sessions.find(&id(&replaces.from_tag));
        found.or_else(|| {
            let is_absent = replaces.from_tag == NO_TAG;
            is_absent.then(|| self.sessions.find(&id("")))?
        })
    }
}

impl Session {
    /// Its Refer-To cannot be written: the session it should name is not up.
    fn refuse_own_refer(&mut self, out: &mut Vec<crate::dialog::Action>) {
        let (session, status) = (self.key(), StatusCode::CALL_DOES_NOT_EXIST);
        let outcome = super::ReferOutcome::Refused(status.code());
        out.push(crate::dialog::Action::Event(super::Event::ReferDone {
            session,
            outcome,
        }));
    }
}

/// RFC 3891 §3: a dialog that is up, unless only an early one is wanted; an early one of our own INVITE; never one
/// that has ended or that the peer itself began and nobody answered.
fn refusal(session: &Session, early_only: bool) -> Option<StatusCode> {
    match session.phase() {
        Phase::Confirmed(_) if early_only => Some(StatusCode::BUSY_HERE),
        Phase::Confirmed(_) | Phase::Calling(_) => None,
        Phase::Ringing(_) => Some(StatusCode::CALL_DOES_NOT_EXIST),
        Phase::Ending(_) | Phase::Over(_) => Some(StatusCode::DECLINE),
    }
}

fn tag_text(tag: &str) -> String {
    match tag.is_empty() {
        true => NO_TAG.to_owned(),
        false => tag.to_owned(),
    }
}

fn header(name: &str, value: String) -> ExtraHeader {
    ExtraHeader {
        name: name.to_owned(),
        value,
    }
}
