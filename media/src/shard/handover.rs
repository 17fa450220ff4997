//! A stream's way from one shard to another.
//!
//! ```text
//!  engine ── HandOver ─► old shard: out of rows, slots, timers, poller ── Parcel ─┐
//!     └───── Adopt, Hear, … ─► new shard: what names the stream is held ◄─────────┘ then done in order
//! ```
//! All shards have one start, so that ticks and clocks go on as they are. The stream sends from the same
//! sockets, under the same SSRC and numbers; what arrives meanwhile waits in its sockets. Its ports stay
//! those of the shard that opened it. Knows nothing of why a stream moves.

use std::collections::BTreeSet;
use std::time::Instant;

use super::grid::{CATCH_UP_TICKS_MAX, Tick};
use super::io::Io;
use super::mail::{Letter, Parcel};
use super::ports::RtpPort;
use super::{Shard, graph};
use crate::command::{Change, StreamKey};
use crate::event::{Event, PlayEnd};
use crate::stream::Stream;

/// Changes held for streams on their way, which takes about one turn. Beyond it whatever is answered is
/// refused at once, as if the stream were gone; the rest is bounded by the streams there are.
pub const HELD_MAX: usize = 4096;

/// Streams on their way here, and what waits for them.
#[derive(Debug, Default)]
pub(super) struct Awaited {
    streams: BTreeSet<StreamKey>,
    /// In the order of the commands.
    held: Vec<Change>,
}

impl Awaited {
    /// Whether no stream is on its way.
    pub fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    /// A row is replaced as a whole: an older one that waits is of no use.
    fn forget_row(&mut self, of: StreamKey) {
        self.held
            .retain(|change| !matches!(change, Change::Hear { listener, .. } if *listener == of));
    }

    fn has_room_for(&self, change: &Change) -> bool {
        self.held.len() < HELD_MAX
            || !matches!(
                change,
                Change::Play { .. }
                    | Change::SendDtmf { .. }
                    | Change::StartTrack { .. }
                    | Change::Stats { .. }
            )
    }
}

impl Shard {
    /// Gives the change back if it is to be done now; keeps it if it names what is on its way here.
    pub(super) fn hold_for_arrival(&mut self, change: Change) -> Option<Change> {
        if self.awaited.is_empty() {
            return Some(change);
        }
        if let Change::Hear { listener, .. } = &change {
            self.awaited.forget_row(*listener);
        }
        if self.waits(&change) && self.awaited.has_room_for(&change) {
            self.awaited.held.push(change);
            return None;
        }
        if let Change::Hear { speakers, .. } = &change
            && speakers
                .iter()
                .any(|heard| self.awaited.streams.contains(&heard.speaker))
        {
            // Those who are there are heard at once, and all of them once the others have come.
            self.awaited.held.push(change.clone());
        }
        Some(change)
    }

    fn waits(&self, change: &Change) -> bool {
        let is_awaited = |stream: &StreamKey| self.awaited.streams.contains(stream);
        match change {
            Change::Open { stream, .. }
            | Change::Configure { stream, .. }
            | Change::Close { stream }
            | Change::HandOver { stream, .. }
            | Change::Adopt { stream }
            | Change::SendDtmf { stream, .. }
            | Change::HearDigit { stream, .. }
            | Change::PassDtmf { stream, .. }
            | Change::StartTrack { stream, .. }
            | Change::Stats { stream, .. } => is_awaited(stream),
            Change::Hear { listener, .. } | Change::Play { listener, .. } => is_awaited(listener),
            // What is unknown may come with a stream, or with a change that waits for one.
            Change::StopPlay { play } | Change::PausePlay { play, .. } => !self.plays.contains_key(play),
            Change::GateTrack { track, .. } | Change::StopTrack { track } => !self.recorder.knows(*track),
        }
    }

    /// Sends a stream to another shard, or word that it is not here.
    pub(super) fn hand_over(&mut self, stream: StreamKey, to: usize, io: &mut impl Io) -> bool {
        if !self.post.reaches(to) {
            debug_assert_eq!(to, self.post.index(), "streams go to shards that are there");
            return false;
        }
        let parcel = self.slots.slot(stream).and_then(|slot| self.release(slot, io));
        let is_here = parcel.is_some();
        let letter = parcel.map_or(Letter::Nobody(stream), |parcel| Letter::Stream(Box::new(parcel)));
        self.post.send(to, letter);
        is_here
    }

    fn release(&mut self, slot: u32, io: &mut impl Io) -> Option<Parcel> {
        let sockets = io.release(slot)?;
        self.release_plays(slot);
        self.release_tracks(slot);
        graph::detach(&mut self.slots, &mut self.lists, slot);
        let dues = self.wheel.take(slot);
        let mut stream = self.slots.remove(slot)?;
        // It names a slot of this shard.
        stream.event_relayed = None;
        Some(Parcel {
            stream,
            sockets,
            next_tick: self.grid.next_tick(),
            dues,
        })
    }

    /// From here on changes for this stream wait for it, unless it has come already.
    pub(super) fn await_stream(&mut self, stream: StreamKey) {
        if self.slots.slot(stream).is_none() {
            self.awaited.streams.insert(stream);
        }
    }

    /// Takes in what other shards have sent.
    pub(super) fn take_mail(&mut self, io: &mut impl Io, now: Instant) {
        if self.post.is_quiet() {
            return;
        }
        self.post.flush();
        if self.is_still() {
            self.grid.skip_to(now);
        }
        while let Some(letter) = self.post.take(self.grid.next_tick()) {
            match letter {
                Letter::Stream(parcel) => self.adopt(*parcel, io, now),
                Letter::Nobody(stream) => self.release_held(stream, io, now),
                Letter::Port(port) => self.ports.give(port, now),
            }
        }
    }

    fn adopt(&mut self, parcel: Parcel, io: &mut impl Io, now: Instant) {
        let Parcel {
            stream,
            sockets,
            next_tick,
            dues,
        } = parcel;
        let key = stream.key();
        // A full shard names a slot that is not there, where the sockets are closed.
        let slot = self.slots.vacant(key).unwrap_or(u32::MAX);
        if io.adopt(slot, sockets).is_err() {
            self.lose(*stream, now);
            return self.release_held(key, io, now);
        }
        self.slots.insert(stream);
        self.adopt_plays(slot);
        self.adopt_tracks(slot);
        self.wheel.arm_all(slot, dues);
        graph::attach(&mut self.slots, &mut self.lists, slot);
        self.release_held(key, io, now);
        // A held change may have closed it or sent it on.
        if self.slots.slot(key) != Some(slot) {
            return;
        }
        let reached = self.grid.next_tick().0;
        let first = next_tick.0.max(reached.saturating_sub(CATCH_UP_TICKS_MAX));
        for tick in (first..reached).map(Tick) {
            self.make_up_tick(io, slot, tick, now);
        }
        graph::refresh_decoding(&mut self.slots, &mut self.lists, slot);
    }

    /// Does what waited for this stream, whether it came or not; what waits for others waits on.
    fn release_held(&mut self, stream: StreamKey, io: &mut impl Io, now: Instant) {
        self.awaited.streams.remove(&stream);
        for change in std::mem::take(&mut self.awaited.held) {
            self.apply(change, io, now);
        }
    }

    /// Ends a stream for which there is no room here.
    fn lose(&mut self, mut stream: Stream, now: Instant) {
        while let Some((play, position_ms)) = stream.plays.stop_any() {
            self.events.answer(Event::PlayEnded {
                play,
                why: PlayEnd::ListenerClosed,
                position_ms,
            });
        }
        for recording in stream.tracks.drain(..) {
            self.recorder.hand_out(recording.track.stop());
        }
        self.bring_home(stream.port(), stream.home(), now);
        self.events.answer(Event::Closed {
            stream: stream.key(),
            stats: Box::new(stream.stats()),
        });
    }

    /// Gives a pair of ports to the shard it is from.
    pub(super) fn bring_home(&mut self, port: RtpPort, home: usize, now: Instant) {
        if home == self.post.index() {
            self.ports.give(port, now);
        } else {
            self.post.send(home, Letter::Port(port));
        }
    }
}
