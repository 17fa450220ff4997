//! Keeps a sum of voices inside 16 bits without the crackle of cut-off peaks.
//!
//! Owns one listener's momentary gain. A sum that fits, with the gain at rest, passes bit by bit.

use crate::frame::FRAME_SAMPLES;

/// One listener's limiter.
#[derive(Clone, Copy, Debug)]
pub struct Limiter {
    /// 1.0: at rest.
    gain: f32,
}

impl Limiter {
    /// At rest.
    pub const fn new() -> Limiter {
        Limiter { gain: 1.0 }
    }

    /// Turns the gain down within 2 ms when a peak needs it, and up again over a quarter of a second.
    pub fn apply(&mut self, sum: &[i32; FRAME_SAMPLES], out: &mut [i16; FRAME_SAMPLES]) {
        let peak = sum.iter().fold(0, |peak, sample| sample.unsigned_abs().max(peak));
        let fits = if peak > FULL_SCALE {
            FULL_SCALE as f32 / peak as f32
        } else {
            1.0
        };
        if fits == 1.0 && self.gain == 1.0 {
            for (out, sample) in out.iter_mut().zip(sum) {
                *out = saturate(*sample);
            }
            return;
        }
        let target = (self.gain + RELEASE_PER_FRAME).min(fits);
        let ramp_samples = if target < self.gain {
            ATTACK_SAMPLES
        } else {
            FRAME_SAMPLES
        };
        let step = (target - self.gain) / ramp_samples as f32;
        let (out_ramp, out_hold) = out.split_at_mut(ramp_samples);
        let (sum_ramp, sum_hold) = sum.split_at(ramp_samples);
        for (out, sample) in out_ramp.iter_mut().zip(sum_ramp) {
            self.gain += step;
            *out = saturate((*sample as f32 * self.gain) as i32);
        }
        for (out, sample) in out_hold.iter_mut().zip(sum_hold) {
            *out = saturate((*sample as f32 * target) as i32);
        }
        self.gain = target;
    }
}

impl Default for Limiter {
    fn default() -> Limiter {
        Limiter::new()
    }
}

fn saturate(sample: i32) -> i16 {
    sample.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16
}

const FULL_SCALE: u32 = 32_767;
/// 2 ms.
const ATTACK_SAMPLES: usize = 16;
/// From −6 dB to rest in 0.25 s.
const RELEASE_PER_FRAME: f32 = 0.04;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_passes_unchanged() {
        let sum: [i32; FRAME_SAMPLES] = std::array::from_fn(|n| n as i32 * 400 - 32_000);
        let mut out = [0; FRAME_SAMPLES];
        Limiter::new().apply(&sum, &mut out);
        assert!(sum.iter().zip(&out).all(|(a, b)| *a == i32::from(*b)));
    }

    #[test]
    fn a_loud_sum_is_turned_down_and_comes_back_to_unchanged() {
        let loud: [i32; FRAME_SAMPLES] = std::array::from_fn(|n| if n % 8 < 4 { 60_000 } else { -60_000 });
        let soft = [1000; FRAME_SAMPLES];
        let mut limiter = Limiter::new();
        let mut out = [0; FRAME_SAMPLES];
        limiter.apply(&loud, &mut out);
        assert!(
            out[32..]
                .iter()
                .all(|s| s.unsigned_abs() <= 32_767 && s.unsigned_abs() > 32_700)
        );
        let mut frames = 0;
        while out != [1000; FRAME_SAMPLES] {
            limiter.apply(&soft, &mut out);
            frames += 1;
        }
        assert!((5..=16).contains(&frames), "{frames}");
    }

    #[test]
    fn turning_up_has_no_steps() {
        let mut limiter = Limiter::new();
        let mut out = [0; FRAME_SAMPLES];
        limiter.apply(&[65_534; FRAME_SAMPLES], &mut out);
        let mut last = i32::from(out[159]) / 2;
        for _ in 0..20 {
            limiter.apply(&[32_767; FRAME_SAMPLES], &mut out);
            for sample in out {
                assert!((i32::from(sample) - last).abs() < 50);
                last = i32::from(sample);
            }
        }
    }
}
