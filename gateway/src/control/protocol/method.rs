//! The methods: one table that parsing, the engine and the schema share.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::batch::write_canonical;
use super::failure::{ErrorKind, Failure};
use super::id::Key;
use super::limits::Limits;
use super::params::*;
use super::policy::PolicyDecision;
use super::result::*;
use super::text::Tags;
use super::view::StateSnapshot;

/// What a method does to the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It concerns the connection alone, or asks.
    None,
    /// It changes calls, legs, bridges or limits; may stand in a batch.
    Change,
}

/// A row of the list of methods.
pub struct MethodInfo {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub doc: &'static str,
    /// Whether it changes the state.
    pub effect: Effect,
    /// Refusals of its own, beside those that every method may give.
    pub errors: &'static [ErrorKind],
    /// The schema of its parameters.
    pub params: fn(&mut SchemaGenerator) -> Schema,
    /// The schema of its result, without `seq`.
    pub result: fn(&mut SchemaGenerator) -> Schema,
}

/// Makes the enum of requests and the list of methods from one table.
macro_rules! methods {
    ($($(#[doc = $doc:literal])* $name:literal => $variant:ident($params:ty) -> $result:ty, $effect:ident, [$($error:ident),*];)+) => {
        /// A command that was read: in range, but not yet held against the state.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Request { $($(#[doc = $doc])* $variant($params)),+ }

        impl Request {
            /// Every method, in the order of the contract.
            pub const METHODS: &'static [MethodInfo] = &[$(MethodInfo {
                name: $name,
                doc: concat!($($doc),*),
                effect: Effect::$effect,
                errors: &[$(ErrorKind::$error),*],
                params: |generator| <$params>::json_schema(generator),
                result: |generator| <$result>::json_schema(generator),
            }),+];

            /// The method.
            pub const fn method(&self) -> &'static str {
                match self { $(Self::$variant(_) => $name),+ }
            }

            /// Whether it changes the state.
            pub const fn effect(&self) -> Effect {
                match self { $(Self::$variant(_) => Effect::$effect),+ }
            }

            /// What every method's parameters have in common.
            pub fn params(&self) -> &dyn Params {
                match self { $(Self::$variant(params) => params),+ }
            }

            fn params_value(&self) -> Result<Value, serde_json::Error> {
                match self { $(Self::$variant(params) => serde_json::to_value(params)),+ }
            }

            fn decode(method: &str, params: Source<'_>) -> Result<Self, Failure> {
                match method {
                    $($name => params.read::<$params>().map(Self::$variant),)+
                    _ if NOT_AVAILABLE.contains(&method) => Err(Failure::method_not_available(method)),
                    _ => Err(Failure::unknown_method(method)),
                }
            }
        }
    };
}

methods! {
    /// Says who speaks; before it only `ping`, `schema.get` and `state.get` work.
    "hello" => Hello(Hello) -> HelloResult, None, [InvalidState, Forbidden];
    /// Sends events to this connection; replaces its earlier subscription.
    "subscribe" => Subscribe(Subscribe) -> Done, None, [];
    /// Sends no more events to this connection, or, where members are given, none of those.
    "unsubscribe" => Unsubscribe(Unsubscribe) -> Done, None, [];
    /// Everything that is true at exactly the `seq` of the reply.
    "state.get" => StateGet(StateGet) -> StateSnapshot, None, [NotFound];
    /// Answers at once.
    "ping" => Ping(Ping) -> Done, None, [];
    /// This description.
    "schema.get" => SchemaGet(SchemaGet) -> SchemaResult, None, [];
    /// Several commands, all applied in one mixer tick, or none.
    "batch" => Batch(Batch) -> BatchResult, None, [];
    /// Puts tags on a call; earlier ones of other names stay.
    "call.tag" => CallTag(CallTag) -> Done, Change, [NotFound, AlreadyEnded];
    /// Hangs up every leg of a call. An ended call succeeds with `already_ended`.
    "call.end" => CallEnd(CallEnd) -> EndResult, Change, [NotFound];
    /// Sends 180, or 183 with early media, to an unanswered inbound leg.
    "leg.progress" => LegProgress(LegProgress) -> LegProgressResult, Change,
        [NotFound, AlreadyEnded, InvalidState, CodecMismatch, PromptNotFound];
    /// Answers an inbound leg.
    "leg.answer" => LegAnswer(LegAnswer) -> Done, Change,
        [NotFound, AlreadyEnded, InvalidState, CodecMismatch, LimitPorts, LimitLegs];
    /// Refuses an unanswered inbound leg.
    "leg.reject" => LegReject(LegReject) -> Done, Change, [NotFound, AlreadyEnded, InvalidState];
    /// Calls a number or a SIP address.
    "leg.dial" => LegDial(LegDial) -> LegDialResult, Change,
        [NotFound, AlreadyEnded, IdTaken, InvalidState, LimitCalls, LimitCps, LimitPorts, LimitLegs,
         DestinationNotAllowed, CallerIdNotAllowed, NumberInvalid, NoRoute, TrunkDown, CodecMismatch, Draining];
    /// Ends a leg. An ended leg succeeds with `already_ended`.
    "leg.hangup" => LegHangup(LegHangup) -> EndResult, Change, [NotFound];
    /// Holds a leg: it hears music only, and nobody hears it.
    "leg.hold" => LegHold(LegHold) -> LegHoldResult, Change, [NotFound, AlreadyEnded, InvalidState];
    /// Ends a hold. A leg that is not held succeeds with `already`.
    "leg.resume" => LegResume(LegResume) -> LegResumeResult, Change, [NotFound, AlreadyEnded, InvalidState];
    /// Silences a party, or what it hears.
    "leg.mute" => LegMute(LegMute) -> Done, Change, [NotFound, AlreadyEnded];
    /// Ends a mute.
    "leg.unmute" => LegUnmute(LegUnmute) -> Done, Change, [NotFound, AlreadyEnded];
    /// Sends digits to the peer.
    "leg.send_dtmf" => LegSendDtmf(LegSendDtmf) -> OpResult, Change, [NotFound, AlreadyEnded, InvalidState];
    /// Changes settings of a leg.
    "leg.set" => LegSet(LegSet) -> Done, Change, [NotFound, AlreadyEnded];
    /// Measurements of a leg.
    "leg.stats" => LegStats(LegStatsGet) -> LegStatsResult, None, [NotFound, AlreadyEnded, InvalidState, Deadline];
    /// Makes a bridge.
    "bridge.create" => BridgeCreate(BridgeCreate) -> BridgeCreateResult, Change,
        [NotFound, AlreadyEnded, IdTaken, InvalidState, LimitLegs, StorageUnavailable, DiskLow];
    /// Adds a leg to a bridge; a member of it already succeeds.
    "bridge.add" => BridgeAdd(BridgeAdd) -> Done, Change, [NotFound, AlreadyEnded, InvalidState, LimitLegs];
    /// Takes a leg out of a bridge.
    "bridge.remove" => BridgeRemove(BridgeRemove) -> Done, Change, [NotFound, AlreadyEnded, InvalidState];
    /// Takes a leg from its bridge to another, at once.
    "bridge.move" => BridgeMove(BridgeMove) -> Done, Change, [NotFound, AlreadyEnded, InvalidState, LimitLegs];
    /// Puts a leg in another's place in its bridge, at once.
    "bridge.replace" => BridgeReplace(BridgeReplace) -> Done, Change, [NotFound, AlreadyEnded, InvalidState];
    /// Says who may hear whom; hold, mute and not-yet-up stand above it.
    "bridge.set_matrix" => BridgeSetMatrix(BridgeSetMatrix) -> Done, Change, [NotFound, AlreadyEnded, InvalidState];
    /// Lets these two talk; the other members are held with music.
    "bridge.swap" => BridgeSwap(BridgeSwap) -> Done, Change, [NotFound, AlreadyEnded, InvalidState];
    /// Ends a bridge.
    "bridge.destroy" => BridgeDestroy(BridgeDestroy) -> EndResult, Change, [NotFound];
    /// Plays sounds to a leg, or to the un-held members of a bridge.
    "play.start" => PlayStart(PlayStart) -> OpResult, Change,
        [NotFound, AlreadyEnded, InvalidState, PromptNotFound, PromptBad];
    /// Ends a play, a collection or the sending of digits.
    "play.stop" => PlayStop(PlayStop) -> EndResult, Change, [NotFound];
    /// Stops the clock of a play.
    "play.pause" => PlayPause(PlayPause) -> Done, Change, [NotFound, AlreadyEnded, InvalidState];
    /// Lets a paused play go on.
    "play.resume" => PlayResume(PlayResume) -> Done, Change, [NotFound, AlreadyEnded, InvalidState];
    /// Collects digits of a party.
    "collect.start" => CollectStart(CollectStart) -> OpResult, Change,
        [NotFound, AlreadyEnded, InvalidState, PromptNotFound, PromptBad];
    /// Records what the parties of a call, a bridge or a leg say.
    "record.start" => RecordStart(RecordStart) -> RecordStartResult, Change,
        [NotFound, AlreadyEnded, IdTaken, InvalidState, StorageUnavailable, DiskLow];
    /// Lets a recording grow by silence.
    "record.pause" => RecordPause(RecordPause) -> Done, Change, [NotFound, AlreadyEnded, InvalidState];
    /// Lets a paused recording go on.
    "record.resume" => RecordResume(RecordResume) -> Done, Change, [NotFound, AlreadyEnded, InvalidState];
    /// Ends a recording.
    "record.stop" => RecordStop(RecordStop) -> EndResult, Change, [NotFound];
    /// Transfers a party to whom `to` names; while that fails, all stays as it was.
    "transfer.blind" => TransferBlind(TransferBlind) -> OpResult, Change,
        [NotFound, AlreadyEnded, InvalidState, LimitCalls, LimitCps, LimitPorts, LimitLegs,
         DestinationNotAllowed, CallerIdNotAllowed, NumberInvalid, NoRoute, TrunkDown, CodecMismatch];
    /// Transfers a party to another that is up.
    "transfer.attended" => TransferAttended(TransferAttended) -> OpResult, Change,
        [NotFound, AlreadyEnded, InvalidState, LimitLegs];
    /// Does what a peer asked for by REFER; it is told how that comes out.
    "transfer.accept" => TransferAccept(TransferAccept) -> OpResult, Change,
        [NotFound, AlreadyEnded, InvalidState, LimitCalls, LimitCps, LimitPorts, LimitLegs,
         DestinationNotAllowed, CallerIdNotAllowed, NumberInvalid, NoRoute, TrunkDown, CodecMismatch];
    /// Refuses what a peer asked for by REFER.
    "transfer.reject" => TransferReject(TransferReject) -> Done, Change, [NotFound, AlreadyEnded, InvalidState];
    /// What `leg.dial` would decide about a number; takes no token and dials nothing.
    "policy.check" => PolicyCheck(PolicyCheck) -> PolicyDecision, None, [NotFound];
    /// Where calls to a number go, or the whole number map.
    "number.map" => NumberMap(NumberMapAsk) -> NumberMapResult, None, [NotFound];
    /// Limits and how full they are.
    "limits.get" => LimitsGet(LimitsGet) -> Limits, None, [];
    /// Changes limits, live; calls that are up stay.
    "limits.set" => LimitsSet(LimitsSet) -> Limits, Change, [NotFound];
    /// The trunks and whether they are up.
    "trunk.list" => TrunkList(TrunkList) -> TrunkListResult, None, [];
    /// Takes calls of a trunk again.
    "trunk.enable" => TrunkEnable(TrunkEnable) -> TrunkSwitchResult, Change, [NotFound];
    /// Takes no new calls of a trunk and sends it none; calls that are up stay. Kept over a restart.
    "trunk.disable" => TrunkDisable(TrunkDisable) -> TrunkSwitchResult, Change, [NotFound];
    /// The prompts that can be played.
    "prompt.list" => PromptList(PromptList) -> PromptListResult, None, [];
    /// The recordings, also those that grow.
    "recording.list" => RecordingList(RecordingList) -> RecordingListResult, None, [NotFound];
    /// Writes the SIP messages of a trunk, a call or a leg down, for so long.
    "trace.start" => TraceStart(TraceStart) -> TraceStartResult, Change,
        [NotFound, AlreadyEnded, InvalidState];
    /// Ends a trace before its time. An ended trace succeeds with `already_ended`.
    "trace.stop" => TraceStop(TraceStop) -> EndResult, Change, [];
    /// Takes no more new calls.
    "drain.start" => DrainStart(DrainStart) -> DrainResult, Change, [];
    /// Takes new calls again.
    "drain.cancel" => DrainCancel(DrainCancel) -> DrainResult, Change, [];
    /// How far the drain is.
    "drain.status" => DrainStatus(DrainStatus) -> DrainResult, None, [];
    /// What led to what in a call or for a leg: each packet, command, timer or rule and what followed, without numbers
    /// and names. Reaches back as far as the journal.
    "explain" => Explain(Explain) -> ExplainResult, None, [NotFound];
}

/// Methods of the contract that this version has not.
pub const NOT_AVAILABLE: &[&str] = &[
    "lease.acquire",
    "lease.renew",
    "lease.release",
    "leg.redirect",
    "dial.group",
    "monitor.start",
    "monitor.set_mode",
    "monitor.stop",
    "stream.start",
    "stream.pause",
    "stream.clear",
    "stream.mark",
    "stream.stop",
    "record.discard",
    "prompt.delete",
    "recording.get",
    "recording.verify",
    "config.check",
    "config.apply",
];

/// Refusals that every method may give.
pub const COMMON_ERRORS: &[ErrorKind] = &[
    ErrorKind::InvalidParams,
    ErrorKind::InvalidState,
    ErrorKind::KeyConflict,
    ErrorKind::Forbidden,
    ErrorKind::TooManyInflight,
    ErrorKind::Internal,
];

impl Request {
    /// Reads a method with its parameters, as a step of a batch has them.
    pub fn from_parts(method: &str, params: &Value) -> Result<Self, Failure> {
        Self::decode(method, Source::Value(params)).and_then(Self::checked)
    }

    /// Reads a method with its parameters as text; none is an empty object.
    pub(super) fn from_raw(method: &str, params: Option<&RawValue>) -> Result<Self, Failure> {
        Self::decode(method, Source::Text(params.map_or("{}", RawValue::get))).and_then(Self::checked)
    }

    /// The row of a method, if there is one.
    pub fn info(method: &str) -> Option<&'static MethodInfo> {
        Self::METHODS.iter().find(|info| info.name == method)
    }

    /// The idempotency key.
    pub fn key(&self) -> Option<&Key> {
        self.params().key()
    }

    /// The tags.
    pub fn tags(&self) -> &Tags {
        self.params().tags()
    }

    /// What a repeated key is held against: equal for the same method and the same parameters, `key` and
    /// `fence` aside, however they were spelt.
    pub fn digest(&self) -> [u8; 32] {
        let mut text = self.method().to_owned();
        if let Ok(Value::Object(mut members)) = self.params_value() {
            members.remove("key");
            members.remove("fence");
            write_canonical(&Value::Object(members), &mut text);
        }
        Sha256::digest(text.as_bytes()).into()
    }

    fn checked(self) -> Result<Self, Failure> {
        self.params().check()?;
        Ok(self)
    }
}

/// Where parameters are read from.
enum Source<'a> {
    Text(&'a str),
    Value(&'a Value),
}

impl Source<'_> {
    fn read<T: DeserializeOwned>(self) -> Result<T, Failure> {
        if !self.is_object() {
            return Err(Failure::invalid_params("params", "must be an object"));
        }
        match self {
            Self::Text(text) => {
                serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(text))
            }
            Self::Value(value) => serde_path_to_error::deserialize(value),
        }
        .map_err(|error| refusal(&error))
    }

    fn is_object(&self) -> bool {
        match self {
            Self::Text(text) => text.trim_start().starts_with('{'),
            Self::Value(value) => value.is_object(),
        }
    }
}

/// A serde error as `params.path: why`.
fn refusal(error: &serde_path_to_error::Error<serde_json::Error>) -> Failure {
    let mut path = "params".to_owned();
    for segment in error.path().iter() {
        use serde_path_to_error::Segment;
        match segment {
            Segment::Seq { index } => path.push_str(&format!("[{index}]")),
            Segment::Map { key } => path.push_str(&format!(".{}", clip(key))),
            Segment::Enum { variant } => path.push_str(&format!(".{variant}")),
            Segment::Unknown => {}
        }
    }
    let message = error.inner().to_string();
    // serde_json adds where in the text it was; the path says it better.
    let why = message
        .rfind(" at line ")
        .and_then(|end| message.get(..end))
        .unwrap_or(&message);
    if let Some(member) = quoted_after(why, "unknown field `") {
        if error
            .path()
            .iter()
            .next_back()
            .is_none_or(|last| last.to_string() != member)
        {
            path.push_str(&format!(".{}", clip(member)));
        }
        return Failure::invalid_params(&path, "unknown member");
    }
    if let Some(member) = quoted_after(why, "missing field `") {
        return Failure::invalid_params(&format!("{path}.{member}"), "is missing");
    }
    Failure::invalid_params(&path, why)
}

/// What stands between `prefix` and the next back quote.
fn quoted_after<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    text.strip_prefix(prefix)?.split('`').next()
}

/// The first 64 characters: keys are as long as a client likes.
fn clip(text: &str) -> &str {
    text.char_indices()
        .nth(64)
        .and_then(|(end, _)| text.get(..end))
        .unwrap_or(text)
}
