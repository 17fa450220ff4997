//! Where in the file a key stands: its name for people, and its line.

use std::fmt;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::Problem;

/// The way from the top of the file to a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct KeyPath(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

/// A problem and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) path: KeyPath,
    pub(super) problem: Problem,
}

impl KeyPath {
    /// The path one key further down.
    pub(super) fn key(&self, name: &str) -> KeyPath {
        let mut path = self.clone();
        path.0.push(Step::Key(name.to_owned()));
        path
    }

    /// The path one list entry further down.
    pub(super) fn index(&self, index: usize) -> KeyPath {
        let mut path = self.clone();
        path.0.push(Step::Index(index));
        path
    }

    /// The path with keys only: `trunk.calls` for `trunk[0].calls`.
    pub(super) fn pattern(&self) -> String {
        let keys = self.0.iter().filter_map(|step| match step {
            Step::Key(name) => Some(name.as_str()),
            Step::Index(_) => None,
        });
        keys.collect::<Vec<_>>().join(".")
    }

    /// Byte offset of the deepest part of the path that is in the file.
    pub(super) fn offset(&self, root: &Spanned<DeTable<'_>>) -> usize {
        let mut offset = root.span().start;
        let mut table = Some(root.get_ref());
        let mut value: Option<&DeValue<'_>> = None;
        for step in &self.0 {
            let found = match step {
                Step::Key(name) => {
                    table
                        .and_then(|table| table.get_key_value(name.as_str()))
                        .map(|(key, value)| {
                            offset = key.span().start;
                            value
                        })
                }
                Step::Index(index) => {
                    value
                        .and_then(|value| value.as_array()?.get(*index))
                        .inspect(|value| {
                            offset = value.span().start;
                        })
                }
            };
            let Some(found) = found else { return offset };
            value = Some(found.get_ref());
            table = found.get_ref().as_table();
        }
        offset
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (depth, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(name) if depth == 0 => f.write_str(name)?,
                Step::Key(name) => write!(f, ".{name}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// Line of a byte offset, from 1.
pub(super) fn line_at(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}
