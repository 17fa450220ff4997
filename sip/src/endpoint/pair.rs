//! Two endpoints in virtual time, joined by a network that loses, doubles, delays and reorders by a seed.
//!
//! ```text
//!  left 192.0.2.1:5060 ──► in flight, ordered by arrival ──► right 192.0.2.2:5060
//! ```
//! For tests, here and in the whole product's. Must not know what a test wants to see: it keeps what was
//! sent and what each side's owner was told.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::command::{Command, Flow, OutgoingInvite, SessionKey, Transport};
use super::config::{EndpointConfig, Listener};
use super::event::{Event, Output, RegistrationEvent};
use super::policy::Policy;
use super::{Endpoint, Limits};
use crate::network::Network;
use crate::rng::Rng;
use crate::transaction::timing::WAIT;

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// 192.0.2.1.
    Left,
    /// 192.0.2.2.
    Right,
}

/// How the network treats datagrams; connections only see the delay.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// Datagrams lost, in a hundred.
    pub loss_percent: u64,
    /// Datagrams that arrive twice, in a hundred.
    pub duplicate_percent: u64,
    /// Shortest way.
    pub delay_min: Duration,
    /// Longest way: with a spread datagrams overtake each other.
    pub delay_max: Duration,
}

/// A message that went out, whether it arrived or not.
#[derive(Clone, Debug)]
pub struct Sent {
    /// When.
    pub at: Instant,
    /// By whom.
    pub from: Side,
    /// All of it.
    pub text: String,
}

/// The two endpoints, the messages between them and the time.
#[derive(Debug)]
pub struct Pair {
    /// Caller in most tests.
    pub left: Endpoint,
    /// Callee in most tests.
    pub right: Endpoint,
    /// Virtual time.
    pub now: Instant,
    /// May be changed at any time.
    pub link: Link,
    /// What went out so far.
    pub sent: Vec<Sent>,
    /// Connections are refused while set.
    pub refuses_connections: bool,
    rng: Rng,
    in_flight: BTreeMap<(Instant, u64), (Side, Arrival)>,
    numbered: u64,
    /// The other end of each connection.
    wires: BTreeMap<(Side, Flow), Flow>,
    /// Arrivals on a connection stay in order.
    last_arrival: BTreeMap<(Side, Flow), Instant>,
    faults: Vec<Fault>,
    events: BTreeMap<Side, Vec<Event>>,
    registrations: BTreeMap<Side, Vec<RegistrationEvent>>,
    dropped: Vec<&'static str>,
}

#[derive(Clone, Debug)]
enum Arrival {
    Datagram(Flow, Bytes),
    Connected(Flow),
    Stream(Flow, Bytes),
    Disconnected(Flow),
}

/// What is done to the next messages that match.
#[derive(Debug)]
struct Fault {
    from: Side,
    start: &'static str,
    cseq: &'static str,
    times: usize,
    delay: Option<Duration>,
}

impl Link {
    /// 10 ms each way and nothing lost.
    pub const CLEAN: Link = Link {
        loss_percent: 0,
        duplicate_percent: 0,
        delay_min: Duration::from_millis(10),
        delay_max: Duration::from_millis(10),
    };
}

impl Side {
    /// The one across.
    pub fn other(self) -> Side {
        match self {
            Side::Left => Side::Right,
            Side::Right => Side::Left,
        }
    }

    /// Its listening address.
    pub fn address(self) -> SocketAddr {
        let last = match self {
            Side::Left => 1,
            Side::Right => 2,
        };
        SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)), 5060)
    }

    /// From here to the other side.
    pub fn flow(self, transport: Transport) -> Flow {
        Flow {
            transport,
            local: self.address(),
            remote: self.other().address(),
        }
    }
}

impl Pair {
    /// Two endpoints on a clean link; everything random comes from `seed`.
    pub fn new(seed: u64, start: Instant) -> Self {
        let endpoint = |side: Side| {
            let mut bytes = [side as u8 + 1; 32];
            bytes[..8].copy_from_slice(&seed.to_be_bytes());
            let mut endpoint = Endpoint::new(config(side), bytes);
            endpoint.set_allowed(vec![Network::host(side.other().address().ip())]);
            endpoint
        };
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        Pair {
            left: endpoint(Side::Left),
            right: endpoint(Side::Right),
            now: start,
            link: Link::CLEAN,
            sent: vec![],
            refuses_connections: false,
            rng: Rng::new(bytes),
            in_flight: BTreeMap::new(),
            numbered: 0,
            wires: BTreeMap::new(),
            last_arrival: BTreeMap::new(),
            faults: vec![],
            events: BTreeMap::new(),
            registrations: BTreeMap::new(),
            dropped: vec![],
        }
    }

    /// A plain INVITE from `side` to the other one.
    pub fn invite(side: Side, session: u64, transport: Transport) -> OutgoingInvite {
        let (own, far) = (side.address(), side.other().address());
        OutgoingInvite {
            session: SessionKey::Out(session),
            flow: side.flow(transport),
            request_uri: format!("sip:bob@{far}"),
            from: format!("<sip:alice@{own}>"),
            to: format!("<sip:bob@{far}>"),
            contact_host: None,
            call_id: None,
            from_tag: None,
            max_forwards: 70,
            headers: vec![],
            sdp: Bytes::from_static(b"offer"),
            credentials: None,
            policy: Policy::default(),
            timer_b: WAIT,
        }
    }

    /// Has both sides speak these extensions with whoever calls them.
    pub fn speak(&mut self, policy: Policy) {
        for side in [Side::Left, Side::Right] {
            let network = Network::host(side.other().address().ip());
            self.endpoint(side).set_policies(vec![(network, policy)]);
        }
    }

    /// Loses the next `times` messages of `from` that begin with `start` and whose CSeq ends with `cseq`.
    pub fn lose(&mut self, from: Side, start: &'static str, cseq: &'static str, times: usize) {
        self.faults.push(Fault {
            from,
            start,
            cseq,
            times,
            delay: None,
        });
    }

    /// Delays the next such message by so much more than the link does.
    pub fn delay(&mut self, from: Side, start: &'static str, cseq: &'static str, by: Duration) {
        self.faults.push(Fault {
            from,
            start,
            cseq,
            times: 1,
            delay: Some(by),
        });
    }

    /// Gives a command to one side.
    pub fn command(&mut self, side: Side, command: Command) {
        let now = self.now;
        self.endpoint(side).handle_command(command, now);
        self.drain(side);
    }

    /// Gives a datagram to one side, as if it came from `remote`.
    pub fn inject(&mut self, side: Side, remote: SocketAddr, text: &str) {
        let flow = Flow {
            transport: Transport::Udp,
            local: side.address(),
            remote,
        };
        let (bytes, now) = (Bytes::copy_from_slice(text.as_bytes()), self.now);
        self.endpoint(side).handle_datagram(flow, bytes, now);
        self.drain(side);
    }

    /// Closes every connection.
    pub fn cut_connections(&mut self) {
        for ((side, flow), _) in std::mem::take(&mut self.wires) {
            self.arrive(side, Arrival::Disconnected(flow), self.now);
        }
    }

    /// Goes on to the next arrival or deadline; false when there is none until `end`.
    pub fn step(&mut self, end: Instant) -> bool {
        let arrival = self.in_flight.first_key_value().map(|((at, _), _)| *at);
        let deadline = [self.left.next_deadline(), self.right.next_deadline()]
            .into_iter()
            .flatten()
            .min();
        let Some(at) = [arrival, deadline]
            .into_iter()
            .flatten()
            .min()
            .filter(|at| *at <= end)
        else {
            self.now = self.now.max(end);
            return false;
        };
        self.now = self.now.max(at);
        if arrival == Some(at) {
            if let Some((_, (side, arrival))) = self.in_flight.pop_first() {
                self.deliver(side, arrival);
            }
            return true;
        }
        for side in [Side::Left, Side::Right] {
            let now = self.now;
            if self.endpoint(side).next_deadline().is_some_and(|at| at <= now) {
                self.endpoint(side).handle_timeout(now);
                self.drain(side);
            }
        }
        true
    }

    /// Lets time pass.
    pub fn run_for(&mut self, span: Duration) {
        let end = self.now + span;
        while self.step(end) {}
    }

    /// What the owner of one side was told since the last call.
    pub fn take_events(&mut self, side: Side) -> Vec<Event> {
        self.events.remove(&side).unwrap_or_default()
    }

    /// What the owner of one side was told of registrations since the last call.
    pub fn take_registrations(&mut self, side: Side) -> Vec<RegistrationEvent> {
        self.registrations.remove(&side).unwrap_or_default()
    }

    /// Why messages were dropped since the last call.
    pub fn take_dropped(&mut self) -> Vec<&'static str> {
        std::mem::take(&mut self.dropped)
    }

    /// Start lines of what one side sent, in order.
    pub fn sent_by(&self, side: Side) -> Vec<&str> {
        let of_side = self.sent.iter().filter(|sent| sent.from == side);
        of_side
            .map(|sent| sent.text.lines().next().unwrap_or_default())
            .collect()
    }

    /// One of the two.
    pub fn endpoint(&mut self, side: Side) -> &mut Endpoint {
        match side {
            Side::Left => &mut self.left,
            Side::Right => &mut self.right,
        }
    }

    /// True when neither side holds anything but open connections.
    pub fn is_empty(&self) -> bool {
        let is_empty = |one: &Endpoint| one.sessions() + one.dialogs() + one.transactions() == 0;
        is_empty(&self.left) && is_empty(&self.right)
    }

    fn drain(&mut self, side: Side) {
        while let Some(output) = self.endpoint(side).poll_output() {
            match output {
                Output::Send { flow, bytes } => self.send(side, flow, bytes),
                Output::Connect { flow } => self.connect(side, flow),
                Output::Disconnect { flow } => {
                    if let Some(far) = self.wires.remove(&(side, flow)) {
                        self.wires.remove(&(side.other(), far));
                        self.arrive(side.other(), Arrival::Disconnected(far), self.now);
                    }
                }
                Output::Event(event) => self.events.entry(side).or_default().push(event),
                Output::Registration(event) => self.registrations.entry(side).or_default().push(event),
                Output::Probed { .. } | Output::Heard { .. } => {}
                Output::Dropped { why, .. } => self.dropped.push(why),
            }
        }
    }

    fn send(&mut self, from: Side, flow: Flow, bytes: Bytes) {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let fault = self.fault(from, &text);
        self.sent.push(Sent {
            at: self.now,
            from,
            text,
        });
        let mut at = self.now + self.draw_delay();
        match fault {
            Some(None) => return,
            Some(Some(more)) => at += more,
            None => {}
        }
        let to = from.other();
        match flow.transport {
            Transport::Udp => {
                if self.rng.below(100) < self.link.loss_percent || flow.remote != to.address() {
                    return;
                }
                let back = Flow {
                    transport: Transport::Udp,
                    local: to.address(),
                    remote: from.address(),
                };
                if self.rng.below(100) < self.link.duplicate_percent {
                    let again = self.now + self.draw_delay();
                    self.arrive(to, Arrival::Datagram(back, bytes.clone()), again);
                }
                self.arrive(to, Arrival::Datagram(back, bytes), at);
            }
            Transport::Tcp | Transport::Tls => {
                let Some(far) = self.wires.get(&(from, flow)).copied() else {
                    return;
                };
                // A segment border anywhere: framing must not care.
                let cut = usize::try_from(self.rng.below(bytes.len() as u64 + 1)).unwrap_or(0);
                for piece in [bytes.slice(..cut), bytes.slice(cut..)] {
                    self.arrive_in_order(to, far, Arrival::Stream(far, piece), at);
                }
            }
        }
    }

    fn connect(&mut self, from: Side, flow: Flow) {
        let (to, at) = (from.other(), self.now + self.draw_delay());
        if self.refuses_connections || flow.remote != to.address() {
            return self.arrive(from, Arrival::Disconnected(flow), at);
        }
        self.numbered += 1;
        let port = 40_000 + u16::try_from(self.numbered % 20_000).unwrap_or(0);
        let remote = SocketAddr::new(from.address().ip(), port);
        let far = Flow {
            transport: flow.transport,
            local: to.address(),
            remote,
        };
        self.wires.insert((from, flow), far);
        self.wires.insert((to, far), flow);
        self.arrive_in_order(to, far, Arrival::Connected(far), at);
        self.arrive_in_order(from, flow, Arrival::Connected(flow), at);
    }

    fn arrive_in_order(&mut self, to: Side, flow: Flow, arrival: Arrival, at: Instant) {
        let last = self.last_arrival.entry((to, flow)).or_insert(at);
        *last = at.max(*last);
        let at = *last;
        self.arrive(to, arrival, at);
    }

    fn arrive(&mut self, to: Side, arrival: Arrival, at: Instant) {
        self.numbered += 1;
        self.in_flight.insert((at, self.numbered), (to, arrival));
    }

    fn deliver(&mut self, side: Side, arrival: Arrival) {
        let now = self.now;
        let endpoint = self.endpoint(side);
        match arrival {
            Arrival::Datagram(flow, bytes) => endpoint.handle_datagram(flow, bytes, now),
            Arrival::Connected(flow) => endpoint.handle_connected(flow, now),
            Arrival::Stream(flow, bytes) => endpoint.handle_stream(flow, bytes, now),
            Arrival::Disconnected(flow) => endpoint.handle_disconnected(flow, now),
        }
        self.drain(side);
    }

    /// `None`: no fault. `Some(None)`: lost. `Some(Some(_))`: late.
    fn fault(&mut self, from: Side, text: &str) -> Option<Option<Duration>> {
        let cseq = text
            .lines()
            .find(|line| line.starts_with("CSeq:"))
            .unwrap_or_default();
        let fits = |fault: &&mut Fault| {
            fault.times > 0
                && fault.from == from
                && text.starts_with(fault.start)
                && cseq.ends_with(fault.cseq)
        };
        let fault = self.faults.iter_mut().find(fits)?;
        fault.times -= 1;
        Some(fault.delay)
    }

    fn draw_delay(&mut self) -> Duration {
        let spread = self.link.delay_max.saturating_sub(self.link.delay_min);
        let micros = u64::try_from(spread.as_micros()).unwrap_or(u64::MAX);
        self.link.delay_min + Duration::from_micros(self.rng.below(micros.saturating_add(1)))
    }
}

fn config(side: Side) -> EndpointConfig {
    let listener = |transport| Listener {
        transport,
        local: side.address(),
        host: side.address().ip().to_string(),
        port: side.address().port(),
    };
    EndpointConfig {
        listeners: [Transport::Udp, Transport::Tcp, Transport::Tls]
            .map(listener)
            .into(),
        user_agent: format!("{side:?}"),
        hop_mark: None,
        limits: Limits::default(),
    }
}
