//! Media time and wall time as RTP writes them (RFC 3550 §4, §5.1).
//!
//! Reads no clock.

use std::time::Duration;

/// A media timestamp in units of its stream's clock; wraps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RtpTime(pub u32);

impl RtpTime {
    /// The time `units` later.
    pub const fn add(self, units: u32) -> RtpTime {
        RtpTime(self.0.wrapping_add(units))
    }

    /// Units from `earlier` to this one, the shorter way round.
    pub const fn since(self, earlier: RtpTime) -> i32 {
        self.0.wrapping_sub(earlier.0) as i32
    }
}

/// Media clock ticks of one second. Never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockRate(u32);

impl ClockRate {
    /// 8000 Hz: G.711 and telephone-event.
    pub const NARROWBAND: ClockRate = ClockRate(8000);
    /// 48,000 Hz: Opus, whatever it carries (RFC 7587 §4.1).
    pub const OPUS: ClockRate = ClockRate(48_000);

    /// A rate in hertz; `None` outside 8000 to 192,000.
    pub const fn new(rate_hz: u32) -> Option<ClockRate> {
        if rate_hz < 8000 || rate_hz > 192_000 {
            None
        } else {
            Some(ClockRate(rate_hz))
        }
    }

    /// Hertz.
    pub const fn hz(self) -> u32 {
        self.0
    }

    /// Whole units in a span; wraps like a timestamp when the span is very long.
    pub const fn units(self, span: Duration) -> u32 {
        (span.as_micros() * self.0 as u128 / 1_000_000) as u32
    }

    /// The span of a number of units.
    pub const fn span(self, units: u32) -> Duration {
        Duration::from_micros(units as u64 * 1_000_000 / self.0 as u64)
    }
}

/// Wall time as 32.32 seconds since 1900 (RFC 3550 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NtpTime(pub u64);

impl NtpTime {
    /// From the time since 1970.
    pub const fn from_unix(since_1970: Duration) -> NtpTime {
        let seconds = since_1970.as_secs().wrapping_add(SECONDS_1900_TO_1970);
        let fraction = ((since_1970.subsec_nanos() as u64) << 32) / 1_000_000_000;
        NtpTime((seconds << 32) | fraction)
    }

    /// The middle 32 bits, which reports echo as LSR.
    pub const fn middle(self) -> u32 {
        (self.0 >> 16) as u32
    }
}

/// A span in 1/65,536 s, as DLSR is written; the longest when it does not fit.
pub fn short_span(span: Duration) -> u32 {
    u32::try_from((span.as_nanos() << 16) / 1_000_000_000).unwrap_or(u32::MAX)
}

/// Round trip from a report block that arrived at `arrival` (RFC 3550 §6.4.1); `None` when the far side has
/// not heard a sender report yet or the numbers cannot be true.
pub fn round_trip(arrival: NtpTime, last_sr: u32, delay_since_last_sr: u32) -> Option<Duration> {
    if last_sr == 0 {
        return None;
    }
    let units = arrival
        .middle()
        .wrapping_sub(last_sr)
        .wrapping_sub(delay_since_last_sr);
    if units > ROUND_TRIP_UNITS_MAX {
        return None;
    }
    Some(Duration::from_nanos((u64::from(units) * 1_000_000_000) >> 16))
}

/// Seconds between the NTP and Unix epochs (RFC 5905 figure 4).
const SECONDS_1900_TO_1970: u64 = 2_208_988_800;
/// Longest believable round trip, 1/65,536 s: 60 s. A negative one wraps above it.
const ROUND_TRIP_UNITS_MAX: u32 = 60 << 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_wrap() {
        assert_eq!(RtpTime(u32::MAX).add(160), RtpTime(159));
        assert_eq!(RtpTime(10).since(RtpTime(u32::MAX)), 11);
        assert_eq!(RtpTime(u32::MAX).since(RtpTime(10)), -11);
    }

    #[test]
    fn a_clock_rate_is_never_absurd() {
        assert_eq!(ClockRate::new(0), None);
        assert_eq!(ClockRate::new(u32::MAX), None);
        assert_eq!(ClockRate::new(48_000).map(ClockRate::hz), Some(48_000));
        assert_eq!(ClockRate::NARROWBAND.units(Duration::from_millis(20)), 160);
        assert_eq!(ClockRate::NARROWBAND.span(160), Duration::from_millis(20));
    }

    #[test]
    fn ntp_counts_from_1900() {
        let time = NtpTime::from_unix(Duration::from_millis(1500));
        assert_eq!(time.0 >> 32, 2_208_988_801);
        assert_eq!(time.0 & 0xffff_ffff, 0x8000_0000);
    }

    #[test]
    fn round_trip_is_the_example_of_the_rfc() {
        // RFC 3550 figure 2: A = 0xb710:8000, LSR = 0xb705:2000, DLSR = 5.25 s, round trip 6.125 s.
        let arrival = NtpTime(0xb710_8000 << 16);
        let span = round_trip(arrival, 0xb705_2000, 0x0005_4000);
        assert_eq!(span, Some(Duration::from_millis(6125)));
    }

    #[test]
    fn untrue_reports_give_no_round_trip() {
        let arrival = NtpTime(1000 << 32);
        assert_eq!(round_trip(arrival, 0, 0), None);
        assert_eq!(round_trip(arrival, arrival.middle(), 1), None);
        assert_eq!(
            round_trip(arrival, arrival.middle().wrapping_sub(61 << 16), 0),
            None
        );
        assert_eq!(short_span(Duration::from_millis(5250)), 0x0005_4000);
        assert_eq!(short_span(Duration::MAX), u32::MAX);
    }
}
