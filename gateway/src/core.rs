//! The core: the SIP endpoint and the engine wired together, still without any IO.
//!
//! The shell drives it with sockets and clocks, the simulation with a seed. Owns nothing but the two
//! and the order between them: what one says is handed to the other before anything else goes out.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use sip::endpoint::{Domain, Endpoint, EndpointConfig, Flow, OVERLOAD, Policy, Rate, Registrar, SOURCE_RATE};
use sip::network::Network;

use crate::config::Trunk;
use crate::engine::Engine;
use crate::engine::Setup;
use crate::engine::io::{Input, Now, Output};
use crate::engine::policy::admission::Way;
use crate::engine::trunks::tls_peers::{CERTIFICATE_UNFIT, TlsPeer};

/// Endpoint and engine.
pub struct Core {
    endpoint: Endpoint,
    engine: Engine,
    outputs: VecDeque<Output>,
}

impl Core {
    /// A core without calls. `seed` decides tags, ids and draws.
    pub fn new(setup: Arc<Setup>, endpoint: EndpointConfig, seed: [u8; 32], now: Now) -> Self {
        let mut for_engine = seed;
        // Two streams of one seed: the endpoint's and the engine's must not be the same.
        if let Some(first) = for_engine.first_mut() {
            *first ^= 0x5a;
        }
        let mut endpoint = Endpoint::new(endpoint, seed);
        endpoint.set_allowed(sources(&setup));
        endpoint.set_rates(rates(&setup));
        endpoint.set_policies(policies(&setup));
        endpoint.set_domains(setup.config.trunks.iter().map(domain).collect());
        let mut core = Core {
            endpoint,
            engine: Engine::new(setup, for_engine, now),
            outputs: VecDeque::new(),
        };
        core.settle(now);
        core
    }

    /// Takes one input; drain [`Core::poll_output`] after it.
    pub fn handle(&mut self, input: Input, now: Now) {
        match input {
            Input::Datagram { flow, .. } if self.engine.is_unfit(&flow) => {
                self.engine.metrics_mut().sip_dropped(CERTIFICATE_UNFIT);
            }
            Input::Datagram { flow, bytes } => self.endpoint.handle_datagram(flow, bytes, now.mono),
            Input::StreamData { flow, bytes } => self.endpoint.handle_stream(flow, bytes, now.mono),
            Input::Connected { flow, peer } => self.connected(flow, peer, now),
            Input::Disconnected { flow } => self.disconnected(flow, now),
            Input::Backlog { wait } => {
                let is_overloaded = self.engine.note_backlog(wait, now.mono);
                self.endpoint.set_shedding(is_overloaded);
            }
            Input::Tick => {
                self.endpoint.handle_timeout(now.mono);
                self.settle(now);
                self.engine.handle_timeout(now);
            }
            other => self.engine.handle(other, now),
        }
        self.settle(now);
        self.endpoint.set_tapped(self.engine.is_tracing());
    }

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When an `Input::Tick` is wanted.
    pub fn next_deadline(&self) -> Option<Instant> {
        [self.endpoint.next_deadline(), self.engine.next_deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// The engine, for its numbers.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The endpoint, for its numbers.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Carries words between the two until both are silent. The endpoint is drained before it is given
    /// the next order.
    fn settle(&mut self, now: Now) {
        loop {
            if let Some(output) = self.endpoint.poll_output() {
                self.take(output, now);
            } else if let Some(output) = self.engine.poll_output() {
                match output {
                    Output::Sip(command) => self.endpoint.handle_command(command, now.mono),
                    other => self.outputs.push_back(other),
                }
            } else {
                return;
            }
        }
    }

    /// A connection whose peer does not show what its trunk demands is closed before it is heard.
    fn connected(&mut self, flow: Flow, peer: Option<TlsPeer>, now: Now) {
        self.engine.peer_shown(flow, peer);
        if !self.engine.is_unfit(&flow) {
            if let Some(trunk) = self.engine.trunk_proved(&flow) {
                self.endpoint.prove(flow, trunk);
            }
            return self.endpoint.handle_connected(flow, now.mono);
        }
        self.engine.metrics_mut().sip_dropped(CERTIFICATE_UNFIT);
        self.outputs.push_back(Output::Disconnect { flow });
        self.disconnected(flow, now);
    }

    fn disconnected(&mut self, flow: Flow, now: Now) {
        self.engine.peer_gone(&flow);
        self.endpoint.handle_disconnected(flow, now.mono);
    }

    fn take(&mut self, output: sip::endpoint::Output, now: Now) {
        use sip::endpoint::Output as Sip;
        match output {
            Sip::Send { flow, bytes } => {
                self.engine.see(flow, Way::Out, &bytes, now);
                self.outputs.push_back(Output::Send { flow, bytes });
            }
            Sip::Heard { flow, bytes } => self.engine.see(flow, Way::In, &bytes, now),
            Sip::Connect { flow } => {
                let trunk = self.engine.trunk_dialling(&flow);
                self.outputs.push_back(Output::Connect { flow, trunk });
            }
            Sip::Disconnect { flow } => {
                self.engine.peer_gone(&flow);
                self.outputs.push_back(Output::Disconnect { flow });
            }
            Sip::Probed { number, status } => self.engine.handle_probed(number, status, now),
            Sip::Event(event) => self.engine.handle_sip(event, now),
            Sip::Registration(event) => self.engine.handle_registration(event, now),
            Sip::Dropped { why, remote } => {
                self.engine.metrics_mut().sip_dropped(why);
                match why {
                    SOURCE_RATE => self.engine.handle_flood(remote.ip(), now),
                    OVERLOAD => self.engine.handle_shed(remote.ip(), now),
                    _ => {}
                }
            }
        }
    }
}

/// Everywhere that any trunk takes signalling from.
fn sources(setup: &Setup) -> Vec<Network> {
    setup.config.trunks.iter().flat_map(networks).collect()
}

/// Seconds of its rate that a source may send at once: a carrier that comes back sends what has waited.
const BURST_S: u32 = 2;

/// How many messages each source may send.
fn rates(setup: &Setup) -> Vec<(Network, Rate)> {
    let trunks = setup.config.trunks.iter();
    let rates = trunks.flat_map(|trunk| {
        let rate = Rate {
            per_second: trunk.messages_per_second,
            burst: trunk.messages_per_second.saturating_mul(BURST_S),
        };
        networks(trunk).into_iter().map(move |network| (network, rate))
    });
    rates.collect()
}

fn networks(trunk: &Trunk) -> Vec<Network> {
    let allowed = trunk.allow.iter();
    allowed
        .filter_map(|network| Network::new(network.address, network.prefix).ok())
        .collect()
}

/// What is spoken with the callers of each trunk, by where they call from.
fn policies(setup: &Setup) -> Vec<(Network, Policy)> {
    let trunks = setup.config.trunks.iter();
    let networks = trunks.flat_map(|trunk| trunk.allow.iter().map(|network| (network, trunk.sip_policy)));
    networks
        .filter_map(|(network, policy)| {
            let network = Network::new(network.address, network.prefix).ok()?;
            Some((network, policy))
        })
        .collect()
}

/// What a trunk's sources must prove and by which name they know us; its place is the trunk's index.
fn domain(trunk: &Trunk) -> Domain {
    Domain {
        networks: networks(trunk),
        challenge: trunk.challenge.clone(),
        registrar: trunk.accept_register.as_ref().map(|phones| Registrar {
            users: phones.users.clone(),
            bindings_max: phones.max,
        }),
        our_host: trunk.own_host.clone(),
        contact_host: trunk.contact_host.clone(),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use sip::endpoint::Transport;

    use super::*;
    use crate::config::Config;
    use crate::shell::clock;

    fn core() -> (Core, Now) {
        let text = "[[trunk]]\nname = \"red\"\nallow = [\"192.0.2.0/24\"]\ntls = { name = \"red.example\" }\n\
                    [[trunk]]\nname = \"blue\"\nallow = [\"192.0.2.0/24\"]\ntls = { name = \"blue.example\" }\n";
        let config = Config::parse(text, "/etc/gateway.toml".as_ref(), None).unwrap();
        let now = Now {
            mono: clock::mono(),
            wall_us: 0,
        };
        let local = "192.0.2.200:5061".parse().unwrap();
        let endpoint = EndpointConfig::simple(Transport::Tls, local);
        let setup = Setup::new(config, "e".to_owned()).unwrap();
        (Core::new(Arc::new(setup), endpoint, [7; 32], now), now)
    }

    fn flow(transport: Transport, port: u16) -> Flow {
        Flow {
            transport,
            local: "192.0.2.200:5061".parse().unwrap(),
            remote: ([192, 0, 2, 1], port).into(),
        }
    }

    /// What a peer with this name gets for OPTIONS.
    fn answered(core: &mut Core, flow: Flow, name: &str, is_accepted: bool, now: Now) -> Vec<Output> {
        let names = Some(vec![name.to_owned()]);
        let peer = Some(TlsPeer { names, is_accepted });
        core.handle(Input::Connected { flow, peer }, now);
        let bytes = Bytes::from_static(
            b"OPTIONS sip:gw@192.0.2.200 SIP/2.0\r\nVia: SIP/2.0/TLS 192.0.2.1;branch=z9hG4bKx\r\n\
              From: <sip:a@192.0.2.1>;tag=1\r\nTo: <sip:gw@192.0.2.200>\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\n\
              Content-Length: 0\r\n\r\n",
        );
        let mut outputs: Vec<_> = std::iter::from_fn(|| core.poll_output()).collect();
        core.handle(Input::StreamData { flow, bytes }, now);
        outputs.extend(std::iter::from_fn(|| core.poll_output()));
        outputs
    }

    #[test]
    fn a_connection_whose_certificate_fits_no_trunk_is_closed_unheard() {
        let (mut core, now) = core();
        let outputs = answered(&mut core, flow(Transport::Tls, 1), "red.example", true, now);
        assert!(matches!(outputs.as_slice(), [Output::Send { .. }]), "{outputs:?}");
        let outputs = answered(&mut core, flow(Transport::Tls, 2), "green.example", true, now);
        assert!(
            matches!(outputs.as_slice(), [Output::Disconnect { .. }]),
            "{outputs:?}"
        );
        assert_eq!(
            core.engine().metrics().sip_drops().get(CERTIFICATE_UNFIT),
            Some(&1)
        );
        // One of our own was verified when it was dialled.
        let outputs = answered(&mut core, flow(Transport::Tls, 3), "green.example", false, now);
        assert!(matches!(outputs.as_slice(), [Output::Send { .. }]), "{outputs:?}");
        assert_eq!(core.endpoint().connections(), 2);
    }

    #[test]
    fn a_datagram_from_where_certificates_are_demanded_is_dropped() {
        let (mut core, now) = core();
        let bytes = Bytes::from_static(b"OPTIONS sip:x SIP/2.0\r\n\r\n");
        let flow = flow(Transport::Udp, 5060);
        core.handle(Input::Datagram { flow, bytes }, now);
        assert!(core.poll_output().is_none());
        assert_eq!(
            core.engine().metrics().sip_drops().get(CERTIFICATE_UNFIT),
            Some(&1)
        );
    }

    #[test]
    fn what_a_closed_connection_has_shown_is_forgotten() {
        let (mut core, now) = core();
        let flow = flow(Transport::Tls, 1);
        answered(&mut core, flow, "red.example", true, now);
        assert_eq!(core.engine().world().tls_peers.len(), 1);
        core.handle(Input::Disconnected { flow }, now);
        assert!(core.engine().world().tls_peers.is_empty());
    }
}
