//! Holds a parsed file against the schema: keys, types, bounds, words. Every fault is found, not the first.

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::error::Problem;
use super::later;
use super::place::{Finding, KeyPath};
use super::schema::{alternatives, type_name, unwrap_optional, words};

/// Everything in `table` that the schema does not allow.
pub(super) fn check(schema: &Value, table: &DeTable<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    check_table(schema, table, &KeyPath::default(), &mut findings);
    findings
}

/// As [`check`], for a table that lies at `path`.
pub(super) fn check_at(schema: &Value, table: &DeTable<'_>, path: &KeyPath) -> Vec<Finding> {
    let mut findings = Vec::new();
    check_table(schema, table, path, &mut findings);
    findings
}

fn check_table(schema: &Value, table: &DeTable<'_>, path: &KeyPath, out: &mut Vec<Finding>) {
    let properties = schema.get("properties").and_then(Value::as_object);
    let of_any_name = schema
        .get("additionalProperties")
        .filter(|schema| schema.is_object());
    for (key, value) in table.iter() {
        let name = key.get_ref().as_ref();
        let here = path.key(name);
        if later::is_key(&here.pattern()) || is_table_of_instances(&here, value) {
            out.push(Finding {
                path: here,
                problem: Problem::LaterKey,
            });
            continue;
        }
        match properties.and_then(|known| known.get(name)).or(of_any_name) {
            Some(schema) => check_value(schema, value.get_ref(), &here, out),
            None => {
                let known = properties
                    .into_iter()
                    .flat_map(|known| known.keys().map(String::as_str));
                out.push(Finding {
                    path: here,
                    problem: Problem::UnknownKey {
                        nearest: nearest(name, known),
                    },
                });
            }
        }
    }
    let required = schema
        .get("required")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    for key in required.iter().filter_map(Value::as_str) {
        if !table.contains_key(key) {
            out.push(Finding {
                path: path.key(key),
                problem: Problem::Missing { key: key.to_owned() },
            });
        }
    }
}

/// `[[instance]]` where `instance = "main"` is meant.
fn is_table_of_instances(path: &KeyPath, value: &Spanned<DeValue<'_>>) -> bool {
    path.pattern() == "instance" && (value.get_ref().is_array() || value.get_ref().is_table())
}

fn check_value(schema: &Value, value: &DeValue<'_>, path: &KeyPath, out: &mut Vec<Finding>) {
    let schema = unwrap_optional(schema);
    let found = type_word(value);
    let shapes = alternatives(schema);
    if !shapes.is_empty() {
        match shapes.iter().find(|shape| type_name(shape) == Some(found)) {
            Some(shape) => check_value(shape, value, path, out),
            None => {
                let expected = shapes
                    .iter()
                    .filter_map(type_name)
                    .map(with_article)
                    .collect::<Vec<_>>();
                out.push(wrong_type(path, expected.join(" or "), found));
            }
        }
        return;
    }
    if let (Some(words), Some(word)) = (words(schema), value.as_str()) {
        return check_word(&words, word, path, out);
    }
    let expected = type_name(schema).unwrap_or("string");
    match value {
        DeValue::Integer(integer) if expected == "integer" => {
            let number = i64::from_str_radix(integer.as_str(), integer.radix()).ok();
            check_bounds(schema, number, integer.as_str(), path, out);
        }
        DeValue::String(text) if expected == "string" => {
            check_length(
                schema,
                ("minLength", "maxLength"),
                "characters",
                text.chars().count(),
                path,
                out,
            );
        }
        DeValue::Array(items) if expected == "array" => check_items(schema, items, path, out),
        DeValue::Table(table) if expected == "object" => check_table(schema, table, path, out),
        DeValue::Boolean(_) if expected == "boolean" => {}
        _ => out.push(wrong_type(path, with_article(expected).to_owned(), found)),
    }
}

fn check_word(words: &[&str], word: &str, path: &KeyPath, out: &mut Vec<Finding>) {
    if words.contains(&word) {
        return;
    }
    let quoted = words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>();
    let problem = if later::is_word(&path.pattern(), word) {
        Problem::LaterValue {
            value: word.to_owned(),
            instead: format!("use {}", quoted.join(" or ")),
        }
    } else {
        Problem::NotOneOf {
            allowed: quoted,
            actual: word.to_owned(),
        }
    };
    out.push(Finding {
        path: path.clone(),
        problem,
    });
}

fn check_items(schema: &Value, items: &DeArray<'_>, path: &KeyPath, out: &mut Vec<Finding>) {
    check_length(
        schema,
        ("minItems", "maxItems"),
        "entries",
        items.len(),
        path,
        out,
    );
    let Some(item_schema) = schema.get("items") else {
        return;
    };
    for (index, item) in items.iter().enumerate() {
        check_value(item_schema, item.get_ref(), &path.index(index), out);
    }
}

fn check_bounds(schema: &Value, number: Option<i64>, text: &str, path: &KeyPath, out: &mut Vec<Finding>) {
    let widest = match schema.get("format").and_then(Value::as_str) {
        Some("uint8") => i64::from(u8::MAX),
        Some("uint16") => i64::from(u16::MAX),
        Some("uint32") => i64::from(u32::MAX),
        _ => i64::MAX,
    };
    let min = schema.get("minimum").and_then(Value::as_i64).unwrap_or(0);
    let max = schema.get("maximum").and_then(Value::as_i64).unwrap_or(widest);
    if number.is_none_or(|number| number < min || number > max) {
        out.push(Finding {
            path: path.clone(),
            problem: Problem::OutOfRange {
                min,
                max,
                actual: text.to_owned(),
            },
        });
    }
}

fn check_length(
    schema: &Value,
    (min_key, max_key): (&str, &str),
    unit: &'static str,
    actual: usize,
    path: &KeyPath,
    out: &mut Vec<Finding>,
) {
    let min = schema.get(min_key).and_then(Value::as_u64).unwrap_or(0);
    let max = schema.get(max_key).and_then(Value::as_u64).unwrap_or(ENTRIES_MAX);
    let actual = actual as u64;
    if actual < min || actual > max {
        out.push(Finding {
            path: path.clone(),
            problem: Problem::Length {
                min,
                max,
                unit,
                actual,
            },
        });
    }
}

/// Longest list or text of a key that sets no bound of its own.
const ENTRIES_MAX: u64 = 4096;

fn wrong_type(path: &KeyPath, expected: String, found: &'static str) -> Finding {
    Finding {
        path: path.clone(),
        problem: Problem::WrongType {
            expected,
            found: with_article(found),
        },
    }
}

/// The schema's word for the type of a TOML value.
fn type_word(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "string",
        DeValue::Integer(_) => "integer",
        DeValue::Float(_) => "number",
        DeValue::Boolean(_) => "boolean",
        DeValue::Datetime(_) => "date",
        DeValue::Array(_) => "array",
        DeValue::Table(_) => "object",
    }
}

fn with_article(type_word: &str) -> &'static str {
    match type_word {
        "string" => "a text in quotes",
        "integer" => "a whole number",
        "number" => "a number with a point",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "a table",
        _ => "a date",
    }
}

/// The known name that looks most like `name`, if any comes close.
fn nearest<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> Option<String> {
    let distance_max = (name.chars().count() / 3).max(1);
    known
        .map(|candidate| (edit_distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= distance_max)
        .min()
        .map(|(_, candidate)| candidate.to_owned())
}

/// Letters to insert, delete or change to make one name the other (Levenshtein).
fn edit_distance(from: &str, to: &str) -> usize {
    let to = to.chars().collect::<Vec<_>>();
    let mut row = (0..=to.len()).collect::<Vec<_>>();
    for (done, letter) in from.chars().enumerate() {
        let mut next = vec![done + 1];
        for ((other, above), above_left) in to.iter().zip(row.iter().skip(1)).zip(&row) {
            let left = next.last().copied().unwrap_or(0);
            let change = above_left + usize::from(*other != letter);
            next.push(change.min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}
