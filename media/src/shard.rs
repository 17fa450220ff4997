//! One thread's share of all media: streams and everything they need, owned by one and locked by nobody.
//!
//! ```text
//!  Command ─► apply ─► graph (who hears whom → sinks)
//!                        │
//!  sockets ─► receive ───┴─► relay (same buffer, header rewritten) ─► sockets
//!                 └─► jitter buffers ─┐
//!  20 ms grid ─► tick: decode ─► mix, play, digits, silence ─► sockets;  tracks ─► blocks
//!                 └─► deadlines (reports, silence)                         Events ─► engine
//! ```
//! A conductor: ports, sockets, timers, rows, streams and mixing have files of their own. `turn` does all
//! that is due at one moment; time and randomness are given. Knows nothing of SIP, calls or files.

mod apply;
mod config;
mod deadlines;
mod dtmf;
mod events;
mod graph;
pub mod grid;
mod handover;
pub mod io;
mod mail;
mod metrics;
mod play;
pub mod ports;
mod receive;
mod record;
pub mod rng;
mod send;
#[doc(hidden)]
pub mod sim_io;
mod slots;
#[cfg(test)]
mod tests;
mod thread;
mod tick;
mod wheel;

use std::collections::HashMap;
use std::time::Instant;

use crate::command::{Command, PlayKey, StreamKey};
use crate::event::Event;
use crate::rtp::{ClockRate, NtpTime, RtpTime};

use events::Events;
use graph::Lists;
use grid::Grid;
use handover::Awaited;
use io::Io;
use ports::Ports;
use record::Recorder;
use rng::Rng;
use slots::Slots;
use wheel::Wheel;

pub use config::*;
pub use handover::HELD_MAX;
pub use mail::{LETTERS_MAX, Post, links};
pub use metrics::{Counts, Metrics, MetricsReader, Shared};
pub use record::BlockReader;
pub use thread::{COMMANDS_MAX, EVENTS_MAX, ShardBusy, ShardHandle, spawn, spawn_all};

/// Streams of one thread, and all they need.
pub struct Shard {
    start: Instant,
    grid: Grid,
    rng: Rng,
    slots: Slots,
    lists: Lists,
    ports: Ports,
    wheel: Wheel,
    /// What each decoded speaker said in this tick, by slot.
    frames: Vec<tick::Frame>,
    /// Streams of the tick under way.
    due: Vec<u32>,
    /// The listener of each play.
    plays: HashMap<PlayKey, StreamKey>,
    recorder: Recorder,
    /// The way to other shards.
    post: Post,
    /// Streams on their way here.
    awaited: Awaited,
    events: Events,
    metrics: Metrics,
}

impl Shard {
    /// A shard without streams whose grid starts at `now`. The readers take its numbers and
    /// the blocks of its tracks.
    pub fn new(config: &ShardConfig, now: Instant) -> (Self, MetricsReader, BlockReader) {
        let streams_max = config.streams_max as usize;
        let (metrics, reader) = metrics::metrics();
        let (recorder, blocks) = record::recorder(config.blocks);
        let shard = Self {
            start: now,
            grid: Grid::new(now),
            rng: Rng::new(config.seed),
            slots: Slots::new(streams_max),
            lists: Lists::new(streams_max),
            ports: Ports::new(config.port_first, config.port_last),
            wheel: Wheel::new(streams_max),
            frames: vec![[0; crate::frame::FRAME_SAMPLES]; streams_max],
            due: Vec::with_capacity(streams_max),
            plays: HashMap::new(),
            recorder,
            post: Post::alone(),
            awaited: Awaited::default(),
            events: Events::new(),
            metrics,
        };
        (shard, reader, blocks)
    }

    /// Connects it with other shards, which must have the same start. Its number is that of `post`.
    pub fn join(&mut self, post: Post) {
        debug_assert!(self.slots.is_empty(), "shards are connected before they work");
        self.post = post;
    }

    /// Applies all changes of a command; no packet and no tick comes between two of them.
    pub fn handle_command(&mut self, command: Command, io: &mut impl Io, now: Instant) {
        if self.is_still() {
            self.grid.skip_to(now);
        }
        for change in command {
            self.apply(change, io, now);
        }
    }

    /// Does all that is due: takes what has arrived, passes it on, and ticks if the grid says so.
    pub fn turn(&mut self, io: &mut impl Io, now: Instant) {
        self.timed_turn(io, now, || now);
    }

    /// The same; `clock` is read between its stages, for their times in the metrics.
    pub fn timed_turn(&mut self, io: &mut impl Io, now: Instant, clock: impl Fn() -> Instant) {
        self.take_mail(io, now);
        if self.is_still() {
            return self.grid.skip_to(now);
        }
        let begun = clock();
        self.receive(io, now);
        let received = clock();
        self.metrics
            .counts
            .count_turn(received.saturating_duration_since(begun));
        let mut has_ticked = false;
        while let Some((tick, late)) = self.grid.take_due(now) {
            self.handle_tick(io, tick, now);
            self.handle_deadlines(io, tick, now);
            self.metrics.counts.note_io(io.counts());
            self.measure();
            self.metrics.tick(late);
            has_ticked = true;
        }
        if has_ticked {
            self.metrics
                .counts
                .count_ticking(clock().saturating_duration_since(received));
        }
    }

    /// The next event, oldest first.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop()
    }

    /// When `turn` must run again at the latest, whatever arrives; none while there is no stream, here or on
    /// its way.
    pub fn next_deadline(&self) -> Option<Instant> {
        let is_needed = !self.slots.is_empty() || !self.awaited.is_empty() || !self.post.is_quiet();
        is_needed.then(|| self.grid.next_deadline())
    }

    /// Whether nothing happens until the next command or letter.
    pub fn is_idle(&self) -> bool {
        self.is_still() && self.post.is_quiet()
    }

    /// Whether no tick is needed.
    fn is_still(&self) -> bool {
        self.slots.is_empty() && self.recorder.is_idle()
    }

    /// Whether events wait in such number that no command should be given.
    pub fn is_congested(&self) -> bool {
        self.events.is_congested()
    }

    /// Closes every stream.
    pub fn close_all(&mut self, io: &mut impl Io, now: Instant) {
        let keys: Vec<_> = self.slots.iter().map(|(_, stream)| stream.key()).collect();
        for key in keys {
            self.close(key, io, now);
        }
        self.publish();
    }

    /// Publishes the numbers outside a tick.
    pub fn publish(&mut self) {
        self.measure();
        self.metrics.publish();
    }

    fn measure(&mut self) {
        let counts = &mut self.metrics.counts;
        counts.streams = self.slots.len() as u64;
        counts.ports_used = self.ports.used() as u64;
        counts.event_queue_level = self.events.len() as u64;
        counts.events_dropped = self.events.dropped();
        counts.block_queue_level = self.recorder.level() as u64;
        counts.blocks_dropped = self.recorder.dropped();
    }

    /// The media clock of this shard, for arrival times.
    fn arrival(&self, now: Instant) -> RtpTime {
        RtpTime(ClockRate::NARROWBAND.units(now.saturating_duration_since(self.start)))
    }

    /// The clock reports are written with: it counts from the shard's start, as RFC 3550 §6.4.1 allows to
    /// one without a wall clock.
    fn wall(&self, now: Instant) -> NtpTime {
        NtpTime::from_unix(now.saturating_duration_since(self.start))
    }
}
