//! In which order clients are told, and that replies come first (the control protocol's edges).

use std::time::Duration;

use house::sim::{Answer, Town};
use serde_json::{Value, json};

const MS: Duration = Duration::from_millis(1);

fn kinds_of(town: &Town, router: usize, from: usize) -> Vec<String> {
    town.routers[router].events[from..]
        .iter()
        .map(|event| event["type"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn seq_rises_by_one_and_the_first_event_is_one() {
    let mut town = Town::new(2);
    let router = town.router();
    let customer = town.customer(440.0);
    town.answered_call(router, customer);
    town.hang_up(customer);
    town.run_for(Duration::from_secs(1));
    let seqs: Vec<u64> = town.routers[router]
        .events
        .iter()
        .map(|event| event["seq"].as_u64().unwrap())
        .collect();
    // 1 is gateway.started, before this client was there.
    assert_eq!(seqs, (2..2 + seqs.len() as u64).collect::<Vec<_>>());
}

#[test]
fn a_reply_comes_before_its_events_and_names_the_last_of_them() {
    let mut town = Town::new(3);
    let router = town.router();
    let customer = town.customer(440.0);
    let (leg, call) = town.answered_call(router, customer);
    let before = town.routers[router].lines.len();
    let reply = town.ask(
        router,
        "bridge.create",
        json!({"id": "b1", "call": call, "legs": [leg]}),
    );
    let lines: Vec<Value> = town.routers[router].lines[before..].to_vec();
    assert!(lines[0].get("result").is_some(), "the reply is first: {lines:?}");
    let last = lines.last().unwrap()["params"]["seq"].as_u64().unwrap();
    assert_eq!(reply["seq"].as_u64().unwrap(), last);
    assert_eq!(reply["bridge"], "b1");
}

#[test]
fn a_call_ends_in_the_told_order() {
    let mut town = Town::new(4);
    let router = town.router();
    let customer = town.customer(440.0);
    let (leg, call) = town.answered_call(router, customer);
    town.ask(router, "bridge.create", json!({"call": call, "legs": [leg]}));
    town.ask(router, "record.start", json!({"target": call, "id": "rec"}));
    town.run_for(500 * MS);
    let from = town.routers[router].events.len();
    town.hang_up(customer);
    town.run_for(Duration::from_secs(2));
    let kinds = kinds_of(&town, router, from);
    let expected = [
        "leg.ended",
        "bridge.left",
        "bridge.destroyed",
        "record.stopped",
        "record.stored",
        "call.ended",
        "call.record",
    ];
    assert_eq!(kinds, expected);
    let record = town.routers[router].of("call.record")[0]["data"].clone();
    assert_eq!(record["call"], json!(call));
    assert_eq!(record["recordings"][0]["recording"], "rec");
    assert_eq!(record, town.records[0]);
    assert_eq!(town.routers[router].of("record.stored")[0]["recording"], "rec");
}

#[test]
fn a_record_waits_five_seconds_for_storage_and_no_longer() {
    let mut town = Town::new(5);
    town.storage_time = Duration::from_secs(60);
    let router = town.router();
    let customer = town.customer(440.0);
    let (_, call) = town.answered_call(router, customer);
    town.ask(router, "record.start", json!({"target": call}));
    town.run_for(500 * MS);
    town.hang_up(customer);
    town.run_for(4900 * MS);
    assert!(town.records.is_empty());
    town.run_for(200 * MS);
    assert_eq!(town.records.len(), 1);
}

#[test]
fn a_dial_starts_rings_and_is_answered_in_order_and_its_op_ends_once() {
    let mut town = Town::new(6);
    let router = town.router();
    let agent = town.agent(800.0);
    let to = town.target(agent);
    let from = town.routers[router].events.len();
    let result = town.ask(router, "leg.dial", json!({"to": to, "trunk": "agents"}));
    town.run_for(500 * MS);
    let kinds = kinds_of(&town, router, from);
    let expected = [
        "call.started",
        "leg.dialing",
        "leg.ringing",
        "leg.answered",
        "op.ended",
        "leg.media_up",
    ];
    assert_eq!(kinds, expected);
    let op = town.routers[router].of("op.ended")[0];
    assert_eq!((&op["op"], &op["data"]["outcome"]), (&result["op"], &json!("ok")));
}

#[test]
fn a_refused_dial_ends_its_leg_then_its_op() {
    let mut town = Town::new(7);
    let router = town.router();
    let agent = town.agent(800.0);
    town.parties[agent].answer = Answer::Refuse(486);
    let to = town.target(agent);
    let from = town.routers[router].events.len();
    town.ask(router, "leg.dial", json!({"to": to, "trunk": "agents"}));
    town.run_for(500 * MS);
    let kinds = kinds_of(&town, router, from);
    let expected = [
        "call.started",
        "leg.dialing",
        "leg.ended",
        "op.ended",
        "call.ended",
        "call.record",
    ];
    assert_eq!(kinds, expected);
    let ended = town.routers[router].of("leg.ended")[0]["data"].clone();
    assert_eq!(ended["reason"], "busy");
    assert_eq!((&ended["sip"], &ended["q850"]), (&json!(486), &json!(17)));
    assert_eq!(
        town.routers[router].of("op.ended")[0]["data"]["outcome"],
        "failed"
    );
}
