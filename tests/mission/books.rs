//! The record of a call against its events.

use std::collections::BTreeMap;

use house::sim::Town;
use serde_json::{Value, json};

use crate::scene::*;

/// What the events say of one leg, in the words of the record.
fn from_events(events: &[Value], leg: &str) -> Value {
    let of_leg: Vec<&Value> = events.iter().filter(|event| event["leg"] == leg).collect();
    let ts = |kinds: &[&str]| {
        let found = of_leg
            .iter()
            .find(|event| kinds.iter().any(|kind| event["type"] == *kind));
        found.map(|event| event["ts"].clone())
    };
    let (mut holds, mut longest, mut total, mut since) = (0, 0, 0, None);
    for event in &of_leg {
        let at = parse_time(event["ts"].as_str().unwrap());
        match event["type"].as_str().unwrap() {
            "leg.held" if since.is_none() => {
                holds += 1;
                since = Some(at);
            }
            "leg.resumed" | "leg.ended" => {
                let span = since.take().map_or(0, |since| at - since);
                longest = longest.max(span);
                total += span;
            }
            _ => {}
        }
    }
    let ended = of_leg
        .iter()
        .find(|event| event["type"] == "leg.ended")
        .expect("an end");
    let at = |kinds: &[&str]| ts(kinds).map(|text| parse_time(text.as_str().unwrap()));
    let (offered, answered) = (
        at(&["leg.incoming", "leg.dialing"]).unwrap(),
        at(&["leg.answered"]),
    );
    let end = at(&["leg.ended"]).unwrap();
    json!({
        "leg": leg,
        "t_offered": ts(&["leg.incoming", "leg.dialing"]),
        "t_answered": ts(&["leg.answered"]),
        "t_ended": ended["ts"],
        "ring_ms": (answered.unwrap_or(end) - offered) / 1000,
        "talk_ms": answered.map_or(0, |answered| (end - answered) / 1000),
        "hold_ms": total / 1000,
        "holds": holds,
        "longest_hold_ms": longest / 1000,
        "reason": ended["data"]["reason"],
        "by": ended["data"]["by"],
    })
}

#[test]
fn row_66_the_record_is_the_event_log_to_the_millisecond() {
    let mut scene = Scene::talking_in(Town::new(6601));
    let caller = scene.caller.clone();
    let contact = json!({"contact": "4711", "case": "c-9"});
    scene.ask("call.tag", json!({"call": scene.call, "tags": contact}));
    scene.ask(
        "record.start",
        json!({"target": scene.call, "channels": "per_party", "format": "wav", "id": "tape"}),
    );
    for held in [1003, 2507] {
        scene.ask("leg.hold", json!({"leg": caller}));
        scene.town.run_for(held * MS);
        scene.ask("leg.resume", json!({"leg": caller}));
        scene.town.run_for(311 * MS);
    }
    let busy = scene.town.agent(OTHER_HZ);
    scene.town.parties[busy].answer = house::sim::Answer::Refuse(486);
    let to = scene.town.target(busy);
    scene.ask(
        "leg.dial",
        json!({"to": to, "trunk": "agents", "call": scene.call}),
    );
    scene.town.run_for(97 * MS);
    let (other, leg) = scene.consult();
    scene.assert_hears(other, &[AGENT_HZ], &[CUSTOMER_HZ]);
    scene.ask("leg.hangup", json!({"leg": leg}));
    scene.town.run_for(53 * MS);
    scene.town.hang_up(scene.customer);
    scene.town.run_for(29 * MS);
    scene.ask("leg.hangup", json!({"leg": scene.desk}));
    scene.town.run_for(2 * SECOND);

    assert_eq!(scene.town.records.len(), 1);
    let record = scene.town.records[0].clone();
    let events = scene.town.routers[scene.router].events.clone();
    let told = events
        .iter()
        .filter(|event| event["type"] == "call.record")
        .collect::<Vec<_>>();
    assert_eq!(told.len(), 1, "final, once");
    assert_eq!(told[0]["data"], record, "the event and the file say the same");
    assert_eq!(
        events.last().unwrap()["type"],
        "call.record",
        "and nothing follows"
    );

    let legs = record["legs"].as_array().unwrap();
    assert_eq!(legs.len(), 4);
    for leg in legs {
        let wanted = from_events(&events, leg["leg"].as_str().unwrap());
        for (name, value) in wanted.as_object().unwrap() {
            assert_eq!(leg.get(name).unwrap_or(&Value::Null), value, "{name} of {leg}");
        }
        let ended = events
            .iter()
            .find(|event| event["type"] == "leg.ended" && event["leg"] == leg["leg"])
            .unwrap();
        for name in ["ring_ms", "talk_ms", "hold_ms"] {
            assert_eq!(leg[name], ended["data"][name], "{name}");
        }
    }
    let (mine, holds) = (&legs[0], [1003, 2507]);
    assert_eq!((&mine["leg"], &mine["holds"]), (&json!(caller), &json!(3)));
    let consult =
        mine["hold_ms"].as_u64().unwrap() - holds.iter().map(|ms| u64::from(*ms as u32)).sum::<u64>();
    assert_eq!(
        consult,
        400 + 400 + 53,
        "the third hold lasts until the customer is gone"
    );
    assert_eq!(mine["longest_hold_ms"], 2507);
    let reasons: BTreeMap<&str, &str> = legs
        .iter()
        .map(|leg| (leg["leg"].as_str().unwrap(), leg["reason"].as_str().unwrap()))
        .collect();
    assert_eq!(reasons.values().filter(|reason| **reason == "busy").count(), 1);

    let first = |kind: &str| events.iter().find(|event| event["type"] == kind).unwrap();
    let last = |kind: &str| events.iter().rev().find(|event| event["type"] == kind).unwrap();
    assert_eq!(record["started"], first("call.started")["ts"]);
    assert_eq!(record["answered"], first("leg.answered")["ts"]);
    assert_eq!(record["ended"], last("leg.ended")["ts"]);
    let bridge = &record["bridges"][0];
    assert_eq!(
        (&bridge["bridge"], &bridge["created"]),
        (&json!(scene.bridge), &first("bridge.created")["ts"])
    );
    assert_eq!(bridge["destroyed"], last("bridge.destroyed")["ts"]);
    assert_eq!(bridge["legs"], json!([caller, scene.desk, leg]));
    let stored = &last("record.stored")["data"];
    let recording = &record["recordings"][0];
    assert_eq!(recording["recording"], "tape");
    assert_eq!(
        (&recording["uri"], &recording["sha256"]),
        (&stored["uri"], &stored["sha256"])
    );
    assert_eq!(record["tags"], contact);
    let ends: Vec<&str> = events
        .iter()
        .rev()
        .map(|event| event["type"].as_str().unwrap())
        .take(2)
        .collect();
    assert_eq!(ends, ["call.record", "call.ended"]);
}

#[test]
fn row_66_the_record_of_a_call_nobody_answered_has_no_talk() {
    let mut town = Town::new(6602);
    let router = town.router();
    let customer = town.customer(CUSTOMER_HZ);
    town.call(customer, "+498001234567");
    town.run_for(300 * MS);
    town.hang_up(customer);
    town.run_for(SECOND);
    let events = town.routers[router].events.clone();
    let record = &town.records[0];
    let leg = &record["legs"][0];
    let wanted = from_events(&events, leg["leg"].as_str().unwrap());
    for (name, value) in wanted.as_object().unwrap() {
        assert_eq!(leg.get(name).unwrap_or(&Value::Null), value, "{name} of {leg}");
    }
    assert_eq!(
        (&leg["ring_ms"], &leg["talk_ms"], &leg["reason"]),
        (&json!(300), &json!(0), &json!("cancelled"))
    );
    assert!(record.get("answered").is_none());
    assert!(town.parties[customer].heard.is_empty(), "and heard nothing");
}
