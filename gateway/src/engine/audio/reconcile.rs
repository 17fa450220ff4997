//! Makes the media plane and the told matrix agree with the world, once per transaction.
//!
//! Commands and events only change rows; what each leg then hears, what plays beneath, whether its
//! digits pass and what of it is taped follows from the rows here, and only the difference goes to the
//! shards. So a batch reaches the mixer as one change, and no room can forget to update the audio.

use std::collections::{BTreeMap, BTreeSet};

use media::{Change, Heard, PlayLayer, Source};

use super::audibility;
use super::gathering;
use super::playing;
use super::sounds;
use super::taping;
use crate::control::protocol::{BridgeMatrix, BridgeModeChanged, Db, Event};
use crate::engine::bridge::Hears;
use crate::engine::keys::{BridgeKey, LegKey};
use crate::engine::leg::{Background, Leg, Stage};
use crate::engine::op::Work;
use crate::engine::tx::Tx;

/// Brings everything touched in this transaction up to date.
pub fn run(tx: &mut Tx) {
    let legs = touched_legs(tx);
    let bridges = touched_bridges(tx, &legs);
    let mut affected: BTreeSet<LegKey> = legs;
    let mut hears: BTreeMap<BridgeKey, Hears> = BTreeMap::new();
    for bridge in bridges {
        let Some(row) = tx.world.bridges.get(&bridge) else {
            continue;
        };
        affected.extend(row.legs.iter().copied());
        gathering::gather(tx, bridge);
        hears.insert(bridge, refresh_bridge(tx, bridge));
        playing::follow_members(tx, bridge);
    }
    affected.extend(taping::touched_parties(tx));
    for leg in affected {
        refresh_leg(tx, leg, &hears);
    }
    taping::refresh(tx);
}

fn touched_legs(tx: &Tx) -> BTreeSet<LegKey> {
    tx.world.legs.touched().copied().collect()
}

/// Bridges that changed, and those that touched legs are in or were in.
fn touched_bridges(tx: &Tx, legs: &BTreeSet<LegKey>) -> BTreeSet<BridgeKey> {
    let mut bridges: BTreeSet<BridgeKey> = tx.world.bridges.touched().copied().collect();
    for leg in legs {
        bridges.extend(tx.world.legs.get(leg).and_then(|leg| leg.bridge));
        bridges.extend(tx.world.legs.before(leg).and_then(|leg| leg.bridge));
    }
    bridges
}

/// The effective matrix and mode of a bridge; tells clients where they differ from what was told.
fn refresh_bridge(tx: &mut Tx, key: BridgeKey) -> Hears {
    let Some((hears, mode)) = matrix_of(tx, key) else {
        return Hears::new();
    };
    let Some(bridge) = tx.world.bridges.get_mut(&key) else {
        return Hears::new();
    };
    let audible_changed = audible(&bridge.told) != audible(&hears);
    let mode_changed = bridge.mode != mode;
    bridge.told = hears.clone();
    bridge.mode = mode;
    if mode_changed {
        tx.tell_bridge(key, None, Event::BridgeMode(BridgeModeChanged { mode }));
    }
    if audible_changed {
        let told = view(tx, &hears);
        tx.tell_bridge(key, None, Event::BridgeMatrix(BridgeMatrix { hears: told }));
    }
    hears
}

/// The effective matrix of a bridge as it is now, and its mode.
pub fn matrix_of(tx: &Tx, key: BridgeKey) -> Option<(Hears, crate::control::protocol::BridgeMode)> {
    let bridge = tx.world.bridges.get(&key)?;
    let members: BTreeMap<LegKey, &Leg> = bridge
        .legs
        .iter()
        .filter_map(|leg| Some((*leg, tx.world.legs.get(leg)?)))
        .collect();
    let hears = audibility::effective(bridge, &members);
    let mode = audibility::mode(&hears, &members);
    Some((hears, mode))
}

/// The pairs that are really heard: what a change of the matrix is about.
fn audible(hears: &Hears) -> BTreeMap<(LegKey, LegKey), f32> {
    let pairs = hears
        .iter()
        .flat_map(|(to, row)| row.iter().map(move |(from, gain)| ((*from, *to), *gain)));
    pairs
        .filter_map(|(pair, gain)| gain.map(|gain| (pair, gain)))
        .collect()
}

/// The matrix with ids in the place of keys.
pub fn view(tx: &Tx, hears: &Hears) -> crate::control::protocol::Hears {
    let id = |key: &LegKey| tx.world.legs.get(key).map(|leg| leg.id.clone());
    let rows = hears.iter().filter_map(|(to, row)| {
        let row = row
            .iter()
            .filter_map(|(from, gain)| Some((id(from)?, gain.map(Db))));
        Some((id(to)?, row.collect()))
    });
    rows.collect()
}

fn refresh_leg(tx: &mut Tx, key: LegKey, bridges: &BTreeMap<BridgeKey, Hears>) {
    let Some(leg) = tx.world.legs.get(&key) else {
        return;
    };
    if leg.is_ended() || leg.media.local.is_none() {
        return;
    }
    let hears = match leg.bridge {
        Some(bridge) => match bridges.get(&bridge) {
            Some(hears) => audibility::row(hears, key),
            None => leg.media.applied.hears.clone(),
        },
        None => Vec::new(),
    };
    let background = wanted_background(tx, leg);
    let digits_blocked = leg.collect.is_some() || is_pci_paused(tx, leg);
    apply_row(tx, key, hears);
    apply_background(tx, key, background);
    apply_digits(tx, key, digits_blocked);
}

fn apply_row(tx: &mut Tx, key: LegKey, hears: Vec<(LegKey, f32)>) {
    let Some(leg) = tx.world.legs.get(&key) else {
        return;
    };
    if leg.media.applied.hears == hears {
        return;
    }
    let speakers = hears.iter().map(|(speaker, gain_db)| Heard {
        speaker: speaker.stream(),
        gain_db: *gain_db,
    });
    let change = Change::Hear {
        listener: key.stream(),
        speakers: speakers.collect(),
    };
    tx.media_of(key, change);
    if let Some(leg) = tx.world.legs.get_mut(&key) {
        leg.media.applied.hears = hears;
    }
}

/// Music while held, the ring tone while somebody this leg waits for rings, else nothing.
fn wanted_background(tx: &Tx, leg: &Leg) -> Option<Background> {
    if let Some(hold) = &leg.hold {
        let music = hold.music.clone().map(Background::Music);
        return if can_be_played_to(leg) { music } else { None };
    }
    if leg.stage != Stage::Answered {
        return None;
    }
    let bridge = tx.world.bridges.get(&leg.bridge?)?;
    let rings = bridge
        .legs
        .iter()
        .filter_map(|member| tx.world.legs.get(member))
        .any(is_ringing_silently);
    rings.then_some(Background::Ringback)
}

/// Answered, or an inbound leg that got a 183 of ours.
pub fn can_be_played_to(leg: &Leg) -> bool {
    match leg.stage {
        Stage::Answered => true,
        Stage::Ringing | Stage::Trying => leg.inbound().is_some_and(|inbound| inbound.sent.is_some()),
        Stage::Answering | Stage::Ended { .. } => false,
    }
}

fn is_ringing_silently(leg: &Leg) -> bool {
    leg.outbound().is_some() && leg.stage == Stage::Ringing && !leg.is_early()
}

/// Digits of a leg do not pass while they are collected, nor while a recording of it is paused.
fn is_pci_paused(tx: &Tx, leg: &Leg) -> bool {
    taping::is_paused_for(tx, leg)
}

fn apply_background(tx: &mut Tx, key: LegKey, wanted: Option<Background>) {
    let Some(leg) = tx.world.legs.get(&key) else {
        return;
    };
    let applied = leg.media.applied.background.clone();
    if applied.as_ref().map(|(background, _)| background) == wanted.as_ref() {
        return;
    }
    let started = wanted.and_then(|wanted| {
        let sources = match &wanted {
            Background::Music(class) => tx.sounds.music(class)?,
            Background::Ringback => vec![Source::Tone(sounds::ringback())],
        };
        let play = tx.world.make.play();
        let change = Change::Play {
            play,
            listener: key.stream(),
            sources,
            from_ms: 0,
            repeat: true,
            gain_db: 0.0,
            layer: PlayLayer::Background,
        };
        tx.media_of(key, change);
        Some((wanted, play))
    });
    if let Some((_, play)) = applied {
        tx.media_of(key, Change::StopPlay { play });
    }
    if let Some(leg) = tx.world.legs.get_mut(&key) {
        leg.media.applied.background = started;
    }
}

fn apply_digits(tx: &mut Tx, key: LegKey, blocked: bool) {
    let Some(leg) = tx.world.legs.get(&key) else {
        return;
    };
    if leg.media.applied.digits_blocked == blocked {
        return;
    }
    tx.media_of(
        key,
        Change::PassDtmf {
            stream: key.stream(),
            pass: !blocked,
        },
    );
    if let Some(leg) = tx.world.legs.get_mut(&key) {
        leg.media.applied.digits_blocked = blocked;
    }
}

/// Whether any op of this kind runs on the leg.
pub fn is_playing(tx: &Tx, key: LegKey) -> bool {
    tx.world.ops.iter().any(|(_, op)| match &op.work {
        Work::Play(play) => play.running.values().any(|leg| *leg == key),
        Work::Dial | Work::Reinvite | Work::Collect(_) | Work::SendDtmf(_) | Work::Transfer(_) => false,
    })
}
