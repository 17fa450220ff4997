//! Credentials: lured out, broken, endless. B9, B15, B16.

use std::time::Duration;

use serde_json::json;

use crate::rig::*;

const PASSWORD: &str = "correct horse";

/// A gateway that has credentials for the trunk `other`.
fn with_account() -> (Rig, std::path::PathBuf) {
    use std::os::unix::fs::OpenOptionsExt;
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("advisories-{}-{number}", std::process::id()));
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&path)
        .unwrap();
    std::io::Write::write_all(&mut file, PASSWORD.as_bytes()).unwrap();
    let auth = format!("auth = {{ username = \"us\", password_file = {path:?}, realm = \"other.example\" }}");
    (Rig::with("", &auth), path)
}

/// Dials and gives the INVITE that went out.
fn dial(rig: &mut Rig) -> String {
    let sent = rig.sent.len();
    rig.ask(
        "leg.dial",
        json!({"to": "sip:agent@10.0.3.1:5060", "trunk": "other"}),
    );
    rig.sent[sent..]
        .iter()
        .find(|(_, text)| text.starts_with("INVITE"))
        .expect("an INVITE")
        .1
        .clone()
}

/// A response to a request of the gateway.
fn answer(request: &str, status: &str, headers: &str) -> String {
    let kept = ["Via:", "From:", "Call-ID:", "CSeq:", "To:"];
    let lines = request
        .lines()
        .filter(|line| kept.iter().any(|name| line.starts_with(name)));
    let lines: String = lines
        .map(|line| match line.starts_with("To:") && !line.contains(";tag=") {
            true => format!("{line};tag=far\r\n"),
            false => format!("{line}\r\n"),
        })
        .collect();
    format!("SIP/2.0 {status}\r\n{lines}{headers}Content-Length: 0\r\n\r\n")
}

fn challenge(realm: &str, nonce: usize) -> String {
    format!(
        "Proxy-Authenticate: Digest realm=\"{realm}\", nonce=\"n{nonce}\", algorithm=SHA-256, qop=\"auth\"\r\n"
    )
}

fn authorized(texts: &[String]) -> usize {
    texts
        .iter()
        .filter(|text| text.contains("Authorization:"))
        .count()
}

#[test]
fn b9_strange_credentials_are_asked_anew_and_never_taken() {
    let line = sip::auth::Users::line("alice", "home.example", "secret", sip::auth::Algorithm::Sha256);
    let path = std::env::temp_dir().join(format!("advisories-users-{}", std::process::id()));
    std::fs::write(&path, line).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let keys = format!("accept_register = {{ realm = \"home.example\", users_file = {path:?} }}");
    let mut rig = Rig::with("", &keys);
    for (number, value) in [
        "Digest",
        "Digest ,,,",
        "Digest =x, =\"y\"",
        "Digest username=\"alice\", realm=\"elsewhere\", nonce=\"n\", uri=\"sip:a\", response=\"0\"",
        "Digest username=\"alice\", realm=\"home.example\"",
        "Digest username=\"alice\", username=\"bob\", realm=\"home.example\", nonce=\"n\", uri=\"sip:a\", response=\"0\"",
        "Digest username*=UTF-8''alice, userhash=true, realm=\"home.example\", nonce=\"n\", uri=\"sip:a\", response=\"0\"",
        "Digest username=\"alice\", realm=\"home.example\", nonce=\"\", uri=\"\", response=\"\", nc=zz, qop=auth, cnonce=\"\"",
        "Digest username=\"alice, realm=\"home.example\"",
        "Basic YWxpY2U6c2VjcmV0",
        "Bearer x.y.z",
    ]
    .iter()
    .enumerate()
    {
        let text = request("REGISTER", OTHER, &format!("b9x{number}"), &format!("Authorization: {value}\r\n"), "");
        let came = rig.udp(OTHER, text);
        assert!(matches!(status(&came), Some(401 | 400)), "{value}: {:?}", lines(&came));
    }
    assert_eq!(rig.core.endpoint().bindings(), 0);
    let _ = std::fs::remove_file(path);
    rig.assert_alive();
}

#[test]
fn b15_challenges_without_end_get_two_invites_and_no_more() {
    let (mut rig, path) = with_account();
    let mut last = dial(&mut rig);
    let mut invites = 1;
    for nonce in 0..20 {
        let came = rig.udp(
            OTHER,
            answer(
                &last,
                "407 Proxy Authentication Required",
                &challenge("other.example", nonce),
            ),
        );
        if let Some(again) = came.iter().find(|text| text.starts_with("INVITE")) {
            last = again.clone();
            invites += 1;
        }
    }
    assert_eq!(invites, 2);
    assert_eq!(rig.of("leg.ended").len(), 1);
    rig.run_for(Duration::from_secs(100));
    assert!(rig.is_at_rest());
    let _ = std::fs::remove_file(path);
}

#[test]
fn b16_no_credentials_for_a_stranger_another_trunk_another_realm_or_a_session_of_the_peer() {
    let (mut rig, path) = with_account();
    let asked = dial(&mut rig);
    for (from, realm) in [
        (STRANGER, "other.example"),
        (CARRIER, "other.example"),
        (OTHER, "evil.example"),
        (OTHER, ""),
    ] {
        let came = rig.udp(
            from,
            answer(&asked, "407 Proxy Authentication Required", &challenge(realm, 1)),
        );
        assert_eq!(authorized(&came), 0, "{from} {realm}: {came:?}");
        let came = rig.udp(
            from,
            answer(
                &asked,
                "401 Unauthorized",
                &challenge(realm, 1).replace("Proxy-", "WWW-"),
            ),
        );
        assert_eq!(authorized(&came), 0, "{from} {realm}: {came:?}");
    }
    // A call that the peer began: our BYE is challenged, as CVE-2021-41158 did.
    rig.udp(
        OTHER,
        invite(OTHER, "theirs", "", &SDP.replace("10.0.1.1", "10.0.3.1")),
    );
    let leg = rig.of("leg.incoming").last().unwrap()["leg"].clone();
    rig.ask("leg.answer", json!({"leg": leg.clone()}));
    let ok = rig
        .sent
        .iter()
        .rev()
        .find(|(_, text)| text.starts_with("SIP/2.0 200"))
        .unwrap()
        .1
        .clone();
    rig.udp(OTHER, in_dialog("ACK", OTHER, "theirs", &ok, 1));
    let sent = rig.sent.len();
    rig.ask("leg.hangup", json!({ "leg": leg }));
    let bye = rig.sent[sent..]
        .iter()
        .find(|(_, text)| text.starts_with("BYE"))
        .unwrap()
        .1
        .clone();
    for from in [OTHER, STRANGER] {
        let came = rig.udp(
            from,
            answer(
                &bye,
                "407 Proxy Authentication Required",
                &challenge("other.example", 7),
            ),
        );
        assert_eq!(authorized(&came), 0, "{came:?}");
    }
    let all: Vec<String> = rig.sent.iter().map(|(_, text)| text.clone()).collect();
    assert_eq!(authorized(&all), 0);
    let _ = std::fs::remove_file(path);
}
