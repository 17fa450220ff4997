//! What is refused before any session hears of it (RFC 3261 §8.2, §16.3).
//!
//! Pure functions over one request. Must not know tables or flows.

use crate::dialog::action::SDP;
use crate::message::{Method, Request, Scheme, StatusCode};

/// A refusal with the one header that explains it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub status: StatusCode,
    pub header: Option<(&'static str, String)>,
}

/// Methods this endpoint takes.
pub(super) const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO";
/// Option tags it understands: none so far.
pub(super) const SUPPORTED: &str = "";
/// The header of our hop mark.
pub(super) const HOP_HEADER: &str = "X-Hop";

/// Methods taken from a source, REGISTER where its domain has a registrar.
pub(super) fn allow(takes_register: bool) -> String {
    match takes_register {
        true => format!("{ALLOW}, REGISTER"),
        false => ALLOW.to_owned(),
    }
}

/// Checks a request outside a dialog, in the order of RFC 3261 §8.2.
pub(super) fn outside_dialog(request: &Request, hop_mark: &str, takes_register: bool) -> Result<(), Refusal> {
    check_method(request, takes_register)?;
    match request.method {
        Method::Invite | Method::Options | Method::Register => {}
        // They name a dialog or nothing.
        _ => return Err(plain(StatusCode::CALL_DOES_NOT_EXIST)),
    }
    match request.uri.scheme() {
        Scheme::Sip | Scheme::Sips | Scheme::Tel => {}
        Scheme::Urn | Scheme::Extension(_) => return Err(plain(StatusCode::UNSUPPORTED_URI_SCHEME)),
    }
    check_extensions(request)?;
    if request.method == Method::Invite {
        check_body(request)?;
        check_hops(request, hop_mark)?;
    }
    Ok(())
}

/// Checks a request inside a dialog.
pub(super) fn inside_dialog(request: &Request) -> Result<(), Refusal> {
    check_method(request, false)?;
    check_extensions(request)?;
    match request.method {
        Method::Invite => check_body(request),
        _ => Ok(()),
    }
}

fn plain(status: StatusCode) -> Refusal {
    Refusal { status, header: None }
}

/// RFC 3261 §8.2.1: a method not supported is told 405 with Allow, known by name or not.
fn check_method(request: &Request, takes_register: bool) -> Result<(), Refusal> {
    match request.method {
        Method::Register if takes_register => Ok(()),
        Method::Invite
        | Method::Ack
        | Method::Bye
        | Method::Cancel
        | Method::Options
        | Method::Info
        // Belongs to a subscription, and there is none (RFC 6665 §4.1.3): 481 follows.
        | Method::Notify => Ok(()),
        Method::Register
        | Method::Prack
        | Method::Update
        | Method::Refer
        | Method::Subscribe
        | Method::Message
        | Method::Publish
        | Method::Extension(_) => Err(Refusal {
            status: StatusCode::METHOD_NOT_ALLOWED,
            header: Some(("Allow", allow(takes_register))),
        }),
    }
}

/// RFC 3261 §8.2.2.3.
fn check_extensions(request: &Request) -> Result<(), Refusal> {
    let unknown = request.headers.require().join(", ");
    if unknown.is_empty() {
        return Ok(());
    }
    Err(Refusal {
        status: StatusCode::BAD_EXTENSION,
        header: Some(("Unsupported", unknown)),
    })
}

/// RFC 3261 §8.2.3: SDP, unencoded, or nothing; an optional body may be anything.
fn check_body(request: &Request) -> Result<(), Refusal> {
    let headers = &request.headers;
    let is_optional = headers.get("Content-Disposition").is_some_and(|value| {
        value
            .to_ascii_lowercase()
            .replace([' ', '\t'], "")
            .contains("handling=optional")
    });
    if request.body.is_empty() || is_optional {
        return Ok(());
    }
    let is_encoded = headers
        .values("Content-Encoding")
        .any(|one| !one.eq_ignore_ascii_case("identity"));
    if is_encoded {
        return Err(Refusal {
            status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
            header: Some(("Accept-Encoding", "identity".to_owned())),
        });
    }
    if request.content_type().is_some_and(|kind| kind.is(SDP)) {
        return Ok(());
    }
    Err(Refusal {
        status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
        header: Some(("Accept", SDP.to_owned())),
    })
}

/// RFC 3261 §16.3: this endpoint passes calls on, so it counts hops as a proxy does. Only INVITE is passed
/// on; other requests end here whatever Max-Forwards says (RFC 4475 §3.3.11).
fn check_hops(request: &Request, hop_mark: &str) -> Result<(), Refusal> {
    let headers = &request.headers;
    if headers.values(HOP_HEADER).any(|mark| mark == hop_mark) {
        return Err(plain(StatusCode::LOOP_DETECTED));
    }
    if headers.max_forwards() == Some(0) {
        return Err(plain(StatusCode::TOO_MANY_HOPS));
    }
    Ok(())
}
