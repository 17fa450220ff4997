//! The numbers as Prometheus reads them (OpenMetrics text).
//!
//! A [`Snapshot`] is what the engine task hands out; this page gives each number its name. docs/metrics.md
//! is generated from [`catalogue`]. Reads no counter itself and knows nothing of HTTP.

mod catalogue;
mod heard;
mod media_io;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use media::shard::io::Engine;
use media::shard::{Counts, MetricsReader};

use crate::control::protocol::Direction;
use crate::engine::metrics::{EngineMetrics, Place, Spread, Tally, Timing};
pub use catalogue::page;
use catalogue::{Metric, metric};

/// In front of every name.
const PREFIX: &str = "media_gateway";

/// What [`render`] writes, for the header `Content-Type`.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Everything to show, at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// What the engine counted.
    pub engine: EngineMetrics,
    /// Levels at this moment.
    pub gauges: Gauges,
    /// What the SIP endpoint holds, by kind.
    pub sip: BTreeMap<&'static str, u64>,
    /// One per media shard, in their order.
    pub shards: Vec<ShardMetrics>,
    /// What the shell around the engine had to drop, by reason.
    pub losses: BTreeMap<&'static str, u64>,
    /// TLS.
    pub tls: TlsMetrics,
}

/// Numbers of TLS.
#[derive(Clone, Debug, Default)]
pub struct TlsMetrics {
    /// What was counted.
    pub numbers: crate::shell::tls::Numbers,
    /// Connections whose handshake is done.
    pub connections: u64,
}

/// Levels, read from the live guards and tables.
#[derive(Clone, Debug, Default)]
pub struct Gauges {
    /// One per instance.
    pub instances: Vec<InstanceGauges>,
    /// One per trunk.
    pub trunks: Vec<TrunkGauges>,
    /// Control connections open.
    pub control_connections: u64,
    /// Bytes in the event journal.
    pub journal_bytes: u64,
    /// How long signalling that comes now waits, while that is worth a word.
    pub signalling_wait: Duration,
    /// Recordings that grow.
    pub recordings_active: u64,
    /// Free space where recordings go, mebibytes; none while unknown.
    pub disk_free_mb: Option<u64>,
    /// INVITEs that wait for a certificate.
    pub stir_waiting: u64,
    /// Certificates that were fetched, failed ones and those on their way among them.
    pub stir_certificates: u64,
    /// New calls are refused.
    pub draining: bool,
}

/// Levels of one instance.
#[derive(Clone, Debug, Default)]
pub struct InstanceGauges {
    /// Its name.
    pub instance: String,
    /// Most calls at once over the last 60 s.
    pub calls_peak: u64,
    /// Calls allowed at once.
    pub calls_limit: u64,
    /// New INVITEs allowed a second.
    pub calls_per_second_limit: u64,
}

/// Levels of one trunk.
#[derive(Clone, Debug, Default)]
pub struct TrunkGauges {
    /// The instance it belongs to.
    pub instance: String,
    /// Its name.
    pub trunk: String,
    /// Calls whose first leg came in on this trunk: the guards alive.
    pub calls_in: u64,
    /// Calls whose first leg was dialled on this trunk.
    pub calls_out: u64,
    /// Legs on this trunk, in.
    pub legs_in: u64,
    /// Legs on this trunk, out.
    pub legs_out: u64,
    /// Legs allowed at once.
    pub legs_limit: u64,
    /// Whether it is registered at its carrier; none where it does not register.
    pub registered: Option<bool>,
    /// Phones registered on it.
    pub registrations: u64,
    /// It can be used.
    pub is_up: bool,
    /// Peers by state: up, down, resting.
    pub peers: [u64; 3],
}

/// Numbers of one media shard, gathered by whoever holds its reader.
#[derive(Clone, Debug, Default)]
pub struct ShardMetrics {
    engine: Option<Engine>,
    counts: Counts,
    lateness: Timing,
    pool_levels: Spread,
    event_queue_levels: Spread,
    block_queue_levels: Spread,
}

impl ShardMetrics {
    /// Takes note of what keeps its sockets.
    pub fn know_engine(&mut self, engine: Engine) {
        self.engine = Some(engine);
    }

    /// Takes in what the shard published; called once a second, as each call is one sample of the levels.
    pub fn read(&mut self, reader: &mut MetricsReader) {
        reader.drain_lateness(|histogram| self.lateness.absorb(histogram));
        self.sample(reader.counts());
    }

    fn sample(&mut self, counts: Counts) {
        self.counts = counts;
        self.pool_levels.record(self.counts.pool_level);
        self.event_queue_levels.record(self.counts.event_queue_level);
        self.block_queue_levels.record(self.counts.block_queue_level);
    }

    /// Counters and levels as they were at the last reading.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// How late the ticks came, since the start.
    pub fn lateness(&self) -> &Timing {
        &self.lateness
    }
}

/// The whole page.
pub fn render(mut snapshot: Snapshot) -> String {
    for trunk in &snapshot.gauges.trunks {
        snapshot.engine.know(&trunk.instance, &trunk.trunk);
    }
    let mut registry = Registry::with_prefix(PREFIX);
    registry.register_collector(Box::new(snapshot));
    let mut page = String::new();
    // Writing to a String cannot fail.
    let _ = text::encode(&mut page, &registry);
    page
}

type Labels = Vec<(&'static str, String)>;

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.encode_calls(&mut encoder)?;
        self.encode_levels(&mut encoder)?;
        self.encode_control(&mut encoder)?;
        self.encode_media(&mut encoder)
    }
}

impl Snapshot {
    fn encode_calls(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let total = |count: fn(&Tally) -> u64| {
            self.engine
                .tallies()
                .map(move |(place, tally)| (labels(place), count(tally)))
        };
        counters(out, "calls_offered", total(|tally| tally.offered))?;
        counters(out, "calls_admitted", total(|tally| tally.admitted))?;
        let throttled = self.engine.tallies().flat_map(|(place, tally)| {
            tally
                .throttled
                .iter()
                .map(move |(why, count)| (with(labels(place), "reason", why.as_str()), *count))
        });
        counters(out, "calls_throttled", throttled)?;
        let refused = self.engine.tallies().flat_map(|(place, tally)| {
            tally
                .refused
                .iter()
                .map(move |(why, count)| (with(labels(place), "reason", why), *count))
        });
        counters(out, "calls_refused", refused)?;
        let gated = self.engine.tallies().flat_map(|(place, tally)| {
            let limits = tally.gated.iter();
            limits.map(move |(limit, count)| (with(labels(place), "limit", limit), *count))
        });
        counters(out, "dials_gated", gated)?;
        let failed = self.engine.tallies().flat_map(|(place, tally)| {
            tally
                .failed
                .iter()
                .map(move |(class, count)| (with(labels(place), "class", class.as_str()), *count))
        });
        counters(out, "calls_failed", failed)?;
        let timed_out = self.engine.tallies().flat_map(|(place, tally)| {
            let waited = tally.timed_out.iter();
            waited.map(move |(overdue, count)| (with(labels(place), "missing", overdue), *count))
        });
        counters(out, "legs_timed_out", timed_out)?;
        let timing = |timing: fn(&Tally) -> &Timing| {
            let tallies = self
                .engine
                .tallies()
                .map(move |(place, tally)| (labels(place), timing(tally)));
            tallies.filter(|(_, timing)| timing.count() > 0)
        };
        counters(out, "seizures", total(|tally| tally.seized))?;
        counters(out, "legs_answered", total(|tally| tally.answered))?;
        counters(out, "legs_effective", total(|tally| tally.effective))?;
        let codecs = self.engine.tallies().flat_map(|(place, tally)| {
            let codecs = tally.codecs.iter();
            codecs.map(move |(codec, count)| (with(labels(place), "codec", codec), *count))
        });
        counters(out, "legs_answered_by_codec", codecs)?;
        timings(out, "setup_seconds", SETUP_SECONDS, timing(|tally| &tally.setup))?;
        timings(
            out,
            "post_dial_delay_seconds",
            SETUP_SECONDS,
            timing(|tally| &tally.post_dial_delay),
        )?;
        timings(out, "talk_seconds", TALK_SECONDS, timing(|tally| &tally.talk))?;
        self.encode_heard(out)
    }

    fn encode_levels(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let instances = |level: fn(&InstanceGauges) -> u64| {
            let gauges = self.gauges.instances.iter();
            gauges.map(move |gauges| (vec![("instance", gauges.instance.clone())], level(gauges)))
        };
        let trunks = |level: fn(&TrunkGauges) -> [u64; 2]| {
            self.gauges.trunks.iter().flat_map(move |gauges| {
                let [inbound, outbound] = level(gauges);
                [(Direction::In, inbound), (Direction::Out, outbound)].map(|(direction, level)| {
                    (
                        labels(Place {
                            instance: &gauges.instance,
                            trunk: &gauges.trunk,
                            direction,
                        }),
                        level,
                    )
                })
            })
        };
        gauges(
            out,
            "calls_active",
            trunks(|gauges| [gauges.calls_in, gauges.calls_out]),
        )?;
        gauges(out, "calls_active_peak", instances(|gauges| gauges.calls_peak))?;
        gauges(out, "calls_limit", instances(|gauges| gauges.calls_limit))?;
        gauges(
            out,
            "calls_per_second_limit",
            instances(|gauges| gauges.calls_per_second_limit),
        )?;
        gauges(
            out,
            "trunk_legs_active",
            trunks(|gauges| [gauges.legs_in, gauges.legs_out]),
        )?;
        let limits = self.gauges.trunks.iter().map(|gauges| {
            (
                vec![
                    ("instance", gauges.instance.clone()),
                    ("trunk", gauges.trunk.clone()),
                ],
                gauges.legs_limit,
            )
        });
        gauges(out, "trunk_legs_limit", limits)?;
        let of_trunk = |gauges: &TrunkGauges| {
            vec![
                ("instance", gauges.instance.clone()),
                ("trunk", gauges.trunk.clone()),
            ]
        };
        let registered = self.gauges.trunks.iter().filter_map(|gauges| {
            let registered = gauges.registered?;
            Some((of_trunk(gauges), u64::from(registered)))
        });
        gauges(out, "trunk_registered", registered)?;
        let phones = self.gauges.trunks.iter();
        let phones = phones.map(|gauges| (of_trunk(gauges), gauges.registrations));
        gauges(out, "registrations", phones)?;
        self.encode_peers(out)?;
        gauges(out, "draining", plain(u64::from(self.gauges.draining)))?;
        gauges(out, "recordings_active", plain(self.gauges.recordings_active))?;
        let free_bytes = self
            .gauges
            .disk_free_mb
            .map(|mb| (Labels::new(), mb.saturating_mul(1 << 20)));
        gauges(out, "recordings_disk_free_bytes", free_bytes)
    }

    fn encode_peers(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let of_trunk = |gauges: &TrunkGauges| {
            vec![
                ("instance", gauges.instance.clone()),
                ("trunk", gauges.trunk.clone()),
            ]
        };
        let up = self
            .gauges
            .trunks
            .iter()
            .map(|gauges| (of_trunk(gauges), u64::from(gauges.is_up)));
        gauges(out, "trunk_up", up)?;
        let peers = self.gauges.trunks.iter().flat_map(|gauges| {
            let states = ["up", "down", "resting"].into_iter().zip(gauges.peers);
            states.map(move |(state, count)| (with(of_trunk(gauges), "state", state), count))
        });
        gauges(out, "trunk_peers", peers)
    }

    fn encode_control(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let (commands, errors) = self.engine.control();
        counters(out, "sip_dropped", words("why", self.engine.sip_drops()))?;
        gauges(out, "sip_held", words("kind", &self.sip))?;
        let wait_us = self.gauges.signalling_wait.as_micros() as u64;
        gauges(out, "sip_wait_microseconds", plain(wait_us))?;
        counters(out, "shell_dropped", words("why", &self.losses))?;
        self.encode_tls(out)?;
        counters(out, "control_commands", plain(commands))?;
        let errors = errors
            .iter()
            .map(|(kind, count)| (with(Labels::new(), "kind", kind.as_str()), *count));
        counters(out, "control_errors", errors)?;
        counters(out, "control_overruns", plain(self.engine.overruns()))?;
        gauges(out, "control_connections", plain(self.gauges.control_connections))?;
        counters(out, "events", plain(self.engine.events()))?;
        gauges(out, "journal_bytes", plain(self.gauges.journal_bytes))?;
        counters(out, "recordings", words("outcome", self.engine.recordings()))?;
        counters(out, "transfers_cut", words("limit", self.engine.transfers_cut()))?;
        counters(out, "stir_fetches", words("outcome", self.engine.stir_fetches()))?;
        counters(out, "stir_limits", words("limit", self.engine.stir_limits()))?;
        gauges(out, "stir_waiting", plain(self.gauges.stir_waiting))?;
        gauges(out, "stir_certificates", plain(self.gauges.stir_certificates))?;
        counters(out, "call_panics", plain(self.engine.panics()))
    }

    fn encode_tls(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let numbers = &self.tls.numbers;
        gauges(out, "tls_connections", plain(self.tls.connections))?;
        counters(out, "tls_handshakes_refused", words("reason", &numbers.refused))?;
        let outcomes = [("renewed", numbers.renewed), ("failed", numbers.failed)];
        let outcomes = outcomes.map(|(word, count)| (vec![("outcome", word.to_owned())], count));
        counters(out, "tls_certificates", outcomes)
    }

    fn encode_media(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let each = |number: fn(&Counts) -> u64| {
            let shards = self.shards.iter().enumerate();
            shards.map(move |(index, shard)| (shard_labels(index), number(&shard.counts)))
        };
        counters(out, "rtp_packets_in", each(|counts| counts.packets_in))?;
        counters(out, "rtp_packets_out", each(|counts| counts.packets_out))?;
        counters(out, "rtp_relayed", each(|counts| counts.relayed))?;
        counters(out, "rtp_payload_copies", each(|counts| counts.payload_copies))?;
        counters(out, "rtp_send_failed", each(|counts| counts.send_failed))?;
        counters(out, "rtp_dropped", self.by_word("why", dropped_packets))?;
        counters(out, "rtcp_packets_in", each(|counts| counts.rtcp_in))?;
        counters(out, "rtcp_packets_out", each(|counts| counts.rtcp_out))?;
        counters(out, "rtcp_dropped", each(|counts| counts.rtcp_dropped))?;
        counters(out, "mixed_frames", each(|counts| counts.mixed))?;
        counters(
            out,
            "media_changes_ignored",
            each(|counts| counts.changes_ignored),
        )?;
        counters(out, "queue_dropped", self.by_word("queue", dropped_entries))?;
        self.encode_io(out)?;
        gauges(out, "streams_active", each(|counts| counts.streams))?;
        gauges(out, "ports_used", each(|counts| counts.ports_used))?;
        gauges(out, "pool_used", each(|counts| counts.pool_level))?;
        gauges(out, "pool_size", each(|counts| counts.pool_size))?;
        gauges(out, "queue_used", self.by_word("queue", waiting_entries))?;
        let shards = || self.shards.iter().enumerate();
        let pools = shards().map(|(index, shard)| (shard_labels(index), &shard.pool_levels));
        spreads(out, "pool_level", pools)?;
        let queues = shards().flat_map(|(index, shard)| {
            let queues = [
                ("events", &shard.event_queue_levels),
                ("blocks", &shard.block_queue_levels),
            ];
            queues.map(|(queue, levels)| (with(shard_labels(index), "queue", queue), levels))
        });
        spreads(out, "queue_level", queues)?;
        let lateness = shards().map(|(index, shard)| (shard_labels(index), &shard.lateness));
        timings(out, "mixer_lateness_seconds", LATENESS_SECONDS, lateness)
    }

    /// One number per shard and word.
    fn by_word<const N: usize>(
        &self,
        label: &'static str,
        numbers: fn(&Counts) -> [(&'static str, u64); N],
    ) -> impl Iterator<Item = (Labels, u64)> {
        self.shards.iter().enumerate().flat_map(move |(index, shard)| {
            numbers(&shard.counts).map(|(word, number)| (with(shard_labels(index), label, word), number))
        })
    }
}

fn dropped_packets(counts: &Counts) -> [(&'static str, u64); 10] {
    [
        ("source", counts.dropped_source),
        ("ssrc", counts.dropped_ssrc),
        ("malformed", counts.dropped_malformed),
        ("payload_type", counts.dropped_payload_type),
        ("too_long", counts.dropped_too_long),
        ("not_receiving", counts.dropped_not_receiving),
        ("late", counts.dropped_late),
        ("srtp_tag", counts.dropped_tag),
        ("srtp_replay", counts.dropped_replay),
        ("srtp_clear", counts.dropped_clear),
    ]
}

fn dropped_entries(counts: &Counts) -> [(&'static str, u64); 2] {
    [
        ("events", counts.events_dropped),
        ("blocks", counts.blocks_dropped),
    ]
}

fn waiting_entries(counts: &Counts) -> [(&'static str, u64); 2] {
    [
        ("events", counts.event_queue_level),
        ("blocks", counts.block_queue_level),
    ]
}

/// Bucket bounds of call set-up: RFC 6076 delays from a local hop to timer B.
const SETUP_SECONDS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 32.0, 60.0,
];
/// Bucket bounds of talk time: from a misdial to the longest call by default.
const TALK_SECONDS: &[f64] = &[
    1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 14_400.0,
];
/// Bucket bounds of lateness: below a turn, below a tick, and the ticks that were missed.
const LATENESS_SECONDS: &[f64] = &[0.000_1, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.04, 0.1, 1.0];

/// Bucket bounds of pool and queue levels: entries, four times more each.
const LEVELS: &[u64] = &[0, 1, 4, 16, 64, 256, 1024, 4096, 16_384, 65_536];

fn labels(place: Place<'_>) -> Labels {
    vec![
        ("instance", place.instance.to_owned()),
        ("trunk", place.trunk.to_owned()),
        ("direction", place.direction.as_str().to_owned()),
    ]
}

fn shard_labels(index: usize) -> Labels {
    vec![("shard", index.to_string())]
}

/// The labels and one more.
fn with(mut labels: Labels, label: &'static str, word: &str) -> Labels {
    labels.push((label, word.to_owned()));
    labels
}

fn plain(number: u64) -> [(Labels, u64); 1] {
    [(Labels::new(), number)]
}

fn words<'a>(
    label: &'static str,
    counts: &'a BTreeMap<&'static str, u64>,
) -> impl Iterator<Item = (Labels, u64)> + 'a {
    counts
        .iter()
        .map(move |(word, count)| (vec![(label, (*word).to_owned())], *count))
}

fn counters(
    out: &mut DescriptorEncoder<'_>,
    name: &str,
    samples: impl IntoIterator<Item = (Labels, u64)>,
) -> fmt::Result {
    family(out, name, MetricType::Counter, samples, |encoder, count| {
        encoder.encode_counter::<NoLabelSet, _, u64>(&count, None)
    })
}

fn gauges(
    out: &mut DescriptorEncoder<'_>,
    name: &str,
    samples: impl IntoIterator<Item = (Labels, u64)>,
) -> fmt::Result {
    family(out, name, MetricType::Gauge, samples, |encoder, level| {
        encoder.encode_gauge(&level)
    })
}

fn timings<'t>(
    out: &mut DescriptorEncoder<'_>,
    name: &str,
    bounds_seconds: &[f64],
    samples: impl IntoIterator<Item = (Labels, &'t Timing)>,
) -> fmt::Result {
    family(out, name, MetricType::Histogram, samples, |encoder, timing| {
        let up_to = |bound: &f64| (*bound, timing.count_up_to(Duration::from_secs_f64(*bound)));
        let buckets = buckets(bounds_seconds.iter().map(up_to), timing.count());
        encoder.encode_histogram::<NoLabelSet>(timing.sum().as_secs_f64(), timing.count(), &buckets, None)
    })
}

fn spreads<'t>(
    out: &mut DescriptorEncoder<'_>,
    name: &str,
    samples: impl IntoIterator<Item = (Labels, &'t Spread)>,
) -> fmt::Result {
    family(out, name, MetricType::Histogram, samples, |encoder, spread| {
        let up_to = |bound: &u64| (*bound as f64, spread.count_up_to(*bound));
        let buckets = buckets(LEVELS.iter().map(up_to), spread.count());
        encoder.encode_histogram::<NoLabelSet>(spread.sum() as f64, spread.count(), &buckets, None)
    })
}

/// Counts up to each bound as the counts between them that the encoder takes, with one for the rest.
fn buckets(rising: impl Iterator<Item = (f64, u64)>, count: u64) -> Vec<(f64, u64)> {
    let mut below = 0;
    let all = rising.chain([(f64::INFINITY, count)]);
    let between = all.map(|(bound, up_to)| (bound, up_to - std::mem::replace(&mut below, up_to).min(up_to)));
    between.collect()
}

/// One name with its help and every labelled sample; a name without samples is left out.
fn family<T>(
    out: &mut DescriptorEncoder<'_>,
    name: &str,
    kind: MetricType,
    samples: impl IntoIterator<Item = (Labels, T)>,
    encode: impl Fn(&mut MetricEncoder<'_>, T) -> fmt::Result,
) -> fmt::Result {
    let mut samples = samples.into_iter().peekable();
    if samples.peek().is_none() {
        return Ok(());
    }
    let Metric { help, .. } = metric(name);
    let mut encoder = out.encode_descriptor(name, help, None, kind)?;
    for (labels, sample) in samples {
        if labels.is_empty() {
            encode(&mut encoder, sample)?;
        } else {
            encode(&mut encoder.encode_family(&labels)?, sample)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
