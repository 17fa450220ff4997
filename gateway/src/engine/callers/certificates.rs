//! Certificates that tokens name and no file has: which are here, which are on their way, which could not be had.
//!
//! Orders a fetch and never waits for one: whoever needs a certificate that is on its way is told so. What may be
//! fetched at all is the URL's own type. Knows no socket, no trunk and no call.

use std::time::{Duration, Instant};

use crate::engine::table::Row;
use crate::engine::tx::Tx;
use crate::stir::{CertificateUrl, Chain, Fetched};

/// Certificates and failures remembered, each of at most 16 KiB; over it what would be forgotten first goes. A country
/// has some hundred signers.
pub const CERTIFICATES_MAX: usize = 1_024;
/// Fetches under way at once; a token that would need a further one is judged without it.
pub const FETCHES_MAX: usize = 16;
/// How long a certificate may be on its way. A fetch takes 2 s at most (`gateway/src/shell/fetcher.rs`); the rest is for
/// what lies before and behind it.
pub const ARRIVAL_WAIT: Duration = Duration::from_secs(3);
/// How long a failure is remembered: so often is a server asked that does not answer.
const FAILURE_KEPT: Duration = Duration::from_secs(60);
/// How long a certificate is kept whose server does not say.
const KEPT: Duration = Duration::from_secs(3_600);
/// Bounds of what a server says: it may neither have us ask for every call nor trust what it withdrew yesterday.
const KEPT_MIN: Duration = Duration::from_secs(60);
/// See [`KEPT_MIN`].
const KEPT_MAX: Duration = Duration::from_secs(24 * 3_600);

/// What a fetch brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedChain {
    /// The certificates.
    pub chain: Chain,
    /// How long they are good for, if the server says so (`Cache-Control: max-age`, RFC 9111 §5.2.2.1).
    pub max_age: Option<Duration>,
}

/// Why a fetch brought nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum FetchFailure {
    /// DNS knows no address.
    #[error("DNS knows no address of it")]
    Unresolved,
    /// DNS knows none that is public.
    #[error("it leads to no public address")]
    AddressRefused,
    /// No connection, or it broke.
    #[error("it cannot be connected to")]
    Connection,
    /// The handshake failed, or another's certificate was shown.
    #[error("TLS: {0}")]
    Tls(TlsFault),
    /// It is not a server of HTTP/1.1.
    #[error("it does not speak HTTP/1.1")]
    Http,
    /// Another status than 200; a redirect is not followed.
    #[error("it answered {0}")]
    Status(u16),
    /// Over 16 KiB.
    #[error("it sent more than 16 KiB")]
    TooLong,
    /// No certificate in PEM.
    #[error("it sent no certificate in PEM")]
    NoCertificate,
    /// It took longer than 2 s in all.
    #[error("it took longer than 2 s")]
    Timeout,
}

/// What went wrong with TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum TlsFault {
    /// Its certificate does not lead to a CA that is believed, or names another host.
    #[error("its certificate is not believed")]
    Certificate,
    /// Anything else.
    #[error("the handshake failed")]
    Handshake,
}

impl FetchFailure {
    /// The metric's label.
    pub fn word(self) -> &'static str {
        match self {
            FetchFailure::Unresolved => "unresolved",
            FetchFailure::AddressRefused => "address_refused",
            FetchFailure::Connection => "connection",
            FetchFailure::Tls(TlsFault::Certificate) => "tls_certificate",
            FetchFailure::Tls(TlsFault::Handshake) => "tls_handshake",
            FetchFailure::Http => "http",
            FetchFailure::Status(_) => "status",
            FetchFailure::TooLong => "too_long",
            FetchFailure::NoCertificate => "no_certificate",
            FetchFailure::Timeout => "timeout",
        }
    }
}

/// What is known of a URL, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Certificate {
    /// Ordered.
    OnItsWay {
        /// Then it may be ordered again.
        until: Instant,
    },
    /// It came, or did not.
    Known {
        /// What came of it.
        fetched: Fetched,
        /// Then it is ordered again.
        until: Instant,
    },
}

impl Certificate {
    fn until(&self) -> Instant {
        match self {
            Certificate::OnItsWay { until } | Certificate::Known { until, .. } => *until,
        }
    }

    fn is_on_its_way(&self, now: Instant) -> bool {
        matches!(self, Certificate::OnItsWay { until } if *until > now)
    }
}

/// Nobody is woken for it: it is looked at when somebody asks.
impl Row for Certificate {
    fn deadline(&self) -> Option<Instant> {
        None
    }
}

/// What is known of a URL now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// This came of it.
    Known(Fetched),
    /// It is on its way; the caller waits.
    OnItsWay,
}

/// Looks a certificate up, and orders it where it is not known. Whoever may not wait for it is told that it is not to be
/// had; who may is asked only then.
pub fn find(tx: &mut Tx, url: &CertificateUrl, may_wait: impl FnOnce(&mut Tx) -> bool) -> Found {
    let now = tx.now.mono;
    let row = tx.world.certificates.get(url).filter(|row| row.until() > now);
    if let Some(Certificate::Known { fetched, .. }) = row {
        return Found::Known(fetched.clone());
    }
    let is_ordered = row.is_some();
    if !may_wait(tx) {
        return Found::Known(Fetched::Unreachable);
    }
    if !is_ordered && fetches(tx, now) >= FETCHES_MAX {
        tx.metrics.stir_limit("fetches");
        return Found::Known(Fetched::Unreachable);
    }
    if !is_ordered {
        let until = now + ARRIVAL_WAIT;
        put(tx, url.clone(), Certificate::OnItsWay { until });
        tx.out.fetches.push(url.clone());
    }
    Found::OnItsWay
}

/// A fetch is over.
pub fn arrived(tx: &mut Tx, url: &CertificateUrl, result: Result<FetchedChain, FetchFailure>) {
    let outcome = result
        .as_ref()
        .map_or_else(|failure| failure.word(), |_| "fetched");
    tx.metrics.stir_fetch(outcome);
    let (fetched, kept) = match result {
        Ok(FetchedChain { chain, max_age }) => (Fetched::Chain(chain), kept(max_age)),
        Err(FetchFailure::NoCertificate) => (Fetched::Unusable, FAILURE_KEPT),
        Err(_) => (Fetched::Unreachable, FAILURE_KEPT),
    };
    let until = tx.now.mono + kept;
    put(tx, url.clone(), Certificate::Known { fetched, until });
}

fn kept(max_age: Option<Duration>) -> Duration {
    max_age.unwrap_or(KEPT).clamp(KEPT_MIN, KEPT_MAX)
}

fn fetches(tx: &Tx, now: Instant) -> usize {
    let rows = tx.world.certificates.iter();
    rows.filter(|(_, row)| row.is_on_its_way(now)).count()
}

fn put(tx: &mut Tx, url: CertificateUrl, row: Certificate) {
    tx.world.certificates.remove(url.clone());
    if tx.world.certificates.len() >= CERTIFICATES_MAX {
        let now = tx.now.mono;
        let rows = tx.world.certificates.iter();
        let rows = rows.filter(|(_, row)| !row.is_on_its_way(now));
        let first = rows.min_by_key(|(_, row)| row.until()).map(|(url, _)| url);
        if let Some(first) = first {
            tx.metrics.stir_limit("certificates");
            tx.world.certificates.remove(first);
        }
    }
    tx.world.certificates.insert(url, row);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_says_how_long_within_bounds() {
        let seconds = |seconds| kept(Some(Duration::from_secs(seconds))).as_secs();
        assert_eq!((seconds(0), seconds(59), seconds(61)), (60, 60, 61));
        assert_eq!((seconds(86_400), seconds(u64::MAX)), (86_400, 86_400));
        assert_eq!(kept(None).as_secs(), 3_600);
    }
}
