//! The one record of a call, made from its rows when it is over, or when it was refused.
//!
//! Also the ledger lines that stand in for it should the process die first.

use std::time::Duration;

use crate::control::protocol::{
    Attempt, CallRecord, Direction, Event, Id, Name, Party, RecordBridge, RecordLeg, RecordRecording,
    Refusal, Tags, Timestamp, WrittenRecord,
};
use crate::engine::audio::media_plan;
use crate::engine::audio::recording::{Recording, RecordingStage};
use crate::engine::bridge::PastBridge;
use crate::engine::call::CallStage;
use crate::engine::io::Now;
use crate::engine::keys::CallKey;
use crate::engine::leg::{Leg, Origin, Stage};
use crate::engine::trunks::quality;
use crate::engine::tx::{About, Tx};

/// Durations of a leg, milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spans {
    /// From offered to answered or ended.
    pub ring_ms: u64,
    /// From answered to ended.
    pub talk_ms: u64,
    /// On hold, all together.
    pub hold_ms: u64,
    /// The longest hold.
    pub longest_hold_ms: u64,
}

/// Durations of a leg so far, computed from its times.
pub fn spans(leg: &Leg, now: Now) -> Spans {
    let end = leg.times.ended.unwrap_or(now);
    let between = |from: Now, to: Now| to.mono.saturating_duration_since(from.mono);
    let answered = leg.times.answered;
    let (hold, longest) = leg.hold_time(end.mono);
    Spans {
        ring_ms: millis(between(leg.times.offered, answered.unwrap_or(end))),
        talk_ms: answered.map_or(0, |answered| millis(between(answered, end))),
        hold_ms: millis(hold),
        longest_hold_ms: millis(longest),
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// The record of a call as its rows stand now.
pub fn of_call(tx: &Tx, key: CallKey) -> Option<CallRecord> {
    let call = tx.world.calls.get(&key)?;
    let ended = match call.stage {
        CallStage::Closing { ended, .. } => Some(Timestamp(ended.wall_us)),
        CallStage::Unclaimed { .. } | CallStage::Live => None,
    };
    let legs = call.legs.iter().filter_map(|leg| tx.world.legs.get(leg));
    let recordings = call
        .recordings
        .iter()
        .filter_map(|key| tx.world.recordings.get(key));
    Some(CallRecord {
        call: call.id.clone(),
        instance: tx.setup.instance.clone(),
        app: Some(call.app.clone()),
        direction: call.direction,
        from: call.from.clone(),
        to: call.to.clone(),
        started: Timestamp(call.started.wall_us),
        answered: call.answered.map(|at| Timestamp(at.wall_us)),
        ended,
        refused: None,
        lost: false,
        legs: legs.map(|leg| record_leg(tx, leg)).collect(),
        bridges: call.bridge_log.iter().map(record_bridge).collect(),
        recordings: recordings.map(record_recording).collect(),
        tags: Tags(call.tags.clone()),
    })
}

fn record_leg(tx: &Tx, leg: &Leg) -> RecordLeg {
    let spans = spans(leg, tx.now);
    let time = |at: Option<Now>| at.map(|at| Timestamp(at.wall_us));
    let (by, reason, sip, q850) = match leg.stage {
        Stage::Ended {
            by,
            reason,
            sip,
            q850,
        } => (Some(by), Some(reason), sip, q850),
        Stage::Trying | Stage::Ringing | Stage::Answering | Stage::Answered => (None, None, None, None),
    };
    let attempts = leg.attempts.iter().map(|attempt| Attempt {
        peer: attempt.peer.clone(),
        status: attempt.status,
        q850: attempt.q850.map(u16::from),
    });
    RecordLeg {
        leg: leg.id.clone(),
        direction: match leg.origin {
            Origin::In(_) => Direction::In,
            Origin::Out(_) => Direction::Out,
        },
        trunk: Name::from(tx.setup.trunk(leg.trunk).map_or("", |trunk| trunk.name.as_str())),
        from: leg.from.clone(),
        to: leg.to.clone(),
        t_offered: Timestamp(leg.times.offered.wall_us),
        t_ringing: time(leg.times.ringing),
        t_answered: time(leg.times.answered),
        t_ended: time(leg.times.ended),
        ring_ms: spans.ring_ms,
        talk_ms: spans.talk_ms,
        hold_ms: spans.hold_ms,
        holds: leg.hold_tally.count,
        longest_hold_ms: spans.longest_hold_ms,
        reason,
        by,
        sip,
        q850: q850.map(u16::from),
        codec: leg
            .media
            .plan
            .agreed
            .as_ref()
            .map(|negotiated| media_plan::codec_name(negotiated.codec)),
        secure: leg.media.plan.is_secure(),
        quality: leg
            .media
            .closed
            .as_deref()
            .filter(|_| leg.times.answered.is_some())
            .map(quality::of),
        attempts: attempts.collect(),
    }
}

fn record_bridge(past: &PastBridge) -> RecordBridge {
    RecordBridge {
        bridge: past.id.clone(),
        created: Timestamp(past.created.wall_us),
        destroyed: past.destroyed.map(|at| Timestamp(at.wall_us)),
        legs: past.legs.clone(),
    }
}

fn record_recording(row: &Recording) -> RecordRecording {
    let mut record = RecordRecording {
        recording: row.id.clone(),
        path: row.path.clone(),
        uri: None,
        sha256: None,
        channels: Vec::new(),
        duration_ms: None,
    };
    if let RecordingStage::Stored {
        uri,
        sha256,
        channels,
        duration_ms,
    } = &row.stage
    {
        record.uri = Some(uri.clone());
        record.sha256 = Some(sha256.clone());
        record.channels = channels.iter().filter_map(|leg| Id::new(leg).ok()).collect();
        record.duration_ms = Some(*duration_ms);
    }
    record
}

/// Tells and keeps the final record.
pub fn write(tx: &mut Tx, call: CallKey, record: CallRecord) {
    let about = tx.about_call(call);
    keep(tx, about, record);
}

/// The record of a call that never came to be.
pub fn write_refused(
    tx: &mut Tx,
    id: Id,
    (from, to): (Party, Party),
    direction: Direction,
    refusal: Refusal,
) {
    let now = Timestamp(tx.now.wall_us);
    let record = CallRecord {
        call: id.clone(),
        instance: tx.setup.instance.clone(),
        app: (direction == Direction::Out).then(|| tx.app.clone()),
        direction,
        from,
        to,
        started: now,
        answered: None,
        ended: Some(now),
        refused: Some(refusal),
        lost: false,
        legs: Vec::new(),
        bridges: Vec::new(),
        recordings: Vec::new(),
        tags: Tags::default(),
    };
    keep(tx, About::of_call(id), record);
}

fn keep(tx: &mut Tx, about: About, record: CallRecord) {
    // Plain data: it serialises. Written once, for the file and for the event.
    let Ok(written) = WrittenRecord::new(&record) else {
        return;
    };
    tx.out.records.push((record.call, written.line()));
    tx.tell(about, Event::CallRecord(written));
}
