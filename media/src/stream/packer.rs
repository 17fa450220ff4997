//! Frames of 20 ms into packets of the agreed length.
//!
//! At 20 ms nothing is kept: a frame is a packet, sent from where it lies. What is packed is payload where a byte is a
//! sample, and samples where only a whole packet can be encoded.

use crate::command::Codec;
use crate::frame::FRAME_SAMPLES;

/// Most kept: less than a packet of 60 ms, and one frame.
const KEPT_MAX: usize = 640;

/// Bytes or samples on their way to a full packet.
#[derive(Debug)]
pub struct Packer<T> {
    kept: [T; KEPT_MAX],
    len: usize,
}

impl<T: Copy + Default> Packer<T> {
    /// Nothing kept.
    pub fn new() -> Self {
        Self {
            kept: [T::default(); KEPT_MAX],
            len: 0,
        }
    }

    /// Forgets what is kept: what comes next does not follow it.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Whether a frame goes out as it is.
    pub fn passes(&self, ptime_ms: u8) -> bool {
        self.len == 0 && packet_samples(ptime_ms) == FRAME_SAMPLES
    }

    /// Keeps a frame.
    pub fn push(&mut self, frame: &[T]) {
        let Some(place) = self.kept.get_mut(self.len..self.len + frame.len()) else {
            debug_assert!(false, "full packets are taken before the next frame comes");
            return;
        };
        place.copy_from_slice(frame);
        self.len += frame.len();
    }

    /// The `index`th full packet of what is kept.
    pub fn packet(&self, index: usize, ptime_ms: u8) -> Option<&[T]> {
        let length = packet_samples(ptime_ms);
        let end = (index + 1) * length;
        if end > self.len {
            None
        } else {
            self.kept.get(index * length..end)
        }
    }

    /// Forgets the full packets; what is left begins the next.
    pub fn drop_full(&mut self, ptime_ms: u8) {
        let full = self.len - self.len % packet_samples(ptime_ms);
        self.kept.copy_within(full..self.len, 0);
        self.len -= full;
    }
}

impl<T: Copy + Default> Default for Packer<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// Samples of a packet, each of them a byte of G.711 or G.722.
fn packet_samples(ptime_ms: u8) -> usize {
    usize::from(ptime_ms.max(10)) * 8
}

/// 20 ms of silence, ready to send; none where it must be encoded.
pub fn silence(codec: Codec) -> Option<&'static [u8; FRAME_SAMPLES]> {
    match codec {
        Codec::Pcmu => Some(const { &[silence_byte(Codec::Pcmu); FRAME_SAMPLES] }),
        Codec::Pcma => Some(const { &[silence_byte(Codec::Pcma); FRAME_SAMPLES] }),
        Codec::G722 | Codec::Opus => None,
    }
}

const fn silence_byte(codec: Codec) -> u8 {
    match codec.silence_byte() {
        Some(byte) => byte,
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_goes_out_once_and_in_order_at_any_packet_length() {
        for ptime_ms in [10, 20, 30, 40, 50, 60] {
            let mut packer = Packer::new();
            let mut out = Vec::new();
            for frame in 0..60u8 {
                packer.push(&[frame; FRAME_SAMPLES]);
                let mut index = 0;
                while let Some(packet) = packer.packet(index, ptime_ms) {
                    assert_eq!(packet.len(), usize::from(ptime_ms) * 8);
                    out.extend_from_slice(packet);
                    index += 1;
                }
                packer.drop_full(ptime_ms);
            }
            let expected: Vec<_> = (0..60u8).flat_map(|frame| [frame; FRAME_SAMPLES]).collect();
            assert_eq!(out, expected, "{ptime_ms} ms");
        }
    }

    #[test]
    fn at_20_ms_a_frame_is_a_packet() {
        assert!(Packer::<u8>::new().passes(20));
        assert!(!Packer::<u8>::new().passes(10));
    }
}
