//! What lies between messages and sockets, without the sockets: framing of streams, and where a peer is.

pub mod framer;
pub mod name_cache;
pub mod target;
