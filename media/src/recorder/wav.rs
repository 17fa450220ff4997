//! WAV files that are whole at every moment: 16-bit PCM, 8000 Hz, the sizes patched after each append.
//!
//! ```text
//!  0    RIFF size WAVE | fmt␣ 16 tag=1 channels rate bytes/s align bits | data size | samples … (torn tail)
//!  ^44 bytes───────────────────────────────────────────────────────────────────────^
//! ```
//! Samples are written before the sizes, so a crash between the two leaves a valid file that lacks the last
//! append; [`MonoReader`] finds it again, and drops half a sample. Generic over `Read` and `Write`: opens no file.

use std::io::{Read, Result, Seek, SeekFrom, Write};

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

/// Reads back a file of [`MonoWriter`], torn or whole.
#[derive(Debug)]
pub struct MonoReader<R> {
    input: R,
}

impl<R: Read> MonoReader<R> {
    /// Checks the header; `None` when the file is not one of ours.
    pub fn new(mut input: R) -> Result<Option<MonoReader<R>>> {
        let mut found = [0; HEADER_BYTES as usize];
        let length = read_full(&mut input, &mut found)?;
        let expected = header(1, 0);
        // All but the two sizes.
        let is_ours = length == found.len()
            && [0..4, 8..40]
                .into_iter()
                .all(|range| found.get(range.clone()) == expected.get(range));
        Ok(is_ours.then_some(MonoReader { input }))
    }

    /// Fills `samples` as far as the file reaches and says how far; 0 at its end. The end is where the bytes
    /// end, whatever the sizes say.
    pub fn read(&mut self, samples: &mut [i16]) -> Result<usize> {
        let mut done = 0;
        for chunk in samples.chunks_mut(CHUNK_SAMPLES) {
            let mut bytes = [0; 2 * CHUNK_SAMPLES];
            let wanted = bytes.get_mut(..2 * chunk.len()).unwrap_or_default();
            let got = read_full(&mut self.input, wanted)? / 2;
            for (sample, pair) in chunk.iter_mut().zip(wanted.as_chunks::<2>().0).take(got) {
                *sample = i16::from_le_bytes(*pair);
            }
            done += got;
            if got < chunk.len() {
                break;
            }
        }
        Ok(done)
    }
}

/// One party of a finished recording.
#[derive(Debug)]
pub struct Part<R> {
    /// Its file.
    pub reader: MonoReader<R>,
    /// Samples from the recording's start to the party's.
    pub offset: u64,
}

/// Writes all parties into one file, a channel each in the order given, silent before they start and after
/// they end. Gives its length in samples per channel. Cut at what a WAV file can hold.
pub fn join<R: Read, W: Write + Seek>(parts: &mut [Part<R>], mut out: W) -> Result<u64> {
    let channels = u16::try_from(parts.len()).unwrap_or(u16::MAX).max(1);
    let length_max = DATA_BYTES_MAX / (2 * u64::from(channels));
    out.seek(SeekFrom::Start(0))?;
    out.write_all(&header(channels, 0))?;
    let mut length = 0u64;
    let mut mono = [0i16; CHUNK_SAMPLES];
    let mut woven = vec![0i16; CHUNK_SAMPLES * usize::from(channels)];
    loop {
        woven.fill(0);
        let mut reached = 0;
        let mut waits = false;
        for (channel, part) in parts.iter_mut().enumerate() {
            let skip = part.offset.saturating_sub(length);
            let skip = usize::try_from(skip).unwrap_or(CHUNK_SAMPLES).min(CHUNK_SAMPLES);
            waits |= skip == CHUNK_SAMPLES;
            let room = mono.get_mut(skip..).unwrap_or_default();
            let got = part.reader.read(room)?;
            reached = if got > 0 { reached.max(skip + got) } else { reached };
            let places = woven
                .iter_mut()
                .skip(channel)
                .step_by(usize::from(channels))
                .skip(skip);
            for (place, sample) in places.zip(room.iter().take(got)) {
                *place = *sample;
            }
        }
        let frames = if waits { CHUNK_SAMPLES } else { reached };
        let frames = usize::try_from(length_max - length).unwrap_or(frames).min(frames);
        if frames == 0 {
            break;
        }
        write_samples(
            &mut out,
            woven.get(..frames * usize::from(channels)).unwrap_or_default(),
        )?;
        length += frames as u64;
    }
    out.seek(SeekFrom::Start(0))?;
    out.write_all(&header(channels, length * 2 * u64::from(channels)))?;
    out.flush()?;
    Ok(length)
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

/// Reads until the buffer is full or the input ends.
fn read_full(input: &mut impl Read, buffer: &mut [u8]) -> Result<usize> {
    let mut done = 0;
    while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match input.read(rest) {
            Ok(0) => break,
            Ok(got) => done += got,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
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

    use proptest::prelude::*;

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

    fn part(samples: &[i16], offset: u64) -> Part<Cursor<Vec<u8>>> {
        Part {
            reader: MonoReader::new(Cursor::new(mono(samples))).unwrap().unwrap(),
            offset,
        }
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
    fn a_torn_tail_is_read_and_half_a_sample_dropped() {
        let mut bytes = mono(&[1, 2, 3]);
        // A crash after the samples and before the sizes, in the middle of a sample.
        bytes.extend([4, 0, 5]);
        let (_, by_sizes) = samples_of(&bytes);
        assert_eq!(by_sizes, [1, 2, 3]);
        let mut reader = MonoReader::new(Cursor::new(bytes)).unwrap().unwrap();
        let mut samples = [0; 10];
        assert_eq!(reader.read(&mut samples).unwrap(), 4);
        assert_eq!(samples[..4], [1, 2, 3, 4]);
        assert_eq!(reader.read(&mut samples).unwrap(), 0);
    }

    #[test]
    fn foreign_files_are_not_ours() {
        for bytes in [Vec::new(), b"RIFF".to_vec(), vec![0; 100], header(2, 0).to_vec()] {
            assert!(MonoReader::new(Cursor::new(bytes)).unwrap().is_none());
        }
    }

    #[test]
    fn parties_are_joined_where_they_began() {
        let long: Vec<i16> = (0..9000).map(|n| n as i16).collect();
        let mut parts = [
            part(&long, 0),
            part(&[7; 10], 5000),
            part(&[8; 3], 20_000),
            part(&[], 0),
        ];
        let mut out = Cursor::new(Vec::new());
        assert_eq!(join(&mut parts, &mut out).unwrap(), 20_003);
        let (channels, samples) = samples_of(&out.into_inner());
        assert_eq!(channels, 4);
        let channel = |c: usize| -> Vec<i16> { samples.iter().skip(c).step_by(4).copied().collect() };
        assert_eq!(channel(0)[..9000], long);
        assert!(channel(0)[9000..].iter().all(|s| *s == 0));
        let second = channel(1);
        assert_eq!(
            (second[4999], second[5000], second[5009], second[5010]),
            (0, 7, 7, 0)
        );
        assert_eq!(channel(2)[19_999..], [0, 8, 8, 8]);
        assert!(channel(3).iter().all(|s| *s == 0));
    }

    #[test]
    fn nothing_joins_to_an_empty_file() {
        let mut out = Cursor::new(Vec::new());
        assert_eq!(join::<Cursor<Vec<u8>>, _>(&mut [], &mut out).unwrap(), 0);
        assert_eq!(samples_of(&out.into_inner()), (1, Vec::new()));
    }

    #[test]
    fn sizes_beyond_thirty_two_bits_are_cut() {
        assert_eq!(header(1, u64::MAX)[40..], (DATA_BYTES_MAX as u32).to_le_bytes());
    }

    proptest! {
        #[test]
        fn joining_keeps_every_sample(
            parties in proptest::collection::vec(
                (0u64..9000, proptest::collection::vec(1i16..i16::MAX, 0..9000)), 1..4),
        ) {
            let mut parts: Vec<_> = parties.iter().map(|(offset, samples)| part(samples, *offset)).collect();
            let mut out = Cursor::new(Vec::new());
            join(&mut parts, &mut out).unwrap();
            let (channels, woven) = samples_of(&out.into_inner());
            for (n, (offset, samples)) in parties.iter().enumerate() {
                let channel: Vec<i16> =
                    woven.iter().skip(n).step_by(usize::from(channels)).copied().collect();
                let start = (*offset as usize).min(channel.len());
                prop_assert!(channel[..start].iter().all(|s| *s == 0));
                prop_assert_eq!(&channel[start..(start + samples.len()).min(channel.len())], &samples[..]);
            }
        }
    }
}
