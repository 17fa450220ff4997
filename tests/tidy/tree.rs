//! The files of the house.

use std::fs;
use std::path::{Path, PathBuf};

use super::source::Source;

/// Folders with nothing of ours in them.
const SKIPPED: [&str; 6] = [
    "target",
    ".git",
    "state",
    "demo-out",
    "node_modules",
    "proptest-regressions",
];
const TEXT_ENDINGS: [&str; 12] = [
    "rs", "toml", "md", "txt", "sh", "service", "yml", "yaml", "xml", "json", "py", "sip",
];

/// Every Rust file.
pub fn rust_files() -> Vec<Source> {
    let files = files().into_iter().filter(|path| path.ends_with(".rs"));
    files.map(|path| Source::new(&path, &text(&path))).collect()
}

/// Every file that is text by its name, with its text.
pub fn text_files() -> Vec<(String, String)> {
    let is_text = |path: &String| {
        let ending = Path::new(path).extension().and_then(|ending| ending.to_str());
        ending.is_none_or(|ending| TEXT_ENDINGS.contains(&ending))
    };
    let readable = |path: String| {
        fs::read_to_string(root().join(&path))
            .ok()
            .map(|text| (path, text))
    };
    files().into_iter().filter(is_text).filter_map(readable).collect()
}

/// The manifests of the three crates, by crate.
pub fn manifests() -> Vec<(String, String)> {
    ["gateway", "media", "sip"]
        .map(|name| (name.to_owned(), text(&format!("{name}/Cargo.toml"))))
        .to_vec()
}

/// The text of a file of ours.
pub fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn files() -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let name = entry.file_name().to_string_lossy().into_owned();
            let kind = entry.file_type().unwrap();
            if SKIPPED.contains(&name.as_str()) {
                continue;
            }
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                found.push(
                    entry
                        .path()
                        .strip_prefix(root())
                        .unwrap()
                        .to_string_lossy()
                        .replace('\\', "/"),
                );
            }
        }
    }
    found.sort();
    found
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
