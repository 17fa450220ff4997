//! Recordings that a killed process left open: found by their manifests, made readable, named.
//!
//! The parties' mono files are the truth after a crash. Run at start, before any recording begins.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::join::part_of;
use super::manifest::{Manifest, State, StoredFile};
use super::{path, wav};

/// Most left-over folders looked at in one start; further ones wait for the next.
pub const LEFT_OVER_MAX: usize = 10_000;

/// A recording of a call that a killed process carried.
#[derive(Debug)]
pub struct LostRecording {
    /// Its manifest.
    pub manifest: Manifest,
    /// Its mono files, repaired; empty when it had been joined already.
    pub files: Vec<PathBuf>,
    /// The joined file, when the process died after storing it.
    pub stored: Option<StoredFile>,
    /// Where the joined file is, or would have been.
    pub final_path: PathBuf,
    tracks_dir: PathBuf,
}

impl LostRecording {
    /// Settles it once the call's record names it, so that the next start passes it by.
    pub fn settle(mut self) -> io::Result<()> {
        if self.stored.is_some() {
            return fs::remove_dir_all(&self.tracks_dir);
        }
        self.manifest.state = State::Lost;
        self.manifest.write(&self.tracks_dir.join(path::MANIFEST))
    }
}

/// Finds and repairs what is left open below `root`. One bad folder is logged and passed by.
pub fn find(root: &Path) -> io::Result<Vec<LostRecording>> {
    let entries = match fs::read_dir(root.join(path::TRACKS)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut lost = Vec::new();
    for entry in entries.take(LEFT_OVER_MAX) {
        let found = entry.and_then(|entry| repair(root, entry.path()));
        match found {
            Ok(found) => lost.extend(found),
            Err(error) => tracing::warn!(%error, "a left-over recording could not be repaired"),
        }
    }
    lost.sort_by(|a, b| a.tracks_dir.cmp(&b.tracks_dir));
    Ok(lost)
}

fn repair(root: &Path, tracks_dir: PathBuf) -> io::Result<Option<LostRecording>> {
    let manifest = Manifest::read(&tracks_dir.join(path::MANIFEST))?;
    if manifest.state != State::Open {
        return Ok(None);
    }
    let (id, started_us) = (&manifest.recording, manifest.started_us);
    let final_path = path::final_path(root, id, started_us);
    let stored = Manifest::read(&path::final_manifest_path(root, id, started_us))
        .ok()
        .and_then(|manifest| manifest.stored)
        .filter(|_| final_path.is_file());
    if stored.is_some() {
        return Ok(Some(LostRecording {
            manifest,
            files: Vec::new(),
            stored,
            final_path,
            tracks_dir,
        }));
    }
    match fs::remove_file(part_of(&final_path)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut files = Vec::new();
    for track in &manifest.tracks {
        let file = tracks_dir.join(&track.file);
        match wav::repair(&file) {
            Ok(_) => files.push(file),
            Err(error) => tracing::warn!(%error, recording = id, "a track could not be repaired"),
        }
    }
    Ok(Some(LostRecording {
        manifest,
        files,
        stored: None,
        final_path,
        tracks_dir,
    }))
}

#[cfg(test)]
mod tests {
    use super::super::recording::Recording;
    use super::*;
    use crate::observe::testing::{Scratch, block};
    use media::recorder::TrackKey;

    #[test]
    fn an_open_recording_is_found_once() {
        let dir = Scratch::new("lost");
        assert_eq!(find(dir.path()).unwrap().len(), 0);
        let mut recording = Recording::start(dir.path(), "r", "c", 5).unwrap();
        recording.begin_track(TrackKey(1), "a").unwrap();
        recording.block(&block(1, 9, 0, &[1; 160], false)).unwrap();
        drop(recording);
        let found = find(dir.path()).unwrap();
        assert_eq!(found.len(), 1);
        let tracks = path::tracks_dir(dir.path(), "r", 5);
        assert_eq!(found[0].files, [tracks.join("0-a.wav")]);
        assert_eq!(found[0].manifest.call, "c");
        // A second start before it is settled finds it again, and then no more.
        for lost in find(dir.path()).unwrap() {
            lost.settle().unwrap();
        }
        assert_eq!(find(dir.path()).unwrap().len(), 0);
        assert_eq!(
            Manifest::read(&tracks.join(path::MANIFEST)).unwrap().state,
            State::Lost
        );
    }

    #[test]
    fn death_between_storing_and_clearing_up_loses_nothing() {
        let dir = Scratch::new("lost-stored");
        let begin = || {
            let mut recording = Recording::start(dir.path(), "r", "c", 5).unwrap();
            recording.begin_track(TrackKey(1), "a").unwrap();
            recording.block(&block(1, 9, 0, &[1; 160], true)).unwrap();
            recording
        };
        let stored = begin().into_job().run().unwrap();
        let final_path = path::final_path(dir.path(), "r", 5);
        let aside = dir.path().join("aside.wav");
        fs::rename(&final_path, &aside).unwrap();
        drop(begin());
        fs::rename(&aside, &final_path).unwrap();
        let found = find(dir.path()).unwrap();
        assert_eq!(found[0].stored.as_ref(), Some(&stored));
        for lost in found {
            lost.settle().unwrap();
        }
        assert!(!path::tracks_dir(dir.path(), "r", 5).exists());
    }

    #[test]
    fn rubbish_among_the_tracks_is_passed_by() {
        let dir = Scratch::new("lost-rubbish");
        fs::create_dir_all(dir.path().join("tracks/empty")).unwrap();
        fs::create_dir_all(dir.path().join("tracks/torn")).unwrap();
        fs::write(dir.path().join("tracks/torn/manifest.json"), b"{\"version\":1,").unwrap();
        assert_eq!(find(dir.path()).unwrap().len(), 0);
    }
}
