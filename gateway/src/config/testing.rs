//! Trunks for the tests of other rooms.

use std::path::Path;

use super::{Config, Trunk};

/// A trunk with these further keys, resolved like any other.
pub(crate) fn trunk(keys: &str) -> Trunk {
    let text = format!("[[trunk]]\nname = \"t\"\nallow = [\"192.0.2.0/24\"]\n{keys}\n");
    let config = Config::parse(&text, Path::new("/nowhere/gateway.toml"), None).expect("a good trunk");
    config.trunks.into_iter().next().expect("one trunk")
}
