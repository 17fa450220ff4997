//! `message/sipfrag` as a NOTIFY of a REFER carries it: a status line (RFC 3420, RFC 3515 §2.4.5).
//!
//! Reads nothing behind that line.

use bytes::Bytes;

use super::StatusCode;

/// The media type.
pub const SIP_FRAG: &str = "message/sipfrag";

/// The status of a fragment; `None` when it begins with no status line.
pub fn status_of(body: &[u8]) -> Option<StatusCode> {
    let end = body.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
    let line = body.get(..end.unwrap_or(body.len()))?;
    let rest = line.strip_prefix(b"SIP/2.0 ")?;
    let (digits, phrase) = rest.split_at_checked(3)?;
    if phrase.first().is_some_and(|byte| *byte != b' ') || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let code = std::str::from_utf8(digits).ok()?.parse().ok()?;
    StatusCode::new(code)
}

/// The fragment that tells a status, with the RFC's own phrase.
pub fn fragment(status: StatusCode) -> Bytes {
    Bytes::from(format!("SIP/2.0 {} {}\r\n", status.code(), status.phrase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_tells_the_status() {
        for (text, code) in [
            ("SIP/2.0 100 Trying\r\n", Some(100)),
            ("SIP/2.0 200 OK", Some(200)),
            ("SIP/2.0 603 Declined\nTo: x\n", Some(603)),
            ("SIP/2.0 503", Some(503)),
            ("", None),
            ("SIP/2.0 99 x", None),
            ("SIP/2.0 2000 x", None),
            ("SIP/2.0 +20 x", None),
            ("INVITE sip:a SIP/2.0", None),
            ("\r\nSIP/2.0 200 OK", None),
        ] {
            assert_eq!(status_of(text.as_bytes()).map(StatusCode::code), code, "{text:?}");
        }
        assert_eq!(fragment(StatusCode::TRYING), "SIP/2.0 100 Trying\r\n");
        assert_eq!(
            status_of(&fragment(StatusCode::BUSY_HERE)),
            Some(StatusCode::BUSY_HERE)
        );
    }
}
