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
