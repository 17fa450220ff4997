//! Floods, and what it costs to refuse: B14, and the promise that a refusal costs at most a tenth of a call.

use std::time::Duration;

use serde_json::json;

use crate::rig::*;

/// A gateway that reads 100 messages a second of each address of the carrier.
fn narrow() -> Rig {
    let mut rig = Rig::with("messages_per_second = 100", "");
    rig.pause = Duration::ZERO;
    rig
}

#[test]
fn b14_a_flood_of_invites_is_cut_before_any_state_and_the_alarm_is_told_once() {
    let mut rig = narrow();
    for method in ["INVITE", "REGISTER", "OPTIONS"] {
        for number in 0..5_000 {
            rig.udp(
                CARRIER,
                request(method, CARRIER, &format!("{method}{number}"), "", ""),
            );
            if number % 50 == 0 {
                rig.run_for(Duration::from_millis(1));
            }
        }
    }
    // Two seconds' worth at once, then 100 a second for 0.3 s.
    let read = 15_000 - rig.dropped("source_rate");
    assert!((200..=240).contains(&read), "{read} were read");
    assert!(rig.core.endpoint().transactions() <= 240);
    let alarms = rig.of("alarm.raised");
    assert_eq!(alarms.len(), 1, "{alarms:?}");
    assert_eq!(alarms[0]["data"]["kind"], "flood");
    // Another address of the same trunk is not concerned, nor is another trunk.
    assert_eq!(
        status(&rig.udp(
            "10.0.1.2:5060",
            request("OPTIONS", "10.0.1.2:5060", "quiet", "", "")
        )),
        Some(200)
    );
    assert_eq!(
        status(&rig.udp(OTHER, request("OPTIONS", OTHER, "other", "", ""))),
        Some(200)
    );
    rig.run_for(Duration::from_secs(400));
    assert!(rig.is_at_rest());
    assert_eq!(rig.of("alarm.cleared").len(), 1);
    rig.assert_alive();
}

#[test]
fn b14_over_a_connection_the_same_count_holds_and_pings_are_counted_too() {
    let mut rig = narrow();
    let pings = "\r\n\r\n".repeat(5_000);
    let (came, is_closed) = rig.tcp(CARRIER, pings);
    assert!(came.len() <= 201 && !is_closed, "{} answers", came.len());
    let many: String = (0..1_000)
        .map(|number| request("OPTIONS", CARRIER, &format!("s{number}"), "", ""))
        .collect();
    let (came, _) = rig.tcp(CARRIER, many);
    assert!(came.len() <= 1, "{} answers", came.len());
    assert!(rig.dropped("source_rate") > 5_000);
    rig.run_for(Duration::from_secs(400));
    assert!(rig.is_at_rest());
}

/// A carrier at its best hour: 300 calls a second, eight messages each, all with the defaults.
#[test]
fn b14_the_default_is_no_limit_for_a_carrier_with_300_calls_a_second() {
    let mut rig = Rig::edited(|text| text.replace("messages_per_second = 1000000\n", ""));
    for second in 0..5 {
        for number in 0..2_400 {
            rig.udp(
                CARRIER,
                request("OPTIONS", CARRIER, &format!("{second}x{number}"), "", ""),
            );
        }
        rig.run_for(Duration::from_secs(1));
    }
    assert_eq!(rig.dropped("source_rate"), 0);
}

/// What the core itself takes for one of `each`, over fifty, timers of earlier ones included.
pub fn cost(rig: &mut Rig, mut each: impl FnMut(&mut Rig, usize)) -> Duration {
    rig.busy = Duration::ZERO;
    for number in 0..50 {
        each(rig, number);
        rig.forget();
    }
    rig.busy / 50
}

/// What an INVITE over the limit is told, acknowledged. `plus` is what its numbers begin with.
pub fn refuse_one(rig: &mut Rig, branch: &str, plus: &str) {
    let text = invite(CARRIER, branch, "", SDP).replace("sip:+49", &format!("sip:{plus}"));
    let came = rig.udp(CARRIER, text);
    assert_eq!(status(&came), Some(503));
    let ack = format!(
        "ACK sip:+4930123456@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {CARRIER};branch=z9hG4bK{branch}\r\nMax-Forwards: 70\r\n\
         From: <sip:+4930987654@10.0.1.1>;tag=t{branch}\r\n{}\r\nCall-ID: c{branch}\r\nCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n",
        came.last()
            .unwrap()
            .lines()
            .find(|line| line.starts_with("To:"))
            .unwrap()
    );
    assert!(rig.udp(CARRIER, ack).is_empty());
}

/// A call as there are most: a caller is answered and hears something while an agent's phone rings; the two are
/// bridged; the caller hangs up.
pub fn pass_one(rig: &mut Rig, branch: &str) {
    rig.udp(CARRIER, invite(CARRIER, branch, "", SDP));
    let leg = rig.of("leg.incoming").last().unwrap()["leg"].clone();
    rig.ask("leg.answer", json!({ "leg": leg }));
    let ok = rig.last("SIP/2.0 200");
    rig.udp(CARRIER, in_dialog("ACK", CARRIER, branch, &ok, 1));
    let tone = json!({"target": leg, "sources": [{"tone": "ringback"}], "loop": true});
    let wait = rig.ask("play.start", tone)["op"].clone();
    let bridge = rig.ask("bridge.create", json!({ "legs": [leg] }))["bridge"].clone();
    rig.ask(
        "leg.dial",
        json!({"to": "sip:anna@10.0.3.1:5060", "trunk": "other", "bridge": bridge}),
    );
    let asked = rig.last("INVITE ");
    rig.udp(OTHER, answer(&asked, "180 Ringing", ""));
    rig.ask("play.stop", json!({ "op": wait }));
    let came = rig.udp(OTHER, answer(&asked, "200 OK", SDP_OF_AGENT));
    assert!(came[0].starts_with("ACK "), "{came:?}");
    let came = rig.udp(CARRIER, in_dialog("BYE", CARRIER, branch, &ok, 2));
    assert!(came[0].starts_with("SIP/2.0 200"), "{came:?}");
    let agent = rig.of("leg.dialing").last().unwrap()["leg"].clone();
    rig.ask("leg.hangup", json!({ "leg": agent }));
    let bye = rig.last("BYE ");
    rig.udp(OTHER, answer(&bye, "200 OK", ""));
    assert_eq!(rig.of("call.record").len(), 1);
}

const SDP_OF_AGENT: &str =
    "v=0\r\no=- 1 1 IN IP4 10.0.3.1\r\ns=-\r\nc=IN IP4 10.0.3.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8\r\n";

/// Ten times in turn, so that what else the machine does falls on both; the best turn counts.
#[test]
fn b14_a_refusal_costs_at_most_a_tenth_of_a_call() {
    let mut calls = Rig::new();
    // One that its trunk's limit refuses: told 503, with an event and a record of its own, and acknowledged.
    let mut full = Rig::with("calls = 1", "");
    full.udp(CARRIER, invite(CARRIER, "first", "", SDP));
    // Its numbers as they are dialled in Germany: a numbering plan reads them.
    let national = "calls = 1\nhome_country = \"DE\"\nnumber_in = \"national\"";
    let mut full_at_home = Rig::with(national, "");
    full_at_home.udp(CARRIER, invite(CARRIER, "first", "", SDP));
    let turns = (0..10).map(|turn| {
        let call = cost(&mut calls, |rig, number| {
            pass_one(rig, &format!("call{turn}x{number}"))
        });
        let bare = cost(&mut calls, |rig, _| rig.assert_alive());
        let refused = cost(&mut full, |rig, number| {
            refuse_one(rig, &format!("over{turn}x{number}"), "+49");
            assert_eq!((rig.of("call.refused").len(), rig.records.len()), (1, 1));
        });
        let at_home = cost(&mut full_at_home, |rig, number| {
            refuse_one(rig, &format!("over{turn}x{number}"), "0");
            let from = &rig.of("call.refused")[0]["data"]["from"];
            assert_eq!(from["number"], "+4930987654", "{from}");
        });
        println!(
            "a call of two legs {call:?}, of one {bare:?}; over a limit {refused:?}, in national form {at_home:?}"
        );
        [refused, at_home].map(|refused| refused.as_secs_f64() / call.as_secs_f64())
    });
    let least = turns.fold([f64::MAX; 2], |least, turn| {
        [0, 1].map(|at| least[at].min(turn[at]))
    });
    assert!(
        least.iter().all(|share| *share <= 0.1),
        "over a limit: {least:.3?} of a call"
    );
}

#[test]
fn b14_what_is_dropped_unread_costs_under_a_hundredth_of_a_call() {
    let mut rig = Rig::new();
    let call = cost(&mut rig, |rig, number| pass_one(rig, &format!("call{number}")));
    let mut rig = narrow();
    for number in 0..1_000 {
        rig.udp(
            CARRIER,
            request("OPTIONS", CARRIER, &format!("fill{number}"), "", ""),
        );
    }
    let text = invite(CARRIER, "same", "", SDP);
    let gated = cost(&mut rig, |rig, _| drop(rig.udp(CARRIER, &text)));
    let unlisted = cost(&mut rig, |rig, _| drop(rig.udp(STRANGER, &text)));
    println!("a call {call:?}; over the rate {gated:?}, unlisted {unlisted:?}");
    for (what, cost) in [("over the rate", gated), ("unlisted", unlisted)] {
        assert!(cost * 100 <= call, "{what}: {cost:?} of {call:?}");
    }
}
