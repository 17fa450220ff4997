//! What turns samples into payload bytes and back, and what the packet path must know of each codec.
//!
//! Later codecs join as variants of [`Codec`], [`Encoder`] and [`Decoder`]; those with memory carry it in
//! their variant. Knows nothing of packets, SDP or who listens.

pub mod g711;

pub use crate::command::Codec;

impl Codec {
    /// Payload type of RFC 3551 table 4.
    pub const fn static_payload_type(self) -> u8 {
        match self {
            Codec::Pcmu => 0,
            Codec::Pcma => 8,
        }
    }

    /// Encoding name of RFC 3551.
    pub const fn name(self) -> &'static str {
        match self {
            Codec::Pcmu => "PCMU",
            Codec::Pcma => "PCMA",
        }
    }

    /// The code of a zero sample.
    pub const fn silence_byte(self) -> u8 {
        match self {
            Codec::Pcmu => 0xff,
            Codec::Pcma => 0xd5,
        }
    }

    /// Samples that `payload` holds once decoded.
    pub const fn samples_in(self, payload: &[u8]) -> usize {
        match self {
            Codec::Pcmu | Codec::Pcma => payload.len(),
        }
    }
}

/// Samples in, payload out, for one outgoing stream.
#[derive(Clone, Debug)]
pub enum Encoder {
    /// G.711 µ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
}

impl Encoder {
    /// An encoder at rest.
    pub const fn new(codec: Codec) -> Encoder {
        match codec {
            Codec::Pcmu => Encoder::Pcmu,
            Codec::Pcma => Encoder::Pcma,
        }
    }

    /// Encodes as many samples as fit and says how many bytes were written.
    pub fn encode(&mut self, samples: &[i16], payload: &mut [u8]) -> usize {
        match self {
            Encoder::Pcmu => g711::encode_ulaw(samples, payload),
            Encoder::Pcma => g711::encode_alaw(samples, payload),
        }
    }
}

/// Payload in, samples out, for one incoming stream.
#[derive(Clone, Debug)]
pub enum Decoder {
    /// G.711 µ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
}

impl Decoder {
    /// A decoder at rest.
    pub const fn new(codec: Codec) -> Decoder {
        match codec {
            Codec::Pcmu => Decoder::Pcmu,
            Codec::Pcma => Decoder::Pcma,
        }
    }

    /// Decodes as much as fits and says how many samples were written.
    pub fn decode(&mut self, payload: &[u8], samples: &mut [i16]) -> usize {
        match self {
            Decoder::Pcmu => g711::decode_ulaw(payload, samples),
            Decoder::Pcma => g711::decode_alaw(payload, samples),
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
                Decoder::new(codec).decode(&[codec.silence_byte()], &mut samples),
                1
            );
            assert_eq!(samples, [expected], "{}", codec.name());
            let mut payload = [0];
            assert_eq!(Encoder::new(codec).encode(&[0], &mut payload), 1);
            assert_eq!(payload, [codec.silence_byte()]);
        }
    }

    #[test]
    fn a_short_output_bounds_the_work() {
        assert_eq!(Encoder::new(Codec::Pcmu).encode(&[1, 2, 3], &mut [0; 2]), 2);
        assert_eq!(Decoder::new(Codec::Pcma).decode(&[1, 2, 3], &mut [0; 2]), 2);
    }
}
