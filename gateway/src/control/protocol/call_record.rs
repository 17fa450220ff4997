//! The final record of a call: one line a call, for ever. Computes nothing.

use std::borrow::Cow;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};

use super::id::{Id, Name};
use super::party::Party;
use super::stats::LegStats;
use super::text::Tags;
use super::time::Timestamp;
use super::words::{CodecName, Direction, EndReason, EndedBy};

/// A call from its first packet to its last. Also written for refused calls.
///
/// While the call is up the same shape, without the ends, is its ledger entry.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct CallRecord {
    /// Its id.
    pub call: Id,
    /// Its instance.
    pub instance: Name,
    /// Its application; null where no number of ours was called.
    pub app: Option<Name>,
    /// How its first leg was set up.
    pub direction: Direction,
    /// The caller.
    pub from: Party,
    /// The destination.
    pub to: Party,
    /// When it began.
    pub started: Timestamp,
    /// When its first leg was answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered: Option<Timestamp>,
    /// When its last leg ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// Why it was not let in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refusal>,
    /// True where a crash of the gateway ended it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub lost: bool,
    /// Its legs, in the order they began.
    pub legs: Vec<RecordLeg>,
    /// Its bridges, in the order they were made.
    pub bridges: Vec<RecordBridge>,
    /// Its recordings, in the order they began.
    pub recordings: Vec<RecordRecording>,
    /// Its tags.
    pub tags: Tags,
}

/// A [`CallRecord`] as JSON: written once, for its file and for its event.
#[derive(Clone, Debug)]
pub struct WrittenRecord(Arc<RawValue>);

impl WrittenRecord {
    /// Writes it; an error when it is not plain data.
    pub fn new(record: &CallRecord) -> Result<Self, serde_json::Error> {
        Ok(WrittenRecord(to_raw_value(record)?.into()))
    }

    /// One line, without its end.
    pub fn line(&self) -> Arc<str> {
        self.0.get().into()
    }
}

impl Serialize for WrittenRecord {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::serialize(&self.0, serializer)
    }
}

impl PartialEq for WrittenRecord {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

impl JsonSchema for WrittenRecord {
    fn schema_name() -> Cow<'static, str> {
        CallRecord::schema_name()
    }
    fn schema_id() -> Cow<'static, str> {
        CallRecord::schema_id()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        CallRecord::json_schema(generator)
    }
}

/// Why a call was not let in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Refusal {
    /// The rule, such as `instance.calls`.
    pub rule: String,
    /// The limit; null where the rule is none.
    pub limit: Option<u64>,
    /// The count before this call; null where the rule is no limit.
    pub value: Option<u64>,
}

/// A leg of a finished call.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct RecordLeg {
    /// Its id.
    pub leg: Id,
    /// How it was set up.
    pub direction: Direction,
    /// Its trunk.
    pub trunk: Name,
    /// The caller.
    pub from: Party,
    /// The destination.
    pub to: Party,
    /// When its INVITE came or went.
    pub t_offered: Timestamp,
    /// When the first 18x came or went.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub t_ringing: Option<Timestamp>,
    /// When it was answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub t_answered: Option<Timestamp>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub t_ended: Option<Timestamp>,
    /// From offered to answered or ended.
    pub ring_ms: u64,
    /// From answered to ended.
    pub talk_ms: u64,
    /// All holds together.
    pub hold_ms: u64,
    /// How often it was held.
    pub holds: u32,
    /// The longest hold.
    pub longest_hold_ms: u64,
    /// Why it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<EndReason>,
    /// Who ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<EndedBy>,
    /// The final SIP status of the INVITE.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sip: Option<u16>,
    /// The Q.850 cause.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub q850: Option<u16>,
    /// The codec agreed on last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub codec: Option<CodecName>,
    /// Whether its media was encrypted.
    pub secure: bool,
    /// Measurements over its whole length.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality: Option<LegStats>,
    /// Every peer that was tried.
    pub attempts: Vec<Attempt>,
}

/// One INVITE to one peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Attempt {
    /// Its address.
    pub peer: String,
    /// The final SIP status; null where none came.
    pub status: Option<u16>,
    /// The Q.850 cause; null where none came.
    pub q850: Option<u16>,
}

/// A bridge of a finished call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RecordBridge {
    /// Its id.
    pub bridge: Id,
    /// When it was made.
    pub created: Timestamp,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destroyed: Option<Timestamp>,
    /// Every leg that was in it, in the order they joined first.
    pub legs: Vec<Id>,
}

/// A recording of a finished call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RecordRecording {
    /// Its id.
    pub recording: Id,
    /// Where the joined file is, or would be.
    pub path: String,
    /// `file://` URI of the joined file, once it is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// Lower-case hex SHA-256 of that file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The parties, in the order of their channels.
    pub channels: Vec<Id>,
    /// Its length.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
}
