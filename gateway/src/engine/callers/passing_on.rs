//! What a call that came in says of one that is dialled in it: whose number stays withheld, and who sent it on.
//!
//! - A caller who wants privacy keeps it: a dial that shows its number to a trunk that is not trusted withholds it,
//!   whatever the command says.
//! - Who sent the call on before it came to us is told to trunks with `diversion_out`, with every dial in its call.
//! - A dial that shows the caller's own number sends the call on itself: the number that was called is then the newest
//!   diverter, unconditionally, unless the command names another (`leg.dial.redirected`).
//!
//! Writes no header.

use super::redirected::{Diverter, REDIRECTS_MAX};
use super::wire_number;
use crate::config::{DiversionOut, Trunk};
use crate::control::protocol::{
    ErrorKind, Failure, LegDial, PolicyDecision, Privacy, RedirectReason, Redirected,
};
use crate::engine::calls::dial_plan::Plan;
use crate::engine::keys::CallKey;
use crate::engine::leg::{Leg, Origin};
use crate::engine::policy::fraud;
use crate::engine::policy::number_policy::TrunkNumbers;
use crate::engine::tx::Tx;

/// Settles for a planned dial what it owes to the call it is made in.
pub fn settle(tx: &Tx, call: Option<CallKey>, params: &LegDial, plan: &mut Plan) -> Result<(), Failure> {
    let (Some(trunk), Some(numbers)) = (tx.setup.trunk(plan.trunk), tx.setup.numbers_of(plan.trunk)) else {
        return Ok(());
    };
    let inbound = call.and_then(|call| inbound_of(tx, call));
    let shows_caller = inbound.is_some_and(|leg| {
        let number = leg.from.number.as_ref().unwrap_or(&leg.from.raw);
        plan.shown.number.as_ref() == Some(number)
    });
    plan.shows_caller = shows_caller;
    if shows_caller && inbound.is_some_and(|leg| leg.from.privacy == Some(Privacy::Id)) {
        plan.shown.withheld = true;
    }
    plan.diverters = diverters(trunk, numbers, inbound, shows_caller, params)?;
    let count = plan
        .diverters
        .iter()
        .map(|diverter| diverter.count)
        .fold(0, u32::saturating_add);
    let redirects = trunk.fraud.redirects.min(REDIRECTS_MAX);
    if count > redirects && !plan.is_emergency {
        let (step, rule) = match redirects < REDIRECTS_MAX {
            true => (fraud::STEP, format!("trunk:{}.redirects", trunk.name)),
            false => ("redirects", "redirects".to_owned()),
        };
        let decision = PolicyDecision {
            limit: Some(redirects.into()),
            value: Some(count.into()),
            ..PolicyDecision::deny(step, &rule)
        };
        return Err(Failure::policy(ErrorKind::DestinationNotAllowed, &decision));
    }
    if trunk.diversion_out == DiversionOut::Off {
        plan.diverters.clear();
    }
    Ok(())
}

/// The first leg of the call that came in.
fn inbound_of<'t>(tx: &'t Tx<'_>, call: CallKey) -> Option<&'t Leg> {
    let legs = &tx.world.calls.get(&call)?.legs;
    let mut legs = legs.iter().filter_map(|leg| tx.world.legs.get(leg));
    legs.find(|leg| matches!(leg.origin, Origin::In(_)))
}

/// Oldest first.
fn diverters(
    trunk: &Trunk,
    numbers: &TrunkNumbers,
    inbound: Option<&Leg>,
    shows_caller: bool,
    params: &LegDial,
) -> Result<Vec<Diverter>, Failure> {
    let before = inbound.and_then(|leg| leg.inbound()?.redirected.as_ref());
    let mut diverters: Vec<Diverter> = before.map(|before| carried(trunk, before)).into_iter().collect();
    if let Some(named) = &params.redirected {
        let number = named.number.as_str();
        let is_theirs = |theirs: Option<&String>| theirs.is_some_and(|theirs| theirs == number);
        let is_of_call = is_theirs(inbound.and_then(|leg| leg.to.number.as_ref()))
            || is_theirs(before.and_then(|before| before.number.as_ref()));
        if !is_of_call && !numbers.may_show(number) {
            return Err(Failure::caller_id_not_allowed(&trunk.name));
        }
        diverters.push(own(trunk, number, named.reason));
    } else if let Some(number) = inbound
        .filter(|_| shows_caller)
        .and_then(|leg| leg.to.number.as_ref())
    {
        diverters.push(own(trunk, number, RedirectReason::Unconditional));
    }
    Ok(diverters)
}

fn carried(trunk: &Trunk, before: &Redirected) -> Diverter {
    let is_withheld = before.privacy == Some(Privacy::Id) && !trunk.identity_trusted;
    let number = before.number.as_ref().filter(|_| !is_withheld);
    Diverter {
        uri: number.map(|number| uri(trunk, number)),
        reason: before.reason,
        count: before.count,
    }
}

fn own(trunk: &Trunk, number: &str, reason: RedirectReason) -> Diverter {
    Diverter {
        uri: Some(uri(trunk, number)),
        reason,
        count: 1,
    }
}

fn uri(trunk: &Trunk, number: &str) -> String {
    wire_number::uri_as_sip(trunk, &wire_number::shown(trunk, number), &trunk.from_host)
}
