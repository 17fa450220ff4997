//! Servers of certificates that would have the running program read for ever, wait, go elsewhere or come inside: B28.

use std::time::{Duration, Instant};

use gateway::stir::Attest;
use house::papers::{Papers, statement};
use house::wire::{Authority, CARRIER, Dns, Entry, Https, Identity, Manner, Settings, Site, now_us};
use rustls::version::TLS13;
use serde_json::Value;
use tokio::net::UdpSocket;

/// Two seconds a fetch, and what a slow machine adds.
const PATIENCE: Duration = Duration::from_secs(10);
const SDP: &str =
    "v=0\r\no=- 1 1 IN IP4 127.0.0.11\r\ns=-\r\nc=IN IP4 127.0.0.11\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8\r\n";

async fn server(identity: &Identity, manner: Manner) -> Https {
    Https::serve("127.0.0.1", identity.server(&TLS13), manner).await
}

/// A call whose token names this certificate: what the router is told of it, and after how long.
async fn call(site: &Site, papers: &Papers, x5u: &str, branch: &str) -> (Value, Duration) {
    let socket = UdpSocket::bind((CARRIER, 0)).await.unwrap();
    let from = socket.local_addr().unwrap();
    let token = statement("4930987654", "4930123456", Attest::A);
    let identity = papers.signer(x5u).identity(&token, now_us() / 1_000_000);
    let text = format!(
        "INVITE sip:+4930123456@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bK{branch}\r\nMax-Forwards: 70\r\n\
         From: <sip:+4930987654@{from}>;tag=t{branch}\r\nTo: <sip:+4930123456@127.0.0.1>\r\nCall-ID: c{branch}\r\n\
         CSeq: 1 INVITE\r\nContact: <sip:x@{from}>\r\nIdentity: {identity}\r\nContent-Type: application/sdp\r\n\
         Content-Length: {}\r\n\r\n{SDP}",
        SDP.len()
    );
    let (place, begun) = (site.router.place(), Instant::now());
    socket.send_to(text.as_bytes(), site.gateway.udp()).await.unwrap();
    let call = site
        .router
        .wait(place, "a call", |heard| heard.is("leg.incoming"))
        .await;
    (call.event["data"]["stir"].clone(), begun.elapsed())
}

/// A site that may fetch from these, by name from `dns`, and believes this authority.
async fn site(hosts: &[String], papers: &Papers, authority: &Authority, dns: &Dns) -> Site {
    let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
    let settings = Settings {
        carrier_keys: papers.fetching("verify", &hosts),
        tables: format!(
            "[stir]\nfetch_ca = \"fetch.pem\"\n[dns]\nservers = [\"{}\"]",
            dns.address()
        ),
        ..Settings::default()
    };
    Site::furnished("b28", &settings, |folder| {
        authority.write(&folder.join("fetch.pem"));
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b28_a_hostile_server_gets_one_short_request_and_the_call_goes_on_without_it() {
    let (papers, authority) = (Papers::new("b28-wire"), Authority::new("house"));
    let ours = authority.issue(&["127.0.0.1", "inside.example"]);
    let (pem, ok) = (papers.certificate.as_str(), "200 OK");
    let good = server(&ours, Manner::answer(ok, "", pem)).await;
    let elsewhere = format!("Location: {}\r\n", good.url("/p.pem"));
    let redirects = server(&ours, Manner::answer("302 Found", &elsewhere, "")).await;
    let endless = server(&ours, Manner::Endless).await;
    let slow = server(&ours, Manner::Slow).await;
    let text = server(&ours, Manner::answer(ok, "", "<html>")).await;
    let other_name = server(&authority.issue(&["evil.example"]), Manner::answer(ok, "", pem)).await;
    let strange = Authority::new("strangers").issue(&["127.0.0.1"]);
    let other_ca = server(&strange, Manner::answer(ok, "", pem)).await;
    let unlisted = server(&ours, Manner::answer(ok, "", pem)).await;
    let inside = vec![("inside.example".to_owned(), Entry::Address([127, 0, 0, 1].into()))];
    let dns = Dns::serve("127.0.0.1", inside, 60);

    let all = [&good, &redirects, &endless, &slow, &text, &other_name, &other_ca];
    let mut hosts: Vec<String> = all.iter().map(|server| server.address().to_string()).collect();
    let by_name = format!("inside.example:{}", unlisted.address().port());
    hosts.push(by_name.clone());
    let site = site(&hosts, &papers, &authority, &dns).await;

    let unreachable = "certificate_unreachable";
    let (by_name, in_clear) = (
        format!("https://{by_name}/p.pem"),
        good.url("/clear").replacen("https", "http", 1),
    );
    let cases = [
        (redirects.url("/p.pem"), unreachable, "status"),
        (endless.url("/p.pem"), unreachable, "too_long"),
        (slow.url("/p.pem"), unreachable, "timeout"),
        (text.url("/p.pem"), "certificate_unusable", "no_certificate"),
        (other_name.url("/p.pem"), unreachable, "tls_certificate"),
        (other_ca.url("/p.pem"), unreachable, "tls_certificate"),
        (by_name, unreachable, "address_refused"),
        (unlisted.url("/p.pem"), "url_not_listed", ""),
        (in_clear, "url_not_listed", ""),
        (good.url(&format!("/{}", "a".repeat(512))), "url_not_listed", ""),
    ];
    for (number, (url, verdict, outcome)) in cases.iter().enumerate() {
        let before = site.gateway.metric("stir_fetches_total", outcome);
        let (stir, took) = call(&site, &papers, url, &format!("b28x{number}")).await;
        assert_eq!(stir["verdict"], *verdict, "{url}: {stir}");
        assert!(took < PATIENCE, "{url} took {took:?}");
        let counted = site.gateway.metric("stir_fetches_total", outcome) - before;
        assert_eq!(counted, u64::from(!outcome.is_empty()), "{url}: {outcome}");
    }
    assert_eq!(good.connections(), 0, "the redirect was not followed");
    assert_eq!(
        unlisted.connections(),
        0,
        "nor was the name that leads inside connected to"
    );
    assert_eq!((other_name.requests().len(), other_ca.requests().len()), (0, 0));
    for server in [&redirects, &endless, &slow, &text] {
        assert_eq!(server.requests(), ["GET /p.pem HTTP/1.1"]);
    }
    let (stir, _) = call(&site, &papers, &good.url("/p.pem"), "b28good").await;
    assert_eq!(stir["verdict"], "valid", "{stir}");
}
