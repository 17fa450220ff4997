//! Trunks that an operator has switched off: no new calls either way, while those that are up stay.
//!
//! Emergency calls are not asked. Knows nothing of peers or limits.

use super::health;
use crate::control::protocol::{Failure, Name, ResultBody, TrunkSwitchResult};
use crate::engine::table::Row;
use crate::engine::tx::Tx;

/// Why a trunk is down that was switched off.
pub const DISABLED: &str = "disabled";

/// That a trunk is switched off, by its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disabled;

impl Row for Disabled {
    fn deadline(&self) -> Option<std::time::Instant> {
        None
    }
}

/// `trunk.enable`, `trunk.disable`. One that is so already is told so, without an event.
pub fn switch(tx: &mut Tx, name: &Name, is_on: bool) -> Result<ResultBody, Failure> {
    let index = tx.setup.trunk_by_name(name.as_str());
    let index = index.ok_or_else(|| Failure::not_found("trunk", name.as_str()))?;
    let already = is_off(tx, index) != is_on;
    if !already {
        match is_on {
            true => drop(tx.world.disabled.remove(index)),
            false => tx.world.disabled.insert(index, Disabled),
        }
        tx.out.save_limits = true;
        health::tell(tx, index);
    }
    Ok(ResultBody::of(&TrunkSwitchResult { already }))
}

/// Whether a trunk is switched off.
pub fn is_off(tx: &Tx, index: usize) -> bool {
    tx.world.disabled.get(&index).is_some()
}

/// A trunk that is switched off is not dialled.
pub fn check(tx: &Tx, index: usize) -> Result<(), Failure> {
    match is_off(tx, index) {
        true => {
            let name = tx.setup.trunk(index).map_or("", |trunk| trunk.name.as_str());
            Err(Failure::trunk_down(name, DISABLED))
        }
        false => Ok(()),
    }
}
