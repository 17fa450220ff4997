//! Encryption of a trunk's media: suites once each, and keys only where nobody reads them.

use super::super::Listen;
use super::super::file;
use super::super::trunk::{Host, Srtp, Transport, TrunkSrtp, transport_word};
use super::{Faults, KeyPath, Problem};

/// Reads the keys of `srtp`, and where the keys of media would go.
pub(super) fn srtp(
    entry: &file::trunk::Trunk,
    listen: Listen,
    hosts: &[Host],
    path: &KeyPath,
    faults: &mut Faults,
) -> TrunkSrtp {
    for (index, suite) in entry.srtp_suites.iter().enumerate() {
        let first = entry.srtp_suites.iter().position(|other| other == suite);
        if let Some(first) = first.filter(|first| *first != index) {
            let problem = Problem::Duplicate {
                value: suite.word().to_owned(),
                other: path.key("srtp_suites").index(first).to_string(),
                remedy: "remove one",
            };
            faults.add(path.key("srtp_suites").index(index), problem);
        }
    }
    if entry.srtp != Srtp::Off && !entry.srtp_without_tls {
        refuse_clear_keys(entry.srtp, listen, hosts, path, faults);
    }
    TrunkSrtp {
        policy: entry.srtp,
        suites: entry.srtp_suites.iter().map(|suite| suite.resolved()).collect(),
        offer: entry.srtp_offer,
        without_tls: entry.srtp_without_tls,
    }
}

/// RFC 4568 §7: the description must be protected, or its keys protect nothing.
fn refuse_clear_keys(policy: Srtp, listen: Listen, hosts: &[Host], path: &KeyPath, faults: &mut Faults) {
    let listener = (listen.transport, listen.addr.to_string());
    let peers = hosts
        .iter()
        .map(|host| (host.transport(), host.site.host.clone()));
    let clear = std::iter::once(listener)
        .chain(peers)
        .find(|(transport, _)| !is_encrypted(*transport));
    if let Some((transport, at)) = clear {
        let problem = Problem::KeysInClear {
            policy: policy.word(),
            transport: transport_word(transport),
            at,
        };
        faults.add(path.key("srtp"), problem);
    }
}

fn is_encrypted(transport: Transport) -> bool {
    transport.is_secure()
}
