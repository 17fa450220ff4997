//! Signed callers whose certificate has to be fetched: who waits for it, for how long, and what is told then.

use std::time::Duration;

use gateway::engine::io::{FetchFailure, FetchedChain, Input};
use gateway::stir::{Attest, Chain};
use house::papers::{Papers, X5U, statement};
use house::sim::{PartyEvent, Town};
use serde_json::{Value, json};
use sip::endpoint::ExtraHeader;

use crate::scene::*;

const HOST: &str = "cert.example.org";
const CALLER: &str = "81312345678";
const CALLED: &str = "498001234567";

/// A carrier that signs, whose certificates are fetched from [`HOST`].
fn town(seed: u64, papers: &Papers, word: &str, more: &str) -> (Town, usize) {
    let keys = papers.fetching(word, &[HOST]);
    let line = "name = \"carrier\"\n";
    let mut town = Town::with(seed, |text| {
        let text = text.replace(line, &format!("{line}identity_trusted = true\n{keys}\n"));
        match more {
            "" => text,
            more => text.replace("calls = 100\ncalls_per_second = 10000", more),
        }
    });
    let router = town.router();
    (town, router)
}

/// Somebody calls whose token names this certificate; nothing is waited for.
fn ring(town: &mut Town, papers: &Papers, x5u: &str) -> usize {
    let customer = town.customer(CUSTOMER_HZ);
    let now_s = town.now().wall_us / 1_000_000;
    let identity = papers
        .signer(x5u)
        .identity(&statement(CALLER, CALLED, Attest::A), now_s);
    let header = |name: &str, value: String| ExtraHeader {
        name: name.to_owned(),
        value,
    };
    let headers = vec![
        header("P-Asserted-Identity", format!("<tel:+{CALLER}>")),
        header("Identity", identity),
    ];
    town.call_with(customer, &format!("+{CALLED}"), headers);
    town.run_for(50 * MS);
    customer
}

/// The first fetch that was ordered has this outcome.
fn fetched(town: &mut Town, result: Result<FetchedChain, FetchFailure>) {
    let url = town.fetches.remove(0);
    town.input(Input::Fetched { url, result });
    town.run_for(50 * MS);
}

/// The signer's certificate, as a server gave it.
fn good(papers: &Papers, max_age_s: Option<u64>) -> Result<FetchedChain, FetchFailure> {
    Ok(FetchedChain {
        chain: Chain::read(papers.certificate.as_bytes()).unwrap(),
        max_age: max_age_s.map(Duration::from_secs),
    })
}

/// The verdicts of the calls that have come in so far.
fn verdicts(town: &Town, router: usize) -> Vec<String> {
    let calls = town.routers[router].of("leg.incoming");
    let told = calls
        .iter()
        .map(|event| event["data"]["stir"]["verdict"].as_str().unwrap().to_owned());
    told.collect()
}

fn refusal(town: &Town, party: usize) -> Option<u16> {
    town.parties[party]
        .events
        .iter()
        .find_map(|(_, event)| match event {
            PartyEvent::Refused(status) => Some(*status),
            _ => None,
        })
}

fn records(town: &Town) -> Vec<&Value> {
    town.records
        .iter()
        .filter(|record| !record["refused"].is_null())
        .collect()
}

#[test]
fn t13_calls_wait_for_the_certificate_and_later_ones_find_it() {
    let papers = Papers::new("wait");
    let (mut town, router) = town(1310, &papers, "require", "");
    let first = ring(&mut town, &papers, X5U);
    let second = ring(&mut town, &papers, X5U);
    let asked: Vec<String> = town.fetches.iter().map(ToString::to_string).collect();
    assert_eq!(asked, [X5U], "once for both");
    town.run_for(SECOND);
    for party in [first, second] {
        let got = &town.parties[party].got;
        assert!(got.iter().all(|text| text.starts_with("SIP/2.0 100")), "{got:?}");
        assert!(!got.is_empty(), "the caller knows that we have it");
    }
    assert!(verdicts(&town, router).is_empty(), "nobody is told before");
    assert_eq!(town.ask(router, "limits.get", json!({}))["calls"]["active"], 0);
    fetched(&mut town, good(&papers, None));
    assert_eq!(verdicts(&town, router), ["valid", "valid"]);
    let incoming = town.routers[router].of("leg.incoming")[0].clone();
    assert_eq!(incoming["data"]["from"]["attestation"], "A", "{incoming}");
    ring(&mut town, &papers, X5U);
    assert_eq!(verdicts(&town, router).len(), 3);
    assert!(town.fetches.is_empty(), "it is remembered");

    let (leg, call) = (incoming["leg"].clone(), incoming["call"].clone());
    town.ask(router, "leg.answer", json!({ "leg": leg }));
    town.run_for(200 * MS);
    let agent = town.agent(AGENT_HZ);
    let desk = town.dialled(router, agent, call.as_str().unwrap());
    town.ask(
        router,
        "bridge.create",
        json!({"call": call, "legs": [leg, desk]}),
    );
    town.run_for(200 * MS);
    assert_hears(&mut town, first, &[AGENT_HZ], &[]);
    assert_hears(&mut town, agent, &[CUSTOMER_HZ], &[]);
    town.ask(router, "call.end", json!({ "call": call }));
    town.run_for(SECOND);
    let record = town.records.iter().find(|record| record["call"] == call).unwrap();
    let told_at = incoming["ts"].as_str().unwrap();
    assert!(
        record["started"].as_str().unwrap() < told_at,
        "it began with its INVITE: {record}"
    );
}

#[test]
fn t13_a_server_says_how_long_its_certificate_is_good_for() {
    let papers = Papers::new("age");
    for (max_age_s, kept_s) in [
        (None, 3_600),
        (Some(0), 60),
        (Some(600), 600),
        (Some(u64::MAX), 86_400),
    ] {
        let (town, router) = town(1311, &papers, "verify", "");
        let mut town = town.without_media();
        ring(&mut town, &papers, X5U);
        fetched(&mut town, good(&papers, max_age_s));
        town.run_for(Duration::from_secs(kept_s - 1));
        ring(&mut town, &papers, X5U);
        assert!(town.fetches.is_empty(), "{kept_s} s are not over");
        town.run_for(2 * SECOND);
        ring(&mut town, &papers, X5U);
        assert_eq!(town.fetches.len(), 1, "after {kept_s} s");
        fetched(&mut town, good(&papers, None));
        assert_eq!(verdicts(&town, router), ["valid"; 3]);
    }
}

#[test]
fn t13_what_cannot_be_fetched_is_told_or_refused_and_not_asked_for_again_for_a_minute() {
    let papers = Papers::new("failed");
    for (failure, verdict, status) in [
        (FetchFailure::Unresolved, "certificate_unreachable", 436),
        (FetchFailure::AddressRefused, "certificate_unreachable", 436),
        (FetchFailure::Status(302), "certificate_unreachable", 436),
        (FetchFailure::TooLong, "certificate_unreachable", 436),
        (FetchFailure::Timeout, "certificate_unreachable", 436),
        (FetchFailure::NoCertificate, "certificate_unusable", 437),
    ] {
        let (mut verifying, router) = town(1312, &papers, "verify", "");
        ring(&mut verifying, &papers, X5U);
        fetched(&mut verifying, Err(failure));
        assert_eq!(verdicts(&verifying, router), [verdict]);

        let (mut requiring, router) = town(1313, &papers, "require", "");
        let caller = ring(&mut requiring, &papers, X5U);
        fetched(&mut requiring, Err(failure));
        assert_eq!(
            refusal(&requiring, caller),
            Some(status),
            "{failure:?}: RFC 8224 §6.2.2"
        );
        let caller = ring(&mut requiring, &papers, X5U);
        assert_eq!(refusal(&requiring, caller), Some(status), "remembered");
        assert!(requiring.fetches.is_empty());
        let refused: Vec<_> = requiring.routers[router].of("call.refused");
        assert_eq!(refused.len(), 2);
        assert_eq!(refused[0]["data"]["rule"], "stir");
        requiring.run_for(Duration::from_secs(61));
        ring(&mut requiring, &papers, X5U);
        assert_eq!(requiring.fetches.len(), 1, "after a minute it is tried again");
        fetched(&mut requiring, good(&papers, None));
        assert_eq!(verdicts(&requiring, router), ["valid"]);
    }
}

#[test]
fn t13_a_url_that_is_not_listed_is_told_at_once() {
    let papers = Papers::new("unlisted");
    let elsewhere = "https://evil.example/p.pem";
    let (mut verifying, router) = town(1314, &papers, "verify", "");
    ring(&mut verifying, &papers, elsewhere);
    assert_eq!(verdicts(&verifying, router), ["url_not_listed"]);
    let (mut requiring, _) = town(1315, &papers, "require", "");
    let caller = ring(&mut requiring, &papers, elsewhere);
    assert_eq!(refusal(&requiring, caller), Some(436));
    assert!(verifying.fetches.is_empty() && requiring.fetches.is_empty());
}

#[test]
fn t13_nobody_waits_longer_than_three_seconds() {
    let papers = Papers::new("silence");
    let (mut town, router) = town(1316, &papers, "verify", "");
    ring(&mut town, &papers, X5U);
    town.run_for(2_900 * MS);
    assert!(verdicts(&town, router).is_empty());
    town.run_for(200 * MS);
    assert_eq!(verdicts(&town, router), ["certificate_unreachable"]);
    // What comes late is good for those who come later.
    fetched(&mut town, good(&papers, None));
    assert_eq!(verdicts(&town, router).len(), 1);
    ring(&mut town, &papers, X5U);
    assert_eq!(verdicts(&town, router)[1], "valid");
}

#[test]
fn t13_a_caller_who_gives_up_while_waiting_is_no_call_and_in_the_books() {
    let papers = Papers::new("cancel");
    let (mut town, router) = town(1317, &papers, "require", "");
    let caller = ring(&mut town, &papers, X5U);
    town.hang_up(caller);
    town.run_for(100 * MS);
    assert_eq!(refusal(&town, caller), None);
    assert!(
        town.parties[caller]
            .got
            .iter()
            .any(|text| text.starts_with("SIP/2.0 487")),
        "{:?}",
        town.parties[caller].got
    );
    fetched(&mut town, good(&papers, None));
    assert!(verdicts(&town, router).is_empty());
    let refused = town.routers[router].of("call.refused")[0].clone();
    assert_eq!(refused["data"]["rule"], "cancelled", "{refused}");
    let books = records(&town);
    assert_eq!(
        (books.len(), &books[0]["refused"]["rule"]),
        (1, &json!("cancelled"))
    );
    town.run_for(60 * SECOND);
    assert!(town.core.engine().is_empty());
}

#[test]
fn t13_the_limits_are_those_of_the_moment_when_the_wait_is_over() {
    let papers = Papers::new("limits");
    let (mut town, router) = town(1318, &papers, "verify", "calls = 1\ncalls_per_second = 10000");
    let first = ring(&mut town, &papers, X5U);
    let second = ring(&mut town, &papers, X5U);
    fetched(&mut town, good(&papers, None));
    assert_eq!(verdicts(&town, router), ["valid"]);
    assert_eq!((refusal(&town, first), refusal(&town, second)), (None, Some(503)));
    assert_eq!(town.routers[router].of("call.refused").len(), 1);
    assert_eq!(records(&town).len(), 1);
}

#[test]
fn t13_a_drain_refuses_who_waits() {
    let papers = Papers::new("drain");
    let (mut town, router) = town(1319, &papers, "verify", "");
    let caller = ring(&mut town, &papers, X5U);
    town.ask(router, "drain.start", json!({"deadline_ms": 60_000}));
    fetched(&mut town, good(&papers, None));
    assert_eq!(refusal(&town, caller), Some(503));
    assert!(verdicts(&town, router).is_empty());
}

#[test]
fn t13_a_call_for_help_neither_waits_for_a_certificate_nor_is_refused_for_want_of_one() {
    let papers = Papers::new("help");
    let keys = papers.fetching("require", &[HOST]);
    let mut town = Town::with(1320, |text| {
        let text = text.replacen(
            "name = \"agents\"\n",
            &format!("name = \"agents\"\nhome_country = \"JP\"\n{keys}\n"),
            1,
        );
        text.replacen(
            "name = \"carrier\"\n",
            "name = \"carrier\"\nhome_country = \"JP\"\nemergency = true\n",
            1,
        )
    });
    let router = town.router();
    let agent = town.agent(AGENT_HZ);
    town.call(agent, "+81312345679");
    town.run_for(50 * MS);
    assert_eq!(
        refusal(&town, agent),
        Some(428),
        "an ordinary call must be signed"
    );
    town.call(agent, "110");
    town.run_for(50 * MS);
    assert_eq!(verdicts(&town, router), ["absent"]);
    let other = town.agent(OTHER_HZ);
    let now_s = town.now().wall_us / 1_000_000;
    let from = town.parties[other].address.port();
    let identity = papers
        .signer(X5U)
        .identity(&statement(&format!("4930{from}"), "110", Attest::A), now_s);
    let name = "Identity".to_owned();
    town.call_with(
        other,
        "110",
        vec![ExtraHeader {
            name,
            value: identity,
        }],
    );
    town.run_for(50 * MS);
    assert_eq!(verdicts(&town, router).len(), 2, "at once");
    assert!(town.fetches.is_empty());
}
