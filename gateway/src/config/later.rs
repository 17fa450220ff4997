//! Keys and values that the full design has and this version has not: refused by name, never ignored.

/// Keys, with list indices left out.
pub(super) const KEYS: &[&str] = &[
    "http.tokens",
    "http.tls",
    "http.origins",
    "number.instance",
    "number.trunk",
    "number.unclaimed.music",
    "number.unclaimed.prompt",
    "number.unclaimed.to",
    "recordings.key",
    "recordings.keys",
    "recordings.sink",
    "recordings.sinks",
    "recordings.retention_days",
];

/// Words of keys that exist, by key.
pub(super) const WORDS: &[(&str, &[&str])] = &[
    ("number.unclaimed.action", &["play", "music", "forward"]),
    ("app.*.on_controller_lost.action", &["fallback"]),
    ("trunk.t38", &["pass"]),
];

/// Whether a key, or any table it lies in, comes later.
pub(super) fn is_key(pattern: &str) -> bool {
    KEYS.contains(&pattern)
}

/// Whether a word of a known key comes later. An app's name stands as `*` in the list.
pub(super) fn is_word(pattern: &str, word: &str) -> bool {
    let pattern = match pattern.strip_prefix("app.").and_then(|rest| rest.split_once('.')) {
        Some((_, rest)) => format!("app.*.{rest}"),
        None => pattern.to_owned(),
    };
    WORDS
        .iter()
        .any(|(key, words)| *key == pattern && words.iter().any(|later| later.eq_ignore_ascii_case(word)))
}
