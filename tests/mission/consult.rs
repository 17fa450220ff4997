//! Three in a call: consult, join, swap, drop, transfer.

use serde_json::json;

use crate::scene::*;

#[test]
fn row_19_the_customer_hears_music_only_while_the_agent_consults() {
    let mut scene = Scene::talking(1901);
    let since = scene.town.now;
    let (other, leg) = scene.consult();
    let (customer, agent) = (scene.customer, scene.agent);
    scene.assert_hears(customer, &[MUSIC_HZ], &[AGENT_HZ, OTHER_HZ]);
    scene.assert_hears(agent, &[OTHER_HZ], &[CUSTOMER_HZ, MUSIC_HZ]);
    scene.assert_hears(other, &[AGENT_HZ], &[CUSTOMER_HZ, MUSIC_HZ]);
    for hz in [AGENT_HZ, OTHER_HZ] {
        assert_eq!(last_frame(&scene.town, customer, hz, since + TICK), None);
    }
    assert!(scene.town.parties[customer].gap(since, scene.town.now) <= 40 * MS);
    let (held, dialing) = (
        scene.event("leg.held", &scene.caller.clone()),
        scene.event("leg.dialing", &leg),
    );
    assert_eq!(held["group"], dialing["group"]);
    assert!(held["group"].is_string(), "one batch, one group: {held}");
}

#[test]
fn row_19_a_consult_that_may_not_be_dialled_holds_nobody() {
    let mut scene = Scene::talking(1902);
    let steps = json!([
        {"method": "leg.hold", "params": {"leg": scene.caller}},
        {"method": "leg.dial", "params": {"to": "+447911123456", "trunk": "carrier", "bridge": scene.bridge}},
    ]);
    let reply = scene.town.request(scene.router, "batch", json!({"steps": steps}));
    let data = &reply["error"]["data"];
    assert_eq!(
        (&data["kind"], &data["step"]),
        (&json!("destination_not_allowed"), &json!(1)),
        "{reply}"
    );
    assert_eq!(data["rule"], "deny_prefix:+447");
    assert!(scene.events("leg.held").is_empty());
    scene.assert_hears(scene.customer, &[AGENT_HZ], &[MUSIC_HZ]);
}

#[test]
fn row_20_the_customer_stays_on_music_until_somebody_resumes() {
    let mut scene = Scene::talking(2001);
    let (other, _) = scene.consult();
    let customer = scene.customer;
    let since = scene.town.now;
    scene.town.hang_up(scene.agent);
    scene.town.run_for(10 * SECOND);
    let music = frames(&scene.town, customer, MUSIC_HZ, since);
    assert!(music.len() > 490 && music.iter().all(|(_, level)| *level > LOUD));
    assert!(scene.town.parties[customer].gap(since, scene.town.now) <= 40 * MS);
    assert_eq!(last_frame(&scene.town, other, CUSTOMER_HZ, since), None);
    assert_eq!(scene.leg(&scene.caller.clone())["held"], true);
    let resumed = scene.town.now;
    scene.ask("leg.resume", json!({"leg": scene.caller}));
    scene.town.run_for(100 * MS);
    assert_eq!(last_frame(&scene.town, customer, MUSIC_HZ, resumed + TICK), None);
    assert!(first_frame(&scene.town, customer, OTHER_HZ, resumed) - resumed <= 2 * TICK);
    assert!(first_frame(&scene.town, other, CUSTOMER_HZ, resumed) - resumed <= 2 * TICK);
    scene.assert_hears(customer, &[OTHER_HZ], &[MUSIC_HZ, AGENT_HZ]);
}

#[test]
fn row_21_join_lets_all_three_hear_one_another_on_the_same_frame() {
    let mut scene = Scene::talking(2101);
    let (other, leg) = scene.consult();
    let (customer, agent) = (scene.customer, scene.agent);
    let before: Vec<usize> = [customer, agent, other]
        .iter()
        .map(|p| scene.town.parties[*p].got.len())
        .collect();
    let pairs = json!([{"from": scene.caller, "to": leg, "gain_db": 0}, {"from": leg, "to": scene.caller, "gain_db": 0}]);
    let steps = json!([
        {"method": "bridge.set_matrix", "params": {"bridge": scene.bridge, "pairs": pairs}},
        {"method": "leg.resume", "params": {"leg": scene.caller}},
    ]);
    let since = scene.town.now;
    scene.ask("batch", json!({"steps": steps}));
    scene.town.run_for(SECOND);
    let firsts = [
        (customer, AGENT_HZ),
        (customer, OTHER_HZ),
        (agent, CUSTOMER_HZ),
        (other, CUSTOMER_HZ),
    ]
    .map(|(party, hz)| first_frame(&scene.town, party, hz, since));
    let (first, last) = (firsts.iter().min().unwrap(), firsts.iter().max().unwrap());
    assert!(*last - *first < TICK, "{:?}", firsts.map(|at| at - since));
    // The mix hears the customer through a jitter buffer that begins to fill now.
    assert!(*last - since <= 3 * TICK, "{:?}", firsts.map(|at| at - since));
    scene.assert_hears(customer, &[AGENT_HZ, OTHER_HZ], &[CUSTOMER_HZ, MUSIC_HZ]);
    scene.assert_hears(agent, &[CUSTOMER_HZ, OTHER_HZ], &[AGENT_HZ, MUSIC_HZ]);
    scene.assert_hears(other, &[CUSTOMER_HZ, AGENT_HZ], &[OTHER_HZ, MUSIC_HZ]);
    let after: Vec<usize> = [customer, agent, other]
        .iter()
        .map(|p| scene.town.parties[*p].got.len())
        .collect();
    assert_eq!(before, after, "relay becomes mix without a word of SIP");
    let modes = scene.events("bridge.mode");
    assert_eq!(modes.last().unwrap()["data"]["mode"], "mix");
}

#[test]
fn row_22_swap_lets_the_two_named_talk_whichever_they_are() {
    let mut scene = Scene::talking(2201);
    let (other, leg) = scene.consult();
    let (customer, agent) = (scene.customer, scene.agent);
    let swap = |a: &str, b: &str, bridge: &str| json!({"bridge": bridge, "a": a, "b": b});
    let (caller, desk, bridge) = (scene.caller.clone(), scene.desk.clone(), scene.bridge.clone());
    // As in the deck: the transferring agent goes on hold.
    let since = scene.town.now;
    scene.ask("bridge.swap", swap(&caller, &leg, &bridge));
    scene.town.run_for(200 * MS);
    assert_eq!(last_frame(&scene.town, agent, OTHER_HZ, since + TICK), None);
    assert_eq!(last_frame(&scene.town, customer, MUSIC_HZ, since + TICK), None);
    scene.assert_hears(customer, &[OTHER_HZ], &[AGENT_HZ, MUSIC_HZ]);
    scene.assert_hears(other, &[CUSTOMER_HZ], &[AGENT_HZ, MUSIC_HZ]);
    scene.assert_hears(agent, &[MUSIC_HZ], &[CUSTOMER_HZ, OTHER_HZ]);
    // As in Streams: the agent stays, held and active change places.
    scene.ask("bridge.swap", swap(&desk, &caller, &bridge));
    scene.town.run_for(100 * MS);
    scene.assert_hears(agent, &[CUSTOMER_HZ], &[OTHER_HZ, MUSIC_HZ]);
    scene.assert_hears(other, &[MUSIC_HZ], &[CUSTOMER_HZ, AGENT_HZ]);
    scene.ask("bridge.swap", swap(&desk, &leg, &bridge));
    scene.town.run_for(100 * MS);
    scene.assert_hears(agent, &[OTHER_HZ], &[CUSTOMER_HZ, MUSIC_HZ]);
    scene.assert_hears(customer, &[MUSIC_HZ], &[AGENT_HZ, OTHER_HZ]);
}

#[test]
fn row_23_the_destination_is_dropped_without_a_gap_in_the_music() {
    let mut scene = Scene::talking(2301);
    let (other, leg) = scene.consult();
    let (customer, agent) = (scene.customer, scene.agent);
    let since = scene.town.now;
    scene.ask("leg.hangup", json!({"leg": leg}));
    scene.town.run_for(2 * SECOND);
    assert!(
        frames(&scene.town, customer, MUSIC_HZ, since)
            .iter()
            .all(|(_, level)| *level > LOUD)
    );
    assert!(scene.town.parties[customer].gap(since, scene.town.now) <= 40 * MS);
    assert!(matches!(
        scene.town.parties[other].events.last(),
        Some((_, house::sim::PartyEvent::Ended))
    ));
    assert_eq!(scene.leg(&scene.caller.clone())["held"], true);
    scene.assert_hears(agent, &[], &[OTHER_HZ, CUSTOMER_HZ, MUSIC_HZ]);
    scene.ask("leg.resume", json!({"leg": scene.caller}));
    scene.town.run_for(100 * MS);
    scene.assert_hears(customer, &[AGENT_HZ], &[MUSIC_HZ]);
    scene.assert_hears(agent, &[CUSTOMER_HZ], &[]);
}

#[test]
fn row_25_one_of_three_mutes_and_the_others_go_on() {
    let mut scene = Scene::talking(2501);
    let (other, leg) = scene.consult();
    let (customer, agent) = (scene.customer, scene.agent);
    scene.ask("leg.resume", json!({"leg": scene.caller}));
    scene.town.run_for(100 * MS);
    let since = scene.town.now;
    scene.ask("leg.mute", json!({"leg": leg, "direction": "send"}));
    scene.town.run_for(200 * MS);
    for party in [customer, agent] {
        assert_eq!(last_frame(&scene.town, party, OTHER_HZ, since + TICK), None);
    }
    scene.assert_hears(customer, &[AGENT_HZ], &[OTHER_HZ]);
    scene.assert_hears(agent, &[CUSTOMER_HZ], &[OTHER_HZ]);
    scene.assert_hears(other, &[CUSTOMER_HZ, AGENT_HZ], &[]);
    scene.ask("leg.unmute", json!({"leg": leg, "direction": "send"}));
    scene.town.run_for(100 * MS);
    scene.assert_hears(agent, &[CUSTOMER_HZ, OTHER_HZ], &[]);
}
