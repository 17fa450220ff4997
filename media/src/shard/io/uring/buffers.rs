//! The memory packets are received into: a ring of buffers shared with the kernel, which fills one for each packet.
//!
//! A buffer is the kernel's, or it is held: by whoever was given its packet, and by every send that still reads it.
//! When nobody holds it any more it is the kernel's again. Knows nothing of sockets.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::IoUring;
use io_uring::types::{BufRingEntry, RecvMsgOut};
use nix::libc;

use crate::packet::{Buf, HEADROOM_BYTES, SLOT_BYTES};

/// The one group of buffers there is.
pub const GROUP: u16 = 1;

/// Alignment of the ring, which must begin a page.
const PAGE_BYTES: usize = 4096;

/// Room for the source of a packet, of either family.
const NAME_BYTES: usize = size_of::<libc::sockaddr_in6>();

/// Zeroed memory that does not move.
struct Memory {
    start: NonNull<u8>,
    layout: Layout,
}

impl Memory {
    fn new(bytes: usize) -> io::Result<Memory> {
        let layout = Layout::from_size_align(bytes.max(1), PAGE_BYTES).map_err(io::Error::other)?;
        // SAFETY: the layout has at least one byte.
        let start = unsafe { alloc_zeroed(layout) };
        match NonNull::new(start) {
            Some(start) => Ok(Memory { start, layout }),
            None => handle_alloc_error(layout),
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: it was allocated with this layout, and is freed once.
        unsafe { dealloc(self.start.as_ptr(), self.layout) }
    }
}

/// All buffers of one shard.
pub struct Buffers {
    /// `count` entries that name buffers to the kernel.
    ring: Memory,
    /// `count` times [`SLOT_BYTES`], and once more: the spare one, which is never the kernel's.
    bytes: Memory,
    count: u16,
    tail: u16,
    /// Who holds each; nobody: it is the kernel's.
    holders: Vec<u16>,
    held: usize,
    /// What every receive asks for: the source of the packet.
    message: Box<libc::msghdr>,
}

// SAFETY: the memory is owned, and nothing else of this process keeps a pointer to it.
unsafe impl Send for Buffers {}

impl Buffers {
    /// Makes `count` buffers, a power of two, and hands all of them to the kernel.
    pub fn new(ring: &IoUring, count: u16) -> io::Result<Buffers> {
        let entries = Memory::new(usize::from(count) * size_of::<BufRingEntry>())?;
        let bytes = Memory::new((usize::from(count) + 1) * SLOT_BYTES)?;
        // SAFETY: every field of a message may be zero: no pointers, no lengths, no flags.
        let mut message: Box<libc::msghdr> = Box::new(unsafe { std::mem::zeroed() });
        message.msg_namelen = NAME_BYTES as u32;
        let at = entries.start.as_ptr() as u64;
        // SAFETY: the entries begin a page, are `count` in number, and are freed only after the ring is closed.
        unsafe {
            ring.submitter()
                .register_buf_ring_with_flags(at, count, GROUP, 0)?
        };
        let mut buffers = Buffers {
            ring: entries,
            bytes,
            count,
            tail: 0,
            holders: vec![0; usize::from(count) + 1],
            held: 0,
            message,
        };
        for index in 0..count {
            buffers.hand_to_kernel(index);
        }
        Ok(buffers)
    }

    /// What a receive refers to; it lives as long as the buffers.
    pub fn message(&self) -> *const libc::msghdr {
        &raw const *self.message
    }

    /// A packet the kernel has put into a buffer: where it lies and whom it is from. None: it says neither, and the
    /// buffer is the kernel's again.
    pub fn take(&mut self, index: u16, len: usize) -> Option<(Buf, SocketAddr)> {
        self.hold(index);
        let found = self.parse(index, len);
        if found.is_none() {
            self.let_go(index);
        }
        found
    }

    fn parse(&self, index: u16, len: usize) -> Option<(Buf, SocketAddr)> {
        let bytes = self.slot(index).get(..len)?;
        let message = RecvMsgOut::parse(bytes, &self.message).ok()?;
        let from = address(message.name_data())?;
        let packet = message.payload_data();
        let start = packet.as_ptr().addr().checked_sub(bytes.as_ptr().addr())?;
        Some((Buf::at(u32::from(index), start, packet.len()), from))
    }

    /// A packet.
    pub fn packet(&self, buf: &Buf) -> &[u8] {
        self.slot(buf.slot() as u16).get(buf.range()).unwrap_or_default()
    }

    /// A packet, to change it; no send may hold it.
    pub fn packet_mut(&mut self, buf: &Buf) -> &mut [u8] {
        self.slot_mut(buf.slot() as u16)
            .get_mut(buf.range())
            .unwrap_or_default()
    }

    /// Puts another packet in its place; what does not fit is cut off.
    pub fn replace(&mut self, buf: &mut Buf, packet: &[u8]) {
        let Range { start, .. } = buf.range();
        let room = self
            .slot_mut(buf.slot() as u16)
            .get_mut(start..)
            .unwrap_or_default();
        let len = packet.len().min(room.len());
        for (place, byte) in room.iter_mut().zip(packet) {
            *place = *byte;
        }
        *buf = Buf::at(buf.slot(), start, len);
    }

    /// Puts a packet that came another way into the spare buffer; none: that is still held.
    pub fn keep(&mut self, packet: &[u8]) -> Option<Buf> {
        let mut buf = Buf::at(u32::from(self.count), HEADROOM_BYTES, 0);
        if self.holders(&buf) > 0 {
            return None;
        }
        self.hold(self.count);
        self.replace(&mut buf, packet);
        Some(buf)
    }

    /// How many hold the buffer of a packet.
    pub fn holders(&self, buf: &Buf) -> u16 {
        self.holders.get(buf.slot() as usize).copied().unwrap_or_default()
    }

    /// One more holds the buffer.
    pub fn hold(&mut self, index: u16) {
        if let Some(holders) = self.holders.get_mut(usize::from(index)) {
            self.held += usize::from(*holders == 0);
            *holders += 1;
        }
    }

    /// One less holds the buffer; after the last it is the kernel's.
    pub fn let_go(&mut self, index: u16) {
        let Some(holders) = self.holders.get_mut(usize::from(index)) else {
            return;
        };
        debug_assert!(*holders > 0, "a buffer is let go of by who holds it");
        *holders = holders.saturating_sub(1);
        if *holders == 0 {
            self.held = self.held.saturating_sub(1);
            if index < self.count {
                self.hand_to_kernel(index);
            }
        }
    }

    /// Buffers that are held.
    pub fn held(&self) -> usize {
        self.held
    }

    /// Buffers there are.
    pub fn count(&self) -> usize {
        usize::from(self.count)
    }

    fn hand_to_kernel(&mut self, index: u16) {
        let place = self.tail & (self.count - 1);
        // SAFETY: the place is below `count`, and the memory holds as many entries, zeroed at the start, which is a
        // valid entry. The kernel reads an entry only once the tail is past it.
        unsafe {
            let entry = &mut *self
                .ring
                .start
                .as_ptr()
                .cast::<BufRingEntry>()
                .add(usize::from(place));
            entry.set_addr(self.bytes.start.as_ptr().add(usize::from(index) * SLOT_BYTES) as u64);
            entry.set_len(SLOT_BYTES as u32);
            entry.set_bid(index);
        }
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the tail of the ring lies in its first entry, is aligned for 16 bits and only written here.
        let tail = unsafe { &*BufRingEntry::tail(self.ring.start.as_ptr().cast()).cast::<AtomicU16>() };
        tail.store(self.tail, Ordering::Release);
    }

    fn slot(&self, index: u16) -> &[u8] {
        let Some(at) = self.held_at(index) else { return &[] };
        // SAFETY: `held_at` keeps it inside the memory; the kernel does not write to a held buffer.
        unsafe { std::slice::from_raw_parts(self.bytes.start.as_ptr().add(at), SLOT_BYTES) }
    }

    fn slot_mut(&mut self, index: u16) -> &mut [u8] {
        let Some(at) = self.held_at(index) else {
            return &mut [];
        };
        // SAFETY: as for `slot`, and the slice borrows all buffers.
        unsafe { std::slice::from_raw_parts_mut(self.bytes.start.as_ptr().add(at), SLOT_BYTES) }
    }

    /// Where a buffer that is held begins.
    fn held_at(&self, index: u16) -> Option<usize> {
        let is_held = self
            .holders
            .get(usize::from(index))
            .is_some_and(|holders| *holders > 0);
        is_held.then(|| usize::from(index) * SLOT_BYTES)
    }
}

/// A socket address as the kernel writes it.
fn address(name: &[u8]) -> Option<SocketAddr> {
    let family = u16::from_ne_bytes(*name.first_chunk()?);
    let port = u16::from_be_bytes(*name.get(2..)?.first_chunk()?);
    match i32::from(family) {
        libc::AF_INET => {
            let host: [u8; 4] = *name.get(4..)?.first_chunk()?;
            Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::from(host)), port))
        }
        libc::AF_INET6 => {
            let host: [u8; 16] = *name.get(8..)?.first_chunk()?;
            let scope = u32::from_ne_bytes(*name.get(24..)?.first_chunk()?);
            Some(SocketAddr::V6(SocketAddrV6::new(
                Ipv6Addr::from(host),
                port,
                0,
                scope,
            )))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use socket2::SockAddr;

    use super::*;

    #[test]
    fn addresses_are_read_as_the_kernel_writes_them() {
        for text in ["192.0.2.1:4000", "[2001:db8::7]:65535", "[fe80::1%3]:5004"] {
            let expected: SocketAddr = text.parse().unwrap();
            let written = SockAddr::from(expected);
            // SAFETY: a socket address has as many bytes as it says.
            let bytes =
                unsafe { std::slice::from_raw_parts(written.as_ptr().cast::<u8>(), written.len() as usize) };
            assert_eq!(address(bytes), Some(expected));
            for cut in 0..bytes.len() {
                let cut_off = bytes.get(..cut).unwrap();
                assert!(
                    address(cut_off).is_none_or(|found| found.is_ipv4() && cut >= 8),
                    "{text} {cut}"
                );
            }
        }
        assert_eq!(address(&[0; 28]), None);
    }
}
