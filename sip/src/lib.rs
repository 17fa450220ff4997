//! A sans-IO SIP stack.
#![forbid(unsafe_code)]

pub mod auth;
pub mod message;
pub mod rng;
pub mod sdp;
pub mod transport;
