//! The top Via of an ACK, found without reading the rest: all that the ACK of a refusal is good for (RFC 3261
//! §17.1.1.3, §17.2.1).
//!
//! A shortcut and no guard: what it cannot read at a glance is left to the parser. Knows no transaction.

use super::Via;
use super::grammar::{split_list, trim};
use super::lines::{HEADERS_MAX, LINE_BYTES_MAX};

/// The top Via of these bytes, if they are an ACK and it is plain to see.
pub fn of_ack(bytes: &[u8]) -> Option<Via> {
    let mut rest = bytes.strip_prefix(b"ACK ")?;
    for _ in 0..=HEADERS_MAX {
        let (line, after) = split_line(rest)?;
        rest = after;
        if line.is_empty() {
            return None;
        }
        let Some((name, value)) = field(line) else {
            continue;
        };
        if name.eq_ignore_ascii_case("Via") || name.eq_ignore_ascii_case("v") {
            let top = split_list(value).next().filter(|_| !goes_on(rest))?;
            return Via::parse(top).ok();
        }
    }
    None
}

/// A line without its end, and what follows.
pub(super) fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes
        .iter()
        .take(LINE_BYTES_MAX)
        .position(|byte| *byte == b'\r')?;
    let (line, after) = bytes.split_at_checked(end)?;
    Some((line, after.strip_prefix(b"\r\n")?))
}

/// Whether the line before this is folded: it goes on here.
pub(super) fn goes_on(after: &[u8]) -> bool {
    after.starts_with(b" ") || after.starts_with(b"\t")
}

/// Name and value of a header line.
pub(super) fn field(line: &[u8]) -> Option<(&str, &str)> {
    let (name, value) = std::str::from_utf8(line).ok()?.split_once(':')?;
    Some((name.trim_end_matches([' ', '\t']), trim(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn branch(text: &str) -> Option<String> {
        of_ack(text.as_bytes())?.branch().map(str::to_owned)
    }

    #[test]
    fn the_first_value_of_the_first_via_is_found_in_any_spelling() {
        for text in [
            "ACK sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP c;branch=z9hG4bKd\r\n\r\n",
            "ACK sip:a@b SIP/2.0\r\nMax-Forwards: 7\r\nv : SIP/2.0/UDP c;branch=z9hG4bKd, SIP/2.0/UDP e;branch=x\r\nVia: y\r\n\r\n",
        ] {
            assert_eq!(branch(text).as_deref(), Some("z9hG4bKd"), "{text}");
        }
    }

    #[test]
    fn what_is_not_plain_is_left_to_the_parser() {
        for text in [
            "",
            "ACK ",
            "BYE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP c;branch=z9hG4bKd\r\n\r\n",
            "ACK sip:a@b SIP/2.0\r\n\r\nVia: SIP/2.0/UDP c;branch=z9hG4bKd",
            "ACK sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP c\r\n ;branch=z9hG4bKd\r\n\r\n",
            "ACK sip:a@b SIP/2.0\rVia: SIP/2.0/UDP c;branch=z9hG4bKd\r\n\r\n",
            "ACK sip:a@b SIP/2.0\r\nVia: nonsense\r\n\r\n",
        ] {
            assert_eq!(branch(text), None, "{text}");
        }
    }
}
