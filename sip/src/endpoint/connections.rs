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
    PING_IDLE, PONG_WAIT,
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
        ping: Ping,
    },
}

/// Keep-alives of ours (RFC 5626 §4.4.1): sent by whoever opened the connection.
///
/// Deviates from RFC 5626 §4.4.1: a peer that never answered a ping is not taken to be dead for its silence,
/// as one that does not know keep-alives is silent too. Its loss is seen by the kernel, which gets no
/// acknowledgement for the ping.
#[derive(Clone, Copy, Debug)]
enum Ping {
    /// The peer opened it.
    Theirs,
    /// Sent then, unless something comes before.
    At { at: Instant, is_known: bool },
    /// Sent; the peer has until then.
    Out { until: Instant, is_known: bool },
}

/// What a connection's time brings.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    /// A keep-alive is to be sent.
    Ping,
    /// It is given up.
    Close,
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
        let ours = Ping::At {
            at: now + PING_IDLE,
            is_known: false,
        };
        let (queue, ping) = match self.by_flow.remove(&flow) {
            Some(Connection::Connecting { queue, .. }) => (queue, ours),
            Some(Connection::Open { .. }) | None if self.has_room(flow.remote.ip()) => (vec![], Ping::Theirs),
            Some(Connection::Open { .. }) | None => return None,
        };
        let idle_at = now + CONNECTION_IDLE;
        let open = Connection::Open {
            framer: Framer::default(),
            idle_at,
            message: MessageWait::Nothing,
            ping,
        };
        self.by_flow.insert(flow, open);
        Some(queue)
    }

    /// Takes received bytes; false when no such connection is open.
    #[must_use]
    pub fn push(&mut self, flow: Flow, bytes: &[u8], now: Instant) -> bool {
        let Some(Connection::Open {
            framer,
            idle_at,
            ping,
            ..
        }) = self.by_flow.get_mut(&flow)
        else {
            return false;
        };
        *idle_at = now + CONNECTION_IDLE;
        *ping = ping.postponed(now);
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

    /// A lone CRLF came: the answer to our ping, if one is out.
    pub fn handle_pong(&mut self, flow: Flow, now: Instant) {
        if let Some(Connection::Open { ping, .. }) = self.by_flow.get_mut(&flow) {
            *ping = match *ping {
                Ping::Theirs => Ping::Theirs,
                Ping::At { .. } | Ping::Out { .. } => Ping::At {
                    at: now + PING_IDLE,
                    is_known: true,
                },
            };
        }
    }

    /// What is due on a connection.
    pub fn handle_timeout(&mut self, flow: Flow, now: Instant) -> Due {
        let Some(Connection::Open {
            idle_at,
            message,
            ping,
            ..
        }) = self.by_flow.get_mut(&flow)
        else {
            let is_due = self.deadline(&flow).is_some_and(|at| at <= now);
            return if is_due { Due::Close } else { Due::Nothing };
        };
        let is_late = matches!(message, MessageWait::Until(at) if *at <= now);
        if *idle_at <= now || is_late {
            return Due::Close;
        }
        match *ping {
            Ping::At { at, is_known } if at <= now => {
                *ping = Ping::Out {
                    until: now + PONG_WAIT,
                    is_known,
                };
                Due::Ping
            }
            Ping::Out {
                until,
                is_known: true,
            } if until <= now => Due::Close,
            Ping::Out {
                until,
                is_known: false,
            } if until <= now => {
                *ping = Ping::At {
                    at: now + PING_IDLE,
                    is_known: false,
                };
                Due::Nothing
            }
            Ping::Theirs | Ping::At { .. } | Ping::Out { .. } => Due::Nothing,
        }
    }

    /// Forgets a connection; false when it was not known.
    pub fn remove(&mut self, flow: Flow) -> bool {
        self.by_flow.remove(&flow).is_some()
    }

    /// True for a connection that can take bytes at once.
    pub fn is_open(&self, flow: &Flow) -> bool {
        matches!(self.by_flow.get(flow), Some(Connection::Open { .. }))
    }

    /// When [`Connections::handle_timeout`] has work: it does not open, a message takes too long, it is idle,
    /// or a keep-alive is due.
    pub fn deadline(&self, flow: &Flow) -> Option<Instant> {
        match self.by_flow.get(flow)? {
            Connection::Connecting { give_up_at, .. } => Some(*give_up_at),
            Connection::Open {
                idle_at,
                message,
                ping,
                ..
            } => {
                let message = match message {
                    MessageWait::Nothing => None,
                    MessageWait::Until(at) => Some(*at),
                };
                [Some(*idle_at), message, ping.deadline()]
                    .into_iter()
                    .flatten()
                    .min()
            }
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

impl Ping {
    /// Something came: the peer is there.
    fn postponed(self, now: Instant) -> Ping {
        match self {
            Ping::Theirs => Ping::Theirs,
            Ping::At { is_known, .. } | Ping::Out { is_known, .. } => Ping::At {
                at: now + PING_IDLE,
                is_known,
            },
        }
    }

    fn deadline(self) -> Option<Instant> {
        match self {
            Ping::Theirs => None,
            Ping::At { at, .. } => Some(at),
            Ping::Out { until, .. } => Some(until),
        }
    }
}
