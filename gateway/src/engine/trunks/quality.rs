//! What was measured on a stream, as clients see it.

use media::stream::Stats;

use crate::control::protocol::{DirectionStats, LegStats};

/// Numbers of one stream in both directions.
pub fn of(stats: &Stats) -> LegStats {
    let rx = direction(
        stats.packets_received,
        stats.bytes_received,
        stats.packets_lost,
        stats.jitter_ms,
        stats.mos,
    );
    let tx = direction(
        stats.packets_sent,
        stats.bytes_sent,
        stats.remote_packets_lost,
        stats.remote_jitter_ms,
        stats.remote_mos,
    );
    let worse = [stats.mos, stats.remote_mos]
        .into_iter()
        .flatten()
        .reduce(f32::min);
    LegStats {
        rx,
        tx,
        rtt_ms: stats.rtt_ms.map(f64::from),
        mos: worse.map(f64::from),
    }
}

fn direction(packets: u64, bytes: u64, lost: u64, jitter_ms: f32, mos: Option<f32>) -> DirectionStats {
    let expected = packets + lost;
    // Packet counts stay far below 2^52, so the ratio is exact enough.
    let loss = if expected == 0 {
        0.0
    } else {
        lost as f64 / expected as f64
    };
    DirectionStats {
        packets,
        bytes,
        lost,
        loss,
        jitter_ms: f64::from(jitter_ms),
        mos: mos.map(f64::from),
        kbps: None,
    }
}
