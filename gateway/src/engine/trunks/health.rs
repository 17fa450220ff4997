//! Health of peers: OPTIONS at their time, what the answers mean, and what clients are told of it.

use sip::endpoint::{Command, OutgoingProbe};
use sip::transport::name_cache::Answer;
use sip::transport::target::{Question, Target};

use super::peers::{LastFailure, peer_text};
use super::switched;
use crate::control::protocol::{Event, Name, TrunkDown, TrunkUp};
use crate::engine::calls::attempts;
use crate::engine::calls::cause;
use crate::engine::tx::{About, Tx};

/// Statuses that show a peer that cannot take calls; any other final one shows that it is there.
const MISSES: [(u16, &str); 2] = [(408, "status_408"), (503, "status_503")];

/// Sends the OPTIONS and asks the questions that are due.
pub fn wake(tx: &mut Tx) {
    let now = tx.now.mono;
    tx.out.lookups.extend(tx.peers.take_questions(now));
    let due = tx.peers.take_probes(tx.setup, now);
    for (index, target) in due.missed {
        judge(tx, index, target, None);
    }
    for (number, index, flow) in due.send {
        let host = tx.setup.trunk(index).map_or("", |trunk| trunk.from_host.as_str());
        let transport = match flow.transport {
            sip::endpoint::Transport::Udp => "",
            sip::endpoint::Transport::Tcp => ";transport=tcp",
            sip::endpoint::Transport::Tls => ";transport=tls",
        };
        let probe = OutgoingProbe {
            number,
            flow,
            request_uri: format!("sip:{}{transport}", flow.remote),
            from: format!("<sip:{host}>"),
        };
        tx.sip(Command::Probe(Box::new(probe)));
    }
}

/// An OPTIONS came to its end.
pub fn probed(tx: &mut Tx, number: u64, status: Option<u16>) {
    if let Some((index, target)) = tx.peers.take_probe(number) {
        judge(tx, index, target, Some(status));
    }
}

/// `outcome` is `None` where the time was over, else what the endpoint told.
fn judge(tx: &mut Tx, index: usize, target: Target, outcome: Option<Option<u16>>) {
    let status = outcome.flatten();
    let miss = match (outcome, status) {
        (None, _) => Some("no_answer"),
        (Some(_), None) => Some("unreachable"),
        (Some(_), Some(status)) => MISSES
            .iter()
            .find(|(of_status, _)| *of_status == status)
            .map(|(_, why)| *why),
    };
    let Some(trunk) = tx.setup.trunk(index) else {
        return;
    };
    tx.peers.judge(trunk, index, target, miss);
    if miss.is_some() {
        let q850 = status.map_or(102, |status| cause::of_status(status, false).q850);
        failed(tx, index, target, status, q850);
    }
    tell(tx, index);
}

/// Notes a failure for the operator.
pub fn failed(tx: &mut Tx, index: usize, target: Target, status: Option<u16>, q850: u8) {
    let wall_us = tx.now.wall_us;
    if let Some(trunk) = tx.peers.trunk_mut(index) {
        trunk.last_failure = Some(LastFailure {
            peer: peer_text(target),
            status,
            q850,
            wall_us,
        });
    }
}

/// Tells `trunk.down` once its last peer is down or it is switched off, and `trunk.up` once neither is so any more.
pub fn tell(tx: &mut Tx, index: usize) {
    let is_off = switched::is_off(tx, index).then_some(switched::DISABLED);
    let why = is_off.or_else(|| tx.peers.down_why(index));
    let (Some(trunk), Some(peers)) = (tx.setup.trunk(index), tx.peers.trunk_mut(index)) else {
        return;
    };
    if peers.told_down == why.is_some() {
        return;
    }
    peers.told_down = why.is_some();
    tx.out.trunks_told.push(index);
    let trunk = Name::from(trunk.name.as_str());
    let event = match why {
        Some(why) => Event::TrunkDown(TrunkDown {
            trunk,
            why: why.to_owned(),
        }),
        None => Event::TrunkUp(TrunkUp { trunk }),
    };
    tx.tell(About::default(), event);
}

/// DNS answered: peers may have come and gone, and dials that waited go on.
pub fn looked_up(tx: &mut Tx, question: &Question, answer: Answer) {
    let now = tx.now.mono;
    let outside = tx.peers.looked_up(tx.setup, question, answer, now);
    for _ in 0..outside {
        tx.metrics.sip_dropped("dns_outside_allow");
    }
    tx.out.lookups.extend(tx.peers.take_questions(now));
    for index in 0..tx.setup.config.trunks.len() {
        tell(tx, index);
    }
    let waiting =
        tx.world.legs.iter().filter(|(_, leg)| {
            !leg.is_ended() && leg.outbound().is_some_and(|out| out.names_until.is_some())
        });
    let waiting: Vec<_> = waiting.map(|(key, _)| key).collect();
    for key in waiting {
        attempts::names_came(tx, key);
    }
}
