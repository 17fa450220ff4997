//! What a dial would do, told without placing it: the rule that decides, the trunks and the peers in turn.
//!
//! The very code of `leg.dial` up to the point where it would make something. Must not know files or DNS.

use serde::Serialize;

use super::emergency;
use crate::control::protocol::{Failure, LegDial, Name, PolicyDecision};
use crate::engine::calls::dial_plan::{self, Targets};
use crate::engine::calls::dialing;
use crate::engine::engine::Engine;
use crate::engine::io::Now;
use crate::engine::trunks::peers::{peer_text, target_of};
use crate::engine::tx::Tx;

/// A dial, foreseen.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Preview {
    /// What the number policy says on the trunk that was named.
    pub decision: PolicyDecision,
    /// That trunk, then its fallback trunks.
    pub trunks: Vec<PreviewTrunk>,
}

/// What a dial would find on one trunk.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PreviewTrunk {
    /// Its name.
    pub trunk: String,
    /// The error that `leg.dial` would get there.
    pub refused: Option<String>,
    /// The peers in the order of one draw.
    pub order: Vec<String>,
    /// Every peer that may be drawn.
    pub peers: Vec<PreviewPeer>,
}

/// A peer with its place in the draw.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PreviewPeer {
    /// Its address.
    pub peer: String,
    /// The entry of `hosts` it comes from.
    pub host: String,
    /// Priority of that entry.
    pub priority: u16,
    /// Weight of that entry.
    pub weight: u16,
    /// How often it comes first among the entries of its priority.
    pub share: f64,
    /// Priority of its SRV record, where DNS names one.
    pub srv_priority: u16,
    /// Weight of its SRV record.
    pub srv_weight: u16,
}

impl Preview {
    /// Whether any trunk would send an INVITE.
    pub fn is_dialled(&self) -> bool {
        let first = self.trunks.first().and_then(|trunk| trunk.refused.as_deref());
        match first {
            None => !self.trunks.is_empty(),
            // Only a trunk that is down leaves a dial to the others.
            Some("trunk_down") => self.trunks.iter().any(|trunk| trunk.refused.is_none()),
            Some(_) => false,
        }
    }
}

impl Engine {
    /// Foresees a dial.
    pub fn preview(&mut self, dial: &LegDial, now: Now) -> Result<Preview, Failure> {
        self.read(now, |tx| preview(tx, dial))
    }
}

fn preview(tx: &mut Tx, dial: &LegDial) -> Result<Preview, Failure> {
    let named = tx.setup.trunk_by_name(dial.trunk.as_str());
    let named = named.ok_or_else(|| Failure::not_found("trunk", dial.trunk.as_str()))?;
    let from = dial.caller_id.as_ref().and_then(|caller| caller.number.as_ref());
    let from = from.map(|number| number.as_str().to_owned());
    let decision = dial_plan::policy_check(tx, dial.to.as_str(), from.as_deref(), Some(&dial.trunk))?;
    if let Some(routes) = emergency::routes(tx, named, dial.to.as_str()) {
        let trunks = routes.into_iter();
        let trunks = trunks.map(|index| on_trunk(tx, index, &emergency::fitted(tx, index, dial)));
        let trunks = trunks.collect();
        return Ok(Preview { decision, trunks });
    }
    let mut trunks = vec![on_trunk(tx, named, dial)];
    for index in dialing::fallback_of(tx, named) {
        let name = tx.setup.trunk(index).map_or("", |trunk| trunk.name.as_str());
        let dial = LegDial {
            trunk: Name::from(name),
            ..dial.clone()
        };
        trunks.push(on_trunk(tx, index, &dial));
    }
    Ok(Preview { decision, trunks })
}

fn on_trunk(tx: &mut Tx, index: usize, dial: &LegDial) -> PreviewTrunk {
    let (refused, order) = match dial_plan::plan(tx, index, dial) {
        Ok(plan) => match plan.targets {
            Targets::Known(flows) => {
                let order = flows.into_iter().map(|flow| peer_text(target_of(flow)));
                (None, order.collect())
            }
            Targets::NotLocated => (Some("not_located".to_owned()), Vec::new()),
        },
        Err(failure) => (Some(failure.kind.as_str().to_owned()), Vec::new()),
    };
    PreviewTrunk {
        trunk: tx
            .setup
            .trunk(index)
            .map_or_else(String::new, |trunk| trunk.name.clone()),
        refused,
        order,
        peers: peers(tx, index),
    }
}

fn peers(tx: &Tx, index: usize) -> Vec<PreviewPeer> {
    let Some(trunk) = tx.setup.trunk(index) else {
        return Vec::new();
    };
    let placed = tx.peers.placed(tx.setup, trunk, tx.now.mono);
    let mut peers = Vec::new();
    for one in &placed {
        let alike = placed
            .iter()
            .filter(|other| other.host.priority == one.host.priority);
        let sum: u64 = alike.clone().map(|other| u64::from(other.host.weight)).sum();
        let share = if sum == 0 {
            1.0 / alike.count().max(1) as f64
        } else {
            f64::from(one.host.weight) / sum as f64
        };
        for candidate in &one.candidates {
            peers.extend(candidate.targets.iter().map(|target| PreviewPeer {
                peer: peer_text(*target),
                host: one.host.site.host.clone(),
                priority: one.host.priority,
                weight: one.host.weight,
                share,
                srv_priority: candidate.rank.1,
                srv_weight: candidate.weight,
            }));
        }
    }
    peers
}
