//! One recording while it grows: a folder, a manifest and one mono file per track.
//!
//! Owns the open files. Knows nothing of threads, queues or the engine.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use media::recorder::wav::{DATA_BYTES_MAX, MonoWriter};
use media::recorder::{Block, TrackKey};

use super::SAMPLES_PER_TICK;
use super::join::{Job, Piece};
use super::manifest::{Manifest, Pause, State, TrackEntry};
use super::path;
use super::wav::create_new;

/// Most tracks of one recording: a leg that leaves and joins again begins a new one.
pub const TRACKS_MAX: usize = 256;

/// A recording that takes blocks.
#[derive(Debug)]
pub struct Recording {
    dir: PathBuf,
    final_path: PathBuf,
    manifest: Manifest,
    tracks: Vec<Track>,
}

#[derive(Debug)]
struct Track {
    key: TrackKey,
    wav: MonoWriter<File>,
    is_over: bool,
}

impl Recording {
    /// Makes folder and manifest below `root`.
    pub fn start(root: &Path, recording: &str, call: &str, wall_us: i64) -> io::Result<Recording> {
        if !path::is_id(recording) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the id cannot be a file name",
            ));
        }
        let final_path = path::final_path(root, recording, wall_us);
        if fs::symlink_metadata(&final_path).is_ok() {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "a recording of this name is stored",
            ));
        }
        let dir = path::tracks_dir(root, recording, wall_us);
        make_dirs(&root.join(path::TRACKS))?;
        DirBuilder::new().mode(0o700).create(&dir)?;
        let manifest = Manifest::open(recording, call, wall_us);
        manifest.write(&dir.join(path::MANIFEST))?;
        Ok(Recording {
            dir,
            final_path,
            manifest,
            tracks: Vec::new(),
        })
    }

    /// Begins a track.
    pub fn begin_track(&mut self, key: TrackKey, leg: &str) -> io::Result<()> {
        if !path::is_id(leg) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the leg cannot be a file name",
            ));
        }
        if self.tracks.len() >= TRACKS_MAX {
            return Err(io::Error::new(
                io::ErrorKind::QuotaExceeded,
                "too many tracks in one recording",
            ));
        }
        let file = path::track_file(self.tracks.len(), leg);
        let wav = MonoWriter::new(create_new(&self.dir.join(&file))?)?;
        self.tracks.push(Track {
            key,
            wav,
            is_over: false,
        });
        self.manifest.tracks.push(TrackEntry {
            leg: leg.to_owned(),
            file,
            first_tick: None,
            offset_ms: 0,
        });
        self.save()
    }

    /// Appends a block to its track; the first one with sound decides where the track begins.
    pub fn block(&mut self, block: &Block) -> io::Result<()> {
        let mut tracks = self.tracks.iter_mut().zip(&mut self.manifest.tracks);
        let Some((track, entry)) = tracks.find(|(track, _)| track.key == block.track) else {
            return Ok(());
        };
        track.is_over |= block.is_last;
        if block.samples.is_empty() {
            return Ok(());
        }
        let end = block.position.saturating_add(block.samples.len() as u64);
        if end.saturating_mul(2) > DATA_BYTES_MAX {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                "longer than a WAV file can be",
            ));
        }
        track.wav.append(block.position, &block.samples)?;
        if entry.first_tick.is_some() {
            return Ok(());
        }
        entry.first_tick = Some(block.first_tick);
        self.save()
    }

    /// Notes the pauses; no track begins after this.
    pub fn stop(&mut self, pauses: &[(u64, u64)]) {
        self.manifest.pauses = pauses
            .iter()
            .map(|&(from_ms, to_ms)| Pause { from_ms, to_ms })
            .collect();
    }

    /// Whether every track had its last block.
    pub fn has_all_blocks(&self) -> bool {
        self.tracks.iter().all(|track| track.is_over)
    }

    /// Whether blocks of `key` belong here.
    pub fn has_track(&self, key: TrackKey) -> bool {
        self.tracks.iter().any(|track| track.key == key)
    }

    /// The keys of its tracks.
    pub fn track_keys(&self) -> impl Iterator<Item = TrackKey> + '_ {
        self.tracks.iter().map(|track| track.key)
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.manifest.recording
    }

    /// Marks it failed: its files stay as they are.
    pub fn fail(mut self, why: &str) {
        self.manifest.state = State::Failed;
        self.manifest.why = Some(why.to_owned());
        if let Err(error) = self.save() {
            tracing::warn!(%error, recording = self.id(), "the manifest of a failed recording could not be written");
        }
    }

    /// Closes the files and says how they become one.
    pub fn into_job(self) -> Job {
        let zero = self.manifest.zero_tick().unwrap_or(0);
        let mut channels: Vec<String> = Vec::new();
        let mut pieces = Vec::with_capacity(self.tracks.len());
        for (track, entry) in self.tracks.iter().zip(&self.manifest.tracks) {
            let channel = channels
                .iter()
                .position(|leg| *leg == entry.leg)
                .unwrap_or_else(|| {
                    channels.push(entry.leg.clone());
                    channels.len() - 1
                });
            let Some(first_tick) = entry.first_tick else {
                continue;
            };
            pieces.push(Piece {
                channel,
                file: self.dir.join(&entry.file),
                offset: (first_tick - zero) * SAMPLES_PER_TICK,
                samples: track.wav.len(),
            });
        }
        Job {
            tracks_dir: self.dir,
            final_path: self.final_path,
            manifest: self.manifest,
            channels,
            pieces,
        }
    }

    fn save(&mut self) -> io::Result<()> {
        self.manifest.place_tracks();
        self.manifest.write(&self.dir.join(path::MANIFEST))
    }
}

/// Makes a folder and those above it, for their owner only.
pub fn make_dirs(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}
