//! Answered and hung up in one breath: the caller has its 200 and then its BYE, whatever the 200 has to wait for.

use std::time::Duration;

use gateway::engine::io::Input;
use house::sim::{PartyEvent, Town};
use serde_json::{Value, json};
use sip::endpoint::{Flow, Policy, Support};

const MS: Duration = Duration::from_millis(1);
const NUMBER: &str = "+498001234567";

/// What the caller was told, what clients were, and that nothing is left.
fn assert_goodbye(town: &mut Town, router: usize, customer: usize, leg: &str) {
    town.run_for(Duration::from_secs(2));
    let told: Vec<&PartyEvent> = town.parties[customer]
        .events
        .iter()
        .map(|(_, event)| event)
        .filter(|event| **event != PartyEvent::Ringing)
        .collect();
    assert_eq!(told, [&PartyEvent::Answered, &PartyEvent::Ended]);
    let bye = town.parties[customer]
        .got
        .iter()
        .find(|text| text.starts_with("BYE "));
    assert!(bye.unwrap().contains("Reason: Q.850;cause=16"), "{bye:?}");
    let ended = town.routers[router].last_of("leg.ended", leg).unwrap();
    let data = &ended["data"];
    assert_eq!(
        (&data["by"], &data["reason"], &data["sip"], &data["q850"]),
        (&json!("control"), &json!("completed"), &Value::Null, &json!(16))
    );
    assert_eq!(town.routers[router].of("leg.ended").len(), 1);
    town.run_for(Duration::from_secs(40));
    assert_eq!(town.records.len(), 1);
    assert_eq!(town.records[0]["legs"][0]["reason"], "completed");
    assert!(town.core.engine().is_empty());
    assert_eq!(
        (
            town.core.endpoint().sessions(),
            town.core.endpoint().transactions()
        ),
        (0, 0)
    );
    assert_eq!(town.media_in_use()[0].0, 0, "its stream is closed");
    assert!(town.log.is_empty(), "{:?}", town.log);
}

fn incoming(town: &Town, router: usize) -> (String, String) {
    let incoming = town.routers[router].of("leg.incoming")[0].clone();
    let text = |member: &str| incoming[member].as_str().unwrap().to_owned();
    (text("leg"), text("call"))
}

fn steps(first: &[Value], leg: &str, call: &str) -> Value {
    let mut steps = first.to_vec();
    steps.push(json!({"method": "leg.answer", "params": {"leg": leg}}));
    steps.push(json!({"method": "call.end", "params": {"call": call}}));
    json!({ "steps": steps })
}

#[test]
fn a_leg_answered_and_ended_at_once_gets_200_and_bye() {
    let mut town = Town::new(501);
    let (router, customer) = (town.router(), town.customer(440.0));
    town.call(customer, NUMBER);
    town.run_for(50 * MS);
    let (leg, call) = incoming(&town, router);
    town.ask(router, "batch", steps(&[], &leg, &call));
    assert_goodbye(&mut town, router, customer, &leg);
}

#[test]
fn its_200_may_wait_for_a_prack() {
    let mut town = Town::new(502);
    let (router, customer) = (town.router(), town.customer(440.0));
    let rel100 = Support::Required;
    town.speak(
        customer,
        Policy {
            rel100,
            ..Policy::default()
        },
    );
    town.call(customer, NUMBER);
    town.run_for(50 * MS);
    let (leg, call) = incoming(&town, router);
    let early = json!({"method": "leg.progress", "params": {"leg": leg, "status": 183}});
    town.ask(router, "batch", steps(&[early], &leg, &call));
    assert_goodbye(&mut town, router, customer, &leg);
}

/// The INVITE reaches the core; the word of its media thread, where its port is, comes after the router's.
fn invite_before_its_port(town: &mut Town, customer: usize) {
    let gateway = "10.0.0.1:5060".parse().unwrap();
    let now = town.now();
    town.parties[customer].call(NUMBER, gateway, vec![], now.mono);
    while let Some((flow, bytes)) = town.parties[customer].take_letter() {
        let flow = Flow {
            local: flow.remote,
            remote: flow.local,
            ..flow
        };
        town.core.handle(Input::Datagram { flow, bytes }, now);
    }
}

fn leg_and_call(town: &Town) -> (String, String) {
    let world = town.core.engine().world();
    let (_, leg) = world.legs.iter().next().unwrap();
    let (_, call) = world.calls.iter().next().unwrap();
    (leg.id.as_str().to_owned(), call.id.as_str().to_owned())
}

#[test]
fn its_200_may_wait_for_its_port() {
    let mut town = Town::new(503);
    let (router, customer) = (town.router(), town.customer(440.0));
    invite_before_its_port(&mut town, customer);
    let (leg, call) = leg_and_call(&town);
    town.ask(router, "batch", steps(&[], &leg, &call));
    assert_goodbye(&mut town, router, customer, &leg);
}

#[test]
fn what_is_answered_is_answered_though_its_port_is_not_known() {
    for (seed, method, params) in [
        (504, "leg.answer", json!({})),
        (505, "leg.reject", json!({"status": 486})),
        (506, "leg.progress", json!({"status": 180})),
    ] {
        let mut town = Town::new(seed);
        let (router, customer) = (town.router(), town.customer(440.0));
        invite_before_its_port(&mut town, customer);
        let (leg, _) = leg_and_call(&town);
        let mut params = params;
        params["leg"] = json!(leg);
        let steps = json!([
            {"method": "leg.answer", "params": {"leg": leg}},
            {"method": method, "params": params},
        ]);
        let refused = town.refused(router, "batch", json!({ "steps": steps }));
        assert_eq!(refused, "invalid_state", "{method}");
        // The whole batch was taken back, so the leg may still be refused.
        town.ask(router, "leg.reject", json!({"leg": leg, "status": 486}));
        town.run_for(100 * MS);
        let told = town.parties[customer].events.last().unwrap();
        assert_eq!(told.1, PartyEvent::Refused(486));
    }
}
