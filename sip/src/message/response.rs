//! A response, and how one is made from its request.
//!
//! Knows nothing of timers, dialogs or sockets.

use bytes::Bytes;

use super::{GuardError, Headers, MediaType, Method, Request, StatusCode, write};

/// A response that passed the guard, or one of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The reason phrase; control characters are printed as spaces.
    pub reason: String,
    /// The header fields.
    pub headers: Headers,
    /// The body as received: opaque bytes.
    pub body: Bytes,
}

impl Response {
    /// A response to `request` with the RFC's own phrase (RFC 3261 §8.2.6): all Vias, From, To,
    /// Call-ID and CSeq as received; Record-Route where a dialog may form (§12.1.1); Timestamp in 100.
    ///
    /// `to_tag` goes into To unless it has a tag already; 100 needs none.
    pub fn to(request: &Request, status: StatusCode, to_tag: Option<&str>) -> Response {
        let mut headers = request.headers.core_only();
        if let Some(tag) = to_tag {
            headers.tag_to(tag);
        }
        let forms_dialog = matches!(
            request.method,
            Method::Invite | Method::Subscribe | Method::Refer | Method::Notify
        ) && (101..300).contains(&status.code());
        if forms_dialog {
            headers.copy_from(&request.headers, "Record-Route");
        }
        if status == StatusCode::TRYING {
            headers.copy_from(&request.headers, "Timestamp");
        }
        Response {
            status,
            reason: status.phrase().to_owned(),
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

    /// The message as it goes out, with the true Content-Length.
    pub fn to_bytes(&self) -> Bytes {
        write::response(self)
    }
}
