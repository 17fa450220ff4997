//! The lists an operator keeps, and what a trunk adds to them.
//!
//! Values only: reading configuration files is elsewhere.

use std::collections::BTreeMap;

use super::e164::{self, E164, NumberKind};
use super::inbound::{NumberForm, parse_inbound};

/// `[dial]`: what may be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialRules {
    /// Regions that may be called, ISO 3166; nothing else may.
    pub countries: Vec<String>,
    /// E.164 prefixes with `+` that may not, whatever their region.
    pub deny_prefixes: Vec<String>,
    /// Named sets of such prefixes.
    pub deny_sets: Vec<DenySet>,
    /// Kinds of number that may not.
    pub deny_types: Vec<NumberKind>,
    /// By home country: leading digits taken off before a national number is read.
    pub prefixes: BTreeMap<String, BTreeMap<String, Presentation>>,
    /// Old spellings of a plan: the first that matches replaces its prefix.
    pub rewrite: Vec<Rewrite>,
}

impl Default for DialRules {
    fn default() -> DialRules {
        const COUNTRIES: [&str; 12] = [
            "AU", "CA", "CN", "DE", "HK", "IL", "JP", "MX", "SG", "SE", "US", "GB",
        ];
        let japan = [("184", Presentation::Withhold), ("186", Presentation::Show)];
        DialRules {
            countries: COUNTRIES.map(str::to_owned).to_vec(),
            deny_prefixes: vec!["+447".to_owned()],
            deny_sets: Vec::new(),
            deny_types: vec![
                NumberKind::Premium,
                NumberKind::SharedCost,
                NumberKind::Personal,
                NumberKind::Pager,
                NumberKind::Uan,
                NumberKind::Voicemail,
            ],
            prefixes: BTreeMap::from([(
                "JP".to_owned(),
                japan
                    .map(|(digits, presentation)| (digits.to_owned(), presentation))
                    .into(),
            )]),
            rewrite: Vec::new(),
        }
    }
}

impl DialRules {
    /// Every entry must mean something: a deny rule with a slip of the pen would deny nothing.
    pub(super) fn check(&self) -> Result<(), RulesError> {
        if !self
            .countries
            .iter()
            .chain(self.prefixes.keys())
            .all(|region| e164::is_region(region))
        {
            return Err(RulesError::UnknownRegion);
        }
        let rewritten = self
            .rewrite
            .iter()
            .flat_map(|rewrite| [&rewrite.from, &rewrite.to]);
        if !self
            .deny_prefixes
            .iter()
            .chain(rewritten)
            .all(|prefix| is_prefix(prefix))
        {
            return Err(RulesError::NotAPrefix);
        }
        let mut dial_prefixes = self.prefixes.values().flat_map(BTreeMap::keys);
        if !dial_prefixes.all(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
        {
            return Err(RulesError::NotADialPrefix);
        }
        Ok(())
    }

    pub(super) fn rewrite(&self, number: &E164) -> Option<E164> {
        let (rewrite, rest) = self.rewrite.iter().find_map(|rewrite| {
            number
                .as_str()
                .strip_prefix(rewrite.from.as_str())
                .map(|rest| (rewrite, rest))
        })?;
        E164::from_digits(&format!("{}{rest}", rewrite.to.trim_start_matches('+')))
    }
}

/// What a trunk says of numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrunkNumbers {
    /// Where national numbers belong, ISO 3166; without it only numbers with `+` can be read.
    pub home_country: Option<String>,
    /// How numbers come in.
    pub number_in: NumberForm,
    /// Numbers that may be shown as the caller's: `+DIGITS`, `+DIGITS*`, or `*` for any.
    pub caller_ids: Vec<String>,
    /// All-digit users of at most so many digits are extensions here, not numbers; 0: none are.
    pub extensions: u8,
    /// Countries whose emergency calls have a trunk to go to, this one or another, in the file's order.
    pub emergency: Vec<String>,
}

impl TrunkNumbers {
    /// Whether that number may be shown as the caller's.
    pub fn may_show(&self, caller_id: &str) -> bool {
        let number = parse_inbound(caller_id, self).number;
        self.caller_ids
            .iter()
            .any(|allowed| match (allowed.strip_suffix('*'), &number) {
                (Some(""), _) => true,
                (Some(prefix), Some(number)) => number.as_str().starts_with(prefix),
                (Some(_), None) => false,
                (None, Some(number)) => number.as_str() == allowed,
                (None, None) => caller_id == allowed,
            })
    }
}

/// A named set of denied prefixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DenySet {
    /// Japanese mobiles, which some contact-centre services bar by default.
    JpMobile,
}

impl DenySet {
    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            DenySet::JpMobile => "jp_mobile",
        }
    }

    pub(super) fn prefixes(self) -> &'static [&'static str] {
        match self {
            DenySet::JpMobile => &["+8170", "+8180", "+8190"],
        }
    }
}

/// What a dial prefix says of the caller's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Presentation {
    /// Keep it from the called party.
    Withhold,
    /// Show it.
    Show,
    /// Nothing: the digits are only taken off.
    Unchanged,
}

/// An old spelling and the present one, both E.164 prefixes with `+`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewrite {
    /// For example `+521`.
    pub from: String,
    /// For example `+52`.
    pub to: String,
}

/// Why lists are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RulesError {
    /// Not an ISO 3166 code with a numbering plan.
    #[error("unknown region")]
    UnknownRegion,
    /// Not `+` and digits.
    #[error("a number prefix is + and digits")]
    NotAPrefix,
    /// Not digits.
    #[error("a dial prefix is digits")]
    NotADialPrefix,
}

fn is_prefix(text: &str) -> bool {
    text.strip_prefix('+')
        .is_some_and(|digits| E164::from_digits(digits).is_some())
}
