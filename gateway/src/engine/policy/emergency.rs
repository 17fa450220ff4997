//! Emergency calls: to a trunk that takes them, before and beyond every limit (RFC 5031, RFC 6881).
//!
//! The number policy says which calls these are and in which country. Here: which trunks take one, in which
//! order, and what is not asked of it: places, rates, registration, health and drain. Only a port for its
//! sound must be there, and some are kept back for that.
//! Knows nothing of the table of numbers.

use super::gates::Scope;
use super::location;
use super::number_policy::{Decision, Target, classify_target};
use crate::config::Trunk;
use crate::control::protocol::{Failure, Headers, LegDial, Name};
use crate::engine::calls::dial_plan::{self, Plan, Targets};
use crate::engine::setup::Setup;
use crate::engine::trunks::peers::Unrouted;
use crate::engine::tx::Tx;

/// The trunks that take this dial, best first, where it is an emergency call: the one that was named, then the
/// file's order, those with a peer that answers before the others.
pub fn routes(tx: &mut Tx, index: usize, to: &str) -> Option<Vec<usize>> {
    let decision = decision(tx.setup, index, to)?;
    let country = decision.region.as_deref();
    let trunks = tx.setup.config.trunks.iter().enumerate();
    let takes = |trunk: &Trunk| trunk.emergency && trunk.home_country.as_deref() == country;
    let mut routes: Vec<usize> = trunks
        .filter(|(_, trunk)| takes(trunk))
        .map(|(index, _)| index)
        .collect();
    let now = tx.now.mono;
    routes.sort_by_key(|route| (tx.peers.route(tx.setup, *route, now).is_err(), *route != index));
    Some(routes)
}

/// Whether a dial is an emergency call that a trunk takes.
pub fn is_one(setup: &Setup, index: usize, to: &str) -> bool {
    decision(setup, index, to).is_some()
}

fn decision(setup: &Setup, index: usize, to: &str) -> Option<Decision> {
    let numbers = setup.numbers_of(index)?;
    let Ok(Target::Number(dialled)) = classify_target(to, numbers) else {
        return None;
    };
    Some(setup.policy.check(&dialled, None, numbers)).filter(Decision::is_emergency)
}

/// The plan of an emergency call on the first trunk that can take it; none where it is no such call.
pub fn plan(tx: &mut Tx, index: usize, params: &LegDial) -> Option<Result<Plan, Failure>> {
    let mut refused = None;
    for route in routes(tx, index, params.to.as_str())? {
        match dial_plan::plan(tx, route, &fitted(tx, route, params)) {
            Ok(plan) => return Some(Ok(plan)),
            Err(failure) => refused = refused.or(Some(failure)),
        }
    }
    Some(Err(
        refused.unwrap_or_else(|| Failure::no_route(params.trunk.as_str()))
    ))
}

/// The headers of a dial that cross to that trunk: one that may not must not stop the call.
pub fn headers(trunk: &Trunk, headers: &Headers) -> Headers {
    let allowed = headers.0.iter();
    let allowed = allowed.filter(|(name, _)| trunk.headers_out.contains(&name.to_ascii_lowercase()));
    let kept = allowed.filter_map(|(name, value)| Some((name.clone(), location::by_reference(name, value)?)));
    Headers(kept.collect())
}

/// The dial as that trunk takes it.
pub fn fitted(tx: &Tx, route: usize, params: &LegDial) -> LegDial {
    let mut params = params.clone();
    if let Some(trunk) = tx.setup.trunk(route) {
        params.trunk = Name::from(trunk.name.as_str());
        params.headers = headers(trunk, &params.headers);
    }
    params
}

/// The trunks that may still be tried after `used`; the leg keeps its port, so at the same address only.
pub fn remaining(tx: &mut Tx, index: usize, to: &str, used: usize) -> Option<Vec<usize>> {
    let mut routes = routes(tx, index, to)?;
    let address = |index: usize| tx.setup.trunk(index).map(|trunk| trunk.media_address);
    routes.retain(|route| *route != used && address(*route) == address(used));
    Some(routes)
}

/// Where it goes on a trunk; where every peer is down, to those all the same.
pub fn targets(tx: &mut Tx, index: usize, trunk: &Trunk) -> Result<Targets, Failure> {
    if !trunk.emergency {
        return Err(Failure::no_route(&trunk.name));
    }
    let refused = match dial_plan::host_targets(tx, index, trunk) {
        Err(failure) => failure,
        targets => return targets,
    };
    let now = tx.now.mono;
    match tx.peers.route_at_last(tx.setup, index, now) {
        Ok(mut flows) => {
            flows.retain(|flow| tx.world.tls_peers.is_fit_for(trunk, flow));
            match flows.is_empty() {
                true => Err(refused),
                false => Ok(Targets::Known(flows)),
            }
        }
        Err(Unrouted::NotLocated) => Ok(Targets::NotLocated),
        Err(Unrouted::NoPeer | Unrouted::Down) => Err(refused),
    }
}

/// Takes what is there of the rates, and refuses only where no port is left.
pub fn admit(tx: &mut Tx, plan: &Plan) -> Result<(), Failure> {
    let ports = tx.ports_in_use();
    if ports >= tx.setup.port_pairs {
        return Err(dial_plan::ports_full(tx, plan, ports));
    }
    tx.take_token(Scope::Instance);
    tx.take_token(Scope::Trunk(plan.trunk));
    Ok(())
}
