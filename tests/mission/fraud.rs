//! Limits against toll fraud (threat C8): each refuses with its rule, raises an alarm, counts, and cuts nobody.

use std::time::Duration;

use gateway::observe::metrics::{Snapshot, render};
use house::sim::{Answer, Town};
use serde_json::{Value, json};

use crate::scene::*;

const STOCKHOLM: &str = "+4684060000";
const TOKYO: &str = "+81312345678";

/// A carrier that answers everyone, with these limits.
fn town(seed: u64, fraud: &str) -> (Town, usize, usize) {
    town_after(None, seed, fraud)
}

fn town_after(saved: Option<String>, seed: u64, fraud: &str) -> (Town, usize, usize) {
    let mut town = Town::after(saved, seed, |text| {
        text.replacen(
            "name = \"carrier\"",
            &format!("name = \"carrier\"\nfraud = {{ {fraud} }}"),
            1,
        )
    });
    let router = town.router();
    let carrier = town.party("carrier", "10.0.1.1:5060", CUSTOMER_HZ);
    town.parties[carrier].answer = Answer::After(100 * MS);
    (town, router, carrier)
}

fn dial(to: &str) -> Value {
    json!({"to": to, "trunk": "carrier"})
}

/// Dials; the leg.
fn dialled(town: &mut Town, router: usize, to: &str) -> String {
    let leg = town.ask(router, "leg.dial", dial(to))["leg"]
        .as_str()
        .unwrap()
        .to_owned();
    town.run_for(200 * MS);
    leg
}

/// Asserts that the check, the dial, the alarm and the metrics name the same limit.
fn assert_gated(
    town: &mut Town,
    router: usize,
    to: &str,
    (kind, rule, label): (&str, &str, &str),
    (limit, value): (u64, u64),
) {
    let invites = |town: &Town| {
        town.parties[0]
            .got
            .iter()
            .filter(|text| text.starts_with("INVITE "))
            .count()
    };
    let before = invites(town);
    let check = town.ask(router, "policy.check", dial(to));
    let reply = town.request(router, "leg.dial", dial(to));
    let data = &reply["error"]["data"];
    assert_eq!(data["kind"], kind, "{reply}");
    assert_eq!(check["decision"], "deny", "{check}");
    for (key, wanted) in [
        ("step", json!("fraud")),
        ("rule", json!(rule)),
        ("limit", json!(limit)),
        ("value", json!(value)),
    ] {
        assert_eq!((&check[key], &data[key]), (&wanted, &wanted), "{key}");
    }
    town.run_for(100 * MS);
    assert_eq!(invites(town), before, "no INVITE goes out");
    let alarms = town.routers[router].of("alarm.raised");
    assert_eq!(alarms.last().unwrap()["data"]["kind"], "fraud_limit");
    let engine = town.core.engine();
    let page = render(Snapshot {
        engine: engine.metrics().clone(),
        gauges: engine.gauges(town.now()),
        ..Snapshot::default()
    });
    let counted = page.lines().any(|line| {
        line.starts_with("media_gateway_dials_gated_total{") && line.contains(&format!("limit=\"{label}\""))
    });
    assert!(counted, "{label} in {page}");
}

#[test]
fn c8_calls_an_hour_are_limited_and_the_hour_moves_on() {
    let (mut town, router, _) = town(8801, "calls_per_hour = 2");
    let first = dialled(&mut town, router, STOCKHOLM);
    town.ask(router, "leg.hangup", json!({"leg": first}));
    // A dial that the policy refuses is not counted.
    town.refused(router, "leg.dial", dial("+447911123456"));
    let second = dialled(&mut town, router, TOKYO);
    let rule = ("limit_cps", "trunk:carrier.calls_per_hour", "calls_per_hour");
    assert_gated(&mut town, router, TOKYO, rule, (2, 2));
    assert_gated(&mut town, router, STOCKHOLM, rule, (2, 2));
    assert_eq!(
        town.routers[router].of("alarm.raised").len(),
        1,
        "told once while it goes on"
    );
    // Who talks goes on talking.
    town.ask(
        router,
        "play.start",
        json!({"target": second, "sources": ["greeting"]}),
    );
    town.run_for(100 * MS);
    assert_hears(&mut town, 0, &[2500.0], &[]);
    town.ask(router, "leg.hangup", json!({"leg": second}));
    town.run_for(3601 * SECOND);
    dialled(&mut town, router, STOCKHOLM);
}

#[test]
fn c8_minutes_a_day_are_limited_calls_that_are_up_included_and_midnight_utc_ends_the_day() {
    let (mut town, router, _) = town(8802, "minutes_per_day = 3");
    let first = dialled(&mut town, router, STOCKHOLM);
    town.run_for(100 * SECOND);
    town.ask(router, "leg.hangup", json!({"leg": first}));
    let second = dialled(&mut town, router, STOCKHOLM);
    town.run_for(79 * SECOND);
    // 100 s and 79 s: the third minute is not over.
    let third = dialled(&mut town, router, STOCKHOLM);
    town.run_for(20 * SECOND);
    let rule = ("limit_calls", "trunk:carrier.minutes_per_day", "minutes_per_day");
    assert_gated(&mut town, router, STOCKHOLM, rule, (3, 3));
    for leg in [second, third] {
        town.ask(router, "leg.hangup", json!({"leg": leg}));
    }
    // The town's day began at midnight.
    let day = Duration::from_secs(24 * 3600);
    town.run_for(day - town.now.saturating_duration_since(town.start) - SECOND);
    assert_gated(&mut town, router, STOCKHOLM, rule, (3, 3));
    town.run_for(SECOND);
    dialled(&mut town, router, STOCKHOLM);
}

#[test]
fn c8_a_prefix_has_limits_of_its_own() {
    let prefixes = "prefix = [{ prefix = \"+81\", calls = 1, calls_per_hour = 3 }, { prefix = \"+8131\", minutes_per_day = 1 }]";
    let (mut town, router, _) = town(8803, prefixes);
    let first = dialled(&mut town, router, TOKYO);
    let rule = ("limit_calls", "trunk:carrier.prefix:+81.calls", "prefix_calls");
    for spelt in [
        "+81 3-1234-5678",
        "tel:+81-3-1234-5678",
        "sip:%2B81312345678@10.0.1.1",
    ] {
        assert_gated(&mut town, router, spelt, rule, (1, 1));
    }
    town.run_for(60 * SECOND);
    town.ask(router, "leg.hangup", json!({"leg": first}));
    dialled(&mut town, router, STOCKHOLM);
    let rule = (
        "limit_calls",
        "trunk:carrier.prefix:+8131.minutes_per_day",
        "prefix_minutes_per_day",
    );
    assert_gated(&mut town, router, TOKYO, rule, (1, 1));
    for _ in 0..2 {
        let leg = dialled(&mut town, router, "+819012345678");
        town.ask(router, "leg.hangup", json!({"leg": leg}));
    }
    let rule = (
        "limit_cps",
        "trunk:carrier.prefix:+81.calls_per_hour",
        "prefix_calls_per_hour",
    );
    assert_gated(&mut town, router, "+819012345678", rule, (3, 3));
}

#[test]
fn c8_a_batch_that_is_taken_back_leaves_no_count_and_one_that_holds_counts_each_dial() {
    let (mut town, router, _) = town(8804, "calls_per_hour = 2");
    let batch = |targets: [&str; 3]| {
        let steps = targets.map(|to| json!({"method": "leg.dial", "params": dial(to)}));
        json!({"steps": steps})
    };
    assert_eq!(
        town.refused(router, "batch", batch([STOCKHOLM, TOKYO, STOCKHOLM])),
        "limit_cps"
    );
    for _ in 0..2 {
        dialled(&mut town, router, STOCKHOLM);
    }
    let rule = ("limit_cps", "trunk:carrier.calls_per_hour", "calls_per_hour");
    assert_gated(&mut town, router, TOKYO, rule, (2, 2));
}

#[test]
fn c8_a_call_sent_on_too_often_is_not_dialled_on() {
    let (mut town, router, _) = town(8805, "redirects = 1");
    let customer = town.customer(CUSTOMER_HZ);
    let diverted = |count: u32| {
        vec![sip::endpoint::ExtraHeader {
            name: "Diversion".into(),
            value: format!("<sip:+4684060001@10.0.1.1>;reason=unconditional;counter={count}"),
        }]
    };
    town.call_with(customer, "+498001234567", diverted(2));
    town.run_for(100 * MS);
    let call = town.routers[router].of("leg.incoming")[0]["call"].clone();
    let reply = town.request(
        router,
        "leg.dial",
        json!({"to": STOCKHOLM, "trunk": "carrier", "call": call}),
    );
    let data = &reply["error"]["data"];
    assert_eq!(
        (
            &data["kind"],
            &data["step"],
            &data["rule"],
            &data["limit"],
            &data["value"]
        ),
        (
            &json!("destination_not_allowed"),
            &json!("fraud"),
            &json!("trunk:carrier.redirects"),
            &json!(1),
            &json!(2)
        ),
        "{reply}"
    );
    assert_eq!(
        town.routers[router].of("alarm.raised")[0]["data"]["kind"],
        "fraud_limit"
    );
    town.hang_up(customer);
    town.run_for(100 * MS);
    town.call_with(customer, "+498001234567", diverted(1));
    town.run_for(100 * MS);
    let call = town.routers[router].of("leg.incoming")[1]["call"].clone();
    town.ask(
        router,
        "leg.dial",
        json!({"to": STOCKHOLM, "trunk": "carrier", "call": call}),
    );
}

#[test]
fn c8_counts_are_written_down_and_taken_up_by_the_next_run() {
    let limits = "calls_per_hour = 3, minutes_per_day = 2";
    let (mut town, router, _) = town(8806, limits);
    assert_eq!(town.saved_limits, None);
    let leg = dialled(&mut town, router, STOCKHOLM);
    town.run_for(120 * SECOND);
    town.ask(router, "leg.hangup", json!({"leg": leg}));
    town.run_for(11 * SECOND);
    let saved = town.saved_limits.clone().expect("written down");
    assert!(
        !saved.contains("\"calls\":"),
        "limits that were not set stay the configuration's: {saved}"
    );
    let (mut next, router, _) = town_after(Some(saved), 8807, limits);
    let rule = ("limit_calls", "trunk:carrier.minutes_per_day", "minutes_per_day");
    assert_gated(&mut next, router, STOCKHOLM, rule, (2, 2));
    next.run_for(Duration::from_secs(24 * 3600));
    dialled(&mut next, router, STOCKHOLM);
}
