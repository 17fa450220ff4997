//! A request, and the requests that follow from it alone: CANCEL and the ACK of a failure.
//!
//! Knows nothing of timers, dialogs or sockets.

use bytes::Bytes;

use super::{
    CSeq, CallId, GuardError, Headers, MediaType, Method, NameAddr, Response, Uri, Via, multipart, write,
};

/// A request that passed the guard, or one of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The method, the same as in CSeq.
    pub method: Method,
    /// The Request-URI.
    pub uri: Uri,
    /// The header fields.
    pub headers: Headers,
    /// The body as received: opaque bytes.
    pub body: Bytes,
}

impl Request {
    /// A request of ours without body; `cseq` is its number.
    pub fn new(
        method: Method,
        uri: Uri,
        via: Via,
        from: NameAddr,
        to: NameAddr,
        call_id: CallId,
        cseq: u32,
    ) -> Request {
        let cseq = CSeq {
            number: cseq,
            method: method.clone(),
        };
        let headers = Headers::new(via, from, to, call_id, cseq);
        Request {
            method,
            uri: uri.into_request_uri(),
            headers,
            body: Bytes::new(),
        }
    }

    /// The CANCEL of this request (RFC 3261 §9.1): the same branch, Request-URI, tags and Routes.
    pub fn cancel(&self) -> Request {
        self.follow_up(Method::Cancel)
    }

    /// The ACK of a final response other than 2xx (RFC 3261 §17.1.1.3): the same branch, To of the response.
    pub fn ack(&self, response: &Response) -> Request {
        let mut ack = self.follow_up(Method::Ack);
        ack.headers.set_to(response.headers.to().clone());
        ack
    }

    fn follow_up(&self, method: Method) -> Request {
        let mut headers = self.headers.core_only();
        headers.keep_top_via();
        headers.set_cseq(CSeq {
            number: self.headers.cseq().number,
            method: method.clone(),
        });
        headers.copy_from(&self.headers, "Route");
        headers.set_max_forwards(self.headers.max_forwards().unwrap_or(MAX_FORWARDS_DEFAULT));
        Request {
            method,
            uri: self.uri.clone(),
            headers,
            body: Bytes::new(),
        }
    }

    /// Sets the body and what it is.
    pub fn set_body(&mut self, content_type: &str, body: Bytes) -> Result<(), GuardError> {
        self.headers.set("Content-Type", content_type)?;
        self.body = body;
        Ok(())
    }

    /// What the body is, when there is one.
    pub fn content_type(&self) -> Option<MediaType> {
        self.headers.content_type().filter(|_| !self.body.is_empty())
    }

    /// The body of this type, for example `application/sdp`: the whole body, or that part of a multipart one.
    pub fn body_of(&self, wanted: &str) -> Option<Bytes> {
        multipart::find(&self.content_type()?, &self.body, wanted)
    }

    /// Whether the body is of type `wanted` or, of several parts, has that one and none that must be understood beside it
    /// and those of the types in `passed_over` (RFC 3261 §8.2.3, §20.11).
    pub fn is_understood_as(&self, wanted: &str, passed_over: &[&str]) -> bool {
        self.content_type().is_some_and(|kind| {
            kind.is(wanted) || multipart::is_understood(&kind, &self.body, wanted, passed_over)
        })
    }

    /// The message as it goes out, with the true Content-Length.
    pub fn to_bytes(&self) -> Bytes {
        write::request(self)
    }
}

/// Hops a request of ours may take. RFC 3261 §8.1.1.6.
pub const MAX_FORWARDS_DEFAULT: u8 = 70;
