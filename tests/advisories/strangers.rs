//! Whoever is in no trunk, and whoever lies about who he is: B17, B18, B23, B24.

use std::time::{Duration, Instant};

use sip::endpoint::Transport;

use crate::rig::*;

/// Methods that are registered, and one that is not.
pub const METHODS: [&str; 15] = [
    "INVITE",
    "ACK",
    "BYE",
    "CANCEL",
    "OPTIONS",
    "REGISTER",
    "PRACK",
    "UPDATE",
    "INFO",
    "SUBSCRIBE",
    "NOTIFY",
    "REFER",
    "MESSAGE",
    "PUBLISH",
    "X-ODD",
];

#[test]
fn b17_every_method_of_a_stranger_is_dropped_whoever_he_says_he_is() {
    let mut rig = Rig::new();
    for method in METHODS {
        let spoofed = request(
            method,
            CARRIER,
            &format!("b17{method}"),
            "Content-Type: application/sdp\r\n",
            SDP,
        );
        assert_eq!(rig.udp(STRANGER, &spoofed), Vec::<String>::new(), "{method}");
        let (came, is_closed) = rig.tcp(STRANGER, &spoofed);
        assert_eq!((came.len(), is_closed), (0, true), "{method}");
        // The carrier's own requests pass one rule: outside a dialog only these make anything.
        let came = rig.udp(CARRIER, request(method, CARRIER, &format!("own{method}"), "", ""));
        let expected: &[Option<u16>] = match method {
            "INVITE" => &[Some(100)],
            "ACK" => &[None],
            "OPTIONS" => &[Some(200)],
            "BYE" | "CANCEL" | "PRACK" | "UPDATE" | "INFO" | "NOTIFY" => &[Some(481)],
            _ => &[Some(405), Some(501)],
        };
        assert!(expected.contains(&status(&came)), "{method}: {:?}", lines(&came));
    }
    // A datagram; a connection, and what came over it before it was closed.
    assert_eq!(rig.dropped("unlisted_source"), 3 * METHODS.len() as u64);
    rig.run_for(Duration::from_secs(100));
    assert!(rig.is_at_rest());
}

#[test]
fn b18_an_unlisted_address_never_makes_a_dialog_whatever_it_sends() {
    let mut rig = Rig::new();
    let mut dice = Dice(0xb18);
    let lure = [
        "",
        "Route: <sip:10.0.1.1;lr>\r\n",
        "P-Asserted-Identity: <sip:a@10.0.1.1>\r\n",
        "X-Forwarded-For: 10.0.1.1\r\n",
    ];
    for run in 0..2_000 * factor() {
        let octet = |dice: &mut Dice| dice.below(256);
        let ip = match dice.below(4) {
            // Beside the lists by one.
            0 => format!("10.0.{}.{}", [0, 2, 4][dice.below(3)], octet(&mut dice)),
            1 => format!("[::ffff:10.0.2.{}]", octet(&mut dice)),
            2 => format!("[2001:db8::{:x}]", dice.below(65_536)),
            _ => format!(
                "{}.{}.{}.1",
                11 + dice.below(200),
                octet(&mut dice),
                octet(&mut dice)
            ),
        };
        let from = format!("{ip}:{}", 1_024 + dice.below(60_000));
        let method = METHODS[dice.below(METHODS.len())];
        let text = request(
            method,
            CARRIER,
            &format!("b18x{run}"),
            lure[dice.below(lure.len())],
            SDP,
        );
        assert_eq!(rig.udp(&from, text), Vec::<String>::new(), "{from} {method}");
        assert!(rig.is_at_rest(), "{from} {method}");
    }
    // Mapped into IPv6 a listed address is itself.
    let came = rig.udp(
        "[::ffff:10.0.1.1]:5060",
        request("OPTIONS", CARRIER, "mapped", "", ""),
    );
    assert_eq!(status(&came), Some(200));
    assert_eq!(rig.of("leg.incoming").len(), 0);
}

/// A user there is and one there is not: the same words, and no more time for the one than for the other.
#[test]
fn b23_known_and_unknown_users_look_alike_in_text_and_time() {
    let line = sip::auth::Users::line("alice", "home.example", "secret", sip::auth::Algorithm::Sha256);
    let path = std::env::temp_dir().join(format!("advisories-b23-{}", std::process::id()));
    std::fs::write(&path, line).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let keys = format!("accept_register = {{ realm = \"home.example\", users_file = {path:?} }}");
    let mut rig = Rig::with("", &keys);
    let mut times: [Vec<f64>; 2] = Default::default();
    let mut words: [Vec<String>; 2] = Default::default();
    for round in 0..400 {
        for (which, user) in ["alice", "nobody"].into_iter().enumerate() {
            let branch = format!("r{round}{user}");
            let asked = rig.udp(OTHER, request("REGISTER", OTHER, &branch, "", ""));
            let nonce = asked[0]
                .split("nonce=\"")
                .nth(1)
                .unwrap()
                .split('"')
                .next()
                .unwrap()
                .to_owned();
            let value = format!(
                "Authorization: Digest username=\"{user}\", realm=\"home.example\", nonce=\"{nonce}\", uri=\"sip:+4930123456@10.0.0.1\", \
                 response=\"{:064}\", algorithm=SHA-256, qop=auth, nc=00000001, cnonce=\"c\"\r\n",
                0
            );
            let text = request("REGISTER", OTHER, &format!("{branch}a"), &value, "");
            let begun = Instant::now();
            let came = rig.udp(OTHER, text);
            times[which].push(begun.elapsed().as_secs_f64());
            words[which].push(came[0].lines().next().unwrap().to_owned());
            rig.sent.clear();
        }
        // An address may guess 60 times a minute.
        rig.run_for(Duration::from_secs(3));
    }
    let _ = std::fs::remove_file(path);
    assert_eq!(words[0], words[1]);
    assert!(
        words[0].iter().all(|line| line.starts_with("SIP/2.0 401")),
        "{words:?}"
    );
    let t = welch_t(&mut times);
    assert!(
        t.abs() < 6.0,
        "the times of known and unknown users differ: t = {t:.1}"
    );
}

/// Welch's t of two samples without their slowest tenth, which is the machine's.
fn welch_t(samples: &mut [Vec<f64>; 2]) -> f64 {
    let [a, b] = samples.each_mut().map(|sample| {
        sample.sort_by(f64::total_cmp);
        sample.truncate(sample.len() * 9 / 10);
        let mean = sample.iter().sum::<f64>() / sample.len() as f64;
        let squares = sample.iter().map(|time| (time - mean).powi(2)).sum::<f64>();
        (mean, squares / (sample.len() - 1) as f64 / sample.len() as f64)
    });
    (a.0 - b.0) / (a.1 + b.1).sqrt()
}

#[test]
fn b24_not_a_byte_goes_to_an_unlisted_source_then_or_later() {
    let mut rig = Rig::new();
    for method in METHODS {
        for (number, body) in [String::new(), SDP.to_owned(), "x".repeat(20_000)]
            .iter()
            .enumerate()
        {
            rig.udp(
                STRANGER,
                request(
                    method,
                    STRANGER,
                    &format!("b24{method}{number}"),
                    "Supported: 100rel\r\n",
                    body,
                ),
            );
        }
        rig.udp(
            STRANGER,
            request(method, STRANGER, "b24", "Content-Length: 5\r\n", ""),
        );
    }
    for response in [
        "SIP/2.0 200 OK",
        "SIP/2.0 407 Proxy Authentication Required",
        "SIP/2.0 302 Moved",
    ] {
        rig.udp(
            STRANGER,
            request("INVITE", STRANGER, "b24r", "", "").replacen(
                "INVITE sip:+4930123456@10.0.0.1 SIP/2.0",
                response,
                1,
            ),
        );
    }
    rig.udp(STRANGER, "\r\n\r\n");
    rig.udp(STRANGER, [0; 4]);
    rig.run_for(Duration::from_secs(100));
    assert_eq!(rig.bytes_out, 0);
    // A listed one that asks from its own address and names a stranger in Via: the answer goes to the asker.
    rig.udp(CARRIER, request("OPTIONS", STRANGER, "b24v", "", ""));
    let to_stranger = rig
        .sent
        .iter()
        .filter(|(flow, _)| flow.remote == address(STRANGER));
    assert_eq!(to_stranger.count(), 0);
    assert!(rig.sent.iter().all(|(flow, _)| flow.transport == Transport::Udp));
}
