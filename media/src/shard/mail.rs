//! What shards hand one another: streams on their way, and ports on their way home.
//!
//! Each pair of shards has a bounded queue each way; nothing is shared and nobody waits. Packets and audio
//! never travel here. Knows nothing of what a shard does with a letter.

use std::collections::VecDeque;

use rtrb::{Consumer, Producer, PushError, RingBuffer};

use super::grid::Tick;
use super::io::{Sockets, Waker};
use super::ports::RtpPort;
use super::wheel::Dues;
use crate::command::StreamKey;
use crate::stream::Stream;

/// Letters under way from one shard to another. What does not fit stays with the sender, which owns at most
/// one letter for each of its streams and ports.
pub const LETTERS_MAX: usize = 256;

/// What one shard hands to another.
pub(super) enum Letter {
    /// A stream moves.
    Stream(Box<Parcel>),
    /// The stream that was to move is not here: it has closed.
    Nobody(StreamKey),
    /// A pair of ports comes back to the shard whose range it is from.
    Port(RtpPort),
}

/// A stream with all that goes with it.
pub(super) struct Parcel {
    /// The stream, in nobody's row: SSRC, numbers, jitter buffer, plays, digits, tracks, counts.
    pub stream: Box<Stream>,
    /// Its sockets, with what waits in them.
    pub sockets: Sockets,
    /// The tick its sender would have done next: none is done twice and none is left out.
    pub next_tick: Tick,
    /// When its deadlines fall due.
    pub dues: Dues,
}

/// One shard's letter box, and its ways to the others.
pub struct Post {
    index: usize,
    to: Vec<Option<Producer<Letter>>>,
    from: Vec<Option<Consumer<Letter>>>,
    /// For whom the queue had no room.
    unsent: VecDeque<(usize, Letter)>,
    /// Ends the sleep of each shard; empty where shards have no threads.
    wakers: Vec<Waker>,
}

/// The letter boxes of `count` shards that can hand streams to one another. All of them must have the same
/// start: ticks and media clocks mean the same on both sides.
pub fn links(count: usize) -> Vec<Post> {
    let mut posts: Vec<_> = (0..count).map(|index| Post::unconnected(index, count)).collect();
    for from in 0..count {
        for to in (0..count).filter(|to| *to != from) {
            let (letters, box_of) = RingBuffer::new(LETTERS_MAX);
            if let Some(place) = posts.get_mut(from).and_then(|post| post.to.get_mut(to)) {
                *place = Some(letters);
            }
            if let Some(place) = posts.get_mut(to).and_then(|post| post.from.get_mut(from)) {
                *place = Some(box_of);
            }
        }
    }
    posts
}

impl Post {
    /// A shard without others.
    pub(super) fn alone() -> Post {
        Post::unconnected(0, 0)
    }

    fn unconnected(index: usize, count: usize) -> Post {
        Post {
            index,
            to: std::iter::repeat_with(|| None).take(count).collect(),
            from: std::iter::repeat_with(|| None).take(count).collect(),
            unsent: VecDeque::new(),
            wakers: Vec::new(),
        }
    }

    /// Tells how the threads of the shards are woken.
    pub(super) fn set_wakers(&mut self, wakers: Vec<Waker>) {
        self.wakers = wakers;
    }

    /// The number of the shard this belongs to.
    pub(super) fn index(&self) -> usize {
        self.index
    }

    /// Whether there is a way to that shard.
    pub(super) fn reaches(&self, to: usize) -> bool {
        self.to.get(to).is_some_and(Option::is_some)
    }

    /// Sends a letter, or keeps it until there is room.
    pub(super) fn send(&mut self, to: usize, letter: Letter) {
        debug_assert!(self.reaches(to), "letters go to shards that are there");
        self.unsent.push_back((to, letter));
        self.flush();
    }

    /// Sends what had no room, in order.
    pub(super) fn flush(&mut self) {
        while let Some((to, letter)) = self.unsent.pop_front() {
            let Some(Some(way)) = self.to.get_mut(to) else {
                continue;
            };
            if let Err(PushError::Full(letter)) = way.push(letter) {
                return self.unsent.push_front((to, letter));
            }
            if let Some(waker) = self.wakers.get(to) {
                waker.wake();
            }
        }
    }

    /// The next letter for a shard whose next tick is `next_tick`. A stream stays in the box until the shard
    /// has done every tick that its sender had.
    pub(super) fn take(&mut self, next_tick: Tick) -> Option<Letter> {
        for letters in self.from.iter_mut().flatten() {
            let is_early = match letters.peek() {
                Ok(Letter::Stream(parcel)) => parcel.next_tick > next_tick,
                Ok(Letter::Nobody(_) | Letter::Port(_)) => false,
                Err(_) => continue,
            };
            if !is_early {
                return letters.pop().ok();
            }
        }
        None
    }

    /// Whether there is nothing to send and nothing to take.
    pub(super) fn is_quiet(&self) -> bool {
        self.unsent.is_empty() && self.from.iter().flatten().all(Consumer::is_empty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_kept_in_order() {
        let mut posts = links(2);
        let (mut to, mut from) = (posts.pop().unwrap(), posts.pop().unwrap());
        let sent = 0..LETTERS_MAX as u64 + 3;
        for key in sent.clone() {
            from.send(1, Letter::Nobody(StreamKey(key)));
        }
        let mut got = Vec::new();
        while !(from.is_quiet() && to.is_quiet()) {
            while let Some(letter) = to.take(Tick(0)) {
                let Letter::Nobody(key) = letter else {
                    panic!("another letter")
                };
                got.push(key.0);
            }
            from.flush();
        }
        assert!(got.into_iter().eq(sent));
    }
}
