//! What the tests of this room share: a folder that lives as long as a test, and blocks.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use media::recorder::{Block, TrackKey};

/// An empty folder below the system's temporary one, removed on drop.
pub struct Scratch(PathBuf);

impl Scratch {
    /// A fresh folder; `name` helps to find it when a test is stopped half-way.
    pub fn new(name: &str) -> Scratch {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("gateway-{name}-{}-{number}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A block of a track that began at `first_tick`, `position` samples after its beginning.
pub fn block(track: u64, first_tick: u64, position: u64, samples: &[i16], is_last: bool) -> Block {
    Block {
        track: TrackKey(track),
        first_tick,
        position,
        samples: samples.to_vec(),
        is_last,
    }
}
