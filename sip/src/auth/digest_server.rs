//! Digest authentication as a server (RFC 7616, RFC 8760): what is asked, and whether an answer is right.
//!
//! ```text
//!  no answer of ours ─────────────────────────► challenge
//!  wrong user, password or uri ───────────────► challenge, and a guess less
//!  right, but the nonce is old or used ───────► challenge with stale=true
//!  right ─────────────────────────────────────► the user
//! ```
//! A user there is not goes the way of a wrong password, to the last hash (docs/threats.md: B23). Keeps no
//! state for whom it merely asked. Must not know messages beyond one header value, nor where they go.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::authorization::Authorization;
use super::guesses::Guesses;
use super::hmac::is_same;
use super::nonce::{Nonce, NonceKey};
use super::nonce_uses::{NonceUses, Use};
use super::{Algorithm, Users};
use crate::message::{Method, Uri, quote};

/// How long a nonce is good. Ours: longer than any call set-up, shorter than a registration.
pub const NONCE_LIFE: Duration = Duration::from_secs(300);

/// One server, for any number of realms.
#[derive(Debug)]
pub struct DigestServer {
    key: NonceKey,
    /// Begins with the first request: nonces carry the time since.
    started: Option<Instant>,
    uses: NonceUses,
    guesses: Guesses,
}

/// What a request brings.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Its method.
    pub method: &'a Method,
    /// Its Request-URI.
    pub uri: &'a Uri,
    /// Where it came from.
    pub source: IpAddr,
}

/// What becomes of it.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Authenticated as this user.
    Granted(String),
    /// To be asked, again or for the first time.
    Ask(Why),
    /// Too many wrong answers came from there: refused unseen.
    Blocked,
}

/// Why it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// No answer to a challenge of this realm.
    Unanswered,
    /// Wrong user, password or uri.
    Wrong,
    /// Right, but the nonce is too old, used already or of another run.
    Stale,
}

impl DigestServer {
    /// A server with this key, which must be secret and new for each run.
    pub fn new(key: [u8; 32]) -> Self {
        DigestServer {
            key: NonceKey::new(key),
            started: None,
            uses: NonceUses::default(),
            guesses: Guesses::default(),
        }
    }

    /// Judges the Authorization values of a request.
    pub fn judge<'a>(
        &mut self,
        users: &Users,
        asked: Asked<'_>,
        values: impl IntoIterator<Item = &'a str>,
        now: Instant,
    ) -> Verdict {
        let answers = values.into_iter().filter_map(Authorization::parse);
        let mut answers = answers.filter(|answer| {
            let opaque = answer.opaque.as_ref();
            answer.realm == users.realm()
                && users.offered().contains(&answer.algorithm)
                && opaque.is_none_or(|opaque| *opaque == self.opaque())
        });
        let Some(answer) = answers.next() else {
            return Verdict::Ask(Why::Unanswered);
        };
        if self.guesses.are_used_up(asked.source, now) {
            return Verdict::Blocked;
        }
        let nonce = self.key.read(&answer.nonce, users.realm(), asked.source);
        let decoy = self.decoy(answer.algorithm);
        let known = users.hash(&answer.user, answer.algorithm);
        let expected = answer.expected(known.unwrap_or(&decoy), asked.method);
        let is_right = is_same(expected.as_bytes(), answer.response.as_bytes());
        if !is_right || known.is_none() || !is_meant(&answer.uri, asked.uri) {
            if nonce.is_some() {
                self.guesses.note(asked.source, now);
            }
            return Verdict::Ask(Why::Wrong);
        }
        match nonce {
            Some(nonce) if self.is_first_use(nonce, answer.count, now) => Verdict::Granted(answer.user),
            Some(_) | None => Verdict::Ask(Why::Stale),
        }
    }

    /// The challenges of this realm for this address, the better algorithm first. `unique` is fresh and random.
    pub fn challenges(
        &mut self,
        users: &Users,
        source: IpAddr,
        why: Why,
        unique: u64,
        now: Instant,
    ) -> Vec<String> {
        let issued_ms = self.clock_ms(now);
        let nonce = self.key.write(Nonce { issued_ms, unique }, users.realm(), source);
        let stale = match why {
            Why::Stale => ", stale=true",
            Why::Unanswered | Why::Wrong => "",
        };
        let (realm, opaque) = (quote(users.realm()), self.opaque());
        let challenge = |algorithm: &Algorithm| {
            format!(
                "Digest realm={realm}, nonce=\"{nonce}\", opaque=\"{opaque}\", algorithm={}, qop=\"auth\"{stale}",
                algorithm.name()
            )
        };
        users.offered().iter().map(challenge).collect()
    }

    fn is_first_use(&mut self, nonce: Nonce, count: u32, now: Instant) -> bool {
        let now_ms = self.clock_ms(now);
        let life_ms = millis(NONCE_LIFE);
        let is_alive = (nonce.issued_ms..nonce.issued_ms.saturating_add(life_ms)).contains(&now_ms);
        is_alive && self.uses.note(nonce, count, now_ms, life_ms) == Use::Fresh
    }

    fn clock_ms(&mut self, now: Instant) -> u64 {
        let started = *self.started.get_or_insert(now);
        millis(now.saturating_duration_since(started))
    }

    fn opaque(&self) -> String {
        hex(&self.key.derive("opaque"), 16)
    }

    /// The hash of nobody's password, as long as one of this algorithm.
    fn decoy(&self, algorithm: Algorithm) -> String {
        let bytes = match algorithm {
            Algorithm::Md5 | Algorithm::Md5Sess => 16,
            Algorithm::Sha256
            | Algorithm::Sha256Sess
            | Algorithm::Sha512Of256
            | Algorithm::Sha512Of256Sess => 32,
        };
        hex(&self.key.derive("decoy"), bytes)
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

fn hex(bytes: &[u8], count: usize) -> String {
    bytes
        .iter()
        .take(count)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Whether `digest-uri` names what is requested: the host, and user and port where it has them. Phones write
/// their idea of the Request-URI there: with other parameters or none, some only the registrar's address.
///
/// Deviates from RFC 7616 §3.4.6, which wants the same resource but leaves open how that is seen.
fn is_meant(digest_uri: &str, requested: &Uri) -> bool {
    let Ok(uri) = Uri::parse(digest_uri) else {
        return false;
    };
    let (Some(host), Some(wanted)) = (uri.host(), requested.host()) else {
        return uri.is_equivalent(requested);
    };
    let is_same_port = match (uri.port(), requested.port()) {
        (Some(left), Some(right)) => left == right,
        (Some(_), None) | (None, Some(_)) | (None, None) => true,
    };
    host == wanted
        && is_same_port
        && uri.scheme() == requested.scheme()
        && (uri.user().is_none() || uri.user_unescaped() == requested.user_unescaped())
}

#[cfg(test)]
mod tests;
