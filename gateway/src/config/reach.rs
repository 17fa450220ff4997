//! Where a trunk's peers are heard: what each listener takes from their networks and what it refuses, as `check` tells
//! it, and what an operator who asked for TLS would not expect.
//!
//! Reads the resolved configuration; decides nothing. Knows nothing of sockets.

use std::fmt;

use super::trunk::{Network, Srtp, Transport, Trunk};
use super::{Config, Listen};

/// Something that is allowed, and hardly meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reachable {
    /// The trunk asks for TLS, and its peers are heard without it.
    InClear {
        /// Its name.
        trunk: String,
        /// Whose messages.
        networks: Vec<Network>,
        /// Where.
        listeners: Vec<Listen>,
    },
    /// The trunk asks for TLS, and a `sip:` target that names no transport is dialled over UDP.
    DialledInClear {
        /// Its name.
        trunk: String,
    },
    /// Inside the networks of a trunk that is known by its certificate lies one of a trunk that is not.
    Inside {
        /// The trunk that is known by its certificate.
        trunk: String,
        /// The other's network.
        network: Network,
        /// The other.
        other: String,
    },
}

impl fmt::Display for Reachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reachable::InClear {
                trunk,
                networks,
                listeners,
            } => write!(
                f,
                "trunk `{trunk}` asks for TLS, but what comes from {} in clear on {} is taken for its peers'; give it \
                 `tls.cert` and `tls.key`, or `tls` and set `sip.tls.require_client_cert`: then it is known by its \
                 certificate alone",
                list(networks.iter().map(block)),
                list(listeners),
            ),
            Reachable::DialledInClear { trunk } => write!(
                f,
                "trunk `{trunk}` asks for TLS, but a dial to a `sip:` URI without `;transport=tls` leaves it by UDP"
            ),
            Reachable::Inside {
                trunk,
                network,
                other,
            } => write!(
                f,
                "trunk `{trunk}` is known by its certificate, but {} inside its networks is trunk `{other}`'s, which is \
                 heard in clear",
                block(network),
            ),
        }
    }
}

impl Config {
    /// What each listener takes from a trunk's networks and what it refuses, one line each.
    pub fn reach(&self, trunk: &Trunk) -> Vec<String> {
        let mut lines = Vec::new();
        for listen in &self.sip.listen {
            let what = match (networks_at(trunk, listen).is_empty(), listen.transport) {
                (true, _) => "takes nothing: no network of `allow` is of its address family".to_owned(),
                (false, Transport::Tls) => self.by_tls(trunk),
                (false, _) if trunk.is_known_by_certificate() => {
                    "refuses everything, unheard: without TLS nobody shows the certificate (certificate_unfit)".to_owned()
                }
                (false, _) if asks_for_tls(trunk) => "takes what comes, in clear".to_owned(),
                (false, _) => "takes what comes".to_owned(),
            };
            lines.push(format!("on {listen}: {what}"));
        }
        lines
    }

    fn by_tls(&self, trunk: &Trunk) -> String {
        let name = trunk.tls.as_ref().and_then(|tls| tls.name.as_deref());
        let needs_any = self.sip.tls.as_ref().is_some_and(|tls| tls.require_client_cert);
        match (trunk.is_known_by_certificate(), name) {
            (true, Some(name)) => {
                format!("closes whoever does not show a certificate of `{name}`, unheard (certificate_unfit)")
            }
            (true, None) => {
                "closes whoever shows no certificate of its CAs, unheard (certificate_unfit)".to_owned()
            }
            (false, _) if needs_any => "closes whoever shows no certificate of `sip.tls.ca`".to_owned(),
            (false, _) => "takes what comes, with a certificate or without one".to_owned(),
        }
    }

    /// What an operator should look at, in the order of the trunks.
    pub fn reachable(&self) -> Vec<Reachable> {
        let mut found = Vec::new();
        for trunk in &self.trunks {
            if trunk.is_known_by_certificate() {
                self.find_inside(trunk, &mut found);
            } else if asks_for_tls(trunk) {
                self.find_in_clear(trunk, &mut found);
            }
        }
        found
    }

    fn find_in_clear(&self, trunk: &Trunk, found: &mut Vec<Reachable>) {
        let clear = self
            .sip
            .listen
            .iter()
            .filter(|listen| !listen.transport.is_secure());
        let clear = clear.filter(|listen| !networks_at(trunk, listen).is_empty());
        let listeners: Vec<Listen> = clear.copied().collect();
        if listeners.is_empty() {
            return;
        }
        let is_heard = |network: &&Network| listeners.iter().any(|listen| is_of(network, listen));
        let networks = trunk.allow.iter().filter(is_heard).copied().collect();
        let udp = |listen: &Listen| listen.transport == Transport::Udp;
        let is_dialled = listeners.iter().any(udp);
        found.push(Reachable::InClear {
            trunk: trunk.name.clone(),
            networks,
            listeners,
        });
        if is_dialled {
            let trunk = trunk.name.clone();
            found.push(Reachable::DialledInClear { trunk });
        }
    }

    fn find_inside(&self, trunk: &Trunk, found: &mut Vec<Reachable>) {
        let is_clear = |listen: &&Listen| !listen.transport.is_secure();
        let clear: Vec<&Listen> = self.sip.listen.iter().filter(is_clear).collect();
        for other in self
            .trunks
            .iter()
            .filter(|other| !other.is_known_by_certificate())
        {
            for network in &other.allow {
                let lies_in = |ours: &Network| ours.prefix < network.prefix && ours.contains(network.address);
                let is_heard = clear.iter().any(|listen| is_of(network, listen));
                if is_heard && trunk.allow.iter().any(lies_in) {
                    found.push(Reachable::Inside {
                        trunk: trunk.name.clone(),
                        network: *network,
                        other: other.name.clone(),
                    });
                }
            }
        }
    }
}

/// Whether its operator wants its signalling encrypted: all its peers are dialled by TLS, it says how, or keys of media
/// go by it.
fn asks_for_tls(trunk: &Trunk) -> bool {
    let by_tls = |host: &super::Host| host.transport().is_secure();
    let are_tls = !trunk.hosts.is_empty() && trunk.hosts.iter().all(by_tls);
    let has_keys = trunk.srtp.policy != Srtp::Off && !trunk.srtp.without_tls;
    are_tls || trunk.tls.is_some() || has_keys
}

fn networks_at<'a>(trunk: &'a Trunk, listen: &Listen) -> Vec<&'a Network> {
    trunk
        .allow
        .iter()
        .filter(|network| is_of(network, listen))
        .collect()
}

fn is_of(network: &Network, listen: &Listen) -> bool {
    network.address.is_ipv4() == listen.addr.is_ipv4()
}

fn block(network: &Network) -> String {
    format!("{}/{}", network.address, network.prefix)
}

fn list(items: impl IntoIterator<Item = impl fmt::Display>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    items.join(", ")
}
