//! Whose packets count: trunks by address, far sides behind NAT by steadiness (docs/threats.md A1, A2, F3).

use super::party::World;
use crate::command::*;
use crate::rtp::{Header, RtpTime, SeqNo, Ssrc};

fn nat(config: &mut StreamConfig) {
    let loopback = Network {
        address: "127.0.0.0".parse().unwrap(),
        prefix: 8,
    };
    config.source = SourceRule::Nat(vec![loopback]);
}

fn pair(change: impl Fn(&mut StreamConfig)) -> World {
    let mut world = World::new(17);
    let (a, b) = (world.party_with(Codec::Pcmu, change), world.party(Codec::Pcmu));
    let rows = vec![world.row(a, &[b]), world.row(b, &[a])];
    world.command(rows);
    world
}

fn inject(world: &World, from: &str, ssrc: u32, seq: u16) {
    let header = Header {
        marker: false,
        payload_type: 0,
        seq: SeqNo(seq),
        time: RtpTime(u32::from(seq) * 160),
        ssrc: Ssrc(ssrc),
    };
    let gateway = world.parties[0].gateway;
    world
        .network
        .send(from.parse().unwrap(), &header.to_bytes(), &[0x55; 160], gateway);
}

fn injected_heard(world: &World) -> usize {
    world.parties[1]
        .heard
        .iter()
        .filter(|heard| heard.payload == [0x55; 160])
        .count()
}

#[test]
fn behind_nat_the_steady_source_is_heard_and_sent_to() {
    let mut world = pair(nat);
    // The party's packets come from another port than its SDP says.
    let real = "127.0.0.2:5555".parse().unwrap();
    world.network.bind(real);
    world.parties[0].address = real;
    (world.parties[0].tone_hz, world.parties[1].tone_hz) = (500.0, 1100.0);
    world.run(2000);
    let heard: Vec<_> = world.parties[0].heard.iter().map(|heard| heard.at_ms).collect();
    // Five packets of 20 ms make it steady; from then on it is sent everything.
    assert!(
        (80..130).contains(&heard[0]) && heard.len() >= 94,
        "{} from {}",
        heard.len(),
        heard[0]
    );
    assert_eq!(world.parties[1].audio_since(1000).len(), 50);
}

#[test]
fn by_address_the_steady_port_is_heard_and_sent_to_and_no_hijacker_before_or_after() {
    let mut world = pair(|config| config.source = SourceRule::Address);
    let hijackers = ["127.0.0.66:4000", "127.0.0.66:5555"];
    for from in hijackers {
        world.network.bind(from.parse().unwrap());
    }
    // Before the party has sent anything.
    for seq in 0..200 {
        hijackers.iter().for_each(|from| inject(&world, from, 1000, seq));
        world.run(1);
    }
    let real = "127.0.0.2:5555".parse().unwrap();
    world.network.bind(real);
    world.parties[0].address = real;
    (world.parties[0].tone_hz, world.parties[1].tone_hz) = (500.0, 1100.0);
    world.run(1000);
    assert!(
        world.parties[0].heard.len() >= 44,
        "it is sent to where it sends from"
    );
    // While it speaks, and after it fell silent: neither a hijacker nor another port of its own host.
    let another = "127.0.0.2:5557";
    world.network.bind(another.parse().unwrap());
    for seq in 0..1000 {
        for from in hijackers.into_iter().chain([another]) {
            inject(&world, from, 2000, seq);
        }
        world.run(1);
    }
    assert_eq!(world.parties[1].audio_since(1500).len(), 35);
    world.parties[0].tone_hz = 0.0;
    for seq in 1000..2000 {
        hijackers.iter().for_each(|from| inject(&world, from, 2000, seq));
        world.run(1);
    }
    assert_eq!(injected_heard(&world), 0);
    for from in hijackers.into_iter().chain([another]) {
        let heard = world.network.receive(from.parse().unwrap(), &mut [0; 2048]);
        assert_eq!(heard, None, "{from} is sent nothing");
    }
}

#[test]
fn behind_nat_a_speaking_source_is_not_displaced_and_the_intruder_hears_nothing() {
    let mut world = pair(nat);
    (world.parties[0].tone_hz, world.parties[1].tone_hz) = (500.0, 1100.0);
    let intruder = "127.0.0.66:4000".parse().unwrap();
    world.network.bind(intruder);
    world.run(100);
    for seq in 0..2000 {
        inject(&world, "127.0.0.66:4000", 1000, seq);
        world.run(1);
    }
    assert_eq!(injected_heard(&world), 0);
    assert_eq!(world.network.receive(intruder, &mut [0; 2048]), None);
}

#[test]
fn a_spoofed_source_with_another_ssrc_is_not_heard_beside_the_party() {
    let mut world = pair(|_| {});
    world.parties[0].tone_hz = 500.0;
    world.run(100);
    for seq in 0..2000 {
        inject(&world, "127.0.0.2:4000", 0xbad, seq);
        world.run(1);
    }
    assert_eq!(injected_heard(&world), 0);
    world.parties[1].assert_unbroken();
    world.shard.publish();
    assert_eq!(world.metrics.counts().dropped_ssrc, 2000);
}

#[test]
fn a_new_agreement_moves_a_trunk_with_at_most_one_packet_lost() {
    let mut world = pair(|_| {});
    (world.parties[0].tone_hz, world.parties[1].tone_hz) = (500.0, 1100.0);
    world.run(1000);
    let moved: std::net::SocketAddr = "127.0.0.9:6000".parse().unwrap();
    world.network.bind(moved);
    let party = &mut world.parties[0];
    (party.address, party.ssrc, party.seq, party.time) = (moved, 77, 5, 12_345);
    let config = StreamConfig {
        codec: Codec::Pcmu,
        payload_type: 0,
        accepts: vec![(0, Codec::Pcmu)],
        event_payload_type: Some(101),
        digits: DigitForm::Events,
        ptime_ms: 20,
        remote: Some(moved),
        remote_rtcp: None,
        source: SourceRule::Strict,
        may_send: true,
        may_receive: true,
        srtp: None,
    };
    let stream = world.parties[0].stream;
    world.command(vec![Change::Configure { stream, config }]);
    world.run(1000);
    assert!(world.parties[1].heard.len() >= 98);
    world.parties[1].assert_unbroken();
    world.parties[0].assert_unbroken();
    assert!(world.parties[0].audio_since(1001).len() >= 49);
}

#[test]
fn held_by_either_side_nothing_is_sent_or_taken() {
    let mut world = pair(|config| {
        config.may_send = false;
        config.may_receive = false;
    });
    (world.parties[0].tone_hz, world.parties[1].tone_hz) = (500.0, 1100.0);
    world.run(1000);
    assert!(world.parties[0].heard.is_empty());
    // Its listener still gets packets, of silence.
    let heard = &world.parties[1].heard;
    assert!(heard.len() >= 49 && heard.iter().all(|heard| heard.payload == [0xff; 160]));
}
