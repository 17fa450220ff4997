//! Who is at the other end, as far as signalling tells. Knows nothing of headers.

use schemars::JsonSchema;
use serde::Serialize;

use super::words::{NumberSource, Privacy, RedirectReason, StirVerdict};

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
    /// The carrier's word for the caller, `A`, `B` or `C`; only where its signature was verified here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attestation: Option<String>,
    /// `id` where a caller asks that the number be kept from the far end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub privacy: Option<Privacy>,
    /// The extension behind the number (RFC 3966 §5.3).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ext: Option<String>,
    /// The routing number of a ported one (RFC 4694 §5.1); information, never dialled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rn: Option<String>,
}

/// Who sent a call on to where it came in, and how often that happened on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Redirected {
    /// The last one that sent it on, E.164; null where that is no number.
    pub number: Option<String>,
    /// As it came.
    pub raw: String,
    /// Why it was sent on.
    pub reason: RedirectReason,
    /// How often in all.
    pub count: u32,
    /// `id` where the number is to be kept from the far end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub privacy: Option<Privacy>,
}

/// What a signed caller is worth (RFC 8224, RFC 8588).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Stir {
    /// What was found.
    pub verdict: StirVerdict,
    /// What the token claims, `A`, `B` or `C`; to be believed with the verdict `valid` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attest: Option<String>,
    /// Where the call began, as the token claims.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origid: Option<String>,
    /// Where its certificate is said to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub x5u: Option<String>,
}
