//! The streams of one shard by number: a slab with a lookup table beside it.

use std::collections::HashMap;

use crate::command::StreamKey;
use crate::stream::Stream;

/// All streams. A slot is a small number that names a stream while it is open: sockets, timers and rows
/// use it. The map is only looked up in, never iterated.
pub struct Slots {
    slots: Vec<Option<Box<Stream>>>,
    free: Vec<u32>,
    by_key: HashMap<StreamKey, u32>,
}

impl Slots {
    /// Room for `count` streams.
    pub fn new(count: usize) -> Self {
        Self {
            slots: std::iter::repeat_with(|| None).take(count).collect(),
            free: (0..count as u32).rev().collect(),
            by_key: HashMap::with_capacity(count),
        }
    }

    /// The slot the next stream would get; `None`: full, or the key is in use.
    pub fn vacant(&self, key: StreamKey) -> Option<u32> {
        if self.by_key.contains_key(&key) {
            return None;
        }
        self.free.last().copied()
    }

    /// Puts a stream into the slot [`Slots::vacant`] named.
    pub fn insert(&mut self, stream: Box<Stream>) {
        let Some(slot) = self.free.pop() else { return };
        self.by_key.insert(stream.key(), slot);
        if let Some(place) = self.slots.get_mut(slot as usize) {
            debug_assert!(place.is_none(), "a free slot is empty");
            *place = Some(stream);
        }
    }

    /// Takes a stream out.
    pub fn remove(&mut self, slot: u32) -> Option<Box<Stream>> {
        let stream = self.slots.get_mut(slot as usize)?.take()?;
        self.by_key.remove(&stream.key());
        self.free.push(slot);
        Some(stream)
    }

    /// The slot of a stream.
    pub fn slot(&self, key: StreamKey) -> Option<u32> {
        self.by_key.get(&key).copied()
    }

    /// The stream in a slot.
    #[inline]
    pub fn get(&self, slot: u32) -> Option<&Stream> {
        self.slots.get(slot as usize)?.as_deref()
    }

    /// The stream in a slot, to change it.
    #[inline]
    pub fn get_mut(&mut self, slot: u32) -> Option<&mut Stream> {
        self.slots.get_mut(slot as usize)?.as_deref_mut()
    }

    /// How many are open.
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether none is open.
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// All open slots in order.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Stream)> {
        let numbered = self.slots.iter().enumerate();
        numbered.filter_map(|(slot, stream)| Some((slot as u32, stream.as_deref()?)))
    }
}
