//! What did not come in time ends a leg, and the metric says what that was.

use std::time::Duration;

use house::sim::{Answer, Town, Weather};
use serde_json::json;
use sip::endpoint::{Policy, Support, TimerPolicy};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const NUMBER: &str = "+498001234567";
const NOTHING_ARRIVES: Weather = Weather {
    loss_permille: 1000,
    duplicate_permille: 0,
    delay: MS,
    jitter: Duration::ZERO,
};

/// A town whose trunks have these further keys, with a router, a customer and an agent.
fn town(seed: u64, keys: &str) -> (Town, usize, usize, usize) {
    let keys = format!("calls = 10000\n{keys}\n");
    let mut town = Town::with(seed, |text| text.replace("calls = 10000\n", &keys));
    let router = town.router();
    let (customer, agent) = (town.customer(440.0), town.agent(800.0));
    (town, router, customer, agent)
}

/// An inbound leg that nobody has answered.
fn ringing(town: &mut Town, router: usize, customer: usize) -> String {
    town.call(customer, NUMBER);
    town.run_for(50 * MS);
    let incoming = town.routers[router].of("leg.incoming");
    incoming[0]["leg"].as_str().unwrap().to_owned()
}

fn dial(town: &mut Town, router: usize, agent: usize) -> String {
    let to = town.target(agent);
    let dial = json!({"to": to, "trunk": "agents", "ring_timeout_ms": 40_000});
    let dialled = town.ask(router, "leg.dial", dial);
    dialled["leg"].as_str().unwrap().to_owned()
}

/// One leg ended, for this reason, and for want of this alone.
fn assert_missed(town: &Town, router: usize, leg: &str, reason: &str, missing: &str) {
    let ended = town.routers[router].last_of("leg.ended", leg);
    let ended = ended.unwrap_or_else(|| panic!("{missing}: {:?}", town.routers[router].kinds()));
    assert_eq!(ended["data"]["reason"], reason, "{missing}");
    let tallies = town.core.engine().metrics().tallies();
    let counted: Vec<(&str, u64)> = tallies
        .flat_map(|(_, tally)| tally.timed_out.iter().map(|(word, count)| (*word, *count)))
        .collect();
    assert_eq!(counted, [(missing, 1)]);
}

#[test]
fn a_call_that_expired_is_told_from_one_that_nobody_acknowledged() {
    let timer = TimerPolicy {
        support: Support::Supported,
        interval_s: 40,
        min_s: 20,
        ..TimerPolicy::default()
    };
    let timed = Policy {
        timer,
        ..Policy::default()
    };
    let keys = "media_timeout_s = 0\nmin_se_s = 20\nsession_expires_s = 40\nrefresher = \"peer\"";
    let (mut town, router, customer, _) = self::town(601, keys);
    town.speak(customer, timed);
    let (leg, _) = town.answered_call(router, customer);
    town.set_weather(NOTHING_ARRIVES);
    town.run_for(30 * SECOND);
    assert_missed(&town, router, &leg, "session_expired", "refresh");

    let (mut town, router, customer, _) = self::town(602, "");
    let rel100 = Support::Required;
    town.speak(
        customer,
        Policy {
            rel100,
            ..Policy::default()
        },
    );
    let leg = ringing(&mut town, router, customer);
    town.set_weather(NOTHING_ARRIVES);
    town.ask(router, "leg.progress", json!({"leg": leg, "status": 183}));
    town.run_for(33 * SECOND);
    assert_missed(&town, router, &leg, "unreachable", "prack");

    let (mut town, router, customer, _) = self::town(603, "");
    let leg = ringing(&mut town, router, customer);
    town.set_weather(NOTHING_ARRIVES);
    town.ask(router, "leg.answer", json!({"leg": leg}));
    town.run_for(33 * SECOND);
    assert_missed(&town, router, &leg, "unreachable", "ack");
}

#[test]
fn so_is_one_whose_peer_is_gone_silent_or_slow() {
    let (mut town, router, _, agent) = town(604, "");
    town.parties[agent].dead = true;
    let leg = dial(&mut town, router, agent);
    town.run_for(35 * SECOND);
    assert_missed(&town, router, &leg, "unreachable", "response");

    let (mut town, router, _, agent) = self::town(605, "");
    town.parties[agent].answer = Answer::Never;
    let leg = dial(&mut town, router, agent);
    town.run_for(41 * SECOND);
    assert_missed(&town, router, &leg, "no_answer", "answer");

    let (mut town, router, customer, _) = self::town(606, "media_timeout_s = 10");
    town.parties[customer].silent = true;
    let (leg, _) = town.answered_call(router, customer);
    town.run_for(15 * SECOND);
    assert_missed(&town, router, &leg, "media_timeout", "media");

    let (mut town, router, customer, _) = self::town(607, "media_timeout_s = 0");
    let (leg, _) = town.answered_call(router, customer);
    town.set_weather(NOTHING_ARRIVES);
    // A re-INVITE that nobody answers.
    town.ask(router, "leg.hold", json!({"leg": leg, "signal": true}));
    town.run_for(40 * SECOND);
    assert_missed(&town, router, &leg, "failed", "dialog");

    let (mut town, router, customer, _) = self::town(608, "");
    let (leg, _) = town.answered_call(router, customer);
    town.ask(router, "leg.set", json!({"leg": leg, "max_duration_ms": 1_000}));
    town.run_for(2 * SECOND);
    assert_missed(&town, router, &leg, "max_duration", "end");
}

#[test]
fn an_end_that_somebody_wanted_waited_for_nothing() {
    let (mut town, router, customer, agent) = town(609, "");
    let (_, call) = town.answered_call(router, customer);
    town.dialled(router, agent, &call);
    town.hang_up(agent);
    town.run_for(100 * MS);
    town.ask(router, "call.end", json!({"call": call}));
    town.run_for(SECOND);
    let tallies = town.core.engine().metrics().tallies();
    let counted: usize = tallies.map(|(_, tally)| tally.timed_out.len()).sum();
    assert_eq!(counted, 0);
}
