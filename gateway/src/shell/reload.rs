//! The configuration file, read again while the gateway runs: its number map is taken up, the rest waits.
//!
//! A file with a fault changes nothing. Knows nothing of signals and sockets.

use std::path::PathBuf;

use crate::config::{Config, ConfigError, NumberMap};

/// The file that a gateway was started from, and what it said then.
#[derive(Debug)]
pub struct ConfigFile {
    path: PathBuf,
    state_dir: Option<PathBuf>,
    started: Config,
}

/// What the file says now.
#[derive(Debug)]
pub struct Reread {
    /// To be taken up.
    pub map: NumberMap,
    /// Tables and keys that differ beyond it and wait for a restart.
    pub waiting: Vec<&'static str>,
}

impl ConfigFile {
    /// The file at `path`, which was read as `started`.
    pub fn new(path: PathBuf, state_dir: Option<PathBuf>, started: Config) -> Self {
        ConfigFile {
            path,
            state_dir,
            started,
        }
    }

    /// Reads it once more. Blocks for the time a small file takes.
    pub fn reread(&self) -> Result<Reread, ConfigError> {
        let config = Config::load(&self.path, self.state_dir.as_deref())?;
        Ok(Reread {
            map: config.number_map(),
            waiting: self.started.waiting_for_restart(&config),
        })
    }
}
