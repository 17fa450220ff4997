//! Hides lost audio by repeating the last pitch periods, fading to silence (after G.711 Appendix I).
//!
//! Owns 48.75 ms of what was played. Knows nothing of packets: its caller says which samples came and which
//! did not.
//!
//! Deviates from G.711 Appendix I where that delays all speech by 3.75 ms to smooth the start of a loss:
//! the seam is smoothed forwards instead, by letting the jump fade over a quarter of a period.

/// Concealment state of one incoming stream.
#[derive(Clone)]
pub struct Conceal {
    /// What was played last, newest at the end.
    history: [i16; HISTORY_SAMPLES],
    state: State,
}

#[derive(Clone)]
#[expect(
    clippy::large_enum_variant,
    reason = "kept in place, so that a lost packet allocates nothing"
)]
enum State {
    /// Nothing was played yet.
    Silent,
    /// The last samples came.
    Playing,
    /// Samples are missing, or the next ones do not follow; the repetition runs.
    Missing(Repetition),
}

impl Conceal {
    /// Nothing played yet: concealment is silence.
    pub const fn new() -> Conceal {
        Conceal {
            history: [0; HISTORY_SAMPLES],
            state: State::Silent,
        }
    }

    /// Samples that came. After a loss their beginning is blended with the repetition.
    pub fn received(&mut self, samples: &mut [i16]) {
        if let State::Missing(repetition) = &mut self.state {
            let blend_samples = repetition.blend_samples().min(samples.len());
            let step = 1.0 / (blend_samples + 1) as f32;
            let mut share = 0.0;
            for sample in samples.iter_mut().take(blend_samples) {
                share += step;
                let repeated = repetition.next_sample();
                *sample = (f32::from(*sample) * share + repeated * (1.0 - share)) as i16;
            }
        }
        self.state = State::Playing;
        self.remember(samples);
    }

    /// Fills samples that did not come.
    pub fn missing(&mut self, samples: &mut [i16]) {
        self.skipped();
        let State::Missing(repetition) = &mut self.state else {
            samples.fill(0);
            return;
        };
        for sample in samples.iter_mut() {
            *sample = repetition.next_sample() as i16;
        }
        self.remember(samples);
    }

    /// The next samples that come do not follow the last ones: they will be blended over the cut.
    pub fn skipped(&mut self) {
        match self.state {
            State::Playing => self.state = State::Missing(Repetition::new(&self.history)),
            State::Silent | State::Missing(_) => {}
        }
    }

    /// Whether nothing was played yet, or a loss has faded to silence.
    pub fn is_silent(&self) -> bool {
        match &self.state {
            State::Silent => true,
            State::Playing => false,
            State::Missing(repetition) => repetition.missing >= FADED_SAMPLES,
        }
    }

    fn remember(&mut self, samples: &[i16]) {
        let new = samples.len().min(HISTORY_SAMPLES);
        self.history.copy_within(new.., 0);
        let newest = samples.get(samples.len() - new..).unwrap_or_default();
        if let Some(place) = self.history.get_mut(HISTORY_SAMPLES - new..) {
            place.copy_from_slice(newest);
        }
    }
}

impl Default for Conceal {
    fn default() -> Conceal {
        Conceal::new()
    }
}

/// A running repetition of the last pitch periods.
///
/// ```text
///  before the loss:  … | period 3 | period 2 | period 1 |
///  repeated:                                            | 1 1 … | 1 2 1 | 3 2 1 3 2 1 …
/// ```
#[derive(Clone)]
struct Repetition {
    /// What was played before the loss, as it was.
    heard: [i16; HISTORY_SAMPLES],
    /// The stretch that is repeated: the last periods, the end blended so that it joins the start.
    cycle: [i16; CYCLE_SAMPLES_MAX],
    /// How many periods `cycle` holds: 1 to 3.
    periods: usize,
    /// Next sample of the cycle.
    phase: usize,
    /// Pitch period, samples.
    period: usize,
    /// Samples repeated so far.
    missing: usize,
    /// Jump between the last sample heard and the one a period before it; fades over a quarter period.
    seam: f32,
}

impl Repetition {
    fn new(history: &[i16; HISTORY_SAMPLES]) -> Repetition {
        let period = pitch_period(history);
        let mut newest_first = history.iter().rev().copied().map(f32::from);
        let last = newest_first.next().unwrap_or(0.0);
        let a_period_before = newest_first.nth(period - 1).unwrap_or(0.0);
        let mut repetition = Repetition {
            heard: *history,
            cycle: [0; CYCLE_SAMPLES_MAX],
            periods: 1,
            phase: 0,
            period,
            missing: 0,
            seam: last - a_period_before,
        };
        repetition.fill_cycle();
        repetition
    }

    /// Takes the newest periods as the cycle and blends the cycle's end into what came before its start.
    fn fill_cycle(&mut self) {
        let length = self.period * self.periods;
        let start = HISTORY_SAMPLES - length;
        let newest = self.heard.get(start..).unwrap_or_default();
        if let Some(place) = self.cycle.get_mut(..length) {
            place.copy_from_slice(newest);
        }
        let quarter = self.period / 4;
        let before_start = self.heard.get(start - quarter..start).unwrap_or_default();
        let end = self.cycle.get_mut(length - quarter..length).unwrap_or_default();
        let step = 1.0 / (quarter + 1) as f32;
        let mut share = 0.0;
        for (sample, earlier) in end.iter_mut().zip(before_start) {
            share += step;
            *sample = (f32::from(*sample) * (1.0 - share) + f32::from(*earlier) * share) as i16;
        }
    }

    fn next_sample(&mut self) -> f32 {
        if self.missing >= FADED_SAMPLES {
            return 0.0;
        }
        let sample = self.cycle.get(self.phase).copied().map_or(0.0, f32::from);
        let quarter = self.period / 4;
        let seam_left = quarter.saturating_sub(self.missing) as f32 / (quarter + 1) as f32;
        let fade = 1.0 - self.missing.saturating_sub(BLOCK_SAMPLES) as f32 / FADE_SAMPLES as f32;
        self.missing += 1;
        self.phase += 1;
        if self.phase == self.period * self.periods {
            self.next_cycle();
        }
        ((sample + self.seam * seam_left) * fade).clamp(f32::from(i16::MIN), f32::from(i16::MAX))
    }

    /// One period alone soon buzzes, so each further 10 ms adds an older one (Appendix I §I.2.6). The cycle
    /// just ended leads into the period it began with, which is where the longer one is entered.
    fn next_cycle(&mut self) {
        self.phase = 0;
        let wanted = (1 + self.missing / BLOCK_SAMPLES).min(PERIODS_MAX);
        if wanted > self.periods {
            self.phase = (wanted - self.periods) * self.period;
            self.periods = wanted;
            self.fill_cycle();
        }
    }

    /// How long the samples after the loss are blended: 4 ms, and 4 ms more for each 10 ms lost, up to 10 ms.
    fn blend_samples(&self) -> usize {
        (BLEND_SAMPLES * (1 + self.missing / BLOCK_SAMPLES)).min(BLEND_SAMPLES_MAX)
    }
}

/// The lag at which the last 20 ms look most like what came before, by normalised correlation.
fn pitch_period(history: &[i16; HISTORY_SAMPLES]) -> usize {
    // Scaled so that a sum of products stays inside 32 bits, where the loop vectorises.
    let peak = history
        .iter()
        .map(|sample| sample.unsigned_abs())
        .max()
        .unwrap_or(0);
    let shift = (16 - peak.leading_zeros()).saturating_sub(CORRELATION_BITS);
    let mut scaled = [0i16; HISTORY_SAMPLES];
    for (place, sample) in scaled.iter_mut().zip(history) {
        *place = sample >> shift;
    }
    let newest = scaled.get(HISTORY_SAMPLES - WINDOW_SAMPLES..).unwrap_or_default();
    let mut best = (0.0, PERIOD_SAMPLES_MIN);
    for lag in PERIOD_SAMPLES_MIN..=PERIOD_SAMPLES_MAX {
        let start = HISTORY_SAMPLES - WINDOW_SAMPLES - lag;
        let earlier = scaled.get(start..start + WINDOW_SAMPLES).unwrap_or_default();
        let (mut product, mut energy) = (0i32, 1i32);
        for (a, b) in newest.iter().zip(earlier) {
            product += i32::from(*a) * i32::from(*b);
            energy += i32::from(*b) * i32::from(*b);
        }
        let likeness = product as f32 / (energy as f32).sqrt();
        if likeness > best.0 {
            best = (likeness, lag);
        }
    }
    best.1
}

/// Shortest pitch period, samples: 5 ms, 200 Hz (G.711 Appendix I).
const PERIOD_SAMPLES_MIN: usize = 40;
/// Longest pitch period, samples: 15 ms, 66 Hz.
const PERIOD_SAMPLES_MAX: usize = 120;
/// Periods repeated at most.
const PERIODS_MAX: usize = 3;
const CYCLE_SAMPLES_MAX: usize = PERIODS_MAX * PERIOD_SAMPLES_MAX;
/// Three periods and the quarter before them: 48.75 ms.
const HISTORY_SAMPLES: usize = CYCLE_SAMPLES_MAX + PERIOD_SAMPLES_MAX / 4;
/// What is compared to find the period: 20 ms.
const WINDOW_SAMPLES: usize = 160;
/// 160 products of 11-bit magnitudes stay below 2^30.
const CORRELATION_BITS: u32 = 11;
/// 10 ms, played at full level before the fade begins.
const BLOCK_SAMPLES: usize = 80;
/// 50 ms from full level to silence: a fifth each 10 ms.
const FADE_SAMPLES: usize = 400;
/// From here on silence: 60 ms.
const FADED_SAMPLES: usize = BLOCK_SAMPLES + FADE_SAMPLES;
const BLEND_SAMPLES: usize = 32;
const BLEND_SAMPLES_MAX: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::FRAME_SAMPLES;

    /// A voiced sound: a decaying 500 Hz ring, struck every `period` samples.
    fn voice(period: usize, from: usize) -> [i16; FRAME_SAMPLES] {
        std::array::from_fn(|n| {
            let t = ((from + n) % period) as f32;
            (12_000.0 * (-t / 30.0).exp() * (t * 500.0 * std::f32::consts::TAU / 8000.0).cos()) as i16
        })
    }

    fn energy(samples: &[i16]) -> f32 {
        samples.iter().map(|s| f32::from(*s).powi(2)).sum::<f32>() / samples.len() as f32
    }

    fn prepared(period: usize) -> Conceal {
        let mut conceal = Conceal::new();
        for frame in 0..4 {
            conceal.received(&mut voice(period, frame * FRAME_SAMPLES));
        }
        conceal
    }

    #[test]
    fn speech_that_came_passes_unchanged() {
        let mut conceal = Conceal::new();
        let mut frame = voice(70, 0);
        conceal.received(&mut frame);
        assert_eq!(frame, voice(70, 0));
    }

    #[test]
    fn the_pitch_of_a_voice_is_found() {
        for period in [41, 57, 70, 99, 119] {
            let conceal = prepared(period);
            let found = pitch_period(&conceal.history);
            assert!(found.is_multiple_of(period), "period {period} found {found}");
        }
    }

    #[test]
    fn one_lost_frame_of_a_steady_voice_is_nearly_what_was_lost() {
        for period in [50, 70, 99] {
            let mut conceal = prepared(period);
            let mut filled = [0; FRAME_SAMPLES];
            conceal.missing(&mut filled);
            let truth = voice(period, 4 * FRAME_SAMPLES);
            // The first 10 ms are at full level.
            let error: Vec<i16> = filled
                .iter()
                .zip(&truth)
                .take(80)
                .map(|(a, b)| a.wrapping_sub(*b))
                .collect();
            let ratio = energy(&error) / energy(&truth[..80]);
            assert!(ratio < 0.05, "period {period} error {ratio}");
        }
    }

    #[test]
    fn a_long_loss_is_silent_after_sixty_milliseconds() {
        let mut conceal = prepared(70);
        let mut last = f32::MAX;
        for _ in 0..3 {
            let mut frame = [0; FRAME_SAMPLES];
            conceal.missing(&mut frame);
            assert!(energy(&frame) > 0.0 && energy(&frame) < last);
            last = energy(&frame);
        }
        assert!(conceal.is_silent());
        let mut frame = [99; FRAME_SAMPLES];
        conceal.missing(&mut frame);
        assert_eq!(frame, [0; FRAME_SAMPLES]);
    }

    #[test]
    fn neither_seam_clicks() {
        // The steepest step of the sound itself bounds every step at and inside the concealment.
        let period = 70;
        let steepest = |samples: &[i16]| {
            samples
                .windows(2)
                .map(|w| (i32::from(w[1]) - i32::from(w[0])).abs())
                .max()
                .unwrap()
        };
        let sine = |from: usize| -> [i16; FRAME_SAMPLES] {
            std::array::from_fn(|n| {
                (10_000.0 * ((from + n) as f32 * std::f32::consts::TAU / period as f32).sin()) as i16
            })
        };
        for lost in 1..=4usize {
            let mut conceal = Conceal::new();
            let mut heard = Vec::new();
            for frame in 0..12 {
                let mut samples = sine(frame * FRAME_SAMPLES + frame);
                if (4..4 + lost).contains(&frame) {
                    conceal.missing(&mut samples);
                } else {
                    conceal.received(&mut samples);
                }
                heard.extend(samples);
            }
            // Each frame starts one sample off, so the bare cuts are as steep as two steps of the sine.
            assert!(
                steepest(&heard) <= 3 * steepest(&sine(0)),
                "lost {lost}: {}",
                steepest(&heard)
            );
        }
    }

    #[test]
    fn a_skip_is_blended() {
        let mut conceal = Conceal::new();
        let mut before = [8000i16; FRAME_SAMPLES];
        conceal.received(&mut before);
        conceal.received(&mut before);
        conceal.received(&mut before);
        conceal.skipped();
        let mut after = [-8000i16; FRAME_SAMPLES];
        conceal.received(&mut after);
        assert!(after[0] > 6000 && after[31] < -6000);
        assert_eq!(after[40..], [-8000; 120]);
    }

    #[test]
    fn silence_conceals_as_silence_and_full_scale_does_not_overflow() {
        let mut conceal = Conceal::new();
        let mut frame = [7; 80];
        conceal.missing(&mut frame);
        assert_eq!(frame, [0; 80]);
        for level in [i16::MAX, i16::MIN] {
            let mut conceal = Conceal::new();
            for _ in 0..4 {
                conceal.received(&mut [level; FRAME_SAMPLES]);
            }
            let mut frame = [0; FRAME_SAMPLES];
            conceal.missing(&mut frame);
            assert_eq!(frame[0], level);
        }
    }
}
