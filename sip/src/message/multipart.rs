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
        let (media_type, content) = read_part(body.slice(part))?;
        media_type.is(wanted).then_some(content)
    })
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

/// Type and content of one part; a part without Content-Type is `text/plain` (RFC 2046 §5.1).
fn read_part(part: Bytes) -> Option<(MediaType, Bytes)> {
    let (fields, content) = match part.strip_prefix(b"\r\n") {
        Some(content) => (Vec::new(), part.slice_ref(content)),
        None => {
            let (fields, content_at) = lines::index_part(&part)?;
            (fields, part.slice(content_at..))
        }
    };
    let of_type = |(name, _): &&(&str, String)| name.eq_ignore_ascii_case("Content-Type");
    let media_type = fields
        .iter()
        .find(of_type)
        .map_or("text/plain", |(_, value)| value.as_str());
    Some((MediaType::parse(media_type).ok()?, content))
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
}
