//! How well legs were heard, as Prometheus reads it.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use super::{Labels, Snapshot, counters, family, labels, with};
use crate::engine::metrics::{Buckets, HeardWay};

impl Snapshot {
    pub(super) fn encode_heard(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let each = |number: fn(&HeardWay) -> &Buckets| {
            self.ways()
                .map(move |(labels, way)| (labels, number(way)))
                .filter(|(_, buckets)| buckets.count() > 0)
        };
        histograms(out, "leg_mos", each(|way| &way.mos))?;
        histograms(out, "leg_loss_ratio", each(|way| &way.loss))?;
        histograms(out, "leg_jitter_seconds", each(|way| &way.jitter))?;
        let tallies = self.engine.tallies();
        let trips = tallies.map(|(place, tally)| (labels(place), &tally.heard.round_trip));
        let trips = trips.filter(|(_, buckets)| buckets.count() > 0);
        histograms(out, "leg_round_trip_seconds", trips)?;
        let one_way = self.ways().map(|(labels, way)| (labels, way.one_way));
        counters(out, "legs_one_way", one_way)?;
        let tallies = self.engine.tallies();
        let lost = tallies.map(|(place, tally)| (labels(place), tally.heard.media_lost));
        counters(out, "legs_media_lost", lost)
    }

    fn ways(&self) -> impl Iterator<Item = (Labels, &HeardWay)> {
        self.engine.tallies().flat_map(|(place, tally)| {
            let ways = tally.heard.ways();
            ways.map(move |(word, way)| (with(labels(place), "way", word), way))
        })
    }
}

fn histograms<'t>(
    out: &mut DescriptorEncoder<'_>,
    name: &str,
    samples: impl IntoIterator<Item = (Labels, &'t Buckets)>,
) -> fmt::Result {
    family(out, name, MetricType::Histogram, samples, |encoder, buckets| {
        encoder.encode_histogram::<NoLabelSet>(buckets.sum(), buckets.count(), &buckets.between(), None)
    })
}
