//! Digits heard in audio that has none, and what listening costs: WAV files, or music made here. The figures and
//! the commands are in docs/decisions/0024-digits-are-heard-in-the-audio.md.
//!
//! ```text
//! digits_in [--music MINUTES]… [FILE.wav]…
//! ```

use std::error::Error;
use std::time::Instant;

use media::codec::{Codec, Decoder};
use media::dtmf::Detector;
use media::frame::{FRAME_MS, FRAME_SAMPLES};
use media::sound::{Sound, SoundLimits};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let sound = if argument == "--music" {
            let minutes = arguments.next().ok_or("--music takes minutes")?;
            Sound::from_pcm(Band::new().play(minutes.parse()?))
        } else {
            let bytes = std::fs::read(&argument)?;
            Sound::from_wav(&bytes, LIMITS)?
        };
        listen(&argument, &sound);
    }
    Ok(())
}

/// Hears the sound as a line carries it, through µ-law.
fn listen(name: &str, sound: &Sound) {
    let coded = sound.encoded(Codec::Pcmu).unwrap_or_default();
    let mut samples = vec![0; coded.len()];
    Decoder::new(Codec::Pcmu).decode(coded, &mut samples);
    let (frames, _) = samples.as_chunks::<FRAME_SAMPLES>();
    let (mut detector, mut digits, mut hidden) = (Detector::new(), String::new(), 0);
    let begin = Instant::now();
    for frame in frames {
        let ended = detector.handle_frame(frame, false).ended;
        digits.extend(ended.map(|pressed| pressed.digit.to_char()));
        hidden += u32::from(detector.is_sounding());
    }
    let each_us = begin.elapsed().as_secs_f64() * 1e6 / frames.len().max(1) as f64;
    let minutes = frames.len() as f64 * f64::from(FRAME_MS) / 60_000.0;
    println!(
        "{name}: {minutes:.1} minutes, {} digits [{digits}], {hidden} frames taken for a digit, {each_us:.2} µs a frame",
        digits.len()
    );
}

/// Plays chords and tunes in equal temperament, on strings that ring out and pipes that do not; the same each time.
struct Band {
    random: u64,
}

impl Band {
    fn new() -> Band {
        Band { random: 24 }
    }

    /// From 0 to 1.
    fn draw(&mut self) -> f64 {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.random >> 33) as f64 / (1u64 << 31) as f64
    }

    fn play(&mut self, minutes: usize) -> Vec<i16> {
        let length = minutes * 60 * 8_000;
        let mut samples = Vec::with_capacity(length);
        while samples.len() < length {
            let beat = 800 + (self.draw() * 5_000.0) as usize;
            let mut chord = vec![0.0; beat];
            for _ in 0..=(self.draw() * 4.0) as usize {
                self.add_note(&mut chord);
            }
            let peak = chord.iter().fold(1.0f64, |peak, sample| peak.max(sample.abs()));
            let level = 4_000.0 + self.draw() * 20_000.0;
            samples.extend(chord.iter().map(|sample| (sample / peak * level) as i16));
        }
        samples
    }

    fn add_note(&mut self, chord: &mut [f64]) {
        // From two octaves below the tuning fork to two above.
        let hz = 440.0 * ((self.draw() * 48.0).floor() / 12.0 - 2.0).exp2();
        let (rings_out, bright) = (self.draw() < 0.5, self.draw());
        let phase = self.draw() * std::f64::consts::TAU;
        for overtone in 1..=8 {
            let hz = hz * f64::from(overtone);
            let gain = f64::from(overtone).powf(-0.5 - 3.0 * bright);
            for (at, sample) in chord.iter_mut().enumerate().filter(|_| hz < 3_600.0) {
                let time = at as f64 / 8_000.0;
                let fade = if rings_out {
                    (-3.0 * time).exp()
                } else {
                    (time * 50.0).min(1.0)
                };
                *sample += gain * fade * (time * hz * std::f64::consts::TAU + phase).sin();
            }
        }
    }
}

/// A recording of ten hours.
const LIMITS: SoundLimits = SoundLimits {
    bytes_max: 2 << 30,
    length_ms_max: 36_000_000,
};
