//! Prompts and hold music: WAV files made into sounds the media plane can send.
//!
//! Files are checked and decoded here, at load, and never at play. The folder is looked at each second by
//! a thread of its own, so that a slow disk delays nobody; only files that changed are read again. Knows
//! nothing of who hears a sound.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use media::sound::{Sound, SoundError, SoundLimits, builtin_music};
use tokio::sync::mpsc;

use crate::engine::io::{Input, Prompts};
use crate::observe::recordings::path::is_id;

/// How often the folder is looked at.
pub const RESCAN_EVERY: Duration = Duration::from_secs(1);

/// Files of the folder that are looked at; further ones are as if not there.
const FILES_MAX: usize = 10_000;

/// The folder as it was read last.
#[derive(Debug)]
pub struct Folder {
    dir: PathBuf,
    max: usize,
    files: BTreeMap<String, Entry>,
}

/// One WAV file: how it looked and what came of it.
#[derive(Debug)]
struct Entry {
    looks: Looks,
    sound: Result<Arc<Sound>, String>,
}

/// What changes when a file is written or replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Looks {
    modified: SystemTime,
    bytes: u64,
}

impl Folder {
    /// A folder that has not been read.
    pub fn new(dir: PathBuf, max: usize) -> Folder {
        Folder {
            dir,
            max,
            files: BTreeMap::new(),
        }
    }

    /// Reads what changed. The prompts, when they are other than before; a missing folder has none.
    pub fn rescan(&mut self) -> io::Result<Option<Prompts>> {
        let found = look(&self.dir)?;
        let same = found.len() == self.files.len()
            && found
                .iter()
                .zip(&self.files)
                .all(|((name, looks), (known, entry))| name == known && *looks == entry.looks);
        if same {
            return Ok(None);
        }
        let mut before = std::mem::take(&mut self.files);
        let refused = found.len().saturating_sub(self.max);
        if refused > 0 {
            tracing::warn!(
                refused,
                max = self.max,
                "more prompts than prompts.max; the last by name are refused"
            );
        }
        for (number, (name, looks)) in found.into_iter().enumerate() {
            let known = before
                .remove(&name)
                .filter(|entry| entry.looks == looks && entry.sound.is_ok());
            let sound = match known {
                _ if number >= self.max => Err(format!("more than {} prompts", self.max)),
                Some(entry) => entry.sound,
                None => self.load(&name),
            };
            self.files.insert(name, Entry { looks, sound });
        }
        let mut prompts = Prompts::default();
        for (name, entry) in &self.files {
            match &entry.sound {
                Ok(sound) => drop(prompts.sounds.insert(name.clone(), sound.clone())),
                Err(why) => drop(prompts.refused.insert(name.clone(), why.clone())),
            }
        }
        Ok(Some(prompts))
    }

    fn load(&self, name: &str) -> Result<Arc<Sound>, String> {
        match load(&self.dir.join(format!("{name}.wav"))) {
            Ok(sound) => Ok(Arc::new(sound)),
            Err(error) => {
                tracing::warn!(%error, prompt = name, "a prompt cannot be used");
                Err(error.to_string())
            }
        }
    }
}

/// The WAV files of a folder by name. Names that are none are told once a change.
fn look(dir: &Path) -> io::Result<BTreeMap<String, Looks>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        entries => entries?,
    };
    let mut found = BTreeMap::new();
    for entry in entries.take(FILES_MAX) {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "wav") {
            continue;
        }
        let Some(name) = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .filter(|name| is_id(name))
        else {
            tracing::debug!("a file of the prompts folder has a name that no prompt can have");
            continue;
        };
        // A file that went away in between is as if it had never been there.
        let Ok(meta) = fs::metadata(&path) else { continue };
        let Ok(modified) = meta.modified() else { continue };
        if meta.is_file() {
            found.insert(
                name.to_owned(),
                Looks {
                    modified,
                    bytes: meta.len(),
                },
            );
        }
    }
    Ok(found)
}

/// The thread that looks at the folder; it ends with this value or the engine.
#[derive(Debug)]
pub struct Watch {
    _stop: std::sync::mpsc::SyncSender<()>,
    _thread: JoinHandle<()>,
}

/// Reads the folder now and then each second; the engine hears of every change.
pub fn watch(folder: Folder, inputs: mpsc::Sender<Input>) -> io::Result<Watch> {
    let (stop, stopped) = sync_channel(1);
    let thread = std::thread::Builder::new()
        .name("prompts".to_owned())
        .spawn(move || run(folder, &inputs, &stopped))?;
    Ok(Watch {
        _stop: stop,
        _thread: thread,
    })
}

fn run(mut folder: Folder, inputs: &mpsc::Sender<Input>, stopped: &Receiver<()>) {
    let mut was_readable = true;
    loop {
        let scanned = folder.rescan();
        if let Err(error) = &scanned
            && was_readable
        {
            tracing::warn!(%error, "the prompts folder cannot be read; the prompts stay as they are");
        }
        was_readable = scanned.is_ok();
        if let Ok(Some(prompts)) = scanned
            && inputs.blocking_send(Input::Prompts(prompts)).is_err()
        {
            return;
        }
        match stopped.recv_timeout(RESCAN_EVERY) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Why a file is no sound of ours.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It cannot be read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Its contents cannot be used.
    #[error("{0}")]
    Sound(#[from] SoundError),
}

/// Reads and decodes a file, never more of it than is allowed.
fn load(path: &Path) -> Result<Sound, LoadError> {
    let limits = SoundLimits::default();
    let file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file").into());
    }
    let mut bytes = Vec::new();
    file.take(limits.bytes_max as u64 + 1).read_to_end(&mut bytes)?;
    Ok(Sound::from_wav(&bytes, limits)?)
}

/// A music class that cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("music.{class}: {}: {source}", file.display())]
pub struct MusicError {
    /// The class.
    pub class: String,
    /// The file.
    pub file: PathBuf,
    /// Why.
    pub source: LoadError,
}

/// Hold music by class: its pieces in order, the built-in tune where no files are given.
pub type Music = Vec<(String, Vec<Arc<Sound>>)>;

/// Loads every class.
pub fn music(classes: &BTreeMap<String, Vec<PathBuf>>) -> Result<Music, MusicError> {
    let mut music = Music::with_capacity(classes.len());
    for (class, files) in classes {
        let mut pieces = Vec::with_capacity(files.len().max(1));
        for file in files {
            let sound = load(file).map_err(|source| MusicError {
                class: class.clone(),
                file: file.clone(),
                source,
            })?;
            pieces.push(Arc::new(sound));
        }
        if pieces.is_empty() {
            pieces.push(Arc::new(builtin_music()));
        }
        music.push((class.clone(), pieces));
    }
    Ok(music)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::testing::Scratch;
    use media::recorder::wav::MonoWriter;

    fn write_wav(path: &Path, samples: &[i16]) {
        MonoWriter::new(File::create(path).unwrap())
            .unwrap()
            .append(0, samples)
            .unwrap();
    }

    fn names<T>(entries: &BTreeMap<String, T>) -> Vec<&str> {
        entries.keys().map(String::as_str).collect()
    }

    #[test]
    fn a_folder_is_read_again_only_where_it_changed() {
        let dir = Scratch::new("prompts");
        let at = |name: &str| dir.path().join(name);
        write_wav(&at("greeting.wav"), &[1, 2, 3]);
        write_wav(&at("bye.wav"), &[4]);
        write_wav(&at("bad name.wav"), &[4]);
        fs::write(at("broken.wav"), b"RIFF").unwrap();
        fs::write(at("notes.txt"), b"").unwrap();
        let mut folder = Folder::new(dir.path().to_owned(), 500);
        let first = folder.rescan().unwrap().unwrap();
        assert_eq!(names(&first.sounds), ["bye", "greeting"]);
        assert_eq!(names(&first.refused), ["broken"]);
        assert_eq!(first.sounds["greeting"].pcm(), [1, 2, 3]);
        assert!(folder.rescan().unwrap().is_none());

        fs::remove_file(at("bye.wav")).unwrap();
        write_wav(&at("broken.wav"), &[5]);
        let second = folder.rescan().unwrap().unwrap();
        assert_eq!(names(&second.sounds), ["broken", "greeting"]);
        assert!(second.refused.is_empty());
        let greeting = |prompts: &Prompts| prompts.sounds["greeting"].clone();
        assert!(Arc::ptr_eq(&greeting(&first), &greeting(&second)));
    }

    #[test]
    fn five_hundred_are_taken_and_one_more_is_refused() {
        let dir = Scratch::new("prompts-max");
        for number in 0..501 {
            write_wav(&dir.path().join(format!("p{number:03}.wav")), &[1]);
        }
        let mut folder = Folder::new(dir.path().to_owned(), 500);
        let prompts = folder.rescan().unwrap().unwrap();
        assert_eq!(prompts.sounds.len(), 500);
        assert_eq!(prompts.refused["p500"], "more than 500 prompts");
        // Room for the refused one as soon as another goes.
        fs::remove_file(dir.path().join("p000.wav")).unwrap();
        let prompts = folder.rescan().unwrap().unwrap();
        assert!(prompts.refused.is_empty() && prompts.sounds.contains_key("p500"));
    }

    #[test]
    fn a_folder_that_is_not_there_has_no_prompts() {
        let dir = Scratch::new("prompts-none");
        let mut folder = Folder::new(dir.path().join("none"), 500);
        assert!(folder.rescan().unwrap().is_none());
    }

    #[test]
    fn music_is_its_files_or_the_built_in_tune() {
        let dir = Scratch::new("music");
        let (a, b) = (dir.path().join("a.wav"), dir.path().join("b.wav"));
        write_wav(&a, &[1]);
        write_wav(&b, &[2]);
        let classes = BTreeMap::from([
            ("default".to_owned(), vec![]),
            ("jazz".to_owned(), vec![a.clone(), b]),
        ]);
        let loaded = music(&classes).unwrap();
        assert_eq!(
            loaded[1].1.iter().map(|piece| piece.pcm()).collect::<Vec<_>>(),
            [[1], [2]]
        );
        assert!(loaded[0].1[0].len_ms() > 5_000);
        fs::remove_file(&a).unwrap();
        assert_eq!(music(&classes).unwrap_err().class, "jazz");
    }
}
