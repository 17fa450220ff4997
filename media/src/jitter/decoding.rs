//! One stream's decoders, and the packet that is played in parts where it can only be decoded whole.
//!
//! Knows nothing of when what is played.

use super::slots::{PACKET_SAMPLES_MAX, Waiting};
use crate::codec::{Codec, Decoder};

/// The decoder in use and the one before it: a peer that goes back and forth makes us take no new memory.
pub(super) struct Decoding {
    decoder: Decoder,
    spare: Decoder,
    held: Held,
}

/// Samples of a packet decoded whole.
struct Held {
    /// Where they begin; none: nothing is held.
    start: Option<i64>,
    samples: [i16; PACKET_SAMPLES_MAX],
}

impl Decoding {
    pub fn new() -> Decoding {
        Decoding {
            decoder: Decoder::new(Codec::Pcmu),
            spare: Decoder::new(Codec::Pcma),
            held: Held {
                start: None,
                samples: [0; PACKET_SAMPLES_MAX],
            },
        }
    }

    /// Fills `part` with what waits at `position`.
    pub fn decode(&mut self, waiting: &Waiting<'_>, position: i64, part: &mut [i16]) {
        self.choose(waiting.codec);
        if !waiting.codec.is_framed() {
            self.decoder.decode(waiting.payload, part);
            return;
        }
        if self.held.start != Some(waiting.start) {
            self.held.start = Some(waiting.start);
            let given = self.decoder.decode(waiting.payload, &mut self.held.samples);
            self.held
                .samples
                .iter_mut()
                .skip(given)
                .for_each(|sample| *sample = 0);
        }
        let skipped = usize::try_from(position - waiting.start).unwrap_or(PACKET_SAMPLES_MAX);
        for (sample, held) in part.iter_mut().zip(self.held.samples.iter().skip(skipped)) {
            *sample = *held;
        }
    }

    /// Fills what was lost just before `next` from what it says of it; false: it says nothing.
    pub fn recover(&mut self, next: &Waiting<'_>, part: &mut [i16]) -> bool {
        next.codec.is_framed()
            && self.decoder.codec() == next.codec
            && self.held.start != Some(next.start)
            && self.decoder.recover(next.payload, part)
    }

    fn choose(&mut self, codec: Codec) {
        if self.decoder.codec() == codec {
            return;
        }
        if self.spare.codec() != codec {
            self.spare = Decoder::new(codec);
        }
        std::mem::swap(&mut self.decoder, &mut self.spare);
        self.held.start = None;
    }
}
