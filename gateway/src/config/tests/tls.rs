//! TLS: good files, and every error with its exact words.

use std::path::PathBuf;

use super::*;
use crate::observe::testing::Scratch;

const LISTENER: &str =
    "[sip]\nlisten = [\"tls://127.0.0.1:5061\"]\n[sip.tls]\ncert = \"gw.pem\"\nkey = \"gw.key\"\n";

/// A folder with our certificate, its key, another key, and files that are none of these.
fn folder() -> Scratch {
    let dir = Scratch::new("tls-config");
    let [ours, other] =
        [(), ()].map(|()| rcgen::generate_simple_self_signed(vec!["gw.example".to_owned()]).unwrap());
    for (name, text) in [
        ("gw.pem", ours.cert.pem()),
        ("gw.key", ours.signing_key.serialize_pem()),
        ("other.key", other.signing_key.serialize_pem()),
        ("empty.pem", String::new()),
        (
            "torn.pem",
            "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n".to_owned(),
        ),
    ] {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

fn parse_in(dir: &Scratch, text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, &dir.path().join("gateway.toml"), None)
}

#[track_caller]
fn refused(dir: &Scratch, text: &str, expected: &[&str]) {
    let error = parse_in(dir, text).expect_err("must be refused").to_string();
    let at = dir.path().display().to_string();
    let error = error.replace(&format!("{at}/"), "");
    let expected: Vec<_> = expected
        .iter()
        .map(|line| format!("gateway.toml{line}"))
        .collect();
    assert_eq!(error, expected.join("\n"), "for\n{text}");
}

#[test]
fn keys_reach_their_fields() {
    let dir = folder();
    let text = format!(
        "{LISTENER}ca = \"gw.pem\"\nrequire_client_cert = true\nmin = \"1.3\"\n{CARRIER}\
         hosts = [\"192.0.2.1;transport=tls\", \"192.0.2.1:5071;transport=tls;priority=2\"]\n\
         tls = {{ ca = \"gw.pem\", cert = \"gw.pem\", key = \"gw.key\", name = \"SIP.carrier.example\", min = \"1.3\" }}\n"
    );
    let config = parse_in(&dir, &text).unwrap();
    let path = |name: &str| dir.path().join(name);
    let identity = IdentityFiles {
        cert: path("gw.pem"),
        key: path("gw.key"),
    };
    let listeners = SipTls {
        identity: identity.clone(),
        ca: Some(path("gw.pem")),
        require_client_cert: true,
        min: TlsVersion::V13,
    };
    assert_eq!(config.sip.tls, Some(listeners));
    let trunk = &config.trunks[0];
    let tls = TrunkTls {
        ca: Some(path("gw.pem")),
        identity: Some(identity),
        name: Some("sip.carrier.example".to_owned()),
        min: TlsVersion::V13,
        is_known_by_certificate: true,
    };
    assert_eq!(trunk.tls, Some(tls));
    let ports: Vec<_> = trunk
        .hosts
        .iter()
        .filter_map(|host| Some(host.literal()?.1.port()))
        .collect();
    assert_eq!(ports, [5061, 5071]);
    let line = trunk.profile().replace(&format!("{}/", dir.path().display()), "");
    let line = line
        .lines()
        .find(|line| line.starts_with("  tls = "))
        .unwrap()
        .to_owned();
    assert_eq!(
        line,
        "  tls = ca gw.pem, cert gw.pem, name sip.carrier.example, min 1.3, from peers that connect needed"
    );
}

#[test]
fn a_trunk_is_known_by_its_certificate_where_it_is_mutual_or_all_must_show_one() {
    let dir = folder();
    let all = "ca = \"gw.pem\"\nrequire_client_cert = true\n";
    for (listener, trunk, is_known) in [
        ("", "", false),
        (all, "", false),
        ("", "tls = { name = \"a.example\" }\n", false),
        (all, "tls = { name = \"a.example\" }\n", true),
        ("", "tls = { cert = \"gw.pem\", key = \"gw.key\" }\n", true),
    ] {
        let config = parse_in(&dir, &format!("{LISTENER}{listener}{CARRIER}{trunk}")).unwrap();
        assert_eq!(
            config.trunks[0].is_known_by_certificate(),
            is_known,
            "{listener}{trunk}"
        );
        assert_eq!(config.has_certificates(), is_known);
    }
}

#[test]
fn files_that_cannot_be_used_are_named_with_their_key() {
    let dir = folder();
    for (from, to, expected) in [
        (
            "gw.pem",
            "none.pem",
            ":4: sip.tls.cert: none.pem: cannot be read: No such file or directory (os error 2); check its path and its rights",
        ),
        (
            "gw.key",
            "none.key",
            ":5: sip.tls.key: none.key: cannot be read: No such file or directory (os error 2); check its path and its rights",
        ),
        (
            "gw.key",
            "other.key",
            ":5: sip.tls.key: other.key: is not the key of the certificate; write the one it was made with",
        ),
        (
            "gw.key",
            "gw.pem",
            ":5: sip.tls.key: gw.pem: has no private key; write a PEM file with one, not encrypted",
        ),
        (
            "gw.pem",
            "empty.pem",
            ":4: sip.tls.cert: empty.pem: has no certificate; write a PEM file with `BEGIN CERTIFICATE`",
        ),
        (
            "gw.pem",
            "torn.pem",
            ":4: sip.tls.cert: torn.pem: has a certificate that cannot be read; write it again from its source",
        ),
    ] {
        refused(&dir, &LISTENER.replace(from, to), &[expected]);
    }
    refused(
        &dir,
        &format!(
            "{LISTENER}{CARRIER}tls = {{ ca = \"torn.pem\", cert = \"gw.pem\", key = \"other.key\" }}\n"
        ),
        &[
            ":9: trunk[0].tls.key: other.key: is not the key of the certificate; write the one it was made with",
            ":9: trunk[0].tls.ca: torn.pem: has a certificate that cannot be read; write it again from its source",
        ],
    );
}

#[test]
fn keys_that_need_each_other() {
    let dir = folder();
    let listen = "[sip]\nlisten = [\"udp://127.0.0.1:5060\", \"tls://127.0.0.1:5061\"]\n";
    refused(
        &dir,
        listen,
        &[":2: sip.listen[1]: `tls://` needs `sip.tls`; set it"],
    );
    refused(
        &dir,
        &LISTENER.replace("key = \"gw.key\"\n", ""),
        &[":3: sip.tls.key: missing; add `key`"],
    );
    refused(
        &dir,
        &format!("{LISTENER}require_client_cert = true\n"),
        &[":6: sip.tls.require_client_cert: `require_client_cert` needs `sip.tls.ca`; set it"],
    );
    refused(
        &dir,
        &format!("{CARRIER}tls = {{ cert = \"gw.pem\" }}\n"),
        &[":4: trunk[0].tls.cert: `cert` needs `tls.key`; set it"],
    );
    refused(
        &dir,
        &format!("{CARRIER}tls = {{ key = \"gw.key\" }}\n"),
        &[":4: trunk[0].tls.key: `key` needs `tls.cert`; set it"],
    );
    refused(
        &dir,
        &format!("{CARRIER}tls = {{ name = \"sip:a.example\", min = \"1.1\" }}\n"),
        &[":4: trunk[0].tls.min: must be one of `1.2`, `1.3`, is `1.1`"],
    );
    refused(
        &dir,
        &format!("{CARRIER}tls = {{ name = \"sip:a.example\" }}\n"),
        &[
            ":4: trunk[0].tls.name: `sip:a.example` is not a name that a certificate shows; write a domain like `sip.example.com`, or an address",
        ],
    );
    refused(
        &dir,
        &format!("{CARRIER}hosts = [\"192.0.2.1;transport=tls\"]\n"),
        &[
            ":4: trunk[0].hosts[0]: tls to 192.0.2.1:5061 needs a listener of the same transport and address family; add `tls://…` to `sip.listen`",
        ],
    );
    refused(
        &dir,
        &format!(
            "{LISTENER}{CARRIER}hosts = [\"192.0.2.1\"]\ntls = {{ cert = \"gw.pem\", key = \"gw.key\" }}\n"
        )
        .replace(
            "\"tls://127.0.0.1:5061\"",
            "\"tls://127.0.0.1:5061\", \"udp://127.0.0.1:5060\"",
        ),
        &[
            ":9: trunk[0].hosts[0]: this trunk is known by its certificate, which UDP and TCP do not show; write `transport=tls`, or remove `tls` from the trunk",
        ],
    );
}

#[test]
fn trunks_that_share_a_source_are_told_apart_by_name() {
    let dir = folder();
    let second = CARRIER.replace("carrier", "second");
    let two = |first: &str, other: &str| format!("{LISTENER}{CARRIER}{first}\n{second}{other}\n");
    let config = parse_in(
        &dir,
        &two("tls = { name = \"a.example\" }", "tls = { name = \"b.example\" }"),
    );
    let config = config.unwrap();
    assert!(config.trunks.iter().all(Trunk::is_known_by_certificate));
    assert_eq!(config.trunks_around("192.0.2.9".parse().unwrap()), [0, 1]);
    let shared = ":12: trunk[1].allow[0]: 192.0.2.0/24 is also in `allow` of trunk `carrier`; a source can belong to one trunk only, so remove it from `second` or from `carrier`, or give both a `tls.name` of their own";
    for (first, other) in [
        ("tls = { name = \"a.example\" }", "#"),
        ("tls = { name = \"a.example\" }", "tls = { name = \"A.example\" }"),
        ("tls = { ca = \"gw.pem\" }", "tls = { name = \"b.example\" }"),
    ] {
        refused(&dir, &two(first, other), &[shared]);
    }
    refused(
        &dir,
        &two(
            "tls = { name = \"a.example\" }",
            "tls = { name = \"b.example\", ca = \"gw.pem\" }",
        ),
        &[
            ":12: trunk[1].allow[0]: trunk `carrier` has the same source, so both need the same `tls.ca` and `tls.min`: the chain of a certificate is checked before its name",
        ],
    );
}

#[test]
fn one_connection_has_one_tls() {
    let dir = folder();
    let host = "hosts = [\"192.0.2.1;transport=tls\"]\n";
    let second = CARRIER
        .replace("carrier", "second")
        .replace("192.0.2.0/24", "203.0.113.1");
    let text = format!("{LISTENER}{CARRIER}{host}{second}{host}");
    assert!(parse_in(&dir, &text).is_ok());
    refused(
        &dir,
        &format!("{text}tls = {{ name = \"b.example\" }}\n"),
        &[
            ":13: trunk[1].hosts[0]: `192.0.2.1;transport=tls` is already at trunk[0].hosts[0]; one connection serves both, so give both trunks the same `tls`",
        ],
    );
}

#[test]
fn paths_are_taken_from_the_folder_of_the_file() {
    let dir = folder();
    let text = LISTENER.replace("gw.key", &dir.path().join("gw.key").display().to_string());
    let files = parse_in(&dir, &text).unwrap().sip.tls.unwrap().identity;
    assert_eq!(files.cert, PathBuf::from(dir.path()).join("gw.pem"));
}

/// The rows of each carrier as they come out over TLS, with nothing left for a later version.
#[test]
fn every_preset_is_whole_over_tls() {
    let dir = folder();
    let of = |preset: &str, keys: &str| {
        let text = format!(
            "{LISTENER}[[trunk]]\nname = \"t\"\npreset = \"{preset}\"\nallow = [\"192.0.2.0/24\"]\n\
             hosts = [\"192.0.2.1;transport=tls\"]\n{keys}"
        );
        parse_in(&dir, &text).unwrap().trunks.remove(0).profile()
    };
    for (preset, keys, lines) in [
        (
            "generic",
            "",
            &["srtp = off", "refuses: offers of RTP/SAVP: 488 (srtp=off)"][..],
        ),
        (
            "twilio",
            "",
            &[
                "calls_per_second = 1",
                "srtp = optional",
                "number_out = e164_plus",
            ],
        ),
        ("telnyx", "", &["srtp = optional", "number_out = e164_plus"]),
        (
            "bandwidth",
            "",
            &["codecs = [PCMU, PCMA]", "number_out = e164_plus"],
        ),
        (
            "chime",
            "",
            &[
                "calls_per_second = 1",
                "srtp = optional",
                "number_out = e164_plus",
            ],
        ),
        (
            "teams",
            "contact_host = \"gw.example\"\n",
            &[
                "srtp = required",
                "hold = inactive",
                "user_phone = true",
                "rel100 = supported",
                "session_timer = supported",
                "refuses: offers without keys: 488",
            ],
        ),
        (
            "japan",
            "",
            &[
                "home_country = JP",
                "number_out = national",
                "identity_out = ppi",
                "codecs = [PCMU]\n",
            ],
        ),
    ] {
        let profile = of(preset, keys);
        for line in lines {
            assert!(
                profile.contains(&format!("\n  {line}")),
                "{preset} {line}\n{profile}"
            );
        }
        assert!(!profile.contains("not in this version"), "{profile}");
    }
}
