//! Messages out of order, ids that collide, and what comes after an error: B19, B20, B21.

use std::time::{Duration, Instant};

use bytes::Bytes;
use gateway::engine::io::Input;
use serde_json::json;
use sip::endpoint::Transport;

use crate::rig::*;

/// One random order of requests, responses and commands of one call, then silence: no panic, nothing left, one
/// record for the call.
fn disorder(rig: &mut Rig, dice: &mut Dice, run: usize) {
    let branch = format!("d{run}");
    let records = rig.records.len();
    let incoming = rig.of("leg.incoming").len();
    let mut ok = String::from("To: <sip:+4930123456@10.0.0.1>;tag=none");
    let mut cseq = 1;
    for _ in 0..3 + dice.below(10) {
        let leg = rig
            .of("leg.incoming")
            .get(incoming)
            .map(|event| event["leg"].clone());
        let sent = rig.sent.len();
        match (dice.below(12), leg) {
            (0..=2, _) => drop(rig.udp(
                CARRIER,
                invite(CARRIER, &branch, "Supported: 100rel, timer\r\n", SDP),
            )),
            (3, _) => drop(rig.udp(CARRIER, request("CANCEL", CARRIER, &branch, "", ""))),
            (4, _) => drop(rig.udp(CARRIER, in_dialog("ACK", CARRIER, &branch, &ok, 1))),
            (number @ 5..=8, _) => {
                cseq += dice.below(3) as u32;
                let method = ["BYE", "PRACK", "UPDATE", "INVITE"][number - 5];
                drop(rig.udp(CARRIER, in_dialog(method, CARRIER, &branch, &ok, cseq)));
            }
            (9, Some(leg)) => drop(rig.request("leg.answer", &json!({ "leg": leg }))),
            (10, Some(leg)) => drop(rig.request("leg.hangup", &json!({ "leg": leg }))),
            (11, Some(leg)) => drop(rig.request("leg.progress", &json!({"leg": leg, "status": 180}))),
            (9..=11, None) => rig.run_for(Duration::from_millis(1 << dice.below(16))),
            _ => {}
        }
        if let Some((_, text)) = rig.sent[sent..]
            .iter()
            .find(|(_, text)| text.starts_with("SIP/2.0 200") && text.contains("INVITE"))
        {
            ok = text.clone();
        }
    }
    // What is up by now would stay so: its router ends it.
    let started = rig.of("call.started").into_iter();
    for call in started.map(|event| event["call"].clone()).collect::<Vec<_>>() {
        rig.request("call.end", &json!({ "call": call }));
    }
    rig.run_for(Duration::from_secs(200));
    let calls = rig.of("leg.incoming").len() - incoming;
    assert!(rig.is_at_rest(), "run {run} left something: {:?}", rig.sent);
    assert_eq!(
        rig.records.len() - records,
        calls,
        "run {run}: a record for each call"
    );
    rig.events.clear();
    rig.replies.clear();
    rig.sent.clear();
    rig.records.clear();
}

#[test]
fn b19_messages_in_any_order_end_in_rest_and_one_record() {
    let mut rig = Rig::with("rel100 = \"supported\"\nsession_timer = \"supported\"", "");
    let mut dice = Dice(0xb19);
    for run in 0..400 * factor() {
        disorder(&mut rig, &mut dice, run);
    }
    rig.assert_alive();
}

#[test]
fn b19_what_names_no_dialog_or_comes_after_its_end_is_481() {
    let mut rig = Rig::new();
    let ok = "To: <sip:+4930123456@10.0.0.1>;tag=none";
    for (number, method) in ["BYE", "UPDATE", "PRACK", "INFO", "INVITE"].iter().enumerate() {
        let came = rig.udp(CARRIER, in_dialog(method, CARRIER, &format!("n{number}"), ok, 2));
        assert_eq!(status(&came), Some(481), "{method}");
    }
    assert_eq!(
        status(&rig.udp(CARRIER, request("CANCEL", CARRIER, "none", "", ""))),
        Some(481)
    );
    rig.udp(CARRIER, invite(CARRIER, "late", "", SDP));
    let leg = rig.of("leg.incoming")[0]["leg"].clone();
    rig.ask("leg.answer", json!({ "leg": leg }));
    let ok = rig
        .sent
        .iter()
        .rev()
        .find(|(_, text)| text.starts_with("SIP/2.0 200"))
        .unwrap()
        .1
        .clone();
    rig.udp(CARRIER, in_dialog("ACK", CARRIER, "late", &ok, 1));
    assert_eq!(
        status(&rig.udp(CARRIER, in_dialog("BYE", CARRIER, "late", &ok, 2))),
        Some(200)
    );
    assert_eq!(
        status(&rig.udp(CARRIER, in_dialog("INVITE", CARRIER, "late", &ok, 3))),
        Some(481)
    );
    assert_eq!(
        status(&rig.udp(CARRIER, in_dialog("INFO", CARRIER, "late", &ok, 4))),
        Some(481)
    );
    rig.run_for(Duration::from_secs(100));
    assert!(rig.is_at_rest());
}

/// One Call-ID and From tag for all, or ids that differ in their last letter only: the tables are trees, so the
/// worst case is their depth.
#[test]
fn b20_equal_and_similar_ids_cost_no_more_than_others() {
    let cost = |same: bool, count: usize| {
        let mut rig = Rig::new();
        let mut slowest = Vec::new();
        for number in 0..count {
            let text = request("OPTIONS", CARRIER, &format!("h{number:06}"), "", "");
            let text = match same {
                true => text
                    .replace(&format!("Call-ID: ch{number:06}"), "Call-ID: same")
                    .replace(&format!("tag=th{number:06}"), "tag=same"),
                false => text,
            };
            let begun = Instant::now();
            rig.udp(CARRIER, text);
            slowest.push(begun.elapsed());
            rig.sent.clear();
        }
        slowest.sort_unstable();
        slowest[count * 99 / 100]
    };
    let count = 5_000 * factor().min(20);
    let (plain, equal) = (cost(false, count), cost(true, count));
    assert!(
        equal < plain * 4 + Duration::from_millis(1),
        "p99 {equal:?} with equal ids, {plain:?} with others"
    );
}

#[test]
fn b21_after_errors_at_every_point_of_a_connection_calls_go_on() {
    let mut rig = Rig::new();
    let text = invite(CARRIER, "torn", "", SDP);
    let flow = flow(Transport::Tcp, CARRIER);
    let step = if factor() > 1 { 1 } else { 7 };
    for cut in (0..=text.len()).step_by(step) {
        let text = text.replace("torn", &format!("torn{cut}"));
        rig.handle(Input::Connected { flow, peer: None });
        let bytes = Bytes::copy_from_slice(&text.as_bytes()[..cut]);
        rig.handle(Input::StreamData { flow, bytes });
        rig.handle(Input::Disconnected { flow });
    }
    // And an answer that finds its connection gone, a target that is unreachable, an event for nobody.
    rig.udp(CARRIER, invite(CARRIER, "gone", "", SDP));
    rig.handle(Input::Disconnected {
        flow: crate::rig::flow(Transport::Udp, CARRIER),
    });
    rig.run_for(Duration::from_secs(200));
    assert!(rig.is_at_rest());
    for _ in 0..100 * factor() {
        rig.assert_alive();
    }
    rig.run_for(Duration::from_secs(200));
    assert!(rig.is_at_rest());
}
