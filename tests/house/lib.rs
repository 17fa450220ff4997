//! What the integration tests share: tones and ears of their own, a whole town in virtual time, and the
//! real program on the wire.
//!
//! The codec, the tone detector and the SDP reader here are written apart from the gateway's, so that a
//! mistake in one does not hide in the other.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

pub mod phonebook;
pub mod sim;
pub mod tone;
pub mod wire;
