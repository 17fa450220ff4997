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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Message, GuardError> {
        parse(&Bytes::copy_from_slice(text.as_bytes()))
    }

    fn bye(fields: &str, body: &str) -> String {
        format!(
            "BYE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP c;branch=z9hG4bKd\r\nFrom: <sip:e@f>;tag=1\r\n\
             To: <sip:a@b>;tag=2\r\nCall-ID: i\r\nCSeq: 2 BYE\r\n{fields}\r\n{body}"
        )
    }

    #[test]
    fn datagram_tail_beyond_content_length_is_dropped() {
        assert_eq!(read(&bye("l: 2\r\n", "okBYE sip:x")).unwrap().body(), "ok");
        assert_eq!(read(&bye("", "all of it")).unwrap().body(), "all of it");
        assert_eq!(
            read(&bye("l: 3\r\n", "ok")),
            Err(GuardError::BodyShort {
                expected: 3,
                actual: 2
            })
        );
    }

    #[test]
    fn content_length_is_digits_up_to_the_cap() {
        let error = GuardError::Field {
            name: "Content-Length",
            error: FieldError::Number,
        };
        for bad in [
            "-10",
            "+5",
            "5 5",
            "5,5",
            "0x5",
            "",
            "2147483647",
            "2147483648",
            "4294967296",
            "18446744073709551616",
        ] {
            assert_eq!(
                read(&bye(&format!("Content-Length: {bad}\r\n"), "")),
                Err(error),
                "{bad}"
            );
        }
        let ten_to_the_40 = format!("l: 1{}\r\n", "0".repeat(40));
        assert_eq!(read(&bye(&ten_to_the_40, "")), Err(error));
        assert_eq!(
            read(&bye("l: 0\r\nContent-Length: 0\r\n", "")),
            Err(GuardError::Repeated("Content-Length"))
        );
    }

    #[test]
    fn mandatory_headers_occur_exactly_once() {
        let whole = bye("", "");
        for (line, name) in [
            ("Via: SIP/2.0/UDP c;branch=z9hG4bKd\r\n", "Via"),
            ("From: <sip:e@f>;tag=1\r\n", "From"),
            ("To: <sip:a@b>;tag=2\r\n", "To"),
            ("Call-ID: i\r\n", "Call-ID"),
            ("CSeq: 2 BYE\r\n", "CSeq"),
        ] {
            assert_eq!(read(&whole.replace(line, "")), Err(GuardError::Missing(name)));
            if name != "Via" {
                assert_eq!(
                    read(&whole.replace(line, &line.repeat(2))),
                    Err(GuardError::Repeated(name))
                );
            }
        }
    }

    #[test]
    fn start_lines_are_exact() {
        let with = |start: &str| read(&bye("", "").replace("BYE sip:a@b SIP/2.0", start));
        assert_eq!(with("BYE  sip:a@b SIP/2.0"), Err(GuardError::StartLine));
        assert_eq!(with("BYE sip:a@b SIP/2.0 "), Err(GuardError::StartLine));
        assert_eq!(with("BYE sip:a@b HTTP/1.1"), Err(GuardError::StartLine));
        assert_eq!(with("BYE sip:a@b SIP/3.0"), Err(GuardError::Version));
        assert_eq!(with("B@E sip:a@b SIP/2.0"), Err(GuardError::StartLine));
        assert_eq!(with("SIP/2.0 99 Odd"), Err(GuardError::StartLine));
        assert_eq!(with("SIP/2.0 0200 OK"), Err(GuardError::StartLine));
        assert_eq!(with("SIP/2.0 700 Odd"), Err(GuardError::StartLine));
        assert_eq!(with("ACK sip:a@b SIP/2.0"), Err(GuardError::MethodMismatch));
        assert!(with("BYE sip:a@b sip/2.0").is_ok());
        assert!(with("SIP/2.0 200").is_ok());
    }

    #[test]
    fn errors_say_what_the_peer_is_told() {
        let long = format!("BYE sip:{}@b SIP/2.0", "u".repeat(REQUEST_URI_BYTES_MAX));
        let error = read(&bye("", "").replace("BYE sip:a@b SIP/2.0", &long)).unwrap_err();
        assert_eq!(error.status(), StatusCode::REQUEST_URI_TOO_LONG);
        assert_eq!(GuardError::Version.status(), StatusCode::VERSION_NOT_SUPPORTED);
        let error = read(&bye("", &"b".repeat(MESSAGE_BYTES_MAX))).unwrap_err();
        assert_eq!(error.status(), StatusCode::MESSAGE_TOO_LARGE);
        assert_eq!(GuardError::Missing("To").status(), StatusCode::BAD_REQUEST);
    }
}
