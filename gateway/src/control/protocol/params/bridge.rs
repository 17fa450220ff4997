//! Parameters of bridges.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{is_false, params};
use crate::control::protocol::failure::Failure;
use crate::control::protocol::id::Id;
use crate::control::protocol::view::Db;
use crate::control::protocol::within::{Later, Within};
use crate::control::protocol::words::{BridgeRole, DestroyThen};

/// Most legs one bridge may be made for.
pub const BRIDGE_LEGS_MAX: u32 = 64;
/// Most pairs of one `bridge.set_matrix`.
pub const MATRIX_PAIRS_MAX: usize = 1_024;

params! {
    /// Makes a bridge. Its members hear each other, as far as they are up and not held or muted.
    BridgeCreate {
        /// The new bridge's id.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub id: Option<Id>,
        /// The call it belongs to; the first leg's when left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub call: Option<Id>,
        /// Its first members.
        #[serde(default)]
        pub legs: Vec<Id>,
        /// Most members.
        #[serde(default)]
        pub max_legs: Within<1, 64, 6>,
        /// Record it from the start, as `record.start` does without more parameters.
        #[serde(default, skip_serializing_if = "is_false")]
        pub record: bool,
    }
    check fn check(&self) -> Result<(), Failure> {
        if self.legs.len() > BRIDGE_LEGS_MAX as usize {
            return Err(Failure::invalid_params("params.legs", format_args!("must have at most {BRIDGE_LEGS_MAX} entries")));
        }
        for (index, leg) in self.legs.iter().enumerate() {
            if self.legs.iter().take(index).any(|earlier| earlier == leg) {
                return Err(Failure::invalid_params(&format!("params.legs[{index}]"), "is named twice"));
            }
        }
        Ok(())
    }
}

params! {
    /// Adds a leg to a bridge; a member of it already succeeds.
    BridgeAdd {
        /// The bridge.
        pub bridge: Id,
        /// The leg.
        pub leg: Id,
        /// What it is there.
        #[serde(default = "party")]
        pub role: BridgeRole,
        /// Refused: whom a whisperer speaks to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub to: Option<Later>,
    }
}

fn party() -> BridgeRole {
    BridgeRole::Party
}

params! {
    /// Takes a leg out of a bridge.
    BridgeRemove {
        /// The bridge.
        pub bridge: Id,
        /// The leg.
        pub leg: Id,
    }
}

params! {
    /// Takes a leg from its bridge to another, at once.
    BridgeMove {
        /// The leg.
        pub leg: Id,
        /// The other bridge.
        pub to: Id,
    }
}

params! {
    /// Puts a leg in another's place in its bridge, at once.
    BridgeReplace {
        /// The member.
        pub old: Id,
        /// Who takes its place.
        pub new: Id,
    }
}

/// One cell of the matrix.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MatrixPair {
    /// The speaker.
    pub from: Id,
    /// The listener.
    pub to: Id,
    /// How loud, or null for not at all.
    #[serde(deserialize_with = "nullable")]
    pub gain_db: Option<Db>,
}

/// An `Option` that must be there, be it as null.
fn nullable<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Db>, D::Error> {
    Option::deserialize(deserializer)
}

params! {
    /// Says who may hear whom; hold, mute and not-yet-up stand above it.
    BridgeSetMatrix {
        /// The bridge.
        pub bridge: Id,
        /// The cells that change, 1 to 1,024.
        pub pairs: Vec<MatrixPair>,
    }
    check fn check(&self) -> Result<(), Failure> {
        if !(1..=MATRIX_PAIRS_MAX).contains(&self.pairs.len()) {
            return Err(Failure::invalid_params("params.pairs", format_args!("must have 1 to {MATRIX_PAIRS_MAX} entries")));
        }
        match self.pairs.iter().position(|pair| pair.from == pair.to) {
            Some(index) => Err(Failure::invalid_params(&format!("params.pairs[{index}]"), "nobody hears itself")),
            None => Ok(()),
        }
    }
}

params! {
    /// Lets these two talk; the other members are held with music.
    BridgeSwap {
        /// The bridge.
        pub bridge: Id,
        /// One of the two.
        pub a: Id,
        /// The other.
        pub b: Id,
    }
    check fn check(&self) -> Result<(), Failure> {
        if self.a == self.b {
            return Err(Failure::invalid_params("params.b", "must be another leg than `a`"));
        }
        Ok(())
    }
}

params! {
    /// Ends a bridge.
    BridgeDestroy {
        /// The bridge.
        pub bridge: Id,
        /// What becomes of its members.
        pub then: DestroyThen,
    }
}
