//! The manifest of one recording: what is in its files, as JSON beside them.
//!
//! While a recording grows its manifest says `open`. One that still says so at start belongs to a
//! process that was killed. Knows nothing of threads or the engine.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{path, wav};

/// Largest manifest that is read back: far above the largest we write.
const MANIFEST_BYTES_MAX: u64 = 1024 * 1024;

/// What became of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It grows; each party has a file.
    Open,
    /// The joined file is whole and on disk.
    Stored,
    /// Joining or writing failed; the parties' files are kept.
    Failed,
    /// The process ended while it grew; the parties' files are what there is.
    Lost,
}

/// One track: what one party said from its first block to its last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrackEntry {
    /// The party.
    pub leg: String,
    /// File name beside this manifest; gone once the recording is stored.
    pub file: String,
    /// Its first block's place on the shard's grid of 20 ms; none before the first block.
    pub first_tick: Option<u64>,
    /// Its beginning, milliseconds after that of the earliest track.
    pub offset_ms: u64,
}

/// A span without sound because someone paused the recording, milliseconds since its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Its beginning.
    pub from_ms: u64,
    /// Its end.
    pub to_ms: u64,
}

/// The joined file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredFile {
    /// `file://` URI.
    pub uri: String,
    /// Lower-case hex SHA-256 of its bytes.
    pub sha256: String,
    /// Its channels in order: leg ids.
    pub channels: Vec<String>,
    /// Length, milliseconds.
    pub duration_ms: u64,
}

/// All there is to know of one recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this layout: 1.
    pub version: u32,
    /// Its id.
    pub recording: String,
    /// The call it belongs to.
    pub call: String,
    /// Its start, microseconds since the Unix epoch.
    pub started_us: i64,
    /// The same for people, RFC 3339.
    pub started: String,
    /// What became of it.
    pub state: State,
    /// Samples a second in every file.
    pub rate_hz: u32,
    /// Its tracks in order of appearance.
    pub tracks: Vec<TrackEntry>,
    /// Its pauses, known once it is stopped.
    #[serde(default)]
    pub pauses: Vec<Pause>,
    /// The joined file, once it is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored: Option<StoredFile>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl Manifest {
    /// An open recording without tracks.
    pub fn open(recording: &str, call: &str, started_us: i64) -> Manifest {
        Manifest {
            version: 1,
            recording: recording.to_owned(),
            call: call.to_owned(),
            started_us,
            started: crate::utc::rfc3339(started_us),
            state: State::Open,
            rate_hz: media::frame::RATE_HZ,
            tracks: Vec::new(),
            pauses: Vec::new(),
            stored: None,
            why: None,
        }
    }

    /// Reads one back. What is no manifest is `InvalidData`.
    pub fn read(file: &Path) -> io::Result<Manifest> {
        if fs::symlink_metadata(file)?.len() > MANIFEST_BYTES_MAX {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "too large for a manifest",
            ));
        }
        let manifest: Manifest = serde_json::from_slice(&fs::read(file)?)?;
        let names_are_ours = path::is_id(&manifest.recording)
            && manifest.tracks.iter().enumerate().all(|(number, track)| {
                path::is_id(&track.leg) && track.file == path::track_file(number, &track.leg)
            });
        if !names_are_ours {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "names a file that is not ours",
            ));
        }
        Ok(manifest)
    }

    /// Replaces `file` by this manifest: whoever reads it finds the old or the new one, whole.
    pub fn write(&self, file: &Path) -> io::Result<()> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        let part = file.with_extension("json.part");
        match fs::remove_file(&part) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        wav::create_new(&part)?.write_all(&text)?;
        fs::rename(&part, file)
    }

    /// Sets every track's offset from the ticks of their first blocks.
    pub fn place_tracks(&mut self) {
        let Some(zero) = self.zero_tick() else { return };
        for track in &mut self.tracks {
            let ticks = track.first_tick.map_or(0, |tick| tick - zero);
            track.offset_ms = ticks * super::TICK_MS;
        }
    }

    /// The tick of the earliest block: where the recording's time line begins.
    pub fn zero_tick(&self) -> Option<u64> {
        self.tracks.iter().filter_map(|track| track.first_tick).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::testing::Scratch;

    #[test]
    fn what_is_written_is_read() {
        let dir = Scratch::new("manifest");
        let file = dir.path().join(path::MANIFEST);
        let mut manifest = Manifest::open("r", "c", 1_795_230_587_123_456);
        for (number, (leg, tick)) in [("b", 150), ("a", 100)].into_iter().enumerate() {
            manifest.tracks.push(TrackEntry {
                leg: leg.to_owned(),
                file: path::track_file(number, leg),
                first_tick: Some(tick),
                offset_ms: 0,
            });
        }
        manifest.place_tracks();
        assert_eq!(manifest.tracks[0].offset_ms, 1_000);
        manifest.write(&file).unwrap();
        manifest.write(&file).unwrap();
        assert_eq!(Manifest::read(&file).unwrap(), manifest);
    }

    #[test]
    fn a_manifest_that_names_foreign_files_is_refused() {
        let dir = Scratch::new("manifest-foreign");
        let file = dir.path().join(path::MANIFEST);
        let mut manifest = Manifest::open("r", "c", 0);
        manifest.tracks.push(TrackEntry {
            leg: "a".to_owned(),
            file: "../../passwd".to_owned(),
            first_tick: None,
            offset_ms: 0,
        });
        manifest.write(&file).unwrap();
        assert_eq!(
            Manifest::read(&file).unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
        fs::write(&file, b"{\"version\":").unwrap();
        assert!(Manifest::read(&file).is_err());
    }
}
