//! Header names: their canonical spelling and compact forms.
//!
//! Knows names only, no grammar of values.

use std::borrow::Cow;

/// Names this stack spells itself, canonical.
const KNOWN: [&str; 69] = [
    "Accept",
    "Accept-Contact",
    "Accept-Encoding",
    "Accept-Language",
    "Alert-Info",
    "Allow",
    "Allow-Events",
    "Authentication-Info",
    "Authorization",
    "Call-ID",
    "Call-Info",
    "Contact",
    "Content-Disposition",
    "Content-Encoding",
    "Content-Language",
    "Content-Length",
    "Content-Type",
    "CSeq",
    "Date",
    "Diversion",
    "Error-Info",
    "Event",
    "Expires",
    "From",
    "History-Info",
    "Identity",
    "Identity-Info",
    "In-Reply-To",
    "Info-Package",
    "Max-Forwards",
    "MIME-Version",
    "Min-Expires",
    "Min-SE",
    "Organization",
    "P-Asserted-Identity",
    "P-Preferred-Identity",
    "Path",
    "Priority",
    "Privacy",
    "Proxy-Authenticate",
    "Proxy-Authorization",
    "Proxy-Require",
    "RAck",
    "Reason",
    "Record-Route",
    "Recv-Info",
    "Refer-To",
    "Referred-By",
    "Reject-Contact",
    "Remote-Party-ID",
    "Replaces",
    "Reply-To",
    "Request-Disposition",
    "Require",
    "Retry-After",
    "Route",
    "RSeq",
    "Server",
    "Session-Expires",
    "Subject",
    "Subscription-State",
    "Supported",
    "Timestamp",
    "To",
    "Unsupported",
    "User-Agent",
    "Via",
    "Warning",
    "WWW-Authenticate",
];

/// The full name of a compact form (RFC 3261 §7.3.3 and the IANA registry).
fn expand(letter: u8) -> Option<&'static str> {
    Some(match letter.to_ascii_lowercase() {
        b'a' => "Accept-Contact",
        b'b' => "Referred-By",
        b'c' => "Content-Type",
        b'd' => "Request-Disposition",
        b'e' => "Content-Encoding",
        b'f' => "From",
        b'i' => "Call-ID",
        b'j' => "Reject-Contact",
        b'k' => "Supported",
        b'l' => "Content-Length",
        b'm' => "Contact",
        b'n' => "Identity-Info",
        b'o' => "Event",
        b'r' => "Refer-To",
        b's' => "Subject",
        b't' => "To",
        b'u' => "Allow-Events",
        b'v' => "Via",
        b'x' => "Session-Expires",
        b'y' => "Identity",
        _ => return None,
    })
}

/// The canonical name of a known header, from any spelling or its compact form.
pub(crate) fn known(name: &str) -> Option<&'static str> {
    if let [letter] = name.as_bytes() {
        return expand(*letter);
    }
    KNOWN.into_iter().find(|known| known.eq_ignore_ascii_case(name))
}

/// The canonical name, or the name as written when it is unknown.
pub(crate) fn canonical(name: &str) -> Cow<'static, str> {
    known(name).map_or_else(|| Cow::Owned(name.to_owned()), Cow::Borrowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_meet_in_one_name() {
        assert_eq!(canonical("v"), "Via");
        assert_eq!(canonical("V"), "Via");
        assert_eq!(canonical("cAlL-iD"), "Call-ID");
        assert_eq!(canonical("X-Own"), "X-Own");
        assert_eq!(canonical("z"), "z");
    }

    #[test]
    fn every_compact_form_names_a_known_header() {
        for letter in b'a'..=b'z' {
            if let Some(name) = expand(letter) {
                assert!(KNOWN.contains(&name), "{name}");
            }
        }
    }
}
