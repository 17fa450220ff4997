//! The TCP and TLS connections the endpoint knows: what waits for one to open, what one has half received.
//!
//! Must not know messages beyond their frames, nor transactions.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Instant;

use bytes::Bytes;

use super::command::Flow;
use super::config::{
    CONNECT_WAIT, CONNECTION_IDLE, CONNECTIONS_PER_ADDRESS_MAX, MESSAGE_WAIT, PENDING_PER_CONNECTION_MAX,
};
use crate::transport::framer::{Broken, Frame, Framer};

/// Every connection, by its flow.
#[derive(Debug)]
pub(super) struct Connections {
    by_flow: BTreeMap<Flow, Connection>,
    max: usize,
}

#[derive(Debug)]
enum Connection {
    /// Asked for; messages wait.
    Connecting { queue: Vec<Bytes>, give_up_at: Instant },
    /// Open.
    Open {
        framer: Framer,
        idle_at: Instant,
        message: MessageWait,
    },
}

/// Whether part of a message has come.
#[derive(Clone, Copy, Debug)]
enum MessageWait {
    Nothing,
    Until(Instant),
}

/// What becomes of bytes to be sent.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sending {
    /// The connection is open: send them.
    Now(Bytes),
    /// They wait for the connection that is being opened.
    Queued,
    /// They wait; the connection must be asked for.
    Connect,
    /// There is no room.
    Refused,
}

impl Connections {
    pub fn new(max: usize) -> Self {
        Connections {
            by_flow: BTreeMap::new(),
            max,
        }
    }

    /// Sends on a connection, or queues until it is open.
    pub fn send(&mut self, flow: Flow, bytes: Bytes, now: Instant) -> Sending {
        let Some(connection) = self.by_flow.get_mut(&flow) else {
            if !self.has_room(flow.remote.ip()) {
                return Sending::Refused;
            }
            let connecting = Connection::Connecting {
                queue: vec![bytes],
                give_up_at: now + CONNECT_WAIT,
            };
            self.by_flow.insert(flow, connecting);
            return Sending::Connect;
        };
        match connection {
            Connection::Open { idle_at, .. } => {
                *idle_at = now + CONNECTION_IDLE;
                Sending::Now(bytes)
            }
            Connection::Connecting { queue, .. } if queue.len() < PENDING_PER_CONNECTION_MAX => {
                queue.push(bytes);
                Sending::Queued
            }
            Connection::Connecting { .. } => Sending::Refused,
        }
    }

    /// A connection opened, asked for or accepted: what waited for it, or `None` when there is no room.
    pub fn open(&mut self, flow: Flow, now: Instant) -> Option<Vec<Bytes>> {
        let queue = match self.by_flow.remove(&flow) {
            Some(Connection::Connecting { queue, .. }) => queue,
            Some(Connection::Open { .. }) | None if self.has_room(flow.remote.ip()) => vec![],
            Some(Connection::Open { .. }) | None => return None,
        };
        let idle_at = now + CONNECTION_IDLE;
        let open = Connection::Open {
            framer: Framer::default(),
            idle_at,
            message: MessageWait::Nothing,
        };
        self.by_flow.insert(flow, open);
        Some(queue)
    }

    /// Takes received bytes; false when no such connection is open.
    #[must_use]
    pub fn push(&mut self, flow: Flow, bytes: &[u8], now: Instant) -> bool {
        let Some(Connection::Open { framer, idle_at, .. }) = self.by_flow.get_mut(&flow) else {
            return false;
        };
        *idle_at = now + CONNECTION_IDLE;
        framer.push(bytes);
        true
    }

    /// The next frame. The time a message may take runs from its first byte.
    pub fn poll(&mut self, flow: Flow, now: Instant) -> Option<Result<Frame, Broken>> {
        let Some(Connection::Open { framer, message, .. }) = self.by_flow.get_mut(&flow) else {
            return None;
        };
        let frame = framer.poll();
        *message = match (&frame, framer.is_partial(), *message) {
            (None, true, MessageWait::Until(at)) => MessageWait::Until(at),
            (None, true, MessageWait::Nothing) => MessageWait::Until(now + MESSAGE_WAIT),
            (None, false, _) | (Some(_), _, _) => MessageWait::Nothing,
        };
        frame
    }

    /// Forgets a connection; false when it was not known.
    pub fn remove(&mut self, flow: Flow) -> bool {
        self.by_flow.remove(&flow).is_some()
    }

    /// True for a connection that can take bytes at once.
    pub fn is_open(&self, flow: &Flow) -> bool {
        matches!(self.by_flow.get(flow), Some(Connection::Open { .. }))
    }

    /// When the connection is given up: it does not open, a message takes too long, or it is idle.
    pub fn deadline(&self, flow: &Flow) -> Option<Instant> {
        match self.by_flow.get(flow)? {
            Connection::Connecting { give_up_at, .. } => Some(*give_up_at),
            Connection::Open {
                idle_at,
                message: MessageWait::Nothing,
                ..
            } => Some(*idle_at),
            Connection::Open {
                idle_at,
                message: MessageWait::Until(at),
                ..
            } => Some((*at).min(*idle_at)),
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_flow.len()
    }

    fn has_room(&self, remote: IpAddr) -> bool {
        let same = self
            .by_flow
            .keys()
            .filter(|flow| flow.remote.ip() == remote)
            .count();
        self.by_flow.len() < self.max && same < CONNECTIONS_PER_ADDRESS_MAX
    }
}
