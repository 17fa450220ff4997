//! A session whose BYE is on its way (RFC 3261 §15.1.1).
//!
//! Must not know why it ends.

use super::action::{Action, response};
use super::{Dialog, Purpose};
use crate::endpoint::{Event, ExtraHeader, SessionKey};
use crate::message::{Method, Request, StatusCode};
use crate::transaction::TransactionKey;

/// The dialog until our BYE is answered or given up.
#[derive(Debug)]
pub struct Ending {
    key: SessionKey,
    dialog: Dialog,
}

impl Ending {
    /// Sends BYE.
    pub fn start(
        key: SessionKey,
        mut dialog: Dialog,
        headers: Vec<ExtraHeader>,
        out: &mut Vec<Action>,
    ) -> Self {
        let draft = Box::new(dialog.request(Method::Bye).with_headers(headers));
        out.push(Action::Request {
            purpose: Purpose::Bye,
            draft,
        });
        Ending { key, dialog }
    }

    /// Our BYE got its final response, or none in time, or the transport failed.
    pub fn finish(&self, out: &mut Vec<Action>) {
        out.push(Action::Event(Event::ByeDone { session: self.key }));
    }

    /// A request of the peer that crossed our BYE: its own BYE is fine, all else is too late.
    pub fn handle_request(&self, request: &Request, transaction: TransactionKey, out: &mut Vec<Action>) {
        let status = match request.method {
            Method::Bye => StatusCode::OK,
            _ => StatusCode::CALL_DOES_NOT_EXIST,
        };
        let response = response(request, status, self.dialog.id().local_tag(), &[], None);
        out.push(Action::Respond {
            transaction,
            response,
        });
    }

    /// Its dialog.
    pub fn dialog(&self) -> &Dialog {
        &self.dialog
    }

    /// Its dialog.
    pub fn dialog_mut(&mut self) -> &mut Dialog {
        &mut self.dialog
    }
}
