//! Every UDP datagram that crosses this machine to one address, read beside the sockets it is for (packet(7)).

use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

/// How soon the thread notices that it is to end.
const READ_TIMEOUT: Duration = Duration::from_millis(50);
/// Room for what comes while the thread waits for a processor.
const BUFFER_BYTES: usize = 8 * 1024 * 1024;
const UDP: u8 = 17;

/// One datagram: source port, destination port, payload.
pub type Datagram = (u16, u16, Vec<u8>);

/// Ends its thread when dropped.
pub struct Capture {
    seen: Arc<Mutex<Vec<Datagram>>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Capture {
    /// Of everything that goes to `ip`; none where this process may not look (no CAP_NET_RAW).
    pub fn to(ip: &str) -> Option<Self> {
        let ip: std::net::Ipv4Addr = ip.parse().unwrap();
        let opened = socket(
            AddressFamily::Packet,
            SockType::Datagram,
            SockFlag::empty(),
            SockProtocol::EthAll,
        );
        let socket = match opened {
            Err(Errno::EPERM | Errno::EACCES) => return None,
            opened => opened.unwrap(),
        };
        let timeout = TimeVal::milliseconds(READ_TIMEOUT.as_millis() as i64);
        setsockopt(&socket, sockopt::ReceiveTimeout, &timeout).unwrap();
        setsockopt(&socket, sockopt::RcvBuf, &BUFFER_BYTES).unwrap();
        let (seen, is_over) = (
            Arc::<Mutex<Vec<Datagram>>>::default(),
            Arc::<AtomicBool>::default(),
        );
        let (kept, over) = (Arc::clone(&seen), Arc::clone(&is_over));
        let thread = std::thread::spawn(move || {
            let mut bytes = vec![0; 65_536];
            while !over.load(Ordering::Relaxed) {
                let Ok(length) = recv(socket.as_raw_fd(), &mut bytes, MsgFlags::empty()) else {
                    continue;
                };
                if let Some(datagram) = datagram(&bytes[..length], ip) {
                    kept.lock().unwrap().push(datagram);
                }
            }
        });
        Some(Capture {
            seen,
            is_over,
            thread: Some(thread),
        })
    }

    /// What was seen so far.
    pub fn seen(&self) -> Vec<Datagram> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The UDP datagram in an IPv4 packet to this address (RFC 791 §3.1, RFC 768).
fn datagram(packet: &[u8], to: std::net::Ipv4Addr) -> Option<Datagram> {
    let header = usize::from(packet.first()? & 0x0f) * 4;
    if packet[0] >> 4 != 4 || *packet.get(9)? != UDP || *packet.get(16..20)? != to.octets() {
        return None;
    }
    let udp = packet.get(header..)?;
    let port = |at: usize| Some(u16::from_be_bytes([*udp.get(at)?, *udp.get(at + 1)?]));
    Some((port(0)?, port(2)?, udp.get(8..)?.to_vec()))
}
