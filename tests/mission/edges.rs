//! Where two honest readings of a promise would differ: the one that holds.

use gateway::engine::io::{Input, RecorderCommand};
use house::sim::{Answer, PartyEvent, Town};
use house::tone;
use serde_json::json;
use sip::endpoint::ExtraHeader;

use crate::scene::*;

#[test]
fn row_12_a_recording_may_be_asked_to_hear_the_muted_and_the_held() {
    let mut scene = Scene::talking(1291);
    let start = |id: &str, include: &[&str]| json!({"target": scene.call, "id": id, "include": include});
    let (plain, whole) = (start("plain", &[]), start("whole", &["muted", "held"]));
    scene.ask("record.start", plain);
    scene.ask("record.start", whole);
    scene.ask("leg.mute", json!({"leg": scene.desk, "direction": "send"}));
    scene.ask("leg.hold", json!({"leg": scene.caller}));
    scene.town.run_for(3 * SECOND);
    let levels = |id: &str, leg: &str, hz: f64| {
        let mut tracks = scene.town.recorder.iter().filter_map(|command| match command {
            RecorderCommand::Track {
                recording,
                track,
                leg: of,
                ..
            } if recording == id && of == leg => Some(*track),
            _ => None,
        });
        let tape = &scene.town.taped[&tracks.next_back().expect("a track")];
        assert!(tape.len() > 16_000, "{id} {leg}: {} samples", tape.len());
        tone::level(&tape[tape.len() - 8000..], hz)
    };
    let (desk, caller) = (scene.desk.clone(), scene.caller.clone());
    assert!(levels("plain", &desk, AGENT_HZ) < FAINT && levels("whole", &desk, AGENT_HZ) > LOUD);
    assert!(levels("plain", &caller, CUSTOMER_HZ) < FAINT && levels("whole", &caller, CUSTOMER_HZ) > LOUD);
    for (id, leg) in [("plain", &caller), ("whole", &caller), ("whole", &desk)] {
        assert!(levels(id, leg, MUSIC_HZ) < FAINT, "music is in no channel");
    }
}

#[test]
fn row_18_digits_may_be_sent_as_tones() {
    let mut scene = Scene::talking(1891);
    let customer = scene.customer;
    let since = scene.town.now;
    scene.ask(
        "leg.send_dtmf",
        json!({"leg": scene.caller, "digits": "5", "method": "inband", "duration_ms": 200}),
    );
    scene.town.run_for(SECOND);
    assert!(scene.town.parties[customer].digits.is_empty());
    let heard = scene.town.parties[customer].samples(since + 60 * MS, since + 180 * MS);
    let (low, high) = (tone::level(&heard, 770.0), tone::level(&heard, 1336.0));
    assert!(
        low > 0.05 && high > 0.05,
        "770 Hz at {low:.3}, 1336 Hz at {high:.3}"
    );
    assert_eq!(scene.events("op.ended").last().unwrap()["data"]["outcome"], "ok");
}

#[test]
fn row_18_digits_do_not_pass_while_they_are_collected_nor_to_whom_hears_nothing() {
    let mut scene = Scene::talking(1892);
    let (customer, agent) = (scene.customer, scene.agent);
    scene.ask(
        "collect.start",
        json!({"leg": scene.caller, "min": 1, "max": 2, "first_ms": 5000, "inter_ms": 5000}),
    );
    for digit in [1, 2, 3] {
        scene.town.parties[customer].press(digit);
        scene.town.run_for(400 * MS);
    }
    assert_eq!(
        scene.town.parties[agent].digits,
        [3],
        "the third came after the collect"
    );
    assert_eq!(scene.events("collect.ended")[0]["data"]["digits"], "12");
    assert_eq!(
        scene.events("leg.dtmf").len(),
        3,
        "without pci each digit is told"
    );
    scene.ask("leg.hold", json!({"leg": scene.desk}));
    scene.town.parties[customer].press(4);
    scene.town.run_for(400 * MS);
    assert_eq!(scene.town.parties[agent].digits, [3]);
}

#[test]
fn row_19_the_agent_hears_the_destination_ring_and_the_customer_does_not() {
    let mut scene = Scene::talking(1991);
    let other = scene.town.agent(OTHER_HZ);
    scene.town.parties[other].answer = Answer::Never;
    let to = scene.town.target(other);
    let dial = json!({"to": to, "trunk": "agents", "bridge": scene.bridge, "ring_timeout_ms": 1500});
    let steps = json!([
        {"method": "leg.hold", "params": {"leg": scene.caller}},
        {"method": "leg.dial", "params": dial},
    ]);
    scene.ask("batch", json!({"steps": steps}));
    scene.town.run_for(200 * MS);
    let since = scene.town.now;
    scene.town.run_for(SECOND);
    let rings = |party: usize| tone::level(&scene.town.parties[party].samples(since, scene.town.now), 480.0);
    assert!(rings(scene.agent) > 0.05, "{}", rings(scene.agent));
    assert!(rings(scene.customer) < FAINT, "{}", rings(scene.customer));
    scene.town.run_for(400 * MS);
    let (agent, customer) = (scene.agent, scene.customer);
    scene.assert_hears(agent, &[], &[480.0, 440.0, CUSTOMER_HZ]);
    scene.assert_hears(customer, &[MUSIC_HZ], &[480.0]);
    assert_eq!(scene.events("leg.ended")[0]["data"]["reason"], "no_answer");
}

#[test]
fn row_38_what_a_bridge_plays_reaches_those_who_are_not_held() {
    let mut scene = Scene::talking(3891);
    let (other, _) = scene.consult();
    let (customer, agent) = (scene.customer, scene.agent);
    scene.ask(
        "play.start",
        json!({"target": scene.bridge, "sources": ["greeting"]}),
    );
    scene.town.run_for(100 * MS);
    scene.assert_hears(agent, &[2500.0], &[OTHER_HZ]);
    scene.assert_hears(other, &[2500.0], &[AGENT_HZ]);
    scene.town.run_for(500 * MS);
    assert_eq!(
        scene.events("play.ended").len(),
        1,
        "one op, however many hear it"
    );
    scene.ask(
        "play.start",
        json!({"target": scene.desk, "sources": ["greeting"], "mix_over": true}),
    );
    scene.town.run_for(100 * MS);
    scene.assert_hears(agent, &[2500.0, OTHER_HZ], &[]);
    let since = scene.town.now - 2 * SECOND;
    assert_eq!(last_frame(&scene.town, customer, 2500.0, since), None);
    assert!(
        frames(&scene.town, customer, MUSIC_HZ, since)
            .iter()
            .all(|(_, level)| *level > LOUD)
    );
}

#[test]
fn row_43_an_asserted_identity_counts_where_the_trunk_is_trusted() {
    let asserted = || ExtraHeader {
        name: "P-Asserted-Identity".into(),
        value: "\"Erika\" <sip:+4684060000@carrier.example>".into(),
    };
    for (trusted, number, source) in [(true, "+4684060000", "pai"), (false, "+49306000", "from")] {
        let line = format!("name = \"carrier\"\nidentity_trusted = {trusted}");
        let mut town = Town::with(4391, |text| text.replace("name = \"carrier\"", &line));
        let router = town.router();
        let customer = town.customer(CUSTOMER_HZ);
        town.call_with(customer, "+498001234567", vec![asserted()]);
        town.run_for(50 * MS);
        let from = town.routers[router].of("leg.incoming")[0]["data"]["from"].clone();
        assert_eq!(
            (&from["number"], &from["source"]),
            (&json!(number), &json!(source)),
            "{from}"
        );
        town.run_for(6 * SECOND);
        assert_eq!(town.records[0]["from"], from, "the record knows the same");
    }
}

#[test]
fn row_46_a_call_nobody_takes_is_refused_in_time_and_recorded() {
    let mut town = Town::new(4691);
    let customer = town.customer(CUSTOMER_HZ);
    let since = town.now;
    town.call(customer, "+498001234567");
    town.run_for(6 * SECOND);
    let (at, event) = town.parties[customer].events.last().unwrap().clone();
    assert_eq!((at - since, event), (5 * SECOND, PartyEvent::Refused(503)));
    let leg = &town.records[0]["legs"][0];
    assert_eq!(
        (&leg["reason"], &leg["by"], &leg["ring_ms"]),
        (&json!("no_answer"), &json!("policy"), &json!(5000))
    );
    assert_eq!(town.records.len(), 1);
    let tallies = town.core.engine().metrics().tallies();
    let unclaimed: u64 = tallies
        .map(|(_, tally)| tally.refused.values().sum::<u64>() + tally.admitted)
        .sum();
    assert_eq!(unclaimed, 1, "counted once, as admitted or as refused");
}

#[test]
fn row_73_the_q850_cause_of_the_network_says_what_a_500_was() {
    let mut town = Town::new(7391);
    let router = town.router();
    let carrier = town.party("carrier", "10.0.1.1:5060", CUSTOMER_HZ);
    for (status, q850, reason) in [
        (500, 17, "busy"),
        (480, 1, "not_found"),
        (503, 19, "no_answer"),
        (500, 38, "unreachable"),
        (480, 21, "rejected"),
        (500, 28, "not_found"),
    ] {
        town.parties[carrier].answer = Answer::RefuseBecause(status, q850);
        let dialled = town.ask(
            router,
            "leg.dial",
            json!({"to": "+4684060000", "trunk": "carrier"}),
        );
        town.run_for(SECOND);
        let ended = event(&town, router, "leg.ended", dialled["leg"].as_str().unwrap());
        let data = &ended["data"];
        assert_eq!(
            (&data["reason"], &data["sip"], &data["q850"]),
            (&json!(reason), &json!(status), &json!(q850))
        );
    }
    let failed = town
        .core
        .engine()
        .metrics()
        .tallies()
        .find(|(place, _)| place.trunk == "carrier" && place.direction.as_str() == "out");
    let failed: Vec<(&str, u64)> = failed
        .unwrap()
        .1
        .failed
        .iter()
        .map(|(class, n)| (class.as_str(), *n))
        .collect();
    assert_eq!(
        failed,
        [("error", 2), ("bad_number", 2), ("busy", 1), ("no_answer", 1)]
    );
    assert!(town.parties[carrier].heard.is_empty());
}

#[test]
fn a_recording_is_refused_while_its_folder_cannot_be_written_and_taken_once_it_can() {
    let mut scene = Scene::talking(4401);
    let record = json!({"target": scene.call});
    let why = "Read-only file system".to_owned();
    scene.town.input(Input::DiskFault { why });
    let reply = scene.town.request(scene.router, "record.start", record.clone());
    assert_eq!(reply["error"]["data"]["kind"], "storage_unavailable");
    let message = reply["error"]["message"].as_str().unwrap();
    assert!(
        message.starts_with("recordings.dir ") && message.contains("Read-only file system"),
        "{message}"
    );
    assert!(scene.events("record.started").is_empty());
    let (customer, agent) = (scene.customer, scene.agent);
    scene.assert_hears(customer, &[AGENT_HZ], &[]);
    scene.assert_hears(agent, &[CUSTOMER_HZ], &[]);
    scene.town.input(Input::DiskFree { mb: 100_000 });
    scene.ask("record.start", record);
}
