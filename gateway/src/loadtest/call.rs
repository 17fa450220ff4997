//! One call of a load test: both its sides, and what became of it.

use std::time::{Duration, Instant};

use sip::endpoint::SessionKey;

use super::line::Over;
use super::listener::{Listener, Said};
use super::plan::Bounds;
use super::voice::Voice;

/// A call under way.
#[derive(Debug)]
pub struct Call {
    /// The callers' line knows it by.
    pub session: SessionKey,
    /// The caller's audio.
    pub caller: Voice,
    /// The answerer's, once it was called.
    pub answerer: Option<Voice>,
    /// When its INVITE went out.
    pub placed: Instant,
    /// Whether it rang.
    pub has_rung: bool,
    /// How far it is.
    pub stage: Stage,
}

/// How far a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Not answered.
    Calling,
    /// Both sides speak.
    Talking,
    /// Both sides are quiet, and what is under way may arrive.
    Quiet,
    /// BYE or CANCEL is out.
    Ending {
        /// It was never answered.
        is_late: bool,
    },
}

/// What became of a call, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// Somebody else was heard.
    Crossed,
    /// One side was never heard.
    Silent,
    /// No answer, or an end before its time.
    Failed,
    /// The target refused it with this status.
    Refused(u16),
    /// It lost frames, or had a gap, beyond the bounds.
    Broken,
    /// Nothing to say.
    Good,
}

/// Frames of both directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Frames {
    /// Sent.
    pub sent: u64,
    /// Heard at the right place.
    pub good: u64,
    /// Lost after the first one heard.
    pub lost: u64,
    /// Heard from somebody else.
    pub foreign: u64,
    /// Silence or noise.
    pub unclear: u64,
    /// Longest gap.
    pub gap_max: Duration,
}

impl Call {
    /// What became of it, now that it is over.
    pub fn fate(&self, over: Over, bounds: &Bounds) -> (Fate, Frames) {
        let nobody = (Said::new(self.caller.said.mark), Listener::default());
        let (answered, listened) = match &self.answerer {
            Some(answerer) => (&answerer.said, &answerer.listener),
            None => (&nobody.0, &nobody.1),
        };
        let ways = [(&self.caller.said, listened), (answered, &self.caller.listener)];
        let frames = total(ways);
        let fate = match (self.stage, over) {
            (Stage::Calling, Over::Refused(status)) => Fate::Refused(status),
            (Stage::Ending { is_late: false }, Over::HungUp) => judge(ways, &frames, bounds),
            (Stage::Calling | Stage::Talking | Stage::Quiet | Stage::Ending { .. }, _) => Fate::Failed,
        };
        (fate, frames)
    }
}

/// Judges the audio of a call that went its way: each direction is what was said and who listened.
fn judge(ways: [(&Said, &Listener); 2], frames: &Frames, bounds: &Bounds) -> Fate {
    if ways.iter().any(|(_, listener)| listener.is_crossed()) {
        return Fate::Crossed;
    }
    if ways.iter().any(|(_, listener)| listener.good == 0) {
        return Fate::Silent;
    }
    let lost = frames.lost as f64 > bounds.loss * (frames.good + frames.lost) as f64;
    if lost || frames.gap_max > bounds.gap {
        Fate::Broken
    } else {
        Fate::Good
    }
}

fn total(ways: [(&Said, &Listener); 2]) -> Frames {
    let mut frames = Frames::default();
    for (said, listener) in ways {
        frames.add(&Frames {
            sent: said.frames,
            good: listener.good,
            lost: listener.lost(said),
            foreign: listener.foreign,
            unclear: listener.unclear,
            gap_max: listener.gap_max,
        });
    }
    frames
}

impl Frames {
    /// Adds those of another call.
    pub fn add(&mut self, other: &Frames) {
        self.sent += other.sent;
        self.good += other.good;
        self.lost += other.lost;
        self.foreign += other.foreign;
        self.unclear += other.unclear;
        self.gap_max = self.gap_max.max(other.gap_max);
    }
}

#[cfg(test)]
mod tests {
    use media::Codec;

    use super::super::mark::{Book, Mark};
    use super::super::measures::Measures;
    use super::super::plan::testing::plan;
    use super::*;

    /// A second of `speaker`, of which the frames `lets` through are heard in place of the caller of call 1.
    fn way(speaker: Mark, lets: impl Fn(u64) -> bool) -> (Said, Listener) {
        let (book, start) = (Book::new(Codec::Pcmu), Instant::now());
        let (mut said, mut listener) = (Said::new(Mark::new(1, false)), Listener::default());
        for number in 0..50 {
            let now = start + Duration::from_millis(20) * number;
            let beat = said.say(now);
            if lets(u64::from(number)) {
                let payload = book.frame(speaker, beat);
                listener.hear(payload, now, &said, &book, &mut Measures::new());
            }
        }
        (said, listener)
    }

    fn fate(one: &(Said, Listener), other: &(Said, Listener)) -> Fate {
        let ways = [(&one.0, &one.1), (&other.0, &other.1)];
        judge(ways, &total(ways), &plan().bounds)
    }

    #[test]
    fn each_fault_of_one_direction_is_the_calls() {
        let own = Mark::new(1, false);
        let good = way(own, |_| true);
        assert_eq!(fate(&good, &good), Fate::Good);
        let cases = [
            (way(own, |number| number != 25), Fate::Broken),
            (way(own, |_| false), Fate::Silent),
            (way(Mark::new(2, false), |_| true), Fate::Crossed),
        ];
        for (bad, expected) in cases {
            assert_eq!(fate(&bad, &good), expected);
            assert_eq!(fate(&good, &bad), expected);
        }
    }
}
