//! All callers: each sends 50 packets of G.711 a second, evenly spread, and looks at what comes back.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// Twenty groups of legs send a millisecond apart.
const GROUPS: usize = 20;

/// When the driver looks for what a group sent: the time through the relay is known to about 1 ms.
const LISTEN_AFTER_MS: [usize; 6] = [1, 2, 3, 5, 8, 12];

/// RTP header and 20 ms of G.711.
const PACKET_BYTES: usize = 172;

pub struct Driver {
    start: Instant,
    sockets: Vec<UdpSocket>,
    addresses: Vec<SocketAddr>,
    number: u32,
    packet: [u8; PACKET_BYTES],
}

/// What was sent and what came back.
pub struct Heard {
    pub sent: u64,
    pub received: u64,
    latency_us: Histogram<u32>,
}

impl Default for Heard {
    fn default() -> Self {
        let latency_us = Histogram::new_with_bounds(1, 10_000_000, 2).expect("bounds");
        Self {
            sent: 0,
            received: 0,
            latency_us,
        }
    }
}

impl Heard {
    pub fn add(&mut self, other: &Heard) {
        self.sent += other.sent;
        self.received += other.received;
        self.latency_us.add(&other.latency_us).expect("equal bounds");
    }

    pub fn lost(&self) -> u64 {
        self.sent.saturating_sub(self.received)
    }

    pub fn latency_us(&self, quantile: f64) -> u64 {
        self.latency_us.value_at_quantile(quantile)
    }
}

impl Driver {
    pub fn new(legs: usize) -> Driver {
        let sockets: Vec<_> = (0..legs)
            .map(|_| {
                let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
                socket.set_nonblocking(true).expect("non-blocking");
                socket
            })
            .collect();
        let addresses = sockets
            .iter()
            .map(|socket| socket.local_addr().expect("bound"))
            .collect();
        let mut packet = [0xff; PACKET_BYTES];
        packet[..12].copy_from_slice(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]);
        Driver {
            start: Instant::now(),
            sockets,
            addresses,
            number: 0,
            packet,
        }
    }

    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Fixes where each leg sends to.
    pub fn connect(&mut self, gateway: &[SocketAddr]) {
        for (socket, gateway) in self.sockets.iter().zip(gateway) {
            socket.connect(gateway).expect("loopback");
        }
    }

    /// Sends and listens for `span`; what is still under way then is waited for.
    pub fn run(&mut self, span: Duration) -> Heard {
        let mut heard = Heard::default();
        let begin = Instant::now();
        let steps = span.as_millis() as u32;
        for step in 0..steps {
            let due = begin + Duration::from_millis(u64::from(step));
            while Instant::now() < due {
                std::thread::sleep(Duration::from_micros(100));
            }
            let group = step as usize % GROUPS;
            if group == 0 {
                self.number += 1;
            }
            self.send_group(group, &mut heard);
            // What a group sent comes back to its partners a turn later.
            for before in LISTEN_AFTER_MS {
                self.receive_group((group + GROUPS - before) % GROUPS, &mut heard);
            }
        }
        std::thread::sleep(Duration::from_millis(50));
        for group in 0..GROUPS {
            self.receive_group(group, &mut heard);
        }
        heard
    }

    fn send_group(&mut self, group: usize, heard: &mut Heard) {
        self.packet[2..4].copy_from_slice(&(self.number as u16).to_be_bytes());
        self.packet[4..8].copy_from_slice(&(self.number * 160).to_be_bytes());
        for leg in self.legs_of(group) {
            let now_ns = self.start.elapsed().as_nanos() as u64;
            self.packet[12..20].copy_from_slice(&now_ns.to_be_bytes());
            heard.sent += u64::from(self.sockets[leg].send(&self.packet).is_ok());
        }
    }

    fn receive_group(&mut self, group: usize, heard: &mut Heard) {
        let mut packet = [0; 2048];
        for leg in self.legs_of(group) {
            while let Ok(len) = self.sockets[leg].recv(&mut packet) {
                // What the gateway sent before both sides were joined is silence without a time.
                let sent_ns = u64::from_be_bytes(packet[12..20].try_into().expect("eight bytes"));
                if len == PACKET_BYTES && sent_ns != u64::MAX {
                    let took_ns = (self.start.elapsed().as_nanos() as u64).saturating_sub(sent_ns);
                    heard.received += 1;
                    heard.latency_us.saturating_record((took_ns / 1000).max(1));
                }
            }
        }
    }

    /// Pairs stay together, so that both sides of a call send in the same millisecond.
    fn legs_of(&self, group: usize) -> impl Iterator<Item = usize> + use<> {
        let legs = self.sockets.len();
        (0..legs).filter(move |leg| (leg / 2) % GROUPS == group)
    }
}
