//! Which extensions of SIP are spoken with a peer: reliable provisional responses, session timers, REFER, Replaces.
//!
//! A value that the owner gives by network for the peer's INVITEs and by INVITE for ours. Must not know
//! whose policy it is.

use crate::message::Headers;
use crate::network::Network;

/// Option tag of RFC 3262.
pub const REL100: &str = "100rel";
/// Option tag of RFC 4028.
pub const TIMER: &str = "timer";
/// Option tag of RFC 3891.
pub const REPLACES: &str = "replaces";

/// How far an extension is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Support {
    /// Not spoken: a peer that requires it is told 420.
    #[default]
    Off,
    /// Spoken with peers that have it.
    Supported,
    /// A peer without it is told 421.
    Required,
}

/// Who is to refresh a session, where the peer leaves the choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RefresherWish {
    /// Whoever wanted the timer.
    #[default]
    Auto,
    /// We do.
    Us,
    /// The peer does.
    Peer,
}

/// The request that refreshes a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RefreshMethod {
    /// UPDATE where the peer allows it, else re-INVITE.
    #[default]
    Auto,
    /// UPDATE.
    Update,
    /// Re-INVITE.
    Reinvite,
}

/// What is wanted of session timers (RFC 4028).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimerPolicy {
    /// How far.
    pub support: Support,
    /// The session interval we ask for, seconds.
    pub interval_s: u32,
    /// The shortest interval we take, seconds.
    pub min_s: u32,
    /// Who refreshes.
    pub refresher: RefresherWish,
    /// How.
    pub method: RefreshMethod,
}

/// The extensions spoken with one peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Reliable provisional responses (RFC 3262).
    pub rel100: Support,
    /// Session timers.
    pub timer: TimerPolicy,
    /// REFER inside a dialog is taken, for the owner to decide; else it is told 405.
    pub takes_refer: bool,
    /// Replaces stands in Supported. An INVITE with it is taken whatever this says.
    pub tells_replaces: bool,
}

/// Session interval asked for. RFC 4028 §4 recommends it.
pub const SESSION_EXPIRES_S: u32 = 1800;
/// Shortest session interval taken. RFC 4028 §5: no less than 90 s outside of test beds.
pub const MIN_SE_S: u32 = 90;

impl Default for TimerPolicy {
    fn default() -> Self {
        TimerPolicy {
            support: Support::Off,
            interval_s: SESSION_EXPIRES_S,
            min_s: MIN_SE_S,
            refresher: RefresherWish::Auto,
            method: RefreshMethod::Auto,
        }
    }
}

/// Longest interval that a 422 may ask for, seconds: a day. Ours.
pub const INTERVAL_S_MAX: u32 = 86_400;

impl TimerPolicy {
    /// Takes over what a 422 asks for (RFC 4028 §7.3). False: it asks for nothing that we could give.
    pub(crate) fn raise(&mut self, min_s: u32) -> bool {
        if min_s <= self.interval_s || min_s > INTERVAL_S_MAX {
            return false;
        }
        self.min_s = self.min_s.max(min_s);
        self.interval_s = min_s;
        true
    }
}

impl Policy {
    /// The extensions of this stack by their tags, each with how far it is wanted.
    fn extensions(&self) -> [(&'static str, Support); 3] {
        let replaces = match self.tells_replaces {
            true => Support::Supported,
            false => Support::Off,
        };
        [
            (REL100, self.rel100),
            (TIMER, self.timer.support),
            (REPLACES, replaces),
        ]
    }

    /// Says on a request of ours what is spoken, and on a first INVITE what is required. Inside a dialog
    /// provisional responses are not wanted reliably: they carry nothing.
    pub(super) fn introduce(&self, headers: &mut Headers, is_first: bool) {
        let (supported, required) = match is_first {
            true => (self.supported(), self.required()),
            false if self.timer.support == Support::Off => return,
            false => (TIMER.to_owned(), String::new()),
        };
        for (name, tags) in [("Supported", supported), ("Require", required)] {
            if !tags.is_empty() {
                let _ = headers.push(name, &tags);
            }
        }
    }

    /// The value of Supported.
    pub fn supported(&self) -> String {
        self.tags(|support| support != Support::Off)
    }

    /// The value of Require on a first INVITE; empty: nothing is.
    pub fn required(&self) -> String {
        self.tags(|support| support == Support::Required)
    }

    /// Whether an option tag that a peer requires is spoken with it.
    pub fn speaks(&self, tag: &str) -> bool {
        let mut spoken = self.extensions().into_iter();
        spoken.any(|(own, support)| {
            let is_spoken = support != Support::Off || own == REPLACES;
            is_spoken && own.eq_ignore_ascii_case(tag)
        })
    }

    /// The tags that we require and an INVITE does not offer.
    pub(super) fn missing(&self, invite: &Headers) -> String {
        let extensions = self.extensions().into_iter();
        let missing = extensions
            .filter(|(tag, support)| *support == Support::Required && !invite.offers_option(tag))
            .map(|(tag, _)| tag);
        missing.collect::<Vec<_>>().join(", ")
    }

    /// Whether provisional responses to this INVITE go out reliably (RFC 3262 §3).
    pub fn is_reliable(&self, invite: &Headers) -> bool {
        match self.rel100 {
            Support::Off => false,
            Support::Supported => invite.requires_option(REL100),
            Support::Required => invite.offers_option(REL100),
        }
    }

    fn tags(&self, wanted: impl Fn(Support) -> bool) -> String {
        let extensions = self.extensions().into_iter();
        let tags = extensions
            .filter(|(_, support)| wanted(*support))
            .map(|(tag, _)| tag);
        tags.collect::<Vec<_>>().join(", ")
    }
}

/// The policies of the networks that peers call from.
#[derive(Clone, Debug, Default)]
pub(super) struct Policies(Vec<(Network, Policy)>);

impl Policies {
    pub fn new(policies: Vec<(Network, Policy)>) -> Self {
        Policies(policies)
    }

    /// That of the longest prefix an address lies in; none: no extension is spoken.
    pub fn of(&self, address: std::net::IpAddr) -> Policy {
        let inside = self.0.iter().filter(|(network, _)| network.contains(address));
        inside
            .max_by_key(|(network, _)| network.prefix_bits())
            .map(|(_, policy)| *policy)
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_decides_and_strangers_get_nothing() {
        let wanting = |rel100| Policy {
            rel100,
            ..Policy::default()
        };
        let policies = Policies::new(vec![
            ("192.0.2.0/24".parse().unwrap(), wanting(Support::Supported)),
            ("192.0.2.7/32".parse().unwrap(), wanting(Support::Required)),
        ]);
        for (address, rel100) in [
            ("192.0.2.7", Support::Required),
            ("192.0.2.8", Support::Supported),
            ("198.51.100.1", Support::Off),
        ] {
            assert_eq!(policies.of(address.parse().unwrap()).rel100, rel100, "{address}");
        }
    }

    #[test]
    fn tags_follow_the_policy() {
        for (rel100, timer, supported, required) in [
            (Support::Off, Support::Off, "", ""),
            (Support::Supported, Support::Off, "100rel", ""),
            (Support::Supported, Support::Required, "100rel, timer", "timer"),
            (
                Support::Required,
                Support::Required,
                "100rel, timer",
                "100rel, timer",
            ),
        ] {
            let mut policy = Policy {
                rel100,
                ..Policy::default()
            };
            policy.timer.support = timer;
            assert_eq!(
                (policy.supported().as_str(), policy.required().as_str()),
                (supported, required)
            );
            assert_eq!(policy.speaks("100REL"), rel100 != Support::Off);
            assert!(!policy.speaks("gruu"));
        }
    }
}
