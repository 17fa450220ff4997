//! How the media threads reach their sockets, and where their time goes.
//!
//! Knows nothing of packets.

use std::fmt;
use std::time::Duration;

use media::shard::Counts;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use super::{Labels, Snapshot, counters, family, gauges, shard_labels, with};

impl Snapshot {
    pub(super) fn encode_io(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let each = |number: fn(&Counts) -> u64| {
            let shards = self.shards.iter().enumerate();
            shards.map(move |(index, shard)| (shard_labels(index), number(&shard.counts)))
        };
        let engines = self.shards.iter().enumerate();
        let engines = engines.filter_map(|(index, shard)| {
            let engine = shard.engine?.name();
            Some((with(shard_labels(index), "engine", engine), 1))
        });
        gauges(out, "media_io", engines)?;
        gauges(
            out,
            "rtp_sockets_connected",
            each(|counts| counts.sockets_connected),
        )?;
        counters(out, "rtp_reading_paused", each(|counts| counts.reading_paused))?;
        counters(out, "media_turns", each(|counts| counts.turns))?;
        let stages = self.by_word("stage", |counts| {
            [("receive", counts.receive_ns), ("tick", counts.tick_ns)]
        });
        seconds(out, "media_stage_seconds", stages)
    }
}

/// Spans given in nanoseconds.
fn seconds(
    out: &mut DescriptorEncoder<'_>,
    name: &str,
    samples: impl IntoIterator<Item = (Labels, u64)>,
) -> fmt::Result {
    family(out, name, MetricType::Counter, samples, |encoder, nanoseconds| {
        let seconds = Duration::from_nanos(nanoseconds).as_secs_f64();
        encoder.encode_counter::<NoLabelSet, _, f64>(&seconds, None)
    })
}
