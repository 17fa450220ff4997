//! Bodies of several parts (RFC 2046 §5.1, RFC 5621): finds the one part that is wanted.
//!
//! Parts inside parts are not entered. Knows no content.

use bytes::Bytes;

use super::MediaType;
use super::grammar::trim;
use super::lines;

/// Most parts of a body; more are a refusal to look. docs/threats.md B8.
pub const PARTS_MAX: usize = 4;

/// The body of type `wanted`: the whole body, or the first part of that type. The result is a slice, not a
/// copy. `None` when there is none, or when the parts are not well-formed.
pub(super) fn find(content_type: &MediaType, body: &Bytes, wanted: &str) -> Option<Bytes> {
    if content_type.is(wanted) {
        return Some(body.clone());
    }
    if !content_type.is_multipart() {
        return None;
    }
    let boundary = content_type.params().text("boundary")?;
    parts(body, &boundary)?.into_iter().find_map(|part| {
        let part = read_part(body.slice(part))?;
        part.media_type.is(wanted).then_some(part.content)
    })
}

/// Whether a body of several parts is understood by who reads `wanted` alone: that part is there, and each other one is
/// optional (RFC 3261 §20.11: handling is required where nothing is said) or of a type in `passed_over`.
pub(super) fn is_understood(
    content_type: &MediaType,
    body: &Bytes,
    wanted: &str,
    passed_over: &[&str],
) -> bool {
    let boundary = content_type.params().text("boundary");
    let Some(places) = boundary.and_then(|boundary| parts(body, &boundary)) else {
        return false;
    };
    let read: Option<Vec<Part>> = places
        .into_iter()
        .map(|place| read_part(body.slice(place)))
        .collect();
    read.is_some_and(|read| {
        let is_fine = |part: &Part| {
            part.is_optional
                || part.media_type.is(wanted)
                || passed_over.iter().any(|kind| part.media_type.is(kind))
        };
        let has_it = read.iter().any(|part| part.media_type.is(wanted));
        content_type.is_multipart() && has_it && read.iter().all(is_fine)
    })
}

/// Whether a Content-Disposition says that its body need not be understood (RFC 3261 §20.11).
pub fn is_optional(disposition: &str) -> bool {
    let plain = disposition.to_ascii_lowercase().replace([' ', '\t'], "");
    plain.contains("handling=optional")
}

/// One part.
struct Part {
    media_type: MediaType,
    is_optional: bool,
    content: Bytes,
}

/// Where the parts lie; `None` without an end mark or with too many parts.
fn parts(body: &[u8], boundary: &str) -> Option<Vec<std::ops::Range<usize>>> {
    if boundary.is_empty() || boundary.len() > BOUNDARY_BYTES_MAX {
        return None;
    }
    let mark = format!("--{boundary}");
    let mut parts = Vec::new();
    let mut begun: Option<usize> = None;
    let mut at = 0;
    while let Some(rest) = body.get(at..) {
        let length = rest.windows(2).position(|pair| pair == b"\r\n");
        let line = rest.get(..length.unwrap_or(rest.len()))?;
        if let Some(tail) = line.strip_prefix(mark.as_bytes()) {
            // The CRLF before a mark belongs to the mark.
            parts.extend(begun.map(|begun| begun..at.saturating_sub(2).max(begun)));
            match trim(std::str::from_utf8(tail).ok()?) {
                "--" => return Some(parts),
                "" if parts.len() < PARTS_MAX => begun = Some(at + line.len() + 2),
                _ => return None,
            }
        }
        at += length? + 2;
    }
    None
}

/// A part without Content-Type is `text/plain` (RFC 2046 §5.1).
fn read_part(part: Bytes) -> Option<Part> {
    let (fields, content) = match part.strip_prefix(b"\r\n") {
        Some(content) => (Vec::new(), part.slice_ref(content)),
        None => {
            let (fields, content_at) = lines::index_part(&part)?;
            (fields, part.slice(content_at..))
        }
    };
    let field = |wanted: &str| {
        let mut named = fields
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
        named.next().map(|(_, value)| value.as_str())
    };
    Some(Part {
        media_type: MediaType::parse(field("Content-Type").unwrap_or("text/plain")).ok()?,
        is_optional: field("Content-Disposition").is_some_and(is_optional),
        content,
    })
}

/// Longest boundary, bytes. RFC 2046 §5.1.1.
const BOUNDARY_BYTES_MAX: usize = 70;

#[cfg(test)]
mod tests {
    use super::*;

    const SDP: &str = "application/sdp";

    fn sdp_in(boundary: &str, body: &str) -> Option<Bytes> {
        let media_type = MediaType::parse(&format!("multipart/mixed;boundary={boundary}")).unwrap();
        find(&media_type, &Bytes::copy_from_slice(body.as_bytes()), SDP)
    }

    #[test]
    fn wanted_part_is_found_among_others() {
        let body = "preamble\r\n--b\r\n\r\nplain\r\n--b\r\nContent-Type: application/sdp\r\nX: y\r\n\r\nv=0\r\n\r\n--b--\r\nepilogue";
        assert_eq!(sdp_in("b", body).as_deref(), Some(&b"v=0\r\n"[..]));
        assert_eq!(sdp_in("\"b\"", body).as_deref(), Some(&b"v=0\r\n"[..]));
        let whole = MediaType::parse(SDP).unwrap();
        assert_eq!(
            find(&whole, &Bytes::from_static(b"v=0"), SDP).as_deref(),
            Some(&b"v=0"[..])
        );
    }

    #[test]
    fn malformed_parts_yield_nothing() {
        let part = "Content-Type: application/sdp\r\n\r\nv=0\r\n";
        for (boundary, body) in [
            ("b", format!("--b\r\n{part}")),
            ("b", format!("--b x\r\n{part}--b--")),
            ("c", format!("--b\r\n{part}--b--")),
            ("\"\"", format!("--\r\n{part}----")),
            ("b", format!("--b\r\n{}--b--", part.replace("sdp\r\n", "sdp"))),
            ("b", String::new()),
            ("b", "--b--".to_owned()),
            (
                "b",
                format!("--b\r\nContent-Type: multipart/mixed;boundary=c\r\n\r\n--c\r\n{part}--c--\r\n--b--"),
            ),
        ] {
            assert_eq!(sdp_in(boundary, &body), None, "{body}");
        }
    }

    #[test]
    fn part_cap_holds_at_its_edge() {
        let with = |others: usize| {
            let sdp = "--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n";
            sdp_in("b", &format!("{}{sdp}--b--", "--b\r\n\r\nx\r\n".repeat(others)))
        };
        assert!(with(PARTS_MAX - 1).is_some());
        assert!(with(PARTS_MAX).is_none());
    }

    #[test]
    fn a_body_is_understood_by_its_sdp_where_the_rest_need_not_be() {
        let of = |parts: &[&str]| {
            let body: String = parts
                .iter()
                .map(|part| format!("--b\r\n{part}\r\n\r\nx\r\n"))
                .collect();
            let media_type = MediaType::parse("multipart/mixed;boundary=b").unwrap();
            let body = Bytes::from(format!("{body}--b--"));
            is_understood(&media_type, &body, SDP, &["application/pidf+xml"])
        };
        let (sdp, place) = (
            "Content-Type: application/sdp",
            "Content-Type: application/pidf+xml",
        );
        let isup = "Content-Type: application/isup;version=x";
        let optional = format!("{isup}\r\nContent-Disposition: signal ; handling = optional");
        assert!(of(&[sdp]) && of(&[place, sdp]) && of(&[sdp, &optional]));
        assert!(!of(&[sdp, isup]), "handling is required where nothing is said");
        assert!(!of(&[place]) && !of(&[&optional]) && !of(&[]), "without SDP");
        let whole = MediaType::parse("application/sdp;boundary=b").unwrap();
        let body = Bytes::from_static(b"--b\r\nContent-Type: application/sdp\r\n\r\nx\r\n--b--");
        assert!(!is_understood(&whole, &body, SDP, &[]), "no multipart");
    }
}
