//! OPTIONS of ours outside a dialog: whether a peer is there (RFC 3261 §11.1).
//!
//! Says what came back and nothing more; what that means for a peer is its owner's business.

use std::time::Instant;

use super::Endpoint;
use super::clients::User;
use super::command::OutgoingProbe;
use super::event::Output;
use crate::message::{CallId, MAX_FORWARDS_DEFAULT, Method, NameAddr, Request, Uri};
use crate::rng::TOKEN_LETTERS;
use crate::transaction::timing::WAIT;

impl Endpoint {
    /// Sends OPTIONS; [`Output::Probed`] follows. One that cannot be sent counts as unanswered.
    pub(super) fn probe(&mut self, probe: &OutgoingProbe, now: Instant) {
        let has_room = self.transactions() < self.config.limits.transactions_max;
        match self.options(probe) {
            Some(request) if has_room && !self.config.is_own(&probe.flow) => {
                let user = User::Probe(probe.number);
                self.start_client(user, probe.flow, request, vec![], WAIT, now);
            }
            Some(_) | None => self.tell_probed(probe.number, None),
        }
    }

    pub(super) fn tell_probed(&mut self, number: u64, status: Option<u16>) {
        self.outputs.push_back(Output::Probed { number, status });
    }

    fn options(&mut self, probe: &OutgoingProbe) -> Option<Request> {
        let uri = Uri::parse(&probe.request_uri).ok()?;
        let to = NameAddr::parse(&format!("<{}>", probe.request_uri)).ok()?;
        let from_tag = self.rng.token(TOKEN_LETTERS);
        let from = NameAddr::parse(&probe.from).ok()?.with_tag(&from_tag);
        let call_id = CallId::parse(&self.rng.token(TOKEN_LETTERS)).ok()?;
        let via = self.new_via(&probe.flow);
        let mut request = Request::new(Method::Options, uri, via, from, to, call_id, 1);
        request.headers.set_max_forwards(MAX_FORWARDS_DEFAULT);
        let contact = self.contact(&probe.flow, None, None);
        request.headers.push_contact(&NameAddr::new(contact));
        request.headers.push("Accept", crate::dialog::action::SDP).ok()?;
        self.introduce(&mut request, &probe.flow, None);
        Some(request)
    }
}
