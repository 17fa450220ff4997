//! Content-Type: what a body is.

use std::fmt;

use super::grammar::{is_token, trim};
use super::guard_error::FieldError;
use super::params::{Kind, Params};

/// A media type with its parameters (RFC 3261 §20.15).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaType {
    kind: Box<str>,
    subtype: Box<str>,
    params: Params,
}

impl MediaType {
    /// Reads `type/subtype;params`.
    pub fn parse(text: &str) -> Result<MediaType, FieldError> {
        let (essence, params) = match text.split_once(';') {
            Some((essence, params)) => (essence, Params::parse(params, Kind::Header)?),
            None => (text, Params::default()),
        };
        let (kind, subtype) = essence.split_once('/').ok_or(FieldError::Token)?;
        let (kind, subtype) = (trim(kind), trim(subtype));
        if !is_token(kind) || !is_token(subtype) {
            return Err(FieldError::Token);
        }
        Ok(MediaType {
            kind: kind.into(),
            subtype: subtype.into(),
            params,
        })
    }

    /// True for this `type/subtype`, without regard to case and parameters.
    pub fn is(&self, essence: &str) -> bool {
        essence.split_once('/').is_some_and(|(kind, subtype)| {
            self.kind.eq_ignore_ascii_case(kind) && self.subtype.eq_ignore_ascii_case(subtype)
        })
    }

    /// True for `multipart/*`.
    pub fn is_multipart(&self) -> bool {
        self.kind.eq_ignore_ascii_case("multipart")
    }

    /// Its parameters (`boundary`, `charset`).
    pub fn params(&self) -> &Params {
        &self.params
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}{}", self.kind, self.subtype, self.params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_compare_without_case() {
        let sdp = MediaType::parse("Application / SDP ; charset=utf-8").unwrap();
        assert!(sdp.is("application/sdp") && !sdp.is("application/sdpx") && !sdp.is_multipart());
        assert_eq!(sdp.params().get("charset"), Some("utf-8"));
        assert!(
            MediaType::parse("multipart/mixed;boundary=\"x y\"")
                .unwrap()
                .is_multipart()
        );
        for bad in ["", "application", "application/", "/sdp", "a/b;", "a b/c"] {
            assert!(MediaType::parse(bad).is_err(), "{bad}");
        }
    }
}
