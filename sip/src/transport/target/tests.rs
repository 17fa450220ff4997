use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::rng::Rng;

const OURS: [Carriage; 2] = [Carriage::Udp, Carriage::Tcp];

#[derive(Default)]
struct Zone(BTreeMap<Question, Vec<Record>>);

impl Zone {
    fn with(mut self, name: &str, kind: QuestionKind, records: Vec<Record>) -> Self {
        self.0.insert(question(name, kind), records);
        self
    }

    fn a(self, name: &str, addresses: &[&str]) -> Self {
        let records = addresses
            .iter()
            .map(|text| Record::Address(text.parse().unwrap()));
        self.with(name, QuestionKind::A, records.collect())
            .with(name, QuestionKind::Aaaa, vec![])
    }

    fn locate(&self, site: &Site) -> Located {
        locate(site, &OURS, |question| self.0.get(question).map(Vec::as_slice))
    }
}

fn question(name: &str, kind: QuestionKind) -> Question {
    Question {
        name: name.to_owned(),
        kind,
    }
}

fn site(host: &str, port: Option<u16>, carriage: Option<Carriage>) -> Site {
    Site {
        host: host.to_owned(),
        port,
        carriage,
    }
}

fn srv(priority: u16, weight: u16, port: u16, host: &str) -> Record {
    Record::Srv {
        priority,
        weight,
        port,
        host: host.to_owned(),
    }
}

fn naptr(order: u16, preference: u16, service: &str, replacement: &str) -> Record {
    Record::Naptr {
        order,
        preference,
        flags: "s".to_owned(),
        service: service.to_owned(),
        replacement: replacement.to_owned(),
    }
}

fn texts(targets: &[Target]) -> Vec<String> {
    targets
        .iter()
        .map(|target| format!("{:?} {}", target.carriage, target.addr))
        .collect()
}

fn ordered(located: Located) -> Vec<String> {
    let mut rng = Rng::new([5; 32]);
    texts(&order(located.candidates, &mut |n| rng.below(n)))
}

#[test]
fn an_address_needs_no_dns() {
    let nothing = Zone::default();
    for (host, port, carriage, expected) in [
        ("192.0.2.1", None, None, "Udp 192.0.2.1:5060"),
        ("192.0.2.1", Some(5070), Some(Carriage::Tcp), "Tcp 192.0.2.1:5070"),
        ("192.0.2.1", None, Some(Carriage::Tls), "Tls 192.0.2.1:5061"),
        ("2001:db8::1", None, None, "Udp [2001:db8::1]:5060"),
        ("::ffff:192.0.2.1", None, None, "Udp 192.0.2.1:5060"),
    ] {
        let located = nothing.locate(&site(host, port, carriage));
        assert!(located.asked.is_empty(), "{host}");
        assert_eq!(ordered(located), [expected]);
    }
}

#[test]
fn with_a_port_only_addresses_are_asked_for() {
    let zone = Zone::default().a("sip.example", &["192.0.2.1", "192.0.2.2"]);
    let located = zone.locate(&site("sip.example", Some(5080), None));
    let asked = [QuestionKind::A, QuestionKind::Aaaa].map(|kind| question("sip.example", kind));
    assert_eq!(located.asked, asked);
    assert_eq!(ordered(located), ["Udp 192.0.2.1:5080", "Udp 192.0.2.2:5080"]);
}

#[test]
fn naptr_orders_the_services_and_what_we_do_not_speak_is_skipped() {
    let zone = Zone::default()
        .with(
            "example.com",
            QuestionKind::Naptr,
            vec![
                naptr(50, 50, "SIPS+D2T", "_sips._tcp.example.com"),
                naptr(90, 60, "SIP+D2U", "_sip._udp.example.com"),
                naptr(90, 50, "sip+d2t", "_sip._tcp.example.com"),
                naptr(10, 10, "E2U+sip", "nonsense.example.com"),
            ],
        )
        .with(
            "_sip._tcp.example.com",
            QuestionKind::Srv,
            vec![srv(10, 1, 5060, "a.example.com")],
        )
        .with(
            "_sip._udp.example.com",
            QuestionKind::Srv,
            vec![srv(1, 1, 5062, "a.example.com")],
        )
        .a("a.example.com", &["192.0.2.7"]);
    let located = zone.locate(&site("example.com", None, None));
    assert_eq!(located.missing, []);
    assert_eq!(ordered(located), ["Tcp 192.0.2.7:5060", "Udp 192.0.2.7:5062"]);
}

#[test]
fn without_naptr_srv_of_our_transports_and_without_srv_addresses() {
    let nothing = |zone: Zone, name: &str, kind| zone.with(name, kind, vec![]);
    let zone = nothing(Zone::default(), "example.com", QuestionKind::Naptr);
    let zone = zone.with(
        "_sip._udp.example.com",
        QuestionKind::Srv,
        vec![srv(0, 0, 5066, "b.example.com")],
    );
    let zone = nothing(zone, "_sip._tcp.example.com", QuestionKind::Srv).a("b.example.com", &["192.0.2.9"]);
    assert_eq!(
        ordered(zone.locate(&site("example.com", None, None))),
        ["Udp 192.0.2.9:5066"]
    );

    let zone = nothing(zone, "_sip._udp.example.com", QuestionKind::Srv).a("example.com", &["192.0.2.3"]);
    assert_eq!(
        ordered(zone.locate(&site("example.com", None, None))),
        ["Udp 192.0.2.3:5060"]
    );
}

#[test]
fn a_written_transport_skips_naptr() {
    let zone = Zone::default()
        .with(
            "_sip._tcp.example.com",
            QuestionKind::Srv,
            vec![srv(0, 0, 5060, "c.example.com")],
        )
        .a("c.example.com", &["192.0.2.4"]);
    let located = zone.locate(&site("example.com", None, Some(Carriage::Tcp)));
    assert!(
        located
            .asked
            .iter()
            .all(|question| question.kind != QuestionKind::Naptr)
    );
    assert_eq!(ordered(located), ["Tcp 192.0.2.4:5060"]);
}

#[test]
fn what_is_not_known_yet_is_named_step_by_step() {
    let wanted = site("example.com", None, None);
    let mut zone = Zone::default();
    assert_eq!(
        zone.locate(&wanted).missing,
        [question("example.com", QuestionKind::Naptr)]
    );
    zone = zone.with("example.com", QuestionKind::Naptr, vec![]);
    let missing = zone.locate(&wanted).missing;
    let services = ["_sip._udp.example.com", "_sip._tcp.example.com"];
    assert_eq!(missing, services.map(|name| question(name, QuestionKind::Srv)));
    zone = zone.with(
        services[0],
        QuestionKind::Srv,
        vec![srv(0, 0, 5060, "d.example.com")],
    );
    zone = zone.with(services[1], QuestionKind::Srv, vec![]);
    let missing = zone.locate(&wanted).missing;
    assert_eq!(
        missing,
        [QuestionKind::A, QuestionKind::Aaaa].map(|kind| question("d.example.com", kind))
    );
}

#[test]
fn a_server_named_dot_says_there_is_none() {
    let zone = Zone::default()
        .with("example.com", QuestionKind::Naptr, vec![])
        .with(
            "_sip._udp.example.com",
            QuestionKind::Srv,
            vec![srv(0, 0, 5060, "")],
        )
        .with("_sip._tcp.example.com", QuestionKind::Srv, vec![])
        .a("example.com", &["192.0.2.3"]);
    assert_eq!(
        zone.locate(&site("example.com", None, None)),
        Located {
            asked: zone.locate(&site("example.com", None, None)).asked,
            ..Located::default()
        }
    );
}

#[test]
fn an_endless_answer_is_cut() {
    let many: Vec<String> = (0..200).map(|last| format!("192.0.2.{last}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let zone = Zone::default().a("example.com", &many);
    let located = zone.locate(&site("example.com", Some(5060), None));
    assert_eq!(ordered(located).len(), TARGETS_MAX);
}

#[test]
fn a_thousand_servers_end_at_the_limit_too() {
    let servers = (0..1000)
        .map(|number| srv(0, 1, 5000 + number, "e.example.com"))
        .collect();
    let zone = Zone::default()
        .with("_sip._udp.example.com", QuestionKind::Srv, servers)
        .a("e.example.com", &["192.0.2.1"]);
    let located = zone.locate(&site("example.com", None, Some(Carriage::Udp)));
    assert_eq!(ordered(located).len(), TARGETS_MAX);
}

#[test]
fn weights_are_met_within_five_percent_of_2000_draws() {
    for weights in [vec![1, 1], vec![60, 30, 10], vec![1, 3], vec![5, 5, 5, 5]] {
        let mut rng = Rng::new([9; 32]);
        let mut first = vec![0; weights.len()];
        for _ in 0..2000 {
            let items = weights
                .iter()
                .enumerate()
                .map(|(index, weight)| ((), *weight, index));
            let drawn = draw(items.collect(), &mut |n| rng.below(n));
            first[drawn[0]] += 1;
        }
        let sum: u32 = weights.iter().map(|weight| u32::from(*weight)).sum();
        for (index, weight) in weights.iter().enumerate() {
            let share = f64::from(*weight) / f64::from(sum);
            let had = f64::from(first[index]) / 2000.0;
            assert!(
                (share - had).abs() <= 0.05,
                "{weights:?}: {had} instead of {share}"
            );
        }
    }
}

#[test]
fn a_weight_of_nothing_comes_last() {
    let mut rng = Rng::new([1; 32]);
    for _ in 0..200 {
        let drawn = draw(vec![((), 0, "spare"), ((), 1, "used")], &mut |n| rng.below(n));
        assert_eq!(drawn, ["used", "spare"]);
    }
}

proptest! {
    #[test]
    fn every_order_respects_priority_and_loses_nobody(
        servers in proptest::collection::vec((0u16..4, 0u16..4), 0..12),
        seed in any::<[u8; 32]>(),
    ) {
        let mut rng = Rng::new(seed);
        let items = servers.iter().enumerate().map(|(index, (priority, weight))| (*priority, *weight, index));
        let drawn = draw(items.collect(), &mut |n| rng.below(n));
        let priorities: Vec<u16> = drawn.iter().map(|index| servers[*index].0).collect();
        prop_assert!(priorities.is_sorted());
        let mut all = drawn;
        all.sort_unstable();
        prop_assert_eq!(all, (0..servers.len()).collect::<Vec<_>>());
    }
}
