//! Verifying: what an Identity header is worth (RFC 8224 §6.2).
//!
//! Nothing of a token is believed before its chain and its signature are. Decides no call.

use sip::message::Identity;

use super::certificate::{Trust, is_signed_by, may_sign_for};
use super::passport::{self, Attest, Party, Passport};
use crate::{inert, utc};

/// How old a token may be, or how far ahead its clock, seconds (RFC 8224 §11).
const FRESH_S: u64 = 60;
/// Identity values of one request that are looked at.
const IDENTITIES_MAX: usize = 8;

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is none.
    Absent,
    /// It vouches for this caller and this call.
    Valid,
    /// Its certificate is not known here.
    CertificateUnknown,
    /// Its certificate leads to no anchor, is out of date, or may not sign for this number.
    CertificateUntrusted,
    /// It cannot be read, or its signature is wrong.
    Invalid,
    /// It names another caller or another called party.
    Mismatch,
    /// It was signed at another time.
    Stale,
}

impl Verdict {
    /// The refusal that RFC 8224 §6.2.2 has for it.
    pub fn status(self) -> Option<u16> {
        match self {
            Verdict::Valid => None,
            Verdict::Absent => Some(428),
            Verdict::CertificateUnknown => Some(436),
            Verdict::CertificateUntrusted => Some(437),
            Verdict::Invalid | Verdict::Mismatch => Some(438),
            Verdict::Stale => Some(403),
        }
    }
}

/// What a token says of itself, believed or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claimed {
    /// What is vouched for.
    pub attest: Option<Attest>,
    /// Where the call began.
    pub origid: Option<String>,
    /// Where the certificate is.
    pub x5u: Option<String>,
}

/// The outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// What was found.
    pub verdict: Verdict,
    /// What was claimed.
    pub claimed: Claimed,
}

/// What the request itself says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The Identity values.
    pub identities: Vec<String>,
    /// The Date header: the compact form has its time there.
    pub date: Option<String>,
    /// Who calls: a canonical number first, then a URI.
    pub caller: Vec<String>,
    /// Who is called, by To; the same.
    pub called: Vec<String>,
}

/// Which token counts.
enum Chosen {
    /// No Identity header at all.
    Absent,
    /// None that could be read.
    Unreadable,
    /// This one.
    Token(Identity),
}

/// The first SHAKEN token, else the first plain one. Others (diversions, priorities) say other things.
fn chosen(facts: &Facts) -> Chosen {
    if facts.identities.is_empty() {
        return Chosen::Absent;
    }
    let values = facts.identities.iter().take(IDENTITIES_MAX);
    let read: Vec<Identity> = values.filter_map(|value| Identity::parse(value)).collect();
    let of_kind = |ppt: Option<&str>| read.iter().find(|identity| identity.ppt.as_deref() == ppt);
    match of_kind(Some("shaken")).or_else(|| of_kind(None)) {
        Some(identity) => Chosen::Token(identity.clone()),
        None => Chosen::Unreadable,
    }
}

/// What the request claims, without any check; none where it claims nothing.
pub fn claimed(facts: &Facts) -> Option<Claimed> {
    match chosen(facts) {
        Chosen::Absent => None,
        Chosen::Unreadable => Some(Claimed::default()),
        Chosen::Token(identity) => Some(claimed_by(&identity)),
    }
}

fn claimed_by(identity: &Identity) -> Claimed {
    let passport = Passport::parse(&identity.token);
    let x5u = passport.as_ref().map(|passport| passport.x5u.clone());
    Claimed {
        attest: passport.as_ref().and_then(|passport| passport.attest),
        origid: passport.and_then(|passport| passport.origid),
        x5u: x5u
            .or_else(|| identity.info.clone())
            .filter(|x5u| !x5u.chars().any(inert::is_harmful)),
    }
}

/// Checks what came against what is trusted, at this time.
pub fn check(facts: &Facts, trust: &Trust, now_s: i64) -> Checked {
    let (verdict, claimed) = match chosen(facts) {
        Chosen::Absent => (Verdict::Absent, Claimed::default()),
        Chosen::Unreadable => (Verdict::Invalid, Claimed::default()),
        Chosen::Token(identity) => (verdict(&identity, facts, trust, now_s), claimed_by(&identity)),
    };
    Checked { verdict, claimed }
}

fn verdict(identity: &Identity, facts: &Facts, trust: &Trust, now_s: i64) -> Verdict {
    let Some(passport) = token(identity, facts) else {
        return Verdict::Invalid;
    };
    if !is_consistent(identity, &passport) {
        return Verdict::Invalid;
    }
    let Some(chain) = trust.chain(&passport.x5u) else {
        return Verdict::CertificateUnknown;
    };
    let Some(signer) = chain
        .first()
        .filter(|_| trust.is_trusted(chain, now_s.unsigned_abs()))
    else {
        return Verdict::CertificateUntrusted;
    };
    if !is_signed_by(signer, passport.signed.as_bytes(), &passport.signature) {
        return Verdict::Invalid;
    }
    if now_s.abs_diff(passport.iat) > FRESH_S {
        return Verdict::Stale;
    }
    let names = |party: &Party, texts: &[String]| match party {
        Party::Number(text) | Party::Uri(text) => texts.contains(text),
    };
    let is_called = passport.dest.iter().any(|dest| names(dest, &facts.called));
    if !names(&passport.orig, &facts.caller) || !is_called {
        return Verdict::Mismatch;
    }
    match &passport.orig {
        Party::Number(number) if !may_sign_for(signer, number) => Verdict::CertificateUntrusted,
        Party::Number(_) | Party::Uri(_) => Verdict::Valid,
    }
}

/// The parameters of the header agree with the token (RFC 8224 §4), and SHAKEN has its claims (RFC 8588 §4).
fn is_consistent(identity: &Identity, passport: &Passport) -> bool {
    identity.alg.as_deref().is_none_or(|alg| alg == "ES256")
        && identity.info.as_ref().is_none_or(|info| *info == passport.x5u)
        && identity.ppt == passport.ppt
        && (passport.ppt.is_none() || (passport.attest.is_some() && passport.origid.is_some()))
}

/// The token in full. The compact form is put together again from the request (RFC 8224 §4.1, RFC 8225 §7);
/// SHAKEN has none (RFC 8588 §4).
fn token(identity: &Identity, facts: &Facts) -> Option<Passport> {
    let Some(signature) = identity.token.strip_prefix("..") else {
        return Passport::parse(&identity.token);
    };
    if identity.ppt.is_some() {
        return None;
    }
    let iat = utc::from_http_date(facts.date.as_deref()?)?;
    let party = |text: &String| match passport::canonical(text) {
        Some(number) => Party::Number(number),
        None => Party::Uri(text.clone()),
    };
    let (orig, dest) = (party(facts.caller.first()?), party(facts.called.first()?));
    let header = passport::header(identity.info.as_deref()?, None);
    let claims = passport::claims(&orig, &dest, iat);
    Passport::parse(&format!("{header}.{claims}.{signature}"))
}

#[cfg(test)]
mod tests;
