//! WAV files that are whole at every moment: 16-bit PCM, 8000 Hz, the sizes patched after each append.
//!
//! ```text
//!  0    RIFF size WAVE | fmt␣ 16 tag=1 channels rate bytes/s align bits | data size | samples … (torn tail)
//!  ^44 bytes───────────────────────────────────────────────────────────────────────^
//! ```
//! Samples are written before the sizes, so a crash between the two leaves a valid file that lacks the last
//! append. Generic over `Write`: opens no file.

use std::io::{Result, Seek, SeekFrom, Write};

use crate::frame::RATE_HZ;

/// One party's file while it grows.
#[derive(Debug)]
pub struct MonoWriter<W> {
    out: W,
    /// Samples written.
    length: u64,
}

impl<W: Write + Seek> MonoWriter<W> {
    /// Writes the header of an empty file.
    pub fn new(mut out: W) -> Result<MonoWriter<W>> {
        out.seek(SeekFrom::Start(0))?;
        out.write_all(&header(1, 0))?;
        Ok(MonoWriter { out, length: 0 })
    }

    /// Writes samples at their place; what lies between the end and `position` becomes silence. Samples that
    /// would lie before the end are dropped. Then patches the sizes.
    pub fn append(&mut self, position: u64, samples: &[i16]) -> Result<()> {
        let overlap = usize::try_from(self.length.saturating_sub(position)).unwrap_or(usize::MAX);
        let samples = samples.get(overlap..).unwrap_or_default();
        self.out.seek(SeekFrom::Start(HEADER_BYTES + 2 * self.length))?;
        self.fill_to(position)?;
        write_samples(&mut self.out, samples)?;
        self.length += samples.len() as u64;
        self.patch()
    }

    /// Samples in the file.
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Whether no sample was written.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Gives the file back, for `sync_all` and closing.
    pub fn into_inner(self) -> W {
        self.out
    }

    fn fill_to(&mut self, position: u64) -> Result<()> {
        let zeros = [0; CHUNK_SAMPLES];
        while self.length < position {
            let left = usize::try_from(position - self.length).unwrap_or(CHUNK_SAMPLES);
            let part = zeros.get(..left).unwrap_or(&zeros);
            write_samples(&mut self.out, part)?;
            self.length += part.len() as u64;
        }
        Ok(())
    }

    fn patch(&mut self) -> Result<()> {
        self.out.seek(SeekFrom::Start(0))?;
        self.out.write_all(&header(1, self.length.saturating_mul(2)))?;
        self.out.flush()
    }
}

/// The 44 bytes before the samples.
pub fn header(channels: u16, data_bytes: u64) -> [u8; HEADER_BYTES as usize] {
    let data_bytes = data_bytes.min(DATA_BYTES_MAX) as u32;
    let align = channels.saturating_mul(2);
    let mut bytes = [0; HEADER_BYTES as usize];
    let fields: [&[u8]; 13] = [
        b"RIFF",
        &(data_bytes + HEADER_BYTES as u32 - 8).to_le_bytes(),
        b"WAVE",
        b"fmt ",
        &16u32.to_le_bytes(),
        &1u16.to_le_bytes(),
        &channels.to_le_bytes(),
        &RATE_HZ.to_le_bytes(),
        &(RATE_HZ * u32::from(align)).to_le_bytes(),
        &align.to_le_bytes(),
        &16u16.to_le_bytes(),
        b"data",
        &data_bytes.to_le_bytes(),
    ];
    for (place, byte) in bytes.iter_mut().zip(fields.into_iter().flatten()) {
        *place = *byte;
    }
    bytes
}

fn write_samples(out: &mut impl Write, samples: &[i16]) -> Result<()> {
    let mut bytes = [0; 2 * CHUNK_SAMPLES];
    for chunk in samples.chunks(CHUNK_SAMPLES) {
        for (pair, sample) in bytes.as_chunks_mut::<2>().0.iter_mut().zip(chunk) {
            *pair = sample.to_le_bytes();
        }
        out.write_all(bytes.get(..2 * chunk.len()).unwrap_or_default())?;
    }
    Ok(())
}

/// Bytes before the samples.
pub const HEADER_BYTES: u64 = 44;
/// Bytes of samples a WAV file can hold: its sizes have 32 bits. 149 h of one party; the last whole frame of
/// 8 channels below it.
pub const DATA_BYTES_MAX: u64 = (u32::MAX as u64 - HEADER_BYTES) / 16 * 16;
const CHUNK_SAMPLES: usize = 4096;

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn samples_of(bytes: &[u8]) -> (u16, Vec<i16>) {
        let reader = hound::WavReader::new(Cursor::new(bytes)).unwrap();
        let spec = reader.spec();
        assert_eq!((spec.sample_rate, spec.bits_per_sample), (8000, 16));
        (
            spec.channels,
            reader.into_samples::<i16>().map(|s| s.unwrap()).collect(),
        )
    }

    fn mono(samples: &[i16]) -> Vec<u8> {
        let mut writer = MonoWriter::new(Cursor::new(Vec::new())).unwrap();
        writer.append(0, samples).unwrap();
        writer.into_inner().into_inner()
    }

    #[test]
    fn the_file_is_whole_after_every_append() {
        let mut writer = MonoWriter::new(Cursor::new(Vec::new())).unwrap();
        assert!(writer.is_empty());
        for n in 0..5u64 {
            let bytes = writer.out.get_ref().clone();
            let (channels, samples) = samples_of(&bytes);
            assert_eq!((channels, samples.len() as u64), (1, n * 1600));
            writer.append(n * 1600, &[n as i16; 1600]).unwrap();
        }
        assert_eq!(writer.len(), 8000);
    }

    #[test]
    fn gaps_are_silent_and_overlaps_dropped() {
        let mut writer = MonoWriter::new(Cursor::new(Vec::new())).unwrap();
        writer.append(2, &[5, 5]).unwrap();
        writer.append(3, &[6, 6, 6]).unwrap();
        writer.append(10_000, &[7]).unwrap();
        writer.append(0, &[9]).unwrap();
        let (_, samples) = samples_of(&writer.into_inner().into_inner());
        assert_eq!(samples[..6], [0, 0, 5, 5, 6, 6]);
        assert_eq!((samples.len(), samples[10_000]), (10_001, 7));
        assert!(samples[6..10_000].iter().all(|s| *s == 0));
    }

    #[test]
    fn what_the_sizes_do_not_count_is_not_read() {
        let mut bytes = mono(&[1, 2, 3]);
        // A crash after the samples and before the sizes, in the middle of a sample.
        bytes.extend([4, 0, 5]);
        assert_eq!(samples_of(&bytes), (1, vec![1, 2, 3]));
    }

    #[test]
    fn sizes_beyond_thirty_two_bits_are_cut() {
        assert_eq!(header(1, u64::MAX)[40..], (DATA_BYTES_MAX as u32).to_le_bytes());
    }
}
