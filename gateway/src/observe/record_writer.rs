//! Call records and the ledger of live calls, on a thread of their own.
//!
//! ```text
//! <state_dir>/records/2026-11-21.ndjson   one call.record a line, by the date of `ended`, UTC
//!            /live.ndjson                 {"call","at","record"} per change, {"call","done"} at the end
//!            /limits.json                 what limits.set changed
//! ```
//! Each line is one `write` on a file opened for appending, so a `kill -9` loses none that was written.
//! Records and ledger are synced each second: a power cut costs at most that. A record is
//! written before its ledger entry is ended, so a crash between the two is seen by the next start, which
//! looks the call up in the records before it writes one (see [`recover`]). Knows nothing of what a
//! record means but `call`, `started`, `ended`, `legs` and `recordings`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::observe::recordings::recording::make_dirs;
use crate::utc;

pub mod ledger;
pub mod recover;

use ledger::Ledger;

/// Lines that wait for the disk: a minute of 1,000 calls a second, each with a dozen changes, is refused
/// before memory is; a line is about 1 KiB.
pub const ENTRIES_MAX: usize = 65_536;

/// How often records and ledger are synced.
pub const SYNC_EVERY: Duration = Duration::from_secs(1);

/// Name of the folder of records in `state_dir`.
pub const RECORDS: &str = "records";

/// Name of the file of live limits in `state_dir`.
pub const LIMITS: &str = "limits.json";

/// Something to keep.
#[derive(Debug)]
pub enum Entry {
    /// The state of a live call.
    Live {
        /// The call.
        call: String,
        /// When, microseconds since the Unix epoch.
        wall_us: i64,
        /// Its record so far.
        record: Arc<str>,
    },
    /// A call's final record.
    Final {
        /// The call.
        call: String,
        /// When it was made, should it not say when the call ended.
        wall_us: i64,
        /// Its record.
        record: Arc<str>,
    },
    /// Limits changed.
    Limits(Arc<str>),
}

/// The thread that writes. Dropping it without [`close`](RecordWriter::close) leaves the thread to end by itself.
#[derive(Debug)]
pub struct RecordWriter {
    entries: SyncSender<Entry>,
    thread: JoinHandle<()>,
}

impl RecordWriter {
    /// Opens the files below `state_dir` and starts the thread.
    pub fn spawn(state_dir: &Path) -> io::Result<RecordWriter> {
        let files = Files::open(state_dir)?;
        let (entries, queue) = sync_channel(ENTRIES_MAX);
        let thread = std::thread::Builder::new()
            .name("records".to_owned())
            .spawn(move || files.run(&queue))?;
        Ok(RecordWriter { entries, thread })
    }

    /// Hands over an entry; false when the disk is so far behind that it had to be dropped.
    pub fn push(&self, entry: Entry) -> bool {
        match self.entries.try_send(entry) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
    }

    /// Whether everything was written and synced within `patience`.
    pub fn close(self, patience: Duration) -> bool {
        drop(self.entries);
        super::join_within(self.thread, patience)
    }
}

/// The limits kept by the last process, if any: one JSON object.
pub fn saved_limits(state_dir: &Path) -> io::Result<Option<serde_json::Value>> {
    match fs::read(state_dir.join(LIMITS)) {
        Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

struct Files {
    state_dir: PathBuf,
    ledger: Ledger,
    day: Option<Day>,
    dirty: bool,
}

struct Day {
    date: String,
    file: File,
}

impl Files {
    fn open(state_dir: &Path) -> io::Result<Files> {
        make_dirs(&state_dir.join(RECORDS))?;
        let ledger = Ledger::open(state_dir)?;
        Ok(Files {
            state_dir: state_dir.to_owned(),
            ledger,
            day: None,
            dirty: false,
        })
    }

    fn run(mut self, queue: &Receiver<Entry>) {
        let mut sync_at: Option<Instant> = None;
        loop {
            let now = crate::shell::clock::mono();
            let wait = sync_at.map_or(SYNC_EVERY, |at| at.saturating_duration_since(now));
            match queue.recv_timeout(wait) {
                Ok(entry) => {
                    self.write(entry);
                    sync_at = sync_at.or(Some(now + SYNC_EVERY));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if sync_at.is_some_and(|at| at <= crate::shell::clock::mono()) {
                self.sync();
                sync_at = None;
            }
        }
        self.sync();
    }

    fn write(&mut self, entry: Entry) {
        self.dirty = true;
        let outcome = match entry {
            Entry::Live {
                call,
                wall_us,
                record,
            } => self.ledger.live(&call, wall_us, &record),
            Entry::Final {
                call,
                wall_us,
                record,
            } => self
                .record(&record, wall_us)
                .and_then(|()| self.ledger.done(&call)),
            Entry::Limits(limits) => self.save_limits(&limits),
        };
        if let Err(error) = outcome {
            tracing::error!(%error, "a call record, ledger or limits entry could not be written");
        }
    }

    fn record(&mut self, record: &str, wall_us: i64) -> io::Result<()> {
        let ended = serde_json::from_str::<recover::Ended>(record)
            .ok()
            .and_then(|record| record.ended);
        let date = ended
            .as_deref()
            .and_then(utc::date_of)
            .map_or_else(|| utc::date(wall_us), str::to_owned);
        append_line(&mut self.day_file(date)?.file, record)
    }

    fn day_file(&mut self, date: String) -> io::Result<&mut Day> {
        let day = match self.day.take() {
            Some(day) if day.date == date => day,
            other => {
                if let Some(before) = other {
                    before.file.sync_data()?;
                }
                Day {
                    file: open_append(&day_path(&self.state_dir, &date))?,
                    date,
                }
            }
        };
        Ok(self.day.insert(day))
    }

    fn save_limits(&self, limits: &str) -> io::Result<()> {
        replace(&self.state_dir.join(LIMITS), limits.as_bytes())
    }

    fn sync(&mut self) {
        if !std::mem::take(&mut self.dirty) {
            return;
        }
        let records = self.day.as_ref().map_or(Ok(()), |day| day.file.sync_data());
        if let Err(error) = records.and_then(|()| self.ledger.sync()) {
            tracing::error!(%error, "call records could not be synced to disk");
        }
    }
}

/// The file of one day's records.
pub fn day_path(state_dir: &Path, date: &str) -> PathBuf {
    state_dir.join(RECORDS).join(format!("{date}.ndjson"))
}

/// Opens for appending. A last line that a crash tore apart is closed, so that the next one stands alone.
fn open_append(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::FileExt;
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)?;
    let length = file.metadata()?.len();
    let mut last = [b'\n'];
    if length > 0 {
        file.read_exact_at(&mut last, length - 1)?;
    }
    if last != [b'\n'] {
        file.write_all(b"\n")?;
    }
    Ok(file)
}

/// Appends one line in one `write`; line ends inside JSON text are escaped by JSON itself.
fn append_line(file: &mut File, text: &str) -> io::Result<()> {
    debug_assert!(!text.contains('\n'), "an entry is one line");
    let mut line = Vec::with_capacity(text.len() + 1);
    line.extend_from_slice(text.as_bytes());
    line.push(b'\n');
    file.write_all(&line)
}

/// Replaces a file by new contents, whole or not at all, synced.
fn replace(path: &Path, contents: &[u8]) -> io::Result<()> {
    let part = path.with_extension("part");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&part)?;
    file.write_all(contents)?;
    file.sync_all()?;
    fs::rename(&part, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::testing::Scratch;

    const PATIENCE: Duration = Duration::from_secs(10);

    #[test]
    fn records_go_to_the_day_the_call_ended() {
        let dir = Scratch::new("records");
        let writer = RecordWriter::spawn(dir.path()).unwrap();
        for (call, ended) in [
            ("a", "2026-11-21T23:59:59.999999Z"),
            ("b", "2026-11-22T00:00:00.000000Z"),
        ] {
            let record: Arc<str> = format!(r#"{{"call":"{call}","ended":"{ended}"}}"#).into();
            writer.push(Entry::Live {
                call: call.to_owned(),
                wall_us: 0,
                record: record.clone(),
            });
            writer.push(Entry::Final {
                call: call.to_owned(),
                wall_us: 0,
                record,
            });
        }
        let odd: Arc<str> = r#"{"call":"c","ended":"../../x"}"#.into();
        assert!(writer.push(Entry::Final {
            call: "c".to_owned(),
            wall_us: 86_400_000_000,
            record: odd
        }));
        assert!(writer.close(PATIENCE));
        let read = |date| fs::read_to_string(day_path(dir.path(), date)).unwrap();
        assert_eq!(
            read("2026-11-21"),
            "{\"call\":\"a\",\"ended\":\"2026-11-21T23:59:59.999999Z\"}\n"
        );
        assert_eq!(read("2026-11-22").lines().count(), 1);
        assert_eq!(read("1970-01-02").lines().count(), 1);
    }

    #[test]
    fn limits_survive() {
        let dir = Scratch::new("limits");
        assert_eq!(saved_limits(dir.path()).unwrap(), None);
        let writer = RecordWriter::spawn(dir.path()).unwrap();
        for calls in [1, 2] {
            assert!(writer.push(Entry::Limits(format!(r#"{{"calls":{calls}}}"#).into())));
        }
        assert!(writer.close(PATIENCE));
        assert_eq!(
            saved_limits(dir.path()).unwrap(),
            Some(serde_json::json!({"calls": 2}))
        );
        fs::write(dir.path().join(LIMITS), "{").unwrap();
        assert!(saved_limits(dir.path()).is_err());
    }

    #[test]
    fn a_full_queue_refuses() {
        let (entries, _queue) = sync_channel(1);
        let writer = RecordWriter {
            entries,
            thread: std::thread::spawn(|| {}),
        };
        assert!(writer.push(Entry::Limits("{}".into())));
        assert!(!writer.push(Entry::Limits("{}".into())));
    }

    #[test]
    fn a_torn_last_line_stands_alone() {
        let dir = Scratch::new("torn-record");
        let path = dir.path().join("x.ndjson");
        fs::write(&path, "{\"a\":1}\n{\"b\":").unwrap();
        append_line(&mut open_append(&path).unwrap(), "{\"c\":3}").unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            "{\"a\":1}\n{\"b\":\n{\"c\":3}\n"
        );
    }
}
