//! The joined recording as samples, and what each of its channels holds.

use super::DemoError;
use super::cast::{Party, Speaker};
use crate::phone::voice::{self, SLICE_SAMPLES};

/// One party's side of the call.
pub struct Channel {
    /// Who speaks.
    pub party: Party,
    /// What was said.
    pub samples: Vec<i16>,
}

impl Channel {
    /// The part of its slices in which it speaks, 0 to 1.
    pub fn speaking(&self) -> f32 {
        let own = voice::listen(&self.samples, &Speaker::Party(self.party).voice());
        own.present as f32 / own.slices.max(1) as f32
    }

    /// Whoever else is in it; nobody should be.
    pub fn strangers(&self) -> Vec<Speaker> {
        let others = Speaker::ALL
            .into_iter()
            .filter(|speaker| *speaker != Speaker::Party(self.party));
        others
            .filter(|speaker| !voice::listen(&self.samples, &speaker.voice()).is_absent())
            .collect()
    }

    /// It holds its party and nobody else.
    pub fn is_right(&self) -> bool {
        self.samples.len() >= SLICE_SAMPLES && self.speaking() > 0.0 && self.strangers().is_empty()
    }
}

/// Takes a 16-bit PCM file apart, one channel per party.
pub fn channels(wav: &[u8], parties: &[Party]) -> Result<Vec<Channel>, DemoError> {
    let format = chunk(wav, b"fmt ").ok_or(DemoError::NotWav)?;
    let data = chunk(wav, b"data").ok_or(DemoError::NotWav)?;
    let (Some(count), Some(bits)) = (number(format, 2), number(format, 14)) else {
        return Err(DemoError::NotWav);
    };
    if usize::from(count) != parties.len() || bits != 16 {
        return Err(DemoError::NotWav);
    }
    let frames = data.chunks_exact(2 * usize::from(count));
    let channels = parties.iter().enumerate().map(|(index, party)| Channel {
        party: *party,
        samples: frames
            .clone()
            .filter_map(|frame| number(frame, 2 * index))
            .map(u16::cast_signed)
            .collect(),
    });
    Ok(channels.collect())
}

/// The body of a RIFF chunk.
fn chunk<'a>(wav: &'a [u8], name: &[u8; 4]) -> Option<&'a [u8]> {
    let mut rest = wav.strip_prefix(b"RIFF")?.get(4..)?.strip_prefix(b"WAVE")?;
    loop {
        let (id, after) = rest.split_first_chunk::<4>()?;
        let (length, body) = after.split_first_chunk::<4>()?;
        let length = u32::from_le_bytes(*length) as usize;
        if id == name {
            return body.get(..length);
        }
        // Chunks begin at even places.
        rest = body.get(length.checked_add(length % 2)?..)?;
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u16> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|pair| u16::from_le_bytes(*pair))
}

#[cfg(test)]
mod tests {
    use media::Tone;
    use media::tone::render;

    use super::*;
    use media::recorder::wav;

    fn tone(party: Party) -> Vec<i16> {
        let mut samples = vec![0; 8_000];
        let tone = Tone {
            frequencies_hz: (party.tone_hz(), 0.0),
            level_dbov: -16.0,
            cadence_ms: Vec::new(),
            duration_ms: None,
        };
        render(&tone, 0, &mut samples);
        samples
    }

    fn joined(channels: &[&[i16]]) -> Vec<u8> {
        let frames = (0..channels[0].len()).flat_map(|at| channels.iter().map(move |channel| channel[at]));
        let data: Vec<u8> = frames.flat_map(i16::to_le_bytes).collect();
        let mut file = wav::header(channels.len() as u16, data.len() as u64).to_vec();
        file.extend(data);
        file
    }

    #[test]
    fn channels_come_apart_and_hold_their_own_party() {
        let file = joined(&[&tone(Party::Customer), &tone(Party::Agent1)]);
        let apart = channels(&file, &[Party::Customer, Party::Agent1]).unwrap();
        assert_eq!(apart[0].samples, tone(Party::Customer));
        assert!(apart.iter().all(Channel::is_right));
        let swapped = channels(&file, &[Party::Agent1, Party::Customer]).unwrap();
        assert_eq!(swapped[0].strangers(), [Speaker::Party(Party::Customer)]);
        assert!(!swapped[0].is_right());
    }

    #[test]
    fn what_is_no_file_of_ours_is_refused() {
        let file = joined(&[&[1, 2, 3]]);
        assert!(channels(&file, &[Party::Customer]).is_ok());
        assert!(channels(&file, &[Party::Customer, Party::Agent1]).is_err());
        assert!(channels(&file[..40], &[Party::Customer]).is_err());
        assert!(channels(b"", &[]).is_err());
    }
}
