//! The buttons of a talk: hold, resume, mute, end, digits.

use gateway::engine::io::RecorderCommand;
use house::tone;
use serde_json::json;

use crate::scene::*;

#[test]
fn row_10_hold_cuts_both_ways_and_plays_music_within_one_tick() {
    let mut scene = Scene::talking(1001);
    let (customer, agent) = (scene.customer, scene.agent);
    let since = scene.town.now;
    scene.ask("leg.hold", json!({"leg": scene.caller, "music": "default"}));
    scene.town.run_for(SECOND);
    for (party, hz) in [(customer, AGENT_HZ), (agent, CUSTOMER_HZ)] {
        let leaked = last_frame(&scene.town, party, hz, since + TICK);
        assert_eq!(leaked, None, "no frame of the other after the tick");
    }
    let music = frames(&scene.town, customer, MUSIC_HZ, since + TICK);
    assert!(
        music.iter().all(|(_, level)| *level > LOUD),
        "music in each frame from the first on"
    );
    assert!(scene.town.parties[customer].gap(since, scene.town.now) <= TICK + MS);
    assert!(
        last_frame(&scene.town, agent, MUSIC_HZ, since).is_none(),
        "the agent hears no music"
    );
    assert_eq!(
        scene.event("leg.held", &scene.caller.clone())["data"]["music"],
        "default"
    );
}

#[test]
fn row_11_resume_brings_the_voices_back_within_one_tick() {
    let mut scene = Scene::talking(1101);
    let (customer, agent) = (scene.customer, scene.agent);
    scene.ask("leg.hold", json!({"leg": scene.caller}));
    scene.town.run_for(SECOND);
    let since = scene.town.now;
    scene.ask("leg.resume", json!({"leg": scene.caller}));
    scene.town.run_for(SECOND);
    for (party, hz) in [(customer, AGENT_HZ), (agent, CUSTOMER_HZ)] {
        let back = first_frame(&scene.town, party, hz, since) - since;
        assert!(back <= 2 * TICK, "back after {back:?}");
        let later = frames(&scene.town, party, hz, since + 2 * TICK);
        assert!(later.iter().all(|(_, level)| *level > LOUD));
    }
    assert_eq!(last_frame(&scene.town, customer, MUSIC_HZ, since + TICK), None);
    let again = scene.ask("leg.resume", json!({"leg": scene.caller}));
    assert_eq!(again["already"], true);
    assert_eq!(scene.events("leg.resumed").len(), 1);
}

#[test]
fn row_12_mute_silences_the_microphone_and_nothing_else() {
    let mut scene = Scene::talking(1201);
    let (customer, agent) = (scene.customer, scene.agent);
    scene.ask(
        "record.start",
        json!({"target": scene.call, "channels": "per_party", "format": "wav"}),
    );
    scene.town.run_for(500 * MS);
    let track = track_of(&scene, &scene.desk);
    let since = scene.town.now;
    let taped_before = scene.town.taped[&track].len();
    scene.ask("leg.mute", json!({"leg": scene.desk, "direction": "send"}));
    scene.town.run_for(SECOND);
    assert_eq!(last_frame(&scene.town, customer, AGENT_HZ, since + TICK), None);
    assert!(
        frames(&scene.town, agent, CUSTOMER_HZ, since)
            .iter()
            .all(|(_, level)| *level > LOUD)
    );
    assert!(
        scene.town.parties[customer].gap(since, scene.town.now) <= 40 * MS,
        "RTP goes on as silence"
    );
    scene.town.run_for(SECOND);
    let tape = &scene.town.taped[&track];
    assert!(tone::level(&tape[..taped_before], AGENT_HZ) > LOUD);
    let muted = &tape[taped_before + 4000..];
    assert!(
        muted.len() >= 4000 && muted.iter().all(|sample| *sample == 0),
        "the recording hears silence too"
    );
    let back = scene.town.now;
    scene.ask("leg.unmute", json!({"leg": scene.desk, "direction": "send"}));
    scene.town.run_for(SECOND);
    assert!(first_frame(&scene.town, customer, AGENT_HZ, back) - back <= 2 * TICK);
}

fn track_of(scene: &Scene, wanted: &str) -> media::recorder::TrackKey {
    let mut tracks = scene.town.recorder.iter().filter_map(|command| match command {
        RecorderCommand::Track { track, leg, .. } if leg == wanted => Some(*track),
        _ => None,
    });
    tracks.next_back().expect("a track of that leg")
}

#[test]
fn row_13_the_snapshot_says_what_the_ears_say() {
    let mut scene = Scene::talking(1301);
    let (caller, desk) = (scene.caller.clone(), scene.desk.clone());
    let states = [
        ("leg.mute", json!({"leg": desk, "direction": "send"})),
        ("leg.mute", json!({"leg": desk, "direction": "recv"})),
        ("leg.unmute", json!({"leg": desk, "direction": "send"})),
        ("leg.hold", json!({"leg": caller})),
        ("leg.unmute", json!({"leg": desk, "direction": "both"})),
        ("leg.mute", json!({"leg": caller, "direction": "both"})),
        ("leg.resume", json!({"leg": caller})),
        ("leg.unmute", json!({"leg": caller, "direction": "recv"})),
        ("leg.unmute", json!({"leg": caller, "direction": "send"})),
    ];
    let mut seen = std::collections::BTreeSet::new();
    for (method, params) in states {
        scene.ask(method, params.clone());
        scene.town.run_for(100 * MS);
        let hears = scene.ask("state.get", json!({}))["bridges"][0]["hears"].clone();
        let flags = (scene.leg(&caller), scene.leg(&desk));
        let to_customer = scene.hears(scene.customer, AGENT_HZ) > LOUD;
        let to_agent = scene.hears(scene.agent, CUSTOMER_HZ) > LOUD;
        assert_eq!(
            hears[&caller][&desk].is_number(),
            to_customer,
            "{method} {params}: {hears}"
        );
        assert_eq!(
            hears[&desk][&caller].is_number(),
            to_agent,
            "{method} {params}: {hears}"
        );
        let flag = |leg: &serde_json::Value, name: &str| leg[name].as_bool().unwrap();
        let nobody = flag(&flags.0, "held") || flag(&flags.1, "held");
        let wanted = |from: &serde_json::Value, to: &serde_json::Value| {
            !nobody && !flag(from, "muted_send") && !flag(to, "muted_recv")
        };
        assert_eq!(
            (to_customer, to_agent),
            (wanted(&flags.1, &flags.0), wanted(&flags.0, &flags.1)),
            "{method}"
        );
        seen.insert((to_customer, to_agent));
    }
    assert_eq!(seen.len(), 4, "every kind of audibility was there");
}

#[test]
fn row_14_end_hangs_up_one_and_the_others_stay() {
    let mut scene = Scene::talking(1401);
    let (customer, agent) = (scene.customer, scene.agent);
    scene.ask("leg.hangup", json!({"leg": scene.desk}));
    scene.town.run_for(200 * MS);
    let ended = scene.event("leg.ended", &scene.desk.clone());
    assert_eq!(
        (&ended["data"]["by"], &ended["data"]["reason"]),
        (&json!("control"), &json!("completed"))
    );
    assert!(matches!(
        scene.town.parties[agent].events.last(),
        Some((_, house::sim::PartyEvent::Ended))
    ));
    assert_eq!(scene.leg(&scene.caller.clone())["state"], "answered");
    scene.assert_hears(customer, &[], &[AGENT_HZ, MUSIC_HZ]);
    let next = scene.town.agent(OTHER_HZ);
    let leg = scene.town.dialled(scene.router, next, &scene.call);
    scene.ask("bridge.add", json!({"bridge": scene.bridge, "leg": leg}));
    scene.town.run_for(100 * MS);
    scene.assert_hears(customer, &[OTHER_HZ], &[AGENT_HZ]);
    let again = scene.ask("leg.hangup", json!({"leg": scene.desk}));
    assert_eq!(again["already_ended"], true);
}

#[test]
fn row_14_a_destroyed_bridge_hangs_up_or_parks_its_members() {
    let mut scene = Scene::talking(1402);
    scene.ask("leg.hold", json!({"leg": scene.caller}));
    scene.ask("bridge.destroy", json!({"bridge": scene.bridge, "then": "park"}));
    scene.town.run_for(200 * MS);
    scene.assert_hears(scene.customer, &[MUSIC_HZ], &[AGENT_HZ]);
    scene.assert_hears(scene.agent, &[], &[CUSTOMER_HZ, MUSIC_HZ]);
    assert_eq!(
        scene.leg(&scene.caller.clone())["held"],
        true,
        "park keeps hold and music"
    );
    let made = scene.ask(
        "bridge.create",
        json!({"call": scene.call, "legs": [scene.caller, scene.desk]}),
    );
    scene.ask("leg.resume", json!({"leg": scene.caller}));
    scene.town.run_for(100 * MS);
    scene.assert_hears(scene.customer, &[AGENT_HZ], &[MUSIC_HZ]);
    scene.ask(
        "bridge.destroy",
        json!({"bridge": made["bridge"], "then": "hangup"}),
    );
    scene.town.run_for(SECOND);
    for party in [scene.customer, scene.agent] {
        assert!(matches!(
            scene.town.parties[party].events.last(),
            Some((_, house::sim::PartyEvent::Ended))
        ));
    }
    assert_eq!(scene.town.records.len(), 1);
}

#[test]
fn row_15_the_end_carries_the_moment_after_call_work_begins() {
    let mut scene = Scene::talking(1501);
    scene.town.run_for(1234 * MS);
    let at = scene.town.now - scene.town.start;
    scene.town.hang_up(scene.customer);
    scene.town.run_for(SECOND);
    let ended = scene.event("leg.ended", &scene.caller.clone());
    assert_eq!(moment(&ended), at, "to the microsecond of the BYE");
    assert_eq!(ended["data"]["by"], "peer");
    let (agent, customer) = (scene.agent, scene.customer);
    scene.assert_hears(agent, &[], &[CUSTOMER_HZ]);
    let at = scene.town.now - scene.town.start;
    scene.ask("leg.hangup", json!({"leg": scene.desk}));
    scene.town.run_for(SECOND);
    let ended = scene.event("leg.ended", &scene.desk.clone());
    assert_eq!(moment(&ended), at);
    let answered = moment(&scene.event("leg.answered", &scene.desk.clone()));
    assert_eq!(ended["data"]["talk_ms"], (at - answered).as_millis() as u64);
    assert!(scene.town.parties[customer].is_idle() || scene.town.parties[customer].heard.len() > 10);
}

#[test]
fn row_18_digits_pass_exactly_once_each_way() {
    let mut scene = Scene::talking(1801);
    let (customer, agent) = (scene.customer, scene.agent);
    let sent = scene.ask("leg.send_dtmf", json!({"leg": scene.caller, "digits": "159#"}));
    scene.town.run_for(2 * SECOND);
    assert_eq!(scene.town.parties[customer].digits, [1, 5, 9, 11]);
    assert!(scene.town.parties[agent].digits.is_empty());
    let op = scene
        .events("op.ended")
        .into_iter()
        .find(|event| event["op"] == sent["op"]);
    assert_eq!(op.unwrap()["data"]["outcome"], "ok");
    for digit in [4, 0, 10] {
        scene.town.parties[customer].press(digit);
        scene.town.run_for(400 * MS);
    }
    scene.town.parties[agent].press(7);
    scene.town.run_for(400 * MS);
    assert_eq!(scene.town.parties[agent].digits, [4, 0, 10]);
    assert_eq!(scene.town.parties[customer].digits, [1, 5, 9, 11, 7]);
    let told: Vec<_> = scene
        .events("leg.dtmf")
        .iter()
        .map(|event| event["data"]["digit"].clone())
        .collect();
    assert_eq!(told, ["4", "0", "*", "7"]);
    scene.assert_hears(customer, &[AGENT_HZ], &[]);
}
