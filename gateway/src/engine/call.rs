//! A call: legs with one purpose, from the first INVITE to its one record.
//!
//! Owns what all its legs share and how its end is brought about. Knows nothing of streams or SIP.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::bridge::PastBridge;
use super::io::Now;
use super::keys::{BridgeKey, CallKey, LegKey, RecordingKey};
use super::table::Row;
use super::transfers::moved::Moved;
use crate::control::protocol::{Cause, Direction, Id, Name, Party};

/// How long a call's record waits for its recordings to be stored and its streams to be closed.
pub const RECORD_WAIT: Duration = Duration::from_secs(5);

/// One call.
#[derive(Clone, Debug)]
pub struct Call {
    /// Our number for it.
    pub key: CallKey,
    /// Its id towards clients.
    pub id: Id,
    /// The app it belongs to.
    pub app: Name,
    /// Which way its first leg went.
    pub direction: Direction,
    /// Caller of its first leg.
    pub from: Party,
    /// Called party of its first leg.
    pub to: Party,
    /// Media thread of all its legs.
    pub shard: usize,
    /// Every leg it ever had, in order.
    pub legs: Vec<LegKey>,
    /// Bridges it owns that still stand.
    pub bridges: Vec<BridgeKey>,
    /// All bridges it ever had, for the record; their names are free when it is out.
    pub bridge_log: Vec<PastBridge>,
    /// Ids of all ops it ever had.
    pub ops: Vec<Id>,
    /// Every recording it ever had, in order.
    pub recordings: Vec<RecordingKey>,
    /// When it began.
    pub started: Now,
    /// When its first leg was answered.
    pub answered: Option<Now>,
    /// How far it is.
    pub stage: CallStage,
    /// Ends all its legs when reached.
    pub max_duration_at: Option<Instant>,
    /// Where it was sent by a 3xx.
    pub moved: Moved,
    /// Clients' own words.
    pub tags: BTreeMap<String, String>,
}

/// How far a call is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallStage {
    /// An inbound call that no client has taken up yet; its number's `unclaimed` action runs at `until`.
    Unclaimed {
        /// When that is; `None`: its number has no such action.
        until: Instant,
        /// What is answered then.
        status: u16,
    },
    /// Some leg lives.
    Live,
    /// The last leg ended; the record waits for storage until `give_up_at`.
    Closing {
        /// When the last leg ended.
        ended: Now,
        /// Who ended it.
        by: Cause,
        /// The record is written at this time at the latest.
        give_up_at: Instant,
    },
}

impl Call {
    /// A call as it begins, without legs.
    pub fn new(
        key: CallKey,
        id: Id,
        app: Name,
        direction: Direction,
        parties: (Party, Party),
        now: Now,
    ) -> Self {
        let (from, to) = parties;
        Call {
            key,
            id,
            app,
            direction,
            from,
            to,
            shard: 0,
            legs: Vec::new(),
            bridges: Vec::new(),
            bridge_log: Vec::new(),
            ops: Vec::new(),
            recordings: Vec::new(),
            started: now,
            answered: None,
            stage: CallStage::Live,
            max_duration_at: None,
            moved: Moved::default(),
            tags: BTreeMap::new(),
        }
    }

    /// No leg lives any more.
    pub fn is_closing(&self) -> bool {
        matches!(self.stage, CallStage::Closing { .. })
    }
}

impl Row for Call {
    fn deadline(&self) -> Option<Instant> {
        match &self.stage {
            CallStage::Unclaimed { until, .. } => {
                Some(self.max_duration_at.map_or(*until, |at| at.min(*until)))
            }
            CallStage::Live => self.max_duration_at,
            CallStage::Closing { give_up_at, .. } => Some(*give_up_at),
        }
    }
}
