//! Ports that are free on this machine.

use std::net::{TcpListener, UdpSocket};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the range that the kernel gives out by itself, so that nobody takes one in between.
const BLOCKS: RangeInclusive<u16> = 21..=31;
const BLOCK_PORTS: u16 = 1_000;

/// A port of `ip` that is free for UDP and TCP, even, and followed by a free one.
pub fn free_port(ip: &str) -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let offset = (std::process::id() % 250) as u16 * 32;
    for _ in 0..2_000 {
        let port = 11_000 + (offset + NEXT.fetch_add(2, Ordering::Relaxed)) % 9_000 / 2 * 2;
        let is_free = [port, port + 1]
            .iter()
            .all(|port| UdpSocket::bind((ip, *port)).is_ok() && TcpListener::bind((ip, *port)).is_ok());
        if is_free {
            return port;
        }
    }
    panic!("no free port on {ip}");
}

/// A thousand ports for the media of one gateway, as far as a look at some of them tells.
pub fn media_block() -> String {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let count = BLOCKS.end() - BLOCKS.start() + 1;
    for _ in 0..count {
        let turn = (std::process::id() as u16).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % count;
        let first = (BLOCKS.start() + turn) * BLOCK_PORTS;
        let is_free = (first..first + BLOCK_PORTS)
            .step_by(50)
            .all(|port| UdpSocket::bind(("127.0.0.1", port)).is_ok());
        if is_free {
            return format!("{first}-{}", first + BLOCK_PORTS - 1);
        }
    }
    panic!("no free block of media ports");
}
