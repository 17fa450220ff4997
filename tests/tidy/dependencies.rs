//! `gateway → sip`, `gateway → media`, and nothing else: pure crates reach no sockets and not each other.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{Source, has_word};

/// Crates that do I/O or run tasks.
const IO_CRATES: [&str; 15] = [
    "async-std",
    "axum",
    "hickory-resolver",
    "hyper",
    "io-uring",
    "libc",
    "mio",
    "nix",
    "polling",
    "reqwest",
    "rustix",
    "smol",
    "socket2",
    "tokio",
    "tungstenite",
];
/// Of those, what `media` needs for its shards.
const MEDIA_MAY_USE: [&str; 4] = ["io-uring", "libc", "nix", "socket2"];
/// What may come along with a pure crate's dependencies: `getrandom` asks it for random bytes.
const MAY_COME_ALONG: [&str; 1] = ["libc"];

/// Checks what manifests name, and what comes along with `sip` by the lock file.
pub fn check(manifests: &[(String, String)], lock: &str) -> Vec<String> {
    let mut findings = Vec::new();
    for (crate_name, manifest) in manifests {
        let named = named_dependencies(manifest);
        findings.extend(
            forbidden(crate_name)
                .into_iter()
                .filter(|crate_| named.contains(*crate_))
                .map(|found| format!("{crate_name}/Cargo.toml: `{crate_name}` may not depend on `{found}`")),
        );
    }
    let along = reachable(lock, "sip");
    let wrong = IO_CRATES
        .into_iter()
        .filter(|io| along.contains(*io) && !MAY_COME_ALONG.contains(io));
    findings.extend(wrong.map(|found| format!("Cargo.lock: `{found}` comes along with `sip`")));
    findings
}

/// No code of a crate may name a crate it may not depend on.
pub fn check_source(source: &Source) -> Vec<String> {
    let crates = ["sip", "media"]
        .into_iter()
        .filter(|name| source.is_in(&format!("{name}/src")));
    crates
        .flat_map(forbidden)
        .flat_map(|name| {
            let path = format!("{}::", name.replace('-', "_"));
            source.lines_where(&format!("`{name}` is not for this crate"), |line| {
                line.match_indices(&path).any(|(at, _)| {
                    let before = line[..at].chars().next_back();
                    !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
                }) || (has_word(line, "extern") && has_word(line, name))
            })
        })
        .collect()
}

fn forbidden(crate_name: &str) -> Vec<&'static str> {
    match crate_name {
        "sip" => IO_CRATES.into_iter().chain(["gateway", "media"]).collect(),
        "media" => {
            let io = IO_CRATES.into_iter().filter(|io| !MEDIA_MAY_USE.contains(io));
            io.chain(["gateway", "sip"]).collect()
        }
        _ => Vec::new(),
    }
}

fn named_dependencies(manifest: &str) -> BTreeSet<String> {
    let manifest: toml::Table = manifest.parse().expect("a manifest is TOML");
    let mut tables: Vec<&toml::Value> = ["dependencies", "build-dependencies"]
        .into_iter()
        .filter_map(|key| manifest.get(key))
        .collect();
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    tables.extend(
        targets
            .into_iter()
            .flat_map(toml::Table::values)
            .filter_map(|target| target.get("dependencies")),
    );
    let entries = tables.into_iter().filter_map(toml::Value::as_table).flatten();
    // A dependency may be renamed: what counts is the package.
    entries
        .map(|(name, value)| {
            value
                .get("package")
                .and_then(toml::Value::as_str)
                .unwrap_or(name)
                .to_owned()
        })
        .collect()
}

/// Every package that `start` pulls in, dev-dependencies too (the lock file does not tell them apart).
fn reachable(lock: &str, start: &str) -> BTreeSet<String> {
    let lock: toml::Table = lock.parse().expect("a lock file is TOML");
    let packages = lock
        .get("package")
        .and_then(toml::Value::as_array)
        .expect("packages");
    let mut edges: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in packages {
        let name = package.get("name").and_then(toml::Value::as_str).expect("a name");
        let needs = package
            .get("dependencies")
            .and_then(toml::Value::as_array)
            .into_iter()
            .flatten();
        let needs = needs
            .filter_map(toml::Value::as_str)
            .filter_map(|need| need.split(' ').next());
        edges.entry(name).or_default().extend(needs);
    }
    let mut found = BTreeSet::new();
    let mut open = vec![start];
    while let Some(name) = open.pop() {
        for need in edges.get(name).into_iter().flatten() {
            if found.insert((*need).to_owned()) {
                open.push(need);
            }
        }
    }
    found
}

#[test]
fn a_wrong_dependency_is_found() {
    let manifest = |name: &str, text: &str| [(name.to_owned(), text.to_owned())];
    let no_lock = "package = []";
    for (name, text) in [
        ("sip", "[dependencies]\ntokio = \"1\"\n"),
        (
            "sip",
            "[dependencies]\nplane = { package = \"media\", path = \"../media\" }\n",
        ),
        ("media", "[dependencies]\nsip.workspace = true\n"),
        (
            "media",
            "[target.'cfg(unix)'.dependencies]\ntokio.workspace = true\n",
        ),
    ] {
        assert_eq!(check(&manifest(name, text), no_lock).len(), 1, "{text}");
    }
    assert!(check(&manifest("media", "[dependencies]\nsocket2 = \"0.6\"\n"), no_lock).is_empty());
    assert!(check(&manifest("gateway", "[dependencies]\ntokio = \"1\"\n"), no_lock).is_empty());
}

#[test]
fn an_io_crate_behind_another_is_found() {
    let lock = "[[package]]\nname = \"sip\"\ndependencies = [\"a\"]\n[[package]]\nname = \"a\"\ndependencies = [\"mio 1.0.0\"]\n";
    assert_eq!(check(&[], lock).len(), 1);
}

#[test]
fn a_foreign_crate_named_in_code_is_found() {
    assert_eq!(
        check_source(&Source::new("media/src/a.rs", "use tokio::sync::mpsc;\n")).len(),
        1
    );
    assert_eq!(
        check_source(&Source::new("sip/src/a.rs", "fn a() { media::open(); }\n")).len(),
        1
    );
    assert!(check_source(&Source::new("sip/src/a.rs", "use crate::sdp::media::Line;\n")).is_empty());
    assert!(check_source(&Source::new("gateway/src/a.rs", "use tokio::sync::mpsc;\n")).is_empty());
}
