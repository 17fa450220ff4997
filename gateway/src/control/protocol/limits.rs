//! Limits and how full they are, as `limits.get` shows them. Counts nothing itself.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::id::Name;

/// A limit on what is up at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Concurrent {
    /// At most.
    pub limit: u32,
    /// Now.
    pub active: u32,
    /// The most of the last 60 s.
    pub peak: u32,
}

/// A limit on what begins in a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct PerSecond {
    /// At most.
    pub limit: u32,
    /// In the last second.
    pub rate: f64,
}

/// The limits of a trunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct TrunkLimits {
    /// Legs up at once.
    pub calls: Concurrent,
    /// New legs a second.
    pub calls_per_second: PerSecond,
}

/// The limits of the instance and its trunks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Limits {
    /// Calls up at once.
    pub calls: Concurrent,
    /// New calls a second.
    pub calls_per_second: PerSecond,
    /// The same by trunk, where `calls` counts legs.
    pub trunks: BTreeMap<Name, TrunkLimits>,
}
