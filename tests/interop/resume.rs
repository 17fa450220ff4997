//! A routing engine that loses its connection in the middle of a call.

use std::time::Duration;

use house::wire::{AGENTS, CARRIER, Router, Settings, Sipp, Site};
use serde_json::{Value, json};

use crate::script::{connect, incoming};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_disconnects_and_resumes_sees_every_seq_once() {
    let site = Site::open("resume", &Settings::default()).await;
    // Sees everything, and drives the call while the other one is away.
    let witness = &site.router;
    let (client, greeting) = Router::hello(&site.gateway, json!({})).await;
    let agent = Sipp::new("callee", AGENTS);
    let agent_uri = agent.uri();
    let agent = agent.start(&site.folder).await;
    let caller = Sipp::new("caller_streams", CARRIER)
        .to(site.gateway.udp())
        .start(&site.folder)
        .await;
    let call = incoming(&client).await;
    let talk = connect(&client, &call, &agent_uri).await;
    let mut seen: Vec<Value> = events(client.disconnect());
    assert!(seen.len() >= 5, "{seen:?}");

    for method in ["leg.hold", "leg.resume", "leg.hold", "leg.resume"] {
        witness.call(method, json!({ "leg": talk.caller })).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let cursor = json!({ "epoch": greeting["epoch"], "seq": seen.last().unwrap()["seq"] });
    let (client, greeting) = Router::hello(&site.gateway, json!({ "resume": cursor })).await;
    assert_eq!(greeting["resumed"], true, "{greeting}");
    client.call("call.end", json!({ "call": talk.call })).await;
    let last = client
        .wait(0, "the record", |heard| heard.is("call.record"))
        .await;
    witness
        .wait(0, "the record", |heard| heard.seq() == last.seq())
        .await;
    caller.finish().await;
    agent.finish().await;

    seen.extend(events(client.heard()));
    let of_record = |event: &Value| event["seq"].as_u64() <= Some(last.seq());
    seen.retain(of_record);
    let first = seen[0]["seq"].as_u64().unwrap();
    let numbers: Vec<u64> = seen.iter().map(|event| event["seq"].as_u64().unwrap()).collect();
    println!(
        "{} events over two connections, seq {first} to {}",
        numbers.len(),
        last.seq()
    );
    assert_eq!(numbers, (first..=last.seq()).collect::<Vec<_>>());
    let mut witnessed = events(witness.heard());
    witnessed.retain(|event| event["seq"].as_u64() >= Some(first) && of_record(event));
    assert_eq!(seen, witnessed);
}

fn events(heard: Vec<house::wire::Heard>) -> Vec<Value> {
    heard.into_iter().map(|heard| heard.event).collect()
}
