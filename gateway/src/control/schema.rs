//! The protocol's own description, made from its types: OpenRPC with JSON Schema 2020-12.
//!
//! The same types make the pages of `docs/control-protocol.md`. Adds no fact that a type does not have.

mod markdown;

use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::protocol::{
    COMMON_ERRORS, Cause, Effect, ErrorKind, Event, FRAME_BYTES_MAX, Id, MethodInfo, NESTING_MAX,
    PROTOCOL_VERSION, Request, Subject, Tags, Timestamp,
};

pub use markdown::markdown;

/// Where the document keeps the schemas that others point to.
const DEFINITIONS: &str = "/components/schemas";

/// The document as text, the same for every call of one version.
pub fn schema_json() -> String {
    format!("{:#}", schema())
}

/// The document: `methods` with their parameters, results and error kinds; `x-events` with the data of
/// each event; `x-error-kinds`.
pub fn schema() -> Value {
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.definitions_path = DEFINITIONS.into());
    let mut inputs = settings.clone().for_deserialize().into_generator();
    let mut outputs = settings.for_serialize().into_generator();
    let methods: Vec<Value> = Request::METHODS
        .iter()
        .map(|info| method(info, &mut inputs, &mut outputs))
        .collect();
    let events: Vec<Value> = Event::ALL
        .iter()
        .map(|info| {
            let data = (info.data)(&mut outputs);
            json!({ "type": info.name, "description": info.doc.trim(), "data": data })
        })
        .collect();
    let envelope = envelope(&mut outputs);
    let kinds: Vec<Value> = ErrorKind::ALL
        .iter()
        .map(
            |kind| json!({ "code": kind.code(), "message": kind.as_str(), "description": kind.doc().trim() }),
        )
        .collect();
    let mut definitions = inputs.take_definitions(true);
    definitions.extend(outputs.take_definitions(true));
    json!({
        "openrpc": "1.3.2",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": "Media gateway control protocol",
            "version": PROTOCOL_VERSION,
            "description": "JSON-RPC 2.0, one JSON object a line. Events are notifications named `event`.",
        },
        "methods": methods,
        "x-events": { "envelope": envelope, "types": events },
        "x-error-kinds": kinds,
        "x-limits": { "frame_bytes": FRAME_BYTES_MAX, "nesting": NESTING_MAX },
        "components": { "schemas": definitions },
    })
}

fn method(info: &MethodInfo, inputs: &mut SchemaGenerator, outputs: &mut SchemaGenerator) -> Value {
    let params = (info.params)(inputs).to_value();
    let required = params
        .get("required")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let no_members = Map::new();
    let members = params
        .get("properties")
        .and_then(Value::as_object)
        .unwrap_or(&no_members);
    let params: Vec<Value> = members
        .iter()
        .map(|(name, schema)| {
            json!({ "name": name, "required": required.iter().any(|member| member == name), "schema": schema })
        })
        .collect();
    let mut result = (info.result)(outputs).to_value();
    add_seq(&mut result);
    let errors: Vec<Value> = info
        .errors
        .iter()
        .chain(COMMON_ERRORS)
        .map(|kind| error(*kind))
        .collect();
    json!({
        "name": info.name,
        "summary": info.doc.trim(),
        "paramStructure": "by-name",
        "params": params,
        "result": { "name": "result", "schema": result },
        "errors": dedup(errors),
        "x-in-batch": info.effect == Effect::Change,
    })
}

/// Every result has the `seq` that the engine writes in front of it.
fn add_seq(result: &mut Value) {
    let Some(result) = result.as_object_mut() else {
        return;
    };
    if let Some(members) = result
        .entry("properties")
        .or_insert_with(|| json!({}))
        .as_object_mut()
    {
        members.insert(
            "seq".into(),
            json!({ "type": "integer", "minimum": 0,
                "description": "The last event of the command's own change of state." }),
        );
    }
    if let Some(required) = result
        .entry("required")
        .or_insert_with(|| json!([]))
        .as_array_mut()
        && !required.iter().any(|member| member == "seq")
    {
        required.insert(0, "seq".into());
    }
}

fn error(kind: ErrorKind) -> Value {
    json!({ "code": kind.code(), "message": kind.as_str(), "data": { "kind": kind.as_str() } })
}

fn dedup(errors: Vec<Value>) -> Vec<Value> {
    let mut kept: Vec<Value> = Vec::new();
    for error in errors {
        if !kept.contains(&error) {
            kept.push(error);
        }
    }
    kept
}

/// A shape with what it means in this place.
fn described(mut schema: Schema, description: &str) -> Schema {
    schema.insert("description".into(), description.into());
    schema
}

/// The members that every event has, beside its `data`.
fn envelope(outputs: &mut SchemaGenerator) -> Value {
    let mut envelope = outputs.subschema_for::<Subject>().to_value();
    if let Some(Value::Object(subject)) = outputs.definitions_mut().remove("Subject") {
        envelope = Value::Object(subject);
    }
    let members = json!({
        "seq": { "type": "integer", "minimum": 1,
            "description": "Its number; `tick` and `stats` repeat the last one." },
        "type": { "type": "string", "description": "What happened.",
            "enum": Event::ALL.iter().map(|info| info.name).collect::<Vec<_>>() },
        "epoch": { "type": "string", "description": "Changes when the numbers begin anew." },
        "ts": described(outputs.subschema_for::<Timestamp>(), "When, on the wall clock."),
        "mono_us": { "type": "integer", "minimum": 0,
            "description": "Microseconds on a clock that is never set." },
        "instance": { "type": "string", "description": "The instance." },
        "group": described(outputs.subschema_for::<Id>(), "Shared by the events of one batch."),
        "cause": described(outputs.subschema_for::<Cause>(), "Who did it."),
        "tags": described(outputs.subschema_for::<Tags>(), "The tags of its call."),
        "data": { "type": "object", "description": "As the type says." },
    });
    if let (Some(envelope), Value::Object(members)) = (envelope.as_object_mut(), members) {
        if let Some(properties) = envelope
            .entry("properties")
            .or_insert_with(|| json!({}))
            .as_object_mut()
        {
            properties.extend(members);
        }
        envelope.insert(
            "required".into(),
            json!([
                "seq", "type", "epoch", "ts", "mono_us", "instance", "cause", "tags", "data"
            ]),
        );
        envelope.insert("description".into(), "What every event has.".into());
    }
    envelope
}

#[cfg(test)]
mod tests;
