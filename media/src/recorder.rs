//! What a party says, cut into blocks for a writer outside the shard, and the WAV files made of them.
//!
//! ```text
//!  shard: Track ── Block ──▶ bounded queue ──▶ writer: wav::MonoWriter, one file per party
//!         Pool  ◀─ emptied samples ───────────┘
//!  at stop: wav::join, all parties into one file
//! ```
//! Knows nothing of file names, disks or calls.

mod pool;
mod track;
pub mod wav;

pub use pool::BlockPool;
pub use track::{BLOCK_SAMPLES, Block, Track};

/// One recorded party, numbered by the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrackKey(pub u64);
