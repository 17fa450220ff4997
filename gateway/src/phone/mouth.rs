//! What a phone says: its tone in a packet every 20 ms, or digits in its place.
//!
//! Pure: when a packet is due and where it goes is the task's.

use media::codec::Encoder;
use media::dtmf::{SendTick, Sender};
use media::frame::FRAME_SAMPLES;
use media::rtp::{Header, RtpTime, SeqNo, Ssrc};
use media::tone::render;
use media::{Codec, Tone};

use super::config::TONE_LEVEL_DBOV;

/// Longest packet: header and 20 ms of G.711.
pub const PACKET_BYTES_MAX: usize = Header::BYTES + FRAME_SAMPLES;
/// Length of each digit, milliseconds.
const DIGIT_MS: u32 = 100;

/// An RTP stream under way.
#[derive(Debug)]
pub struct Mouth {
    tone: Tone,
    encoder: Encoder,
    payload_type: u8,
    event_payload_type: Option<u8>,
    digits: Option<Sender>,
    seq: SeqNo,
    time: RtpTime,
    ssrc: Ssrc,
    position: u64,
}

impl Mouth {
    /// A stream that begins at random numbers.
    pub fn new(
        tone_hz: f32,
        codec: Codec,
        payload_types: (u8, Option<u8>),
        random: (u16, u32, u32),
    ) -> Mouth {
        let (seq, time, ssrc) = random;
        let (payload_type, event_payload_type) = payload_types;
        Mouth {
            tone: Tone {
                frequencies_hz: (tone_hz, 0.0),
                level_dbov: TONE_LEVEL_DBOV,
                cadence_ms: Vec::new(),
                duration_ms: None,
            },
            encoder: Encoder::new(codec),
            payload_type,
            event_payload_type,
            digits: None,
            seq: SeqNo(seq),
            time: RtpTime(time),
            ssrc: Ssrc(ssrc),
            position: 0,
        }
    }

    /// Says digits next. False when they are none, or the far side takes no events.
    pub fn say_digits(&mut self, digits: &str) -> bool {
        if self.event_payload_type.is_none() {
            return false;
        }
        self.digits = Sender::new(digits, DIGIT_MS);
        self.digits.is_some()
    }

    /// Writes the packet of this tick and tells its length.
    pub fn tick(&mut self, packet: &mut [u8; PACKET_BYTES_MAX]) -> usize {
        let now = self.time;
        let is_first = self.position == 0;
        let said = self.digits.as_mut().map(|digits| digits.tick(now));
        if let Some(SendTick::Done) = said {
            self.digits = None;
        }
        let mut frame = [0; FRAME_SAMPLES];
        render(&self.tone, self.position, &mut frame);
        let mut payload = [0; FRAME_SAMPLES];
        let (header, length) = match (said, self.event_payload_type) {
            (
                Some(SendTick::Event {
                    payload: event,
                    time,
                    marker,
                }),
                Some(payload_type),
            ) => {
                for (to, from) in payload.iter_mut().zip(event) {
                    *to = from;
                }
                (self.header(payload_type, time, marker), event.len())
            }
            (Some(_) | None, _) => {
                let length = self.encoder.encode(&frame, &mut payload);
                (self.header(self.payload_type, now, is_first), length)
            }
        };
        self.seq = self.seq.next();
        self.time = now.add(FRAME_SAMPLES as u32 * self.encoder.codec().units_per_sample());
        self.position += FRAME_SAMPLES as u64;
        let bytes = header.to_bytes().into_iter().chain(payload);
        for (to, from) in packet.iter_mut().zip(bytes) {
            *to = from;
        }
        Header::BYTES + length
    }

    fn header(&self, payload_type: u8, time: RtpTime, marker: bool) -> Header {
        Header {
            marker,
            payload_type,
            seq: self.seq,
            time,
            ssrc: self.ssrc,
        }
    }
}

#[cfg(test)]
mod tests {
    use media::codec::g711;
    use media::rtp::Packet;

    use super::super::voice::{Voice, listen};
    use super::*;

    #[test]
    fn packets_are_one_steady_tone() {
        let mut mouth = Mouth::new(807.0, Codec::Pcma, (8, Some(101)), (65_535, u32::MAX, 7));
        let mut heard = Vec::new();
        for tick in 0..50u32 {
            let mut bytes = [0; PACKET_BYTES_MAX];
            let length = mouth.tick(&mut bytes);
            let packet = Packet::parse(&bytes[..length]).unwrap();
            assert_eq!(packet.header.seq, SeqNo(65_535).add(tick as u16));
            assert_eq!(packet.header.time, RtpTime(u32::MAX).add(tick * 160));
            assert_eq!((packet.header.payload_type, packet.header.marker), (8, tick == 0));
            let mut samples = [0; FRAME_SAMPLES];
            g711::decode_alaw(packet.payload, &mut samples);
            heard.extend(samples);
        }
        let heard = listen(&heard, &Voice::tone("", 807.0));
        assert!(heard.is_steady() && (heard.level_dbov - TONE_LEVEL_DBOV).abs() < 0.5);
    }

    #[test]
    fn a_digit_takes_the_place_of_the_tone_for_its_length() {
        let mut mouth = Mouth::new(807.0, Codec::Pcmu, (0, Some(96)), (1, 2, 3));
        assert!(mouth.say_digits("5"));
        let mut types = Vec::new();
        for _ in 0..10 {
            let mut bytes = [0; PACKET_BYTES_MAX];
            let length = mouth.tick(&mut bytes);
            let packet = Packet::parse(&bytes[..length]).unwrap();
            if packet.header.payload_type == 96 {
                assert_eq!((packet.header.time, packet.payload[0]), (RtpTime(2), 5));
            }
            types.push(packet.header.payload_type);
        }
        assert_eq!(types, [96, 96, 96, 96, 96, 96, 96, 0, 0, 0]);
        assert!(!Mouth::new(807.0, Codec::Pcmu, (0, None), (1, 2, 3)).say_digits("5"));
    }
}
