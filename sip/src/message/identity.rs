//! Identity: a signed word on who calls, and where its certificate is (RFC 8224 §4).
//!
//! Knows neither tokens nor certificates from the inside.

use super::grammar::{split_outside, unquote};

/// One value of Identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The signed token: `header.claims.signature`, or `..signature` in its compact form (RFC 8225 §7).
    pub token: String,
    /// Where the certificate is.
    pub info: Option<String>,
    /// The algorithm.
    pub alg: Option<String>,
    /// The kind of token, such as `shaken` (RFC 8588).
    pub ppt: Option<String>,
}

impl Identity {
    /// Reads one value; `None` when it does not fit the grammar.
    pub fn parse(text: &str) -> Option<Identity> {
        let mut parts = split_outside(text, b';');
        let token = parts.next()?;
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if token.split('.').count() != 3 || !token.bytes().all(is_token) {
            return None;
        }
        let mut identity = Identity {
            token: token.to_owned(),
            info: None,
            alg: None,
            ppt: None,
        };
        for part in parts {
            let (name, value) = part.split_once('=')?;
            let value = value.trim();
            let bracketed = value.strip_prefix('<').and_then(|value| value.strip_suffix('>'));
            let place = match name.trim().to_ascii_lowercase().as_str() {
                "info" => &mut identity.info,
                "alg" => &mut identity.alg,
                "ppt" => &mut identity.ppt,
                _ => continue,
            };
            let value = bracketed.map(str::to_owned).or_else(|| unquote(value));
            let value = value.unwrap_or_else(|| {
                part.split_once('=')
                    .map_or("", |(_, value)| value.trim())
                    .to_owned()
            });
            if place.replace(value).is_some() {
                return None;
            }
        }
        Some(identity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        let read = Identity::parse("a.b.c-_;info=<https://x/y;z>;alg=ES256;ppt=\"shaken\"").unwrap();
        assert_eq!(
            (
                read.token.as_str(),
                read.info.as_deref(),
                read.alg.as_deref(),
                read.ppt.as_deref()
            ),
            ("a.b.c-_", Some("https://x/y;z"), Some("ES256"), Some("shaken"))
        );
        let compact = Identity::parse("..c ; info = <https://x> ; other=1").unwrap();
        assert_eq!((compact.token.as_str(), compact.alg), ("..c", None));
        for bad in [
            "",
            "a.b",
            "a.b.c.d",
            "a.b.c d",
            "\"a.b.c\";info=<x>",
            "a.b.c;info",
            "a.b.c;alg=1;ALG=2",
        ] {
            assert_eq!(Identity::parse(bad), None, "{bad}");
        }
    }
}
