//! A walk to the highest load that is still good: doubled until it is not, then between the two. Pure.

/// Trials after which a walk ends as it stands.
pub const TRIALS_MAX: u32 = 40;

/// What a trial showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All bounds were kept.
    Good,
    /// Some were not.
    Bad,
    /// This program was the limit.
    Unknown,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Try this load.
    Try(u32),
    /// It is over.
    Done(Found),
}

/// What a walk found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The first was kept, the second not, twice.
    Between {
        /// Highest load kept.
        good: u32,
        /// Lowest load not kept.
        bad: u32,
    },
    /// Not even the least load was kept.
    Below(u32),
    /// This was kept, and nothing higher could be told.
    AtLeast {
        /// Highest load kept; 0 for none.
        good: u32,
        /// Why no more: the program's own limits, else the highest load asked for.
        is_own: bool,
    },
}

/// Where a walk is.
#[derive(Clone, Copy, Debug)]
pub struct Walk {
    most: u32,
    precision: f64,
    good: Option<u32>,
    bad: Option<u32>,
    unknown: Option<u32>,
    /// Not kept once: tried again, for a machine has moments.
    doubtful: Option<u32>,
    next: u32,
    trials: u32,
}

impl Walk {
    /// From `start` to `most`, until the two loads found are no further apart than `precision` of the lower one.
    pub fn new(start: u32, most: u32, precision: f64) -> Walk {
        Walk {
            most: most.max(1),
            precision,
            good: None,
            bad: None,
            unknown: None,
            doubtful: None,
            next: start.clamp(1, most.max(1)),
            trials: 0,
        }
    }

    /// What to do now.
    pub fn step(&self) -> Step {
        if let Some(found) = self.found() {
            return Step::Done(found);
        }
        Step::Try(self.next)
    }

    /// What the load of the last step showed.
    pub fn saw(&mut self, verdict: Verdict) {
        let load = self.next;
        self.trials += 1;
        match verdict {
            Verdict::Good => {
                self.good = self.good.max(Some(load));
                self.doubtful = None;
            }
            Verdict::Bad if self.doubtful == Some(load) => {
                self.bad = Some(load);
                self.doubtful = None;
            }
            Verdict::Bad => {
                self.doubtful = Some(load);
                return;
            }
            Verdict::Unknown => {
                self.unknown = Some(load);
                self.doubtful = None;
            }
        }
        self.next = match (self.good, self.ceiling()) {
            (Some(good), Some(ceiling)) => good + (ceiling - good) / 2,
            (Some(good), None) => good.saturating_mul(2).min(self.most),
            // Nothing was kept yet: down, quickly.
            (None, _) => (load / 4).max(1),
        };
    }

    /// Lowest load known not to be of use.
    fn ceiling(&self) -> Option<u32> {
        [self.bad, self.unknown].into_iter().flatten().min()
    }

    fn found(&self) -> Option<Found> {
        let good = self.good.unwrap_or(0);
        let is_close =
            |ceiling: u32| f64::from(ceiling - good) <= (f64::from(good) * self.precision).max(1.0);
        let is_over = self.trials >= TRIALS_MAX;
        match self.ceiling() {
            Some(ceiling) if is_over || (is_close(ceiling) && (self.good.is_some() || ceiling == 1)) => {
                let is_own = self.unknown == Some(ceiling) && self.bad != Some(ceiling);
                Some(match (self.good, is_own) {
                    (_, true) => Found::AtLeast { good, is_own },
                    (None, false) => Found::Below(ceiling),
                    (Some(good), false) => Found::Between { good, bad: ceiling },
                })
            }
            None if is_over || good == self.most => Some(Found::AtLeast { good, is_own: false }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Walks against a target that keeps `kept`, with a program of its own that goes up to `own`.
    fn walk(mut walk: Walk, kept: u32, own: u32) -> (Found, u32) {
        let mut trials = 0;
        loop {
            match walk.step() {
                Step::Done(found) => return (found, trials),
                Step::Try(load) => walk.saw(match load {
                    _ if load > own => Verdict::Unknown,
                    _ if load > kept => Verdict::Bad,
                    _ => Verdict::Good,
                }),
            }
            trials += 1;
        }
    }

    proptest! {
        #[test]
        fn the_limit_lies_between_what_was_found(kept in 1..20_000u32, own in 1..20_000u32, start in 1..5_000u32) {
            let (found, trials) = walk(Walk::new(start, 10_000, 0.05), kept, own);
            prop_assert!(trials <= TRIALS_MAX);
            match found {
                Found::Between { good, bad } => {
                    prop_assert!(good <= kept && kept < bad && bad <= own);
                    prop_assert!(f64::from(bad - good) <= (f64::from(good) * 0.05).max(1.0));
                }
                Found::Below(load) => prop_assert!(load > kept),
                Found::AtLeast { good, is_own: true } => prop_assert!(good <= kept && own <= kept.max(good + 1)
                    || f64::from(own.min(kept) - good) <= (f64::from(good) * 0.05).max(1.0)),
                Found::AtLeast { good, is_own: false } => prop_assert!(good == 10_000 && kept >= 10_000),
            }
        }
    }

    #[test]
    fn one_bad_trial_of_a_load_that_is_kept_after_all_changes_nothing() {
        let mut walk = Walk::new(100, 100, 0.05);
        walk.saw(Verdict::Bad);
        assert_eq!(walk.step(), Step::Try(100));
        walk.saw(Verdict::Good);
        let all = Found::AtLeast {
            good: 100,
            is_own: false,
        };
        assert_eq!(walk.step(), Step::Done(all));
    }

    #[test]
    fn a_target_that_keeps_nothing_is_told_as_such_and_so_is_a_program_that_can_do_nothing() {
        let found = |kept, own| walk(Walk::new(50, 1_000, 0.05), kept, own).0;
        assert_eq!(found(0, 1_000), Found::Below(1));
        let nothing = Found::AtLeast {
            good: 0,
            is_own: true,
        };
        assert_eq!(found(1_000, 0), nothing);
    }

    #[test]
    fn a_walk_that_never_settles_ends() {
        let mut walk = Walk::new(1, u32::MAX, 0.0);
        for number in 0..TRIALS_MAX {
            assert!(matches!(walk.step(), Step::Try(_)), "{number}");
            walk.saw(if number % 2 == 0 {
                Verdict::Bad
            } else {
                Verdict::Good
            });
        }
        assert!(matches!(walk.step(), Step::Done(_)));
    }
}
