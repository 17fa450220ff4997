//! How a conversation sounds, from what a network does to it: the E-model (ITU-T G.107) with its default values.
//!
//! Knows nothing of packets or reports.

use std::time::Duration;

use crate::command::Codec;

/// What a codec costs, and how it bears loss (ITU-T G.113 appendix I).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Impairment {
    /// Ie: what it takes from the rating without loss.
    pub equipment: f32,
    /// Bpl: the loss in percent at which half of what is left is gone.
    pub loss_robustness: f32,
}

impl Impairment {
    /// Of a codec, on the scale of telephone speech.
    pub const fn of(codec: Codec) -> Impairment {
        match codec {
            // With concealment after G.711 appendix I, which is what our jitter buffer does, random loss.
            Codec::Pcmu | Codec::Pcma => G711_CONCEALED,
            // G.113 rates wide-band codecs on their own scale only. Here they are heard through 8 kHz and the same
            // concealment, or better: what they add is a wider band, which this scale does not have.
            Codec::G722 | Codec::Opus => G711_CONCEALED,
        }
    }
}

/// Mean opinion score of a conversation, 1.0 to 4.5 (ITU-T G.107 annex B). `loss` is the part of the packets that
/// is lost at random, 0 to 1; `one_way` the delay from mouth to ear.
pub fn mos(codec: Codec, loss: f32, one_way: Duration) -> f32 {
    let r = rating(codec, loss, one_way);
    (1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6).clamp(1.0, 4.5)
}

/// The transmission rating R, 0 to 100.
fn rating(codec: Codec, loss: f32, one_way: Duration) -> f32 {
    let Impairment {
        equipment,
        loss_robustness,
    } = Impairment::of(codec);
    let percent = 100.0 * loss.clamp(0.0, 1.0);
    let effective = equipment + (95.0 - equipment) * percent / (percent + loss_robustness);
    (RATING_BEST - delay_impairment(one_way) - effective).clamp(0.0, 100.0)
}

/// Id: echo of the talker and of the listener, and delay as such (G.107 §7.4). Nothing is known of echo, so both
/// losses have their defaults.
fn delay_impairment(one_way: Duration) -> f32 {
    let ms = one_way.as_secs_f32() * 1000.0;
    let balance =
        |difference: f32, square: f32| difference / 2.0 + (difference * difference / 4.0 + square).sqrt();
    let masked = TALKER_ECHO_LOSS_DB - 40.0 * ((1.0 + ms / 10.0) / (1.0 + ms / 150.0)).log10()
        + 6.0 * (-0.3 * ms * ms).exp();
    let of_talker = 80.0 + 2.5 * (masked - 14.0);
    let talker = (balance(SIGNAL_TO_NOISE - of_talker, 100.0) - 1.0) * (1.0 - (-ms).exp());
    let of_listener = 10.5 * (LISTENER_ECHO_LOSS_DB + 7.0) * (2.0 * ms + 1.0).powf(-0.25);
    let listener = balance(SIGNAL_TO_NOISE - of_listener, 169.0);
    let long = if ms > 100.0 {
        let x = (ms / 100.0).log2();
        let root = |value: f32| (1.0 + value.powi(6)).powf(1.0 / 6.0);
        25.0 * (root(x) - 3.0 * root(x / 3.0) + 2.0)
    } else {
        0.0
    };
    talker + listener + long
}

/// G.711 with concealment (G.113 appendix I).
const G711_CONCEALED: Impairment = Impairment {
    equipment: 0.0,
    loss_robustness: 25.1,
};
/// Ro: signal over all noise, with the default values of G.107.
const SIGNAL_TO_NOISE: f32 = 94.77;
/// Ro less Is. With the listener's echo of no delay it is the 93.2 of G.107.
const RATING_BEST: f32 = 93.35;
/// TELR.
const TALKER_ECHO_LOSS_DB: f32 = 65.0;
/// WEPL.
const LISTENER_ECHO_LOSS_DB: f32 = 110.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn r(loss: f32, ms: u64) -> f32 {
        rating(Codec::Pcmu, loss, Duration::from_millis(ms))
    }

    #[test]
    fn the_rating_without_loss_and_delay_is_that_of_g_107() {
        assert!((r(0.0, 0) - 93.2).abs() < 0.05, "{}", r(0.0, 0));
        assert!((mos(Codec::Pcmu, 0.0, Duration::ZERO) - 4.41).abs() < 0.005);
    }

    #[test]
    fn loss_costs_what_g_113_says() {
        // Ie,eff = 95 · Ppl / (Ppl + 25.1).
        for (percent, effective) in [
            (1.0, 3.64),
            (2.0, 7.01),
            (5.0, 15.78),
            (10.0, 27.07),
            (25.1, 47.5),
        ] {
            let cost = r(0.0, 0) - r(percent / 100.0, 0);
            assert!((cost - effective).abs() < 0.01, "{percent} %: {cost}");
        }
    }

    #[test]
    fn delay_costs_little_up_to_150_ms_and_much_beyond() {
        // By hand from G.107 §7.4: 1.97 and 0.73 at 100 ms; 5.81, 1.23 and 24.07 at 400 ms.
        assert!((r(0.0, 100) - 90.6).abs() < 0.1, "{}", r(0.0, 100));
        assert!((r(0.0, 400) - 62.2).abs() < 0.1, "{}", r(0.0, 400));
        let curve: Vec<f32> = (0..100).map(|step| r(0.0, step * 10)).collect();
        assert!(curve.windows(2).all(|pair| pair[1] <= pair[0]));
    }

    #[test]
    fn the_score_stays_in_its_range_whatever_comes() {
        for codec in [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus] {
            for loss in [-1.0, 0.0, 0.5, 1.0, 7.0] {
                for ms in [0, 1, 100, 10_000, 1_000_000] {
                    let score = mos(codec, loss, Duration::from_millis(ms));
                    assert!((1.0..=4.5).contains(&score), "{codec:?} {loss} {ms}: {score}");
                }
            }
        }
        assert_eq!(mos(Codec::Pcmu, 1.0, Duration::from_secs(10)), 1.0);
    }
}
