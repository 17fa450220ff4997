//! What the policy says of one number, and which rule decided.

use super::e164::{E164, NumberKind};
use super::rules::Presentation;

/// The outcome, as `policy.check` shows it and a refused dial carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether it may be dialled.
    pub allow: bool,
    /// The step that decided; for an allowed number the region.
    pub step: Step,
    /// Stable text of the deciding rule: `deny_prefix:+447`, `region:GG`, `type:premium`, `emergency:JP:110`.
    pub rule: String,
    /// The number judged, once it could be read.
    pub e164: Option<E164>,
    /// Its region, ISO 3166, once that was looked up; of an emergency call the country whose trunk takes it, else
    /// that of the table.
    pub region: Option<String>,
    /// Its kind, once that was looked up.
    pub kind: Option<NumberKind>,
    /// What a dial prefix said of showing the caller's number.
    pub presentation: Option<Presentation>,
    /// What goes on the wire when allowed: the E.164 number with `+`, the digits of an emergency number, or the
    /// URN of an emergency service.
    pub dial: Option<String>,
    /// Which lists decided ([`Policy::list_version`](super::Policy::list_version)).
    pub list_version: String,
}

impl Decision {
    /// The kind of error that a refusal becomes on the control protocol.
    pub fn error_kind(&self) -> &'static str {
        match self.step {
            Step::Text | Step::Parse => "number_invalid",
            Step::CallerId => "caller_id_not_allowed",
            Step::Emergency
            | Step::ServiceCode
            | Step::DenyPrefix
            | Step::Valid
            | Step::Region
            | Step::Type => "destination_not_allowed",
        }
    }

    /// Whether it is an emergency call that has a trunk to go to: no limit applies.
    pub fn is_emergency(&self) -> bool {
        self.allow && self.step == Step::Emergency
    }

    /// Whether someone should be told at once: an emergency call was refused.
    pub fn is_alarm(&self) -> bool {
        !self.allow && self.step == Step::Emergency
    }
}

/// The steps that can decide, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// The text is no number.
    Text,
    /// Emergency table of the home country.
    Emergency,
    /// Short number of the home country.
    ServiceCode,
    /// The number cannot be read.
    Parse,
    /// A denied prefix.
    DenyPrefix,
    /// The numbering plan has no such number.
    Valid,
    /// The region of the number.
    Region,
    /// The kind of number.
    Type,
    /// The number shown as the caller's.
    CallerId,
}

impl Step {
    /// Its name on the control protocol.
    pub fn name(self) -> &'static str {
        match self {
            Step::Text => "text",
            Step::Emergency => "emergency",
            Step::ServiceCode => "service_code",
            Step::Parse => "parse",
            Step::DenyPrefix => "deny_prefix",
            Step::Valid => "valid",
            Step::Region => "region",
            Step::Type => "type",
            Step::CallerId => "caller_id",
        }
    }
}
