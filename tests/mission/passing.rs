//! How calls pass from leg to leg: hops, versions, forks, reasons.

use house::sim::{Answer, PartyEvent};
use serde_json::json;
use sip::endpoint::ExtraHeader;

use crate::scene::*;

#[test]
fn hops_are_carried_over_and_the_third_visit_is_a_loop() {
    let mut town = house::sim::Town::new(1601);
    let router = town.router();
    let (customer, agent) = (town.customer(CUSTOMER_HZ), town.agent(AGENT_HZ));
    let (_, call) = town.answered_call(router, customer);
    town.dialled(router, agent, &call);
    let invite = town.parties[agent]
        .got
        .iter()
        .find(|text| text.starts_with("INVITE"));
    let invite = invite.unwrap().clone();
    let field = |text: &str, name: &str| -> Vec<String> {
        let lines = text.lines().filter_map(|line| line.split_once(": "));
        let found = lines.filter(|(field, _)| *field == name);
        found.map(|(_, value)| value.to_owned()).collect()
    };
    assert_eq!(field(&invite, "Max-Forwards"), ["69"]);
    let marks = field(&invite, "X-Hop");
    assert_eq!(marks.len(), 2, "the customer's own and ours");
    // What a carrier sends back for another number of ours has our mark, and passes.
    let mark = |times: usize| -> Vec<ExtraHeader> {
        let one = ExtraHeader {
            name: "X-Hop".into(),
            value: marks[1].clone(),
        };
        vec![one; times]
    };
    let second = town.customer(OTHER_HZ);
    town.call_with(second, "+498001234567", mark(1));
    town.run_for(100 * MS);
    let call = town.routers[router].of("leg.incoming").last().unwrap()["call"].clone();
    let other = town.agent(700.0);
    town.parties[other].answer = Answer::After(100 * MS);
    let to = town.target(other);
    town.ask(
        router,
        "leg.dial",
        json!({"to": to, "trunk": "agents", "call": call}),
    );
    town.run_for(300 * MS);
    let invite = town.parties[other]
        .got
        .iter()
        .find(|text| text.starts_with("INVITE"));
    assert_eq!(field(invite.unwrap(), "X-Hop").len(), 3);
    let third = town.customer(900.0);
    town.call_with(third, "+498001234567", mark(2));
    town.run_for(100 * MS);
    assert!(
        town.parties[third]
            .got
            .iter()
            .any(|text| text.starts_with("SIP/2.0 482"))
    );
}

#[test]
fn the_version_of_our_sdp_rises_only_with_a_change() {
    let mut scene = Scene::talking(1602);
    let customer = scene.customer;
    let versions = |scene: &Scene| -> Vec<String> {
        let texts = scene.town.parties[customer].got.iter();
        let origins = texts.filter_map(|text| text.lines().find_map(|line| line.strip_prefix("o=- ")));
        origins
            .map(|origin| origin.split(' ').nth(1).unwrap().to_owned())
            .collect()
    };
    scene.town.reinvite(customer, "sendrecv");
    scene.town.run_for(300 * MS);
    scene.town.reinvite(customer, "sendonly");
    scene.town.run_for(300 * MS);
    scene.town.reinvite(customer, "sendonly");
    scene.town.run_for(300 * MS);
    assert_eq!(versions(&scene), ["1", "1", "2", "2"]);
}

#[test]
fn a_peer_that_only_receives_holds_us() {
    let mut scene = Scene::talking(1603);
    let customer = scene.customer;
    scene.town.reinvite(customer, "recvonly");
    scene.town.run_for(300 * MS);
    assert_eq!(scene.events("leg.far_held").len(), 1);
    scene.town.reinvite(customer, "sendrecv");
    scene.town.run_for(300 * MS);
    assert_eq!(scene.events("leg.far_resumed").len(), 1);
    let ended = scene.town.parties[customer]
        .events
        .iter()
        .any(|(_, event)| matches!(event, PartyEvent::Ended));
    assert!(!ended);
}
