//! The table of buttons, one call long: every button's commands, and after each the ears of all three.

use gateway::engine::io::RecorderCommand;
use house::sim::{Answer, PartyEvent, Town};
use house::tone;
use serde_json::{Value, json};

use crate::scene::*;

const ALL: [f64; 4] = [CUSTOMER_HZ, AGENT_HZ, OTHER_HZ, MUSIC_HZ];

/// Asserts what each party hears of the three voices and the music, and nothing else.
fn assert_ears(town: &mut Town, button: &str, wanted: &[(usize, &[f64])]) {
    town.run_for(100 * MS);
    let since = town.now;
    town.run_for(400 * MS);
    for (party, loud) in wanted {
        let samples = town.parties[*party].samples(since, town.now);
        for hz in ALL {
            let level = tone::level(&samples, hz);
            let is_right = if loud.contains(&hz) {
                level > LOUD
            } else {
                level < FAINT
            };
            assert!(
                is_right,
                "{button}: {} hears {hz} Hz at {level:.4}",
                town.parties[*party].name
            );
        }
    }
}

#[test]
fn each_button_is_its_commands() {
    let mut town = Town::new(8001);
    let router = town.router();
    let (customer, agent, other) = (
        town.customer(CUSTOMER_HZ),
        town.agent(AGENT_HZ),
        town.agent(OTHER_HZ),
    );
    let (caller, call) = town.answered_call(router, customer);
    let press = |town: &mut Town, method: &str, params: Value| town.ask(router, method, params);
    let batch =
        |town: &mut Town, steps: Value| town.ask(router, "batch", json!({"steps": steps}))["results"].clone();
    let agent_to = town.target(agent);
    let other_to = town.target(other);
    let on_music = |leg: &str| json!({"leg": leg, "music": "default"});

    press(&mut town, "leg.hold", on_music(&caller));
    press(&mut town, "bridge.create", json!({"id": "b", "call": call}));
    assert_ears(&mut town, "quick connect to a queue", &[(customer, &[MUSIC_HZ])]);

    town.parties[agent].answer = Answer::After(300 * MS);
    let offer = json!({"to": agent_to, "trunk": "agents", "call": call, "ring_timeout_ms": 20_000});
    let desk = press(&mut town, "leg.dial", offer)["leg"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_ears(&mut town, "offer", &[(customer, &[MUSIC_HZ])]);

    let accept = json!([
        {"method": "bridge.add", "params": {"bridge": "b", "leg": caller}},
        {"method": "bridge.add", "params": {"bridge": "b", "leg": desk}},
        {"method": "leg.resume", "params": {"leg": caller}},
    ]);
    batch(&mut town, accept);
    assert_ears(
        &mut town,
        "accept",
        &[(customer, &[AGENT_HZ]), (agent, &[CUSTOMER_HZ])],
    );

    press(&mut town, "leg.hold", on_music(&caller));
    assert_ears(&mut town, "hold", &[(customer, &[MUSIC_HZ]), (agent, &[])]);
    press(&mut town, "leg.resume", json!({"leg": caller}));
    assert_ears(
        &mut town,
        "resume",
        &[(customer, &[AGENT_HZ]), (agent, &[CUSTOMER_HZ])],
    );

    press(&mut town, "leg.mute", json!({"leg": desk, "direction": "send"}));
    assert_ears(&mut town, "mute", &[(customer, &[]), (agent, &[CUSTOMER_HZ])]);
    press(&mut town, "leg.unmute", json!({"leg": desk, "direction": "send"}));
    assert_ears(
        &mut town,
        "unmute",
        &[(customer, &[AGENT_HZ]), (agent, &[CUSTOMER_HZ])],
    );

    press(&mut town, "leg.send_dtmf", json!({"leg": caller, "digits": "5"}));
    town.run_for(400 * MS);
    assert_eq!(town.parties[customer].digits, [5], "digits in a call");

    let consult = |caller: &str| {
        json!([
            {"method": "leg.hold", "params": {"leg": caller}},
            {"method": "leg.dial", "params": {"to": other_to, "trunk": "agents", "bridge": "b"}},
        ])
    };
    let third = batch(&mut town, consult(&caller))[1]["leg"]
        .as_str()
        .unwrap()
        .to_owned();
    town.run_for(300 * MS);
    let consulting: [(usize, &[f64]); 3] = [
        (customer, &[MUSIC_HZ]),
        (agent, &[OTHER_HZ]),
        (other, &[AGENT_HZ]),
    ];
    assert_ears(&mut town, "consult", &consulting);

    press(&mut town, "leg.hangup", json!({"leg": third}));
    assert_ears(&mut town, "×", &[(customer, &[MUSIC_HZ]), (agent, &[])]);

    let third = batch(&mut town, consult(&caller))[1]["leg"]
        .as_str()
        .unwrap()
        .to_owned();
    town.run_for(300 * MS);
    assert_ears(&mut town, "consult again", &consulting);

    press(
        &mut town,
        "bridge.swap",
        json!({"bridge": "b", "a": caller, "b": third}),
    );
    let swapped: [(usize, &[f64]); 3] = [
        (customer, &[OTHER_HZ]),
        (agent, &[MUSIC_HZ]),
        (other, &[CUSTOMER_HZ]),
    ];
    assert_ears(&mut town, "swap, as in the deck", &swapped);
    press(
        &mut town,
        "bridge.swap",
        json!({"bridge": "b", "a": desk, "b": caller}),
    );
    let rotated: [(usize, &[f64]); 3] = [
        (customer, &[AGENT_HZ]),
        (agent, &[CUSTOMER_HZ]),
        (other, &[MUSIC_HZ]),
    ];
    assert_ears(&mut town, "swap, as in Streams", &rotated);
    press(
        &mut town,
        "bridge.swap",
        json!({"bridge": "b", "a": desk, "b": third}),
    );
    assert_ears(&mut town, "swap, as in Streams, back", &consulting);

    let cut = json!([{"from": caller, "to": third, "gain_db": null}, {"from": third, "to": caller, "gain_db": null}]);
    press(
        &mut town,
        "bridge.set_matrix",
        json!({"bridge": "b", "pairs": cut}),
    );
    let joined =
        json!([{"from": caller, "to": third, "gain_db": 0}, {"from": third, "to": caller, "gain_db": 0}]);
    let join = json!([
        {"method": "leg.resume", "params": {"leg": caller}},
        {"method": "bridge.set_matrix", "params": {"bridge": "b", "pairs": joined}},
    ]);
    batch(&mut town, join);
    let three: [(usize, &[f64]); 3] = [
        (customer, &[AGENT_HZ, OTHER_HZ]),
        (agent, &[CUSTOMER_HZ, OTHER_HZ]),
        (other, &[CUSTOMER_HZ, AGENT_HZ]),
    ];
    assert_ears(&mut town, "join", &three);

    press(&mut town, "leg.hold", on_music(&caller));
    press(&mut town, "leg.hangup", json!({"leg": desk}));
    assert_ears(
        &mut town,
        "transferring agent ends",
        &[(customer, &[MUSIC_HZ]), (other, &[])],
    );
    press(&mut town, "leg.resume", json!({"leg": caller}));
    assert_ears(
        &mut town,
        "resume on the destination's behalf",
        &[(customer, &[OTHER_HZ]), (other, &[CUSTOMER_HZ])],
    );

    press(&mut town, "leg.hangup", json!({"leg": third}));
    assert_ears(&mut town, "end call", &[(customer, &[])]);
    press(&mut town, "leg.hangup", json!({"leg": caller}));
    town.run_for(40 * SECOND);
    assert!(
        town.parties
            .iter()
            .all(|party| party.events.last().unwrap().1 == PartyEvent::Ended)
    );
    assert_eq!(town.records.len(), 1);
    assert!(town.core.engine().is_empty(), "nothing is left");
}

#[test]
fn auto_accept_asks_the_phone_to_answer_by_itself() {
    let mut town = Town::new(8002);
    let router = town.router();
    let agent = town.agent(AGENT_HZ);
    town.parties[agent].answer = Answer::After(std::time::Duration::ZERO);
    let to = town.target(agent);
    let offer = json!({"to": to, "trunk": "agents", "ring_timeout_ms": 20_000, "auto_answer": true});
    let leg = town.ask(router, "leg.dial", offer)["leg"].clone();
    town.run_for(100 * MS);
    let invite = &town.parties[agent].got[0];
    assert!(
        invite
            .lines()
            .any(|line| line.starts_with("Call-Info:") && line.contains("answer-after=0")),
        "{invite}"
    );
    town.ask(
        router,
        "play.start",
        json!({"target": leg, "sources": [{"tone": "beep"}]}),
    );
    let since = town.now;
    town.run_for(400 * MS);
    let beeps = frames(&town, agent, 1000.0, since)
        .into_iter()
        .filter(|(_, level)| *level > 0.05)
        .count();
    assert!(
        (12..=13).contains(&beeps),
        "a beep of 250 ms is heard for {beeps} frames"
    );
}

#[test]
fn the_number_pad_checks_then_dials() {
    let mut scene = Scene::talking(8003);
    let outside = scene.town.party("outside", "10.0.1.1:5060", OTHER_HZ);
    let (call, bridge) = (scene.call.clone(), scene.bridge.clone());
    let check = |number: &str| json!({"to": number, "trunk": "carrier", "from": "+493012345678"});
    assert_eq!(
        scene.ask("policy.check", check("+33123456789"))["decision"],
        "deny"
    );
    assert_eq!(
        scene.ask("policy.check", check("+4684060000"))["decision"],
        "allow"
    );
    let caller_id = json!({"number": "+493012345678"});
    let dial = |to: &str| json!({"to": to, "trunk": "carrier", "caller_id": caller_id, "call": call, "bridge": bridge});
    assert_eq!(
        scene.town.refused(scene.router, "leg.dial", dial("+33123456789")),
        "destination_not_allowed"
    );
    assert!(scene.town.parties[outside].got.is_empty());
    scene.ask("leg.dial", dial("+4684060000"));
    scene.town.run_for(300 * MS);
    let (customer, agent) = (scene.customer, scene.agent);
    assert_ears(
        &mut scene.town,
        "number pad",
        &[
            (outside, &[CUSTOMER_HZ, AGENT_HZ]),
            (agent, &[CUSTOMER_HZ, OTHER_HZ]),
            (customer, &[AGENT_HZ, OTHER_HZ]),
        ],
    );
}

#[test]
fn card_digits_reach_neither_the_agent_nor_the_tape_nor_the_events() {
    let mut scene = Scene::talking(8004);
    let (customer, agent, caller) = (scene.customer, scene.agent, scene.caller.clone());
    scene.ask(
        "record.start",
        json!({"target": scene.call, "channels": "per_party", "format": "wav", "id": "tape"}),
    );
    scene.town.run_for(500 * MS);
    let steps = json!([
        {"method": "record.pause", "params": {"recording": "tape", "reason": "card"}},
        {"method": "leg.hold", "params": {"leg": scene.desk}},
        {"method": "collect.start", "params": {"leg": caller, "min": 4, "max": 4, "first_ms": 5000, "inter_ms": 5000, "pci": true}},
    ]);
    let tracks = scene.town.recorder.iter().filter_map(|command| match command {
        RecorderCommand::Track { track, .. } => Some(*track),
        RecorderCommand::Start { .. } | RecorderCommand::Stop { .. } => None,
    });
    let tracks = tracks.collect::<Vec<_>>();
    assert_eq!(tracks.len(), 2);
    let before: Vec<usize> = tracks.iter().map(|track| scene.town.taped[track].len()).collect();
    let since = scene.town.now;
    scene.ask("batch", json!({"steps": steps}));
    for digit in [4, 2, 4] {
        scene.town.parties[customer].press(digit);
        scene.town.run_for(400 * MS);
    }
    assert_ears(
        &mut scene.town,
        "card digits",
        &[(agent, &[MUSIC_HZ]), (customer, &[])],
    );
    let paused: Vec<usize> = tracks.iter().map(|track| scene.town.taped[track].len()).collect();
    scene.town.parties[customer].press(1);
    scene.town.run_for(400 * MS);
    let ended = scene.events("collect.ended");
    assert_eq!(
        (&ended[0]["data"]["digits"], &ended[0]["data"]["why"]),
        (&json!("4241"), &json!("max"))
    );
    assert!(
        scene.events("leg.dtmf").is_empty(),
        "the digits are for the collect alone"
    );
    assert!(scene.town.parties[agent].digits.is_empty());
    assert_eq!(last_frame(&scene.town, agent, CUSTOMER_HZ, since + TICK), None);
    for (index, track) in tracks.iter().enumerate() {
        let tape = &scene.town.taped[track];
        let inside = &tape[(before[index] + 4000).min(paused[index])..paused[index]];
        assert!(
            inside.len() > 4000 && inside.iter().all(|sample| *sample == 0),
            "the tape is silent in the pause"
        );
    }
    scene.ask("record.resume", json!({"recording": "tape"}));
    scene.ask("leg.resume", json!({"leg": scene.desk}));
    assert_ears(
        &mut scene.town,
        "resumed",
        &[(agent, &[CUSTOMER_HZ]), (customer, &[AGENT_HZ])],
    );
}
