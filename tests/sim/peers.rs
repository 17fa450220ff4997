//! Peers that refuse, die, come back and move: who is tried next, and what is told of it.

use std::time::Duration;

use gateway::engine::io::Input;
use house::sim::{Answer, PartyEvent, Town};
use serde_json::{Value, json};
use sip::transport::name_cache::Answer as DnsAnswer;
use sip::transport::target::{Question, QuestionKind, Record};

const MS: Duration = Duration::from_millis(1);
const S: Duration = Duration::from_secs(1);
const NUMBER: &str = "+493055500100";

const HOSTS: &str = "hosts = [\"10.0.1.1:5060\"]\noptions_interval_s = 0\n";

/// A town whose carrier has two peers, the second for when the first fails.
fn two_peers(seed: u64, keys: &str) -> (Town, usize, [usize; 2]) {
    let keys = keys.to_owned();
    let mut town = Town::with(seed, move |text| {
        let hosts = "hosts = [\"10.0.1.1:5060;priority=1\", \"10.0.1.2:5060;priority=2\"]\n";
        text.replacen(HOSTS, &format!("{hosts}{keys}"), 1)
    });
    let router = town.router();
    let first = town.party("first", "10.0.1.1:5060", 440.0);
    let second = town.party("second", "10.0.1.2:5060", 500.0);
    (town, router, [first, second])
}

fn dial(town: &mut Town, router: usize) -> String {
    let result = town.ask(router, "leg.dial", json!({"to": NUMBER, "trunk": "carrier"}));
    result["leg"].as_str().unwrap().to_owned()
}

fn invited(town: &Town, party: usize) -> usize {
    let events = town.parties[party].events.iter();
    events.filter(|(_, event)| *event == PartyEvent::Invited).count()
}

fn ended(town: &Town, router: usize, leg: &str) -> Value {
    let ended = town.routers[router].last_of("leg.ended", leg);
    ended.unwrap_or_else(|| panic!("{leg} has not ended"))["data"].clone()
}

fn attempts(town: &Town) -> Vec<(String, Value, Value)> {
    let attempts = town.records.last().unwrap()["legs"][0]["attempts"]
        .as_array()
        .unwrap();
    let attempts = attempts.iter().map(|attempt| {
        let peer = attempt["peer"].as_str().unwrap().to_owned();
        (peer, attempt["status"].clone(), attempt["q850"].clone())
    });
    attempts.collect()
}

#[test]
fn each_final_answer_has_its_cause_its_reason_and_its_next_peer() {
    // Status, Q.850 cause, reason, whether the next peer is tried: RFC 3398 §8.2.6.1 and the defaults.
    let table = [
        (302, 23, "failed", false),
        (400, 41, "failed", false),
        (401, 21, "not_allowed", false),
        (402, 21, "not_allowed", false),
        (403, 21, "not_allowed", false),
        (404, 1, "not_found", false),
        (405, 63, "failed", false),
        (406, 79, "failed", false),
        (407, 21, "not_allowed", false),
        (408, 102, "unreachable", true),
        (410, 22, "not_found", false),
        (413, 127, "failed", false),
        (415, 79, "failed", false),
        (420, 127, "failed", false),
        (480, 18, "no_answer", false),
        (481, 41, "failed", false),
        (482, 25, "failed", false),
        (483, 25, "failed", false),
        (484, 28, "not_found", false),
        (485, 1, "not_found", false),
        (486, 17, "busy", false),
        (488, 65, "failed", false),
        (500, 41, "failed", true),
        (501, 79, "failed", false),
        (502, 38, "unreachable", true),
        (503, 41, "unreachable", true),
        (504, 102, "unreachable", true),
        (513, 127, "failed", false),
        (600, 17, "busy", false),
        (603, 21, "rejected", false),
        (604, 1, "not_found", false),
        (606, 65, "failed", false),
        (607, 21, "rejected", false),
        (608, 21, "rejected", false),
    ];
    for (status, q850, reason, goes_on) in table {
        let (mut town, router, [first, second]) = two_peers(u64::from(status), "options_interval_s = 0\n");
        town.parties[first].answer = Answer::Refuse(status);
        town.parties[second].answer = Answer::Refuse(status);
        let leg = dial(&mut town, router);
        town.run_for(10 * S);
        let end = ended(&town, router, &leg);
        assert_eq!(
            (&end["sip"], &end["q850"], &end["reason"]),
            (&json!(status), &json!(q850), &json!(reason)),
            "{status}"
        );
        let tried = 1 + usize::from(goes_on);
        assert_eq!(
            (invited(&town, first), invited(&town, second)),
            (1, tried - 1),
            "{status}"
        );
        let attempts = attempts(&town);
        assert_eq!(attempts.len(), tried, "{status}");
        assert!(
            attempts
                .iter()
                .all(|(_, of, cause)| (of, cause) == (&json!(status), &json!(q850)))
        );
    }
}

#[test]
fn what_the_trunk_may_set_to_go_on_goes_on() {
    for status in [403, 480, 488] {
        let keys = "options_interval_s = 0\nroute_on = [403, 480, 488]\n";
        let (mut town, router, [first, second]) = two_peers(u64::from(status) + 1000, keys);
        town.parties[first].answer = Answer::Refuse(status);
        dial(&mut town, router);
        town.run_for(2 * S);
        assert_eq!(
            (invited(&town, first), invited(&town, second)),
            (1, 1),
            "{status}"
        );
    }
}

#[test]
fn a_180_ends_routing_on_and_a_183_does_not() {
    for (provisional, tried) in [(180, 0), (183, 1)] {
        let (mut town, router, [first, second]) =
            two_peers(u64::from(provisional) + 2000, "options_interval_s = 0\n");
        town.parties[first].answer = Answer::RefuseAfter(provisional, 500);
        let leg = dial(&mut town, router);
        town.run_for(2 * S);
        assert_eq!(invited(&town, second), tried, "{provisional}");
        let is_up = town.routers[router].last_of("leg.answered", &leg).is_some();
        assert_eq!(is_up, provisional == 183);
    }
}

#[test]
fn attempts_share_call_id_and_from_tag_but_not_the_branch() {
    let (mut town, router, [first, second]) = two_peers(31, "options_interval_s = 0\n");
    town.parties[first].answer = Answer::Refuse(503);
    dial(&mut town, router);
    town.run_for(S);
    let line = |party: usize, name: &str| {
        let invite = town.parties[party]
            .got
            .iter()
            .find(|text| text.starts_with("INVITE "))
            .unwrap();
        invite
            .lines()
            .find(|line| line.starts_with(name))
            .unwrap()
            .to_owned()
    };
    assert_eq!(line(first, "Call-ID:"), line(second, "Call-ID:"));
    assert_eq!(line(first, "From:"), line(second, "From:"));
    assert_ne!(line(first, "Via:"), line(second, "Via:"));
}

#[test]
fn a_peer_that_asks_for_a_pause_is_left_alone_for_it_and_the_call_goes_on() {
    let (mut town, router, [first, second]) = two_peers(32, "options_interval_s = 0\n");
    town.parties[first].answer = Answer::RefuseFor(503, 10);
    dial(&mut town, router);
    town.run_for(S);
    assert_eq!((invited(&town, first), invited(&town, second)), (1, 1));
    let trunk = town.ask(router, "trunk.list", json!({}))["trunks"][0].clone();
    assert_eq!(trunk["peers"][0]["state"], "resting", "{trunk}");
    town.run_for(8500 * MS);
    dial(&mut town, router);
    town.run_for(MS * 100);
    assert_eq!(invited(&town, first), 1, "9.5 s after the refusal");
    town.run_for(S);
    dial(&mut town, router);
    town.run_for(MS * 100);
    assert_eq!(invited(&town, first), 2, "10.5 s after the refusal");
}

#[test]
fn a_503_without_a_pause_concerns_one_call() {
    let (mut town, router, [first, _]) = two_peers(33, "options_interval_s = 0\n");
    town.parties[first].answer = Answer::Refuse(503);
    for _ in 0..3 {
        dial(&mut town, router);
        town.run_for(S);
    }
    assert_eq!(invited(&town, first), 3);
}

#[test]
fn a_dead_peer_costs_timer_b_once_and_all_dead_is_unreachable() {
    let keys = "options_interval_s = 0\ntimer_b_ms = 4000\n";
    let (mut town, router, [first, second]) = two_peers(34, keys);
    town.parties[first].dead = true;
    let leg = dial(&mut town, router);
    town.run_for(3900 * MS);
    assert_eq!(invited(&town, second), 0);
    town.run_for(500 * MS);
    assert!(town.routers[router].last_of("leg.answered", &leg).is_some());

    town.parties[second].dead = true;
    let leg = dial(&mut town, router);
    town.run_for(9 * S);
    let end = ended(&town, router, &leg);
    assert_eq!(
        (&end["reason"], &end["q850"]),
        (&json!("unreachable"), &json!(102))
    );
}

#[test]
fn options_find_the_dead_and_the_returned_and_calls_follow() {
    let (mut town, router, [first, second]) = two_peers(35, "options_interval_s = 30\n");
    town.run_for(5 * S);
    town.parties[first].dead = true;
    // Three misses, each seen 5 s after an OPTIONS, one every 27 to 33 s.
    town.run_for(110 * S);
    let trunk = town.ask(router, "trunk.list", json!({}))["trunks"][0].clone();
    assert_eq!(
        (&trunk["state"], &trunk["peers"][0]["state"]),
        (&json!("up"), &json!("down")),
        "{trunk}"
    );
    assert_eq!(
        (&trunk["peers"][0]["why"], &trunk["peers"][1]["state"]),
        (&json!("no_answer"), &json!("up"))
    );
    assert_eq!(trunk["last_failure"]["peer"], "10.0.1.1:5060;transport=udp");
    let leg = dial(&mut town, router);
    town.run_for(S);
    assert!(town.routers[router].last_of("leg.answered", &leg).is_some());
    assert_eq!(town.routers[router].of("trunk.down").len(), 0);

    town.parties[second].dead = true;
    town.run_for(110 * S);
    let down = town.routers[router].of("trunk.down");
    assert_eq!(down.len(), 1);
    assert_eq!(down[0]["data"], json!({"trunk": "carrier", "why": "no_answer"}));
    let refused = town.refused(router, "leg.dial", json!({"to": NUMBER, "trunk": "carrier"}));
    assert_eq!(refused, "trunk_down");
    let now = town.now();
    let gauges = town.core.engine().gauges(now);
    assert_eq!(
        (gauges.trunks[0].is_up, gauges.trunks[0].peers),
        (false, [0, 2, 0])
    );

    town.parties[first].dead = false;
    town.run_for(35 * S);
    assert_eq!(
        town.routers[router].of("trunk.up").len(),
        0,
        "one answer is not enough"
    );
    town.run_for(35 * S);
    assert_eq!(town.routers[router].of("trunk.up").len(), 1);
    let leg = dial(&mut town, router);
    town.run_for(S);
    assert!(town.routers[router].last_of("leg.answered", &leg).is_some());
}

#[test]
fn a_trunk_without_checks_sends_no_options() {
    let (mut town, _, [first, _]) = two_peers(36, "options_interval_s = 0\n");
    town.run_for(120 * S);
    assert!(town.parties[first].got.is_empty());
}

#[test]
fn attempts_are_counted_over_the_fallbacks_and_a_487_nobody_asked_for_is_a_failure() {
    let mut town = Town::with(38, |text| {
        let spare = "[[trunk]]\nname = \"spare\"\nhosts = [\"10.0.3.1:5060\"]\noptions_interval_s = 0\n\
            allow = [\"10.0.3.0/24\"]\nmedia_allow = [\"10.0.0.0/8\"]\ncaller_ids = [\"+493012349999\"]\n";
        let first = format!("{HOSTS}fallback = [\"spare\"]\nattempts_max = 1\n");
        text.replacen(HOSTS, &first, 1)
            .replacen("[[number]]", &format!("{spare}[[number]]"), 1)
    });
    let router = town.router();
    let first = town.party("first", "10.0.1.1:5060", 440.0);
    town.party("spare", "10.0.3.1:5060", 500.0);
    for (status, reason, q850) in [(503, "unreachable", 41), (487, "failed", 127)] {
        town.parties[first].answer = Answer::Refuse(status);
        let leg = dial(&mut town, router);
        town.run_for(S);
        let ended = ended(&town, router, &leg);
        assert_eq!((&ended["reason"], &ended["q850"]), (&json!(reason), &json!(q850)));
    }
    let peers: Vec<String> = attempts(&town).into_iter().map(|(peer, _, _)| peer).collect();
    assert_eq!(peers, ["10.0.1.1:5060;transport=udp"]);
}

#[test]
fn a_fallback_trunk_takes_over_with_its_own_caller_id() {
    let mut town = Town::with(37, |text| {
        let spare = "[[trunk]]\nname = \"spare\"\nhosts = [\"10.0.3.1:5060\"]\noptions_interval_s = 0\n\
            allow = [\"10.0.3.0/24\"]\nmedia_allow = [\"10.0.0.0/8\"]\ncaller_ids = [\"+493012349999\"]\n";
        text.replacen(HOSTS, &format!("{HOSTS}fallback = [\"spare\"]\n"), 1)
            .replacen("[[number]]", &format!("{spare}[[number]]"), 1)
    });
    let router = town.router();
    let first = town.party("first", "10.0.1.1:5060", 440.0);
    let spare = town.party("spare", "10.0.3.1:5060", 500.0);
    town.parties[first].answer = Answer::Refuse(503);
    let leg = dial(&mut town, router);
    town.run_for(S);
    assert!(town.routers[router].last_of("leg.answered", &leg).is_some());
    let invite = town.parties[spare]
        .got
        .iter()
        .find(|text| text.starts_with("INVITE "))
        .unwrap();
    assert!(
        invite.contains("+493012349999") && !invite.contains("+493012345678"),
        "{invite}"
    );
    town.ask(router, "leg.hangup", json!({"leg": leg}));
    town.run_for(40 * S);
    let peers: Vec<String> = attempts(&town).into_iter().map(|(peer, _, _)| peer).collect();
    assert_eq!(
        peers,
        ["10.0.1.1:5060;transport=udp", "10.0.3.1:5060;transport=udp"]
    );
    let trunks = town.ask(router, "trunk.list", json!({}))["trunks"].clone();
    let fared = |index: usize| {
        let quality = &trunks[index]["quality"];
        (quality["seizures"].clone(), quality["answered"].clone())
    };
    assert_eq!((fared(0), fared(2)), ((json!(1), json!(0)), (json!(1), json!(1))));
    assert_eq!(town.records[0]["legs"][0]["trunk"], "spare");
    assert!(town.core.engine().is_empty());

    // A caller id that the spare trunk may not show stays with the first.
    let dial = json!({"to": NUMBER, "trunk": "carrier", "caller_id": {"number": "+493012345678"}});
    let leg = town.ask(router, "leg.dial", dial)["leg"]
        .as_str()
        .unwrap()
        .to_owned();
    town.run_for(S);
    assert_eq!(ended(&town, router, &leg)["reason"], "unreachable");
    assert_eq!(invited(&town, spare), 1);
}

#[test]
fn quality_counts_seizures_answers_and_what_the_called_decided() {
    let (mut town, router, [first, _]) = two_peers(38, "options_interval_s = 0\n");
    for answer in [
        Answer::After(100 * MS),
        Answer::Refuse(486),
        Answer::Refuse(404),
        Answer::Refuse(603),
    ] {
        town.parties[first].answer = answer;
        let leg = dial(&mut town, router);
        town.run_for(2 * S);
        if town.routers[router].last_of("leg.answered", &leg).is_some() {
            town.ask(router, "leg.hangup", json!({"leg": leg}));
        }
        town.run_for(40 * S);
    }
    let trunk = town.ask(router, "trunk.list", json!({}))["trunks"][0].clone();
    let quality = &trunk["quality"];
    assert_eq!(
        (&quality["seizures"], &quality["answered"]),
        (&json!(4), &json!(1))
    );
    assert_eq!((&quality["asr"], &quality["ner"]), (&json!(0.25), &json!(0.75)));
    assert_eq!(quality["codecs"], json!({"PCMU": 1.0}));
    assert_eq!(trunk["last_failure"]["sip"], 603);
}

/// A town whose carrier is a domain.
fn by_domain(seed: u64) -> (Town, usize, usize) {
    let mut town = Town::with(seed, |text| {
        text.replacen(
            HOSTS,
            "hosts = [\"carrier.example\"]\noptions_interval_s = 0\n",
            1,
        )
    });
    let router = town.router();
    let peer = town.party("first", "10.0.1.1:5060", 440.0);
    town.run_for(MS);
    (town, router, peer)
}

/// Answers what was asked, and what is asked then, from a zone of one server at these addresses.
fn answer(town: &mut Town, addresses: &[&str], ttl: Duration) {
    for _ in 0..10 {
        for question in std::mem::take(&mut town.lookups) {
            let records = match (question.kind, question.name.as_str()) {
                (QuestionKind::Srv, "_sip._udp.carrier.example") => vec![Record::Srv {
                    priority: 1,
                    weight: 1,
                    port: 5060,
                    host: "a.carrier.example".into(),
                }],
                (QuestionKind::A, "a.carrier.example") => addresses
                    .iter()
                    .map(|text| Record::Address(text.parse().unwrap()))
                    .collect(),
                _ => vec![],
            };
            let answer = DnsAnswer::Known { records, ttl };
            town.input(Input::LookedUp { question, answer });
        }
    }
}

#[test]
fn a_domain_is_located_ahead_and_a_dial_does_not_wait() {
    let (mut town, router, peer) = by_domain(40);
    assert_eq!(
        town.lookups,
        [Question {
            name: "carrier.example".into(),
            kind: QuestionKind::Naptr
        }]
    );
    answer(&mut town, &["10.0.1.1"], 60 * S);
    dial(&mut town, router);
    town.run_for(50 * MS);
    assert_eq!(invited(&town, peer), 1);
    town.run_for(60 * S);
    assert!(!town.lookups.is_empty(), "asked again before the end");
}

#[test]
fn a_dial_waits_for_dns_a_little_and_then_is_unreachable() {
    let (mut town, router, peer) = by_domain(41);
    dial(&mut town, router);
    town.run_for(2 * S);
    assert_eq!(invited(&town, peer), 0);
    answer(&mut town, &["10.0.1.1"], 60 * S);
    town.run_for(50 * MS);
    assert_eq!(invited(&town, peer), 1);

    let (mut town, router, _) = by_domain(42);
    let leg = dial(&mut town, router);
    town.run_for(6 * S);
    let end = ended(&town, router, &leg);
    assert_eq!(
        (&end["reason"], &end["q850"]),
        (&json!("unreachable"), &json!(41))
    );
    assert_eq!(
        attempts(&town),
        [("carrier.example".to_owned(), json!(null), json!(41))]
    );
}

#[test]
fn a_stale_answer_serves_while_dns_is_away() {
    let (mut town, router, peer) = by_domain(43);
    answer(&mut town, &["10.0.1.1"], S);
    for _ in 0..10 {
        town.run_for(5 * S);
        for question in std::mem::take(&mut town.lookups) {
            let answer = DnsAnswer::Failed;
            town.input(Input::LookedUp { question, answer });
        }
    }
    dial(&mut town, router);
    town.run_for(50 * MS);
    assert_eq!(invited(&town, peer), 1);
}

#[test]
fn an_answer_outside_the_trunks_networks_is_skipped_and_counted() {
    let (mut town, router, peer) = by_domain(44);
    answer(&mut town, &["203.0.113.9", "10.0.0.1", "10.0.1.1"], 60 * S);
    dial(&mut town, router);
    town.run_for(50 * MS);
    assert_eq!(invited(&town, peer), 1);
    let drops = town.core.engine().metrics().sip_drops();
    assert!(
        drops.get("dns_outside_allow").is_some_and(|count| *count >= 2),
        "{drops:?}"
    );

    let (mut town, router, _) = by_domain(45);
    answer(&mut town, &["203.0.113.9"], 60 * S);
    let refused = town.refused(router, "leg.dial", json!({"to": NUMBER, "trunk": "carrier"}));
    assert_eq!(refused, "trunk_down");
}
