//! A report as a page that needs nothing but itself: no script, no font, no picture from elsewhere. Pure.

use std::fmt::Write;

use serde_json::Value;

use super::chart::{Chart, Series, escaped};

/// The distributions of a run, by their names in the report.
const TIMES: [(&str, &str); 4] = [
    ("setup", "Set-up: INVITE to 200, ms"),
    ("post_dial", "Post-dial delay: INVITE to the first 18x, ms"),
    ("latency", "Latency of a frame, one way, ms"),
    ("jitter", "Jitter: difference of two latencies, ms"),
];

/// Of one run, or of searches.
pub fn page(report: &Value) -> String {
    let mut body = String::new();
    match report.get("searches").and_then(Value::as_array) {
        Some(searches) => {
            for search in searches {
                searched(&mut body, search);
            }
        }
        None => run(&mut body, report),
    }
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Load test</title><style>{STYLE}</style></head><body>{body}</body></html>\n"
    )
}

fn run(body: &mut String, report: &Value) {
    let verdict = text(report, "verdict");
    heading(body, "Load test", verdict, &list(report, "faults"));
    let plan = report.get("plan").unwrap_or(&Value::Null);
    table(body, "Plan", plan);
    body.push_str("<div class=\"charts\">");
    body.push_str(&course(report).svg());
    for (name, title) in TIMES {
        body.push_str(&curve(report.get(name).unwrap_or(&Value::Null), title).svg());
    }
    body.push_str("</div>");
    for (name, title) in [
        ("calls", "Calls"),
        ("frames", "Frames, both directions of all calls"),
        ("target", "The target's process"),
        ("own", "This program"),
    ] {
        table(body, title, report.get(name).unwrap_or(&Value::Null));
    }
}

fn searched(body: &mut String, search: &Value) {
    let limit = search.get("limit").filter(|limit| !limit.is_null());
    let (title, verdict) = match limit {
        Some(limit) => (format!("{limit} {}", text(search, "searched")), "good"),
        None => (
            format!(
                "no limit found: at least {} {}",
                search.get("at_least").unwrap_or(&Value::Null),
                text(search, "searched")
            ),
            "unknown",
        ),
    };
    heading(
        body,
        &title,
        verdict,
        &format!("what ended it: {}", text(search, "bottleneck")),
    );
    table(body, "Plan", search.get("plan").unwrap_or(&Value::Null));
    let empty = Vec::new();
    let trials = search.get("trials").and_then(Value::as_array).unwrap_or(&empty);
    body.push_str("<div class=\"charts\">");
    for (name, title) in [
        ("setup_p99_ms", "Set-up, 99 of 100, ms"),
        ("latency_p99_ms", "Latency of a frame, 99 of 100, ms"),
        ("gap_max_ms", "Longest gap, ms"),
        ("loss", "Frames lost, share"),
    ] {
        body.push_str(&trial_chart(trials, name, title, text(search, "searched")).svg());
    }
    body.push_str("</div><h3>Trials</h3><table><tr>");
    const COLUMNS: [&str; 9] = [
        "load",
        "verdict",
        "faults",
        "setup_p99_ms",
        "latency_p99_ms",
        "gap_max_ms",
        "loss",
        "refused",
        "took_s",
    ];
    for column in COLUMNS {
        // Writing to a string cannot fail.
        let _ = write!(body, "<th>{column}</th>");
    }
    body.push_str("</tr>");
    for trial in trials {
        let _ = write!(body, "<tr class=\"{}\">", escaped(text(trial, "verdict")));
        for column in COLUMNS {
            let value = trial.get(column).unwrap_or(&Value::Null);
            let _ = write!(body, "<td>{}</td>", escaped(&shown(value)));
        }
        body.push_str("</tr>");
    }
    body.push_str("</table>");
}

fn heading(body: &mut String, title: &str, verdict: &str, more: &str) {
    let _ = write!(
        body,
        "<h1>{} <span class=\"verdict {verdict}\">{verdict}</span></h1><p>{}</p>",
        escaped(title),
        escaped(more),
        verdict = escaped(verdict),
    );
}

fn course(report: &Value) -> Chart<'_> {
    let empty = Vec::new();
    let course = report.get("course").and_then(Value::as_array).unwrap_or(&empty);
    let points = |name: &str| {
        let point = |sample: &Value| Some((number(sample, "second")?, number(sample, name)?));
        course.iter().filter_map(point).collect()
    };
    Chart {
        title: "Calls",
        x_label: "seconds",
        series: vec![
            line("under way", "one", points("under_way")),
            line("not good, so far", "bad", points("not_good")),
        ],
        ticks: Vec::new(),
    }
}

/// A distribution: the part of all on the way across, each step half as far from the whole as the one before.
fn curve<'a>(times: &Value, title: &'a str) -> Chart<'a> {
    let empty = Vec::new();
    let curve = times.get("curve").and_then(Value::as_array).unwrap_or(&empty);
    let points: Vec<(f64, f64, String)> = curve
        .iter()
        .enumerate()
        .filter_map(|(place, point)| {
            let (part, ms) = (point.get(0)?.as_f64()?, point.get(1)?.as_f64()?);
            Some((place as f64, ms, format!("{}", part * 100.0)))
        })
        .collect();
    Chart {
        title,
        x_label: "percent of them",
        series: vec![line(
            "",
            "one",
            points.iter().map(|(place, ms, _)| (*place, *ms)).collect(),
        )],
        ticks: points.into_iter().map(|(place, _, part)| (place, part)).collect(),
    }
}

fn trial_chart<'a>(trials: &[Value], name: &str, title: &'a str, x_label: &'a str) -> Chart<'a> {
    let of = |verdict: &str| {
        trials
            .iter()
            .filter(|trial| text(trial, "verdict") == verdict)
            .filter_map(|trial| Some((number(trial, "load")?, number(trial, name)?)))
            .collect()
    };
    let dots = |name, class| Series {
        is_dots: true,
        ..line(name, class, of(name))
    };
    Chart {
        title,
        x_label,
        series: vec![
            dots("good", "one"),
            dots("bad", "bad"),
            dots("unknown", "unknown"),
        ],
        ticks: Vec::new(),
    }
}

fn line<'a>(name: &'a str, class: &'a str, points: Vec<(f64, f64)>) -> Series<'a> {
    Series {
        name,
        class,
        points,
        is_dots: false,
    }
}

/// An object as rows; what is nested stands in one cell.
fn table(body: &mut String, title: &str, object: &Value) {
    let Some(members) = object.as_object() else { return };
    let _ = write!(body, "<h3>{}</h3><table>", escaped(title));
    for (name, value) in members {
        let _ = write!(
            body,
            "<tr><th>{}</th><td>{}</td></tr>",
            escaped(name),
            escaped(&shown(value))
        );
    }
    body.push_str("</table>");
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() => {
            let text = format!("{:.3}", number.as_f64().unwrap_or(0.0));
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        Value::Array(members) => members.iter().map(shown).collect::<Vec<_>>().join(", "),
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| format!("{name} {}", shown(value)))
            .collect::<Vec<_>>()
            .join(", "),
        value => value.to_string(),
    }
}

fn list(report: &Value, name: &str) -> String {
    match report.get(name).and_then(Value::as_array) {
        Some(members) if !members.is_empty() => {
            format!(
                "not kept: {}",
                members.iter().map(shown).collect::<Vec<_>>().join(", ")
            )
        }
        _ => "all bounds kept".to_owned(),
    }
}

fn text<'a>(object: &'a Value, member: &str) -> &'a str {
    object.get(member).and_then(Value::as_str).unwrap_or_default()
}

fn number(object: &Value, member: &str) -> Option<f64> {
    object.get(member).and_then(Value::as_f64)
}

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:1180px;padding:0 1rem;color:#1c2530;background:#fff}\
h1{font-size:1.5rem;margin:1.6rem 0 .2rem}h3{font-size:1rem;margin:1.4rem 0 .3rem}p{margin:.2rem 0 1rem;color:#4a5866}\
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(430px,1fr));gap:1rem;margin-top:1.2rem}\
svg{width:100%;border:1px solid #d9e0e6;border-radius:6px;background:#fbfcfd}\
.title{font-weight:600;font-size:13px;fill:#1c2530}.tick{font-size:11px;fill:#5b6a78}.grid{stroke:#e4e9ed}\
.line{fill:none;stroke-width:2;stroke:#1769aa}.line.bad{stroke:#c0392b}.dot{fill:#1769aa}.dot.bad{fill:#c0392b}.dot.unknown{fill:#b8860b}\
text.one{fill:#1769aa}text.bad{fill:#c0392b}text.unknown{fill:#b8860b}\
table{border-collapse:collapse}th,td{text-align:left;padding:.2rem .8rem .2rem 0;border-bottom:1px solid #e4e9ed;vertical-align:top}th{font-weight:500;color:#4a5866}\
.verdict{font-size:.9rem;padding:.15rem .6rem;border-radius:1rem;vertical-align:middle}\
.verdict.good{background:#d8f0e0;color:#14613a}.verdict.bad{background:#f9dcd8;color:#8e2419}.verdict.unknown{background:#f6ecd0;color:#70550a}\
tr.bad td{color:#8e2419}tr.unknown td{color:#70550a}";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::plan::testing::plan;
    use super::super::report::{Ran, report};
    use super::*;

    #[test]
    fn a_run_shows_its_verdict_its_charts_and_asks_nothing_of_the_network() {
        let mut ran = Ran::default();
        ran.outcome.sample(1, 40);
        let page = page(&report(&plan(), &ran));
        assert!(page.contains("<span class=\"verdict good\">good</span>"));
        assert_eq!(page.matches("<svg").count(), 1 + TIMES.len());
        assert!(!page.contains("http") && !page.contains("<script"));
    }

    #[test]
    fn a_search_shows_its_limit_and_each_trial() {
        let search = json!({
            "searched": "calls at once", "limit": 480, "bottleneck": "CPU: thread shard-0 used 98 % of a core",
            "trials": [{ "load": 480, "verdict": "good", "setup_p99_ms": 12.5 }, { "load": 500, "verdict": "bad" }],
        });
        let page = page(&json!({ "searches": [search] }));
        assert!(page.contains("480 calls at once") && page.contains("thread shard-0"));
        assert!(page.contains("<td>12.5</td>") && page.contains("<tr class=\"bad\">"));
    }

    #[test]
    fn what_a_target_writes_is_text_in_the_page() {
        let search = json!({ "searched": "calls at once", "limit": 1, "bottleneck": "limit rule <script>" });
        assert!(page(&json!({ "searches": [search] })).contains("limit rule &lt;script&gt;"));
    }
}
