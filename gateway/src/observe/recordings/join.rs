//! Makes one file of a recording's tracks: a channel per leg, silence where a leg was not there.
//!
//! The parties' files are removed only after the joined one and its manifest are on disk. Runs on a
//! thread of its own, since a long recording takes seconds. Knows nothing of the engine.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use media::frame::RATE_HZ;
use media::recorder::wav::{DATA_BYTES_MAX, HEADER_BYTES, header};
use sha2::{Digest, Sha256};

use super::manifest::{Manifest, State, StoredFile};
use super::path;
use super::recording::make_dirs;
use super::wav;

/// Frames joined at a time: one second.
const CHUNK_FRAMES: u64 = RATE_HZ as u64;

/// What is to be joined.
#[derive(Debug)]
pub struct Job {
    /// Folder of the tracks; removed at the end.
    pub tracks_dir: PathBuf,
    /// Where the joined file goes.
    pub final_path: PathBuf,
    /// The recording's manifest as far as it is known.
    pub manifest: Manifest,
    /// Legs in order of their channels.
    pub channels: Vec<String>,
    /// The tracks that have sound.
    pub pieces: Vec<Piece>,
}

/// One track's place in the joined file.
#[derive(Debug)]
pub struct Piece {
    /// Which channel.
    pub channel: usize,
    /// Its mono file.
    pub file: PathBuf,
    /// Its first sample's place on the common time line.
    pub offset: u64,
    /// Its length.
    pub samples: u64,
}

impl Job {
    /// Joins and stores. On failure the parties' files stay and their manifest says why.
    pub fn run(mut self) -> Result<StoredFile, io::Error> {
        match self.store() {
            Ok(stored) => Ok(stored),
            Err(error) => {
                let _ = fs::remove_file(part_of(&self.final_path));
                self.give_up(&error);
                Err(error)
            }
        }
    }

    /// Leaves the parties' files as they are, with a manifest that says why.
    pub fn give_up(mut self, why: &io::Error) {
        self.manifest.state = State::Failed;
        self.manifest.stored = None;
        self.manifest.why = Some(why.to_string());
        if let Err(error) = self.manifest.write(&self.tracks_dir.join(path::MANIFEST)) {
            tracing::warn!(%error, "the manifest of a failed recording could not be written");
        }
    }

    fn store(&mut self) -> io::Result<StoredFile> {
        let Some(day_dir) = self.final_path.parent() else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "no folder for recordings",
            ));
        };
        make_dirs(day_dir)?;
        let frames = self
            .pieces
            .iter()
            .map(|piece| piece.offset + piece.samples)
            .max()
            .unwrap_or(0);
        let part = part_of(&self.final_path);
        let sha256 = self.join(&part, frames)?;
        fs::rename(&part, &self.final_path)?;
        let stored = StoredFile {
            uri: path::file_uri(&self.final_path),
            sha256,
            channels: self.channels.clone(),
            duration_ms: frames * 1_000 / u64::from(RATE_HZ),
        };
        self.manifest.state = State::Stored;
        self.manifest.stored = Some(stored.clone());
        self.manifest.write(&self.final_path.with_extension("json"))?;
        File::open(day_dir)?.sync_all()?;
        if let Err(error) = fs::remove_dir_all(&self.tracks_dir) {
            tracing::warn!(%error, "the tracks of a stored recording could not be removed");
        }
        Ok(stored)
    }

    /// Writes the joined file and returns its SHA-256 once it is on disk.
    fn join(&self, part: &Path, frames: u64) -> io::Result<String> {
        let channels = self.channels.len().max(1);
        let data_bytes = frames.saturating_mul(channels as u64 * 2);
        let (true, Ok(channel_count)) = (data_bytes <= DATA_BYTES_MAX, u16::try_from(channels)) else {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                "longer than a WAV file can be",
            ));
        };
        let sources = self
            .pieces
            .iter()
            .map(|piece| Ok((piece, File::open(&piece.file)?)))
            .collect::<io::Result<Vec<_>>>()?;
        match fs::remove_file(part) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut out = wav::create_new(part)?;
        let mut hash = Sha256::new();
        let header = header(channel_count, data_bytes);
        out.write_all(&header)?;
        hash.update(header);
        let mut mono = Vec::new();
        let mut frame_bytes = Vec::new();
        for begin in (0..frames).step_by(CHUNK_FRAMES as usize) {
            let end = (begin + CHUNK_FRAMES).min(frames);
            frame_bytes.clear();
            frame_bytes.resize((end - begin) as usize * channels * 2, 0);
            for (piece, file) in &sources {
                let from = begin.max(piece.offset);
                let to = end.min(piece.offset + piece.samples);
                if from >= to {
                    continue;
                }
                mono.resize((to - from) as usize * 2, 0);
                file.read_exact_at(&mut mono, HEADER_BYTES + (from - piece.offset) * 2)?;
                let frames_of_piece = frame_bytes
                    .chunks_exact_mut(channels * 2)
                    .skip((from - begin) as usize);
                for (frame, sample) in frames_of_piece.zip(mono.chunks_exact(2)) {
                    if let Some(slot) = frame.chunks_exact_mut(2).nth(piece.channel) {
                        slot.copy_from_slice(sample);
                    }
                }
            }
            out.write_all(&frame_bytes)?;
            hash.update(&frame_bytes);
        }
        out.sync_all()?;
        Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

/// The joined file while it is written.
pub fn part_of(final_path: &Path) -> PathBuf {
    final_path.with_extension("wav.part")
}

#[cfg(test)]
mod tests {
    use super::super::recording::Recording;
    use super::*;
    use crate::observe::testing::{Scratch, block};
    use media::recorder::TrackKey;

    #[test]
    fn legs_become_channels_at_their_offsets() {
        let dir = Scratch::new("join");
        let mut recording = Recording::start(dir.path(), "r", "c", 0).unwrap();
        recording.begin_track(TrackKey(1), "a").unwrap();
        recording.begin_track(TrackKey(2), "b").unwrap();
        recording.block(&block(1, 100, 0, &[1; 160], false)).unwrap();
        recording.block(&block(2, 101, 0, &[2; 160], true)).unwrap();
        // Two ticks of the first party were lost on the way.
        recording.block(&block(1, 100, 480, &[3; 160], true)).unwrap();
        assert!(recording.has_all_blocks());
        // The second party comes back: same channel, later.
        recording.begin_track(TrackKey(3), "b").unwrap();
        assert!(!recording.has_all_blocks());
        recording.block(&block(3, 104, 0, &[4; 160], true)).unwrap();
        recording.stop(&[(20, 40)]);
        let stored = recording.into_job().run().unwrap();

        assert_eq!(stored.channels, ["a", "b"]);
        assert_eq!(stored.duration_ms, 100);
        let final_path = path::final_path(dir.path(), "r", 0);
        assert_eq!(stored.uri, path::file_uri(&final_path));
        let bytes = fs::read(&final_path).unwrap();
        assert_eq!(bytes.len(), 44 + 5 * 160 * 4);
        let frames: Vec<[u8; 4]> = bytes[44..]
            .chunks_exact(4)
            .step_by(160)
            .map(|f| f.try_into().unwrap())
            .collect();
        assert_eq!(
            frames,
            [
                [1, 0, 0, 0],
                [0, 0, 2, 0],
                [0, 0, 0, 0],
                [3, 0, 0, 0],
                [0, 0, 4, 0]
            ]
        );
        let hex: String = Sha256::digest(&bytes)
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        assert_eq!(stored.sha256, hex);

        assert!(!path::tracks_dir(dir.path(), "r", 0).exists());
        let manifest = Manifest::read(&path::final_manifest_path(dir.path(), "r", 0)).unwrap();
        assert_eq!(manifest.state, State::Stored);
        assert_eq!(manifest.tracks[1].offset_ms, 20);
        assert_eq!(manifest.pauses[0].to_ms, 40);
    }

    #[test]
    fn a_recording_without_sound_is_still_a_file() {
        let dir = Scratch::new("join-empty");
        let mut recording = Recording::start(dir.path(), "r", "c", 0).unwrap();
        recording.begin_track(TrackKey(1), "a").unwrap();
        recording.block(&block(1, 7, 0, &[], true)).unwrap();
        let stored = recording.into_job().run().unwrap();
        assert_eq!((stored.channels, stored.duration_ms), (vec!["a".to_owned()], 0));
        assert_eq!(fs::read(path::final_path(dir.path(), "r", 0)).unwrap().len(), 44);
    }

    #[test]
    fn a_failed_join_keeps_the_tracks() {
        let dir = Scratch::new("join-fails");
        let mut recording = Recording::start(dir.path(), "r", "c", 0).unwrap();
        recording.begin_track(TrackKey(1), "a").unwrap();
        recording.block(&block(1, 7, 0, &[1; 160], true)).unwrap();
        // A file where the day's folder should be.
        fs::write(dir.path().join("1970-01-01"), b"").unwrap();
        assert!(recording.into_job().run().is_err());
        let tracks = path::tracks_dir(dir.path(), "r", 0);
        assert_eq!(
            Manifest::read(&tracks.join(path::MANIFEST)).unwrap().state,
            State::Failed
        );
        assert_eq!(fs::metadata(tracks.join("0-a.wav")).unwrap().len(), 44 + 320);
    }
}
