//! The reply to a request that the guard refused: made of what can still be read of it.
//!
//! Whatever comes out is a valid message itself, or nothing comes out. Knows no transport.

use super::guard_error::GuardError;
use super::headers::Headers;
use super::lines;
use super::{Method, Request, Response, Uri};

/// What tells the sender of a broken request so: [`GuardError::status`] with the Vias, From, To, Call-ID
/// and CSeq as received, where all five can be read. `None` for responses, ACKs and worse wrecks, which
/// are dropped (RFC 3261 §8.2.6, §17.1.1.3).
pub fn refusal(bytes: &[u8], error: &GuardError, to_tag: &str) -> Option<Response> {
    let head = lines::index(bytes).ok()?;
    let method = head.start.split([' ', '\t']).next()?;
    if method
        .get(..4)
        .is_some_and(|start| start.eq_ignore_ascii_case("SIP/"))
    {
        return None;
    }
    let headers = Headers::salvage(head.fields)?;
    if method == "ACK" || headers.cseq().method == Method::Ack {
        return None;
    }
    let uri = Uri::parse("sip:invalid.invalid").ok()?;
    let request = Request {
        method: headers.cseq().method.clone(),
        uri,
        headers,
        body: bytes::Bytes::new(),
    };
    let mut response = Response::to(&request, error.status(), Some(to_tag));
    response.reason = format!("{} ({error})", response.reason);
    Some(response)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{GuardError, parse};

    fn refusal_of(text: &str) -> Option<String> {
        let bytes = bytes::Bytes::copy_from_slice(text.as_bytes());
        let error: GuardError = parse(&bytes).unwrap_err();
        let reply = refusal(&bytes, &error, "t")?.to_bytes();
        assert_eq!(parse(&reply).unwrap().to_bytes(), reply);
        Some(String::from_utf8(reply.to_vec()).unwrap())
    }

    const LINES: [&str; 7] = [
        "INVITE sip:a@b SIP/2.0",
        "Via: SIP/2.0/UDP c;branch=z9hG4bKd",
        "From: <sip:e@f>;tag=1",
        "To: <sip:a@b>",
        "Call-ID: i",
        "CSeq: 2 INVITE",
        "Max-Forwards: 300",
    ];

    fn with(at: usize, line: &str) -> String {
        let mut lines = LINES;
        lines[at] = line;
        lines.join("\r\n") + "\r\n\r\n"
    }

    #[test]
    fn readable_parts_make_a_400() {
        let reply = refusal_of(&with(0, LINES[0])).unwrap();
        assert!(
            reply.starts_with("SIP/2.0 400 Bad Request (Max-Forwards has a bad number)\r\n"),
            "{reply}"
        );
        assert!(reply.contains("\r\nTo: <sip:a@b>;tag=t\r\n"), "{reply}");
        assert!(
            refusal_of(&with(0, "INVITE <sip:a@b> SIP/2.0"))
                .unwrap()
                .starts_with("SIP/2.0 400")
        );
        assert!(
            refusal_of(&with(0, "INVITE sip:a@b SIP/9.0"))
                .unwrap()
                .starts_with("SIP/2.0 505")
        );
        let doubled = refusal_of(&with(3, "To: <sip:a@b>\r\nTo: <sip:other@b>")).unwrap();
        assert!(
            doubled.contains("To: <sip:a@b>;tag=t") && !doubled.contains("other"),
            "{doubled}"
        );
    }

    #[test]
    fn wrecks_responses_and_acks_get_nothing() {
        for text in [
            with(1, "Via: SIP/2.0/UDP c;;"),
            with(1, "Via: SIP/2.0/UDP c, SIP/2.0/UDP"),
            with(2, "From: \"open <sip:e@f>"),
            with(5, "CSeq: 99999999999 INVITE"),
            with(4, "X: y"),
            with(0, "SIP/2.0 200 OK"),
            with(5, "CSeq: 2 ACK").replace("INVITE", "ACK"),
            "garbage".to_owned(),
        ] {
            assert_eq!(refusal_of(&text), None, "{text}");
        }
    }
}
