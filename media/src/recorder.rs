//! What a party says, cut into blocks for a writer outside the shard, and the WAV files made of them.
//!
//! Knows nothing of file names, disks or calls.

/// One recorded party, numbered by the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrackKey(pub u64);
