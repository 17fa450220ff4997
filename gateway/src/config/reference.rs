//! docs/configuration.md, generated from the schema so that it cannot go stale.

use std::fmt::Write;

use serde_json::Value;

use super::schema::{alternatives, schema, type_name, unwrap_optional, words};

const INTRODUCTION: &str = "# Configuration

Generated from the types in `gateway/src/config/file.rs`; `make test` fails when it is out of date. The same
list as JSON Schema: `media-gateway schema --config`.

- Unknown keys are errors. So are keys and values of the design that this version does not have yet: they are
  refused by name, never ignored.
- An error names file, line and key (`gateway.toml:12: trunk[0].calls: must be 1 to 100000, is 0`); errors of form
  are shown together, then those of meaning; the exit code is 2. `media-gateway check --config FILE` checks without starting.
- Relative paths are taken from the folder of the file; without a file, from the working directory.
- Without a file `serve` runs with the defaults below, HTTP on 127.0.0.1:8080, and one trunk named `local` that takes
  calls from and dials to 127.0.0.0/8 and the host's own addresses.
";

/// The whole page.
pub fn reference() -> String {
    let mut page = INTRODUCTION.to_owned();
    table("(top)", &schema(), &mut page);
    page
}

/// One table of keys, then the tables inside it.
fn table(title: &str, schema: &Value, page: &mut String) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return;
    };
    let required = schema
        .get("required")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    let mut inner = Vec::new();
    let mut rows = String::new();
    for (key, property) in properties {
        let shape = unwrap_optional(property);
        let here = if title == "(top)" {
            key.clone()
        } else {
            format!("{title}.{key}")
        };
        if let Some((title, shape)) = table_shape(&here, shape) {
            inner.push((title, shape, description(property)));
            continue;
        }
        let is_required = required.iter().any(|name| name.as_str() == Some(key));
        let default = match property.get("default").or_else(|| default_of(schema, key)) {
            _ if is_required => "required".to_owned(),
            None | Some(Value::Null) => "see text".to_owned(),
            Some(value) => format!("`{}`", toml_text(value)),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            rows,
            "| `{key}` | {} | {default} | {} |",
            values(shape),
            description(property)
        );
    }
    if !rows.is_empty() {
        let heading = if title == "(top)" { "At the top" } else { title };
        let _ = write!(page, "\n## {heading}\n\n{}", lead(schema, title));
        let _ = write!(
            page,
            "| Key | Values | Default | Meaning |\n|---|---|---|---|\n{rows}"
        );
    }
    for (title, shape, _) in inner {
        table(&title, shape, page);
    }
}

fn lead(schema: &Value, title: &str) -> String {
    if title == "(top)" {
        String::new()
    } else {
        format!("{}\n\n", description(schema))
    }
}

/// Tables, lists of tables and tables by name get a section of their own.
fn table_shape<'s>(here: &str, shape: &'s Value) -> Option<(String, &'s Value)> {
    let bare = here.trim_start_matches('[').replace(']', "");
    if shape.get("properties").is_some() {
        return Some((format!("[{bare}]"), shape));
    }
    if let Some(items) = shape
        .get("items")
        .filter(|items| items.get("properties").is_some())
    {
        return Some((format!("[[{bare}]]"), items));
    }
    let named = shape
        .get("additionalProperties")
        .filter(|named| named.get("properties").is_some())?;
    Some((format!("[{bare}.NAME]"), named))
}

fn default_of<'s>(schema: &'s Value, key: &str) -> Option<&'s Value> {
    schema.get("default")?.get(key)
}

fn description(schema: &Value) -> String {
    let text = schema
        .get("description")
        .and_then(Value::as_str)
        .unwrap_or_default();
    text.lines()
        .map(str::trim)
        .collect::<Vec<_>>()
        .join(" ")
        .replace('|', "\\|")
}

/// What may stand there, in a few words.
fn values(schema: &Value) -> String {
    let shapes = alternatives(schema);
    if !shapes.is_empty() {
        return shapes.iter().map(values).collect::<Vec<_>>().join(" or ");
    }
    if let Some(words) = words(schema) {
        return words
            .iter()
            .map(|word| format!("`{word}`"))
            .collect::<Vec<_>>()
            .join(" ");
    }
    let bound = |key: &str| schema.get(key).and_then(Value::as_u64);
    match type_name(schema) {
        Some("integer") => match (bound("minimum").unwrap_or(0), bound("maximum")) {
            (min, Some(max)) => format!("{min}-{max}"),
            (min, None) => format!("{min} and up"),
        },
        Some("boolean") => "`true` `false`".to_owned(),
        Some("array") => format!("list of: {}", schema.get("items").map(values).unwrap_or_default()),
        Some("object") => {
            format!(
                "table of: {}",
                schema.get("additionalProperties").map(values).unwrap_or_default()
            )
        }
        _ => "text".to_owned(),
    }
}

/// A default as the file would write it.
fn toml_text(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let members = members
                .iter()
                .map(|(key, value)| format!("{key} = {}", toml_text(value)));
            format!("{{ {} }}", members.collect::<Vec<_>>().join(", "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(toml_text).collect::<Vec<_>>().join(", ")),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}
