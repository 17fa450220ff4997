//! CPU per packet of 20 ms of G.711 through the SRTP guard, both ways, for every suite.
//!
//! `cargo bench --bench srtp`: best of several rounds, as other work on the machine only ever adds.

use std::time::{Duration, Instant};

use media::srtp::{MasterKey, Srtp, SrtpKeys, SrtpSuite};

const PACKETS: u16 = 20_000;
const ROUNDS: usize = 7;

fn main() {
    println!(
        "{:<18} {:>10} {:>12} {:>12}",
        "suite", "protect", "unprotect", "forged"
    );
    for suite in SrtpSuite::ALL {
        let rounds: Vec<[Duration; 3]> = (0..ROUNDS).map(|_| round(suite)).collect();
        let best = |which: usize| {
            let best = rounds.iter().map(|round| round[which]).min();
            best.unwrap_or_default().as_nanos() as f64 / f64::from(PACKETS) / 1000.0
        };
        println!(
            "{:<18} {:>7.2} µs {:>9.2} µs {:>9.2} µs",
            format!("{suite:?}"),
            best(0),
            best(1),
            best(2)
        );
    }
}

fn round(suite: SrtpSuite) -> [Duration; 3] {
    let key = |byte: u8| {
        let (key, salt) = ([byte; 32], [byte; 14]);
        let key = MasterKey::new(suite, &key[..suite.key_bytes()], &salt[..suite.salt_bytes()]);
        key.expect("a key of this suite")
    };
    let keys = |send, receive| SrtpKeys {
        send: key(send),
        receive: key(receive),
    };
    let (mut here, mut there) = (Srtp::new(&keys(1, 2)), Srtp::new(&keys(2, 1)));
    let packets: Vec<Vec<u8>> = (0..PACKETS).map(packet).collect();
    let now = Instant::now();
    let start = Instant::now();
    let sent: Vec<_> = packets
        .iter()
        .filter_map(|packet| here.protect_rtp(packet))
        .collect();
    let protect = start.elapsed();
    let start = Instant::now();
    let taken = sent
        .iter()
        .filter(|packet| there.unprotect_rtp(packet, now).is_ok());
    assert_eq!(taken.count(), usize::from(PACKETS));
    let unprotect = start.elapsed();
    let mut forged = packet(PACKETS);
    forged.extend([0; 16]);
    let start = Instant::now();
    for _ in 0..PACKETS {
        assert!(there.unprotect_rtp(std::hint::black_box(&forged), now).is_err());
    }
    [protect, unprotect, start.elapsed()]
}

fn packet(sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend(sequence.to_be_bytes());
    packet.extend((u32::from(sequence) * 160).to_be_bytes());
    packet.extend([1, 2, 3, 4]);
    packet.extend([0x55; 160]);
    packet
}
