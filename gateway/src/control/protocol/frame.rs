//! One line in, one line out: the JSON-RPC frame around requests and replies.
//!
//! Checks what a frame may be before anything of it is believed. Knows nothing of sockets.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::event::EVENT_PREFIX;
use super::failure::Failure;
use super::method::Request;
use super::result::ResultBody;

/// Longest frame towards the gateway, bytes; checked before it is parsed.
pub const FRAME_BYTES_MAX: usize = 64 * 1024;
/// Deepest nesting of a frame.
pub const NESTING_MAX: usize = 32;
/// Longest `id` that is echoed, bytes.
const REQUEST_ID_BYTES_MAX: usize = 256;

/// A frame that was read, or why it could not be.
#[derive(Debug)]
pub struct Frame {
    /// Echoed in the reply; `None` is a notification and gets none. A frame whose id cannot be told has
    /// `null`.
    pub id: Option<Box<RawValue>>,
    /// What is asked.
    pub request: Result<Box<Request>, Failure>,
}

impl Frame {
    /// A frame that is answered with this refusal and `"id":null`.
    pub fn refused(failure: Failure) -> Self {
        Self {
            id: Some(null()),
            request: Err(failure),
        }
    }
}

fn null() -> Box<RawValue> {
    RawValue::NULL.to_owned()
}

/// The members of a JSON-RPC request that matter here; others are ignored.
#[derive(Deserialize)]
struct RawRequest<'a> {
    #[serde(borrow, default)]
    jsonrpc: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    method: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    params: Option<&'a RawValue>,
}

/// Keeps a member that is there as null apart from one that is not there.
fn present<'de: 'a, 'a, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Reads one frame. Its length has been checked by whoever read it.
pub fn parse_frame(text: &str) -> Frame {
    debug_assert!(text.len() <= FRAME_BYTES_MAX, "the reader bounds frames");
    if nesting(text) > NESTING_MAX {
        return Frame::refused(Failure::invalid_request(format!(
            "nested deeper than {NESTING_MAX}"
        )));
    }
    let trimmed = text.trim_start();
    if !trimmed.starts_with('{') {
        // Also tells an array or a number from what is no JSON at all.
        return Frame::refused(match serde_json::from_str::<&RawValue>(text) {
            Ok(_) => Failure::invalid_request("a frame is one request object"),
            Err(error) => Failure::parse_error(error.to_string()),
        });
    }
    let raw: RawRequest<'_> = match serde_json::from_str(text) {
        Ok(raw) => raw,
        Err(error) if error.is_data() => return Frame::refused(Failure::invalid_request(error.to_string())),
        Err(error) => return Frame::refused(Failure::parse_error(error.to_string())),
    };
    let id = match raw.id {
        None => None,
        Some(id) if is_request_id(id) => Some(id.to_owned()),
        Some(_) => {
            let why =
                format!("`id` must be a text, a number or null of at most {REQUEST_ID_BYTES_MAX} bytes");
            return Frame::refused(Failure::invalid_request(why));
        }
    };
    if raw.jsonrpc.map(RawValue::get) != Some("\"2.0\"") {
        return Frame {
            id: id.or_else(|| Some(null())),
            request: Err(Failure::invalid_request("`jsonrpc` must be \"2.0\"")),
        };
    }
    let Some(method) = raw
        .method
        .and_then(|method| serde_json::from_str::<String>(method.get()).ok())
    else {
        return Frame {
            id: id.or_else(|| Some(null())),
            request: Err(Failure::invalid_request("`method` must be a text")),
        };
    };
    Frame {
        id,
        request: Request::from_raw(&method, raw.params).map(Box::new),
    }
}

fn is_request_id(id: &RawValue) -> bool {
    let starts_as_scalar = id
        .get()
        .starts_with(|first: char| first == '"' || first == '-' || first.is_ascii_digit());
    id.get().len() <= REQUEST_ID_BYTES_MAX && (starts_as_scalar || id.get() == "null")
}

/// How deep arrays and objects stand in each other; brackets in texts do not count.
fn nesting(text: &str) -> usize {
    let (mut depth, mut deepest, mut in_text, mut escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// The reply of a command that was applied; `seq` is the last event of its own state change.
pub fn success_line(id: &RawValue, seq: u64, result: &ResultBody, replayed: bool) -> Arc<str> {
    let mut line = format!("{REPLY_PREFIX}{},\"result\":{{\"seq\":{seq}", id.get());
    if replayed {
        line.push_str(",\"replayed\":true");
    }
    for (name, value) in &result.0 {
        if name != "seq" {
            line.push(',');
            line.push_str(&serde_json::Value::from(name.as_str()).to_string());
            line.push(':');
            line.push_str(&value.to_string());
        }
    }
    line.push_str("}}");
    line.into()
}

/// The reply of a command that was refused; `None` writes `"id":null`.
pub fn failure_line(id: Option<&RawValue>, failure: &Failure) -> Arc<str> {
    format!(
        "{REPLY_PREFIX}{},\"error\":{}}}",
        id.map_or("null", RawValue::get),
        failure.to_value()
    )
    .into()
}

/// What every reply begins with; the id follows.
const REPLY_PREFIX: &str = r#"{"jsonrpc":"2.0","id":"#;

/// What a line towards a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineKind {
    /// The answer to a command.
    Reply,
    /// An event that may not be lost.
    State,
    /// Measurements, of which only the newest matter.
    Stats,
}

impl LineKind {
    /// Tells a line by how our own writers begin it.
    pub fn of(line: &str) -> Self {
        if line.starts_with(REPLY_PREFIX) {
            return Self::Reply;
        }
        let after_seq = line
            .strip_prefix(EVENT_PREFIX)
            .and_then(|rest| rest.strip_prefix("{\"seq\":"))
            .map(|rest| rest.trim_start_matches(|digit: char| digit.is_ascii_digit()));
        match after_seq {
            Some(rest) if rest.starts_with(",\"type\":\"stats\"") => Self::Stats,
            Some(_) | None => Self::State,
        }
    }
}

#[cfg(test)]
mod tests;
