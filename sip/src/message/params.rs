//! The `;name=value` parameters of a URI or header value.
//!
//! Knows no parameter by name.

use std::fmt;

use super::grammar::{is_escaped_text, is_token, is_token_byte, is_unreserved, split_outside, trim, unquote};
use super::guard_error::{FieldError, Part};

/// Parameters in order; names compare without regard to case and occur once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params(Vec<Param>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Param {
    name: Box<str>,
    value: Option<Box<str>>,
}

/// Most parameters of one value. Ours; the longest seen in the wild have about 15.
pub const PARAMS_MAX: usize = 64;

/// Which grammar the parameters follow.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// `generic-param`: tokens and quoted strings.
    Header,
    /// `uri-parameter`: escaped text.
    Uri,
}

impl Params {
    /// Reads what follows the first `;`.
    pub(crate) fn parse(text: &str, kind: Kind) -> Result<Params, FieldError> {
        let mut params = Params::default();
        for part in split_outside(text, b';') {
            let (name, value) = match part.split_once('=') {
                Some((name, value)) => (trim(name), Some(trim(value))),
                None => (part, None),
            };
            params.add(name, value, kind)?;
        }
        Ok(params)
    }

    fn add(&mut self, name: &str, value: Option<&str>, kind: Kind) -> Result<(), FieldError> {
        let fits = match kind {
            Kind::Header => is_token(name) && value.is_none_or(is_header_value),
            Kind::Uri => is_uri_text(name) && value.is_none_or(is_uri_text),
        };
        if !fits {
            return Err(FieldError::Parameter);
        }
        if self.has(name) {
            return Err(FieldError::RepeatedParameter);
        }
        if self.0.len() == PARAMS_MAX {
            return Err(FieldError::TooLong {
                part: Part::Parameters,
                limit: PARAMS_MAX,
            });
        }
        self.0.push(Param {
            name: name.into(),
            value: value.map(Into::into),
        });
        Ok(())
    }

    /// Sets or replaces a parameter whose text the caller has checked.
    pub(crate) fn put(&mut self, name: &str, value: Option<&str>) {
        let value = value.map(Into::into);
        match self
            .0
            .iter_mut()
            .find(|param| param.name.eq_ignore_ascii_case(name))
        {
            Some(param) => param.value = value,
            None => self.0.push(Param {
                name: name.into(),
                value,
            }),
        }
    }

    /// Removes a parameter.
    pub(crate) fn remove(&mut self, name: &str) {
        self.0.retain(|param| !param.name.eq_ignore_ascii_case(name));
    }

    /// The value as written; empty for a parameter without one.
    pub fn get(&self, name: &str) -> Option<&str> {
        let param = self
            .0
            .iter()
            .find(|param| param.name.eq_ignore_ascii_case(name))?;
        Some(param.value.as_deref().unwrap_or_default())
    }

    /// The value with quotes and their escapes resolved.
    pub fn text(&self, name: &str) -> Option<String> {
        let value = self.get(name)?;
        Some(unquote(value).unwrap_or_else(|| value.to_owned()))
    }

    /// True when the parameter is there, with or without a value.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Names and values as written, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.0.iter().map(|param| (&*param.name, param.value.as_deref()))
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in self.iter() {
            match value {
                Some(value) => write!(f, ";{name}={value}")?,
                None => write!(f, ";{name}")?,
            }
        }
        Ok(())
    }
}

/// `gen-value`: token, host (also a bare IPv6 address, RFC 5118 §4.5) or quoted string.
fn is_header_value(text: &str) -> bool {
    if text.starts_with('"') {
        return unquote(text).is_some();
    }
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| is_token_byte(byte) || matches!(byte, b'[' | b']' | b':'))
}

/// `paramchar` text of a URI.
fn is_uri_text(text: &str) -> bool {
    !text.is_empty() && is_escaped_text(text, |byte| is_unreserved(byte) || b"[]/:&+$".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_parameters_keep_their_text() {
        let params = Params::parse(r#"tag = 98 ; lr; q="a;b\"""#, Kind::Header).unwrap();
        assert_eq!(params.get("TAG"), Some("98"));
        assert_eq!(params.get("lr"), Some(""));
        assert_eq!(params.text("q").as_deref(), Some("a;b\""));
        assert_eq!(params.to_string(), ";tag=98;lr;q=\"a;b\\\"\"");
    }

    #[test]
    fn empty_repeated_and_odd_parameters_are_refused() {
        assert_eq!(Params::parse("", Kind::Header), Err(FieldError::Parameter));
        assert_eq!(Params::parse("a;;b", Kind::Header), Err(FieldError::Parameter));
        assert_eq!(Params::parse("a;b;", Kind::Uri), Err(FieldError::Parameter));
        assert_eq!(Params::parse("tag=", Kind::Header), Err(FieldError::Parameter));
        assert_eq!(
            Params::parse("a=1;A=2", Kind::Header),
            Err(FieldError::RepeatedParameter)
        );
        assert_eq!(Params::parse("a=x@y", Kind::Uri), Err(FieldError::Parameter));
        assert_eq!(
            Params::parse("a=\"open", Kind::Header),
            Err(FieldError::Parameter)
        );
    }

    #[test]
    fn parameter_cap_holds_at_its_edge() {
        let list = |count: usize| (0..count).map(|n| format!("p{n}")).collect::<Vec<_>>().join(";");
        assert!(Params::parse(&list(PARAMS_MAX), Kind::Header).is_ok());
        assert!(Params::parse(&list(PARAMS_MAX + 1), Kind::Header).is_err());
    }
}
