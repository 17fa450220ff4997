//! Everything that is true now, in the shapes clients see: `state.get` and the lists.

use sip::transport::target::Target;

use crate::control::protocol::{
    self, BridgeView, CallView, Concurrent, Direction, Failure, HoldMusic, Id, InstanceView, LegMedia,
    LegState, LegView, Limits, Name, OpState, OpView, PeerState, PeerView, PerSecond, PromptView,
    RecordingState, RecordingView, StateSnapshot, Tags, Timestamp, TrunkFailure, TrunkLimits, TrunkQuality,
    TrunkState, TrunkView,
};
use crate::engine::audio::media_plan;
use crate::engine::audio::reconcile;
use crate::engine::audio::recording::{Recording, RecordingStage};
use crate::engine::call::{Call, CallStage};
use crate::engine::keys::{CallKey, LegKey};
use crate::engine::leg::{Leg, Origin, Stage};
use crate::engine::metrics::Timing;
use crate::engine::op::{Op, PlayClock, Work};
use crate::engine::policy::admission::Way;
use crate::engine::policy::gates::Scope;
use crate::engine::tallying;
use crate::engine::trunks::peers::{Health, Peer, peer_text};
use crate::engine::trunks::switched;
use crate::engine::tx::Tx;

/// `state.get`.
pub fn state(tx: &mut Tx, scope: Option<&protocol::Scope>, seq: u64) -> Result<StateSnapshot, Failure> {
    let wanted = Wanted::of(tx, scope)?;
    let calls = tx
        .world
        .calls
        .iter()
        .filter(|(_, call)| wanted.has(call))
        .map(|(_, call)| call_view(tx, call));
    let calls: Vec<CallView> = calls.collect();
    let in_scope = |call: &CallKey| tx.world.calls.get(call).is_some_and(|call| wanted.has(call));
    let legs = tx
        .world
        .legs
        .iter()
        .filter(|(_, leg)| in_scope(&leg.call))
        .map(|(_, leg)| leg_view(tx, leg))
        .collect();
    let bridges = tx
        .world
        .bridges
        .iter()
        .filter(|(_, bridge)| bridge.call.as_ref().map_or(wanted.is_everything(), in_scope));
    let bridges = bridges.map(|(_, bridge)| BridgeView {
        bridge: bridge.id.clone(),
        call: bridge
            .call
            .and_then(|call| tx.world.calls.get(&call))
            .map(|call| call.id.clone()),
        legs: ids(tx, &bridge.legs),
        mode: bridge.mode,
        max_legs: bridge.legs_max,
        hears: reconcile::view(tx, &bridge.told),
    });
    let bridges = bridges.collect();
    let ops = tx
        .world
        .ops
        .iter()
        .filter(|(_, op)| in_scope(&op.call))
        .map(|(_, op)| op_view(tx, op))
        .collect();
    let recordings = tx.world.recordings.iter().filter(|(_, row)| in_scope(&row.call));
    let recordings = recordings.map(|(_, row)| recording_view(tx, row)).collect();
    let trunks = trunks(tx);
    let limits = limits(tx);
    let instance = InstanceView {
        instance: tx.setup.instance.clone(),
        calls: limits.calls,
        calls_per_second: limits.calls_per_second,
        draining: tx.gates.is_draining(),
    };
    Ok(StateSnapshot {
        epoch: tx.setup.epoch.clone(),
        seq,
        instances: vec![instance],
        trunks,
        calls,
        legs,
        bridges,
        ops,
        recordings,
        limits,
    })
}

/// Which calls a scoped snapshot shows.
struct Wanted {
    app: Option<Name>,
    call: Option<CallKey>,
}

impl Wanted {
    fn of(tx: &Tx, scope: Option<&protocol::Scope>) -> Result<Self, Failure> {
        let Some(scope) = scope else {
            return Ok(Wanted {
                app: None,
                call: None,
            });
        };
        let call = match &scope.call {
            Some(id) => match tx.named(id) {
                Some(crate::engine::keys::Named::Call(call)) => Some(call),
                Some(_) | None => return Err(Failure::not_found("call", id.as_str())),
            },
            None => None,
        };
        Ok(Wanted {
            app: scope.app.clone(),
            call,
        })
    }

    fn is_everything(&self) -> bool {
        self.app.is_none() && self.call.is_none()
    }

    fn has(&self, call: &Call) -> bool {
        self.app.as_ref().is_none_or(|app| *app == call.app) && self.call.is_none_or(|key| key == call.key)
    }
}

fn ids(tx: &Tx, legs: &[LegKey]) -> Vec<Id> {
    legs.iter()
        .filter_map(|leg| tx.world.legs.get(leg))
        .map(|leg| leg.id.clone())
        .collect()
}

fn call_view(tx: &Tx, call: &Call) -> CallView {
    let bridges = call
        .bridges
        .iter()
        .filter_map(|key| tx.world.bridges.get(key))
        .map(|row| row.id.clone());
    let recordings = call
        .recordings
        .iter()
        .filter_map(|key| tx.world.recordings.get(key))
        .map(|row| row.id.clone());
    CallView {
        call: call.id.clone(),
        instance: tx.setup.instance.clone(),
        app: call.app.clone(),
        direction: call.direction,
        started: Timestamp(call.started.wall_us),
        ended: call.is_closing(),
        claimed: !matches!(call.stage, CallStage::Unclaimed { .. }),
        legs: ids(tx, &call.legs),
        bridges: bridges.collect(),
        recordings: recordings.collect(),
        tags: Tags(call.tags.clone()),
    }
}

fn leg_view(tx: &Tx, leg: &Leg) -> LegView {
    let name_of = |index| Name::from(tx.setup.trunk(index).map_or("", |trunk| trunk.name.as_str()));
    let call = tx
        .world
        .calls
        .get(&leg.call)
        .map_or_else(|| leg.id.clone(), |call| call.id.clone());
    let music = leg.hold.as_ref().map(|hold| match &hold.music {
        Some(class) => HoldMusic::Class(Name::from(class.as_str())),
        None => HoldMusic::Silence,
    });
    let recorded =
        tx.world.recordings.iter().any(|(_, row)| {
            row.is_open() && row.tracks.get(&leg.key).is_some_and(|track| track.gate.is_some())
        });
    LegView {
        leg: leg.id.clone(),
        call,
        instance: tx.setup.instance.clone(),
        app: leg.app.clone(),
        trunk: name_of(leg.trunk),
        direction: match leg.origin {
            Origin::In(_) => Direction::In,
            Origin::Out(_) => Direction::Out,
        },
        state: state_of(leg),
        from: leg.from.clone(),
        to: leg.to.clone(),
        bridge: leg
            .bridge
            .and_then(|key| tx.world.bridges.get(&key))
            .map(|bridge| bridge.id.clone()),
        held: leg.hold.is_some(),
        music,
        far_held: leg.far_held,
        muted_send: leg.muted_send,
        muted_recv: leg.muted_recv,
        playing: reconcile::is_playing(tx, leg.key),
        collecting: leg.collect.is_some(),
        recording: recorded,
        secure: leg.media.plan.is_secure(),
        media: LegMedia {
            rx: leg.media.rx,
            tx: leg.media.tx,
        },
        codec: leg
            .media
            .plan
            .agreed
            .as_ref()
            .map(|negotiated| media_plan::codec_name(negotiated.codec)),
        tags: Tags(leg.tags.clone()),
    }
}

/// The state's word: an inbound leg whose 200 waits for its ACK is not answered yet.
fn state_of(leg: &Leg) -> LegState {
    match (&leg.origin, leg.stage) {
        (Origin::In(_), Stage::Trying) => LegState::Incoming,
        (Origin::In(_), Stage::Answering) if leg.times.ringing.is_none() => LegState::Incoming,
        (Origin::Out(_), Stage::Trying) => LegState::Dialing,
        (_, Stage::Ringing | Stage::Answering) => LegState::Ringing,
        (_, Stage::Answered) => LegState::Answered,
        (_, Stage::Ended { .. }) => LegState::Ended,
    }
}

fn op_view(tx: &Tx, op: &Op) -> OpView {
    let paused = matches!(&op.work, Work::Play(play) if matches!(play.clock, PlayClock::Paused { .. }));
    OpView {
        op: op.id.clone(),
        kind: op.work.kind(),
        state: if paused { OpState::Paused } else { OpState::Running },
        leg: op
            .leg
            .and_then(|leg| tx.world.legs.get(&leg))
            .map(|leg| leg.id.clone()),
        bridge: op
            .bridge()
            .and_then(|bridge| tx.world.bridges.get(&bridge))
            .map(|bridge| bridge.id.clone()),
    }
}

/// One recording.
pub fn recording_view(tx: &Tx, row: &Recording) -> RecordingView {
    let call = tx
        .world
        .calls
        .get(&row.call)
        .map_or_else(|| row.id.clone(), |call| call.id.clone());
    let legs: Vec<LegKey> = row.tracks.keys().copied().collect();
    let mut view = RecordingView {
        recording: row.id.clone(),
        call,
        target: row.target_id.clone(),
        state: RecordingState::Recording,
        path: row.path.clone(),
        started: Timestamp(row.started.wall_us),
        channels: ids(tx, &legs),
        uri: None,
        sha256: None,
        duration_ms: None,
    };
    match &row.stage {
        RecordingStage::Running => {}
        RecordingStage::Paused { .. } => view.state = RecordingState::Paused,
        RecordingStage::Stopping => view.state = RecordingState::Stopping,
        RecordingStage::Failed => view.state = RecordingState::Failed,
        RecordingStage::Stored {
            uri,
            sha256,
            channels,
            duration_ms,
        } => {
            view.state = RecordingState::Stored;
            view.channels = channels.iter().filter_map(|leg| Id::new(leg).ok()).collect();
            view.uri = Some(uri.clone());
            view.sha256 = Some(sha256.clone());
            view.duration_ms = Some(*duration_ms);
        }
    }
    view
}

/// `limits.get`.
pub fn limits(tx: &mut Tx) -> Limits {
    let calls = tx.world.guards.calls();
    let (calls, calls_per_second) = gate(tx, Scope::Instance, calls);
    let mut trunks = std::collections::BTreeMap::new();
    for index in 0..tx.gates.trunks() {
        let Some(name) = tx.setup.trunk(index).map(|trunk| Name::from(trunk.name.as_str())) else {
            continue;
        };
        let legs = tx.world.guards.legs_of(index, None);
        let (calls, calls_per_second) = gate(tx, Scope::Trunk(index), legs);
        trunks.insert(
            name,
            TrunkLimits {
                calls,
                calls_per_second,
            },
        );
    }
    Limits {
        calls,
        calls_per_second,
        trunks,
    }
}

fn gate(tx: &mut Tx, scope: Scope, active: usize) -> (Concurrent, PerSecond) {
    let now = tx.now.mono;
    let count = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    let calls = Concurrent {
        limit: tx.gates.calls_max(scope),
        active: count(active),
        peak: count(tx.gates.peak(scope, active, now)),
    };
    let rate = f64::from(count(tx.gates.rate(scope, now)));
    (
        calls,
        PerSecond {
            limit: tx.gates.calls_per_second(scope),
            rate,
        },
    )
}

/// `trunk.list`.
pub fn trunks(tx: &mut Tx) -> Vec<TrunkView> {
    let mut views = Vec::new();
    for index in 0..tx.gates.trunks() {
        let legs = tx.world.guards.legs_of(index, None);
        let (calls, calls_per_second) = gate(tx, Scope::Trunk(index), legs);
        let Some(trunk) = tx.setup.trunk(index) else {
            continue;
        };
        let disabled = switched::is_off(tx, index);
        let is_down = disabled || tx.peers.down_why(index).is_some();
        let (name, agents) = (Name::from(trunk.name.as_str()), trunk.agents);
        let registered = tx.registrations.is_registered(index);
        let phones = tx.registrations.users(index);
        views.push(TrunkView {
            trunk: name,
            state: match is_down || registered == Some(false) {
                true => TrunkState::Down,
                false => TrunkState::Up,
            },
            disabled,
            agents,
            registered,
            phones: trunk.accept_register.as_ref().map(|_| phones),
            calls,
            calls_per_second,
            peers: peers(tx, index),
            quality: quality(tx, index),
            last_failure: last_failure(tx, index),
        });
    }
    views
}

fn peers(tx: &Tx, index: usize) -> Vec<PeerView> {
    let now = tx.now.mono;
    let view = |(target, peer): (&Target, &Peer)| {
        let rest = peer.rests_until.map(|until| until.saturating_duration_since(now));
        let rest = rest.filter(|rest| !rest.is_zero());
        let (state, why) = match (peer.health, rest) {
            (Health::Down { why, .. }, _) => (PeerState::Down, Some(why)),
            (Health::Up { .. }, Some(_)) => (PeerState::Resting, Some("retry_after")),
            (Health::Up { .. }, None) => (PeerState::Up, None),
        };
        PeerView {
            peer: peer_text(*target),
            state,
            why: why.map(str::to_owned),
            rests_ms: rest.and_then(|rest| u64::try_from(rest.as_millis()).ok()),
        }
    };
    tx.peers.of(index).map(view).collect()
}

/// The same numbers as on the metrics page.
fn quality(tx: &Tx, index: usize) -> TrunkQuality {
    let Some(tally) = tx.metrics.tally(tallying::place(tx.setup, index, Way::Out)) else {
        return TrunkQuality::default();
    };
    let share = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
    let mean_ms = |timing: &Timing| {
        let sum = u64::try_from(timing.sum().as_millis()).unwrap_or(u64::MAX);
        sum.checked_div(timing.count()).unwrap_or(0)
    };
    let codecs = tally
        .codecs
        .iter()
        .filter_map(|(codec, count)| Some(((*codec).to_owned(), share(*count, tally.answered)?)));
    TrunkQuality {
        seizures: tally.seized,
        answered: tally.answered,
        effective: tally.effective,
        asr: share(tally.answered, tally.seized),
        ner: share(tally.effective, tally.seized),
        post_dial_delay_ms: mean_ms(&tally.post_dial_delay),
        setup_ms: mean_ms(&tally.setup),
        codecs: codecs.collect(),
    }
}

fn last_failure(tx: &Tx, index: usize) -> Option<TrunkFailure> {
    let failure = tx.peers.trunk(index)?.last_failure.as_ref()?;
    Some(TrunkFailure {
        peer: failure.peer.clone(),
        at: Timestamp(failure.wall_us),
        sip: failure.status,
        q850: failure.q850.into(),
    })
}

/// `prompt.list`.
pub fn prompts(tx: &Tx) -> Vec<PromptView> {
    let prompts = tx.sounds.prompts.sounds.iter();
    prompts
        .map(|(name, sound)| PromptView {
            prompt: Name::from(name.as_str()),
            duration_ms: sound.len_ms(),
        })
        .collect()
}
