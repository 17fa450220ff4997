//! A stream that does what it likes: each frame is played, the delay stays bounded, and when the stream is over
//! silence comes (docs/threats.md: A10).
//!
//! Eight bytes are a packet: what it is and how many frames are played before it, two of the sequence number, four of
//! the timestamp, and its length.

#![no_main]

use libfuzzer_sys::fuzz_target;
use media::Codec;
use media::frame::FRAME_SAMPLES;
use media::jitter::{Playout, Popped};
use media::rtp::{Header, Reception, RtpTime, SeqNo, Ssrc};

/// Longer than concealment goes on, and than the longest delay.
const FRAMES_TO_REST: usize = 200;
/// What the jitter buffer says of its longest delay, and a frame.
const DELAY_MS_MAX: u64 = 2_000;

fuzz_target!(|data: &[u8]| {
    let codecs = [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus];
    let (mut reception, mut playout) = (Reception::new(), Playout::new());
    let mut frame = [0; FRAME_SAMPLES];
    let mut arrival = 0u32;
    let payload: Vec<u8> = data.iter().copied().cycle().take(1_500.min(data.len() * 1_500)).collect();
    for packet in data.chunks_exact(8) {
        for _ in 0..packet[0] & 7 {
            playout.pop(&mut frame);
            arrival = arrival.wrapping_add(FRAME_SAMPLES as u32);
        }
        let header = Header {
            marker: packet[0] & 8 != 0,
            payload_type: 0,
            seq: SeqNo(u16::from_be_bytes([packet[1], packet[2]])),
            time: RtpTime(u32::from_be_bytes([packet[3], packet[4], packet[5], packet[6]])),
            ssrc: Ssrc(u32::from(packet[0] & 16)),
        };
        let verdict = reception.handle_packet(&header, false, RtpTime(arrival));
        let codec = codecs[usize::from(packet[0] >> 6)];
        let length = usize::from(packet[7]) * 6;
        playout.push(verdict, header.time, codec, &payload[..length.min(payload.len())]);
        assert!(playout.delay_ms() <= DELAY_MS_MAX, "{}", playout.delay_ms());
    }
    let last = (0..FRAMES_TO_REST).map(|_| playout.pop(&mut frame)).last();
    assert_eq!(last, Some(Popped::Empty));
    assert!(frame.iter().all(|sample| *sample == 0));
});
