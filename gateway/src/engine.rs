//! The engine: calls, legs, bridges and everything a router may ask of them, as pure values.
//!
//! Inputs go in one at a time, outputs come out in order; time, randomness and the world's answers are
//! inputs, so a whole day of calls runs in simulation from a seed. Where to look:
//!
//! | what | where |
//! |---|---|
//! | one input as a transaction, what goes out in which order | `engine.rs`, `tx.rs`, `table.rs`, `publishing.rs` |
//! | rows: calls, legs, bridges, ops | `world.rs`, `call.rs`, `leg.rs`, `bridge.rs`, `op.rs` |
//! | what SIP, the media and the clock say | `signalling.rs`, `streams.rs`, `timers.rs` |
//! | the life of a leg, and the record of it | `calls/` |
//! | why a call is let through or not: numbers, limits, money | `policy/` |
//! | peers, registrations, certificates, quality, traces | `trunks/` |
//! | who calls | `callers/` |
//! | transfers | `transfers/` |
//! | who hears whom | `audio/` |
//! | commands, events, replay | `router/` |
//!
//! Must not know sockets, tokio, files, or what time it is.

mod audio;
mod bridge;
mod call;
mod callers;
mod calls;
#[expect(
    clippy::module_inception,
    reason = "the conductor is named like the room it conducts"
)]
mod engine;
mod gauges;
pub mod io;
pub mod keys;
mod leg;
pub mod metrics;
mod op;
pub mod policy;
mod publishing;
mod router;
mod setup;
mod signalling;
mod streams;
mod table;
mod tallying;
mod timers;
mod transfers;
pub mod trunks;
mod tx;
mod world;

pub use audio::bridging::STRAY_BRIDGES_MAX;
pub use engine::Engine;
pub use gauges::sip_held;
pub use setup::Setup;
pub use trunks::traces::TRACES_MAX;
pub use world::World;
