//! A slab of packet slots made once and never grown.

/// Free bytes in front of a received packet, so that a header may grow in place.
pub const HEADROOM_BYTES: usize = 64;

/// One slot: headroom and the largest datagram taken in. A longer one is cut by the socket and then
/// refused by its length (docs/threats.md A10 allows 120 ms a packet: 12 + 960 bytes of G.711).
pub const SLOT_BYTES: usize = 2048;

/// A handle of one taken slot. Not `Clone`: whoever holds it owns the slot, and gives it back once.
#[derive(Debug, PartialEq, Eq)]
pub struct Buf {
    slot: u32,
    start: u32,
    end: u32,
}

impl Buf {
    /// A packet of `len` bytes from `start` on in a slot of other memory than a [`Pool`]'s.
    pub(crate) fn at(slot: u32, start: usize, len: usize) -> Buf {
        Buf {
            slot,
            start: start as u32,
            end: (start + len) as u32,
        }
    }

    /// The slot.
    pub(crate) fn slot(&self) -> u32 {
        self.slot
    }

    /// Where the packet lies in its slot.
    pub(crate) fn range(&self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }

    /// Bytes of the packet.
    pub fn len(&self) -> usize {
        (self.end - self.start) as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.end == self.start
    }

    /// Says how many bytes were written behind the headroom.
    pub fn set_len(&mut self, len: usize) {
        let len = len.min(SLOT_BYTES - HEADROOM_BYTES);
        self.start = HEADROOM_BYTES as u32;
        self.end = self.start + len as u32;
    }
}

/// All packet memory of one shard. When it is empty a packet is dropped and counted; it never grows.
#[derive(Debug)]
pub struct Pool {
    bytes: Box<[u8]>,
    free: Vec<u32>,
    slots: usize,
    empty: u64,
}

impl Pool {
    /// Makes `slots` slots, all free.
    pub fn new(slots: usize) -> Self {
        Self {
            bytes: vec![0; slots * SLOT_BYTES].into_boxed_slice(),
            free: (0..slots as u32).rev().collect(),
            slots,
            empty: 0,
        }
    }

    /// Takes a slot; `None` is counted and means: drop the packet.
    pub fn take(&mut self) -> Option<Buf> {
        let Some(slot) = self.free.pop() else {
            self.empty += 1;
            return None;
        };
        Some(Buf {
            slot,
            start: HEADROOM_BYTES as u32,
            end: HEADROOM_BYTES as u32,
        })
    }

    /// Gives a slot back.
    pub fn give(&mut self, buf: Buf) {
        debug_assert!(self.free.len() < self.slots, "a slot is given back once");
        debug_assert!(!self.free.contains(&buf.slot), "a slot is given back once");
        self.free.push(buf.slot);
    }

    /// The packet.
    pub fn packet(&self, buf: &Buf) -> &[u8] {
        self.slot(buf)
            .get(buf.start as usize..buf.end as usize)
            .unwrap_or_default()
    }

    /// The packet, to change it in place.
    pub fn packet_mut(&mut self, buf: &Buf) -> &mut [u8] {
        let (start, end) = (buf.start as usize, buf.end as usize);
        self.slot_mut(buf).get_mut(start..end).unwrap_or_default()
    }

    /// Puts another packet in the place of this one; what does not fit is cut off.
    pub fn replace(&mut self, buf: &mut Buf, packet: &[u8]) {
        for (place, byte) in self.room_mut(buf).iter_mut().zip(packet) {
            *place = *byte;
        }
        buf.set_len(packet.len());
    }

    /// All room behind the headroom, to receive into; then [`Buf::set_len`].
    pub fn room_mut(&mut self, buf: &Buf) -> &mut [u8] {
        self.slot_mut(buf).get_mut(HEADROOM_BYTES..).unwrap_or_default()
    }

    /// Slots taken.
    pub fn level(&self) -> usize {
        self.slots - self.free.len()
    }

    /// Slots there are.
    pub fn size(&self) -> usize {
        self.slots
    }

    /// How often none was free.
    pub fn empty_total(&self) -> u64 {
        self.empty
    }

    fn slot(&self, buf: &Buf) -> &[u8] {
        let at = buf.slot as usize * SLOT_BYTES;
        self.bytes.get(at..at + SLOT_BYTES).unwrap_or_default()
    }

    fn slot_mut(&mut self, buf: &Buf) -> &mut [u8] {
        let at = buf.slot as usize * SLOT_BYTES;
        self.bytes.get_mut(at..at + SLOT_BYTES).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_pool_refuses_and_counts_and_never_grows() {
        let mut pool = Pool::new(2);
        let first = pool.take().unwrap();
        let second = pool.take().unwrap();
        assert!(pool.take().is_none());
        assert_eq!((pool.empty_total(), pool.level(), pool.size()), (1, 2, 2));
        pool.give(first);
        assert!(pool.take().is_some());
        pool.give(second);
    }

    #[test]
    fn slots_do_not_overlap() {
        let mut pool = Pool::new(2);
        let mut first = pool.take().unwrap();
        let mut second = pool.take().unwrap();
        for (buf, byte) in [(&mut first, 1u8), (&mut second, 2)] {
            pool.room_mut(buf).fill(byte);
            buf.set_len(172);
        }
        assert_eq!(pool.packet(&first), [1; 172]);
        assert_eq!(pool.packet(&second), [2; 172]);
    }

    #[test]
    fn a_length_beyond_the_slot_is_cut() {
        let mut pool = Pool::new(1);
        let mut buf = pool.take().unwrap();
        buf.set_len(usize::MAX);
        assert_eq!(pool.packet(&buf).len(), SLOT_BYTES - HEADROOM_BYTES);
    }
}
