//! Fixed places for payloads that wait for their time.
//!
//! Owns the bytes. Knows positions on the timeline, nothing of sequence numbers.

use crate::codec::Codec;

/// Payloads in waiting, at most [`JITTER_PACKETS_MAX`].
pub(super) struct Slots {
    slots: Box<[Slot]>,
}

struct Slot {
    /// Position of the first sample; none: free.
    start: Option<i64>,
    codec: Codec,
    length: usize,
    samples: usize,
    payload: [u8; SLOT_BYTES],
}

/// Part of a waiting payload.
pub(super) struct Waiting<'a> {
    pub codec: Codec,
    /// From the position asked for on; the whole of it where it is framed.
    pub payload: &'a [u8],
    /// Where its first sample lies.
    pub start: i64,
    /// Samples from the position asked for on.
    pub samples: usize,
}

impl Slots {
    pub fn new() -> Slots {
        let free = || Slot {
            start: None,
            codec: Codec::Pcmu,
            length: 0,
            samples: 0,
            payload: [0; SLOT_BYTES],
        };
        Slots {
            slots: (0..JITTER_PACKETS_MAX).map(|_| free()).collect(),
        }
    }

    /// Keeps a payload. Longer ones than a slot take several; false when none is free.
    pub fn insert(&mut self, start: i64, codec: Codec, payload: &[u8]) -> bool {
        let mut start = start;
        let whole = codec.is_framed().then(|| codec.samples_in(payload));
        for part in payload.chunks(SLOT_BYTES) {
            let Some(slot) = self.slots.iter_mut().find(|slot| slot.start.is_none()) else {
                return false;
            };
            let Some(place) = slot.payload.get_mut(..part.len()) else {
                return false;
            };
            place.copy_from_slice(part);
            slot.start = Some(start);
            slot.codec = codec;
            slot.length = part.len();
            slot.samples = whole.unwrap_or(part.len());
            start += slot.samples as i64;
        }
        true
    }

    /// The payload that holds `position`, from there on.
    pub fn at(&self, position: i64) -> Option<Waiting<'_>> {
        self.slots.iter().find_map(|slot| {
            let start = slot.start?;
            let skipped = usize::try_from(position - start).ok()?;
            let samples = slot.samples.checked_sub(skipped).filter(|samples| *samples > 0)?;
            let unread = if slot.codec.is_framed() { 0 } else { skipped };
            Some(Waiting {
                codec: slot.codec,
                payload: slot.payload.get(unread..slot.length)?,
                start,
                samples,
            })
        })
    }

    /// The first start after `position`.
    pub fn next_start(&self, position: i64) -> Option<i64> {
        self.slots
            .iter()
            .filter_map(|slot| slot.start)
            .filter(|start| *start > position)
            .min()
    }

    /// Where the first waiting payload ends.
    pub fn first_end(&self) -> Option<i64> {
        self.slots
            .iter()
            .filter_map(Slot::range)
            .min_by_key(|(start, _)| *start)
            .map(|(_, end)| end)
    }

    /// Where the last waiting payload ends.
    pub fn last_end(&self) -> Option<i64> {
        self.slots
            .iter()
            .filter_map(Slot::range)
            .map(|(_, end)| end)
            .max()
    }

    /// Frees everything that ends at or before `position`.
    pub fn free_before(&mut self, position: i64) {
        for slot in &mut self.slots {
            if slot.range().is_some_and(|(_, end)| end <= position) {
                slot.start = None;
            }
        }
    }

    pub fn clear(&mut self) {
        self.free_before(i64::MAX);
    }

    /// How many more parts fit.
    pub fn free(&self) -> usize {
        self.slots.iter().filter(|slot| slot.start.is_none()).count()
    }

    /// Parts a payload takes.
    pub fn parts(payload: &[u8]) -> usize {
        payload.len().div_ceil(SLOT_BYTES)
    }
}

impl Slot {
    fn range(&self) -> Option<(i64, i64)> {
        self.start.map(|start| (start, start + self.samples as i64))
    }
}

/// Packets in waiting, at most. 16 × 20 ms covers the 160 ms the delay may grow to, and the burst after a
/// stall.
pub const JITTER_PACKETS_MAX: usize = 16;
/// Longest packet taken, samples: 120 ms.
pub const PACKET_SAMPLES_MAX: usize = 960;
/// Bytes of one place: 60 ms of G.711, the longest packet length we agree to. A packet of Opus must fit one.
pub const SLOT_BYTES: usize = 480;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_found_from_any_of_its_samples() {
        let mut slots = Slots::new();
        assert!(slots.insert(100, Codec::Pcma, &[1, 2, 3]));
        assert!(slots.at(99).is_none());
        assert_eq!(slots.at(101).unwrap().payload, [2, 3]);
        assert!(slots.at(103).is_none());
        assert_eq!(slots.next_start(99), Some(100));
        assert_eq!(slots.next_start(100), None);
    }

    #[test]
    fn a_long_payload_takes_several_places() {
        let mut slots = Slots::new();
        let payload = [5; PACKET_SAMPLES_MAX];
        assert!(slots.insert(0, Codec::Pcmu, &payload));
        assert_eq!(slots.free(), JITTER_PACKETS_MAX - Slots::parts(&payload));
        assert_eq!(slots.at(479).unwrap().payload.len(), 1);
        assert_eq!(slots.at(480).unwrap().payload.len(), 480);
        assert_eq!((slots.first_end(), slots.last_end()), (Some(480), Some(960)));
    }

    #[test]
    fn the_places_are_limited_and_come_back() {
        let mut slots = Slots::new();
        for n in 0..JITTER_PACKETS_MAX as i64 {
            assert!(slots.insert(n * 160, Codec::Pcmu, &[0; 160]));
        }
        assert!(!slots.insert(9999, Codec::Pcmu, &[0; 160]));
        slots.free_before(160);
        assert_eq!(slots.free(), 1);
    }
}
