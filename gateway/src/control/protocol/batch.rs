//! Steps of a batch, references between them, and the canonical text of parameters.
//!
//! Applies nothing: the engine takes the steps in turn.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::failure::Failure;
use super::method::{Effect, NOT_AVAILABLE, Request};
use super::result::ResultBody;

/// Most steps of a batch.
pub const STEPS_MAX: usize = 32;

/// One command of a batch, read when its turn comes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// A method that changes the state.
    pub method: String,
    /// Its parameters.
    #[serde(default)]
    pub params: Map<String, Value>,
}

impl Step {
    /// The command, with `$N.MEMBER` replaced by what earlier steps answered.
    pub fn request(&self, results: &[ResultBody]) -> Result<Request, Failure> {
        let params = resolve_references(&Value::Object(self.params.clone()), results)?;
        Request::from_parts(&self.method, &params)
    }
}

/// What can be known of a batch before any step is taken.
pub(super) fn check_steps(steps: &[Step]) -> Result<(), Failure> {
    if !(1..=STEPS_MAX).contains(&steps.len()) {
        return Err(Failure::invalid_params(
            "params.steps",
            format_args!("must have 1 to {STEPS_MAX} entries"),
        ));
    }
    for (index, step) in steps.iter().enumerate() {
        let refusal = match Request::info(&step.method) {
            Some(info) if info.effect == Effect::Change => continue,
            Some(_) => Failure::invalid_params(
                &format!("params.steps[{index}].method"),
                format_args!("`{}` may not stand in a batch", step.method),
            ),
            None if NOT_AVAILABLE.contains(&step.method.as_str()) => {
                Failure::method_not_available(&step.method)
            }
            None => Failure::unknown_method(&step.method),
        };
        return Err(refusal.at_step(index));
    }
    Ok(())
}

/// Replaces every text that is wholly `$N.MEMBER` by that member of the result of step N.
pub fn resolve_references(params: &Value, results: &[ResultBody]) -> Result<Value, Failure> {
    let mut resolved = params.clone();
    replace(&mut resolved, &mut "params".to_owned(), results)?;
    Ok(resolved)
}

/// Recursion is bounded by the nesting that a frame may have.
fn replace(value: &mut Value, path: &mut String, results: &[ResultBody]) -> Result<(), Failure> {
    let length = path.len();
    match value {
        Value::String(text) => {
            let Some((step, member)) = reference(text) else {
                return Ok(());
            };
            let Some(result) = results.get(step) else {
                return Err(Failure::invalid_params(
                    path,
                    format_args!("there is no earlier step {step}"),
                ));
            };
            let Some(found) = result.0.get(member) else {
                return Err(Failure::invalid_params(
                    path,
                    format_args!("step {step} has no such result"),
                ));
            };
            *value = found.clone();
        }
        Value::Array(list) => {
            for (index, entry) in list.iter_mut().enumerate() {
                path.push_str(&format!("[{index}]"));
                replace(entry, path, results)?;
                path.truncate(length);
            }
        }
        Value::Object(members) => {
            for (name, entry) in members.iter_mut() {
                path.push('.');
                path.push_str(name);
                replace(entry, path, results)?;
                path.truncate(length);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    Ok(())
}

/// `$N.MEMBER` as its parts.
fn reference(text: &str) -> Option<(usize, &str)> {
    let (step, member) = text.strip_prefix('$')?.split_once('.')?;
    let is_word = !member.is_empty()
        && member
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let is_number = !step.is_empty() && step.len() <= 3 && step.bytes().all(|byte| byte.is_ascii_digit());
    if is_word && is_number {
        Some((step.parse().ok()?, member))
    } else {
        None
    }
}

/// Writes JSON with the members of every object in order of their names.
pub(super) fn write_canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_unstable_by_key(|(name, _)| *name);
            text.push('{');
            for (name, entry) in sorted {
                text.push_str(&Value::from(name.as_str()).to_string());
                text.push(':');
                write_canonical(entry, text);
                text.push(',');
            }
            text.push('}');
        }
        Value::Array(list) => {
            text.push('[');
            for entry in list {
                write_canonical(entry, text);
                text.push(',');
            }
            text.push(']');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            text.push_str(&value.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::protocol::ErrorKind;
    use serde_json::json;

    fn body(value: Value) -> ResultBody {
        ResultBody(value.as_object().unwrap().clone())
    }

    #[test]
    fn whole_texts_are_replaced_by_earlier_results() {
        let results = [
            body(json!({ "leg": "agent", "op": "o_9" })),
            body(json!({ "bridge": "b77" })),
        ];
        let params = json!({ "bridge": "$1.bridge", "legs": ["l_a1", "$0.leg"], "tags": { "a": "x $0.leg", "b": "$5" } });
        let resolved = resolve_references(&params, &results).unwrap();
        assert_eq!(
            resolved,
            json!({ "bridge": "b77", "legs": ["l_a1", "agent"], "tags": { "a": "x $0.leg", "b": "$5" } })
        );
    }

    #[test]
    fn a_reference_to_nothing_names_its_place() {
        let results = [body(json!({ "leg": "agent" }))];
        for (params, path) in [
            (json!({ "legs": ["a", "$1.leg"] }), "params.legs[1]"),
            (json!({ "bridge": "$0.bridge" }), "params.bridge"),
        ] {
            let failure = resolve_references(&params, &results).unwrap_err();
            assert_eq!(
                (failure.kind, &failure.data["path"]),
                (ErrorKind::InvalidParams, &json!(path))
            );
        }
    }

    #[test]
    fn only_changes_may_stand_in_a_batch() {
        let steps = |methods: &[&str]| -> Vec<Step> {
            methods
                .iter()
                .map(|method| Step {
                    method: (*method).into(),
                    params: Map::new(),
                })
                .collect()
        };
        assert_eq!(
            check_steps(&steps(&["leg.hold", "leg.dial", "bridge.create"])),
            Ok(())
        );
        assert_eq!(check_steps(&[]).unwrap_err().data["path"], "params.steps");
        assert_eq!(
            check_steps(&steps(&["leg.hold"; STEPS_MAX + 1]))
                .unwrap_err()
                .data["path"],
            "params.steps"
        );
        for method in ["hello", "subscribe", "state.get", "batch", "ping"] {
            let failure = check_steps(&steps(&["leg.hold", method])).unwrap_err();
            assert_eq!(
                (failure.kind, &failure.data["step"]),
                (ErrorKind::InvalidParams, &json!(1)),
                "{method}"
            );
        }
        for method in ["nonsense", "dial.group"] {
            let failure = check_steps(&steps(&[method])).unwrap_err();
            assert_eq!(
                (failure.kind, failure.code, &failure.data["step"]),
                (ErrorKind::NotFound, -32601, &json!(0))
            );
        }
    }

    #[test]
    fn a_step_is_read_with_its_references_resolved() {
        let step = Step {
            method: "leg.hold".into(),
            params: json!({ "leg": "$0.leg" }).as_object().unwrap().clone(),
        };
        let Request::LegHold(hold) = step.request(&[body(json!({ "leg": "l_1" }))]).unwrap() else {
            panic!()
        };
        assert_eq!(hold.leg, "l_1");
    }

    #[test]
    fn a_digest_leaves_out_the_key_and_the_spelling() {
        let digest = |params: Value| Request::from_parts("leg.hold", &params).unwrap().digest();
        let plain = digest(json!({ "leg": "l_1" }));
        assert_eq!(
            plain,
            digest(json!({ "key": "k", "music": "default", "leg": "l_1", "signal": false }))
        );
        assert_ne!(plain, digest(json!({ "leg": "l_1", "music": null })));
        assert_ne!(plain, digest(json!({ "leg": "l_2" })));
        assert_ne!(plain, digest(json!({ "leg": "l_1", "tags": { "a": "b" } })));
        let resume = Request::from_parts("leg.resume", &json!({ "leg": "l_1" }))
            .unwrap()
            .digest();
        assert_ne!(plain, resume);
    }
}
