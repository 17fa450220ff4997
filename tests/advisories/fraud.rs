//! Toll fraud through a trunk or a router: C8.

use serde_json::json;

use crate::rig::*;

#[test]
fn c8_each_limit_that_fraud_meets_refuses_with_an_event() {
    let limits = "calls = 3\ncalls_per_second = 10000";
    let mut rig = Rig::with(limits, limits);
    // Too many calls of the carrier at once.
    for number in 0..5 {
        rig.udp(CARRIER, invite(CARRIER, &format!("c8{number}"), "", SDP));
    }
    assert_eq!(rig.of("leg.incoming").len(), 3);
    let refused = rig.of("call.refused");
    assert_eq!(refused.len(), 2);
    for event in refused {
        assert_eq!(event["data"]["rule"], "trunk:carrier.calls", "{event}");
        assert_eq!(event["data"]["limit"], 3, "{event}");
    }
    let records = rig
        .records
        .iter()
        .filter(|record| record.to_string().contains("trunk:carrier.calls"));
    assert_eq!(records.count(), 2, "each refused call has its record");

    // Numbers that cost: denied prefixes, kinds, countries, however they are written.
    for number in [
        "+447911123456",
        "+449012345678",
        "+19005551234",
        "+88316123456",
        "+18765551234",
    ] {
        for to in [
            number.to_owned(),
            format!("tel:{number}"),
            format!("sip:{number}@10.0.3.1"),
            format!("sip:%2B{}@10.0.3.1;user=phone", &number[1..]),
        ] {
            let sent = rig.sent.len();
            let reply = rig.request("leg.dial", &json!({"to": to, "trunk": "carrier"}));
            let kind = reply["error"]["data"]["kind"].as_str().unwrap_or_default();
            assert!(
                matches!(kind, "destination_not_allowed" | "number_invalid"),
                "{to}: {reply}"
            );
            assert!(
                rig.sent[sent..]
                    .iter()
                    .all(|(_, text)| !text.starts_with("INVITE")),
                "{to}"
            );
        }
    }
    // Too many calls of the router at once: each trunk has its own count.
    let dial = json!({"to": "sip:agent@10.0.3.1:5060", "trunk": "other"});
    let kinds: Vec<String> = (0..5)
        .map(|_| {
            rig.request("leg.dial", &dial)["error"]["data"]["kind"]
                .as_str()
                .unwrap_or("none")
                .to_owned()
        })
        .collect();
    assert_eq!(kinds, ["none", "none", "none", "limit_calls", "limit_calls"]);
}

#[test]
fn c8_calls_a_second_of_a_trunk_are_bounded() {
    let mut rig =
        Rig::edited(|text| text.replace("burst = 10000\nCARRIER_KEYS", "burst = 4\ncalls_per_second = 2"));
    for number in 0..10 {
        rig.udp(CARRIER, invite(CARRIER, &format!("cps{number}"), "", SDP));
    }
    assert_eq!(rig.of("leg.incoming").len(), 4);
    let rules: Vec<_> = rig
        .of("call.refused")
        .iter()
        .map(|event| event["data"]["rule"].clone())
        .collect();
    assert_eq!(rules, vec![json!("trunk:carrier.calls_per_second"); 6]);
    let told: Vec<_> = rig
        .sent
        .iter()
        .filter(|(_, text)| text.starts_with("SIP/2.0 503") && text.contains("Retry-After:"))
        .collect();
    assert_eq!(told.len(), 6);
}
