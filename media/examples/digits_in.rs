//! Digits heard in audio, and what hearing them costs: raw 16-bit little-endian samples at 8 kHz on standard
//! input. docs/decisions/0024-digits-heard-in-audio.md has the figures and the commands.

use std::io::Read;
use std::time::Instant;

use media::dtmf::Detector;
use media::frame::{FRAME_MS, FRAME_SAMPLES};

fn main() -> std::io::Result<()> {
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes)?;
    let (pairs, _) = bytes.as_chunks::<2>();
    let samples: Vec<i16> = pairs.iter().map(|pair| i16::from_le_bytes(*pair)).collect();
    let (frames, _) = samples.as_chunks::<FRAME_SAMPLES>();
    let mut detector = Detector::new();
    let mut digits = String::new();
    let begin = Instant::now();
    for frame in frames {
        let ended = detector.handle_frame(frame, false).ended;
        digits.extend(ended.map(|pressed| pressed.digit.to_char()));
    }
    let each = begin.elapsed().as_secs_f64() * 1e6 / frames.len().max(1) as f64;
    let minutes = frames.len() as f64 * f64::from(FRAME_MS) / 60_000.0;
    println!(
        "{minutes:.1} minutes, {} digits: {digits}, {each:.2} µs a frame",
        digits.len()
    );
    Ok(())
}
