//! Limits against toll fraud: how much a trunk, and each prefix on it, may be dialled.
//!
//! The last step of the number policy before the route. What is up now is read from the legs, what was is in
//! `spending`. A full limit refuses the dial and cuts nobody. Emergency calls never come here.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::spending::{self, Spent};
use crate::config::{FraudLimit, Trunk};
use crate::control::protocol::ErrorKind;
use crate::engine::calls::dial_plan::Full;
use crate::engine::leg::Leg;
use crate::engine::setup::Setup;
use crate::engine::tx::Tx;

/// The step's name in a decision.
pub const STEP: &str = "fraud";

/// How often counts are written down at most: what a crash may forget. Ours.
pub const SAVE_EVERY: Duration = Duration::from_secs(10);

/// Counts of all limits, by trunk in order and by its limits in order.
#[derive(Debug, Default)]
pub struct Books {
    rows: Vec<Vec<Spent>>,
    /// Since when there is something that is not written down.
    changed: Option<Instant>,
}

/// A dial that was counted, to be taken back should its transaction be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    trunk: usize,
    limit: usize,
}

impl Books {
    /// A row for each limit, at nothing.
    pub fn new(setup: &Setup) -> Self {
        let trunks = setup.config.trunks.iter();
        Books {
            rows: trunks
                .map(|trunk| vec![Spent::default(); trunk.fraud.limits.len()])
                .collect(),
            changed: None,
        }
    }

    /// Takes a dial back.
    pub fn undo(&mut self, counted: Counted) {
        if let Some(row) = self.row_mut(counted.trunk, counted.limit) {
            row.undo();
        }
    }

    /// All counts by trunk and rule, to be written down.
    pub fn saved(&self, setup: &Setup) -> BTreeMap<String, BTreeMap<String, Spent>> {
        let trunks = setup.config.trunks.iter().zip(&self.rows);
        let with_rows = trunks.filter(|(_, rows)| !rows.is_empty());
        with_rows
            .map(|(trunk, rows)| {
                let rows = trunk.fraud.limits.iter().zip(rows);
                let rows = rows.map(|(limit, row)| (limit.prefix.clone(), row.clone()));
                (trunk.name.clone(), rows.collect())
            })
            .collect()
    }

    /// Takes up the counts of an earlier run; limits that are gone are passed over.
    pub fn restore(&mut self, setup: &Setup, mut saved: BTreeMap<String, BTreeMap<String, Spent>>) {
        for (trunk, rows) in setup.config.trunks.iter().zip(&mut self.rows) {
            let mut before = saved.remove(&trunk.name).unwrap_or_default();
            for (limit, row) in trunk.fraud.limits.iter().zip(rows) {
                *row = before.remove(&limit.prefix).unwrap_or_default();
            }
        }
    }

    fn row(&self, trunk: usize, limit: usize) -> Option<&Spent> {
        self.rows.get(trunk)?.get(limit)
    }

    /// When what was counted is to be written down.
    pub fn next_deadline(&self) -> Option<Instant> {
        Some(self.changed? + SAVE_EVERY)
    }

    /// Whether that is now; it then counts as done.
    pub fn take_due(&mut self, now: Instant) -> bool {
        let is_due = self.next_deadline().is_some_and(|at| at <= now);
        if is_due {
            self.changed = None;
        }
        is_due
    }

    fn change(&mut self, trunk: usize, limit: usize, now: Instant) -> Option<&mut Spent> {
        self.changed.get_or_insert(now);
        self.row_mut(trunk, limit)
    }

    fn row_mut(&mut self, trunk: usize, limit: usize) -> Option<&mut Spent> {
        self.rows.get_mut(trunk)?.get_mut(limit)
    }
}

/// The first limit that has no room for a dial of this number; none of a name.
pub fn full(tx: &Tx, index: usize, number: Option<&str>) -> Option<Full> {
    let trunk = tx.setup.trunk(index)?;
    let mut limits = trunk.fraud.limits.iter().enumerate();
    limits.find_map(|(row, limit)| {
        let covers = limit.covers(number);
        covers.then(|| over(tx, (index, row), trunk, limit)).flatten()
    })
}

fn over(tx: &Tx, (index, row): (usize, usize), trunk: &Trunk, limit: &FraudLimit) -> Option<Full> {
    let spent = tx.books.row(index, row)?;
    let wall_us = tx.now.wall_us;
    let full = |kind, word: &str, allowed: u32, value: u64| Full {
        step: STEP,
        kind,
        rule: format!("trunk:{}.{}{word}", trunk.name, limit.rule_prefix()),
        limit: allowed.into(),
        value,
    };
    if let Some(allowed) = limit.calls {
        let up = live(tx, index, limit).count() as u64;
        if up >= u64::from(allowed) {
            return Some(full(ErrorKind::LimitCalls, "calls", allowed, up));
        }
    }
    if let Some(allowed) = limit.calls_per_hour {
        let calls = spent.calls(wall_us);
        if calls >= u64::from(allowed) {
            return Some(full(ErrorKind::LimitCps, "calls_per_hour", allowed, calls));
        }
    }
    let allowed = limit.minutes_per_day?;
    let talking = live(tx, index, limit).filter_map(|leg| leg.times.answered);
    let talking = talking.map(|at| {
        let talked = tx.now.mono.saturating_duration_since(at.mono);
        spending::of_today(talked.as_secs(), wall_us)
    });
    let minutes = (spent.seconds(wall_us) + talking.sum::<u64>()) / 60;
    (minutes >= u64::from(allowed)).then(|| full(ErrorKind::LimitCalls, "minutes_per_day", allowed, minutes))
}

/// Dialled legs of this trunk that are up and count towards a limit.
fn live<'t>(tx: &'t Tx<'_>, index: usize, limit: &'t FraudLimit) -> impl Iterator<Item = &'t Leg> {
    let legs = tx.world.legs.iter().map(|(_, leg)| leg);
    legs.filter(move |leg| {
        leg.trunk == index
            && leg.outbound().is_some()
            && !leg.is_ended()
            && limit.covers(leg.to.number.as_deref())
    })
}

/// Counts a dial that was let through.
pub fn dialled(tx: &mut Tx, index: usize, number: Option<&str>) {
    let Some(trunk) = tx.setup.trunk(index) else {
        return;
    };
    for (row, limit) in trunk.fraud.limits.iter().enumerate() {
        if limit.covers(number)
            && let Some(spent) = tx.books.change(index, row, tx.now.mono)
        {
            spent.dialled(tx.now.wall_us);
            tx.out.counted.push(Counted {
                trunk: index,
                limit: row,
            });
        }
    }
}

/// Counts what a dialled leg talked.
pub fn talked(tx: &mut Tx, index: usize, number: Option<&str>, talked: Duration) {
    let Some(trunk) = tx.setup.trunk(index) else {
        return;
    };
    for (row, limit) in trunk.fraud.limits.iter().enumerate() {
        if limit.covers(number)
            && let Some(spent) = tx.books.change(index, row, tx.now.mono)
        {
            spent.talked(talked.as_secs(), tx.now.wall_us);
        }
    }
}
