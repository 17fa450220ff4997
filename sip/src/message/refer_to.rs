//! Refer-To: whom a peer wants called (RFC 3515 §2.1), and in the place of which dialog (RFC 3891).
//!
//! Must not know who may call whom.

use super::guard_error::FieldError;
use super::{NameAddr, Replaces, Scheme, Uri, UriError};

/// The target of a REFER.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferTo {
    /// Whom to call, without headers and `method`.
    pub target: Uri,
    /// The dialog that the call is to take the place of.
    pub replaces: Option<Replaces>,
}

/// Longest value read, bytes: a target and the longest Replaces, escaped. Ours.
pub const REFER_TO_BYTES_MAX: usize = 4096;
/// Headers in the URI that are looked at. Ours: Replaces is the only one that is taken.
pub const REFER_TO_HEADERS_MAX: usize = 8;

impl ReferTo {
    /// Reads the value. Only a call can be asked for: `method` is INVITE or absent, the scheme `sip`, `sips`
    /// or `tel`. Headers other than Replaces are dropped: a peer writes none of our INVITE.
    pub fn parse(text: &str) -> Result<ReferTo, FieldError> {
        if text.len() > REFER_TO_BYTES_MAX {
            return Err(FieldError::Uri(UriError::Headers));
        }
        let address = NameAddr::parse(text)?;
        let uri = address.uri();
        match uri.scheme() {
            Scheme::Sip | Scheme::Sips | Scheme::Tel => {}
            Scheme::Urn | Scheme::Extension(_) => return Err(FieldError::Uri(UriError::Scheme)),
        }
        if uri.param("method").is_some_and(|method| method != "INVITE") {
            return Err(FieldError::Uri(UriError::Parameter));
        }
        Ok(ReferTo {
            replaces: replaces(uri)?,
            target: uri.clone().into_request_uri(),
        })
    }
}

fn replaces(uri: &Uri) -> Result<Option<Replaces>, FieldError> {
    let broken = FieldError::Uri(UriError::Headers);
    let mut found = None;
    for (count, header) in uri.header_part().unwrap_or_default().split('&').enumerate() {
        if count == REFER_TO_HEADERS_MAX {
            return Err(broken);
        }
        let Some((name, value)) = header.split_once('=') else {
            continue;
        };
        if !super::unescape(name).eq_ignore_ascii_case("Replaces") {
            continue;
        }
        let read = Replaces::parse_escaped(value).ok_or(broken)?;
        if found.replace(read).is_some() {
            return Err(broken);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_uri_and_perhaps_a_dialog() {
        for (text, target, replaced) in [
            (
                "<sip:dave@denver.example.org>",
                "sip:dave@denver.example.org",
                None,
            ),
            ("tel:+81312345678", "tel:+81312345678", None),
            (
                "<sip:bob@biloxi.example.net;method=INVITE;user=phone?Subject=x>",
                "sip:bob@biloxi.example.net;user=phone",
                None,
            ),
            (
                "Carol <sip:c@d?Replaces=090459243588173445%3Bto-tag%3D7553452%3Bfrom-tag%3D31431>;x=y",
                "sip:c@d",
                Some("090459243588173445;to-tag=7553452;from-tag=31431"),
            ),
        ] {
            let read = ReferTo::parse(text).unwrap();
            assert_eq!(read.target.to_string(), target, "{text}");
            assert_eq!(read.replaces, replaced.and_then(Replaces::parse), "{text}");
        }
    }

    #[test]
    fn what_asks_for_anything_but_one_call_is_refused() {
        for broken in [
            "",
            "*",
            "<http://example.com>",
            "<urn:service:sos>",
            "<sip:a@b;method=BYE>",
            "<sip:a@b?Replaces=x>",
            "<sip:a@b?Replaces=x%3Bto-tag%3D1%3Bfrom-tag%3D2&replaces=y%3Bto-tag%3D1%3Bfrom-tag%3D2>",
            "<sip:a@b>, <sip:c@d>",
        ] {
            assert!(ReferTo::parse(broken).is_err(), "{broken}");
        }
        let with = |count: usize| {
            let headers: Vec<_> = (0..count).map(|number| format!("h{number}=x")).collect();
            ReferTo::parse(&format!("<sip:a@b?{}>", headers.join("&")))
        };
        assert!(with(REFER_TO_HEADERS_MAX).is_ok());
        assert!(with(REFER_TO_HEADERS_MAX + 1).is_err());
    }

    #[test]
    fn the_length_cap_holds_at_its_edge() {
        let of_length = |length: usize| ReferTo::parse(&format!("<sip:{}@b>", "a".repeat(length - 8)));
        assert!(of_length(REFER_TO_BYTES_MAX).is_ok());
        assert!(of_length(REFER_TO_BYTES_MAX + 1).is_err());
    }
}
