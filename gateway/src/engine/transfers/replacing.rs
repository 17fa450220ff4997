//! An INVITE with Replaces: who may take whose place, and the change of places once it is answered (RFC 3891 §3).
//!
//! Only a dialog of the same trunk can be replaced, and nothing changes before a router answers. Must not know tags.

use std::time::Duration;

use sip::endpoint::Replaced;

use crate::control::protocol::{EndReason, EndedBy};
use crate::engine::audio::bridging;
use crate::engine::calls::ending::{End, end_leg};
use crate::engine::keys::LegKey;
use crate::engine::leg::Leg;
use crate::engine::tx::Tx;

/// How long such a call waits for a router. Ours: as long as a REFER does.
pub const WORD_WAIT: Duration = super::referred::WORD_WAIT;
/// What it is told then.
pub const UNTAKEN: u16 = 480;
/// No such dialog. What another trunk's dialog is told too: its existence is nobody's business.
const UNKNOWN: u16 = 481;
/// RFC 3891 §3: it has ended already.
const DECLINED: u16 = 603;

/// The leg that is to be replaced, or the status that refuses the INVITE.
pub fn judge(tx: &Tx, trunk: usize, replaced: Option<Replaced>) -> Result<Option<LegKey>, u16> {
    let Some(replaced) = replaced else {
        return Ok(None);
    };
    let key = tx.world.sessions.get(&replaced.session).copied().ok_or(UNKNOWN)?;
    let leg = tx
        .world
        .legs
        .get(&key)
        .filter(|leg| leg.trunk == trunk)
        .ok_or(UNKNOWN)?;
    match replaced.refusal {
        Some(status) => Err(status),
        None if leg.is_ended() => Err(DECLINED),
        None => Ok(Some(key)),
    }
}

/// A leg was answered: it takes the place it asked for, and the other is told by BYE or CANCEL.
pub fn answered(tx: &mut Tx, key: LegKey) {
    let Some(old) = tx.world.legs.get(&key).and_then(|leg| leg.inbound()?.replaces) else {
        return;
    };
    let Some(row) = tx.world.legs.get(&old).filter(|leg| !leg.is_ended()) else {
        return;
    };
    let has_place = row.bridge.is_some();
    let is_placed = tx
        .world
        .legs
        .get(&key)
        .is_some_and(|leg: &Leg| leg.bridge.is_some());
    if has_place && !is_placed {
        // Both live, and only the old one is in the bridge: nothing can refuse it.
        let _ = bridging::replace(tx, old, key);
    }
    end_leg(tx, old, End::ours(EndedBy::Peer, EndReason::Completed));
}
