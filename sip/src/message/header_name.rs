//! Header names: their canonical spelling and compact forms.
//!
//! Knows names only, no grammar of values.

use std::borrow::Cow;

/// Names this stack spells itself, canonical, by their length in bytes: every header of every message is looked up.
fn of_length(length: usize) -> &'static [&'static str] {
    match length {
        2 => &["To"],
        3 => &["Via"],
        4 => &["CSeq", "Date", "From", "Path", "RAck", "RSeq"],
        5 => &["Allow", "Event", "Route"],
        6 => &["Accept", "Min-SE", "Reason", "Server"],
        7 => &[
            "Call-ID", "Contact", "Expires", "Privacy", "Require", "Subject", "Warning",
        ],
        8 => &["Identity", "Priority", "Refer-To", "Replaces", "Reply-To"],
        9 => &["Call-Info", "Diversion", "Recv-Info", "Supported", "Timestamp"],
        10 => &["Alert-Info", "Error-Info", "User-Agent"],
        11 => &[
            "In-Reply-To",
            "Min-Expires",
            "Referred-By",
            "Retry-After",
            "Unsupported",
        ],
        12 => &[
            "Allow-Events",
            "Content-Type",
            "History-Info",
            "Info-Package",
            "Max-Forwards",
            "MIME-Version",
            "Organization",
            "Record-Route",
        ],
        13 => &["Authorization", "Identity-Info", "Proxy-Require"],
        14 => &["Accept-Contact", "Content-Length", "Reject-Contact"],
        15 => &[
            "Accept-Encoding",
            "Accept-Language",
            "Remote-Party-ID",
            "Session-Expires",
        ],
        16 => &["Content-Encoding", "Content-Language", "WWW-Authenticate"],
        18 => &["Proxy-Authenticate", "Subscription-State"],
        19 => &[
            "Authentication-Info",
            "Content-Disposition",
            "P-Asserted-Identity",
            "Proxy-Authorization",
            "Request-Disposition",
        ],
        20 => &["P-Preferred-Identity"],
        _ => &[],
    }
}

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
    let mut candidates = of_length(name.len()).iter().copied();
    candidates.find(|known| known.eq_ignore_ascii_case(name))
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
                assert_eq!(known(name), Some(name));
            }
        }
    }

    #[test]
    fn every_name_stands_under_its_length() {
        let names: Vec<&str> = (0..64).flat_map(of_length).copied().collect();
        assert_eq!(names.len(), 69);
        for name in names {
            assert_eq!(known(&name.to_ascii_uppercase()), Some(name));
        }
    }
}
