//! Line charts as SVG text, for a page that needs nothing but itself. Pure.

use std::fmt::Write;

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = 34.0;
/// Lines across, and labels below.
const STEPS: u32 = 4;

/// One chart.
#[derive(Clone, Debug)]
pub struct Chart<'a> {
    /// Above it.
    pub title: &'a str,
    /// Below it.
    pub x_label: &'a str,
    /// Lines or dots.
    pub series: Vec<Series<'a>>,
    /// Labels below single places, instead of numbers.
    pub ticks: Vec<(f64, String)>,
}

/// One line of it.
#[derive(Clone, Debug)]
pub struct Series<'a> {
    /// In the legend.
    pub name: &'a str,
    /// Class of the style sheet, which gives its colour.
    pub class: &'a str,
    /// Where it goes.
    pub points: Vec<(f64, f64)>,
    /// Dots without a line between them.
    pub is_dots: bool,
}

impl Chart<'_> {
    /// As an `<svg>` element.
    pub fn svg(&self) -> String {
        let most = |of: fn(&(f64, f64)) -> f64| {
            let all = self.series.iter().flat_map(|series| series.points.iter().map(of));
            nice(all.fold(0.0, f64::max))
        };
        let (x_most, y_most) = (most(|point| point.0), most(|point| point.1));
        let x = |value: f64| LEFT + value / x_most * (WIDTH - LEFT - RIGHT);
        let y = |value: f64| HEIGHT - BOTTOM - value / y_most * (HEIGHT - TOP - BOTTOM);
        let mut svg = format!(
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\"><text x=\"{LEFT}\" y=\"16\" class=\"title\">{title}</text>",
            title = escaped(self.title),
        );
        for step in 0..=STEPS {
            let value = y_most * f64::from(step) / f64::from(STEPS);
            let at = y(value);
            // Writing to a string cannot fail.
            let _ = write!(
                svg,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/><text class=\"tick\" text-anchor=\"end\" x=\"{label}\" y=\"{base:.1}\">{value}</text>",
                right = WIDTH - RIGHT,
                label = LEFT - 6.0,
                base = at + 4.0,
                value = short(value),
            );
        }
        for (at, label) in self.ticks(x_most) {
            let _ = write!(
                svg,
                "<text class=\"tick\" text-anchor=\"middle\" x=\"{:.1}\" y=\"{}\">{}</text>",
                x(at),
                HEIGHT - BOTTOM + 15.0,
                escaped(&label),
            );
        }
        let _ = write!(
            svg,
            "<text class=\"tick\" text-anchor=\"end\" x=\"{}\" y=\"{}\">{}</text>",
            WIDTH - RIGHT,
            HEIGHT - 3.0,
            escaped(self.x_label),
        );
        for (number, series) in self.series.iter().enumerate() {
            let points: Vec<(f64, f64)> = series.points.iter().map(|(px, py)| (x(*px), y(*py))).collect();
            draw(&mut svg, series, &points);
            let _ = write!(
                svg,
                "<text class=\"tick {class}\" text-anchor=\"end\" x=\"{x}\" y=\"{y}\">{name}</text>",
                class = escaped(series.class),
                x = WIDTH - RIGHT,
                y = 14.0 + 13.0 * number as f64,
                name = escaped(series.name),
            );
        }
        svg.push_str("</svg>");
        svg
    }

    fn ticks(&self, x_most: f64) -> Vec<(f64, String)> {
        if !self.ticks.is_empty() {
            return self.ticks.clone();
        }
        (0..=STEPS)
            .map(|step| x_most * f64::from(step) / f64::from(STEPS))
            .map(|value| (value, short(value)))
            .collect()
    }
}

fn draw(svg: &mut String, series: &Series<'_>, points: &[(f64, f64)]) {
    let class = escaped(series.class);
    if series.is_dots {
        for (x, y) in points {
            let _ = write!(
                svg,
                "<circle class=\"dot {class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"/>"
            );
        }
        return;
    }
    let line: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let _ = write!(
        svg,
        "<polyline class=\"line {class}\" points=\"{}\"/>",
        line.join(" ")
    );
}

/// A round number not below `value`.
fn nice(value: f64) -> f64 {
    if value <= 0.0 || !value.is_finite() {
        return 1.0;
    }
    let power = 10f64.powf(value.log10().floor());
    let factors = [1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0];
    let factor = factors.into_iter().find(|factor| factor * power >= value);
    factor.unwrap_or(10.0) * power
}

fn short(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Safe inside an element and inside a quoted attribute.
pub fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            character => safe.push(character),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_round_numbers() {
        for (value, round) in [
            (0.0, 1.0),
            (2.5, 3.0),
            (12.0, 15.0),
            (37.0, 40.0),
            (501.0, 600.0),
            (810.0, 1_000.0),
        ] {
            assert_eq!(nice(value), round);
        }
        assert_eq!(short(12.50), "12.5");
        assert_eq!(short(1_000.0), "1000");
    }

    #[test]
    fn every_point_lies_within_the_picture_and_text_is_escaped() {
        let chart = Chart {
            title: "a <b>",
            x_label: "seconds",
            series: vec![Series {
                name: "calls & more",
                class: "one",
                points: vec![(0.0, 0.0), (9.0, 1_234.0), (10.0, 3.0)],
                is_dots: true,
            }],
            ticks: Vec::new(),
        };
        let svg = chart.svg();
        assert!(svg.contains("a &lt;b&gt;") && svg.contains("calls &amp; more"));
        let places = svg
            .split("cx=\"")
            .skip(1)
            .map(|rest| rest.split('"').next().unwrap());
        for place in places {
            let place: f64 = place.parse().unwrap();
            assert!((LEFT..=WIDTH - RIGHT).contains(&place), "{place}");
        }
        assert_eq!(svg.matches("<circle").count(), 3);
    }
}
