//! Phones that register with the gateway and the gateway that registers with a carrier, on the wire.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use house::phonebook;
use house::tone;
use house::wire::{
    AGENT_HZ, AGENTS, CALLER_HZ, CARRIER, OUR_NUMBER, Phone, Settings, Sipp, Site, free_port, until,
};
use serde_json::json;
use tokio::net::UdpSocket;

use crate::own_digest::Answer;
use crate::script::{connect, incoming};

const ACCEPT: &str = "accept_register = { users_file = \"users\", realm = \"phones\" }";

fn with_phones(users: String) -> Settings {
    Settings {
        agents_more: ACCEPT.to_owned(),
        secrets: vec![("users", users)],
        ..Settings::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sipp_registers_is_called_and_is_gone() {
    let site = Site::open(
        "register",
        &with_phones(phonebook::md5_lines(&[("anna", "secret")])),
    )
    .await;
    let (router, gateway) = (&site.router, site.gateway.udp());
    let phone = Sipp::new("register", AGENTS).to(gateway);
    let port = phone.port();
    let registered = phone.start(&site.folder).await.finish().await;
    assert_eq!(
        (
            registered.logged("shortest 60"),
            registered.logged("granted anna")
        ),
        (1, 1)
    );
    router
        .wait(0, "the phone", |heard| heard.is("phone.registered"))
        .await;
    assert_eq!(site.gateway.metric("registrations", "trunk=\"agents\""), 1);

    let callee = Sipp::new("callee", AGENTS).at(port).start(&site.folder).await;
    let dial = json!({ "to": "sip:anna", "trunk": "agents" });
    let dialled = router.call("leg.dial", dial.clone()).await;
    let leg = dialled["leg"].as_str().unwrap();
    router.wait_leg(0, "leg.answered", leg).await;
    router.call("leg.hangup", json!({ "leg": leg })).await;
    let called = callee.finish().await;
    let invite = called
        .messages()
        .into_iter()
        .find(|(_, text)| text.starts_with("INVITE "));
    let invite = invite.unwrap().1;
    assert!(
        invite.starts_with(&format!("INVITE sip:anna@{AGENTS}:{port};transport=UDP SIP/2.0")),
        "{invite}"
    );

    let gone = Sipp::new("unregister", AGENTS)
        .to(gateway)
        .start(&site.folder)
        .await;
    gone.finish().await;
    router
        .wait(0, "its end", |heard| heard.is("phone.unregistered"))
        .await;
    let refused = router.ask("leg.dial", dial).await.unwrap_err();
    assert!(
        refused.to_string().contains("no phone of `anna` is registered"),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sipp_calls_with_digest_and_its_user_is_told() {
    let settings = Settings {
        carrier_more: "challenge = { users_file = \"users\", realm = \"phones\" }".to_owned(),
        secrets: vec![("users", phonebook::md5_lines(&[("anna", "secret")]))],
        ..Settings::default()
    };
    let site = Site::open("challenge", &settings).await;
    let caller = Sipp::new("caller_digest", CARRIER).to(site.gateway.udp());
    let caller = caller.start(&site.folder).await;
    let call = incoming(&site.router).await;
    assert_eq!(call.event["data"]["user"], "anna");
    site.router
        .call("leg.answer", json!({ "leg": call.text("leg") }))
        .await;
    site.router.wait_leg(0, "leg.answered", call.text("leg")).await;
    site.router
        .call("call.end", json!({ "call": call.text("call") }))
        .await;
    caller.finish().await;
    // A caller without credentials ends at its first 401, and no call was offered.
    let stranger = Sipp::new("caller", CARRIER).to(site.gateway.udp());
    let mut stranger = stranger.start(&site.folder).await;
    let status = until("SIPp to give up", Duration::from_secs(20), || {
        stranger.exit_code()
    })
    .await;
    assert_ne!(status, Some(0));
    assert_eq!(
        site.gateway
            .metric("calls_offered_total", "trunk=\"carrier\",direction=\"in\""),
        1
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gateway_registers_at_sipp_and_is_gone_after_a_drain() {
    let port = free_port(CARRIER);
    let settings = Settings {
        carrier_more: format!(
            "hosts = [\"{CARRIER}:{port}\"]\nregister = true\nregister_expires_s = 120\n\
             auth = {{ username = \"bert\", password_file = \"password\", realm = \"carrier\" }}"
        ),
        secrets: vec![("password", "geheim\n".to_owned())],
        ..Settings::default()
    };
    // It is there before the gateway, and so before this test has its turn.
    let registrar = Sipp::new("registrar", CARRIER)
        .at(port)
        .patience(Duration::from_secs(600));
    let folder = house::wire::Folder::new("registrar-sipp");
    let registrar = registrar.start(&folder).await;
    let site = Site::open("registrar", &settings).await;
    // It may be registered before anyone can listen.
    until("the registration", Duration::from_secs(20), || {
        (site.gateway.metric("trunk_registered", "trunk=\"carrier\"") == 1).then_some(())
    })
    .await;
    let trunks = site.router.call("trunk.list", json!({})).await;
    assert_eq!(trunks["trunks"][0]["registered"], true, "{trunks}");
    site.router.call("drain.start", json!({})).await;
    site.router
        .wait(0, "the drain", |heard| heard.is("drain.done"))
        .await;
    assert_eq!(site.gateway.metric("trunk_registered", "trunk=\"carrier\""), 0);
    let log = registrar.finish().await;
    for line in [
        "count nc=00000001 right true",
        "asked 600 count nc=00000002 right true",
        "gone 0 count nc=00000003 right true",
    ] {
        assert_eq!(log.logged(line), 1, "{line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn baresip_registers_and_talks_both_ways() {
    // Its SDP names one address, and its packets may come from another.
    let media: Vec<String> = own_addresses().iter().map(Ipv4Addr::to_string).collect();
    let settings = Settings {
        agents_media: media.clone(),
        carrier_media: media,
        media_source: "nat",
        ..with_phones(phonebook::md5_lines(&[("anna", "secret")]))
    };
    let site = Site::open("baresip-register", &settings).await;
    let account = (site.gateway.udp(), "secret");
    let agent = Phone::register(&site.folder, "anna", AGENTS, AGENT_HZ, account).await;
    site.router
        .wait(0, "the phone", |heard| heard.is("phone.registered"))
        .await;
    let to = format!("sip:{OUR_NUMBER}@{}", site.gateway.udp());
    let caller = Phone::start(&site.folder, "alice", CARRIER, CALLER_HZ, Some(&to)).await;
    let call = incoming(&site.router).await;
    let talk = connect(&site.router, &call, "sip:anna").await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    site.router.call("call.end", json!({ "call": talk.call })).await;
    site.router
        .wait(0, "the record", |heard| heard.is("call.record"))
        .await;
    for (who, phone, other, own) in [
        ("the caller", caller, AGENT_HZ, CALLER_HZ),
        ("the agent", agent, CALLER_HZ, AGENT_HZ),
    ] {
        let heard = phone.heard().await;
        let middle = &heard[heard.len() / 4..heard.len() * 3 / 4];
        let [other, own] = [other, own].map(|hz| tone::level(middle, hz));
        assert!(
            middle.len() > 8_000 && other > 0.2,
            "{who}: {other} of {} samples",
            middle.len()
        );
        assert!(own < 0.01, "{who}: {own}");
    }
    // It took its contact back when it was closed.
    site.router
        .wait(0, "its end", |heard| heard.is("phone.unregistered"))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_with_sums_of_its_own_registers_by_sha_256() {
    let site = Site::open("sha-256", &with_phones(phonebook::lines(&[("anna", "secret")]))).await;
    let gateway = site.gateway.udp();
    let socket = UdpSocket::bind((AGENTS, 0)).await.unwrap();
    let asked = exchange(&socket, gateway, 1, "").await;
    assert!(asked.starts_with("SIP/2.0 401 Unauthorized\r\n"), "{asked}");
    let challenges: Vec<_> = asked
        .lines()
        .filter(|line| line.starts_with("WWW-Authenticate: "))
        .collect();
    assert!(challenges[0].contains("algorithm=SHA-256") && challenges[1].contains("algorithm=MD5"));
    let uri = format!("sip:{gateway}");
    let answer = |password: &str, count: u32| {
        let answer = Answer {
            user: "anna",
            password,
            method: "REGISTER",
            uri: &uri,
            count,
            cnonce: "0a4f113b",
        };
        format!("Authorization: {}\r\n", answer.to(challenges[0]))
    };
    let wrong = exchange(&socket, gateway, 2, &answer("guess", 1)).await;
    assert!(
        wrong.starts_with("SIP/2.0 401 ") && !wrong.contains("stale"),
        "{wrong}"
    );
    let right = exchange(&socket, gateway, 3, &answer("secret", 1)).await;
    assert!(
        right.starts_with("SIP/2.0 200 OK\r\n") && right.contains(";expires=3600\r\n"),
        "{right}"
    );
    let replayed = exchange(&socket, gateway, 4, &answer("secret", 1)).await;
    assert!(
        replayed.starts_with("SIP/2.0 401 ") && replayed.contains("stale=true"),
        "{replayed}"
    );
    let next = exchange(&socket, gateway, 5, &answer("secret", 2)).await;
    assert!(next.starts_with("SIP/2.0 200 OK\r\n"), "{next}");
    // Seen under its own address, yet naming one outside the trunk's networks: turned away, nothing bound.
    let own = socket.local_addr().unwrap();
    let outside: SocketAddr = "192.0.2.7:5060".parse().unwrap();
    let lied = exchange_as(&socket, gateway, (6, own, outside), &answer("secret", 3)).await;
    assert!(lied.starts_with("SIP/2.0 403 "), "{lied}");
    // Behind a NAT it knows no better: bound, and called by the way it came.
    let hidden = exchange_as(&socket, gateway, (7, outside, outside), &answer("secret", 4)).await;
    assert!(
        hidden.starts_with("SIP/2.0 200 OK\r\n") && hidden.contains("192.0.2.7"),
        "{hidden}"
    );
    let dial = serde_json::json!({ "to": "sip:anna", "trunk": "agents" });
    site.router.call("leg.dial", dial).await;
    let mut buffer = [0; 4096];
    let rung = tokio::time::timeout(Duration::from_secs(5), socket.recv(&mut buffer)).await;
    let rung = String::from_utf8_lossy(&buffer[..rung.unwrap().unwrap()]).into_owned();
    assert!(rung.starts_with("INVITE "), "{rung}");
}

/// Sends a REGISTER and waits for its answer.
async fn exchange(socket: &UdpSocket, gateway: SocketAddr, cseq: u32, head: &str) -> String {
    let own = socket.local_addr().unwrap();
    exchange_as(socket, gateway, (cseq, own, own), head).await
}

/// The same with the address that Via says, and the one that Contact says.
async fn exchange_as(
    socket: &UdpSocket,
    gateway: SocketAddr,
    (cseq, sent_by, contact): (u32, SocketAddr, SocketAddr),
    head: &str,
) -> String {
    let own = socket.local_addr().unwrap();
    let text = format!(
        "REGISTER sip:{gateway} SIP/2.0\r\nVia: SIP/2.0/UDP {sent_by};branch=z9hG4bK{cseq};rport\r\n\
         From: <sip:anna@{gateway}>;tag=own\r\nTo: <sip:anna@{gateway}>\r\nCall-ID: own@{own}\r\n\
         CSeq: {cseq} REGISTER\r\nContact: <sip:anna@{contact}>\r\n{head}Content-Length: 0\r\n\r\n"
    );
    socket.send_to(text.as_bytes(), gateway).await.unwrap();
    let mut buffer = [0; 4096];
    let answer = tokio::time::timeout(Duration::from_secs(5), socket.recv(&mut buffer)).await;
    String::from_utf8_lossy(&buffer[..answer.unwrap().unwrap()]).into_owned()
}

/// This machine's IPv4 addresses: baresip names one of them in SDP, whatever it is told.
fn own_addresses() -> Vec<Ipv4Addr> {
    let all = nix::ifaddrs::getifaddrs().unwrap();
    all.filter_map(|interface| Some(interface.address?.as_sockaddr_in()?.ip()))
        .collect()
}
