//! Every kind of error with its exact words.

use std::path::Path;

use super::*;

#[track_caller]
fn refused(text: &str, expected: &[&str]) {
    let error = parse(text).expect_err("must be refused").to_string();
    let expected = expected
        .iter()
        .map(|line| format!("/etc/gw/gateway.toml{line}"))
        .collect::<Vec<_>>();
    assert_eq!(error, expected.join("\n"), "for\n{text}");
}

/// One line after the carrier's three: line 4.
#[track_caller]
fn trunk_refused(line: &str, expected: &str) {
    refused(
        &format!("{CARRIER}{line}\n"),
        &[&format!(":4: trunk[0].{expected}")],
    );
}

#[test]
fn text_that_is_no_toml() {
    refused(
        "instance = \"main\"\nlimits = [\n",
        &[":2: not TOML: unclosed array, expected `]`"],
    );
    refused(
        "a = 1\na = 2\n",
        &[":2: not TOML: duplicate key `a`; keep one of them"],
    );
}

#[test]
fn emergency_calls_need_a_country_and_a_peer() {
    let trunk = "[[trunk]]\nname = \"a\"\nallow = [\"10.0.0.0/8\"]\n";
    refused(
        &format!("{trunk}emergency = true\n"),
        &[
            ":4: trunk[0].emergency: `true` needs `home_country`; set it",
            ":4: trunk[0].emergency: `true` needs `hosts`; set it",
        ],
    );
}

#[test]
fn file_that_is_not_there() {
    let error = Config::load(Path::new("/nonexistent/gateway.toml"), None)
        .expect_err("no such file")
        .to_string();
    assert_eq!(
        error,
        "/nonexistent/gateway.toml: cannot be read: No such file or directory (os error 2)"
    );
}

#[test]
fn unknown_keys_name_the_nearest_one() {
    refused(
        "[limits]\ncals = 5\n",
        &[":2: limits.cals: unknown key; did you mean `calls`?"],
    );
    refused("[sipp]\n", &[":1: sipp: unknown key; did you mean `sip`?"]);
    refused(
        "banana = 1\n",
        &[":1: banana: unknown key; remove it (`media-gateway schema --config` lists all)"],
    );
    trunk_refused("call_in = 5", "call_in: unknown key; did you mean `calls_in`?");
}

#[test]
fn keys_of_later_versions_are_refused_by_name() {
    let later = "not available in this version; remove the key";
    refused(
        "[http]\ntokens = \"tokens.toml\"\n",
        &[&format!(":2: http.tokens: {later}")],
    );
    refused(
        "[[instance]]\nname = \"b\"\n",
        &[&format!(":1: instance: {later}")],
    );
}

#[test]
fn words_of_later_versions_are_refused_by_name() {
    trunk_refused(
        "t38 = \"pass\"",
        "t38: `pass` is not available in this version; use `refuse`",
    );
    trunk_refused(
        "options_interval_s = 5",
        "options_interval_s: must be 10 to 600, is 5",
    );
    trunk_refused(
        "hosts = [\"sip_example.com:5060\"]",
        "hosts[0]: `sip_example.com:5060` is not a peer; write one like `192.0.2.1:5060;transport=udp;priority=1;weight=1`, or a domain in its place",
    );
    trunk_refused(
        "hosts = [\"192.0.2.1:5061;transport=wss\"]",
        "hosts[0]: `transport=wss` is not available in this version; use `transport=udp`, `transport=tcp` or `transport=tls`",
    );
    refused(
        "[sip]\nlisten = [\"wss://127.0.0.1:5061\"]\n",
        &[
            ":2: sip.listen[0]: `wss://` is not available in this version; listen on `udp://`, `tcp://` or `tls://`",
        ],
    );
    refused(
        "[recordings]\nencrypt = true\n",
        &[
            ":2: recordings.encrypt: `true` is not available in this version; set it to `false`; recordings are plain WAV files",
        ],
    );
    refused(
        "[[number]]\nmatch = \"*\"\nunclaimed = { action = \"forward\" }\n",
        &[":3: number[0].unclaimed.action: `forward` is not available in this version; use `reject`"],
    );
    refused(
        "[app.default]\non_controller_lost = { action = \"fallback\" }\n",
        &[
            ":2: app.default.on_controller_lost.action: `fallback` is not available in this version; use `keep` or `music` or `hangup`",
        ],
    );
}

#[test]
fn forms_of_numbers_that_no_tel_uri_has_are_refused() {
    trunk_refused(
        "uri = \"tel\"\nnumber_out = \"e164\"",
        "uri: `tel` needs `number_out = \"e164_plus\"`; set it",
    );
    trunk_refused(
        "uri = \"tel\"\nprefix_out = \"9\"",
        "uri: `tel` needs `prefix_out = \"\"`; set it",
    );
}

#[test]
fn signed_callers_need_their_files() {
    trunk_refused(
        "stir_in = \"verify\"",
        "stir_in: `verify` needs `stir_anchors`; set it",
    );
    trunk_refused(
        "stir_out = \"sign\"\nstir_attest = \"A\"\nstir_key = \"k.pem\"",
        "stir_out: `sign` needs `stir_x5u`; set it",
    );
    trunk_refused(
        "stir_anchors = \"/nonexistent/anchors.pem\"",
        "stir_anchors: /nonexistent/anchors.pem: cannot be read: No such file or directory (os error 2)",
    );
    trunk_refused(
        "stir_certs = \"/nonexistent/certs\"",
        "stir_certs: /nonexistent/certs: cannot be read: No such file or directory (os error 2)",
    );
    refused(
        &format!(
            "{CARRIER}stir_out = \"sign\"\nstir_attest = \"A\"\nstir_x5u = \"http://x/y\"\nstir_key = \"/dev/null\"\n"
        ),
        &[
            ":6: trunk[0].stir_x5u: `http://x/y` is not the URL of our certificate; write one like `https://cert.example.com/stir.pem`",
            ":7: trunk[0].stir_key: /dev/null: holds no P-256 key as PKCS #8 in PEM",
        ],
    );
}

#[test]
fn certificates_are_fetched_from_hosts_that_are_hosts() {
    for (keys, error) in [
        (
            "",
            "stir_hosts: `stir_hosts` needs `stir_in = \"verify\"`; set it",
        ),
        (
            "stir_in = \"pass\"",
            "stir_hosts: `stir_hosts` needs `stir_in = \"verify\"`; set it",
        ),
    ] {
        trunk_refused(&format!("stir_hosts = [\"cert.example.com\"]\n{keys}"), error);
    }
    refused(
        &format!("{CARRIER}stir_in = \"verify\"\nstir_hosts = [\"ok.example\", \"https://x\"]\n"),
        &[
            ":4: trunk[0].stir_in: `verify` needs `stir_anchors`; set it",
            ":5: trunk[0].stir_hosts[1]: `https://x` is not a host; write one like `cert.example.com` or `cert.example.com:8443`",
        ],
    );
    refused(
        "[stir]\nfetch_ca = \"/nonexistent/ca.pem\"\n",
        &[
            ":2: stir.fetch_ca: `fetch_ca` needs `trunk.stir_hosts`; set it",
            ":2: stir.fetch_ca: /nonexistent/ca.pem: cannot be read: No such file or directory (os error 2); check its path and its rights",
        ],
    );
}

#[test]
fn missing_keys_are_asked_for() {
    refused(
        "[[trunk]]\nname = \"a\"\n",
        &[":1: trunk[0].allow: missing; add `allow`"],
    );
    refused(
        "\n[[number]]\napp = \"a\"\n",
        &[":2: number[0].match: missing; add `match`"],
    );
    trunk_refused(
        "auth = { username = \"u\" }",
        "auth.password_file: missing; add `password_file`",
    );
}

#[test]
fn wrong_types() {
    refused(
        "[limits]\ncalls = \"many\"\n",
        &[":2: limits.calls: must be a whole number, is a text in quotes"],
    );
    refused(
        "[limits]\ncalls = 1.5\n",
        &[":2: limits.calls: must be a whole number, is a number with a point"],
    );
    refused("sip = 5\n", &[":1: sip: must be a table, is a whole number"]);
    refused(
        "[media]\naddress = true\n",
        &[":2: media.address: must be a text in quotes or a list, is true or false"],
    );
    trunk_refused(
        "hosts = \"192.0.2.1\"",
        "hosts: must be a list, is a text in quotes",
    );
    trunk_refused(
        "agents = \"yes\"",
        "agents: must be true or false, is a text in quotes",
    );
    trunk_refused(
        "route_on = [503, \"x\"]",
        "route_on[1]: must be a whole number, is a text in quotes",
    );
}

#[test]
fn numbers_out_of_bounds() {
    refused(
        "[limits]\ncalls = 0\n",
        &[":2: limits.calls: must be 1 to 100000, is 0"],
    );
    refused(
        "[limits]\nmax_duration_s = -1\n",
        &[":2: limits.max_duration_s: must be 0 to 604800, is -1"],
    );
    refused(
        "[recordings]\nmin_free_mb = 99_999_999_999\n",
        &[":2: recordings.min_free_mb: must be 0 to 4294967295, is 99999999999"],
    );
    trunk_refused("calls = 0", "calls: must be 1 to 100000, is 0");
    trunk_refused("timer_b_ms = 500", "timer_b_ms: must be 1000 to 32000, is 500");
    trunk_refused("min_se_s = 4", "min_se_s: must be 5 to 86400, is 4");
    trunk_refused(
        "session_expires_s = 60",
        "session_expires_s: must be 90 to 86400, is 60",
    );
    trunk_refused("media_timeout_s = 4", "media_timeout_s: must be 5 to 3600, is 4");
}

#[test]
fn lists_and_texts_of_the_wrong_length() {
    refused(
        "[sip]\nlisten = []\n",
        &[":2: sip.listen: must have 1 to 16 entries, has 0"],
    );
    refused(
        "[[trunk]]\nname = \"a\"\nallow = []\n",
        &[":3: trunk[0].allow: must have 1 to 1024 entries, has 0"],
    );
    refused(
        "instance = \"\"\n",
        &[":1: instance: must have 1 to 64 characters, has 0"],
    );
}

#[test]
fn words_outside_a_closed_list() {
    trunk_refused(
        "dtmf = \"smoke\"",
        "dtmf: must be one of `rfc4733`, `info`, `inband`, is `smoke`",
    );
    trunk_refused(
        "rel100 = \"often\"",
        "rel100: must be one of `off`, `supported`, `required`, is `often`",
    );
    trunk_refused(
        "refresh_by = \"bye\"",
        "refresh_by: must be one of `auto`, `update`, `reinvite`, is `bye`",
    );
    trunk_refused(
        "limit_status = 500",
        "limit_status: must be one of 503, 486, is `500`",
    );
    trunk_refused(
        "ptime_ms = 25",
        "ptime_ms: must be one of 10, 20, 30, 40, 60, is `25`",
    );
    trunk_refused(
        "route_on = [486]",
        "route_on[0]: must be one of 403, 408, 480, 488, 500, 502, 503, 504, is `486`",
    );
}

#[test]
fn texts_that_cannot_be_read() {
    let peer = "is not a peer; write one like `192.0.2.1:5060;transport=udp;priority=1;weight=1`, or a domain in its place";
    trunk_refused(
        "hosts = [\"192.0.2.1:x\"]",
        &format!("hosts[0]: `192.0.2.1:x` {peer}"),
    );
    trunk_refused(
        "hosts = [\"192.0.2.1;weight=a\"]",
        &format!("hosts[0]: `192.0.2.1;weight=a` {peer}"),
    );
    trunk_refused(
        "hosts = [\"192.0.2.1:0\"]",
        &format!("hosts[0]: `192.0.2.1:0` {peer}"),
    );
    trunk_refused(
        "media_allow = [\"10.0.0.0/33\"]",
        "media_allow[0]: `10.0.0.0/33` is not a network; write one like `10.0.0.0/8`, `2001:db8::/32` or `192.0.2.1`",
    );
    trunk_refused(
        "caller_ids = [\"0312345678\"]",
        "caller_ids[0]: `0312345678` is not a number pattern; write `+81312345678`, `+81*` or `*`",
    );
    trunk_refused(
        "home_country = \"XX\"",
        "home_country: `XX` is not a region; write an ISO 3166 code like `JP`",
    );
    trunk_refused(
        "prefix_out = \"9#\"",
        "prefix_out: `9#` is not a prefix; write digits only",
    );
    trunk_refused(
        "headers_out = [\"Via\"]",
        "headers_out[0]: `Via` is not a header that may cross; write a name like `X-Tenant`, not one the gateway handles itself",
    );
    trunk_refused(
        "from_host = \"sip:x\"",
        "from_host: `sip:x` is not a host; write an address or a domain name, without scheme or port",
    );
    trunk_refused(
        "media_address = \"here\"",
        "media_address: `here` is not an IP address; write one like `192.0.2.1` or `2001:db8::1`",
    );
}

#[test]
fn texts_outside_trunks_that_cannot_be_read() {
    refused(
        "instance = \"a b\"\n",
        &[":1: instance: `a b` is not a name; use letters, digits, `-`, `_` and `.` only"],
    );
    refused(
        "[sip]\nlisten = [\"udp://localhost:5060\"]\n",
        &[
            ":2: sip.listen[0]: `udp://localhost:5060` is not a listener; write one like `udp://127.0.0.1:5060`",
        ],
    );
    refused(
        "[http]\nlisten = \"8080\"\n",
        &[":2: http.listen: `8080` is not an address with port; write one like `127.0.0.1:8080`"],
    );
    refused(
        "[dial]\ndeny_prefixes = [\"447\"]\n",
        &[":2: dial.deny_prefixes[0]: `447` is not a prefix; write it with `+` and digits, like `+447`"],
    );
    refused(
        "[dial.prefixes.JP]\n18a = \"ignore\"\n",
        &[":2: dial.prefixes.JP.18a: `18a` is not a dial prefix; write 1 to 8 digits, like `184`"],
    );
    for ports in ["20001-29999", "20000-30000", "30000-20001", "80-99", "20000"] {
        let expected = "is not a port range; write `FIRST-LAST`, FIRST even and at least 1024, LAST odd and above it, like `20000-29999`";
        refused(
            &format!("[media]\nports = \"{ports}\"\n"),
            &[&format!(":2: media.ports: `{ports}` {expected}")],
        );
    }
}

#[test]
fn names_taken_twice() {
    let twice = format!("{CARRIER}{}", CARRIER.replace("192.0.2.0", "198.51.100.0"));
    refused(
        &twice,
        &[":5: trunk[1].name: `carrier` is already at trunk[0]; give each trunk its own name"],
    );
    let numbers = "[[number]]\nmatch = \"+81*\"\n[[number]]\nmatch = \"+81*\"\n";
    refused(
        numbers,
        &[":4: number[1].match: `+81*` is already at number[0]; remove one"],
    );
    let listen = "[sip]\nlisten = [\n  \"udp://127.0.0.1:5060\",\n  \"udp://127.0.0.1:5060\",\n]\n";
    refused(
        listen,
        &[":4: sip.listen[1]: `udp://127.0.0.1:5060` is already at sip.listen[0]; remove one"],
    );
    trunk_refused(
        "codecs = [\"PCMU\", \"PCMU\"]",
        "codecs[1]: `PCMU` is already at trunk[0].codecs[0]; remove one",
    );
}

#[test]
fn a_source_belongs_to_one_trunk() {
    let shared =
        format!("{CARRIER}[[trunk]]\nname = \"agents\"\nallow = [\"10.0.0.0/8\", \"192.0.2.77/24\"]\n");
    refused(
        &shared,
        &[
            ":6: trunk[1].allow[1]: 192.0.2.0/24 is also in `allow` of trunk `carrier`; a source can belong to one trunk only, so remove it from `agents` or from `carrier`, or give both a `tls.name` of their own",
        ],
    );
    let nested = shared.replace("192.0.2.77/24", "192.0.2.77");
    let config = parse(&nested).expect("a longer prefix inside a shorter one is fine");
    let owner = |source: &str| {
        config
            .trunk_by_source(source.parse().unwrap())
            .map(|trunk| trunk.name.as_str())
    };
    assert_eq!(owner("192.0.2.77"), Some("agents"));
    assert_eq!(owner("192.0.2.78"), Some("carrier"));
    assert_eq!(owner("203.0.113.1"), None);
}

#[test]
fn references_between_keys() {
    trunk_refused(
        "hosts = [\"[2001:db8::1]:5060;transport=tcp\"]",
        "hosts[0]: tcp to [2001:db8::1]:5060 needs a listener of the same transport and address family; add `tcp://…` to `sip.listen`",
    );
    trunk_refused(
        "listen = \"udp://127.0.0.1:5070\"",
        "listen: `udp://127.0.0.1:5070` is not in `sip.listen`; write one of `udp://127.0.0.1:5060`, `tcp://127.0.0.1:5060`",
    );
    trunk_refused(
        "media_address = \"10.0.0.1\"",
        "media_address: `10.0.0.1` is not in `media.address`; write one of `127.0.0.1`",
    );
    trunk_refused(
        "number_in = \"national\"",
        "number_in: `national` needs `home_country`; set it",
    );
    refused(
        "[sip]\nlisten = [\"udp://0.0.0.0:5060\"]\n",
        &[":2: sip.listen[0]: 0.0.0.0 means every address, which a peer cannot be told; set `sip.advertise`"],
    );
    refused(
        "[media]\naddress = \"0.0.0.0\"\n",
        &[
            ":2: media.address: 0.0.0.0 means every address, which a peer cannot be told; set `media.advertise`",
        ],
    );
    refused(
        "[media]\nports = \"20000-20003\"\nshards = 3\n",
        &[":2: media.ports: 2 port pairs are fewer than the 3 media shards; widen the range"],
    );
    refused(
        &format!("[control]\nunix = \"/{}\"\n", "s".repeat(107)),
        &[":2: control.unix: 108 bytes are too long for a Unix socket (at most 107); choose a shorter path"],
    );
    trunk_refused(
        "auth = { username = \"u\", password_file = \"none\" }",
        "auth.password_file: /etc/gw/none: cannot be read: No such file or directory (os error 2)",
    );
}

#[test]
fn every_fault_of_a_file_is_shown_in_the_order_of_lines() {
    refused(
        "instance = \"a b\"\n[media]\nports = \"1-2\"\nshards = 1\n[[trunk]]\nname = \"t\"\nallow = [\"x\"]\n",
        &[
            ":1: instance: `a b` is not a name; use letters, digits, `-`, `_` and `.` only",
            ":3: media.ports: `1-2` is not a port range; write `FIRST-LAST`, FIRST even and at least 1024, LAST odd and above it, like `20000-29999`",
            ":7: trunk[0].allow[0]: `x` is not a network; write one like `10.0.0.0/8`, `2001:db8::/32` or `192.0.2.1`",
        ],
    );
}

#[test]
fn keys_of_media_go_over_encrypted_signalling_or_by_word_of_the_operator() {
    let remedy = "let the trunk `listen` on a `tls://` address with `transport=tls` in `hosts`, or set `srtp_without_tls = true` where the network is trusted, or `srtp = \"off\"`";
    for policy in ["optional", "required"] {
        trunk_refused(
            &format!("srtp = \"{policy}\""),
            &format!("srtp: the keys of `{policy}` would go in clear over udp at 127.0.0.1:5060; {remedy}"),
        );
        let text = format!("{CARRIER}srtp = \"{policy}\"\nsrtp_without_tls = true\n");
        assert!(parse(&text).is_ok(), "{policy}");
    }
}

#[test]
fn suites_are_named_once_and_known() {
    let names = "must be one of `AES_CM_128_HMAC_SHA1_80`, `AES_CM_128_HMAC_SHA1_32`, `AES_256_CM_HMAC_SHA1_80`, \
                 `AES_256_CM_HMAC_SHA1_32`, `AEAD_AES_128_GCM`, `AEAD_AES_256_GCM`, is";
    trunk_refused(
        "srtp_suites = [\"F8_128_HMAC_SHA1_80\"]",
        &format!("srtp_suites[0]: {names} `F8_128_HMAC_SHA1_80`"),
    );
    trunk_refused(
        "srtp_suites = [\"AES_256_CM_HMAC_SHA1_80\", \"AES_256_CM_HMAC_SHA1_80\"]",
        "srtp_suites[1]: `AES_256_CM_HMAC_SHA1_80` is already at trunk[0].srtp_suites[0]; remove one",
    );
    trunk_refused(
        "srtp_offer = \"savpf\"",
        "srtp_offer: must be one of `savp`, `avp`, is `savpf`",
    );
}
