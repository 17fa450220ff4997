//! The configuration in the engine's terms: what does not change while the process runs, save the number map.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use sip::endpoint::Flow;

use super::keys::{CallKey, LegKey};
use super::policy::number_policy::{
    self, DialRules, NumberForm, NumberKind, Policy, Presentation, RulesError, TrunkNumbers,
};
use super::trunks::tls_peers::TlsPeers;
use crate::config::{
    self, Config, ControllerLost, DenySet, Known, NumberIn, NumberMap, NumberPattern, NumberType,
    NumbersChanged, PrefixMeaning, Trunk,
};
use crate::control::protocol::{ControllerLostAction, Name, OnControllerLost, Within};

/// Port pairs kept back for emergency calls: two calls, each with the leg of who calls. Ours.
pub const EMERGENCY_PORT_PAIRS: usize = 4;

/// Facts of this run; fixed, save the number map.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The configuration.
    pub config: Config,
    /// Its instance as events name it.
    pub instance: Name,
    /// The name of this run's event numbering.
    pub epoch: String,
    /// Number policy.
    pub policy: Policy,
    /// Whether any trunk knows its peers by a certificate.
    pub has_certificates: bool,
    /// What each trunk says of numbers, by index.
    pub numbers: Vec<TrunkNumbers>,
    /// RTP/RTCP port pairs of all shards.
    pub port_pairs: usize,
    /// Calls that were up when an earlier run died.
    pub lost_calls: u64,
    /// The schema of the control protocol, as JSON.
    pub schema: String,
    /// Limits set at run time by an earlier run (`limits.set`), as one JSON object.
    pub saved_limits: Option<String>,
}

impl Setup {
    /// Reads the engine's terms out of a configuration.
    pub fn new(config: Config, epoch: String) -> Result<Self, RulesError> {
        number_policy::load_plans();
        let policy = Policy::new(dial_rules(&config))?;
        // The numbering plans are read at the first look-up: better now than in the first call.
        number_policy::parse_inbound("+498001234567", &TrunkNumbers::default());
        let flagged = config.trunks.iter().filter(|trunk| trunk.emergency);
        let mut emergency: Vec<String> = flagged.filter_map(|trunk| trunk.home_country.clone()).collect();
        emergency.dedup();
        let numbers = config.trunks.iter();
        let numbers = numbers.map(|trunk| trunk_numbers(trunk, &emergency)).collect();
        let ports = config.media.ports.end() - config.media.ports.start() + 1;
        Ok(Setup {
            instance: Name::from(config.instance.as_str()),
            epoch,
            policy,
            has_certificates: config.has_certificates(),
            numbers,
            port_pairs: usize::from(ports) / 2,
            lost_calls: 0,
            schema: String::from("{}"),
            saved_limits: None,
            config,
        })
    }

    /// Takes up another number map, with the caller ids that follow from it.
    pub fn renumber(&mut self, map: NumberMap) -> NumbersChanged {
        let told = self.config.renumber(map);
        for (numbers, trunk) in self.numbers.iter_mut().zip(&self.config.trunks) {
            numbers.caller_ids = caller_ids(trunk);
        }
        told
    }

    /// A trunk by index.
    pub fn trunk(&self, index: usize) -> Option<&Trunk> {
        self.config.trunks.get(index)
    }

    /// What a trunk says of numbers.
    pub fn numbers_of(&self, index: usize) -> Option<&TrunkNumbers> {
        self.numbers.get(index)
    }

    /// The index of a trunk.
    pub fn trunk_by_name(&self, name: &str) -> Option<usize> {
        self.config.trunks.iter().position(|trunk| trunk.name == name)
    }

    /// The trunk with the longest `allow` prefix around a source.
    pub fn trunk_by_source(&self, source: IpAddr) -> Option<usize> {
        self.trunk_by_name(&self.config.trunk_by_source(source)?.name)
    }

    /// The trunk a flow belongs to; none: unlisted, or not shown what its trunk demands.
    pub fn trunk_of(&self, flow: &Flow, peers: &TlsPeers) -> Option<usize> {
        match peers.known(self, flow) {
            Known::Trunk(trunk) => self.trunk_by_name(&trunk.name),
            Known::Unfit | Known::Unlisted => None,
        }
    }

    /// Port pairs that ordinary calls may take: a few are kept for emergency calls, where a trunk takes those.
    pub fn port_pairs_open(&self) -> usize {
        match self.config.trunks.iter().any(|trunk| trunk.emergency) {
            true => self.port_pairs.saturating_sub(EMERGENCY_PORT_PAIRS),
            false => self.port_pairs,
        }
    }

    /// Whether a dial would come straight back to us.
    pub fn is_own_listener(&self, remote: SocketAddr) -> bool {
        self.config.sip.listen.iter().any(|listen| {
            let same_host = listen.addr.ip() == remote.ip() || listen.addr.ip().is_unspecified();
            same_host && listen.addr.port() == remote.port()
        })
    }

    /// The media thread where the legs of a call begin; a bridge may take them to another (`gathering`).
    pub fn shard_of(&self, call: CallKey) -> usize {
        spread(call, self.config.media.shards)
    }

    /// `o=` session id of a leg (RFC 8866 §5.2: unique for this host).
    pub fn sdp_id(&self, leg: LegKey) -> u64 {
        leg.0
    }

    /// Where the joined file of a recording will be.
    pub fn recording_path(&self, recording: &str, wall_us: i64) -> String {
        let path: PathBuf =
            crate::observe::recordings::path::final_path(&self.config.recordings.dir, recording, wall_us);
        path.to_string_lossy().into_owned()
    }
}

fn dial_rules(config: &Config) -> DialRules {
    let dial = &config.dial;
    let meaning = |meaning: PrefixMeaning| match meaning {
        PrefixMeaning::PrivacyOn => Presentation::Withhold,
        PrefixMeaning::PrivacyOff => Presentation::Show,
        PrefixMeaning::Ignore => Presentation::Unchanged,
    };
    let prefixes = dial.prefixes.iter().map(|(country, entries)| {
        let entries: BTreeMap<_, _> = entries
            .iter()
            .map(|(digits, what)| (digits.clone(), meaning(*what)))
            .collect();
        (country.clone(), entries)
    });
    DialRules {
        countries: dial.countries.clone(),
        deny_prefixes: dial.deny_prefixes.clone(),
        deny_sets: dial
            .deny_sets
            .iter()
            .map(|DenySet::JpMobile| number_policy::DenySet::JpMobile)
            .collect(),
        deny_types: dial.deny_types.iter().map(|kind| number_kind(*kind)).collect(),
        prefixes: prefixes.collect(),
        rewrite: Vec::new(),
    }
}

fn number_kind(kind: NumberType) -> NumberKind {
    match kind {
        NumberType::Premium => NumberKind::Premium,
        NumberType::SharedCost => NumberKind::SharedCost,
        NumberType::Personal => NumberKind::Personal,
        NumberType::Pager => NumberKind::Pager,
        NumberType::Uan => NumberKind::Uan,
        NumberType::Voicemail => NumberKind::Voicemail,
    }
}

fn trunk_numbers(trunk: &Trunk, emergency: &[String]) -> TrunkNumbers {
    TrunkNumbers {
        home_country: trunk.home_country.clone(),
        number_in: match trunk.number_in {
            NumberIn::E164 => NumberForm::E164,
            NumberIn::National => NumberForm::National,
        },
        caller_ids: caller_ids(trunk),
        extensions: trunk.extensions,
        emergency: emergency.to_vec(),
    }
}

fn caller_ids(trunk: &Trunk) -> Vec<String> {
    trunk.caller_ids.iter().map(NumberPattern::to_string).collect()
}

/// The configured rule in the protocol's terms.
pub fn on_controller_lost(rule: ControllerLost) -> OnControllerLost {
    let after_ms = u32::try_from(rule.after.as_millis())
        .ok()
        .and_then(Within::new)
        .unwrap_or_default();
    let action = match rule.action {
        config::ControllerLostAction::Keep => ControllerLostAction::Keep,
        config::ControllerLostAction::Music => ControllerLostAction::Music,
        config::ControllerLostAction::Hangup => ControllerLostAction::Hangup,
    };
    OnControllerLost { after_ms, action }
}

/// One of `shards`. Calls share their numbering with legs and more, so that their own numbers have a rhythm,
/// every second one, say; Fibonacci hashing spreads such numbers evenly.
fn spread(call: CallKey, shards: usize) -> usize {
    let mixed = call.0.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
    usize::try_from(mixed % shards.max(1) as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_spread_evenly_whatever_the_rhythm_of_their_numbers() {
        for (step, shards) in [(1, 2), (2, 2), (4, 2), (3, 3), (6, 4), (7, 8)] {
            let mut counts = vec![0; shards];
            for call in 0..1000 {
                counts[spread(CallKey(1 + call * step), shards)] += 1;
            }
            let fair = 1000 / shards;
            assert!(
                counts.iter().all(|count| fair.abs_diff(*count) <= fair / 5),
                "{step} {counts:?}"
            );
        }
    }
}
