//! What a client asks for and is told, to the letter of the protocol.

use serde_json::{Value, json};

use crate::scene::*;

#[test]
fn a_filter_taken_out_takes_out_no_more() {
    let mut scene = Scene::talking(6701);
    let mute = |scene: &mut Scene| {
        scene.ask("leg.mute", json!({"leg": scene.desk, "direction": "send"}));
        scene.ask("leg.unmute", json!({"leg": scene.desk, "direction": "send"}));
    };
    scene.ask("unsubscribe", json!({"types": ["leg.muted"]}));
    mute(&mut scene);
    assert_eq!(scene.events("leg.muted").len(), 0);
    assert_eq!(scene.events("leg.unmuted").len(), 1);
    scene.ask("unsubscribe", json!({"legs": [scene.desk]}));
    mute(&mut scene);
    assert_eq!(scene.events("leg.unmuted").len(), 1);
    scene.ask("subscribe", json!({}));
    mute(&mut scene);
    assert_eq!(scene.events("leg.muted").len(), 1, "a new subscription is whole");
    scene.ask("unsubscribe", json!({}));
    mute(&mut scene);
    assert_eq!(scene.events("leg.muted").len(), 1);
}

#[test]
fn measurements_are_those_of_the_legs_asked_for() {
    let mut scene = Scene::talking(6702);
    let filter = json!({"legs": [scene.desk], "stats_interval_ms": 200});
    scene.ask("subscribe", filter);
    scene.town.run_for(SECOND);
    let stats = measurements(&scene);
    assert!(stats.len() >= 4, "{stats:?}");
    for one in &stats {
        let legs: Vec<&String> = one["data"]["legs"].as_object().unwrap().keys().collect();
        assert_eq!(legs, [&scene.desk]);
    }
    let before = measurements(&scene).len();
    scene.ask("unsubscribe", json!({"class": "stats"}));
    scene.ask("leg.mute", json!({"leg": scene.desk, "direction": "send"}));
    scene.town.run_for(SECOND);
    assert_eq!(measurements(&scene).len(), before);
    assert_eq!(scene.events("leg.muted").len(), 1, "events go on");
}

#[test]
fn whatever_is_told_of_a_bridge_carries_the_tags_of_its_call() {
    let mut scene = Scene::talking(6703);
    scene.ask("call.tag", json!({"call": scene.call, "tags": {"case": "7"}}));
    let made = scene.ask("bridge.create", json!({"call": scene.call}));
    scene.ask("leg.mute", json!({"leg": scene.desk, "direction": "send"}));
    scene.ask(
        "bridge.destroy",
        json!({"bridge": made["bridge"], "then": "park"}),
    );
    for kind in ["bridge.created", "bridge.matrix", "bridge.destroyed"] {
        let event = scene.events(kind).pop().unwrap();
        assert_eq!(event["tags"], json!({"case": "7"}), "{event}");
    }
}

#[test]
fn a_policy_check_is_what_a_refused_dial_carries() {
    let mut scene = Scene::talking(6704);
    let router = scene.router;
    scene.ask("limits.set", json!({"trunk": "carrier", "calls": 1}));
    for to in [
        "abc!",
        "sip:alice@127.0.0.1;user=phone",
        "+447911123456",
        "+4930123456",
    ] {
        let check = scene.ask("policy.check", json!({"to": to, "trunk": "carrier"}));
        let dial = json!({"to": to, "trunk": "carrier"});
        let refused = scene.town.request(router, "leg.dial", dial);
        let mut data = refused["error"]["data"].clone();
        let kind = data.as_object_mut().unwrap().remove("kind").unwrap();
        let mut check: Value = check;
        check.as_object_mut().unwrap().remove("seq");
        assert_eq!(data, check, "{to}");
        assert_eq!(check["decision"], "deny", "{to}");
        if to == "+4930123456" {
            assert_eq!(kind, "limit_calls");
            assert_eq!(
                (&check["step"], &check["rule"], &check["limit"], &check["value"]),
                (
                    &json!("route"),
                    &json!("trunk:carrier.calls"),
                    &json!(1),
                    &json!(1)
                )
            );
        }
    }
    scene.ask("limits.set", json!({"trunk": "carrier", "calls": 10}));
    let allowed = scene.ask("policy.check", json!({"to": "+4930123456", "trunk": "carrier"}));
    assert_eq!(allowed["decision"], "allow");
}

#[test]
fn a_bridge_may_be_made_before_any_call_and_outlives_the_one_it_began_with() {
    let mut scene = Scene::talking(6705);
    let router = scene.router;
    let made = scene.ask("bridge.create", json!({"id": "room"}));
    assert_eq!(made["bridge"], "room");
    let record = json!({"target": "room"});
    assert_eq!(
        scene.town.refused(router, "record.start", record),
        "invalid_state"
    );
    scene.ask("bridge.move", json!({"leg": scene.caller, "to": "room"}));
    scene.ask("bridge.move", json!({"leg": scene.desk, "to": "room"}));
    let stranger = scene.town.customer(OTHER_HZ);
    let (third, second_call) = scene.town.answered_call(router, stranger);
    scene.ask("bridge.add", json!({"bridge": "room", "leg": third}));
    let fourth = scene.town.agent(700.0);
    let desk = scene.town.dialled(router, fourth, &second_call);
    scene.ask("bridge.add", json!({"bridge": "room", "leg": desk}));
    scene.ask("call.end", json!({"call": scene.call}));
    scene.town.run_for(SECOND);
    assert_eq!(scene.events("call.record").len(), 1);
    scene.assert_hears(fourth, &[OTHER_HZ], &[CUSTOMER_HZ, AGENT_HZ]);
    let state = scene.ask("state.get", json!({}));
    let room = state["bridges"].as_array().unwrap();
    let room = room.iter().find(|bridge| bridge["bridge"] == "room").unwrap();
    assert_eq!(room["call"], second_call.as_str());
    assert_eq!(
        scene.town.refused(router, "bridge.create", json!({"id": "room"})),
        "id_taken",
        "its name is free only when it is gone"
    );
    scene.ask("call.end", json!({"call": second_call}));
    scene.town.run_for(SECOND);
    let record = scene.events("call.record").pop().unwrap();
    let bridges = record["data"]["bridges"].as_array().unwrap();
    assert!(
        bridges.iter().any(|bridge| bridge["bridge"] == "room"),
        "{record}"
    );
    scene.ask("bridge.create", json!({"id": "room"}));
    scene.ask("bridge.destroy", json!({"bridge": "room", "then": "park"}));
}

#[test]
fn bridges_without_a_call_have_a_limit() {
    let mut scene = Scene::talking(6706);
    let router = scene.router;
    for _ in 0..gateway::engine::STRAY_BRIDGES_MAX {
        scene.ask("bridge.create", json!({}));
    }
    assert_eq!(
        scene.town.refused(router, "bridge.create", json!({})),
        "limit_legs"
    );
}

#[test]
fn the_longest_time_of_a_leg_runs_from_its_answer() {
    let mut scene = Scene::talking(6707);
    let agent = scene.town.agent(OTHER_HZ);
    scene.town.parties[agent].answer = house::sim::Answer::After(2 * SECOND);
    let to = scene.town.target(agent);
    let dial = json!({"to": to, "trunk": "agents", "call": scene.call});
    let leg = scene.ask("leg.dial", dial)["leg"].as_str().unwrap().to_owned();
    scene.ask("leg.set", json!({"leg": leg, "max_duration_ms": 1000}));
    scene.town.run_for(5 * SECOND);
    let (answered, ended) = (scene.event("leg.answered", &leg), scene.event("leg.ended", &leg));
    assert_eq!(ended["data"]["reason"], "max_duration");
    assert_eq!(moment(&ended) - moment(&answered), SECOND);
}

#[test]
fn the_end_of_a_call_is_told_as_the_doing_of_who_ended_it() {
    let mut scene = Scene::talking(6708);
    scene.ask("record.start", json!({"target": scene.call}));
    scene.ask("call.end", json!({"call": scene.call}));
    scene.town.run_for(2 * SECOND);
    for kind in ["call.ended", "call.record"] {
        let event = scene.events(kind).pop().unwrap();
        assert_eq!(
            event["cause"],
            json!({"app": "default", "cmd": "call.end"}),
            "{kind}"
        );
    }
}

#[test]
fn a_signalled_resume_that_is_refused_says_with_what() {
    let mut scene = Scene::talking(6709);
    let asked = scene.ask("leg.hold", json!({"leg": scene.desk, "signal": true}));
    scene.town.run_for(SECOND);
    let ended = scene.events("op.ended").pop().unwrap();
    assert_eq!(ended["op"], asked["op"]);
    assert_eq!(
        (&ended["data"]["outcome"], &ended["data"]["sip"]),
        (&json!("ok"), &json!(200))
    );
}

#[test]
fn a_refused_emergency_call_raises_one_alarm() {
    let mut scene = Scene::talking_in(house::sim::Town::with(6710, |text| {
        text.replacen(
            "name = \"carrier\"",
            "name = \"carrier\"\nhome_country = \"DE\"",
            1,
        )
    }));
    let router = scene.router;
    for _ in 0..3 {
        let dial = json!({"to": "110", "trunk": "carrier"});
        assert_eq!(
            scene.town.refused(router, "leg.dial", dial),
            "destination_not_allowed"
        );
    }
    assert_eq!(scene.events("alarm.raised").len(), 1);
    assert_eq!(
        scene.events("alarm.raised")[0]["data"]["kind"],
        "emergency_refused"
    );
    scene.town.run_for(301 * SECOND);
    assert_eq!(scene.events("alarm.cleared").len(), 1);
}

#[test]
fn a_resume_may_owe_more_than_may_wait_for_a_client() {
    let mut scene = Scene::talking(6711);
    let tags: serde_json::Map<String, Value> = (0..30)
        .map(|n| (format!("tag{n}"), json!("x".repeat(1000))))
        .collect();
    scene.ask("call.tag", json!({"call": scene.call, "tags": tags}));
    let seen = scene.ask("ping", json!({}))["seq"].as_u64().unwrap();
    let epoch = scene.ask("state.get", json!({}))["epoch"].clone();
    for _ in 0..200 {
        scene.ask("leg.mute", json!({"leg": scene.desk, "direction": "send"}));
        scene.ask("leg.unmute", json!({"leg": scene.desk, "direction": "send"}));
    }
    let late = scene.town.connect("default");
    let resume = json!({"app": "default", "resume": {"epoch": epoch, "seq": seen}});
    assert_eq!(scene.town.ask(late, "hello", resume)["resumed"], true);
    scene.town.run_for(SECOND);
    let (first, second) = (&scene.town.routers[scene.router], &scene.town.routers[late]);
    let numbers = |events: Vec<&Value>| -> Vec<u64> {
        let all = events.iter().filter_map(|event| event["seq"].as_u64());
        all.filter(|seq| *seq > seen).collect()
    };
    assert_eq!(numbers(second.of("leg.muted")), numbers(first.of("leg.muted")));
    assert_eq!(second.of("leg.muted").len(), 200);
}

/// Measurements have no number of their own and stand among the lines only.
fn measurements(scene: &Scene) -> Vec<Value> {
    let lines = scene.town.routers[scene.router].lines.iter();
    let events = lines.map(|line| &line["params"]);
    events.filter(|event| event["type"] == "stats").cloned().collect()
}
