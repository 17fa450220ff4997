//! The lock on `state_dir`: two gateways never share one.
//!
//! The kernel drops the lock with the process, however it ends.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

/// Name of the lock file in `state_dir`.
pub const LOCK: &str = "lock";

/// Held as long as the gateway uses the folder.
#[derive(Debug)]
pub struct StateLock {
    _file: Flock<File>,
}

/// Why the folder could not be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error(
        "another gateway is running with the state folder {} (see the process id in {LOCK}); stop it or give \
         this one its own state_dir",
        dir.display()
    )]
    Held {
        /// The folder.
        dir: PathBuf,
    },
    /// It cannot be used at all.
    #[error("the state folder {} cannot be used: {source}; it must be a folder we may write to", dir.display())]
    Unusable {
        /// The folder.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl StateLock {
    /// Locks `dir`, which is made if missing. The file tells people which process holds it.
    pub fn acquire(dir: &Path) -> Result<StateLock, LockError> {
        let unusable = |source| LockError::Unusable {
            dir: dir.to_owned(),
            source,
        };
        crate::observe::recordings::recording::make_dirs(dir).map_err(unusable)?;
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(dir.join(LOCK))
            .map_err(unusable)?;
        let mut file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(file) => file,
            Err((_, Errno::EWOULDBLOCK)) => return Err(LockError::Held { dir: dir.to_owned() }),
            Err((_, errno)) => return Err(unusable(errno.into())),
        };
        file.set_len(0).map_err(unusable)?;
        writeln!(file, "{}", std::process::id()).map_err(unusable)?;
        Ok(StateLock { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::testing::Scratch;

    #[test]
    fn a_state_folder_has_one_gateway() {
        let dir = Scratch::new("lock");
        let state = dir.path().join("state");
        let lock = StateLock::acquire(&state).unwrap();
        let Err(LockError::Held { dir: held }) = StateLock::acquire(&state) else {
            panic!("shared")
        };
        assert_eq!(held, state);
        drop(lock);
        StateLock::acquire(&state).unwrap();
    }

    #[test]
    fn a_file_in_place_of_the_folder_is_told() {
        let dir = Scratch::new("lock-file");
        let file = dir.path().join("state");
        std::fs::write(&file, b"").unwrap();
        assert!(matches!(
            StateLock::acquire(&file),
            Err(LockError::Unusable { .. })
        ));
    }
}
