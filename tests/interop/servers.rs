//! A domain of three servers with weights, found by DNS, of which one dies under load: flow T25.

use std::time::{Duration, Instant};

use house::wire::{Dns, Entry, Heard, Router, Running, Settings, Sipp, Site, until};
use serde_json::json;
use tokio::task::JoinSet;

use crate::script::quantile;

const NUMBER: &str = "+81398765432";
const HOSTS: [&str; 3] = ["127.0.0.14", "127.0.0.15", "127.0.0.16"];
const WEIGHTS: [u16; 3] = [50, 30, 20];
/// Calls of one run; more with `SERVERS_CALLS`, as for a soak.
const CALLS: usize = 400;
const CALLS_A_SECOND: u32 = 50;
const TTL_S: u32 = 1;
/// A silent server is found out by the next OPTIONS (10 s apart) that has had no answer for 32 s (RFC 3261 timer F);
/// so much again for a busy machine.
const FOUND_OUT_MAX: Duration = Duration::from_secs(84);

/// The zone of three servers of one priority.
fn zone(ports: &[u16]) -> Vec<(String, Entry)> {
    let mut zone = Vec::new();
    for (place, (host, weight)) in HOSTS.iter().zip(WEIGHTS).enumerate() {
        let name = format!("s{place}.carrier.test");
        let server = Entry::Server {
            priority: 10,
            weight,
            port: ports[place],
            host: name.clone(),
        };
        zone.push(("_sip._udp.carrier.test".to_owned(), server));
        zone.push((name, Entry::Address(host.parse().unwrap())));
    }
    zone
}

async fn open(name: &str, dns: &Dns) -> Site {
    let settings = Settings {
        calls: 5_000,
        carrier_hosts: HOSTS.map(str::to_owned).to_vec(),
        carrier_keys:
            "hosts = [\"carrier.test\"]\noptions_interval_s = 10\ntimer_b_ms = 1000\ncalls_per_second = 1000"
                .to_owned(),
        tables: format!("[dns]\nservers = [\"{}\"]\n", dns.address()),
        ..Settings::default()
    };
    Site::open(name, &settings).await
}

/// How one call went.
struct Went {
    is_up: bool,
    ms: f64,
}

/// Dials, and hangs up as soon as it is answered.
async fn one_call(router: Router) -> Went {
    let (from, asked) = (router.place(), Instant::now());
    let params = json!({ "to": NUMBER, "trunk": "carrier" });
    let dialled = router.call("leg.dial", params).await;
    let leg = dialled["leg"].as_str().unwrap();
    let is_over =
        |heard: &Heard| (heard.is("leg.answered") || heard.is("leg.ended")) && heard.text("leg") == leg;
    let heard = router.wait(from, "the answer", is_over).await;
    let went = Went {
        is_up: heard.is("leg.answered"),
        ms: asked.elapsed().as_secs_f64() * 1e3,
    };
    if went.is_up {
        router.call("leg.hangup", json!({ "leg": leg })).await;
    }
    went
}

/// So many calls at the rate of this file.
async fn calls(router: &Router, count: usize) -> Vec<Went> {
    let mut tick = tokio::time::interval(Duration::from_secs(1) / CALLS_A_SECOND);
    let mut running = JoinSet::new();
    for _ in 0..count {
        tick.tick().await;
        running.spawn(one_call(router.clone()));
    }
    running.join_all().await
}

/// None is lost; prints how long they took.
fn all_up(what: &str, went: &[Went]) {
    let mut times: Vec<f64> = went.iter().map(|one| one.ms).collect();
    times.sort_by(f64::total_cmp);
    let lost = went.iter().filter(|one| !one.is_up).count();
    println!(
        "{what}: {} calls, {lost} lost; dial to answer median {:.1} ms, p99 {:.1} ms, slowest {:.1} ms",
        went.len(),
        quantile(&times, 0.5),
        quantile(&times, 0.99),
        quantile(&times, 1.0),
    );
    assert_eq!(lost, 0, "{what}");
}

/// Which calls answered where, as the records say.
fn answered_at(router: &Router, from: usize, ports: &[u16]) -> Vec<usize> {
    let records: Vec<Heard> = router
        .heard()
        .into_iter()
        .skip(from)
        .filter(|heard| heard.is("call.record"))
        .collect();
    let of = |host: &str, port: &u16| {
        let peer = format!("{host}:{port};transport=udp");
        let is_its = |heard: &&Heard| {
            let attempts = heard.event["data"]["legs"][0]["attempts"].as_array().unwrap();
            attempts.last().is_some_and(|last| last["peer"] == peer.as_str())
        };
        records.iter().filter(is_its).count()
    };
    HOSTS
        .iter()
        .zip(ports)
        .map(|(host, port)| of(host, port))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t25_calls_follow_the_weights_and_none_is_lost_when_a_server_dies() {
    let count = std::env::var("SERVERS_CALLS").map_or(CALLS, |text| text.parse().expect("a number"));
    let servers = HOSTS.map(|host| {
        Sipp::new("callee_many", host)
            .calls(100_000, 1)
            .patience(Duration::from_secs(900))
    });
    let ports: Vec<u16> = servers.iter().map(Sipp::port).collect();
    let dns = Dns::serve("127.0.0.1", zone(&ports), TTL_S);
    let site = open("servers", &dns).await;
    let mut running: Vec<Running> = Vec::new();
    for server in servers {
        running.push(server.start(&site.folder).await);
    }
    let router = &site.router;
    let from = router.place();
    all_up("three servers", &calls(router, count).await);
    let has_all = || {
        let at = answered_at(router, from, &ports);
        (at.iter().sum::<usize>() == count).then_some(at)
    };
    let at = until("the records", Duration::from_secs(10), has_all).await;
    for (calls, weight) in at.iter().zip(WEIGHTS) {
        let (share, wanted) = (*calls as f64 / count as f64, f64::from(weight) / 100.0);
        // Four times the standard deviation of so many draws, and 5 % at most once that is less.
        let bound = 4.0 * (wanted * (1.0 - wanted) / count as f64).sqrt();
        println!("weight {weight}: {calls} calls, {:.1} %", share * 100.0);
        assert!((share - wanted).abs() <= bound.max(0.05), "{at:?}");
    }

    // The first one dies in the middle: its host says so by ICMP, and the next is tried at once.
    let dying = running.remove(0);
    let (went, first) = tokio::join!(calls(router, count / 2), async {
        tokio::time::sleep(Duration::from_secs(1) / CALLS_A_SECOND * (count / 4) as u32).await;
        dying.kill()
    });
    all_up("a server dies", &went);
    let took = first
        .messages()
        .iter()
        .filter(|(_, text)| text.starts_with("INVITE "))
        .count();
    assert!(took >= at[0], "SIPp counts {took}");

    // The second one is there and says nothing: timer B once a call, until OPTIONS have found it out.
    running[0].pause(true);
    let silent_at = Instant::now();
    all_up("a server is silent", &calls(router, count / 8).await);
    if count > CALLS {
        let silent = format!("{}:{};transport=udp", HOSTS[1], ports[1]);
        loop {
            let trunks = router.call("trunk.list", json!({})).await;
            let peers = trunks["trunks"][0]["peers"].as_array().unwrap().clone();
            if peers
                .iter()
                .any(|peer| peer["peer"] == silent.as_str() && peer["state"] == "down")
            {
                break;
            }
            all_up("until it is found out", &calls(router, 10).await);
        }
        let found_after = silent_at.elapsed();
        println!("found out by OPTIONS after {found_after:?}");
        assert!(found_after < FOUND_OUT_MAX, "{found_after:?}");
        let went = calls(router, count / 8).await;
        all_up("after it was found out", &went);
        assert!(went.iter().all(|one| one.ms < 500.0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t25_dns_may_be_away_at_the_start_and_when_an_answer_has_aged() {
    let servers = HOSTS.map(|host| Sipp::new("callee_many", host).calls(100_000, 1));
    let ports: Vec<u16> = servers.iter().map(Sipp::port).collect();
    let dns = Dns::serve("127.0.0.1", zone(&ports), TTL_S);
    dns.be_away(true);
    let site = open("dns away", &dns).await;
    let mut running: Vec<Running> = Vec::new();
    for server in servers {
        running.push(server.start(&site.folder).await);
    }
    let went = one_call(site.router.clone()).await;
    println!("without DNS: refused after {:.0} ms", went.ms);
    assert!(!went.is_up && went.ms < 10_000.0);
    assert!(dns.asked() > 0);

    dns.be_away(false);
    let back = Instant::now();
    while !one_call(site.router.clone()).await.is_up {
        assert!(
            back.elapsed() < Duration::from_secs(40),
            "DNS is back and nobody asks it"
        );
    }
    println!("DNS is back: a call is up after {:?}", back.elapsed());

    // Beyond the time to live, with DNS away: what was said last still serves.
    dns.be_away(true);
    tokio::time::sleep(Duration::from_secs(u64::from(TTL_S) * 4)).await;
    all_up("with an answer that has aged", &calls(&site.router, 10).await);

    // Another zone is followed once its time has come.
    dns.be_away(false);
    let only: Vec<(String, Entry)> = zone(&ports).into_iter().skip(2).collect();
    dns.change(only);
    let moved = Instant::now();
    let first_us = house::wire::now_us();
    let gone = format!("{}:{};transport=udp", HOSTS[0], ports[0]);
    loop {
        let trunks = site.router.call("trunk.list", json!({})).await;
        let peers = trunks["trunks"][0]["peers"].as_array().unwrap().clone();
        if !peers.is_empty() && peers.iter().all(|peer| peer["peer"] != gone.as_str()) {
            break;
        }
        assert!(
            moved.elapsed() < Duration::from_secs(40),
            "since {first_us}: {peers:?}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    println!(
        "a server that left the zone is left alone after {:?}",
        moved.elapsed()
    );
    all_up("with the other zone", &calls(&site.router, 10).await);
}
