//! What a dial would do, settled before anything is made: policy, caller id, targets, limits.
//!
//! `policy.check` is the same code without the dial. Makes nothing; only rate tokens are taken.

use std::net::{IpAddr, SocketAddr};

use sip::endpoint::Flow;

use super::admission::Way;
use super::gates::Scope;
use super::identity::Shown;
use super::leg::Addressee;
use super::number_policy::{Decision, Presentation, Target, TrunkNumbers, classify_target};
use super::peers::{Unrouted, flow_to};
use super::tx::Tx;
use crate::config::{NumberOut, Transport, Trunk, carriage_of};
use crate::control::protocol::{ErrorKind, Failure, LegDial, Name, Party, PolicyDecision, Privacy};

/// SIP's port where a URI names none (RFC 3261 §19.1.2).
const SIP_PORT: u16 = 5060;

/// Everything `leg.dial` settled before it makes anything.
pub struct Plan {
    /// Index of its trunk.
    pub trunk: usize,
    /// Where the INVITE goes, in order.
    pub targets: Targets,
    /// Whom it names.
    pub to: Addressee,
    /// The same, as clients see it.
    pub to_party: Party,
    /// Who is shown as caller.
    pub shown: Shown,
}

/// Where an INVITE goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Targets {
    /// There, in order.
    Known(Vec<Flow>),
    /// DNS has not said yet.
    NotLocated,
}

/// Judges a dial by number policy, caller id and route.
pub fn plan(tx: &mut Tx, index: usize, params: &LegDial) -> Result<Plan, Failure> {
    let setup = tx.setup;
    let (Some(trunk), Some(numbers)) = (setup.trunk(index), setup.numbers_of(index)) else {
        return Err(Failure::not_found("trunk", params.trunk.as_str()));
    };
    check_headers(trunk, params)?;
    let mut shown = shown(trunk, params);
    let target = classify_target(params.to.as_str(), numbers);
    let target = target.map_err(|error| Failure::number_invalid(error.to_string()))?;
    match target {
        Target::Number(dialled) => {
            let decision = setup.policy.check(&dialled, shown.number.as_deref(), numbers);
            judge(trunk, &decision)?;
            shown.withheld |= decision.presentation == Some(Presentation::Withhold);
            let digits = decision
                .dial
                .clone()
                .or_else(|| decision.e164.as_ref().map(|e164| e164.as_str().to_owned()));
            let digits = digits.ok_or_else(|| Failure::number_invalid("not a telephone number"))?;
            let to_party = Party {
                number: Some(digits.clone()),
                raw: params.to.as_str().to_owned(),
                ..Party::default()
            };
            let targets = host_targets(tx, index, trunk)?;
            Ok(Plan {
                trunk: index,
                targets,
                to: Addressee::Number(number_text(trunk, &digits)),
                to_party,
                shown,
            })
        }
        Target::Name {
            user,
            host,
            port,
            uri,
        } => {
            check_caller_id(trunk, numbers, &shown)?;
            let to_party = Party {
                raw: user.clone(),
                ..Party::default()
            };
            let Some(host) = host else {
                let targets = host_targets(tx, index, trunk)?;
                return Ok(Plan {
                    trunk: index,
                    targets,
                    to: Addressee::Number(user),
                    to_party,
                    shown,
                });
            };
            let flow = name_flow(tx, trunk, &host, port, params.to.as_str())?;
            Ok(Plan {
                trunk: index,
                targets: Targets::Known(vec![flow]),
                to: Addressee::Uri(uri),
                to_party,
                shown,
            })
        }
    }
}

/// Only listed headers cross to a peer.
fn check_headers(trunk: &Trunk, params: &LegDial) -> Result<(), Failure> {
    for name in params.headers.0.keys() {
        if !trunk.headers_out.contains(&name.to_ascii_lowercase()) {
            let path = format!("params.headers.{name}");
            return Err(Failure::invalid_params(
                &path,
                format_args!("is not in headers_out of trunk `{}`", trunk.name),
            ));
        }
    }
    Ok(())
}

fn shown(trunk: &Trunk, params: &LegDial) -> Shown {
    let named = params.caller_id.as_ref();
    let number = named
        .and_then(|caller| caller.number.as_ref())
        .map(|number| number.as_str().to_owned());
    Shown {
        number: number.or_else(|| trunk.default_caller_id().map(str::to_owned)),
        name: named
            .and_then(|caller| caller.name.as_ref())
            .map(|name| name.as_str().to_owned()),
        withheld: named.is_some_and(|caller| caller.privacy == Privacy::Id),
    }
}

fn judge(trunk: &Trunk, decision: &Decision) -> Result<(), Failure> {
    if decision.allow {
        return Ok(());
    }
    let kind = ErrorKind::ALL
        .iter()
        .find(|kind| kind.as_str() == decision.error_kind());
    let kind = kind.copied().unwrap_or(ErrorKind::DestinationNotAllowed);
    let failure = Failure::policy(kind, &told(decision));
    Err(if kind == ErrorKind::CallerIdNotAllowed {
        failure.with("trunk", trunk.name.as_str())
    } else {
        failure
    })
}

/// A decision as clients see it.
pub fn told(decision: &Decision) -> PolicyDecision {
    let (step, rule) = (decision.step.name(), decision.rule.as_str());
    let mut told = if decision.allow {
        PolicyDecision::allow(step, rule)
    } else {
        PolicyDecision::deny(step, rule)
    };
    told.e164 = decision.e164.as_ref().map(|e164| e164.as_str().to_owned());
    told.region = decision.region.clone();
    told.kind = decision.kind.map(|kind| kind.name().to_owned());
    told
}

fn check_caller_id(trunk: &Trunk, numbers: &TrunkNumbers, shown: &Shown) -> Result<(), Failure> {
    match &shown.number {
        Some(number) if !numbers.may_show(number) => Err(Failure::caller_id_not_allowed(&trunk.name)),
        Some(_) | None => Ok(()),
    }
}

/// A number as this trunk writes it.
fn number_text(trunk: &Trunk, digits: &str) -> String {
    let bare = digits.trim_start_matches('+');
    match trunk.number_out {
        NumberOut::E164Plus if trunk.prefix_out.is_empty() => digits.to_owned(),
        NumberOut::E164Plus | NumberOut::E164 | NumberOut::National => format!("{}{bare}", trunk.prefix_out),
    }
}

/// Where a call to a number of this trunk goes now.
fn host_targets(tx: &mut Tx, index: usize, trunk: &Trunk) -> Result<Targets, Failure> {
    let now = tx.now.mono;
    match tx.peers.route(tx.setup, index, now) {
        Ok(flows) => Ok(Targets::Known(flows)),
        Err(Unrouted::NotLocated) => Ok(Targets::NotLocated),
        Err(Unrouted::NoPeer) => Err(Failure::no_route(&trunk.name)),
        Err(Unrouted::Down) => Err(Failure::trunk_down(&trunk.name)),
    }
}

/// A `sip:` target goes to its own host, which must be an address inside the trunk's `allow`.
fn name_flow(tx: &Tx, trunk: &Trunk, host: &str, port: Option<u16>, uri: &str) -> Result<Flow, Failure> {
    let refused = || {
        Failure::policy(
            ErrorKind::DestinationNotAllowed,
            &PolicyDecision::deny("host", "host_not_in_allow"),
        )
    };
    let address: IpAddr = host.parse().map_err(|_| refused())?;
    if !trunk.allows(address) {
        return Err(refused());
    }
    let is_tcp = uri.to_ascii_lowercase().contains(";transport=tcp");
    let transport = if is_tcp { Transport::Tcp } else { Transport::Udp };
    let remote = SocketAddr::new(address, port.unwrap_or(SIP_PORT));
    if tx.setup.is_own_listener(remote) {
        return Err(Failure::policy(
            ErrorKind::DestinationNotAllowed,
            &PolicyDecision::deny("host", "own_address"),
        ));
    }
    let target = sip::transport::target::Target {
        carriage: carriage_of(transport),
        addr: remote,
    };
    flow_to(tx.setup, trunk, target).ok_or_else(|| Failure::no_route(&trunk.name))
}

/// Limits: a new call takes a place of the instance, every INVITE a token, every leg a place of its trunk.
pub fn admit(tx: &mut Tx, index: usize, is_new_call: bool) -> Result<(), Failure> {
    let Some(trunk) = tx.setup.trunk(index) else {
        return Ok(());
    };
    let name = &trunk.name;
    let calls = tx.world.guards.calls();
    if is_new_call && !tx.gates.has_room(Scope::Instance, calls) {
        let limit = u64::from(tx.gates.calls_max(Scope::Instance));
        return Err(Failure::limit(
            ErrorKind::LimitCalls,
            "instance.calls",
            limit,
            calls as u64,
        ));
    }
    let legs = tx.world.guards.legs_of(index, None);
    if !tx.gates.has_room(Scope::Trunk(index), legs) {
        let limit = u64::from(tx.gates.calls_max(Scope::Trunk(index)));
        return Err(Failure::limit(
            ErrorKind::LimitCalls,
            &format!("trunk:{name}.calls"),
            limit,
            legs as u64,
        ));
    }
    let legs_out = tx.world.guards.legs_of(index, Some(Way::Out));
    if trunk.calls_out < trunk.calls && legs_out >= trunk.calls_out as usize {
        let rule = format!("trunk:{name}.calls_out");
        return Err(Failure::limit(
            ErrorKind::LimitCalls,
            &rule,
            trunk.calls_out.into(),
            legs_out as u64,
        ));
    }
    let ports = tx.ports_in_use();
    if ports >= tx.setup.port_pairs {
        let limit = tx.setup.port_pairs as u64;
        return Err(Failure::limit(
            ErrorKind::LimitPorts,
            "media.ports",
            limit,
            ports as u64,
        ));
    }
    for (scope, rule) in [
        (Scope::Instance, "instance.calls_per_second".to_owned()),
        (Scope::Trunk(index), format!("trunk:{name}.calls_per_second")),
    ] {
        if !tx.take_token(scope) {
            let limit = u64::from(tx.gates.calls_per_second(scope));
            let rate = tx.gates.rate(scope, tx.now.mono) as u64;
            return Err(Failure::limit(ErrorKind::LimitCps, &rule, limit, rate));
        }
    }
    Ok(())
}

/// `policy.check`: the same code as a dial, without the dial.
pub fn policy_check(
    tx: &mut Tx,
    to: &str,
    from: Option<&str>,
    trunk: Option<&Name>,
) -> Result<PolicyDecision, Failure> {
    let index = match trunk {
        Some(name) => {
            let index = tx.setup.trunk_by_name(name.as_str());
            index.ok_or_else(|| Failure::not_found("trunk", name.as_str()))?
        }
        None => 0,
    };
    let any = TrunkNumbers {
        caller_ids: vec!["*".into()],
        ..TrunkNumbers::default()
    };
    let numbers = trunk.and(tx.setup.numbers_of(index)).unwrap_or(&any);
    let caller = match (from, trunk) {
        (Some(from), _) => Some(from.to_owned()),
        (None, Some(_)) => tx
            .setup
            .trunk(index)
            .and_then(Trunk::default_caller_id)
            .map(str::to_owned),
        (None, None) => None,
    };
    match classify_target(to, numbers) {
        Ok(Target::Number(dialled)) => Ok(told(&tx.setup.policy.check(&dialled, caller.as_deref(), numbers))),
        Ok(Target::Name { host, .. }) => Ok(check_name(
            tx,
            trunk.map(|_| index),
            host.as_deref(),
            caller.as_deref(),
            numbers,
        )),
        Err(error) => Ok(PolicyDecision::deny("text", &error.to_string())),
    }
}

fn check_name(
    tx: &Tx,
    trunk: Option<usize>,
    host: Option<&str>,
    caller: Option<&str>,
    numbers: &TrunkNumbers,
) -> PolicyDecision {
    if caller.is_some_and(|caller| !numbers.may_show(caller)) {
        return PolicyDecision::deny("caller_id", "caller_id");
    }
    let (Some(trunk), Some(host)) = (trunk.and_then(|index| tx.setup.trunk(index)), host) else {
        return PolicyDecision::allow("route", "name");
    };
    match host.parse::<IpAddr>() {
        Ok(address) if trunk.allows(address) => PolicyDecision::allow("route", "name"),
        Ok(_) | Err(_) => PolicyDecision::deny("host", "host_not_in_allow"),
    }
}
