//! Outbound legs: `leg.dial` made into a leg, once the plan stands.
//!
//! Everything that can refuse is asked before anything is made (`dial_plan`); what the peers then say
//! is `attempts`' business.

use std::time::{Duration, Instant};

use sip::endpoint::{ExtraHeader, HOP_HEADER, SessionKey};

use super::dial_plan::{Plan, Targets, admit, plan};
use super::inbound;
use crate::config::{DiversionOut, EarlyMedia};
use crate::control::protocol::{
    self, Direction, ErrorKind, Event, Failure, Id, LegDial, LegDialing, Name, Party, PolicyDecision,
    Privacy, Route,
};
use crate::engine::audio::bridging;
use crate::engine::call::Call;
use crate::engine::callers::passing_on;
use crate::engine::callers::redirected;
use crate::engine::callers::shown;
use crate::engine::callers::vouching;
use crate::engine::keys::{BridgeKey, CallKey, LegKey, Named, OpKey};
use crate::engine::leg::{Heard, Hops, InviteText, Origin, Outbound};
use crate::engine::op::Work;
use crate::engine::policy::admission::{Guard, Way};
use crate::engine::policy::emergency;
use crate::engine::transfers::moved;
use crate::engine::trunks::registrations;
use crate::engine::tx::Tx;

/// Hops of a new INVITE (RFC 3261 §8.1.1.6).
const MAX_FORWARDS: u8 = 70;

/// How long a dial waits for DNS to say where its peers are, inside its ring limit. With an answer in the
/// cache it never waits.
pub const NAMES_WAIT: Duration = Duration::from_secs(5);

/// What `leg.dial` made.
pub struct Dialled {
    /// The leg.
    pub leg: Id,
    /// Its call.
    pub call: Id,
    /// Its op.
    pub op: Id,
}

/// `leg.dial`.
pub fn dial(tx: &mut Tx, params: &LegDial) -> Result<Dialled, Failure> {
    let trunk_index = tx.setup.trunk_by_name(params.trunk.as_str());
    let trunk_index = trunk_index.ok_or_else(|| Failure::not_found("trunk", params.trunk.as_str()))?;
    if tx.gates.is_draining()
        && params.call.is_none()
        && params.bridge.is_none()
        && !emergency::is_one(tx.setup, trunk_index, params.to.as_str())
    {
        return Err(Failure::draining());
    }
    let bridge = params
        .bridge
        .as_ref()
        .map(|id| bridging::find(tx, id))
        .transpose()?;
    let call = match (&params.call, bridge) {
        (Some(id), _) => Some(live_call(tx, id)?),
        (None, Some(bridge)) => tx.world.bridges.get(&bridge).and_then(|bridge| bridge.call),
        (None, None) => None,
    };
    let mut plan = first_plan(tx, trunk_index, params)?;
    passing_on::settle(tx, call, params, &mut plan)?;
    if let Some(numbers) = tx.setup.numbers_of(plan.trunk) {
        moved::follow(tx, call, params.to.as_str(), numbers)?;
    }
    admit(tx, &plan, call.is_none())?;
    make(tx, params, plan, call, bridge)
}

/// The plan on the trunk that was named, or on the first fallback that can take the call while that one is
/// down. What the policy refuses goes nowhere else.
fn first_plan(tx: &mut Tx, index: usize, params: &LegDial) -> Result<Plan, Failure> {
    if let Some(planned) = emergency::plan(tx, index, params) {
        return planned;
    }
    let refused = match plan_where_up(tx, index, params) {
        Err(failure) if failure.kind == ErrorKind::TrunkDown => failure,
        other => return other,
    };
    for other in fallback_of(tx, index) {
        if let Ok(plan) = plan_where_up(tx, other, params) {
            return Ok(plan);
        }
    }
    Err(refused)
}

/// The plan on a trunk, unless that waits for its registration.
fn plan_where_up(tx: &mut Tx, index: usize, params: &LegDial) -> Result<Plan, Failure> {
    let plan = plan(tx, index, params)?;
    if !plan.is_emergency {
        registrations::check_up(tx, index)?;
    }
    Ok(plan)
}

/// The fallback trunks of a trunk, in order.
pub fn fallback_of(tx: &Tx, index: usize) -> Vec<usize> {
    let names = tx.setup.trunk(index).map(|trunk| trunk.fallback.as_slice());
    let names = names.unwrap_or_default().iter();
    names.filter_map(|name| tx.setup.trunk_by_name(name)).collect()
}

fn live_call(tx: &Tx, id: &Id) -> Result<CallKey, Failure> {
    let Some(Named::Call(key)) = tx.named(id) else {
        return Err(Failure::not_found("call", id.as_str()));
    };
    match tx.world.calls.get(&key) {
        Some(call) if !call.is_closing() => Ok(key),
        Some(_) | None => Err(Failure::already_ended("call", id.as_str())),
    }
}

fn make(
    tx: &mut Tx,
    params: &LegDial,
    plan: Plan,
    call: Option<CallKey>,
    bridge: Option<BridgeKey>,
) -> Result<Dialled, Failure> {
    let (number, leg_id) = tx.name(params.id.as_ref(), "l")?;
    let key = LegKey(number);
    tx.world.names.insert(leg_id.clone(), Named::Leg(key));
    let from = Party {
        number: plan.shown.number.clone(),
        raw: plan.shown.number.clone().unwrap_or_default(),
        privacy: plan.shown.withheld.then_some(Privacy::Id),
        ..Party::default()
    };
    let call = match call {
        Some(call) => call,
        None => new_call(tx, params, &from, &plan.to_party)?,
    };
    if let Some(row) = tx.world.calls.get_mut(&call) {
        row.legs.push(key);
    }
    tx.world.guards.legs.insert((plan.trunk, Way::Out, key));
    let session = SessionKey::Out(number);
    tx.world.sessions.insert(session, key);
    let (op, op_id) = tx.start_op(call, Some(key), Work::Dial)?;
    let hops = hops_of(tx, call);
    let outbound = outbound(tx, params, &plan, op, hops);
    let (route, decision) = (route_of(tx, params, &plan), plan.judged.clone());
    let (from_leg, origin) = (from, Origin::Out(Box::new(outbound)));
    let app = tx.app.clone();
    let mut row = inbound::new_leg(
        tx,
        key,
        leg_id.clone(),
        call,
        app,
        plan.trunk,
        session,
        origin,
        from_leg,
        plan.to_party,
    );
    row.tags = params.tags.0.clone();
    row.codecs = params.codecs.clone();
    tx.world.legs.insert(key, row);
    inbound::open_stream(tx, key);
    tell_dialing(tx, key, route, decision);
    if let Some(bridge) = bridge {
        bridging::add(tx, bridge, key)?;
    }
    tx.renew_ledger(call);
    let call = tx.world.calls.get(&call).map(|call| call.id.clone());
    let call = call.ok_or_else(|| Failure::internal("the call is gone"))?;
    Ok(Dialled {
        leg: leg_id,
        call,
        op: op_id,
    })
}

/// Until when a dial waits for DNS.
pub fn names_until(tx: &Tx, targets: &Targets) -> Option<Instant> {
    match targets {
        Targets::Known(_) => None,
        Targets::NotLocated => Some(tx.now.mono + NAMES_WAIT),
    }
}

/// The fallback trunks after the one that is used now.
fn remaining_fallback(tx: &mut Tx, params: &LegDial, used: usize) -> Vec<usize> {
    let Some(named) = tx.setup.trunk_by_name(params.trunk.as_str()) else {
        return Vec::new();
    };
    if let Some(routes) = emergency::remaining(tx, named, params.to.as_str(), used) {
        return routes;
    }
    let all = fallback_of(tx, named);
    match all.iter().position(|index| *index == used) {
        Some(position) => all.get(position + 1..).unwrap_or_default().to_vec(),
        None => all,
    }
}

fn route_of(tx: &Tx, params: &LegDial, plan: &Plan) -> Route {
    let is_named = tx.setup.trunk_by_name(params.trunk.as_str()) == Some(plan.trunk);
    match (plan.is_emergency, is_named) {
        (_, true) => Route::Named,
        (true, false) => Route::Emergency,
        (false, false) => Route::Fallback,
    }
}

fn tell_dialing(tx: &mut Tx, key: LegKey, route: Route, decision: PolicyDecision) {
    let Some(leg) = tx.world.legs.get(&key) else {
        return;
    };
    let trunk = tx.setup.trunk(leg.trunk).map_or("", |trunk| trunk.name.as_str());
    let dialing = LegDialing {
        from: leg.from.clone(),
        to: leg.to.clone(),
        trunk: Name::from(trunk),
        route,
        decision,
    };
    tx.tell_leg(key, Event::LegDialing(Box::new(dialing)));
}

/// The half of the leg that only an outbound one has.
fn outbound(tx: &mut Tx, params: &LegDial, plan: &Plan, op: OpKey, hops: Hops) -> Outbound {
    let ring = Duration::from_millis(params.ring_timeout_ms.get().into());
    let invite = invite_text(tx, params, plan, hops);
    Outbound {
        op: Some(op),
        transfer: None,
        ring_until: Some(tx.now.mono + ring),
        early_media: wants_early_media(tx, plan.trunk, params),
        early_tag: None,
        names_until: names_until(tx, &plan.targets),
        targets: match &plan.targets {
            Targets::Known(flows) => flows.clone(),
            Targets::NotLocated => Vec::new(),
        },
        target: None,
        fallback: remaining_fallback(tx, params, plan.trunk),
        heard: Heard::Nothing,
        seized: None,
        dial: params.clone(),
        invite,
    }
}

fn new_call(tx: &mut Tx, params: &LegDial, from: &Party, to: &Party) -> Result<CallKey, Failure> {
    let (number, id) = tx.name(None, "c")?;
    let key = CallKey(number);
    tx.world.names.insert(id.clone(), Named::Call(key));
    tx.world.guards.calls.insert(key, Guard);
    let max_duration_at = tx
        .setup
        .config
        .limits
        .max_duration
        .map(|longest| tx.now.mono + longest);
    let parties = (from.clone(), to.clone());
    let row = Call {
        shard: tx.setup.shard_of(key),
        max_duration_at,
        tags: params.tags.0.clone(),
        ..Call::new(key, id, tx.app.clone(), Direction::Out, parties, tx.now)
    };
    tx.world.calls.insert(key, row);
    inbound::tell_started(tx, key);
    Ok(key)
}

/// What the command says, else what the trunk does.
pub fn wants_early_media(tx: &Tx, trunk: usize, params: &LegDial) -> bool {
    match params.early_media {
        Some(wanted) => wanted == protocol::EarlyMedia::Connect,
        None => tx
            .setup
            .trunk(trunk)
            .is_none_or(|trunk| trunk.early_media == EarlyMedia::Connect),
    }
}

/// The way of the INVITE that began the call, if a peer's did.
pub fn hops_of(tx: &Tx, call: CallKey) -> Hops {
    let legs = tx.world.calls.get(&call).map(|call| call.legs.as_slice());
    let mut inbound = legs
        .unwrap_or_default()
        .iter()
        .filter_map(|leg| tx.world.legs.get(leg)?.inbound());
    inbound
        .next()
        .map(|inbound| inbound.hops.clone())
        .unwrap_or_default()
}

pub fn invite_text(tx: &mut Tx, params: &LegDial, plan: &Plan, hops: Hops) -> InviteText {
    let Some(trunk) = tx.setup.trunk(plan.trunk) else {
        return InviteText::default();
    };
    let (from, mut headers) = shown::outgoing(trunk, &plan.shown);
    headers.extend(hops.marks.into_iter().map(|value| ExtraHeader {
        name: HOP_HEADER.into(),
        value,
    }));
    if trunk.diversion_out == DiversionOut::Diversion {
        headers.extend(
            redirected::diversions(&plan.diverters)
                .into_iter()
                .map(|value| ExtraHeader {
                    name: "Diversion".into(),
                    value,
                }),
        );
    }
    let own = match plan.is_emergency {
        true => emergency::headers(trunk, &params.headers),
        false => params.headers.clone(),
    };
    let own = own.0.into_iter();
    headers.extend(own.map(|(name, value)| ExtraHeader { name, value }));
    if params.auto_answer {
        headers.push(ExtraHeader {
            name: "Call-Info".into(),
            value: format!("<sip:{}>;answer-after=0", trunk.from_host),
        });
        headers.push(ExtraHeader {
            name: "Alert-Info".into(),
            value: "<http://www.notused.com>;info=alert-autoanswer;delay=0".into(),
        });
    }
    InviteText {
        to: plan.to.clone(),
        from,
        headers,
        call_id: format!("{}@{}", tx.world.make.token(24), trunk.from_host),
        from_tag: tx.world.make.token(16),
        max_forwards: hops.left.map_or(MAX_FORWARDS, |left| left.saturating_sub(1)),
        diverters: plan.diverters.clone(),
        statement: vouching::statement(tx.setup, trunk, plan),
    }
}
