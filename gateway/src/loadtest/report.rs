//! A run as JSON. Pure.

use serde_json::{Value, json};

use super::outcome::Outcome;
use super::own::Own;
use super::plan::Plan;
use super::router::Seen;

/// All of a run. `verdict` is `good`, `bad`, or `unknown` where this program was the limit.
pub fn report(plan: &Plan, outcome: &Outcome, own: &Own, seen: &Seen) -> Value {
    let frames = &outcome.frames;
    let faults: Vec<&str> = outcome
        .faults(&plan.bounds)
        .into_iter()
        .map(|fault| fault.name())
        .collect();
    let refused: serde_json::Map<String, Value> = outcome
        .refused
        .iter()
        .map(|(status, count)| (status.to_string(), json!(count)))
        .collect();
    let course: Vec<Value> = outcome
        .course
        .iter()
        .map(|(second, under_way, answered, not_good)| {
            json!({ "second": second, "under_way": under_way, "answered": answered, "not_good": not_good })
        })
        .collect();
    json!({
        "verdict": verdict(&faults, own),
        "faults": faults,
        "plan": {
            "target": plan.target.to_string(),
            "calls": plan.calls,
            "rate": plan.rate,
            "ramp_s": plan.ramp.as_secs_f64(),
            "hold_s": plan.hold.as_secs_f64(),
            "codec": plan.codec.name(),
            "setup_p99_ms_max": plan.bounds.setup_p99.as_secs_f64() * 1_000.0,
            "loss_max": plan.bounds.loss,
            "gap_ms_max": plan.bounds.gap.as_secs_f64() * 1_000.0,
        },
        "calls": {
            "placed": outcome.placed,
            "answered": outcome.answered,
            "good": outcome.good,
            "broken": outcome.broken,
            "silent": outcome.silent,
            "crossed": outcome.crossed,
            "failed": outcome.failed,
            "refused": outcome.refused_total(),
            "refused_by_status": refused,
            "refused_by_rule": seen.refused,
            "strangers": outcome.strangers,
        },
        "router_errors": seen.errors,
        "frames": {
            "sent": frames.sent,
            "good": frames.good,
            "lost": frames.lost,
            "foreign": frames.foreign,
            "unclear": frames.unclear,
            "loss": outcome.loss(),
            "gap_max_ms": frames.gap_max.as_secs_f64() * 1_000.0,
        },
        "setup": outcome.measures.setup.to_json(),
        "post_dial": outcome.measures.post_dial.to_json(),
        "latency": outcome.measures.latency.to_json(),
        "jitter": outcome.measures.jitter.to_json(),
        "own": own.to_json(),
        "took_s": outcome.took.as_secs_f64(),
        "course": course,
    })
}

/// Faults count as the target's only where this program kept up; what a stranger heard counts always.
fn verdict(faults: &[&str], own: &Own) -> &'static str {
    match (faults.is_empty(), own.limits().is_empty()) {
        (true, true) => "good",
        (false, true) => "bad",
        (_, false) if faults.contains(&"crossed") => "bad",
        (_, false) => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::super::call::{Fate, Frames};
    use super::super::plan::testing::plan;
    use super::*;

    #[test]
    fn a_figure_that_our_own_limits_made_is_no_verdict() {
        let slow = Own {
            cpu_share: 0.99,
            ..Own::default()
        };
        let mut outcome = Outcome::default();
        let told =
            |outcome: &Outcome, own: &Own| report(&plan(), outcome, own, &Seen::default())["verdict"].clone();
        assert_eq!(told(&outcome, &Own::default()), "good");
        assert_eq!(told(&outcome, &slow), "unknown");
        outcome.add(Fate::Failed, &Frames::default());
        assert_eq!(told(&outcome, &Own::default()), "bad");
        assert_eq!(told(&outcome, &slow), "unknown");
        outcome.add(Fate::Crossed, &Frames::default());
        assert_eq!(told(&outcome, &slow), "bad");
    }
}
