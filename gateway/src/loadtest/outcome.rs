//! What came of all calls of a run, and whether it is good enough. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use super::call::{Fate, Frames};
use super::measures::Measures;
use super::plan::Bounds;

/// Seconds of the course of a run that are kept: two hours.
const SAMPLES_MAX: usize = 7_200;
/// Statuses that are told apart.
const STATUSES_MAX: usize = 700;

/// Counts and distributions.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// INVITEs sent.
    pub placed: u64,
    /// Answered.
    pub answered: u64,
    /// Without any fault.
    pub good: u64,
    /// With loss or a gap beyond the bounds.
    pub broken: u64,
    /// One side was never heard.
    pub silent: u64,
    /// Somebody else was heard.
    pub crossed: u64,
    /// Unanswered, or ended before their time.
    pub failed: u64,
    /// Refused, by status.
    pub refused: BTreeMap<u16, u64>,
    /// Calls to the answerers that none of ours had made.
    pub strangers: u64,
    /// Calls to the answerers that the target left up after their callers had hung up.
    pub left_up: u64,
    /// Of all calls.
    pub frames: Frames,
    /// Distributions.
    pub measures: Measures,
    /// How long it all took.
    pub took: Duration,
    /// Course: second, calls under way, calls answered so far, calls not good so far.
    pub course: Vec<(u64, usize, u64, u64)>,
}

/// What a run did not keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Somebody heard a stranger.
    Crossed,
    /// Somebody was not heard.
    Silent,
    /// Calls failed.
    Failed,
    /// Calls were refused.
    Refused,
    /// The answerer's side of a call did not end with the caller's.
    LeftUp,
    /// More loss than allowed.
    Loss,
    /// A longer gap than allowed.
    Gap,
    /// Set-up took longer than allowed.
    Setup,
}

impl Fault {
    /// For reports.
    pub fn name(self) -> &'static str {
        match self {
            Fault::Crossed => "crossed",
            Fault::Silent => "silent",
            Fault::Failed => "failed",
            Fault::Refused => "refused",
            Fault::LeftUp => "left_up",
            Fault::Loss => "loss",
            Fault::Gap => "gap",
            Fault::Setup => "setup",
        }
    }
}

impl Outcome {
    /// A call is over.
    pub fn add(&mut self, fate: Fate, frames: &Frames) {
        match fate {
            Fate::Good => self.good += 1,
            Fate::Broken => self.broken += 1,
            Fate::Silent => self.silent += 1,
            Fate::Crossed => self.crossed += 1,
            Fate::Failed => self.failed += 1,
            Fate::Refused(status) => {
                if self.refused.len() < STATUSES_MAX || self.refused.contains_key(&status) {
                    *self.refused.entry(status).or_default() += 1;
                }
            }
        }
        self.frames.add(frames);
    }

    /// How it stands after that second.
    pub fn sample(&mut self, second: u64, under_way: usize) {
        if self.course.len() < SAMPLES_MAX {
            self.course
                .push((second, under_way, self.answered, self.not_good()));
        }
    }

    /// All that were refused.
    pub fn refused_total(&self) -> u64 {
        self.refused.values().sum()
    }

    /// All that ended otherwise than well.
    pub fn not_good(&self) -> u64 {
        self.broken + self.silent + self.crossed + self.failed + self.refused_total()
    }

    /// Share of frames lost.
    pub fn loss(&self) -> f64 {
        let owed = self.frames.good + self.frames.lost;
        self.frames.lost as f64 / owed.max(1) as f64
    }

    /// What was not kept.
    pub fn faults(&self, bounds: &Bounds) -> Vec<Fault> {
        let setup_ms_max = bounds.setup_p99.as_secs_f64() * 1_000.0;
        [
            (Fault::Crossed, self.crossed > 0),
            (Fault::Silent, self.silent > 0),
            (Fault::Failed, self.failed > 0),
            (Fault::Refused, self.refused_total() > 0),
            (Fault::LeftUp, self.left_up > 0),
            (Fault::Loss, self.loss() > bounds.loss),
            (Fault::Gap, self.frames.gap_max > bounds.gap),
            (Fault::Setup, self.measures.setup.quantile_ms(0.99) > setup_ms_max),
        ]
        .into_iter()
        .filter_map(|(fault, is_there)| is_there.then_some(fault))
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::testing::plan;
    use super::*;

    #[test]
    fn a_run_without_faults_has_none_and_each_fault_is_named() {
        let bounds = plan().bounds;
        let frames = Frames {
            sent: 500,
            good: 500,
            ..Frames::default()
        };
        let mut outcome = Outcome::default();
        outcome.add(Fate::Good, &frames);
        assert_eq!(outcome.faults(&bounds), []);
        for (fate, fault) in [
            (Fate::Crossed, Fault::Crossed),
            (Fate::Silent, Fault::Silent),
            (Fate::Failed, Fault::Failed),
            (Fate::Refused(503), Fault::Refused),
        ] {
            let mut outcome = outcome.clone();
            outcome.add(fate, &frames);
            assert_eq!(outcome.faults(&bounds), [fault]);
            assert_eq!(outcome.not_good(), 1);
        }
        let left_up = Outcome {
            left_up: 1,
            ..Outcome::default()
        };
        assert_eq!(left_up.faults(&bounds), [Fault::LeftUp]);
        outcome.measures.setup.record(Duration::from_millis(250));
        let lossy = Frames {
            lost: 2,
            gap_max: Duration::from_millis(120),
            ..frames
        };
        outcome.add(Fate::Broken, &lossy);
        let faults = outcome.faults(&bounds);
        assert_eq!(faults, [Fault::Loss, Fault::Gap, Fault::Setup]);
    }

    #[test]
    fn the_course_ends_after_two_hours() {
        let mut outcome = Outcome::default();
        for second in 0..SAMPLES_MAX as u64 + 5 {
            outcome.sample(second, 1);
        }
        assert_eq!(outcome.course.len(), SAMPLES_MAX);
    }
}
