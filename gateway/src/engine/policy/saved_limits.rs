//! Limits that were set while the gateway ran, as text that survives a restart.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::fraud::Books;
use super::gates::{Gates, Scope};
use super::spending::Spent;
use crate::engine::setup::Setup;
use crate::engine::trunks::switched::Disabled;
use crate::engine::world::World;

/// One scope's limits.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq)]
struct Saved {
    calls: u32,
    calls_per_second: u32,
}

/// All limits as they were at the last `limits.set`, and what those against fraud have counted.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
struct SavedLimits {
    /// None: never set while it ran, so the configuration's hold.
    #[serde(default)]
    instance: Option<Saved>,
    #[serde(default)]
    trunks: BTreeMap<String, Saved>,
    /// Trunks that are switched off.
    #[serde(default)]
    disabled: Vec<String>,
    #[serde(default)]
    spent: BTreeMap<String, BTreeMap<String, Spent>>,
}

/// The limits in force, as one JSON object.
pub fn of(setup: &Setup, gates: &Gates, books: &Books, world: &World) -> Arc<str> {
    let saved = |scope| Saved {
        calls: gates.calls_max(scope),
        calls_per_second: gates.calls_per_second(scope),
    };
    let trunks = setup.config.trunks.iter().enumerate();
    let trunks = trunks
        .filter(|_| gates.is_set())
        .map(|(index, trunk)| (trunk.name.clone(), saved(Scope::Trunk(index))))
        .collect();
    let disabled = world
        .disabled
        .iter()
        .filter_map(|(index, _)| Some(setup.trunk(index)?.name.clone()));
    let limits = SavedLimits {
        disabled: disabled.collect(),
        instance: gates.is_set().then(|| saved(Scope::Instance)),
        trunks,
        spent: books.saved(setup),
    };
    serde_json::to_string(&limits).unwrap_or_default().into()
}

/// Puts the limits of an earlier run in force; trunks that are gone are passed over.
pub fn apply(setup: &Setup, gates: &mut Gates, books: &mut Books, world: &mut World, now: Instant) {
    let Some(text) = &setup.saved_limits else { return };
    let Ok(limits) = serde_json::from_str::<SavedLimits>(text) else {
        return;
    };
    books.restore(setup, limits.spent);
    for index in limits
        .disabled
        .iter()
        .filter_map(|name| setup.trunk_by_name(name))
    {
        if world.disabled.get(&index).is_none() {
            world.disabled.insert(index, Disabled);
        }
    }
    world.commit();
    let mut set =
        |scope, saved: Saved| gates.set(scope, Some(saved.calls), Some(saved.calls_per_second), now);
    if let Some(instance) = limits.instance {
        set(Scope::Instance, instance);
    }
    for (name, saved) in limits.trunks {
        if let Some(index) = setup.trunk_by_name(&name) {
            set(Scope::Trunk(index), saved);
        }
    }
    gates.commit();
}
