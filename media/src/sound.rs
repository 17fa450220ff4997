//! A prompt or piece of music, decoded and encoded once for everyone who will ever hear it.
//!
//! Made at load, shared behind `Arc`, never changed. Knows nothing of file names or listeners.

mod music;
mod resample;
mod wav;

pub use music::builtin_music;
pub use wav::{SoundError, SoundLimits};

use crate::codec::{Codec, g711};
use crate::frame::ms_of_samples;

/// 8000 Hz mono audio with its G.711 payloads.
#[derive(Clone, PartialEq, Eq)]
pub struct Sound {
    pcm: Box<[i16]>,
    pcmu: Box<[u8]>,
    pcma: Box<[u8]>,
}

impl Sound {
    /// From 8000 Hz mono samples.
    pub fn from_pcm(samples: Vec<i16>) -> Sound {
        let mut pcmu = vec![0; samples.len()].into_boxed_slice();
        let mut pcma = vec![0; samples.len()].into_boxed_slice();
        g711::encode_ulaw(&samples, &mut pcmu);
        g711::encode_alaw(&samples, &mut pcma);
        Sound {
            pcm: samples.into_boxed_slice(),
            pcmu,
            pcma,
        }
    }

    /// From a WAV file of any rate from 8 to 48 kHz, 8- to 32-bit or floating point, any number of channels.
    pub fn from_wav(bytes: &[u8], limits: SoundLimits) -> Result<Sound, SoundError> {
        wav::read(bytes, limits).map(Sound::from_pcm)
    }

    /// The samples.
    pub fn pcm(&self) -> &[i16] {
        &self.pcm
    }

    /// The payload bytes in a codec, one byte a sample; none where a payload depends on those before it.
    pub fn encoded(&self, codec: Codec) -> Option<&[u8]> {
        match codec {
            Codec::Pcmu => Some(&self.pcmu),
            Codec::Pcma => Some(&self.pcma),
            Codec::G722 | Codec::Opus => None,
        }
    }

    /// Length in milliseconds, rounded down.
    pub fn len_ms(&self) -> u64 {
        ms_of_samples(self.pcm.len() as u64)
    }
}

impl std::fmt::Debug for Sound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sound").field("samples", &self.pcm.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_are_the_samples_encoded() {
        let sound = Sound::from_pcm(vec![0, 1000, -1000, i16::MAX, i16::MIN]);
        let mut decoded = [0; 5];
        g711::decode_ulaw(sound.encoded(Codec::Pcmu).unwrap(), &mut decoded);
        assert_eq!(decoded, [0, 988, -988, 32_124, -32_124]);
        g711::decode_alaw(sound.encoded(Codec::Pcma).unwrap(), &mut decoded);
        assert_eq!(decoded, [8, 1008, -1008, 32_256, -32_256]);
        assert_eq!(sound.len_ms(), 0);
        assert_eq!(Sound::from_pcm(vec![0; 8007]).len_ms(), 1000);
    }
}
