//! Replaces: the dialog that an INVITE takes the place of (RFC 3891 §6).
//!
//! Knows no dialog of its own.

use std::fmt;

use super::grammar::{is_escaped_text, is_token, is_unreserved, trim, unescape};
use super::params::{Kind, Params};
use super::{CallId, TAG_BYTES_MAX};

/// A dialog as whoever gets the header knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaces {
    /// Its Call-ID.
    pub call_id: CallId,
    /// The tag of whoever gets the header.
    pub to_tag: String,
    /// The tag of the other side.
    pub from_tag: String,
    /// Only while that dialog is early (RFC 3891 §7.1).
    pub early_only: bool,
}

/// Longest value read, bytes: a Call-ID, two tags and their names. Ours.
pub const REPLACES_BYTES_MAX: usize = 1024;

impl Replaces {
    /// Reads the value; `None` when it does not fit the grammar: both tags must be there.
    pub fn parse(text: &str) -> Option<Replaces> {
        if text.len() > REPLACES_BYTES_MAX {
            return None;
        }
        let (call_id, params) = text.split_once(';')?;
        let params = Params::parse(params, Kind::Header).ok()?;
        let tag = |name| {
            let tag = params.get(name)?;
            (tag.len() <= TAG_BYTES_MAX && is_token(tag)).then(|| tag.to_owned())
        };
        Some(Replaces {
            call_id: CallId::parse(trim(call_id)).ok()?,
            to_tag: tag("to-tag")?,
            from_tag: tag("from-tag")?,
            early_only: params.has("early-only"),
        })
    }

    /// Reads it as it stands behind the `?` of a URI, escapes and all.
    pub fn parse_escaped(text: &str) -> Option<Replaces> {
        Replaces::parse(&unescape(text))
    }

    /// As it stands behind the `?` of a URI (RFC 3261 §19.1.1: `hvalue`).
    pub fn escaped(&self) -> String {
        let mut out = String::new();
        for byte in self.to_string().bytes() {
            match is_unreserved(byte) {
                true => out.push(char::from(byte)),
                false => out.push_str(&format!("%{byte:02X}")),
            }
        }
        debug_assert!(is_escaped_text(&out, is_unreserved));
        out
    }
}

impl fmt::Display for Replaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{};to-tag={};from-tag={}",
            self.call_id, self.to_tag, self.from_tag
        )?;
        match self.early_only {
            true => write!(f, ";early-only"),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dialog_is_named_by_call_id_and_two_tags() {
        for (text, call_id, early_only) in [
            (
                "98732@sip.example.com ;from-tag=r33th4x0r ;to-tag=ff87ff",
                "98732@sip.example.com",
                false,
            ),
            ("x;to-tag=ff87ff;from-tag=r33th4x0r;early-only", "x", true),
            ("x;to-tag=ff87ff;from-tag=r33th4x0r;y=z", "x", false),
        ] {
            let read = Replaces::parse(text).unwrap();
            assert_eq!((read.call_id.as_str(), read.early_only), (call_id, early_only));
            assert_eq!(
                (read.to_tag.as_str(), read.from_tag.as_str()),
                ("ff87ff", "r33th4x0r")
            );
            assert_eq!(Replaces::parse(&read.to_string()), Some(read.clone()));
            assert_eq!(Replaces::parse_escaped(&read.escaped()), Some(read));
        }
    }

    #[test]
    fn what_names_no_dialog_or_two_is_refused() {
        for broken in [
            "",
            "x",
            "x;to-tag=1",
            "x;from-tag=1",
            "x;to-tag=;from-tag=1",
            "x;to-tag=1;to-tag=2;from-tag=3",
            "x y;to-tag=1;from-tag=2",
            "x;to-tag=\"1\";from-tag=2",
            "a@b;to-tag=1;from-tag=2,c@d;to-tag=1;from-tag=2",
        ] {
            assert_eq!(Replaces::parse(broken), None, "{broken}");
        }
        let of_length = |length: usize| {
            let rest = ";to-tag=1;from-tag=2;p=";
            format!("x{rest}{}", "p".repeat(length - 1 - rest.len()))
        };
        assert!(Replaces::parse(&of_length(REPLACES_BYTES_MAX)).is_some());
        assert!(Replaces::parse(&of_length(REPLACES_BYTES_MAX + 1)).is_none());
    }

    #[test]
    fn an_escaped_one_holds_nothing_that_ends_it() {
        let read = Replaces::parse("a?b>&;to-tag=1;from-tag=2");
        assert_eq!(read, None);
        let read = Replaces::parse("a?b>@c;to-tag=1;from-tag=2").unwrap();
        assert_eq!(read.escaped(), "a%3Fb%3E%40c%3Bto-tag%3D1%3Bfrom-tag%3D2");
    }
}
