//! The reader: bytes of one datagram, or of one framed stream message, to a validated message.
//!
//! Knows nothing of where the bytes came from.

use bytes::Bytes;

use super::guard_error::{GuardError, Part};
use super::lines::{self, MESSAGE_BYTES_MAX};
use super::{FieldError, Headers, Message, Method, Request, Response, StatusCode, Uri};

/// Reads one message. Bytes of a datagram beyond Content-Length are dropped (RFC 3261 §18.3); without
/// Content-Length the body is all that follows. The body is a slice of `bytes`, not a copy.
pub fn parse(bytes: &Bytes) -> Result<Message, GuardError> {
    let head = lines::index(bytes)?;
    let start = StartLine::parse(head.start)?;
    let headers = Headers::assemble(head.fields)?;
    let body = cut_body(bytes, head.body_at, headers.content_length())?;
    match start {
        StartLine::Request { method, uri } => {
            if headers.cseq().method != method {
                return Err(GuardError::MethodMismatch);
            }
            Ok(Message::Request(Request {
                method,
                uri,
                headers,
                body,
            }))
        }
        StartLine::Response { status, reason } => Ok(Message::Response(Response {
            status,
            reason: reason.to_owned(),
            headers,
            body,
        })),
    }
}

fn cut_body(bytes: &Bytes, body_at: usize, content_length: Option<usize>) -> Result<Bytes, GuardError> {
    let actual = bytes.len().saturating_sub(body_at);
    let length = content_length.unwrap_or(actual);
    if body_at + length > MESSAGE_BYTES_MAX {
        let actual = body_at + length;
        return Err(GuardError::TooLong {
            part: Part::Message,
            limit: MESSAGE_BYTES_MAX,
            actual,
        });
    }
    if length > actual {
        return Err(GuardError::BodyShort {
            expected: length,
            actual,
        });
    }
    Ok(bytes.slice(body_at..body_at + length))
}

/// The first line of a message.
#[derive(Debug)]
pub(super) enum StartLine<'a> {
    Request { method: Method, uri: Uri },
    Response { status: StatusCode, reason: &'a str },
}

impl<'a> StartLine<'a> {
    pub(super) fn parse(line: &'a str) -> Result<StartLine<'a>, GuardError> {
        if line
            .get(..4)
            .is_some_and(|start| start.eq_ignore_ascii_case("SIP/"))
        {
            return StartLine::parse_status(line);
        }
        let mut parts = line.split(' ');
        let (Some(method), Some(uri), Some(version), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(GuardError::StartLine);
        };
        check_version(version)?;
        let method = Method::parse(method).map_err(|error| match error {
            FieldError::TooLong { limit, .. } => GuardError::TooLong {
                part: Part::Method,
                limit,
                actual: method.len(),
            },
            _ => GuardError::StartLine,
        })?;
        if uri.len() > REQUEST_URI_BYTES_MAX {
            let (limit, actual) = (REQUEST_URI_BYTES_MAX, uri.len());
            return Err(GuardError::TooLong {
                part: Part::RequestUri,
                limit,
                actual,
            });
        }
        let uri = Uri::parse(uri).map_err(GuardError::RequestUri)?;
        if uri.header_part().is_some() {
            return Err(GuardError::RequestUri(super::UriError::Headers));
        }
        Ok(StartLine::Request { method, uri })
    }

    fn parse_status(line: &'a str) -> Result<StartLine<'a>, GuardError> {
        let (version, rest) = line.split_once(' ').ok_or(GuardError::StartLine)?;
        check_version(version)?;
        let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
        let status = match code.len() {
            3 => super::grammar::digits(code).and_then(StatusCode::new),
            _ => None,
        };
        Ok(StartLine::Response {
            status: status.ok_or(GuardError::StartLine)?,
            reason,
        })
    }
}

/// Longest Request-URI, bytes; longer ones are told 414. Ours: far above any dialable target.
pub const REQUEST_URI_BYTES_MAX: usize = 4096;

fn check_version(text: &str) -> Result<(), GuardError> {
    if text.eq_ignore_ascii_case("SIP/2.0") {
        return Ok(());
    }
    let is_version = |version: &str| version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let other = text
        .get(..4)
        .is_some_and(|name| name.eq_ignore_ascii_case("SIP/"));
    match text
        .get(4..)
        .is_some_and(|version| other && !version.is_empty() && is_version(version))
    {
        true => Err(GuardError::Version),
        false => Err(GuardError::StartLine),
    }
}
