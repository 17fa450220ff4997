//! What a REGISTER wants of the bindings of its user (RFC 3261 §10.3, steps 6 and 7).
//!
//! Reads and checks; changes nothing. Must not know which bindings there are.

use std::time::Duration;

use super::binding::USER_CONTACTS_MAX;
use crate::message::{NameAddr, Params, Request, Scheme, StatusCode, Uri};

/// What is to become of the bindings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// They stay; their list is asked for.
    List,
    /// All go: `Contact: *` with `Expires: 0`.
    RemoveAll,
    /// Some come, stay or go.
    Set(Vec<Wanted>),
}

/// One contact of a REGISTER.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Where it can be reached, as a Request-URI.
    pub uri: Uri,
    /// For so long; zero removes it.
    pub expires: Duration,
    /// `q`, in thousandths: the higher one is called first.
    pub preference: u16,
    /// The device and its flow (RFC 5626 §4.1, §4.2): of one device's flow the latest contact counts.
    pub instance: Option<(String, String)>,
}

/// Why nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The contacts cannot be read, are too many, or go with `*`.
    Malformed,
    /// Shorter than [`EXPIRES_MIN`].
    TooBrief,
    /// A later request of the same Call-ID was here already (RFC 3261 §10.3, step 7).
    OutOfOrder,
    /// The table is full.
    Full,
}

/// Shortest time granted: a phone behind a NAT wants its binding kept fresh, we want less than one request a second
/// of 60 phones.
pub const EXPIRES_MIN: Duration = Duration::from_secs(60);
/// Longest time granted, and that of a request that names none (RFC 3261 §10.2.1.1).
pub const EXPIRES_MAX: Duration = Duration::from_secs(3600);
/// Longest Contact URI, bytes. Ours; a limit of what a binding costs.
pub const CONTACT_BYTES_MAX: usize = 512;
/// Longest `+sip.instance` or `reg-id`, bytes. RFC 5626 §4.1 wants a UUID URN of 45.
pub const INSTANCE_BYTES_MAX: usize = 128;

impl Refused {
    /// What the phone is told.
    pub fn status(self) -> StatusCode {
        match self {
            Refused::Malformed => StatusCode::BAD_REQUEST,
            Refused::TooBrief => StatusCode::INTERVAL_TOO_BRIEF,
            Refused::OutOfOrder => StatusCode::SERVER_INTERNAL_ERROR,
            Refused::Full => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl Wish {
    /// Reads a REGISTER.
    pub fn of(request: &Request) -> Result<Wish, Refused> {
        let headers = &request.headers;
        let values: Vec<&str> = headers.values("Contact").collect();
        if values.is_empty() {
            return Ok(Wish::List);
        }
        if values.contains(&"*") {
            let is_all = values.len() == 1 && headers.expires() == Some(0);
            return is_all.then_some(Wish::RemoveAll).ok_or(Refused::Malformed);
        }
        if values.len() > USER_CONTACTS_MAX {
            return Err(Refused::Malformed);
        }
        let otherwise = headers.expires();
        let wanted = values.into_iter().map(|value| Wanted::read(value, otherwise));
        Ok(Wish::Set(wanted.collect::<Result<_, _>>()?))
    }
}

impl Wanted {
    fn read(value: &str, otherwise: Option<u32>) -> Result<Wanted, Refused> {
        let contact = NameAddr::parse(value).map_err(|_| Refused::Malformed)?;
        let uri = contact.uri().clone().into_request_uri();
        let has_host = *uri.scheme() == Scheme::Sip && uri.host().is_some();
        if !has_host || uri.to_string().len() > CONTACT_BYTES_MAX {
            return Err(Refused::Malformed);
        }
        let params = contact.params();
        let own = params.get("expires").and_then(|text| text.parse().ok());
        let seconds = own.or(otherwise).map(u64::from);
        let expires = seconds.map_or(EXPIRES_MAX, Duration::from_secs);
        if expires > Duration::ZERO && expires < EXPIRES_MIN {
            return Err(Refused::TooBrief);
        }
        Ok(Wanted {
            uri,
            expires: expires.min(EXPIRES_MAX),
            preference: preference(params),
            instance: instance(params)?,
        })
    }
}

/// `q`, 0 to 1 with up to three decimals (RFC 3261 §20.10); 1 where there is none.
fn preference(params: &Params) -> u16 {
    let text = params.get("q").unwrap_or("1");
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{whole}{part:0<3}");
    let thousandths = digits.parse().ok().filter(|_| part.len() <= 3);
    thousandths.map_or(1000, |thousandths: u16| thousandths.min(1000))
}

fn instance(params: &Params) -> Result<Option<(String, String)>, Refused> {
    let Some(instance) = params.text("+sip.instance") else {
        return Ok(None);
    };
    let flow = params.text("reg-id").unwrap_or_default();
    if instance.len().max(flow.len()) > INSTANCE_BYTES_MAX {
        return Err(Refused::Malformed);
    }
    Ok(Some((instance, flow)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Message, parse};

    fn wish(head: &str) -> Result<Wish, Refused> {
        let text = format!(
            "REGISTER sip:gw SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bKx\r\nFrom: <sip:a@gw>;tag=1\r\n\
             To: <sip:a@gw>\r\nCall-ID: c\r\nCSeq: 1 REGISTER\r\n{head}Content-Length: 0\r\n\r\n"
        );
        match parse(&text.into()) {
            Ok(Message::Request(request)) => Wish::of(&request),
            other => panic!("{other:?}"),
        }
    }

    fn one(head: &str) -> Wanted {
        match wish(head).unwrap() {
            Wish::Set(mut wanted) if wanted.len() == 1 => wanted.remove(0),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn time_is_the_contacts_own_then_the_headers_then_an_hour() {
        for (head, expires_s) in [
            ("Contact: <sip:a@h>;expires=120\r\nExpires: 600\r\n", 120),
            ("Contact: <sip:a@h>\r\nExpires: 600\r\n", 600),
            ("Contact: <sip:a@h>\r\n", 3600),
            ("Contact: <sip:a@h>;expires=soon\r\nExpires: later\r\n", 3600),
            ("Contact: <sip:a@h>;expires=4294967295\r\n", 3600),
            ("Contact: <sip:a@h>;expires=60\r\n", 60),
            ("Contact: <sip:a@h>;expires=0\r\n", 0),
        ] {
            assert_eq!(one(head).expires.as_secs(), expires_s, "{head}");
        }
        assert_eq!(wish("Contact: <sip:a@h>;expires=59\r\n"), Err(Refused::TooBrief));
        assert_eq!(
            wish("Contact: <sip:a@h>, <sip:b@h>;expires=1\r\n"),
            Err(Refused::TooBrief)
        );
    }

    #[test]
    fn a_star_stands_alone_and_removes() {
        assert_eq!(wish("Contact: *\r\nExpires: 0\r\n"), Ok(Wish::RemoveAll));
        for head in [
            "Contact: *\r\n",
            "Contact: *\r\nExpires: 60\r\n",
            "Contact: *\r\nContact: <sip:a@h>\r\nExpires: 0\r\n",
        ] {
            assert_eq!(wish(head), Err(Refused::Malformed), "{head}");
        }
        assert_eq!(wish("Expires: 0\r\n"), Ok(Wish::List));
    }

    #[test]
    fn contacts_that_nobody_can_be_reached_at_are_refused() {
        for contact in [
            "<sips:a@h>",
            "<tel:+4930123456>",
            "<mailto:a@h>",
            "<urn:service:sos>",
        ] {
            let head = format!("Contact: {contact}\r\n");
            assert_eq!(wish(&head), Err(Refused::Malformed), "{contact}");
        }
        let of = |length: usize| format!("Contact: <sip:{}@h>\r\n", "a".repeat(length - "sip:@h".len()));
        assert!(wish(&of(CONTACT_BYTES_MAX)).is_ok());
        assert_eq!(wish(&of(CONTACT_BYTES_MAX + 1)), Err(Refused::Malformed));
        let many = |count: usize| "Contact: <sip:a@h>\r\n".repeat(count);
        assert!(wish(&many(USER_CONTACTS_MAX)).is_ok());
        assert_eq!(wish(&many(USER_CONTACTS_MAX + 1)), Err(Refused::Malformed));
    }

    #[test]
    fn preference_and_instance_are_read() {
        for (q, thousandths) in [
            ("0.5", 500),
            ("1.0", 1000),
            ("0", 0),
            (".25", 250),
            ("7", 1000),
            ("x", 1000),
        ] {
            let head = format!("Contact: <sip:a@h>;q={q}\r\n");
            assert_eq!(one(&head).preference, thousandths, "{q}");
        }
        let device = one("Contact: <sip:a@h?X=y>;+sip.instance=\"<urn:uuid:1>\";reg-id=2\r\n");
        assert_eq!(device.instance, Some(("<urn:uuid:1>".into(), "2".into())));
        assert_eq!(device.uri.to_string(), "sip:a@h");
        let long = "u".repeat(INSTANCE_BYTES_MAX + 1);
        let head = format!("Contact: <sip:a@h>;+sip.instance=\"{long}\"\r\n");
        assert_eq!(wish(&head), Err(Refused::Malformed));
    }
}
