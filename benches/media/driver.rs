//! All callers: each sends a packet every 20 ms, evenly spread over that time, and looks at what comes back.
//!
//! The callers share a few sockets and many packets go with one system call, so that one core drives thousands of
//! legs. Whose packet comes back is told by the port of the gateway it came from.

use std::io::{IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg, setsockopt, sockopt};

/// Groups of legs that send a millisecond apart.
const GROUPS: usize = 20;

/// Sockets all callers share.
const SOCKETS: usize = 4;

/// Packets of one system call.
const BATCH: usize = 64;

/// Longest packet of a caller: a header, 20 ms of G.711 and an SRTP tag.
const PACKET_BYTES_MAX: usize = 12 + 160 + 10;

/// Kernel receive buffer of each socket, bytes.
const RECEIVE_BUFFER_BYTES: usize = 16 << 20;

/// Packets between two loud ones of a leg whose delay through a mixer is measured.
const LOUD_EVERY: u32 = 50;

/// 20 ms of µ-law silence, and of a tone that is loud in every sample.
const QUIET: u8 = 0xff;
const LOUD: u8 = 0x90;

/// What callers send and how they know it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speech {
    /// The time of sending in the payload, which comes back as it is.
    Stamped,
    /// Silence with a loud packet now and then, of one leg in `room` at a time.
    Bursts { room: usize },
    /// Nothing: callers only listen.
    Nothing,
}

/// What turns a packet of one leg into what it sends, and what it gets into a packet: a codec, a cipher.
pub trait Voice {
    /// The datagram that carries a packet of header and µ-law; empty: none yet.
    fn encode(&mut self, packet: &[u8], datagram: &mut Vec<u8>);
    /// Whether a datagram that came is a packet of this leg.
    fn is_heard(&mut self, datagram: &[u8]) -> bool;
}

pub struct Driver {
    start: Instant,
    sockets: Vec<UdpSocket>,
    legs: Vec<Leg>,
    /// By port of the gateway.
    leg_of: Vec<u32>,
    speech: Speech,
    number: u32,
    /// Datagrams of the batch under way.
    batch: Vec<Vec<u8>>,
}

#[derive(Default)]
struct Leg {
    to: Option<SocketAddrV4>,
    voice: Option<Box<dyn Voice>>,
    /// Since when its room is loud, as long as that was not heard here.
    loud: Option<Instant>,
    last_at: Option<Instant>,
}

/// What was sent and what came back.
pub struct Heard {
    pub sent: u64,
    pub received: u64,
    /// From sending to hearing it.
    pub latency_us: Histogram<u32>,
    /// How far packets of a leg were from 20 ms apart.
    pub jitter_us: Histogram<u32>,
}

impl Default for Heard {
    fn default() -> Self {
        let histogram = || Histogram::new_with_bounds(1, 10_000_000, 2).expect("bounds");
        Self {
            sent: 0,
            received: 0,
            latency_us: histogram(),
            jitter_us: histogram(),
        }
    }
}

impl Heard {
    pub fn add(&mut self, other: &Heard) {
        self.sent += other.sent;
        self.received += other.received;
        self.latency_us.add(&other.latency_us).expect("equal bounds");
        self.jitter_us.add(&other.jitter_us).expect("equal bounds");
    }
}

impl Driver {
    pub fn new(legs: usize, speech: Speech) -> Driver {
        let sockets = (0..SOCKETS).map(|_| {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
            socket.set_nonblocking(true).expect("non-blocking");
            let size = RECEIVE_BUFFER_BYTES;
            if setsockopt(&socket, sockopt::RcvBufForce, &size).is_err() {
                let _ = setsockopt(&socket, sockopt::RcvBuf, &size);
            }
            socket
        });
        Driver {
            start: Instant::now(),
            sockets: sockets.collect(),
            legs: (0..legs).map(|_| Leg::default()).collect(),
            leg_of: vec![u32::MAX; 1 << 16],
            speech,
            number: 0,
            batch: (0..BATCH).map(|_| Vec::with_capacity(PACKET_BYTES_MAX)).collect(),
        }
    }

    /// Where each leg is sent to.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let of = |leg: usize| self.sockets[leg % SOCKETS].local_addr().expect("bound");
        (0..self.legs.len()).map(of).collect()
    }

    /// Fixes where each leg sends to.
    pub fn connect(&mut self, gateway: &[SocketAddr]) {
        for (index, (leg, address)) in self.legs.iter_mut().zip(gateway).enumerate() {
            let SocketAddr::V4(address) = address else {
                panic!("callers speak IPv4")
            };
            leg.to = Some(*address);
            self.leg_of[usize::from(address.port())] = index as u32;
        }
    }

    /// Gives a leg a codec or a cipher.
    pub fn set_voice(&mut self, leg: usize, voice: Box<dyn Voice>) {
        self.legs[leg].voice = Some(voice);
    }

    /// Sends and listens for `span`; what is still under way then is waited for.
    pub fn run(&mut self, span: Duration) -> Heard {
        let mut heard = Heard::default();
        let begin = Instant::now();
        for leg in &mut self.legs {
            leg.last_at = None;
        }
        for step in 0..span.as_millis() as u32 {
            let due = begin + Duration::from_millis(u64::from(step));
            let group = step as usize % GROUPS;
            if group == 0 {
                self.number += 1;
            }
            self.listen(&mut heard);
            while Instant::now() < due {
                std::thread::sleep(Duration::from_micros(50));
                self.listen(&mut heard);
            }
            self.send_group(group, &mut heard);
        }
        let end = Instant::now() + Duration::from_millis(60);
        while Instant::now() < end {
            self.listen(&mut heard);
        }
        heard
    }

    /// Pairs stay together, so that both sides of a call send in the same millisecond.
    fn send_group(&mut self, group: usize, heard: &mut Heard) {
        if self.speech == Speech::Nothing {
            return;
        }
        let legs: Vec<usize> = (0..self.legs.len())
            .filter(|leg| (leg / 2) % GROUPS == group)
            .collect();
        for socket in 0..SOCKETS {
            let its: Vec<usize> = legs
                .iter()
                .copied()
                .filter(|leg| leg % SOCKETS == socket)
                .collect();
            for batch in its.chunks(BATCH) {
                heard.sent += self.send_batch(socket, batch);
            }
        }
    }

    fn send_batch(&mut self, socket: usize, legs: &[usize]) -> u64 {
        let mut batch = std::mem::take(&mut self.batch);
        let mut used = 0;
        let mut to = Vec::with_capacity(BATCH);
        for leg in legs {
            let datagram = &mut batch[used];
            self.write(*leg, datagram);
            if !datagram.is_empty() {
                used += 1;
                to.push(self.legs[*leg].to.map(SockaddrIn::from));
            }
        }
        let parts: Vec<_> = batch[..used]
            .iter()
            .map(|datagram| [IoSlice::new(datagram)])
            .collect();
        let mut headers = MultiHeaders::<SockaddrIn>::preallocate(used, None);
        let control: [nix::sys::socket::ControlMessage<'_>; 0] = [];
        let fd = self.sockets[socket].as_raw_fd();
        let sent = sendmmsg(fd, &mut headers, &parts, &to, control, MsgFlags::empty());
        let count = sent.map_or(0, |results| results.count()) as u64;
        drop(parts);
        self.batch = batch;
        count
    }

    /// Writes what a leg sends now.
    fn write(&mut self, leg: usize, datagram: &mut Vec<u8>) {
        let mut packet = [QUIET; 172];
        packet[..2].copy_from_slice(&[0x80, 0]);
        packet[2..4].copy_from_slice(&(self.number as u16).to_be_bytes());
        packet[4..8].copy_from_slice(&(self.number * 160).to_be_bytes());
        packet[8..12].copy_from_slice(&(leg as u32 + 1).to_be_bytes());
        match self.speech {
            Speech::Stamped => {
                let now_ns = self.start.elapsed().as_nanos() as u64;
                packet[12..20].copy_from_slice(&now_ns.to_be_bytes());
            }
            Speech::Bursts { room } => {
                // The first of each room speaks up once a second, rooms at different times.
                if leg.is_multiple_of(room) && self.number % LOUD_EVERY == (leg / room) as u32 % LOUD_EVERY {
                    packet[12..].fill(LOUD);
                    let now = Instant::now();
                    for other in &mut self.legs[leg + 1..leg + room] {
                        other.loud = Some(now);
                    }
                }
            }
            Speech::Nothing => {}
        }
        datagram.clear();
        match &mut self.legs[leg].voice {
            Some(voice) => voice.encode(&packet, datagram),
            None => datagram.extend_from_slice(&packet),
        }
    }

    /// Takes whatever has come.
    fn listen(&mut self, heard: &mut Heard) {
        let mut bytes = [[0u8; 256]; BATCH];
        for socket in 0..SOCKETS {
            loop {
                let came = receive(&self.sockets[socket], &mut bytes);
                let now = Instant::now();
                for (datagram, (len, port)) in bytes.iter().zip(&came) {
                    self.take(*port, &datagram[..*len], now, heard);
                }
                if came.len() < BATCH {
                    break;
                }
            }
        }
    }

    fn take(&mut self, port: u16, datagram: &[u8], now: Instant, heard: &mut Heard) {
        let Some(leg) = self.legs.get_mut(self.leg_of[usize::from(port)] as usize) else {
            return;
        };
        if datagram.len() < 13 {
            return;
        }
        if let Some(last_at) = leg.last_at.replace(now) {
            let apart_us = (now - last_at).as_micros() as i64;
            heard
                .jitter_us
                .saturating_record((apart_us - 20_000).unsigned_abs().max(1));
        }
        if let Some(voice) = &mut leg.voice {
            heard.received += u64::from(voice.is_heard(datagram));
            return;
        }
        match self.speech {
            Speech::Stamped => {
                let stamp = datagram.get(12..20).and_then(|bytes| bytes.try_into().ok());
                let sent_ns = stamp.map_or(u64::MAX, u64::from_be_bytes);
                // What the gateway sent before both sides were joined is silence without a time.
                if sent_ns != u64::MAX {
                    let took_ns = ((now - self.start).as_nanos() as u64).saturating_sub(sent_ns);
                    heard.received += 1;
                    heard.latency_us.saturating_record((took_ns / 1000).max(1));
                }
            }
            Speech::Bursts { .. } => {
                heard.received += 1;
                let is_loud = datagram[12..]
                    .iter()
                    .filter(|sample| (**sample & 0x7f) < 0x40)
                    .count()
                    > 80;
                if let Some(since) = leg.loud.filter(|_| is_loud) {
                    leg.loud = None;
                    heard
                        .latency_us
                        .saturating_record((now - since).as_micros().max(1) as u64);
                }
            }
            Speech::Nothing => heard.received += 1,
        }
    }
}

/// Takes what has come, up to a batch: length and port of each.
fn receive(socket: &UdpSocket, bytes: &mut [[u8; 256]; BATCH]) -> Vec<(usize, u16)> {
    let mut parts: Vec<_> = bytes.iter_mut().map(|bytes| [IoSliceMut::new(bytes)]).collect();
    let mut headers = MultiHeaders::<SockaddrIn>::preallocate(BATCH, None);
    let flags = MsgFlags::MSG_DONTWAIT;
    let came = recvmmsg(socket.as_raw_fd(), &mut headers, &mut parts, flags, None);
    let port = |from: SockaddrIn| SocketAddrV4::from(from).port();
    came.map(|came| came.map(|one| (one.bytes, one.address.map_or(0, port))).collect())
        .unwrap_or_default()
}
