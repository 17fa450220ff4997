//! Paths of this repository that a page names in code quotes, and the links it holds.

use std::collections::BTreeSet;
use std::path::Path;

/// A code span that begins so is a path of ours.
const ROOTS: [&str; 7] = [
    "sip/", "media/", "gateway/", "tests/", "benches/", "docs/", "deploy/",
];

/// What leads nowhere.
pub fn check(root: &Path, page: &str, text: &str) -> Vec<String> {
    let folder = root.join(page);
    let folder = folder.parent().unwrap_or(root);
    let paths = named(text).into_iter().filter(|path| !root.join(path).exists());
    let links = links(text).into_iter().filter(|link| !folder.join(link).exists());
    paths
        .chain(links)
        .map(|lost| format!("`{lost}` is not there"))
        .collect()
}

/// Every path named in code quotes outside of blocks.
pub fn named(text: &str) -> BTreeSet<String> {
    let mut is_block = false;
    let mut found = BTreeSet::new();
    for line in text.lines() {
        is_block ^= line.trim_start().starts_with("```");
        let spans = line.split('`').skip(1).step_by(2).filter(|_| !is_block);
        let paths = spans.filter(|span| ROOTS.into_iter().any(|root| span.starts_with(root)));
        // `NAME` stands for any name, and `::` for an item of a crate.
        found.extend(
            paths
                .filter(|path| !path.contains([' ', '*', ':']))
                .map(str::to_owned),
        );
    }
    found
}

/// Targets of links to files, without what follows `#`.
fn links(text: &str) -> BTreeSet<String> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let files = targets.filter(|target| !target.contains("://") && !target.starts_with('#'));
    files
        .filter_map(|target| target.split('#').next())
        .map(str::to_owned)
        .collect()
}

#[test]
fn a_path_or_link_to_nothing_is_found() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = "`sip/src/nowhere.rs`, `tests/docs.rs`, [a](nothing.md#x), [b](Cargo.toml), [c](#d), [e](https://f.example)";
    assert_eq!(
        check(root, "README.md", page),
        ["`sip/src/nowhere.rs` is not there", "`nothing.md` is not there"]
    );
}

#[test]
fn links_are_taken_from_the_folder_of_their_page() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    assert!(check(root, "docs/a.md", "[a](../Cargo.toml)").is_empty());
    assert_eq!(check(root, "docs/a.md", "[a](Cargo.toml)").len(), 1);
}
