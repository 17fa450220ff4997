//! A recording: one track per party while it runs, one file when it is stored.
//!
//! Owns which legs are on tape and when; the samples never come here. Knows nothing of files but the
//! path that clients are shown.

use std::collections::BTreeMap;
use std::time::Instant;

use media::TrackGate;
use media::recorder::TrackKey;

use crate::control::protocol::Id;
use crate::engine::bridge::Bridge;
use crate::engine::io::Now;
use crate::engine::keys::{BridgeKey, CallKey, LegKey, RecordingKey};
use crate::engine::leg::Leg;
use crate::engine::table::Row;

/// One recording.
#[derive(Clone, Debug)]
pub struct Recording {
    /// Our number for it.
    pub key: RecordingKey,
    /// Its id towards clients.
    pub id: Id,
    /// The call in whose record it stands.
    pub call: CallKey,
    /// Whom it covers.
    pub target: Target,
    /// The id the client named it by.
    pub target_id: Id,
    /// Tracks by leg.
    pub tracks: BTreeMap<LegKey, Track>,
    /// Goes on while the party is muted.
    pub include_muted: bool,
    /// Goes on while the party is held.
    pub include_held: bool,
    /// When it began.
    pub started: Now,
    /// How far it is.
    pub stage: RecordingStage,
    /// Paused spans that are over: milliseconds since the start.
    pub pauses: Vec<(u64, u64)>,
    /// Stops it when reached (`max_ms`).
    pub max_at: Option<Instant>,
    /// Path of the joined file.
    pub path: String,
}

/// Whom a recording covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Every leg of the call, also later ones.
    Call(CallKey),
    /// Every member of the bridge, also later ones.
    Bridge(BridgeKey),
    /// One leg.
    Leg(LegKey),
}

/// How far a recording is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordingStage {
    /// Samples are kept.
    Running,
    /// Silence is kept.
    Paused {
        /// Since when.
        since: Instant,
    },
    /// Its tracks are being joined.
    Stopping,
    /// On disk.
    Stored {
        /// `file://…`
        uri: String,
        /// Lower-case hex.
        sha256: String,
        /// Leg ids in channel order.
        channels: Vec<String>,
        /// Length, milliseconds.
        duration_ms: u64,
    },
    /// Not kept.
    Failed,
}

/// One party on tape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Track {
    /// The shard's number for it.
    pub key: TrackKey,
    /// What the shard was last told; `None`: it has ended.
    pub gate: Option<TrackGate>,
}

impl Recording {
    /// Still taking samples or silence.
    pub fn is_open(&self) -> bool {
        matches!(
            self.stage,
            RecordingStage::Running | RecordingStage::Paused { .. }
        )
    }

    /// Whether this leg belongs on it.
    pub fn covers(&self, leg: &Leg, bridge: impl Fn(BridgeKey) -> Option<Bridge>) -> bool {
        match self.target {
            Target::Call(call) => leg.call == call,
            Target::Bridge(key) => bridge(key).is_some_and(|bridge| bridge.has(leg.key)),
            Target::Leg(key) => leg.key == key,
        }
    }

    /// What of this leg is kept now.
    pub fn gate(&self, leg: &Leg) -> TrackGate {
        let hidden = (leg.muted_send && !self.include_muted) || (leg.hold.is_some() && !self.include_held);
        match self.stage {
            RecordingStage::Running if !hidden => TrackGate::Open,
            RecordingStage::Running
            | RecordingStage::Paused { .. }
            | RecordingStage::Stopping
            | RecordingStage::Stored { .. }
            | RecordingStage::Failed => TrackGate::Silent,
        }
    }

    /// Milliseconds since its start.
    pub fn position_ms(&self, now: Instant) -> u64 {
        let position = now.saturating_duration_since(self.started.mono);
        u64::try_from(position.as_millis()).unwrap_or(u64::MAX)
    }
}

impl Row for Recording {
    fn deadline(&self) -> Option<Instant> {
        if self.is_open() { self.max_at } else { None }
    }
}
