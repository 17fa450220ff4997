//! Secure streams through a shard: relayed, mixed, played to, attacked and re-keyed.

use std::net::SocketAddr;

use super::party::{World, level_db, other_end};
use crate::command::*;
use crate::event::Event;
use crate::rtp::{Header, RtpTime, SeqNo, Ssrc};
use crate::srtp::{MasterKey, Srtp, SrtpKeys, SrtpSuite};

fn key(suite: SrtpSuite, seed: u8) -> MasterKey {
    MasterKey::new(
        suite,
        &[seed; 32][..suite.key_bytes()],
        &[seed ^ 0x5a; 14][..suite.salt_bytes()],
    )
    .unwrap()
}

fn keys(suite: SrtpSuite, send: u8, receive: u8) -> SrtpKeys {
    SrtpKeys {
        send: key(suite, send),
        receive: key(suite, receive),
    }
}

/// A secure party and one that is as `second` says, who hear each other.
fn pair(first: SrtpSuite, second: Option<SrtpSuite>) -> World {
    let mut world = World::new(31);
    let a = world.party_with(Codec::Pcmu, |config| config.srtp = Some(keys(first, 1, 2)));
    let b = world.party_with(Codec::Pcmu, |config| {
        config.srtp = second.map(|suite| keys(suite, 3, 4));
    });
    let rows = vec![world.row(a, &[b]), world.row(b, &[a])];
    world.command(rows);
    world
}

fn speech(seed: u8, packets: usize) -> Vec<Vec<u8>> {
    (0..packets)
        .map(|at| {
            (0..160u32)
                .map(|byte| (byte * 7 + at as u32 * 13) as u8 ^ seed)
                .collect()
        })
        .collect()
}

fn payloads(world: &World, party: usize) -> Vec<Vec<u8>> {
    world.parties[party]
        .heard
        .iter()
        .map(|heard| heard.payload.clone())
        .collect()
}

fn counts(world: &mut World) -> crate::shard::Counts {
    world.shard.publish();
    world.metrics.counts()
}

/// Both directions begin at 65,530, so that the rollover counter turns in each.
#[test]
fn secure_and_clear_legs_of_every_suite_hear_each_other_bit_exact() {
    for first in SrtpSuite::ALL {
        for second in [None, Some(SrtpSuite::AesCm128Sha1_80), Some(first)] {
            let mut world = pair(first, second);
            let (from_a, from_b) = (speech(1, 100), speech(2, 100));
            world.parties[0].to_send.extend(from_a.clone());
            world.parties[1].to_send.extend(from_b.clone());
            world.run(2_100);
            assert_eq!(payloads(&world, 0), from_b, "{first:?} {second:?}");
            assert_eq!(payloads(&world, 1), from_a, "{first:?} {second:?}");
            let sent = &world.parties[0].wire;
            assert!(
                sent.iter()
                    .all(|datagram| datagram.len() == 172 + first.rtp_tag_bytes())
            );
            assert!(
                sent.iter()
                    .zip(&from_b)
                    .all(|(datagram, clear)| datagram[12..172] != clear[..])
            );
            assert_eq!(counts(&mut world).relayed, 200);
        }
    }
}

#[test]
fn a_mix_a_play_and_digits_leave_encrypted() {
    let mut world = pair(SrtpSuite::AesCm128Sha1_32, None);
    let third = world.party_with(Codec::Pcma, |config| {
        config.srtp = Some(keys(SrtpSuite::AeadAes256Gcm, 5, 6));
        config.ptime_ms = 40;
    });
    let rows = vec![
        world.row(0, &[1, third]),
        world.row(1, &[0, third]),
        world.row(third, &[0, 1]),
    ];
    world.command(rows);
    for (party, hz) in [500.0, 800.0, 1100.0].into_iter().enumerate() {
        world.parties[party].tone_hz = hz;
    }
    world.run(1_500);
    for (party, others) in [(0, [800.0, 1100.0]), (1, [500.0, 1100.0]), (2, [500.0, 800.0])] {
        let heard = world.parties[party].samples_since(500);
        for hz in others {
            assert!(level_db(&heard, hz) > -20.0, "{party} {hz}");
        }
        world.parties[party].assert_unbroken();
    }
    let listener = world.parties[0].stream;
    let digits = Change::SendDtmf {
        dtmf: DtmfKey(1),
        stream: listener,
        digits: "5".into(),
        duration_ms: 100,
        inband: false,
    };
    world.command(vec![digits]);
    world.run(500);
    let events = world.parties[0]
        .heard
        .iter()
        .filter(|heard| heard.header.payload_type == 101 && heard.payload[0] == 5);
    assert!(events.count() >= 5);
    world.parties[0].assert_unbroken();
    assert!(world.parties[0].wire.iter().all(|datagram| datagram.len() != 172));
}

#[test]
fn a_digit_pressed_on_a_secure_leg_is_told() {
    let mut world = pair(SrtpSuite::AesCm128Sha1_80, None);
    world.parties[0].tone_hz = 500.0;
    world.run(200);
    world.parties[0].tone_hz = 0.0;
    let network = world.network.clone();
    for step in 1..=5u8 {
        world.parties[0].send(&network, 101, step == 1, &[7, 10, 0, step * 32]);
        world.run(20);
        world.parties[0].time = world.parties[0].time.wrapping_sub(160);
    }
    for _ in 0..3 {
        world.parties[0].send(&network, 101, false, &[7, 0x8a, 0, 160]);
    }
    world.run(100);
    assert_eq!(
        world.events_of(|event| matches!(event, Event::Dtmf { digit: '7', .. })),
        1
    );
}

/// docs/threats.md A3, A4: from the right address, at once with the real ones.
#[test]
fn a_hundred_thousand_bad_tags_change_nothing() {
    let mut world = pair(SrtpSuite::AesCm128Sha1_80, None);
    let from_a = speech(1, 1000);
    world.parties[0].to_send.extend(from_a.clone());
    let (address, gateway) = (world.parties[0].address, world.parties[0].gateway);
    for ms in 0..20_050u32 {
        for n in 0..5 {
            let header = Header {
                marker: false,
                payload_type: 0,
                seq: SeqNo((ms * 5 + n) as u16),
                time: RtpTime(ms * 8),
                // Now the true SSRC, now one nobody has.
                ssrc: Ssrc(if n % 2 == 0 { 1000 } else { ms * 5 + n }),
            };
            let forged = [&header.to_bytes()[..], &[0x55; 170]].concat();
            world.network.send(address, &forged, &[], gateway);
        }
        world.run(1);
    }
    assert_eq!(payloads(&world, 1), from_a);
    let counts = counts(&mut world);
    // Old numbers of the true SSRC are refused by the window, before the tag.
    assert_eq!(counts.dropped_tag + counts.dropped_replay, 100_250);
    assert!(counts.dropped_tag > 60_000, "{counts:?}");
    assert_eq!(counts.dropped_ssrc, 0);
}

/// docs/threats.md A14: each packet three times.
#[test]
fn packets_that_come_three_times_are_heard_once() {
    let mut world = pair(SrtpSuite::AesCm128Sha1_80, None);
    let from_a = speech(1, 200);
    let (address, gateway) = (world.parties[0].address, world.parties[0].gateway);
    let mut far = Srtp::new(&other_end(&keys(SrtpSuite::AesCm128Sha1_80, 1, 2)));
    for (n, payload) in from_a.iter().enumerate() {
        let header = Header {
            marker: false,
            payload_type: 0,
            seq: SeqNo(65_500_u16.wrapping_add(n as u16)),
            time: RtpTime(n as u32 * 160),
            ssrc: Ssrc(1000),
        };
        let sent = far
            .protect_rtp(&[&header.to_bytes()[..], payload].concat())
            .unwrap();
        for _ in 0..3 {
            world.network.send(address, &sent, &[], gateway);
        }
        world.run(20);
    }
    assert_eq!(payloads(&world, 1), from_a);
    assert_eq!(counts(&mut world).dropped_replay, 400);
}

/// docs/threats.md A5: clear packets from the right source, and RTCP in clear.
#[test]
fn clear_packets_on_a_secure_stream_are_dropped_and_counted() {
    let mut world = pair(SrtpSuite::AesCm128Sha1_80, None);
    world.parties[0].srtp = None;
    world.parties[0].tone_hz = 500.0;
    world.run(1_000);
    world.parties[0].tone_hz = 0.0;
    assert!(world.parties[1].heard.is_empty());
    let rtcp: SocketAddr = SocketAddr::new(world.parties[0].address.ip(), 4001);
    let gateway = SocketAddr::new(world.parties[0].gateway.ip(), world.parties[0].gateway.port() + 1);
    world
        .network
        .send(rtcp, &[0x80, 201, 0, 1, 0, 0, 3, 232], &[], gateway);
    world.run(10);
    let counts = counts(&mut world);
    assert_eq!((counts.dropped_clear, counts.rtcp_dropped), (50, 1));
    assert_eq!(
        world.events_of(|event| matches!(event, Event::Receiving { .. })),
        0,
        "nothing is learned from them"
    );
}

/// Behind NAT the source is learned, but only from packets that are proved.
#[test]
fn a_source_is_learned_from_proved_packets_only() {
    let mut world = World::new(5);
    let party = world.party_with(Codec::Pcmu, |config| {
        config.srtp = Some(keys(SrtpSuite::AesCm128Sha1_80, 1, 2));
        let loopback = Network {
            address: "127.0.0.0".parse().unwrap(),
            prefix: 8,
        };
        config.source = SourceRule::Nat(vec![loopback]);
    });
    let thief: SocketAddr = "127.0.0.66:4000".parse().unwrap();
    world.network.bind(thief);
    let gateway = world.parties[party].gateway;
    for n in 0..100u16 {
        let header = Header {
            marker: false,
            payload_type: 0,
            seq: SeqNo(n),
            time: RtpTime(u32::from(n) * 160),
            ssrc: Ssrc(9),
        };
        let forged = [&header.to_bytes()[..], &[0x55; 170]].concat();
        world.network.send(thief, &forged, &[], gateway);
        world.run(20);
    }
    let mut bytes = [0; 2048];
    assert!(world.network.receive(thief, &mut bytes).is_none());
    let real: SocketAddr = "127.0.0.2:5555".parse().unwrap();
    world.network.bind(real);
    world.parties[party].address = real;
    world.parties[party].tone_hz = 500.0;
    world.run(1_000);
    assert!(world.parties[party].heard.len() > 30);
    assert!(world.network.receive(thief, &mut bytes).is_none());
}

#[test]
fn reports_go_and_come_as_srtcp() {
    let suite = SrtpSuite::AesCm128Sha1_32;
    let mut world = pair(suite, None);
    world.parties[0].tone_hz = 500.0;
    world.parties[1].tone_hz = 800.0;
    world.run(10_000);
    let rtcp: SocketAddr = SocketAddr::new(world.parties[0].address.ip(), 4001);
    let mut bytes = [0; 2048];
    let mut far = Srtp::new(&other_end(&keys(suite, 1, 2)));
    let mut reports = 0;
    while let Some((len, _)) = world.network.receive(rtcp, &mut bytes) {
        assert!(crate::rtp::rtcp::Compound::parse(&bytes[..len]).is_err());
        let opened = far.unprotect_rtcp(&bytes[..len], world.now).unwrap();
        assert!(crate::rtp::rtcp::Compound::parse(&opened).is_ok());
        reports += 1;
    }
    assert!(reports >= 1);
    let ours = world.parties[0].heard[0].header.ssrc.0;
    // A receiver report that says it misses 7 of ours.
    let mut report = vec![0x81, 201, 0, 7, 0, 0, 3, 232];
    report.extend(ours.to_be_bytes());
    report.extend([0, 0, 0, 7]);
    report.extend([0; 16]);
    let mut far = Srtp::new(&other_end(&keys(suite, 1, 2)));
    let sent = far.protect_rtcp(&report).unwrap();
    let gateway = SocketAddr::new(world.parties[0].gateway.ip(), world.parties[0].gateway.port() + 1);
    world.network.send(rtcp, &sent, &[], gateway);
    world.run(10);
    let stream = world.parties[0].stream;
    world.command(vec![Change::Close { stream }]);
    world.run(10);
    let stats = world.events.iter().find_map(|(_, event)| match event {
        Event::Closed { stats, .. } => Some(stats.clone()),
        _ => None,
    });
    assert_eq!(stats.unwrap().remote_packets_lost, 7);
    let counts = counts(&mut world);
    assert_eq!((counts.rtcp_in, counts.rtcp_dropped), (1, 0));
}

/// Re-keyed by the peer in the middle of speech; ours stays, and goes on unbroken.
#[test]
fn a_new_key_comes_without_a_gap() {
    let suite = SrtpSuite::AesCm128Sha1_80;
    let mut world = pair(suite, None);
    let (from_a, from_b) = (speech(1, 100), speech(2, 100));
    world.parties[0].to_send.extend(from_a.clone());
    world.parties[1].to_send.extend(from_b.clone());
    world.run(1_000);
    let stream = world.parties[0].stream;
    let mut config = world.shard_config(0);
    config.srtp = Some(keys(suite, 1, 9));
    world.command(vec![Change::Configure { stream, config }]);
    // Five more come under the old key.
    world.run(100);
    world.parties[0]
        .srtp
        .as_mut()
        .unwrap()
        .configure(&other_end(&keys(suite, 1, 9)));
    world.run(1_000);
    assert_eq!(payloads(&world, 1), from_a);
    assert_eq!(payloads(&world, 0), from_b);
    assert_eq!(counts(&mut world).dropped_tag, 0);
}
