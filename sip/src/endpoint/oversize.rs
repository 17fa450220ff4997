//! Requests too long for a datagram: by TCP, and by UDP after all where TCP is refused (RFC 3261 §18.1.1).
//!
//! Only for the INVITE that begins a session; later requests go where their dialog is.

use std::time::{Duration, Instant};

use super::Endpoint;
use super::clients::User;
use super::command::{Flow, Transport};
use crate::message::{NameAddr, Request};
use crate::transaction::TransactionKey;

/// Longest request that goes by UDP where the path MTU is not known, bytes. RFC 3261 §18.1.1.
pub const DATAGRAM_REQUEST_BYTES_MAX: usize = 1300;

/// How a request that went by TCP for its size goes once TCP is refused.
#[derive(Clone, Copy, Debug)]
pub(super) struct Datagram {
    pub flow: Flow,
    pub timer_b: Duration,
}

impl Endpoint {
    /// The TCP flow to the same peer, for a request that is too long for `flow`.
    pub(super) fn stream_for(&self, flow: &Flow, request: &Request) -> Option<Flow> {
        let is_long = request.to_bytes().len() > DATAGRAM_REQUEST_BYTES_MAX;
        if flow.transport != Transport::Udp || !is_long {
            return None;
        }
        let local = self.config.local_for(Transport::Tcp, flow.remote)?;
        Some(Flow {
            transport: Transport::Tcp,
            local,
            remote: flow.remote,
        })
    }

    /// The connection of an INVITE failed: it goes by UDP, if it went by TCP for its size only.
    pub(super) fn retry_by_datagram(&mut self, key: TransactionKey, now: Instant) -> bool {
        let Some(client) = self.clients.get_mut(key) else {
            return false;
        };
        let (User::Invite(session_key), Some(Datagram { flow, timer_b })) =
            (client.user, client.datagram.take())
        else {
            return false;
        };
        let (user, mut request, answered) = (client.user, client.request.clone(), client.answered.clone());
        let is_wanted = self
            .sessions
            .get_mut(session_key)
            .and_then(|session| session.calling_mut())
            .is_some_and(|calling| calling.is_wanted());
        if !is_wanted {
            return false;
        }
        let Some(client) = self.clients.get_mut(key) else {
            return false;
        };
        if !client.machine.handle_transport_failure() {
            return false;
        }
        self.send_of_client(key, vec![], now);
        let via = self.new_via(&flow);
        request.headers.set_top_via(via);
        let host = self
            .sessions
            .get(session_key)
            .and_then(|session| session.contact_host.clone());
        let user_part = request.headers.from().uri().user_unescaped();
        let contact = self.contact(&flow, host.as_deref(), user_part.as_deref());
        // Contact was written by us and is replaced by one of the same shape.
        let _ = request
            .headers
            .set("Contact", &NameAddr::new(contact).to_string());
        let next = self.next_transaction();
        self.sessions.move_to(session_key, flow);
        self.follow_again(user, next, now);
        let started = self.start_client(user, flow, request, answered, timer_b, now);
        debug_assert_eq!(started, next);
        true
    }
}
