//! Limits against toll fraud, as the gateway uses them.
//!
//! A value. Knows nothing of what was dialled.

/// A trunk's limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fraud {
    /// Each with what it counts; those that limit nothing are left out.
    pub limits: Vec<FraudLimit>,
    /// How often a call may have been sent on before it is dialled on.
    pub redirects: u32,
}

/// Limits of the numbers that begin alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FraudLimit {
    /// Beginning of the number with `+`; empty for all that the trunk dials.
    pub prefix: String,
    /// Legs at once.
    pub calls: Option<u32>,
    /// Dials in the last 60 minutes.
    pub calls_per_hour: Option<u32>,
    /// Minutes talked since midnight UTC.
    pub minutes_per_day: Option<u32>,
}

impl FraudLimit {
    /// Whether a dial of this number counts here; a name has no number.
    pub fn covers(&self, number: Option<&str>) -> bool {
        self.prefix.is_empty() || number.is_some_and(|number| number.starts_with(&self.prefix))
    }

    /// Its name in rules, after `trunk:NAME.`: empty, or `prefix:+44.`.
    pub fn rule_prefix(&self) -> String {
        match self.prefix.as_str() {
            "" => String::new(),
            prefix => format!("prefix:{prefix}."),
        }
    }
}
