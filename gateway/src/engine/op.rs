//! Ops: work that goes on after its command was answered, and ends in exactly one `op.ended`.
//!
//! Each kind carries what only it needs. Knows nothing of connections; who watches an op is the
//! journal's business.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use media::{DtmfKey, PlayKey};

use super::keys::{CallKey, LegKey, OpKey};
use super::table::Row;
use crate::control::protocol::{Id, OpKind};

/// One piece of work.
#[derive(Clone, Debug)]
pub struct Op {
    /// Our number for it.
    pub key: OpKey,
    /// Its id towards clients.
    pub id: Id,
    /// The call it serves.
    pub call: CallKey,
    /// The leg it is about, if one.
    pub leg: Option<LegKey>,
    /// When it began.
    pub since: Instant,
    /// What it is.
    pub work: Work,
}

/// What an op does.
#[derive(Clone, Debug)]
pub enum Work {
    /// `leg.dial`: ends at answered or ended.
    Dial,
    /// `leg.hold{signal}` and `leg.resume{signal}`: ends with the peer's answer.
    Reinvite,
    /// `play.start`.
    Play(Play),
    /// `collect.start`.
    Collect(Collect),
    /// `leg.send_dtmf`.
    SendDtmf(DtmfKey),
}

impl Work {
    /// Its word towards clients.
    pub fn kind(&self) -> OpKind {
        match self {
            Work::Dial => OpKind::Dial,
            Work::Reinvite => OpKind::Signal,
            Work::Play(_) => OpKind::Play,
            Work::Collect(_) => OpKind::Collect,
            Work::SendDtmf(_) => OpKind::Dtmf,
        }
    }
}

/// A play towards one leg or all members of a bridge.
#[derive(Clone, Debug, Default)]
pub struct Play {
    /// Still running, with the leg that hears each.
    pub running: BTreeMap<PlayKey, LegKey>,
    /// `play.started` is out.
    pub started: bool,
    /// A digit of the listener ends it.
    pub barge_in: bool,
    /// Its clock stands still.
    pub paused: bool,
    /// A collect owns it: its end starts the digit timer.
    pub prompt_of: Option<OpKey>,
}

/// Digits being collected from one leg.
#[derive(Clone, Debug)]
pub struct Collect {
    /// Digits so far.
    pub digits: String,
    /// Fewest that make it a success at a terminator.
    pub min: u32,
    /// As many end it.
    pub max: u32,
    /// Each of these ends it and is not part of the digits.
    pub terminators: String,
    /// How long the first digit may take, from the prompt's end.
    pub first: Duration,
    /// How long each further digit may take.
    pub inter: Duration,
    /// Digits are told in `collect.ended` only.
    pub pci: bool,
    /// The prompt that still plays.
    pub prompt: Option<OpKey>,
    /// When it times out; `None` while the prompt plays.
    pub until: Option<Instant>,
}

impl Row for Op {
    fn deadline(&self) -> Option<Instant> {
        match &self.work {
            Work::Collect(collect) => collect.until,
            Work::Dial | Work::Reinvite | Work::Play(_) | Work::SendDtmf(_) => None,
        }
    }
}
