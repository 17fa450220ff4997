//! The floors: what any program with a socket per leg and one turn must do for the same work, and nothing more.
//!
//! No source is checked, no jitter smoothed, nothing counted; one thread, plain system calls.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use media::codec::g711;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

/// One packet of 20 ms.
const TICK: Duration = Duration::from_millis(20);
const PACKET_BYTES: usize = 172;

/// What a floor does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Passes what leg 2n sends to leg 2n + 1, and back.
    Relay,
    /// Mixes rooms of so many: each hears the others.
    Mix(usize),
    /// Sends all legs the same payload every 20 ms.
    Music,
}

/// A running floor.
pub struct Floor {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

struct Sockets {
    sockets: Vec<UdpSocket>,
    parties: Vec<SocketAddr>,
    epoll: Epoll,
    events: Vec<EpollEvent>,
}

impl Floor {
    /// Binds a socket per party and gives their addresses.
    pub fn start(
        work: Work,
        parties: &[SocketAddr],
        turn: Duration,
        prepare: impl FnOnce() + Send + 'static,
    ) -> (Floor, Vec<SocketAddr>) {
        let sockets = Sockets::bind(parties);
        let local = |socket: &UdpSocket| socket.local_addr().expect("bound");
        let addresses = sockets.sockets.iter().map(local).collect();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("floor".into()).spawn(move || {
            prepare();
            match work {
                Work::Relay => relay(sockets, turn, &stopped),
                Work::Mix(room) => mix(sockets, room, turn, &stopped),
                Work::Music => music(&sockets, turn, &stopped),
            }
        });
        let thread = thread.expect("a thread");
        (Floor { stop, thread }, addresses)
    }

    pub fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the floor runs to its end");
    }
}

impl Sockets {
    fn bind(parties: &[SocketAddr]) -> Sockets {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).expect("epoll");
        let bind = |index: usize| {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
            socket.set_nonblocking(true).expect("non-blocking");
            let event = EpollEvent::new(EpollFlags::EPOLLIN, index as u64);
            epoll.add(&socket, event).expect("room");
            socket
        };
        Sockets {
            sockets: (0..parties.len()).map(bind).collect(),
            parties: parties.to_vec(),
            epoll,
            events: vec![EpollEvent::empty(); 4096],
        }
    }

    /// Reads one packet of each ready socket.
    fn read(&mut self, mut then: impl FnMut(&[UdpSocket], &[SocketAddr], usize, &[u8])) {
        let mut packet = [0; 2048];
        let count = self.epoll.wait(&mut self.events, EpollTimeout::ZERO).unwrap_or(0);
        for event in &self.events[..count] {
            let from = event.data() as usize;
            if let Ok((len, _)) = self.sockets[from].recv_from(&mut packet) {
                then(&self.sockets, &self.parties, from, &packet[..len]);
            }
        }
    }

    fn send(&self, leg: usize, packet: &[u8]) {
        let _ = self.sockets[leg].send_to(packet, self.parties[leg]);
    }
}

fn relay(mut sockets: Sockets, turn: Duration, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        sockets.read(|sockets, parties, from, packet| {
            let _ = sockets[from ^ 1].send_to(packet, parties[from ^ 1]);
        });
        std::thread::sleep(turn);
    }
}

fn mix(mut sockets: Sockets, room: usize, turn: Duration, stop: &AtomicBool) {
    let legs = sockets.sockets.len();
    let mut frames = vec![[0i16; 160]; legs];
    let mut packets = vec![[0u8; PACKET_BYTES]; legs];
    let mut due = Instant::now() + TICK;
    while !stop.load(Ordering::Relaxed) {
        sockets.read(|_, _, from, packet| {
            g711::decode_ulaw(&packet[12..], &mut frames[from]);
        });
        if Instant::now() >= due {
            due += TICK;
            for (leg, packet) in packets.iter_mut().enumerate() {
                let first = leg / room * room;
                let mut sum = [0i32; 160];
                for other in (first..first + room).filter(|other| *other != leg) {
                    for (sum, sample) in sum.iter_mut().zip(&frames[other]) {
                        *sum += i32::from(*sample);
                    }
                }
                let mixed = sum.map(|sum| sum.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16);
                count_up(packet);
                g711::encode_ulaw(&mixed, &mut packet[12..]);
                sockets.send(leg, packet);
            }
        }
        std::thread::sleep(turn);
    }
}

fn music(sockets: &Sockets, turn: Duration, stop: &AtomicBool) {
    let mut packets = vec![[0x55u8; PACKET_BYTES]; sockets.sockets.len()];
    let mut due = Instant::now() + TICK;
    while !stop.load(Ordering::Relaxed) {
        if Instant::now() >= due {
            due += TICK;
            for (leg, packet) in packets.iter_mut().enumerate() {
                count_up(packet);
                sockets.send(leg, packet);
            }
        }
        std::thread::sleep(turn);
    }
}

/// The header of the next packet.
fn count_up(packet: &mut [u8; PACKET_BYTES]) {
    let number = u16::from_be_bytes([packet[2], packet[3]]).wrapping_add(1);
    packet[..2].copy_from_slice(&[0x80, 0]);
    packet[2..4].copy_from_slice(&number.to_be_bytes());
    packet[4..8].copy_from_slice(&(u32::from(number) * 160).to_be_bytes());
}
