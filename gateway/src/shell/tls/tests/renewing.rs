//! Certificates that change while connections are open.

use rustls::version::TLS13;

use super::peer::{self, Issued};
use super::*;

impl House {
    /// Whether a new connection is shown this.
    async fn shows(&mut self, issued: &Issued) -> bool {
        let peer = peer::connect(self.local, &self.authority, None, &TLS13)
            .await
            .unwrap();
        self.opened().await;
        let is_it = peer.has_shown(issued);
        drop(peer);
        assert!(matches!(self.input().await, Input::Disconnected { .. }));
        is_it
    }
}

#[tokio::test]
async fn a_changed_certificate_is_for_connections_to_come() {
    let mut house = house("", "");
    let mut before = peer::connect(house.local, &house.authority, None, &TLS13)
        .await
        .unwrap();
    let (flow, _) = house.opened().await;
    let next = house.authority.issue(&["gw.example.com"]);
    next.write(house.dir(), "gw");
    house.tls.renew(Look::Settled);
    assert!(!house.shows(&next).await, "one look more");
    house.tls.renew(Look::Settled);
    assert!(house.shows(&next).await);
    let numbers = house.tls.numbers();
    assert_eq!((numbers.renewed, numbers.failed), (1, 0));
    house.talk(flow, &mut before).await;
    house.tls.renew(Look::AtOnce);
    assert_eq!(house.tls.numbers().renewed, 1, "nothing has changed");
}

#[tokio::test]
async fn a_file_that_cannot_be_used_leaves_the_earlier_one_and_is_told_once() {
    let mut house = house("", "");
    let next = house.authority.issue(&["gw.example.com"]);
    next.write(house.dir(), "next");
    let next_pem = std::fs::read(house.dir().join("next.pem")).unwrap();
    let first_pem = std::fs::read(house.dir().join("gw.pem")).unwrap();
    // Not PEM, half a certificate, nothing, and the certificate of another key.
    for text in [&b"x"[..], &first_pem[..first_pem.len() / 2], b"", &next_pem] {
        let failed = house.tls.numbers().failed;
        std::fs::write(house.dir().join("gw.pem"), text).unwrap();
        for _ in 0..3 {
            house.tls.renew(Look::Settled);
        }
        assert_eq!(house.tls.numbers().failed, failed + 1);
        assert!(!house.shows(&next).await);
    }
    std::fs::remove_file(house.dir().join("gw.key")).unwrap();
    house.tls.renew(Look::AtOnce);
    assert_eq!(house.tls.numbers().failed, 5);
    assert!(!house.shows(&next).await);
    // The key follows its certificate: now they fit.
    std::fs::rename(house.dir().join("next.key"), house.dir().join("gw.key")).unwrap();
    house.tls.renew(Look::AtOnce);
    assert!(house.shows(&next).await);
    let numbers = house.tls.numbers();
    assert_eq!((numbers.renewed, numbers.failed), (1, 5));
}

#[tokio::test]
async fn changed_cas_are_for_connections_to_come() {
    let mut house = house("ca = \"ca.pem\"\nrequire_client_cert = true", "");
    let next = Authority::new("next");
    let shows = next.issue(&["carrier.example"]);
    let _refused = peer::connect(house.local, &house.authority, Some(&shows), &TLS13).await;
    house.refused("unknown_ca").await;
    next.write(house.dir(), "ca.pem");
    house.tls.renew(Look::AtOnce);
    let _peer = peer::connect(house.local, &house.authority, Some(&shows), &TLS13)
        .await
        .unwrap();
    assert_eq!(house.opened().await.1.names.unwrap(), ["carrier.example"]);
}

/// The task that looks by itself, woken as SIGHUP does.
#[tokio::test]
async fn a_word_has_the_files_looked_at_at_once() {
    let mut house = house("", "");
    let looking = tokio::spawn(house.tls.clone().keep_looking());
    let next = house.authority.issue(&["gw.example.com"]);
    next.write(house.dir(), "gw");
    house.tls.look_now();
    let started = clock::mono();
    while house.tls.numbers().renewed == 0 {
        assert!(clock::mono() - started < PATIENCE);
        tokio::task::yield_now().await;
    }
    assert!(house.shows(&next).await);
    looking.abort();
}
