//! A response, and how one is made from its request.
//!
//! Knows nothing of timers, dialogs or sockets.

use bytes::Bytes;

use super::{GuardError, Headers, MediaType, Method, Request, StatusCode, multipart, write};

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

    /// 100 (Trying) to `request`, as it goes out.
    pub fn trying(request: &Request) -> Bytes {
        write::trying(request)
    }

    /// Sets the body and what it is.
    pub fn set_body(&mut self, content_type: &str, body: Bytes) -> Result<(), GuardError> {
        self.headers.set("Content-Type", content_type)?;
        self.body = body;
        Ok(())
    }

    /// Takes the body out, and what said what it was.
    pub fn clear_body(&mut self) {
        self.headers.remove("Content-Type");
        self.body = Bytes::new();
    }

    /// What the body is, when there is one.
    pub fn content_type(&self) -> Option<MediaType> {
        self.headers.content_type().filter(|_| !self.body.is_empty())
    }

    /// The body of this type, for example `application/sdp`: the whole body, or that part of a multipart one.
    pub fn body_of(&self, wanted: &str) -> Option<Bytes> {
        multipart::find(&self.content_type()?, &self.body, wanted)
    }

    /// The message as it goes out, with the true Content-Length.
    pub fn to_bytes(&self) -> Bytes {
        write::response(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Message, parse};

    fn invite() -> Request {
        let text = "INVITE sip:a@b SIP/2.0\r\nv: SIP/2.0/UDP x;branch=z9hG4bKd;rport, SIP/2.0/TCP y;branch=z9hG4bKe\r\n\
                    f: Anna <sip:e@f>;tag=1\r\nt: sip:a@b\r\ni: i\r\nCSeq: 007 INVITE\r\nTimestamp: 5.4\r\n\
                    Route: <sip:q;lr>\r\nRecord-Route: <sip:r;lr>, <sip:s;lr>\r\nMax-Forwards: 9\r\nl: 0\r\n\r\n";
        match parse(&Bytes::from_static(text.as_bytes())).unwrap() {
            Message::Request(request) => request,
            Message::Response(_) => panic!("a response"),
        }
    }

    #[test]
    fn ringing_copies_what_the_rfc_wants() {
        let mut request = invite();
        request.headers.stamp_source("192.0.2.1:5062".parse().unwrap());
        let response = Response::to(&request, StatusCode::RINGING, Some("t1"));
        let expected = "SIP/2.0 180 Ringing\r\nVia: SIP/2.0/UDP x;branch=z9hG4bKd;rport=5062;received=192.0.2.1\r\n\
                        Via: SIP/2.0/TCP y;branch=z9hG4bKe\r\nFrom: Anna <sip:e@f>;tag=1\r\nTo: sip:a@b;tag=t1\r\n\
                        Call-ID: i\r\nCSeq: 007 INVITE\r\nRecord-Route: <sip:r;lr>, <sip:s;lr>\r\n\
                        Content-Length: 0\r\n\r\n";
        assert_eq!(String::from_utf8_lossy(&response.to_bytes()), expected);
    }

    #[test]
    fn trying_copies_timestamp_and_failures_no_routes() {
        let trying = Response::to(&invite(), StatusCode::TRYING, None);
        assert_eq!(trying.to_bytes(), Response::trying(&invite()));
        assert_eq!(
            (trying.headers.get("Timestamp"), trying.headers.to().tag()),
            (Some("5.4"), None)
        );
        let busy = Response::to(&invite(), StatusCode::BUSY_HERE, Some("t"));
        assert!(!busy.headers.has("Record-Route") && !busy.headers.has("Timestamp"));
    }

    #[test]
    fn cancel_and_ack_share_branch_routes_and_number() {
        let request = invite();
        let cancel = request.cancel();
        assert_eq!(
            (cancel.headers.vias().len(), cancel.headers.get_all("Via").count()),
            (1, 1)
        );
        assert_eq!(cancel.headers.via().branch(), Some("z9hG4bKd"));
        assert_eq!(
            (cancel.headers.cseq().number, &cancel.headers.cseq().method),
            (7, &Method::Cancel)
        );
        assert_eq!(
            (cancel.headers.get("Route"), cancel.headers.to().tag()),
            (Some("<sip:q;lr>"), None)
        );
        let busy = Response::to(&request, StatusCode::BUSY_HERE, Some("t"));
        let ack = request.ack(&busy);
        assert_eq!((ack.headers.to().tag(), &ack.method), (Some("t"), &Method::Ack));
        for follow_up in [cancel, ack] {
            assert_eq!(
                parse(&follow_up.to_bytes()).map(|read| read.to_bytes()),
                Ok(follow_up.to_bytes())
            );
        }
    }

    #[test]
    fn reason_phrase_cannot_inject() {
        let mut response = Response::to(&invite(), StatusCode::OK, Some("t"));
        response.reason = "a\r\nEvil: b".to_owned();
        assert!(response.to_bytes().starts_with(b"SIP/2.0 200 a  Evil: b\r\nVia"));
    }
}
