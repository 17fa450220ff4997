//! RTCP: a total reader of compound packets and a writer of ours (RFC 3550 §6).
//!
//! Reports are information only: nothing here ends a call or moves an address.

mod extended;
mod read;
mod write;

pub use extended::VoipMetrics;
pub use read::{Blocks, Compound, RtcpError, RtcpPacket, Ssrcs};
pub use write::{CNAME_BYTES_MAX, CompoundWriter};

use super::{NtpTime, RtpTime, Ssrc};

/// What a source says of its own sending (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderInfo {
    /// Wall time of the report.
    pub ntp: NtpTime,
    /// The same moment in media time.
    pub time: RtpTime,
    /// Packets sent.
    pub packets: u32,
    /// Payload bytes sent.
    pub bytes: u32,
}

/// What a receiver says of one source (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportBlock {
    /// The source reported on.
    pub ssrc: Ssrc,
    /// Lost since the last report, 1/256.
    pub fraction_lost: u8,
    /// Lost since the beginning; negative when duplicates outnumber losses. 24 bits.
    pub cumulative_lost: i32,
    /// Highest sequence number received, with its wraps.
    pub highest_seq: u32,
    /// Interarrival jitter, timestamp units.
    pub jitter: u32,
    /// Middle bits of the last sender report's time, or 0.
    pub last_sr: u32,
    /// Since that report, 1/65,536 s.
    pub delay_since_last_sr: u32,
}

/// Packet types (RFC 3550 §12.1).
const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const GOODBYE: u8 = 203;
/// RFC 3611 §2.
const EXTENDED_REPORT: u8 = 207;
/// SDES item type of the canonical name.
const CNAME: u8 = 1;
const VERSION_2: u8 = 2 << 6;
const REPORT_BLOCK_BYTES: usize = 24;
