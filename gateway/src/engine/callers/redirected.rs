//! Who sent a call on: read from and written to Diversion (RFC 5806) and History-Info (RFC 7044).
//!
//! The two are mapped as RFC 7544 does. Pure; decides neither what is refused nor what is passed on.

use sip::message::{Headers, NameAddr, Reason, Uri};

use super::identity;
use crate::control::protocol::{Privacy, RedirectReason, Redirected};
use crate::engine::policy::number_policy::TrunkNumbers;

/// A call that was sent on more often than this is going in circles.
pub const REDIRECTS_MAX: u32 = 5;
/// Entries of either header that are read; one more already counts as too many redirects.
const ENTRIES_MAX: usize = 32;

/// What the headers say. Where both are there, the one that tells of more redirects is believed.
pub fn read(headers: &Headers, numbers: &TrunkNumbers) -> Option<Redirected> {
    let diversion = diversion(headers, numbers);
    let history = history(headers, numbers);
    match (diversion, history) {
        (Some(diversion), Some(history)) if history.count > diversion.count => Some(history),
        (Some(diversion), _) => Some(diversion),
        (None, history) => history,
    }
}

/// The topmost Diversion is the newest (RFC 5806 §4).
fn diversion(headers: &Headers, numbers: &TrunkNumbers) -> Option<Redirected> {
    let values = headers.values("Diversion").take(ENTRIES_MAX);
    let entries: Vec<NameAddr> = values.filter_map(|value| NameAddr::parse(value).ok()).collect();
    let newest = entries.first()?;
    let times = |entry: &NameAddr| {
        let counter = entry
            .params()
            .get("counter")
            .and_then(|counter| counter.parse().ok());
        counter.unwrap_or(1_u32).max(1)
    };
    let count = entries.iter().map(times).fold(0, u32::saturating_add);
    let reason = newest.params().text("reason").unwrap_or_default();
    let privacy = newest.params().text("privacy").unwrap_or_default();
    let is_private = ["full", "uri"]
        .iter()
        .any(|word| word.eq_ignore_ascii_case(&privacy));
    Some(told(newest.uri(), of_word(&reason), count, is_private, numbers))
}

fn told(
    uri: &Uri,
    reason: RedirectReason,
    count: u32,
    is_private: bool,
    numbers: &TrunkNumbers,
) -> Redirected {
    let party = identity::of_uri(uri, identity::Reading::Close(numbers));
    Redirected {
        number: party.number,
        raw: party.raw,
        reason,
        count,
        privacy: is_private.then_some(Privacy::Id),
    }
}

/// One History-Info entry.
struct Entry {
    uri: Uri,
    index: String,
    /// The entry it was mapped from: another party was chosen (RFC 7044 §5).
    mapped_from: Option<String>,
    /// Why the one before was left: the URI's `cause` (RFC 4458).
    cause: Option<u16>,
    /// Why this one was left: the Reason escaped into it.
    left_for: Option<u16>,
    is_private: bool,
}

/// An entry that was left for another party is one that sent the call on.
fn history(headers: &Headers, numbers: &TrunkNumbers) -> Option<Redirected> {
    let entries: Vec<Entry> = headers
        .values("History-Info")
        .take(ENTRIES_MAX)
        .filter_map(entry)
        .collect();
    let mut left: std::collections::BTreeMap<usize, Option<u16>> = std::collections::BTreeMap::new();
    for (position, entry) in entries.iter().enumerate() {
        if entry.left_for.is_some() && position + 1 < entries.len() {
            left.entry(position).or_insert(entry.left_for);
        }
        if (entry.cause.is_some() || entry.mapped_from.is_some())
            && let Some(from) = left_by(&entries, position)
        {
            left.insert(from, entry.cause.or(left.get(&from).copied().flatten()));
        }
    }
    let (position, cause) = left.last_key_value()?;
    let newest = entries.get(*position)?;
    let count = u32::try_from(left.len()).unwrap_or(u32::MAX);
    let reason = cause.map_or(RedirectReason::Unknown, of_cause);
    Some(told(&newest.uri, reason, count, newest.is_private, numbers))
}

/// The entry that `entries[position]` was chosen instead of: the one `mp` names, else its parent by index,
/// else the one before.
fn left_by(entries: &[Entry], position: usize) -> Option<usize> {
    let entry = entries.get(position)?;
    let parent = entry.index.rsplit_once('.').map(|(parent, _)| parent);
    let named = entry.mapped_from.as_deref().or(parent);
    let found = named.and_then(|index| entries.iter().position(|other| other.index == index));
    found
        .filter(|found| *found < position)
        .or(position.checked_sub(1))
}

/// Some carriers leave the embedded Reason unescaped, which is no URI: it is taken out before one is read.
fn entry(text: &str) -> Option<Entry> {
    let (before, rest) = text.split_once('<')?;
    let (uri, after) = rest.rsplit_once('>')?;
    let (uri, embedded) = uri.split_once('?').unwrap_or((uri, ""));
    let address = NameAddr::parse(&format!("{before}<{uri}>{after}")).ok()?;
    let header = |name: &str| {
        let mut parts = embedded.split('&').filter_map(|part| part.split_once('='));
        let found = parts.find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| sip::message::unescape(value))
    };
    let left_for = header("Reason").and_then(|reason| Reason::parse(&reason));
    let privacy = header("Privacy").unwrap_or_default();
    let parameter = |name: &str| address.params().get(name).map(str::to_owned);
    Some(Entry {
        index: parameter("index").unwrap_or_default(),
        mapped_from: parameter("mp").filter(|index| !index.is_empty()),
        cause: address.uri().param("cause").and_then(|cause| cause.parse().ok()),
        left_for: left_for.filter(Reason::is_sip).and_then(|reason| reason.cause),
        is_private: ["history", "header", "session"]
            .iter()
            .any(|word| word.eq_ignore_ascii_case(&privacy)),
        uri: address.uri().clone(),
    })
}

/// RFC 7544 §4.1; the words of RFC 5806 that it has no cause for are `unknown`.
fn of_word(word: &str) -> RedirectReason {
    match word.to_ascii_lowercase().as_str() {
        "unconditional" => RedirectReason::Unconditional,
        "user-busy" => RedirectReason::Busy,
        "no-answer" => RedirectReason::NoAnswer,
        "deflection" => RedirectReason::Deflection,
        "unavailable" | "out-of-service" => RedirectReason::Unavailable,
        _ => RedirectReason::Unknown,
    }
}

/// RFC 4458 §2.1, RFC 7544 §4.1.
fn of_cause(cause: u16) -> RedirectReason {
    match cause {
        301 | 302 => RedirectReason::Unconditional,
        486 | 600 => RedirectReason::Busy,
        408 => RedirectReason::NoAnswer,
        480 | 487 => RedirectReason::Deflection,
        503 => RedirectReason::Unavailable,
        _ => RedirectReason::Unknown,
    }
}

fn word(reason: RedirectReason) -> &'static str {
    match reason {
        RedirectReason::Unknown => "unknown",
        RedirectReason::Unconditional => "unconditional",
        RedirectReason::Busy => "user-busy",
        RedirectReason::NoAnswer => "no-answer",
        RedirectReason::Deflection => "deflection",
        RedirectReason::Unavailable => "unavailable",
    }
}

fn cause(reason: RedirectReason) -> u16 {
    match reason {
        RedirectReason::Unknown => 404,
        RedirectReason::Unconditional => 302,
        RedirectReason::Busy => 486,
        RedirectReason::NoAnswer => 408,
        RedirectReason::Deflection => 487,
        RedirectReason::Unavailable => 503,
    }
}

/// One that sent the call on, as an INVITE of ours tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diverter {
    /// Its URI; none: it is to stay unknown.
    pub uri: Option<String>,
    /// Why it did.
    pub reason: RedirectReason,
    /// How often the call had been sent on since the one before it, this one included.
    pub count: u32,
}

const ANONYMOUS: &str = "sip:anonymous@anonymous.invalid";
const UNKNOWN: &str = "sip:unknown@unknown.invalid";

impl Diverter {
    fn shown(&self) -> &str {
        self.uri.as_deref().unwrap_or(ANONYMOUS)
    }
}

/// Diversion values, the newest first; `oldest_first` as the call went.
pub fn diversions(oldest_first: &[Diverter]) -> Vec<String> {
    let value = |diverter: &Diverter| {
        let privacy = if diverter.uri.is_some() { "off" } else { "full" };
        format!(
            "<{}>;reason={};counter={};privacy={privacy}",
            diverter.shown(),
            word(diverter.reason),
            diverter.count
        )
    };
    oldest_first.iter().rev().map(value).collect()
}

/// The History-Info that ends at `request_uri`. Redirects that nobody can name stand as unknown entries, so
/// that their number is kept (RFC 7544 §4.2).
pub fn histories(oldest_first: &[Diverter], request_uri: &str) -> String {
    let mut path: Vec<(&str, RedirectReason)> = Vec::new();
    for diverter in oldest_first {
        for _ in 1..diverter.count {
            path.push((UNKNOWN, RedirectReason::Unknown));
        }
        path.push((diverter.shown(), diverter.reason));
    }
    let targets = path.iter().map(|(uri, _)| *uri).chain([request_uri]);
    let mut index = String::new();
    let mut entries = Vec::with_capacity(path.len() + 1);
    for (position, target) in targets.enumerate() {
        let next = if position == 0 {
            "1".to_owned()
        } else {
            format!("{index}.1")
        };
        let earlier = std::mem::replace(&mut index, next);
        match position.checked_sub(1).and_then(|before| path.get(before)) {
            Some((_, reason)) => {
                entries.push(format!(
                    "<{target};cause={}>;index={index};mp={earlier}",
                    cause(*reason)
                ));
            }
            None => entries.push(format!("<{target}>;index={index}")),
        }
    }
    entries.join(", ")
}

#[cfg(test)]
mod tests;
