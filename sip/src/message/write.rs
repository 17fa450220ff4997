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

fn message(start: &str, headers: &Headers, body: &Bytes) -> Bytes {
    let fields = || headers.iter().filter(|(name, _)| *name != "Content-Length");
    let size: usize = fields().map(|(name, value)| name.len() + value.len() + 4).sum();
    let mut out = BytesMut::with_capacity(start.len() + size + body.len() + 32);
    out.put_slice(start.as_bytes());
    for (name, value) in fields() {
        out.put_slice(name.as_bytes());
        out.put_slice(b": ");
        out.put_slice(value.as_bytes());
        out.put_slice(b"\r\n");
    }
    out.put_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
    out.put_slice(body);
    out.freeze()
}
