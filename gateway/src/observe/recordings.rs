//! Recordings: one file per party while they grow, one file for all when they are over.

pub mod join;
pub mod lost;
pub mod manifest;
pub mod path;
pub mod recording;
pub mod wav;

/// Length of a tick of the shard's grid, milliseconds.
pub const TICK_MS: u64 = 20;

/// Samples of a tick at 8000 Hz.
pub const SAMPLES_PER_TICK: u64 = TICK_MS * wav::RATE_HZ as u64 / 1_000;
