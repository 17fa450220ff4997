//! The line index: where the start line, the header fields and the body of a message lie.
//!
//! Works on bytes before anything is believed about them. Knows no header by name.

use super::grammar::{is_free_of_control, is_token, trim};
use super::guard_error::{GuardError, Part};

/// Longest line after unfolding, bytes. docs/threats.md B6.
pub const LINE_BYTES_MAX: usize = 8 * 1024;

/// Most header fields of a message. docs/threats.md B6.
pub const HEADERS_MAX: usize = 128;

/// Largest message, bytes: what fits into a UDP datagram. docs/threats.md B1, B6.
pub const MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// The head of a message, cut into lines.
#[derive(Debug)]
pub(crate) struct Head<'a> {
    /// The start line.
    pub start: &'a str,
    /// Names as written and values unfolded.
    pub fields: Vec<(&'a str, String)>,
    /// Offset of the first body byte.
    pub body_at: usize,
}

/// Where the head ends: the offset after its empty line, searched from `from` on.
pub(crate) fn head_end(bytes: &[u8], from: usize) -> Option<usize> {
    let tail = bytes.get(from..)?;
    tail.windows(4)
        .position(|window| window == b"\r\n\r\n")
        .map(|at| from + at + 4)
}

/// Bytes of CRLF before a start line (RFC 3261 §7.5).
pub(crate) fn leading_line_ends(bytes: &[u8]) -> usize {
    bytes.chunks_exact(2).take_while(|pair| *pair == b"\r\n").count() * 2
}

/// Cuts the head of a message into lines.
pub(crate) fn index(bytes: &[u8]) -> Result<Head<'_>, GuardError> {
    let start_at = leading_line_ends(bytes);
    let Some(body_at) = head_end(bytes, start_at) else {
        return Err(match bytes.len() > MESSAGE_BYTES_MAX {
            true => too_long(Part::Message, MESSAGE_BYTES_MAX, bytes.len()),
            false => GuardError::Incomplete,
        });
    };
    if body_at > MESSAGE_BYTES_MAX {
        return Err(too_long(Part::Message, MESSAGE_BYTES_MAX, body_at));
    }
    let head = bytes.get(start_at..body_at - 4).unwrap_or_default();
    let head = std::str::from_utf8(head).map_err(|_| GuardError::Encoding)?;
    let mut lines = head.split("\r\n");
    let start = lines.next().unwrap_or_default();
    if start.len() > LINE_BYTES_MAX {
        return Err(too_long(Part::Line, LINE_BYTES_MAX, start.len()));
    }
    if !is_free_of_control(start) {
        return Err(GuardError::Control);
    }
    let fields = index_fields(lines)?;
    Ok(Head {
        start,
        fields,
        body_at,
    })
}

/// The header fields of one part of a body, and where its content begins.
pub(super) fn index_part(bytes: &[u8]) -> Option<(Vec<(&str, String)>, usize)> {
    let content_at = head_end(bytes, 0)?;
    let head = std::str::from_utf8(bytes.get(..content_at - 4)?).ok()?;
    Some((index_fields(head.split("\r\n")).ok()?, content_at))
}

fn index_fields<'a>(lines: impl Iterator<Item = &'a str>) -> Result<Vec<(&'a str, String)>, GuardError> {
    let mut fields: Vec<(&str, String)> = Vec::with_capacity(16);
    for line in lines {
        if line.starts_with([' ', '\t']) {
            let (name, value) = fields.last_mut().ok_or(GuardError::HeaderLine)?;
            let more = trim(line);
            // A fold with nothing behind it adds nothing: a value never ends in a blank.
            if !value.is_empty() && !more.is_empty() {
                value.push(' ');
            }
            value.push_str(more);
            check_line(name, value)?;
            continue;
        }
        if fields.len() == HEADERS_MAX {
            return Err(too_long(Part::Headers, HEADERS_MAX, HEADERS_MAX + 1));
        }
        let (name, value) = line.split_once(':').ok_or(GuardError::HeaderLine)?;
        let name = name.trim_end_matches([' ', '\t']);
        if !is_token(name) {
            return Err(GuardError::HeaderLine);
        }
        check_line(name, value)?;
        fields.push((name, trim(value).to_owned()));
    }
    if fields.iter().all(|(_, value)| is_free_of_control(value)) {
        Ok(fields)
    } else {
        Err(GuardError::Control)
    }
}

/// Bounds a line while it grows, so that folding cannot outgrow the cap either.
fn check_line(name: &str, value: &str) -> Result<(), GuardError> {
    let length = name.len() + 1 + value.len();
    match length > LINE_BYTES_MAX {
        true => Err(too_long(Part::Line, LINE_BYTES_MAX, length)),
        false => Ok(()),
    }
}

fn too_long(part: Part, limit: usize, actual: usize) -> GuardError {
    GuardError::TooLong { part, limit, actual }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_spaces_before_colons_and_leading_line_ends_pass() {
        let head = index(b"\r\n\r\nA B C\r\nX :\r\n one\r\n\t two \r\nY:\r\n\r\nbody").unwrap();
        assert_eq!(head.start, "A B C");
        assert_eq!(head.fields, [("X", "one two".to_owned()), ("Y", String::new())]);
        assert_eq!(head.body_at, 36);
        // Found by fuzzing: a blank stayed at the end.
        let head = index(b"A\r\nX: a,\r\n   \r\nY: b\r\n \t\r\n c\r\n\r\n").unwrap();
        assert_eq!(head.fields, [("X", "a,".to_owned()), ("Y", "b c".to_owned())]);
    }

    #[test]
    fn smuggling_by_control_bytes_is_refused() {
        for (bytes, error) in [
            (&b"A\r\nX: a\nY: b\r\n\r\n"[..], GuardError::Control),
            (b"A\r\nX: a\rY: b\r\n\r\n", GuardError::Control),
            (b"A\r\nX: a\0b\r\n\r\n", GuardError::Control),
            (b"A\r\nX\0: a\r\n\r\n", GuardError::HeaderLine),
            (b"A\r\nX Y: a\r\n\r\n", GuardError::HeaderLine),
            (b"A\r\n: a\r\n\r\n", GuardError::HeaderLine),
            (b"A\r\nX\r\n\r\n", GuardError::HeaderLine),
            (b"A\r\n X: a\r\n\r\n", GuardError::HeaderLine),
            (b"A\nX: a\r\n\r\n", GuardError::Control),
            (b"A\r\nX: \xff\r\n\r\n", GuardError::Encoding),
            (b"A\r\nX: a\r\n", GuardError::Incomplete),
            (b"", GuardError::Incomplete),
            (b"\r\n\r\n", GuardError::Incomplete),
        ] {
            assert_eq!(
                index(bytes).err(),
                Some(error),
                "{}",
                String::from_utf8_lossy(bytes)
            );
        }
    }

    #[test]
    fn caps_hold_at_their_edges() {
        let line = |length: usize| format!("A\r\nX:{}\r\n\r\n", "v".repeat(length - 2));
        assert!(index(line(LINE_BYTES_MAX - 1).as_bytes()).is_ok());
        assert!(index(line(LINE_BYTES_MAX).as_bytes()).is_ok());
        let error = index(line(LINE_BYTES_MAX + 1).as_bytes()).err();
        assert_eq!(
            error,
            Some(too_long(Part::Line, LINE_BYTES_MAX, LINE_BYTES_MAX + 1))
        );

        let folded = format!("A\r\nX:{}\r\n\r\n", "v\r\n ".repeat(LINE_BYTES_MAX));
        assert!(matches!(
            index(folded.as_bytes()),
            Err(GuardError::TooLong { part: Part::Line, .. })
        ));

        let many = |count: usize| format!("A\r\n{}\r\n", "X: a\r\n".repeat(count));
        assert!(index(many(HEADERS_MAX - 1).as_bytes()).is_ok());
        assert!(index(many(HEADERS_MAX).as_bytes()).is_ok());
        assert!(matches!(
            index(many(HEADERS_MAX + 1).as_bytes()),
            Err(GuardError::TooLong {
                part: Part::Headers,
                ..
            })
        ));

        assert!(matches!(
            index(&[b'A'; MESSAGE_BYTES_MAX + 1]),
            Err(GuardError::TooLong {
                part: Part::Message,
                ..
            })
        ));
        assert_eq!(
            index(&[b'A'; MESSAGE_BYTES_MAX]).err(),
            Some(GuardError::Incomplete)
        );
    }
}
