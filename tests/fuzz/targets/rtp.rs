//! One datagram of a media port: whatever it claims to be, what is read of it lies inside it, and a packet that is
//! relayed keeps its payload (docs/threats.md: A9, A16).

#![no_main]

use libfuzzer_sys::fuzz_target;
use media::rtp::{Packet, PacketKind, Rewrite, RtpTime, SeqNo, Ssrc};

fuzz_target!(|data: &[u8]| {
    let kind = PacketKind::of(data);
    let Ok(packet) = Packet::parse(data) else { return };
    assert!(matches!(kind, PacketKind::Rtp | PacketKind::Rtcp), "{kind:?}");
    let payload = packet.payload.to_vec();
    let (seq, time) = (SeqNo(65_535), RtpTime(u32::MAX));
    let rewrite = Rewrite::joining(&packet.header, 101, Ssrc(7), seq, time);
    let mut sent = data.to_vec();
    let header = rewrite.apply(&packet.header, true, &mut sent);
    let relayed = Packet::parse(&sent).expect("what was relayed");
    assert_eq!((relayed.payload, relayed.header), (&payload[..], header));
    assert_eq!((header.seq, header.time, header.ssrc), (seq, time, Ssrc(7)));
    let mut sent = data.to_vec();
    let stripped = rewrite.stripped(false, &mut sent).expect("what was parsed");
    assert_eq!(Packet::parse(stripped).expect("what was stripped").payload, payload);
});
