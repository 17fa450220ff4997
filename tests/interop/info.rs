//! Digits by SIP INFO with SIPp, both ways: flow T44.

use std::time::Duration;

use house::wire::{AGENT_HZ, AGENTS, CALLER_HZ, CARRIER, Ear, Settings, Sipp, Site, now_us};
use serde_json::{Value, json};

use crate::script::{connect, incoming};

const AUDIBLE: f64 = 0.05;

/// The end of an op.
async fn op_ended(site: &Site, op: &Value) -> Value {
    let op = op["op"].clone();
    let is_end = |heard: &house::wire::Heard| heard.is("op.ended") && heard.event["op"] == op;
    let ended = site.router.wait(0, "the end of an op", is_end).await;
    ended.event["data"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t44_digits_by_info_come_and_go_exactly_once_and_what_is_no_digit_is_refused() {
    let settings = Settings {
        carrier_keys: "dtmf = \"info\"\n".into(),
        ..Settings::default()
    };
    let site = Site::open("info", &settings).await;
    let (mut caller_ear, mut agent_ear) = (Ear::open(CARRIER), Ear::open(AGENTS));
    let agent = Sipp::new("callee", AGENTS).media(agent_ear.address());
    let uri = agent.uri();
    let agent = agent.start(&site.folder).await;
    let caller = Sipp::new("caller_info", CARRIER)
        .to(site.gateway.udp())
        .media(caller_ear.address());
    let caller = caller.start(&site.folder).await;
    let router = &site.router;
    let talk = connect(router, &incoming(router).await, &uri).await;
    caller_ear.speak(CALLER_HZ, caller.gateway_media().await);
    agent_ear.speak(AGENT_HZ, agent.gateway_media().await);

    router
        .wait(0, "the last digit", |heard| {
            heard.is("leg.dtmf") && heard.event["data"]["digit"] == "D"
        })
        .await;
    let heard = router.heard();
    let told: Vec<_> = heard
        .iter()
        .filter(|heard| heard.is("leg.dtmf") && heard.text("leg") == talk.caller)
        .map(|heard| heard.event["data"].clone())
        .collect();
    let digit = |digit: &str, ms: u64| json!({ "digit": digit, "method": "info", "duration_ms": ms });
    let wanted = [digit("5", 160), digit("*", 250), digit("#", 100), digit("D", 80)];
    assert_eq!(told, wanted);

    let from_us = now_us();
    tokio::time::sleep(Duration::from_millis(600)).await;
    let levels = [
        caller_ear.level(AGENT_HZ, from_us, now_us()),
        agent_ear.level(CALLER_HZ, from_us, now_us()),
    ];
    assert!(levels.iter().all(|level| *level > AUDIBLE), "{levels:?}");

    let params = json!({ "leg": talk.caller, "digits": "12#A", "duration_ms": 150 });
    let sent = router.call("leg.send_dtmf", params).await;
    assert_eq!(op_ended(&site, &sent).await["outcome"], "ok");
    let params = json!({ "leg": talk.caller, "digits": "34", "duration_ms": 150 });
    let refused = router.call("leg.send_dtmf", params).await;
    let end = op_ended(&site, &refused).await;
    assert_eq!((&end["outcome"], &end["sip"]), (&json!("failed"), &json!(415)));

    router.call("leg.hangup", json!({ "leg": talk.caller })).await;
    router.call("leg.hangup", json!({ "leg": talk.agent })).await;
    let (caller, agent) = tokio::join!(caller.finish(), agent.finish());
    let messages = caller.messages();
    let infos: Vec<i64> = messages
        .iter()
        .filter(|(_, text)| text.starts_with("INFO ") && text.contains("Duration=150"))
        .map(|(at_us, _)| *at_us)
        .collect();
    println!("INFOs at {infos:?} µs");
    assert_eq!(
        infos.len(),
        5,
        "the second digit of the refused order is not sent"
    );
    let gaps = infos.windows(2).take(3).map(|pair| pair[1] - pair[0]);
    assert!(gaps.into_iter().all(|gap| (230_000..300_000).contains(&gap)));
    drop(agent);
}
