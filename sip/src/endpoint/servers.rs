//! The server transactions under way and which session each belongs to.
//!
//! Must not know sessions beyond their number.

use std::collections::BTreeMap;
use std::time::Instant;

use super::command::{Flow, SessionKey};
use crate::transaction::{Action, InviteServer, MergeKey, NonInviteServer, ServerKey, TransactionKey};

/// One server transaction.
#[derive(Debug)]
pub(super) struct Server {
    pub machine: Machine,
    /// Where its responses go: the source of the request.
    pub flow: Flow,
    /// Where they go when that connection has closed (RFC 3261 §18.2.2).
    pub fallback: Option<Flow>,
    /// The session of an INVITE: CANCEL must find it.
    pub session: Option<SessionKey>,
    wire: ServerKey,
    merge: Option<MergeKey>,
}

/// The state machine of the transaction.
#[derive(Debug)]
pub(super) enum Machine {
    Invite(InviteServer),
    NonInvite(NonInviteServer),
}

/// Every server transaction, by our number, by what its repeats carry, and by what copies over another way
/// carry.
#[derive(Debug, Default)]
pub(super) struct Servers {
    by_key: BTreeMap<TransactionKey, Server>,
    by_wire: BTreeMap<ServerKey, TransactionKey>,
    by_merge: BTreeMap<MergeKey, TransactionKey>,
}

impl Server {
    pub fn new(
        machine: Machine,
        flow: Flow,
        fallback: Option<Flow>,
        wire: ServerKey,
        merge: Option<MergeKey>,
    ) -> Self {
        Server {
            machine,
            flow,
            fallback,
            session: None,
            wire,
            merge,
        }
    }
}

impl Servers {
    pub fn insert(&mut self, key: TransactionKey, server: Server) {
        self.by_wire.insert(server.wire.clone(), key);
        if let Some(merge) = &server.merge {
            self.by_merge.entry(merge.clone()).or_insert(key);
        }
        self.by_key.insert(key, server);
    }

    pub fn remove(&mut self, key: TransactionKey) {
        let Some(server) = self.by_key.remove(&key) else {
            return;
        };
        self.by_wire.remove(&server.wire);
        if let Some(merge) = server
            .merge
            .filter(|merge| self.by_merge.get(merge) == Some(&key))
        {
            self.by_merge.remove(&merge);
        }
        debug_assert_eq!(self.by_wire.len(), self.by_key.len());
    }

    pub fn get_mut(&mut self, key: TransactionKey) -> Option<&mut Server> {
        self.by_key.get_mut(&key)
    }

    pub fn find(&self, wire: &ServerKey) -> Option<TransactionKey> {
        self.by_wire.get(wire).copied()
    }

    /// The transaction of the first copy of such a request.
    pub fn find_merged(&self, merge: &MergeKey) -> Option<TransactionKey> {
        self.by_merge.get(merge).copied()
    }

    pub fn len(&self) -> usize {
        self.by_key.len()
    }
}

impl Machine {
    pub fn handle_repeat(&mut self, out: &mut Vec<Action>) {
        match self {
            Machine::Invite(invite) => invite.handle_repeat(out),
            Machine::NonInvite(other) => other.handle_repeat(out),
        }
    }

    pub fn handle_timeout(&mut self, now: Instant, out: &mut Vec<Action>) {
        match self {
            Machine::Invite(invite) => invite.handle_timeout(now, out),
            Machine::NonInvite(other) => other.handle_timeout(now),
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
