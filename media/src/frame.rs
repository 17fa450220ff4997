//! The grid all audio inside a shard runs on: frames of 20 ms at 8000 Hz, 16-bit linear.
//!
//! Knows nothing of packets or codecs.

/// Samples of one second inside the gateway.
pub const RATE_HZ: u32 = 8000;
/// Length of one frame and of one mixer tick, milliseconds.
pub const FRAME_MS: u32 = 20;
/// Samples of one frame.
pub const FRAME_SAMPLES: usize = 160;

/// Samples of a millisecond.
pub const SAMPLES_PER_MS: u64 = RATE_HZ as u64 / 1000;

/// Samples of a span given in milliseconds.
pub const fn samples_of_ms(ms: u32) -> u64 {
    ms as u64 * SAMPLES_PER_MS
}

/// Milliseconds of a number of samples, rounded down.
pub const fn ms_of_samples(samples: u64) -> u64 {
    samples.saturating_mul(1000) / RATE_HZ as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_twenty_milliseconds() {
        assert_eq!(samples_of_ms(FRAME_MS), FRAME_SAMPLES as u64);
        assert_eq!(ms_of_samples(FRAME_SAMPLES as u64), u64::from(FRAME_MS));
        assert_eq!(ms_of_samples(159), 19);
    }
}
