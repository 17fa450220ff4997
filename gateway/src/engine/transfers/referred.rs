//! What a peer asks for by REFER: told to the router, never done by itself (RFC 3515, docs/threats.md: B22).
//!
//! A router that says nothing within [`WORD_WAIT`] has said no. Who is dialled goes through the whole number policy;
//! a peer's REFER lets nobody dial what its app may not. Writes no NOTIFY: `transferring` says how it came out.

use std::time::{Duration, Instant};

use sip::endpoint::{Command, ExtraHeader, Referral};
use sip::message::{NameAddr, Replaces};

use super::transferring::{self, transferable};
use crate::control::protocol::{
    Cause, CauseBy, EndReason, EndedBy, Event, Failure, Id, LegTransferRequested, Name, OpOutcome, Text,
    TransferAccept, TransferProgress, TransferReject,
};
use crate::engine::audio::holding;
use crate::engine::audio::playing;
use crate::engine::calls::ending::{End, end_leg};
use crate::engine::keys::LegKey;
use crate::engine::leg::{Leg, Stage};
use crate::engine::op::Transfer;
use crate::engine::router::commands;
use crate::engine::tx::Tx;

/// How long a REFER waits for a word of the router. The contract's; below timer F of the peer.
pub const WORD_WAIT: Duration = Duration::from_secs(10);
/// What a peer is told whose REFER nobody takes up.
const DECLINED: u16 = 603;
/// Longest Referred-By that is told and sent on, bytes. Ours.
pub const REFERRED_BY_BYTES_MAX: usize = 256;

/// A REFER that waits for a word.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Whom the peer wants called.
    pub to: Text<256>,
    /// The leg in whose place its party is to come.
    pub with: Option<LegKey>,
    /// A dialog elsewhere that the new call is to take the place of.
    pub replaces: Option<Replaces>,
    /// Who asks.
    pub referred_by: Option<String>,
    /// When it is declined.
    pub until: Instant,
}

/// A REFER came, or was refused already.
pub fn asked(tx: &mut Tx, key: LegKey, referral: Referral, refused: Option<u16>) {
    let Some(leg) = tx.world.legs.get(&key) else {
        return;
    };
    if leg.stage != Stage::Answered {
        return decline(tx, key, DECLINED);
    }
    // Longer than anything that may be dialled.
    let Some(to) = Text::new(&referral.to) else {
        tx.metrics.transfer_cut("refer_to_bytes", 1);
        return decline(tx, key, DECLINED);
    };
    // A dialog of another trunk is none that this peer may name.
    let trunk = leg.trunk;
    let with = referral
        .replaced
        .and_then(|session| tx.world.sessions.get(&session).copied())
        .filter(|other| *other != key)
        .filter(|other| {
            let other = tx.world.legs.get(other);
            other.is_some_and(|other| other.trunk == trunk && other.stage == Stage::Answered)
        });
    let is_long = |by: &String| by.len() > REFERRED_BY_BYTES_MAX;
    let too_long = referral.referred_by.as_ref().is_some_and(is_long);
    tx.metrics.transfer_cut("referred_by_bytes", too_long.into());
    let referred_by = referral.referred_by.filter(|by| !is_long(by));
    let event = LegTransferRequested {
        to: referral.to.clone(),
        with: with.and_then(|with| tx.world.legs.get(&with).map(|leg| leg.id.clone())),
        referred_by: referred_by.clone(),
        sip: refused,
    };
    if refused.is_none() {
        let until = tx.now.mono + WORD_WAIT;
        if let Some(leg) = tx.world.legs.get_mut(&key) {
            leg.asked = Some(Box::new(Asked {
                to,
                with,
                replaces: referral.replaces.filter(|_| with.is_none()),
                referred_by,
                until,
            }));
        }
    }
    tx.tell_leg(key, Event::LegTransferRequested(Box::new(event)));
}

/// Nobody has said a word.
pub fn expired(tx: &mut Tx, key: LegKey) {
    tx.because(Cause::By(CauseBy::Timer), |tx| {
        if let Some(leg) = tx.world.legs.get_mut(&key) {
            leg.asked = None;
        }
        decline(tx, key, DECLINED);
    });
}

fn decline(tx: &mut Tx, key: LegKey, status: u16) {
    if let Some(session) = tx.world.legs.get(&key).map(|leg| leg.session) {
        tx.sip(Command::RejectRefer { session, status });
    }
}

/// `transfer.reject`.
pub fn reject(tx: &mut Tx, params: &TransferReject) -> Result<(), Failure> {
    let key = commands::leg(tx, &params.leg)?;
    take(tx, key)?;
    decline(tx, key, u16::try_from(params.status.get()).unwrap_or(DECLINED));
    Ok(())
}

/// `transfer.accept`.
pub fn accept(tx: &mut Tx, params: &TransferAccept) -> Result<Id, Failure> {
    let key = commands::leg(tx, &params.leg)?;
    let asked = take(tx, key)?;
    let party = party_of(tx, key)?;
    let id = tx.leg(party)?.id.clone();
    transferable(tx, &id)?;
    match asked.with.filter(|_| params.to.is_none()) {
        Some(with) => accept_attended(tx, key, party, with),
        None => accept_blind(tx, key, party, asked, params),
    }
}

/// The REFER that waits.
fn take(tx: &mut Tx, key: LegKey) -> Result<Asked, Failure> {
    let asked = holding::living(tx, key)?.asked.take();
    let asked = asked.ok_or_else(|| Failure::invalid_state("the peer asks for no transfer"))?;
    Ok(*asked)
}

/// Whom the peer of a leg wants transferred: the first that is in its bridge with it.
fn party_of(tx: &Tx, key: LegKey) -> Result<LegKey, Failure> {
    let bridge = tx
        .leg(key)?
        .bridge
        .and_then(|bridge| tx.world.bridges.get(&bridge));
    let members = bridge.map(|bridge| bridge.legs.as_slice()).unwrap_or_default();
    let mut others = members.iter().copied().filter(|leg| *leg != key);
    let is_up = |leg: &LegKey| {
        tx.world
            .legs
            .get(leg)
            .is_some_and(|leg| leg.stage == Stage::Answered)
    };
    others
        .find(is_up)
        .ok_or_else(|| Failure::invalid_state("nobody is with the leg who could be transferred"))
}

fn accept_blind(
    tx: &mut Tx,
    key: LegKey,
    party: LegKey,
    asked: Asked,
    params: &TransferAccept,
) -> Result<Id, Failure> {
    let (session, own) = (tx.leg(key)?.session, tx.leg(key)?.trunk);
    let named = tx.setup.trunk(own).map(|trunk| Name::from(trunk.name.as_str()));
    let trunk = params.trunk.clone().or(named);
    let trunk = trunk.ok_or_else(|| Failure::internal("the trunk is gone"))?;
    let replaces = asked.replaces.filter(|_| params.to.is_none());
    let sends_replaces = tx
        .setup
        .trunk_by_name(trunk.as_str())
        .and_then(|index| tx.setup.trunk(index));
    if replaces.is_some() && !sends_replaces.is_some_and(|trunk| trunk.transfers.replaces_out) {
        let text =
            format!("the call is to replace another, and trunk `{trunk}` has not replaces_out; name `to`");
        return Err(Failure::invalid_state(text));
    }
    let to = match &params.to {
        Some(to) => to.clone(),
        None => asked.to,
    };
    let dial = transferring::leg_dial(
        tx,
        party,
        &to,
        trunk,
        params.caller_id.clone(),
        params.ring_timeout_ms,
    )?;
    let mut transfer = Transfer::new(dial.clone(), Some(key));
    transfer.referrer = Some(session);
    let (op, id) = transferring::begin(tx, party, transfer)?;
    let dialled = transferring::dial_for(tx, op, &dial)?;
    let is_own_trunk = tx.leg(dialled)?.trunk == own;
    let by = asked
        .referred_by
        .filter(|by| is_own_trunk && NameAddr::parse(by).is_ok());
    say(tx, dialled, replaces, by);
    tx.sip(Command::AcceptRefer { session });
    Ok(id)
}

/// What the INVITE says of the REFER it comes from (RFC 3891, RFC 3892).
fn say(tx: &mut Tx, dialled: LegKey, replaces: Option<Replaces>, referred_by: Option<String>) {
    let Some(out) = tx.world.legs.get_mut(&dialled).and_then(Leg::outbound_mut) else {
        return;
    };
    let mut say = |name: &str, value: String| {
        out.invite.headers.push(ExtraHeader {
            name: name.to_owned(),
            value,
        });
    };
    if let Some(replaces) = replaces {
        say("Replaces", replaces.to_string());
        say("Require", "replaces".to_owned());
    }
    if let Some(by) = referred_by {
        say("Referred-By", by);
    }
}

/// Both dialogs are with us: the party of the one comes in the place of the peer's other leg.
fn accept_attended(tx: &mut Tx, key: LegKey, party: LegKey, with: LegKey) -> Result<Id, Failure> {
    let session = tx.leg(key)?.session;
    holding::living(tx, with)?;
    let other = party_of(tx, with)?;
    let (op, id) = transferring::begin(tx, party, Transfer::with(other))?;
    tx.sip(Command::AcceptRefer { session });
    if tx.leg(party)?.bridge == tx.leg(with)?.bridge {
        transferring::join(tx, party, other)?;
    } else {
        crate::engine::audio::bridging::replace(tx, with, party)?;
    }
    tx.sip(Command::NotifyRefer { session, status: 200 });
    tx.tell_op(op, Event::TransferProgress(TransferProgress { sip: 200 }));
    playing::end_op_with(tx, op, OpOutcome::Ok, Some(200));
    // RFC 3891 §3: whoever is replaced is told so by BYE.
    end_leg(tx, with, End::ours(EndedBy::Control, EndReason::Completed));
    Ok(id)
}
