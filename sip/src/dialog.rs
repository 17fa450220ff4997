//! Dialogs and the INVITE usage inside them (RFC 3261 §12 to §15).
//!
//! ```text
//!  our INVITE ──► Calling ──first 2xx──┐                 ┌──BYE of the peer──► closed
//!                    └─ refused, …     ├──► Confirmed ───┤
//!  their INVITE ► Ringing ──our 2xx────┘                 └──our BYE──► Ending ──► closed
//!                    └─ rejected, …        a subscription of REFER may keep the dialog: Over
//! ```
//! A [`Session`] is one INVITE usage in one of these phases; a [`Dialog`] is what its messages are
//! written from. Neither knows calls, trunks, codecs, ports or sockets: they push [`Action`]s.

pub mod action;
mod calling;
mod confirmed;
mod draft;
mod ending;
mod glare;
mod id;
mod prack;
pub mod refer;
mod reliable;
mod ringing;
mod session;
mod session_timer;
mod update;

pub use action::{Action, Failure, Purpose};
pub use calling::{Calling, EARLY_DIALOGS_MAX};
pub use confirmed::Confirmed;
pub use draft::Draft;
pub use ending::Ending;
pub use glare::Origin;
pub use id::DialogId;
pub use reliable::QUEUE_MAX;
pub use ringing::Ringing;
pub use session::{Phase, Session};
pub(crate) use session_timer::invite_headers;
pub use session_timer::{REFRESH_RETRY, SessionTimer};

use crate::message::{Method, NameAddr, Request, Response, Uri};

/// The shared state of two user agents (RFC 3261 §12).
///
/// Owns tags, sequence numbers, the route set and the remote target.
#[derive(Clone, Debug)]
pub struct Dialog {
    id: DialogId,
    local: NameAddr,
    remote: NameAddr,
    local_cseq: u32,
    /// None until the peer sent a request in this dialog.
    remote_cseq: Option<u32>,
    route_set: Vec<NameAddr>,
    remote_target: Uri,
}

impl Dialog {
    /// The caller's side, from our INVITE and a response with a To tag (RFC 3261 §12.1.2). A response
    /// without tag comes from an RFC 2543 element and counts as an empty one.
    pub fn of_caller(invite: &Request, response: &Response) -> Self {
        let mut route_set = response.headers.record_routes();
        route_set.reverse();
        Dialog::ours(invite, response, route_set)
    }

    /// The dialog that our re-INVITE ran in, as far as its ACK needs it: a session that ended in the
    /// meantime has dropped its own.
    pub fn of_reinvite(reinvite: &Request, response: &Response) -> Self {
        Dialog::ours(reinvite, response, reinvite.headers.routes())
    }

    /// The callee's side, from the INVITE of the peer and our tag (RFC 3261 §12.1.1).
    pub fn of_callee(invite: &Request, local_tag: &str) -> Self {
        let headers = &invite.headers;
        let local = headers.to().clone().with_tag(local_tag);
        let remote = headers.from().clone();
        Dialog {
            id: DialogId::new(headers.call_id(), local.tag(), remote.tag()),
            remote_target: headers
                .contact()
                .map_or_else(|| remote.uri().clone(), |c| c.uri().clone()),
            local,
            remote,
            local_cseq: 0,
            remote_cseq: Some(headers.cseq().number),
            route_set: headers.record_routes(),
        }
    }

    fn ours(request: &Request, response: &Response, route_set: Vec<NameAddr>) -> Self {
        let headers = &response.headers;
        let (local, remote) = (request.headers.from().clone(), headers.to().clone());
        Dialog {
            id: DialogId::new(headers.call_id(), local.tag(), remote.tag()),
            local,
            remote,
            local_cseq: request.headers.cseq().number,
            remote_cseq: None,
            route_set,
            remote_target: headers
                .contact()
                .map_or_else(|| request.uri.clone(), |c| c.uri().clone()),
        }
    }

    /// A new request in this dialog (RFC 3261 §12.2.1.1).
    pub fn request(&mut self, method: Method) -> Draft {
        self.local_cseq += 1;
        self.draft(method, self.local_cseq)
    }

    /// The ACK of a 2xx to our INVITE: its CSeq number and its credentials (RFC 3261 §13.2.2.4, §22.1).
    pub fn ack(&self, invite: &Request) -> Draft {
        let mut ack = self.draft(Method::Ack, invite.headers.cseq().number);
        for name in ["Authorization", "Proxy-Authorization"] {
            for value in invite.headers.get_all(name) {
                ack.push_header(name, value);
            }
        }
        ack
    }

    /// Takes the sequence number of a request of the peer; false when it is out of order, which is told
    /// 500 (RFC 3261 §12.2.2). Gaps are no error.
    #[must_use]
    pub fn accept_cseq(&mut self, number: u32) -> bool {
        if self.remote_cseq.is_some_and(|last| number <= last) {
            return false;
        }
        self.remote_cseq = Some(number);
        true
    }

    /// Takes over the sequence numbers of the early dialog it grew from.
    pub fn continue_from(&mut self, early: &Dialog) {
        self.local_cseq = self.local_cseq.max(early.local_cseq);
        self.remote_cseq = early.remote_cseq;
    }

    /// Takes the number of a request that was sent again with credentials (RFC 3261 §22.2).
    pub fn bump_cseq(&mut self) -> u32 {
        self.local_cseq += 1;
        self.local_cseq
    }

    /// Moves the remote target: a re-INVITE or its 2xx carried this Contact (RFC 3261 §12.2).
    pub fn refresh(&mut self, contact: Option<NameAddr>) {
        if let Some(contact) = contact {
            self.remote_target = contact.uri().clone();
        }
    }

    /// Where the peer wants its requests (RFC 3261 §12.2.1.1).
    pub fn remote_target(&self) -> &Uri {
        &self.remote_target
    }

    /// Its id.
    pub fn id(&self) -> &DialogId {
        &self.id
    }

    fn draft(&self, method: Method, cseq: u32) -> Draft {
        let (uri, next_hop, routes) = match self.route_set.split_first() {
            None => (&self.remote_target, &self.remote_target, vec![]),
            Some((first, _)) if first.uri().is_loose_router() => {
                (&self.remote_target, first.uri(), self.route_set.clone())
            }
            Some((strict, rest)) => {
                let mut routes = rest.to_vec();
                routes.push(NameAddr::new(self.remote_target.clone()));
                (strict.uri(), strict.uri(), routes)
            }
        };
        Draft::new(
            method,
            uri.clone(),
            next_hop.clone(),
            routes,
            self.local.clone(),
            self.remote.clone(),
            self.id.call_id().clone(),
            cseq,
        )
    }
}
