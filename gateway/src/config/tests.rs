//! What a good file becomes; [`errors`] has the bad ones.

use std::path::Path;
use std::time::Duration;

use super::*;

mod errors;
mod reach;
mod registration;
mod tls;

/// A file that is right, for cases that spoil one thing.
const CARRIER: &str = "[[trunk]]\nname = \"carrier\"\nallow = [\"192.0.2.0/24\"]\n";

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new("/etc/gw/gateway.toml"), None)
}

#[test]
fn defaults_of_a_short_file() {
    let config = parse(CARRIER).expect("good");
    assert_eq!(config.state_dir, Path::new("/etc/gw/state"));
    assert_eq!(config.control.unix, Path::new("/etc/gw/state/control.sock"));
    assert_eq!(config.prompts.dir, Path::new("/etc/gw/state/prompts"));
    assert_eq!(config.recordings.dir, Path::new("/etc/gw/state/recordings"));
    assert_eq!(config.http, None);
    assert_eq!(
        config.limits,
        Limits {
            calls: 100,
            calls_per_second: 20,
            burst: 5,
            messages_per_second: 5_000,
            max_duration: Some(Duration::from_secs(14_400))
        }
    );
    assert_eq!(config.music, BTreeMap::from([("default".to_owned(), vec![])]));
    assert_eq!(
        config.number_for(None).map(|number| number.app.as_str()),
        Some("default")
    );
    let trunk = config.trunk("carrier").expect("named");
    assert_eq!(
        (
            trunk.calls,
            trunk.calls_in,
            trunk.calls_out,
            trunk.calls_per_second
        ),
        (100, 100, 100, 20)
    );
    assert_eq!(trunk.media_allow, trunk.allow);
    assert_eq!(trunk.advertise, "127.0.0.1");
    assert!(
        trunk.caller_ids.is_empty(),
        "a pattern of the number map grants no caller id"
    );
}

#[test]
fn keys_reach_their_fields() {
    let text = "
state_dir = \"/var/lib/gw\"
[sip]
listen = [\"udp://127.0.0.1:5060\", \"udp://[::1]:5060\", \"tcp://127.0.0.1:5062\"]
[control]
unix = \"run/c.sock\"
[limits]
max_duration_s = 0
[[number]]
match = \"+81312345678\"
app = \"sales\"
unclaimed = { after_ms = 100, status = 480 }
[[number]]
match = \"+81*\"
[music.jazz]
files = [\"a.wav\"]
[[trunk]]
name = \"t\"
hosts = [\"192.0.2.9\", \"[::1]:5080;transport=udp;priority=2;weight=7\", \"192.0.2.9:5070;transport=tcp\"]
allow = [\"192.0.2.9\"]
calls = 7
calls_in = 0
media_timeout_s = 0
headers_in = [\"X-Tenant\"]
advertise = \"203.0.113.5\"
";
    let config = parse(text).expect("good");
    assert_eq!(config.control.unix, Path::new("/etc/gw/run/c.sock"));
    assert_eq!(config.recordings.dir, Path::new("/var/lib/gw/recordings"));
    assert_eq!(config.limits.max_duration, None);
    let number = config.number_for(Some("+81312345678")).expect("exact");
    assert_eq!(number.app, "sales");
    assert_eq!(number.unclaimed.after, Duration::from_millis(100));
    assert_eq!(number.unclaimed.action, UnclaimedAction::Reject { status: 480 });
    assert_eq!(
        config
            .number_for(Some("+81399999999"))
            .map(|number| number.app.as_str()),
        Some("default")
    );
    assert_eq!(config.number_for(Some("+4930123456")), None);
    assert_eq!(config.music["jazz"], [Path::new("/etc/gw/a.wav")]);
    let trunk = &config.trunks[0];
    let peer = |index: usize| trunk.hosts[index].to_string();
    assert_eq!(peer(0), "192.0.2.9:5060;transport=udp;priority=1;weight=1");
    assert_eq!(peer(1), "[::1]:5080;transport=udp;priority=2;weight=7");
    assert_eq!(trunk.default_caller_id(), Some("+81312345678"));
    assert_eq!((trunk.calls, trunk.calls_in, trunk.calls_out), (7, 0, 7));
    assert_eq!(trunk.media_timeout, None);
    assert!(trunk.headers_in.contains("x-tenant"));
    assert_eq!(
        (
            trunk.advertise.as_str(),
            trunk.media_advertise.to_string().as_str()
        ),
        ("203.0.113.5", "203.0.113.5")
    );
    let leaves_by = |index: usize| {
        let (transport, addr) = trunk.hosts[index].literal().unwrap();
        config
            .listener_for(trunk, transport, addr.ip())
            .map(|listen| listen.addr.to_string())
    };
    assert_eq!(leaves_by(0).as_deref(), Some("127.0.0.1:5060"));
    assert_eq!(leaves_by(1).as_deref(), Some("[::1]:5060"));
    assert_eq!(leaves_by(2).as_deref(), Some("127.0.0.1:5062"));
}

#[test]
fn transfers_reach_their_fields_the_stack_and_the_profile() {
    let keys = "refer_in = \"ask\"\nrefer_out = \"send\"\nreplaces_out = true\nredirect = \"ask\"\n";
    for (keys, is_set) in [("", false), (keys, true)] {
        let config = parse(&format!("{CARRIER}{keys}")).expect("good");
        let trunk = &config.trunks[0];
        let policy = trunk.sip_policy;
        assert_eq!((policy.takes_refer, policy.tells_replaces), (is_set, is_set));
        assert_eq!(trunk.transfers.refer_out == ReferOut::Send, is_set);
        assert_eq!(trunk.transfers.redirect == Redirect::Ask, is_set);
        let profile = trunk.profile();
        assert_eq!(profile.contains("  refer_in = ask\n  refer_out = send\n"), is_set);
        assert_eq!(profile.contains("refuses: REFER: 405"), !is_set, "{profile}");
    }
}

#[test]
fn srtp_reaches_its_fields_and_the_profile() {
    use sip::sdp::CryptoSuite;
    let clear = parse(CARRIER).expect("good");
    let defaults = [CryptoSuite::AesCm128Sha1_80, CryptoSuite::AesCm128Sha1_32];
    assert_eq!(
        (clear.trunks[0].srtp.policy, &clear.trunks[0].srtp.suites[..]),
        (Srtp::Off, &defaults[..])
    );
    let text = format!(
        "{CARRIER}srtp = \"optional\"\nsrtp_offer = \"avp\"\nsrtp_without_tls = true\n\
         srtp_suites = [\"AEAD_AES_256_GCM\", \"AES_256_CM_HMAC_SHA1_32\"]\n"
    );
    let config = parse(&text).expect("good");
    let srtp = TrunkSrtp {
        policy: Srtp::Optional,
        suites: vec![CryptoSuite::AeadAes256Gcm, CryptoSuite::Aes256CmSha1_32],
        offer: SrtpOffer::Avp,
        without_tls: true,
    };
    assert_eq!(config.trunks[0].srtp, srtp);
    let profile = config.trunks[0].profile();
    for line in [
        "srtp = optional",
        "srtp_offer = avp",
        "srtp_without_tls = true",
        "srtp_suites = [AEAD_AES_256_GCM, AES_256_CM_HMAC_SHA1_32]",
    ] {
        assert!(profile.contains(&format!("  {line}\n")), "{profile}");
    }
}

#[test]
fn paths_are_whole_even_for_a_bare_file_name() {
    let config = Config::parse(CARRIER, Path::new("gateway.toml"), None).expect("good");
    assert_eq!(config.state_dir, std::env::current_dir().unwrap().join("state"));
}

#[test]
fn state_dir_of_the_command_line_wins_over_the_file() {
    let config = Config::parse(
        CARRIER,
        Path::new("/etc/gw/gateway.toml"),
        Some(Path::new("/tmp/s")),
    )
    .expect("good");
    assert_eq!(config.state_dir, Path::new("/tmp/s"));
    assert_eq!(config.control.unix, Path::new("/tmp/s/control.sock"));
}

#[test]
fn password_is_the_first_line_of_its_file_and_never_shown() {
    let folder = std::env::temp_dir().join(format!("gw-config-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("secret"), "swordfish\n").unwrap();
    let text = format!("{CARRIER}auth = {{ username = \"u\", password_file = \"secret\" }}\n");
    let config = Config::parse(&text, &folder.join("gateway.toml"), None).expect("good");
    std::fs::remove_dir_all(&folder).unwrap();
    let trunk = &config.trunks[0];
    assert_eq!(
        trunk.auth.as_ref().map(|auth| auth.password.as_str()),
        Some("swordfish")
    );
    assert!(!format!("{config:?}{}", trunk.profile()).contains("swordfish"));
}

#[test]
fn embedded_configuration_serves_softphones_on_this_machine() {
    let config = Config::embedded(&["192.168.1.5".parse().unwrap(), "fe80::1".parse().unwrap()]);
    assert_eq!(
        config.http,
        Some(Http {
            listen: "127.0.0.1:8080".parse().unwrap()
        })
    );
    let trunk = config
        .trunk_by_source("192.168.1.5".parse().unwrap())
        .expect("own address");
    assert_eq!(trunk.name, "local");
    assert!(
        trunk.allows_media("127.3.2.1".parse().unwrap())
            && !trunk.allows_media("192.168.1.6".parse().unwrap())
    );
    assert_eq!(trunk.media_source, MediaSource::Nat);
    assert!(trunk.may_show("+81312345678"));
    assert!(config.state_dir.is_absolute());
}

#[test]
fn profile_shows_every_key_of_a_trunk() {
    let config = parse(CARRIER).expect("good");
    let profile = config.trunks[0].profile();
    let shown = profile
        .lines()
        .filter_map(|line| line.trim().split_once(" = "))
        .map(|(key, _)| key);
    let mut shown = shown.chain(["name"]).collect::<Vec<_>>();
    shown.sort_unstable();
    let schema = schema();
    let keys = schema["properties"]["trunk"]["items"]["properties"]
        .as_object()
        .unwrap()
        .keys();
    assert_eq!(shown, keys.map(String::as_str).collect::<Vec<_>>());
    assert!(profile.starts_with("[[trunk]] carrier\n"), "{profile}");
}

#[test]
fn profile_tells_where_values_come_from_and_what_is_refused() {
    let text = format!("{CARRIER}preset = \"japan\"\nptime_ms = 30\nidentity_trusted = false\n");
    let profile = parse(&text).expect("good").trunks[0].profile();
    for line in [
        "  preset = japan",
        "  ptime_ms = 30",
        "  home_country = JP",
        "  own keys: allow, identity_trusted, name, ptime_ms",
        "  refuses: a sixth redirect: 482",
        "  refuses: dialling numbers: no hosts",
    ] {
        assert!(
            profile.lines().any(|shown| shown == line),
            "{line:?} is not in\n{profile}"
        );
    }
    let of = |what: &str| {
        profile
            .lines()
            .find(|line| line.trim().starts_with(what))
            .unwrap_or_default()
    };
    assert!(
        of("keys of the preset").contains("home_country=\"JP\""),
        "{profile}"
    );
    assert!(!of("keys of the preset").contains("ptime_ms"), "{profile}");
    assert!(
        of("of the preset, to be confirmed").contains("identity_out=\"ppi\""),
        "{profile}"
    );
    assert!(
        profile.contains("refuses: identities that the peer asserts"),
        "{profile}"
    );
    let trusted = text.replace("identity_trusted = false", "identity_trusted = true");
    let profile = parse(&trusted).expect("good").trunks[0].profile();
    assert!(!profile.contains("refuses: identities"), "{profile}");
}

#[test]
fn schema_and_later_keys_do_not_overlap() {
    let schema = schema();
    let properties = |path: &str| {
        let mut shape = &schema;
        for key in path.split('.') {
            shape = schema::unwrap_optional(&shape["properties"][key]);
            if shape.get("items").is_some() {
                shape = &shape["items"];
            }
        }
        shape.clone()
    };
    for key in later::KEYS {
        assert!(
            properties(key).is_null(),
            "{key} is in the file types and in the list of later keys"
        );
    }
    for (key, later_words) in later::WORDS.iter().filter(|(key, _)| !key.contains('*')) {
        let known = properties(key);
        let known = schema::words(&known).expect("a closed list");
        assert!(
            later_words.iter().all(|word| !known.contains(word)),
            "{key} lists a word that exists"
        );
    }
}

/// `UPDATE_DOCS=1 cargo test -p gateway configuration_page` rewrites the page.
#[test]
fn configuration_page_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, reference()).unwrap();
    }
    let page = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        page == reference(),
        "docs/configuration.md is out of date; run UPDATE_DOCS=1 cargo test -p gateway configuration_page"
    );
}
