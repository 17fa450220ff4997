//! Peers that connect to us.

use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

use super::peer::{self, Dribble, Issued};
use super::*;
use crate::shell::tcp::CONNECTIONS_PER_ADDRESS_MAX;

#[tokio::test]
async fn peers_talk_over_both_versions() {
    let mut house = house("", "");
    for version in [&TLS12, &TLS13] {
        let (to, tls) = (house.local, house.authority.issue(&["x.example"]));
        // Nobody asks for its certificate, so it is not shown.
        let mut peer = peer::connect(to, &house.authority, Some(&tls), version)
            .await
            .unwrap();
        let (flow, shown) = house.opened().await;
        assert_eq!(
            (flow.transport, shown.names, shown.is_accepted),
            (SipTransport::Tls, None, true)
        );
        house.talk(flow, &mut peer).await;
        assert_eq!(house.streams.secure_count(), 1);
        drop(peer);
        assert!(matches!(house.input().await, Input::Disconnected { .. }));
    }
    assert_eq!((house.streams.count(), house.tls.numbers().refused.len()), (0, 0));
}

/// docs/threats.md: B27 (RUSTSEC-2024-0336 looped on fragments).
#[tokio::test]
async fn a_handshake_in_single_bytes_is_a_handshake() {
    let mut house = house("", "");
    for version in [&TLS12, &TLS13] {
        let stream = TcpStream::connect(house.local).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut peer = peer::shake(Dribble(stream), &house.authority, None, version)
            .await
            .unwrap();
        let (flow, _) = house.opened().await;
        house.streams.send(&flow, Bytes::from_static(b"whole")).unwrap();
        assert_eq!(peer.hear(5).await, b"whole");
        drop(peer);
        assert!(matches!(house.input().await, Input::Disconnected { .. }));
    }
}

#[tokio::test]
async fn older_versions_are_refused() {
    let mut house = house("min = \"1.3\"", "");
    assert!(
        peer::connect(house.local, &house.authority, None, &TLS12)
            .await
            .is_err()
    );
    house.refused("version").await;

    let mut house = super::house("", "");
    let mut stream = TcpStream::connect(house.local).await.unwrap();
    stream.write_all(&hello_of_tls_1_1()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    // A fatal alert (RFC 5246 §7.2) and nothing else.
    assert_eq!((answer.len(), answer[0], answer[5]), (7, 21, 2));
    house.refused("version").await;
}

#[tokio::test]
async fn only_a_certificate_of_our_cas_is_taken_where_one_is_demanded() {
    let foreign = Authority::new("foreign");
    for version in [&TLS12, &TLS13] {
        let mut house = house("ca = \"ca.pem\"\nrequire_client_cert = true", "");
        let ours = &house.authority;
        let refused = [
            (None, "no_certificate"),
            (Some(foreign.issue(&["carrier.example"])), "unknown_ca"),
            (Some(Issued::self_signed(&["carrier.example"])), "unknown_ca"),
            (Some(ours.issue_expired(&["carrier.example"])), "expired"),
            (
                Some(ours.issue_for(&["carrier.example"], rcgen::ExtendedKeyUsagePurpose::CodeSigning)),
                "bad_certificate",
            ),
        ];
        let mut expected = BTreeMap::new();
        for (shows, why) in refused {
            // With 1.3 a client is done before the server has judged it.
            let _peer = peer::connect(house.local, &house.authority, shows.as_ref(), version).await;
            assert!(matches!(house.input().await, Input::Disconnected { .. }), "{why}");
            *expected.entry(why).or_insert(0) += 1;
            assert_eq!(house.tls.numbers().refused, expected);
        }
        for usage in [
            rcgen::ExtendedKeyUsagePurpose::ClientAuth,
            rcgen::ExtendedKeyUsagePurpose::ServerAuth,
            rcgen::ExtendedKeyUsagePurpose::Other(vec![1, 3, 6, 1, 5, 5, 7, 3, 20]),
        ] {
            let right = house
                .authority
                .issue_for(&["Carrier.example", "127.0.0.1"], usage);
            let mut peer = peer::connect(house.local, &house.authority, Some(&right), version)
                .await
                .unwrap();
            let (flow, shown) = house.opened().await;
            assert_eq!(shown.names.unwrap(), ["carrier.example", "127.0.0.1"]);
            house.talk(flow, &mut peer).await;
            drop(peer);
            assert!(matches!(house.input().await, Input::Disconnected { .. }));
        }
        assert_eq!(house.streams.count(), 0);
    }
}

/// A mutual trunk has its own CAs, and asks whether `require_client_cert` is set or not.
#[tokio::test]
async fn a_mutual_trunk_asks_for_a_certificate_of_its_own_cas() {
    let carrier = Authority::new("carrier");
    let mut house = house("", "");
    carrier.write(house.dir(), "carrier-ca.pem");
    house.authority.issue(&["us.example"]).write(house.dir(), "us");
    let text = std::fs::read_to_string(house.dir().join("gateway.toml")).unwrap();
    let tls = "tls = { ca = \"carrier-ca.pem\", cert = \"us.pem\", key = \"us.key\" }\n";
    let config = Config::parse(&(text + tls), &house.dir().join("x.toml"), None).unwrap();
    house.tls = Tls::new(&config).unwrap();
    for (authority, is_taken) in [(&carrier, true), (&house.authority, false)] {
        let (stream, remote) = pair().await;
        let shows = authority.issue(&["carrier.example"]);
        let peer = peer::shake(stream, &house.authority, Some(&shows), &TLS13);
        let (_, accepted) = tokio::join!(peer, house.tls.accept(remote, "127.0.0.1:9".parse().unwrap()));
        assert_eq!(accepted.is_ok(), is_taken);
    }
}

#[tokio::test]
async fn an_unlisted_address_gets_no_handshake() {
    let mut house = house("", "media_allow = [\"127.0.0.1\"]");
    let config = Config::parse(
        &std::fs::read_to_string(house.dir().join("gateway.toml"))
            .unwrap()
            .replace("127.0.0.0/8", "127.0.0.2"),
        &house.dir().join("x.toml"),
        None,
    );
    house.tls = Tls::new(&config.unwrap()).unwrap();
    let (stream, remote) = pair().await;
    let (peer, accepted) = tokio::join!(
        peer::shake(stream, &house.authority, None, &TLS13),
        house.tls.accept(remote, "127.0.0.1:9".parse().unwrap())
    );
    assert!(peer.is_err());
    assert_eq!(accepted.err(), Some(Refused("unlisted_source")));
}

/// docs/threats.md: B27 (RUSTSEC-2024-0399, PJSIP CVE-2021-32686).
#[tokio::test]
async fn a_handshake_that_ends_early_or_is_none_costs_its_connection_only() {
    // A close_notify alone, one after half a hello, an end in the middle, and a message in clear.
    let close = [21, 3, 3, 0, 2, 1, 0];
    let hello = hello_of_tls_1_1();
    let in_clear = b"OPTIONS sip:x SIP/2.0\r\n\r\n";
    for (bytes, why) in [
        (close.to_vec(), None),
        ([&[22, 3, 1, 0, 40][..], &hello[5..25], &close].concat(), None),
        (hello[..20].to_vec(), Some("closed")),
        (in_clear.to_vec(), Some("malformed")),
    ] {
        let mut house = house("", "");
        let mut stream = TcpStream::connect(house.local).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        stream.shutdown().await.unwrap();
        assert!(matches!(house.input().await, Input::Disconnected { .. }));
        let refused = house.tls.numbers().refused;
        assert_eq!(refused.values().sum::<u64>(), 1, "{refused:?}");
        assert!(
            why.is_none_or(|why| refused.contains_key(why)),
            "{why:?}: {refused:?}"
        );
        let mut peer = peer::connect(house.local, &house.authority, None, &TLS13)
            .await
            .unwrap();
        let (flow, _) = house.opened().await;
        house.talk(flow, &mut peer).await;
    }
}

/// docs/threats.md: B27. Each address has its share of the table, half a handshake counts like a connection,
/// and is over in five seconds.
#[tokio::test]
async fn a_thousand_half_handshakes_are_bounded_and_end() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    let mut house = house("", "");
    let (addresses, mut half) = (15, Vec::new());
    let started = clock::mono();
    let hello = hello_of_tls_1_1();
    for last in 2..2 + addresses {
        // One more than its share.
        for _ in 0..=CONNECTIONS_PER_ADDRESS_MAX {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind(format!("127.0.0.{last}:0").parse().unwrap()).unwrap();
            let mut stream = socket.connect(house.local).await.unwrap();
            let _ = stream.write_all(&hello[..30]).await;
            half.push(stream);
        }
    }
    assert!(half.len() >= 960);
    // Somebody else is served all the same.
    let mut peer = peer::connect(house.local, &house.authority, None, &TLS13)
        .await
        .unwrap();
    let (flow, _) = house.opened().await;
    assert!(house.streams.count() <= addresses * CONNECTIONS_PER_ADDRESS_MAX + 1);
    house.talk(flow, &mut peer).await;
    for _ in 0..addresses * CONNECTIONS_PER_ADDRESS_MAX {
        assert!(matches!(house.input().await, Input::Disconnected { .. }));
    }
    assert!(clock::mono() - started < HANDSHAKE_WAIT * 3);
    assert_eq!((house.streams.count(), house.streams.secure_count()), (1, 1));
    let refused = house.tls.numbers().refused;
    assert_eq!(
        refused,
        BTreeMap::from([("timeout", 15 * CONNECTIONS_PER_ADDRESS_MAX as u64)])
    );
    house.talk(flow, &mut peer).await;
}

/// Both ends of a connection.
async fn pair() -> (TcpStream, TcpStream) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (near, listener.accept().await.unwrap().0)
}

/// A ClientHello that offers TLS 1.1 and one cipher of its time (RFC 4346 §7.4.1.2).
fn hello_of_tls_1_1() -> Vec<u8> {
    let mut body = vec![3, 2];
    body.extend([7; 32]);
    // No session, TLS_RSA_WITH_AES_128_CBC_SHA, no compression.
    body.extend([0, 0, 2, 0, 0x2f, 1, 0]);
    let length = body.len() as u8;
    let mut record = vec![22, 3, 1, 0, length + 4, 1, 0, 0, length];
    record.extend(body);
    record
}
