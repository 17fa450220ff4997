//! Sounds: prompts and music as they were loaded, by name.
//!
//! Values shared with the shards; nothing is decoded here. Knows nothing of files.

use std::collections::BTreeMap;
use std::sync::Arc;

use media::sound::Sound;
use media::{Source, Tone};

/// Class of music when none is named.
pub const MUSIC_DEFAULT: &str = "default";

/// The prompts folder as it was read.
#[derive(Clone, Debug, Default)]
pub struct Prompts {
    /// What can be played, by name.
    pub sounds: BTreeMap<String, Arc<Sound>>,
    /// What is there and cannot be played, with the reason.
    pub refused: BTreeMap<String, String>,
}

/// Everything that can be played.
#[derive(Clone, Debug, Default)]
pub struct Sounds {
    /// Prompts.
    pub prompts: Prompts,
    /// Music by class, pieces in order.
    pub music: BTreeMap<String, Vec<Arc<Sound>>>,
}

impl Sounds {
    /// The pieces of a class of music.
    pub fn music(&self, class: &str) -> Option<Vec<Source>> {
        let pieces = self.music.get(class)?;
        Some(pieces.iter().cloned().map(Source::Sound).collect())
    }
}

/// The tone a caller hears while the far phone rings: 400 + 450 Hz would be British, 440 + 480 Hz,
/// 2 s on and 4 s off is the North American one and understood everywhere (ITU-T E.180 Supplement 2).
pub fn ringback() -> Tone {
    Tone {
        frequencies_hz: (440.0, 480.0),
        level_dbov: -19.0,
        cadence_ms: vec![2000, 4000],
        duration_ms: None,
    }
}
