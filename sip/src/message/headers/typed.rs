//! The optional headers as values, read on demand; the checks on the way in make them readable.

use super::Headers;
use crate::message::grammar::{digits, trim};
use crate::message::{MediaType, Method, NameAddr, RAck, Reason, ReferTo, SessionExpires};

impl Headers {
    /// The first Contact; none for `*`.
    pub fn contact(&self) -> Option<NameAddr> {
        self.addresses("Contact").next()
    }

    /// All Contacts; none for `*`.
    pub fn contacts(&self) -> Vec<NameAddr> {
        self.addresses("Contact").collect()
    }

    /// The Route set, top first.
    pub fn routes(&self) -> Vec<NameAddr> {
        self.addresses("Route").collect()
    }

    /// The Record-Route set, top first.
    pub fn record_routes(&self) -> Vec<NameAddr> {
        self.addresses("Record-Route").collect()
    }

    /// Every element of a header made of addresses that can be read as one.
    pub fn addresses(&self, name: &str) -> impl Iterator<Item = NameAddr> {
        self.values(name).filter_map(|value| NameAddr::parse(value).ok())
    }

    /// Seconds of Expires; none where it is absent or no number (RFC 3261 §20.19).
    pub fn expires(&self) -> Option<u32> {
        self.get("Expires").and_then(digits)
    }

    /// Seconds of Min-Expires (RFC 3261 §20.23).
    pub fn min_expires(&self) -> Option<u32> {
        self.get("Min-Expires").and_then(digits)
    }

    /// Hops left; absent in messages of RFC 2543 elements.
    pub fn max_forwards(&self) -> Option<u8> {
        self.get("Max-Forwards").and_then(digits)
    }

    /// Option tags the request cannot do without.
    pub fn require(&self) -> Vec<&str> {
        self.values("Require").collect()
    }

    /// Option tags the sender understands.
    pub fn supported(&self) -> Vec<&str> {
        self.values("Supported").collect()
    }

    /// True when an option tag stands in Supported or Require.
    pub fn offers_option(&self, tag: &str) -> bool {
        let mut tags = self.values("Supported").chain(self.values("Require"));
        tags.any(|offered| offered.eq_ignore_ascii_case(tag))
    }

    /// True when an option tag stands in Require.
    pub fn requires_option(&self, tag: &str) -> bool {
        self.values("Require")
            .any(|required| required.eq_ignore_ascii_case(tag))
    }

    /// The number of a reliable provisional response (RFC 3262 §7.1).
    pub fn rseq(&self) -> Option<u32> {
        self.get("RSeq").and_then(digits)
    }

    /// The reliable provisional response that a PRACK acknowledges.
    pub fn rack(&self) -> Option<RAck> {
        self.get("RAck").and_then(RAck::parse)
    }

    /// How long the session lives without a refresh.
    pub fn session_expires(&self) -> Option<SessionExpires> {
        self.get("Session-Expires").and_then(SessionExpires::parse)
    }

    /// The shortest session interval that whoever the message passed takes, seconds (RFC 4028 §5).
    pub fn min_se(&self) -> Option<u32> {
        let value = self.get("Min-SE")?;
        digits(trim(value.split(';').next()?))
    }

    /// Methods the sender takes; what is no method is skipped.
    pub fn allow(&self) -> Vec<Method> {
        self.values("Allow")
            .filter_map(|method| Method::parse(method).ok())
            .collect()
    }

    /// What the body is.
    pub fn content_type(&self) -> Option<MediaType> {
        self.get("Content-Type")
            .and_then(|value| MediaType::parse(value).ok())
    }

    /// Content-Length as received.
    pub fn content_length(&self) -> Option<usize> {
        self.get("Content-Length").and_then(digits)
    }

    /// Seconds after which to try again (RFC 3261 §20.33).
    pub fn retry_after(&self) -> Option<u32> {
        let value = self.get("Retry-After")?;
        let end = value
            .bytes()
            .position(|byte| !byte.is_ascii_digit())
            .unwrap_or(value.len());
        digits(value.get(..end)?)
    }

    /// The Reasons given (RFC 3326); what cannot be read is skipped.
    pub fn reason(&self) -> Vec<Reason> {
        self.values("Reason").filter_map(Reason::parse).collect()
    }

    /// Whom a REFER wants called; none where that is missing or broken.
    pub fn refer_to(&self) -> Option<ReferTo> {
        self.get("Refer-To").and_then(|value| ReferTo::parse(value).ok())
    }

    /// The event package of a SUBSCRIBE or NOTIFY and its `id` (RFC 6665 §8.2.1); packages compare by case.
    pub fn event(&self) -> Option<(&str, Option<&str>)> {
        let mut parts = self.get("Event")?.split(';').map(trim);
        let package = parts.next()?;
        let id = parts.find_map(|part| part.split_once('=').filter(|(name, _)| trim(name) == "id"));
        Some((package, id.map(|(_, id)| trim(id))))
    }

    /// True where a NOTIFY is the last one of its subscription (RFC 6665 §4.1.3).
    pub fn is_last_notify(&self) -> bool {
        let state = self.get("Subscription-State").unwrap_or_default();
        let word = trim(state.split(';').next().unwrap_or_default());
        word.eq_ignore_ascii_case("terminated")
    }
}
