//! Plays and digits towards legs, and the ends of ops.
//!
//! One `play.start` may reach several members of a bridge: it is one op with one clock, and each member that
//! can hear it has a part of it in its shard.

use std::collections::BTreeMap;

use media::{Change, DtmfKey, PlayEnd, PlayKey, PlayLayer, Source, Tone};

use super::collecting;
use super::holding::living;
use super::info_digits;
use super::reconcile::can_be_played_to;
use super::sounds;
use crate::control::protocol::{
    self, BargeIn, BridgeLeftWhy, DtmfMethod, Event, Failure, Id, LegSendDtmf, NamedTone, Nothing, OpEnded,
    OpOutcome, PlayEnded, PlayEndedWhy, PlayStart, Sources,
};
use crate::engine::keys::{BridgeKey, LegKey, Named, OpKey};
use crate::engine::leg::{Leg, Stage};
use crate::engine::op::{Audience, Manner, Play, PlayClock, Work};
use crate::engine::tx::Tx;

/// `play.start`.
pub fn start(tx: &mut Tx, params: &PlayStart) -> Result<Id, Failure> {
    let audience = match tx.named(&params.target) {
        Some(Named::Leg(leg)) => {
            living(tx, leg)?;
            Audience::Leg(leg)
        }
        Some(Named::Bridge(bridge)) => Audience::Bridge(bridge),
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
    begin(tx, audience, sources, manner).map(|(_, id)| id)
}

/// Starts one op that this audience hears.
pub fn begin(
    tx: &mut Tx,
    audience: Audience,
    sources: Vec<Source>,
    manner: Manner,
) -> Result<(OpKey, Id), Failure> {
    let (call, leg, listeners) = match audience {
        Audience::Leg(leg) if can_be_played_to(tx.leg(leg)?) => (tx.leg(leg)?.call, Some(leg), vec![leg]),
        Audience::Leg(_) => {
            return Err(Failure::invalid_state(
                "the leg is not answered; leg.progress 183 opens early media",
            ));
        }
        Audience::Bridge(bridge) => match (tx.bridge_mut(bridge)?.call, listeners_in(tx, bridge)) {
            (Some(call), listeners) if !listeners.is_empty() => (call, None, listeners),
            (Some(_) | None, _) => {
                return Err(Failure::invalid_state("nobody in the bridge can hear it"));
            }
        },
    };
    let play = Play {
        audience,
        sources,
        manner,
        clock: PlayClock::Runs { zero: tx.now.mono },
        running: BTreeMap::new(),
        started: false,
    };
    let (op, id) = tx.start_op(call, leg, Work::Play(play))?;
    for listener in listeners {
        start_part(tx, op, listener);
    }
    Ok((op, id))
}

/// Members that hear what their bridge plays: un-held, and with a way to be played to.
fn listeners_in(tx: &Tx, bridge: BridgeKey) -> Vec<LegKey> {
    let members = tx.world.bridges.get(&bridge).map(|bridge| bridge.legs.as_slice());
    let members = members.unwrap_or_default().iter().copied();
    let hears = |leg: &Leg| leg.hold.is_none() && can_be_played_to(leg);
    members
        .filter(|member| tx.world.legs.get(member).is_some_and(hears))
        .collect()
}

/// From here on this leg hears the play where it stands.
fn start_part(tx: &mut Tx, op: OpKey, listener: LegKey) {
    let now = tx.now.mono;
    let key = tx.world.make.play();
    let Some(Work::Play(play)) = tx.world.ops.get_mut(&op).map(|op| &mut op.work) else {
        return;
    };
    play.running.insert(key, listener);
    let change = Change::Play {
        play: key,
        listener: listener.stream(),
        sources: play.sources.clone(),
        from_ms: play.position_ms(now),
        repeat: play.manner.repeat,
        gain_db: play.manner.gain_db,
        layer: match play.manner.over {
            true => PlayLayer::Over,
            false => PlayLayer::Replace,
        },
    };
    let paused = matches!(play.clock, PlayClock::Paused { .. });
    tx.world.plays.insert(key, op);
    tx.media_of(listener, change);
    if paused {
        tx.media_of(listener, Change::PausePlay { play: key, paused });
    }
}

/// From here on this leg no longer hears the play, which goes on.
fn stop_part(tx: &mut Tx, op: OpKey, play: PlayKey, listener: LegKey) {
    tx.world.plays.remove(play);
    if let Some(Work::Play(row)) = tx.world.ops.get_mut(&op).map(|op| &mut op.work) {
        row.running.remove(&play);
    }
    tx.media_of(listener, Change::StopPlay { play });
}

/// What a bridge plays follows its members: who is held, has left or is not there yet hears none of it, who
/// comes hears it where it stands.
pub fn follow_members(tx: &mut Tx, bridge: BridgeKey) {
    let plays = plays_of(tx, bridge);
    if plays.is_empty() {
        return;
    }
    let wanted = listeners_in(tx, bridge);
    for op in plays {
        let parts = running(tx, op);
        for (play, leg) in parts.iter().filter(|(_, leg)| !wanted.contains(leg)) {
            stop_part(tx, op, *play, *leg);
        }
        for leg in &wanted {
            if !parts.iter().any(|(_, listener)| listener == leg) {
                start_part(tx, op, *leg);
            }
        }
    }
}

fn plays_of(tx: &Tx, bridge: BridgeKey) -> Vec<OpKey> {
    let plays = tx.world.ops.iter().filter(|(_, op)| match &op.work {
        Work::Play(play) => play.audience == Audience::Bridge(bridge),
        Work::Dial | Work::Reinvite | Work::Collect(_) | Work::SendDtmf(_) | Work::Transfer(_) => false,
    });
    plays.map(|(op, _)| op).collect()
}

/// The pieces of a play as the shard takes them.
pub fn sources(tx: &Tx, sources: &Sources, path: &str) -> Result<Vec<Source>, Failure> {
    let mut pieces = Vec::with_capacity(sources.0.len());
    for (index, source) in sources.0.iter().enumerate() {
        match source {
            protocol::Source::Prompt(name) => {
                let prompts = &tx.sounds.prompts;
                let prompt = prompts.sounds.get(name.as_str()).ok_or_else(|| {
                    match prompts.refused.get(name.as_str()) {
                        Some(why) => Failure::prompt_bad(name.as_str(), why),
                        None => Failure::prompt_not_found(name.as_str()),
                    }
                })?;
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
    end_play(tx, op, PlayEndedWhy::Stopped);
}

/// `play.pause` and `play.resume`.
pub fn pause(tx: &mut Tx, op: OpKey, paused: bool) {
    for (play, leg) in running(tx, op) {
        tx.media_of(leg, Change::PausePlay { play, paused });
    }
    let now = tx.now.mono;
    if let Some(Work::Play(play)) = tx.world.ops.get_mut(&op).map(|op| &mut op.work) {
        match paused {
            true => play.clock.pause(now),
            false => play.clock.resume(now),
        }
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

/// The shard says that one listener's part is over. Parts end together; one that ends before the others, as
/// its listener could take no more, ends alone.
pub fn ended(tx: &mut Tx, play: PlayKey, why: PlayEnd) {
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
    end_play(tx, op, why);
}

/// A play that nobody heard at its end is over all the same.
pub fn ran_out(tx: &mut Tx, op: OpKey) {
    end_play(tx, op, PlayEndedWhy::Completed);
}

/// Ends a play: what still runs is stopped, the event and the op's end are told.
pub fn end_play(tx: &mut Tx, op: OpKey, why: PlayEndedWhy) {
    for (play, leg) in running(tx, op) {
        stop_part(tx, op, play, leg);
    }
    let Some(Work::Play(play)) = tx.world.ops.get(&op).map(|op| &op.work) else {
        return;
    };
    let prompt_of = play.manner.prompt_of;
    let position_ms = match (why, play.length()) {
        (PlayEndedWhy::Completed, Some(length)) => u64::try_from(length.as_millis()).unwrap_or(u64::MAX),
        (_, _) => play.position_ms(tx.now.mono),
    };
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
        Work::Play(play) => play.manner.barge_in && play.running.values().any(|listener| *listener == leg),
        Work::Dial | Work::Reinvite | Work::Collect(_) | Work::SendDtmf(_) | Work::Transfer(_) => false,
    });
    let ops: Vec<OpKey> = ops.map(|(key, _)| key).collect();
    for op in ops {
        end_play(tx, op, PlayEndedWhy::BargeIn);
    }
}

/// A leg left its bridge: with the last member goes what the bridge plays.
pub fn left_bridge(tx: &mut Tx, bridge: BridgeKey, why: BridgeLeftWhy) {
    follow_members(tx, bridge);
    let is_empty = tx
        .world
        .bridges
        .get(&bridge)
        .is_none_or(|bridge| bridge.legs.is_empty());
    if !is_empty {
        return;
    }
    let why = match why {
        BridgeLeftWhy::LegEnded => PlayEndedWhy::LegEnded,
        BridgeLeftWhy::Removed | BridgeLeftWhy::Moved | BridgeLeftWhy::Destroyed => PlayEndedWhy::Stopped,
    };
    for op in plays_of(tx, bridge) {
        end_play(tx, op, why);
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
    if method == Some(DtmfMethod::Info) {
        return send_by_info(tx, key, params);
    }
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

fn send_by_info(tx: &mut Tx, key: LegKey, params: &LegSendDtmf) -> Result<Id, Failure> {
    let digits = params.digits.as_str();
    let leg = living(tx, key)?;
    let call = leg.call;
    if leg.stage != Stage::Answered {
        return Err(Failure::invalid_state(
            "the leg is not answered, and INFO needs that",
        ));
    }
    if !leg.info_digits.has_room_for(digits.chars().count()) {
        return Err(Failure::invalid_state(
            "too many digits of this leg wait; the ends of their ops make room",
        ));
    }
    let dtmf = DtmfKey(tx.world.make.number());
    let (_, id) = tx.start_op(call, Some(key), Work::SendDtmf(dtmf))?;
    info_digits::order(tx, key, dtmf, digits, params.duration_ms.get());
    Ok(id)
}

fn dtmf_method(method: crate::config::DtmfMethod) -> DtmfMethod {
    match method {
        crate::config::DtmfMethod::Rfc4733 => DtmfMethod::Rfc4733,
        crate::config::DtmfMethod::Info => DtmfMethod::Info,
        crate::config::DtmfMethod::Inband => DtmfMethod::Inband,
    }
}

/// All digits are on the wire, or the peer refused one with this status.
pub fn end_digits(tx: &mut Tx, dtmf: DtmfKey, outcome: OpOutcome, sip: Option<u16>) {
    let op = tx
        .world
        .ops
        .iter()
        .find(|(_, op)| matches!(&op.work, Work::SendDtmf(key) if *key == dtmf));
    if let Some((op, _)) = op {
        end_op_with(tx, op, outcome, sip);
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
    end_op_with(tx, op, outcome, sip);
}

/// The same, with the status that decided it.
pub fn end_op_with(tx: &mut Tx, op: OpKey, outcome: OpOutcome, sip: Option<u16>) {
    let Some(row) = tx.world.ops.get(&op) else { return };
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
