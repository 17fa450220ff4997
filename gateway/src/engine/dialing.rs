//! Outbound legs: from `leg.dial` through policy, limits and targets to an answer or an end.
//!
//! Everything that can refuse is asked before anything is made. Targets of one leg are tried in order
//! (RFC 3263 §4.3 for addresses already known); the router sees one leg, its record every attempt.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use sip::endpoint::{Command, ExtraHeader, Flow, OutgoingInvite, SessionKey, Unanswered};
use sip::message::Response;

use super::admission::{Guard, Way};
use super::call::{Call, CallStage};
use super::ending::{End, end_leg};
use super::gates::Scope;
use super::identity::{self, Shown};
use super::inbound;
use super::keys::{BridgeKey, CallKey, LegKey, Named};
use super::leg::{Addressee, Attempt, InviteText, Leg, Origin, Outbound, Stage};
use super::number_policy::{Decision, Presentation, Target, TrunkNumbers, classify_target};
use super::op::Work;
use super::tx::Tx;
use super::{answering, bridging, cause, playing};
use crate::config::{EarlyMedia, NumberOut, Transport, Trunk};
use crate::control::protocol::{
    self, CallStarted, Cause, CauseBy, Direction, EndReason, EndedBy, ErrorKind, Event, Failure, Id, LegDial,
    LegDialing, LegRinging, Name, OpOutcome, Party, PolicyDecision, Privacy,
};

/// Hops of a new INVITE (RFC 3261 §8.1.1.6).
pub const MAX_FORWARDS: u8 = 70;
/// SIP's port where a URI names none (RFC 3261 §19.1.2).
pub const SIP_PORT: u16 = 5060;

/// What `leg.dial` made.
pub struct Dialled {
    /// The leg.
    pub leg: Id,
    /// Its call.
    pub call: Id,
    /// Its op.
    pub op: Id,
}

/// Everything `leg.dial` settled before it makes anything.
struct Plan {
    trunk: usize,
    targets: Vec<Flow>,
    to: Addressee,
    to_party: Party,
    shown: Shown,
}

/// `leg.dial`.
pub fn dial(tx: &mut Tx, params: &LegDial) -> Result<Dialled, Failure> {
    let trunk_index = tx.setup.trunk_by_name(params.trunk.as_str());
    let trunk_index = trunk_index.ok_or_else(|| Failure::not_found("trunk", params.trunk.as_str()))?;
    if tx.gates.is_draining() && params.call.is_none() && params.bridge.is_none() {
        return Err(Failure::draining());
    }
    let bridge = params
        .bridge
        .as_ref()
        .map(|id| bridging::find(tx, id))
        .transpose()?;
    let call = match (&params.call, bridge) {
        (Some(id), _) => Some(live_call(tx, id)?),
        (None, Some(bridge)) => tx.world.bridges.get(&bridge).map(|bridge| bridge.call),
        (None, None) => None,
    };
    let plan = plan(tx, trunk_index, params)?;
    admit(tx, trunk_index, call.is_none())?;
    make(tx, params, plan, call, bridge)
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

fn plan(tx: &mut Tx, index: usize, params: &LegDial) -> Result<Plan, Failure> {
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
            let targets = host_flows(tx, trunk)?;
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
                let targets = host_flows(tx, trunk)?;
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
                targets: vec![flow],
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

/// The trunk's hosts in the order of this attempt: priority, then a weighted draw (RFC 2782).
fn host_flows(tx: &mut Tx, trunk: &Trunk) -> Result<Vec<Flow>, Failure> {
    let mut hosts = trunk.hosts.clone();
    let mut ordered = Vec::new();
    while let Some(priority) = hosts.iter().map(|host| host.priority).min() {
        let weights: u64 = hosts
            .iter()
            .filter(|host| host.priority == priority)
            .map(|h| u64::from(h.weight))
            .sum();
        let mut draw = tx.world.make.below(weights + 1);
        let position = hosts.iter().position(|host| {
            let mine = u64::from(host.weight);
            let hit = host.priority == priority && draw <= mine;
            if host.priority == priority && !hit {
                draw -= mine;
            }
            hit
        });
        let Some(position) = position else { break };
        ordered.push(hosts.remove(position));
    }
    let flows = ordered
        .iter()
        .filter_map(|host| flow_to(tx, trunk, host.transport, host.addr));
    let flows: Vec<Flow> = flows.take(trunk.attempts_max).collect();
    if flows.is_empty() {
        Err(Failure::no_route(&trunk.name))
    } else {
        Ok(flows)
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
    flow_to(tx, trunk, transport, remote).ok_or_else(|| Failure::no_route(&trunk.name))
}

fn flow_to(tx: &Tx, trunk: &Trunk, transport: Transport, remote: SocketAddr) -> Option<Flow> {
    let listener = tx.setup.config.listener_for(trunk, transport, remote.ip())?;
    let transport = match transport {
        Transport::Udp => sip::endpoint::Transport::Udp,
        Transport::Tcp => sip::endpoint::Transport::Tcp,
    };
    Some(Flow {
        transport,
        local: listener.addr,
        remote,
    })
}

/// Limits: a new call takes a place of the instance, every INVITE a token, every leg a place of its trunk.
fn admit(tx: &mut Tx, index: usize, is_new_call: bool) -> Result<(), Failure> {
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
        ..Party::default()
    };
    let call = match call {
        Some(call) => call,
        None => new_call(tx, params, &from, &plan.to_party)?,
    };
    if let Some(row) = tx.world.calls.get_mut(&call) {
        row.legs.push(key);
    }
    tx.world.guards.legs.insert((plan.trunk, Way::Out, key), Guard);
    let session = SessionKey::Out(number);
    tx.world.sessions.insert(session, key);
    let (op, op_id) = tx.start_op(call, Some(key), Work::Dial)?;
    let ring = Duration::from_millis(params.ring_timeout_ms.get().into());
    let invite = invite_text(tx, params, &plan);
    let outbound = Outbound {
        op: Some(op),
        ring_until: Some(tx.now.mono + ring),
        early_media: wants_early_media(tx, plan.trunk, params),
        early_tag: None,
        targets: plan.targets,
        target: None,
        invite,
    };
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
    tell_dialing(tx, key);
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

fn tell_dialing(tx: &mut Tx, key: LegKey) {
    let Some(leg) = tx.world.legs.get(&key) else {
        return;
    };
    let trunk = tx.setup.trunk(leg.trunk).map_or("", |trunk| trunk.name.as_str());
    let dialing = LegDialing {
        from: leg.from.clone(),
        to: leg.to.clone(),
        trunk: Name::from(trunk),
    };
    tx.tell_leg(key, Event::LegDialing(Box::new(dialing)));
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
    let row = Call {
        key,
        id,
        app: tx.app.clone(),
        direction: Direction::Out,
        from: from.clone(),
        to: to.clone(),
        shard: tx.setup.shard_of(key),
        legs: Vec::new(),
        bridges: Vec::new(),
        bridge_log: Vec::new(),
        ops: Vec::new(),
        recordings: Vec::new(),
        started: tx.now,
        answered: None,
        stage: CallStage::Live,
        max_duration_at,
        tags: params.tags.0.clone(),
    };
    tx.world.calls.insert(key, row);
    let (app, direction) = (tx.app.clone(), Direction::Out);
    let started = CallStarted {
        app,
        direction,
        from: from.clone(),
        to: to.clone(),
    };
    tx.tell_call(key, Event::CallStarted(Box::new(started)));
    Ok(key)
}

/// What the command says, else what the trunk does.
fn wants_early_media(tx: &Tx, trunk: usize, params: &LegDial) -> bool {
    match params.early_media {
        Some(wanted) => wanted == protocol::EarlyMedia::Connect,
        None => tx
            .setup
            .trunk(trunk)
            .is_none_or(|trunk| trunk.early_media == EarlyMedia::Connect),
    }
}

fn invite_text(tx: &mut Tx, params: &LegDial, plan: &Plan) -> InviteText {
    let Some(trunk) = tx.setup.trunk(plan.trunk) else {
        return InviteText::default();
    };
    let (from, mut headers) = identity::outgoing(trunk, &plan.shown);
    let own = params.headers.0.iter();
    headers.extend(own.map(|(name, value)| ExtraHeader {
        name: name.clone(),
        value: value.clone(),
    }));
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
        max_forwards: MAX_FORWARDS,
    }
}

/// The leg has its port: the INVITE goes to its first target.
pub fn port_opened(tx: &mut Tx, key: LegKey) {
    try_next(tx, key);
}

/// Sends the INVITE to the next target; false: there is none.
fn try_next(tx: &mut Tx, key: LegKey) -> bool {
    let Some(leg) = tx.world.legs.get_mut(&key) else {
        return false;
    };
    let Some(out) = leg.outbound_mut() else {
        return false;
    };
    if out.targets.is_empty() {
        return false;
    }
    let is_first = out.target.is_none();
    let target = out.targets.remove(0);
    out.target = Some(target);
    out.early_tag = None;
    leg.attempts.push(Attempt {
        peer: peer_text(&target),
        status: None,
        q850: None,
    });
    if !is_first {
        let session = SessionKey::Out(tx.world.make.number());
        let old = std::mem::replace(&mut leg.session, session);
        tx.world.sessions.remove(old);
        tx.world.sessions.insert(session, key);
    }
    let Some(sdp) = answering::make_offer(tx, key, false) else {
        return false;
    };
    let Some(invite) = invite_for(tx, key, target, sdp) else {
        return false;
    };
    tx.sip(Command::Invite(Box::new(invite)));
    true
}

fn invite_for(tx: &Tx, key: LegKey, flow: Flow, sdp: bytes::Bytes) -> Option<OutgoingInvite> {
    let leg = tx.world.legs.get(&key)?;
    let trunk = tx.setup.trunk(leg.trunk)?;
    let invite = &leg.outbound()?.invite;
    let request_uri = match &invite.to {
        Addressee::Uri(uri) => uri.clone(),
        Addressee::Number(number) => {
            let user_phone = if trunk.user_phone { ";user=phone" } else { "" };
            format!("sip:{number}@{}{user_phone}", flow.remote)
        }
    };
    Some(OutgoingInvite {
        session: leg.session,
        flow,
        to: format!("<{request_uri}>"),
        request_uri,
        from: invite.from.clone(),
        contact_host: trunk.contact_host.clone(),
        call_id: Some(invite.call_id.clone()),
        from_tag: Some(invite.from_tag.clone()),
        max_forwards: invite.max_forwards,
        headers: invite.headers.clone(),
        sdp,
        credentials: trunk.auth.as_ref().map(|auth| sip::endpoint::Credentials {
            username: auth.username.clone(),
            password: auth.password.clone(),
            realm: auth.realm.clone(),
        }),
        timer_b: trunk.timer_b,
    })
}

fn peer_text(flow: &Flow) -> String {
    let transport = match flow.transport {
        sip::endpoint::Transport::Udp => "udp",
        sip::endpoint::Transport::Tcp => "tcp",
    };
    format!("{};transport={transport}", flow.remote)
}

/// A provisional response above 100.
pub fn progressed(
    tx: &mut Tx,
    key: LegKey,
    remote_tag: String,
    response: &Response,
    sdp: Option<bytes::Bytes>,
) {
    let now = tx.now;
    let Some(leg) = tx.world.legs.get_mut(&key) else {
        return;
    };
    if !matches!(leg.stage, Stage::Trying | Stage::Ringing) || response.status.code() == 199 {
        return;
    }
    let first = leg.stage == Stage::Trying;
    leg.stage = Stage::Ringing;
    leg.times.ringing.get_or_insert(now);
    let wants_early = leg.outbound().is_some_and(|out| out.early_media);
    let mut early_media = false;
    if let Some(sdp) = sdp.filter(|_| wants_early) {
        early_media = take_early(tx, key, remote_tag, &sdp);
    }
    if first || early_media {
        tx.tell_leg(
            key,
            Event::LegRinging(LegRinging {
                early_media,
                sip: response.status.code(),
            }),
        );
    }
}

/// The newest early dialog is the one that is heard. True where it was not yet.
fn take_early(tx: &mut Tx, key: LegKey, remote_tag: String, sdp: &[u8]) -> bool {
    if !answering::take_answer(tx, key, Some(sdp), false) {
        return false;
    }
    let Some(out) = tx.world.legs.get_mut(&key).and_then(Leg::outbound_mut) else {
        return false;
    };
    let was = out.early_tag.replace(remote_tag.clone());
    was.as_deref() != Some(remote_tag.as_str())
}

/// The first 2xx.
pub fn answered(tx: &mut Tx, key: LegKey, remote_tag: &str, response: &Response, sdp: Option<bytes::Bytes>) {
    let Some(leg) = tx.world.legs.get_mut(&key) else {
        return;
    };
    if leg.is_ended() {
        return;
    }
    let session = leg.session;
    if let Some(attempt) = leg.attempts.last_mut() {
        attempt.status = Some(response.status.code());
    }
    let early = leg.outbound().and_then(|out| out.early_tag.clone());
    let usable = match &sdp {
        Some(sdp) => answering::take_answer(tx, key, Some(sdp), true),
        None => early.as_deref() == Some(remote_tag) && again_as_answered(tx, key),
    };
    if !usable {
        tx.sip(Command::Bye {
            session,
            headers: Vec::new(),
        });
        let end = End {
            sip: Some(488),
            tell_peer: false,
            ..End::ours(EndedBy::Fault, EndReason::Failed)
        };
        return end_leg(tx, key, end);
    }
    if let Some(out) = tx.world.legs.get_mut(&key).and_then(Leg::outbound_mut) {
        out.ring_until = None;
        out.early_tag = None;
    }
    answering::mark_answered(tx, key);
    let op = tx
        .world
        .legs
        .get_mut(&key)
        .and_then(Leg::outbound_mut)
        .and_then(|out| out.op.take());
    if let Some(op) = op {
        playing::end_op(tx, op, OpOutcome::Ok);
    }
}

/// The answer came in a provisional response: from now on we send too.
fn again_as_answered(tx: &mut Tx, key: LegKey) -> bool {
    let negotiated = tx
        .world
        .legs
        .get(&key)
        .and_then(|leg| leg.media.negotiated.clone());
    let Some(negotiated) = negotiated else {
        return false;
    };
    answering::configure(tx, key, negotiated, true);
    true
}

/// A final refusal: the next target where the trunk routes on, else the end.
pub fn refused(tx: &mut Tx, key: LegKey, response: &Response) {
    let Some(leg) = tx.world.legs.get_mut(&key) else {
        return;
    };
    if leg.is_ended() {
        return;
    }
    let status = response.status.code();
    let meaning = cause::of_status(status, leg.times.ringing.is_some());
    let told = response
        .headers
        .reason()
        .iter()
        .find_map(sip::message::Reason::q850_cause);
    let q850 = told.unwrap_or(meaning.q850);
    let reason = told.and_then(cause::of_q850).unwrap_or(meaning.reason);
    let reason = if reason == EndReason::Completed {
        meaning.reason
    } else {
        reason
    };
    if let Some(attempt) = leg.attempts.last_mut() {
        (attempt.status, attempt.q850) = (Some(status), Some(q850));
    }
    let rang = leg.stage == Stage::Ringing;
    let routes_on = tx
        .setup
        .trunk(leg.trunk)
        .is_some_and(|trunk| trunk.route_on.contains(&status));
    if meaning.may_route_on && routes_on && !rang && try_next(tx, key) {
        return;
    }
    end_leg(
        tx,
        key,
        End {
            sip: Some(status),
            q850: Some(q850),
            ..End::by_peer(reason)
        },
    );
}

/// No final response at all: counts as 408 or 503, and the next target is tried at once.
pub fn unanswered(tx: &mut Tx, key: LegKey, why: Unanswered) {
    let Some(leg) = tx.world.legs.get_mut(&key) else {
        return;
    };
    if leg.is_ended() {
        return;
    }
    let (status, q850) = match why {
        Unanswered::Timeout => (408, 102),
        Unanswered::Transport => (503, 41),
    };
    if let Some(attempt) = leg.attempts.last_mut() {
        attempt.q850 = Some(q850);
    }
    if tx
        .setup
        .trunk(leg.trunk)
        .is_some_and(|trunk| trunk.route_on.contains(&status))
        && try_next(tx, key)
    {
        return;
    }
    let end = End {
        by: EndedBy::Timer,
        sip: None,
        q850: Some(q850),
        ..End::by_peer(EndReason::Unreachable)
    };
    end_leg(tx, key, end);
}

/// The ring limit was reached.
pub fn rang_out(tx: &mut Tx, key: LegKey) {
    let end = End {
        q850: Some(19),
        ..End::ours(EndedBy::Timer, EndReason::NoAnswer)
    };
    tx.because(Cause::By(CauseBy::Timer), |tx| end_leg(tx, key, end));
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
