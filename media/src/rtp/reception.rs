//! What one session knows of the source it hears: whether a packet belongs, what is lost, how it jitters
//! (RFC 3550 §6.4.1, appendices A.1, A.3, A.8).
//!
//! Owns one source's sequence state. Address checks come before it; playout comes after it.

use super::rtcp::ReportBlock;
use super::{ClockRate, ExtendedSeq, Header, RtpTime, SeqNo, Ssrc};

/// Where a packet stands in its source's sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Belongs, in order or not, under this number.
    Accept(ExtendedSeq),
    /// Belongs and starts anew: first packet, new SSRC, or a jump the source has confirmed.
    Restart(ExtendedSeq),
    /// May be the start of a jump or of another source; the next packet decides. Not played.
    Suspect,
}

/// Reception state of one session.
#[derive(Clone, Debug, Default)]
pub struct Reception {
    source: Option<Source>,
    suspect: Option<(Ssrc, SeqNo)>,
    /// Packets expected from sources that were replaced.
    expected_before: u64,
    /// Packets received from sources that were replaced.
    received_before: u64,
}

#[derive(Clone, Debug)]
struct Source {
    ssrc: Ssrc,
    first: ExtendedSeq,
    highest: ExtendedSeq,
    received: u64,
    last_transit: Option<u32>,
    /// Jitter times 16 in timestamp units (RFC 3550 A.8).
    jitter_16: u32,
    /// Expected and received at the last report block.
    reported: (u64, u64),
}

impl Reception {
    /// Nothing heard yet.
    pub const fn new() -> Reception {
        Reception {
            source: None,
            suspect: None,
            expected_before: 0,
            received_before: 0,
        }
    }

    /// Judges one packet. `arrival` is the arrival time in units of the stream's clock, any epoch. Events
    /// (RFC 4733) carry one timestamp for many packets: pass `is_event`, and they do not count as jitter.
    pub fn handle_packet(&mut self, header: &Header, is_event: bool, arrival: RtpTime) -> Verdict {
        let suspect = self.suspect.take();
        let Some(source) = &mut self.source else {
            return self.restart(header, arrival);
        };
        let confirmed = suspect == Some((header.ssrc, header.seq));
        if source.ssrc != header.ssrc {
            // One stray packet of another source must not cut off the one we hear; two in a row may.
            return self.suspect_or_restart(confirmed, header, arrival);
        }
        let step = i32::from(header.seq.since(source.highest.seq()));
        if !(-MISORDER_MAX..DROPOUT_MAX).contains(&step) {
            return self.suspect_or_restart(confirmed, header, arrival);
        }
        let seq = source.highest.nearest(header.seq);
        source.highest = source.highest.max(seq);
        source.first = source.first.min(seq);
        source.received += 1;
        if !is_event {
            source.measure_jitter(header.time, arrival);
        }
        Verdict::Accept(seq)
    }

    fn suspect_or_restart(&mut self, confirmed: bool, header: &Header, arrival: RtpTime) -> Verdict {
        if confirmed {
            return self.restart(header, arrival);
        }
        self.suspect = Some((header.ssrc, header.seq.next()));
        Verdict::Suspect
    }

    fn restart(&mut self, header: &Header, arrival: RtpTime) -> Verdict {
        self.expected_before = self.expected();
        self.received_before = self.received();
        let first = ExtendedSeq::first(header.seq);
        self.source = Some(Source {
            ssrc: header.ssrc,
            first,
            highest: first,
            received: 1,
            last_transit: Some(arrival.0.wrapping_sub(header.time.0)),
            jitter_16: 0,
            reported: (0, 0),
        });
        Verdict::Restart(first)
    }

    /// Forgets the source, so that the next packet starts anew at once; totals stay. For a new agreement.
    pub fn forget_source(&mut self) {
        self.expected_before = self.expected();
        self.received_before = self.received();
        self.source = None;
        self.suspect = None;
    }

    /// Who is heard.
    pub fn ssrc(&self) -> Option<Ssrc> {
        self.source.as_ref().map(|source| source.ssrc)
    }

    /// Packets that should have come since the beginning.
    pub fn expected(&self) -> u64 {
        self.expected_before + self.source.as_ref().map_or(0, Source::expected)
    }

    /// Packets that came.
    pub fn received(&self) -> u64 {
        self.received_before + self.source.as_ref().map_or(0, |source| source.received)
    }

    /// Packets that never came; duplicates count against it, never below zero.
    pub fn lost(&self) -> u64 {
        self.expected().saturating_sub(self.received())
    }

    /// Interarrival jitter, milliseconds.
    pub fn jitter_ms(&self, clock: ClockRate) -> f32 {
        let units = self
            .source
            .as_ref()
            .map_or(0.0, |source| source.jitter_16 as f32 / 16.0);
        units * 1000.0 / clock.hz() as f32
    }

    /// What a report says of the source, and begins the next interval. `last_sr` and `delay_since_last_sr`
    /// come from its last sender report, 0 when there was none.
    pub fn report_block(&mut self, last_sr: u32, delay_since_last_sr: u32) -> Option<ReportBlock> {
        let source = self.source.as_mut()?;
        let (expected, received) = (source.expected(), source.received);
        let expected_interval = expected.saturating_sub(source.reported.0);
        let received_interval = received.saturating_sub(source.reported.1);
        source.reported = (expected, received);
        let lost_interval = expected_interval.saturating_sub(received_interval);
        let fraction = (lost_interval * 256).checked_div(expected_interval).unwrap_or(0);
        let lost = i64::try_from(expected).unwrap_or(i64::MAX) - i64::try_from(received).unwrap_or(i64::MAX);
        Some(ReportBlock {
            ssrc: source.ssrc,
            fraction_lost: u8::try_from(fraction).unwrap_or(u8::MAX),
            cumulative_lost: lost.clamp(-0x80_0000, 0x7f_ffff) as i32,
            highest_seq: source.highest.on_wire(),
            jitter: source.jitter_16 >> 4,
            last_sr,
            delay_since_last_sr,
        })
    }
}

impl Source {
    fn expected(&self) -> u64 {
        self.highest.0 - self.first.0 + 1
    }

    fn measure_jitter(&mut self, time: RtpTime, arrival: RtpTime) {
        let transit = arrival.0.wrapping_sub(time.0);
        if let Some(last) = self.last_transit.replace(transit) {
            // Bounded, so that a source whose timestamps jump cannot overflow the sum.
            let difference = (transit.wrapping_sub(last) as i32)
                .unsigned_abs()
                .min(JITTER_UNITS_MAX);
            self.jitter_16 = self.jitter_16 + difference - ((self.jitter_16 + 8) >> 4);
        }
    }
}

/// Steps ahead that still count as loss (RFC 3550 A.1).
const DROPOUT_MAX: i32 = 3000;
/// Steps back that still count as reordering (RFC 3550 A.1).
const MISORDER_MAX: i32 = 100;
/// Largest single difference of transit that enters the jitter, timestamp units: 10 s at 8000 Hz.
const JITTER_UNITS_MAX: u32 = 80_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn header(ssrc: u32, seq: u16, time: u32) -> Header {
        Header {
            marker: false,
            payload_type: 0,
            seq: SeqNo(seq),
            time: RtpTime(time),
            ssrc: Ssrc(ssrc),
        }
    }

    fn hear(reception: &mut Reception, ssrc: u32, seq: u16) -> Verdict {
        let time = u32::from(seq) * 160;
        reception.handle_packet(&header(ssrc, seq, time), false, RtpTime(time))
    }

    #[test]
    fn the_first_packet_starts_and_the_next_belong() {
        let mut reception = Reception::new();
        assert!(matches!(hear(&mut reception, 7, 65_535), Verdict::Restart(_)));
        assert!(matches!(hear(&mut reception, 7, 0), Verdict::Accept(_)));
        assert_eq!(
            (reception.expected(), reception.received(), reception.lost()),
            (2, 2, 0)
        );
    }

    #[test]
    fn loss_reordering_and_duplicates_are_counted_as_in_a3() {
        let mut reception = Reception::new();
        for seq in [10, 11, 14, 13, 13, 20] {
            hear(&mut reception, 7, seq);
        }
        assert_eq!((reception.expected(), reception.received()), (11, 6));
        let block = reception.report_block(0, 0).unwrap();
        assert_eq!((block.cumulative_lost, block.fraction_lost), (5, 116));
        assert_eq!(reception.report_block(0, 0).unwrap().fraction_lost, 0);
    }

    #[test]
    fn a_jump_restarts_on_its_second_packet() {
        let mut reception = Reception::new();
        hear(&mut reception, 7, 10);
        assert_eq!(hear(&mut reception, 7, 30_000), Verdict::Suspect);
        assert!(matches!(hear(&mut reception, 7, 30_001), Verdict::Restart(_)));
        assert!(matches!(hear(&mut reception, 7, 30_002), Verdict::Accept(_)));
        assert_eq!(reception.lost(), 0);
    }

    #[test]
    fn one_stray_source_changes_nothing_and_two_in_a_row_take_over() {
        let mut reception = Reception::new();
        hear(&mut reception, 7, 10);
        assert_eq!(hear(&mut reception, 8, 500), Verdict::Suspect);
        assert!(matches!(hear(&mut reception, 7, 11), Verdict::Accept(_)));
        assert_eq!(hear(&mut reception, 8, 501), Verdict::Suspect);
        assert!(matches!(hear(&mut reception, 8, 502), Verdict::Restart(_)));
        assert_eq!(reception.ssrc(), Some(Ssrc(8)));
    }

    #[test]
    fn jumps_of_half_the_circle_lose_at_most_two_packets_each() {
        let mut reception = Reception::new();
        let mut seq = 5u16;
        let mut refused = 0;
        for jump in [32_767u16, 32_768, 32_769, 40_000] {
            for _ in 0..5 {
                seq = seq.wrapping_add(1);
                refused += u32::from(hear(&mut reception, 7, seq) == Verdict::Suspect);
            }
            seq = seq.wrapping_add(jump);
        }
        assert_eq!(refused, 3);
    }

    #[test]
    fn jitter_follows_a8() {
        let mut reception = Reception::new();
        reception.handle_packet(&header(7, 0, 0), false, RtpTime(0));
        reception.handle_packet(&header(7, 1, 160), false, RtpTime(160 + 80));
        // |80| / 16 = 5 units = 0.625 ms
        assert!((reception.jitter_ms(ClockRate::NARROWBAND) - 0.625).abs() < 0.01);
        assert_eq!(reception.report_block(0, 0).unwrap().jitter, 5);
    }

    #[test]
    fn events_do_not_jitter() {
        let mut reception = Reception::new();
        reception.handle_packet(&header(7, 0, 0), false, RtpTime(0));
        for seq in 1..20 {
            reception.handle_packet(&header(7, seq, 160), true, RtpTime(u32::from(seq) * 160));
        }
        assert_eq!(reception.jitter_ms(ClockRate::NARROWBAND), 0.0);
    }

    #[test]
    fn absurd_timestamps_do_not_overflow() {
        let mut reception = Reception::new();
        for n in 0..10_000u32 {
            let time = if n % 2 == 0 { 0 } else { 0x8000_0000 };
            reception.handle_packet(&header(7, n as u16, time), false, RtpTime(0));
        }
        assert!(reception.jitter_ms(ClockRate::NARROWBAND) <= 10_000.0);
    }

    #[test]
    fn a_new_agreement_keeps_the_totals() {
        let mut reception = Reception::new();
        for seq in [1, 2, 4] {
            hear(&mut reception, 7, seq);
        }
        reception.forget_source();
        assert!(matches!(hear(&mut reception, 9, 60_000), Verdict::Restart(_)));
        assert_eq!(
            (reception.expected(), reception.received(), reception.lost()),
            (5, 4, 1)
        );
    }
}
