//! A source's timestamps as one 8000 Hz timeline, whatever clock its codec has.
//!
//! Knows nothing of positions or payloads.

use crate::codec::Codec;
use crate::rtp::RtpTime;

/// The last timestamp seen, in both clocks.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    last: Option<(Codec, RtpTime, RtpTime)>,
}

impl Timeline {
    /// The time in units of 8000 Hz. Where the clock stays 8000 Hz it is the source's own.
    pub fn narrow(&mut self, time: RtpTime, codec: Codec) -> RtpTime {
        let units = codec.units_per_sample() as i32;
        let narrow = match self.last {
            _ if units == 1 => time,
            Some((before, last, narrow)) if before == codec => {
                // 48,000 / 8000 does not divide 2^32: only steps can be divided, not times.
                RtpTime(narrow.0.wrapping_add_signed(time.since(last).div_euclid(units)))
            }
            Some(_) | None => RtpTime(time.0 / units as u32),
        };
        self.last = Some((codec, time, narrow));
        narrow
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opus_steps_by_160_each_20_ms_also_over_the_wrap_and_back() {
        let mut timeline = Timeline::default();
        let first = timeline.narrow(RtpTime(u32::MAX - 1000), Codec::Opus);
        let mut time = RtpTime(u32::MAX - 1000);
        for step in 1..5000 {
            time = time.add(960);
            assert_eq!(timeline.narrow(time, Codec::Opus), first.add(160 * step));
        }
        assert_eq!(
            timeline.narrow(time.add(0u32.wrapping_sub(1920)), Codec::Opus),
            first.add(160 * 4997)
        );
    }

    #[test]
    fn a_clock_of_8000_passes_as_it_is() {
        let mut timeline = Timeline::default();
        assert_eq!(timeline.narrow(RtpTime(77), Codec::G722), RtpTime(77));
    }
}
