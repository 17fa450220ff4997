//! Bridges: made, joined, left, moved between, swapped and taken down.
//!
//! Membership and base matrix change here; what is heard follows in `reconcile`.

use super::holding;
use super::playing;
use super::reconcile;
use super::taping;
use crate::control::protocol::{
    BridgeCreate, BridgeCreated, BridgeJoined, BridgeLeft, BridgeLeftWhy, BridgeMode, BridgeMoved,
    BridgeRole, DestroyThen, EndReason, EndedBy, ErrorKind, Event, Failure, Id, MatrixPair, Nothing,
};
use crate::engine::bridge::{Bridge, Hears, PastBridge};
use crate::engine::calls::ending::{End, end_leg};
use crate::engine::keys::{BridgeKey, CallKey, LegKey, Named};
use crate::engine::tx::Tx;

/// Bridges that no leg has joined yet and that belong to no call, so that a client cannot make them without
/// end. Ours.
pub const STRAY_BRIDGES_MAX: usize = 1_000;

/// The bridge of that id.
pub fn find(tx: &Tx, id: &Id) -> Result<BridgeKey, Failure> {
    match tx.named(id) {
        Some(Named::Bridge(key)) if tx.world.bridges.get(&key).is_some() => Ok(key),
        Some(Named::Bridge(_)) => Err(Failure::already_ended("bridge", id.as_str())),
        Some(_) | None => Err(Failure::not_found("bridge", id.as_str())),
    }
}

/// `bridge.create`.
pub fn create(
    tx: &mut Tx,
    params: &BridgeCreate,
    call: Option<CallKey>,
    legs: &[LegKey],
) -> Result<(BridgeKey, Id), Failure> {
    let is_stray = |row: &Bridge| row.call.is_none();
    let strays = tx.world.bridges.iter().filter(|(_, row)| is_stray(row)).count();
    if call.is_none() && strays >= STRAY_BRIDGES_MAX {
        let rule = "bridges.without_call";
        let (limit, value) = (STRAY_BRIDGES_MAX as u64, STRAY_BRIDGES_MAX as u64);
        return Err(Failure::limit(ErrorKind::LimitLegs, rule, limit, value));
    }
    let (number, id) = tx.name(params.id.as_ref(), "b")?;
    let key = BridgeKey(number);
    let bridge = Bridge {
        key,
        id: id.clone(),
        call: None,
        created: tx.now,
        app: tx.app.clone(),
        legs: Vec::new(),
        legs_max: params.max_legs.get(),
        base: Default::default(),
        told: Hears::new(),
        mode: BridgeMode::Relay,
    };
    tx.world.names.insert(id.clone(), Named::Bridge(key));
    tx.world.bridges.insert(key, bridge);
    if let Some(call) = call {
        belong_to(tx, key, call)?;
    }
    let (mode, max_legs) = (BridgeMode::Relay, params.max_legs.get());
    tx.tell_bridge(key, None, Event::BridgeCreated(BridgeCreated { mode, max_legs }));
    for leg in legs {
        add(tx, key, *leg)?;
    }
    Ok((key, id))
}

/// From here on the record of this call tells of the bridge, and the bridge ends with it.
fn belong_to(tx: &mut Tx, bridge: BridgeKey, call: CallKey) -> Result<(), Failure> {
    let row = tx.bridge_mut(bridge)?;
    row.call = Some(call);
    let (id, created, members) = (row.id.clone(), row.created, row.legs.clone());
    let legs = members
        .iter()
        .filter_map(|leg| tx.world.legs.get(leg))
        .map(|leg| leg.id.clone())
        .collect();
    let row = tx.call_mut(call)?;
    row.bridges.push(bridge);
    row.bridge_log.push(PastBridge {
        id,
        created,
        destroyed: None,
        legs,
    });
    Ok(())
}

/// A call has no leg left: its empty bridges fall, the others go on as those of a call that is in them.
pub fn call_ended(tx: &mut Tx, bridges: &[BridgeKey]) {
    for bridge in bridges {
        let members = tx.world.bridges.get(bridge).map(|row| row.legs.clone());
        let heir = members
            .unwrap_or_default()
            .iter()
            .filter_map(|leg| tx.world.legs.get(leg))
            .map(|leg| leg.call)
            .next();
        match heir {
            // The heir is alive, or it would have no leg in the bridge.
            Some(heir) => drop(belong_to(tx, *bridge, heir)),
            None => fall(tx, *bridge, BridgeLeftWhy::Destroyed),
        }
    }
}

/// `bridge.add`: a member of the same bridge is left as it is, one of another must be moved.
pub fn add(tx: &mut Tx, bridge: BridgeKey, leg: LegKey) -> Result<(), Failure> {
    let row = holding::living(tx, leg)?;
    match row.bridge {
        Some(current) if current == bridge => return Ok(()),
        Some(_) => {
            return Err(Failure::invalid_state(
                "the leg is in another bridge; use bridge.move",
            ));
        }
        None => {}
    }
    has_room(tx, bridge)?;
    join(tx, bridge, leg)?;
    tell_joined(tx, bridge, leg);
    Ok(())
}

fn has_room(tx: &Tx, bridge: BridgeKey) -> Result<(), Failure> {
    let Some(row) = tx.world.bridges.get(&bridge) else {
        return Err(Failure::internal("the bridge is gone"));
    };
    if row.legs.len() < row.legs_max as usize {
        return Ok(());
    }
    let (limit, value) = (u64::from(row.legs_max), row.legs.len() as u64);
    Err(Failure::limit(
        ErrorKind::LimitLegs,
        "bridge.max_legs",
        limit,
        value,
    ))
}

fn join(tx: &mut Tx, bridge: BridgeKey, leg: LegKey) -> Result<(), Failure> {
    let row = tx.leg_mut(leg)?;
    row.bridge = Some(bridge);
    let call = row.call;
    if tx.bridge_mut(bridge)?.call.is_none() {
        belong_to(tx, bridge, call)?;
    }
    tx.bridge_mut(bridge)?.legs.push(leg);
    let id = tx.leg(leg)?.id.clone();
    log(tx, bridge, |past| {
        if !past.legs.contains(&id) {
            past.legs.push(id);
        }
    });
    Ok(())
}

/// Changes what the record will say of a bridge.
fn log(tx: &mut Tx, bridge: BridgeKey, change: impl FnOnce(&mut PastBridge)) {
    let Some((id, call)) = tx
        .world
        .bridges
        .get(&bridge)
        .map(|row| (row.id.clone(), row.call))
    else {
        return;
    };
    let Some(call) = call.and_then(|call| tx.world.calls.get_mut(&call)) else {
        return;
    };
    if let Some(past) = call.bridge_log.iter_mut().find(|past| past.id == id) {
        change(past);
    }
}

fn tell_joined(tx: &mut Tx, bridge: BridgeKey, leg: LegKey) {
    let hears = reconcile::matrix_of(tx, bridge)
        .map(|(hears, _)| reconcile::view(tx, &hears))
        .unwrap_or_default();
    tx.tell_bridge(
        bridge,
        Some(leg),
        Event::BridgeJoined(BridgeJoined {
            role: BridgeRole::Party,
            hears,
        }),
    );
}

/// `bridge.remove`.
pub fn remove(tx: &mut Tx, bridge: BridgeKey, leg: LegKey) -> Result<(), Failure> {
    if tx.leg(leg)?.bridge != Some(bridge) {
        return Err(Failure::invalid_state("the leg is not in this bridge"));
    }
    leave(tx, bridge, leg, BridgeLeftWhy::Removed);
    Ok(())
}

/// Takes a member out and tells so.
pub fn leave(tx: &mut Tx, bridge: BridgeKey, leg: LegKey, why: BridgeLeftWhy) {
    if let Some(row) = tx.world.legs.get_mut(&leg) {
        row.bridge = None;
    }
    if let Some(row) = tx.world.bridges.get_mut(&bridge) {
        row.remove(leg);
    }
    playing::left_bridge(tx, bridge, why);
    tx.tell_bridge(bridge, Some(leg), Event::BridgeLeft(BridgeLeft { why }));
}

/// `bridge.move`: out of one and into the other, as one change.
pub fn move_leg(tx: &mut Tx, leg: LegKey, to: BridgeKey) -> Result<(), Failure> {
    let from = holding::living(tx, leg)?.bridge;
    if from == Some(to) {
        return Ok(());
    }
    has_room(tx, to)?;
    let Some(from) = from else { return add(tx, to, leg) };
    leave(tx, from, leg, BridgeLeftWhy::Moved);
    join(tx, to, leg)?;
    let id = |tx: &Tx, key: BridgeKey| tx.world.bridges.get(&key).map(|bridge| bridge.id.clone());
    if let (Some(from), Some(to_id)) = (id(tx, from), id(tx, to)) {
        tx.tell_bridge(to, Some(leg), Event::BridgeMoved(BridgeMoved { from, to: to_id }));
    }
    tell_joined(tx, to, leg);
    Ok(())
}

/// `bridge.replace`: `new` takes the place of `old`, pairs included.
pub fn replace(tx: &mut Tx, old: LegKey, new: LegKey) -> Result<(), Failure> {
    let bridge = holding::living(tx, old)?.bridge;
    let bridge = bridge.ok_or_else(|| Failure::invalid_state("the old leg is in no bridge"))?;
    match holding::living(tx, new)?.bridge {
        Some(current) if current == bridge => {
            return Err(Failure::invalid_state("the new leg is in this bridge already"));
        }
        Some(current) => leave(tx, current, new, BridgeLeftWhy::Moved),
        None => {}
    }
    tx.bridge_mut(bridge)?.replace(old, new);
    tx.leg_mut(old)?.bridge = None;
    tx.leg_mut(new)?.bridge = Some(bridge);
    playing::follow_members(tx, bridge);
    tx.tell_bridge(
        bridge,
        Some(old),
        Event::BridgeLeft(BridgeLeft {
            why: BridgeLeftWhy::Removed,
        }),
    );
    tell_joined(tx, bridge, new);
    Ok(())
}

/// `bridge.set_matrix`: the base beneath hold and mute.
pub fn set_matrix(tx: &mut Tx, bridge: BridgeKey, pairs: &[MatrixPair]) -> Result<(), Failure> {
    for (index, pair) in pairs.iter().enumerate() {
        let from = member(tx, bridge, &pair.from, &format!("params.pairs[{index}].from"))?;
        let to = member(tx, bridge, &pair.to, &format!("params.pairs[{index}].to"))?;
        let gain = pair.gain_db.map(|gain| gain.0);
        tx.bridge_mut(bridge)?.base.insert((from, to), gain);
    }
    Ok(())
}

fn member(tx: &Tx, bridge: BridgeKey, id: &Id, path: &str) -> Result<LegKey, Failure> {
    match tx.named(id) {
        Some(Named::Leg(leg)) if tx.leg(leg)?.bridge == Some(bridge) => Ok(leg),
        Some(Named::Leg(_)) => Err(Failure::invalid_params(path, "is not in this bridge")),
        Some(_) | None => Err(Failure::not_found("leg", id.as_str())),
    }
}

/// `bridge.swap`: `a` and `b` talk, everybody else is held with music.
pub fn swap(tx: &mut Tx, bridge: BridgeKey, a: &Id, b: &Id) -> Result<(), Failure> {
    let a = member(tx, bridge, a, "params.a")?;
    let b = member(tx, bridge, b, "params.b")?;
    for leg in tx.bridge_mut(bridge)?.legs.clone() {
        if leg == a || leg == b {
            holding::resume(tx, leg, false)?;
        } else {
            holding::hold_quietly(tx, leg)?;
        }
    }
    Ok(())
}

/// `bridge.destroy`.
pub fn destroy(tx: &mut Tx, bridge: BridgeKey, then: DestroyThen) -> Result<(), Failure> {
    let members = tx.bridge_mut(bridge)?.legs.clone();
    if then == DestroyThen::Hangup {
        for leg in members {
            end_leg(tx, leg, End::ours(EndedBy::Control, EndReason::Completed));
        }
    }
    // The last leg's end may have taken the bridge with it.
    if tx.world.bridges.get(&bridge).is_some() {
        fall(tx, bridge, BridgeLeftWhy::Destroyed);
    }
    Ok(())
}

/// Takes a bridge down; its members stay where they are, alone.
pub fn fall(tx: &mut Tx, bridge: BridgeKey, why: BridgeLeftWhy) {
    let Some(row) = tx.world.bridges.get(&bridge) else {
        return;
    };
    let (members, call) = (row.legs.clone(), row.call);
    for leg in members {
        leave(tx, bridge, leg, why);
    }
    tx.tell_bridge(bridge, None, Event::BridgeDestroyed(Nothing {}));
    taping::bridge_fell(tx, bridge);
    let now = tx.now;
    log(tx, bridge, |past| past.destroyed = Some(now));
    let Some(row) = tx.world.bridges.remove(bridge) else {
        return;
    };
    match call.and_then(|call| tx.world.calls.get_mut(&call)) {
        Some(call) => call.bridges.retain(|other| *other != bridge),
        // No record will free its name.
        None => drop(tx.world.names.remove(row.id)),
    }
}
