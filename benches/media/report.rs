//! Figures as they are printed, as JSON, and as a chart.

use std::fmt::Write;
use std::path::Path;

use serde_json::{Value, json};

use crate::find::Found;

/// One case with one engine.
pub struct Row {
    pub case: String,
    pub legs: usize,
    pub engine: &'static str,
    pub us: f64,
    pub floor_us: f64,
    /// Beyond our own plain relay of as many legs.
    pub extra_us: Option<f64>,
    pub rtpengine_us: Option<f64>,
    pub loss_percent: f64,
    pub floor_loss_percent: f64,
    pub p50_us: u64,
    pub p99_us: u64,
    pub floor_p99_us: u64,
}

impl Row {
    pub fn print_head() {
        println!(
            "{:<12} {:<6} {:>7} {:>9} {:>6} {:>9} {:>10} {:>6} | {:>7} {:>8} {:>8} | floor {:>7} {:>8}",
            "case",
            "engine",
            "us",
            "floor_us",
            "ratio",
            "extra_us",
            "rtpengine",
            "ratio",
            "loss_%",
            "p50_us",
            "p99_us",
            "loss_%",
            "p99_us"
        );
    }

    pub fn print(&self) {
        let number = |number: Option<f64>| number.map_or("-".to_owned(), |number| format!("{number:.2}"));
        println!(
            "{:<12} {:<6} {:>7.2} {:>9.2} {:>6.2} {:>9} {:>10} {:>6} | {:>7.3} {:>8} {:>8} | floor {:>7.3} {:>8}",
            self.case,
            self.engine,
            self.us,
            self.floor_us,
            self.us / self.floor_us,
            number(self.extra_us),
            number(self.rtpengine_us),
            number(self.rtpengine_us.map(|us| self.us / us)),
            self.loss_percent,
            self.p50_us,
            self.p99_us,
            self.floor_loss_percent,
            self.floor_p99_us,
        );
    }

    fn json(&self) -> Value {
        json!({
            "case": self.case,
            "legs": self.legs,
            "engine": self.engine,
            "us_per_packet": round(self.us),
            "floor_us_per_packet": round(self.floor_us),
            "ratio_to_floor": round(self.us / self.floor_us),
            "extra_us_beyond_relay": self.extra_us.map(round),
            "rtpengine_us_per_packet": self.rtpengine_us.map(round),
            "loss_percent": round(self.loss_percent),
            "p50_us": self.p50_us,
            "p99_us": self.p99_us,
        })
    }
}

/// Writes `media.json` and `media.svg`.
pub fn write(folder: &Path, rows: &[Row], found: &[Found]) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let found: Vec<Value> = found
        .iter()
        .map(|found| {
            json!({
                "kind": found.kind.name(),
                "engine": found.engine,
                "legs": found.legs,
                "us_per_packet": round(found.us),
                "p99_us": found.p99_us,
            })
        })
        .collect();
    let rows_json: Vec<Value> = rows.iter().map(Row::json).collect();
    let whole = json!({ "command": "make bench", "cases": rows_json, "most_legs": found });
    std::fs::write(folder.join("media.json"), format!("{whole:#}\n"))?;
    if !rows.is_empty() {
        std::fs::write(folder.join("media.svg"), chart(rows))?;
    }
    Ok(())
}

fn round(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

/// A bar for each case and engine, and a line across it where the floor is.
fn chart(rows: &[Row]) -> String {
    const WIDTH: f64 = 900.0;
    const LEFT: f64 = 150.0;
    const BAR: f64 = 22.0;
    let most = rows
        .iter()
        .map(|row| row.us.max(row.floor_us))
        .fold(1.0, f64::max);
    let scale = (WIDTH - LEFT - 110.0) / most;
    let height = 60.0 + BAR * rows.len() as f64;
    let mut svg = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n<text x=\"10\" y=\"20\" \
         font-size=\"14\">CPU per packet, microseconds; the black line is the floor of the same run</text>"
    );
    for (index, row) in rows.iter().enumerate() {
        let top = 40.0 + BAR * index as f64;
        let colour = if row.engine == "uring" {
            "#2a7f9e"
        } else {
            "#7fb069"
        };
        let (width, floor) = (row.us * scale, LEFT + row.floor_us * scale);
        let _ = writeln!(
            svg,
            "<text x=\"10\" y=\"{:.1}\">{} {}</text><rect x=\"{LEFT}\" y=\"{top:.1}\" width=\"{width:.1}\" \
             height=\"{:.1}\" fill=\"{colour}\"/><path d=\"M{floor:.1} {top:.1}v{:.1}\" stroke=\"#000\" \
             stroke-width=\"2\"/><text x=\"{:.1}\" y=\"{:.1}\">{:.2} ({:.2} ×)</text>",
            top + 14.0,
            row.case,
            row.engine,
            BAR - 5.0,
            BAR - 5.0,
            LEFT + width.max(row.floor_us * scale) + 6.0,
            top + 14.0,
            row.us,
            row.us / row.floor_us,
        );
    }
    svg.push_str("</svg>\n");
    svg
}
