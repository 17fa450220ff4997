//! Where signalling and media listen, and what peers are told of it.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use media::shard::io::Choice;

use super::super::trunk::Transport;
use super::super::{Listen, Media, Sip, file};
use super::{Faults, KeyPath, Problem, tls};

/// A host as it may stand in a URI: an address or a name.
pub(super) fn host(text: &str, path: &KeyPath, faults: &mut Faults) -> String {
    if text.parse::<std::net::Ipv6Addr>().is_ok() {
        return format!("[{text}]");
    }
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let is_bracketed = bare.is_some_and(|bare| bare.parse::<std::net::Ipv6Addr>().is_ok());
    let is_label = |label: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        (1..=63).contains(&label.len()) && label.bytes().all(fits) && !label.starts_with('-')
    };
    if !is_bracketed && (text.len() > 253 || !text.split('.').all(is_label)) {
        faults.malformed(
            path.clone(),
            text,
            "a host; write an address or a domain name, without scheme or port",
        );
    }
    text.to_owned()
}

pub(super) fn address(text: &str, path: &KeyPath, faults: &mut Faults) -> Option<IpAddr> {
    let address = text.parse().ok();
    if address.is_none() {
        faults.malformed(
            path.clone(),
            text,
            "an IP address; write one like `192.0.2.1` or `2001:db8::1`",
        );
    }
    address
}

pub(super) fn sip(sip: &file::Sip, folder: &Path, faults: &mut Faults) -> Sip {
    let path = KeyPath::default().key("sip");
    let advertise = sip
        .advertise
        .as_ref()
        .map(|text| host(text, &path.key("advertise"), faults));
    let mut listen: Vec<Listen> = Vec::new();
    for (index, text) in sip.listen.iter().enumerate() {
        let here = path.key("listen").index(index);
        let Some(listener) = listener(text, &here, faults) else {
            continue;
        };
        if listener.addr.ip().is_unspecified() && advertise.is_none() {
            let address = listener.addr.ip().to_string();
            faults.add(
                here.clone(),
                Problem::NeedsAdvertise {
                    address,
                    key: "sip.advertise",
                },
            );
        }
        match listen
            .iter()
            .position(|other| *other == listener && listener.addr.port() != 0)
        {
            Some(other) => faults.add(
                here,
                Problem::Duplicate {
                    value: text.clone(),
                    other: path.key("listen").index(other).to_string(),
                    remedy: "remove one",
                },
            ),
            None => listen.push(listener),
        }
    }
    let is_tls = |listen: &Listen| listen.transport == Transport::Tls;
    if let (Some(at), None) = (listen.iter().position(is_tls), &sip.tls) {
        let value = "tls://".to_owned();
        faults.add(
            path.key("listen").index(at),
            Problem::Needs {
                value,
                key: "sip.tls",
            },
        );
    }
    let tls = sip.tls.as_ref().map(|tls| tls::listeners(tls, folder, faults));
    Sip {
        listen,
        advertise,
        tls,
    }
}

pub(super) fn listener(text: &str, path: &KeyPath, faults: &mut Faults) -> Option<Listen> {
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    let transport = match scheme {
        "udp" => Transport::Udp,
        "tcp" => Transport::Tcp,
        "tls" => Transport::Tls,
        "ws" | "wss" => {
            let instead = "listen on `udp://`, `tcp://` or `tls://`".to_owned();
            faults.add(
                path.clone(),
                Problem::LaterValue {
                    value: format!("{scheme}://"),
                    instead,
                },
            );
            return None;
        }
        _ => {
            faults.malformed(
                path.clone(),
                text,
                "a listener; write one like `udp://127.0.0.1:5060`",
            );
            return None;
        }
    };
    let addr = rest.parse::<SocketAddr>().ok();
    if addr.is_none() {
        faults.malformed(
            path.clone(),
            text,
            "a listener; write one like `udp://127.0.0.1:5060`",
        );
    }
    addr.map(|addr| Listen { transport, addr })
}

pub(super) fn media(media: &file::Media, faults: &mut Faults) -> Media {
    let path = KeyPath::default().key("media");
    let advertise = media
        .advertise
        .as_ref()
        .and_then(|text| address(text, &path.key("advertise"), faults));
    let is_list = matches!(media.address, file::OneOrMany::Many(_));
    let mut addresses = Vec::new();
    for (index, text) in media.address.texts().iter().enumerate() {
        let here = if is_list {
            path.key("address").index(index)
        } else {
            path.key("address")
        };
        let Some(found) = address(text, &here, faults) else {
            continue;
        };
        if found.is_unspecified() && advertise.is_none() {
            faults.add(
                here,
                Problem::NeedsAdvertise {
                    address: found.to_string(),
                    key: "media.advertise",
                },
            );
        } else if addresses.contains(&found) {
            let other = path.key("address").to_string();
            faults.add(
                here,
                Problem::Duplicate {
                    value: text.clone(),
                    other,
                    remedy: "remove one",
                },
            );
        }
        addresses.push(found);
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let shards = media.shards.map_or(cores, |shards| shards as usize);
    let ports = ports(&media.ports, &path.key("ports"), faults);
    let pairs = (usize::from(*ports.end()) + 1).saturating_sub(usize::from(*ports.start())) / 2;
    if pairs < shards {
        faults.add(path.key("ports"), Problem::FewPorts { pairs, shards });
    }
    let seconds = media.quality_interval_s;
    Media {
        addresses,
        advertise,
        ports,
        shards,
        io: match media.io {
            file::MediaIo::Auto => Choice::Auto,
            file::MediaIo::Epoll => Choice::Epoll,
            file::MediaIo::Uring => Choice::Uring,
        },
        quality_interval: (seconds > 0).then(|| Duration::from_secs(seconds.into())),
    }
}

/// RTP takes an even port, RTCP the odd one above (RFC 3550 §11).
fn ports(text: &str, path: &KeyPath, faults: &mut Faults) -> RangeInclusive<u16> {
    let parsed = text.split_once('-').and_then(|(first, last)| {
        let (first, last) = (
            first.trim().parse::<u16>().ok()?,
            last.trim().parse::<u16>().ok()?,
        );
        (first >= 1024 && first % 2 == 0 && last % 2 == 1 && first < last).then_some(first..=last)
    });
    parsed.unwrap_or_else(|| {
        faults.malformed(
            path.clone(),
            text,
            "a port range; write `FIRST-LAST`, FIRST even and at least 1024, LAST odd and above it, like `20000-29999`",
        );
        20_000..=29_999
    })
}
