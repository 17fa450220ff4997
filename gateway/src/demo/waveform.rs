//! The recording as a picture: one lane per party, the phases of the call behind them.
//!
//! Pure: samples in, SVG text out.

use std::fmt::Write;

use media::frame::RATE_HZ;

use super::cast::Party;
use super::recording::Channel;

/// Pixels of the picture.
const WIDTH: usize = 1_200;
const LEFT: usize = 96;
const RIGHT: usize = 24;
const TOP: usize = 108;
const LANE: usize = 84;
const BOTTOM: usize = 48;
/// Samples this loud fill their lane: a little above the level of the phones' tones.
const LOUD: f32 = 9_000.0;
/// Distance of two numbers on the time line.
const SECONDS_PER_MARK: usize = 2;

/// A phase on the recording's time line.
pub struct Label {
    /// For people.
    pub title: String,
    /// Its beginning, seconds into the recording.
    pub from_s: f32,
    /// Its end.
    pub to_s: f32,
}

/// Draws it.
pub fn svg(title: &str, channels: &[Channel], labels: &[Label]) -> String {
    let samples = channels
        .iter()
        .map(|channel| channel.samples.len())
        .max()
        .unwrap_or(0);
    let seconds = (samples as f32 / RATE_HZ as f32).max(0.1);
    let lanes = LANE * channels.len();
    let height = TOP + lanes + BOTTOM;
    let x = |at_s: f32| LEFT as f32 + at_s / seconds * (WIDTH - LEFT - RIGHT) as f32;
    let mut picture = Picture(String::new());
    picture.line(format_args!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12" fill="#333">"##
    ));
    picture.line(format_args!(
        r##"<rect width="{WIDTH}" height="{height}" fill="#fff"/>"##
    ));
    picture.line(format_args!(
        r#"<text x="16" y="24" font-size="16">{}</text>"#,
        escape(title)
    ));
    for label in labels {
        let (from, to) = (x(label.from_s), x(label.to_s));
        picture.line(format_args!(
            r##"<rect x="{from:.1}" y="{TOP}" width="{:.1}" height="{lanes}" fill="#eef3f8"/>"##,
            to - from
        ));
        picture.line(format_args!(
            r#"<text transform="translate({:.1} {}) rotate(-24)">{}</text>"#,
            from + 4.0,
            TOP - 6,
            escape(&label.title)
        ));
    }
    for (lane, channel) in channels.iter().enumerate() {
        let middle = TOP + lane * LANE + LANE / 2;
        picture.line(format_args!(
            r#"<text x="16" y="{}">{}</text>"#,
            middle + 4,
            escape(channel.party.name())
        ));
        picture.line(format_args!(
            r#"<path d="{}" fill="{}"/>"#,
            envelope(&channel.samples, samples, middle as f32),
            color(channel.party)
        ));
    }
    for mark in (0..=seconds as usize).step_by(SECONDS_PER_MARK) {
        picture.line(format_args!(
            r#"<text x="{:.1}" y="{}" text-anchor="middle">{mark} s</text>"#,
            x(mark as f32),
            TOP + lanes + 24
        ));
    }
    picture.line(format_args!("</svg>"));
    picture.0
}

struct Picture(String);

impl Picture {
    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "{line}");
    }
}

/// The closed outline of the loudest and the softest sample of every pixel column.
fn envelope(samples: &[i16], samples_max: usize, middle: f32) -> String {
    let columns = WIDTH - LEFT - RIGHT;
    let per_column = samples_max.div_ceil(columns).max(1);
    let half = LANE as f32 / 2.0 - 3.0;
    let y = |sample: i16| middle - (f32::from(sample) / LOUD).clamp(-1.0, 1.0) * half;
    let (mut above, mut below) = (String::new(), Vec::new());
    for (column, part) in samples.chunks(per_column).enumerate() {
        let x = LEFT + column;
        let high = part.iter().copied().max().unwrap_or(0).max(0);
        let low = part.iter().copied().min().unwrap_or(0).min(0);
        let _ = write!(above, "L{x} {:.1}", y(high) - 0.4);
        below.push(format!("L{x} {:.1}", y(low) + 0.4));
    }
    below.reverse();
    format!("M{LEFT} {middle:.1}{above}{}Z", below.concat())
}

fn color(party: Party) -> &'static str {
    match party {
        Party::Customer => "#1f6fb2",
        Party::Agent1 => "#c2571a",
        Party::Agent2 => "#3c8d40",
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_channel_and_phase_is_drawn() {
        let channels = [
            Channel {
                party: Party::Customer,
                samples: vec![4_000; 16_000],
            },
            Channel {
                party: Party::Agent1,
                samples: vec![0; 8_000],
            },
        ];
        let labels = [Label {
            title: "A & B".to_owned(),
            from_s: 0.5,
            to_s: 1.0,
        }];
        let text = svg("a <call>", &channels, &labels);
        assert!(text.starts_with("<svg ") && text.ends_with("</svg>\n"));
        assert_eq!(text.matches("<path ").count(), 2);
        assert!(text.contains(">A &amp; B</text>") && text.contains("a &lt;call>"));
        // 2 s over 1080 pixels from 96: half a second is 270 pixels.
        assert!(
            text.contains(r#"<rect x="366.0" y="108" width="270.0""#),
            "{text}"
        );
        assert!(text.contains("customer") && text.contains("agent 1"));
    }

    #[test]
    fn the_envelope_is_as_high_as_the_samples() {
        // Full deflection at LOUD is 39 pixels, half of it 19.5.
        let path = envelope(&[4_500, -4_500], 2, 100.0);
        assert_eq!(path, "M96 100.0L96 80.1L97 99.6L97 119.9L96 100.4Z");
        assert_eq!(envelope(&[], 0, 100.0), "M96 100.0Z");
    }
}
