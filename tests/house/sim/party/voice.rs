//! The one codec a party speaks and takes.

use std::collections::VecDeque;

use media::Codec;
use media::codec::{Decoder, Encoder};

use crate::tone;

/// A codec under way, with its number in SDP.
pub struct Voice {
    pub codec: Codec,
    /// Its payload type.
    pub number: u8,
    /// It offers and takes telephone-events.
    pub has_events: bool,
    /// What it says in the place of its tone, 20 ms each.
    pub said: VecDeque<[i16; 160]>,
    encoder: Encoder,
    decoder: Decoder,
}

impl Voice {
    pub fn new(codec: Codec, number: u8) -> Voice {
        Voice {
            codec,
            number,
            has_events: true,
            said: VecDeque::new(),
            encoder: Encoder::new(codec),
            decoder: Decoder::new(codec),
        }
    }

    /// 20 ms as a payload.
    pub fn encode(&mut self, samples: &[i16; 160]) -> Vec<u8> {
        let mut payload = vec![0; 400];
        let length = match self.codec {
            Codec::Pcmu | Codec::Pcma | Codec::G722 => self.encoder.encode(samples, &mut payload[..160]),
            Codec::Opus => self.encoder.encode(samples, &mut payload),
        };
        payload.truncate(length);
        payload
    }

    /// A payload as samples; G.711 is taken under its own number at any time.
    pub fn decode(&mut self, payload_type: u8, payload: &[u8]) -> Vec<i16> {
        if payload_type == self.number {
            let mut samples = vec![0; 960];
            let length = self.decoder.decode(payload, &mut samples);
            samples.truncate(length);
            return samples;
        }
        let decode = match payload_type {
            8 => tone::from_alaw,
            _ => tone::from_mulaw,
        };
        payload.iter().map(|byte| decode(*byte)).collect()
    }

    /// Its units of 20 ms: RTP's clock is 48,000 for Opus (RFC 7587 §4.1), 8000 for the others.
    pub fn timestamp(&self, position: u64) -> u32 {
        let units = if self.codec == Codec::Opus { 6 } else { 1 };
        (position * units) as u32
    }

    /// The m-line's formats, and its lines in SDP.
    pub fn formats(&self) -> (String, String) {
        let number = self.number;
        let map = match self.codec {
            Codec::Pcmu => "PCMU/8000",
            Codec::Pcma => "PCMA/8000",
            Codec::G722 => "G722/8000",
            Codec::Opus => "opus/48000/2",
        };
        let (formats, map) = (number.to_string(), format!("a=rtpmap:{number} {map}\r\n"));
        if self.has_events {
            let events = "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n";
            return (formats + " 101", map + events);
        }
        (formats, map)
    }
}
