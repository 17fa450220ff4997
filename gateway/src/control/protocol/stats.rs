//! Measurements of a leg. Measures nothing itself.

use schemars::JsonSchema;
use serde::Serialize;

/// One direction of a leg's media.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct DirectionStats {
    /// RTP packets.
    pub packets: u64,
    /// RTP payload bytes.
    pub bytes: u64,
    /// Packets lost on the way: for `rx` as counted here, for `tx` as the peer reports.
    pub lost: u64,
    /// The part that was lost, 0 to 1.
    pub loss: f64,
    /// Interarrival jitter (RFC 3550 §6.4.1), milliseconds.
    pub jitter_ms: f64,
    /// Quality estimated from loss and delay (ITU-T G.107), 1 to 4.5, or what the peer itself reports of `tx`; null until
    /// known.
    pub mos: Option<f64>,
    /// Kilobits a second at IP level.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kbps: Option<f64>,
}

/// Both directions of a leg's media, seen from the gateway.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct LegStats {
    /// From the peer to us.
    pub rx: DirectionStats,
    /// From us to the peer.
    pub tx: DirectionStats,
    /// Round trip, milliseconds; null until a report told it.
    pub rtt_ms: Option<f64>,
    /// The worse of both directions; null before media.
    pub mos: Option<f64>,
}

/// One direction of a leg's media over the last 5 s.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct DirectionQuality {
    /// Quality estimated from loss and delay (ITU-T G.107), 1 to 4.5.
    pub mos: f64,
    /// The part of the packets that is lost or late, 0 to 1.
    pub loss: f64,
    /// Interarrival jitter (RFC 3550 §6.4.1), milliseconds.
    pub jitter_ms: f64,
}
