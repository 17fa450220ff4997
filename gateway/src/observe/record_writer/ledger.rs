//! The ledger of live calls: what a crash would leave of each, one line a change.
//!
//! Owns `live.ndjson`. It grows by a line a change and is rewritten with only the live calls when most of
//! it is history. Knows nothing of what a record says.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{append_line, open_append, replace};

/// Name of the ledger in `state_dir`.
pub const LIVE: &str = "live.ndjson";

/// The ledger is rewritten when it is longer than this and twice as long as what is live in it.
pub const COMPACT_BYTES: u64 = 4 * 1024 * 1024;

/// The ledger, open for appending.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    file: File,
    file_bytes: u64,
    live: BTreeMap<String, String>,
    live_bytes: u64,
    compact_bytes: u64,
}

/// One line.
#[derive(Debug, Serialize, Deserialize)]
struct Line<'a> {
    call: std::borrow::Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    record: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    done: bool,
}

/// A call that was up when the process before this one ended.
#[derive(Debug)]
pub struct OpenCall {
    /// When its state was last noted, microseconds since the Unix epoch.
    pub wall_us: i64,
    /// Its record at that time.
    pub record: Box<RawValue>,
}

impl Ledger {
    /// Opens an empty ledger; what a former process left was read by [`read`] before.
    pub fn open(state_dir: &Path) -> io::Result<Ledger> {
        Ledger::open_compacting_at(state_dir, COMPACT_BYTES)
    }

    fn open_compacting_at(state_dir: &Path, compact_bytes: u64) -> io::Result<Ledger> {
        let path = state_dir.join(LIVE);
        let file = open_append(&path)?;
        let file_bytes = file.metadata()?.len();
        Ok(Ledger {
            path,
            file,
            file_bytes,
            live: BTreeMap::new(),
            live_bytes: 0,
            compact_bytes,
        })
    }

    /// Notes the state of a live call.
    pub fn live(&mut self, call: &str, wall_us: i64, record: &str) -> io::Result<()> {
        let record = Some(RawValue::from_string(record.to_owned())?);
        let line = serde_json::to_string(&Line {
            call: call.into(),
            at: Some(wall_us),
            record,
            done: false,
        })?;
        self.live_bytes += line.len() as u64;
        self.append(&line)?;
        if let Some(before) = self.live.insert(call.to_owned(), line) {
            self.live_bytes -= before.len() as u64;
        }
        self.compact()
    }

    /// Ends the entry of a call; one that was never live leaves no trace.
    pub fn done(&mut self, call: &str) -> io::Result<()> {
        let Some(before) = self.live.remove(call) else {
            return Ok(());
        };
        self.live_bytes -= before.len() as u64;
        let line = serde_json::to_string(&Line {
            call: call.into(),
            at: None,
            record: None,
            done: true,
        })?;
        self.append(&line)?;
        self.compact()
    }

    /// Waits until all of it is on disk.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn append(&mut self, line: &str) -> io::Result<()> {
        self.file_bytes += line.len() as u64 + 1;
        append_line(&mut self.file, line)
    }

    fn compact(&mut self) -> io::Result<()> {
        if self.file_bytes <= self.compact_bytes.max(2 * self.live_bytes) {
            return Ok(());
        }
        let text: String = self
            .live
            .values()
            .flat_map(|line| [line.as_str(), "\n"])
            .collect();
        replace(&self.path, text.as_bytes())?;
        self.file = open_append(&self.path)?;
        self.file_bytes = text.len() as u64;
        Ok(())
    }
}

/// The calls that `live.ndjson` leaves open, by id. Lines that cannot be read are counted and passed by.
pub fn read(state_dir: &Path) -> io::Result<BTreeMap<String, OpenCall>> {
    let file = match File::open(state_dir.join(LIVE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        file => file?,
    };
    let mut open = BTreeMap::new();
    let mut torn = 0_u64;
    for line in BufReader::new(file).split(b'\n') {
        match serde_json::from_slice::<Line<'_>>(&line?) {
            Ok(Line { call, done: true, .. }) => {
                open.remove(call.as_ref());
            }
            Ok(Line {
                call,
                at: Some(wall_us),
                record: Some(record),
                ..
            }) => {
                open.insert(call.into_owned(), OpenCall { wall_us, record });
            }
            Ok(Line { .. }) | Err(_) => torn += 1,
        }
    }
    if torn > 0 {
        tracing::warn!(
            lines = torn,
            "the ledger of live calls had lines that could not be read"
        );
    }
    Ok(open)
}

/// Empties the ledger once every open call of it has its record.
pub fn clear(state_dir: &Path) -> io::Result<()> {
    match fs::remove_file(state_dir.join(LIVE)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::testing::Scratch;
    use std::io::Write;

    #[test]
    fn what_is_not_done_is_open() {
        let dir = Scratch::new("ledger");
        assert!(read(dir.path()).unwrap().is_empty());
        let mut ledger = Ledger::open(dir.path()).unwrap();
        ledger.live("a", 1, r#"{"call":"a","n":1}"#).unwrap();
        ledger.live("b", 2, r#"{"call":"b"}"#).unwrap();
        ledger.live("a", 3, r#"{"call":"a","n":2}"#).unwrap();
        ledger.done("b").unwrap();
        ledger.done("never").unwrap();
        let open = read(dir.path()).unwrap();
        assert_eq!(open.keys().collect::<Vec<_>>(), ["a"]);
        assert_eq!(open["a"].wall_us, 3);
        assert_eq!(open["a"].record.get(), r#"{"call":"a","n":2}"#);
    }

    #[test]
    fn a_torn_last_line_costs_that_line_only() {
        let dir = Scratch::new("ledger-torn");
        Ledger::open(dir.path()).unwrap().live("a", 1, "{}").unwrap();
        let mut file = fs::OpenOptions::new()
            .append(true)
            .open(dir.path().join(LIVE))
            .unwrap();
        file.write_all(br#"{"call":"a","at":2,"rec"#).unwrap();
        assert_eq!(read(dir.path()).unwrap()["a"].wall_us, 1);
        Ledger::open(dir.path()).unwrap().live("b", 3, "{}").unwrap();
        assert_eq!(read(dir.path()).unwrap().len(), 2);
    }

    #[test]
    fn history_is_rewritten_away() {
        let dir = Scratch::new("ledger-compact");
        let mut ledger = Ledger::open_compacting_at(dir.path(), 1_000).unwrap();
        ledger.live("up", 0, r#"{"call":"up"}"#).unwrap();
        for number in 0..200 {
            let call = format!("c{number}");
            ledger.live(&call, number, "{}").unwrap();
            ledger.done(&call).unwrap();
            assert!(fs::metadata(dir.path().join(LIVE)).unwrap().len() <= 1_100);
        }
        assert_eq!(read(dir.path()).unwrap().keys().collect::<Vec<_>>(), ["up"]);
    }
}
