//! The header fields of a message, with the five that every message must have read once.
//!
//! Valid by construction: Via, From, To, Call-ID and CSeq are there and well-formed, and whatever is
//! added later passes the same checks. Knows nothing of dialogs, transactions or transports.

use std::borrow::Cow;
use std::net::SocketAddr;

use super::field_check::{Core, check_optional};
use super::grammar::{is_free_of_control, is_token, split_list, trim};
use super::guard_error::GuardError;
use super::header_name::{canonical, known};
use super::lines::{HEADERS_MAX, LINE_BYTES_MAX};
use super::{CSeq, CallId, NameAddr, Part, Via};

mod typed;

/// Ordered header fields: raw text, and typed values on demand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Headers {
    /// In order; one Via value per field.
    fields: Vec<Field>,
    vias: Vec<Via>,
    from: NameAddr,
    to: NameAddr,
    call_id: CallId,
    cseq: CSeq,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Field {
    name: Cow<'static, str>,
    value: String,
}

/// The headers that have their own setters.
const FIXED: [&str; 6] = ["Via", "From", "To", "Call-ID", "CSeq", "Content-Length"];

/// Headers that may occur once: smuggled doubles are read differently by different elements.
const SINGLE: [&str; 17] = [
    "From",
    "To",
    "Call-ID",
    "CSeq",
    "Content-Length",
    "Content-Type",
    "Content-Disposition",
    "Max-Forwards",
    "Expires",
    "Min-SE",
    "RAck",
    "Refer-To",
    "Referred-By",
    "Replaces",
    "RSeq",
    "Session-Expires",
    "Subscription-State",
];

impl Headers {
    /// The five mandatory headers of a message of ours.
    pub fn new(via: Via, from: NameAddr, to: NameAddr, call_id: CallId, cseq: CSeq) -> Headers {
        let field = |name, value| Field {
            name: Cow::Borrowed(name),
            value,
        };
        let fields = vec![
            field("Via", via.to_string()),
            field("From", from.to_string()),
            field("To", to.to_string()),
            field("Call-ID", call_id.to_string()),
            field("CSeq", cseq.to_string()),
        ];
        Headers {
            fields,
            vias: vec![via],
            from,
            to,
            call_id,
            cseq,
        }
    }

    /// Takes the fields of a received head, checking every one the stack reads.
    pub(crate) fn assemble(raw: Vec<(&str, String)>) -> Result<Headers, GuardError> {
        let mut core = Core::default();
        let mut fields: Vec<Field> = Vec::with_capacity(raw.len() + 2);
        for (name, value) in raw {
            let name = canonical(name);
            let is_single = SINGLE.into_iter().find(|single| *single == name);
            if let Some(single) = is_single.filter(|_| fields.iter().any(|field| field.name == name)) {
                return Err(GuardError::Repeated(single));
            }
            core.read(&name, &value)?;
            if name == "Via" {
                fields.extend(split_list(&value).map(|via| Field {
                    name: name.clone(),
                    value: via.to_owned(),
                }));
            } else {
                fields.push(Field { name, value });
            }
        }
        Headers::from_core(core, fields)
    }

    /// The five mandatory headers of a message that is refused, the first readable one of each.
    pub(crate) fn salvage(raw: Vec<(&str, String)>) -> Option<Headers> {
        let mut core = Core::default();
        let mut fields: Vec<Field> = Vec::new();
        for (name, value) in raw {
            let Some(name) = known(name).filter(|name| *name != "Content-Length" && FIXED.contains(name))
            else {
                continue;
            };
            let is_new = name == "Via" || fields.iter().all(|field| field.name != name);
            if name == "Via" && split_list(&value).any(|via| Via::parse(via).is_err()) {
                return None;
            }
            if is_new && core.read(name, &value).is_ok() {
                let values = if name == "Via" {
                    split_list(&value).collect()
                } else {
                    vec![value.as_str()]
                };
                let field = |value: &str| Field {
                    name: Cow::Borrowed(name),
                    value: value.to_owned(),
                };
                fields.extend(values.into_iter().map(field));
            }
        }
        Headers::from_core(core, fields).ok()
    }

    fn from_core(core: Core, fields: Vec<Field>) -> Result<Headers, GuardError> {
        if core.vias.is_empty() {
            return Err(GuardError::Missing("Via"));
        }
        Ok(Headers {
            fields,
            vias: core.vias,
            from: core.from.ok_or(GuardError::Missing("From"))?,
            to: core.to.ok_or(GuardError::Missing("To"))?,
            call_id: core.call_id.ok_or(GuardError::Missing("Call-ID"))?,
            cseq: core.cseq.ok_or(GuardError::Missing("CSeq"))?,
        })
    }

    /// Adds a header at the end. Refuses control bytes, what does not fit the header's grammar, what
    /// would repeat a single header, and the headers with setters of their own.
    pub fn push(&mut self, name: &str, value: &str) -> Result<(), GuardError> {
        let name = canonical(name);
        if let Some(fixed) = FIXED.into_iter().find(|fixed| *fixed == name) {
            return Err(GuardError::Fixed(fixed));
        }
        if let Some(single) = SINGLE
            .into_iter()
            .find(|single| *single == name && self.has(single))
        {
            return Err(GuardError::Repeated(single));
        }
        if !is_token(&name) {
            return Err(GuardError::HeaderLine);
        }
        let value = trim(value);
        if value.contains(['\r', '\n']) || !is_free_of_control(value) {
            return Err(GuardError::Control);
        }
        let length = name.len() + 2 + value.len();
        if length > LINE_BYTES_MAX {
            return Err(GuardError::TooLong {
                part: Part::Line,
                limit: LINE_BYTES_MAX,
                actual: length,
            });
        }
        if self.fields.len() == HEADERS_MAX {
            return Err(GuardError::TooLong {
                part: Part::Headers,
                limit: HEADERS_MAX,
                actual: HEADERS_MAX + 1,
            });
        }
        check_optional(&name, value)?;
        self.fields.push(Field {
            name,
            value: value.to_owned(),
        });
        Ok(())
    }

    /// Replaces every header of that name by this one.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), GuardError> {
        let mut changed = self.clone();
        changed.remove(name);
        changed.push(name, value)?;
        *self = changed;
        Ok(())
    }

    /// Removes every header of that name; the headers with setters of their own stay.
    pub fn remove(&mut self, name: &str) {
        let name = canonical(name);
        if !FIXED.contains(&&*name) {
            self.fields
                .retain(|field| !field.name.eq_ignore_ascii_case(&name));
        }
    }

    /// Adds a header whose value the type has checked.
    fn push_typed(&mut self, name: &'static str, value: String) {
        debug_assert!(is_free_of_control(&value));
        self.fields.push(Field {
            name: Cow::Borrowed(name),
            value,
        });
    }

    /// Adds a Contact.
    pub fn push_contact(&mut self, contact: &NameAddr) {
        self.push_typed("Contact", contact.to_string());
    }

    /// Adds a Route at the end of the set.
    pub fn push_route(&mut self, route: &NameAddr) {
        self.push_typed("Route", route.to_string());
    }

    /// Sets Max-Forwards.
    pub fn set_max_forwards(&mut self, hops: u8) {
        self.remove("Max-Forwards");
        self.push_typed("Max-Forwards", hops.to_string());
    }

    /// Replaces the top Via, as a new attempt of the same request needs it.
    pub fn set_top_via(&mut self, via: Via) {
        self.rewrite("Via", via.to_string());
        if let Some(top) = self.vias.first_mut() {
            *top = via;
        }
    }

    /// Notes in the top Via where the request really came from (RFC 3261 §18.2.1, RFC 3581 §4).
    pub fn stamp_source(&mut self, source: SocketAddr) {
        let mut via = self.via().clone();
        via.stamp(source);
        self.set_top_via(via);
    }

    /// Replaces From.
    pub fn set_from(&mut self, from: NameAddr) {
        self.rewrite("From", from.to_string());
        self.from = from;
    }

    /// Replaces To.
    pub fn set_to(&mut self, to: NameAddr) {
        self.rewrite("To", to.to_string());
        self.to = to;
    }

    /// Gives To a tag when it has none, leaving the rest of its text as received.
    pub fn tag_to(&mut self, tag: &str) {
        if self.to.tag().is_some() {
            return;
        }
        let to = std::mem::replace(&mut self.to, self.from.clone()).with_tag(tag);
        let text = format!(
            "{};tag={}",
            self.get("To").unwrap_or_default(),
            to.tag().unwrap_or_default()
        );
        self.rewrite("To", text);
        self.to = to;
    }

    /// Replaces CSeq.
    pub fn set_cseq(&mut self, cseq: CSeq) {
        self.rewrite("CSeq", cseq.to_string());
        self.cseq = cseq;
    }

    fn rewrite(&mut self, name: &str, value: String) {
        if let Some(field) = self.fields.iter_mut().find(|field| field.name == name) {
            field.value = value;
        }
    }

    /// The first value of that name, unfolded and otherwise as received.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.get_all(name).next()
    }

    /// Every field value of that name, in order; lists are not cut.
    pub fn get_all(&self, name: &str) -> impl Iterator<Item = &str> {
        // Only compact names need looking up: fields have their full ones.
        let name = match name.len() {
            1 => canonical(name),
            _ => Cow::Owned(name.to_owned()),
        };
        let of_name = move |field: &&Field| field.name.eq_ignore_ascii_case(&name);
        self.fields
            .iter()
            .filter(of_name)
            .map(|field| field.value.as_str())
    }

    /// Every element of the comma lists of that name, without empty ones.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.get_all(name)
            .flat_map(split_list)
            .filter(|value| !value.is_empty())
    }

    /// True when a header of that name is there.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Names and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields
            .iter()
            .map(|field| (&*field.name, field.value.as_str()))
    }

    /// The top Via.
    #[expect(
        clippy::expect_used,
        reason = "both constructors put a Via in, and nothing takes the first one out"
    )]
    pub fn via(&self) -> &Via {
        self.vias.first().expect("a message has a Via")
    }

    /// All Vias, top first.
    pub fn vias(&self) -> &[Via] {
        &self.vias
    }

    /// From.
    pub fn from(&self) -> &NameAddr {
        &self.from
    }

    /// To.
    pub fn to(&self) -> &NameAddr {
        &self.to
    }

    /// Call-ID.
    pub fn call_id(&self) -> &CallId {
        &self.call_id
    }

    /// CSeq.
    pub fn cseq(&self) -> &CSeq {
        &self.cseq
    }

    /// Adds the headers another message has under that name, unchanged.
    pub(crate) fn copy_from(&mut self, other: &Headers, name: &str) {
        let copied = other
            .fields
            .iter()
            .filter(|field| field.name == name && !FIXED.contains(&name));
        self.fields.extend(copied.cloned());
    }

    /// The five mandatory headers of this message alone, texts unchanged.
    pub(crate) fn core_only(&self) -> Headers {
        let is_core = |field: &&Field| FIXED.contains(&&*field.name) && field.name != "Content-Length";
        Headers {
            fields: self.fields.iter().filter(is_core).cloned().collect(),
            vias: self.vias.clone(),
            from: self.from.clone(),
            to: self.to.clone(),
            call_id: self.call_id.clone(),
            cseq: self.cseq.clone(),
        }
    }

    /// Leaves only the top Via, as ACK and CANCEL need it (RFC 3261 §9.1, §17.1.1.3).
    pub(crate) fn keep_top_via(&mut self) {
        self.vias.truncate(1);
        let mut seen = 0;
        self.fields.retain(|field| {
            seen += usize::from(field.name == "Via");
            field.name != "Via" || seen == 1
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Host, Method, Reason, Uri, ViaTransport};

    fn headers() -> Headers {
        let address = |text| NameAddr::new(Uri::parse(text).unwrap());
        let via = Via::new(
            ViaTransport::Udp,
            Host::parse("gw.example").unwrap(),
            None,
            "z9hG4bKx",
        );
        let cseq = CSeq {
            number: 1,
            method: Method::Invite,
        };
        let call_id = CallId::parse("c@d").unwrap();
        Headers::new(
            via,
            address("sip:a@b").with_tag("f"),
            address("sip:c@d"),
            call_id,
            cseq,
        )
    }

    #[test]
    fn injection_is_refused() {
        let mut headers = headers();
        for (name, value, error) in [
            ("X", "a\r\nEvil: b", GuardError::Control),
            ("X", "a\nb", GuardError::Control),
            ("X", "a\0b", GuardError::Control),
            ("X", "\"\\\r\n\"", GuardError::Control),
            ("X\r\nEvil", "b", GuardError::HeaderLine),
            ("X:", "b", GuardError::HeaderLine),
            ("", "b", GuardError::HeaderLine),
            ("Via", "SIP/2.0/UDP x", GuardError::Fixed("Via")),
            ("f", "<sip:x@y>", GuardError::Fixed("From")),
            ("content-length", "5", GuardError::Fixed("Content-Length")),
        ] {
            assert_eq!(headers.push(name, value), Err(error), "{name}: {value}");
        }
        assert!(matches!(
            headers.push("Contact", "<sip:a b>"),
            Err(GuardError::Field { name: "Contact", .. })
        ));
        assert_eq!(headers.iter().count(), 5);
    }

    #[test]
    fn single_headers_stay_single_and_set_replaces() {
        let mut headers = headers();
        headers.push("c", "application/sdp").unwrap();
        assert_eq!(
            headers.push("Content-Type", "text/plain"),
            Err(GuardError::Repeated("Content-Type"))
        );
        headers.set("Content-Type", "text/plain").unwrap();
        assert!(headers.content_type().unwrap().is("text/plain"));
        assert!(headers.set("Content-Type", "nonsense").is_err());
        assert!(headers.content_type().unwrap().is("text/plain"));
        headers.remove("c");
        headers.remove("Via");
        assert_eq!((headers.content_type(), headers.vias().len()), (None, 1));
    }

    #[test]
    fn lists_are_cut_and_names_meet() {
        let mut headers = headers();
        headers.push("k", "timer, 100rel").unwrap();
        headers.push("Supported", "").unwrap();
        headers.push("Require", "replaces").unwrap();
        headers.push("Allow", "INVITE,FOO, b@d").unwrap();
        headers.push("Contact", "\"a, b\" <sip:a@b>, <sip:c@d>").unwrap();
        headers
            .push("Reason", "SIP;cause=200, Q.850;cause=16;text=\"x, y\"")
            .unwrap();
        headers
            .push("Retry-After", "18000;duration=3600 (later)")
            .unwrap();
        assert_eq!(headers.supported(), ["timer", "100rel"]);
        assert!(headers.offers_option("REPLACES") && !headers.offers_option("path"));
        assert_eq!(headers.allow().len(), 2);
        assert_eq!(headers.contacts().len(), 2);
        assert_eq!(headers.reason().iter().find_map(Reason::q850_cause), Some(16));
        assert_eq!(headers.retry_after(), Some(18000));
    }

    #[test]
    fn to_tag_is_added_once_and_the_text_stays() {
        let mut headers = headers();
        headers.tag_to("x1");
        headers.tag_to("x2");
        assert_eq!(headers.to().tag(), Some("x1"));
        assert_eq!(headers.get("t"), Some("<sip:c@d>;tag=x1"));
    }

    #[test]
    fn header_cap_holds_at_its_edge() {
        let mut headers = headers();
        for _ in 5..HEADERS_MAX {
            headers.push("Own", "y").unwrap();
        }
        assert!(matches!(
            headers.push("Own", "y"),
            Err(GuardError::TooLong {
                part: Part::Headers,
                ..
            })
        ));
    }

    #[test]
    fn line_cap_holds_at_its_edge() {
        let value = |length: usize| "v".repeat(length - "Own: ".len());
        assert!(headers().push("Own", &value(LINE_BYTES_MAX)).is_ok());
        assert!(headers().push("Own", &value(LINE_BYTES_MAX + 1)).is_err());
    }
}
