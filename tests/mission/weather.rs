//! Promises about single frames at every moment of a tick, and promises of order over a bad network.

use house::sim::{Answer, PartyEvent, Town, Weather};
use serde_json::json;

use crate::scene::*;

#[test]
fn row_10_no_frame_leaks_at_whatever_moment_the_hold_comes() {
    let mut scene = Scene::talking(1091);
    let (customer, agent) = (scene.customer, scene.agent);
    for _ in 0..21 {
        // 1.7 ms further into the tick each time.
        scene
            .town
            .run_for(200 * MS + 1700 * std::time::Duration::from_micros(1));
        let since = scene.town.now;
        scene.ask("leg.hold", json!({"leg": scene.caller}));
        scene.town.run_for(200 * MS);
        for (party, hz) in [(customer, AGENT_HZ), (agent, CUSTOMER_HZ)] {
            assert_eq!(last_frame(&scene.town, party, hz, since + TICK), None);
        }
        let begun = first_frame(&scene.town, customer, MUSIC_HZ, since);
        assert!(begun - since <= TICK + MS, "music after {:?}", begun - since);
        assert!(scene.town.parties[customer].gap(since, scene.town.now) <= 40 * MS);
        scene.ask("leg.resume", json!({"leg": scene.caller}));
    }
}

#[test]
fn row_21_a_join_is_one_frame_at_whatever_moment_it_comes() {
    let mut scene = Scene::talking(2191);
    let (other, _) = scene.consult();
    let (customer, agent) = (scene.customer, scene.agent);
    for _ in 0..21 {
        scene
            .town
            .run_for(200 * MS + 1700 * std::time::Duration::from_micros(1));
        let since = scene.town.now;
        scene.ask("leg.resume", json!({"leg": scene.caller}));
        scene.town.run_for(200 * MS);
        let ears = [
            (customer, AGENT_HZ),
            (customer, OTHER_HZ),
            (agent, CUSTOMER_HZ),
            (other, CUSTOMER_HZ),
        ];
        let firsts = ears.map(|(party, hz)| first_frame(&scene.town, party, hz, since) - since);
        let spread = *firsts.iter().max().unwrap() - *firsts.iter().min().unwrap();
        assert!(spread < TICK, "{firsts:?}");
        for party in [customer, agent, other] {
            assert!(scene.town.parties[party].gap(since, scene.town.now) <= 40 * MS);
        }
        scene.ask("leg.hold", json!({"leg": scene.caller}));
    }
}

#[test]
fn row_20_a_bad_network_changes_nothing_in_who_hears_whom() {
    let mut scene = Scene::talking(2091);
    let bad = Weather {
        loss_permille: 100,
        duplicate_permille: 50,
        delay: 20 * MS,
        jitter: 30 * MS,
    };
    scene.town.set_weather(bad);
    scene.town.media_net.set_weather(media::shard::sim_io::Weather {
        loss_permille: 20,
        duplicate_permille: 20,
        delay: 20 * MS,
        jitter: 15 * MS,
    });
    let (other, _) = scene.consult();
    scene.town.run_for(5 * SECOND);
    scene.assert_hears(scene.customer, &[], &[AGENT_HZ, OTHER_HZ]);
    scene.town.hang_up(scene.agent);
    scene.town.run_for(5 * SECOND);
    assert_eq!(
        scene.event("leg.ended", &scene.desk.clone())["data"]["reason"],
        "completed"
    );
    assert_eq!(scene.leg(&scene.caller.clone())["held"], true);
    let since = scene.town.now;
    scene.town.run_for(2 * SECOND);
    for hz in [AGENT_HZ, OTHER_HZ] {
        assert_eq!(last_frame(&scene.town, scene.customer, hz, since), None);
    }
    scene.ask("leg.resume", json!({"leg": scene.caller}));
    scene.town.run_for(500 * MS);
    let (since, customer) = (scene.town.now, scene.customer);
    scene.town.run_for(2 * SECOND);
    let heard = |party: usize, hz: f64| {
        let frames = frames(&scene.town, party, hz, since);
        frames.iter().filter(|(_, level)| *level > LOUD).count()
    };
    assert!(
        heard(customer, OTHER_HZ) > 60 && heard(other, CUSTOMER_HZ) > 60,
        "{} {}",
        heard(customer, OTHER_HZ),
        heard(other, CUSTOMER_HZ)
    );
}

/// One offer whose 200 arrives so long after the command; whether it was answered, and what was told.
fn raced(seed: u64, arrives: std::time::Duration) -> (bool, Vec<String>, Vec<PartyEvent>) {
    let mut town = Town::new(seed);
    let router = town.router();
    let (customer, agent) = (town.customer(CUSTOMER_HZ), town.agent(AGENT_HZ));
    let (caller, call) = town.answered_call(router, customer);
    town.ask(router, "leg.hold", json!({"leg": caller}));
    town.set_weather(Weather {
        delay: 10 * MS,
        ..Weather::default()
    });
    town.parties[agent].answer = Answer::After(arrives - 20 * MS);
    let to = town.target(agent);
    let params = json!({"to": to, "trunk": "agents", "call": call, "ring_timeout_ms": 1000});
    let leg = town.ask(router, "leg.dial", params)["leg"]
        .as_str()
        .unwrap()
        .to_owned();
    town.run_for(3 * SECOND);
    let of_leg = town.routers[router]
        .events
        .iter()
        .filter(|event| event["leg"] == leg.as_str());
    let kinds: Vec<String> = of_leg
        .map(|event| event["type"].as_str().unwrap().to_owned())
        .collect();
    let is_answered = kinds.iter().any(|kind| kind == "leg.answered");
    let events = town.parties[agent]
        .events
        .iter()
        .map(|(_, event)| event.clone())
        .collect();
    assert!(
        frames(&town, customer, MUSIC_HZ, town.now - SECOND)
            .iter()
            .all(|(_, level)| *level > LOUD)
    );
    (is_answered, kinds, events)
}

#[test]
fn row_08_every_crossing_of_200_and_cancel_has_one_outcome() {
    for millis in (970..=1040).step_by(2) {
        let (is_answered, kinds, phone) = raced(8_900 + millis, millis as u32 * MS);
        let is_ended = kinds.iter().any(|kind| kind == "leg.ended");
        assert!(is_answered != is_ended, "{millis} ms: {kinds:?}");
        // At the very moment of the limit either may win, as long as it is one of them.
        match millis {
            ..1000 => assert!(is_answered, "{millis} ms: {kinds:?}"),
            1000 => {}
            _ => assert!(is_ended, "{millis} ms: {kinds:?}"),
        }
        let last = phone.last().unwrap();
        if is_answered {
            assert_eq!(*last, PartyEvent::Answered, "{millis} ms: {phone:?}");
        } else {
            assert!(
                matches!(last, PartyEvent::Ended | PartyEvent::Cancelled),
                "{millis} ms: {phone:?}"
            );
        }
    }
}

#[test]
fn row_10_a_hold_may_come_in_every_state_and_survives_every_change_of_bridge() {
    let mut town = Town::new(1092);
    let router = town.router();
    let (customer, agent) = (town.customer(CUSTOMER_HZ), town.agent(AGENT_HZ));
    town.call(customer, "+498001234567");
    town.run_for(50 * MS);
    let incoming = town.routers[router].of("leg.incoming")[0].clone();
    let (caller, call) = (incoming["leg"].clone(), incoming["call"].clone());
    town.ask(router, "leg.hold", json!({"leg": caller}));
    town.ask(router, "leg.answer", json!({"leg": caller}));
    town.run_for(100 * MS);
    assert_hears(&mut town, customer, &[MUSIC_HZ], &[]);
    let desk = town.dialled(router, agent, call.as_str().unwrap());
    let since = town.now;
    town.ask(
        router,
        "bridge.create",
        json!({"id": "one", "legs": [desk, caller]}),
    );
    town.ask(router, "bridge.create", json!({"id": "two", "call": call}));
    town.run_for(200 * MS);
    town.ask(router, "bridge.move", json!({"leg": caller, "to": "two"}));
    town.run_for(200 * MS);
    town.ask(router, "bridge.move", json!({"leg": desk, "to": "two"}));
    town.run_for(200 * MS);
    town.ask(router, "bridge.remove", json!({"bridge": "two", "leg": caller}));
    town.run_for(200 * MS);
    town.ask(router, "bridge.add", json!({"bridge": "two", "leg": caller}));
    town.run_for(200 * MS);
    let music = frames(&town, customer, MUSIC_HZ, since);
    assert!(
        music.len() >= 49 && music.iter().all(|(_, level)| *level > LOUD),
        "the music never stopped"
    );
    assert_eq!(last_frame(&town, agent, CUSTOMER_HZ, since), None);
    town.ask(router, "leg.resume", json!({"leg": caller}));
    town.run_for(100 * MS);
    assert_hears(&mut town, customer, &[AGENT_HZ], &[MUSIC_HZ]);
    assert_eq!(town.routers[router].of("leg.held").len(), 1);
}
