//! How a routing engine drives the gateway: JSON-RPC 2.0 over a Unix socket.
//!
//! Owns the protocol's types (the one source of the schema), the connections and the client. Never
//! decides anything about calls: a request becomes `Input::Control`, what comes back is a line.

pub mod cli;
pub mod client;
pub mod connection;
pub mod outbox;
pub mod protocol;
pub mod schema;
pub mod unix;
