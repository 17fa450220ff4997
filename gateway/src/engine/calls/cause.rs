//! Causes: what a SIP status or a Q.850 cause means here, and what we tell the peer.
//!
//! One table for each direction (RFC 3398 §7.2.4.1 and §8.2.6.1, RFC 3326). Pure; knows nothing of
//! legs, trunks or time.

use sip::endpoint::ExtraHeader;
use sip::message::Reason;

use crate::control::protocol::EndReason;

/// How a final answer to our INVITE is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meaning {
    /// Q.850 cause.
    pub q850: u8,
    /// What the router is told.
    pub reason: EndReason,
    /// Whether another target may do better, where the trunk's `route_on` lists the status.
    pub may_route_on: bool,
}

/// Reads a final status of the peer (300-699). `rang` says whether an 18x came before. A 487 is one that no CANCEL of
/// ours asked for.
pub fn of_status(status: u16, rang: bool) -> Meaning {
    use EndReason::*;
    let (q850, reason, may_route_on) = match status {
        300..=399 => (23, Failed, false),
        403 => (21, NotAllowed, true),
        401 | 402 | 407 => (21, NotAllowed, false),
        404 | 485 | 604 => (1, NotFound, false),
        408 if rang => (102, NoAnswer, false),
        408 => (102, Unreachable, true),
        410 => (22, NotFound, false),
        484 => (28, NotFound, false),
        480 => (18, NoAnswer, true),
        486 | 600 => (17, Busy, false),
        488 => (65, Failed, true),
        606 => (65, Failed, false),
        400 | 481 => (41, Failed, false),
        405 => (63, Failed, false),
        406 | 415 | 501 => (79, Failed, false),
        482 | 483 => (25, Failed, false),
        500 => (41, Failed, true),
        502 => (38, Unreachable, true),
        503 => (41, Unreachable, true),
        504 => (102, Unreachable, true),
        603 | 607 | 608 => (21, Rejected, false),
        _ => (127, Failed, false),
    };
    Meaning {
        q850,
        reason,
        may_route_on,
    }
}

/// The Q.850 cause that the Warning headers of a 488 or 606 tell: 65 where what was offered cannot be carried, else 31,
/// as RFC 3398 §8.2.6.1 says; `None` without one, or with another status.
pub fn of_warnings<'a>(status: u16, warnings: impl Iterator<Item = &'a str>) -> Option<u8> {
    if !matches!(status, 488 | 606) {
        return None;
    }
    // RFC 3261 §20.43: a code of three digits, then who says so. 304 and 305: media type or format.
    let codes = warnings.filter_map(|value| value.trim_start().get(..3)?.parse::<u16>().ok());
    let is_bearer = |code: u16| matches!(code, 304 | 305);
    codes.map(|code| if is_bearer(code) { 65 } else { 31 }).max()
}

/// Reads a Q.850 cause of the peer's Reason header; `None`: the status alone decides the reason.
pub fn of_q850(q850: u8) -> Option<EndReason> {
    use EndReason::*;
    match q850 {
        1..=3 | 22 | 23 | 26 | 28 => Some(NotFound),
        16 => Some(Completed),
        17 => Some(Busy),
        18 | 19 => Some(NoAnswer),
        20 | 31 | 34 | 38 | 41 | 42 | 47 | 58 | 88 | 27 | 102 => Some(Unreachable),
        21 => Some(Rejected),
        55 | 57 | 87 => Some(NotAllowed),
        65 | 70 | 29 | 79 | 111 | 127 => Some(Failed),
        _ => None,
    }
}

/// The status for a Q.850 cause that is to be told in SIP.
pub fn status_of_q850(q850: u8) -> u16 {
    match q850 {
        1..=3 | 26 => 404,
        17 => 486,
        18 => 408,
        19 | 20 | 31 => 480,
        21 => 403,
        22 | 23 => 410,
        28 => 484,
        34 | 38 | 41 | 42 | 47 | 58 | 88 => 503,
        55 | 57 | 87 => 403,
        65 | 70 => 488,
        29 | 79 => 501,
        27 => 502,
        102 => 504,
        _ => 500,
    }
}

/// The Q.850 cause that goes with a status we send ourselves.
pub fn q850_of_own_status(status: u16) -> u8 {
    match status {
        403 => 21,
        404 => 1,
        480 => 19,
        484 => 28,
        486 | 600 => 17,
        488 => 65,
        487 => 16,
        603 => 21,
        other => of_status(other, false).q850,
    }
}

/// The Q.850 cause of a BYE or CANCEL of ours that ends a leg for `reason`.
pub fn q850_of_reason(reason: EndReason) -> u8 {
    use EndReason::*;
    match reason {
        Completed | Cancelled | MaxDuration => 16,
        Busy => 17,
        NoAnswer => 19,
        Rejected | NotAllowed => 21,
        NotFound => 1,
        Limit => OVER_A_LIMIT,
        Unreachable | Draining | ControllerLost | Failed => 41,
        MediaTimeout | SessionExpired => 102,
    }
}

/// The reason a refusal by the router stands for, from the status it chose.
pub fn reason_of_own_status(status: u16) -> EndReason {
    use EndReason::*;
    match status {
        486 | 600 => Busy,
        404 | 410 | 484 | 485 | 604 => NotFound,
        403 => NotAllowed,
        408 | 480 => NoAnswer,
        502..=504 => Unreachable,
        488 | 606 | 500 | 501 => Failed,
        _ => Rejected,
    }
}

/// The cause that Reason headers of a request tell (RFC 3326 §2): its Q.850 one, else what its SIP status stands
/// for. A call answered elsewhere is one that was not selected (ITU-T Q.850 §2.2.7.1.20).
pub fn told(reasons: &[Reason]) -> Option<u8> {
    let q850 = reasons.iter().find_map(Reason::q850_cause);
    let of_sip = |reason: &Reason| match reason.cause.filter(|_| reason.is_sip())? {
        200 => Some(ANSWERED_ELSEWHERE),
        487 => Some(q850_of_own_status(487)),
        status @ 300..=699 => Some(of_status(status, false).q850),
        _ => None,
    };
    q850.or_else(|| reasons.iter().find_map(of_sip))
}

/// Q.850 cause 42, switching equipment congestion: over a limit of ours.
pub const OVER_A_LIMIT: u8 = 42;
/// Q.850 cause 26, non-selected user clearing: another branch of the call was answered.
pub const ANSWERED_ELSEWHERE: u8 = 26;

/// The Reason headers of a request or refusal of ours. A CANCEL because of an answer elsewhere says so in SIP's words
/// too, which is what phones look for (RFC 3326 §3.1).
pub fn reason_headers(q850: u8) -> Vec<ExtraHeader> {
    let header = |value: String| ExtraHeader {
        name: "Reason".into(),
        value,
    };
    let mut headers = Vec::with_capacity(2);
    if q850 == ANSWERED_ELSEWHERE {
        headers.push(header(
            "SIP;cause=200;text=\"Call completed elsewhere\"".to_owned(),
        ));
    }
    headers.push(header(reason_header(q850)));
    headers
}

/// A Reason header value (RFC 3326, RFC 6432).
pub fn reason_header(q850: u8) -> String {
    format!("Q.850;cause={q850}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use EndReason::*;

    #[test]
    fn statuses_read_as_rfc_3398_says() {
        let table = [
            (486, 17, Busy),
            (600, 17, Busy),
            (603, 21, Rejected),
            (404, 1, NotFound),
            (484, 28, NotFound),
            (480, 18, NoAnswer),
            (500, 41, Failed),
            (503, 41, Unreachable),
            (504, 102, Unreachable),
            (488, 65, Failed),
            (403, 21, NotAllowed),
            (302, 23, Failed),
            (499, 127, Failed),
        ];
        for (status, q850, reason) in table {
            let meaning = of_status(status, false);
            assert_eq!((meaning.q850, meaning.reason), (q850, reason), "status {status}");
        }
    }

    #[test]
    fn a_warning_says_why_nothing_was_acceptable() {
        for (status, warnings, cause) in [
            (488, &["305 10.0.0.1 \"no codec\""][..], Some(65)),
            (606, &["370 10.0.0.1 \"narrow\""], Some(31)),
            (488, &["399 a \"x\"", "304 a \"y\""], Some(65)),
            (488, &["nothing"], None),
            (488, &[], None),
            (500, &["305 a \"x\""], None),
        ] {
            assert_eq!(
                of_warnings(status, warnings.iter().copied()),
                cause,
                "{warnings:?}"
            );
        }
    }

    #[test]
    fn a_408_after_ringing_is_no_answer_and_stays() {
        assert_eq!(of_status(408, true).reason, NoAnswer);
        assert!(!of_status(408, true).may_route_on);
        assert_eq!(of_status(408, false).reason, Unreachable);
        assert!(of_status(408, false).may_route_on);
    }

    #[test]
    fn reasons_of_both_protocols_are_read_and_q850_goes_first() {
        for (values, cause) in [
            (&["SIP;cause=486"][..], Some(17)),
            (
                &[
                    "SIP;cause=600;text=\"busy everywhere\"",
                    "Q.850;cause=21;location=U",
                ],
                Some(21),
            ),
            (&["sip ;cause=200 ;text=\"Call completed elsewhere\""], Some(26)),
            (&["q.850;cause=16"], Some(16)),
            (&["SIP;cause=180", "Preemption;cause=1"], None),
            (&[], None),
        ] {
            let reasons: Vec<Reason> = values.iter().filter_map(|value| Reason::parse(value)).collect();
            assert_eq!(told(&reasons), cause, "{values:?}");
        }
    }

    #[test]
    fn an_answer_elsewhere_is_said_in_both_protocols() {
        let values = |q850| {
            let headers = reason_headers(q850).into_iter();
            headers.map(|header| header.value).collect::<Vec<_>>()
        };
        assert_eq!(
            values(26),
            [
                "SIP;cause=200;text=\"Call completed elsewhere\"",
                "Q.850;cause=26"
            ]
        );
        assert_eq!(values(16), ["Q.850;cause=16"]);
    }

    #[test]
    fn causes_map_to_statuses_and_reasons() {
        for (q850, status) in [
            (1, 404),
            (17, 486),
            (18, 408),
            (21, 403),
            (34, 503),
            (65, 488),
            (102, 504),
            (99, 500),
        ] {
            assert_eq!(status_of_q850(q850), status, "cause {q850}");
        }
        assert_eq!(of_q850(17), Some(Busy));
        assert_eq!(of_q850(42), Some(Unreachable));
        assert_eq!(of_q850(98), None);
    }
}
