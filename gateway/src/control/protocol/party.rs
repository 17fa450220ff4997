//! Who is at the other end, as far as signalling tells. Knows nothing of headers.

use schemars::JsonSchema;
use serde::Serialize;

use super::words::NumberSource;

/// A caller or a destination.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Party {
    /// E.164; null where what came is no number, or is withheld.
    pub number: Option<String>,
    /// As it came, or as the command gave it.
    pub raw: String,
    /// The display name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where a caller's number was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<NumberSource>,
    /// The carrier's word for the caller, `A`, `B` or `C`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attestation: Option<String>,
}
