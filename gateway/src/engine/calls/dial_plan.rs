//! What a dial would do, settled before anything is made: policy, caller id, targets, limits.
//!
//! `policy.check` is the same code without the dial. Makes nothing; only rate tokens are taken.

use std::net::{IpAddr, SocketAddr};

use sip::endpoint::Flow;

use crate::config::{Trunk, carriage_of};
use crate::control::protocol::{self, ErrorKind, Failure, LegDial, Name, Party, PolicyDecision, Privacy};
use crate::engine::callers::redirected::Diverter;
use crate::engine::callers::shown::Shown;
use crate::engine::callers::wire_number;
use crate::engine::leg::Addressee;
use crate::engine::policy::admission::Way;
use crate::engine::policy::emergency;
use crate::engine::policy::fraud;
use crate::engine::policy::gates::Scope;
use crate::engine::policy::location;
use crate::engine::policy::number_policy::{
    Decision, Presentation, Step, Target, TrunkNumbers, classify_target, parse_inbound,
};
use crate::engine::setup::Setup;
use crate::engine::trunks::peers::{Unrouted, flow_to};
use crate::engine::trunks::registrations;
use crate::engine::trunks::switched;
use crate::engine::trunks::tls_peers::dial_transport;
use crate::engine::tx::Tx;

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
    /// What the number policy says.
    pub judged: PolicyDecision,
    /// Who sent the call on, oldest first.
    pub diverters: Vec<Diverter>,
    /// An emergency call: no limit applies.
    pub is_emergency: bool,
    /// It shows the number of the one who called in.
    pub shows_caller: bool,
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
    check_headers(setup, index, trunk, params)?;
    let mut shown = shown(trunk, numbers, params);
    let target = classify_target(params.to.as_str(), numbers);
    let target = target.map_err(|error| {
        let decision = PolicyDecision::deny(Step::Text.name(), error.rule());
        Failure::policy(ErrorKind::NumberInvalid, &decision)
    })?;
    let planned = |targets, to, to_party, shown, judged| Plan {
        trunk: index,
        targets,
        to,
        to_party,
        shown,
        judged,
        diverters: Vec::new(),
        is_emergency: false,
        shows_caller: false,
    };
    match target {
        Target::Number(dialled) => {
            let decision = setup.policy.check(&dialled, shown.number.as_deref(), numbers);
            judge(&decision)?;
            shown.withheld |= decision.presentation == Some(Presentation::Withhold);
            let digits = digits_of(&decision)?;
            let to_party = Party {
                number: Some(digits.clone()),
                raw: params.to.as_str().to_owned(),
                ..Party::default()
            };
            let targets = number_targets(tx, index, trunk, decision.is_emergency())?;
            let to = addressee(trunk, digits);
            Ok(Plan {
                is_emergency: decision.is_emergency(),
                ..planned(targets, to, to_party, shown, told(&decision))
            })
        }
        Target::Name {
            user,
            host,
            port,
            uri,
        } => {
            check_caller_id(numbers, &shown)?;
            switched::check(tx, index)?;
            let to_party = Party {
                raw: user.clone(),
                ..Party::default()
            };
            let (to, targets) = if registrations::is_for_phones(tx, index, host.as_deref(), port) {
                let (to, flows) = registrations::phones_of(tx, index, &user)?;
                (to, Targets::Known(flows))
            } else if let Some(host) = host {
                let flow = name_flow(tx, trunk, &host, port, params.to.as_str())?;
                (Addressee::Uri(uri), Targets::Known(vec![flow]))
            } else {
                (Addressee::Number(user), host_targets(tx, index, trunk)?)
            };
            let judged = PolicyDecision::allow("route", "name");
            Ok(planned(targets, to, to_party, shown, judged))
        }
    }
}

/// Where a number is dialled. An emergency service is, whatever is switched off.
fn number_targets(tx: &mut Tx, index: usize, trunk: &Trunk, is_emergency: bool) -> Result<Targets, Failure> {
    if is_emergency {
        return emergency::targets(tx, index, trunk);
    }
    switched::check(tx, index)?;
    host_targets(tx, index, trunk)
}

/// A number as the trunk writes it, or an emergency service by its name.
fn addressee(trunk: &Trunk, digits: String) -> Addressee {
    match digits.starts_with("urn:") {
        true => Addressee::Uri(digits),
        false => Addressee::Number(wire_number::called(trunk, &digits)),
    }
}

/// What is dialled: as the policy says, else the number itself.
fn digits_of(decision: &Decision) -> Result<String, Failure> {
    let e164 = || decision.e164.as_ref().map(|e164| e164.as_str().to_owned());
    let digits = decision.dial.clone().or_else(e164);
    digits.ok_or_else(|| Failure::number_invalid("not a telephone number"))
}

/// Only listed headers cross to a peer, and a place only with an emergency call.
fn check_headers(setup: &Setup, index: usize, trunk: &Trunk, params: &LegDial) -> Result<(), Failure> {
    for name in params.headers.0.keys() {
        if !trunk.headers_out.contains(&name.to_ascii_lowercase()) {
            let path = format!("params.headers.{name}");
            return Err(Failure::invalid_params(
                &path,
                format_args!("is not in headers_out of trunk `{}`", trunk.name),
            ));
        }
        location::check(setup, index, params.to.as_str(), name)?;
    }
    Ok(())
}

fn shown(trunk: &Trunk, numbers: &TrunkNumbers, params: &LegDial) -> Shown {
    let named = params.caller_id.as_ref();
    let number = named.and_then(|caller| caller.number.as_ref()).map(|number| {
        let read = parse_inbound(number.as_str(), numbers).number;
        read.map_or_else(|| number.as_str().to_owned(), |number| number.as_str().to_owned())
    });
    Shown {
        number: number.or_else(|| trunk.default_caller_id().map(str::to_owned)),
        name: named
            .and_then(|caller| caller.name.as_ref())
            .map(|name| name.as_str().to_owned()),
        withheld: named.is_some_and(|caller| caller.privacy == Privacy::Id),
    }
}

fn judge(decision: &Decision) -> Result<(), Failure> {
    if decision.allow {
        return Ok(());
    }
    let kind = ErrorKind::ALL
        .iter()
        .find(|kind| kind.as_str() == decision.error_kind());
    let kind = kind.copied().unwrap_or(ErrorKind::DestinationNotAllowed);
    Err(Failure::policy(kind, &told(decision)))
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
    told.list_version = Some(decision.list_version.clone());
    told
}

fn check_caller_id(numbers: &TrunkNumbers, shown: &Shown) -> Result<(), Failure> {
    match &shown.number {
        Some(number) if !numbers.may_show(number) => {
            let decision = PolicyDecision::deny(Step::CallerId.name(), "caller_id");
            Err(Failure::policy(ErrorKind::CallerIdNotAllowed, &decision))
        }
        Some(_) | None => Ok(()),
    }
}

/// Where a call to a number of this trunk goes now: first where it is registered, never to a peer whose
/// certificate is another's.
pub fn host_targets(tx: &mut Tx, index: usize, trunk: &Trunk) -> Result<Targets, Failure> {
    let now = tx.now.mono;
    match tx.peers.route(tx.setup, index, now) {
        Ok(mut flows) => {
            flows.retain(|flow| tx.world.tls_peers.is_fit_for(trunk, flow));
            tx.registrations.put_first(index, &mut flows);
            match flows.is_empty() {
                true => Err(Failure::no_route(&trunk.name)),
                false => Ok(Targets::Known(flows)),
            }
        }
        Err(Unrouted::NotLocated) => Ok(Targets::NotLocated),
        Err(Unrouted::NoPeer) => Err(Failure::no_route(&trunk.name)),
        Err(Unrouted::Down) => Err(Failure::trunk_down(&trunk.name, "peers_down")),
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
    let Some(transport) = dial_transport(trunk, uri) else {
        return Err(Failure::no_route(&trunk.name));
    };
    let remote = SocketAddr::new(address, port.unwrap_or(transport.default_port()));
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
    flow_to(tx.setup, trunk, target)
        .filter(|flow| tx.world.tls_peers.is_fit_for(trunk, flow))
        .ok_or_else(|| Failure::no_route(&trunk.name))
}

/// A limit that a dial would exceed.
pub struct Full {
    /// The step of the policy: `fraud` or `route`.
    pub step: &'static str,
    /// The error it is.
    pub kind: ErrorKind,
    /// Its rule.
    pub rule: String,
    /// What it allows.
    pub limit: u64,
    /// How much of that is taken.
    pub value: u64,
}

/// The step of limits and peers.
const ROUTE: &str = "route";

impl Full {
    /// What the policy says of the number, turned into a refusal.
    fn of(self, judged: &PolicyDecision) -> (ErrorKind, PolicyDecision) {
        let decision = PolicyDecision {
            limit: Some(self.limit),
            value: Some(self.value),
            e164: judged.e164.clone(),
            region: judged.region.clone(),
            kind: judged.kind.clone(),
            list_version: judged.list_version.clone(),
            ..PolicyDecision::deny(self.step, &self.rule)
        };
        (self.kind, decision)
    }
}

/// Limits: a new call takes a place of the instance, every INVITE a token, every leg a place of its trunk.
pub fn admit(tx: &mut Tx, plan: &Plan, is_new_call: bool) -> Result<(), Failure> {
    if plan.is_emergency {
        return emergency::admit(tx, plan);
    }
    registrations::check_up(tx, plan.trunk)?;
    let number = plan.judged.e164.clone();
    let full = fraud::full(tx, plan.trunk, number.as_deref()).or_else(|| full(tx, plan.trunk, is_new_call));
    if let Some(full) = full {
        let (kind, decision) = full.of(&plan.judged);
        return Err(Failure::policy(kind, &decision));
    }
    fraud::dialled(tx, plan.trunk, number.as_deref());
    tx.take_token(Scope::Instance);
    tx.take_token(Scope::Trunk(plan.trunk));
    Ok(())
}

/// The refusal where no port is left at all.
pub fn ports_full(tx: &Tx, plan: &Plan, ports: usize) -> Failure {
    let full = Full {
        step: ROUTE,
        kind: ErrorKind::LimitPorts,
        rule: "media.ports".into(),
        limit: tx.setup.port_pairs as u64,
        value: ports as u64,
    };
    let (kind, decision) = full.of(&plan.judged);
    Failure::policy(kind, &decision)
}

/// The first limit that has no room for one more; takes nothing.
fn full(tx: &mut Tx, index: usize, is_new_call: bool) -> Option<Full> {
    let trunk = tx.setup.trunk(index)?;
    let name = &trunk.name;
    let full = |kind, rule: String, limit: u64, value: usize| {
        let value = value as u64;
        Some(Full {
            step: ROUTE,
            kind,
            rule,
            limit,
            value,
        })
    };
    let calls = tx.world.guards.calls();
    if is_new_call && !tx.gates.has_room(Scope::Instance, calls) {
        let limit = tx.gates.calls_max(Scope::Instance).into();
        return full(ErrorKind::LimitCalls, "instance.calls".into(), limit, calls);
    }
    let legs = tx.world.guards.legs_of(index, None);
    if !tx.gates.has_room(Scope::Trunk(index), legs) {
        let limit = tx.gates.calls_max(Scope::Trunk(index)).into();
        return full(ErrorKind::LimitCalls, format!("trunk:{name}.calls"), limit, legs);
    }
    let legs_out = tx.world.guards.legs_of(index, Some(Way::Out));
    if trunk.calls_out < trunk.calls && legs_out >= trunk.calls_out as usize {
        let rule = format!("trunk:{name}.calls_out");
        return full(ErrorKind::LimitCalls, rule, trunk.calls_out.into(), legs_out);
    }
    let ports = tx.ports_in_use();
    if ports >= tx.setup.port_pairs_open() {
        let limit = tx.setup.port_pairs_open() as u64;
        return full(ErrorKind::LimitPorts, "media.ports".into(), limit, ports);
    }
    for (scope, rule) in [
        (Scope::Instance, "instance.calls_per_second".to_owned()),
        (Scope::Trunk(index), format!("trunk:{name}.calls_per_second")),
    ] {
        if !tx.gates.has_token(scope, tx.now.mono) {
            let limit = tx.gates.calls_per_second(scope).into();
            let rate = tx.gates.rate(scope, tx.now.mono);
            return full(ErrorKind::LimitCps, rule, limit, rate);
        }
    }
    None
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
    let judged = match classify_target(to, numbers) {
        Ok(Target::Number(dialled)) => told(&tx.setup.policy.check(&dialled, caller.as_deref(), numbers)),
        Ok(Target::Name { host, port, .. }) => {
            let for_phones =
                trunk.is_some() && registrations::is_for_phones(tx, index, host.as_deref(), port);
            let host = host.as_deref().filter(|_| !for_phones);
            check_name(tx, trunk.map(|_| index), host, caller.as_deref(), numbers)
        }
        Err(error) => PolicyDecision::deny(Step::Text.name(), error.rule()),
    };
    if judged.decision == protocol::Decision::Deny || trunk.is_none() || judged.step == Step::Emergency.name()
    {
        return Ok(judged);
    }
    let full = fraud::full(tx, index, judged.e164.as_deref()).or_else(|| full(tx, index, true));
    Ok(full.map_or(judged.clone(), |full| full.of(&judged).1))
}

fn check_name(
    tx: &Tx,
    trunk: Option<usize>,
    host: Option<&str>,
    caller: Option<&str>,
    numbers: &TrunkNumbers,
) -> PolicyDecision {
    if caller.is_some_and(|caller| !numbers.may_show(caller)) {
        return PolicyDecision::deny(Step::CallerId.name(), "caller_id");
    }
    let (Some(trunk), Some(host)) = (trunk.and_then(|index| tx.setup.trunk(index)), host) else {
        return PolicyDecision::allow("route", "name");
    };
    match host.parse::<IpAddr>() {
        Ok(address) if trunk.allows(address) => PolicyDecision::allow("route", "name"),
        Ok(_) | Err(_) => PolicyDecision::deny("host", "host_not_in_allow"),
    }
}
