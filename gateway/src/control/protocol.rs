//! The control protocol, version 1, as types.
//!
//! One source: what is parsed, what is answered, what is told in events and what the schema prints are
//! these types and nothing else. Parsing checks everything that can be known from the text alone, so
//! the engine only meets values that are in range. Knows nothing of sockets, clocks or calls.

mod batch;
mod call_record;
mod cause;
mod event;
mod event_data;
mod failure;
mod frame;
mod id;
mod limits;
mod method;
mod params;
mod party;
mod policy;
mod result;
mod source;
mod stats;
mod text;
mod time;
mod view;
mod within;
mod words;

pub use batch::{STEPS_MAX, Step, resolve_references};
pub use call_record::{
    Attempt, CallRecord, RecordBridge, RecordLeg, RecordRecording, Refusal, WrittenRecord,
};
pub use cause::Cause;
pub use event::{Envelope, Event, EventInfo, Subject};
pub use event_data::*;
pub use failure::{ErrorKind, Failure};
pub use frame::{FRAME_BYTES_MAX, Frame, LineKind, NESTING_MAX, failure_line, parse_frame, success_line};
pub use id::{Id, IdError, Key, Name};
pub use limits::{Concurrent, Limits, PerSecond, TrunkLimits};
pub use method::{COMMON_ERRORS, Effect, MethodInfo, NOT_AVAILABLE, Request};
pub use params::*;
pub use party::{Party, Redirected, Stir};
pub use policy::PolicyDecision;
pub use result::*;
pub use source::{CustomTone, NamedTone, Source, Sources, Tone};
pub use stats::{DirectionQuality, DirectionStats, LegStats};
pub use text::{Digits, Headers, Tags, Text};
pub use time::Timestamp;
pub use view::{
    BridgeView, CallView, Db, Hears, InstanceView, LegMedia, LegView, OpView, PeerView, RecordingView,
    StateSnapshot, TrunkFailure, TrunkQuality, TrunkView,
};
pub use within::{Later, NoFence, OneOrMany, Within};
pub use words::*;
