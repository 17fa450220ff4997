//! A request that knows its dialog but not yet its way: no Via, no Contact.
//!
//! Must not know flows, listeners or branches.

use bytes::Bytes;

use crate::endpoint::ExtraHeader;
use crate::message::{CallId, MAX_FORWARDS_DEFAULT, Method, NameAddr, Request, Uri, Via};

/// What a dialog says about one request of ours.
#[derive(Clone, Debug)]
pub struct Draft {
    method: Method,
    uri: Uri,
    next_hop: Uri,
    routes: Vec<NameAddr>,
    from: NameAddr,
    to: NameAddr,
    call_id: CallId,
    cseq: u32,
    headers: Vec<ExtraHeader>,
    body: Option<(String, Bytes)>,
}

impl Draft {
    /// A request without further headers or body.
    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of a request, each of its own type"
    )]
    pub fn new(
        method: Method,
        uri: Uri,
        next_hop: Uri,
        routes: Vec<NameAddr>,
        from: NameAddr,
        to: NameAddr,
        call_id: CallId,
        cseq: u32,
    ) -> Self {
        Draft {
            method,
            uri,
            next_hop,
            routes,
            from,
            to,
            call_id,
            cseq,
            headers: vec![],
            body: None,
        }
    }

    /// Adds a header.
    pub fn push_header(&mut self, name: &str, value: &str) {
        self.headers.push(ExtraHeader {
            name: name.to_owned(),
            value: value.to_owned(),
        });
    }

    /// The same with these headers too.
    pub fn with_headers(mut self, headers: Vec<ExtraHeader>) -> Self {
        self.headers.extend(headers);
        self
    }

    /// The same with a body.
    pub fn with_body(mut self, content_type: &str, body: Bytes) -> Self {
        self.body = Some((content_type.to_owned(), body));
        self
    }

    /// Where the dialog wants it sent (RFC 3261 §8.1.2).
    pub fn next_hop(&self) -> &Uri {
        &self.next_hop
    }

    /// Its number in the dialog.
    pub fn cseq(&self) -> u32 {
        self.cseq
    }

    /// The method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The request, for the way `via` stands for. A header that the guard refuses is left out: it came
    /// from our own side, and a request without it is better than none.
    pub fn into_request(self, via: Via) -> Request {
        let mut request = Request::new(
            self.method,
            self.uri,
            via,
            self.from,
            self.to,
            self.call_id,
            self.cseq,
        );
        request.headers.set_max_forwards(MAX_FORWARDS_DEFAULT);
        for route in &self.routes {
            request.headers.push_route(route);
        }
        for header in &self.headers {
            let _ = request.headers.push(&header.name, &header.value);
        }
        if let Some((content_type, body)) = self.body {
            let _ = request.set_body(&content_type, body);
        }
        request
    }
}
