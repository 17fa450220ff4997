//! Both headers as they are seen in the field, and what we write of them.

use proptest::prelude::*;
use sip::message::{CSeq, CallId, Host, Method, Via, ViaTransport};

use super::*;

fn headers(lines: &[(&str, &str)]) -> Headers {
    let address = NameAddr::parse("<sip:a@b>").unwrap();
    let via = Via::new(
        ViaTransport::Udp,
        Host::parse("192.0.2.1").unwrap(),
        None,
        "z9hG4bKx",
    );
    let cseq = CSeq {
        number: 1,
        method: Method::Invite,
    };
    let call_id = CallId::parse("c").unwrap();
    let mut headers = Headers::new(via, address.clone().with_tag("1"), address, call_id, cseq);
    for (name, value) in lines {
        let _ = headers.push(name, value);
    }
    headers
}

fn of(name: &str, value: &str) -> Option<(Option<String>, RedirectReason, u32)> {
    let found = read(&headers(&[(name, value)]), &TrunkNumbers::default())?;
    Some((found.number, found.reason, found.count))
}

#[test]
fn diversions_are_read() {
    use RedirectReason::*;
    for (value, number, reason, count) in [
        (
            "<sip:+4930111111@c>;reason=user-busy",
            Some("+4930111111"),
            Busy,
            1,
        ),
        (
            "\"Desk\" <tel:+49-30-111111>;reason=\"no-answer\";counter=2",
            Some("+4930111111"),
            NoAnswer,
            2,
        ),
        (
            "<sip:+4930111111@c>;reason=time-of-day;counter=1, <sip:+4930222222@c>;counter=4",
            Some("+4930111111"),
            Unknown,
            5,
        ),
        (
            "<sip:+4930111111@c>;reason=unconditional;counter=6;privacy=full;screen=yes",
            Some("+4930111111"),
            Unconditional,
            6,
        ),
        ("sip:desk@c;reason=out-of-service;counter=0", None, Unavailable, 1),
        (
            "<sip:+4930111111@c>;counter=99999999999",
            Some("+4930111111"),
            Unknown,
            1,
        ),
    ] {
        let expected = Some((number.map(str::to_owned), reason, count));
        assert_eq!(of("Diversion", value), expected, "{value}");
    }
    assert_eq!(of("Diversion", "<broken"), None);
    let private = read(
        &headers(&[("Diversion", "<tel:+4930111111>;privacy=full")]),
        &TrunkNumbers::default(),
    );
    assert_eq!(private.unwrap().privacy, Some(Privacy::Id));
}

#[test]
fn histories_are_read() {
    use RedirectReason::*;
    for (value, number, reason, count) in [
        // RFC 7544 §4.1: the cause stands at the target that the call was sent on to.
        (
            "<sip:+4930111111@c>;index=1, <sip:+4930222222@c;cause=302>;index=1.1;mp=1",
            "+4930111111",
            Unconditional,
            1,
        ),
        (
            "<sip:+4930111111@c>;index=1,<sip:+4930222222@c;cause=486>;index=1.1,<sip:+4930333333@c;cause=408>;index=1.1.1",
            "+4930222222",
            NoAnswer,
            2,
        ),
        // The Reason stands at the one that was left, escaped, or as Teams writes it.
        (
            "<sip:+4930111111@c?Reason=SIP%3Bcause%3D302>;index=1, <sip:+4930222222@c>;index=1.1",
            "+4930111111",
            Unconditional,
            1,
        ),
        (
            "<sip:+4930111111@c:5061;user=phone?Reason=sip;cause=480;text=\"Away, now\">;index=1, <sip:+4930222222@c>;index=1.1",
            "+4930111111",
            Deflection,
            1,
        ),
        (
            "<sip:+4930111111@c>;index=1, <sip:+4930222222@c>;index=1.1;mp=1",
            "+4930111111",
            Unknown,
            1,
        ),
        (
            "<sip:+4930111111@c?Privacy=history>;index=1, <tel:+4930222222;cause=503>;index=1.1",
            "+4930111111",
            Unavailable,
            1,
        ),
    ] {
        let expected = Some((Some(number.to_owned()), reason, count));
        assert_eq!(of("History-Info", value), expected, "{value}");
    }
    for value in [
        "<sip:+4930111111@c>;index=1",
        "<sip:+4930111111@c>;index=1, <sip:+4930111111@proxy>;index=1.1;rc=1",
        "<sip:+4930111111@c?Reason=SIP%3Bcause%3D486>;index=1",
        "broken",
    ] {
        assert_eq!(of("History-Info", value), None, "{value}");
    }
}

#[test]
fn of_both_headers_the_greater_count_is_believed() {
    let history = "<sip:+4930111111@c>;index=1, <sip:+4930222222@c;cause=302>;index=1.1, <sip:+1@c;cause=302>;index=1.1.1";
    let both = |counter: u32| {
        let diversion = format!("<sip:+4930999999@c>;counter={counter}");
        read(
            &headers(&[("Diversion", &diversion), ("History-Info", history)]),
            &TrunkNumbers::default(),
        )
        .unwrap()
    };
    assert_eq!(both(1).number.as_deref(), Some("+4930222222"));
    assert_eq!(both(2).number.as_deref(), Some("+4930999999"));
}

fn path() -> [Diverter; 2] {
    let diverter = |uri: Option<&str>, reason, count| Diverter {
        uri: uri.map(str::to_owned),
        reason,
        count,
    };
    [
        diverter(Some("sip:+4930111111@gw"), RedirectReason::NoAnswer, 2),
        diverter(None, RedirectReason::Unconditional, 1),
    ]
}

#[test]
fn diversions_are_written_newest_first() {
    assert_eq!(
        diversions(&path()),
        [
            "<sip:anonymous@anonymous.invalid>;reason=unconditional;counter=1;privacy=full",
            "<sip:+4930111111@gw>;reason=no-answer;counter=2;privacy=off",
        ]
    );
}

#[test]
fn a_history_names_every_redirect_and_ends_at_the_target() {
    assert_eq!(
        histories(&path(), "sip:+81312345678@192.0.2.1:5060"),
        "<sip:unknown@unknown.invalid>;index=1, <sip:+4930111111@gw;cause=404>;index=1.1;mp=1, \
         <sip:anonymous@anonymous.invalid;cause=408>;index=1.1.1;mp=1.1, \
         <sip:+81312345678@192.0.2.1:5060;cause=302>;index=1.1.1.1;mp=1.1.1"
    );
}

#[test]
fn what_we_write_we_read_with_its_count() {
    for (name, value) in [
        ("Diversion", diversions(&path()).join(", ")),
        ("History-Info", histories(&path(), "sip:+81312345678@h")),
    ] {
        let again = of(name, &value).unwrap();
        assert_eq!(again, (None, RedirectReason::Unconditional, 3), "{name}");
    }
}

proptest! {
    #[test]
    fn no_value_panics(value in "[ -~]{0,120}") {
        let _ = of("Diversion", &value);
        let _ = of("History-Info", &value);
    }

    #[test]
    fn no_shape_of_entries_panics(entries in proptest::collection::vec(("[a-c0-9+]{1,4}", "(;cause=[0-9]{1,3})?", "(;index=[1.]{1,5})?", "(;mp=[1.]{1,3})?", "(.Reason=SIP%3Bcause%3D[0-9]{3})?"), 0..6)) {
        let value: Vec<String> = entries.iter().map(|(user, cause, index, mp, reason)| format!("<sip:{user}@h{cause}{reason}>{index}{mp}")).collect();
        if let Some((_, _, count)) = of("History-Info", &value.join(",")) {
            prop_assert!(count as usize <= value.len());
        }
    }
}
