//! Calls that live on different media shards, bridged: nobody can tell.

use std::time::Duration;

use house::sim::{Answer, Town};
use house::tone;
use media::recorder::TrackKey;
use serde_json::json;

const MUSIC_HZ: f64 = 350.0;
const MS: Duration = Duration::from_millis(1);
const FIRST_HZ: f64 = 440.0;
const SECOND_HZ: f64 = 800.0;
const THIRD_HZ: f64 = 1300.0;

fn town(seed: u64) -> Town {
    Town::with(seed, |text| text.replace("shards = 1", "shards = 2"))
}

fn streams(town: &mut Town) -> Vec<u64> {
    town.media_in_use().iter().map(|(streams, _)| *streams).collect()
}

fn ports(town: &mut Town) -> Vec<u64> {
    town.media_in_use().iter().map(|(_, ports)| *ports).collect()
}

/// An answered call on that shard: its party, leg and call.
fn call_on(town: &mut Town, router: usize, shard: usize, hz: f64) -> (usize, String, String) {
    for _ in 0..20 {
        let party = town.customer(hz);
        let before = streams(town)[shard];
        let (leg, call) = town.answered_call(router, party);
        if streams(town)[shard] > before {
            return (party, leg, call);
        }
        town.hang_up(party);
        town.run_for(100 * MS);
    }
    panic!("no call begins on shard {shard}");
}

#[test]
fn two_calls_of_different_shards_are_bridged_recorded_held_and_hung_up() {
    let mut town = town(41);
    let router = town.router();
    let (one, first, call) = call_on(&mut town, router, 0, FIRST_HZ);
    let (two, second, other) = call_on(&mut town, router, 1, SECOND_HZ);
    assert_eq!(streams(&mut town), [1, 1]);
    // Something runs on both while they move together.
    town.ask(router, "record.start", json!({"target": other, "id": "rec"}));
    town.ask(
        router,
        "play.start",
        json!({"target": second, "sources": ["greeting", "greeting"]}),
    );
    let begun = town.now;
    town.run_for(507 * MS);

    town.ask(
        router,
        "bridge.create",
        json!({"id": "b", "call": call, "legs": [first, second]}),
    );
    let bridged = town.now;
    town.run_for(300 * MS);
    assert_eq!(streams(&mut town), [2, 0], "legs of a bridge are on one shard");
    assert_eq!(
        ports(&mut town),
        [1, 1],
        "ports stay those of the shard that opened them"
    );
    assert!(town.hears(one, SECOND_HZ, 400 * MS) > 0.2);
    town.run_for(1200 * MS);
    assert_eq!(
        town.routers[router].of("play.ended")[0]["data"]["why"],
        "completed"
    );
    assert!(town.hears(two, FIRST_HZ, 400 * MS) > 0.2);
    assert!(town.hears(two, SECOND_HZ, 400 * MS) < 0.01);
    for party in [one, two] {
        assert!(town.parties[party].gap(bridged - 200 * MS, town.now) <= 45 * MS);
    }

    town.parties[one].press(5);
    town.run_for(400 * MS);
    assert_eq!(town.parties[two].digits, vec![5]);

    town.ask(router, "leg.hold", json!({"leg": second, "music": "default"}));
    town.run_for(100 * MS);
    assert!(town.hears(two, MUSIC_HZ, 400 * MS) > 0.1);
    assert!(town.hears(one, SECOND_HZ, 400 * MS) < 0.01);
    town.ask(router, "leg.resume", json!({"leg": second}));
    town.run_for(100 * MS);
    assert!(town.hears(one, SECOND_HZ, 400 * MS) > 0.2);

    town.ask(router, "record.stop", json!({"recording": "rec"}));
    town.run_for(100 * MS);
    let taped_ms = (town.now - begun).as_millis() as usize - 100;
    let taped = &town.taped[&TrackKey(first_track(&town))];
    assert!(
        taped.len().abs_diff(taped_ms * 8) <= 320,
        "{} of {taped_ms} ms",
        taped.len() / 8
    );
    let steady = &taped[1600..4056];
    assert!(tone::level(steady, SECOND_HZ) > 0.2);
    let over_the_move: Vec<_> = taped[1600..16_000]
        .chunks(160)
        .map(|frame| tone::level(frame, SECOND_HZ))
        .collect();
    assert!(
        over_the_move.iter().all(|level| *level > 0.15),
        "{over_the_move:?}"
    );

    town.ask(router, "bridge.remove", json!({"bridge": "b", "leg": second}));
    town.run_for(100 * MS);
    assert!(town.hears(one, SECOND_HZ, 300 * MS) < 0.01);
    town.hang_up(one);
    town.hang_up(two);
    town.run_for(Duration::from_secs(40));
    assert!(town.core.engine().is_empty());
    assert_eq!(
        town.media_in_use(),
        [(0, 0), (0, 0)],
        "nothing is left and all ports are at home"
    );
    assert!(town.records.len() >= 2);
}

fn first_track(town: &Town) -> u64 {
    assert_eq!(town.taped.len(), 1);
    town.taped.keys().next().unwrap().0
}

#[test]
fn a_leg_is_moved_between_bridges_of_two_shards_and_back() {
    let mut town = town(42);
    let router = town.router();
    let (one, first, call) = call_on(&mut town, router, 0, FIRST_HZ);
    let (two, second, other) = call_on(&mut town, router, 1, SECOND_HZ);
    let (three, third, _) = call_on(&mut town, router, 0, THIRD_HZ);
    let agent = town.agent(2000.0);
    let desk = town.dialled(router, agent, &other);
    town.ask(
        router,
        "bridge.create",
        json!({"id": "b1", "call": call, "legs": [first, third]}),
    );
    town.ask(
        router,
        "bridge.create",
        json!({"id": "b2", "call": other, "legs": [second, desk]}),
    );
    town.run_for(200 * MS);
    assert_eq!(streams(&mut town), [2, 2]);
    assert!(town.hears(one, THIRD_HZ, 300 * MS) > 0.2);
    assert!(town.hears(two, 2000.0, 300 * MS) > 0.2);
    let moves_began = town.now;
    for _ in 0..5 {
        town.ask(router, "bridge.move", json!({"leg": third, "to": "b2"}));
        town.ask(router, "bridge.move", json!({"leg": third, "to": "b1"}));
        town.ask(router, "bridge.move", json!({"leg": third, "to": "b2"}));
        town.run_for(200 * MS);
        assert_eq!(streams(&mut town), [1, 3]);
        assert!(town.hears(three, SECOND_HZ, 300 * MS) > 0.15);
        assert!(town.hears(two, THIRD_HZ, 300 * MS) > 0.15);
        assert!(town.hears(one, THIRD_HZ, 300 * MS) < 0.01);
        town.ask(router, "bridge.move", json!({"leg": third, "to": "b1"}));
        town.run_for(213 * MS);
        assert_eq!(streams(&mut town), [2, 2]);
        assert!(town.hears(one, THIRD_HZ, 300 * MS) > 0.15);
        assert!(town.hears(three, SECOND_HZ, 300 * MS) < 0.01);
    }
    let heard = town.parties[three]
        .heard
        .iter()
        .filter(|frame| frame.at >= moves_began);
    let numbers: Vec<(u32, u16)> = heard.map(|frame| (frame.ssrc, frame.sequence)).collect();
    assert!(
        numbers
            .windows(2)
            .all(|pair| pair[0].0 == pair[1].0 && pair[0].1.wrapping_add(1) == pair[1].1)
    );
    assert!(town.parties[three].gap(moves_began, town.now) <= 45 * MS);
    for party in [one, two, three, agent] {
        town.hang_up(party);
    }
    town.run_for(Duration::from_secs(40));
    assert!(town.core.engine().is_empty());
    assert_eq!(town.media_in_use(), [(0, 0), (0, 0)]);
}

#[test]
fn a_leg_that_is_dialled_into_a_bridge_of_another_shard_follows_when_its_port_is_open() {
    let mut town = town(43);
    let router = town.router();
    let (one, first, call) = call_on(&mut town, router, 0, FIRST_HZ);
    let (two, _, other) = call_on(&mut town, router, 1, SECOND_HZ);
    let agent = town.agent(2000.0);
    town.ask(
        router,
        "bridge.create",
        json!({"id": "b", "call": call, "legs": [first]}),
    );
    let to = town.target(agent);
    town.parties[agent].answer = Answer::After(100 * MS);
    let dial = json!({"to": to, "trunk": "agents", "call": other});
    let desk = town.ask(router, "leg.dial", dial)["leg"].clone();
    town.ask(router, "bridge.add", json!({"bridge": "b", "leg": desk}));
    town.run_for(400 * MS);
    assert_eq!((streams(&mut town), ports(&mut town)), (vec![2, 1], vec![1, 2]));
    assert!(town.hears(one, 2000.0, 300 * MS) > 0.2);
    assert!(town.hears(agent, FIRST_HZ, 300 * MS) > 0.2);
    for party in [one, two, agent] {
        town.hang_up(party);
    }
    town.run_for(Duration::from_secs(40));
    assert!(town.core.engine().is_empty());
    assert_eq!(town.media_in_use(), [(0, 0), (0, 0)]);
}
