//! The core: the SIP endpoint and the engine wired together, still without any IO.
//!
//! The shell drives it with sockets and clocks, the simulation with a seed. Owns nothing but the two
//! and the order between them: what one says is handed to the other before anything else goes out.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use sip::endpoint::{Endpoint, EndpointConfig};
use sip::network::Network;

use crate::engine::io::{Input, Now, Output};
use crate::engine::{Engine, Setup};

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
            Input::Datagram { flow, bytes } => self.endpoint.handle_datagram(flow, bytes, now.mono),
            Input::StreamData { flow, bytes } => self.endpoint.handle_stream(flow, bytes, now.mono),
            Input::Connected { flow } => self.endpoint.handle_connected(flow, now.mono),
            Input::Disconnected { flow } => self.endpoint.handle_disconnected(flow, now.mono),
            Input::Tick => {
                self.endpoint.handle_timeout(now.mono);
                self.settle(now);
                self.engine.handle_timeout(now);
            }
            other => self.engine.handle(other, now),
        }
        self.settle(now);
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

    fn take(&mut self, output: sip::endpoint::Output, now: Now) {
        use sip::endpoint::Output as Sip;
        match output {
            Sip::Send { flow, bytes } => self.outputs.push_back(Output::Send { flow, bytes }),
            Sip::Connect { flow } => self.outputs.push_back(Output::Connect { flow }),
            Sip::Disconnect { flow } => self.outputs.push_back(Output::Disconnect { flow }),
            Sip::Probed { number, status } => self.engine.handle_probed(number, status, now),
            Sip::Event(event) => self.engine.handle_sip(event, now),
            Sip::Dropped { why, .. } => self.engine.metrics_mut().sip_dropped(why),
        }
    }
}

/// Everywhere that any trunk takes signalling from.
fn sources(setup: &Setup) -> Vec<Network> {
    let allowed = setup.config.trunks.iter().flat_map(|trunk| trunk.allow.iter());
    allowed
        .filter_map(|network| Network::new(network.address, network.prefix).ok())
        .collect()
}
