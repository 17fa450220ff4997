//! What a shard is given when it is made, and the sizes that follow from it.

use std::time::Duration;

use super::io::choice::Choice;

/// What one shard works with. Addresses come with each `Open`.
#[derive(Clone, Debug)]
pub struct ShardConfig {
    /// Its number: names the thread.
    pub index: u32,
    /// First port of its range.
    pub port_first: u16,
    /// Last port of its range, inclusive. Ranges of shards on the same address do not overlap.
    pub port_last: u16,
    /// Most streams at a time; more are refused with `OpenFailed`.
    pub streams_max: u32,
    /// The pause between two turns (docs/decisions/0005-turn-length.md).
    pub turn: Duration,
    /// What keeps its sockets.
    pub io: Choice,
    /// The core its thread stays on.
    pub cpu: Option<usize>,
    /// Memory for blocks of recordings, 3.2 kB each: one for every track and what the queue holds.
    pub blocks: usize,
    /// Start of its random numbers: from the operating system in service, fixed in a simulation.
    pub seed: u64,
}

/// The pause between two turns, chosen by measurement: docs/decisions/0005-turn-length.md.
pub const TURN: Duration = Duration::from_millis(1);

/// Streams a shard has room for unless told otherwise: 2,000 two-party calls on one core.
pub const STREAMS_MAX: u32 = 4096;

/// Events kept for an engine that does not read; beyond it nothing new is taken from the command queue,
/// and what packets cause is dropped and counted.
pub const EVENTS_BACKLOG_MAX: usize = 4096;

/// Speakers in one row; further ones are ignored and counted.
pub const ROW_MAX: usize = 32;

/// Tracks of one party at a time: a call and its bridge and two to spare.
pub const TRACKS_MAX: usize = 4;

/// Nothing heard for so long is told as `Silent`.
pub const SILENCE_LIMIT: Duration = Duration::from_secs(2);

/// How well a stream is is looked at so often: every second.
pub const LOOK_TICKS: u64 = 50;

/// Blocks waiting for the recordings writer: 0.8 s of stalled disk at 250 tracks. Beyond it blocks are lost
/// and leave gaps that are counted.
pub const BLOCKS_MAX: usize = 1024;

impl Default for ShardConfig {
    fn default() -> Self {
        Self {
            index: 0,
            port_first: 20_000,
            port_last: 29_999,
            streams_max: STREAMS_MAX,
            turn: TURN,
            io: Choice::Auto,
            cpu: None,
            blocks: 2 * BLOCKS_MAX,
            seed: 0,
        }
    }
}
