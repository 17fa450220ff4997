//! Verifying: what an Identity header is worth (RFC 8224 §6.2).
//!
//! Nothing of a token is believed before its chain and its signature are. Decides no call.

use sip::message::Identity;

use super::certificate::{Chain, Trust, is_signed_by, may_sign_for};
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
    /// Its certificate is not known here, and nothing may be fetched.
    CertificateUnknown,
    /// Its certificate is where nothing may be fetched from.
    UrlNotListed,
    /// Its certificate could not be fetched.
    CertificateUnreachable,
    /// What was fetched is no certificate.
    CertificateUnusable,
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
            Verdict::CertificateUnknown | Verdict::UrlNotListed | Verdict::CertificateUnreachable => {
                Some(436)
            }
            Verdict::CertificateUnusable | Verdict::CertificateUntrusted => Some(437),
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

/// What came of a certificate that is in no file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// It is here.
    Chain(Chain),
    /// It may not be fetched.
    NotListed,
    /// It could not be had.
    Unreachable,
    /// What was there is no certificate.
    Unusable,
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

/// The URL whose certificate would have to be fetched. None for a token that is known not to hold without it: what is
/// stale or about another call makes nobody fetch anything.
pub fn wanted(facts: &Facts, trust: &Trust, now_s: i64) -> Option<String> {
    let Chosen::Token(identity) = chosen(facts) else {
        return None;
    };
    let passport = token(&identity, facts).filter(|passport| is_consistent(&identity, passport))?;
    let is_wanted = trust.chain(&passport.x5u).is_none() && contradiction(&passport, facts, now_s).is_none();
    is_wanted.then_some(passport.x5u)
}

/// Checks what came against what is trusted, at this time. `fetched` is what came of the URL that is [`wanted`].
pub fn check(facts: &Facts, trust: &Trust, fetched: Option<&Fetched>, now_s: i64) -> Checked {
    let (verdict, claimed) = match chosen(facts) {
        Chosen::Absent => (Verdict::Absent, Claimed::default()),
        Chosen::Unreadable => (Verdict::Invalid, Claimed::default()),
        Chosen::Token(identity) => (
            verdict(&identity, facts, trust, fetched, now_s),
            claimed_by(&identity),
        ),
    };
    Checked { verdict, claimed }
}

fn verdict(
    identity: &Identity,
    facts: &Facts,
    trust: &Trust,
    fetched: Option<&Fetched>,
    now_s: i64,
) -> Verdict {
    let Some(passport) = token(identity, facts) else {
        return Verdict::Invalid;
    };
    if !is_consistent(identity, &passport) {
        return Verdict::Invalid;
    }
    let chain = match (trust.chain(&passport.x5u), fetched) {
        (Some(chain), _) | (None, Some(Fetched::Chain(chain))) => chain,
        (None, Some(Fetched::NotListed)) => return Verdict::UrlNotListed,
        (None, Some(Fetched::Unreachable)) => return Verdict::CertificateUnreachable,
        (None, Some(Fetched::Unusable)) => return Verdict::CertificateUnusable,
        (None, None) => {
            return contradiction(&passport, facts, now_s).unwrap_or(Verdict::CertificateUnknown);
        }
    };
    let Some(signer) = chain
        .signer()
        .filter(|_| trust.is_trusted(chain, now_s.unsigned_abs()))
    else {
        return Verdict::CertificateUntrusted;
    };
    if !is_signed_by(signer, passport.signed.as_bytes(), &passport.signature) {
        return Verdict::Invalid;
    }
    if let Some(verdict) = contradiction(&passport, facts, now_s) {
        return verdict;
    }
    match &passport.orig {
        Party::Number(number) if !may_sign_for(signer, number) => Verdict::CertificateUntrusted,
        Party::Number(_) | Party::Uri(_) => Verdict::Valid,
    }
}

/// What in a token does not fit this call, whoever signed it.
fn contradiction(passport: &Passport, facts: &Facts, now_s: i64) -> Option<Verdict> {
    if now_s.abs_diff(passport.iat) > FRESH_S {
        return Some(Verdict::Stale);
    }
    let names = |party: &Party, texts: &[String]| match party {
        Party::Number(text) | Party::Uri(text) => texts.contains(text),
    };
    let is_called = passport.dest.iter().any(|dest| names(dest, &facts.called));
    (!names(&passport.orig, &facts.caller) || !is_called).then_some(Verdict::Mismatch)
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
