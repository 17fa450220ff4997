//! What a trunk's `fraud` may say.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Limits of what we dial through a trunk, against toll fraud. A dial over one is refused with the rule, an alarm
/// is raised, and no call that is up is cut. Hours are the last 60 minutes, days those of UTC; both survive a
/// restart. Emergency calls are not concerned.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Fraud {
    /// Dials in an hour. Default: no limit.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub calls_per_hour: Option<u32>,
    /// Minutes talked in a day, calls that are up included. Default: no limit.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub minutes_per_day: Option<u32>,
    /// How often a call may have been sent on before it is dialled on here.
    #[schemars(range(max = 5))]
    pub redirects: u8,
    /// The same for numbers that begin alike; all entries that fit must have room.
    #[schemars(length(max = 64))]
    pub prefix: Vec<FraudPrefix>,
}

impl Default for Fraud {
    fn default() -> Self {
        Fraud {
            calls_per_hour: None,
            minutes_per_day: None,
            redirects: 5,
            prefix: Vec::new(),
        }
    }
}

/// Limits of numbers that begin alike.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["prefix"]))]
pub struct FraudPrefix {
    /// Beginning of an E.164 number, with `+`.
    #[schemars(length(min = 2, max = 16))]
    pub prefix: String,
    /// Legs at once. Default: no limit.
    #[schemars(range(min = 1, max = 100_000))]
    pub calls: Option<u32>,
    /// Dials in an hour. Default: no limit.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub calls_per_hour: Option<u32>,
    /// Minutes talked in a day. Default: no limit.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub minutes_per_day: Option<u32>,
}
