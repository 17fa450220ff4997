//! One body of parts: what is found in it lies inside it, whatever the boundaries (docs/threats.md: B8).
//!
//! The first line is the value of Content-Type; the rest is the body.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use sip::message::{Message, parse};

fuzz_target!(|data: &[u8]| {
    let at = data.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let (kind, body) = data.split_at(at);
    let body = body.get(1..).unwrap_or_default();
    let mut bytes = b"INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP c;branch=z9hG4bKd\r\nFrom: <sip:e@f>;tag=g\r\n\
        To: <sip:a@b>\r\nCall-ID: h\r\nCSeq: 1 INVITE\r\nContent-Type: "
        .to_vec();
    bytes.extend_from_slice(kind);
    bytes.extend_from_slice(format!("\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes());
    bytes.extend_from_slice(body);
    let Ok(Message::Request(request)) = parse(&Bytes::from(bytes)) else { return };
    if let Some(part) = request.body_of("application/sdp") {
        assert!(part.len() <= request.body.len());
        let is_inside = part.is_empty() || request.body.windows(part.len()).any(|window| window == part);
        assert!(is_inside);
    }
});
