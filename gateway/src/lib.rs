//! An embedded SIP/RTP media gateway.

#![forbid(unsafe_code)]

pub mod config;
