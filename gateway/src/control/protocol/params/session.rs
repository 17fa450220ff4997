//! Parameters of what concerns the connection itself: hello, subscriptions, snapshots, batches.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::params;
use crate::control::protocol::batch::{Step, check_steps};
use crate::control::protocol::failure::Failure;
use crate::control::protocol::id::{Id, Name};
use crate::control::protocol::text::Text;
use crate::control::protocol::within::{OneOrMany, Within};
use crate::control::protocol::words::EventClass;

/// Which events are wanted. A member left out means all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// Event types, such as `leg.ended`, or groups such as `leg.*`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub types: Option<OneOrMany<Text<64>>>,
    /// Only events of these legs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legs: Option<OneOrMany<Id>>,
    /// Only events of these calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls: Option<OneOrMany<Id>>,
    /// Numbered events, measurements, or both; numbered events when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<OneOrMany<EventClass>>,
}

/// Where a client stopped reading.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    /// The epoch of its last event.
    pub epoch: Text<64>,
    /// The number of its last event.
    pub seq: u64,
}

params! {
    /// Says who speaks; before it only `ping`, `schema.get` and `state.get` work.
    Hello {
        /// The application whose calls this connection drives.
        pub app: Name,
        /// What the client calls itself, for logs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub client: Option<Text<128>>,
        /// Go on after this event.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub resume: Option<Cursor>,
        /// Send events from now on; with `resume`, the filter of what is resumed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub subscribe: Option<Filter>,
    }
}

params! {
    /// Sends events to this connection; replaces its earlier subscription.
    Subscribe {
        /// Event types, such as `leg.ended`, or groups such as `leg.*`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub types: Option<OneOrMany<Text<64>>>,
        /// Only events of these legs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub legs: Option<OneOrMany<Id>>,
        /// Only events of these calls.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub calls: Option<OneOrMany<Id>>,
        /// Numbered events, measurements, or both; numbered events when left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub class: Option<OneOrMany<EventClass>>,
        /// Also send measurements, so often.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub stats_interval_ms: Option<Within<100, 600_000>>,
    }
}

impl Subscribe {
    /// The filter alone.
    pub fn filter(&self) -> Filter {
        Filter {
            types: self.types.clone(),
            legs: self.legs.clone(),
            calls: self.calls.clone(),
            class: self.class.clone(),
        }
    }
}

params! {
    /// Sends no more events to this connection, or, where members are given, none of those.
    Unsubscribe {
        /// Event types, or groups.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub types: Option<OneOrMany<Text<64>>>,
        /// Events of these legs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub legs: Option<OneOrMany<Id>>,
        /// Events of these calls.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub calls: Option<OneOrMany<Id>>,
        /// Numbered events or measurements.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub class: Option<OneOrMany<EventClass>>,
    }
}

impl Unsubscribe {
    /// The filter alone.
    pub fn filter(&self) -> Filter {
        Filter {
            types: self.types.clone(),
            legs: self.legs.clone(),
            calls: self.calls.clone(),
            class: self.class.clone(),
        }
    }
}

/// Which part of the state is wanted; a member left out means all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// Only this application's calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<Name>,
    /// Only this call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<Id>,
}

params! {
    /// Everything that is true at exactly the `seq` of the reply.
    StateGet {
        /// A part of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub scope: Option<Scope>,
    }
}

params! {
    /// Answers at once.
    Ping {}
}

params! {
    /// The protocol's own description, OpenRPC.
    SchemaGet {}
}

params! {
    /// Several commands, all applied in one mixer tick, or none: the error is that of the step that was refused, with its
    /// number as `data.step`; what the policy calls its own step is `data.policy_step` then.
    Batch {
        /// The commands, 1 to 32. A parameter that is the text `$N.MEMBER` stands for that member of
        /// the result of step N, counted from 0.
        pub steps: Vec<Step>,
        /// False: each step stands alone.
        #[serde(default = "yes")]
        pub atomic: bool,
    }
    check fn check(&self) -> Result<(), Failure> {
        check_steps(&self.steps)
    }
}

fn yes() -> bool {
    true
}
