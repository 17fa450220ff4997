//! `explain`: what led to what in a call, read back from the journal without anybody's number.
//!
//! Every decision is told in an event with who caused it, so the events of a call are its chain of causes. Of their
//! data only words of closed lists, ids of ours, counts and times are shown: a page may hand the chain on. Knows no
//! rule and keeps nothing.

use serde_json::{Map, Value};

use super::journal::Entry;
use crate::control::protocol::{Explain, ExplainLink, ExplainResult, Failure, Id, ResultBody};
use crate::engine::engine::Engine;

/// Members of events that are shown. All others may hold what a peer or a caller said.
const SHOWN: [&str; 32] = [
    "app",
    "already",
    "by",
    "class",
    "codec",
    "codecs",
    "decision",
    "direction",
    "early_media",
    "hold_ms",
    "limit",
    "list_version",
    "mode",
    "outcome",
    "position_ms",
    "q850",
    "reason",
    "region",
    "ring_ms",
    "route",
    "rule",
    "secure",
    "setup_ms",
    "since",
    "sip",
    "step",
    "talk_ms",
    "trunk",
    "type",
    "value",
    "why",
    "bridge",
];
/// The event that repeats all the others.
const RECORD: &str = "call.record";
/// Events that a call begins with.
const BEGINNINGS: [&str; 2] = ["call.started", "call.refused"];

/// Explains a call or a leg.
pub fn explain(engine: &Engine, params: &Explain) -> Result<ResultBody, Failure> {
    let gone = |what, id: &Id| Failure::not_found(what, id.as_str());
    let (call, leg) = match (&params.call, &params.leg) {
        (Some(call), _) => (call.clone(), None),
        (None, Some(leg)) => {
            let mut entries = engine.journal.about(|facts| facts.leg.as_ref() == Some(leg));
            let call = entries.find_map(|entry| entry.facts.call.clone());
            (call.ok_or_else(|| gone("leg", leg))?, Some(leg.clone()))
        }
        (None, None) => {
            return Err(Failure::invalid_params(
                "params",
                "must have either `call` or `leg`",
            ));
        }
    };
    let of_call = engine.journal.about(|facts| facts.call.as_ref() == Some(&call));
    // Of other legs than the one asked for nothing is told.
    let entries: Vec<&Entry> = of_call
        .filter(|entry| leg.is_none() || entry.facts.leg.is_none() || entry.facts.leg == leg)
        .filter(|entry| entry.facts.kind != RECORD)
        .collect();
    if entries.is_empty() {
        return Err(gone("call", &call));
    }
    let complete = entries.iter().any(|entry| BEGINNINGS.contains(&entry.facts.kind));
    let chain = entries.into_iter().filter_map(link).collect();
    Ok(ResultBody::of(&ExplainResult {
        call,
        leg,
        complete,
        chain,
    }))
}

fn link(entry: &Entry) -> Option<ExplainLink> {
    let mut line: Value = serde_json::from_str(&entry.line).ok()?;
    let params = line.get_mut("params")?;
    let mut take = |name: &str| params.get_mut(name).map(Value::take);
    let object = |value: Option<Value>| match value {
        Some(Value::Object(members)) => members,
        _ => Map::new(),
    };
    Some(ExplainLink {
        seq: entry.seq,
        ts: take("ts")?.as_str()?.to_owned(),
        type_name: entry.facts.kind.to_owned(),
        leg: entry.facts.leg.clone(),
        cause: object(take("cause")),
        decision: shown(object(take("data"))),
    })
}

/// Drops what is not on the list, also inside a decision.
fn shown(members: Map<String, Value>) -> Map<String, Value> {
    let kept = members
        .into_iter()
        .filter(|(name, value)| SHOWN.contains(&name.as_str()) && !value.is_null());
    let kept = kept.map(|(name, value)| match value {
        Value::Object(inner) => (name, Value::Object(shown(inner))),
        other => (name, other),
    });
    kept.collect()
}
