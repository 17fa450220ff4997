//! Which numbers may be dialled: everything is refused that the lists do not allow.
//!
//! ```text
//!  text ─► emergency ─► dial prefix ─► service code ─► parse ─► deny prefix ─► valid ─► region ─► type ─► caller id
//!  (target)    └──────────── again ◄──────┘                        ▲     rewrite ┘
//! ```
//! The first step that decides ends the run. What is dialled is the canonical E.164 text that was
//! judged, never the text that came in. Emergency numbers and denied prefixes come before the region
//! because the numbering library answers both wrongly: it takes 110 for +81110, and +447 for Guernsey.
//! Knows nothing of calls, limits, routes or SIP messages.

mod decision;
mod e164;
mod emergency;
mod inbound;
mod rules;
mod target;

use sha2::{Digest, Sha256};

pub use decision::{Decision, Step};
pub use e164::{E164, NumberKind, country_code, load_plans, national};
pub use inbound::{InboundNumber, NumberForm, glance, parse_inbound};
pub use rules::{DenySet, DialRules, Presentation, Rewrite, RulesError, TrunkNumbers};
pub use target::{Dialled, Target, TargetError, classify_target};

use e164::{Judged, Unreadable};

/// Digits a service code has at most: 116117 in Germany is the longest we know.
pub const SERVICE_CODE_DIGITS_MAX: usize = 6;

/// The lists, checked and ready.
#[derive(Clone, Debug)]
pub struct Policy {
    rules: DialRules,
    /// Every denied prefix, those of the sets too, digits without `+`.
    deny_prefixes: Vec<String>,
    list_version: String,
}

impl Policy {
    /// Takes lists into use; refuses them where an entry cannot mean anything.
    pub fn new(rules: DialRules) -> Result<Policy, RulesError> {
        rules.check()?;
        let deny_prefixes = rules
            .deny_prefixes
            .iter()
            .map(String::as_str)
            .chain(
                rules
                    .deny_sets
                    .iter()
                    .flat_map(|set| set.prefixes().iter().copied()),
            )
            .map(|prefix| prefix.trim_start_matches('+').to_owned())
            .collect();
        let list_version = fingerprint(&rules);
        Ok(Policy {
            rules,
            deny_prefixes,
            list_version,
        })
    }

    /// Changes whenever the lists do; the same lists have the same text in every process.
    pub fn list_version(&self) -> &str {
        &self.list_version
    }

    /// Judges a number that would cause an INVITE through a trunk, shown as coming from `caller_id`.
    ///
    /// `None` as caller id leaves the choice to the trunk and is never refused.
    pub fn check(&self, to: &Dialled, caller_id: Option<&str>, trunk: &TrunkNumbers) -> Decision {
        let mut decision = self.check_number(to, trunk);
        if !decision.allow || decision.step == Step::Emergency {
            return decision;
        }
        if let Some(caller_id) = caller_id
            && !trunk.may_show(caller_id)
        {
            decision.allow = false;
            decision.step = Step::CallerId;
            decision.rule = "caller_id".to_owned();
            decision.dial = None;
        }
        decision
    }

    /// As [`Policy::check`], from the text of a request; what is no number is refused.
    pub fn check_text(&self, to: &str, caller_id: Option<&str>, trunk: &TrunkNumbers) -> Decision {
        match classify_target(to, trunk) {
            Ok(Target::Number(dialled)) => self.check(&dialled, caller_id, trunk),
            Ok(Target::Name { .. }) => self.decide(false, Step::Text, "no_number"),
            Err(_) => self.decide(false, Step::Text, "number_invalid"),
        }
    }

    /// Whether this text names an emergency service that has a trunk to go to.
    pub fn is_emergency(&self, to: &str, trunk: &TrunkNumbers) -> bool {
        match classify_target(to, trunk) {
            Ok(Target::Number(dialled)) => {
                let decision = self.check_number(&dialled, trunk);
                decision.allow && decision.step == Step::Emergency
            }
            Ok(Target::Name { .. }) | Err(_) => false,
        }
    }

    fn check_number(&self, to: &Dialled, trunk: &TrunkNumbers) -> Decision {
        let home = trunk.home_country.as_deref();
        if let Some(decision) = self.emergency(to, trunk) {
            return decision;
        }
        let (to, presentation) = self.strip_dial_prefix(to, home);
        if presentation.is_some()
            && let Some(decision) = self.emergency(&to, trunk)
        {
            return Decision {
                presentation,
                ..decision
            };
        }
        if let (Some(digits), Some(home)) = (to.national_digits(), home)
            && digits.len() <= SERVICE_CODE_DIGITS_MAX
            && !digits.starts_with('0')
        {
            return self.decide(false, Step::ServiceCode, format!("service_code:{home}:{digits}"));
        }
        let decision = match e164::read(&to, home) {
            Ok(number) => self.judge(&number),
            Err(Unreadable::NoHomeCountry) => self.decide(false, Step::Parse, "no_home_country"),
            Err(Unreadable::NotANumber) => self.decide(false, Step::Parse, "number_invalid"),
        };
        Decision {
            presentation,
            ..decision
        }
    }

    /// Steps 6 to 9, on the number as it would be dialled.
    fn judge(&self, number: &E164) -> Decision {
        if let Some(prefix) = self.denied_prefix(number) {
            let decision = self.decide(false, Step::DenyPrefix, format!("deny_prefix:+{prefix}"));
            return Decision {
                e164: Some(number.clone()),
                ..decision
            };
        }
        if let Some(rewritten) = self.rules.rewrite(number) {
            if let Some(prefix) = self.denied_prefix(&rewritten) {
                let decision = self.decide(false, Step::DenyPrefix, format!("deny_prefix:+{prefix}"));
                return Decision {
                    e164: Some(rewritten),
                    ..decision
                };
            }
            return self.judge_valid(rewritten);
        }
        self.judge_valid(number.clone())
    }

    fn judge_valid(&self, number: E164) -> Decision {
        let Some(Judged { region, kind }) = e164::judge(&number) else {
            let decision = self.decide(false, Step::Valid, "invalid");
            return Decision {
                e164: Some(number),
                ..decision
            };
        };
        let name = region.as_deref().unwrap_or("none");
        let (allow, step, rule) = if !self.rules.countries.iter().any(|country| country == name) {
            (false, Step::Region, format!("region:{name}"))
        } else if self.rules.deny_types.contains(&kind) {
            (false, Step::Type, format!("type:{}", kind.name()))
        } else {
            (true, Step::Region, format!("region:{name}"))
        };
        let decision = self.decide(allow, step, rule);
        let dial = allow.then(|| number.as_str().to_owned());
        Decision {
            e164: Some(number),
            region,
            kind: Some(kind),
            dial,
            ..decision
        }
    }

    fn emergency(&self, to: &Dialled, trunk: &TrunkNumbers) -> Option<Decision> {
        let home = trunk.home_country.as_deref();
        let country = emergency::country(to, home)?;
        let digits = to.digits();
        let taken_by = emergency::taken_by(to, country, home, &trunk.emergency);
        let rule = format!("emergency:{country}:{digits}");
        let decision = self.decide(taken_by.is_some(), Step::Emergency, rule);
        let dial = taken_by.map(|_| match to.is_service() {
            true => format!("urn:service:{digits}"),
            false => digits.to_owned(),
        });
        Some(Decision {
            region: Some(taken_by.unwrap_or(country).to_owned()),
            dial,
            ..decision
        })
    }

    /// Takes the longest listed prefix of the home country off a national number.
    fn strip_dial_prefix(&self, to: &Dialled, home: Option<&str>) -> (Dialled, Option<Presentation>) {
        let listed = home.and_then(|home| self.rules.prefixes.get(home));
        let (Some(digits), Some(listed)) = (to.national_digits(), listed) else {
            return (to.clone(), None);
        };
        let longest = listed
            .iter()
            .filter(|(prefix, _)| digits.starts_with(prefix.as_str()) && digits.len() > prefix.len())
            .max_by_key(|(prefix, _)| prefix.len());
        let Some((prefix, presentation)) = longest else {
            return (to.clone(), None);
        };
        (to.without_leading(prefix.len()), Some(*presentation))
    }

    fn denied_prefix(&self, number: &E164) -> Option<&str> {
        let matching = self
            .deny_prefixes
            .iter()
            .filter(|prefix| number.digits().starts_with(prefix.as_str()));
        matching.max_by_key(|prefix| prefix.len()).map(String::as_str)
    }

    fn decide(&self, allow: bool, step: Step, rule: impl Into<String>) -> Decision {
        Decision {
            allow,
            step,
            rule: rule.into(),
            e164: None,
            region: None,
            kind: None,
            presentation: None,
            dial: None,
            list_version: self.list_version.clone(),
        }
    }
}

/// The first four bytes of a hash over the lists, in hex.
fn fingerprint(rules: &DialRules) -> String {
    let hash = Sha256::digest(format!("{rules:?}"));
    hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
