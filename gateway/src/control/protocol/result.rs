//! What each method answers. Computes nothing.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::id::{Id, Name};
use super::stats::LegStats;
use super::view::{RecordingView, StateSnapshot, TrunkView};
use super::words::NotResumed;

/// The protocol's version, as `hello` tells it.
pub const PROTOCOL_VERSION: &str = "1.0";

/// A result as an object, without its `seq`: what is kept for a repeated key, and what later steps of a
/// batch refer to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResultBody(pub Map<String, Value>);

impl ResultBody {
    /// The members of a result; one that is no object (none of ours) has none.
    pub fn of(result: &impl Serialize) -> Self {
        match serde_json::to_value(result) {
            Ok(Value::Object(members)) => Self(members),
            Ok(_) | Err(_) => Self::default(),
        }
    }
}

/// Makes the type of a result.
macro_rules! results {
    ($($(#[doc = $doc:literal])* $name:ident { $($body:tt)* })+) => {$(
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
        pub struct $name { $($body)* }
    )+};
}

results! {
    /// Done; there is nothing more to tell.
    Done {}

    /// Who answers, and where the order of events stands.
    HelloResult {
        /// The protocol's version.
        pub protocol: String,
        /// The gateway's version.
        pub gateway: String,
        /// The epoch of `seq`.
        pub epoch: String,
        /// What this version can beyond the least.
        pub features: Vec<String>,
        /// Whether the missed events follow; only with `resume`.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub resumed: Option<bool>,
        /// The number of the first event that follows.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub from: Option<u64>,
        /// Why they do not.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub why: Option<NotResumed>,
        /// What is true instead.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub snapshot: Option<Box<StateSnapshot>>,
    }

    /// The protocol's own description.
    SchemaResult {
        /// The OpenRPC document.
        pub schema: Value,
    }

    /// The results of the steps.
    BatchResult {
        /// In order; with `atomic:false`, `{error}` where a step failed.
        pub results: Vec<Value>,
    }

    /// A call or leg ends.
    EndResult {
        /// It had ended before.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        pub already_ended: bool,
    }

    /// Progress was sent.
    LegProgressResult {
        /// The early play.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub op: Option<Id>,
    }

    /// A dial is under way.
    LegDialResult {
        /// The new leg.
        pub leg: Id,
        /// Its call.
        pub call: Id,
        /// Ends at the answer or the leg's end.
        pub op: Id,
    }

    /// The leg is held.
    LegHoldResult {
        /// With `signal`: tells the peer's answer.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub op: Option<Id>,
    }

    /// Whether the trunk was switched.
    TrunkSwitchResult {
        /// Whether it was so before.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        pub already: bool,
    }

    /// Why a call or a leg went as it did.
    ExplainResult {
        /// The call.
        pub call: Id,
        /// The leg, where one was asked for.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub leg: Option<Id>,
        /// Whether the chain goes back to the call's beginning; else that has fallen out of the journal.
        pub complete: bool,
        /// What happened, oldest first.
        pub chain: Vec<ExplainLink>,
    }

    /// A packet, command, timer or rule, and what followed from it.
    ExplainLink {
        /// The event that told of it.
        pub seq: u64,
        /// When.
        pub ts: String,
        /// The event's type.
        #[serde(rename = "type")]
        pub type_name: String,
        /// Whom it is about, where that is one leg.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub leg: Option<Id>,
        /// Who or what did it: a command of an app, the peer's packet, a timer, a policy, a fault.
        pub cause: Map<String, Value>,
        /// What was decided: rule, limit, trunk, reason, status and the like; never a number, a name or a digit.
        pub decision: Map<String, Value>,
    }

    /// The leg is not held.
    LegResumeResult {
        /// It was not held before.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        pub already: bool,
        /// With `signal`: tells the peer's answer.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub op: Option<Id>,
    }

    /// Long work is under way.
    OpResult {
        /// Its id.
        pub op: Id,
    }

    /// Measurements of a leg.
    LegStatsResult {
        /// The leg.
        pub leg: Id,
        /// The numbers.
        #[serde(flatten)]
        pub stats: LegStats,
    }

    /// The bridge is there.
    BridgeCreateResult {
        /// Its id.
        pub bridge: Id,
        /// With `record`: the recording's id.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub recording: Option<Id>,
    }

    /// The recording grows.
    RecordStartResult {
        /// Its id.
        pub recording: Id,
    }

    /// The trace runs.
    TraceStartResult {
        /// Its id.
        pub trace: Id,
    }

    /// Where calls to a number go.
    NumberMapResult {
        /// The instance.
        pub instance: Name,
        /// The number that was asked about, in E.164; none where it cannot be read.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub number: Option<String>,
        /// The same as it was asked.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub raw: Option<String>,
        /// The entry that takes it, which is the longest that fits; none: it is unmapped, and a call to it is answered
        /// 404 and counted as `no_number`.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub entry: Option<NumberEntry>,
        /// Without `number`: every entry, in the file's order.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub entries: Option<Vec<NumberEntry>>,
    }

    /// An entry of the number map.
    NumberEntry {
        /// Which called numbers: one number, `+81*` or `*`.
        #[serde(rename = "match")]
        pub pattern: String,
        /// Who gets their calls.
        pub app: Name,
        /// So long a call waits for that app.
        pub unclaimed_after_ms: u64,
        /// Its answer then.
        pub unclaimed_status: u16,
        /// Trunks that may show it as caller; of a pattern none, however wide `caller_ids` is.
        pub caller_id_on: Vec<Name>,
    }

    /// The trunks.
    TrunkListResult {
        /// In the order of the configuration.
        pub trunks: Vec<TrunkView>,
    }

    /// A prompt.
    PromptView {
        /// Its name.
        pub prompt: Name,
        /// Its length.
        pub duration_ms: u64,
    }

    /// The prompts.
    PromptListResult {
        /// By name.
        pub prompts: Vec<PromptView>,
    }

    /// The recordings.
    RecordingListResult {
        /// In the order they began.
        pub recordings: Vec<RecordingView>,
    }

    /// How far a drain is.
    DrainResult {
        /// Whether new calls are refused.
        pub draining: bool,
        /// Calls still up.
        pub left: u64,
        /// When the remaining calls are ended, from now.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub deadline_ms: Option<u64>,
    }
}
