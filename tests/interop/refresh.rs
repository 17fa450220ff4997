//! Session timers (RFC 4028) with SIPp: intervals of seconds, as only a test bed has them.

use house::wire::{AGENTS, CARRIER, Finished, Settings, Sipp, Site};
use serde_json::json;

use crate::script::incoming;

fn settings() -> Settings {
    Settings {
        trunk_lines: "min_se_s = 5\nsession_expires_s = 6\nmedia_timeout_s = 0",
        ..Settings::default()
    }
}

fn assert_expired(data: &serde_json::Value) {
    assert_eq!(
        (&data["by"], &data["reason"], &data["q850"]),
        (&json!("timer"), &json!("session_expired"), &json!(102)),
        "{data}"
    );
}

/// Dials the callee of a scenario, which ends by not knowing the session any more.
async fn refreshed(scenario: &'static str) -> (Site, Finished) {
    let site = Site::open(scenario, &settings()).await;
    let callee = Sipp::new(scenario, AGENTS);
    let uri = callee.uri();
    let callee = callee.start(&site.folder).await;
    let router = &site.router;
    let dial = json!({ "to": uri, "trunk": "agents", "ring_timeout_ms": 20_000 });
    let dialled = router.call("leg.dial", dial).await;
    let leg = dialled["leg"].as_str().unwrap().to_owned();
    let ended = router.wait_leg(0, "leg.ended", &leg).await;
    assert_expired(&ended.event["data"]);
    let callee = callee.finish().await;
    (site, callee)
}

/// From our ACK of its 2xx to the first request that begins so, microseconds.
fn waited_us(messages: &[(i64, String)], cseq: &str, start: &str) -> i64 {
    let ack = |message: &str| message.starts_with("ACK ") && message.contains(&format!("CSeq: {cseq} ACK"));
    let acked = messages.iter().position(|(_, message)| ack(message)).unwrap();
    let later = messages[acked + 1..].iter();
    let refresh = later.clone().find(|(_, message)| message.starts_with(start));
    refresh.unwrap().0 - messages[acked].0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_422_we_refresh_by_update_at_half_time_until_there_is_no_session() {
    let (_site, callee) = refreshed("callee_refreshed").await;
    let waited_us = waited_us(&callee.messages(), "2", "UPDATE ");
    assert!((waited_us - 4_000_000).abs() < 200_000, "{waited_us} µs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_update_we_refresh_by_a_reinvite_with_the_same_session() {
    let (_site, callee) = refreshed("callee_reinvited").await;
    let messages = callee.messages();
    let waited_us = waited_us(&messages, "2", "INVITE ");
    assert!((waited_us - 4_000_000).abs() < 200_000, "{waited_us} µs");
    let mut origins: Vec<&str> = messages
        .iter()
        .filter(|(_, message)| message.starts_with("INVITE "))
        .filter_map(|(_, message)| message.lines().find(|line| line.starts_with("o=")))
        .collect();
    assert_eq!(origins.len(), 4, "first, after 422, two refreshes");
    origins.dedup();
    assert_eq!(origins.len(), 1, "{origins:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_stops_refreshing_gets_bye_a_third_before_its_time() {
    let site = Site::open("refreshing", &settings()).await;
    let caller = Sipp::new("caller_refreshing", CARRIER).to(site.gateway.udp());
    let caller = caller.start(&site.folder).await;
    let router = &site.router;
    let call = incoming(router).await;
    let leg = call.text("leg").to_owned();
    router.call("leg.answer", json!({ "leg": leg })).await;
    let ended = router.wait_leg(0, "leg.ended", &leg).await;
    assert_expired(&ended.event["data"]);
    let caller = caller.finish().await;
    let waited_us = caller.message_at_us("BYE ") - caller.message_at_us("UPDATE ");
    // The interval is the shorter of 9 and our 6 s: 6 − min(32, 6/3).
    assert!((waited_us - 4_000_000).abs() < 200_000, "{waited_us} µs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_without_session_timers_is_asked_whether_it_lives() {
    let site = Site::open("untimed", &settings()).await;
    let caller = Sipp::new("caller_untimed", CARRIER).to(site.gateway.udp());
    let caller = caller.start(&site.folder).await;
    let router = &site.router;
    let call = incoming(router).await;
    let leg = call.text("leg").to_owned();
    router.call("leg.answer", json!({ "leg": leg })).await;
    let ended = router.wait_leg(0, "leg.ended", &leg).await;
    assert_eq!(ended.event["data"]["reason"], "completed");
    let caller = caller.finish().await;
    let asked_us = waited_us(&caller.messages(), "1", "INVITE ");
    assert!((asked_us - 3_000_000).abs() < 200_000, "{asked_us} µs");
}
