//! The engine: calls, legs, bridges and everything a router may ask of them, as pure values.
//!
//! Inputs go in one at a time, outputs come out in order; time, randomness and the world's answers are
//! inputs, so a whole day of calls runs in simulation from a seed. Where to look:
//!
//! | what | file |
//! |---|---|
//! | one input as a transaction, what goes out in which order | `engine.rs`, `tx.rs`, `table.rs` |
//! | an INVITE comes in, why it was refused | `inbound.rs`, `admission.rs`, `gates.rs` |
//! | answer, early media towards the caller · offers before the answer | `answering.rs` · `early.rs` |
//! | dialling out, why it was refused · targets, CANCEL at the ring limit | `dialing.rs`, `dial_plan.rs`, `number_policy.rs` · `attempts.rs` |
//! | emergency calls, before and beyond every limit | `emergency.rs` |
//! | limits against toll fraud · what they have counted | `fraud.rs` · `spending.rs` |
//! | SIP messages written down for an engineer | `traces.rs` |
//! | who calls: read · shown · sent on | `identity.rs` · `shown.rs`, `wire_number.rs` · `redirected.rs`, `passing_on.rs` |
//! | transfers · what a peer asks for by REFER, Replaces, 3xx | `transferring.rs` · `referred.rs`, `replacing.rs`, `moved.rs` |
//! | who vouches for a caller | `vouching.rs` |
//! | where peers are, whether they answer | `peers.rs`, `health.rs` |
//! | who hears whom | `audibility.rs`, made true by `reconcile.rs` |
//! | phones that registered, trunks that are registered | `registrations.rs` |
//! | hold, mute · bridges · plays · digits · recordings | `holding.rs` · `bridging.rs` · `playing.rs` · `collecting.rs` · `taping.rs` |
//! | ends, causes, the record | `ending.rs`, `cause.rs`, `call_record.rs` |
//! | control requests, idempotency, batch, resume · stats asked of shards | `control.rs`, `replay.rs`, `sessions.rs`, `journal.rs`, `audience.rs` · `questions.rs` |
//!
//! Must not know sockets, tokio, files, or what time it is.

pub mod admission;
mod alarms;
mod answering;
mod attempts;
mod audibility;
mod audience;
mod bridge;
mod bridging;
mod call;
mod call_record;
mod cause;
mod collecting;
mod commands;
mod control;
mod controllers;
mod dial_plan;
mod dialing;
mod draining;
mod early;
mod emergency;
mod ending;
#[expect(
    clippy::module_inception,
    reason = "the conductor is named like the room it conducts"
)]
mod engine;
mod fraud;
mod gates;
mod gathering;
mod gauges;
mod health;
mod holding;
mod identity;
mod inbound;
pub mod io;
mod journal;
pub mod keys;
mod leg;
mod media_plan;
pub mod metrics;
mod moved;
pub mod number_policy;
mod op;
mod passing_on;
pub mod peers;
mod playing;
mod quality;
mod questions;
mod reconcile;
mod recording;
mod redirected;
mod referred;
mod registrations;
mod replacing;
mod replay;
pub mod route_preview;
mod saved_limits;
mod sessions;
mod setup;
mod shown;
mod signalling;
mod snapshot;
mod sounds;
mod spending;
mod stats_feed;
mod streams;
mod table;
mod tallying;
mod taping;
mod timers;
pub mod tls_peers;
mod traces;
mod transferring;
mod tx;
mod vouching;
mod wire_number;
mod world;

pub use bridging::STRAY_BRIDGES_MAX;
pub use engine::Engine;
pub use setup::Setup;
pub use traces::TRACES_MAX;
pub use world::World;
