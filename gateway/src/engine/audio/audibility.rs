//! The one audibility matrix: who hears whom, from the base matrix and each leg's flags.
//!
//! Hold, mute, swap and early media are nothing but inputs of [`effective`]; the snapshot, the events
//! and the mixer all get its result, so they cannot disagree. Pure; knows nothing of streams or time.

use std::collections::BTreeMap;

use crate::control::protocol::BridgeMode;
use crate::engine::bridge::{Bridge, Hears};
use crate::engine::keys::LegKey;
use crate::engine::leg::{Leg, Stage};

/// The effective matrix of a bridge over its members.
pub fn effective(bridge: &Bridge, members: &BTreeMap<LegKey, &Leg>) -> Hears {
    let mut hears = Hears::new();
    for (listener, to) in members {
        let row = members.iter().filter(|(speaker, _)| *speaker != listener);
        let row = row.map(|(speaker, from)| (*speaker, gain(bridge, from, to)));
        hears.insert(*listener, row.collect());
    }
    hears
}

/// How loud `to` hears `from`; `None`: not at all.
fn gain(bridge: &Bridge, from: &Leg, to: &Leg) -> Option<f32> {
    let base = bridge.base_gain(from.key, to.key)?;
    let audible = can_speak(from) && can_hear(to);
    audible.then_some(base + from.gain_rx_db + to.gain_tx_db)
}

fn can_speak(leg: &Leg) -> bool {
    leg.is_up() && leg.hold.is_none() && !leg.muted_send && leg.media.may_receive()
}

/// A leg in early media is heard, but hears nobody before it answered.
fn can_hear(leg: &Leg) -> bool {
    leg.stage == Stage::Answered && leg.hold.is_none() && !leg.muted_recv && leg.media.may_send()
}

/// The speakers in one listener's row that it really hears.
pub fn row(hears: &Hears, listener: LegKey) -> Vec<(LegKey, f32)> {
    let row = hears.get(&listener).into_iter().flatten();
    row.filter_map(|(speaker, gain)| gain.map(|gain| (*speaker, gain)))
        .collect()
}

/// Relay for two parties of one codec at their own level, mix otherwise.
pub fn mode(hears: &Hears, members: &BTreeMap<LegKey, &Leg>) -> BridgeMode {
    let mut audible: Vec<LegKey> = Vec::new();
    let mut plain = true;
    for (listener, row) in hears {
        for (speaker, gain) in row {
            let Some(gain) = gain else { continue };
            plain &= *gain == 0.0;
            audible.extend([*listener, *speaker]);
        }
    }
    audible.sort_unstable();
    audible.dedup();
    let codecs: Vec<_> = audible
        .iter()
        .filter_map(|key| members.get(key))
        .map(|leg| codec(leg))
        .collect();
    let same = codecs.windows(2).all(|pair| pair.first() == pair.last());
    if audible.len() <= 2 && plain && same {
        BridgeMode::Relay
    } else {
        BridgeMode::Mix
    }
}

fn codec(leg: &Leg) -> Option<sip::sdp::Codec> {
    leg.media.plan.agreed.as_ref().map(|negotiated| negotiated.codec)
}
