//! A network in memory and in virtual time, for tests that run real shards: several shards and any
//! number of test parties share one [`Network`], which loses, delays, doubles and reorders as told.
//!
//! Knows nothing of RTP. Everything random comes from its seed.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::io::{Channel, Datagram, Io, IoCounts, Socket, Sockets, stamp_in_place};
use super::ports::RtpPort;
use super::rng::Rng;
use crate::packet::{Buf, Pool};
use crate::rtp::Header;

/// Packets waiting at one address; more are lost, as in a full socket buffer.
const QUEUE_MAX: usize = 256;

/// Longest packet carried.
const PACKET_BYTES_MAX: usize = 2048;

/// How the network treats packets.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// Packets lost, of a thousand.
    pub loss_permille: u64,
    /// Packets delivered twice, of a thousand.
    pub duplicate_permille: u64,
    /// Delay of every packet.
    pub delay: Duration,
    /// Further delay, evenly from nothing to this; packets overtake one another.
    pub jitter: Duration,
}

struct Packet {
    at: Instant,
    from: SocketAddr,
    len: usize,
    bytes: [u8; PACKET_BYTES_MAX],
}

struct State {
    now: Instant,
    rng: Rng,
    weather: Weather,
    queues: BTreeMap<SocketAddr, VecDeque<Packet>>,
    sent: u64,
    lost: u64,
}

/// The network; clones are the same one.
#[derive(Clone)]
pub struct Network(Arc<Mutex<State>>);

impl Network {
    /// A perfect network whose clock stands at `now`.
    pub fn new(seed: u64, now: Instant) -> Self {
        Self(Arc::new(Mutex::new(State {
            now,
            rng: Rng::new(seed),
            weather: Weather::default(),
            queues: BTreeMap::new(),
            sent: 0,
            lost: 0,
        })))
    }

    /// Moves its clock.
    pub fn set_now(&self, now: Instant) {
        self.state().now = now;
    }

    /// Changes how packets sent from here on are treated.
    pub fn set_weather(&self, weather: Weather) {
        self.state().weather = weather;
    }

    /// Listens at `address`; false: taken.
    pub fn bind(&self, address: SocketAddr) -> bool {
        let mut state = self.state();
        let free = !state.queues.contains_key(&address);
        if free {
            state.queues.insert(address, VecDeque::with_capacity(QUEUE_MAX));
        }
        free
    }

    /// Stops listening.
    pub fn unbind(&self, address: SocketAddr) {
        self.state().queues.remove(&address);
    }

    /// Sends one packet in two parts.
    pub fn send(&self, from: SocketAddr, head: &[u8], tail: &[u8], to: SocketAddr) {
        let mut state = self.state();
        state.sent += 1;
        let weather = state.weather;
        if state.rng.below(1000) < weather.loss_permille {
            state.lost += 1;
            return;
        }
        let copies = 1 + u32::from(state.rng.below(1000) < weather.duplicate_permille);
        for _ in 0..copies {
            let jitter_us = state.rng.below(weather.jitter.as_micros() as u64 + 1);
            let at = state.now + weather.delay + Duration::from_micros(jitter_us);
            state.deliver(Packet::new(at, from, head, tail), to);
        }
    }

    /// Takes the next packet that has arrived at `address`.
    pub fn receive(&self, address: SocketAddr, into: &mut [u8]) -> Option<(usize, SocketAddr)> {
        let mut state = self.state();
        let now = state.now;
        let queue = state.queues.get_mut(&address)?;
        if queue.front()?.at > now {
            return None;
        }
        let packet = queue.pop_front()?;
        let len = packet.len.min(into.len());
        into.get_mut(..len)?.copy_from_slice(packet.bytes.get(..len)?);
        Some((len, packet.from))
    }

    /// When the next packet under way arrives anywhere.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.state()
            .queues
            .values()
            .filter_map(|queue| queue.front().map(|packet| packet.at))
            .min()
    }

    /// Packets sent, and of these lost.
    pub fn counts(&self) -> (u64, u64) {
        let state = self.state();
        (state.sent, state.lost)
    }

    fn has_arrived(&self, address: SocketAddr) -> bool {
        let state = self.state();
        let front = state.queues.get(&address).and_then(VecDeque::front);
        front.is_some_and(|packet| packet.at <= state.now)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn deliver(&mut self, packet: Packet, to: SocketAddr) {
        let Some(queue) = self.queues.get_mut(&to).filter(|queue| queue.len() < QUEUE_MAX) else {
            self.lost += 1;
            return;
        };
        let place = queue.partition_point(|waiting| waiting.at <= packet.at);
        queue.insert(place, packet);
    }
}

impl Packet {
    fn new(at: Instant, from: SocketAddr, head: &[u8], tail: &[u8]) -> Self {
        let mut packet = Packet {
            at,
            from,
            len: 0,
            bytes: [0; PACKET_BYTES_MAX],
        };
        for (place, byte) in packet.bytes.iter_mut().zip(head.iter().chain(tail)) {
            *place = *byte;
            packet.len += 1;
        }
        packet
    }
}

/// The sockets of one shard on a [`Network`].
pub struct SimIo {
    network: Network,
    pairs: Vec<Option<Pair>>,
    pool: Pool,
    /// Sockets that had something when the turn began, and how many of them are done.
    ready: Vec<Socket>,
    done: usize,
}

struct Pair {
    rtp: SocketAddr,
    rtcp: SocketAddr,
    /// The only source the RTP socket hears, where it is connected.
    peer: Option<SocketAddr>,
    hears_rtcp: bool,
}

impl SimIo {
    /// Sockets for up to `slots` streams.
    pub fn new(network: Network, slots: usize) -> Self {
        Self {
            network,
            pairs: std::iter::repeat_with(|| None).take(slots).collect(),
            pool: Pool::new(1),
            ready: Vec::with_capacity(2 * slots),
            done: 0,
        }
    }

    fn address(&self, socket: Socket) -> Option<SocketAddr> {
        let pair = self.pairs.get(socket.slot as usize)?.as_ref()?;
        match socket.channel {
            Channel::Rtp => Some(pair.rtp),
            Channel::Rtcp => pair.hears_rtcp.then_some(pair.rtcp),
        }
    }

    fn peer(&self, socket: Socket) -> Option<SocketAddr> {
        match socket.channel {
            Channel::Rtp => self.pairs.get(socket.slot as usize)?.as_ref()?.peer,
            Channel::Rtcp => None,
        }
    }

    /// Every packet that has arrived at a socket, one socket after the other. A connected one loses what others sent.
    fn next_packet(&mut self, into: &mut [u8]) -> Option<(Socket, usize, SocketAddr)> {
        while let Some(socket) = self.ready.get(self.done).copied() {
            let (address, peer) = (self.address(socket), self.peer(socket));
            while let Some((len, from)) = address.and_then(|address| self.network.receive(address, into)) {
                if peer.is_none_or(|peer| peer == from) {
                    return Some((socket, len, from));
                }
            }
            self.done += 1;
        }
        None
    }
}

impl Io for SimIo {
    fn open(&mut self, slot: u32, address: IpAddr, port: RtpPort) -> io::Result<()> {
        let place = self
            .pairs
            .get_mut(slot as usize)
            .ok_or(io::ErrorKind::OutOfMemory)?;
        let rtp = SocketAddr::new(address, port.0);
        let rtcp = SocketAddr::new(address, port.0 + 1);
        if !self.network.bind(rtp) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        if !self.network.bind(rtcp) {
            self.network.unbind(rtp);
            return Err(io::ErrorKind::AddrInUse.into());
        }
        *place = Some(Pair::new(rtp, rtcp));
        Ok(())
    }

    fn close(&mut self, slot: u32) {
        if let Some(pair) = self.pairs.get_mut(slot as usize).and_then(Option::take) {
            self.network.unbind(pair.rtp);
            self.network.unbind(pair.rtcp);
        }
    }

    fn release(&mut self, slot: u32) -> Option<Sockets> {
        let Pair {
            rtp,
            rtcp,
            peer,
            hears_rtcp,
        } = self.pairs.get_mut(slot as usize)?.take()?;
        Some(Sockets::Simulated {
            rtp,
            rtcp,
            peer,
            hears_rtcp,
        })
    }

    fn adopt(&mut self, slot: u32, sockets: Sockets) -> io::Result<()> {
        let Sockets::Simulated {
            rtp,
            rtcp,
            peer,
            hears_rtcp,
        } = sockets
        else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let Some(place) = self.pairs.get_mut(slot as usize) else {
            self.network.unbind(rtp);
            self.network.unbind(rtcp);
            return Err(io::ErrorKind::OutOfMemory.into());
        };
        debug_assert!(place.is_none(), "a slot is opened once");
        *place = Some(Pair {
            rtp,
            rtcp,
            peer,
            hears_rtcp,
        });
        Ok(())
    }

    fn connect(&mut self, slot: u32, peer: Option<SocketAddr>) {
        if let Some(Some(pair)) = self.pairs.get_mut(slot as usize) {
            pair.peer = peer;
        }
    }

    fn watch_rtcp(&mut self, slot: u32, wanted: bool) {
        if let Some(Some(pair)) = self.pairs.get_mut(slot as usize) {
            pair.hears_rtcp = wanted;
        }
    }

    fn begin_turn(&mut self) {
        self.ready.clear();
        self.done = 0;
        for slot in 0..self.pairs.len() as u32 {
            for channel in [Channel::Rtp, Channel::Rtcp] {
                let socket = Socket { slot, channel };
                if self
                    .address(socket)
                    .is_some_and(|address| self.network.has_arrived(address))
                {
                    self.ready.push(socket);
                }
            }
        }
    }

    fn receive(&mut self) -> Option<Datagram> {
        let mut buf = self.pool.take()?;
        let mut bytes = [0; PACKET_BYTES_MAX];
        let Some((socket, len, from)) = self.next_packet(&mut bytes) else {
            self.pool.give(buf);
            return None;
        };
        self.pool.replace(&mut buf, bytes.get(..len).unwrap_or_default());
        Some(Datagram { socket, from, buf })
    }

    fn packet(&self, buf: &Buf) -> &[u8] {
        self.pool.packet(buf)
    }

    fn replace(&mut self, buf: &mut Buf, packet: &[u8]) {
        self.pool.replace(buf, packet);
    }

    fn stamp(
        &mut self,
        buf: &Buf,
        header: &[u8; Header::BYTES],
        payload: Range<usize>,
    ) -> Option<Range<usize>> {
        stamp_in_place(self.pool.packet_mut(buf), header, payload)
    }

    fn relay(&mut self, from: Socket, buf: &Buf, part: Range<usize>, to: SocketAddr) -> bool {
        let packet = self.pool.packet(buf).get(part).unwrap_or_default();
        let address = self.address(from);
        address
            .map(|address| self.network.send(address, packet, &[], to))
            .is_some()
    }

    fn send(&mut self, from: Socket, head: &[u8], tail: &[u8], to: SocketAddr) -> bool {
        let Some(address) = self.address(from) else {
            return false;
        };
        self.network.send(address, head, tail, to);
        true
    }

    fn give(&mut self, buf: Buf) {
        self.pool.give(buf);
    }

    fn flush(&mut self) {}

    fn refused(&mut self) -> Option<u32> {
        None
    }

    fn counts(&self) -> IoCounts {
        let connected = self.pairs.iter().flatten().filter(|pair| pair.peer.is_some());
        IoCounts {
            buffers_used: self.pool.level() as u64,
            buffers: self.pool.size() as u64,
            starved: self.pool.empty_total(),
            connected: connected.count() as u64,
        }
    }
}

impl Pair {
    fn new(rtp: SocketAddr, rtcp: SocketAddr) -> Self {
        Self {
            rtp,
            rtcp,
            peer: None,
            hears_rtcp: true,
        }
    }
}
