//! One RTCP datagram: a compound packet that is taken has its parts inside it, and no more of them than fit
//! (docs/threats.md: A7, A8).

#![no_main]

use libfuzzer_sys::fuzz_target;
use media::rtp::rtcp::{Compound, RtcpPacket};

/// Bytes of the shortest part, and of a report block.
const PART_BYTES: usize = 4;
const BLOCK_BYTES: usize = 24;

fuzz_target!(|data: &[u8]| {
    let Ok(compound) = Compound::parse(data) else { return };
    let mut parts = 0;
    for packet in compound.packets() {
        parts += 1;
        let blocks = match packet {
            RtcpPacket::SenderReport { blocks, .. } | RtcpPacket::ReceiverReport { blocks, .. } => blocks,
            RtcpPacket::Bye(ssrcs) => {
                assert!(ssrcs.iter().count() * PART_BYTES < data.len());
                continue;
            }
            _ => continue,
        };
        assert!(blocks.iter().count() * BLOCK_BYTES < data.len());
    }
    assert!(parts >= 1 && parts * PART_BYTES <= data.len());
});
