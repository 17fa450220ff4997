//! What points inside, answers of DNS, and text that is no text: B25, B28, B29, B30.

use std::time::Duration;

use gateway::engine::io::Input;
use serde_json::json;
use sip::endpoint::Flow;
use sip::transport::name_cache::Answer;
use sip::transport::target::{Question, QuestionKind, Record};

use crate::rig::*;

/// Ways to write an address of the inside.
const INSIDE: [&str; 12] = [
    "0.0.0.0",
    "127.0.0.1",
    "[::]",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "2130706433",
    "0x7f.1",
    "0177.0.0.1",
    "127.1",
    "localhost",
    "169.254.169.254",
];

#[test]
fn b25_nothing_that_points_inside_is_ever_written_to() {
    let mut rig = Rig::new();
    for (number, inside) in INSIDE.iter().enumerate() {
        for place in ["Via", "Contact", "Record-Route"] {
            let branch = format!("in{number}{place}");
            let text = invite(CARRIER, &branch, "", SDP);
            let text = match place {
                "Via" => text.replace(
                    &format!("SIP/2.0/UDP {CARRIER}"),
                    &format!("SIP/2.0/UDP {inside}:9"),
                ),
                "Contact" => text.replace(
                    &format!("<sip:peer@{CARRIER}>"),
                    &format!("<sip:peer@{inside}:9>"),
                ),
                _ => text.replace(
                    "Content-Type:",
                    &format!("Record-Route: <sip:{inside}:9;lr>\r\nContent-Type:"),
                ),
            };
            let known = rig.of("leg.incoming").len();
            rig.udp(CARRIER, text);
            if let Some(leg) = rig
                .of("leg.incoming")
                .get(known)
                .map(|event| event["leg"].clone())
            {
                let sent = rig.sent.len();
                rig.request("leg.answer", &json!({"leg": leg.clone()}));
                let ok = rig.sent[sent..]
                    .iter()
                    .find(|(_, text)| text.starts_with("SIP/2.0 200"))
                    .map(|(_, text)| text.clone());
                if let Some(ok) = ok {
                    rig.udp(CARRIER, in_dialog("ACK", CARRIER, &branch, &ok, 1));
                }
                rig.request("leg.hangup", &json!({ "leg": leg }));
                rig.run_for(Duration::from_secs(40));
            }
        }
    }
    let outside = rig
        .sent
        .iter()
        .find(|(flow, _)| flow.remote.ip() != address(CARRIER).ip());
    assert!(outside.is_none(), "{outside:?}");
    rig.run_for(Duration::from_secs(100));
    assert!(rig.is_at_rest());
    rig.assert_alive();
}

#[test]
fn b25_media_that_points_inside_is_refused() {
    let mut rig = Rig::new();
    for (number, (family, inside)) in [
        ("IP4", "127.0.0.1"),
        ("IP4", "10.0.0.1"),
        ("IP4", "169.254.169.254"),
        ("IP4", "2130706433"),
        ("IP4", "0177.0.0.1"),
        ("IP4", "127.1"),
        ("IP4", "localhost"),
        ("IP4", "255.255.255.255"),
        ("IP4", "224.0.0.1"),
        ("IP6", "::1"),
        ("IP6", "::ffff:127.0.0.1"),
        ("IP6", "::ffff:10.0.0.1"),
    ]
    .iter()
    .enumerate()
    {
        let sdp = SDP.replace("c=IN IP4 10.0.1.1", &format!("c=IN {family} {inside}"));
        let came = rig.udp(CARRIER, invite(CARRIER, &format!("c{number}"), "", &sdp));
        assert!(
            matches!(status(&came), Some(488 | 400)),
            "{inside}: {:?}",
            lines(&came)
        );
        // Nor is the port for RTCP alone a way in.
        let sdp = format!("{SDP}a=rtcp:9 IN {family} {inside}\r\n");
        let came = rig.udp(CARRIER, invite(CARRIER, &format!("r{number}"), "", &sdp));
        assert!(
            matches!(status(&came), Some(488 | 400 | 100)),
            "{inside}: {:?}",
            lines(&came)
        );
    }
    rig.run_for(Duration::from_secs(100));
    assert!(rig.is_at_rest());
}

/// Tokens that want something fetched, in every setting that there is without certificates at hand.
#[test]
fn b28_an_identity_makes_the_gateway_fetch_and_keep_nothing() {
    let mut rig = Rig::new();
    let token =
        |x5u: &str| format!("eyJhbGciOiJFUzI1NiJ9.eyJpYXQiOjF9.AAAA;info=<{x5u}>;alg=ES256;ppt=shaken");
    let huge = "a".repeat(7_000);
    for (number, value) in [
        token("https://127.0.0.1/10GB.pem"),
        token("http://169.254.169.254/latest"),
        token("file:///etc/passwd"),
        token("https://[::1]:9/"),
        token(&format!("https://{huge}/")),
        ";info=<>".to_owned(),
        "....;info=<https://a/>".to_owned(),
        format!("{huge};info=<https://a/>"),
    ]
    .iter()
    .enumerate()
    {
        let came = rig.udp(
            CARRIER,
            invite(
                CARRIER,
                &format!("id{number}"),
                &format!("Identity: {value}\r\n"),
                SDP,
            ),
        );
        assert_eq!(status(&came), Some(100), "{number}: passed on unfetched");
    }
    let elsewhere = rig.sent.iter().find(|(flow, _)| flow.remote != address(CARRIER));
    assert!(elsewhere.is_none(), "{elsewhere:?}");
    rig.run_for(Duration::from_secs(100));
    assert!(rig.is_at_rest());
}

/// A peer by name whose DNS says what it likes: only addresses of the trunk are ever dialled, and silence ends.
#[test]
fn b29_hostile_answers_of_dns_lead_nowhere() {
    let by_name = "hosts = [\"evil.example\"]\noptions_interval_s = 0\nallow = [\"10.0.3.0/24\"]";
    let plain = "hosts = [\"10.0.3.1:5060\"]\noptions_interval_s = 0\nallow = [\"10.0.3.0/24\"]";
    let mut rig = Rig::edited(|text| text.replace(plain, by_name));
    let mut asked: Vec<Question> = Vec::new();
    let mut dice = Dice(0xb29);
    for _ in 0..50 {
        let reply = rig.request("leg.dial", &json!({"to": "agent", "trunk": "other"}));
        drop(reply);
        rig.run_for(Duration::from_secs(1));
        asked.extend(std::mem::take(&mut rig.lookups));
        assert!(asked.len() < 1_024, "questions are bounded");
        for question in std::mem::take(&mut asked) {
            if let Some(answer) = hostile(&question, &mut dice) {
                rig.handle(Input::LookedUp { question, answer });
            }
        }
    }
    let is_outside = |flow: &Flow| !flow.remote.ip().to_string().starts_with("10.0.3.");
    let outside = rig.sent.iter().find(|(flow, _)| is_outside(flow));
    assert!(outside.is_none(), "{outside:?}");
    rig.run_for(Duration::from_secs(300));
    rig.assert_alive();
}

/// Loops, crowds, addresses of the inside, ports of others, failures, and silence.
fn hostile(question: &Question, dice: &mut Dice) -> Option<Answer> {
    let ttl = Duration::from_secs([0, 1, u64::from(u32::MAX)][dice.below(3)]);
    let crowd = 1 + dice.below(3) * 2_000;
    let one = |dice: &mut Dice| match question.kind {
        QuestionKind::Naptr => Record::Naptr {
            order: 0,
            preference: 0,
            flags: ["s", "u", "\0", ""][dice.below(4)].to_owned(),
            service: ["SIP+D2U", "SIP+D2T", "x"][dice.below(3)].to_owned(),
            replacement: ["evil.example", "_sip._udp.evil.example", ".", ""][dice.below(4)].to_owned(),
        },
        QuestionKind::Srv => Record::Srv {
            priority: dice.below(65_536) as u16,
            weight: dice.below(65_536) as u16,
            port: [0, 22, 5060][dice.below(3)],
            host: [
                "evil.example",
                "_sip._udp.evil.example",
                "localhost",
                &"a.".repeat(200),
            ][dice.below(4)]
            .to_owned(),
        },
        QuestionKind::A | QuestionKind::Aaaa => {
            let inside = [
                "127.0.0.1",
                "0.0.0.0",
                "::1",
                "::ffff:127.0.0.1",
                "169.254.169.254",
                "10.0.0.1",
                "10.0.3.9",
            ];
            Record::Address(inside[dice.below(inside.len())].parse().unwrap())
        }
    };
    match dice.below(6) {
        0 => None,
        1 => Some(Answer::Failed),
        2 => Some(Answer::Known {
            records: Vec::new(),
            ttl,
        }),
        _ => {
            let records = (0..crowd).map(|_| one(dice)).collect();
            Some(Answer::Known { records, ttl })
        }
    }
}

#[test]
fn b30_a_callers_name_stays_one_inert_line_wherever_it_is_told() {
    let mut rig = Rig::new();
    for (number, name) in [
        "a\\\r\nX-Injected: b",
        "a\u{1b}]0;owned\u{7}",
        "\u{202e}gpj.exe",
        "\u{2066}a\u{2069}\u{200b}",
        "=cmd|'/c calc'!A1",
        "+1+1",
        "@SUM(1)",
        "\u{9b}31m",
        "\u{feff}a\u{2028}b",
    ]
    .iter()
    .enumerate()
    {
        let text = invite(CARRIER, &format!("b30{number}"), "", SDP)
            .replace("From: <", &format!("From: \"{name}\" <"));
        rig.udp(CARRIER, text);
    }
    rig.run_for(Duration::from_secs(100));
    assert!(
        rig.of("leg.incoming").len() >= 5,
        "most of them are callers all the same"
    );
    let told = rig
        .events
        .iter()
        .chain(&rig.records)
        .map(|value| value.to_string());
    for shown in told {
        let is_harmful = |c: char| {
            c.is_control()
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
        };
        assert!(!shown.chars().any(is_harmful), "{shown:?}");
        assert!(!shown.contains("X-Injected: b\""), "{shown}");
    }
}
