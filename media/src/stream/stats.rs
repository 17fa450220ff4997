//! What a stream counted.

/// What a stream counted since it was opened.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    /// RTP packets taken in.
    pub packets_received: u64,
    /// RTP payload bytes taken in.
    pub bytes_received: u64,
    /// Packets the far side sent that never came (RFC 3550 §6.4.1).
    pub packets_lost: u64,
    /// Packets that came and were thrown away: the sum of `discarded`.
    pub packets_discarded: u64,
    /// The same, by reason.
    pub discarded: Discarded,
    /// Interarrival jitter of what we receive, milliseconds (RFC 3550 §6.4.1).
    pub jitter_ms: f32,
    /// Quality of what we receive, 1.0 to 4.5; none before the first packet.
    pub mos: Option<f32>,
    /// RTP packets sent.
    pub packets_sent: u64,
    /// RTP payload bytes sent.
    pub bytes_sent: u64,
    /// Packets the kernel refused to send.
    pub send_failed: u64,
    /// Packets of ours the far side says it misses.
    pub remote_packets_lost: u64,
    /// Jitter the far side says it sees, milliseconds.
    pub remote_jitter_ms: f32,
    /// Quality of what the far side receives, from its reports; none before the first.
    pub remote_mos: Option<f32>,
    /// Round trip from RTCP, milliseconds; none before the first report.
    pub rtt_ms: Option<f32>,
}

/// Why a packet that came was thrown away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discard {
    /// Not from the source this stream takes (docs/threats.md A1, A2).
    Source,
    /// From the right address but of an SSRC not (yet) believed, or after an odd jump.
    Ssrc,
    /// Not RTP, or cut, or with lengths that do not fit.
    Malformed,
    /// A payload type that was not agreed.
    PayloadType,
    /// More audio than a packet may hold (docs/threats.md A10).
    TooLong,
    /// The stream may not receive, or nothing is agreed yet.
    NotReceiving,
    /// Came twice, or too late to be passed on or played.
    Late,
    /// Its SRTP tag is wrong (docs/threats.md A3).
    Tag,
    /// Its SRTP index came before (docs/threats.md A14).
    Replay,
    /// It looks like clear RTP on a secure stream (docs/threats.md A5).
    Clear,
}

/// Packets thrown away, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Discarded {
    /// [`Discard::Source`].
    pub source: u64,
    /// [`Discard::Ssrc`].
    pub ssrc: u64,
    /// [`Discard::Malformed`].
    pub malformed: u64,
    /// [`Discard::PayloadType`].
    pub payload_type: u64,
    /// [`Discard::TooLong`].
    pub too_long: u64,
    /// [`Discard::NotReceiving`].
    pub not_receiving: u64,
    /// [`Discard::Late`].
    pub late: u64,
    /// [`Discard::Tag`].
    pub tag: u64,
    /// [`Discard::Replay`].
    pub replay: u64,
    /// [`Discard::Clear`].
    pub clear: u64,
}

impl Discarded {
    /// Counts one.
    pub fn count(&mut self, why: Discard) {
        *match why {
            Discard::Source => &mut self.source,
            Discard::Ssrc => &mut self.ssrc,
            Discard::Malformed => &mut self.malformed,
            Discard::PayloadType => &mut self.payload_type,
            Discard::TooLong => &mut self.too_long,
            Discard::NotReceiving => &mut self.not_receiving,
            Discard::Late => &mut self.late,
            Discard::Tag => &mut self.tag,
            Discard::Replay => &mut self.replay,
            Discard::Clear => &mut self.clear,
        } += 1;
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.source
            + self.ssrc
            + self.malformed
            + self.payload_type
            + self.too_long
            + self.not_receiving
            + self.late
            + self.tag
            + self.replay
            + self.clear
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_the_sum_of_the_reasons() {
        let mut discarded = Discarded::default();
        for why in [
            Discard::Source,
            Discard::Ssrc,
            Discard::Malformed,
            Discard::PayloadType,
            Discard::TooLong,
            Discard::NotReceiving,
            Discard::Late,
        ] {
            discarded.count(why);
        }
        assert_eq!(discarded.total(), 7);
    }
}
