//! A mouth and an ear on a UDP socket: speaks a tone as µ-law RTP, and keeps what it hears with the moment
//! the kernel received it. SIPp does the signalling for it.

use std::io::IoSliceMut;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};

use super::ports;
use crate::tone;

const SAMPLES: usize = 160;
const PACKET_EVERY: Duration = Duration::from_millis(20);
/// How soon a thread notices that it is to end.
const READ_TIMEOUT: Duration = Duration::from_millis(50);

/// One RTP packet that came.
#[derive(Clone, Debug)]
pub struct Packet {
    pub at_us: i64,
    pub sequence: u16,
    pub timestamp: u32,
    pub samples: Vec<i16>,
}

impl Packet {
    /// Level of a tone in it, full scale 1.
    pub fn level(&self, hz: f64) -> f64 {
        tone::level(&self.samples, hz)
    }
}

/// Ends its threads when dropped.
pub struct Ear {
    socket: Arc<UdpSocket>,
    heard: Arc<Mutex<Vec<Packet>>>,
    is_over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Ear {
    /// Listens on a free port.
    pub fn open(ip: &str) -> Self {
        let socket = UdpSocket::bind((ip, ports::free_port(ip))).unwrap();
        socket.set_read_timeout(Some(READ_TIMEOUT)).unwrap();
        setsockopt(&socket, sockopt::ReceiveTimestampns, &true).unwrap();
        let mut ear = Ear {
            socket: Arc::new(socket),
            heard: Arc::default(),
            is_over: Arc::default(),
            threads: Vec::new(),
        };
        let (socket, heard, is_over) = (ear.socket.clone(), ear.heard.clone(), ear.is_over.clone());
        ear.threads.push(std::thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                if let Some(packet) = receive(&socket) {
                    heard.lock().unwrap().push(packet);
                }
            }
        }));
        ear
    }

    pub fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    /// Says `hz` to `peer` from now on.
    pub fn speak(&mut self, hz: f64, peer: SocketAddr) {
        let (socket, is_over) = (self.socket.clone(), self.is_over.clone());
        self.threads.push(std::thread::spawn(move || {
            let started = Instant::now();
            let mut packet = [0; 12 + SAMPLES];
            let mut samples = [0; SAMPLES];
            for number in 0u32.. {
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                tone::sine(hz, 0.3, u64::from(number) * SAMPLES as u64, &mut samples);
                packet[..2].copy_from_slice(&[0x80, 0]);
                packet[2..4].copy_from_slice(&(number as u16).to_be_bytes());
                packet[4..8].copy_from_slice(&(number * SAMPLES as u32).to_be_bytes());
                packet[8..12].copy_from_slice(&u32::from(socket.local_addr().unwrap().port()).to_be_bytes());
                for (byte, sample) in packet[12..].iter_mut().zip(samples) {
                    *byte = tone::mulaw(sample);
                }
                // A peer that is gone refuses; that is its test's business.
                let _ = socket.send_to(&packet, peer);
                let next = PACKET_EVERY * (number + 1);
                std::thread::sleep(next.saturating_sub(started.elapsed()));
            }
        }));
    }

    /// Packets that came in a span of time, in the order they came.
    pub fn heard(&self, from_us: i64, to_us: i64) -> Vec<Packet> {
        let heard = self.heard.lock().unwrap();
        let is_within = |packet: &&Packet| (from_us..to_us).contains(&packet.at_us);
        heard.iter().filter(is_within).cloned().collect()
    }

    /// Level of a tone over a span of time, full scale 1.
    pub fn level(&self, hz: f64, from_us: i64, to_us: i64) -> f64 {
        let samples: Vec<i16> = self
            .heard(from_us, to_us)
            .into_iter()
            .flat_map(|packet| packet.samples)
            .collect();
        tone::level(&samples, hz)
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// The next µ-law packet; none where nothing came in time or it is something else.
fn receive(socket: &UdpSocket) -> Option<Packet> {
    let mut bytes = [0; 1_500];
    let mut control = nix::cmsg_space!(nix::sys::time::TimeSpec);
    let mut slices = [IoSliceMut::new(&mut bytes)];
    let message = recvmsg::<SockaddrStorage>(
        socket.as_raw_fd(),
        &mut slices,
        Some(&mut control),
        MsgFlags::empty(),
    )
    .ok()?;
    let length = message.bytes;
    let at_us = message.cmsgs().ok()?.find_map(|control| match control {
        ControlMessageOwned::ScmTimestampns(time) => Some(time.tv_sec() * 1_000_000 + time.tv_nsec() / 1_000),
        _ => None,
    })?;
    let packet = bytes.get(..length)?;
    if length <= 12 || packet[0] != 0x80 || packet[1] & 0x7f != 0 {
        return None;
    }
    Some(Packet {
        at_us,
        sequence: u16::from_be_bytes([packet[2], packet[3]]),
        timestamp: u32::from_be_bytes([packet[4], packet[5], packet[6], packet[7]]),
        samples: packet[12..].iter().map(|byte| tone::from_mulaw(*byte)).collect(),
    })
}
