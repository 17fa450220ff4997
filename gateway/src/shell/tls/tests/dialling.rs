//! Peers that we connect to.

use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::peer::{Callee, Issued};
use super::*;

const NAMED: &str = "tls = { ca = \"ca.pem\", name = \"sip.carrier.example\" }";

#[tokio::test]
async fn a_peer_with_the_name_is_talked_to_over_both_versions() {
    for (trunk, names) in [
        (NAMED, &["other.example", "SIP.carrier.example"][..]),
        (NAMED, &["sip:sip.carrier.example"]),
        // RFC 5922 §7.2: no pattern, but the text itself may be asked for.
        (
            "tls = { ca = \"ca.pem\", name = \"*.carrier.example\" }",
            &["*.carrier.example"],
        ),
        ("tls = { ca = \"ca.pem\", name = \"127.0.0.9\" }", &["127.0.0.9"]),
        // Without a name it is the host.
        ("tls = { ca = \"ca.pem\" }", &["127.0.0.1"]),
    ] {
        for version in [&TLS12, &TLS13] {
            let mut house = house("", trunk);
            let callee = Callee::new(&house.authority.issue(names), None, version).await;
            let flow = house.to(callee.address());
            house.streams.connect(flow, Some(0));
            let mut peer = callee.accept().await.unwrap();
            let (opened, shown) = house.opened().await;
            assert_eq!((opened, shown.is_accepted), (flow, false));
            assert!(!shown.names.unwrap().is_empty());
            assert!(peer.shown().is_empty(), "we show no certificate unless told to");
            house.talk(flow, &mut peer).await;
        }
    }
}

#[tokio::test]
async fn other_peers_are_refused_and_never_spoken_to_in_clear() {
    let (ours, foreign) = (&["sip.carrier.example"][..], Authority::new("foreign"));
    for version in [&TLS12, &TLS13] {
        for case in 0..6 {
            let mut house = house("", NAMED);
            let (issued, why) = match case {
                0 => (foreign.issue(ours), "unknown_ca"),
                1 => (Issued::self_signed(ours), "unknown_ca"),
                2 => (house.authority.issue_expired(ours), "expired"),
                3 => (house.authority.issue(&["sip.other.example"]), "wrong_name"),
                // RFC 5922 §7.2.
                4 => (house.authority.issue(&["*.carrier.example"]), "wrong_name"),
                // Its DNS name is none beside a SIP identity (§7.1).
                _ => {
                    let names = ["sip.carrier.example", "sip:other.example"];
                    (house.authority.issue(&names), "wrong_name")
                }
            };
            let callee = Callee::new(&issued, None, version).await;
            let flow = house.to(callee.address());
            // The next connection of that trunk asks as well: a dialog that goes on.
            house.streams.connect(flow, (case % 2 == 0).then_some(0));
            let heard = callee.accept().await;
            house.refused(why).await;
            assert!(heard.is_err() || version.version == TLS13.version, "{why}");
            assert_eq!(
                house.streams.send(&flow, Bytes::from_static(b"x")),
                Err(tcp::NotSent::NotOpen)
            );
        }
    }
}

#[tokio::test]
async fn a_peer_with_an_older_version_only_is_refused() {
    let mut house = house("", "tls = { ca = \"ca.pem\", min = \"1.3\" }");
    let callee = Callee::new(&house.authority.issue(&["127.0.0.1"]), None, &TLS12).await;
    house.streams.connect(house.to(callee.address()), Some(0));
    assert!(callee.accept().await.is_err());
    house.refused("by_peer").await;

    let mut house = super::house("", "tls = { ca = \"ca.pem\" }");
    let peer = TcpListener::bind("127.0.0.1:0").await.unwrap();
    house
        .streams
        .connect(house.to(peer.local_addr().unwrap()), Some(0));
    let (mut stream, _) = peer.accept().await.unwrap();
    let mut first = [0; 1];
    stream.read_exact(&mut first).await.unwrap();
    assert_eq!(first, [22], "a handshake record, and no request in clear");
    stream.write_all(&hello_of_tls_1_1()).await.unwrap();
    house.refused("version").await;
}

#[tokio::test]
async fn a_peer_that_never_answers_the_handshake_is_given_up() {
    let mut house = house("", "tls = { ca = \"ca.pem\" }");
    let peer = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let started = clock::mono();
    house
        .streams
        .connect(house.to(peer.local_addr().unwrap()), Some(0));
    let _stream = peer.accept().await.unwrap();
    house.refused("timeout").await;
    assert!(clock::mono() - started < HANDSHAKE_WAIT + Duration::from_secs(5));
}

#[tokio::test]
async fn our_certificate_is_shown_where_the_trunk_has_one() {
    let mut house = house("", "");
    let us = house.authority.issue(&["us.example"]);
    us.write(house.dir(), "us");
    let text = std::fs::read_to_string(house.dir().join("gateway.toml")).unwrap();
    let mutual = "tls = { ca = \"ca.pem\", cert = \"us.pem\", key = \"us.key\" }\n";
    for (tls, is_taken) in [("tls = { ca = \"ca.pem\" }\n", false), (mutual, true)] {
        let config = Config::parse(&format!("{text}{tls}"), &house.dir().join("x.toml"), None).unwrap();
        let tls = Tls::new(&config).unwrap();
        let peer = house.authority.issue(&["127.0.0.1"]);
        let callee = Callee::new(&peer, Some(&house.authority), &TLS12).await;
        let remote = callee.address();
        let stream = TcpStream::connect(remote).await.unwrap();
        let (accepted, connected) = tokio::join!(callee.accept(), tls.connect(stream, remote, Some(0)));
        assert_eq!((accepted.is_ok(), connected.is_ok()), (is_taken, is_taken));
        if let Ok(accepted) = accepted {
            assert!(accepted.has_shown(&us));
        }
    }
    house.inputs.close();
}

/// Trunks that share an address are told apart by name, also by whom we dial there.
#[tokio::test]
async fn a_shared_address_is_asked_for_the_name_of_the_trunk_that_dials() {
    let house = house("", "tls = { ca = \"ca.pem\", name = \"red.example\" }");
    let text = std::fs::read_to_string(house.dir().join("gateway.toml")).unwrap();
    let blue = "[[trunk]]\nname = \"blue\"\nallow = [\"127.0.0.0/8\"]\n\
                tls = { ca = \"ca.pem\", name = \"blue.example\" }\n";
    let config = Config::parse(&(text + blue), &house.dir().join("x.toml"), None).unwrap();
    let tls = Tls::new(&config).unwrap();
    for (dialling, is_taken) in [(Some(0), false), (Some(1), true), (None, true)] {
        let callee = Callee::new(&house.authority.issue(&["blue.example"]), None, &TLS13).await;
        let stream = TcpStream::connect(callee.address()).await.unwrap();
        let connected = tls.connect(stream, callee.address(), dialling);
        let (_, connected) = tokio::join!(callee.accept(), connected);
        assert_eq!(connected.is_ok(), is_taken, "{dialling:?}");
    }
}

/// A ServerHello that chooses TLS 1.1 (RFC 4346 §7.4.1.3).
fn hello_of_tls_1_1() -> Vec<u8> {
    let mut body = vec![3, 2];
    body.extend([7; 32]);
    body.extend([0, 0, 0x2f, 0]);
    let length = body.len() as u8;
    let mut record = vec![22, 3, 2, 0, length + 4, 2, 0, 0, length];
    record.extend(body);
    record
}
