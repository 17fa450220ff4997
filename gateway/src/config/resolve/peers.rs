//! The peers of a trunk: `HOST[:PORT][;transport=…][;priority=…][;weight=…]`.

use std::net::IpAddr;

use sip::message::Host as SipHost;
use sip::transport::target::{Carriage, Site};

use super::super::trunk::{Host, transport_word};
use super::super::{Listen, Sip, listener_for};
use super::{Faults, KeyPath, Problem};

/// Every peer that can be read, and reached by one of our listeners.
pub(super) fn hosts(
    texts: &[String],
    sip: &Sip,
    listen: Listen,
    path: &KeyPath,
    faults: &mut Faults,
) -> Vec<Host> {
    let mut hosts = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        let here = path.index(index);
        let Some(peer) = peer(text, &here, faults) else {
            continue;
        };
        check_listener(&peer, sip, listen, &here, faults);
        hosts.push(peer);
    }
    hosts
}

/// An address must be one that a listener of ours can reach; where a domain lies is not known yet.
fn check_listener(peer: &Host, sip: &Sip, listen: Listen, path: &KeyPath, faults: &mut Faults) {
    let Some((transport, addr)) = peer.literal() else {
        return;
    };
    if listener_for(&sip.listen, listen, transport, addr.ip()).is_none() {
        let problem = Problem::NoListener {
            transport: transport_word(transport),
            address: addr.to_string(),
        };
        faults.add(path.clone(), problem);
    }
}

const HOST_SHAPE: &str =
    "a peer; write one like `192.0.2.1:5060;transport=udp;priority=1;weight=1`, or a domain in its place";

fn peer(text: &str, path: &KeyPath, faults: &mut Faults) -> Option<Host> {
    let mut parts = text.split(';');
    let Some((host, port)) = place(parts.next().unwrap_or_default()) else {
        faults.malformed(path.clone(), text, HOST_SHAPE);
        return None;
    };
    let site = Site {
        host,
        port,
        carriage: None,
    };
    let mut peer = Host {
        site,
        priority: 1,
        weight: 1,
    };
    for part in parts {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        let is_read = match (key, value) {
            ("transport", "udp") => {
                peer.site.carriage = Some(Carriage::Udp);
                true
            }
            ("transport", "tcp") => {
                peer.site.carriage = Some(Carriage::Tcp);
                true
            }
            ("transport", "tls") => {
                peer.site.carriage = Some(Carriage::Tls);
                true
            }
            ("transport", "ws" | "wss") => {
                let problem = Problem::LaterValue {
                    value: part.to_owned(),
                    instead: "use `transport=udp`, `transport=tcp` or `transport=tls`".to_owned(),
                };
                faults.add(path.clone(), problem);
                return None;
            }
            ("priority", number) => number.parse().map(|number| peer.priority = number).is_ok(),
            ("weight", number) => number.parse().map(|number| peer.weight = number).is_ok(),
            _ => false,
        };
        if !is_read {
            faults.malformed(path.clone(), text, HOST_SHAPE);
            return None;
        }
    }
    Some(peer)
}

/// Address or domain, and the port where one is written.
fn place(text: &str) -> Option<(String, Option<u16>)> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return (!ip.is_unspecified()).then(|| (ip.to_string(), None));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => {
            (host, Some(port.parse().ok().filter(|port| *port != 0)?))
        }
        Some(_) | None => (text, None),
    };
    match SipHost::parse(host).ok()? {
        SipHost::V4(v4) => (!v4.is_unspecified()).then(|| (v4.to_string(), port)),
        SipHost::V6(v6) => (!v6.is_unspecified()).then(|| (v6.to_string(), port)),
        SipHost::Name(_) => {
            let name = host.trim_end_matches('.').to_ascii_lowercase();
            name.bytes()
                .any(|byte| byte.is_ascii_alphabetic())
                .then_some((name, port))
        }
    }
}
