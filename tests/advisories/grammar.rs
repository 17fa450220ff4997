//! Messages that break the grammar: B3, B4, B5, B7, B8, B12.

use bytes::Bytes;
use serde_json::json;
use sip::message::{Message, parse};

use crate::rig::*;

/// Ways to write a name so that a careless reader sees another one, or none.
#[test]
fn b3_no_header_reaches_the_engine_or_the_other_leg_but_those_on_the_lists() {
    let mut rig = Rig::with("headers_in = [\"X-Listed\"]", "headers_out = [\"X-Listed\"]");
    let mutations = [
        "X-Secret : s\r\n",
        "X-Secret\t: s\r\n",
        "x-SECRET:s\r\n",
        "X-Secret:\r\n s\r\n",
        "X-Listed: a\r\n X-Secret: s\r\n",
        "X-Listed: a, X-Secret: s\r\n",
        "X-Secret\u{b}: s\r\n",
        "X-Secret\0: s\r\n",
        "X-Listed: a\rX-Secret: s\r\n",
        "X-Listed: a\nX-Secret: s\r\n",
        " X-Secret: s\r\n",
        "P-Asserted-Identity : <sip:+49301111111@10.0.1.1>\r\n",
        "P-Asserted-Identity\u{a0}: <sip:+49301111111@10.0.1.1>\r\n",
        "Remote-Party-ID: <sip:+49301111111@10.0.1.1>\r\n",
    ];
    for (number, headers) in mutations.iter().enumerate() {
        let before = rig.events.len();
        rig.udp(CARRIER, invite(CARRIER, &format!("b3{number}"), headers, SDP));
        let fresh: Vec<_> = rig.events[before..].to_vec();
        for event in fresh.iter().filter(|event| event["type"] == "leg.incoming") {
            let told = event["data"]["headers"].to_string();
            let names: Vec<_> = event["data"]["headers"]
                .as_object()
                .into_iter()
                .flatten()
                .collect();
            assert!(
                names
                    .iter()
                    .all(|(name, _)| name.eq_ignore_ascii_case("X-Listed")),
                "{headers:?}: {told}"
            );
            assert_eq!(event["data"]["from"]["number"], "+4930987654", "{headers:?}");
            // Out to the other trunk goes only what the router says.
            let dialled =
                json!({"to": "sip:agent@10.0.3.1:5060", "trunk": "other", "call": event["call"].clone()});
            let sent = rig.sent.len();
            let _ = rig.request("leg.dial", &dialled);
            for (_, text) in &rig.sent[sent..] {
                assert!(
                    !text.contains("\nX-Secret") && !text.contains("1111111"),
                    "{headers:?}: {text}"
                );
            }
        }
    }
    rig.assert_alive();
}

#[test]
fn b4_an_invalid_via_is_refused_or_dropped_and_makes_no_state() {
    let mut rig = Rig::new();
    let good = format!("Via: SIP/2.0/UDP {CARRIER};branch=z9hG4bKvia");
    for via in [
        "Via: ",
        "Via: SIP/2.0/UDP",
        "Via: SIP/2.0/UDP ;branch=z9hG4bKvia",
        "Via: SIP/2.0/UDP 10.0.1.1:99999;branch=z9hG4bKvia",
        "Via: SIP/2.0/UDP 10.0.1.1:;branch=z9hG4bKvia",
        "Via: SIP/2.0/UDP [::1;branch=z9hG4bKvia",
        "Via: SIP/2.0/UDP 10.0.1.1;branch",
        "Via: SIP/2.0/UDP 10.0.1.1;branch=",
        "Via: SIP/2.0/UDP 10.0.1.1;branch=a;branch=b",
        "Via: SIP/2.0/UDP 10.0.1.1;=x",
        "Via: /2.0/UDP 10.0.1.1;branch=z9hG4bKvia",
        "Via: SIP/2.0/UDP 10.0.1.1;received=\"",
        "Via: SIP/2.0/UDP 10.0.1.1;rport=70000",
        "Via: SIP/2.0/UDP 10.0.1.1;branch=z9hG4bKvia,",
        "Via: ,SIP/2.0/UDP 10.0.1.1;branch=z9hG4bKvia",
    ] {
        let text = request("OPTIONS", CARRIER, "via", "", "").replace(&good, via);
        assert!(text.contains(via), "{via}");
        let came = rig.udp(CARRIER, text);
        assert!(
            matches!(status(&came), None | Some(400)),
            "{via}: {:?}",
            lines(&came)
        );
    }
    assert!(rig.is_at_rest());
    rig.assert_alive();
}

#[test]
fn b5_two_to_an_empty_tag_or_an_open_quote_are_refused() {
    let mut rig = Rig::new();
    let to = "To: <sip:+4930123456@10.0.0.1>";
    for broken in [
        "To: <sip:a@10.0.0.1>\r\nTo: <sip:b@10.0.0.1>",
        "To: <sip:a@10.0.0.1>\r\nt: <sip:b@10.0.0.1>",
        "To: <sip:a@10.0.0.1>;tag=",
        "To: <sip:a@10.0.0.1>;tag=a;tag=b",
        "To: \"open <sip:a@10.0.0.1>",
        "To: \"open\\\" <sip:a@10.0.0.1>",
        "To: <sip:a@10.0.0.1",
        "To: <sip:a@10.0.0.1>>",
        "To: <<sip:a@10.0.0.1>",
        "To: ",
        "To: <>",
        "To: <sip:a@10.0.0.1>, <sip:b@10.0.0.1>",
    ] {
        let text = invite(CARRIER, "to", "", SDP).replace(to, broken);
        assert!(text.contains(broken), "{broken}");
        let came = rig.udp(CARRIER, text);
        assert!(
            matches!(status(&came), None | Some(400)),
            "{broken}: {:?}",
            lines(&came)
        );
    }
    assert_eq!(rig.of("leg.incoming").len(), 0);
    assert!(rig.is_at_rest());
    rig.assert_alive();
}

/// A host that is no host is refused where it stands; none is ever looked up.
#[test]
fn b7_odd_uris_are_refused_and_never_looked_up() {
    let mut rig = Rig::new();
    let hosts = [
        ".1",
        "[.1]",
        "[::1",
        "[fe80::1%eth0]",
        "a%00b",
        "%00",
        "[]",
        "1.2.3.4.5.",
        "a..b",
        "-a-",
        "[1.2.3.4]",
    ];
    for (number, host) in hosts.iter().enumerate() {
        for place in ["Request-URI", "Contact", "Record-Route", "Route"] {
            let branch = format!("uri{number}{}", place.len());
            let text = invite(CARRIER, &branch, "", SDP);
            let text = match place {
                "Request-URI" => text.replacen("sip:+4930123456@10.0.0.1", &format!("sip:x@{host}"), 1),
                "Contact" => text.replace(&format!("<sip:peer@{CARRIER}>"), &format!("<sip:x@{host}>")),
                other => text.replace(
                    "Content-Type:",
                    &format!("{other}: <sip:{host};lr>\r\nContent-Type:"),
                ),
            };
            let came = rig.udp(CARRIER, &text);
            let told = status(&came);
            let event = rig
                .events
                .iter()
                .rev()
                .find(|event| event["type"] == "leg.incoming");
            if let Some(leg) = event.map(|event| event["leg"].clone()) {
                // Let in, it is answered to the packet's source and ended where the trunk is, or not at all.
                rig.request("leg.answer", &json!({"leg": leg.clone()}));
                rig.request("leg.hangup", &json!({ "leg": leg }));
            }
            assert!(told.is_some() || came.is_empty(), "{host} in {place}");
        }
    }
    let elsewhere = rig.sent.iter().find(|(flow, _)| flow.remote != address(CARRIER));
    assert!(elsewhere.is_none(), "{elsewhere:?}");
    rig.run_for(std::time::Duration::from_secs(100));
    assert!(rig.is_at_rest());
    rig.assert_alive();
}

#[test]
fn b8_multipart_with_bad_boundaries_is_a_body_without_an_offer_or_refused() {
    let mut rig = Rig::new();
    let part = format!("Content-Type: application/sdp\r\n\r\n{SDP}");
    let deep = "--b\r\nContent-Type: multipart/mixed;boundary=b\r\n\r\n".repeat(500);
    for (number, (kind, body)) in [
        ("multipart/mixed", format!("--b\r\n{part}\r\n--b--")),
        ("multipart/mixed;boundary=", format!("--\r\n{part}\r\n----")),
        ("multipart/mixed;boundary=\"", format!("--b\r\n{part}\r\n--b--")),
        (
            "multipart/mixed;boundary=b;boundary=c",
            format!("--c\r\n{part}\r\n--c--"),
        ),
        ("multipart/mixed;boundary=b", String::new()),
        ("multipart/mixed;boundary=b", "--b".to_owned()),
        ("multipart/mixed;boundary=b", "--b--".to_owned()),
        ("multipart/mixed;boundary=b", format!("--b\r\n{part}")),
        ("multipart/mixed;boundary=b", "--b\r\n".repeat(10_000)),
        ("multipart/mixed;boundary=b", deep),
        (
            "multipart/mixed;boundary=b",
            format!("--b\r\n{}\r\n--b--", "X: y\r\n".repeat(5_000)),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let text = request(
            "INVITE",
            CARRIER,
            &format!("part{number}"),
            &format!("Content-Type: {kind}\r\n"),
            &body,
        );
        let came = rig.udp(CARRIER, text);
        let told = status(&came);
        assert!(
            matches!(told, Some(100 | 400 | 413 | 415 | 488) | None),
            "{number} {kind}: {told:?}"
        );
    }
    rig.run_for(std::time::Duration::from_secs(100));
    assert!(rig.is_at_rest());
    rig.assert_alive();
}

/// Mutations of good messages, sent to the whole stack: whatever is answered can be read again, and belongs to
/// what was asked.
#[test]
fn b12_every_reply_to_a_broken_request_is_itself_valid() {
    let mut rig = Rig::new();
    let mut dice = Dice(0xb12);
    let specials = b"\r\n\t \0:;,<>@\"\\%=[]?/&\x7f\xc3";
    for run in 0..3_000 * factor() {
        let method = ["INVITE", "OPTIONS", "REGISTER", "BYE", "CANCEL", "PRACK"][dice.below(6)];
        let mut bytes = request(
            method,
            CARRIER,
            &format!("b12x{run}"),
            "Content-Type: application/sdp\r\n",
            SDP,
        )
        .into_bytes();
        for _ in 0..1 + dice.below(4) {
            let at = dice.below(bytes.len());
            match dice.below(3) {
                0 => bytes[at] = specials[dice.below(specials.len())],
                1 => bytes.insert(at, specials[dice.below(specials.len())]),
                _ => drop(bytes.drain(at..(at + dice.below(30)).min(bytes.len()))),
            }
        }
        for text in rig.udp(CARRIER, &bytes) {
            let read = parse(&Bytes::from(text.clone().into_bytes()));
            let Ok(Message::Response(response)) = read else {
                panic!("run {run}: {text}\nto {}", String::from_utf8_lossy(&bytes))
            };
            assert!(response.headers.cseq().number <= u32::MAX >> 1);
        }
        if run % 500 == 0 {
            rig.run_for(std::time::Duration::from_secs(100));
        }
    }
    rig.run_for(std::time::Duration::from_secs(100));
    assert!(rig.is_at_rest());
    rig.assert_alive();
}
