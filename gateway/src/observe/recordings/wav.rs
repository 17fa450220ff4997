//! WAV files on disk: safely made, and repaired after a crash.
//!
//! The parties' files grow by [`media::recorder::wav::MonoWriter`]. Knows nothing of calls or recordings.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use media::recorder::wav::{DATA_BYTES_MAX, HEADER_BYTES, header};
use nix::fcntl::OFlag;

/// Makes a file that did not exist, readable by its owner only, and never through a symbolic link.
pub fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(OFlag::O_NOFOLLOW.bits())
        .open(path)
}

/// Brings a mono file's header in line with its length, as after a crash between samples and header.
/// Returns the samples in it. A file shorter than a header becomes one without samples.
pub fn repair(path: &Path) -> io::Result<u64> {
    let file = OpenOptions::new()
        .write(true)
        .custom_flags(OFlag::O_NOFOLLOW.bits())
        .open(path)?;
    let data_bytes = file
        .metadata()?
        .len()
        .saturating_sub(HEADER_BYTES)
        .min(DATA_BYTES_MAX)
        & !1;
    file.write_all_at(&header(1, data_bytes), 0)?;
    file.set_len(HEADER_BYTES + data_bytes)?;
    file.sync_all()?;
    Ok(data_bytes / 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::testing::Scratch;
    use media::recorder::wav::MonoWriter;

    /// What a plain reader makes of a WAV: declared lengths must fit in the file.
    fn read(path: &Path) -> Vec<i16> {
        let reader = std::fs::read(path).unwrap();
        let length = |at: usize| u32::from_le_bytes(reader[at..at + 4].try_into().unwrap()) as usize;
        let (riff, data) = (length(4), length(40));
        assert_eq!((&reader[..4], riff), (&b"RIFF"[..], data + 36));
        assert!(
            HEADER_BYTES as usize + data <= reader.len(),
            "declares more than is there"
        );
        let samples = reader[44..44 + data].chunks_exact(2);
        samples
            .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
            .collect()
    }

    #[test]
    fn repair_counts_what_is_there() {
        let dir = Scratch::new("wav-repair");
        let path = dir.path().join("a.wav");
        let mut wav = MonoWriter::new(create_new(&path).unwrap()).unwrap();
        wav.append(0, &[1, 2, 3]).unwrap();
        // A block whose header never came, torn in the middle of a sample.
        wav.into_inner()
            .write_all_at(&[4, 0, 5], HEADER_BYTES + 6)
            .unwrap();
        assert_eq!(read(&path), [1, 2, 3]);
        assert_eq!(repair(&path).unwrap(), 4);
        assert_eq!(read(&path), [1, 2, 3, 4]);
        std::fs::write(&path, b"RIFF").unwrap();
        assert_eq!(repair(&path).unwrap(), 0);
        assert_eq!(read(&path), Vec::<i16>::new());
    }

    #[test]
    fn an_existing_file_is_never_opened() {
        let dir = Scratch::new("wav-exclusive");
        let path = dir.path().join("a.wav");
        std::os::unix::fs::symlink("/etc/hostname", &path).unwrap();
        assert_eq!(
            create_new(&path).unwrap_err().kind(),
            io::ErrorKind::AlreadyExists
        );
    }
}
