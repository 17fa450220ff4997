//! What the number policy decided. Knows nothing of its lists.

use schemars::JsonSchema;
use serde::Serialize;

use super::words::Decision;

/// A decision with the rule that made it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PolicyDecision {
    /// Whether the number may be dialled.
    pub decision: Decision,
    /// The step that decided, such as `text`, `emergency`, `deny_prefix`, `region`, `type`, `caller_id`, `route`.
    pub step: String,
    /// The rule, stable text such as `deny_prefix:+447` or `region:GG`.
    pub rule: String,
    /// The number in E.164, once it was parsed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub e164: Option<String>,
    /// Its region, ISO 3166.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Its type, such as `mobile` or `premium`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Of a limit that is full: what it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Of a limit that is full: how much of it is taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<u64>,
    /// Which lists decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub list_version: Option<String>,
}

impl PolicyDecision {
    /// A refusal before anything of the number is known.
    pub fn deny(step: &str, rule: &str) -> Self {
        Self {
            decision: Decision::Deny,
            step: step.into(),
            rule: rule.into(),
            e164: None,
            region: None,
            kind: None,
            limit: None,
            value: None,
            list_version: None,
        }
    }

    /// An allowance before anything of the number is known.
    pub fn allow(step: &str, rule: &str) -> Self {
        Self {
            decision: Decision::Allow,
            ..Self::deny(step, rule)
        }
    }
}
