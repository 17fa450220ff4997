//! An authoritative DNS server on loopback, as small as a test needs: SRV and A, one zone, UDP (RFC 1035, 2782).

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

const A: u16 = 1;
const SRV: u16 = 33;
const READ_TIMEOUT: Duration = Duration::from_millis(50);

/// What the zone has for one name.
#[derive(Clone, Debug)]
pub enum Entry {
    Address(Ipv4Addr),
    Server {
        priority: u16,
        weight: u16,
        port: u16,
        host: String,
    },
}

/// Ends its thread when dropped.
pub struct Dns {
    address: SocketAddr,
    is_away: Arc<AtomicBool>,
    is_over: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    zone: Arc<Mutex<Vec<(String, Entry)>>>,
    thread: Option<JoinHandle<()>>,
}

impl Dns {
    /// Answers for these names, with this time to live.
    pub fn serve(ip: &str, zone: Vec<(String, Entry)>, ttl_s: u32) -> Self {
        let socket = UdpSocket::bind((ip, 0)).unwrap();
        socket.set_read_timeout(Some(READ_TIMEOUT)).unwrap();
        let mut dns = Dns {
            address: socket.local_addr().unwrap(),
            is_away: Arc::default(),
            is_over: Arc::default(),
            asked: Arc::default(),
            zone: Arc::new(Mutex::new(zone)),
            thread: None,
        };
        let (away, over, asked, zone) = (
            Arc::clone(&dns.is_away),
            Arc::clone(&dns.is_over),
            Arc::clone(&dns.asked),
            Arc::clone(&dns.zone),
        );
        dns.thread = Some(std::thread::spawn(move || {
            let mut query = [0; 1_500];
            while !over.load(Ordering::Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut query) else {
                    continue;
                };
                asked.fetch_add(1, Ordering::Relaxed);
                if !away.load(Ordering::Relaxed) {
                    let answer = answer(&query[..length], &zone.lock().unwrap(), ttl_s);
                    let _ = socket.send_to(&answer, from);
                }
            }
        }));
        dns
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Hears and says nothing, or speaks again.
    pub fn be_away(&self, is_away: bool) {
        self.is_away.store(is_away, Ordering::Relaxed);
    }

    /// How many questions came.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// Another zone from now on.
    pub fn change(&self, zone: Vec<(String, Entry)>) {
        *self.zone.lock().unwrap() = zone;
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The answer to one query: its question again, and what the zone has.
fn answer(query: &[u8], zone: &[(String, Entry)], ttl_s: u32) -> Vec<u8> {
    let (name, end) = name_at(query, 12);
    let kind = u16::from_be_bytes([query[end], query[end + 1]]);
    let is_known = zone.iter().any(|(of, _)| *of == name);
    let entries: Vec<&Entry> = zone
        .iter()
        .filter(|(of, entry)| {
            let its = match entry {
                Entry::Address(_) => A,
                Entry::Server { .. } => SRV,
            };
            *of == name && its == kind
        })
        .map(|(_, entry)| entry)
        .collect();
    let mut bytes = query[..2].to_vec();
    // A response, authoritative; 3 is NXDOMAIN.
    bytes.extend([0x84, if is_known { 0 } else { 3 }, 0, 1]);
    bytes.extend((entries.len() as u16).to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend(&query[12..end + 4]);
    for entry in entries {
        // The name of the question, by its place.
        bytes.extend([0xc0, 12]);
        bytes.extend(kind.to_be_bytes());
        bytes.extend([0, 1]);
        bytes.extend(ttl_s.to_be_bytes());
        let data = match entry {
            Entry::Address(ip) => ip.octets().to_vec(),
            Entry::Server {
                priority,
                weight,
                port,
                host,
            } => {
                let mut data = Vec::new();
                for number in [priority, weight, port] {
                    data.extend(number.to_be_bytes());
                }
                for label in host.split('.') {
                    data.push(label.len() as u8);
                    data.extend(label.as_bytes());
                }
                data.push(0);
                data
            }
        };
        bytes.extend((data.len() as u16).to_be_bytes());
        bytes.extend(data);
    }
    bytes
}

/// The name that begins at `at`, in lower case, and where it ends.
fn name_at(query: &[u8], mut at: usize) -> (String, usize) {
    let mut labels = Vec::new();
    while query[at] != 0 {
        let length = usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..at + 1 + length]).to_ascii_lowercase());
        at += 1 + length;
    }
    (labels.join("."), at + 1)
}
