//! A bridge: legs joined to hear each other, and the audibility matrix over them.
//!
//! The base matrix is what clients edit; what is really heard follows from it and from each leg's
//! hold, mute and state (`audibility`). Owns membership and base; knows nothing of streams or SIP.

use std::collections::BTreeMap;
use std::time::Instant;

use super::io::Now;
use super::keys::{BridgeKey, CallKey, LegKey};
use super::table::Row;
use crate::control::protocol::{BridgeMode, Id, Name};

/// Who hears whom, and how loud: listener → speaker → dB.
pub type Hears = BTreeMap<LegKey, BTreeMap<LegKey, Option<f32>>>;

/// Legs joined to hear each other.
#[derive(Clone, Debug)]
pub struct Bridge {
    /// Our number for it.
    pub key: BridgeKey,
    /// Its id towards clients.
    pub id: Id,
    /// The call whose record tells of it; none until the first leg comes.
    pub call: Option<CallKey>,
    /// When it was made.
    pub created: Now,
    /// The app that made it.
    pub app: Name,
    /// Members in the order they joined.
    pub legs: Vec<LegKey>,
    /// Most members.
    pub legs_max: u32,
    /// Pairs that differ from “heard at 0 dB”: (from, to) → dB, `None` is cut.
    pub base: BTreeMap<(LegKey, LegKey), Option<f32>>,
    /// The effective matrix as last told to clients.
    pub told: Hears,
    /// The mode as last told to clients.
    pub mode: BridgeMode,
}

/// What the record of a call says of one bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastBridge {
    /// Its id.
    pub id: Id,
    /// When it was made.
    pub created: Now,
    /// When it went.
    pub destroyed: Option<Now>,
    /// Every leg it ever had.
    pub legs: Vec<Id>,
}

impl Bridge {
    /// What the base says of `from` speaking to `to`.
    pub fn base_gain(&self, from: LegKey, to: LegKey) -> Option<f32> {
        self.base.get(&(from, to)).copied().unwrap_or(Some(0.0))
    }

    /// Whether `leg` is a member.
    pub fn has(&self, leg: LegKey) -> bool {
        self.legs.contains(&leg)
    }

    /// Takes a member out, and forgets the pairs it was part of.
    pub fn remove(&mut self, leg: LegKey) {
        self.legs.retain(|member| *member != leg);
        self.base.retain(|(from, to), _| *from != leg && *to != leg);
    }

    /// Puts `new` in the place of `old`, pairs included.
    pub fn replace(&mut self, old: LegKey, new: LegKey) {
        for member in &mut self.legs {
            if *member == old {
                *member = new;
            }
        }
        let swap = |leg: LegKey| if leg == old { new } else { leg };
        let base = std::mem::take(&mut self.base);
        self.base = base
            .into_iter()
            .map(|((from, to), gain)| ((swap(from), swap(to)), gain))
            .collect();
    }
}

impl Row for Bridge {
    fn deadline(&self) -> Option<Instant> {
        None
    }
}
