//! Whole shards in virtual time: real shards, test parties, a simulated network.

mod digits;
mod handover;
mod mix;
mod party;
mod play;
mod quality;
mod record;
mod relay;
mod settling;
mod source;
mod srtp;
mod tones;
