//! What the snapshot shows of each object. Holds copies; changes nothing.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::id::{Id, Name};
use super::limits::{Concurrent, Limits, PerSecond};
use super::party::Party;
use super::text::Tags;
use super::time::Timestamp;
use super::words::{
    BridgeMode, CodecName, Direction, LegState, OpKind, OpState, PeerState, RecordingState, TrunkState,
};

/// A gain in decibels, −60 to 20; written with at most two decimals.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Db(pub f32);

impl Serialize for Db {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64((f64::from(self.0) * 100.0).round() / 100.0)
    }
}

impl<'de> Deserialize<'de> for Db {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let gain = f32::deserialize(deserializer)?;
        if !(-60.0..=20.0).contains(&gain) {
            return Err(de::Error::custom("must be from -60 to 20"));
        }
        Ok(Self(gain))
    }
}

impl JsonSchema for Db {
    fn schema_name() -> Cow<'static, str> {
        "Db".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "minimum": -60, "maximum": 20, "description": "A gain in decibels." })
    }
}

/// Who hears whom: listener → speaker → gain, or null for not at all.
pub type Hears = BTreeMap<Id, BTreeMap<Id, Option<Db>>>;

/// Everything that is true at exactly its `seq`.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct StateSnapshot {
    /// The epoch of `seq`.
    pub epoch: String,
    /// The last event that is applied in what follows.
    pub seq: u64,
    /// The instances.
    pub instances: Vec<InstanceView>,
    /// The trunks.
    pub trunks: Vec<TrunkView>,
    /// The calls whose record is not out yet.
    pub calls: Vec<CallView>,
    /// The legs of those calls.
    pub legs: Vec<LegView>,
    /// The bridges.
    pub bridges: Vec<BridgeView>,
    /// Long work that goes on.
    pub ops: Vec<OpView>,
    /// The recordings of those calls.
    pub recordings: Vec<RecordingView>,
    /// Limits and how full they are.
    pub limits: Limits,
}

/// An instance.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct InstanceView {
    /// Its name.
    pub instance: Name,
    /// Calls up at once.
    pub calls: Concurrent,
    /// New calls a second.
    pub calls_per_second: PerSecond,
    /// Whether it takes no more calls.
    pub draining: bool,
}

/// A trunk.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct TrunkView {
    /// Its name.
    pub trunk: Name,
    /// Whether it can be used.
    pub state: TrunkState,
    /// Whether `trunk.disable` holds: no new calls either way.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub disabled: bool,
    /// Whether its legs are agents.
    pub agents: bool,
    /// Whether it is registered at its carrier. Left out where it does not register.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registered: Option<bool>,
    /// Users with a registered phone. Left out where it takes no registrations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phones: Option<u64>,
    /// Legs up at once.
    pub calls: Concurrent,
    /// New legs a second.
    pub calls_per_second: PerSecond,
    /// Its peers, as far as they are located.
    pub peers: Vec<PeerView>,
    /// How dialled legs fared since the start.
    pub quality: TrunkQuality,
    /// The failure of a peer seen last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<TrunkFailure>,
}

/// A peer of a trunk.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct PeerView {
    /// Its address.
    pub peer: String,
    /// Whether calls go there.
    pub state: PeerState,
    /// Why not, a stable word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// How long it rests, where it asked for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rests_ms: Option<u64>,
}

/// How dialled legs of a trunk fared.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct TrunkQuality {
    /// Legs whose INVITE went out.
    pub seizures: u64,
    /// Those that were answered.
    pub answered: u64,
    /// Those that the called party, or the caller while it rang, brought to their end.
    pub effective: u64,
    /// Answer-seizure ratio: answered of seizures; left out while there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asr: Option<f64>,
    /// Network effectiveness ratio: effective of seizures; left out while there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ner: Option<f64>,
    /// From our INVITE to the first sign of the peer: the mean.
    pub post_dial_delay_ms: u64,
    /// From our INVITE to the answer: the mean.
    pub setup_ms: u64,
    /// Share of each codec among answered legs.
    pub codecs: BTreeMap<String, f64>,
}

/// A failure of a peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TrunkFailure {
    /// Its address.
    pub peer: String,
    /// When.
    pub at: Timestamp,
    /// Its status; left out where it did not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sip: Option<u16>,
    /// The Q.850 cause.
    pub q850: u16,
}

/// A call.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct CallView {
    /// Its id.
    pub call: Id,
    /// Its instance.
    pub instance: Name,
    /// Its application.
    pub app: Name,
    /// How its first leg was set up.
    pub direction: Direction,
    /// When it began.
    pub started: Timestamp,
    /// Whether it is over and only its record is awaited.
    pub ended: bool,
    /// Whether a command has claimed it (outbound calls are from the start).
    pub claimed: bool,
    /// Its legs.
    pub legs: Vec<Id>,
    /// Its bridges.
    pub bridges: Vec<Id>,
    /// Its recordings.
    pub recordings: Vec<Id>,
    /// Its tags.
    pub tags: Tags,
}

/// Whether media is up, each way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LegMedia {
    /// From the peer to us.
    pub rx: bool,
    /// From us to the peer.
    pub tx: bool,
}

/// A leg.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct LegView {
    /// Its id.
    pub leg: Id,
    /// Its call.
    pub call: Id,
    /// Its instance.
    pub instance: Name,
    /// Its application.
    pub app: Name,
    /// Its trunk.
    pub trunk: Name,
    /// How it was set up.
    pub direction: Direction,
    /// Where it stands.
    pub state: LegState,
    /// The caller.
    pub from: Party,
    /// The destination.
    pub to: Party,
    /// The bridge it is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bridge: Option<Id>,
    /// We hold it.
    pub held: bool,
    /// What it hears while held: a class of music, or null for silence. Left out while not held.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Name>")]
    pub music: Option<super::params::HoldMusic>,
    /// Its peer holds us.
    pub far_held: bool,
    /// Nobody hears it.
    pub muted_send: bool,
    /// It hears nobody.
    pub muted_recv: bool,
    /// It hears a play.
    pub playing: bool,
    /// Its digits are collected.
    pub collecting: bool,
    /// It is recorded.
    pub recording: bool,
    /// Its media is encrypted.
    pub secure: bool,
    /// Whether media is up.
    pub media: LegMedia,
    /// The codec agreed on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub codec: Option<CodecName>,
    /// Its tags.
    pub tags: Tags,
}

/// A bridge.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct BridgeView {
    /// Its id.
    pub bridge: Id,
    /// The call it belongs to.
    pub call: Option<Id>,
    /// Its members, in the order they joined.
    pub legs: Vec<Id>,
    /// How it carries audio.
    pub mode: BridgeMode,
    /// Most members.
    pub max_legs: u32,
    /// Who hears whom, after hold, mute and not-yet-up.
    pub hears: Hears,
}

/// Long work.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct OpView {
    /// Its id.
    pub op: Id,
    /// What it is.
    pub kind: OpKind,
    /// Whether it goes on.
    pub state: OpState,
    /// The leg it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leg: Option<Id>,
    /// The bridge it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bridge: Option<Id>,
}

/// A recording.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct RecordingView {
    /// Its id.
    pub recording: Id,
    /// Its call.
    pub call: Id,
    /// What is recorded: a call, a bridge or a leg.
    pub target: Id,
    /// Where it stands.
    pub state: RecordingState,
    /// Where the joined file is, or will be.
    pub path: String,
    /// When it began.
    pub started: Timestamp,
    /// The parties, in the order of their channels.
    pub channels: Vec<Id>,
    /// `file://` URI of the joined file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// Lower-case hex SHA-256 of that file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Its length.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gains_are_written_short() {
        assert_eq!(serde_json::to_string(&Db(-0.1)).unwrap(), "-0.1");
        assert_eq!(serde_json::to_value(Db(-6.02)).unwrap(), serde_json::json!(-6.02));
        assert!(serde_json::from_str::<Db>("21").is_err());
        assert!(serde_json::from_str::<Db>("\"1\"").is_err());
    }
}
