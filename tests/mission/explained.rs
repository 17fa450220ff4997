//! Row 4: why a call or a dial went as it did, told afterwards without anybody's number; and trunks that are switched off.

use house::sim::Town;
use serde_json::{Value, json};

use crate::scene::*;

const NUMBER: &str = "+498001234567";
const GUERNSEY: &str = "+447911123456";
const STOCKHOLM: &str = "+4684060000";

fn explain(town: &mut Town, router: usize, of: Value) -> Value {
    let told = town.ask(router, "explain", of);
    let text = told.to_string();
    for secret in ["8001234567", "7911123456", "84060000", "10.0.1.", "customer"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    told
}

fn link<'a>(told: &'a Value, kind: &str) -> &'a Value {
    let mut chain = told["chain"].as_array().unwrap().iter();
    chain
        .find(|link| link["type"] == kind)
        .unwrap_or_else(|| panic!("no {kind} in {told}"))
}

#[test]
fn row_4_a_call_over_a_limit_is_explained_by_its_rule() {
    let mut town = Town::with(4101, |text| text.replace("calls = 100\n", "calls = 1\n"));
    let router = town.router();
    let (first, second) = (town.customer(CUSTOMER_HZ), town.customer(OTHER_HZ));
    town.call(first, NUMBER);
    town.run_for(100 * MS);
    town.call(second, NUMBER);
    town.run_for(100 * MS);
    let call = town.routers[router].of("call.refused")[0]["call"].clone();
    let told = explain(&mut town, router, json!({ "call": call }));
    assert_eq!((&told["call"], &told["complete"]), (&call, &json!(true)));
    let refused = link(&told, "call.refused");
    assert_eq!(refused["cause"], json!({"by": "peer"}));
    assert_eq!(
        refused["decision"],
        json!({"rule": "instance.calls", "limit": 1, "value": 1, "trunk": "carrier"})
    );
}

#[test]
fn row_4_a_dial_that_policy_refuses_is_told_recorded_and_explained() {
    let mut town = Town::new(4102);
    let router = town.router();
    let dial = json!({"to": GUERNSEY, "trunk": "carrier"});
    let reply = town.request(router, "leg.dial", dial);
    let refused = town.routers[router].of("call.refused")[0].clone();
    assert_eq!(refused["data"]["rule"], "deny_prefix:+447");
    let mut decision = reply["error"]["data"].clone();
    decision.as_object_mut().unwrap().remove("kind");
    assert_eq!(
        refused["data"]["decision"], decision,
        "the very object of the error"
    );
    assert_eq!(refused["cause"], json!({"app": "default", "cmd": "leg.dial"}));
    let at = |wanted: &dyn Fn(&Value) -> bool| town.routers[router].lines.iter().position(wanted);
    let (of_reply, of_event) = (
        at(&|line| line.get("error").is_some()),
        at(&|line| line["params"]["type"] == "call.refused"),
    );
    assert!(of_reply < of_event, "the reply comes first");
    let record = town.records.last().unwrap();
    assert_eq!(
        (&record["call"], &record["direction"], &record["refused"]["rule"]),
        (&refused["call"], &json!("out"), &json!("deny_prefix:+447"))
    );
    let told = explain(&mut town, router, json!({ "call": refused["call"] }));
    let link = link(&told, "call.refused");
    assert_eq!(link["decision"]["decision"]["step"], "deny_prefix");
    assert_eq!(link["decision"]["rule"], "deny_prefix:+447");
}

#[test]
fn row_4_a_refused_dial_inside_a_call_is_that_calls_and_has_no_record() {
    let mut scene = Scene::talking(4103);
    let call = scene.call.clone();
    let steps = json!([{"method": "leg.dial", "params": {"to": GUERNSEY, "trunk": "carrier", "call": call}}]);
    for atomic in [true, false] {
        scene
            .town
            .request(scene.router, "batch", json!({"steps": steps, "atomic": atomic}));
    }
    let refused = scene.events("call.refused");
    assert_eq!(refused.len(), 2);
    assert!(
        refused.iter().all(|event| event["call"] == call.as_str()),
        "{refused:?}"
    );
    assert!(scene.town.records.is_empty());
    scene.assert_hears(scene.customer, &[AGENT_HZ], &[]);
    // Of one leg only what concerned it or the whole call.
    let (caller, desk) = (scene.caller.clone(), scene.desk.clone());
    let told = explain(&mut scene.town, scene.router, json!({ "leg": desk }));
    assert!(!told.to_string().contains(&format!("\"{caller}\"")), "{told}");
    assert_eq!(link(&told, "leg.dialing")["decision"]["route"], "named");
    assert_eq!(
        link(&told, "leg.dialing")["decision"]["decision"]["decision"],
        "allow"
    );
    assert_eq!(
        link(&told, "leg.dialing")["cause"],
        json!({"app": "default", "cmd": "leg.dial"})
    );
    link(&told, "call.refused");
}

#[test]
fn row_4_what_nobody_knows_is_not_explained() {
    let mut town = Town::new(4104);
    let router = town.router();
    assert_eq!(
        town.refused(router, "explain", json!({"call": "c_none"})),
        "not_found"
    );
    assert_eq!(
        town.refused(router, "explain", json!({"leg": "l_none"})),
        "not_found"
    );
    assert_eq!(town.refused(router, "explain", json!({})), "invalid_params");
    let both = json!({"call": "c_none", "leg": "l_none"});
    assert_eq!(town.refused(router, "explain", both), "invalid_params");
    let step = json!({"steps": [{"method": "explain", "params": {"call": "c_none"}}]});
    assert_eq!(town.refused(router, "batch", step), "invalid_params");
    // A key that was refused is free.
    let customer = town.customer(CUSTOMER_HZ);
    assert_eq!(
        town.refused(router, "explain", json!({"call": "c_none", "key": "k"})),
        "not_found"
    );
    let (_, call) = town.answered_call(router, customer);
    let first = town.ask(router, "explain", json!({"call": call, "key": "k"}));
    town.hang_up(customer);
    town.run_for(SECOND);
    let again = town.ask(router, "explain", json!({"call": call, "key": "k"}));
    assert_eq!(
        (&again["replayed"], &again["chain"]),
        (&json!(true), &first["chain"])
    );
    assert_eq!(
        town.refused(router, "explain", json!({"call": "c_none", "key": "k"})),
        "key_conflict"
    );
}

fn view(town: &mut Town, router: usize, trunk: &str) -> Value {
    let trunks = town.ask(router, "trunk.list", json!({}))["trunks"].clone();
    let mut trunks = trunks.as_array().unwrap().iter();
    trunks.find(|view| view["trunk"] == trunk).unwrap().clone()
}

#[test]
fn a_trunk_that_is_switched_off_takes_and_gets_no_new_call_and_cuts_none() {
    let mut scene = Scene::talking(4105);
    let carrier = json!({"trunk": "carrier"});
    let done = scene.ask("trunk.disable", json!({"trunk": "carrier", "key": "off"}));
    assert_eq!(done.get("already"), None);
    let down = scene.events("trunk.down");
    assert_eq!((down.len(), &down[0]["data"]["why"]), (1, &json!("disabled")));
    assert_eq!(
        down[0]["cause"],
        json!({"app": "default", "cmd": "trunk.disable"})
    );
    assert_eq!(done["seq"], down[0]["seq"]);
    let (customer, agent) = (scene.customer, scene.agent);
    scene.assert_hears(customer, &[AGENT_HZ], &[]);
    scene.assert_hears(agent, &[CUSTOMER_HZ], &[]);
    let (town, router) = (&mut scene.town, scene.router);
    let off = view(town, router, "carrier");
    assert_eq!((&off["state"], &off["disabled"]), (&json!("down"), &json!(true)));
    assert_eq!(
        town.ask(router, "trunk.disable", carrier.clone())["already"],
        true
    );
    let again = town.ask(router, "trunk.disable", json!({"trunk": "carrier", "key": "off"}));
    assert_eq!(again["replayed"], true);
    let other = json!({"trunk": "agents", "key": "off"});
    assert_eq!(town.refused(router, "trunk.disable", other), "key_conflict");
    // Out.
    let dial = json!({"to": STOCKHOLM, "trunk": "carrier"});
    let reply = town.request(router, "leg.dial", dial.clone());
    assert_eq!(
        (&reply["error"]["data"]["kind"], &reply["error"]["data"]["why"]),
        (&json!("trunk_down"), &json!("disabled"))
    );
    // What the policy refuses is told by its rule all the same.
    let denied = json!({"to": GUERNSEY, "trunk": "carrier"});
    assert_eq!(
        town.refused(router, "leg.dial", denied),
        "destination_not_allowed"
    );
    // In.
    let late = town.customer(OTHER_HZ);
    town.call(late, NUMBER);
    town.run_for(100 * MS);
    let refused = town.routers[router].of("call.refused").last().unwrap()["data"].clone();
    assert_eq!(refused["rule"], "trunk_disabled");
    let answer = town.parties[late]
        .got
        .iter()
        .find(|text| text.starts_with("SIP/2.0 503"));
    assert!(answer.unwrap().contains("\r\nRetry-After: "), "{answer:?}");
    // On again.
    town.ask(router, "trunk.enable", carrier.clone());
    assert_eq!(town.routers[router].of("trunk.up").len(), 1);
    assert_eq!(town.ask(router, "trunk.enable", carrier)["already"], true);
    assert_eq!(view(town, router, "carrier")["state"], "up");
    town.answered_call(router, late);
    town.ask(router, "leg.dial", dial);
}

#[test]
fn a_trunk_stays_switched_off_over_a_restart_and_a_refused_batch_switches_nothing() {
    let mut town = Town::new(4106);
    let router = town.router();
    assert_eq!(
        town.refused(router, "trunk.disable", json!({"trunk": "nobody"})),
        "not_found"
    );
    assert_eq!(
        town.refused(router, "trunk.enable", json!({"trunk": "nobody"})),
        "not_found"
    );
    let steps = json!([
        {"method": "trunk.disable", "params": {"trunk": "carrier"}},
        {"method": "leg.answer", "params": {"leg": "l_none"}},
    ]);
    assert_eq!(
        town.refused(router, "batch", json!({ "steps": steps })),
        "not_found"
    );
    assert!(town.routers[router].of("trunk.down").is_empty());
    assert_eq!(view(&mut town, router, "carrier")["state"], "up");
    town.ask(router, "trunk.disable", json!({"trunk": "carrier"}));
    assert_eq!(town.routers[router].of("trunk.down").len(), 1);
    let saved = town.saved_limits.clone().expect("written down");
    let mut next = Town::after(Some(saved), 4107, |text| text);
    let router = next.router();
    assert_eq!(view(&mut next, router, "carrier")["disabled"], true);
    assert_eq!(view(&mut next, router, "agents").get("disabled"), None);
    let dial = json!({"to": STOCKHOLM, "trunk": "carrier"});
    assert_eq!(next.refused(router, "leg.dial", dial), "trunk_down");
    next.ask(router, "trunk.enable", json!({"trunk": "carrier"}));
    assert_eq!(next.routers[router].of("trunk.up").len(), 1);
}
