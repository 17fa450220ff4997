//! The peers of a trunk: `ADDRESS[:PORT][;transport=…][;priority=…][;weight=…]`.

use std::net::{IpAddr, SocketAddr};

use super::super::trunk::{Host, Transport, transport_word};
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
        if listener_for(&sip.listen, listen, peer.transport, peer.addr.ip()).is_none() {
            let transport = transport_word(peer.transport);
            faults.add(
                here,
                Problem::NoListener {
                    transport,
                    address: peer.addr.to_string(),
                },
            );
        }
        hosts.push(peer);
    }
    hosts
}

const HOST_SHAPE: &str = "a peer; write one like `192.0.2.1:5060;transport=udp;priority=1;weight=1`";

fn peer(text: &str, path: &KeyPath, faults: &mut Faults) -> Option<Host> {
    let mut parts = text.split(';');
    let (ip, port) = peer_address(parts.next().unwrap_or_default(), text, path, faults)?;
    let mut host = Host {
        addr: SocketAddr::new(ip, 0),
        transport: Transport::Udp,
        priority: 1,
        weight: 1,
    };
    for part in parts {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        let read = match (key, value) {
            ("transport", "udp") => Some(Host {
                transport: Transport::Udp,
                ..host
            }),
            ("transport", "tcp") => Some(Host {
                transport: Transport::Tcp,
                ..host
            }),
            ("transport", "tls") => Some(Host {
                transport: Transport::Tls,
                ..host
            }),
            ("transport", "ws" | "wss") => {
                let instead = "use `transport=udp`, `transport=tcp` or `transport=tls`".to_owned();
                faults.add(
                    path.clone(),
                    Problem::LaterValue {
                        value: part.to_owned(),
                        instead,
                    },
                );
                return None;
            }
            ("priority", number) => number.parse().ok().map(|priority| Host { priority, ..host }),
            ("weight", number) => number.parse().ok().map(|weight| Host { weight, ..host }),
            _ => None,
        };
        let Some(read) = read else {
            faults.malformed(path.clone(), text, HOST_SHAPE);
            return None;
        };
        host = read;
    }
    host.addr.set_port(port.unwrap_or(host.transport.default_port()));
    Some(host)
}

/// Address, and port where there is one.
fn peer_address(
    place: &str,
    whole: &str,
    path: &KeyPath,
    faults: &mut Faults,
) -> Option<(IpAddr, Option<u16>)> {
    if let Ok(addr) = place.parse::<SocketAddr>() {
        if addr.port() != 0 && !addr.ip().is_unspecified() {
            return Some((addr.ip(), Some(addr.port())));
        }
        faults.malformed(path.clone(), whole, HOST_SHAPE);
        return None;
    }
    if let Ok(ip) = place.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Some((ip, None));
    }
    let domain = place.split(':').next().unwrap_or_default();
    let looks_like_a_name = domain.bytes().any(|byte| byte.is_ascii_alphabetic());
    if looks_like_a_name
        && domain
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
    {
        let instead = "names need DNS; write the peer's IP address".to_owned();
        faults.add(
            path.clone(),
            Problem::LaterValue {
                value: domain.to_owned(),
                instead,
            },
        );
    } else {
        faults.malformed(path.clone(), whole, HOST_SHAPE);
    }
    None
}
