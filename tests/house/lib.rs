//! What the integration tests share: tones and ears of their own, a whole town in virtual time, and the
//! real program on the wire.
//!
//! The codec, the tone detector, the SDP reader and SRTP here are written apart from the gateway's, so that a
//! mistake in one does not hide in the other.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

pub mod papers;
pub mod peer;
pub mod phonebook;
pub mod sim;
pub mod srtp;
pub mod tone;
pub mod torture;
pub mod wire;
