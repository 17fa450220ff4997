//! How well legs are heard: what is told of it in virtual time, on lines that lose packets and with parties that fall
//! silent.

use std::time::Duration;

use house::sim::Town;
use media::shard::sim_io::Weather;
use serde_json::{Value, json};

use crate::talk::{AGENT_HZ, Talk};

const MS: Duration = Duration::from_millis(1);
const S: Duration = Duration::from_secs(1);

fn talk(seed: u64, media_lines: &str) -> Talk {
    let town = Town::with(seed, |text| {
        text.replace("shards = 1\n", &format!("shards = 1\n{media_lines}"))
    });
    Talk::begin(town, |_, _| {})
}

impl Talk {
    /// Events of the customer's leg: when they came, and their data.
    fn told_of_caller(&self, kind: &str) -> Vec<(u64, Value)> {
        let events = self.town.routers[self.router].of(kind);
        let ours = events
            .into_iter()
            .filter(|event| event["leg"] == self.caller.as_str());
        ours.map(|event| (event["mono_us"].as_u64().unwrap(), event["data"].clone()))
            .collect()
    }

    fn lose(&mut self, loss_permille: u64) {
        self.town.media_net.set_weather(Weather {
            loss_permille,
            ..Weather::default()
        });
    }
}

#[test]
fn quality_comes_at_its_period_and_at_once_where_it_crosses_a_mark() {
    let mut talk = talk(9401, "quality_interval_s = 60\n");
    talk.town.run_for(58 * S);
    assert!(talk.told_of_caller("leg.quality").is_empty(), "good, and not due");
    talk.town.run_for(14 * S);
    let [(_, first)] = &talk.told_of_caller("leg.quality")[..] else {
        panic!("one was due")
    };
    assert!(
        first["mos"].as_f64().unwrap() > 4.2 && first["loss"] == 0.0,
        "{first}"
    );
    talk.lose(120);
    talk.town.run_for(11 * S);
    let told = talk.told_of_caller("leg.quality");
    assert!(told.len() >= 2, "{told:?}");
    let (_, worst) = told.last().unwrap();
    assert!(worst["mos"].as_f64().unwrap() < 3.6, "{worst}");
    assert!((0.06..0.2).contains(&worst["loss"].as_f64().unwrap()), "{worst}");
    assert_eq!(worst["rx"]["mos"], worst["mos"], "{worst}");
    talk.lose(0);
    talk.town.run_for(11 * S);
    let (_, last) = talk.told_of_caller("leg.quality").pop().unwrap();
    assert!(last["mos"].as_f64().unwrap() > 4.03, "{last}");
    talk.assert_both_hear();
    talk.hang_up();
}

#[test]
fn without_a_period_only_marks_are_told() {
    let mut talk = talk(9402, "quality_interval_s = 0\n");
    talk.town.run_for(120 * S);
    assert!(talk.told_of_caller("leg.quality").is_empty());
    talk.lose(120);
    talk.town.run_for(11 * S);
    assert!(!talk.told_of_caller("leg.quality").is_empty());
    talk.hang_up();
}

#[test]
fn a_peer_that_falls_silent_is_told_with_its_direction_after_two_seconds_and_when_it_returns() {
    let mut talk = talk(9403, "");
    talk.town.run_for(S);
    talk.town.parties[talk.customer].silent = true;
    let before_us = talk.told_of_caller("leg.media_up")[0].0 + 1_000_000;
    talk.town.run_for(1_900 * MS);
    assert!(
        talk.told_of_caller("leg.one_way").is_empty() && talk.told_of_caller("leg.media_lost").is_empty()
    );
    talk.town.run_for(200 * MS);
    let [(at_us, one_way)] = &talk.told_of_caller("leg.one_way")[..] else {
        panic!("one way")
    };
    assert_eq!(one_way["direction"], "rx");
    assert!(one_way["since"].is_string());
    assert!(*at_us > before_us);
    assert_eq!(talk.told_of_caller("leg.media_lost").len(), 1);
    // The other way is heard all the time.
    let heard = talk.town.hears(talk.customer, AGENT_HZ, S);
    assert!(heard > 0.2, "{heard}");
    assert_eq!(talk.told_of_caller("leg.one_way").len(), 1, "once");
    talk.town.parties[talk.customer].silent = false;
    talk.town.run_for(100 * MS);
    assert_eq!(talk.told_of_caller("leg.media_restored").len(), 1);
    talk.assert_both_hear();
    talk.hang_up();
}

#[test]
fn a_peer_that_we_hold_or_that_holds_us_is_not_one_way() {
    let mut talk = talk(9404, "");
    talk.town.parties[talk.customer].silent = true;
    talk.town.reinvite(talk.customer, "inactive");
    talk.town.run_for(5 * S);
    assert!(talk.told_of_caller("leg.one_way").is_empty());
    talk.town.parties[talk.customer].silent = false;
    talk.town.reinvite(talk.customer, "sendrecv");
    talk.town.run_for(S);
    talk.assert_both_hear();
    talk.hang_up();
}

#[test]
fn numbers_of_both_ways_are_in_the_reply_in_the_record_and_counted() {
    let mut talk = talk(9405, "");
    talk.lose(50);
    talk.town.run_for(30 * S);
    let stats = talk
        .town
        .ask(talk.router, "leg.stats", json!({"leg": talk.caller}))
        .clone();
    let loss = stats["rx"]["loss"].as_f64().unwrap();
    assert!((0.03..0.08).contains(&loss), "{stats}");
    let mos = stats["rx"]["mos"].as_f64().unwrap();
    assert!(
        (3.5..4.2).contains(&mos) && stats["mos"] == stats["rx"]["mos"],
        "{stats}"
    );
    assert!(stats["tx"]["mos"].is_null(), "no report came: {stats}");
    let metrics = talk.town.core.engine().metrics();
    let heard: u64 = metrics
        .tallies()
        .map(|(_, tally)| tally.heard.rx.mos.count())
        .sum();
    assert!(heard >= 10, "{heard}");
    talk.town.parties[talk.customer].silent = true;
    talk.town.run_for(3 * S);
    let metrics = talk.town.core.engine().metrics();
    let one_way: u64 = metrics.tallies().map(|(_, tally)| tally.heard.rx.one_way).sum();
    assert_eq!(one_way, 1);
    talk.hang_up();
    let legs = talk.town.records[0]["legs"].as_array().unwrap().clone();
    let quality = &legs
        .iter()
        .find(|leg| leg["leg"] == talk.caller.as_str())
        .unwrap()["quality"];
    assert!(
        (0.03..0.08).contains(&quality["rx"]["loss"].as_f64().unwrap()),
        "{quality}"
    );
    assert!(quality["rx"]["mos"].is_f64(), "{quality}");
}
