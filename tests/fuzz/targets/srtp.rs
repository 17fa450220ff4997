//! SRTP and SRTCP of every suite: what is not under the key is refused, a genuine packet in which a bit was turned
//! too, and the genuine one is taken after all of it, once (docs/threats.md: A3, A4, A9, A14).
//!
//! The first byte chooses the suite; the others are the datagram, and what is turned in the genuine one.

#![no_main]

use std::time::Instant;

use libfuzzer_sys::fuzz_target;
use media::srtp::{MasterKey, Srtp, SrtpKeys, SrtpSuite};

fuzz_target!(|data: &[u8]| {
    let Some((choice, data)) = data.split_first() else { return };
    let suites = SrtpSuite::ALL;
    let suite = suites[usize::from(*choice) % suites.len()];
    let (mut ours, mut theirs) = (stream(suite, 1, 2), stream(suite, 2, 1));
    let now = Instant::now();
    assert!(theirs.unprotect_rtp(data, now).is_err(), "nobody knows our key");
    assert!(theirs.unprotect_rtcp(data, now).is_err(), "nobody knows our key");
    let packet = [&[0x80, 0, 0xff, 0xff, 0, 0, 0, 9, 0, 0, 0, 7][..], &[0x55; 160]].concat();
    let genuine = ours.protect_rtp(&packet).expect("an RTP packet");
    let mut turned = genuine.to_vec();
    turned.iter_mut().zip(data).for_each(|(byte, by)| *byte ^= by);
    if turned != genuine {
        assert!(theirs.unprotect_rtp(&turned, now).is_err(), "a bit was turned");
    }
    let opened = theirs.unprotect_rtp(&genuine, now).expect("the genuine one");
    assert_eq!(&opened[..], &packet[..]);
    assert!(theirs.unprotect_rtp(&genuine, now).is_err(), "it came before");
});

fn stream(suite: SrtpSuite, send: u8, receive: u8) -> Srtp {
    let key = |fill: u8| {
        let (key, salt) = (vec![fill; suite.key_bytes()], vec![fill ^ 0x5a; suite.salt_bytes()]);
        MasterKey::new(suite, &key, &salt).expect("lengths of the suite")
    };
    Srtp::new(&SrtpKeys {
        send: key(send),
        receive: key(receive),
    })
}
