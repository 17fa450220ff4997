//! Plays and digits towards legs, and the ends of ops.
//!
//! One `play.start` may reach several members of a bridge: it is one op, over when the last listener's
//! part is over.

use media::{Change, DtmfKey, PlayEnd, PlayKey, PlayLayer, Source, Tone};

use super::collecting;
use super::holding::living;
use super::keys::{BridgeKey, LegKey, Named, OpKey};
use super::leg::Leg;
use super::op::{Play, Work};
use super::reconcile::can_be_played_to;
use super::sounds;
use super::tx::Tx;
use crate::control::protocol::{
    self, BargeIn, DtmfMethod, Event, Failure, Id, LegSendDtmf, NamedTone, Nothing, OpEnded, OpOutcome,
    PlayEnded, PlayEndedWhy, PlayStart, Sources,
};

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
    /// The collect it is the prompt of.
    pub prompt_of: Option<OpKey>,
}

/// `play.start`.
pub fn start(tx: &mut Tx, params: &PlayStart) -> Result<Id, Failure> {
    let listeners = match tx.named(&params.target) {
        Some(Named::Leg(leg)) => {
            living(tx, leg)?;
            vec![leg]
        }
        Some(Named::Bridge(bridge)) => unheld_members(tx, bridge),
        Some(_) | None => return Err(Failure::not_found("target", params.target.as_str())),
    };
    let manner = Manner {
        repeat: params.repeat,
        gain_db: params.gain_db.0,
        over: params.mix_over,
        barge_in: params.barge_in == Some(BargeIn::Dtmf),
        prompt_of: None,
    };
    let sources = sources(tx, &params.sources, "params.sources")?;
    begin(tx, &listeners, sources, manner).map(|(_, id)| id)
}

fn unheld_members(tx: &Tx, bridge: BridgeKey) -> Vec<LegKey> {
    let members = tx
        .world
        .bridges
        .get(&bridge)
        .map(|bridge| bridge.legs.clone())
        .unwrap_or_default();
    let hears = |leg: &LegKey| {
        tx.world
            .legs
            .get(leg)
            .is_some_and(|leg| leg.hold.is_none() && can_be_played_to(leg))
    };
    members.into_iter().filter(hears).collect()
}

/// Starts one op that these legs hear.
pub fn begin(
    tx: &mut Tx,
    listeners: &[LegKey],
    sources: Vec<Source>,
    manner: Manner,
) -> Result<(OpKey, Id), Failure> {
    let Some(first) = listeners.first() else {
        return Err(Failure::invalid_state("nobody in the bridge can hear it"));
    };
    for leg in listeners {
        if !can_be_played_to(tx.leg(*leg)?) {
            return Err(Failure::invalid_state(
                "the leg is not answered; leg.progress 183 opens early media",
            ));
        }
    }
    let call = tx.leg(*first)?.call;
    let leg = (listeners.len() == 1).then_some(*first);
    let play = Play {
        barge_in: manner.barge_in,
        prompt_of: manner.prompt_of,
        ..Play::default()
    };
    let (op, id) = tx.start_op(call, leg, Work::Play(play))?;
    for listener in listeners {
        let key = tx.world.make.play();
        tx.world.plays.insert(key, op);
        if let Some(Work::Play(play)) = tx.world.ops.get_mut(&op).map(|op| &mut op.work) {
            play.running.insert(key, *listener);
        }
        let layer = if manner.over {
            PlayLayer::Over
        } else {
            PlayLayer::Replace
        };
        let change = Change::Play {
            play: key,
            listener: listener.stream(),
            sources: sources.clone(),
            repeat: manner.repeat,
            gain_db: manner.gain_db,
            layer,
        };
        tx.media_of(*listener, change);
    }
    Ok((op, id))
}

/// The pieces of a play as the shard takes them.
pub fn sources(tx: &Tx, sources: &Sources, path: &str) -> Result<Vec<Source>, Failure> {
    let mut pieces = Vec::with_capacity(sources.0.len());
    for (index, source) in sources.0.iter().enumerate() {
        match source {
            protocol::Source::Prompt(name) => {
                let prompt = tx.sounds.prompts.get(name.as_str());
                let prompt = prompt.ok_or_else(|| Failure::prompt_not_found(name.as_str()))?;
                pieces.push(Source::Sound(prompt.clone()));
            }
            protocol::Source::Music(class) => {
                let music = tx.sounds.music(class.as_str());
                let path = format!("{path}[{index}].music");
                let why = format!("there is no music class `{class}`");
                pieces.extend(music.ok_or_else(|| Failure::invalid_params(&path, why))?);
            }
            protocol::Source::SilenceMs(span) => pieces.push(Source::Silence(span.get())),
            protocol::Source::Tone(tone) => pieces.push(Source::Tone(self::tone(tone))),
        }
    }
    Ok(pieces)
}

fn tone(tone: &protocol::Tone) -> Tone {
    let named = |hz: (f32, f32), cadence_ms: &[u32], duration_ms| Tone {
        frequencies_hz: hz,
        level_dbov: -19.0,
        cadence_ms: cadence_ms.to_vec(),
        duration_ms,
    };
    match tone {
        protocol::Tone::Named(NamedTone::Ringback) => sounds::ringback(),
        protocol::Tone::Named(NamedTone::Busy) => named((480.0, 620.0), &[500, 500], None),
        protocol::Tone::Named(NamedTone::Beep) => named((1000.0, 0.0), &[], Some(250)),
        protocol::Tone::Named(NamedTone::Dial) => named((350.0, 440.0), &[], None),
        protocol::Tone::Custom(custom) => Tone {
            frequencies_hz: (
                custom.hz.first().copied().unwrap_or_default(),
                custom.hz.get(1).copied().unwrap_or_default(),
            ),
            level_dbov: custom.level_dbov,
            cadence_ms: custom.cadence_ms.iter().map(|span| span.get()).collect(),
            duration_ms: custom.duration_ms.map(|span| span.get()),
        },
    }
}

/// `play.stop`, `play.pause` and `play.resume` name an op of a play.
pub fn find(tx: &Tx, id: &Id) -> Result<OpKey, Failure> {
    let Some(Named::Op(op)) = tx.named(id) else {
        return Err(Failure::not_found("op", id.as_str()));
    };
    match tx.world.ops.get(&op).map(|op| &op.work) {
        Some(Work::Play(_)) => Ok(op),
        Some(_) => Err(Failure::invalid_state("the op is no play")),
        None => Err(Failure::already_ended("op", id.as_str())),
    }
}

/// `play.stop`: over at once; what the shard says later is its echo.
pub fn stop(tx: &mut Tx, op: OpKey) {
    end_play(tx, op, PlayEndedWhy::Stopped, None);
}

/// `play.pause` and `play.resume`.
pub fn pause(tx: &mut Tx, op: OpKey, paused: bool) {
    for (play, leg) in running(tx, op) {
        tx.media_of(leg, Change::PausePlay { play, paused });
    }
    if let Some(Work::Play(play)) = tx.world.ops.get_mut(&op).map(|op| &mut op.work) {
        play.paused = paused;
    }
}

fn running(tx: &Tx, op: OpKey) -> Vec<(PlayKey, LegKey)> {
    match tx.world.ops.get(&op).map(|op| &op.work) {
        Some(Work::Play(play)) => play.running.iter().map(|(play, leg)| (*play, *leg)).collect(),
        Some(_) | None => Vec::new(),
    }
}

/// The first frame is on the wire.
pub fn started(tx: &mut Tx, play: PlayKey) {
    let Some(op) = tx.world.plays.get(&play).copied() else {
        return;
    };
    let Some(Work::Play(row)) = tx.world.ops.get_mut(&op).map(|op| &mut op.work) else {
        return;
    };
    if !std::mem::replace(&mut row.started, true) {
        tx.tell_op(op, Event::PlayStarted(Nothing {}));
    }
}

/// One listener's part is over.
pub fn ended(tx: &mut Tx, play: PlayKey, why: PlayEnd, position_ms: u64) {
    let Some(op) = tx.world.plays.remove(play) else {
        return;
    };
    let Some(Work::Play(row)) = tx.world.ops.get_mut(&op).map(|op| &mut op.work) else {
        return;
    };
    row.running.remove(&play);
    if !row.running.is_empty() {
        return;
    }
    let why = match why {
        PlayEnd::Completed => PlayEndedWhy::Completed,
        PlayEnd::Stopped => PlayEndedWhy::Stopped,
        PlayEnd::ListenerClosed => PlayEndedWhy::LegEnded,
    };
    end_play(tx, op, why, Some(position_ms));
}

/// Ends a play: what still runs is stopped, the event and the op's end are told.
pub fn end_play(tx: &mut Tx, op: OpKey, why: PlayEndedWhy, position_ms: Option<u64>) {
    for (play, leg) in running(tx, op) {
        tx.media_of(leg, Change::StopPlay { play });
        tx.world.plays.remove(play);
    }
    let Some(row) = tx.world.ops.get(&op) else { return };
    let Work::Play(play) = &row.work else { return };
    let prompt_of = play.prompt_of;
    let position_ms = position_ms.unwrap_or_else(|| {
        let played = tx.now.mono.saturating_duration_since(row.since);
        u64::try_from(played.as_millis()).unwrap_or(u64::MAX)
    });
    tx.tell_op(op, Event::PlayEnded(PlayEnded { why, position_ms }));
    let outcome = match why {
        PlayEndedWhy::Completed | PlayEndedWhy::BargeIn => OpOutcome::Ok,
        PlayEndedWhy::Stopped | PlayEndedWhy::LegEnded => OpOutcome::Cancelled,
        PlayEndedWhy::Failed => OpOutcome::Failed,
    };
    end_op(tx, op, outcome);
    if let Some(collect) = prompt_of {
        collecting::prompt_ended(tx, collect);
    }
}

/// A digit of this leg cuts short the plays that allow it.
pub fn barge_in(tx: &mut Tx, leg: LegKey) {
    let ops = tx.world.ops.iter().filter(|(_, op)| match &op.work {
        Work::Play(play) => play.barge_in && play.running.values().any(|listener| *listener == leg),
        Work::Dial | Work::Reinvite | Work::Collect(_) | Work::SendDtmf(_) => false,
    });
    let ops: Vec<OpKey> = ops.map(|(key, _)| key).collect();
    for op in ops {
        end_play(tx, op, PlayEndedWhy::BargeIn, None);
    }
}

/// A leg that ended, or left: its part of plays that others hear too is over.
pub fn listener_left(tx: &mut Tx, leg: LegKey) {
    let parts: Vec<PlayKey> = tx
        .world
        .ops
        .iter()
        .flat_map(|(_, op)| parts_of(&op.work, leg))
        .collect();
    for play in parts {
        tx.media_of(leg, Change::StopPlay { play });
        ended(tx, play, PlayEnd::ListenerClosed, 0);
    }
}

/// A leg that left its bridge no longer hears what the bridge plays.
pub fn left_bridge(tx: &mut Tx, _bridge: BridgeKey, leg: LegKey) {
    let shared = tx.world.ops.iter().filter(|(_, op)| op.leg.is_none());
    let parts: Vec<PlayKey> = shared.flat_map(|(_, op)| parts_of(&op.work, leg)).collect();
    for play in parts {
        tx.media_of(leg, Change::StopPlay { play });
        ended(tx, play, PlayEnd::ListenerClosed, 0);
    }
}

fn parts_of(work: &Work, leg: LegKey) -> Vec<PlayKey> {
    match work {
        Work::Play(play) => play
            .running
            .iter()
            .filter(|(_, l)| **l == leg)
            .map(|(play, _)| *play)
            .collect(),
        Work::Dial | Work::Reinvite | Work::Collect(_) | Work::SendDtmf(_) => Vec::new(),
    }
}

/// `leg.send_dtmf`.
pub fn send_digits(tx: &mut Tx, key: LegKey, params: &LegSendDtmf) -> Result<Id, Failure> {
    let leg = living(tx, key)?;
    let (call, trunk) = (leg.call, leg.trunk);
    if !can_be_played_to(leg) {
        return Err(Failure::invalid_state("the leg is not answered"));
    }
    let method = params
        .method
        .or_else(|| tx.setup.trunk(trunk).map(|trunk| dtmf_method(trunk.dtmf)));
    let dtmf = DtmfKey(tx.world.make.number());
    let (_, id) = tx.start_op(call, Some(key), Work::SendDtmf(dtmf))?;
    let change = Change::SendDtmf {
        dtmf,
        stream: key.stream(),
        digits: params.digits.as_str().to_owned(),
        duration_ms: params.duration_ms.get(),
        inband: method == Some(DtmfMethod::Inband),
    };
    tx.media_of(key, change);
    Ok(id)
}

fn dtmf_method(method: crate::config::DtmfMethod) -> DtmfMethod {
    match method {
        crate::config::DtmfMethod::Rfc4733 => DtmfMethod::Rfc4733,
        crate::config::DtmfMethod::Inband => DtmfMethod::Inband,
    }
}

/// All digits are on the wire.
pub fn digits_sent(tx: &mut Tx, dtmf: DtmfKey) {
    let op = tx
        .world
        .ops
        .iter()
        .find(|(_, op)| matches!(&op.work, Work::SendDtmf(key) if *key == dtmf));
    if let Some((op, _)) = op {
        end_op(tx, op, OpOutcome::Ok);
    }
}

/// The one `op.ended` of an op; its name stays taken until the record of its call.
pub fn end_op(tx: &mut Tx, op: OpKey, outcome: OpOutcome) {
    let Some(row) = tx.world.ops.get(&op) else { return };
    let sip = row
        .leg
        .filter(|_| matches!(row.work, Work::Dial))
        .and_then(|leg| tx.world.legs.get(&leg))
        .and_then(final_status);
    let ended = OpEnded {
        op: row.id.clone(),
        kind: row.work.kind(),
        outcome,
        sip,
    };
    tx.tell_op(op, Event::OpEnded(ended));
    tx.world.ops.remove(op);
}

/// The status that decided a dial.
fn final_status(leg: &Leg) -> Option<u16> {
    leg.attempts.last().and_then(|attempt| attempt.status)
}
