//! RTP and RTCP on the wire (RFC 3550, RFC 3551, RFC 5761): total readers over received bytes, writers into
//! given bytes, and the arithmetic of wrapping numbers.
//!
//! Knows nothing of sockets, codecs or clocks: time is passed in.

pub mod demux;
pub mod header;
pub mod reception;
pub mod rewrite;
pub mod rtcp;
pub mod seq;
pub mod time;

pub use demux::PacketKind;
pub use header::{Header, HeaderError, Packet};
pub use reception::{Reception, Verdict};
pub use rewrite::Rewrite;
pub use seq::{ExtendedSeq, SeqNo};
pub use time::{ClockRate, NtpTime, RtpTime};

/// A synchronisation source (RFC 3550 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ssrc(pub u32);
