use std::f64::consts::TAU;

use super::*;
use crate::codec::{Codec, Decoder, Encoder};
use crate::conceal::Conceal;

const DIGITS: &str = "0123456789*#ABCD";
/// Amplitude of a sine of 0 dBm0: the loudest sine of µ-law is 3.17 dBm0.
const DBM0: f64 = 22_743.0;

/// A press as a line brings it.
#[derive(Clone, Copy)]
struct Line {
    /// Level of each tone, dBm0.
    low_dbm0: f64,
    high_dbm0: f64,
    /// Both frequencies are off by this part.
    off: f64,
    tone_ms: f64,
    pause_ms: f64,
    /// White noise below the pair, dB.
    noise_db: Option<f64>,
    /// Packets of 20 ms that are lost.
    loss_permille: u64,
}

const GOOD: Line = Line {
    low_dbm0: -10.0,
    high_dbm0: -8.0,
    off: 0.0,
    tone_ms: 100.0,
    pause_ms: 100.0,
    noise_db: None,
    loss_permille: 0,
};

/// Numbers that look random and are the same each time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) as f64 / (1u64 << 31) as f64
    }

    /// Mean 0, deviation 1.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.next()).sum::<f64>() - 6.0
    }
}

fn amplitude(dbm0: f64) -> f64 {
    DBM0 * 10f64.powf(dbm0 / 20.0)
}

/// A row of digits on the line, each at another place of the frame; through µ-law and back.
fn spoken(digits: &str, line: Line, random: &mut Random) -> Vec<i16> {
    let (low, high) = (amplitude(line.low_dbm0), amplitude(line.high_dbm0));
    let power = (low * low + high * high) / 2.0;
    let noise = line
        .noise_db
        .map_or(0.0, |db| (power * 10f64.powf(-db / 10.0)).sqrt());
    let mut samples = Vec::new();
    for digit in digits.chars() {
        let [low_hz, high_hz] = Digit::from_char(digit)
            .unwrap()
            .frequencies_hz()
            .map(|hz| f64::from(hz) * (1.0 + line.off));
        let (phase, other) = (random.next() * TAU, random.next() * TAU);
        let pause = (line.pause_ms * 8.0
            + if line.pause_ms > 45.0 {
                random.next() * 160.0
            } else {
                0.0
            }) as usize;
        let begin = (random.next() * 160.0) as usize;
        let length = (line.tone_ms * 8.0).round() as usize;
        samples.extend(std::iter::repeat_n(
            0.0,
            if samples.is_empty() { begin } else { 0 },
        ));
        samples.extend((0..length).map(|at| {
            let angle = |hz: f64| at as f64 / 8000.0 * hz * TAU;
            low * (angle(low_hz) + phase).sin() + high * (angle(high_hz) + other).sin()
        }));
        samples.extend(std::iter::repeat_n(0.0, pause));
    }
    samples.extend([0.0; 800]);
    let noisy = samples.iter().map(|sample| sample + noise * random.normal());
    let linear: Vec<i16> = noisy
        .map(|sample| sample.clamp(-32_768.0, 32_767.0) as i16)
        .collect();
    let (mut coded, mut back) = (vec![0; linear.len()], vec![0; linear.len()]);
    Encoder::new(Codec::Pcmu).encode(&linear, &mut coded);
    Decoder::new(Codec::Pcmu).decode(&coded, &mut back);
    back
}

/// What a detector makes of samples, with losses hidden as the jitter buffer hides them.
fn detected(samples: &[i16], loss_permille: u64, random: &mut Random) -> Vec<Pressed> {
    let (mut detector, mut conceal) = (Detector::new(), Conceal::new());
    let mut all = Vec::new();
    for frame in samples.as_chunks::<FRAME_SAMPLES>().0 {
        let mut frame = *frame;
        let is_lost = random.next() * 1000.0 < loss_permille as f64;
        if is_lost {
            conceal.missing(&mut frame);
        } else {
            conceal.received(&mut frame);
        }
        let change = detector.handle_frame(&frame, is_lost);
        all.extend(change.ended);
    }
    all
}

fn text(pressed: &[Pressed]) -> String {
    pressed.iter().map(|pressed| pressed.digit.to_char()).collect()
}

/// Of 320 presses: told rightly, in order, and told at all.
fn score(line: Line, seed: u64) -> (usize, usize) {
    let mut random = Random(seed);
    let (mut right, mut told) = (0, 0);
    for _ in 0..20 {
        for digit in DIGITS.chars() {
            let samples = spoken(&digit.to_string(), line, &mut random);
            let pressed = detected(&samples, line.loss_permille, &mut random);
            told += pressed.len();
            right += usize::from(text(&pressed) == digit.to_string());
        }
    }
    (right, told)
}

const ALL: (usize, usize) = (320, 320);

#[test]
fn every_digit_is_heard_once_at_every_level_in_noise_and_loss_and_with_twist() {
    let mut table = String::new();
    for level in [0.0, -3.0, -10.0, -20.0, -25.0, -30.0] {
        let line = Line {
            low_dbm0: level,
            high_dbm0: level,
            ..GOOD
        };
        let short = Line {
            tone_ms: 40.0,
            pause_ms: 40.0,
            ..line
        };
        let noise = Line {
            noise_db: Some(15.0),
            ..line
        };
        let loss = Line {
            loss_permille: 10,
            ..line
        };
        let twist_up = Line {
            high_dbm0: level + 4.0,
            ..line
        };
        let twist_down = Line {
            high_dbm0: level - 8.0,
            ..line
        };
        let short_noise = Line {
            noise_db: Some(15.0),
            ..short
        };
        // The shortest in noise: one in a hundred may be missed, and at 0 dBm0 two tones are clipped as well.
        let (short_heard, _) = score(short_noise, 1);
        assert!(short_heard >= 316, "{level} dBm0, short and noisy: {short_heard}");
        let lines = [line, short, noise, loss, twist_up, twist_down];
        // Two tones of 4 dBm0 together are beyond what G.711 can carry.
        let lines = lines.map(|line| (line.high_dbm0 <= 0.0).then(|| score(line, 1).0));
        table += &format!("{level:4} dBm0: {lines:?}\n");
        assert!(lines.iter().flatten().all(|right| *right == ALL.0), "{table}");
    }
    println!("{table}");
}

#[test]
fn frequencies_off_by_one_and_a_half_percent_are_taken_and_by_three_and_a_half_refused() {
    for off in [-0.015, 0.015] {
        for tone_ms in [40.0, 100.0] {
            let line = Line { off, tone_ms, ..GOOD };
            assert_eq!(score(line, 2), ALL, "{off} {tone_ms} ms");
            let noise_db = Some(15.0);
            let noisy = Line { noise_db, ..line };
            assert!(score(noisy, 3).0 >= 316, "{off} {tone_ms} ms in noise");
        }
    }
    // Beyond 5 % the next frequency of the group is near.
    for off in [-0.05, -0.04, -0.035, 0.035, 0.04, 0.05] {
        assert_eq!(score(Line { off, ..GOOD }, 4), (0, 0), "{off}");
    }
}

#[test]
fn tones_of_forty_milliseconds_are_taken_and_of_twenty_three_refused() {
    for tone_ms in [40.0, 45.0, 60.0] {
        assert_eq!(score(Line { tone_ms, ..GOOD }, 5), ALL, "{tone_ms}");
    }
    for tone_ms in [10.0, 20.0, 23.0] {
        assert_eq!(score(Line { tone_ms, ..GOOD }, 6), (0, 0), "{tone_ms}");
    }
}

#[test]
fn pauses_of_forty_milliseconds_part_two_digits_and_of_ten_do_not() {
    let mut random = Random(7);
    for (pause_ms, expected) in [(40.0, "5555"), (30.0, "5555"), (10.0, "5"), (5.0, "5")] {
        for _ in 0..50 {
            let line = Line { pause_ms, ..GOOD };
            let samples = spoken("5555", line, &mut random);
            assert_eq!(
                text(&detected(&samples, 0, &mut random)),
                expected,
                "{pause_ms} ms"
            );
        }
    }
    let without = Line {
        pause_ms: 0.0,
        ..GOOD
    };
    let samples = spoken("15937", without, &mut random);
    assert_eq!(
        text(&detected(&samples, 0, &mut random)),
        "15937",
        "no pause at all"
    );
}

#[test]
fn the_length_told_is_the_length_pressed_within_ten_milliseconds() {
    let mut random = Random(8);
    for tone_ms in [40.0, 63.0, 100.0, 250.0, 1000.0] {
        for digit in DIGITS.chars() {
            let samples = spoken(&digit.to_string(), Line { tone_ms, ..GOOD }, &mut random);
            let told = detected(&samples, 0, &mut random)[0].duration_ms;
            assert!(
                (f64::from(told) - tone_ms).abs() <= 10.0,
                "{tone_ms} is told as {told}"
            );
        }
    }
}

#[test]
fn a_digit_held_down_for_ever_is_told_once_at_its_longest() {
    let mut random = Random(9);
    let line = Line {
        tone_ms: 20_000.0,
        ..GOOD
    };
    let pressed = detected(&spoken("4", line, &mut random), 0, &mut random);
    assert_eq!(text(&pressed), "4");
    assert_eq!(pressed[0].duration_ms, DIGIT_MS_MAX);
}

#[test]
fn one_tone_alone_too_much_twist_music_and_noise_are_no_digits() {
    let of = |low_dbm0, high_dbm0| Line {
        low_dbm0,
        high_dbm0,
        ..GOOD
    };
    for line in [
        of(-10.0, -80.0),
        of(-80.0, -10.0),
        of(-20.0, -10.0),
        of(-3.0, -18.0),
        of(-45.0, -45.0),
    ] {
        assert_eq!(score(line, 10), (0, 0), "{} {}", line.low_dbm0, line.high_dbm0);
    }
    let mut random = Random(11);
    let noise: Vec<i16> = (0..8000 * 120)
        .map(|_| (random.normal() * 6_000.0) as i16)
        .collect();
    assert_eq!(detected(&noise, 0, &mut random), []);
    // Dial, ring, busy and the special information tone.
    for tones in [
        [350.0, 440.0],
        [440.0, 480.0],
        [480.0, 620.0],
        [950.0, 1400.0],
        [425.0, 0.0],
    ] {
        let sound: Vec<i16> = (0..16_000)
            .map(|at| {
                let wave = |hz: f64| (f64::from(at) / 8000.0 * hz * TAU).sin();
                (tones.map(wave).iter().sum::<f64>() * 5_000.0) as i16
            })
            .collect();
        assert_eq!(detected(&sound, 0, &mut random), [], "{tones:?}");
    }
}

/// Speech-like: a buzz of every harmonic of a gliding pitch through formants that move, in syllables.
fn babble(seconds: usize, random: &mut Random) -> Vec<i16> {
    let mut samples = Vec::new();
    while samples.len() < seconds * 8000 {
        let length = 400 + (random.next() * 2400.0) as usize;
        let pitch = [80.0 + 200.0 * random.next(), 80.0 + 200.0 * random.next()];
        let formants: [[f64; 2]; 3] = [(250.0, 700.0), (850.0, 1500.0), (1900.0, 1300.0)]
            .map(|(from, span)| [from + span * random.next(), from + span * random.next()]);
        let mut phase = 0.0;
        for at in 0..length {
            let part = at as f64 / length as f64;
            let glide = |ends: [f64; 2]| ends[0] + (ends[1] - ends[0]) * part;
            phase += glide(pitch) / 8000.0 * TAU;
            let mut sum = 0.0;
            let mut harmonic = 1.0;
            while harmonic * glide(pitch) < 3400.0 {
                let hz = harmonic * glide(pitch);
                let gain: f64 = formants
                    .iter()
                    .map(|formant| 1.0 / (1.0 + ((hz - glide(*formant)) / 70.0).powi(2)))
                    .sum();
                sum += gain * (harmonic * phase).sin();
                harmonic += 1.0;
            }
            let swell = (part * std::f64::consts::PI).sin();
            samples.push((sum * swell * 6_000.0).clamp(-32_000.0, 32_000.0) as i16);
        }
        samples.extend(std::iter::repeat_n(0, (random.next() * 1600.0) as usize));
    }
    samples
}

#[test]
fn ten_minutes_of_speech_like_sound_hold_no_digit() {
    let mut random = Random(12);
    let mut all = Vec::new();
    for _ in 0..10 {
        all.extend(detected(&babble(60, &mut random), 0, &mut random));
    }
    assert_eq!(all, []);
}

#[test]
fn a_digit_over_speech_far_below_it_is_heard() {
    let mut random = Random(13);
    for digit in DIGITS.chars() {
        let pressed = spoken(&digit.to_string(), GOOD, &mut random);
        let quiet = babble(1, &mut random).into_iter().map(|sample| sample / 24);
        let both: Vec<i16> = pressed
            .iter()
            .zip(quiet)
            .map(|(one, other)| one.saturating_add(other))
            .collect();
        assert_eq!(text(&detected(&both, 0, &mut random)), digit.to_string());
    }
}
