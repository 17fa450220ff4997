//! Opus (RFC 6716) by libopus, mono at the 8 kHz of the mixer; the library itself converts from and to what the far side
//! hears (RFC 7587 §4.1).
//!
//! All memory is taken when an encoder or decoder is made. Knows nothing of packets' order or of who listens.

use audiopus::coder::{Decoder as LibDecoder, Encoder as LibEncoder};
use audiopus::{Application, Bitrate, Channels, MutSignals, SampleRate};

/// Samples to packets. Where the library had no memory for it, every packet is empty.
#[derive(Debug)]
pub struct Encoder(Option<LibEncoder>);

impl Encoder {
    /// At rest.
    pub fn new() -> Encoder {
        Encoder(prepared().ok())
    }

    /// Encodes one packet of 10, 20, 40 or 60 ms and says how long it is; 0: there is none.
    pub fn encode(&mut self, samples: &[i16], payload: &mut [u8]) -> usize {
        let encoder = self.0.as_ref();
        encoder
            .and_then(|encoder| encoder.encode(samples, payload).ok())
            .unwrap_or(0)
    }
}

fn prepared() -> audiopus::Result<LibEncoder> {
    let mut encoder = LibEncoder::new(SampleRate::Hz8000, Channels::Mono, Application::Voip)?;
    encoder.set_bitrate(Bitrate::BitsPerSecond(BITRATE))?;
    encoder.set_complexity(COMPLEXITY)?;
    encoder.set_inband_fec(true)?;
    encoder.set_packet_loss_perc(EXPECTED_LOSS_PERCENT)?;
    Ok(encoder)
}

/// Packets to samples of 8 kHz. Where the library had no memory for it, all is silence.
#[derive(Debug)]
pub struct Decoder(Option<LibDecoder>);

impl Decoder {
    /// At rest.
    pub fn new() -> Decoder {
        Decoder(LibDecoder::new(SampleRate::Hz8000, Channels::Mono).ok())
    }

    /// Decodes a packet and says how many samples it gave. One that cannot be decoded is silence of its length.
    pub fn decode(&mut self, payload: &[u8], samples: &mut [i16]) -> usize {
        if let Some(given) = self.run(payload, samples, false) {
            return given;
        }
        let length = samples_in(payload).min(samples.len());
        samples.iter_mut().take(length).for_each(|sample| *sample = 0);
        length
    }

    /// Fills the samples of the packet lost just before `next` from what `next` repeats of it (RFC 6716 §2.1.7).
    /// False: this length cannot be.
    pub fn recover(&mut self, next: &[u8], samples: &mut [i16]) -> bool {
        samples.len().is_multiple_of(SHORTEST_SAMPLES)
            && samples.len() <= LONGEST_FRAME_SAMPLES
            && self.run(next, samples, true) == Some(samples.len())
    }

    fn run(&mut self, payload: &[u8], samples: &mut [i16], is_recovery: bool) -> Option<usize> {
        let packet = payload.try_into().ok()?;
        let place = MutSignals::try_from(samples).ok()?;
        self.0.as_mut()?.decode(Some(packet), place, is_recovery).ok()
    }
}

/// Samples of 8 kHz a packet holds, by its first bytes (RFC 6716 §3.1, §3.2); 0: it is none.
pub fn samples_in(payload: &[u8]) -> usize {
    let Some(first) = payload.first() else { return 0 };
    let frame = match first >> 3 {
        // SILK: 10, 20, 40, 60 ms.
        config @ 0..=11 => [80, 160, 320, 480]
            .get(usize::from(config & 3))
            .copied()
            .unwrap_or(0),
        // Both: 10, 20 ms.
        config @ 12..=15 => 80 << (config & 1),
        // CELT: 2.5, 5, 10, 20 ms.
        config => SHORTEST_SAMPLES << (config & 3),
    };
    let frames = match first & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => payload.get(1).map_or(0, |count| usize::from(count & 0x3f)),
    };
    frame * frames
}

/// 2.5 ms.
const SHORTEST_SAMPLES: usize = 20;
/// 60 ms.
const LONGEST_FRAME_SAMPLES: usize = 480;
/// Bits a second sent: narrow-band speech with what repeats the packet before; well below what an agent's line gives.
const BITRATE: i32 = 24_000;
/// Of 0 to 10: what lies above costs more than it is heard to give.
const COMPLEXITY: u8 = 5;
/// Loss the encoder prepares for; at 0 it would repeat nothing.
const EXPECTED_LOSS_PERCENT: u8 = 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tone::tests::level_at;

    fn frame(hz: f32, position: u64) -> [i16; 160] {
        let mut frame = [0; 160];
        crate::tone::fill([hz, 0.0], [-10.0, 0.0], position, &mut frame);
        frame
    }

    #[test]
    fn a_tone_comes_back_at_its_level() {
        for hz in [400.0, 1000.0, 2500.0] {
            let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
            let mut heard = Vec::new();
            for n in 0..100 {
                let mut payload = [0; 400];
                let length = encoder.encode(&frame(hz, n * 160), &mut payload);
                assert!((1..120).contains(&length), "{length}");
                assert_eq!(samples_in(&payload[..length]), 160);
                let mut samples = [0; 960];
                assert_eq!(decoder.decode(&payload[..length], &mut samples), 160);
                heard.extend(&samples[..160]);
            }
            let level = level_at(hz.into(), &heard[8000..]);
            assert!((level + 10.0).abs() < 1.5, "{hz}: {level}");
        }
    }

    #[test]
    fn a_lost_packet_is_recovered_from_the_next() {
        let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
        let packets: Vec<Vec<u8>> = (0..60)
            .map(|n| {
                let mut payload = [0; 400];
                let length = encoder.encode(&frame(600.0, n * 160), &mut payload);
                payload[..length].to_vec()
            })
            .collect();
        let mut samples = [0; 960];
        packets[..50].iter().for_each(|packet| {
            decoder.decode(packet, &mut samples);
        });
        let mut recovered = [0; 160];
        assert!(decoder.recover(&packets[51], &mut recovered));
        assert!((level_at(600.0, &recovered) + 10.0).abs() < 3.0);
        assert!(!decoder.recover(&packets[52], &mut [0; 7]));
    }

    #[test]
    fn lengths_are_those_of_the_rfc() {
        // RFC 6716 table 2, and its codes 0 to 3.
        let table: [(&[u8], usize); 9] = [
            (&[], 0),
            (&[0], 80),
            (&[3 << 3], 480),
            (&[(12 << 3) | 1], 160),
            (&[16 << 3], 20),
            (&[(19 << 3) | 2], 320),
            (&[3], 0),
            (&[(1 << 3) | 3, 6], 960),
            (&[(3 << 3) | 3, 63], 30_240),
        ];
        for (payload, samples) in table {
            assert_eq!(samples_in(payload), samples, "{payload:?}");
        }
    }

    #[test]
    fn any_bytes_decode_without_harm() {
        let mut decoder = Decoder::new();
        let mut seed = 7u32;
        for length in (0..200).cycle().take(20_000) {
            let payload: Vec<u8> = (0..length)
                .map(|_| {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (seed >> 24) as u8
                })
                .collect();
            let mut samples = [0; 960];
            assert!(decoder.decode(&payload, &mut samples) <= 960);
            decoder.recover(&payload, &mut samples[..160]);
        }
    }
}
