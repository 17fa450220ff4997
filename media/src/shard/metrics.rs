//! Numbers of one shard: counted plainly by its thread, published once a tick, read by anyone.
//!
//! No lock and no shared write is on the packet path. Knows nothing of Prometheus.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;
use rtrb::{Consumer, Producer, RingBuffer};

use super::io::IoCounts;
use crate::stream::Discard;

/// Declares the plain and the shared form of the counters as one list.
macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        /// Counters and levels as plain numbers.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Counts { $($(#[$doc])* pub $name: u64,)+ }

        /// The same, shared with readers; one writer.
        #[derive(Debug, Default)]
        pub struct Shared { $($name: AtomicU64,)+ }

        impl Shared {
            fn publish(&self, counts: &Counts) {
                $(self.$name.store(counts.$name, Ordering::Relaxed);)+
            }

            /// What was published last; single numbers may be a tick apart.
            pub fn read(&self) -> Counts {
                Counts { $($name: self.$name.load(Ordering::Relaxed),)+ }
            }
        }
    };
}

counters! {
    /// RTP datagrams read.
    packets_in,
    /// RTP packets handed to the kernel.
    packets_out,
    /// Packets passed on with their header rewritten in place.
    relayed,
    /// Payloads copied on their way out. A relayed packet has none.
    payload_copies,
    /// Frames mixed.
    mixed,
    /// RTCP datagrams read.
    rtcp_in,
    /// RTCP datagrams sent.
    rtcp_out,
    /// RTCP datagrams of a wrong source, shape or SRTCP tag.
    rtcp_dropped,
    /// Dropped: wrong source.
    dropped_source,
    /// Dropped: SSRC not believed.
    dropped_ssrc,
    /// Dropped: no RTP.
    dropped_malformed,
    /// Dropped: payload type not agreed.
    dropped_payload_type,
    /// Dropped: too much audio in one packet.
    dropped_too_long,
    /// Dropped: the stream may not receive.
    dropped_not_receiving,
    /// Dropped: late or doubled.
    dropped_late,
    /// Dropped: wrong SRTP tag.
    dropped_tag,
    /// Dropped: replayed SRTP.
    dropped_replay,
    /// Dropped: clear RTP on a secure stream.
    dropped_clear,
    /// Times no packet buffer was left: reading paused, and the packets waited in their sockets.
    reading_paused,
    /// Packets the kernel refused to send.
    send_failed,
    /// Commands that named a stream, play or track that is not there.
    changes_ignored,
    /// Events lost because the engine does not read them.
    events_dropped,
    /// Blocks of recordings lost because the writer does not keep up; marked as gaps.
    blocks_dropped,
    /// Streams open.
    streams,
    /// Port pairs in use.
    ports_used,
    /// Packet buffers taken.
    pool_level,
    /// Packet buffers there are.
    pool_size,
    /// RTP sockets that hear their settled source only.
    sockets_connected,
    /// Turns.
    turns,
    /// Nanoseconds spent with reading packets and passing them on.
    receive_ns,
    /// Nanoseconds spent with decoding, mixing, playing and what else is done on the 20 ms grid.
    tick_ns,
    /// Events waiting for the engine.
    event_queue_level,
    /// Blocks waiting for the recordings writer.
    block_queue_level,
}

impl Counts {
    pub(super) fn count_turn(&mut self, took: Duration) {
        self.turns += 1;
        self.receive_ns += took.as_nanos() as u64;
    }

    pub(super) fn count_ticking(&mut self, took: Duration) {
        self.tick_ns += took.as_nanos() as u64;
    }

    pub(super) fn note_io(&mut self, io: IoCounts) {
        let IoCounts {
            buffers_used,
            buffers,
            starved,
            connected,
        } = io;
        self.pool_level = buffers_used;
        self.pool_size = buffers;
        self.reading_paused = starved;
        self.sockets_connected = connected;
    }

    pub(super) fn count_drop(&mut self, why: Discard) {
        *match why {
            Discard::Source => &mut self.dropped_source,
            Discard::Ssrc => &mut self.dropped_ssrc,
            Discard::Malformed => &mut self.dropped_malformed,
            Discard::PayloadType => &mut self.dropped_payload_type,
            Discard::TooLong => &mut self.dropped_too_long,
            Discard::NotReceiving => &mut self.dropped_not_receiving,
            Discard::Late => &mut self.dropped_late,
            Discard::Tag => &mut self.dropped_tag,
            Discard::Replay => &mut self.dropped_replay,
            Discard::Clear => &mut self.dropped_clear,
        } += 1;
    }
}

/// The shard's side: counts, and the lateness of its ticks.
#[derive(Debug)]
pub struct Metrics {
    /// Counted by the shard's thread alone.
    pub counts: Counts,
    shared: Arc<Shared>,
    lateness: Option<Box<Histogram<u32>>>,
    ticks: u32,
    filled: Producer<Box<Histogram<u32>>>,
    empty: Consumer<Box<Histogram<u32>>>,
}

/// The reader's side.
#[derive(Debug)]
pub struct MetricsReader {
    shared: Arc<Shared>,
    filled: Consumer<Box<Histogram<u32>>>,
    empty: Producer<Box<Histogram<u32>>>,
}

/// Ticks in one histogram before it is handed out: one second.
const TICKS_PER_HISTOGRAM: u32 = 50;

/// Histograms in circulation.
const HISTOGRAMS: usize = 4;

/// Longest lateness told apart, microseconds.
const LATENESS_US_MAX: u64 = 10_000_000;

/// Both sides of one shard's metrics.
pub fn metrics() -> (Metrics, MetricsReader) {
    let shared = Arc::new(Shared::default());
    let (filled, filled_reader) = RingBuffer::new(HISTOGRAMS);
    let (mut empty_reader, mut empty) = RingBuffer::new(HISTOGRAMS);
    for _ in 0..HISTOGRAMS {
        if let Ok(histogram) = Histogram::new_with_bounds(1, LATENESS_US_MAX, 2) {
            let _ = empty_reader.push(Box::new(histogram));
        }
    }
    let lateness = empty.pop().ok();
    let writer = Metrics {
        counts: Counts::default(),
        shared: Arc::clone(&shared),
        lateness,
        ticks: 0,
        filled,
        empty,
    };
    (
        writer,
        MetricsReader {
            shared,
            filled: filled_reader,
            empty: empty_reader,
        },
    )
}

impl Metrics {
    /// Takes note of one tick and how late it came; publishes the counts.
    pub fn tick(&mut self, late: Duration) {
        self.shared.publish(&self.counts);
        if let Some(histogram) = &mut self.lateness {
            histogram.saturating_record((late.as_micros() as u64).max(1));
        }
        self.ticks += 1;
        if self.ticks < TICKS_PER_HISTOGRAM {
            return;
        }
        // A reader that stays away gets one long histogram in place of many short ones.
        if let Ok(next) = self.empty.pop() {
            self.ticks = 0;
            if let Some(full) = self.lateness.replace(next) {
                // There is room: no more histograms exist than the queue holds.
                let _ = self.filled.push(full);
            }
        }
    }

    /// Publishes the counts outside a tick.
    pub fn publish(&self) {
        self.shared.publish(&self.counts);
    }
}

impl MetricsReader {
    /// Counters and levels.
    pub fn counts(&self) -> Counts {
        self.shared.read()
    }

    /// A handle for other readers of the counters.
    pub fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// The lateness of ticks since the last call, microseconds: `take` is shown each finished second.
    pub fn drain_lateness(&mut self, mut take: impl FnMut(&Histogram<u32>)) {
        while let Ok(mut histogram) = self.filled.pop() {
            take(&histogram);
            histogram.reset();
            let _ = self.empty.push(histogram);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tick_reaches_the_reader_once() {
        let (mut writer, mut reader) = metrics();
        for late_us in 0..1000 {
            writer.counts.relayed += 1;
            writer.tick(Duration::from_micros(late_us));
        }
        let mut seen = 0;
        reader.drain_lateness(|histogram| seen += histogram.len());
        writer.tick(Duration::ZERO);
        reader.drain_lateness(|histogram| seen += histogram.len());
        assert_eq!(seen, 1001);
        assert_eq!(reader.counts().relayed, 1000);
    }
}
