//! What is refused before any session hears of it (RFC 3261 §8.2, §16.3).
//!
//! Pure functions over one request. Must not know tables or flows.

use super::policy::{Policy, Support, TIMER};
use crate::dialog::action::SDP;
use crate::message::info_digit::{DIGIT_BODIES, InfoDigit, is_digit_body};
use crate::message::{MediaType, Method, Request, Scheme, StatusCode, is_optional};

/// A refusal with the one header that explains it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub status: StatusCode,
    pub header: Option<(&'static str, String)>,
}

/// Methods that are always taken.
const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, PRACK, UPDATE, NOTIFY";
/// The header of our hop mark.
pub const HOP_HEADER: &str = "X-Hop";

/// How often our own mark may stand in an INVITE before it is a loop.
const HOP_MARKS_MAX: usize = 2;

/// Methods taken from a source: REFER by its policy, REGISTER where its domain has a registrar.
pub(crate) fn allow(policy: &Policy, takes_register: bool) -> String {
    let refer = if policy.takes_refer { ", REFER" } else { "" };
    let register = if takes_register { ", REGISTER" } else { "" };
    format!("{ALLOW}{refer}{register}")
}

/// Checks a request outside a dialog, in the order of RFC 3261 §8.2.
pub(super) fn outside_dialog(
    request: &Request,
    policy: &Policy,
    hop_mark: &str,
    takes_register: bool,
) -> Result<(), Refusal> {
    check_method(request, policy, takes_register)?;
    match request.method {
        Method::Invite | Method::Options | Method::Register => {}
        // A subscription of its own is not made here (RFC 7647 §5: REFER belongs into the dialog).
        Method::Refer => return Err(plain(StatusCode::DECLINE)),
        // They name a dialog or nothing.
        _ => return Err(plain(StatusCode::CALL_DOES_NOT_EXIST)),
    }
    match request.uri.scheme() {
        Scheme::Sip | Scheme::Sips | Scheme::Tel => {}
        // An emergency service by its name (RFC 5031).
        Scheme::Urn if request.uri.is_emergency_service() => {}
        Scheme::Urn | Scheme::Extension(_) => return Err(plain(StatusCode::UNSUPPORTED_URI_SCHEME)),
    }
    check_extensions(request, policy)?;
    check_replaces(request, request.method == Method::Invite)?;
    if request.method == Method::Invite {
        check_missing(request, policy)?;
        check_interval(request, policy)?;
        check_body(request)?;
        check_accept(request)?;
        check_contact(request)?;
        check_hops(request, hop_mark)?;
    }
    Ok(())
}

/// Checks a request inside a dialog.
pub(super) fn inside_dialog(request: &Request, policy: &Policy) -> Result<(), Refusal> {
    // A REFER that is not taken is refused in its session, so that the owner hears of it.
    if request.method != Method::Refer {
        check_method(request, policy, false)?;
    }
    check_extensions(request, policy)?;
    check_replaces(request, false)?;
    match request.method {
        Method::Invite | Method::Update => {
            check_interval(request, policy)?;
            check_body(request)
        }
        Method::Prack => check_body(request),
        Method::Info => check_info(request),
        _ => Ok(()),
    }
}

/// No Info Package is spoken (RFC 6086 §4.2.2: 469 and which are, none); of the older use the bodies that carry
/// digits are taken, and an empty one; one that names no digit is told 400.
fn check_info(request: &Request) -> Result<(), Refusal> {
    if request.headers.has("Info-Package") {
        return Err(Refusal {
            status: StatusCode::BAD_INFO_PACKAGE,
            header: Some(("Recv-Info", String::new())),
        });
    }
    if request.body.is_empty() {
        return Ok(());
    }
    match request.content_type().filter(is_digit_body) {
        Some(kind) if InfoDigit::parse(&kind, &request.body).is_some() => Ok(()),
        Some(_) => Err(plain(StatusCode::BAD_REQUEST)),
        None => Err(Refusal {
            status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
            header: Some(("Accept", DIGIT_BODIES.join(", "))),
        }),
    }
}

fn plain(status: StatusCode) -> Refusal {
    Refusal { status, header: None }
}

/// RFC 3261 §8.2.1: a method not supported is told 405 with Allow, known by name or not.
fn check_method(request: &Request, policy: &Policy, takes_register: bool) -> Result<(), Refusal> {
    match request.method {
        Method::Register if takes_register => Ok(()),
        Method::Refer | Method::Subscribe if policy.takes_refer => Ok(()),
        Method::Invite
        | Method::Ack
        | Method::Bye
        | Method::Cancel
        | Method::Options
        | Method::Info
        | Method::Prack
        | Method::Update
        // Belongs to a subscription; where there is none, 481 follows (RFC 6665 §4.1.3).
        | Method::Notify => Ok(()),
        Method::Register
        | Method::Refer
        | Method::Subscribe
        | Method::Message
        | Method::Publish
        | Method::Extension(_) => Err(Refusal {
            status: StatusCode::METHOD_NOT_ALLOWED,
            header: Some(("Allow", allow(policy, takes_register))),
        }),
    }
}

/// RFC 3261 §8.2.2.3.
fn check_extensions(request: &Request, policy: &Policy) -> Result<(), Refusal> {
    let mut required = request.headers.require();
    required.retain(|tag| !policy.speaks(tag));
    if required.is_empty() {
        return Ok(());
    }
    Err(Refusal {
        status: StatusCode::BAD_EXTENSION,
        header: Some(("Unsupported", required.join(", "))),
    })
}

/// RFC 3891 §3: Replaces stands in an INVITE that begins a dialog, and nowhere else.
fn check_replaces(request: &Request, may_have: bool) -> Result<(), Refusal> {
    if may_have || !request.headers.has("Replaces") {
        return Ok(());
    }
    Err(plain(StatusCode::BAD_REQUEST))
}

/// RFC 3261 §21.4.16: an INVITE must offer what its network's policy requires.
fn check_missing(invite: &Request, policy: &Policy) -> Result<(), Refusal> {
    let missing = policy.missing(&invite.headers);
    if missing.is_empty() {
        return Ok(());
    }
    Err(Refusal {
        status: StatusCode::EXTENSION_REQUIRED,
        header: Some(("Require", missing)),
    })
}

/// RFC 4028 §9: a session interval below ours is told 422, if the peer knows what that means.
fn check_interval(request: &Request, policy: &Policy) -> Result<(), Refusal> {
    let (headers, timer) = (&request.headers, &policy.timer);
    let is_spoken = timer.support != Support::Off && headers.offers_option(TIMER);
    let is_short = headers
        .session_expires()
        .is_some_and(|asked| asked.interval_s < timer.min_s);
    if !(is_spoken && is_short) {
        return Ok(());
    }
    Err(Refusal {
        status: StatusCode::SESSION_INTERVAL_TOO_SMALL,
        header: Some(("Min-SE", timer.min_s.to_string())),
    })
}

/// Where a caller is (RFC 6442 §3.1): nobody must understand it to take a call, least of all one for help.
const PLACE: &str = "application/pidf+xml";

/// RFC 3261 §8.2.3: SDP, unencoded, alone or beside parts that need not be understood; or nothing; an optional body may be
/// anything.
fn check_body(request: &Request) -> Result<(), Refusal> {
    let headers = &request.headers;
    let is_optional = headers.get("Content-Disposition").is_some_and(is_optional);
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
    if request.is_understood_as(SDP, &[PLACE]) {
        return Ok(());
    }
    Err(Refusal {
        status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
        header: Some(("Accept", SDP.to_owned())),
    })
}

/// RFC 4475 §3.3.15: the answer will be SDP, so a caller that would not take it is told at once (RFC 3261 §20.1: no
/// Accept means SDP, an empty one nothing). A range that cannot be read shuts nothing out.
fn check_accept(invite: &Request) -> Result<(), Refusal> {
    let takes_sdp = |range: &str| {
        MediaType::parse(range).map_or(true, |kind| {
            [SDP, "application/*", "*/*"].iter().any(|taken| kind.is(taken))
        })
    };
    let headers = &invite.headers;
    if !headers.has("Accept") || headers.values("Accept").any(takes_sdp) {
        return Ok(());
    }
    Err(plain(StatusCode::NOT_ACCEPTABLE))
}

/// RFC 3261 §8.1.1.8: without the one URI that the dialog's requests go to, there is no dialog. An element of RFC 2543
/// need give none.
fn check_contact(invite: &Request) -> Result<(), Refusal> {
    // Each was read on its way in.
    let contacts = invite.headers.values("Contact").filter(|contact| *contact != "*");
    match contacts.count() {
        1 => Ok(()),
        0 if !invite.headers.via().is_branch_unique() => Ok(()),
        _ => Err(Refusal {
            status: StatusCode::BAD_REQUEST,
            header: Some((
                "Warning",
                "399 gateway \"an INVITE needs one Contact\"".to_owned(),
            )),
        }),
    }
}

/// RFC 3261 §16.3: this endpoint passes calls on, so it counts hops as a proxy does. Only INVITE is passed
/// on; other requests end here whatever Max-Forwards says (RFC 4475 §3.3.11). A call may pass here twice, as
/// one that a carrier sends back for a number of ours does; the third time it is a loop.
fn check_hops(request: &Request, hop_mark: &str) -> Result<(), Refusal> {
    let headers = &request.headers;
    if headers
        .values(HOP_HEADER)
        .filter(|mark| *mark == hop_mark)
        .count()
        >= HOP_MARKS_MAX
    {
        return Err(plain(StatusCode::LOOP_DETECTED));
    }
    if headers.max_forwards() == Some(0) {
        return Err(plain(StatusCode::TOO_MANY_HOPS));
    }
    Ok(())
}
