//! Voice on a desk phone reached over a trunk, control on the screen.

use house::sim::{Answer, PartyEvent, Town};
use serde_json::json;

use crate::scene::*;

const DESK_NUMBER: &str = "+493055500100";
const CENTRE_NUMBER: &str = "+493012345678";
const CUSTOMER_NUMBER: &str = "+4684060000";

/// A town with a second trunk, so that desk phones and customers live in different places.
fn town(seed: u64) -> Town {
    Town::with(seed, |text| {
        let desks = r#"
[[trunk]]
name = "desks"
hosts = ["10.0.3.1:5060"]
allow = ["10.0.3.0/24"]
media_allow = ["10.0.0.0/8"]
caller_ids = ["+493012345678"]
agents = true
"#;
        text.replace("[[number]]", &format!("{desks}[[number]]"))
    })
}

fn desk_phone(town: &mut Town) -> usize {
    town.party("desk phone", "10.0.3.1:5060", AGENT_HZ)
}

#[test]
fn row_26_every_button_works_on_a_trunk_leg() {
    let mut town = town(2601);
    let router = town.router();
    let customer = town.customer(CUSTOMER_HZ);
    let phone = desk_phone(&mut town);
    let (caller, call) = town.answered_call(router, customer);
    let dial = json!({"to": DESK_NUMBER, "trunk": "desks", "call": call});
    let desk = town.ask(router, "leg.dial", dial)["leg"]
        .as_str()
        .unwrap()
        .to_owned();
    town.run_for(300 * MS);
    let made = town.ask(
        router,
        "bridge.create",
        json!({"call": call, "legs": [caller, desk]}),
    );
    town.run_for(100 * MS);
    assert_hears(&mut town, phone, &[CUSTOMER_HZ], &[]);
    town.ask(router, "leg.hold", json!({"leg": desk}));
    town.run_for(TICK * 2);
    assert_hears(&mut town, phone, &[MUSIC_HZ], &[CUSTOMER_HZ]);
    assert_hears(&mut town, customer, &[], &[AGENT_HZ, MUSIC_HZ]);
    town.ask(router, "leg.resume", json!({"leg": desk}));
    town.ask(router, "leg.mute", json!({"leg": desk, "direction": "send"}));
    town.run_for(100 * MS);
    assert_hears(&mut town, phone, &[CUSTOMER_HZ], &[MUSIC_HZ]);
    assert_hears(&mut town, customer, &[], &[AGENT_HZ]);
    town.ask(router, "leg.unmute", json!({"leg": desk, "direction": "send"}));
    town.ask(router, "leg.send_dtmf", json!({"leg": desk, "digits": "42"}));
    town.run_for(SECOND);
    assert_eq!(town.parties[phone].digits, [4, 2]);
    let other = town.agent(OTHER_HZ);
    let to = town.target(other);
    let dial = json!({"to": to, "trunk": "agents", "bridge": made["bridge"]});
    let third = town.ask(router, "leg.dial", dial)["leg"]
        .as_str()
        .unwrap()
        .to_owned();
    town.run_for(400 * MS);
    assert_hears(&mut town, phone, &[CUSTOMER_HZ, OTHER_HZ], &[]);
    town.ask(
        router,
        "bridge.swap",
        json!({"bridge": made["bridge"], "a": caller, "b": third}),
    );
    town.run_for(100 * MS);
    assert_hears(&mut town, phone, &[MUSIC_HZ], &[CUSTOMER_HZ, OTHER_HZ]);
    assert_hears(&mut town, customer, &[OTHER_HZ], &[AGENT_HZ]);
    town.ask(router, "leg.hangup", json!({"leg": desk}));
    town.run_for(200 * MS);
    assert_eq!(town.parties[phone].events.last().unwrap().1, PartyEvent::Ended);
    assert_hears(&mut town, customer, &[OTHER_HZ], &[]);
}

#[test]
fn row_27_the_desk_phone_sees_the_centre_and_nothing_of_the_customer() {
    let mut town = town(2701);
    let router = town.router();
    let customer = town.customer(CUSTOMER_HZ);
    let phone = desk_phone(&mut town);
    let (caller, call) = town.answered_call(router, customer);
    let number = event(&town, router, "leg.incoming", &caller)["data"]["from"]["number"].clone();
    let digits = number.as_str().unwrap().trim_start_matches('+').to_owned();
    let dial =
        json!({"to": DESK_NUMBER, "trunk": "desks", "call": call, "caller_id": {"number": CENTRE_NUMBER}});
    let desk = town.ask(router, "leg.dial", dial)["leg"]
        .as_str()
        .unwrap()
        .to_owned();
    town.run_for(300 * MS);
    town.ask(
        router,
        "bridge.create",
        json!({"call": call, "legs": [caller, desk]}),
    );
    town.run_for(100 * MS);
    assert_hears(&mut town, phone, &[CUSTOMER_HZ], &[]);
    town.hang_up(customer);
    town.ask(router, "leg.hangup", json!({"leg": desk}));
    town.run_for(SECOND);
    let got = &town.parties[phone].got;
    let invite = got.iter().find(|text| text.starts_with("INVITE ")).unwrap();
    assert!(
        invite
            .lines()
            .any(|line| line.starts_with("From:") && line.contains(CENTRE_NUMBER)),
        "{invite}"
    );
    for text in got {
        assert!(
            !text.contains(&digits) && !text.contains(&digits[2..]),
            "{digits} in {text}"
        );
        assert!(!text.contains("10.0.1.1"), "the customer's address in {text}");
    }
}

#[test]
fn row_28_the_desk_phone_rings_first_and_hears_the_customer_ring() {
    let mut town = town(2801);
    let router = town.router();
    let phone = desk_phone(&mut town);
    let customer = town.party("customer", "10.0.1.1:5060", CUSTOMER_HZ);
    town.parties[phone].answer = Answer::After(2 * SECOND);
    town.parties[customer].answer = Answer::After(1200 * MS);
    let dialled = town.ask(router, "leg.dial", json!({"to": DESK_NUMBER, "trunk": "desks"}));
    let (desk, call) = (
        dialled["leg"].as_str().unwrap().to_owned(),
        dialled["call"].clone(),
    );
    town.run_for(1900 * MS);
    assert!(
        town.parties[customer].got.is_empty(),
        "the customer is not called while the desk rings"
    );
    town.run_for(200 * MS);
    assert!(town.routers[router].last_of("leg.answered", &desk).is_some());
    let bridge = town.ask(router, "bridge.create", json!({"call": call, "legs": [desk]}))["bridge"].clone();
    let dial = json!({"to": CUSTOMER_NUMBER, "trunk": "carrier", "bridge": bridge, "early_media": "connect"});
    let leg = town.ask(router, "leg.dial", dial)["leg"]
        .as_str()
        .unwrap()
        .to_owned();
    let invited = |town: &Town, party: usize| town.parties[party].events[0].0;
    assert!(invited(&town, phone) < invited(&town, customer));
    town.run_for(100 * MS);
    let since = town.now;
    town.run_for(SECOND);
    let heard = town.parties[phone].samples(since, town.now);
    let ring = (
        house::tone::level(&heard, 440.0),
        house::tone::level(&heard, 480.0),
    );
    assert!(ring.0 > 0.05 && ring.1 > 0.05, "the ring tone is heard: {ring:?}");
    assert!(house::tone::level(&heard, CUSTOMER_HZ) < FAINT);
    town.run_for(100 * MS + 3 * TICK);
    assert!(town.routers[router].last_of("leg.answered", &leg).is_some());
    // The first two seconds of the ring tone are not over: what ends it is the answer.
    assert_hears(&mut town, phone, &[CUSTOMER_HZ], &[480.0]);
    assert_hears(&mut town, customer, &[AGENT_HZ], &[480.0]);
}

#[test]
fn row_28_early_media_of_the_customer_takes_the_place_of_the_ring_tone() {
    let mut town = town(2802);
    let router = town.router();
    let phone = desk_phone(&mut town);
    let customer = town.party("customer", "10.0.1.1:5060", CUSTOMER_HZ);
    town.parties[customer].answer = Answer::Early(3 * SECOND);
    let dialled = town.ask(router, "leg.dial", json!({"to": DESK_NUMBER, "trunk": "desks"}));
    town.run_for(300 * MS);
    let made = town.ask(
        router,
        "bridge.create",
        json!({"call": dialled["call"], "legs": [dialled["leg"]]}),
    );
    let dial = json!({"to": CUSTOMER_NUMBER, "trunk": "carrier", "bridge": made["bridge"], "early_media": "connect"});
    town.ask(router, "leg.dial", dial);
    town.run_for(300 * MS);
    assert_hears(&mut town, phone, &[CUSTOMER_HZ], &[480.0]);
    assert_hears(&mut town, customer, &[], &[AGENT_HZ]);
    town.run_for(3 * SECOND);
    assert_hears(&mut town, customer, &[AGENT_HZ], &[]);
}
