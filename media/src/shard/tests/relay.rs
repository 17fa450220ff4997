//! Two parties through a shard without mixing.

use super::party::World;
use crate::command::*;
use crate::event::Event;
use crate::rtp::{Header, RtpTime, SeqNo, Ssrc};

fn pair() -> World {
    let mut world = World::new(7);
    let (a, b) = (world.party(Codec::Pcmu), world.party(Codec::Pcmu));
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

#[test]
fn two_parties_hear_each_other_bit_exact() {
    let mut world = pair();
    let (from_a, from_b) = (speech(1, 500), speech(2, 500));
    world.parties[0].to_send.extend(from_a.clone());
    world.parties[1].to_send.extend(from_b.clone());
    world.run(10_100);
    let heard = |index: usize| {
        world.parties[index]
            .heard
            .iter()
            .map(|heard| heard.payload.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(heard(0), from_b);
    assert_eq!(heard(1), from_a);
    for party in &world.parties {
        party.assert_unbroken();
        let steps: Vec<_> = party
            .heard
            .windows(2)
            .map(|pair| pair[1].header.time.since(pair[0].header.time))
            .collect();
        assert!(steps.iter().all(|step| *step == 160));
    }
    world.shard.publish();
    let counts = world.metrics.counts();
    assert_eq!(
        (counts.relayed, counts.payload_copies, counts.pool_level),
        (1000, 0, 0)
    );
}

#[test]
fn receiving_and_sending_are_told_once_per_configuration() {
    let mut world = pair();
    world.parties[0].tone_hz = 400.0;
    world.run(1000);
    let first = world.parties[0].stream;
    assert_eq!(
        world.events_of(|event| matches!(event, Event::Receiving { stream } if *stream == first)),
        1
    );
    assert_eq!(world.events_of(|event| matches!(event, Event::Sending { .. })), 1);
}

#[test]
fn a_wrong_source_reaches_nobody() {
    let mut world = pair();
    // One packet fewer than settles it: from then on the kernel would drop what others send.
    world.parties[0].to_send.extend(speech(1, 49));
    let intruder = "127.0.0.66:4000".parse().unwrap();
    for seq in 0..1000u16 {
        let header = Header {
            marker: false,
            payload_type: 0,
            seq: SeqNo(seq),
            time: RtpTime(0),
            ssrc: Ssrc(1000),
        };
        let gateway = world.parties[0].gateway;
        world
            .network
            .send(intruder, &header.to_bytes(), &[0x55; 160], gateway);
        world.run(1);
    }
    assert_eq!(world.parties[1].heard.len(), 49);
    assert!(
        world.parties[1]
            .heard
            .iter()
            .all(|heard| heard.payload != [0x55; 160])
    );
    world.shard.publish();
    assert_eq!(world.metrics.counts().dropped_source, 1000);
}

#[test]
fn silence_is_told_after_two_seconds_and_its_end_at_once() {
    let mut world = pair();
    world.parties[0].to_send.extend(speech(1, 10));
    world.parties[1].tone_hz = 400.0;
    world.run(5000);
    let first = world.parties[0].stream;
    let silent: Vec<_> = world
        .events
        .iter()
        .filter(|(_, event)| matches!(event, Event::Silent { stream } if *stream == first))
        .collect();
    assert_eq!(silent.len(), 1);
    assert!((2185..2240).contains(&silent[0].0), "{}", silent[0].0);
    world.parties[0].to_send.extend(speech(1, 10));
    world.run(100);
    assert_eq!(
        world.events_of(|event| matches!(event, Event::Heard { stream } if *stream == first)),
        1
    );
    assert_eq!(world.events_of(|event| matches!(event, Event::Silent { .. })), 1);
}

#[test]
fn a_closed_stream_gives_its_ports_back_and_its_numbers_out() {
    let mut world = pair();
    world.parties[0].to_send.extend(speech(1, 10));
    world.run(1000);
    let stream = world.parties[0].stream;
    world.command(vec![Change::Close { stream }]);
    world.run(1000);
    let stats = world.events.iter().find_map(|(_, event)| match event {
        Event::Closed { stats, .. } => Some(stats.clone()),
        _ => None,
    });
    assert_eq!(
        stats.map(|stats| (stats.packets_received, stats.bytes_received)),
        Some((10, 1600))
    );
    world.shard.publish();
    assert_eq!(
        (world.metrics.counts().streams, world.metrics.counts().ports_used),
        (1, 1)
    );
}
