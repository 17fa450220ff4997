//! Identities as carriers and strangers write them.

use proptest::prelude::*;
use sip::message::{Message, parse};

use super::*;
use crate::config::testing;
use crate::engine::policy::number_policy::NumberForm;

fn numbers() -> TrunkNumbers {
    TrunkNumbers {
        home_country: Some("JP".to_owned()),
        number_in: NumberForm::National,
        ..TrunkNumbers::default()
    }
}

/// An INVITE with these lines in the place of Request-URI, From and further headers.
fn invite(uri: &str, from: &str, headers: &[&str]) -> Option<Request> {
    let more: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let text = format!(
        "INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx\r\nFrom: {from};tag=1\r\nTo: <{uri}>\r\n\
         Call-ID: c\r\nCSeq: 1 INVITE\r\n{more}Content-Length: 0\r\n\r\n"
    );
    match parse(&text.into()) {
        Ok(Message::Request(request)) => Some(request),
        Ok(Message::Response(_)) | Err(_) => None,
    }
}

fn caller_of(is_trusted: bool, from: &str, headers: &[&str]) -> Party {
    let trunk = testing::trunk(&format!("identity_trusted = {is_trusted}"));
    let request = invite("sip:+498001234567@192.0.2.9", from, headers).unwrap();
    caller(&request, &trunk, Reading::Close(&numbers()))
}

#[test]
fn an_asserted_identity_counts_on_a_trusted_trunk_only() {
    let from = "\"Nobody\" <sip:+4930111111@x>";
    let pai = ["P-Asserted-Identity: \"Anna\" <sip:+81312345678@carrier.example>, <tel:+81-3-1234-5678>"];
    let trusted = caller_of(true, from, &pai);
    assert_eq!(
        (trusted.number.as_deref(), trusted.name.as_deref(), trusted.source),
        (
            Some("+81312345678"),
            Some("Anna"),
            Some(NumberSource::PAssertedIdentity)
        )
    );
    let stranger = caller_of(false, from, &pai);
    assert_eq!(
        (
            stranger.number.as_deref(),
            stranger.name.as_deref(),
            stranger.source
        ),
        (Some("+4930111111"), Some("Nobody"), Some(NumberSource::From))
    );
}

#[test]
fn of_several_values_the_first_number_is_taken_and_the_first_name() {
    for headers in [
        &[
            "P-Asserted-Identity: <sip:pbx@carrier.example>",
            "P-Asserted-Identity: <tel:+81312345678>",
        ][..],
        &["P-Asserted-Identity: <tel:03-1234-5678;phone-context=+81>"],
        &["P-Asserted-Identity: tel:+81312345678"],
        &["P-Asserted-Identity: <sip:0312345678@c;user=phone>, \"Desk\" <sip:desk@c>"],
        &["P-Asserted-Identity: ,x y z, <tel:+81312345678>"],
        &["P-Preferred-Identity: <sip:+81312345678@c>"],
        &[
            "P-Preferred-Identity: <sip:+4930123456@c>",
            "P-Asserted-Identity: <sip:+81312345678@c>",
        ],
    ] {
        let party = caller_of(true, "<sip:+4930111111@x>", headers);
        assert_eq!(party.number.as_deref(), Some("+81312345678"), "{headers:?}");
    }
    let named = caller_of(
        true,
        "<sip:x@x>",
        &["P-Asserted-Identity: <tel:+81312345678>, \"Desk\" <sip:desk@c>"],
    );
    assert_eq!(named.name.as_deref(), Some("Desk"));
    let preferred = caller_of(true, "<sip:x@x>", &["P-Preferred-Identity: <sip:+81312345678@c>"]);
    assert_eq!(preferred.source, Some(NumberSource::PPreferredIdentity));
    let unreadable = caller_of(true, "<sip:+4930111111@x>", &["P-Asserted-Identity: <broken"]);
    assert_eq!(unreadable.source, Some(NumberSource::From));
}

#[test]
fn privacy_is_marked_and_hides_nothing_from_us() {
    let pai = "P-Asserted-Identity: <tel:+81312345678>";
    let anonymous = "\"Anonymous\" <sip:anonymous@anonymous.invalid>";
    for privacy in [
        "Privacy: id",
        "Privacy: header;id",
        "Privacy: user",
        "Privacy: ID;critical",
    ] {
        let party = caller_of(true, anonymous, &[pai, privacy]);
        assert_eq!(party.number.as_deref(), Some("+81312345678"), "{privacy}");
        assert_eq!(party.privacy, Some(Privacy::Id), "{privacy}");
    }
    assert_eq!(
        caller_of(true, "<sip:+4930111111@x>", &[pai, "Privacy: none"]).privacy,
        None
    );
    let unknown = caller_of(false, anonymous, &[pai]);
    assert_eq!((unknown.number, unknown.privacy), (None, Some(Privacy::Id)));
}

#[test]
fn every_spelling_of_a_number_is_the_same_number() {
    for uri in [
        "sip:+81312345678@192.0.2.9",
        "sip:+81-3-1234-5678@192.0.2.9;user=phone",
        "sip:0312345678@192.0.2.9;user=phone",
        "sips:+81312345678@192.0.2.9",
        "sip:%2B81312345678@192.0.2.9",
        "tel:+81312345678",
        "tel:+81-(3)-1234.5678",
        "tel:0312345678;phone-context=+81",
        "tel:312345678;phone-context=+81",
        "sip:0312345678;phone-context=+81@192.0.2.9;user=phone",
        "tel:+81312345678;npdi;rn=+81399999999",
        "sip:+81312345678;npdi;rn=+81399999999@192.0.2.9;user=phone",
        "tel:+81312345678;ext=12;isub=1",
    ] {
        let request = invite(uri, "<sip:a@b>", &[]).unwrap();
        let called = called(&request, Reading::Close(&numbers()));
        assert_eq!(called.number.as_deref(), Some("+81312345678"), "{uri}");
        assert!(!called.raw.contains(';'), "{uri}: {}", called.raw);
    }
}

#[test]
fn extension_and_routing_number_are_told_beside_the_number() {
    for (uri, ext, rn) in [
        ("tel:+81312345678;ext=12", Some("12"), None),
        ("sip:+81312345678;ext=12@h;user=phone", Some("12"), None),
        (
            "tel:+12025550123;npdi;rn=+1-202-555-9999",
            None,
            Some("+1-202-555-9999"),
        ),
        (
            "sip:+12025550123;npdi;RN=+12025559999@h",
            None,
            Some("+12025559999"),
        ),
        ("sip:anna;rn=x%0Ay@h", None, None),
    ] {
        let called = called(
            &invite(uri, "<sip:a@b>", &[]).unwrap(),
            Reading::Close(&numbers()),
        );
        assert_eq!((called.ext.as_deref(), called.rn.as_deref()), (ext, rn), "{uri}");
    }
}

#[test]
fn what_is_no_number_keeps_its_text() {
    for (uri, raw) in [
        ("sip:anna@192.0.2.9", "anna"),
        ("sip:anna;x=y@192.0.2.9", "anna;x=y"),
        ("sip:192.0.2.9", "sip:192.0.2.9"),
        ("tel:7042;phone-context=example.com", "7042"),
        ("tel:+1;phone-context=+81", "+1"),
        (
            "sip:0312345678;phone-context=+81;phone-context=+44@h",
            "0312345678",
        ),
        ("urn:service:sos", "urn:service:sos"),
        ("sip:%0d%0aVia@192.0.2.9", "%0d%0aVia"),
        ("sip:a%E2%80%AEb@192.0.2.9", "a%E2%80%AEb"),
    ] {
        let called = called(
            &invite(uri, "<sip:a@b>", &[]).unwrap(),
            Reading::Close(&numbers()),
        );
        assert_eq!((called.number, called.raw.as_str()), (None, raw), "{uri}");
    }
}

#[test]
fn names_are_decoded_and_inert() {
    for (display, name) in [
        ("\"O\\\"Hara, \\\\ Jr.\"", "O\"Hara, \\ Jr."),
        ("Анна", "Анна"),
        ("\"\u{202e}gnp.exe\"", "gnp.exe"),
        ("\"=cmd\\\u{1b}[2J\"", "=cmd[2J"),
    ] {
        let party = caller_of(false, &format!("{display} <sip:a@b>"), &[]);
        assert_eq!(party.name.as_deref(), Some(name), "{display:?}");
    }
}

proptest! {
    /// Whatever a stranger writes, nothing panics, nothing is asserted, and nothing harmful is shown.
    #[test]
    fn no_text_of_a_stranger_asserts_or_harms(display in "\\PC{0,20}", user in "[ -~]{0,24}", value in "[ -~\u{202e}é]{0,60}") {
        let from = format!("\"{}\" <sip:{user}@h>", display.replace(['"', '\\'], ""));
        let headers = [
            format!("P-Asserted-Identity: {value}"), format!("Privacy: {value}"),
            format!("P-Preferred-Identity: <tel:{value}>"), format!("Diversion: {value}"),
        ];
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        if let Some(request) = invite("sip:a@b", &from, &headers) {
            let trunk = testing::trunk("");
            let party = caller(&request, &trunk, Reading::Close(&numbers()));
            prop_assert_eq!(party.source, Some(NumberSource::From));
            prop_assert!(!party.raw.chars().any(inert::is_harmful));
            prop_assert!(!party.name.unwrap_or_default().chars().any(inert::is_harmful));
            let trusted = caller(&request, &testing::trunk("identity_trusted = true"), Reading::Close(&numbers()));
            prop_assert!(trusted.number.is_none_or(|number| number.starts_with('+')));
        }
    }
}
