//! What peers under TLS have shown, by flow, and whose that makes what they send.
//!
//! The shell verifies chains and hands over names; here names meet trunks. Knows nothing of certificates
//! but their names.

use std::collections::BTreeMap;

use sip::endpoint::{Flow, Transport};

use crate::config::{Known, Shown, Trunk};
use crate::engine::Engine;
use crate::engine::setup::Setup;

/// A peer whose handshake is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsPeer {
    /// The SIP identities of its certificate, verified, lower case (RFC 5922 §7.1); none: it showed none.
    pub names: Option<Vec<String>>,
    /// It connected to us; otherwise we to it, and its name was held against the one that was dialled.
    pub is_accepted: bool,
}

/// One entry an open connection: the shell's table bounds this one.
#[derive(Clone, Debug, Default)]
pub struct TlsPeers {
    by_flow: BTreeMap<Flow, TlsPeer>,
}

/// Why a flow is not heard.
pub const CERTIFICATE_UNFIT: &str = "certificate_unfit";

impl TlsPeers {
    /// A connection is open.
    pub fn insert(&mut self, flow: Flow, peer: TlsPeer) {
        self.by_flow.insert(flow, peer);
    }

    /// It is not any more.
    pub fn remove(&mut self, flow: &Flow) {
        self.by_flow.remove(flow);
    }

    /// Connections known.
    pub fn len(&self) -> usize {
        self.by_flow.len()
    }

    /// True without any.
    pub fn is_empty(&self) -> bool {
        self.by_flow.is_empty()
    }

    /// Whose a flow is by its source and by what it has shown.
    pub fn known<'s>(&self, setup: &'s Setup, flow: &Flow) -> Known<'s> {
        setup.config.known(flow.remote.ip(), self.shown(flow))
    }

    /// Whether what comes on a flow is turned away although its address is listed: its trunk knows peers by a
    /// certificate, and this one shows no fitting one.
    pub fn is_unfit(&self, setup: &Setup, flow: &Flow) -> bool {
        if !setup.has_certificates || self.by_flow.get(flow).is_some_and(|peer| !peer.is_accepted) {
            return false;
        }
        self.known(setup, flow) == Known::Unfit
    }

    /// Whether a trunk's messages may go out on a flow: one that is open already may be another's, with
    /// another's certificate (RFC 5923 §5).
    pub fn is_fit_for(&self, trunk: &Trunk, flow: &Flow) -> bool {
        let names = self.by_flow.get(flow).and_then(|peer| peer.names.as_ref());
        names.is_none_or(|names| trunk.takes_names(names))
    }

    fn shown(&self, flow: &Flow) -> Shown<'_> {
        match (flow.transport, self.by_flow.get(flow).map(|peer| &peer.names)) {
            (Transport::Udp | Transport::Tcp, _) => Shown::Clear,
            (Transport::Tls, Some(Some(names))) => Shown::Names(names),
            (Transport::Tls, Some(None) | None) => Shown::NoCertificate,
        }
    }
}

impl Engine {
    /// A connection is open; under TLS its peer has shown this.
    pub fn peer_shown(&mut self, flow: Flow, peer: Option<TlsPeer>) {
        if let Some(peer) = peer {
            self.world.tls_peers.insert(flow, peer);
        }
    }

    /// A connection is closed.
    pub fn peer_gone(&mut self, flow: &Flow) {
        self.world.tls_peers.remove(flow);
    }

    /// See [`TlsPeers::is_unfit`].
    pub fn is_unfit(&self, flow: &Flow) -> bool {
        self.world.tls_peers.is_unfit(&self.setup, flow)
    }

    /// The trunk, by its place in the configuration, that a connection's certificate has proved its peer to be.
    pub fn trunk_proved(&self, flow: &Flow) -> Option<usize> {
        match self.world.tls_peers.known(&self.setup, flow) {
            Known::Trunk(trunk) if trunk.is_known_by_certificate() && flow.transport.is_secure() => {
                self.setup.trunk_by_name(&trunk.name)
            }
            _ => None,
        }
    }

    /// The trunk whose leg is dialled there; of several any, as their `tls` is the same.
    pub fn trunk_dialling(&self, flow: &Flow) -> Option<usize> {
        let mut legs = self.world.legs.iter();
        let found = legs.find(|(_, leg)| leg.outbound().is_some_and(|out| out.target == Some(*flow)));
        found.map(|(_, leg)| leg.trunk)
    }
}

/// How a `sip:` target of a dial is reached: as it says, else as its trunk's peers are. `None` where it asks for
/// less than the trunk demands.
pub fn dial_transport(trunk: &Trunk, uri: &str) -> Option<Transport> {
    let uri = uri.to_ascii_lowercase();
    let named = uri
        .split(';')
        .skip(1)
        .find_map(|part| part.strip_prefix("transport="));
    let transport = match named.map(|word| word.split(['?', '>']).next().unwrap_or(word)) {
        Some("tls") => Transport::Tls,
        Some("tcp") => Transport::Tcp,
        None if trunk.is_known_by_certificate() => Transport::Tls,
        Some(_) | None => Transport::Udp,
    };
    (transport.is_secure() || !trunk.is_known_by_certificate()).then_some(transport)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const CONFIG: &str = r#"
[[trunk]]
name = "wide"
allow = ["10.0.0.0/8"]
[[trunk]]
name = "red"
allow = ["10.1.0.0/16"]
tls = { name = "red.example" }
[[trunk]]
name = "blue"
allow = ["10.1.0.0/16"]
tls = { name = "Blue.example" }
"#;

    fn setup() -> Setup {
        let config = Config::parse(CONFIG, "/etc/gateway.toml".as_ref(), None).unwrap();
        Setup::new(config, "e".to_owned()).unwrap()
    }

    fn flow(transport: Transport, remote: &str) -> Flow {
        Flow {
            transport,
            local: "10.0.0.1:5061".parse().unwrap(),
            remote: format!("{remote}:4000").parse().unwrap(),
        }
    }

    fn shows(names: &[&str]) -> TlsPeer {
        TlsPeer {
            names: Some(names.iter().map(|&name| name.to_owned()).collect()),
            is_accepted: true,
        }
    }

    fn word(known: Known<'_>) -> &str {
        match known {
            Known::Trunk(trunk) => &trunk.name,
            Known::Unfit => "unfit",
            Known::Unlisted => "unlisted",
        }
    }

    #[test]
    fn the_longest_prefix_and_the_name_decide_the_trunk() {
        let setup = setup();
        for (remote, names, trunk) in [
            ("10.1.2.3", Some(&["red.example"][..]), "red"),
            ("10.1.2.3", Some(&["other.example", "blue.example"]), "blue"),
            ("10.1.2.3", Some(&["other.example"]), "unfit"),
            ("10.1.2.3", Some(&[]), "unfit"),
            // The wider trunk asks for nothing, and does not take what a longer prefix turned away.
            ("10.1.2.3", None, "unfit"),
            ("10.2.2.3", None, "wide"),
            ("10.2.2.3", Some(&["red.example"]), "wide"),
            ("192.0.2.1", Some(&["red.example"]), "unlisted"),
        ] {
            let flow = flow(Transport::Tls, remote);
            let mut peers = TlsPeers::default();
            let peer = TlsPeer {
                names: None,
                is_accepted: true,
            };
            peers.insert(flow, names.map_or(peer, shows));
            assert_eq!(word(peers.known(&setup, &flow)), trunk, "{remote} {names:?}");
            assert_eq!(
                peers.is_unfit(&setup, &flow),
                trunk == "unfit",
                "{remote} {names:?}"
            );
        }
    }

    #[test]
    fn what_comes_in_clear_is_no_trunk_that_knows_its_peers_by_a_certificate() {
        let (setup, peers) = (setup(), TlsPeers::default());
        for (transport, remote, is_unfit) in [
            (Transport::Udp, "10.1.2.3", true),
            (Transport::Tcp, "10.1.2.3", true),
            (Transport::Udp, "10.2.2.3", false),
            (Transport::Udp, "192.0.2.1", false),
        ] {
            assert_eq!(
                peers.is_unfit(&setup, &flow(transport, remote)),
                is_unfit,
                "{remote}"
            );
        }
    }

    #[test]
    fn an_open_connection_serves_the_trunk_whose_name_it_shows() {
        let setup = setup();
        let flow = flow(Transport::Tls, "10.1.2.3");
        let mut peers = TlsPeers::default();
        let fit = |peers: &TlsPeers, index| peers.is_fit_for(setup.trunk(index).unwrap(), &flow);
        assert!(fit(&peers, 1) && fit(&peers, 2));
        peers.insert(flow, shows(&["red.example"]));
        assert_eq!([0, 1, 2].map(|index| fit(&peers, index)), [true, true, false]);
        peers.remove(&flow);
        assert!(fit(&peers, 2) && peers.is_empty());
    }

    #[test]
    fn a_dial_takes_the_transport_it_names_and_no_less_than_the_trunk_demands() {
        use Transport::{Tcp, Tls, Udp};
        let setup = setup();
        for (trunk, uri, transport) in [
            (0, "sip:a@10.2.2.3", Some(Udp)),
            (0, "sip:a@10.2.2.3;transport=TCP", Some(Tcp)),
            (0, "sip:a@10.2.2.3;user=phone;transport=tls", Some(Tls)),
            (1, "sip:a@10.1.2.3", Some(Tls)),
            (1, "sip:a@10.1.2.3;transport=tls?x=y", Some(Tls)),
            (1, "sip:a@10.1.2.3;transport=udp", None),
            (1, "sip:a@10.1.2.3;transport=tcp", None),
        ] {
            assert_eq!(
                dial_transport(setup.trunk(trunk).unwrap(), uri),
                transport,
                "{trunk} {uri}"
            );
        }
    }
}
