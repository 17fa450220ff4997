//! Signed callers who would have us fetch what, how often and from where they like: B28.

use std::time::Duration;

use gateway::engine::io::{FetchFailure, FetchedChain, Input};
use gateway::observe::metrics::Gauges;
use gateway::stir::{Attest, Chain, Signer};
use house::papers::{Papers, statement};

use crate::rig::*;

const HOST: &str = "cert.example.org";
/// As `gateway::engine::callers::certificates` and `gateway::engine::calls::waiting` have them, written again.
const CERTIFICATES_MAX: usize = 1_024;
const FETCHES_MAX: usize = 16;
const WAITING_MAX: usize = 1_000;

fn url(path: impl std::fmt::Display) -> String {
    format!("https://{HOST}/{path}")
}

/// An INVITE that is signed with this, at the rig's time.
fn signed(rig: &Rig, signer: &Signer, branch: &str) -> String {
    let identity = signer.identity(&statement("4930987654", "4930123456", Attest::A), wall_s(rig));
    invite(CARRIER, branch, &format!("Identity: {identity}\r\n"), SDP)
}

fn wall_s(rig: &Rig) -> i64 {
    rig.clock().wall_us / 1_000_000
}

fn gauges(rig: &Rig) -> Gauges {
    rig.core.engine().gauges(rig.clock())
}

fn verdicts(rig: &Rig) -> Vec<String> {
    let calls = rig.of("leg.incoming");
    let told = calls
        .iter()
        .map(|event| event["data"]["stir"]["verdict"].as_str().unwrap().to_owned());
    told.collect()
}

fn cut(rig: &Rig, limit: &str) -> u64 {
    let limits = rig.core.engine().metrics().stir_limits();
    limits.get(limit).copied().unwrap_or(0)
}

/// All that was asked for fails.
fn fail_all(rig: &mut Rig) {
    for url in std::mem::take(&mut rig.fetches) {
        let result = Err(FetchFailure::Status(404));
        rig.handle(Input::Fetched { url, result });
    }
}

#[test]
fn b28_only_https_of_a_listed_host_is_ever_asked_for() {
    let papers = Papers::new("b28-urls");
    let long = format!("https://{HOST}/{}", "a".repeat(512));
    let urls = [
        "https://127.0.0.1/10GB.pem",
        "https://127.0.0.1:443/",
        "https://localhost/",
        "https://[::1]/",
        "https://169.254.169.254/latest/meta-data/",
        "http://cert.example.org/p.pem",
        "file:///etc/passwd",
        "gopher://cert.example.org/",
        "https://cert.example.org:22/p.pem",
        "https://cert.example.org@127.0.0.1/",
        "https://127.0.0.1#@cert.example.org/",
        "https://cert.example.org.evil.example/",
        "https://a.cert.example.org/p.pem",
        "https://evil.example/?https://cert.example.org/",
        "",
        &long,
    ];
    for (word, expected) in [("verify", 100), ("require", 436)] {
        let mut rig = Rig::with(&papers.fetching(word, &[HOST]), "");
        for (number, url) in urls.iter().enumerate() {
            let text = signed(&rig, &papers.signer(url), &format!("u{number}"));
            let came = rig.udp(CARRIER, text);
            assert_eq!(status(&came), Some(expected), "{word} {url}: {came:?}");
        }
        assert!(rig.fetches.is_empty(), "{:?}", rig.fetches);
        let told = verdicts(&rig);
        assert!(told.iter().all(|verdict| verdict == "url_not_listed"), "{told:?}");
        assert_eq!(told.len(), if word == "verify" { urls.len() } else { 0 });
        rig.run_for(Duration::from_secs(100));
        assert!(rig.is_at_rest());
    }
}

/// What is stale, forged in its claims or about another call makes nobody fetch anything.
#[test]
fn b28_a_token_that_cannot_hold_is_not_fetched_for() {
    let papers = Papers::new("b28-vain");
    let mut rig = Rig::with(&papers.fetching("verify", &[HOST]), "");
    let signer = papers.signer(&url("p.pem"));
    let (now_s, ours) = (wall_s(&rig), ("4930987654", "4930123456"));
    for (number, (orig, dest, at_s, verdict)) in [
        (ours.0, ours.1, now_s - 120, "stale"),
        (ours.0, ours.1, now_s + 120, "stale"),
        ("4930999999", ours.1, now_s, "mismatch"),
        (ours.0, "4930999999", now_s, "mismatch"),
    ]
    .into_iter()
    .enumerate()
    {
        let identity = signer.identity(&statement(orig, dest, Attest::A), at_s);
        let headers = format!("Identity: {identity}\r\n");
        rig.udp(CARRIER, invite(CARRIER, &format!("v{number}"), &headers, SDP));
        assert_eq!(verdicts(&rig)[number], verdict);
    }
    assert!(rig.fetches.is_empty());
}

#[test]
fn b28_fetches_and_what_is_remembered_are_bounded() {
    let papers = Papers::new("b28-many");
    let mut rig = Rig::with(&papers.fetching("verify", &[HOST]), "");
    let good = papers.signer(&url("p.pem"));
    let text = signed(&rig, &good, "good");
    rig.udp(CARRIER, text);
    let chain = Chain::read(papers.certificate.as_bytes()).unwrap();
    let result = Ok(FetchedChain { chain, max_age: None });
    let asked = rig.fetches.remove(0);
    rig.handle(Input::Fetched { url: asked, result });
    assert_eq!(verdicts(&rig), ["valid"]);

    for number in 0..=FETCHES_MAX {
        let text = signed(&rig, &papers.signer(&url(number)), &format!("f{number}"));
        rig.udp(CARRIER, text);
    }
    assert_eq!(rig.fetches.len(), FETCHES_MAX);
    assert_eq!(cut(&rig, "fetches"), 1);
    assert_eq!(
        verdicts(&rig)[1..],
        ["certificate_unreachable"],
        "judged without it"
    );
    fail_all(&mut rig);
    assert_eq!(verdicts(&rig).len(), 2 + FETCHES_MAX);

    for number in FETCHES_MAX..CERTIFICATES_MAX + 100 {
        let text = signed(&rig, &papers.signer(&url(number)), &format!("f{number}b"));
        rig.udp(CARRIER, text);
        fail_all(&mut rig);
    }
    let remembered = gauges(&rig).stir_certificates;
    assert_eq!(remembered, CERTIFICATES_MAX as u64);
    assert_eq!(cut(&rig, "certificates"), 101);
    rig.forget();
    let text = signed(&rig, &good, "again");
    rig.udp(CARRIER, text);
    assert_eq!(verdicts(&rig), ["valid"], "failures go before what is good");
    assert!(rig.fetches.is_empty());
    rig.run_for(Duration::from_secs(100));
    assert!(rig.is_at_rest());
    rig.assert_alive();
}

/// A server that never answers, and a caller who sends as many INVITEs as he likes meanwhile.
#[test]
fn b28_who_waits_is_bounded_in_number_and_time() {
    let papers = Papers::new("b28-wait");
    let mut rig = Rig::with(&papers.fetching("verify", &[HOST]), "");
    let signer = papers.signer(&url("p.pem"));
    for number in 0..=WAITING_MAX {
        let text = signed(&rig, &signer, &format!("w{number}"));
        rig.udp(CARRIER, text);
    }
    assert_eq!(rig.fetches.len(), 1);
    assert_eq!(gauges(&rig).stir_waiting, WAITING_MAX as u64);
    assert_eq!(cut(&rig, "waiting"), 1);
    assert_eq!(verdicts(&rig), ["certificate_unreachable"]);
    rig.udp(CARRIER, cancel("w0"));
    assert_eq!(gauges(&rig).stir_waiting, WAITING_MAX as u64 - 1);
    rig.run_for(Duration::from_secs(3));
    assert_eq!(gauges(&rig).stir_waiting, 0);
    let told = verdicts(&rig);
    assert_eq!(told.len(), WAITING_MAX);
    assert!(told.iter().all(|verdict| verdict == "certificate_unreachable"));
    rig.run_for(Duration::from_secs(100));
    assert!(rig.is_at_rest());
    rig.assert_alive();
}

/// CANCEL of what [`invite`] sent.
fn cancel(branch: &str) -> String {
    format!(
        "CANCEL sip:+4930123456@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {CARRIER};branch=z9hG4bK{branch}\r\nMax-Forwards: 70\r\n\
         From: <sip:+4930987654@10.0.1.1>;tag=t{branch}\r\nTo: <sip:+4930123456@10.0.0.1>\r\nCall-ID: c{branch}\r\n\
         CSeq: 1 CANCEL\r\nContent-Length: 0\r\n\r\n"
    )
}
