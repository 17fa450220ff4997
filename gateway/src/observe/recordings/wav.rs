//! 16-bit PCM WAV files of our own writing: one that grows and is valid at every moment, and the header.
//!
//! Samples are written first and the header's lengths after them, so that whoever reads the file in
//! between, or after a crash, finds a whole RIFF file that lacks at most the last block. Knows
//! nothing of calls or recordings.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use nix::fcntl::OFlag;

/// Bytes before the first sample: RIFF, fmt and data chunk headers.
pub const HEADER_BYTES: usize = 44;

/// Samples a second of everything recorded: the clock of G.711.
pub const RATE_HZ: u32 = 8_000;

/// Longest data chunk: the RIFF length has 32 bits and counts 36 bytes of header too.
pub const DATA_BYTES_MAX: u64 = (u32::MAX - 36) as u64 & !1;

/// The 44 bytes before `data_bytes` of interleaved 16-bit samples.
pub fn header(channels: u16, data_bytes: u32) -> [u8; HEADER_BYTES] {
    let frame_bytes = channels.saturating_mul(2);
    let mut bytes = [0; HEADER_BYTES];
    let fields: [&[u8]; 13] = [
        b"RIFF",
        &data_bytes.saturating_add(36).to_le_bytes(),
        b"WAVE",
        b"fmt ",
        &16u32.to_le_bytes(),
        &1u16.to_le_bytes(),
        &channels.to_le_bytes(),
        &RATE_HZ.to_le_bytes(),
        &(RATE_HZ * u32::from(frame_bytes)).to_le_bytes(),
        &frame_bytes.to_le_bytes(),
        &16u16.to_le_bytes(),
        b"data",
        &data_bytes.to_le_bytes(),
    ];
    for (to, from) in bytes.iter_mut().zip(fields.into_iter().flatten()) {
        *to = *from;
    }
    bytes
}

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

/// A mono file that is appended to. Owns the file; its header always tells what is there.
#[derive(Debug)]
pub struct GrowingWav {
    file: File,
    samples: u64,
    scratch: Vec<u8>,
}

impl GrowingWav {
    /// A new file with no samples.
    pub fn create(path: &Path) -> io::Result<GrowingWav> {
        let file = create_new(path)?;
        file.write_all_at(&header(1, 0), 0)?;
        Ok(GrowingWav {
            file,
            samples: 0,
            scratch: Vec::new(),
        })
    }

    /// Writes `samples` so that the first lies at `position` on the track's own time line. A gap before
    /// it is silence and costs no disk; what would lie before the file's end is cut off.
    pub fn write(&mut self, position: u64, samples: &[i16]) -> io::Result<()> {
        let known = self.samples.saturating_sub(position);
        let fresh = samples
            .get(usize::try_from(known).unwrap_or(usize::MAX)..)
            .unwrap_or(&[]);
        let position = position.max(self.samples);
        let end = position + fresh.len() as u64;
        if end * 2 > DATA_BYTES_MAX {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                "longer than a WAV file can be",
            ));
        }
        if fresh.is_empty() {
            return Ok(());
        }
        self.scratch.clear();
        self.scratch
            .extend(fresh.iter().flat_map(|sample| sample.to_le_bytes()));
        self.file
            .write_all_at(&self.scratch, HEADER_BYTES as u64 + position * 2)?;
        self.file.write_all_at(&header(1, (end * 2) as u32), 0)?;
        self.samples = end;
        Ok(())
    }

    /// Samples written, silence of gaps included.
    pub fn samples(&self) -> u64 {
        self.samples
    }
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
        .saturating_sub(HEADER_BYTES as u64)
        .min(DATA_BYTES_MAX)
        & !1;
    file.write_all_at(&header(1, data_bytes as u32), 0)?;
    file.set_len(HEADER_BYTES as u64 + data_bytes)?;
    file.sync_all()?;
    Ok(data_bytes / 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::testing::Scratch;

    /// What a plain reader makes of a WAV: declared lengths must fit in the file.
    fn read(path: &Path) -> Vec<i16> {
        let bytes = std::fs::read(path).unwrap();
        let riff = u32::from_le_bytes(bytes[4..8].try_into().unwrap()) as usize;
        let data = u32::from_le_bytes(bytes[40..44].try_into().unwrap()) as usize;
        assert_eq!(&bytes[..4], b"RIFF");
        assert_eq!(riff, data + 36);
        assert!(HEADER_BYTES + data <= bytes.len(), "declares more than is there");
        bytes[44..44 + data]
            .chunks_exact(2)
            .map(|b| i16::from_le_bytes([b[0], b[1]]))
            .collect()
    }

    #[test]
    fn a_growing_file_is_whole_after_every_block() {
        let dir = Scratch::new("wav-grows");
        let path = dir.path().join("a.wav");
        let mut wav = GrowingWav::create(&path).unwrap();
        assert_eq!(read(&path), Vec::<i16>::new());
        for block in 0..5 {
            wav.write(block * 3, &[block as i16; 3]).unwrap();
            assert_eq!(read(&path).len() as u64, (block + 1) * 3);
        }
        assert_eq!(wav.samples(), 15);
        assert_eq!(read(&path)[12..], [4, 4, 4]);
    }

    #[test]
    fn a_gap_is_silence_and_an_overlap_is_cut() {
        let dir = Scratch::new("wav-gap");
        let path = dir.path().join("a.wav");
        let mut wav = GrowingWav::create(&path).unwrap();
        wav.write(2, &[7, 7]).unwrap();
        wav.write(3, &[9, 9, 9]).unwrap();
        wav.write(0, &[5]).unwrap();
        assert_eq!(read(&path), [0, 0, 7, 7, 9, 9]);
    }

    #[test]
    fn what_a_wav_cannot_hold_is_refused() {
        let dir = Scratch::new("wav-long");
        let mut wav = GrowingWav::create(&dir.path().join("a.wav")).unwrap();
        assert_eq!(
            wav.write(DATA_BYTES_MAX / 2, &[1]).unwrap_err().kind(),
            io::ErrorKind::FileTooLarge
        );
    }

    #[test]
    fn repair_counts_what_is_there() {
        let dir = Scratch::new("wav-repair");
        let path = dir.path().join("a.wav");
        let mut wav = GrowingWav::create(&path).unwrap();
        wav.write(0, &[1, 2, 3]).unwrap();
        // A block whose header never came, torn in the middle of a sample.
        wav.file
            .write_all_at(&[4, 0, 5], HEADER_BYTES as u64 + 6)
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
            GrowingWav::create(&path).unwrap_err().kind(),
            io::ErrorKind::AlreadyExists
        );
    }
}
