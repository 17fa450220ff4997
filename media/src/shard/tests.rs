//! Whole shards in virtual time: real shards, test parties, a simulated network.

mod digits;
mod mix;
mod party;
mod play;
mod record;
mod relay;
mod source;
