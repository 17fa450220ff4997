//! What a contact flow does with a call: menu, prompts, queue, whisper, and the books it leaves.

use std::sync::Arc;

use gateway::engine::io::{Input, Prompts};
use house::sim::{PartyEvent, Town, Weather};
use house::tone;
use media::sound::Sound;
use serde_json::json;

use crate::scene::*;

/// The prompt `greeting` is this tone for a second.
const GREETING_HZ: f64 = 2500.0;

#[test]
fn row_35_a_menu_is_played_and_a_digit_cuts_it_short() {
    let mut town = Town::new(3501);
    let router = town.router();
    let customer = town.customer(CUSTOMER_HZ);
    let (leg, _) = town.answered_call(router, customer);
    let since = town.now;
    let menu = json!({"leg": leg, "prompt": ["greeting", "greeting", "greeting"], "min": 1, "max": 1, "first_ms": 5000, "inter_ms": 2000});
    let op = town.ask(router, "collect.start", menu)["op"].clone();
    town.run_for(500 * MS);
    assert!(first_frame(&town, customer, GREETING_HZ, since) - since <= 2 * TICK);
    town.parties[customer].press(3);
    town.run_for(500 * MS);
    let ended = town.routers[router].of("collect.ended")[0].clone();
    assert_eq!(
        (&ended["data"]["digits"], &ended["data"]["why"]),
        (&json!("3"), &json!("max"))
    );
    assert_eq!(ended["op"], op);
    let over = last_frame(&town, customer, GREETING_HZ, since).unwrap() - town.start;
    assert!(
        over <= moment(&ended) + TICK,
        "the prompt ends with the digit: {over:?} {:?}",
        moment(&ended)
    );
    town.ask(
        router,
        "play.start",
        json!({"target": leg, "sources": ["greeting"]}),
    );
    town.run_for(100 * MS);
    assert_hears(&mut town, customer, &[GREETING_HZ], &[]);
    let reply = town.refused(
        router,
        "play.start",
        json!({"target": leg, "sources": ["nothing"]}),
    );
    assert_eq!(reply, "prompt_not_found");
}

#[test]
fn row_37_five_hundred_prompts_are_there_to_be_played() {
    let mut town = Town::new(3701);
    let router = town.router();
    let tone_of = |hz: f64| {
        let mut samples = vec![0; 8000];
        tone::sine(hz, 0.25, 0, &mut samples);
        Arc::new(Sound::from_pcm(samples))
    };
    let prompts = (0..500).map(|number| {
        (
            format!("prompt-{number}"),
            tone_of(500.0 + 50.0 * f64::from(number % 50)),
        )
    });
    town.input(Input::Prompts(Prompts {
        sounds: prompts.collect(),
        ..Prompts::default()
    }));
    let list = town.ask(router, "prompt.list", json!({}))["prompts"].clone();
    assert_eq!(list.as_array().unwrap().len(), 500);
    assert!(
        list.as_array()
            .unwrap()
            .iter()
            .all(|prompt| prompt["duration_ms"] == 1000)
    );
    let customer = town.customer(CUSTOMER_HZ);
    let (leg, _) = town.answered_call(router, customer);
    for number in [0, 7, 123, 499] {
        let name = format!("prompt-{number}");
        town.ask(
            router,
            "play.start",
            json!({"target": leg, "sources": [{"prompt": name}]}),
        );
        town.run_for(100 * MS);
        assert_hears(&mut town, customer, &[500.0 + 50.0 * f64::from(number % 50)], &[]);
        town.run_for(SECOND);
    }
}

#[test]
fn row_38_a_queue_is_music_with_announcements_and_then_an_agent() {
    let mut town = Town::new(3801);
    let router = town.router();
    let customer = town.customer(CUSTOMER_HZ);
    let (leg, call) = town.answered_call(router, customer);
    town.ask(router, "leg.hold", json!({"leg": leg}));
    town.run_for(2 * SECOND);
    let since = town.now;
    let op = town.ask(
        router,
        "play.start",
        json!({"target": leg, "sources": ["greeting"]}),
    )["op"]
        .clone();
    town.run_for(3 * SECOND);
    let ended = town.routers[router].of("play.ended").pop().unwrap().clone();
    assert_eq!((&ended["op"], &ended["data"]["why"]), (&op, &json!("completed")));
    assert_eq!(ended["data"]["position_ms"], 1000);
    let said = frames(&town, customer, GREETING_HZ, since)
        .into_iter()
        .filter(|(_, level)| *level > LOUD)
        .count();
    assert_eq!(said, 50, "the whole second, once");
    let music = frames(&town, customer, MUSIC_HZ, town.start + moment(&ended) + TICK);
    assert!(
        music.len() > 90 && music.iter().all(|(_, level)| *level > LOUD),
        "then the music goes on"
    );
    assert!(town.parties[customer].gap(since, town.now) <= 40 * MS);
    let agent = town.agent(AGENT_HZ);
    let desk = town.dialled(router, agent, &call);
    let steps = json!([
        {"method": "bridge.create", "params": {"call": call, "legs": [leg, desk]}},
        {"method": "leg.resume", "params": {"leg": leg}},
    ]);
    town.ask(router, "batch", json!({"steps": steps}));
    town.run_for(100 * MS);
    assert_hears(&mut town, customer, &[AGENT_HZ], &[MUSIC_HZ, GREETING_HZ]);
    assert_hears(&mut town, agent, &[CUSTOMER_HZ], &[MUSIC_HZ, GREETING_HZ]);
}

#[test]
fn row_43_the_caller_is_known_within_100_ms_of_the_invite() {
    let mut town = Town::new(4301);
    let router = town.router();
    let customer = town.customer(CUSTOMER_HZ);
    town.set_weather(Weather {
        delay: 40 * MS,
        ..Weather::default()
    });
    let sent = town.now - town.start;
    town.call(customer, "+498001234567");
    town.run_for(200 * MS);
    let incoming = town.routers[router].of("leg.incoming")[0].clone();
    assert_eq!(
        moment(&incoming) - sent,
        40 * MS,
        "in the very moment the INVITE is there"
    );
    let data = &incoming["data"];
    let number = format!("+4930{}", town.parties[customer].address.port());
    assert_eq!(data["from"]["number"], json!(number));
    assert_eq!(
        (&data["from"]["raw"], &data["from"]["source"]),
        (&json!(number), &json!("from"))
    );
    assert_eq!(
        data["to"],
        json!({"number": "+498001234567", "raw": "+498001234567"})
    );
    assert_eq!(data["trunk"], "carrier");
    town.ask(router, "leg.answer", json!({"leg": incoming["leg"]}));
    town.run_for(500 * MS);
    town.ask(
        router,
        "play.start",
        json!({"target": incoming["leg"], "sources": ["greeting"]}),
    );
    town.run_for(100 * MS);
    assert_hears(&mut town, customer, &[GREETING_HZ], &[]);
}

#[test]
fn row_44_a_customer_who_may_not_be_called_is_not_called() {
    let mut town = Town::new(4401);
    let router = town.router();
    let carrier = town.party("carrier", "10.0.1.1:5060", CUSTOMER_HZ);
    let agent = town.agent(AGENT_HZ);
    let to = town.target(agent);
    let dialled = town.ask(router, "leg.dial", json!({"to": to, "trunk": "agents"}));
    let leg = dialled["leg"].as_str().unwrap().to_owned();
    town.run_for(300 * MS);
    let since = town.now;
    town.ask(
        router,
        "play.start",
        json!({"target": leg, "sources": ["greeting"]}),
    );
    town.run_for(1100 * MS);
    assert!(
        frames(&town, agent, GREETING_HZ, since)
            .iter()
            .filter(|(_, level)| *level > LOUD)
            .count()
            >= 49
    );
    assert_eq!(
        town.routers[router].last_of("play.ended", &leg).unwrap()["data"]["why"],
        "completed"
    );
    town.ask(router, "leg.hangup", json!({"leg": leg}));
    town.run_for(SECOND);
    assert_eq!(town.parties[agent].events.last().unwrap().1, PartyEvent::Ended);
    assert!(
        town.parties[carrier].got.is_empty(),
        "not one datagram towards the customer"
    );
    assert_eq!(town.records.len(), 1);
    assert_eq!(town.records[0]["legs"].as_array().unwrap().len(), 1);
}

#[test]
fn row_45_the_whisper_is_the_agents_alone() {
    let mut town = Town::new(4501);
    let router = town.router();
    let customer = town.customer(CUSTOMER_HZ);
    let (caller, call) = town.answered_call(router, customer);
    town.ask(router, "leg.hold", json!({"leg": caller}));
    let agent = town.agent(AGENT_HZ);
    let desk = town.dialled(router, agent, &call);
    let since = town.now;
    town.ask(
        router,
        "play.start",
        json!({"target": desk, "sources": ["greeting"]}),
    );
    while town.routers[router].last_of("play.ended", &desk).is_none() {
        town.run_for(10 * MS);
        assert!(town.now - since < 2 * SECOND, "the whisper ends");
    }
    let steps = json!([
        {"method": "bridge.create", "params": {"call": call, "legs": [caller, desk]}},
        {"method": "leg.resume", "params": {"leg": caller}},
    ]);
    let joined = town.now;
    town.ask(router, "batch", json!({"steps": steps}));
    town.run_for(500 * MS);
    assert!(
        frames(&town, agent, GREETING_HZ, since)
            .iter()
            .filter(|(_, level)| *level > LOUD)
            .count()
            >= 49
    );
    assert_eq!(last_frame(&town, customer, GREETING_HZ, since), None);
    let waiting = frames(&town, customer, MUSIC_HZ, since)
        .into_iter()
        .filter(|(at, _)| *at <= joined);
    assert!(waiting.clone().count() >= 49 && waiting.into_iter().all(|(_, level)| level > LOUD));
    let early = frames(&town, agent, CUSTOMER_HZ, since)
        .into_iter()
        .filter(|(at, _)| *at <= joined);
    assert!(
        early.into_iter().all(|(_, level)| level < FAINT),
        "they are not together before the whisper is over"
    );
    assert_hears(&mut town, customer, &[AGENT_HZ], &[MUSIC_HZ, GREETING_HZ]);
    assert_hears(&mut town, agent, &[CUSTOMER_HZ], &[MUSIC_HZ, GREETING_HZ]);
}

#[test]
fn row_46_every_call_offered_leaves_one_record() {
    let mut town = Town::with(4601, |text| {
        text.replace("[limits]\ncalls = 100", "[limits]\ncalls = 3")
    });
    let router = town.router();
    let parties: Vec<usize> = (0..7).map(|_| town.customer(CUSTOMER_HZ)).collect();
    // In the menu, never offered to an agent: the caller gives up, or is sent away.
    let (gave_up, _) = town.answered_call(router, parties[0]);
    town.ask(
        router,
        "play.start",
        json!({"target": gave_up, "sources": ["greeting"]}),
    );
    town.run_for(200 * MS);
    assert_hears(&mut town, parties[0], &[GREETING_HZ], &[]);
    let (sent_away, _) = town.answered_call(router, parties[1]);
    // Never answered, and nobody takes it.
    town.call(parties[2], "+498001234567");
    town.run_for(100 * MS);
    // Over the limit of three.
    for party in [3, 4] {
        town.call(parties[party], "+498001234567");
        town.run_for(100 * MS);
    }
    town.hang_up(parties[0]);
    town.ask(router, "leg.hangup", json!({"leg": sent_away}));
    town.run_for(6 * SECOND);
    // Cancelled while it rang; rejected by the router.
    town.call(parties[5], "+498001234567");
    town.run_for(200 * MS);
    town.hang_up(parties[5]);
    town.run_for(200 * MS);
    town.call(parties[6], "+498001234567");
    town.run_for(200 * MS);
    let last = town.routers[router].of("leg.incoming").pop().unwrap()["leg"].clone();
    town.ask(router, "leg.reject", json!({"leg": last, "status": 486}));
    town.run_for(10 * SECOND);
    assert_eq!(town.records.len(), 7);
    let mut ids: Vec<String> = town
        .records
        .iter()
        .map(|record| record["call"].to_string())
        .collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 7, "no call twice");
    let refused = town
        .records
        .iter()
        .filter(|record| record.get("refused").is_some());
    let rules: Vec<_> = refused.map(|record| record["refused"]["rule"].clone()).collect();
    assert_eq!(rules, ["instance.calls", "instance.calls"]);
    let mut reasons: Vec<_> = town
        .records
        .iter()
        .filter_map(|record| record["legs"][0]["reason"].as_str())
        .collect();
    reasons.sort_unstable();
    assert_eq!(
        reasons,
        ["busy", "cancelled", "completed", "completed", "no_answer"]
    );
    let told: Vec<_> = town.routers[router]
        .of("call.record")
        .iter()
        .map(|event| event["data"].clone())
        .collect();
    assert_eq!(told.len(), 7);
    let offered: u64 = town
        .core
        .engine()
        .metrics()
        .tallies()
        .map(|(_, tally)| tally.offered)
        .sum();
    assert_eq!(offered, 7);
}
