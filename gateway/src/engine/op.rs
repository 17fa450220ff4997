//! Ops: work that goes on after its command was answered, and ends in exactly one `op.ended`.
//!
//! Each kind carries what only it needs. Knows nothing of connections; who watches an op is the
//! journal's business.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use media::frame::ms_of_samples;
use media::{DtmfKey, PlayKey, Source};
use sip::endpoint::SessionKey;

use super::keys::{BridgeKey, CallKey, LegKey, OpKey};
use super::table::Row;
use crate::control::protocol::{Id, LegDial, OpKind};

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

impl Op {
    /// The bridge it is about, if one.
    pub fn bridge(&self) -> Option<BridgeKey> {
        match &self.work {
            Work::Play(Play {
                audience: Audience::Bridge(bridge),
                ..
            }) => Some(*bridge),
            Work::Play(_)
            | Work::Dial
            | Work::Reinvite
            | Work::Collect(_)
            | Work::SendDtmf(_)
            | Work::Transfer(_) => None,
        }
    }
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
    /// `transfer.blind`, `transfer.attended`, `transfer.accept`: ends when the new call is up, or not.
    Transfer(Box<Transfer>),
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
            Work::Transfer(_) => OpKind::Transfer,
        }
    }
}

/// A party that is being transferred: the leg of the op.
#[derive(Clone, Debug)]
pub struct Transfer {
    /// What it waits for.
    pub stage: TransferStage,
    /// The dial that does it here; none: the other party is up already.
    pub dial: Option<LegDial>,
    /// That other party.
    pub with: Option<LegKey>,
    /// The leg in whose place the dialled one comes.
    pub leaving: Option<LegKey>,
    /// The session whose REFER asked for it: told by NOTIFY.
    pub referrer: Option<SessionKey>,
}

/// What a transfer waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferStage {
    /// For what the peer says of our REFER.
    Referring,
    /// For this leg of ours.
    Dialling(LegKey),
}

impl Transfer {
    /// To somebody who must be called.
    pub fn new(dial: LegDial, leaving: Option<LegKey>) -> Self {
        Transfer {
            stage: TransferStage::Referring,
            dial: Some(dial),
            with: None,
            leaving,
            referrer: None,
        }
    }

    /// To somebody who is up.
    pub fn with(other: LegKey) -> Self {
        Transfer {
            stage: TransferStage::Referring,
            dial: None,
            with: Some(other),
            leaving: None,
            referrer: None,
        }
    }
}

/// A play towards one leg or the members of a bridge.
#[derive(Clone, Debug)]
pub struct Play {
    /// Who is to hear it.
    pub audience: Audience,
    /// Its pieces, for those who come to hear it later.
    pub sources: Vec<Source>,
    /// How it is heard.
    pub manner: Manner,
    /// Its clock.
    pub clock: PlayClock,
    /// Still running, with the leg that hears each.
    pub running: BTreeMap<PlayKey, LegKey>,
    /// `play.started` is out.
    pub started: bool,
}

/// Who hears a play.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// One leg, wherever it is.
    Leg(LegKey),
    /// The un-held members of a bridge, at any moment of the play.
    Bridge(BridgeKey),
}

/// How a play is to be heard.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manner {
    /// Start again after the last piece.
    pub repeat: bool,
    /// Loudness, dB.
    pub gain_db: f32,
    /// Over speech rather than instead of it.
    pub over: bool,
    /// A digit of the listener ends it.
    pub barge_in: bool,
    /// The collect it is the prompt of: its end starts the digit timer.
    pub prompt_of: Option<OpKey>,
}

/// How far a play is; its clock goes on while nobody listens.
#[derive(Clone, Copy, Debug)]
pub enum PlayClock {
    /// It stood at zero then.
    Runs {
        /// Pauses pushed this later.
        zero: Instant,
    },
    /// It stands still.
    Paused {
        /// How far it came.
        at: Duration,
    },
}

impl PlayClock {
    /// How far the play is.
    pub fn position(self, now: Instant) -> Duration {
        match self {
            PlayClock::Runs { zero } => now.saturating_duration_since(zero),
            PlayClock::Paused { at } => at,
        }
    }

    /// The clock stopped.
    pub fn pause(&mut self, now: Instant) {
        *self = PlayClock::Paused {
            at: self.position(now),
        };
    }

    /// The clock goes on.
    pub fn resume(&mut self, now: Instant) {
        let at = self.position(now);
        *self = PlayClock::Runs {
            zero: now.checked_sub(at).unwrap_or(now),
        };
    }
}

impl Play {
    /// Its whole length; `None`: it goes on until stopped.
    pub fn length(&self) -> Option<Duration> {
        if self.manner.repeat {
            return None;
        }
        let samples: Option<u64> = self.sources.iter().map(Source::length).sum();
        samples.map(|samples| Duration::from_millis(ms_of_samples(samples)))
    }

    /// How far it is, milliseconds; never more than its length.
    pub fn position_ms(&self, now: Instant) -> u64 {
        let position = self.clock.position(now);
        let position = self.length().map_or(position, |length| position.min(length));
        u64::try_from(position.as_millis()).unwrap_or(u64::MAX)
    }

    /// When a play that nobody hears at the moment is over.
    fn ends_unheard_at(&self) -> Option<Instant> {
        match self.clock {
            PlayClock::Runs { zero } if self.running.is_empty() => Some(zero + self.length()?),
            PlayClock::Runs { .. } | PlayClock::Paused { .. } => None,
        }
    }
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
            Work::Play(play) => play.ends_unheard_at(),
            Work::Dial | Work::Reinvite | Work::SendDtmf(_) | Work::Transfer(_) => None,
        }
    }
}
