//! A named address: the value of From, To, Contact, Route, Record-Route, Refer-To and their kin.
//!
//! Knows no header by name.

use std::fmt;

use super::Uri;
use super::grammar::{find_outside, is_token, is_token_byte, quote, trim, unquote};
use super::guard_error::{FieldError, Part};
use super::params::{Kind, Params};

/// `name-addr` or `addr-spec` with header parameters (RFC 3261 §20.10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameAddr {
    display: Option<Box<str>>,
    uri: Uri,
    params: Params,
}

/// Longest tag, bytes. docs/threats.md B6: Kamailio CVE-2018-8828 and its kin.
pub const TAG_BYTES_MAX: usize = 256;

impl NameAddr {
    /// An address without display name and parameters.
    pub fn new(uri: Uri) -> NameAddr {
        NameAddr {
            display: None,
            uri,
            params: Params::default(),
        }
    }

    /// Reads one value. Without angle brackets every parameter is the header's, and the URI may hold
    /// neither `?` nor `,` (RFC 3261 §20).
    pub fn parse(text: &str) -> Result<NameAddr, FieldError> {
        let text = trim(text);
        if text.is_empty() {
            return Err(FieldError::Empty);
        }
        let (display, uri, params) = match open_bracket(text)? {
            Some((display, rest)) => {
                let (uri, rest) = rest.split_once('>').ok_or(FieldError::Bracket)?;
                let rest = trim(rest);
                let params = match rest.strip_prefix(';') {
                    Some(params) => Some(params),
                    None if rest.is_empty() => None,
                    None => return Err(FieldError::Parameter),
                };
                (parse_display(trim(display))?, uri, params)
            }
            None => {
                let (uri, params) = match text.split_once(';') {
                    Some((uri, params)) => (trim(uri), Some(params)),
                    None => (text, None),
                };
                if uri.contains(['?', ',']) {
                    return Err(FieldError::Uri(super::UriError::Headers));
                }
                (None, uri, params)
            }
        };
        let uri = Uri::parse(uri)?;
        let params = params.map_or(Ok(Params::default()), |params| {
            Params::parse(params, Kind::Header)
        })?;
        if let Some(tag) = params.get("tag") {
            check_tag(tag)?;
        }
        Ok(NameAddr { display, uri, params })
    }

    /// The same with this display name; printed quoted, without control characters.
    pub fn with_display(mut self, display: &str) -> NameAddr {
        let kept: String = display.chars().filter(|char| !char.is_control()).collect();
        self.display = (!kept.is_empty()).then(|| kept.into());
        self
    }

    /// The same with this tag. Characters that no token has are left out.
    pub fn with_tag(mut self, tag: &str) -> NameAddr {
        if is_token(tag) {
            self.params.put("tag", Some(tag));
            return self;
        }
        let tag: String = tag
            .chars()
            .filter(|char| is_token(char.encode_utf8(&mut [0; 4])))
            .collect();
        self.params.put("tag", Some(&tag));
        self
    }

    /// The same without tag.
    pub fn without_tag(mut self) -> NameAddr {
        self.params.remove("tag");
        self
    }

    /// The same with a header parameter; refused when it does not fit the grammar.
    pub fn with_param(mut self, name: &str, value: Option<&str>) -> Result<NameAddr, FieldError> {
        let text = value.map_or_else(|| name.to_owned(), |value| format!("{name}={value}"));
        Params::parse(&text, Kind::Header)?;
        self.params.put(name, value);
        Ok(self)
    }

    /// Display name without quotes.
    pub fn display(&self) -> Option<&str> {
        self.display.as_deref()
    }

    /// The address.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Header parameters.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// The dialog tag (RFC 3261 §19.3).
    pub fn tag(&self) -> Option<&str> {
        self.params.get("tag")
    }
}

impl fmt::Display for NameAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(display) = &self.display {
            write!(f, "{} ", quote(display))?;
        }
        write!(f, "<{}>{}", self.uri, self.params)
    }
}

/// Cuts at the `<` outside quotes, into what stands before and after it.
fn open_bracket(text: &str) -> Result<Option<(&str, &str)>, FieldError> {
    match find_outside(text, b'<').and_then(|at| text.split_at_checked(at)) {
        Some((display, rest)) => Ok(Some((display, rest.get(1..).unwrap_or_default()))),
        None if text.starts_with('"') => Err(FieldError::Quote),
        None => Ok(None),
    }
}

/// A quoted string, or tokens between white space; other alphabets pass unquoted, as they are sent so.
fn parse_display(text: &str) -> Result<Option<Box<str>>, FieldError> {
    if text.is_empty() {
        return Ok(None);
    }
    if text.starts_with('"') {
        let inner = unquote(text).ok_or(FieldError::Quote)?;
        return Ok((!inner.is_empty()).then(|| inner.into()));
    }
    let fits = |byte: u8| is_token_byte(byte) || byte >= 0x80 || byte == b' ' || byte == b'\t';
    text.bytes()
        .all(fits)
        .then(|| Some(text.into()))
        .ok_or(FieldError::DisplayName)
}

fn check_tag(tag: &str) -> Result<(), FieldError> {
    if tag.len() > TAG_BYTES_MAX {
        return Err(FieldError::TooLong {
            part: Part::Tag,
            limit: TAG_BYTES_MAX,
        });
    }
    is_token(tag).then_some(()).ok_or(FieldError::Token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_an_address_are_read() {
        for (text, display, uri, tag) in [
            (
                "\"J Rosenberg \\\\\\\"\"   <sip:j@example.com> ; tag = 98",
                Some("J Rosenberg \\\""),
                "sip:j@example.com",
                Some("98"),
            ),
            (
                "caller<sip:caller@example.com>;tag=323",
                Some("caller"),
                "sip:caller@example.com",
                Some("323"),
            ),
            (
                "sip:v@chair.example.com ;   tag    = 19n",
                None,
                "sip:v@chair.example.com",
                Some("19n"),
            ),
            ("<sip:a@b;lr>", None, "sip:a@b;lr", None),
            ("Анна <sip:a@b?x=y>", Some("Анна"), "sip:a@b?x=y", None),
            ("\"<sip:x@y>\" <tel:+1>", Some("<sip:x@y>"), "tel:+1", None),
        ] {
            let parsed = NameAddr::parse(text).unwrap();
            assert_eq!(parsed.display(), display, "{text}");
            assert_eq!(parsed.uri().to_string(), uri, "{text}");
            assert_eq!(parsed.tag(), tag, "{text}");
            assert_eq!(NameAddr::parse(&parsed.to_string()), Ok(parsed));
        }
    }

    #[test]
    fn broken_addresses_are_refused() {
        for (text, error) in [
            ("", FieldError::Empty),
            ("\"Mr. J. User <sip:j@example.com>;tag=1", FieldError::Quote),
            (
                "\"W\" < sip:t@example.org >",
                FieldError::Uri(super::super::UriError::Scheme),
            ),
            ("Bell, Alexander <sip:a@b>", FieldError::DisplayName),
            ("<sip:a@b", FieldError::Bracket),
            ("<sip:a@b> x", FieldError::Parameter),
            ("<sip:a@b>;;;", FieldError::Parameter),
            ("<sip:a@b>;tag=", FieldError::Parameter),
            ("<sip:a@b>;tag", FieldError::Token),
            ("<sip:a@b>;tag=\"x\"", FieldError::Token),
            ("<sip:a@b>;tag=x;tag=y", FieldError::RepeatedParameter),
            (
                "sip:a@b?Route=%3Csip:c%3E",
                FieldError::Uri(super::super::UriError::Headers),
            ),
        ] {
            assert_eq!(NameAddr::parse(text).err(), Some(error), "{text}");
        }
    }

    #[test]
    fn tag_cap_holds_at_its_edge() {
        let with = |length: usize| NameAddr::parse(&format!("<sip:a@b>;tag={}", "t".repeat(length)));
        assert!(with(TAG_BYTES_MAX - 1).is_ok());
        assert!(with(TAG_BYTES_MAX).is_ok());
        assert!(with(TAG_BYTES_MAX + 1).is_err());
    }

    #[test]
    fn made_addresses_cannot_inject() {
        let made = NameAddr::new(Uri::parse("sip:a@b").unwrap())
            .with_display("x\r\nEvil: \"1\"")
            .with_tag("t\r\n;x=1");
        assert_eq!(made.to_string(), "\"xEvil: \\\"1\\\"\" <sip:a@b>;tag=tx1");
        assert!(made.with_param("x", Some("1\r\n")).is_err());
    }
}
