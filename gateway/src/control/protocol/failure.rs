//! Why a command was refused: the closed list of kinds, and the error object that carries one.
//!
//! Knows nothing of who refused.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::{Map, Value};

use super::policy::PolicyDecision;
use super::words::words;

words! {
    /// What went wrong; the contract. The message beside it is for people.
    ErrorKind {
        /// A frame or a parameter is not as the schema says; `path` names it.
        InvalidParams = "invalid_params",
        /// No such method, or no such object.
        NotFound = "not_found",
        /// The object is over.
        AlreadyEnded = "already_ended",
        /// The chosen id is in use.
        IdTaken = "id_taken",
        /// Not in this state.
        InvalidState = "invalid_state",
        /// The idempotency key was used with other parameters.
        KeyConflict = "key_conflict",
        /// The lease went to another.
        Fenced = "fenced",
        /// Not for this client.
        Forbidden = "forbidden",
        /// Not known who asks.
        Unauthorized = "unauthorized",
        /// As many calls as allowed are up.
        LimitCalls = "limit_calls",
        /// As many calls as allowed came this second.
        LimitCps = "limit_cps",
        /// No RTP port is free.
        LimitPorts = "limit_ports",
        /// As many legs as allowed are in the bridge.
        LimitLegs = "limit_legs",
        /// More than 256 unanswered commands on this connection.
        TooManyInflight = "too_many_inflight",
        /// The number policy refuses the destination.
        DestinationNotAllowed = "destination_not_allowed",
        /// The trunk may not show this number.
        CallerIdNotAllowed = "caller_id_not_allowed",
        /// The text is no number.
        NumberInvalid = "number_invalid",
        /// The trunk has no peer to send to.
        NoRoute = "no_route",
        /// The trunk cannot be used now.
        TrunkDown = "trunk_down",
        /// No common codec.
        CodecMismatch = "codec_mismatch",
        /// No such prompt.
        PromptNotFound = "prompt_not_found",
        /// The prompt cannot be decoded.
        PromptBad = "prompt_bad",
        /// Recordings cannot be written.
        StorageUnavailable = "storage_unavailable",
        /// Too little free space for recordings.
        DiskLow = "disk_low",
        /// The gateway is being emptied.
        Draining = "draining",
        /// The configuration is wrong.
        ConfigInvalid = "config_invalid",
        /// Not done in time.
        Deadline = "deadline",
        /// A fault of the gateway.
        Internal = "internal",
    }
}

impl ErrorKind {
    /// The JSON-RPC code it is written with; a bad frame and an unknown method have codes of their own.
    pub const fn code(self) -> i32 {
        match self {
            Self::InvalidParams => CODE_INVALID_PARAMS,
            Self::NotFound
            | Self::AlreadyEnded
            | Self::IdTaken
            | Self::InvalidState
            | Self::KeyConflict
            | Self::Fenced
            | Self::Forbidden
            | Self::Unauthorized
            | Self::LimitCalls
            | Self::LimitCps
            | Self::LimitPorts
            | Self::LimitLegs
            | Self::TooManyInflight
            | Self::DestinationNotAllowed
            | Self::CallerIdNotAllowed
            | Self::NumberInvalid
            | Self::NoRoute
            | Self::TrunkDown
            | Self::CodecMismatch
            | Self::PromptNotFound
            | Self::PromptBad
            | Self::StorageUnavailable
            | Self::DiskLow
            | Self::Draining
            | Self::ConfigInvalid
            | Self::Deadline
            | Self::Internal => CODE_REFUSED,
        }
    }
}

/// JSON-RPC code of bad JSON.
const CODE_PARSE_ERROR: i32 = -32700;
/// JSON-RPC code of a frame that is no request.
const CODE_INVALID_REQUEST: i32 = -32600;
/// JSON-RPC code of an unknown method.
const CODE_METHOD_NOT_FOUND: i32 = -32601;
/// JSON-RPC code of wrong parameters.
const CODE_INVALID_PARAMS: i32 = -32602;
/// Code of every refusal of our own.
const CODE_REFUSED: i32 = -32000;

/// Member of `data`: the step of a batch, a number, or that of the policy, a word.
const STEP: &str = "step";
/// Member of `data`: the step of the policy, where `step` is that of a batch.
const POLICY_STEP: &str = "policy_step";

/// Longest message, bytes: clients may cause quoted text.
const MESSAGE_BYTES_MAX: usize = 512;

/// A refusal, ready to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// What went wrong.
    pub kind: ErrorKind,
    /// The JSON-RPC code.
    pub code: i32,
    /// For people.
    pub message: String,
    /// What stands beside `kind` in `data`.
    pub data: Map<String, Value>,
}

impl Failure {
    fn new(kind: ErrorKind, code: i32, message: impl Into<String>) -> Self {
        let mut message = message.into();
        if message.len() > MESSAGE_BYTES_MAX {
            message.truncate(message.floor_char_boundary_at(MESSAGE_BYTES_MAX));
        }
        Self {
            kind,
            code,
            message,
            data: Map::new(),
        }
    }

    /// A refusal of any kind that needs no more than words.
    pub fn refused(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self::new(kind, kind.code(), message)
    }

    /// The frame is no JSON.
    pub fn parse_error(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidParams, CODE_PARSE_ERROR, message)
    }

    /// The frame is JSON, but no request.
    pub fn invalid_request(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidParams, CODE_INVALID_REQUEST, message)
    }

    /// No such method in any version.
    pub fn unknown_method(method: &str) -> Self {
        Self::new(
            ErrorKind::NotFound,
            CODE_METHOD_NOT_FOUND,
            format!("unknown method `{}`", clip(method)),
        )
    }

    /// A method of the contract that this version has not.
    pub fn method_not_available(method: &str) -> Self {
        let message = format!("method `{}` is not available in this version", clip(method));
        Self::new(ErrorKind::NotFound, CODE_METHOD_NOT_FOUND, message)
    }

    /// A parameter is wrong; `path` such as `params.legs[0]`.
    pub fn invalid_params(path: &str, why: impl std::fmt::Display) -> Self {
        Self::new(
            ErrorKind::InvalidParams,
            CODE_INVALID_PARAMS,
            format!("{path}: {why}"),
        )
        .with("path", path)
    }

    /// No such object; `what` such as `leg`.
    pub fn not_found(what: &'static str, id: &str) -> Self {
        Self::refused(ErrorKind::NotFound, format!("no {what} `{}`", clip(id))).with(what, clip(id))
    }

    /// The object is over.
    pub fn already_ended(what: &'static str, id: &str) -> Self {
        Self::refused(
            ErrorKind::AlreadyEnded,
            format!("{what} `{}` has ended", clip(id)),
        )
        .with(what, clip(id))
    }

    /// The chosen id is in use.
    pub fn id_taken(id: &str) -> Self {
        Self::refused(ErrorKind::IdTaken, format!("id `{}` is in use", clip(id))).with("id", clip(id))
    }

    /// Not in this state.
    pub fn invalid_state(message: impl Into<String>) -> Self {
        Self::refused(ErrorKind::InvalidState, message)
    }

    /// The key was used with other parameters.
    pub fn key_conflict(key: &str) -> Self {
        Self::refused(
            ErrorKind::KeyConflict,
            format!("key `{}` was used with other parameters", clip(key)),
        )
        .with("key", clip(key))
    }

    /// The lease went to another.
    pub fn fenced() -> Self {
        Self::refused(ErrorKind::Fenced, "a newer lease holds this")
    }

    /// Not for this client.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::refused(ErrorKind::Forbidden, message)
    }

    /// Not known who asks.
    pub fn unauthorized() -> Self {
        Self::refused(ErrorKind::Unauthorized, "no valid credentials")
    }

    /// A limit refuses: `kind` is one of the `limit_…` kinds, `rule` such as `instance.calls`, `value`
    /// the count before this call.
    pub fn limit(kind: ErrorKind, rule: &str, limit: u64, value: u64) -> Self {
        Self::refused(kind, format!("{rule} is full: {value} of {limit}"))
            .with("rule", rule)
            .with("limit", limit)
            .with("value", value)
    }

    /// More unanswered commands than allowed on one connection.
    pub fn too_many_inflight(limit: usize) -> Self {
        Self::limit(
            ErrorKind::TooManyInflight,
            "connection.inflight",
            limit as u64,
            limit as u64,
        )
    }

    /// More connections than allowed.
    pub fn too_many_connections(limit: usize) -> Self {
        Self::limit(
            ErrorKind::Forbidden,
            "control.connections",
            limit as u64,
            limit as u64,
        )
    }

    /// The number policy refuses; its decision is the error's data.
    pub fn policy(kind: ErrorKind, decision: &PolicyDecision) -> Self {
        let mut failure = Self::refused(kind, format!("refused by rule `{}`", decision.rule));
        if let Ok(Value::Object(data)) = serde_json::to_value(decision) {
            failure.data = data;
        }
        failure
    }

    /// The trunk may not show this number.
    pub fn caller_id_not_allowed(trunk: &str) -> Self {
        Self::refused(
            ErrorKind::CallerIdNotAllowed,
            format!("trunk `{trunk}` may not show this number"),
        )
        .with("trunk", trunk)
    }

    /// The text is no number.
    pub fn number_invalid(message: impl Into<String>) -> Self {
        Self::refused(ErrorKind::NumberInvalid, message)
    }

    /// The trunk has no peer to send to.
    pub fn no_route(trunk: &str) -> Self {
        Self::refused(
            ErrorKind::NoRoute,
            format!("trunk `{trunk}` has no peer for this target"),
        )
        .with("trunk", trunk)
    }

    /// Nobody of that name is registered on the trunk.
    pub fn not_registered(trunk: &str, user: &str) -> Self {
        Self::refused(
            ErrorKind::NoRoute,
            format!("no phone of `{user}` is registered on trunk `{trunk}`"),
        )
        .with("trunk", trunk)
        .with("why", "not_registered")
    }

    /// The trunk cannot be used now; `why` is a stable word.
    pub fn trunk_down(trunk: &str, why: &str) -> Self {
        Self::refused(ErrorKind::TrunkDown, format!("trunk `{trunk}` is down: {why}"))
            .with("trunk", trunk)
            .with("why", why)
    }

    /// No common codec.
    pub fn codec_mismatch() -> Self {
        Self::refused(ErrorKind::CodecMismatch, "no common codec")
    }

    /// No such prompt.
    pub fn prompt_not_found(prompt: &str) -> Self {
        Self::refused(ErrorKind::PromptNotFound, format!("no prompt `{prompt}`")).with("prompt", prompt)
    }

    /// The prompt is there and cannot be played.
    pub fn prompt_bad(prompt: &str, why: &str) -> Self {
        Self::refused(
            ErrorKind::PromptBad,
            format!("prompt `{prompt}` cannot be played: {why}"),
        )
        .with("prompt", prompt)
    }

    /// Recordings cannot be written.
    pub fn storage_unavailable(message: impl Into<String>) -> Self {
        Self::refused(ErrorKind::StorageUnavailable, message)
    }

    /// Too little free space for recordings, mebibytes.
    pub fn disk_low(free_mb: u64, min_free_mb: u64) -> Self {
        Self::refused(
            ErrorKind::DiskLow,
            format!("{free_mb} MiB free, {min_free_mb} MiB wanted"),
        )
        .with("free_mb", free_mb)
        .with("min_free_mb", min_free_mb)
    }

    /// The gateway is being emptied.
    pub fn draining() -> Self {
        Self::refused(ErrorKind::Draining, "the gateway is draining")
    }

    /// The configuration is wrong at `path`.
    pub fn config_invalid(path: &str, why: &str) -> Self {
        Self::refused(ErrorKind::ConfigInvalid, format!("{path}: {why}"))
            .with("path", path)
            .with("why", why)
    }

    /// Not done in time.
    pub fn deadline() -> Self {
        Self::refused(ErrorKind::Deadline, "not done in time")
    }

    /// A fault of the gateway.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::refused(ErrorKind::Internal, message)
    }

    /// Puts one more member into `data`.
    #[must_use]
    pub fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.data.insert(member.to_owned(), value.into());
        self
    }

    /// Says which step of a batch failed, counted from 0. The step of the policy that refused it is `policy_step` then.
    #[must_use]
    pub fn at_step(mut self, step: usize) -> Self {
        if let Some(of_policy) = self.data.remove(STEP) {
            self.data.insert(POLICY_STEP.to_owned(), of_policy);
        }
        self.with(STEP, step)
    }

    /// The step of a batch that failed.
    pub fn step(&self) -> Option<usize> {
        let step = self.data.get(STEP)?.as_u64()?;
        usize::try_from(step).ok()
    }

    /// The step of the policy that refused, in a batch or not.
    pub fn policy_step(&self) -> Option<&str> {
        let own = self.data.get(POLICY_STEP).or_else(|| self.data.get(STEP));
        own.and_then(Value::as_str)
    }

    /// Its data as it was before its batch.
    pub fn own_data(&self) -> Map<String, Value> {
        let mut data = self.data.clone();
        if self.step().is_some() {
            data.remove(STEP);
        }
        if let Some(of_policy) = data.remove(POLICY_STEP) {
            data.insert(STEP.to_owned(), of_policy);
        }
        data
    }

    /// The JSON-RPC error object.
    pub fn to_value(&self) -> Value {
        serde_json::json!({ "code": self.code, "message": self.message, "data": self.data_object() })
    }

    /// Reads an error object; what is not ours becomes `internal`.
    pub fn from_value(error: &Value) -> Self {
        let data = error
            .get("data")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        let kind = data
            .get("kind")
            .and_then(|kind| ErrorKind::ALL.iter().find(|known| *kind == known.as_str()));
        let code = error
            .get("code")
            .and_then(Value::as_i64)
            .and_then(|code| i32::try_from(code).ok());
        let message = error.get("message").and_then(Value::as_str).unwrap_or_default();
        let mut failure = Self::new(
            kind.copied().unwrap_or(ErrorKind::Internal),
            code.unwrap_or(CODE_REFUSED),
            message,
        );
        failure.data = data;
        failure.data.remove("kind");
        failure
    }

    fn data_object(&self) -> Map<String, Value> {
        let mut data = Map::new();
        data.insert("kind".to_owned(), self.kind.as_str().into());
        data.extend(
            self.data
                .iter()
                .map(|(member, value)| (member.clone(), value.clone())),
        );
        data
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.kind, self.message)
    }
}

impl std::error::Error for Failure {}

impl Serialize for Failure {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_value().serialize(serializer)
    }
}

/// What of a client's text goes into a message.
fn clip(text: &str) -> Cow<'_, str> {
    const QUOTED_CHARS_MAX: usize = 64;
    match text.char_indices().nth(QUOTED_CHARS_MAX) {
        None => text.into(),
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()).into(),
    }
}

/// `str::floor_char_boundary`, which the oldest supported compiler lacks.
trait FloorCharBoundary {
    fn floor_char_boundary_at(&self, index: usize) -> usize;
}

impl FloorCharBoundary for str {
    fn floor_char_boundary_at(&self, index: usize) -> usize {
        (0..=index.min(self.len()))
            .rev()
            .find(|&at| self.is_char_boundary(at))
            .unwrap_or(0)
    }
}

#[cfg(test)]
mod tests;
