//! What is played to a bridge while its members come, go and are held.

use serde_json::{Value, json};

use crate::scene::*;

const GREETING_HZ: f64 = 2500.0;

/// The greeting of a second, three times over, to the bridge; the op.
fn play(scene: &mut Scene) -> String {
    let target = scene.bridge.clone();
    let sources = ["greeting", "greeting", "greeting"];
    let started = scene.ask("play.start", json!({"target": target, "sources": sources}));
    started["op"].as_str().unwrap().to_owned()
}

fn only(scene: &Scene, kind: &str) -> Value {
    let events = scene.events(kind);
    assert_eq!(events.len(), 1, "{kind}: {events:?}");
    events[0].clone()
}

#[test]
fn a_member_held_meanwhile_hears_its_music_and_comes_back_to_the_play() {
    let mut scene = Scene::talking(3801);
    let (customer, agent) = (scene.customer, scene.agent);
    play(&mut scene);
    scene.town.run_for(100 * MS);
    scene.assert_hears(customer, &[GREETING_HZ], &[AGENT_HZ]);
    scene.ask("leg.hold", json!({"leg": scene.caller}));
    scene.town.run_for(60 * MS);
    scene.assert_hears(customer, &[MUSIC_HZ], &[GREETING_HZ]);
    scene.assert_hears(agent, &[GREETING_HZ], &[]);
    scene.ask("leg.resume", json!({"leg": scene.caller}));
    scene.town.run_for(60 * MS);
    scene.assert_hears(customer, &[GREETING_HZ], &[MUSIC_HZ]);
    scene.town.run_for(3 * SECOND);
    let ended = only(&scene, "play.ended");
    assert_eq!(ended["data"], json!({"why": "completed", "position_ms": 3000}));
    assert_eq!(ended["bridge"], scene.bridge.as_str());
    assert!(ended.get("leg").is_none(), "{ended}");
    scene.assert_hears(customer, &[AGENT_HZ], &[GREETING_HZ]);
}

#[test]
fn a_play_that_everybody_is_held_away_from_ends_in_its_own_time() {
    let mut scene = Scene::talking(3802);
    play(&mut scene);
    scene.town.run_for(500 * MS);
    for leg in [scene.caller.clone(), scene.desk.clone()] {
        scene.ask("leg.hold", json!({"leg": leg}));
    }
    scene.town.run_for(2 * SECOND);
    assert!(scene.events("play.ended").is_empty());
    scene.town.run_for(SECOND);
    assert_eq!(
        only(&scene, "play.ended")["data"],
        json!({"why": "completed", "position_ms": 3000})
    );
    let over = scene.events("op.ended").pop().unwrap();
    assert_eq!(
        (&over["data"]["kind"], &over["data"]["outcome"]),
        (&json!("play"), &json!("ok"))
    );
}

#[test]
fn a_leg_that_leaves_takes_no_part_of_the_bridges_play_with_it() {
    let mut scene = Scene::talking(3803);
    let (customer, agent) = (scene.customer, scene.agent);
    scene.ask("leg.hold", json!({"leg": scene.desk}));
    play(&mut scene);
    scene.town.run_for(60 * MS);
    scene.assert_hears(customer, &[GREETING_HZ], &[]);
    let other = scene.ask("bridge.create", json!({"call": scene.call}));
    scene.ask("bridge.move", json!({"leg": scene.caller, "to": other["bridge"]}));
    scene.town.run_for(60 * MS);
    scene.assert_hears(customer, &[], &[GREETING_HZ]);
    scene.ask("leg.resume", json!({"leg": scene.desk}));
    scene.town.run_for(60 * MS);
    scene.assert_hears(agent, &[GREETING_HZ], &[]);
    scene.ask("bridge.destroy", json!({"bridge": scene.bridge, "then": "park"}));
    let ended = only(&scene, "play.ended");
    assert_eq!(ended["data"]["why"], "stopped", "no leg has ended");
    let position_ms = ended["data"]["position_ms"].as_u64().unwrap();
    assert!((1360..=1400).contains(&position_ms), "{position_ms} ms");
}

#[test]
fn who_joins_hears_a_play_where_it_stands() {
    let mut scene = Scene::talking(3804);
    play(&mut scene);
    let (other, _) = scene.consult();
    scene.town.run_for(SECOND);
    scene.assert_hears(other, &[GREETING_HZ], &[AGENT_HZ]);
    scene.town.run_for(2 * SECOND);
    scene.assert_hears(other, &[AGENT_HZ], &[GREETING_HZ]);
    only(&scene, "play.ended");
}

#[test]
fn a_pause_does_not_count_into_the_position() {
    let mut scene = Scene::talking(3805);
    let op = play(&mut scene);
    scene.town.run_for(SECOND);
    scene.ask("play.pause", json!({"op": op}));
    scene.town.run_for(2 * SECOND);
    scene.ask("play.resume", json!({"op": op}));
    scene.town.run_for(500 * MS);
    scene.ask("play.stop", json!({"op": op}));
    assert_eq!(
        only(&scene, "play.ended")["data"],
        json!({"why": "stopped", "position_ms": 1500})
    );
}

#[test]
fn a_prompt_that_cannot_be_played_is_told_from_one_that_is_not_there() {
    let mut scene = Scene::talking(3806);
    let (router, leg) = (scene.router, scene.caller.clone());
    for (prompt, kind) in [("broken", "prompt_bad"), ("nowhere", "prompt_not_found")] {
        let play = json!({"target": leg, "sources": [prompt]});
        assert_eq!(scene.town.refused(router, "play.start", play), kind);
    }
}

#[test]
fn digits_stay_with_the_caller_while_a_recording_is_paused_and_only_then() {
    let mut scene = Scene::talking(3807);
    let (customer, agent) = (scene.customer, scene.agent);
    let started = scene.ask("record.start", json!({"target": scene.bridge}));
    let recording = started["recording"].clone();
    let press = |scene: &mut Scene, digit: u8| {
        scene.town.parties[customer].press(digit);
        scene.town.run_for(400 * MS);
    };
    press(&mut scene, 1);
    scene.ask("record.pause", json!({"recording": recording}));
    press(&mut scene, 2);
    scene.ask("record.resume", json!({"recording": recording}));
    press(&mut scene, 3);
    scene.ask("record.pause", json!({"recording": recording}));
    scene.ask("record.stop", json!({"recording": recording}));
    press(&mut scene, 4);
    assert_eq!(scene.town.parties[agent].digits, [1, 3, 4]);
}

#[test]
fn a_swap_gives_music_to_one_that_was_held_in_silence() {
    let mut scene = Scene::talking(3808);
    let (_, third) = scene.consult();
    let customer = scene.customer;
    scene.ask("leg.hold", json!({"leg": scene.caller, "music": null}));
    scene.ask(
        "bridge.swap",
        json!({"bridge": scene.bridge, "a": scene.desk, "b": third}),
    );
    scene.town.run_for(60 * MS);
    scene.assert_hears(customer, &[MUSIC_HZ], &[AGENT_HZ, OTHER_HZ]);
}
