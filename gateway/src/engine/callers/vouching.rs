//! Signed callers: what an Identity header is worth on this trunk, and what we sign ourselves.
//!
//! STIR and SHAKEN themselves are in `crate::stir`; here is which of a request's parties they are held against, and
//! how far we vouch for a number: fully for one of the trunk's own, less for one a pattern lets through, and not at
//! all beyond the entry for a caller who was sent on.

use sha2::{Digest, Sha256};
use sip::endpoint::ExtraHeader;
use sip::message::{Request, Uri};

use super::certificates::{self, Found};
use super::identity;
use crate::config::{IdentityOut, StirIn, Trunk};
use crate::control::protocol::{NumberSource, Party, Stir, StirVerdict};
use crate::engine::calls::dial_plan::Plan;
use crate::engine::calls::waiting;
use crate::engine::policy::number_policy::TrunkNumbers;
use crate::engine::setup::Setup;
use crate::engine::tx::Tx;
use crate::stir::{self, Attest, CertificateUrl, Claimed, Facts, Fetched, Statement, Verdict};
use crate::utc;

/// What was made of a request's Identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judged {
    /// It is worth this; none where there is nothing to tell.
    Worth(Option<Stir>),
    /// The trunk insists on a valid one, and refuses with this status what is worth so little.
    Refused(u16, Stir),
    /// Its certificate is on its way.
    Waits(CertificateUrl),
}

/// What the trunk makes of a request's Identity. One that `may_wait` waits for a certificate that can be fetched.
pub fn judge(tx: &mut Tx, index: usize, request: &Request, caller: &Party, may_wait: bool) -> Judged {
    let (setup, now_s) = (tx.setup, tx.now.wall_us.div_euclid(1_000_000));
    let (Some(trunk), Some(numbers)) = (setup.trunk(index), setup.numbers_of(index)) else {
        return Judged::Worth(None);
    };
    match trunk.stir.incoming {
        StirIn::Off => Judged::Worth(None),
        StirIn::Pass => {
            let claimed = stir::claimed(&facts(request, caller, numbers));
            Judged::Worth(claimed.map(|claimed| told(StirVerdict::Unverified, claimed)))
        }
        StirIn::Verify | StirIn::Require => {
            let facts = facts(request, caller, numbers);
            let fetched = match fetched(tx, trunk, &facts, now_s, may_wait) {
                Ok(fetched) => fetched,
                Err(url) => return Judged::Waits(url),
            };
            let checked = stir::check(&facts, &trunk.stir.trust, fetched.as_ref(), now_s);
            let stir = told(word(checked.verdict), checked.claimed);
            match checked.verdict.status() {
                Some(status) if trunk.stir.incoming == StirIn::Require => Judged::Refused(status, stir),
                Some(_) | None => Judged::Worth(Some(stir)),
            }
        }
    }
}

/// What came of the certificate that would have to be fetched; none: it need not or must not be. The error is the URL of
/// one that is on its way.
fn fetched(
    tx: &mut Tx,
    trunk: &Trunk,
    facts: &Facts,
    now_s: i64,
    may_wait: bool,
) -> Result<Option<Fetched>, CertificateUrl> {
    if trunk.stir.hosts.is_empty() {
        return Ok(None);
    }
    let Some(x5u) = stir::wanted(facts, &trunk.stir.trust, now_s) else {
        return Ok(None);
    };
    let Some(url) = CertificateUrl::permitted(&x5u, &trunk.stir.hosts) else {
        return Ok(Some(Fetched::NotListed));
    };
    match certificates::find(tx, &url, |tx| may_wait && waiting::has_room(tx)) {
        Found::Known(fetched) => Ok(Some(fetched)),
        Found::OnItsWay => Err(url),
    }
}

/// The carrier's word for the caller, where it holds.
pub fn attestation(stir: Option<&Stir>) -> Option<String> {
    let stir = stir.filter(|stir| stir.verdict == StirVerdict::Valid)?;
    stir.attest.clone()
}

fn told(verdict: StirVerdict, claimed: Claimed) -> Stir {
    Stir {
        verdict,
        attest: claimed.attest.map(|attest| attest.word().to_owned()),
        origid: claimed.origid,
        x5u: claimed.x5u,
    }
}

fn word(verdict: Verdict) -> StirVerdict {
    match verdict {
        Verdict::Absent => StirVerdict::Absent,
        Verdict::Valid => StirVerdict::Valid,
        Verdict::CertificateUnknown => StirVerdict::CertificateUnknown,
        Verdict::UrlNotListed => StirVerdict::UrlNotListed,
        Verdict::CertificateUnreachable => StirVerdict::CertificateUnreachable,
        Verdict::CertificateUnusable => StirVerdict::CertificateUnusable,
        Verdict::CertificateUntrusted => StirVerdict::CertificateUntrusted,
        Verdict::Invalid => StirVerdict::Invalid,
        Verdict::Mismatch => StirVerdict::Mismatch,
        Verdict::Stale => StirVerdict::Stale,
    }
}

/// The caller is the one the router is shown; the called party is To, which no proxy changes (RFC 8224 §6.2).
fn facts(request: &Request, caller: &Party, numbers: &TrunkNumbers) -> Facts {
    let headers = &request.headers;
    let from = headers.from().uri();
    let mut callers = texts(caller);
    if caller.source == Some(NumberSource::From) {
        callers.extend(bare(from));
    }
    let to = headers.to().uri();
    let mut called = texts(&identity::of_uri(to, identity::Reading::Close(numbers)));
    called.extend(bare(to));
    Facts {
        identities: headers.values("Identity").map(str::to_owned).collect(),
        date: headers.get("Date").map(str::to_owned),
        caller: callers,
        called,
    }
}

/// The canonical number of a party, if it is one.
fn texts(party: &Party) -> Vec<String> {
    let number = party.number.as_deref().unwrap_or(&party.raw);
    stir::canonical(number).into_iter().collect()
}

/// A URI without port, parameters and headers (RFC 8224 §8.5).
fn bare(uri: &Uri) -> Option<String> {
    Some(format!(
        "{}:{}@{}",
        uri.scheme().as_str(),
        uri.user()?,
        uri.host()?
    ))
}

/// What is to be signed for a dial; none where the trunk does not sign, or a number would be told that is withheld.
pub fn statement(setup: &Setup, trunk: &Trunk, plan: &Plan) -> Option<Statement> {
    let signer = trunk.stir.signer.as_ref()?;
    let tells_number =
        !plan.shown.withheld || (trunk.identity_trusted && trunk.identity_out != IdentityOut::From);
    let number = plan.shown.number.as_ref().filter(|_| tells_number)?;
    let is_own = trunk
        .caller_ids
        .iter()
        .any(|own| own.exact() == Some(number.as_str()));
    let attest = match (is_own, plan.shows_caller) {
        (true, _) => Attest::A,
        (false, true) => Attest::C,
        (false, false) => Attest::B,
    };
    Some(Statement {
        orig: stir::canonical(number)?,
        dest: stir::canonical(plan.to_party.number.as_ref()?)?,
        attest: attest.min(signer.attest()),
        origid: origid(&setup.config.instance, &trunk.name),
    })
}

/// The headers of an attempt, signed as it leaves: a token is good for a minute.
pub fn headers(trunk: &Trunk, statement: Option<&Statement>, wall_us: i64) -> Vec<ExtraHeader> {
    let (Some(signer), Some(statement)) = (&trunk.stir.signer, statement) else {
        return Vec::new();
    };
    let header = |name: &str, value: String| ExtraHeader {
        name: name.to_owned(),
        value,
    };
    let identity = signer.identity(statement, wall_us.div_euclid(1_000_000));
    vec![
        header("Date", utc::http_date(wall_us)),
        header("Identity", identity),
    ]
}

/// A UUID (version 8, RFC 9562 §5.8) that is the same for every call of a trunk, and tells no name.
fn origid(instance: &str, trunk: &str) -> String {
    let hash = Sha256::digest(format!("{instance}/{trunk}"));
    let hex: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default().to_owned();
    format!(
        "{}-{}-8{}-a{}-{}",
        part(0, 8),
        part(8, 12),
        part(13, 16),
        part(17, 20),
        part(20, 32)
    )
}
