//! What the next start makes of the calls that a killed process carried: one record each, marked lost.
//!
//! Safe to be interrupted and run again: a call whose record is found in the day's file is not written
//! twice, and the ledger is emptied last. Runs before anything else writes below `state_dir`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use super::ledger::{self, OpenCall};
use super::{RECORDS, append_line, day_path, open_append};
use crate::observe::recordings::lost::{self, LostRecording};
use crate::observe::recordings::path::file_uri;
use crate::observe::recordings::recording::make_dirs;
use crate::utc;

/// The one member of a record that decides its file.
#[derive(Deserialize)]
pub struct Ended {
    /// RFC 3339, UTC.
    pub ended: Option<String>,
}

/// What makes a record its call's own: ids are free again after a call, so its start counts too.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Identity {
    call: String,
    #[serde(default)]
    started: Option<String>,
}

/// Writes the records of calls that were up. Returns how many were lost.
pub fn recover(state_dir: &Path, recordings_dir: &Path) -> io::Result<u64> {
    let open = ledger::read(state_dir)?;
    let recordings = lost::find(recordings_dir)?;
    make_dirs(&state_dir.join(RECORDS))?;
    let written = written(state_dir, &open)?;
    let mut count = 0;
    for (call, entry) in &open {
        let record = completed(call, entry, &recordings);
        if Identity::deserialize(&record).is_ok_and(|identity| written.contains(&identity)) {
            continue;
        }
        let mut file = open_append(&day_path(state_dir, &utc::date(entry.wall_us)))?;
        append_line(&mut file, &record.to_string())?;
        file.sync_data()?;
        count += 1;
    }
    ledger::clear(state_dir)?;
    for recording in recordings {
        if let Err(error) = recording.settle() {
            tracing::warn!(%error, "a lost recording could not be marked so");
        }
    }
    Ok(count)
}

/// The record that the ledger's last state of a call becomes.
fn completed(call: &str, entry: &OpenCall, recordings: &[LostRecording]) -> Value {
    let mut record: Value = serde_json::from_str(entry.record.get()).unwrap_or_default();
    if !record.is_object() {
        record = json!({});
    }
    let ended = utc::rfc3339(entry.wall_us);
    let Value::Object(members) = &mut record else {
        return record;
    };
    members.entry("call").or_insert_with(|| json!(call));
    members.insert("ended".to_owned(), json!(ended));
    members.insert("lost".to_owned(), json!(true));
    for leg in members
        .get_mut("legs")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        let Value::Object(leg) = leg else { continue };
        for (name, value) in [("t_ended", ended.as_str()), ("reason", "failed"), ("by", "fault")] {
            let member = leg.entry(name).or_insert(Value::Null);
            if member.is_null() {
                *member = json!(value);
            }
        }
    }
    let named = members.entry("recordings").or_insert_with(|| json!([]));
    if !named.is_array() {
        *named = json!([]);
    }
    if let Value::Array(named) = named {
        for recording in recordings
            .iter()
            .filter(|recording| recording.manifest.call == call)
        {
            name_recording(named, recording);
        }
    }
    record
}

/// Adds a recording's files to its entry in the record, which is made if there is none.
fn name_recording(named: &mut Vec<Value>, lost: &LostRecording) {
    let id = &lost.manifest.recording;
    let files: Vec<String> = lost.files.iter().map(|file| file_uri(file)).collect();
    let channels: Vec<&str> = lost
        .manifest
        .tracks
        .iter()
        .map(|track| track.leg.as_str())
        .collect();
    let path = lost.final_path.to_string_lossy();
    let entry = match &lost.stored {
        Some(stored) => json!({
            "recording": id, "path": path, "uri": stored.uri, "sha256": stored.sha256,
            "channels": stored.channels, "duration_ms": stored.duration_ms,
        }),
        None => json!({"recording": id, "path": path, "lost": true, "files": files, "channels": channels}),
    };
    let is_same = |other: &&mut Value| {
        other.as_str() == Some(id) || other.get("recording").and_then(Value::as_str) == Some(id)
    };
    match (named.iter_mut().find(is_same), entry) {
        (Some(Value::Object(known)), Value::Object(found)) => known.extend(found),
        (Some(known), entry) => *known = entry,
        (None, entry) => named.push(entry),
    }
}

/// The records of these calls that are there already: the process died, or an earlier recovery did, between
/// writing one and ending its ledger entry. A final record may lie a day or more after the entry's date.
fn written(state_dir: &Path, open: &BTreeMap<String, OpenCall>) -> io::Result<BTreeSet<Identity>> {
    let Some(first) = open.values().map(|entry| utc::date(entry.wall_us)).min() else {
        return Ok(BTreeSet::new());
    };
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(state_dir.join(RECORDS))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if utc::date_of(&name).is_none_or(|date| date < first.as_str()) {
            continue;
        }
        for line in BufReader::new(File::open(entry.path())?).split(b'\n') {
            let identity = serde_json::from_slice::<Identity>(&line?).ok();
            found.extend(identity.filter(|identity| open.contains_key(&identity.call)));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::record_writer::ledger::Ledger;
    use crate::observe::recordings::recording::Recording;
    use crate::observe::testing::{Scratch, block};
    use media::recorder::TrackKey;
    use std::fs;

    /// 2026-11-21T03:09:47.123456Z.
    const AT: i64 = 1_795_230_587_123_456;

    fn records(dir: &Scratch) -> Vec<Value> {
        fs::read_to_string(day_path(dir.path(), "2026-11-21"))
            .unwrap_or_default()
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    #[test]
    fn a_lost_call_has_one_record_that_names_its_files() {
        let dir = Scratch::new("recover");
        let recordings = dir.path().join("recordings");
        let mut recording = Recording::start(&recordings, "r", "c", 5).unwrap();
        recording.begin_track(TrackKey(1), "a").unwrap();
        recording.block(&block(1, 9, 0, &[1; 160], false)).unwrap();
        drop(recording);
        let live = r#"{"call":"c","started":"S","legs":[{"leg":"a"},{"leg":"b","t_ended":"T","reason":"bye"}],
            "recordings":[{"recording":"r"}]}"#;
        Ledger::open(dir.path())
            .unwrap()
            .live("c", AT, &live.replace('\n', ""))
            .unwrap();

        assert_eq!(recover(dir.path(), &recordings).unwrap(), 1);
        let file =
            file_uri(&crate::observe::recordings::path::tracks_dir(&recordings, "r", 5).join("0-a.wav"));
        let path = crate::observe::recordings::final_path(&recordings, "r", 5);
        let expected = json!({
            "call": "c", "started": "S", "ended": "2026-11-21T03:09:47.123456Z", "lost": true,
            "legs": [
                {"leg": "a", "t_ended": "2026-11-21T03:09:47.123456Z", "reason": "failed", "by": "fault"},
                {"leg": "b", "t_ended": "T", "reason": "bye", "by": "fault"},
            ],
            "recordings": [{"recording": "r", "path": path, "lost": true, "files": [file], "channels": ["a"]}],
        });
        assert_eq!(records(&dir), [expected]);
        assert_eq!(recover(dir.path(), &recordings).unwrap(), 0);
        assert_eq!(records(&dir).len(), 1);
    }

    #[test]
    fn a_record_written_just_before_the_crash_is_not_doubled() {
        let dir = Scratch::new("recover-twice");
        let live = r#"{"call":"c","started":"S2"}"#;
        Ledger::open(dir.path()).unwrap().live("c", AT, live).unwrap();
        fs::create_dir_all(dir.path().join(RECORDS)).unwrap();
        // An earlier call of the same id, and then the one of the ledger.
        let earlier = r#"{"call":"c","started":"S1","ended":"2026-11-21T01:00:00.000000Z"}"#;
        let path = day_path(dir.path(), "2026-11-21");
        fs::write(&path, format!("{earlier}\n")).unwrap();
        let ledger = fs::read(dir.path().join(ledger::LIVE)).unwrap();
        assert_eq!(recover(dir.path(), dir.path()).unwrap(), 1);
        assert_eq!(records(&dir).len(), 2);
        // The recovery itself is killed before it empties the ledger; its last line is torn besides.
        fs::write(dir.path().join(ledger::LIVE), ledger).unwrap();
        assert_eq!(recover(dir.path(), dir.path()).unwrap(), 0);
        assert_eq!(records(&dir).len(), 2);
    }

    #[test]
    fn a_record_torn_by_the_crash_is_written_again() {
        let dir = Scratch::new("recover-torn");
        Ledger::open(dir.path())
            .unwrap()
            .live("c", AT, r#"{"call":"c","started":"S"}"#)
            .unwrap();
        fs::create_dir_all(dir.path().join(RECORDS)).unwrap();
        fs::write(day_path(dir.path(), "2026-11-21"), r#"{"call":"c","star"#).unwrap();
        assert_eq!(recover(dir.path(), dir.path()).unwrap(), 1);
        assert_eq!(records(&dir).len(), 1);
    }

    #[test]
    fn the_record_of_a_call_that_ended_after_midnight_is_found() {
        let dir = Scratch::new("recover-midnight");
        Ledger::open(dir.path())
            .unwrap()
            .live("c", AT, r#"{"call":"c","started":"S"}"#)
            .unwrap();
        fs::create_dir_all(dir.path().join(RECORDS)).unwrap();
        fs::write(
            day_path(dir.path(), "2026-11-22"),
            "{\"call\":\"c\",\"started\":\"S\"}\n",
        )
        .unwrap();
        assert_eq!(recover(dir.path(), dir.path()).unwrap(), 0);
    }
}
