//! One RTP session of one leg.
//!
//! Knows nothing of SIP, SDP text or files.

/// What a stream counted since it was opened.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    /// RTP packets taken in.
    pub packets_received: u64,
    /// RTP payload bytes taken in.
    pub bytes_received: u64,
    /// Packets the far side sent that never came (RFC 3550 §6.4.1).
    pub packets_lost: u64,
    /// Packets that came and were thrown away: wrong source, malformed, late, twice.
    pub packets_discarded: u64,
    /// Interarrival jitter of what we receive, milliseconds (RFC 3550 §6.4.1).
    pub jitter_ms: f32,
    /// RTP packets sent.
    pub packets_sent: u64,
    /// RTP payload bytes sent.
    pub bytes_sent: u64,
    /// Packets of ours the far side says it misses.
    pub remote_packets_lost: u64,
    /// Jitter the far side says it sees, milliseconds.
    pub remote_jitter_ms: f32,
    /// Round trip from RTCP, milliseconds; none before the first report.
    pub rtt_ms: Option<f32>,
}
