//! What turns samples into payload bytes and back, and what the packet path must know of each codec.
//!
//! Later codecs join as variants of [`Codec`], [`Encoder`] and [`Decoder`]; those with memory carry it in
//! their variant. Knows nothing of packets, SDP or who listens.

pub mod g711;
pub mod g722;
pub mod opus;
mod resample;

use resample::{Doubler, Halver};

pub use crate::command::Codec;
use crate::frame::RATE_HZ;
use crate::rtp::ClockRate;

impl Codec {
    /// Payload type of RFC 3551 table 4; for Opus, which has none, that of our offers.
    pub const fn static_payload_type(self) -> u8 {
        match self {
            Codec::Pcmu => 0,
            Codec::Pcma => 8,
            Codec::G722 => 9,
            Codec::Opus => 96,
        }
    }

    /// Encoding name of RFC 3551.
    pub const fn name(self) -> &'static str {
        match self {
            Codec::Pcmu => "PCMU",
            Codec::Pcma => "PCMA",
            Codec::G722 => "G722",
            Codec::Opus => "opus",
        }
    }

    /// The code of a zero sample; none where a byte says something only after those before it.
    pub const fn silence_byte(self) -> Option<u8> {
        match self {
            Codec::Pcmu => Some(0xff),
            Codec::Pcma => Some(0xd5),
            Codec::G722 | Codec::Opus => None,
        }
    }

    /// The clock of its RTP timestamps.
    pub const fn clock(self) -> ClockRate {
        match self {
            Codec::Pcmu | Codec::Pcma | Codec::G722 => ClockRate::NARROWBAND,
            Codec::Opus => ClockRate::OPUS,
        }
    }

    /// Units of its RTP clock in one sample of 8000 Hz.
    pub const fn units_per_sample(self) -> u32 {
        self.clock().hz() / RATE_HZ
    }

    /// Whether a payload can be read only as a whole: it is no row of samples.
    pub const fn is_framed(self) -> bool {
        match self {
            Codec::Pcmu | Codec::Pcma | Codec::G722 => false,
            Codec::Opus => true,
        }
    }

    /// The packet length sent where `ptime_ms` is agreed: a framed codec has its own, and takes the next below.
    pub const fn packet_ms(self, ptime_ms: u8) -> u8 {
        match (self, ptime_ms) {
            (Codec::Opus, 30) => 20,
            (Codec::Opus, 50) => 40,
            (Codec::Pcmu | Codec::Pcma | Codec::G722 | Codec::Opus, _) => ptime_ms,
        }
    }

    /// Samples of 8000 Hz that `payload` holds once decoded.
    pub fn samples_in(self, payload: &[u8]) -> usize {
        match self {
            Codec::Pcmu | Codec::Pcma | Codec::G722 => payload.len(),
            Codec::Opus => opus::samples_in(payload),
        }
    }
}

/// Samples in, payload out, for one outgoing stream. What a codec remembers is taken at the start.
#[derive(Debug)]
pub enum Encoder {
    /// G.711 µ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
    /// G.722, with the way up to its 16 kHz.
    G722(Box<(Doubler, g722::Encoder)>),
    /// Opus.
    Opus(opus::Encoder),
}

impl Encoder {
    /// An encoder at rest.
    pub fn new(codec: Codec) -> Encoder {
        match codec {
            Codec::Pcmu => Encoder::Pcmu,
            Codec::Pcma => Encoder::Pcma,
            Codec::G722 => Encoder::G722(Box::new((Doubler::new(), g722::Encoder::new()))),
            Codec::Opus => Encoder::Opus(opus::Encoder::new()),
        }
    }

    /// What it encodes to.
    pub const fn codec(&self) -> Codec {
        match self {
            Encoder::Pcmu => Codec::Pcmu,
            Encoder::Pcma => Codec::Pcma,
            Encoder::G722(_) => Codec::G722,
            Encoder::Opus(_) => Codec::Opus,
        }
    }

    /// Encodes as many samples as fit and says how many bytes were written. What is framed takes one packet's at a time.
    pub fn encode(&mut self, samples: &[i16], payload: &mut [u8]) -> usize {
        match self {
            Encoder::Pcmu => g711::encode_ulaw(samples, payload),
            Encoder::Pcma => g711::encode_alaw(samples, payload),
            Encoder::G722(state) => {
                let (doubler, encoder) = &mut **state;
                for (byte, sample) in payload.iter_mut().zip(samples) {
                    *byte = encoder.encode(doubler.push(*sample));
                }
                samples.len().min(payload.len())
            }
            Encoder::Opus(encoder) => encoder.encode(samples, payload),
        }
    }
}

/// Payload in, samples out, for one incoming stream. What a codec remembers is taken at the start.
#[derive(Debug)]
pub enum Decoder {
    /// G.711 µ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
    /// G.722, with the way down from its 16 kHz.
    G722(Box<(Halver, g722::Decoder)>),
    /// Opus.
    Opus(opus::Decoder),
}

impl Decoder {
    /// A decoder at rest.
    pub fn new(codec: Codec) -> Decoder {
        match codec {
            Codec::Pcmu => Decoder::Pcmu,
            Codec::Pcma => Decoder::Pcma,
            Codec::G722 => Decoder::G722(Box::new((Halver::new(), g722::Decoder::new()))),
            Codec::Opus => Decoder::Opus(opus::Decoder::new()),
        }
    }

    /// What it decodes.
    pub const fn codec(&self) -> Codec {
        match self {
            Decoder::Pcmu => Codec::Pcmu,
            Decoder::Pcma => Codec::Pcma,
            Decoder::G722(_) => Codec::G722,
            Decoder::Opus(_) => Codec::Opus,
        }
    }

    /// Fills the packet lost just before `next` from what `next` says of it; false: it says nothing.
    pub fn recover(&mut self, next: &[u8], samples: &mut [i16]) -> bool {
        match self {
            Decoder::Pcmu | Decoder::Pcma | Decoder::G722(_) => false,
            Decoder::Opus(decoder) => decoder.recover(next, samples),
        }
    }

    /// Decodes as much as fits and says how many samples were written.
    pub fn decode(&mut self, payload: &[u8], samples: &mut [i16]) -> usize {
        match self {
            Decoder::Pcmu => g711::decode_ulaw(payload, samples),
            Decoder::Pcma => g711::decode_alaw(payload, samples),
            Decoder::G722(state) => {
                let (halver, decoder) = &mut **state;
                for (sample, byte) in samples.iter_mut().zip(payload) {
                    *sample = halver.push(decoder.decode(*byte));
                }
                samples.len().min(payload.len())
            }
            Decoder::Opus(decoder) => decoder.decode(payload, samples),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_bytes_decode_to_the_quietest_sample() {
        for (codec, expected) in [(Codec::Pcmu, 0), (Codec::Pcma, 8)] {
            let mut samples = [99];
            assert_eq!(
                Decoder::new(codec).decode(&[codec.silence_byte().unwrap()], &mut samples),
                1
            );
            assert_eq!(samples, [expected], "{}", codec.name());
            let mut payload = [0];
            assert_eq!(Encoder::new(codec).encode(&[0], &mut payload), 1);
            assert_eq!(payload, [codec.silence_byte().unwrap()]);
        }
    }

    #[test]
    fn a_short_output_bounds_the_work() {
        assert_eq!(Encoder::new(Codec::Pcmu).encode(&[1, 2, 3], &mut [0; 2]), 2);
        assert_eq!(Decoder::new(Codec::Pcma).decode(&[1, 2, 3], &mut [0; 2]), 2);
    }
}
