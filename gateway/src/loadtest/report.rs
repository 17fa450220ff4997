//! A run as JSON. Pure.

use serde_json::{Value, json};

use super::outcome::Outcome;
use super::own::Own;
use super::plan::{Bounds, Plan};
use super::router::Seen;
use super::search::Verdict;
use super::watch::{Target, Watched};

/// A run that is over.
#[derive(Debug, Default)]
pub struct Ran {
    /// What came of its calls.
    pub outcome: Outcome,
    /// How this program did.
    pub own: Own,
    /// What its router saw.
    pub seen: Seen,
    /// What both processes used.
    pub watched: Watched,
}

impl Ran {
    /// Faults count as the target's only where this program kept up; what a stranger heard counts always.
    pub fn verdict(&self, bounds: &Bounds) -> Verdict {
        let faults = self.faults(bounds);
        match (faults.is_empty(), self.own.limits().is_empty()) {
            (true, true) => Verdict::Good,
            (false, true) => Verdict::Bad,
            (_, false) if faults.contains(&"crossed") => Verdict::Bad,
            (_, false) => Verdict::Unknown,
        }
    }

    /// For reports: `good`, `bad`, or `unknown` where this program was the limit.
    pub fn verdict_name(&self, bounds: &Bounds) -> &'static str {
        match self.verdict(bounds) {
            Verdict::Good => "good",
            Verdict::Bad => "bad",
            Verdict::Unknown => "unknown",
        }
    }

    /// What it did not keep.
    pub fn faults(&self, bounds: &Bounds) -> Vec<&'static str> {
        let faults = self.outcome.faults(bounds);
        faults.into_iter().map(|fault| fault.name()).collect()
    }
}

/// What a run must keep.
pub fn bounds(bounds: &Bounds) -> Value {
    json!({
        "setup_p99_ms_max": bounds.setup_p99.as_secs_f64() * 1_000.0,
        "loss_max": bounds.loss,
        "gap_ms_max": bounds.gap.as_secs_f64() * 1_000.0,
    })
}

/// All of a run.
pub fn report(plan: &Plan, ran: &Ran) -> Value {
    let (outcome, frames) = (&ran.outcome, &ran.outcome.frames);
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
        "verdict": ran.verdict_name(&plan.bounds),
        "faults": ran.faults(&plan.bounds),
        "plan": {
            "target": plan.target.to_string(),
            "calls": plan.calls,
            "rate": plan.rate,
            "ramp_s": plan.ramp.as_secs_f64(),
            "hold_s": plan.hold.as_secs_f64(),
            "codec": plan.codec.name(),
            "bounds": bounds(&plan.bounds),
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
            "refused_by_rule": ran.seen.refused,
            "strangers": outcome.strangers,
            "left_up": outcome.left_up,
        },
        "router_errors": ran.seen.errors,
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
        "own": ran.own.to_json(),
        "target": ran.watched.target.as_ref().map(Target::to_json),
        "took_s": outcome.took.as_secs_f64(),
        "course": course,
    })
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
        let mut ran = Ran::default();
        let told = |ran: &Ran| report(&plan(), ran)["verdict"].clone();
        assert_eq!(told(&ran), "good");
        ran.own = slow;
        assert_eq!(told(&ran), "unknown");
        ran.outcome.add(Fate::Failed, &Frames::default());
        assert_eq!(told(&ran), "unknown");
        ran.own = Own::default();
        assert_eq!(told(&ran), "bad");
        ran.own = slow;
        ran.outcome.add(Fate::Crossed, &Frames::default());
        assert_eq!(told(&ran), "bad");
    }
}
