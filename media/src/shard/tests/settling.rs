//! Sockets of settled sources are connected, and let go before the source may change.

use super::party::World;
use crate::command::*;
use crate::rtp::{Header, RtpTime, SeqNo, Ssrc};
use crate::shard::Counts;

/// Time in which every source that can settle has settled: 50 packets.
const SETTLED_MS: u64 = 1_100;

fn talking(change: impl FnOnce(&mut StreamConfig)) -> World {
    let mut world = World::new(23);
    let (a, b) = (world.party_with(Codec::Pcmu, change), world.party(Codec::Pcmu));
    let rows = vec![world.row(a, &[b]), world.row(b, &[a])];
    world.command(rows);
    (world.parties[0].tone_hz, world.parties[1].tone_hz) = (500.0, 1100.0);
    world
}

fn counts(world: &mut World) -> Counts {
    world.shard.publish();
    world.metrics.counts()
}

fn inject(world: &World, from: &str) {
    let header = Header {
        marker: false,
        payload_type: 0,
        seq: SeqNo(1),
        time: RtpTime(1),
        ssrc: Ssrc(666),
    };
    let (from, to) = (from.parse().unwrap(), world.parties[0].gateway);
    world.network.send(from, &header.to_bytes(), &[0x55; 160], to);
}

#[test]
fn a_strict_source_settles_and_strangers_cost_nothing_from_then_on() {
    let mut world = talking(|_| {});
    world.run(200);
    inject(&world, "127.0.0.66:4000");
    world.run(700);
    let before = counts(&mut world);
    assert_eq!((before.sockets_connected, before.dropped_source), (0, 1));
    world.run(SETTLED_MS - 900);
    inject(&world, "127.0.0.66:4000");
    world.run(1_000);
    let after = counts(&mut world);
    assert_eq!((after.sockets_connected, after.dropped_source), (2, 1));
    assert!(world.parties[1].audio_since(1_500).len() >= 29, "it is heard on");
}

#[test]
fn by_address_the_learned_port_settles() {
    let mut world = talking(|config| config.source = SourceRule::Address);
    let real = "127.0.0.2:5555".parse().unwrap();
    world.network.bind(real);
    world.parties[0].address = real;
    world.run(SETTLED_MS + 200);
    assert_eq!(counts(&mut world).sockets_connected, 2);
    assert!(world.parties[0].audio_since(1_000).len() >= 14);
}

#[test]
fn behind_nat_no_source_ever_settles_and_one_that_moves_is_heard() {
    let mut world = talking(|config| {
        let loopback = Network {
            address: "127.0.0.0".parse().unwrap(),
            prefix: 8,
        };
        config.source = SourceRule::Nat(vec![loopback]);
    });
    world.run(3_000);
    assert_eq!(
        counts(&mut world).sockets_connected,
        1,
        "the other party is strict"
    );
    // The binding at the translator changes in mid-call.
    let moved = "127.0.0.2:5555".parse().unwrap();
    world.network.bind(moved);
    world.parties[0].address = moved;
    world.run(1_000);
    assert!(
        world.parties[1].audio_since(3_250).len() >= 36,
        "heard within 250 ms"
    );
    assert!(world.parties[0].audio_since(3_250).len() >= 36, "and sent to");
}

#[test]
fn a_new_agreement_lets_the_socket_go_before_the_new_source_speaks() {
    let mut world = talking(|_| {});
    world.run(SETTLED_MS);
    assert_eq!(counts(&mut world).sockets_connected, 2);
    let new = "127.0.0.9:6000".parse().unwrap();
    world.network.bind(new);
    let (stream, mut config) = (world.parties[0].stream, world.shard_config(0));
    config.remote = Some(new);
    world.command(vec![Change::Configure { stream, config }]);
    world.parties[0].address = new;
    assert_eq!(counts(&mut world).send_failed, 0);
    world.run(400);
    assert_eq!(counts(&mut world).sockets_connected, 1);
    assert!(
        world.parties[1].audio_since(1_200).len() >= 14,
        "the new source is heard"
    );
    assert!(world.parties[0].audio_since(1_200).len() >= 14, "and sent to");
    world.run(SETTLED_MS);
    assert_eq!(counts(&mut world).sockets_connected, 2);
}

#[test]
fn an_agreement_that_changes_nothing_of_the_source_keeps_it() {
    let mut world = talking(|_| {});
    world.run(SETTLED_MS);
    let (stream, config) = (world.parties[0].stream, world.shard_config(0));
    world.command(vec![Change::Configure { stream, config }]);
    world.run(100);
    assert_eq!(counts(&mut world).sockets_connected, 2);
}

#[test]
fn silence_lets_the_socket_go_so_that_strangers_are_counted_again() {
    let mut world = talking(|_| {});
    world.run(SETTLED_MS);
    world.parties[0].tone_hz = 0.0;
    world.run(4_500);
    assert_eq!(counts(&mut world).sockets_connected, 1);
    inject(&world, "127.0.0.66:4000");
    world.run(100);
    assert_eq!(counts(&mut world).dropped_source, 1);
    world.parties[0].tone_hz = 500.0;
    world.run(SETTLED_MS);
    assert_eq!(counts(&mut world).sockets_connected, 2);
}
