//! Signalling under TLS: calls over both versions, trunks known by certificate, certificates that change.

use std::net::SocketAddr;
use std::time::Duration;

use house::wire::{
    AGENT_HZ, AGENTS, Authority, CALLER_HZ, CARRIER, GATEWAY_NAME, Identity, OUR_NUMBER, Phone, Secured,
    Settings, Shim, Sipp, Site, Transport, dial, until,
};
use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::audio::heard_on_both_sides;
use crate::baresip::{own_addresses, record_each_other};
use crate::script::incoming;

const PATIENCE: Duration = Duration::from_secs(15);
const LISTENER: &str = "[sip.tls]\ncert = \"gw.pem\"\nkey = \"gw.key\"\n";
/// What the agents' certificate must show.
const AGENTS_TLS: &str = "tls = { ca = \"ca.pem\", name = \"agents.example\" }\n";

fn secured(listener: &str, carrier: &str) -> Settings {
    Settings {
        tls: Some(Secured {
            listener: format!("{LISTENER}{listener}"),
            carrier: carrier.to_owned(),
            agents: AGENTS_TLS.to_owned(),
            more: String::new(),
        }),
        ..Settings::default()
    }
}

/// A gateway with a certificate of that authority.
async fn open(name: &str, settings: &Settings, authority: &Authority) -> Site {
    Site::furnished(name, settings, |folder| {
        authority.write(&folder.join("ca.pem"));
        authority.issue(&[GATEWAY_NAME]).write(folder.path(), "gw");
    })
    .await
}

/// An agent that echoes, behind a shim, and what a `leg.dial` calls it by.
struct Agent {
    run: house::wire::Running,
    uri: String,
    _shim: Shim,
}

async fn agent(
    site: &Site,
    identity: &Identity,
    version: &'static SupportedProtocolVersion,
    talk: Duration,
) -> Agent {
    let agent = Sipp::new("callee", AGENTS).over(Transport::Tcp).talk(talk);
    let shim = Shim::to_peer(AGENTS, agent.address(), identity.server(version)).await;
    Agent {
        run: agent.start(&site.folder).await,
        uri: format!("sip:agent@{};transport=tls", shim.address()),
        _shim: shim,
    }
}

async fn caller(site: &Site, shim: &Shim, talk: Duration) -> house::wire::Running {
    let caller = Sipp::new("caller_streams", CARRIER)
        .to(shim.address())
        .over(Transport::Tcp)
        .talk(talk);
    caller.start(&site.folder).await
}

async fn call_over(version: &'static SupportedProtocolVersion, caller_hangs_up: bool) {
    let authority = Authority::new("house");
    let site = open("tls", &secured("", ""), &authority).await;
    let (short, long) = (Duration::from_secs(3), Duration::from_secs(30));
    let (caller_talk, agent_talk) = if caller_hangs_up {
        (short, long)
    } else {
        (long, short)
    };
    let agent = agent(&site, &authority.issue(&["agents.example"]), version, agent_talk).await;
    let shim = Shim::to_gateway(CARRIER, site.gateway.tls(), authority.client(None, version)).await;
    let caller = caller(&site, &shim, caller_talk).await;
    heard_on_both_sides(&site, caller, agent.run, &agent.uri, caller_hangs_up).await;
    assert_eq!(site.gateway.metric("tls_handshakes_refused_total", ""), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sipp_talks_to_sipp_under_tls_1_2_and_the_caller_hangs_up() {
    call_over(&TLS12, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sipp_talks_to_sipp_under_tls_1_3_and_the_agent_hangs_up() {
    call_over(&TLS13, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_baresip_phones_under_tls_record_each_others_tone() {
    let media = own_addresses().into_iter().chain([[127, 0, 0, 1].into()]);
    let media: Vec<String> = media.map(|ip| ip.to_string()).collect();
    let mut settings = Settings {
        agents_media: media.clone(),
        media_source: "nat",
        ..secured("", "")
    };
    // It connects from the machine's own address for the gateway's, whatever it is told to listen on.
    let phones = format!(
        "[[trunk]]\nname = \"phones\"\nallow = [\"127.0.0.1\"]\nmedia_allow = {media:?}\nmedia_source = \"nat\"\n"
    );
    settings.tls.as_mut().unwrap().more = phones;
    let authority = Authority::new("house");
    let site = open("baresip-tls", &settings, &authority).await;
    for name in ["alice", "agents"] {
        authority
            .issue(&[&format!("{name}.example")])
            .write(site.folder.path(), name);
    }
    let [bob, alice] = ["agents.both", "alice.both"].map(|file| site.folder.join(file));
    let agent = Phone::start_secure(&site.folder, "bob", AGENTS, AGENT_HZ, None, &bob).await;
    // It adds the transport of its account.
    let to = format!("sip:{OUR_NUMBER}@{}", site.gateway.tls());
    let caller = Phone::start_secure(&site.folder, "alice", CARRIER, CALLER_HZ, Some(&to), &alice).await;
    let connected = until("the caller's connection", PATIENCE, || {
        (site.gateway.metric("tls_connections", "") == 1).then_some(())
    });
    connected.await;
    record_each_other(&site, caller, agent).await;
    assert_eq!(site.gateway.metric("tls_handshakes_refused_total", ""), 0);
}

/// Two trunks of one address: whose a call is the certificate tells, and nothing else is let in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trunk_is_known_by_the_name_of_its_certificate() {
    let mut settings = secured(
        "ca = \"ca.pem\"\nrequire_client_cert = true\n",
        "tls = { ca = \"ca.pem\", name = \"red.example\" }\n",
    );
    let blue = format!(
        "[[trunk]]\nname = \"blue\"\nallow = [\"{CARRIER}\"]\ntls = {{ ca = \"ca.pem\", name = \"blue.example\" }}\n"
    );
    settings.tls.as_mut().unwrap().more = blue;
    let (authority, foreign) = (Authority::new("house"), Authority::new("foreign"));
    let site = open("mutual", &settings, &authority).await;
    let gateway = site.gateway.tls();
    let mut from = 0;
    for (name, trunk, version) in [
        ("red.example", "carrier", &TLS12),
        ("blue.example", "blue", &TLS13),
    ] {
        let identity = authority.issue(&[name]);
        let client = authority.client(Some(&identity), version);
        let mut peer = dial(CARRIER, gateway, client).await.unwrap();
        peer.write_all(invite(name, "TLS", gateway).as_bytes())
            .await
            .unwrap();
        let call = site
            .router
            .wait(from, "a call", |heard| heard.is("leg.incoming"))
            .await;
        from = call.index + 1;
        assert_eq!(call.event["data"]["trunk"], trunk, "{call:?}");
        let leg = call.text("leg");
        site.router
            .call("leg.reject", json!({ "leg": leg, "status": 486 }))
            .await;
        let mut answer = vec![0; 4_096];
        let mut text = String::new();
        while !text.contains("SIP/2.0 486") {
            let length = peer.read(&mut answer).await.unwrap();
            assert!(length > 0, "{text}");
            text.push_str(&String::from_utf8_lossy(&answer[..length]));
        }
    }
    let unfit = authority.issue(&["green.example"]);
    let strange = foreign.issue(&["red.example"]);
    for identity in [None, Some(&unfit), Some(&strange)] {
        let client = authority.client(identity, &TLS13);
        // With 1.3 a client may be done before it is refused.
        if let Ok(mut peer) = dial(CARRIER, gateway, client).await {
            let _ = peer
                .write_all(invite("x.example", "TLS", gateway).as_bytes())
                .await;
            let heard = tokio::time::timeout(PATIENCE, peer.read(&mut [0; 1]))
                .await
                .unwrap();
            assert!(matches!(heard, Ok(0) | Err(_)), "{heard:?}");
        }
    }
    // In clear the address says nothing.
    let socket = std::net::UdpSocket::bind((CARRIER, 0)).unwrap();
    let datagram = invite("y.example", "UDP", gateway);
    socket.send_to(datagram.as_bytes(), site.gateway.udp()).unwrap();
    let metric = |name: &str, label: &str| site.gateway.metric(name, label);
    until("the refusals to be counted", PATIENCE, || {
        (metric("sip_dropped_total", "certificate_unfit") == 2).then_some(())
    })
    .await;
    for reason in ["no_certificate", "unknown_ca"] {
        assert_eq!(metric("tls_handshakes_refused_total", reason), 1, "{reason}");
    }
    assert_eq!(metric("calls_offered_total", ""), 2);
    socket.set_nonblocking(true).unwrap();
    assert!(
        socket.recv(&mut [0; 1]).is_err(),
        "nothing is said to who is not known"
    );
}

/// Docs: a changed certificate is for connections to come, and calls go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_change_in_mid_call() {
    let authority = Authority::new("house");
    let site = open("renewal", &secured("", ""), &authority).await;
    let agent = agent(
        &site,
        &authority.issue(&["agents.example"]),
        &TLS13,
        Duration::from_secs(60),
    )
    .await;
    let shim = Shim::to_gateway(CARRIER, site.gateway.tls(), authority.client(None, &TLS13)).await;
    let caller = caller(&site, &shim, Duration::from_secs(12)).await;
    let next = authority.issue(&[GATEWAY_NAME]);
    let change = async {
        incoming(&site.router).await;
        let metric = |outcome: &str| site.gateway.metric("tls_certificates_total", outcome);
        let shown = || shown(&site, &authority);
        let first = shown().await;
        std::fs::write(site.folder.join("gw.pem"), "no certificate").unwrap();
        site.gateway.hang_up();
        until("the broken file to be told", PATIENCE, || {
            (metric("failed") == 1).then_some(())
        })
        .await;
        assert!(shown().await == first, "the earlier one stays in use");
        next.write(site.folder.path(), "gw");
        // Without a word: the files are looked at now and then.
        until("the new file to be taken up", PATIENCE, || {
            (metric("renewed") == 1).then_some(())
        })
        .await;
        assert!(shown().await == next.certificate.as_ref());
    };
    let call = heard_on_both_sides(&site, caller, agent.run, &agent.uri, true);
    tokio::join!(change, call);
}

/// The certificate that the gateway shows to a new connection.
async fn shown(site: &Site, authority: &Authority) -> Vec<u8> {
    let peer = dial(CARRIER, site.gateway.tls(), authority.client(None, &TLS12))
        .await
        .unwrap();
    let certificates = peer.get_ref().1.peer_certificates().unwrap();
    certificates[0].to_vec()
}

/// An INVITE without an offer.
fn invite(name: &str, transport: &str, gateway: SocketAddr) -> String {
    format!(
        "INVITE sip:{OUR_NUMBER}@{gateway} SIP/2.0\r\n\
         Via: SIP/2.0/{transport} {CARRIER}:5061;branch=z9hG4bK{name};rport\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:anna@{name}>;tag=1\r\n\
         To: <sip:{OUR_NUMBER}@{gateway}>\r\n\
         Call-ID: {name}\r\n\
         CSeq: 1 INVITE\r\n\
         Contact: <sip:anna@{CARRIER}:5061;transport=tls>\r\n\
         Content-Length: 0\r\n\r\n"
    )
}
