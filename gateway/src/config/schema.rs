//! The JSON schema of the file, generated from the types of [`super::file`].

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::file::File;

/// The schema, every type written where it is used.
pub fn schema() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    settings
        .into_generator()
        .into_root_schema_for::<File>()
        .to_value()
}

/// The one shape a value may have beside null: an optional type is its type.
pub(super) fn unwrap_optional(schema: &Value) -> &Value {
    let alternatives = alternatives(schema);
    let mut shapes = alternatives
        .iter()
        .filter(|shape| shape.get("type").and_then(Value::as_str) != Some("null"));
    match (shapes.next(), shapes.next()) {
        (Some(only), None) => only,
        _ => schema,
    }
}

/// The alternatives of an `anyOf`; empty for a plain schema.
pub(super) fn alternatives(schema: &Value) -> &[Value] {
    schema
        .get("anyOf")
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// The type's name in the schema's words: `string`, `integer`, `boolean`, `array`, `object`.
pub(super) fn type_name(schema: &Value) -> Option<&str> {
    match schema.get("type")? {
        Value::String(name) => Some(name),
        Value::Array(names) => names
            .iter()
            .filter_map(Value::as_str)
            .find(|name| *name != "null"),
        _ => None,
    }
}

/// The words of a closed list, in order; none for anything else.
pub(super) fn words(schema: &Value) -> Option<Vec<&str>> {
    let listed = schema
        .get("enum")
        .and_then(Value::as_array)
        .map(|words| words.iter().filter_map(Value::as_str));
    if let Some(words) = listed {
        return Some(words.collect());
    }
    if let Some(word) = schema.get("const").and_then(Value::as_str) {
        return Some(vec![word]);
    }
    let variants = schema.get("oneOf").and_then(Value::as_array)?;
    Some(variants.iter().filter_map(words).flatten().collect())
}
