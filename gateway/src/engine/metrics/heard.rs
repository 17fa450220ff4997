//! How well the legs of a trunk were heard, over periods of 5 s.

use media::stream::{Figures, Quality};

use super::Buckets;
use crate::control::protocol::MediaDirection;

/// Numbers of both directions.
#[derive(Clone, Debug)]
pub struct Heard {
    /// From peers to us.
    pub rx: HeardWay,
    /// From us to peers, as they report.
    pub tx: HeardWay,
    /// Round trips, seconds.
    pub round_trip: Buckets,
    /// How often nothing came for a while.
    pub media_lost: u64,
}

/// Numbers of one direction.
#[derive(Clone, Debug)]
pub struct HeardWay {
    /// Mean opinion scores.
    pub mos: Buckets,
    /// Parts of the packets that were lost or late, 0 to 1.
    pub loss: Buckets,
    /// Interarrival jitter, seconds.
    pub jitter: Buckets,
    /// How often audio passed in the other direction only.
    pub one_way: u64,
}

impl Heard {
    /// Takes note of a period.
    pub fn record(&mut self, quality: &Quality) {
        if let Some(rx) = &quality.rx {
            self.rx.record(rx);
        }
        if let Some(tx) = &quality.tx {
            self.tx.record(tx);
        }
        if let Some(rtt_ms) = quality.rtt_ms {
            self.round_trip.record(f64::from(rtt_ms) / 1000.0);
        }
    }

    /// One direction.
    pub fn way_mut(&mut self, direction: MediaDirection) -> &mut HeardWay {
        match direction {
            MediaDirection::Rx => &mut self.rx,
            MediaDirection::Tx => &mut self.tx,
        }
    }

    /// Both, with the words of their label.
    pub fn ways(&self) -> [(&'static str, &HeardWay); 2] {
        [("rx", &self.rx), ("tx", &self.tx)]
    }
}

impl HeardWay {
    fn new() -> HeardWay {
        HeardWay {
            mos: Buckets::new(MOS),
            loss: Buckets::new(LOSS),
            jitter: Buckets::new(SECONDS),
            one_way: 0,
        }
    }

    fn record(&mut self, figures: &Figures) {
        self.mos.record(figures.mos.into());
        self.loss.record(figures.loss.into());
        self.jitter.record(f64::from(figures.jitter_ms) / 1000.0);
    }
}

impl Default for Heard {
    fn default() -> Heard {
        Heard {
            rx: HeardWay::new(),
            tx: HeardWay::new(),
            round_trip: Buckets::new(SECONDS),
            media_lost: 0,
        }
    }
}

/// Bounds of scores: the marks of ITU-T G.107 annex B, and between them.
const MOS: &[f64] = &[1.5, 2.0, 2.58, 3.1, 3.6, 4.03, 4.34, 4.5];
/// Bounds of loss: from hardly heard to unintelligible.
const LOSS: &[f64] = &[0.0, 0.001, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5];
/// Bounds of jitter and round trip: from a local network to a satellite.
const SECONDS: &[f64] = &[0.001, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.15, 0.3, 0.6, 1.0];
