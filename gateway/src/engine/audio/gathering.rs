//! Legs of one bridge live on one media shard, since a shard mixes and relays only its own streams.
//!
//! Calls are spread over the shards when they begin, and legs of different calls may be bridged; then the
//! newcomers move. Decides who moves where; how a stream moves is the shards' own matter.

use std::collections::BTreeMap;

use media::Change;

use crate::engine::keys::{BridgeKey, LegKey};
use crate::engine::leg::Leg;
use crate::engine::tx::Tx;

/// Brings all open streams of a bridge to the shard where most of them are. A stream whose ports are not
/// open yet follows as soon as they are.
pub fn gather(tx: &mut Tx, bridge: BridgeKey) {
    let Some(home) = home_of(tx, bridge) else { return };
    let strangers: Vec<LegKey> = members(tx, bridge)
        .filter(|leg| leg.media.shard != home)
        .map(|leg| leg.key)
        .collect();
    for leg in strangers {
        hand_over(tx, leg, home);
    }
}

fn members<'a>(tx: &'a Tx, bridge: BridgeKey) -> impl Iterator<Item = &'a Leg> {
    let legs = tx.world.bridges.get(&bridge).map(|bridge| &bridge.legs);
    let rows = legs
        .into_iter()
        .flatten()
        .filter_map(|leg| tx.world.legs.get(leg));
    rows.filter(|leg| leg.media.local.is_some() && !leg.is_ended())
}

/// The shard with most members; of equals, that of the member who joined first.
fn home_of(tx: &Tx, bridge: BridgeKey) -> Option<usize> {
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    for leg in members(tx, bridge) {
        *counts.entry(leg.media.shard).or_default() += 1;
    }
    let most = counts.values().copied().max()?;
    let mut shards = members(tx, bridge).map(|leg| leg.media.shard);
    shards.find(|shard| counts.get(shard) == Some(&most))
}

/// Sends a stream to another shard. What plays to it, its tracks and its digits go along; its row does
/// not, so that it is told anew.
fn hand_over(tx: &mut Tx, key: LegKey, to: usize) {
    let Some(leg) = tx.world.legs.get_mut(&key) else {
        return;
    };
    let from = std::mem::replace(&mut leg.media.shard, to);
    leg.media.applied.hears.clear();
    let stream = key.stream();
    tx.media(from, Change::HandOver { stream, to });
    tx.media(to, Change::Adopt { stream });
}
