//! An embedded SIP/RTP media gateway.

#![forbid(unsafe_code)]

pub mod certificate;
pub mod config;
pub mod control;
pub mod core;
pub mod demo;
pub mod engine;
mod inert;
pub mod loadtest;
mod media_keys;
pub mod observe;
pub mod phone;
pub mod shell;
pub mod stir;
pub mod utc;

pub use shell::gateway::{Gateway, StartError};
