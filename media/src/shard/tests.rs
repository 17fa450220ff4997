//! Whole shards in virtual time: real shards, test parties, a simulated network.

mod mix;
mod party;
mod relay;
