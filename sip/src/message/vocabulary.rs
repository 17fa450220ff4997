//! The words of `rsip`: our checked values as rsip's, for whoever speaks both.
//!
//! One way for messages, as rsip cannot hold all of ours (unknown methods, IPv6, other schemes): what it
//! has no word for is `None`. It is handed parts that passed the guard, never bytes from the wire, and its
//! printer is never used.

use rsip::headers::{Header, UntypedHeader};

use super::{Headers, Method, Request, Response, StatusCode};

impl Method {
    /// The method in rsip's words.
    pub fn to_rsip(&self) -> Option<rsip::Method> {
        Some(match self {
            Method::Invite => rsip::Method::Invite,
            Method::Ack => rsip::Method::Ack,
            Method::Bye => rsip::Method::Bye,
            Method::Cancel => rsip::Method::Cancel,
            Method::Options => rsip::Method::Options,
            Method::Register => rsip::Method::Register,
            Method::Info => rsip::Method::Info,
            Method::Prack => rsip::Method::PRack,
            Method::Update => rsip::Method::Update,
            Method::Refer => rsip::Method::Refer,
            Method::Subscribe => rsip::Method::Subscribe,
            Method::Notify => rsip::Method::Notify,
            Method::Message => rsip::Method::Message,
            Method::Publish => rsip::Method::Publish,
            Method::Extension(_) => return None,
        })
    }
}

impl From<rsip::Method> for Method {
    fn from(method: rsip::Method) -> Method {
        match method {
            rsip::Method::Invite => Method::Invite,
            rsip::Method::Ack => Method::Ack,
            rsip::Method::Bye => Method::Bye,
            rsip::Method::Cancel => Method::Cancel,
            rsip::Method::Options => Method::Options,
            rsip::Method::Register => Method::Register,
            rsip::Method::Info => Method::Info,
            rsip::Method::PRack => Method::Prack,
            rsip::Method::Update => Method::Update,
            rsip::Method::Refer => Method::Refer,
            rsip::Method::Subscribe => Method::Subscribe,
            rsip::Method::Notify => Method::Notify,
            rsip::Method::Message => Method::Message,
            rsip::Method::Publish => Method::Publish,
        }
    }
}

impl From<StatusCode> for rsip::StatusCode {
    fn from(status: StatusCode) -> rsip::StatusCode {
        rsip::StatusCode::from(status.code())
    }
}

impl TryFrom<rsip::StatusCode> for StatusCode {
    type Error = super::FieldError;

    fn try_from(status: rsip::StatusCode) -> Result<StatusCode, super::FieldError> {
        StatusCode::new(status.code()).ok_or(super::FieldError::Number)
    }
}

impl Headers {
    /// The fields as rsip's untyped headers, in order; names rsip does not know as `Other`.
    pub fn to_rsip(&self) -> rsip::Headers {
        self.iter()
            .map(|(name, value)| header(name, value))
            .collect::<Vec<_>>()
            .into()
    }
}

impl Request {
    /// The request in rsip's words; `None` for a method or Request-URI it has no word for.
    pub fn to_rsip(&self) -> Option<rsip::Request> {
        Some(rsip::Request {
            method: self.method.to_rsip()?,
            uri: rsip::Uri::try_from(self.uri.to_string()).ok()?,
            version: rsip::Version::V2,
            headers: self.headers.to_rsip(),
            body: self.body.to_vec(),
        })
    }
}

impl Response {
    /// The response in rsip's words; it has none for reason phrases.
    pub fn to_rsip(&self) -> rsip::Response {
        rsip::Response {
            status_code: self.status.into(),
            version: rsip::Version::V2,
            headers: self.headers.to_rsip(),
            body: self.body.to_vec(),
        }
    }
}

/// One header by its canonical name: a table.
fn header(name: &str, value: &str) -> Header {
    use rsip::headers as named;
    match name {
        "Accept" => Header::Accept(named::Accept::new(value)),
        "Allow" => Header::Allow(named::Allow::new(value)),
        "Authorization" => Header::Authorization(named::Authorization::new(value)),
        "Call-ID" => Header::CallId(named::CallId::new(value)),
        "Contact" => Header::Contact(named::Contact::new(value)),
        "Content-Disposition" => Header::ContentDisposition(named::ContentDisposition::new(value)),
        "Content-Length" => Header::ContentLength(named::ContentLength::new(value)),
        "Content-Type" => Header::ContentType(named::ContentType::new(value)),
        "CSeq" => Header::CSeq(named::CSeq::new(value)),
        "Expires" => Header::Expires(named::Expires::new(value)),
        "From" => Header::From(named::From::new(value)),
        "Max-Forwards" => Header::MaxForwards(named::MaxForwards::new(value)),
        "Proxy-Authenticate" => Header::ProxyAuthenticate(named::ProxyAuthenticate::new(value)),
        "Proxy-Authorization" => Header::ProxyAuthorization(named::ProxyAuthorization::new(value)),
        "Record-Route" => Header::RecordRoute(named::RecordRoute::new(value)),
        "Require" => Header::Require(named::Require::new(value)),
        "Retry-After" => Header::RetryAfter(named::RetryAfter::new(value)),
        "Route" => Header::Route(named::Route::new(value)),
        "Server" => Header::Server(named::Server::new(value)),
        "Subject" => Header::Subject(named::Subject::new(value)),
        "Supported" => Header::Supported(named::Supported::new(value)),
        "To" => Header::To(named::To::new(value)),
        "User-Agent" => Header::UserAgent(named::UserAgent::new(value)),
        "Via" => Header::Via(named::Via::new(value)),
        "Warning" => Header::Warning(named::Warning::new(value)),
        "WWW-Authenticate" => Header::WwwAuthenticate(named::WwwAuthenticate::new(value)),
        _ => Header::Other(name.to_owned(), value.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_and_statuses_keep_their_meaning_both_ways() {
        for method in rsip::Method::all() {
            assert_eq!(Method::from(method).to_rsip(), Some(method));
            assert_eq!(Method::from(method).to_string(), method.to_string());
        }
        assert_eq!(Method::parse("FOO").unwrap().to_rsip(), None);
        for code in 100..=699 {
            let status = StatusCode::new(code).unwrap();
            assert_eq!(StatusCode::try_from(rsip::StatusCode::from(status)), Ok(status));
        }
        assert!(StatusCode::try_from(rsip::StatusCode::Other(42, String::new())).is_err());
    }
}
