//! What `check` says of where a trunk's peers are heard, against what the engine would take.

use std::net::IpAddr;

use super::*;
use crate::config::{Known, Shown};
use crate::observe::testing::Scratch;

const LISTEN: &str = "[sip]\nlisten = [\"udp://127.0.0.1:5060\", \"tcp://127.0.0.1:5060\", \"tls://127.0.0.1:5061\"]\n\
                      [sip.tls]\ncert = \"gw.pem\"\nkey = \"gw.key\"\n";
const MUTUAL: &str = "tls = { cert = \"gw.pem\", key = \"gw.key\", name = \"sip.carrier.example\" }\n";

fn folder() -> Scratch {
    let dir = Scratch::new("reach-config");
    let ours = rcgen::generate_simple_self_signed(vec!["gw.example".to_owned()]).unwrap();
    std::fs::write(dir.path().join("gw.pem"), ours.cert.pem()).unwrap();
    std::fs::write(dir.path().join("gw.key"), ours.signing_key.serialize_pem()).unwrap();
    dir
}

fn parse_in(dir: &Scratch, text: &str) -> Config {
    let parsed = Config::parse(text, &dir.path().join("gateway.toml"), None);
    parsed.unwrap_or_else(|error| panic!("{error}"))
}

fn trunk(name: &str, allow: &str, keys: &str) -> String {
    format!("[[trunk]]\nname = \"{name}\"\nallow = [{allow}]\n{keys}")
}

fn found(config: &Config) -> Vec<String> {
    config.reachable().iter().map(ToString::to_string).collect()
}

#[test]
fn a_mutual_trunk_beside_clear_listeners_is_heard_under_tls_alone_and_that_is_said() {
    let dir = folder();
    let carrier = trunk("carrier", "\"192.0.2.0/24\"", MUTUAL);
    let agents = trunk("agents", "\"198.51.100.0/24\"", "");
    let config = parse_in(&dir, &[LISTEN, &carrier, &agents].concat());
    assert_eq!(
        config.reach(&config.trunks[0]),
        [
            "on udp://127.0.0.1:5060: refuses everything, unheard: without TLS nobody shows the certificate \
             (certificate_unfit)",
            "on tcp://127.0.0.1:5060: refuses everything, unheard: without TLS nobody shows the certificate \
             (certificate_unfit)",
            "on tls://127.0.0.1:5061: closes whoever does not show a certificate of `sip.carrier.example`, unheard \
             (certificate_unfit)",
        ]
    );
    assert_eq!(
        config.reach(&config.trunks[1]),
        [
            "on udp://127.0.0.1:5060: takes what comes",
            "on tcp://127.0.0.1:5060: takes what comes",
            "on tls://127.0.0.1:5061: takes what comes, with a certificate or without one",
        ]
    );
    assert_eq!(found(&config), [""; 0], "nothing is open that looks closed");
    let peer: IpAddr = [192, 0, 2, 7].into();
    assert_eq!(config.known(peer, Shown::Clear), Known::Unfit, "and so it is");
}

#[test]
fn a_trunk_that_asks_for_tls_and_is_heard_in_clear_is_found() {
    let dir = folder();
    for keys in [
        "hosts = [\"192.0.2.1;transport=tls\"]\n",
        "tls = { name = \"sip.carrier.example\" }\n",
        "listen = \"tls://127.0.0.1:5061\"\nsrtp = \"required\"\n",
    ] {
        let config = parse_in(
            &dir,
            &[LISTEN, &trunk("carrier", "\"192.0.2.0/24\"", keys)].concat(),
        );
        assert_eq!(
            found(&config),
            [
                "trunk `carrier` asks for TLS, but what comes from 192.0.2.0/24 in clear on udp://127.0.0.1:5060, \
                 tcp://127.0.0.1:5060 is taken for its peers'; give it `tls.cert` and `tls.key`, or `tls` and set \
                 `sip.tls.require_client_cert`: then it is known by its certificate alone",
                "trunk `carrier` asks for TLS, but a dial to a `sip:` URI without `;transport=tls` leaves it by UDP",
            ],
            "{keys}"
        );
        let reach = config.reach(&config.trunks[0]);
        assert_eq!(reach[0], "on udp://127.0.0.1:5060: takes what comes, in clear");
        let peer: IpAddr = [192, 0, 2, 7].into();
        let Known::Trunk(taken) = config.known(peer, Shown::Clear) else {
            panic!("{keys}: nobody takes it, so the finding is wrong");
        };
        assert_eq!(taken.name, "carrier");
    }
    // What the finding advises closes it.
    let cured = parse_in(
        &dir,
        &[LISTEN, &trunk("carrier", "\"192.0.2.0/24\"", MUTUAL)].concat(),
    );
    assert_eq!(found(&cured), [""; 0]);
}

#[test]
fn without_a_clear_listener_of_its_family_there_is_nothing_to_find() {
    let dir = folder();
    let tls_alone = LISTEN.replace("\"udp://127.0.0.1:5060\", \"tcp://127.0.0.1:5060\", ", "");
    let keys = "hosts = [\"192.0.2.1;transport=tls\"]\n";
    let carrier = trunk("carrier", "\"192.0.2.0/24\"", keys);
    assert_eq!(
        found(&parse_in(&dir, &[tls_alone.as_str(), &carrier].concat())),
        [""; 0]
    );
    let six = LISTEN.replace("127.0.0.1:5060", "[::1]:5060");
    let config = parse_in(&dir, &[six.as_str(), &carrier].concat());
    assert_eq!(found(&config), [""; 0]);
    assert_eq!(
        config.reach(&config.trunks[0])[0],
        "on udp://[::1]:5060: takes nothing: no network of `allow` is of its address family"
    );
}

#[test]
fn a_clear_trunk_inside_the_networks_of_a_mutual_one_is_found() {
    let dir = folder();
    let carrier = trunk("carrier", "\"192.0.2.0/24\"", MUTUAL);
    let inside = trunk("phones", "\"192.0.2.8/29\", \"198.51.100.0/24\"", "");
    let config = parse_in(&dir, &[LISTEN, &carrier, &inside].concat());
    assert_eq!(
        found(&config),
        [
            "trunk `carrier` is known by its certificate, but 192.0.2.8/29 inside its networks is trunk `phones`'s, which is \
          heard in clear"
        ]
    );
    let Known::Trunk(taken) = config.known([192, 0, 2, 9].into(), Shown::Clear) else {
        panic!("nobody takes it, so the finding is wrong");
    };
    assert_eq!(taken.name, "phones");
    // The other way round the mutual one keeps its own.
    let wide = trunk("phones", "\"192.0.0.0/16\"", "");
    let config = parse_in(&dir, &[LISTEN, &carrier, &wide].concat());
    assert_eq!(found(&config), [""; 0]);
    assert_eq!(config.known([192, 0, 2, 9].into(), Shown::Clear), Known::Unfit);
}
