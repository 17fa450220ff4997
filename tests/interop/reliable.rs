//! Reliable provisional responses and UPDATE before the answer (RFC 3262, RFC 3311) with SIPp.

use std::time::Duration;

use house::wire::{AGENT_HZ, AGENTS, CALLER_HZ, CARRIER, Ear, Finished, Settings, Sipp, Site, now_us};
use serde_json::json;

use crate::script::incoming;

/// Rings with `status`, answers, and leaves the rest to the scenario.
async fn called(scenario: &'static str, status: u16, hangs_up: bool) -> (Site, Finished) {
    let site = Site::open(scenario, &Settings::default()).await;
    let ear = Ear::open(CARRIER);
    let caller = Sipp::new(scenario, CARRIER)
        .to(site.gateway.udp())
        .media(ear.address());
    let caller = caller.start(&site.folder).await;
    let router = &site.router;
    let call = incoming(router).await;
    let leg = call.text("leg").to_owned();
    router
        .call("leg.progress", json!({ "leg": leg, "status": status }))
        .await;
    router.call("leg.answer", json!({ "leg": leg })).await;
    router.wait_leg(0, "leg.answered", &leg).await;
    if hangs_up {
        router.call("leg.hangup", json!({ "leg": leg })).await;
    }
    let ended = router.wait_leg(0, "leg.ended", &leg).await;
    assert_eq!(ended.event["data"]["reason"], "completed");
    let finished = caller.finish().await;
    (site, finished)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_200_waits_for_the_prack_and_a_stray_one_is_told_481() {
    let (_site, caller) = called("caller_reliable", 183, false).await;
    let ok_us = |cseq: &str| {
        let found = caller.messages().into_iter().find(|(_, message)| {
            message.starts_with("SIP/2.0 200") && message.contains(&format!("CSeq: {cseq}\r\n"))
        });
        found.unwrap().0
    };
    assert!(ok_us("3 PRACK") <= ok_us("1 INVITE"));
    let repeats_us: Vec<i64> = caller
        .messages()
        .into_iter()
        .filter(|(_, message)| message.starts_with("SIP/2.0 183"))
        .map(|(at_us, _)| at_us)
        .collect();
    let [first_us, again_us] = repeats_us[..] else {
        panic!("{repeats_us:?}")
    };
    assert!((again_us - first_us - 500_000).abs() < 100_000, "T1, RFC 3262 §3");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn offers_in_prack_and_update_are_answered_before_the_call_is() {
    let site = Site::open("prack offer", &Settings::default()).await;
    let ear = Ear::open(CARRIER);
    let caller = Sipp::new("caller_prack_offer", CARRIER)
        .to(site.gateway.udp())
        .media(ear.address());
    let caller = caller.start(&site.folder).await;
    let router = &site.router;
    let call = incoming(router).await;
    let leg = call.text("leg").to_owned();
    router
        .call("leg.progress", json!({ "leg": leg, "status": 183 }))
        .await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    router.call("leg.answer", json!({ "leg": leg })).await;
    let ended = router.wait_leg(0, "leg.ended", &leg).await;
    assert_eq!(ended.event["data"]["reason"], "completed");
    caller.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_offer_goes_out_in_a_180_and_its_answer_comes_by_prack() {
    called("caller_late_reliable", 180, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_prack_the_183_is_repeated_for_32_s_and_the_call_refused() {
    let site = Site::open("no prack", &Settings::default()).await;
    let caller = Sipp::new("caller_no_prack", CARRIER).to(site.gateway.udp());
    let caller = caller.start(&site.folder).await;
    let router = &site.router;
    let call = incoming(router).await;
    let leg = call.text("leg").to_owned();
    router
        .call("leg.progress", json!({ "leg": leg, "status": 183 }))
        .await;
    let ended = router.wait_leg(0, "leg.ended", &leg).await;
    let data = &ended.event["data"];
    assert_eq!(
        (&data["reason"], &data["sip"]),
        (&json!("unreachable"), &json!(504))
    );
    let caller = caller.finish().await;
    let sent = caller.messages();
    let of = |start: &'static str| sent.iter().filter(move |(_, message)| message.starts_with(start));
    assert_eq!(
        of("SIP/2.0 183").count(),
        7,
        "at 0, 0.5, 1.5, 3.5, 7.5, 15.5 and 31.5 s"
    );
    let waited_us = of("SIP/2.0 504").next().unwrap().0 - of("SIP/2.0 183").next().unwrap().0;
    assert!((waited_us - 32_000_000).abs() < 200_000, "{waited_us} µs");
}

/// Dials the callee of a scenario for a caller who waits; what the caller hears of it, early and late.
async fn dialled(scenario: &'static str, early: Duration) -> (Site, f64, f64, Finished) {
    let site = Site::open(scenario, &Settings::default()).await;
    let mut phone = Ear::open(AGENTS);
    let callee = Sipp::new(scenario, AGENTS).media(phone.address());
    let uri = callee.uri();
    let callee = callee.start(&site.folder).await;
    let mut ear = Ear::open(CARRIER);
    let caller = Sipp::new("caller", CARRIER)
        .to(site.gateway.udp())
        .media(ear.address());
    let caller = caller.start(&site.folder).await;
    let router = &site.router;
    let call = incoming(router).await;
    let leg = call.text("leg").to_owned();
    router.call("leg.answer", json!({ "leg": leg })).await;
    let bridge = router.call("bridge.create", json!({ "legs": [leg] })).await;
    ear.speak(CALLER_HZ, caller.gateway_media().await);
    let dial = json!({ "to": uri, "trunk": "agents", "bridge": bridge["bridge"], "ring_timeout_ms": 20_000 });
    let dialled = router.call("leg.dial", dial).await;
    let agent = dialled["leg"].as_str().unwrap().to_owned();
    router.wait_leg(0, "leg.ringing", &agent).await;
    phone.speak(AGENT_HZ, callee.gateway_media().await);
    tokio::time::sleep(early).await;
    let early = ear.level(AGENT_HZ, now_us() - 400_000, now_us());
    router.wait_leg(0, "leg.answered", &agent).await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    let late = ear.level(AGENT_HZ, now_us() - 400_000, now_us());
    let heard = phone.level(CALLER_HZ, now_us() - 400_000, now_us());
    assert!(heard > 0.15, "the callee hears the caller at {heard:.3}");
    router
        .call("call.end", json!({ "call": call.text("call") }))
        .await;
    caller.finish().await;
    let callee = callee.finish().await;
    (site, early, late, callee)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_number_gets_one_prack_and_updates_are_answered_while_it_rings() {
    let (_site, early, late, callee) = dialled("callee_reliable", Duration::from_millis(1_000)).await;
    assert!(early > 0.15 && late > 0.15, "early {early:.3}, late {late:.3}");
    let messages = callee.messages();
    let pracks = messages
        .iter()
        .filter(|(_, message)| message.starts_with("PRACK "));
    assert_eq!(pracks.count(), 2, "7000 and 7001; not the repeat, not the gap");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_200_before_that_of_the_prack_brings_no_other_answer() {
    let (_site, _, late, _) = dialled("callee_crossing", Duration::ZERO).await;
    assert!(late > 0.15, "{late:.3}");
}
