//! The engine: takes one input at a time, runs it as a transaction, and says what follows.
//!
//! A conductor. It owns the tables, the journal and the audience, and knows in which order what a
//! transaction leaves behind goes out; every rule is in the room that [`super`] names for it.
//! Must not know sockets, tokio, files or the wall clock.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use super::audio::reconcile;
use super::audio::sounds::Sounds;
use super::audio::taping;
use super::calls::draining;
use super::calls::ending;
use super::calls::waiting;
use super::io::{ConnKey, Input, Now, Output};
use super::keys::{CallKey, LegKey};
use super::metrics::EngineMetrics;
use super::policy::fraud::Books;
use super::policy::gates::{Gates, Scope};
use super::policy::number_map;
use super::policy::overload::Overload;
use super::policy::saved_limits;
use super::router::alarms::{self, Alarms};
use super::router::audience::Audience;
use super::router::control::{self, RequestId};
use super::router::controllers;
use super::router::journal::Journal;
use super::router::questions::Question;
use super::router::replay::Replies;
use super::router::sessions;
use super::router::stats_feed;
use super::setup::Setup;
use super::signalling;
use super::streams;
use super::tallying;
use super::timers;
use super::trunks::health;
use super::trunks::peers::Peers;
use super::trunks::registrations::{self, Registrations};
use super::trunks::traces::Traces;
use super::tx::{About, Outbox, Tx};
use super::world::World;
use crate::control::protocol::{
    Cause, CauseBy, Event, Failure, GatewayStarted, Id, Name, Nothing, ResultBody,
};

/// The engine.
pub struct Engine {
    pub(super) setup: Arc<Setup>,
    pub(super) world: World,
    pub(super) gates: Gates,
    pub(super) books: Books,
    pub(super) peers: Peers,
    pub(super) traces: Traces,
    pub(super) sounds: Sounds,
    pub(super) registrations: Registrations,
    pub(super) metrics: EngineMetrics,
    pub(super) journal: Journal,
    pub(super) audience: Audience,
    pub(super) replies: Replies,
    /// `seq` of the last reply that was written.
    pub(super) replied_seq: u64,
    pub(super) outputs: VecDeque<Output>,
    pub(super) alarms: Alarms,
    /// Whether signalling is behind.
    pub(super) overload: Overload,
    pub(super) questions: BTreeMap<u64, Question>,
    started: Instant,
    pub(super) nobody: Name,
}

impl Engine {
    /// An engine without calls. `seed` decides ids, tags and draws.
    pub fn new(setup: Arc<Setup>, seed: [u8; 32], now: Now) -> Self {
        let limits = &setup.config.limits;
        let instance = (limits.calls, limits.calls_per_second, limits.burst);
        let trunks = setup
            .config
            .trunks
            .iter()
            .map(|trunk| (trunk.calls, trunk.calls_per_second, trunk.burst));
        let trunks: Vec<_> = trunks.collect();
        let mut gates = Gates::new(instance, &trunks, now.mono);
        let mut books = Books::new(&setup);
        let mut world = World::new(&setup.epoch, seed);
        saved_limits::apply(&setup, &mut gates, &mut books, &mut world, now.mono);
        let mut engine = Engine {
            world,
            gates,
            books,
            peers: Peers::new(&setup, seed_of_peers(seed), now.mono),
            traces: Traces::default(),
            sounds: Sounds::default(),
            registrations: Registrations::new(&setup.config),
            metrics: EngineMetrics::new(),
            journal: Journal::new(setup.epoch.as_str().into()),
            audience: Audience::new(now.mono),
            replies: Replies::default(),
            replied_seq: 0,
            outputs: VecDeque::new(),
            alarms: Alarms::default(),
            overload: Overload::default(),
            questions: BTreeMap::new(),
            started: now.mono,
            nobody: Name::from("gateway"),
            setup,
        };
        let lost_calls = engine.setup.lost_calls;
        engine.by(CauseBy::Policy, now, |tx| {
            let version = env!("CARGO_PKG_VERSION").to_owned();
            tx.tell(
                About::default(),
                Event::GatewayStarted(GatewayStarted { version, lost_calls }),
            );
            registrations::begin(tx);
            for trunk in tx.world.disabled.keys() {
                health::tell(tx, trunk);
            }
        });
        engine
    }

    /// Takes what the SIP endpoint reports.
    pub fn handle_sip(&mut self, event: sip::endpoint::Event, now: Now) {
        let call = self
            .world
            .sessions
            .get(&event.session())
            .and_then(|leg| self.call_of(*leg));
        self.supervised(CauseBy::Peer, call, now, |tx| signalling::handle(tx, event));
    }

    /// Takes what the SIP endpoint reports of registrations.
    pub fn handle_registration(&mut self, event: sip::endpoint::RegistrationEvent, now: Now) {
        self.by(CauseBy::Peer, now, |tx| registrations::handle(tx, event));
    }

    /// Takes the end of an OPTIONS of ours.
    pub fn handle_probed(&mut self, number: u64, status: Option<u16>, now: Now) {
        self.by(CauseBy::Peer, now, |tx| health::probed(tx, number, status));
    }

    /// Takes any other input. Datagrams and streams are the endpoint's and never come here.
    pub fn handle(&mut self, input: Input, now: Now) {
        match input {
            Input::Media {
                event:
                    media::Event::Stats {
                        request,
                        stats,
                        stream,
                    },
                ..
            } if request != 0 => {
                self.answer_stats(request, LegKey::of_stream(stream), &stats);
            }
            Input::Media { event, .. } => {
                let call =
                    streams::stream_of(&event).and_then(|stream| self.call_of(LegKey::of_stream(stream)));
                self.supervised(CauseBy::Peer, call, now, |tx| streams::handle(tx, event));
            }
            Input::ControlOpened { conn } => self.audience.opened(conn),
            Input::Control { conn, id, request } => control::handle(self, conn, id, request, now),
            Input::ControlDrained { conn } => sessions::feed_backlog(self, conn),
            Input::ControlClosed { conn } => {
                if let Some(app) = self.audience.closed(conn) {
                    self.by(CauseBy::Peer, now, |tx| controllers::lost(tx, &app));
                }
            }
            Input::Recorder(event) => {
                self.supervised(CauseBy::Policy, None, now, |tx| taping::handle(tx, event))
            }
            Input::Trace(end) => self.trace_written(end, now),
            Input::LookedUp { question, answer } => {
                self.by(CauseBy::Peer, now, |tx| health::looked_up(tx, &question, answer));
            }
            Input::NumberMap { map, waiting } => number_map::take_up(self, map, waiting, now),
            Input::Fetched { url, result } => waiting::fetched(self, &url, result, now),
            Input::Prompts(prompts) => self.sounds.prompts = prompts,
            Input::Music(music) => self.sounds.music = music.into_iter().collect(),
            Input::DiskFree { mb } => self.gates.set_disk(mb),
            Input::DiskFault { why } => self.gates.set_disk_fault(why),
            Input::Drain { deadline_ms } => {
                self.by(CauseBy::Policy, now, |tx| draining::start(tx, deadline_ms))
            }
            Input::Stopping => {
                self.by(CauseBy::Policy, now, stopping);
                if self.books.next_deadline().is_some() {
                    self.save_limits();
                }
            }
            Input::Tick
            | Input::Backlog { .. }
            | Input::Datagram { .. }
            | Input::Connected { .. }
            | Input::StreamData { .. }
            | Input::Disconnected { .. } => {}
        }
    }

    /// Wakes everything whose time has come.
    pub fn handle_timeout(&mut self, now: Now) {
        for due in timers::due(&self.world, self.gates.next_deadline(), now.mono) {
            let call = match due {
                timers::Due::Call(call) => Some(call),
                timers::Due::Leg(leg) => self.call_of(leg),
                timers::Due::Op(op) => self.world.ops.get(&op).map(|op| op.call),
                timers::Due::Recording(key) => self.world.recordings.get(&key).map(|row| row.call),
                timers::Due::Drain => None,
            };
            self.supervised(CauseBy::Timer, call, now, |tx| timers::wake(tx, due));
        }
        if self.peers.next_deadline().is_some_and(|at| at <= now.mono) {
            self.by(CauseBy::Timer, now, health::wake);
        }
        waiting::wake(self, now);
        self.traces.wake(now.mono, &mut self.outputs);
        if self.books.take_due(now.mono) {
            self.save_limits();
        }
        self.expire_questions(now.mono);
        alarms::clear(self, now);
        stats_feed::run(self, now);
    }

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When `handle_timeout` is wanted.
    pub fn next_deadline(&self) -> Option<Instant> {
        let questions = self.questions.values().map(|question| question.until).min();
        let all = [
            self.world.next_deadline(),
            self.gates.next_deadline(),
            self.audience.next_deadline(),
            self.alarms.next_deadline(),
            self.books.next_deadline(),
            self.traces.next_deadline(),
            self.peers.next_deadline(),
            questions,
        ];
        all.into_iter().flatten().min()
    }

    /// Counters.
    pub fn metrics(&self) -> &EngineMetrics {
        &self.metrics
    }

    /// Counters to change, for those that the shell counts.
    pub fn metrics_mut(&mut self) -> &mut EngineMetrics {
        &mut self.metrics
    }

    /// True when nothing is left of any call.
    pub fn is_empty(&self) -> bool {
        self.world.is_empty()
    }

    /// What there is, for tests that look at invariants.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Runs `work` as one transaction; an error takes everything back, and so does a panic.
    pub(super) fn transact<T>(
        &mut self,
        now: Now,
        cause: Cause,
        app: Name,
        work: impl FnOnce(&mut Tx) -> Result<T, Failure>,
    ) -> Result<(T, Outbox), Failure> {
        let setup = self.setup.clone();
        let mut tx = Tx {
            world: &mut self.world,
            gates: &mut self.gates,
            books: &mut self.books,
            peers: &mut self.peers,
            setup: &setup,
            traces: &self.traces,
            sounds: &self.sounds,
            registrations: &mut self.registrations,
            metrics: &mut self.metrics,
            now,
            cause,
            group: None,
            app,
            out: Outbox::default(),
        };
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let value = work(&mut tx)?;
            ending::claim_touched(&mut tx);
            reconcile::run(&mut tx);
            Ok(value)
        }));
        let outbox = tx.out;
        match outcome {
            Ok(Ok(value)) => Ok((value, outbox)),
            Ok(Err(failure)) => {
                self.take_back(outbox, now.mono);
                Err(failure)
            }
            Err(_) => {
                self.take_back(outbox, now.mono);
                self.metrics.call_panicked();
                let message = "a room panicked; its input was taken back".to_owned();
                self.outputs.push_back(Output::Log { warn: true, message });
                Err(Failure::internal("the command failed inside the gateway"))
            }
        }
    }

    fn take_back(&mut self, outbox: Outbox, now: Instant) {
        self.world.rollback();
        self.gates.rollback(now);
        self.registrations.rollback();
        for counted in outbox.counted {
            self.books.undo(counted);
        }
        for trunk in outbox.trunks_told {
            if let Some(trunk) = self.peers.trunk_mut(trunk) {
                trunk.told_down = !trunk.told_down;
            }
        }
        for scope in outbox.tokens {
            self.gates.give_back(scope);
        }
    }

    /// Makes a transaction final: reply, events, media, SIP, recorder, ledger, records, in this order.
    pub(super) fn commit(
        &mut self,
        outbox: Outbox,
        now: Now,
        answers: Option<(ConnKey, &RequestId, &ResultBody)>,
    ) {
        let came_or_went = self.world.guards.is_touched();
        self.world.commit();
        self.gates.commit();
        self.registrations.commit();
        for count in outbox.counts {
            tallying::add(&mut self.metrics, &self.setup, count);
        }
        if came_or_went {
            self.note_peaks(now.mono);
        }
        if let Some((conn, id, body)) = answers {
            self.replied_seq = self.journal.last_seq() + outbox.events.len() as u64;
            control::reply(self, conn, id, self.replied_seq, body, false);
        }
        for draft in outbox.events {
            self.publish(draft, now);
        }
        let media = outbox.media.into_iter();
        self.outputs
            .extend(media.map(|(shard, command)| Output::Media { shard, command }));
        self.outputs.extend(outbox.sip.into_iter().map(Output::Sip));
        self.outputs
            .extend(outbox.lookups.into_iter().map(Output::Lookup));
        self.outputs.extend(outbox.fetches.into_iter().map(Output::Fetch));
        self.outputs
            .extend(outbox.recorder.into_iter().map(Output::Recorder));
        for call in outbox.ledger {
            self.keep_ledger(call, now);
        }
        let records = outbox.records.into_iter();
        self.outputs.extend(records.map(|(call, record)| Output::Record {
            call: call.as_str().to_owned(),
            record,
        }));
        self.outputs.extend(
            outbox
                .log
                .into_iter()
                .map(|(warn, message)| Output::Log { warn, message }),
        );
        for change in outbox.traces {
            self.traces.apply(change, now, &mut self.outputs);
        }
        if outbox.save_limits {
            self.save_limits();
        }
        if outbox.drained {
            self.outputs.push_back(Output::Drained);
        }
        for (kind, trunk) in outbox.alarms {
            self.alarms.note(kind, &trunk);
        }
        alarms::tell(self, now);
    }

    fn save_limits(&mut self) {
        let limits = saved_limits::of(&self.setup, &self.gates, &self.books, &self.world);
        self.outputs.push_back(Output::SaveLimits { limits });
    }

    /// Reads the world through a transaction that changes nothing.
    pub(super) fn read<T>(
        &mut self,
        now: Now,
        work: impl FnOnce(&mut Tx) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let (value, outbox) = self.transact(now, Cause::By(CauseBy::Policy), self.nobody.clone(), work)?;
        debug_assert!(outbox.events.is_empty(), "reading changes nothing");
        self.world.commit();
        Ok(value)
    }

    /// An input that is no command and belongs to no call.
    pub(super) fn by(&mut self, by: CauseBy, now: Now, work: impl FnOnce(&mut Tx)) {
        self.supervised(by, None, now, work);
    }

    /// An input that is no command. Should it panic, the call it belongs to ends, alone.
    fn supervised(&mut self, by: CauseBy, call: Option<CallKey>, now: Now, work: impl FnOnce(&mut Tx)) {
        let outcome = self.transact(now, Cause::By(by), self.nobody.clone(), |tx| {
            work(tx);
            Ok(())
        });
        match outcome {
            Ok(((), outbox)) => self.commit(outbox, now, None),
            Err(_) => self.end_faulty(call, now),
        }
    }

    fn end_faulty(&mut self, call: Option<CallKey>, now: Now) {
        let Some(call) = call else { return };
        let outcome = self.transact(now, Cause::By(CauseBy::Fault), self.nobody.clone(), |tx| {
            ending::end_faulty_call(tx, call);
            Ok(())
        });
        if let Ok(((), outbox)) = outcome {
            self.commit(outbox, now, None);
        }
    }

    fn note_peaks(&mut self, now: Instant) {
        self.gates.note(Scope::Instance, self.world.guards.calls(), now);
        for trunk in 0..self.gates.trunks() {
            let legs = self.world.guards.legs_of(trunk, None);
            self.gates.note(Scope::Trunk(trunk), legs, now);
        }
    }

    /// Microseconds of the engine's life.
    pub(super) fn mono_us(&self, now: Now) -> u64 {
        let mono = now.mono.saturating_duration_since(self.started);
        u64::try_from(mono.as_micros()).unwrap_or(u64::MAX)
    }

    fn call_of(&self, leg: LegKey) -> Option<CallKey> {
        self.world.legs.get(&leg).map(|leg| leg.call)
    }

    /// `hello` of an app whose last connection had gone.
    pub(super) fn controller_returned(&mut self, app: &Name, now: Now) {
        if self.world.lost_apps.contains(app) {
            self.by(CauseBy::Peer, now, |tx| controllers::returned(tx, app));
        }
    }

    /// A name for the events of one batch.
    pub(super) fn new_group(&mut self) -> Id {
        self.world.make.next("g").1
    }
}

/// Draws of the peers must not move those of ids and tags.
fn seed_of_peers(mut seed: [u8; 32]) -> [u8; 32] {
    if let Some(first) = seed.first_mut() {
        *first ^= 0x33;
    }
    seed
}

fn stopping(tx: &mut Tx) {
    tx.tell(About::default(), Event::GatewayStopping(Nothing {}));
    ending::end_all_for_stop(tx);
    waiting::refuse_all(tx);
}
