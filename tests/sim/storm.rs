//! Ten thousand calls in bad weather, from a seed: every invariant holds after each, and nothing is left.

use std::time::{Duration, Instant};

use house::sim::{Answer, Town, Weather};
use serde_json::json;
use sip::endpoint::{Policy, Support, TimerPolicy};

const MS: Duration = Duration::from_millis(1);
const CALLS: usize = 10_000;
const AT_ONCE: usize = 20;

/// A number that follows from the seed and the call.
fn draw(seed: u64, call: usize, of: u64) -> u64 {
    let mut mixed = seed ^ (call as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^= mixed >> 31;
    mixed = mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed >> 33) % of
}

fn storm(seed: u64, calls: usize, loss_permille: u64) -> Town {
    let mut town = Town::new(seed).without_media();
    town.set_weather(Weather {
        loss_permille,
        duplicate_permille: 20,
        delay: 5 * MS,
        jitter: 20 * MS,
    });
    let router = town.router();
    let customers: Vec<usize> = (0..AT_ONCE).map(|_| town.customer(440.0)).collect();
    let agents: Vec<usize> = (0..AT_ONCE).map(|_| town.agent(800.0)).collect();
    for party in customers.iter().chain(&agents) {
        town.speak(*party, extensions(draw(seed, *party, 4)));
    }
    for round in 0..calls / AT_ONCE {
        one_round(&mut town, router, &customers, &agents, seed, round);
        check(&town);
        if round % 25 == 0 {
            // What was told is not kept: a day of events would fill the memory.
            town.routers[router].events.clear();
            town.routers[router].lines.clear();
            town.routers[router].replies.clear();
            for party in &mut town.parties {
                party.got.clear();
                party.events.clear();
            }
        }
    }
    town.run_for(Duration::from_secs(120));
    town
}

/// What a party speaks: nothing, or reliable provisional responses, refreshes every few seconds, or both.
fn extensions(drawn: u64) -> Policy {
    let rel100 = [
        Support::Off,
        Support::Supported,
        Support::Required,
        Support::Required,
    ];
    let timer = TimerPolicy {
        support: [Support::Off, Support::Supported][drawn as usize % 2],
        interval_s: 90,
        ..TimerPolicy::default()
    };
    Policy {
        rel100: rel100[drawn as usize],
        timer,
        ..Policy::default()
    }
}

/// Every party calls; the router answers some, dials for some, refuses some, forgets some; all hang up.
fn one_round(town: &mut Town, router: usize, customers: &[usize], agents: &[usize], seed: u64, round: usize) {
    let seen = town.routers[router].events.len();
    for (index, customer) in customers.iter().enumerate() {
        town.call(*customer, "+498001234567");
        town.run_for(Duration::from_millis(draw(seed, round * AT_ONCE + index, 40)));
    }
    town.run_for(600 * MS);
    let incoming: Vec<(String, String)> = town.routers[router].events[seen..]
        .iter()
        .filter(|event| event["type"] == "leg.incoming")
        .map(|event| {
            (
                event["leg"].as_str().unwrap().into(),
                event["call"].as_str().unwrap().into(),
            )
        })
        .collect();
    for (index, (leg, call)) in incoming.iter().enumerate() {
        let number = round * AT_ONCE + index;
        match draw(seed, number, 6) {
            0 => drop(town.request(router, "leg.reject", json!({"leg": leg, "status": 486}))),
            1 => drop(town.request(router, "leg.progress", json!({"leg": leg, "status": 183}))),
            2 => drop(town.request(router, "leg.answer", json!({"leg": leg}))),
            _ => {
                if draw(seed, number, 2) == 0 {
                    town.request(router, "leg.progress", json!({"leg": leg, "status": 183}));
                }
                town.request(router, "leg.answer", json!({"leg": leg}));
                let agent = agents[index % agents.len()];
                town.parties[agent].answer = match draw(seed, number, 5) {
                    4 => Answer::Early(Duration::from_millis(draw(seed, number, 900))),
                    0 => Answer::Never,
                    1 => Answer::Refuse(486),
                    2 => Answer::Silent,
                    _ => Answer::After(Duration::from_millis(draw(seed, number, 900))),
                };
                let to = town.target(agent);
                let dial = json!({"to": to, "trunk": "agents", "call": call, "ring_timeout_ms": 800});
                town.request(router, "leg.dial", dial);
            }
        }
        if draw(seed, number, 5) == 0 {
            town.hang_up(customers[index % customers.len()]);
        }
    }
    town.run_for(Duration::from_millis(500 + draw(seed, round, 1500)));
    for party in customers.iter().chain(agents) {
        town.hang_up(*party);
    }
    town.run_for(300 * MS);
    for (_, call) in &incoming {
        town.request(router, "call.end", json!({"call": call}));
    }
    town.run_for(200 * MS);
}

/// What must hold after every round.
fn check(town: &Town) {
    let world = town.core.engine().world();
    let live = world.calls.iter().filter(|(_, call)| !call.is_closing()).count();
    assert_eq!(world.guards.calls(), live, "calls are their guards");
    let legs = world.legs.iter().filter(|(_, leg)| !leg.is_ended()).count();
    assert_eq!(world.guards.legs.len(), legs, "legs are their guards");
    let open = world.legs.iter().filter(|(_, leg)| leg.media.closed.is_none());
    assert_eq!(world.guards.ports.len(), open.count(), "ports are their guards");
    assert!(town.log.is_empty(), "{:?}", town.log);
}

fn nothing_is_left(town: &Town) {
    assert!(town.core.engine().is_empty(), "the engine still holds something");
    assert_eq!(town.core.endpoint().sessions(), 0);
    assert_eq!(town.core.endpoint().transactions(), 0);
    let mut calls: Vec<&str> = town
        .records
        .iter()
        .map(|record| record["call"].as_str().unwrap())
        .collect();
    let all = calls.len();
    calls.sort_unstable();
    calls.dedup();
    assert_eq!(calls.len(), all, "one record a call");
}

#[test]
fn ten_thousand_calls_with_five_percent_loss_leave_nothing() {
    let began = Instant::now();
    let seed = 77;
    let town = storm(seed, CALLS, 50);
    nothing_is_left(&town);
    assert!(
        town.records.len() > CALLS * 9 / 10,
        "{} records",
        town.records.len()
    );
    println!(
        "seed {seed}: {} calls, {:?} of virtual time in {:?}",
        town.records.len(),
        town.now - town.start,
        began.elapsed()
    );
}

#[test]
fn the_same_seed_gives_the_same_day() {
    let day = |seed| {
        let town = storm(seed, 200, 100);
        town.records.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(day(5), day(5));
}
