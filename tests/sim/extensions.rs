//! Reliable provisional responses and session timers in whole calls.

use std::time::Duration;

use house::sim::{Answer, PartyEvent, Town, Weather};
use house::tone;
use serde_json::{Value, json};
use sip::endpoint::{Policy, Support, TimerPolicy};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

const NOTHING_ARRIVES: Weather = Weather {
    loss_permille: 1000,
    duplicate_permille: 0,
    delay: MS,
    jitter: Duration::ZERO,
};

/// Nobody speaks, and a session is refreshed every 20 s.
fn quiet_town(seed: u64, keys: &str) -> Town {
    let keys = format!("calls = 10000\nmedia_timeout_s = 0\nmin_se_s = 20\nsession_expires_s = 40\n{keys}");
    let edit = |text: String| text.replace("calls = 10000\n", &keys);
    Town::with(seed, edit).without_media()
}

fn reliable() -> Policy {
    Policy {
        rel100: Support::Required,
        ..Policy::default()
    }
}

fn timed(interval_s: u32) -> Policy {
    Policy {
        timer: TimerPolicy {
            support: Support::Supported,
            interval_s,
            min_s: 20,
            ..TimerPolicy::default()
        },
        ..Policy::default()
    }
}

fn ended<'a>(town: &'a Town, router: usize, leg: &str) -> &'a Value {
    &town.routers[router].last_of("leg.ended", leg).unwrap()["data"]
}

#[test]
fn a_caller_that_requires_it_gets_early_media_and_the_answer_though_packets_are_lost() {
    for seed in 900..910 {
        let mut town = Town::new(seed);
        town.set_weather(Weather {
            loss_permille: 100,
            duplicate_permille: 20,
            delay: 5 * MS,
            jitter: 20 * MS,
        });
        let router = town.router();
        let customer = town.customer(440.0);
        town.speak(customer, reliable());
        town.call(customer, "+498001234567");
        town.run_for(5 * SECOND - 100 * MS);
        let leg = town.routers[router].of("leg.incoming")[0]["leg"]
            .as_str()
            .unwrap()
            .to_owned();
        town.ask(router, "leg.progress", json!({"leg": leg, "status": 183}));
        let greeting = json!({"target": leg, "sources": [{"prompt": "greeting"}], "loop": true});
        town.ask(router, "play.start", greeting);
        town.ask(router, "leg.answer", json!({"leg": leg}));
        town.run_for(8 * SECOND);
        let events: Vec<&PartyEvent> = town.parties[customer]
            .events
            .iter()
            .map(|(_, event)| event)
            .collect();
        assert_eq!(
            events,
            [&PartyEvent::Ringing, &PartyEvent::Answered],
            "seed {seed}"
        );
        assert!(town.routers[router].last_of("leg.answered", &leg).is_some());
        let reliably = town.parties[customer]
            .got
            .iter()
            .filter(|text| text.starts_with("SIP/2.0 183") && text.contains("\r\nRSeq: "));
        assert!(reliably.count() >= 1);
        // RFC 6337 §3.1.1: the answer was in the 183.
        let answered = |text: &&String| text.starts_with("SIP/2.0 200") && text.contains(" INVITE\r\n");
        let ok = town.parties[customer].got.iter().find(answered).unwrap();
        assert!(!ok.contains("m=audio"), "{ok}");
        let since = town.now;
        town.run_for(SECOND);
        let level = tone::level(&town.parties[customer].samples(since, town.now), 2500.0);
        assert!(level > 0.2, "seed {seed}: {level}");
        town.ask(router, "leg.hangup", json!({"leg": leg}));
        town.run_for(70 * SECOND);
        assert!(town.core.engine().is_empty());
        assert_eq!(
            (
                town.core.endpoint().sessions(),
                town.core.endpoint().transactions()
            ),
            (0, 0)
        );
    }
}

#[test]
fn a_callee_that_sends_its_answer_early_is_heard_early_if_wanted_and_talks_in_any_case() {
    for early_media in ["connect", "ignore"] {
        let mut town = Town::new(920);
        let router = town.router();
        let (customer, agent) = (town.customer(440.0), town.agent(800.0));
        town.speak(agent, reliable());
        town.parties[agent].answer = Answer::Early(3 * SECOND);
        let (caller, call) = town.answered_call(router, customer);
        let to = town.target(agent);
        let bridge = town.ask(router, "bridge.create", json!({"call": call, "legs": [caller]}));
        let dial = json!({
            "to": to, "trunk": "agents", "bridge": bridge["bridge"], "early_media": early_media,
        });
        let dialled = town.ask(router, "leg.dial", dial);
        let desk = dialled["leg"].as_str().unwrap().to_owned();
        town.run_for(500 * MS);
        let early = town.hears(customer, 800.0, SECOND);
        assert_eq!(early > 0.2, early_media == "connect", "{early}");
        let pracks = |town: &Town| {
            let got = town.parties[agent].got.iter();
            got.filter(|text| text.starts_with("PRACK ")).count()
        };
        assert_eq!(pracks(&town), 1);
        town.run_for(3 * SECOND);
        assert!(
            town.routers[router].last_of("leg.answered", &desk).is_some(),
            "{early_media}"
        );
        assert!(town.hears(customer, 800.0, SECOND) > 0.2);
        assert!(town.hears(agent, 440.0, SECOND) > 0.2);
    }
}

#[test]
fn without_prack_the_call_ends_and_says_why() {
    let mut town = Town::new(930);
    let router = town.router();
    let customer = town.customer(440.0);
    town.speak(customer, reliable());
    town.call(customer, "+498001234567");
    town.run_for(100 * MS);
    let leg = town.routers[router].of("leg.incoming")[0]["leg"]
        .as_str()
        .unwrap()
        .to_owned();
    town.set_weather(NOTHING_ARRIVES);
    town.ask(router, "leg.progress", json!({"leg": leg, "status": 183}));
    town.run_for(33 * SECOND);
    let data = ended(&town, router, &leg);
    assert_eq!(
        (&data["by"], &data["reason"], &data["sip"], &data["q850"]),
        (&json!("timer"), &json!("unreachable"), &json!(504), &json!(102)),
    );
}

#[test]
fn a_call_is_refreshed_on_both_sides_for_as_long_as_it_lasts() {
    for (keys, theirs, method) in [
        ("", Policy::default(), "UPDATE "),
        ("refresh_by = \"reinvite\"\n", Policy::default(), "INVITE "),
        ("refresher = \"us\"\n", timed(40), "UPDATE "),
    ] {
        let mut town = quiet_town(940, keys);
        let router = town.router();
        let (customer, agent) = (town.customer(440.0), town.agent(800.0));
        for party in [customer, agent] {
            town.speak(party, theirs);
        }
        let (caller, call) = town.answered_call(router, customer);
        let desk = town.dialled(router, agent, &call);
        let before: Vec<usize> = [customer, agent]
            .map(|party| town.parties[party].got.len())
            .to_vec();
        town.run_for(Duration::from_secs(150));
        for (party, before) in [customer, agent].into_iter().zip(before) {
            let got = town.parties[party].got[before..].iter();
            let refreshes = got.filter(|text| text.starts_with(method)).count();
            // Every 20 s.
            assert_eq!(refreshes, 7, "{keys} {:?}", theirs.timer.support);
        }
        for leg in [&caller, &desk] {
            assert!(town.routers[router].last_of("leg.ended", leg).is_none());
        }
        town.ask(router, "call.end", json!({"call": call}));
        town.run_for(70 * SECOND);
        assert!(town.core.engine().is_empty());
        assert_eq!(
            (
                town.core.endpoint().sessions(),
                town.core.endpoint().transactions()
            ),
            (0, 0)
        );
    }
}

#[test]
fn a_refresh_does_not_look_like_a_change() {
    let mut town = quiet_town(950, "refresh_by = \"reinvite\"\n");
    let router = town.router();
    let customer = town.customer(440.0);
    let (leg, _) = town.answered_call(router, customer);
    let body = |text: &str| text.split("\r\n\r\n").nth(1).unwrap().to_owned();
    let is_answer = |text: &&String| text.starts_with("SIP/2.0 200") && text.contains(" INVITE\r\n");
    let answer = body(town.parties[customer].got.iter().find(is_answer).unwrap());
    let told = town.routers[router].events.len();
    town.run_for(Duration::from_secs(25));
    let is_refresh = |text: &&String| text.starts_with("INVITE ");
    let refresh = body(town.parties[customer].got.iter().find(is_refresh).unwrap());
    assert_eq!(refresh, answer, "same version, same everything");
    assert_eq!(
        town.routers[router].events.len(),
        told,
        "{:?}",
        town.routers[router].kinds()
    );
    // A change after it still counts up.
    town.ask(router, "leg.hold", json!({"leg": leg, "signal": true}));
    town.run_for(SECOND);
    let hold = body(town.parties[customer].got.iter().rev().find(is_refresh).unwrap());
    assert_ne!(hold.lines().nth(1), answer.lines().nth(1));
    assert_eq!(
        town.routers[router].of("op.ended").last().unwrap()["data"]["outcome"],
        "ok"
    );
}

#[test]
fn whoever_stops_refreshing_is_gone_in_time_and_the_books_say_so() {
    // Refreshed by the peer, and by us: both end before the interval does (RFC 4028 §10).
    for (keys, theirs) in [
        ("refresher = \"peer\"\n", timed(40)),
        ("refresher = \"us\"\n", timed(40)),
        ("", Policy::default()),
    ] {
        let mut town = quiet_town(960, keys);
        let router = town.router();
        let customer = town.customer(440.0);
        town.speak(customer, theirs);
        let (leg, _) = town.answered_call(router, customer);
        town.set_weather(NOTHING_ARRIVES);
        // 40 − 40/3 s.
        town.run_for(26 * SECOND);
        assert!(town.routers[router].last_of("leg.ended", &leg).is_none());
        town.run_for(SECOND);
        let data = ended(&town, router, &leg);
        assert_eq!(
            (&data["by"], &data["reason"], &data["q850"]),
            (&json!("timer"), &json!("session_expired"), &json!(102)),
            "{keys}"
        );
        town.run_for(70 * SECOND);
        assert_eq!(town.records.len(), 1);
        assert_eq!(town.core.endpoint().sessions(), 0);
    }
}

#[test]
fn a_trunk_that_speaks_nothing_refuses_what_is_required() {
    let mut town = quiet_town(970, "rel100 = \"off\"\nsession_timer = \"off\"\n");
    let router = town.router();
    let customer = town.customer(440.0);
    town.speak(customer, reliable());
    town.call(customer, "+498001234567");
    town.run_for(SECOND);
    let refused = town.parties[customer]
        .got
        .iter()
        .find(|text| text.starts_with("SIP/2.0 420"))
        .unwrap();
    assert!(refused.contains("\r\nUnsupported: 100rel\r\n"), "{refused}");
    assert!(town.routers[router].of("leg.incoming").is_empty());
    let plain = town.customer(440.0);
    town.speak(plain, timed(40));
    let before = town.parties[plain].got.len();
    town.answered_call(router, plain);
    town.run_for(60 * SECOND);
    assert!(
        town.parties[plain].got[before..]
            .iter()
            .all(|text| !text.contains("Session-Expires"))
    );
}
