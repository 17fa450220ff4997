//! Limits, and counts that agree to the unit with the carrier's.

use gateway::observe::metrics::{Snapshot, render};
use house::sim::{Answer, PartyEvent, Town};
use serde_json::{Value, json};

use crate::scene::*;

const NUMBER: &str = "+498001234567";

/// A town where an unclaimed call waits, with its number of callers.
fn town(seed: u64, limits: &str, callers: usize) -> (Town, usize, Vec<usize>) {
    let mut town = Town::with(seed, |text| {
        let text = text.replace("calls = 100\ncalls_per_second = 10000", limits);
        text.replace("after_ms = 5000", "after_ms = 180000")
            .replace("match = \"*\"", "match = \"+49800*\"")
    });
    let router = town.router();
    let callers = (0..callers).map(|_| town.customer(CUSTOMER_HZ)).collect();
    (town, router, callers)
}

fn refusals(town: &Town, status: u16) -> usize {
    let events = town.parties.iter().flat_map(|party| party.events.iter());
    events
        .filter(|(_, event)| *event == PartyEvent::Refused(status))
        .count()
}

/// The metrics page.
pub fn metrics(town: &Town) -> String {
    let engine = town.core.engine();
    render(Snapshot {
        engine: engine.metrics().clone(),
        gauges: engine.gauges(town.now()),
        ..Snapshot::default()
    })
}

/// The value of the one line of the metrics page with this name and all these labels.
fn metric(page: &str, name: &str, labels: &[(&str, &str)]) -> u64 {
    let name = format!("media_gateway_{name}");
    let wanted = |line: &&str| {
        line.split(['{', ' ']).next() == Some(&name)
            && labels
                .iter()
                .all(|(label, value)| line.contains(&format!("{label}=\"{value}\"")))
    };
    let lines: Vec<&str> = page.lines().filter(wanted).collect();
    assert_eq!(lines.len(), 1, "{name} {labels:?} in {page}");
    lines[0].rsplit(' ').next().unwrap().parse().unwrap()
}

fn assert_limit_of(limit: usize, text: &str, seed: u64) {
    let (mut town, router, callers) = town(seed, text, limit + 1);
    for caller in &callers {
        town.call(*caller, NUMBER);
        town.run_for(MS);
    }
    town.run_for(100 * MS);
    assert_eq!(town.routers[router].of("leg.incoming").len(), limit);
    assert_eq!(refusals(&town, 503), 1);
    assert_eq!(
        town.parties[callers[limit]].events,
        [(town.parties[callers[limit]].events[0].0, PartyEvent::Refused(503))]
    );
    let reply = town.parties[callers[limit]]
        .got
        .iter()
        .find(|text| text.starts_with("SIP/2.0 503"))
        .unwrap();
    assert!(
        reply.lines().any(|line| line.starts_with("Retry-After: ")),
        "{reply}"
    );
    let refused = town.routers[router].of("call.refused")[0]["data"].clone();
    assert_eq!(
        (&refused["rule"], &refused["limit"], &refused["value"]),
        (&json!("instance.calls"), &json!(limit), &json!(limit))
    );
    // A dial of the router's own meets the same limit; one into a call that is up does not.
    let agent = town.agent(AGENT_HZ);
    let to = town.target(agent);
    assert_eq!(
        town.refused(router, "leg.dial", json!({"to": to, "trunk": "agents"})),
        "limit_calls"
    );
    let last = town.routers[router].of("leg.incoming")[limit - 1].clone();
    town.ask(router, "leg.answer", json!({"leg": last["leg"]}));
    town.run_for(100 * MS);
    let desk = town.dialled(router, agent, last["call"].as_str().unwrap());
    town.ask(router, "bridge.create", json!({"legs": [last["leg"], desk]}));
    town.run_for(100 * MS);
    assert_hears(&mut town, callers[limit - 1], &[AGENT_HZ], &[]);
    // One ends, one more passes.
    town.hang_up(callers[0]);
    town.run_for(100 * MS);
    town.call(callers[limit], NUMBER);
    town.run_for(100 * MS);
    assert_eq!(town.routers[router].of("leg.incoming").len(), limit + 1);
}

#[test]
fn row_48_a_new_instance_takes_100_calls_and_no_more() {
    assert_limit_of(100, "calls_per_second = 10000", 4801);
}

#[test]
fn row_48_an_instance_of_10_takes_10() {
    assert_limit_of(10, "calls = 10\ncalls_per_second = 10000", 4802);
}

#[test]
fn row_49_a_lowered_limit_cuts_nobody_and_lets_nobody_in() {
    let (mut town, router, callers) = town(4901, "calls = 100\ncalls_per_second = 10000", 62);
    let mut legs = Vec::new();
    for caller in &callers[..60] {
        legs.push(town.answered_call(router, *caller).0);
    }
    let lowered = town.ask(router, "limits.set", json!({"calls": 10}));
    assert_eq!(
        (&lowered["calls"]["limit"], &lowered["calls"]["active"]),
        (&json!(10), &json!(60))
    );
    let changed = town.routers[router].of("limits.changed")[0].clone();
    assert_eq!(changed["data"]["calls"]["limit"], 10);
    assert_eq!(
        changed["cause"],
        json!({"app": "default", "cmd": "limits.set"}),
        "audited: who and with what"
    );
    town.call(callers[60], NUMBER);
    town.run_for(200 * MS);
    let refused = town.routers[router].of("call.refused")[0]["data"].clone();
    assert_eq!(
        (&refused["rule"], &refused["limit"], &refused["value"]),
        (&json!("instance.calls"), &json!(10), &json!(60))
    );
    assert!(
        town.routers[router].of("leg.ended").is_empty(),
        "not one of the sixty was cut"
    );
    for number in [0, 31, 59] {
        town.ask(
            router,
            "play.start",
            json!({"target": legs[number], "sources": ["greeting"]}),
        );
        town.run_for(100 * MS);
        assert_hears(&mut town, callers[number], &[2500.0], &[]);
    }
    for caller in &callers[9..60] {
        town.hang_up(*caller);
    }
    town.run_for(200 * MS);
    assert_eq!(town.ask(router, "limits.get", json!({}))["calls"]["active"], 9);
    let (_, _) = town.answered_call(router, callers[60]);
    town.call(callers[61], NUMBER);
    town.run_for(200 * MS);
    let refused = town.routers[router].of("call.refused")[1]["data"].clone();
    assert_eq!(refused["value"], 10);
    town.ask(router, "limits.set", json!({"calls": 11}));
    town.answered_call(router, callers[61]);
}

#[test]
fn row_50_the_carriers_count_of_refusals_is_ours() {
    let (mut town, router, callers) = town(5001, "calls = 5\ncalls_per_second = 10000", 20);
    // Each datagram comes twice: a retransmission counts once.
    town.set_weather(house::sim::Weather {
        duplicate_permille: 1000,
        ..Default::default()
    });
    for caller in &callers[..12] {
        town.call(*caller, NUMBER);
        town.run_for(5 * MS);
    }
    for caller in &callers[12..15] {
        town.hang_up(callers[0]);
        town.run_for(100 * MS);
        town.call(*caller, "+4930999");
        town.run_for(5 * MS);
    }
    town.run_for(5 * SECOND);
    let (sent_503, sent_404) = (refusals(&town, 503), refusals(&town, 404));
    assert_eq!((sent_503, sent_404), (7, 3));
    let page = metrics(&town);
    let inbound = [("instance", "main"), ("trunk", "carrier"), ("direction", "in")];
    let of = |name: &str, more: &[(&str, &str)]| metric(&page, name, &[&inbound, more].concat());
    assert_eq!(
        of("calls_throttled_total", &[("reason", "limit_calls")]),
        sent_503 as u64
    );
    assert_eq!(
        of("calls_refused_total", &[("reason", "no_number")]),
        sent_404 as u64
    );
    assert_eq!(of("calls_offered_total", &[]), 15);
    assert_eq!(of("calls_admitted_total", &[]), 5);
    assert_eq!(town.routers[router].of("call.refused").len(), 10);
    for party in &callers[5..12] {
        assert!(
            town.parties[*party]
                .got
                .iter()
                .any(|text| text.contains("Retry-After: "))
        );
    }
    // Those who were let in hear what is played to them.
    let leg = town.routers[router].of("leg.incoming")[4]["leg"].clone();
    town.ask(router, "leg.answer", json!({"leg": leg}));
    town.run_for(100 * MS);
    town.ask(
        router,
        "play.start",
        json!({"target": leg, "sources": ["greeting"]}),
    );
    town.run_for(100 * MS);
    assert_hears(&mut town, callers[4], &[2500.0], &[]);
}

#[test]
fn row_70_71_offered_is_admitted_and_throttled_and_refused_by_trunk_and_direction() {
    let (mut town, router, callers) = town(7001, "calls = 100\ncalls_per_second = 1", 9);
    for caller in &callers {
        town.call(*caller, NUMBER);
    }
    town.run_for(100 * MS);
    assert_eq!(
        town.routers[router].of("leg.incoming").len(),
        5,
        "a burst of five"
    );
    let rule = town.routers[router].of("call.refused")[0]["data"].clone();
    assert_eq!(
        (&rule["rule"], &rule["limit"]),
        (&json!("instance.calls_per_second"), &json!(1))
    );
    let agent = town.agent(AGENT_HZ);
    let to = town.target(agent);
    assert_eq!(
        town.refused(router, "leg.dial", json!({"to": to, "trunk": "agents"})),
        "limit_cps"
    );
    town.run_for(2 * SECOND);
    let call = town.routers[router].of("leg.incoming")[0].clone();
    town.ask(router, "leg.answer", json!({"leg": call["leg"]}));
    let desk = town.dialled(router, agent, call["call"].as_str().unwrap());
    assert_eq!(
        town.refused(
            router,
            "leg.dial",
            json!({"to": "+33123456789", "trunk": "carrier"})
        ),
        "destination_not_allowed"
    );
    town.ask(router, "bridge.create", json!({"legs": [call["leg"], desk]}));
    town.run_for(100 * MS);
    assert_hears(&mut town, callers[0], &[AGENT_HZ], &[]);
    let page = metrics(&town);
    let of = |name: &str, labels: &[(&str, &str)]| metric(&page, name, labels);
    let (carrier_in, agents_out, carrier_out) = (
        [("trunk", "carrier"), ("direction", "in")],
        [("trunk", "agents"), ("direction", "out")],
        [("trunk", "carrier"), ("direction", "out")],
    );
    assert_eq!(
        (
            of("calls_offered_total", &carrier_in),
            of("calls_admitted_total", &carrier_in)
        ),
        (9, 5)
    );
    assert_eq!(
        of(
            "calls_throttled_total",
            &[&carrier_in[..], &[("reason", "limit_cps")]].concat()
        ),
        4
    );
    assert_eq!(
        (
            of("calls_offered_total", &agents_out),
            of("calls_admitted_total", &agents_out)
        ),
        (2, 1)
    );
    assert_eq!(
        of(
            "calls_throttled_total",
            &[&agents_out[..], &[("reason", "limit_cps")]].concat()
        ),
        1
    );
    assert_eq!(
        (
            of("calls_offered_total", &carrier_out),
            of("calls_admitted_total", &carrier_out)
        ),
        (1, 0)
    );
    assert_eq!(
        of(
            "calls_refused_total",
            &[&carrier_out[..], &[("reason", "policy")]].concat()
        ),
        1
    );
    for (place, tally) in town.core.engine().metrics().tallies() {
        let turned: u64 = tally.throttled.values().chain(tally.refused.values()).sum();
        assert_eq!(tally.offered, tally.admitted + turned, "{place:?}");
    }
}

#[test]
fn row_72_a_hundred_of_a_hundred_reads_one_hundred_percent() {
    let (mut town, router, callers) = town(7201, "calls = 100\ncalls_per_second = 10000", 100);
    for caller in &callers {
        town.call(*caller, NUMBER);
        town.run_for(MS);
    }
    town.run_for(100 * MS);
    let levels = |town: &Town| {
        let page = metrics(town);
        let active = |direction| {
            metric(
                &page,
                "calls_active",
                &[("trunk", "carrier"), ("direction", direction)],
            )
        };
        let instance = [("instance", "main")];
        (
            active("in") + active("out"),
            metric(&page, "calls_active_peak", &instance),
            metric(&page, "calls_limit", &instance),
        )
    };
    assert_eq!(levels(&town), (100, 100, 100));
    let first = town.routers[router].of("leg.incoming")[0]["leg"].clone();
    town.ask(router, "leg.answer", json!({"leg": first}));
    town.run_for(100 * MS);
    town.ask(
        router,
        "play.start",
        json!({"target": first, "sources": [{"music": "default"}]}),
    );
    town.run_for(100 * MS);
    assert_hears(&mut town, callers[0], &[MUSIC_HZ], &[]);
    for caller in &callers[30..] {
        town.hang_up(*caller);
    }
    town.run_for(SECOND);
    assert_eq!(levels(&town), (30, 100, 100), "the peak is remembered");
    let limits = town.ask(router, "limits.get", json!({}));
    assert_eq!(limits["calls"], json!({"limit": 100, "active": 30, "peak": 100}));
    town.run_for(62 * SECOND);
    assert_eq!(levels(&town), (30, 30, 100), "for a minute");
}

#[test]
fn row_73_failed_calls_are_counted_by_what_they_were() {
    let mut town = Town::new(7301);
    let router = town.router();
    let carrier = town.party("carrier", "10.0.1.1:5060", CUSTOMER_HZ);
    let mut wanted = std::collections::BTreeMap::<&str, u64>::new();
    for (status, class, reason) in [
        (486, "busy", "busy"),
        (600, "busy", "busy"),
        (404, "bad_number", "not_found"),
        (410, "bad_number", "not_found"),
        (484, "bad_number", "not_found"),
        (604, "bad_number", "not_found"),
        (480, "no_answer", "no_answer"),
        (500, "error", "failed"),
        (503, "error", "unreachable"),
        (603, "error", "rejected"),
        (403, "error", "not_allowed"),
    ] {
        town.parties[carrier].answer = Answer::Refuse(status);
        let dialled = town.ask(
            router,
            "leg.dial",
            json!({"to": "+4684060000", "trunk": "carrier"}),
        );
        town.run_for(SECOND);
        let ended = event(&town, router, "leg.ended", dialled["leg"].as_str().unwrap());
        assert_eq!(
            (&ended["data"]["reason"], &ended["data"]["sip"]),
            (&json!(reason), &json!(status))
        );
        *wanted.entry(class).or_default() += 1;
    }
    town.parties[carrier].answer = Answer::Never;
    let dial = |trunk: &str, to: &str| json!({"to": to, "trunk": trunk, "ring_timeout_ms": 2000});
    town.ask(router, "leg.dial", dial("carrier", "+4684060000"));
    *wanted.entry("no_answer").or_default() += 1;
    let agent = town.agent(AGENT_HZ);
    town.parties[agent].answer = Answer::Never;
    let to = town.target(agent);
    town.ask(router, "leg.dial", dial("agents", &to));
    town.run_for(3 * SECOND);
    let page = metrics(&town);
    let of = |trunk, class| {
        metric(
            &page,
            "calls_failed_total",
            &[("trunk", trunk), ("direction", "out"), ("class", class)],
        )
    };
    for (class, count) in wanted {
        assert_eq!(of("carrier", class), count, "{class}");
    }
    assert_eq!(of("agents", "missed"), 1, "an agent's no answer is a missed call");
    let failed: u64 = town
        .core
        .engine()
        .metrics()
        .tallies()
        .flat_map(|(_, tally)| tally.failed.values())
        .sum();
    assert_eq!(failed, 13, "each once");
    let records: Vec<Value> = town.records.clone();
    assert_eq!(records.len(), 13);
    // A call that is answered is none of them.
    town.parties[carrier].answer = Answer::After(100 * MS);
    let dialled = town.ask(
        router,
        "leg.dial",
        json!({"to": "+4684060000", "trunk": "carrier"}),
    );
    town.run_for(300 * MS);
    town.ask(
        router,
        "play.start",
        json!({"target": dialled["leg"], "sources": ["greeting"]}),
    );
    town.run_for(100 * MS);
    assert_hears(&mut town, carrier, &[2500.0], &[]);
    town.hang_up(carrier);
    town.run_for(SECOND);
    let failed: u64 = town
        .core
        .engine()
        .metrics()
        .tallies()
        .flat_map(|(_, tally)| tally.failed.values())
        .sum();
    assert_eq!(failed, 13);
}
