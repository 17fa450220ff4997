//! How well each leg is heard, both ways: what is told of it, and when.
//!
//! Measures nothing: the shards do. Knows nothing of packets.

use std::time::{Duration, Instant};

use media::stream::{Figures, Quality};

use crate::control::protocol::{
    Cause, CauseBy, DirectionQuality, Event, LegOneWay, LegQuality, MediaDirection, Nothing, Timestamp,
};
use crate::engine::keys::LegKey;
use crate::engine::leg::Stage;
use crate::engine::streams::SILENCE_TOLD_AFTER;
use crate::engine::tallying;
use crate::engine::tx::Tx;

/// What was told of one leg.
#[derive(Clone, Copy, Debug, Default)]
pub struct Listening {
    /// When quality was told last, or first known.
    told_at: Option<Instant>,
    grade: Grade,
    /// `leg.one_way` of what we send is out.
    far_is_deaf: bool,
}

/// How many are content with a call (ITU-T G.107 annex B).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Grade {
    /// Many are not.
    Poor,
    /// Some are not.
    Fair,
    /// Nearly all are.
    Good,
    /// All are.
    #[default]
    Best,
}

impl Grade {
    const ALL: [Grade; 4] = [Grade::Best, Grade::Good, Grade::Fair, Grade::Poor];

    /// The least score of this grade.
    fn mark(self) -> f32 {
        match self {
            Grade::Best => 4.03,
            Grade::Good => 3.60,
            Grade::Fair => 3.10,
            Grade::Poor => 0.0,
        }
    }

    /// The grade after a score. It gets better only where the score is well above the mark, so that one near a mark
    /// is not told again and again.
    fn after(self, score: f32) -> Grade {
        let needed = |grade: Grade| grade.mark() + if grade > self { BETTER_BY } else { 0.0 };
        let reached = Grade::ALL.into_iter().find(|grade| score >= needed(*grade));
        reached.unwrap_or(Grade::Poor)
    }
}

/// A period of a stream is over.
pub fn judged(tx: &mut Tx, key: LegKey, quality: &Quality) {
    let (now, interval) = (tx.now.mono, tx.setup.config.media.quality_interval);
    let Some(leg) = tx.world.legs.get_mut(&key) else {
        return;
    };
    if leg.stage != Stage::Answered {
        return;
    }
    let place = tallying::place(tx.setup, leg.trunk, leg.way());
    tx.metrics.listened(place, quality);
    let worse = [quality.rx, quality.tx].into_iter().flatten();
    let Some(worse) = worse.min_by(|one, other| one.mos.total_cmp(&other.mos)) else {
        return;
    };
    let listening = &mut leg.media.listening;
    let grade = listening.grade.after(worse.mos);
    let known_at = *listening.told_at.get_or_insert(now);
    let is_due = interval.is_some_and(|interval| now.saturating_duration_since(known_at) >= interval);
    if grade == listening.grade && !is_due {
        return;
    }
    (listening.told_at, listening.grade) = (Some(now), grade);
    let event = LegQuality {
        mos: worse.mos.into(),
        loss: worse.loss.into(),
        jitter_ms: worse.jitter_ms.into(),
        rtt_ms: quality.rtt_ms.map(f64::from),
        rx: quality.rx.as_ref().map(direction),
        tx: quality.tx.as_ref().map(direction),
    };
    tx.because(Cause::By(CauseBy::Timer), |tx| {
        tx.tell_leg(key, Event::LegQuality(event))
    });
}

fn direction(figures: &Figures) -> DirectionQuality {
    DirectionQuality {
        mos: figures.mos.into(),
        loss: figures.loss.into(),
        jitter_ms: figures.jitter_ms.into(),
    }
}

/// Nothing comes from a peer any more. Where we send to it, audio passes one way only.
pub fn silent(tx: &mut Tx, key: LegKey) {
    tx.tell_leg(key, Event::LegMediaLost(Nothing {}));
    let Some(leg) = tx.world.legs.get(&key) else {
        return;
    };
    let place = tallying::place(tx.setup, leg.trunk, leg.way());
    let is_one_way = leg.media.tx && leg.media.may_send() && !leg.media.listening.far_is_deaf;
    tx.metrics.media_lost(place);
    if is_one_way {
        one_way(tx, key, MediaDirection::Rx, SILENCE_TOLD_AFTER);
    }
}

/// Nothing that we send gets to a peer. Where it is heard, audio passes one way only.
pub fn deaf(tx: &mut Tx, key: LegKey) {
    let Some(leg) = tx.world.legs.get_mut(&key) else {
        return;
    };
    if leg.is_ended() || leg.stage != Stage::Answered || leg.media.listening.far_is_deaf {
        return;
    }
    leg.media.listening.far_is_deaf = true;
    if leg.media.rx {
        one_way(tx, key, MediaDirection::Tx, Duration::ZERO);
    }
}

/// What we send gets to a peer again.
pub fn hearing(tx: &mut Tx, key: LegKey) {
    let Some(leg) = tx.world.legs.get_mut(&key) else {
        return;
    };
    let was_deaf = std::mem::take(&mut leg.media.listening.far_is_deaf);
    if was_deaf && !leg.is_ended() {
        restored(tx, key);
    }
}

/// Audio passes again.
pub fn restored(tx: &mut Tx, key: LegKey) {
    tx.tell_leg(key, Event::LegMediaRestored(Nothing {}));
}

fn one_way(tx: &mut Tx, key: LegKey, direction: MediaDirection, ago: Duration) {
    let Some(leg) = tx.world.legs.get(&key) else {
        return;
    };
    let place = tallying::place(tx.setup, leg.trunk, leg.way());
    tx.metrics.one_way(place, direction);
    let ago_us = i64::try_from(ago.as_micros()).unwrap_or(i64::MAX);
    let since = Timestamp(tx.now.wall_us.saturating_sub(ago_us));
    tx.tell_leg(key, Event::LegOneWay(LegOneWay { direction, since }));
}

/// How far above a mark a score must be before the better grade is told.
const BETTER_BY: f32 = 0.1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grade_falls_at_its_mark_and_rises_well_above_it() {
        assert_eq!(Grade::Best.after(4.03), Grade::Best);
        assert_eq!(Grade::Best.after(4.02), Grade::Good);
        assert_eq!(Grade::Good.after(4.05), Grade::Good, "too near to the mark");
        assert_eq!(Grade::Good.after(4.14), Grade::Best);
        assert_eq!(Grade::Best.after(1.0), Grade::Poor);
        assert_eq!(Grade::Poor.after(3.15), Grade::Poor);
        assert_eq!(Grade::Poor.after(3.25), Grade::Fair);
        assert_eq!(Grade::Poor.after(4.4), Grade::Best);
    }
}
