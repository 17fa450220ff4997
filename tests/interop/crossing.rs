//! CANCEL and 200 that cross on the wire, in both roles (RFC 3261 §9.1, §9.2).

use std::time::Duration;

use house::wire::{AGENTS, CARRIER, Settings, Sipp, Site};
use serde_json::json;

use crate::script::incoming;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_200_that_crosses_our_cancel_gets_ack_and_bye_and_the_leg_stays_cancelled() {
    let site = Site::open("crossing-out", &Settings::default()).await;
    let agent = Sipp::new("callee_crosses", AGENTS);
    let agent_uri = agent.uri();
    let agent = agent.start(&site.folder).await;

    let router = &site.router;
    let dialled = router
        .call("leg.dial", json!({ "to": agent_uri, "trunk": "agents" }))
        .await;
    let leg = dialled["leg"].as_str().unwrap().to_owned();
    router.wait_leg(0, "leg.ringing", &leg).await;
    router.call("leg.hangup", json!({ "leg": leg })).await;
    let ended = router.wait_leg(0, "leg.ended", &leg).await;
    assert_eq!(ended.event["data"]["reason"], "cancelled");
    // SIPp fails unless it gets ACK and BYE after its 200.
    agent.finish().await;
    let answered = |heard: &house::wire::Heard| heard.is("leg.answered") || heard.is("leg.media_up");
    assert!(!router.heard().iter().any(answered), "the late 200 has no event");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_that_crosses_our_200_changes_nothing_and_the_call_stands_until_bye() {
    let site = Site::open("crossing-in", &Settings::default()).await;
    let caller = Sipp::new("caller_crosses", CARRIER).to(site.gateway.udp());
    let caller = caller.start(&site.folder).await;

    let router = &site.router;
    let call = incoming(router).await;
    let leg = call.text("leg");
    router.call("leg.answer", json!({ "leg": leg })).await;
    let answered = router.wait_leg(call.index, "leg.answered", leg).await;
    let ended = router.wait_leg(answered.index, "leg.ended", leg).await;
    let data = &ended.event["data"];
    assert_eq!(
        (&data["by"], &data["reason"]),
        (&json!("peer"), &json!("completed")),
        "{data}"
    );
    let up = Duration::from_millis(data["talk_ms"].as_u64().unwrap());
    assert!(
        up >= Duration::from_millis(500),
        "the call ended by CANCEL after {up:?}"
    );
    caller.finish().await;
}
