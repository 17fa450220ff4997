//! A 3xx to a dial: its contacts are told and never followed by themselves (RFC 3261 §8.1.3.4, docs/threats.md: B22).
//!
//! A router may dial one of them, through the whole number policy as any target, and one a call: who is sent on
//! twice goes nowhere. Dials nothing.

use sip::message::Response;

use crate::config::Redirect;
use crate::control::protocol::{ErrorKind, Failure, PolicyDecision};
use crate::engine::keys::{CallKey, LegKey};
use crate::engine::policy::number_policy::{Target, TrunkNumbers, classify_target};
use crate::engine::tx::Tx;

/// Contacts of one 3xx that are told. Ours.
pub const CONTACTS_MAX: usize = 8;
/// Longest contact that is told, bytes: longer ones could not be dialled.
pub const CONTACT_BYTES_MAX: usize = 256;
/// Contacts that may be dialled in one call. The contract's.
pub const FOLLOWED_MAX: u8 = 1;

/// Where a call was sent elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// The contacts that its router was told.
    pub contacts: Vec<String>,
    /// How many it has dialled.
    pub followed: u8,
}

/// The contacts of a refusal, where its trunk asks and its call was not sent elsewhere before; best first.
pub fn contacts(tx: &mut Tx, key: LegKey, response: &Response) -> Vec<String> {
    let Some(leg) = tx.world.legs.get(&key).filter(|_| response.status.class() == 3) else {
        return Vec::new();
    };
    let asks = tx
        .setup
        .trunk(leg.trunk)
        .is_some_and(|trunk| trunk.transfers.redirect == Redirect::Ask);
    let call = leg.call;
    let Some(call) = tx.world.calls.get_mut(&call).filter(|_| asks) else {
        return Vec::new();
    };
    if call.moved != Moved::default() {
        return Vec::new();
    }
    let named = response
        .headers
        .contacts()
        .into_iter()
        .map(|contact| (preference(contact.params().get("q")), contact.uri().to_string()));
    let (mut read, long): (Vec<_>, Vec<_>) = named.partition(|(_, uri)| uri.len() <= CONTACT_BYTES_MAX);
    tx.metrics.transfer_cut("contact_bytes", long.len());
    tx.metrics
        .transfer_cut("contacts", read.len().saturating_sub(CONTACTS_MAX));
    read.sort_by_key(|(q, _)| std::cmp::Reverse(*q));
    let contacts: Vec<String> = read.into_iter().map(|(_, uri)| uri).take(CONTACTS_MAX).collect();
    call.moved.contacts.clone_from(&contacts);
    contacts
}

/// `q` in thousandths; 1 where it is left out (RFC 3261 §20.10).
fn preference(q: Option<&str>) -> u16 {
    let q: Option<f32> = q.map_or(Some(1.0), |q| q.parse().ok());
    // Clamped, so it fits.
    q.map_or(0, |q| (q.clamp(0.0, 1.0) * 1000.0) as u16)
}

/// Counts a dial that follows a contact; refuses the one too many.
pub fn follow(tx: &mut Tx, call: Option<CallKey>, to: &str, numbers: &TrunkNumbers) -> Result<(), Failure> {
    let Some(call) = call.and_then(|call| tx.world.calls.get_mut(&call)) else {
        return Ok(());
    };
    if !call
        .moved
        .contacts
        .iter()
        .any(|contact| is_same(contact, to, numbers))
    {
        return Ok(());
    }
    if call.moved.followed >= FOLLOWED_MAX {
        let decision = PolicyDecision {
            limit: Some(FOLLOWED_MAX.into()),
            value: Some(call.moved.followed.into()),
            ..PolicyDecision::deny("redirects", "redirects")
        };
        return Err(Failure::policy(ErrorKind::DestinationNotAllowed, &decision));
    }
    call.moved.followed += 1;
    Ok(())
}

/// The same target, however it is spelt.
fn is_same(contact: &str, to: &str, numbers: &TrunkNumbers) -> bool {
    if contact == to.trim() {
        return true;
    }
    let read = |text| classify_target(text, numbers).ok();
    match (read(contact), read(to)) {
        (Some(Target::Number(one)), Some(Target::Number(other))) => one == other,
        (Some(Target::Name { uri: one, .. }), Some(Target::Name { uri: other, .. })) => one == other,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preference_is_read_in_thousandths() {
        for (q, thousandths) in [
            (None, 1000),
            (Some("1.0"), 1000),
            (Some("0.7"), 700),
            (Some("0"), 0),
            (Some("9"), 1000),
            (Some("-1"), 0),
            (Some("x"), 0),
            (Some("NaN"), 0),
        ] {
            assert_eq!(preference(q), thousandths, "{q:?}");
        }
    }

    #[test]
    fn a_contact_is_the_same_target_however_it_is_spelt() {
        let numbers = TrunkNumbers::default();
        for (contact, to, same) in [
            ("sip:+81312345678@10.0.0.9", "+81 3-1234-5678", true),
            ("sip:+81312345678@10.0.0.9", "tel:+81312345678", true),
            ("sip:+81312345678@10.0.0.9", "+81312345679", false),
            ("sip:anna@10.0.0.9", "sip:anna@10.0.0.9:5060", false),
            ("sip:anna@10.0.0.9", "sip:anna@10.0.0.9", true),
            ("http://x", "http://x", true),
        ] {
            assert_eq!(is_same(contact, to, &numbers), same, "{contact} {to}");
        }
    }
}
