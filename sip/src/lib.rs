//! A sans-IO SIP stack.
#![forbid(unsafe_code)]

pub mod auth;
pub mod dialog;
pub mod endpoint;
pub mod message;
pub mod network;
pub mod registration;
pub mod rng;
pub mod sdp;
pub mod transaction;
pub mod transport;
