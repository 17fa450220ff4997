//! Walks to the highest load that a target keeps within the bounds, and tells what ended the walk.

use std::io::Write;
use std::thread::available_parallelism;
use std::time::Duration;

use serde_json::{Value, json};

use super::bottleneck;
use super::mark::CALLS_MAX;
use super::plan::Plan;
use super::report::{Ran, bounds};
use super::search::{Found, Step, Verdict, Walk};

/// What is raised from trial to trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Raised {
    /// Calls at once: placed at the plan's rate, and all up together for the plan's hold.
    Calls,
    /// Calls a second, for so long; each lasts for the plan's hold.
    Rate {
        /// How long they are placed.
        window: Duration,
    },
}

/// One search.
#[derive(Clone, Debug)]
pub struct Search {
    /// What all trials have in common.
    pub plan: Plan,
    /// What differs.
    pub raised: Raised,
    /// The first load tried.
    pub start: u32,
    /// The highest.
    pub most: u32,
    /// How close the limit is told, as a part of it.
    pub precision: f64,
}

impl Raised {
    fn name(self) -> &'static str {
        match self {
            Raised::Calls => "calls at once",
            Raised::Rate { .. } => "calls a second",
        }
    }

    /// The highest load that calls can be told apart at.
    fn most(self) -> u32 {
        match self {
            Raised::Calls => CALLS_MAX,
            Raised::Rate { window } => (f64::from(CALLS_MAX) / window.as_secs_f64().max(1.0)) as u32,
        }
    }
}

impl Search {
    /// The plan of a trial.
    fn at(&self, load: u32) -> Plan {
        let plan = self.plan.clone();
        match self.raised {
            Raised::Calls => Plan {
                calls: load,
                hold: plan.hold + Duration::from_secs_f64(f64::from(load) / plan.rate),
                ramp: Duration::ZERO,
                ..plan
            },
            Raised::Rate { window } => Plan {
                calls: ((f64::from(load) * window.as_secs_f64()) as u32).clamp(1, CALLS_MAX),
                rate: f64::from(load),
                ramp: Duration::ZERO,
                ..plan
            },
        }
    }
}

/// Searches; how it goes is told to `err`. `trial` runs one plan.
pub fn find(
    search: &Search,
    err: &mut dyn Write,
    mut trial: impl FnMut(&Plan, &mut dyn Write) -> anyhow::Result<Ran>,
) -> anyhow::Result<Value> {
    let most = search.most.min(search.raised.most());
    let mut walk = Walk::new(search.start, most, search.precision);
    let mut trials = Vec::new();
    let mut last_bad = None;
    loop {
        let load = match walk.step() {
            Step::Try(load) => load,
            Step::Done(found) => return Ok(told(search, found, last_bad.as_ref(), trials)),
        };
        // A terminal that is gone does not end the search.
        let _ = writeln!(err, "trial {}: {load} {}", trials.len() + 1, search.raised.name());
        let plan = search.at(load);
        let ran = trial(&plan, err)?;
        let verdict = ran.verdict(&plan.bounds);
        trials.push(line(load, &plan, &ran));
        let _ = writeln!(
            err,
            "trial {}: {load} {} {}: {}",
            trials.len(),
            search.raised.name(),
            ran.verdict_name(&plan.bounds),
            ran.faults(&plan.bounds).join(", "),
        );
        if verdict == Verdict::Bad {
            last_bad = Some(ran);
        }
        walk.saw(verdict);
    }
}

/// One trial, for the report.
fn line(load: u32, plan: &Plan, ran: &Ran) -> Value {
    let (outcome, measures) = (&ran.outcome, &ran.outcome.measures);
    json!({
        "load": load,
        "verdict": ran.verdict_name(&plan.bounds),
        "faults": ran.faults(&plan.bounds),
        "placed": outcome.placed,
        "good": outcome.good,
        "refused": outcome.refused_total(),
        "refused_by_rule": ran.seen.refused,
        "loss": outcome.loss(),
        "gap_max_ms": outcome.frames.gap_max.as_secs_f64() * 1_000.0,
        "setup_p99_ms": measures.setup.quantile_ms(0.99),
        "latency_p50_ms": measures.latency.quantile_ms(0.5),
        "latency_p99_ms": measures.latency.quantile_ms(0.99),
        "took_s": outcome.took.as_secs_f64(),
        "own": ran.own.to_json(),
        "target": ran.watched.target.as_ref().map(super::watch::Target::to_json),
    })
}

fn told(search: &Search, found: Found, last_bad: Option<&Ran>, trials: Vec<Value>) -> Value {
    let cores = available_parallelism().map_or(1, usize::from);
    let (limit, at_least, why) = match found {
        Found::Between { good, .. } => (Some(good), good, named(last_bad, cores)),
        Found::Below(_) => (Some(0), 0, named(last_bad, cores)),
        Found::AtLeast { good, is_own: true } => (
            None,
            good,
            "this program: its own limits ended the walk".to_owned(),
        ),
        Found::AtLeast { good, is_own: false } => {
            (None, good, "none up to the highest load asked for".to_owned())
        }
    };
    json!({
        "searched": search.raised.name(),
        "limit": limit,
        "at_least": at_least,
        "not_kept": match found {
            Found::Between { bad, .. } | Found::Below(bad) => Some(bad),
            Found::AtLeast { .. } => None,
        },
        "bottleneck": why,
        "beyond": last_bad.map(|ran| ran.faults(&search.plan.bounds)),
        "cores": cores,
        "plan": {
            "target": search.plan.target.to_string(),
            "codec": search.plan.codec.name(),
            "hold_s": search.plan.hold.as_secs_f64(),
            "precision": search.precision,
            "bounds": bounds(&search.plan.bounds),
        },
        "trials": trials,
    })
}

fn named(ran: Option<&Ran>, cores: usize) -> String {
    ran.map_or_else(String::new, |ran| {
        bottleneck::name(&ran.seen.refused, ran.watched.target.as_ref(), cores)
    })
}

#[cfg(test)]
mod tests {
    use super::super::call::{Fate, Frames};
    use super::super::own::Own;
    use super::super::plan::testing::plan;
    use super::*;

    /// A target that keeps `kept` calls, this program `own`.
    fn searched(raised: Raised, kept: u32, own: u32) -> Value {
        let search = Search {
            plan: plan(),
            raised,
            start: 10,
            most: 1_000,
            precision: 0.05,
        };
        let trial = |plan: &Plan, _: &mut dyn Write| {
            let mut ran = Ran::default();
            let load = match raised {
                Raised::Calls => plan.calls,
                Raised::Rate { .. } => plan.rate as u32,
            };
            for number in 0..load {
                let fate = if number < kept {
                    Fate::Good
                } else {
                    Fate::Refused(503)
                };
                ran.outcome.add(fate, &Frames::default());
            }
            if load > kept {
                ran.seen.refused.insert("instance.calls".to_owned(), 1);
            }
            if load > own {
                ran.own = Own {
                    drops: 1,
                    ..Own::default()
                };
            }
            Ok(ran)
        };
        find(&search, &mut Vec::new(), trial).unwrap()
    }

    #[test]
    fn the_limit_and_what_made_it_are_told() {
        let report = searched(Raised::Calls, 100, 1_000);
        let limit = report["limit"].as_u64().unwrap();
        assert!((95..=100).contains(&limit), "{report:#}");
        assert_eq!(report["bottleneck"], "limit rule instance.calls");
        assert_eq!(report["beyond"], json!(["refused"]));
    }

    #[test]
    fn a_figure_that_this_program_made_is_not_given_as_the_limit() {
        let report = searched(Raised::Calls, 1_000, 60);
        assert_eq!(report["limit"], Value::Null);
        assert!(report["at_least"].as_u64().unwrap() <= 60, "{report:#}");
        assert!(report["bottleneck"].as_str().unwrap().starts_with("this program"));
    }

    #[test]
    fn calls_at_once_are_all_up_together_and_a_rate_lasts_for_its_window() {
        let search = |raised| Search {
            plan: plan(),
            raised,
            start: 10,
            most: 1_000,
            precision: 0.05,
        };
        let window = Duration::from_secs(20);
        let calls = search(Raised::Calls).at(200);
        // The last one comes after 20 s and is up for the plan's 5.
        assert_eq!((calls.calls, calls.hold), (200, Duration::from_secs(25)));
        let rate = search(Raised::Rate { window }).at(50);
        assert_eq!((rate.calls, rate.rate, rate.hold), (1_000, 50.0, plan().hold));
    }
}
