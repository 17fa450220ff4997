//! What README.md, ARCHITECTURE.md and the pages in `docs/` show is tried: a page that lies fails here.
//!
//! A fenced block says by a second word after its language that it is checked:
//!
//! | block | what is done |
//! |---|---|
//! | `toml config` | read as a configuration; the page's gateway runs with the first one of the page |
//! | `json frames` | `→` lines are read as the gateway reads them, `←` lines as JSON-RPC |
//! | `sh run` | lines that begin with `media-gateway` are run against a gateway and must succeed |
//! | `sh call` | the same, but about a call that is not there: all is right but the id, so `not_found` |
//!
//! Paths and links must lead to something that exists.

#[path = "docs/blocks.rs"]
mod blocks;
#[path = "docs/frames.rs"]
mod frames;
#[path = "docs/paths.rs"]
mod paths;
#[path = "docs/site.rs"]
mod site;

use std::fs;
use std::path::PathBuf;

use blocks::{Block, Kind};
use gateway::config::Config;
use site::Site;

/// Pages that must have blocks of these kinds, so that a lost mark does not silence the test.
const MUST_HAVE: [(&str, &[Kind]); 2] = [
    ("README.md", &[Kind::Frames, Kind::Run, Kind::Call]),
    ("docs/operations.md", &[Kind::Config, Kind::Run, Kind::Call]),
];

#[test]
fn configurations_are_taken() {
    for (page, block) in of_kind(Kind::Config) {
        if let Err(error) = Config::parse(&block.text(), &root().join("gateway.toml"), None) {
            panic!("{page}:{}: {error}", block.line);
        }
    }
}

#[test]
fn frames_are_what_the_gateway_reads_and_writes() {
    for (page, block) in of_kind(Kind::Frames) {
        let wrong = frames::check(&block);
        assert!(wrong.is_empty(), "{page}:{}: {}", block.line, wrong.join("\n"));
    }
}

#[test]
fn commands_do_what_the_page_says() {
    for (page, text) in pages() {
        let blocks = blocks::of(&text).unwrap_or_else(|error| panic!("{page}: {error}"));
        if !blocks.iter().any(|block| block.kind.is_shell()) {
            continue;
        }
        let config = blocks.iter().find(|block| block.kind == Kind::Config);
        let site = Site::start(config.map(Block::text).as_deref());
        for block in blocks.iter().filter(|block| block.kind.is_shell()) {
            for (line, words) in block.commands() {
                let wrong = site.run(&words, block.kind);
                assert!(wrong.is_none(), "{page}:{line}: {}", wrong.unwrap_or_default());
            }
        }
    }
}

#[test]
fn pages_have_the_blocks_they_should() {
    for (name, kinds) in MUST_HAVE {
        let text = fs::read_to_string(root().join(name)).unwrap();
        let blocks = blocks::of(&text).unwrap();
        for kind in kinds {
            assert!(
                blocks.iter().any(|block| block.kind == *kind),
                "{name}: no {kind:?}"
            );
        }
    }
}

#[test]
fn paths_and_links_lead_somewhere() {
    for (page, text) in pages() {
        let wrong = paths::check(&root(), &page, &text);
        assert!(wrong.is_empty(), "{page}: {}", wrong.join("\n"));
    }
    let tables = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    assert!(
        paths::named(&tables).len() > 60,
        "the tree of ARCHITECTURE.md was not found"
    );
}

/// Pages by path from the root, with their text. Decisions tell of their time and may name what is gone.
fn pages() -> Vec<(String, String)> {
    let mut names = vec!["README.md".to_owned(), "ARCHITECTURE.md".to_owned()];
    for entry in fs::read_dir(root().join("docs")).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        if name.ends_with(".md") {
            names.push(format!("docs/{name}"));
        }
    }
    names.sort();
    let read = |name: String| {
        let text = fs::read_to_string(root().join(&name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        (name, text)
    };
    names.into_iter().map(read).collect()
}

fn of_kind(kind: Kind) -> Vec<(String, Block)> {
    let mut found = Vec::new();
    for (page, text) in pages() {
        let blocks = blocks::of(&text).unwrap_or_else(|error| panic!("{page}: {error}"));
        let wanted = blocks.into_iter().filter(|block| block.kind == kind);
        found.extend(wanted.map(|block| (page.clone(), block)));
    }
    assert!(!found.is_empty(), "no page has a block of kind {kind:?}");
    found
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
