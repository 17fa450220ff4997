//! The writer: messages to bytes, always with the true Content-Length.
//!
//! Its parts are valid by construction; only the reason phrase is free text and is cleaned here.

use bytes::{BufMut, Bytes, BytesMut};

use super::{Headers, Request, Response};

/// Writes a request.
pub(super) fn request(request: &Request) -> Bytes {
    let start = format!("{} {} SIP/2.0\r\n", request.method, request.uri);
    message(&start, &request.headers, &request.body)
}

/// Writes a response.
pub(super) fn response(response: &Response) -> Bytes {
    let reason = response.reason.replace(char::is_control, " ");
    let start = format!("SIP/2.0 {} {reason}\r\n", response.status);
    message(&start, &response.headers, &response.body)
}

/// Writes 100 (Trying) to a request, as [`Response::to`] makes it: every INVITE has one, so no headers are copied.
pub(super) fn trying(request: &Request) -> Bytes {
    let headers = &request.headers;
    let is_core = |name: &str| matches!(name, "Via" | "From" | "To" | "Call-ID" | "CSeq");
    let core = headers.iter().filter(|(name, _)| is_core(name));
    let timestamps = headers.get_all("Timestamp").map(|value| ("Timestamp", value));
    let mut out = BytesMut::with_capacity(512);
    out.put_slice(b"SIP/2.0 100 Trying\r\n");
    for (name, value) in core.chain(timestamps) {
        put_field(&mut out, name, value);
    }
    out.put_slice(b"Content-Length: 0\r\n\r\n");
    out.freeze()
}

fn put_field(out: &mut BytesMut, name: &str, value: &str) {
    for part in [name, ": ", value, "\r\n"] {
        out.put_slice(part.as_bytes());
    }
}

fn message(start: &str, headers: &Headers, body: &Bytes) -> Bytes {
    let fields = || headers.iter().filter(|(name, _)| *name != "Content-Length");
    let size: usize = fields().map(|(name, value)| name.len() + value.len() + 4).sum();
    let mut out = BytesMut::with_capacity(start.len() + size + body.len() + 32);
    out.put_slice(start.as_bytes());
    for (name, value) in fields() {
        put_field(&mut out, name, value);
    }
    out.put_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
    out.put_slice(body);
    out.freeze()
}
