//! What lies between bytes of a connection and messages.
//!
//! Knows no socket, no clock and no transaction.

pub mod framer;
