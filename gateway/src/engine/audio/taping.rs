//! Recordings: started, paused, followed from leg to leg, stopped and stored.
//!
//! Which legs are on tape and whether their gate is open follows from the rows (`refresh`), so hold,
//! mute and late joiners need no word here. Samples and files are others' business.

use std::collections::BTreeSet;

use media::{Change, TrackGate};

use super::recording::{Recording, RecordingStage, Target, Track};
use crate::control::protocol::{
    Cause, CauseBy, Event, Failure, Id, RecordFailed, RecordInclude, RecordPausing, RecordStart,
    RecordStarted, RecordStopped, RecordStored,
};
use crate::engine::bridge::Bridge;
use crate::engine::calls::ending::finish_if_ready;
use crate::engine::io::{RecorderCommand, RecorderEvent};
use crate::engine::keys::{BridgeKey, CallKey, LegKey, Named, RecordingKey};
use crate::engine::leg::{Leg, Stage};
use crate::engine::tx::Tx;

/// `record.start`.
pub fn start(tx: &mut Tx, params: &RecordStart) -> Result<(RecordingKey, Id), Failure> {
    let (target, call) = target(tx, &params.target)?;
    let include = |word| params.include.contains(&word);
    let spec = Spec {
        muted: include(RecordInclude::Muted),
        held: include(RecordInclude::Held),
        max_ms: params.max_ms.map(|max| max.get()),
    };
    begin(tx, params.id.as_ref(), target, call, &params.target, spec)
}

/// What a recording takes beyond its target.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spec {
    /// Also what a muted party says.
    pub muted: bool,
    /// Also what a held party says.
    pub held: bool,
    /// Longest, milliseconds.
    pub max_ms: Option<u32>,
}

/// Starts a recording of this target.
pub fn begin(
    tx: &mut Tx,
    id: Option<&Id>,
    target: Target,
    call: CallKey,
    target_id: &Id,
    spec: Spec,
) -> Result<(RecordingKey, Id), Failure> {
    if let Some(why) = tx.gates.disk_fault() {
        let dir = tx.setup.config.recordings.dir.display();
        let message = format!("recordings.dir {dir} cannot be written to: {why}");
        return Err(Failure::storage_unavailable(message));
    }
    let min_free = tx.setup.config.recordings.min_free_mb;
    match tx.gates.free_mb() {
        Some(free) if free < min_free => return Err(Failure::disk_low(free, min_free)),
        Some(_) | None => {}
    }
    let (number, id) = tx.name(id, "r")?;
    let key = RecordingKey(number);
    let path = tx.setup.recording_path(id.as_str(), tx.now.wall_us);
    let row = Recording {
        key,
        id: id.clone(),
        call,
        target,
        target_id: target_id.clone(),
        tracks: Default::default(),
        include_muted: spec.muted,
        include_held: spec.held,
        started: tx.now,
        stage: RecordingStage::Running,
        pauses: Vec::new(),
        max_at: spec
            .max_ms
            .map(|max| tx.now.mono + std::time::Duration::from_millis(max.into())),
        path: path.clone(),
    };
    tx.world.names.insert(id.clone(), Named::Recording(key));
    tx.world.recordings.insert(key, row);
    let row = tx.call_mut(call)?;
    row.recordings.push(key);
    let call_id = row.id.as_str().to_owned();
    let command = RecorderCommand::Start {
        recording: id.as_str().to_owned(),
        call: call_id,
        wall_us: tx.now.wall_us,
    };
    tx.out.recorder.push(command);
    tx.tell_recording(
        key,
        Event::RecordStarted(RecordStarted {
            target: target_id.clone(),
            path,
        }),
    );
    tx.renew_ledger(call);
    Ok((key, id))
}

fn target(tx: &Tx, id: &Id) -> Result<(Target, CallKey), Failure> {
    let ended = |what| Failure::already_ended(what, id.as_str());
    match tx.named(id) {
        Some(Named::Call(call)) => match tx.world.calls.get(&call) {
            Some(row) if !row.is_closing() => Ok((Target::Call(call), call)),
            Some(_) | None => Err(ended("call")),
        },
        Some(Named::Bridge(bridge)) => {
            let row = tx.world.bridges.get(&bridge).ok_or_else(|| ended("bridge"))?;
            let call = row
                .call
                .ok_or_else(|| Failure::invalid_state("no leg has joined the bridge yet"))?;
            Ok((Target::Bridge(bridge), call))
        }
        Some(Named::Leg(leg)) => match tx.world.legs.get(&leg) {
            Some(row) if !row.is_ended() => Ok((Target::Leg(leg), row.call)),
            Some(_) | None => Err(ended("leg")),
        },
        Some(Named::Op(_) | Named::Recording(_)) | None => Err(Failure::not_found("target", id.as_str())),
    }
}

/// The recording of that id.
pub fn find(tx: &Tx, id: &Id) -> Result<RecordingKey, Failure> {
    match tx.named(id) {
        Some(Named::Recording(key)) => Ok(key),
        Some(_) | None => Err(Failure::not_found("recording", id.as_str())),
    }
}

/// `record.pause`: silence from now on.
pub fn pause(tx: &mut Tx, key: RecordingKey, reason: Option<String>) -> Result<(), Failure> {
    let now = tx.now.mono;
    let row = open(tx, key)?;
    if matches!(row.stage, RecordingStage::Paused { .. }) {
        return Ok(());
    }
    row.stage = RecordingStage::Paused { since: now };
    tx.tell_recording(key, Event::RecordPaused(RecordPausing { reason }));
    Ok(())
}

/// `record.resume`.
pub fn resume(tx: &mut Tx, key: RecordingKey, reason: Option<String>) -> Result<(), Failure> {
    let now = tx.now.mono;
    let row = open(tx, key)?;
    if !close_pause(row, now) {
        return Ok(());
    }
    row.stage = RecordingStage::Running;
    tx.tell_recording(key, Event::RecordResumed(RecordPausing { reason }));
    Ok(())
}

fn open<'a>(tx: &'a mut Tx, key: RecordingKey) -> Result<&'a mut Recording, Failure> {
    let row = tx.recording_mut(key)?;
    if row.is_open() {
        Ok(row)
    } else {
        Err(Failure::already_ended("recording", row.id.as_str()))
    }
}

/// Notes the span that a pause covered; false: it was not paused.
fn close_pause(row: &mut Recording, now: std::time::Instant) -> bool {
    let RecordingStage::Paused { since } = row.stage else {
        return false;
    };
    let span = (row.position_ms(since), row.position_ms(now));
    row.pauses.push(span);
    true
}

/// `record.stop`; false: it had stopped already.
pub fn stop(tx: &mut Tx, key: RecordingKey, reason: Option<String>) -> bool {
    let now = tx.now.mono;
    let Ok(row) = open(tx, key) else { return false };
    close_pause(row, now);
    row.stage = RecordingStage::Stopping;
    let duration_ms = row.position_ms(now);
    let (id, pauses, legs) = (
        row.id.clone(),
        row.pauses.clone(),
        row.tracks.keys().copied().collect::<Vec<_>>(),
    );
    for leg in legs {
        end_track(tx, key, leg);
    }
    tx.out.recorder.push(RecorderCommand::Stop {
        recording: id.as_str().to_owned(),
        pauses,
    });
    tx.tell_recording(key, Event::RecordStopped(RecordStopped { duration_ms, reason }));
    true
}

fn end_track(tx: &mut Tx, key: RecordingKey, leg: LegKey) {
    let Some(track) = tx
        .world
        .recordings
        .get_mut(&key)
        .and_then(|row| row.tracks.get_mut(&leg))
    else {
        return;
    };
    if track.gate.take().is_some() {
        let track = track.key;
        tx.media_of(leg, Change::StopTrack { track });
    }
}

/// A leg has ended: its tracks too, and a recording of it alone.
pub fn leg_ended(tx: &mut Tx, leg: LegKey) {
    for key in tx.world.recordings.keys() {
        end_track(tx, key, leg);
        let of_leg = tx
            .world
            .recordings
            .get(&key)
            .is_some_and(|row| row.target == Target::Leg(leg));
        if of_leg {
            stop(tx, key, None);
        }
    }
}

/// A bridge has gone: so has what was recorded of it as such.
pub fn bridge_fell(tx: &mut Tx, bridge: BridgeKey) {
    for key in tx.world.recordings.keys() {
        if tx
            .world
            .recordings
            .get(&key)
            .is_some_and(|row| row.target == Target::Bridge(bridge))
        {
            stop(tx, key, None);
        }
    }
}

/// A call has no leg any more.
pub fn stop_all_of(tx: &mut Tx, call: CallKey) {
    let recordings = tx
        .world
        .calls
        .get(&call)
        .map(|row| row.recordings.clone())
        .unwrap_or_default();
    for key in recordings {
        stop(tx, key, None);
    }
}

/// Storage has answered for every recording of the call.
pub fn all_settled(tx: &Tx, call: CallKey) -> bool {
    let Some(row) = tx.world.calls.get(&call) else {
        return true;
    };
    row.recordings
        .iter()
        .filter_map(|key| tx.world.recordings.get(key))
        .all(|row| match row.stage {
            RecordingStage::Stored { .. } | RecordingStage::Failed => true,
            RecordingStage::Running | RecordingStage::Paused { .. } | RecordingStage::Stopping => false,
        })
}

/// The call's record is out: its recordings' names are free.
pub fn forget(tx: &mut Tx, key: RecordingKey) {
    let Some(row) = tx.world.recordings.remove(key) else {
        return;
    };
    tx.world.names.remove(row.id);
}

/// The writer reports.
pub fn handle(tx: &mut Tx, event: RecorderEvent) {
    let (id, stage) = match event {
        RecorderEvent::Stored {
            recording,
            uri,
            sha256,
            channels,
            duration_ms,
        } => (
            recording,
            RecordingStage::Stored {
                uri,
                sha256,
                channels,
                duration_ms,
            },
        ),
        RecorderEvent::Failed { recording, why } => {
            tx.out
                .log
                .push((true, format!("recording {recording} could not be kept: {why}")));
            (recording, RecordingStage::Failed)
        }
    };
    let named = Id::new(&id).ok().and_then(|id| tx.named(&id));
    let Some(Named::Recording(key)) = named else {
        return;
    };
    let was_open = tx.world.recordings.get(&key).is_some_and(Recording::is_open);
    if was_open {
        stop(tx, key, Some("storage failed".into()));
    }
    let Some(row) = tx.world.recordings.get_mut(&key) else {
        return;
    };
    row.stage = stage.clone();
    let call = row.call;
    let event = match stage {
        RecordingStage::Stored {
            uri,
            sha256,
            channels,
            duration_ms,
        } => {
            let channels = channels.iter().filter_map(|leg| Id::new(leg).ok()).collect();
            Event::RecordStored(RecordStored {
                uri,
                sha256,
                channels,
                duration_ms,
            })
        }
        RecordingStage::Failed => {
            let why = "storage failed".into();
            Event::RecordFailed(RecordFailed { why })
        }
        RecordingStage::Running | RecordingStage::Paused { .. } | RecordingStage::Stopping => return,
    };
    tx.tell_recording(key, event);
    tx.renew_ledger(call);
    finish_if_ready(tx, call);
}

/// The longest length was reached.
pub fn ran_full(tx: &mut Tx, key: RecordingKey) {
    tx.because(Cause::By(CauseBy::Timer), |tx| {
        stop(tx, key, Some("max_ms".into()))
    });
}

/// A leg whose digits must not pass because a recording of it is paused.
pub fn is_paused_for(tx: &Tx, leg: &Leg) -> bool {
    let mut paused = tx
        .world
        .recordings
        .iter()
        .filter(|(_, row)| matches!(row.stage, RecordingStage::Paused { .. }));
    is_recordable(leg) && paused.any(|(_, row)| row.covers(leg, |bridge| bridge_of(tx, bridge)))
}

/// Legs whose digits may pass or not by a recording that changed.
pub fn touched_parties(tx: &Tx) -> Vec<LegKey> {
    let touched = tx.world.recordings.touched();
    let rows = touched.filter_map(|key| tx.world.recordings.get(key));
    rows.flat_map(|row| candidates(tx, row)).collect()
}

/// Puts legs on tape that belong there, takes off those that do not, sets every gate.
pub fn refresh(tx: &mut Tx) {
    let open: Vec<RecordingKey> = tx
        .world
        .recordings
        .iter()
        .filter(|(_, row)| row.is_open())
        .map(|(key, _)| key)
        .collect();
    for key in open {
        refresh_one(tx, key);
    }
}

fn refresh_one(tx: &mut Tx, key: RecordingKey) {
    let Some(row) = tx.world.recordings.get(&key) else {
        return;
    };
    let candidates: BTreeSet<LegKey> = candidates(tx, row)
        .into_iter()
        .chain(row.tracks.keys().copied())
        .collect();
    for leg in candidates {
        let Some(row) = tx.world.recordings.get(&key) else {
            return;
        };
        let Some(party) = tx.world.legs.get(&leg) else {
            continue;
        };
        let belongs = is_recordable(party) && row.covers(party, |bridge| bridge_of(tx, bridge));
        let wanted = belongs.then(|| row.gate(party));
        let track = row.tracks.get(&leg).copied();
        match (track, wanted) {
            (None, Some(gate)) => start_track(tx, key, leg, gate),
            (
                Some(Track {
                    key: track,
                    gate: Some(now),
                }),
                Some(gate),
            ) if now != gate => {
                tx.media_of(leg, Change::GateTrack { track, gate });
                set_track(
                    tx,
                    key,
                    leg,
                    Track {
                        key: track,
                        gate: Some(gate),
                    },
                );
            }
            (Some(Track { gate: None, .. }), Some(gate)) => start_track(tx, key, leg, gate),
            (Some(Track { gate: Some(_), .. }), None) => end_track(tx, key, leg),
            (Some(_), Some(_)) | (Some(Track { gate: None, .. }), None) | (None, None) => {}
        }
    }
}

fn candidates(tx: &Tx, row: &Recording) -> Vec<LegKey> {
    match row.target {
        Target::Call(call) => tx
            .world
            .calls
            .get(&call)
            .map(|call| call.legs.clone())
            .unwrap_or_default(),
        Target::Bridge(bridge) => tx
            .world
            .bridges
            .get(&bridge)
            .map(|bridge| bridge.legs.clone())
            .unwrap_or_default(),
        Target::Leg(leg) => vec![leg],
    }
}

fn bridge_of(tx: &Tx, key: BridgeKey) -> Option<Bridge> {
    tx.world.bridges.get(&key).cloned()
}

fn is_recordable(leg: &Leg) -> bool {
    leg.stage == Stage::Answered && leg.media.local.is_some()
}

fn start_track(tx: &mut Tx, key: RecordingKey, leg: LegKey, gate: TrackGate) {
    let track = tx.world.make.track();
    let Some(recording) = tx
        .world
        .recordings
        .get(&key)
        .map(|row| row.id.as_str().to_owned())
    else {
        return;
    };
    let Some(leg_id) = tx.world.legs.get(&leg).map(|leg| leg.id.as_str().to_owned()) else {
        return;
    };
    tx.out.recorder.push(RecorderCommand::Track {
        recording,
        track,
        leg: leg_id,
    });
    tx.media_of(
        leg,
        Change::StartTrack {
            track,
            stream: leg.stream(),
            gate,
        },
    );
    set_track(
        tx,
        key,
        leg,
        Track {
            key: track,
            gate: Some(gate),
        },
    );
}

fn set_track(tx: &mut Tx, key: RecordingKey, leg: LegKey, track: Track) {
    if let Some(row) = tx.world.recordings.get_mut(&key) {
        row.tracks.insert(leg, track);
    }
}
