//! The client transactions under way and who waits for each.
//!
//! Must not know sessions beyond their number.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use bytes::Bytes;

use super::command::{Flow, RegistrationKey, SessionKey};
use super::oversize::Datagram;
use crate::dialog::Purpose;
use crate::message::{Request, Response};
use crate::transaction::{Action, ClientKey, InviteClient, NonInviteClient, TransactionKey};

/// One client transaction with what its user needs of it.
#[derive(Debug)]
pub(super) struct Client {
    pub machine: Machine,
    pub flow: Flow,
    pub user: User,
    /// As sent; ACK, CANCEL and a retry with credentials are made of it.
    pub request: Request,
    /// Headers that carried credentials already, one an attempt.
    pub answered: Vec<&'static str>,
    /// The ACK of each 2xx, by its To tag: sent again for each repeat.
    pub acks: BTreeMap<String, (Flow, Bytes)>,
    /// How it goes once TCP is refused, where it went by TCP for its size.
    pub datagram: Option<Datagram>,
}

/// The state machine of the transaction.
#[derive(Debug)]
pub(super) enum Machine {
    Invite(InviteClient),
    NonInvite(NonInviteClient),
}

/// Who hears of the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum User {
    /// A session, about its first INVITE.
    Invite(SessionKey),
    /// A session, about a request in its dialog.
    InDialog(SessionKey, Purpose),
    /// A registration of ours.
    Registration(RegistrationKey),
    /// The owner, about an OPTIONS of the owner's number.
    Probe(u64),
    /// Nobody: CANCEL.
    Nobody,
}

/// Every client transaction, by our number, by what its responses carry, and by its flow.
#[derive(Debug, Default)]
pub(super) struct Clients {
    by_key: BTreeMap<TransactionKey, Client>,
    by_wire: BTreeMap<ClientKey, TransactionKey>,
    by_flow: BTreeSet<(Flow, TransactionKey)>,
}

impl Clients {
    pub fn insert(&mut self, key: TransactionKey, client: Client) {
        self.by_wire.insert(ClientKey::of_request(&client.request), key);
        self.by_flow.insert((client.flow, key));
        self.by_key.insert(key, client);
    }

    pub fn remove(&mut self, key: TransactionKey) {
        let Some(client) = self.by_key.remove(&key) else {
            return;
        };
        self.by_wire.remove(&ClientKey::of_request(&client.request));
        self.by_flow.remove(&(client.flow, key));
        debug_assert_eq!(self.by_wire.len(), self.by_key.len());
    }

    pub fn get_mut(&mut self, key: TransactionKey) -> Option<&mut Client> {
        self.by_key.get_mut(&key)
    }

    pub fn find(&self, response: &Response) -> Option<TransactionKey> {
        self.by_wire.get(&ClientKey::of_response(response)).copied()
    }

    pub fn on_flow(&self, flow: Flow) -> Vec<TransactionKey> {
        let range = (flow, TransactionKey(0))..=(flow, TransactionKey(u64::MAX));
        self.by_flow.range(range).map(|(_, key)| *key).collect()
    }

    pub fn len(&self) -> usize {
        self.by_key.len()
    }
}

impl Machine {
    pub fn handle_timeout(&mut self, now: Instant, out: &mut Vec<Action>) {
        match self {
            Machine::Invite(invite) => invite.handle_timeout(now, out),
            Machine::NonInvite(other) => other.handle_timeout(now, out),
        }
    }

    pub fn handle_transport_failure(&mut self) -> bool {
        match self {
            Machine::Invite(invite) => invite.handle_transport_failure(),
            Machine::NonInvite(other) => other.handle_transport_failure(),
        }
    }

    pub fn next_deadline(&self) -> Option<Instant> {
        match self {
            Machine::Invite(invite) => invite.next_deadline(),
            Machine::NonInvite(other) => other.next_deadline(),
        }
    }

    pub fn is_terminated(&self) -> bool {
        match self {
            Machine::Invite(invite) => invite.is_terminated(),
            Machine::NonInvite(other) => other.is_terminated(),
        }
    }
}
