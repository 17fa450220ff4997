//! The four transactions of RFC 3261 §17 with the Accepted states of RFC 6026.
//!
//! ```text
//!               client                          server
//!  INVITE       InviteClient                    InviteServer
//!               A resend, B give up, D linger   G resend, H give up, I linger
//!               M linger after 2xx              L linger after 2xx
//!  all others   NonInviteClient                 NonInviteServer
//!               E resend, F give up, K linger   J linger
//! ```
//! Each is a state machine that holds serialised bytes and the deadlines of its present state. It must
//! not know dialogs, SDP, sockets or who uses it; matching a message to one is the work of [`key`].

mod invite_client;
mod invite_server;
pub mod key;
mod non_invite_client;
mod non_invite_server;
pub mod timing;

use bytes::Bytes;

pub use invite_client::{InviteClient, Patience};
pub use invite_server::InviteServer;
pub use key::{ClientKey, MergeKey, ServerKey, TransactionKey};
pub use non_invite_client::NonInviteClient;
pub use non_invite_server::NonInviteServer;
pub use timing::Reliability;

/// What a transaction wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// These bytes on the wire, to the transaction's own destination.
    Send(Bytes),
    /// No final response came in time (timers B and F): the user of the transaction hears of it as a
    /// 408 (RFC 3261 §8.1.3.1).
    TimedOut,
}

/// What becomes of a response or request that matched a transaction.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// It is news for the user of the transaction.
    Up,
    /// A retransmission, or out of place: the transaction has dealt with it.
    Absorbed,
}
