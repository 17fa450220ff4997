//! Peers that refuse, die and come back, with SIPp in their place: flows T23, T24, T26 and T27.

use std::time::{Duration, Instant};

use house::peer::{Call, Message, Peer};
use house::wire::{CARRIER, Running, Settings, Sipp, Site};
use serde_json::{Value, json};

use crate::script::{ended, ports_are_free};

const NUMBER: &str = "+81398765432";
const SECOND: &str = "127.0.0.13";

/// A carrier of these hosts, one after the other, with these further keys.
pub async fn carrier(name: &str, hosts: &[String], keys: &str) -> Site {
    let hosts: Vec<String> = hosts
        .iter()
        .enumerate()
        .map(|(place, host)| format!("{host};priority={}", place + 1))
        .collect();
    let settings = Settings {
        carrier_hosts: vec![SECOND.to_owned()],
        carrier_keys: format!("hosts = {hosts:?}\noptions_interval_s = 0\n{keys}"),
        ..Settings::default()
    };
    Site::open(name, &settings).await
}

pub async fn dial(site: &Site) -> String {
    let dialled = site
        .router
        .call("leg.dial", json!({ "to": NUMBER, "trunk": "carrier" }))
        .await;
    dialled["leg"].as_str().unwrap().to_owned()
}

/// The record of the call of this leg; there is one.
pub async fn record_of(site: &Site, leg: &str) -> Value {
    let is_its =
        |heard: &house::wire::Heard| heard.is("call.record") && heard.event["data"]["legs"][0]["leg"] == leg;
    let record = site.router.wait(0, "the record", is_its).await;
    let records = site.router.heard().into_iter().filter(is_its);
    assert_eq!(records.count(), 1);
    record.event["data"].clone()
}

/// Status, Reason, Warning; then Q.850 cause, reason, and whether the next peer is tried.
type Row = (u16, (&'static str, u16), &'static str, u8, &'static str, bool);

const PLAIN: (&str, u16) = ("None", 0);

#[rustfmt::skip]
const ROWS: [Row; 52] = [
    (302, PLAIN, "", 23, "failed", false),
    (400, PLAIN, "", 41, "failed", false),
    (401, PLAIN, "", 21, "not_allowed", false),
    (402, PLAIN, "", 21, "not_allowed", false),
    (403, PLAIN, "", 21, "not_allowed", false),
    (404, PLAIN, "", 1, "not_found", false),
    (405, PLAIN, "", 63, "failed", false),
    (406, PLAIN, "", 79, "failed", false),
    (407, PLAIN, "", 21, "not_allowed", false),
    (408, PLAIN, "", 102, "unreachable", true),
    (410, PLAIN, "", 22, "not_found", false),
    (413, PLAIN, "", 127, "failed", false),
    (414, PLAIN, "", 127, "failed", false),
    (415, PLAIN, "", 79, "failed", false),
    (416, PLAIN, "", 127, "failed", false),
    (420, PLAIN, "", 127, "failed", false),
    (421, PLAIN, "", 127, "failed", false),
    (422, PLAIN, "", 127, "failed", false),
    (423, PLAIN, "", 127, "failed", false),
    (480, PLAIN, "", 18, "no_answer", false),
    (481, PLAIN, "", 41, "failed", false),
    (482, PLAIN, "", 25, "failed", false),
    (483, PLAIN, "", 25, "failed", false),
    (484, PLAIN, "", 28, "not_found", false),
    (485, PLAIN, "", 1, "not_found", false),
    (486, PLAIN, "", 17, "busy", false),
    (488, PLAIN, "", 65, "failed", false),
    (500, PLAIN, "", 41, "failed", true),
    (501, PLAIN, "", 79, "failed", false),
    (502, PLAIN, "", 38, "unreachable", true),
    (503, PLAIN, "", 41, "unreachable", true),
    (504, PLAIN, "", 102, "unreachable", true),
    (505, PLAIN, "", 127, "failed", false),
    (513, PLAIN, "", 127, "failed", false),
    (600, PLAIN, "", 17, "busy", false),
    (603, PLAIN, "", 21, "rejected", false),
    (604, PLAIN, "", 1, "not_found", false),
    (606, PLAIN, "", 65, "failed", false),
    (607, PLAIN, "", 21, "rejected", false),
    (608, PLAIN, "", 21, "rejected", false),
    // A Warning says what of 488 and 606.
    (488, PLAIN, "305 x \"no such codec\"", 65, "failed", false),
    (488, PLAIN, "399 x \"not now\"", 31, "failed", false),
    (606, PLAIN, "370 x \"too narrow\"", 31, "failed", false),
    // A Q.850 cause of the peer's goes first, for the reason where the second table has it.
    (480, ("Q.850", 20), "", 20, "unreachable", false),
    (480, ("Q.850", 17), "", 17, "busy", false),
    (486, ("Q.850", 21), "", 21, "rejected", false),
    (404, ("Q.850", 99), "", 99, "not_found", false),
    (403, ("Q.850", 28), "", 28, "not_found", false),
    (488, ("Q.850", 17), "399 x \"y\"", 17, "busy", false),
    (500, ("Q.850", 42), "", 42, "unreachable", true),
    (603, ("SIP", 486), "", 21, "rejected", false),
    (600, ("Q.850", 300), "", 17, "busy", false),
];

/// The answer that a row stands for.
fn refusal(peer: &Peer, invite: &Message, (status, (protocol, cause), warning, ..): Row) -> Message {
    let answer = peer
        .answer(invite, status, "no")
        .with("Reason", format!("{protocol};cause={cause};location=U"))
        .with("Min-SE", "100000");
    if warning.is_empty() {
        answer
    } else {
        answer.with("Warning", warning)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t23_each_failure_has_its_cause_its_reason_its_next_peer_and_one_record() {
    let (site, mut peers) = scripted("failures").await;
    for row in ROWS {
        let (status, _, _, q850, reason, goes_on) = row;
        let leg = dial(&site).await;
        let tried = 1 + usize::from(goes_on);
        for peer in peers.iter_mut().take(tried) {
            let invite = peer.request("INVITE").await;
            peer.send(&refusal(peer, &invite, row)).await;
            peer.request("ACK").await;
        }
        let end = ended(&site.router, &leg).await;
        assert_eq!(
            (&end["sip"], &end["q850"], &end["reason"], &end["by"]),
            (&json!(status), &json!(q850), &json!(reason), &json!("peer")),
            "{row:?}"
        );
        let record = record_of(&site, &leg).await;
        let attempt = |peer: &Peer| {
            let peer = format!("{};transport=udp", peer.address());
            json!({ "peer": peer, "status": status, "q850": q850 })
        };
        let expected: Vec<Value> = peers.iter().take(tried).map(attempt).collect();
        assert_eq!(record["legs"][0]["attempts"], json!(expected), "{row:?}");
    }
    for peer in &mut peers {
        peer.hears_no("another INVITE", Duration::from_millis(100), |message| {
            message.method() == Some("INVITE")
        })
        .await;
    }
}

/// A carrier of two scripted peers.
async fn scripted(name: &str) -> (Site, [Peer; 2]) {
    let nowhere = ([127, 0, 0, 1], 9).into();
    let mut peers = [
        Peer::open(CARRIER, nowhere).await,
        Peer::open(SECOND, nowhere).await,
    ];
    let hosts = peers.each_ref().map(|peer| peer.address().to_string());
    let site = carrier(name, &hosts, "").await;
    for peer in &mut peers {
        peer.gateway = site.gateway.udp();
    }
    (site, peers)
}

fn timed_out(end: &Value, q850: u16) {
    assert_eq!(
        (&end["reason"], &end["q850"], &end["sip"]),
        (&json!("unreachable"), &json!(q850), &Value::Null),
        "{end}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t24_silence_costs_timer_b_and_a_refusal_of_the_host_nothing() {
    // A silent peer, a port nobody listens at, a TCP port nobody listens at, one that answers.
    let silent = tokio::net::UdpSocket::bind((CARRIER, 0)).await.unwrap();
    let closed = house::wire::free_port(CARRIER);
    let callee = Sipp::new("callee", CARRIER).talk(Duration::from_secs(20));
    let hosts = [
        silent.local_addr().unwrap().to_string(),
        format!("{CARRIER}:{closed}"),
        format!("{CARRIER}:{closed};transport=tcp"),
        callee.address().to_string(),
    ];
    let site = carrier("dead", &hosts, "timer_b_ms = 1000").await;
    let callee = callee.start(&site.folder).await;
    let asked = Instant::now();
    let leg = dial(&site).await;
    site.router.wait_leg(0, "leg.answered", &leg).await;
    let took = asked.elapsed();
    println!("timer B of 1 s, ICMP and a refused connection: answered after {took:?}");
    assert!((950..1_600).contains(&took.as_millis()), "{took:?}");
    site.router.call("leg.hangup", json!({ "leg": leg })).await;
    callee.finish().await;
    let record = record_of(&site, &leg).await;
    let causes: Vec<&Value> = record["legs"][0]["attempts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|attempt| &attempt["q850"])
        .collect();
    assert_eq!(causes[..3], [&json!(102), &json!(41), &json!(41)], "{record}");

    // All of them dead.
    let asked = Instant::now();
    let leg = dial(&site).await;
    let end = ended(&site.router, &leg).await;
    timed_out(&end, 41);
    assert!(
        asked.elapsed() < Duration::from_millis(1_600),
        "{:?}",
        asked.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t26_a_target_that_asks_for_10_s_gets_them_and_others_carry_on() {
    let (site, [mut first, mut second]) = scripted("pause").await;
    let refuse = |peer: &Peer, invite: &Message, pause: Option<&str>| {
        let answer = peer.answer(invite, 503, "busy");
        match pause {
            Some(pause) => answer.with("Retry-After", pause),
            None => answer,
        }
    };
    // Without Retry-After only this call goes elsewhere.
    for _ in 0..2 {
        let leg = dial(&site).await;
        let invite = first.request("INVITE").await;
        let answer = refuse(&first, &invite, None);
        first.send(&answer).await;
        first.request("ACK").await;
        take_and_end(&site, &mut second, &leg).await;
    }
    let leg = dial(&site).await;
    let invite = first.request("INVITE").await;
    let answer = refuse(&first, &invite, Some("10 (in a moment);duration=60"));
    first.send(&answer).await;
    let asked = Instant::now();
    first.request("ACK").await;
    take_and_end(&site, &mut second, &leg).await;
    loop {
        let since = asked.elapsed();
        let leg = dial(&site).await;
        let is_invite = |message: &Message| message.method() == Some("INVITE");
        let at_first = first.take_within(Duration::from_millis(200), &is_invite).await;
        if let Some((_, invite)) = at_first {
            println!("a call went there again {since:?} after the 503");
            assert!((9_500..=10_700).contains(&since.as_millis()), "{since:?}");
            let answer = refuse(&first, &invite, None);
            first.send(&answer).await;
            first.request("ACK").await;
            take_and_end(&site, &mut second, &leg).await;
            return;
        }
        assert!(since < Duration::from_millis(10_500), "never again");
        take_and_end(&site, &mut second, &leg).await;
    }
}

/// Takes the call that comes to this peer, and ends it.
async fn take_and_end(site: &Site, peer: &mut Peer, leg: &str) {
    let invite = peer.request("INVITE").await;
    let mut call = Call::of(&invite);
    let sdp = call.sdp(peer.address(), "");
    peer.reply(&invite, 200, &sdp).await;
    peer.request("ACK").await;
    call.bye(peer).await;
    ended(&site.router, leg).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t27_the_ring_limit_is_kept_and_a_peer_without_a_final_answer_is_given_up() {
    let callee = Sipp::new("callee_rings", CARRIER);
    let mut mute = Peer::open(SECOND, ([127, 0, 0, 1], 9).into()).await;
    let hosts = [callee.address().to_string()];
    let site = carrier("ring limit", &hosts, "").await;
    mute.gateway = site.gateway.udp();
    let callee: Running = callee.start(&site.folder).await;
    let dial_for = |to: String, ms: u32| {
        let site = &site;
        async move {
            let params = json!({ "to": to, "trunk": "carrier", "ring_timeout_ms": ms });
            let dialled = site.router.call("leg.dial", params).await;
            dialled["leg"].as_str().unwrap().to_owned()
        }
    };
    let (leg, mute_leg) = (
        dial_for(NUMBER.into(), 2_000).await,
        dial_for(mute.uri(), 1_000).await,
    );
    // Only 1xx, and no answer to the CANCEL: the leg is over all the same.
    let invite = mute.request("INVITE").await;
    mute.reply(&invite, 180, "").await;
    mute.request("CANCEL").await;

    let end = ended(&site.router, &leg).await;
    assert_eq!(
        (&end["reason"], &end["q850"], &end["by"]),
        (&json!("no_answer"), &json!(19), &json!("timer"))
    );
    let finished = callee.finish().await;
    let rang_us = finished.message_at_us("CANCEL ") - finished.message_at_us("INVITE ");
    assert!((rang_us - 2_000_000).abs() <= 100_000, "{rang_us} µs");
    let cancel = finished
        .messages()
        .into_iter()
        .find(|(_, text)| text.starts_with("CANCEL "));
    assert!(cancel.unwrap().1.contains("Reason: Q.850;cause=19"));

    let mute_end = ended(&site.router, &mute_leg).await;
    assert_eq!(mute_end["reason"], "no_answer");
    assert_eq!(mute_end["q850"], 19);
    ports_are_free(&site).await;
}
