//! `docs/control-protocol.md`, written from the schema document. Knows nothing that the document does not say.

use std::fmt::Write;

use serde_json::{Map, Value};

use super::{DEFINITIONS, schema};

/// The page, the same for every call of one version.
pub fn markdown() -> String {
    let document = schema();
    let mut page = INTRODUCTION.to_owned();
    // Writing to a String cannot fail.
    let _ = write_page(&document, &mut page);
    page
}

const INTRODUCTION: &str = "\
# The control protocol

This page is generated from the types in `gateway/src/control/protocol`; a test keeps it so. `media-gateway schema` prints
the same as OpenRPC with JSON Schema 2020-12.

JSON-RPC 2.0 over a Unix stream socket, one JSON object a line. A frame towards the gateway has at most 64 KiB and is nested
at most 32 deep. `hello` comes first; before it only `ping`, `schema.get` and `state.get` work. Every result has `seq`, the
number of the last event of the command's own change of state; a reply is written before the events that its command
caused. A refusal is a JSON-RPC error whose `data.kind` is the contract.

Every method also takes `key` (the command is safe to send again for 10 minutes: the stored reply comes back with
`\"replayed\":true`) and `tags`. `fence` is refused, as there are no leases in this version. Unknown members are refused with
`invalid_params`, naming the path.

```
→ {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"hello\",\"params\":{\"app\":\"default\",\"client\":\"router-a\",\"subscribe\":{}}}
← {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"seq\":10400,\"protocol\":\"1.0\",\"epoch\":\"e7f3\",…}}
← {\"jsonrpc\":\"2.0\",\"method\":\"event\",\"params\":{\"seq\":10401,\"type\":\"call.started\",\"call\":\"c_77\",…}}
→ {\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"leg.answer\",\"params\":{\"leg\":\"l_a1\"}}
```

";

/// Parameters that every method takes; said once above.
const COMMON: &[&str] = &["key", "fence", "tags"];

fn write_page(document: &Value, page: &mut String) -> std::fmt::Result {
    writeln!(page, "## Methods\n")?;
    for method in list(document.get("methods")) {
        write_method(method, page)?;
    }
    writeln!(page, "## Events\n\nEvery event has:\n")?;
    let events = document.get("x-events");
    write_object(
        events
            .and_then(|events| events.get("envelope"))
            .unwrap_or(&Value::Null),
        page,
    )?;
    writeln!(page, "| type | what it tells | data |\n|---|---|---|")?;
    for event in list(events.and_then(|events| events.get("types"))) {
        let data = event.get("data").map(type_text).unwrap_or_default();
        writeln!(
            page,
            "| `{}` | {} | {data} |",
            text(event, "type"),
            cell(text(event, "description"))
        )?;
    }
    writeln!(
        page,
        "\n## Error kinds\n\n| kind | code | what it means |\n|---|---|---|"
    )?;
    let schemas = document.pointer(DEFINITIONS).and_then(Value::as_object);
    for (kind, code, doc) in error_kinds(document) {
        writeln!(page, "| `{kind}` | {code} | {} |", cell(&doc))?;
    }
    writeln!(page, "\n## Shapes\n")?;
    for (name, schema) in schemas.unwrap_or(&Map::new()) {
        writeln!(page, "### {name}\n\n{}\n", text(schema, "description").trim())?;
        write_shape(schema, page)?;
    }
    Ok(())
}

fn write_method(method: &Value, page: &mut String) -> std::fmt::Result {
    writeln!(
        page,
        "### `{}`\n\n{}\n",
        text(method, "name"),
        text(method, "summary")
    )?;
    let params = list(method.get("params"))
        .iter()
        .filter(|param| !COMMON.contains(&text(param, "name")));
    let mut params: Vec<&Value> = params.collect();
    params.sort_by_key(|param| param.get("required") != Some(&Value::Bool(true)));
    if !params.is_empty() {
        writeln!(page, "| parameter | type | what it says |\n|---|---|---|")?;
    }
    for param in &params {
        let schema = param.get("schema").unwrap_or(&Value::Null);
        let is_required = param.get("required") == Some(&Value::Bool(true));
        writeln!(page, "{}", row(text(param, "name"), schema, is_required))?;
    }
    if !params.is_empty() {
        writeln!(page)?;
    }
    let result = method.pointer("/result/schema").unwrap_or(&Value::Null);
    let members: Vec<_> = properties(result)
        .filter(|(name, ..)| name.as_str() != "seq")
        .collect();
    if !members.is_empty() {
        writeln!(page, "| result | type | what it says |\n|---|---|---|")?;
        for (name, member, is_required) in members {
            writeln!(page, "{}", row(name, member, is_required))?;
        }
        writeln!(page)?;
    }
    let common: Vec<&str> = super::COMMON_ERRORS.iter().map(|kind| kind.as_str()).collect();
    let errors: Vec<String> = list(method.get("errors"))
        .iter()
        .map(|error| text(error, "message"))
        .filter(|kind| !common.contains(kind))
        .map(|kind| format!("`{kind}`"))
        .collect();
    if !errors.is_empty() {
        writeln!(page, "Errors of note: {}\n", errors.join(" "))?;
    }
    Ok(())
}

/// An object as a table of its members, a list of words as a table of words, anything else as its type.
fn write_shape(schema: &Value, page: &mut String) -> std::fmt::Result {
    if schema.get("properties").is_some() {
        return write_object(schema, page);
    }
    let words: Vec<(&str, &str)> = list(schema.get("oneOf"))
        .iter()
        .filter_map(|word| Some((word.get("const")?.as_str()?, text(word, "description"))))
        .collect();
    if words.is_empty() {
        return writeln!(page, "{}\n", type_text(schema));
    }
    writeln!(page, "| word | what it means |\n|---|---|")?;
    for (word, doc) in words {
        writeln!(page, "| `{word}` | {} |", cell(doc))?;
    }
    writeln!(page)
}

fn write_object(schema: &Value, page: &mut String) -> std::fmt::Result {
    writeln!(page, "| member | type | what it says |\n|---|---|---|")?;
    for (name, member, is_required) in properties(schema) {
        writeln!(page, "{}", row(name, member, is_required))?;
    }
    writeln!(page)
}

/// A member as a row of a table; one that may be left out has a question mark.
fn row(name: &str, schema: &Value, is_required: bool) -> String {
    let kind = type_text(schema);
    let (mark, kind) = if is_required {
        ("", kind.as_str())
    } else {
        ("?", kind.trim_end_matches(" or null"))
    };
    format!("| `{name}{mark}` | {kind} | {} |", member_doc(schema))
}

fn properties(schema: &Value) -> impl Iterator<Item = (&String, &Value, bool)> {
    let required = list(schema.get("required"));
    schema
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(move |(name, member)| (name, member, required.iter().any(|needed| needed == name)))
}

fn member_doc(schema: &Value) -> String {
    let mut doc = cell(text(schema, "description"));
    if let Some(default) = schema.get("default").filter(|default| !default.is_null()) {
        let _ = write!(doc, " Default `{default}`.");
    }
    doc
}

/// A type in a few words, with links to shapes.
fn type_text(schema: &Value) -> String {
    if let Some(name) = schema
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|path| path.rsplit('/').next())
    {
        return format!("[{name}](#{})", name.to_lowercase());
    }
    for choice in ["anyOf", "oneOf"] {
        let kinds = list(schema.get(choice));
        if !kinds.is_empty() {
            return kinds.iter().map(type_text).collect::<Vec<_>>().join(" or ");
        }
    }
    if let Some(word) = schema.get("const") {
        return format!("`{word}`");
    }
    let words = list(schema.get("enum"));
    if !words.is_empty() && words.len() <= 8 {
        return words
            .iter()
            .map(|word| format!("`{word}`"))
            .collect::<Vec<_>>()
            .join(" or ");
    }
    if schema.get("not").is_some() {
        return "refused".into();
    }
    match schema.get("type") {
        Some(Value::String(kind)) => named_type(kind, schema),
        Some(Value::Array(kinds)) => {
            let kinds = kinds
                .iter()
                .filter_map(Value::as_str)
                .map(|kind| named_type(kind, schema));
            kinds.collect::<Vec<_>>().join(" or ")
        }
        Some(_) | None => "any".into(),
    }
}

fn named_type(kind: &str, schema: &Value) -> String {
    match kind {
        "array" => format!(
            "list of {}",
            schema.get("items").map(type_text).unwrap_or_default()
        ),
        "object" => match schema.get("additionalProperties") {
            Some(values) if values.is_object() => format!("map to {}", type_text(values)),
            Some(_) | None => match properties(schema)
                .map(|(name, ..)| format!("`{name}`"))
                .collect::<Vec<_>>()
            {
                names if names.is_empty() => "object".into(),
                names => format!("object with {}", names.join(", ")),
            },
        },
        "integer" | "number" => match (schema.get("minimum"), schema.get("maximum")) {
            (Some(least), Some(most)) => format!("{kind} {least} to {most}"),
            (Some(_) | None, _) => kind.into(),
        },
        other => other.into(),
    }
}

/// The kinds with their code and meaning, the meaning from the words' own shape.
fn error_kinds(document: &Value) -> Vec<(String, i64, String)> {
    list(document.get("x-error-kinds"))
        .iter()
        .map(|error| {
            let code = error.get("code").and_then(Value::as_i64).unwrap_or_default();
            (
                text(error, "message").to_owned(),
                code,
                text(error, "description").to_owned(),
            )
        })
        .collect()
}

fn list(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value.get(member).and_then(Value::as_str).unwrap_or_default()
}

/// A text as it may stand in a table.
fn cell(text: &str) -> String {
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace('|', "\\|")
}
