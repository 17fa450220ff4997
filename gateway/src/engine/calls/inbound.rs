//! Inbound calls: from an INVITE of a trunk to a leg that clients can take up, or to a refusal.
//!
//! Every INVITE of a known trunk is counted once as offered and once as admitted, throttled or
//! refused; a refused one has its event and its record too. One whose certificate is on its way is looked at twice.
//! Knows nothing of sockets.

use media::Change;
use sip::endpoint::{Command, ExtraHeader, IncomingInvite, SessionKey};
use sip::rng::Rng;
use sip::sdp;

use super::call_record;
use super::cause;
use super::waiting::{self, Arrival};
use crate::config::Trunk;
use crate::control::protocol::{
    CallRefused, CallStarted, Direction, Event, Name, Party, Refusal, ThrottleReason,
};
use crate::engine::audio::info_digits::InfoDigits;
use crate::engine::audio::media_plan;
use crate::engine::call::{Call, CallStage};
use crate::engine::callers::identity::{self, Reading, Said};
use crate::engine::callers::redirected::{self, REDIRECTS_MAX};
use crate::engine::callers::vouching::{self, Judged};
use crate::engine::keys::{CallKey, LegKey, Named};
use crate::engine::leg::{HoldTally, Inbound, Leg, LegMedia, Origin, Owed, Stage, Times};
use crate::engine::policy::admission::{Guard, Way};
use crate::engine::policy::gates::Scope;
use crate::engine::tallying;
use crate::engine::transfers::replacing;
use crate::engine::trunks::switched;
use crate::engine::tx::{About, Tx};
use crate::stir::CertificateUrl;

/// Why an INVITE of a known trunk is not let in.
#[derive(Clone, Debug)]
struct Turned {
    /// Counted as throttled for this reason, else as refused.
    throttle: Option<ThrottleReason>,
    /// The metric's label where it was refused.
    word: &'static str,
    /// Stable word or dotted path.
    rule: String,
    /// The limit, for rules that are limits.
    limit: Option<u64>,
    /// The count before this call.
    value: Option<u64>,
    /// The answer.
    status: u16,
    /// Further headers of the answer.
    headers: Vec<ExtraHeader>,
}

/// What becomes of one that the gates let through.
enum Admitted {
    /// It is a call, of this app.
    In(Name, CallStage),
    /// It waits for this certificate.
    Waits(CertificateUrl),
}

/// Which look at an INVITE it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    /// It has just come.
    First,
    /// It has waited: its rate has been counted, and it waits no more.
    Again,
}

/// A new INVITE.
pub fn offered(tx: &mut Tx, invite: IncomingInvite) {
    let Some(index) = tx.setup.trunk_of(&invite.flow, &tx.world.tls_peers) else {
        // The core lets no such source through; this is the second lock.
        let command = Command::Reject {
            session: invite.session,
            status: 403,
            reason: None,
            headers: Vec::new(),
        };
        tx.sip(command);
        return;
    };
    tx.metrics.offered(tallying::place(tx.setup, index, Way::In));
    let arrival = Arrival {
        trunk: index,
        invite,
        since: tx.now,
    };
    look(tx, arrival, Look::First);
}

/// One that has waited: its certificate is here, or will not come.
pub fn again(tx: &mut Tx, arrival: Arrival) {
    look(tx, arrival, Look::Again);
}

/// One that waited, whose caller has given up and has its 487.
pub fn given_up(tx: &mut Tx, arrival: &Arrival) {
    if let Some((from, to)) = glance(tx, arrival) {
        book(tx, arrival.trunk, from, to, &refuse("cancelled", 487, Vec::new()));
    }
}

/// One that waits as the gateway stops.
pub fn stopped(tx: &mut Tx, arrival: &Arrival) {
    let setup = tx.setup;
    let Some(trunk) = setup.trunk(arrival.trunk) else {
        return;
    };
    if let Some((from, to)) = glance(tx, arrival) {
        turn_away(tx, arrival, from, to, draining(trunk));
    }
}

/// The parties of one that is turned away.
fn glance(tx: &Tx, arrival: &Arrival) -> Option<(Party, Party)> {
    let trunk = tx.setup.trunk(arrival.trunk)?;
    let reading = Reading::Glance(tx.setup.numbers_of(arrival.trunk)?);
    let request = &arrival.invite.request;
    let from = identity::caller(request, trunk, reading);
    Some((from, identity::called(request, reading)))
}

fn look(tx: &mut Tx, arrival: Arrival, look: Look) {
    let (setup, index, invite) = (tx.setup, arrival.trunk, &arrival.invite);
    let (Some(trunk), Some(numbers)) = (setup.trunk(index), setup.numbers_of(index)) else {
        return;
    };
    let is_emergency = is_emergency(tx, index, trunk, invite);
    // Limits first: what they refuse is hardly looked at (docs/threats.md: B14).
    if let Err(turned) = limits(tx, index, trunk, is_emergency, look) {
        if let Some((from, to)) = glance(tx, &arrival) {
            turn_away(tx, &arrival, from, to, turned);
        }
        return;
    }
    let reading = Reading::Close(numbers);
    let from = identity::caller(&invite.request, trunk, reading);
    let to = identity::called(&invite.request, reading);
    let mut said = Said {
        from,
        to,
        redirected: redirected::read(&invite.request.headers, numbers),
        stir: None,
        replaces: None,
    };
    match admit(tx, trunk, &arrival, &mut said, is_emergency, look) {
        Ok(Admitted::In(app, unclaimed)) => {
            tx.metrics.admitted(tallying::place(setup, index, Way::In));
            begin(tx, &arrival, said, app, unclaimed);
        }
        Ok(Admitted::Waits(url)) => waiting::hold(tx, arrival, url),
        Err(turned) => turn_away(tx, &arrival, said.from, said.to, turned),
    }
}

/// The gates that only count, in the order their words are told: drain, switch, rates, counts, ports. A call to an emergency
/// service needs no more than a port.
fn limits(tx: &mut Tx, index: usize, trunk: &Trunk, is_emergency: bool, look: Look) -> Result<(), Turned> {
    if tx.gates.is_draining() && !is_emergency {
        return Err(draining(trunk));
    }
    if switched::is_off(tx, index) && !is_emergency {
        return Err(refuse("trunk_disabled", 503, vec![retry_after(trunk)]));
    }
    let rated = match look {
        Look::First => rates(tx, index, trunk),
        Look::Again => Ok(()),
    };
    if is_emergency {
        return ports(tx, trunk, tx.setup.port_pairs);
    }
    rated?;
    counts(tx, index, trunk)
}

/// The gates that look at what the INVITE says: redirects, the leg it replaces, number, offer, signature.
fn admit(
    tx: &mut Tx,
    trunk: &Trunk,
    arrival: &Arrival,
    said: &mut Said,
    is_emergency: bool,
    look: Look,
) -> Result<Admitted, Turned> {
    let (index, invite) = (arrival.trunk, &arrival.invite);
    let count = said.redirected.as_ref().map_or(0, |redirected| redirected.count);
    if count > REDIRECTS_MAX {
        return Err(refuse("redirects", 482, Vec::new()));
    }
    said.replaces = replacing::judge(tx, index, invite.replaced)
        .map_err(|status| refuse("replaces", status, Vec::new()))?;
    let (app, stage) = owner(tx, said)?;
    if let Some(offer) = &invite.offer {
        // Its keys are never used.
        let security = media_plan::first_security(trunk, &mut Rng::new([0; 32]));
        let trial = media_plan::local_media(trunk, 9, (1, 1), false, security);
        let (_, negotiated) = sdp::answer(offer, &trial).map_err(|error| not_acceptable(trunk, error))?;
        if !media_plan::is_allowed(trunk, &negotiated) {
            let warning = match media_plan::is_of_our_family(trunk, &negotiated) {
                true => warning(trunk, 399, "media address not allowed"),
                false => warning(trunk, 301, "Incompatible network address formats"),
            };
            return Err(refuse("media_address", 488, vec![warning]));
        }
    }
    // Costs several signatures and perhaps a fetch, so only calls that may come in are looked into. A call to an
    // emergency service neither waits for a certificate nor is refused for want of one.
    let may_wait = look == Look::First && !is_emergency;
    let stir = match vouching::judge(tx, index, &invite.request, &said.from, may_wait) {
        Judged::Waits(url) => return Ok(Admitted::Waits(url)),
        Judged::Refused(status, _) if !is_emergency => return Err(refuse("stir", status, Vec::new())),
        Judged::Refused(_, stir) => Some(stir),
        Judged::Worth(stir) => stir,
    };
    said.from.attestation = vouching::attestation(stir.as_ref());
    said.stir = stir;
    Ok(Admitted::In(app, stage))
}

/// Whose call it is: that of the leg it replaces, else of its number.
fn owner(tx: &Tx, said: &Said) -> Result<(Name, CallStage), Turned> {
    if let Some(leg) = said.replaces.and_then(|leg| tx.world.legs.get(&leg)) {
        let until = tx.now.mono + replacing::WORD_WAIT;
        let status = replacing::UNTAKEN;
        return Ok((leg.app.clone(), CallStage::Unclaimed { until, status }));
    }
    let Some(number) = tx.setup.config.number_for(said.to.number.as_deref()) else {
        return Err(refuse("no_number", 404, Vec::new()));
    };
    let crate::config::UnclaimedAction::Reject { status } = number.unclaimed.action;
    let until = tx.now.mono + number.unclaimed.after;
    let app = Name::from(number.app.as_str());
    Ok((app, CallStage::Unclaimed { until, status }))
}

/// A phone of ours calls an emergency service that a trunk takes: no limit stands in its way.
fn is_emergency(tx: &Tx, index: usize, trunk: &Trunk, invite: &IncomingInvite) -> bool {
    let numbers = tx.setup.numbers_of(index).filter(|_| trunk.agents);
    numbers.is_some_and(|numbers| {
        let to = invite.request.uri.to_string();
        tx.setup.policy.is_emergency(&to, numbers)
    })
}

fn rates(tx: &mut Tx, index: usize, trunk: &Trunk) -> Result<(), Turned> {
    let now = tx.now.mono;
    let scopes = [
        (
            Scope::Instance,
            ThrottleReason::LimitCps,
            "instance.calls_per_second".to_owned(),
        ),
        (
            Scope::Trunk(index),
            ThrottleReason::TrunkCps,
            format!("trunk:{}.calls_per_second", trunk.name),
        ),
    ];
    for (scope, reason, rule) in scopes {
        if !tx.gates.take(scope, now) {
            let allowed = u64::from(tx.gates.calls_per_second(scope));
            let rate = tx.gates.rate(scope, now) as u64;
            return Err(limit(trunk, reason, rule, Some(allowed), Some(rate)));
        }
    }
    Ok(())
}

fn counts(tx: &mut Tx, index: usize, trunk: &Trunk) -> Result<(), Turned> {
    let calls = tx.world.guards.calls();
    if !tx.gates.has_room(Scope::Instance, calls) {
        let allowed = u64::from(tx.gates.calls_max(Scope::Instance));
        let rule = "instance.calls".to_owned();
        return Err(limit(
            trunk,
            ThrottleReason::LimitCalls,
            rule,
            Some(allowed),
            Some(calls as u64),
        ));
    }
    let legs = tx.world.guards.legs_of(index, None);
    let legs_in = tx.world.guards.legs_of(index, Some(Way::In));
    let allowed = tx.gates.calls_max(Scope::Trunk(index));
    if !tx.gates.has_room(Scope::Trunk(index), legs) {
        let rule = format!("trunk:{}.calls", trunk.name);
        return Err(limit(
            trunk,
            ThrottleReason::TrunkCalls,
            rule,
            Some(allowed.into()),
            Some(legs as u64),
        ));
    }
    if trunk.calls_in < trunk.calls && legs_in >= trunk.calls_in as usize {
        let rule = format!("trunk:{}.calls_in", trunk.name);
        let allowed = u64::from(trunk.calls_in);
        return Err(limit(
            trunk,
            ThrottleReason::TrunkCalls,
            rule,
            Some(allowed),
            Some(legs_in as u64),
        ));
    }
    ports(tx, trunk, tx.setup.port_pairs_open())
}

fn ports(tx: &mut Tx, trunk: &Trunk, allowed: usize) -> Result<(), Turned> {
    let used = tx.ports_in_use();
    if used >= allowed {
        let (allowed, used) = (allowed as u64, used as u64);
        return Err(limit(
            trunk,
            ThrottleReason::LimitPorts,
            "media.ports".into(),
            Some(allowed),
            Some(used),
        ));
    }
    Ok(())
}

fn limit(
    trunk: &Trunk,
    reason: ThrottleReason,
    rule: String,
    limit: Option<u64>,
    value: Option<u64>,
) -> Turned {
    let status = if reason == ThrottleReason::Draining {
        503
    } else {
        trunk.limit_status
    };
    Turned {
        throttle: Some(reason),
        word: reason.as_str(),
        rule,
        limit,
        value,
        status,
        headers: vec![retry_after(trunk)],
    }
}

fn draining(trunk: &Trunk) -> Turned {
    limit(trunk, ThrottleReason::Draining, "draining".into(), None, None)
}

fn retry_after(trunk: &Trunk) -> ExtraHeader {
    ExtraHeader {
        name: "Retry-After".into(),
        value: trunk.retry_after_s.to_string(),
    }
}

fn refuse(word: &'static str, status: u16, headers: Vec<ExtraHeader>) -> Turned {
    Turned {
        throttle: None,
        word,
        rule: word.into(),
        limit: None,
        value: None,
        status,
        headers,
    }
}

fn not_acceptable(trunk: &Trunk, error: sdp::SdpError) -> Turned {
    let headers = error.warning().map(|(code, text)| warning(trunk, code, text));
    refuse("not_acceptable", error.status(), headers.into_iter().collect())
}

/// RFC 3261 §20.43.
pub fn warning(trunk: &Trunk, code: u16, text: &str) -> ExtraHeader {
    ExtraHeader {
        name: "Warning".into(),
        value: format!("{code} {} \"{text}\"", trunk.advertise),
    }
}

/// Refuses: the peer gets its answer, clients their event, and the books a record.
fn turn_away(tx: &mut Tx, arrival: &Arrival, from: Party, to: Party, turned: Turned) {
    let Some(trunk) = tx.setup.trunk(arrival.trunk) else {
        return;
    };
    let mut headers = turned.headers.clone();
    if trunk.reason_out {
        let q850 = match (turned.throttle, turned.status) {
            (Some(reason), 503) if reason != ThrottleReason::Draining => cause::OVER_A_LIMIT,
            (_, status) => cause::q850_of_own_status(status),
        };
        headers.extend(cause::reason_headers(q850));
    }
    tx.sip(Command::Reject {
        session: arrival.invite.session,
        status: turned.status,
        reason: None,
        headers,
    });
    book(tx, arrival.trunk, from, to, &turned);
}

/// Counts, tells and writes down one that is no call.
fn book(tx: &mut Tx, index: usize, from: Party, to: Party, turned: &Turned) {
    let Some(trunk) = tx.setup.trunk(index) else {
        return;
    };
    let place = tallying::place(tx.setup, index, Way::In);
    match turned.throttle {
        Some(reason) => tx.metrics.throttled(place, reason),
        None => tx.metrics.refused(place, turned.word),
    }
    let Ok((_, id)) = tx.name(None, "c") else { return };
    let about = About::of_call(id.clone());
    let event = CallRefused {
        rule: turned.rule.clone(),
        limit: turned.limit,
        value: turned.value,
        from: from.clone(),
        to: to.clone(),
        trunk: Name::from(trunk.name.as_str()),
        decision: None,
    };
    tx.tell(about, Event::CallRefused(Box::new(event)));
    let refusal = Refusal {
        rule: turned.rule.clone(),
        limit: turned.limit,
        value: turned.value,
    };
    call_record::write_refused(tx, id, (from, to), Direction::In, refusal);
}

fn begin(tx: &mut Tx, arrival: &Arrival, said: Said, app: Name, stage: CallStage) {
    let (index, invite) = (arrival.trunk, &arrival.invite);
    let (Ok((call_number, call_id)), Ok((leg_number, leg_id))) = (tx.name(None, "c"), tx.name(None, "l"))
    else {
        return;
    };
    let (call, leg) = (CallKey(call_number), LegKey(leg_number));
    let shard = tx.setup.shard_of(call);
    tx.world.names.insert(call_id.clone(), Named::Call(call));
    tx.world.names.insert(leg_id.clone(), Named::Leg(leg));
    tx.world.guards.calls.insert(call, Guard);
    tx.world.guards.legs.insert((index, Way::In, leg));
    tx.world.sessions.insert(invite.session, leg);
    let max_duration_at = tx
        .setup
        .config
        .limits
        .max_duration
        .map(|longest| tx.now.mono + longest);
    let parties = (said.from.clone(), said.to.clone());
    let row = Call {
        shard,
        legs: vec![leg],
        stage,
        max_duration_at,
        ..Call::new(call, call_id, app.clone(), Direction::In, parties, arrival.since)
    };
    tx.world.calls.insert(call, row);
    let origin = Origin::In(Inbound {
        call_id: invite.request.headers.call_id().to_string(),
        offer: invite.offer.clone(),
        hops: identity::hops(&invite.request),
        is_reliable: invite.is_reliable,
        owed: Owed::Nothing,
        sent: None,
        redirected: said.redirected.clone(),
        replaces: said.replaces,
    });
    let mut row = new_leg(
        tx,
        leg,
        leg_id,
        call,
        app,
        index,
        invite.session,
        origin,
        said.from.clone(),
        said.to.clone(),
    );
    row.times.offered = arrival.since;
    tx.world.legs.insert(leg, row);
    open_stream(tx, leg);
    tell_started(tx, call);
    let mut incoming = identity::incoming(tx.setup, index, invite, &said);
    let replaced = said.replaces.and_then(|leg| tx.world.legs.get(&leg));
    incoming.replaces = replaced.map(|leg| leg.id.clone());
    tx.tell_leg(leg, Event::LegIncoming(Box::new(incoming)));
    tx.renew_ledger(call);
}

/// `call.started`, from the call's own row.
pub fn tell_started(tx: &mut Tx, key: CallKey) {
    let Some(call) = tx.world.calls.get(&key) else {
        return;
    };
    let started = CallStarted {
        app: call.app.clone(),
        direction: call.direction,
        from: call.from.clone(),
        to: call.to.clone(),
    };
    tx.tell_call(key, Event::CallStarted(Box::new(started)));
}

/// A leg as it begins, whichever way it goes.
#[expect(
    clippy::too_many_arguments,
    reason = "one constructor of a row; each argument is a column"
)]
pub fn new_leg(
    tx: &mut Tx,
    key: LegKey,
    id: crate::control::protocol::Id,
    call: CallKey,
    app: Name,
    trunk: usize,
    session: SessionKey,
    origin: Origin,
    from: Party,
    to: Party,
) -> Leg {
    let shard = tx.world.calls.get(&call).map_or(0, |call| call.shard);
    Leg {
        key,
        id,
        call,
        app,
        trunk,
        session,
        from,
        to,
        stage: Stage::Trying,
        origin,
        hold: None,
        far_held: false,
        muted_send: false,
        muted_recv: false,
        gain_rx_db: 0.0,
        gain_tx_db: 0.0,
        media: LegMedia::new(shard, tx.setup.sdp_id(key)),
        bridge: None,
        info_digits: InfoDigits::default(),
        collect: None,
        asked: None,
        times: Times {
            offered: tx.now,
            ringing: None,
            answered: None,
            ended: None,
        },
        hold_tally: HoldTally::default(),
        attempts: Vec::new(),
        max_duration: None,
        on_controller_lost: None,
        controller_lost_at: None,
        codecs: None,
        tags: Default::default(),
    }
}

/// Asks the leg's shard for a port, which is taken from now on.
pub fn open_stream(tx: &mut Tx, leg: LegKey) {
    let Some(row) = tx.world.legs.get(&leg) else {
        return;
    };
    let Some(trunk) = tx.setup.trunk(row.trunk) else {
        return;
    };
    let change = Change::Open {
        stream: leg.stream(),
        address: trunk.media_address,
    };
    tx.world.guards.ports.insert(leg, Guard);
    tx.media_of(leg, change);
}
