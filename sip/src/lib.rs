//! A sans-IO SIP stack.
#![forbid(unsafe_code)]

pub mod message;
pub mod sdp;
