//! One input's transaction: the world it may change, and what is to be told and done if it holds.
//!
//! Rooms get a `&mut Tx` and nothing else. What they push here happens only after the commit, in this
//! order: reply, events, media, SIP, recorder, records. A refusal drops it all. Knows no rule.

use std::collections::BTreeMap;
use std::sync::Arc;

use media::Change;

use super::audio::recording::Recording;
use super::audio::sounds::Sounds;
use super::bridge::Bridge;
use super::call::Call;
use super::io::{Now, RecorderCommand};
use super::keys::{BridgeKey, CallKey, LegKey, Named, OpKey, RecordingKey};
use super::leg::Leg;
use super::metrics::EngineMetrics;
use super::op::{Op, Work};
use super::policy::fraud::{Books, Counted};
use super::policy::gates::{Gates, Scope};
use super::router::alarms::AlarmKind;
use super::setup::Setup;
use super::tallying::Count;
use super::trunks::peers::Peers;
use super::trunks::registrations::Registrations;
use super::trunks::traces::{TraceChange, Traces};
use super::world::World;
use crate::control::protocol::{Cause, Event, Failure, Id, Name, Subject, Tags};
use crate::stir::CertificateUrl;

/// What a transaction leaves behind when it is committed.
#[derive(Debug, Default)]
pub struct Outbox {
    /// Events, not yet numbered.
    pub events: Vec<Draft>,
    /// Changes by shard.
    pub media: BTreeMap<usize, Vec<Change>>,
    /// Orders to the SIP endpoint.
    pub sip: Vec<sip::endpoint::Command>,
    /// Orders to the recordings writer.
    pub recorder: Vec<RecorderCommand>,
    /// Calls whose ledger line is to be renewed.
    pub ledger: Vec<CallKey>,
    /// Final records: call id and JSON.
    pub records: Vec<(Id, Arc<str>)>,
    /// Log lines: (warn, text).
    pub log: Vec<(bool, String)>,
    /// Limits changed and are to be kept.
    pub save_limits: bool,
    /// A drain came to its end.
    pub drained: bool,
    /// What somebody should look at, by trunk.
    pub alarms: Vec<(AlarmKind, String)>,
    /// Questions to DNS.
    pub lookups: Vec<sip::transport::target::Question>,
    /// Certificates to be fetched.
    pub fetches: Vec<CertificateUrl>,
    /// Dials counted by limits against fraud, taken back should the transaction be.
    pub counted: Vec<Counted>,
    /// Traces that begin or end.
    pub traces: Vec<TraceChange>,
    /// Trunks that were told to be down or up, untold should the transaction be taken back.
    pub trunks_told: Vec<usize>,
    /// Rate tokens taken, given back should the transaction be.
    pub tokens: Vec<Scope>,
    /// What is counted if the transaction holds.
    pub counts: Vec<Count>,
}

/// An event before it has its number.
#[derive(Debug)]
pub struct Draft {
    /// What happened.
    pub event: Event,
    /// What it is about.
    pub about: About,
    /// Who did it.
    pub cause: Cause,
    /// The batch it came from.
    pub group: Option<Id>,
}

/// The objects an event is about, and the tags it carries.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// Ids of the objects.
    pub subject: Subject,
    /// Tags of the leg over those of the call.
    pub tags: Tags,
}

impl About {
    /// Nothing but a call's id.
    pub fn of_call(id: Id) -> Self {
        About {
            subject: Subject {
                call: Some(id),
                ..Subject::default()
            },
            tags: Tags::default(),
        }
    }
}

/// The transaction.
pub struct Tx<'a> {
    /// All tables.
    pub world: &'a mut World,
    /// Limits and buckets.
    pub gates: &'a mut Gates,
    /// What limits against fraud have counted.
    pub books: &'a mut Books,
    /// Where the peers are and whether they answer.
    pub peers: &'a mut Peers,
    /// What does not change while the process runs.
    pub setup: &'a Setup,
    /// Traces that run.
    pub traces: &'a Traces,
    /// Prompts and music.
    pub sounds: &'a Sounds,
    /// Who is registered, here and there.
    pub registrations: &'a mut Registrations,
    /// Counters.
    pub metrics: &'a mut EngineMetrics,
    /// Both clocks at this input.
    pub now: Now,
    /// Who causes what happens now.
    pub cause: Cause,
    /// Set inside a batch.
    pub group: Option<Id>,
    /// The app on whose behalf a command acts; empty for other inputs.
    pub app: Name,
    /// What is left behind.
    pub out: Outbox,
}

impl Tx<'_> {
    /// Tells clients that something happened.
    pub fn tell(&mut self, about: About, event: Event) {
        let cause = self.cause.clone();
        self.out.events.push(Draft {
            event,
            about,
            cause,
            group: self.group.clone(),
        });
    }

    /// Tells something about a leg.
    pub fn tell_leg(&mut self, leg: LegKey, event: Event) {
        let about = self.about_leg(leg);
        self.tell(about, event);
    }

    /// Tells something about a call.
    pub fn tell_call(&mut self, call: CallKey, event: Event) {
        let about = self.about_call(call);
        self.tell(about, event);
    }

    /// Tells something about a bridge.
    pub fn tell_bridge(&mut self, bridge: BridgeKey, leg: Option<LegKey>, event: Event) {
        let row = self.world.bridges.get(&bridge);
        let mut about = match (leg, row) {
            (Some(leg), _) => self.about_leg(leg),
            (None, Some(row)) => row.call.map(|call| self.about_call(call)).unwrap_or_default(),
            (None, None) => About::default(),
        };
        about.subject.bridge = row.map(|row| row.id.clone());
        self.tell(about, event);
    }

    /// Tells something about an op.
    pub fn tell_op(&mut self, op: OpKey, event: Event) {
        let Some(row) = self.world.ops.get(&op) else {
            return;
        };
        let (id, call, leg, bridge) = (row.id.clone(), row.call, row.leg, row.bridge());
        let mut about = leg.map_or_else(|| self.about_call(call), |leg| self.about_leg(leg));
        about.subject.op = Some(id);
        let bridge = bridge.and_then(|bridge| self.world.bridges.get(&bridge));
        about.subject.bridge = bridge.map(|bridge| bridge.id.clone());
        self.tell(about, event);
    }

    /// Tells something about a recording.
    pub fn tell_recording(&mut self, recording: RecordingKey, event: Event) {
        let Some(row) = self.world.recordings.get(&recording) else {
            return;
        };
        let (id, call) = (row.id.clone(), row.call);
        let mut about = self.about_call(call);
        about.subject.recording = Some(id);
        self.tell(about, event);
    }

    /// What an event about this leg names.
    pub fn about_leg(&self, leg: LegKey) -> About {
        let Some(leg) = self.world.legs.get(&leg) else {
            return About::default();
        };
        let mut about = self.about_call(leg.call);
        about.tags.0.extend(leg.tags.clone());
        about.subject.leg = Some(leg.id.clone());
        about
    }

    /// What an event about this call names.
    pub fn about_call(&self, call: CallKey) -> About {
        let Some(call) = self.world.calls.get(&call) else {
            return About::default();
        };
        About {
            tags: Tags(call.tags.clone()),
            ..About::of_call(call.id.clone())
        }
    }

    /// Runs `work` with another cause.
    pub fn because<T>(&mut self, cause: Cause, work: impl FnOnce(&mut Self) -> T) -> T {
        let before = std::mem::replace(&mut self.cause, cause);
        let result = work(self);
        self.cause = before;
        result
    }

    /// Asks a shard for a change, together with all others of this transaction.
    pub fn media(&mut self, shard: usize, change: Change) {
        self.out.media.entry(shard).or_default().push(change);
    }

    /// Asks the shard of this leg.
    pub fn media_of(&mut self, leg: LegKey, change: Change) {
        if let Some(leg) = self.world.legs.get(&leg) {
            let shard = leg.media.shard;
            self.media(shard, change);
        }
    }

    /// Gives an order to the SIP endpoint.
    pub fn sip(&mut self, command: sip::endpoint::Command) {
        self.out.sip.push(command);
    }

    /// A leg by key.
    pub fn leg(&self, key: LegKey) -> Result<&Leg, Failure> {
        self.world
            .legs
            .get(&key)
            .ok_or_else(|| Failure::internal("the leg is gone"))
    }

    /// A leg to change.
    pub fn leg_mut(&mut self, key: LegKey) -> Result<&mut Leg, Failure> {
        self.world
            .legs
            .get_mut(&key)
            .ok_or_else(|| Failure::internal("the leg is gone"))
    }

    /// A call to change.
    pub fn call_mut(&mut self, key: CallKey) -> Result<&mut Call, Failure> {
        self.world
            .calls
            .get_mut(&key)
            .ok_or_else(|| Failure::internal("the call is gone"))
    }

    /// A bridge to change.
    pub fn bridge_mut(&mut self, key: BridgeKey) -> Result<&mut Bridge, Failure> {
        self.world
            .bridges
            .get_mut(&key)
            .ok_or_else(|| Failure::internal("the bridge is gone"))
    }

    /// A recording to change.
    pub fn recording_mut(&mut self, key: RecordingKey) -> Result<&mut Recording, Failure> {
        self.world
            .recordings
            .get_mut(&key)
            .ok_or_else(|| Failure::internal("the recording is gone"))
    }

    /// What a name stands for.
    pub fn named(&self, id: &Id) -> Option<Named> {
        self.world.names.get(id).copied()
    }

    /// Gives a name to something new: the client's own, or one of ours.
    pub fn name(&mut self, chosen: Option<&Id>, prefix: &str) -> Result<(u64, Id), Failure> {
        let (number, own) = self.world.make.next(prefix);
        let id = chosen.cloned().unwrap_or(own);
        if self.world.names.get(&id).is_some() {
            return Err(Failure::id_taken(id.as_str()));
        }
        Ok((number, id))
    }

    /// Starts an op.
    pub fn start_op(
        &mut self,
        call: CallKey,
        leg: Option<LegKey>,
        work: Work,
    ) -> Result<(OpKey, Id), Failure> {
        let (number, id) = self.name(None, "o")?;
        let key = OpKey(number);
        self.world.names.insert(id.clone(), Named::Op(key));
        self.call_mut(call)?.ops.push(id.clone());
        self.world.ops.insert(
            key,
            Op {
                key,
                id: id.clone(),
                call,
                leg,
                since: self.now.mono,
                work,
            },
        );
        Ok((key, id))
    }

    /// Takes a rate token; it returns if this transaction is taken back.
    pub fn take_token(&mut self, scope: Scope) -> bool {
        let taken = self.gates.take(scope, self.now.mono);
        if taken {
            self.out.tokens.push(scope);
        }
        taken
    }

    /// Port pairs that cannot be had now: of streams not closed, and resting.
    pub fn ports_in_use(&mut self) -> usize {
        self.world.guards.ports.len() + self.gates.resting(self.now.mono)
    }

    /// The call's ledger line is out of date.
    pub fn renew_ledger(&mut self, call: CallKey) {
        if !self.out.ledger.contains(&call) {
            self.out.ledger.push(call);
        }
    }
}
