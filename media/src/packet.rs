//! Memory for packets: a fixed number of equal slots, taken and given back by handle.
//!
//! Knows nothing of sockets, RTP or streams.

mod pool;

pub use pool::{Buf, HEADROOM_BYTES, Pool, SLOT_BYTES};
