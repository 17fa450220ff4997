//! How well a stream is, in virtual time: periods with loss, and a far side that gets nothing.

use std::net::SocketAddr;
use std::time::Duration;

use super::party::World;
use crate::command::*;
use crate::event::Event;
use crate::rtp::Ssrc;
use crate::rtp::rtcp::{CompoundWriter, ReportBlock};
use crate::shard::sim_io::Weather;
use crate::stream::Quality;

/// Two parties who hear each other, on a line with this loss.
fn pair(loss_permille: u64) -> World {
    let mut world = World::new(31);
    for hz in [400.0, 500.0] {
        let party = world.party(Codec::Pcmu);
        world.parties[party].tone_hz = hz;
    }
    let rows = vec![world.row(0, &[1]), world.row(1, &[0])];
    world.command(rows);
    world.weather(Weather {
        loss_permille,
        ..Weather::default()
    });
    world
}

/// What the first party's periods showed.
fn periods(world: &World) -> Vec<(u64, Quality)> {
    let ours = world.parties[0].stream;
    let periods = world.events.iter().filter_map(|(at_ms, event)| match event {
        Event::Quality { stream, quality } if *stream == ours => Some((*at_ms, *quality)),
        _ => None,
    });
    periods.collect()
}

/// When this was told of the first party.
fn told(world: &World, wanted: impl Fn(&Event) -> Option<StreamKey>) -> Vec<u64> {
    let ours = world.parties[0].stream;
    let told = world
        .events
        .iter()
        .filter(|(_, event)| wanted(event) == Some(ours));
    told.map(|(at_ms, _)| *at_ms).collect()
}

fn deaf(event: &Event) -> Option<StreamKey> {
    match event {
        Event::Deaf { stream } => Some(*stream),
        _ => None,
    }
}

fn hearing(event: &Event) -> Option<StreamKey> {
    match event {
        Event::Hearing { stream } => Some(*stream),
        _ => None,
    }
}

/// The first party reports of what it heard: nothing of us, or this.
fn report(world: &World, heard: Option<(u32, u8)>) {
    let party = &world.parties[0];
    let ssrc = party.heard.last().unwrap().header.ssrc;
    let block = heard.map(|(highest_seq, fraction_lost)| ReportBlock {
        ssrc,
        fraction_lost,
        cumulative_lost: 0,
        highest_seq,
        jitter: 80,
        last_sr: 0,
        delay_since_last_sr: 0,
    });
    let mut buffer = [0; 100];
    let length = CompoundWriter::new(&mut buffer)
        .receiver_report(Ssrc(party.ssrc), block.as_ref())
        .cname(Ssrc(party.ssrc), b"party")
        .finish()
        .unwrap();
    let beside = |address: SocketAddr| SocketAddr::new(address.ip(), address.port() + 1);
    let (from, to) = (beside(party.address), beside(party.gateway));
    world.network.send(from, &buffer[..length], &[], to);
}

#[test]
fn each_period_of_five_seconds_shows_the_loss_of_its_own_time() {
    let mut world = pair(0);
    world.run(10_200);
    world.weather(Weather {
        loss_permille: 100,
        ..Weather::default()
    });
    world.run(10_000);
    world.weather(Weather::default());
    world.run(10_000);
    let periods = periods(&world);
    assert_eq!(periods.len(), 6, "{periods:?}");
    let gaps = periods.windows(2).map(|pair| pair[1].0 - pair[0].0);
    assert!(
        gaps.into_iter().all(|ms| (5_000..=5_100).contains(&ms)),
        "{periods:?}"
    );
    let loss: Vec<f32> = periods
        .iter()
        .map(|(_, quality)| quality.rx.unwrap().loss)
        .collect();
    let mos: Vec<f32> = periods
        .iter()
        .map(|(_, quality)| quality.rx.unwrap().mos)
        .collect();
    assert!(loss[..2].iter().all(|loss| *loss < 0.005), "{loss:?}");
    assert!(
        loss[2..4].iter().all(|loss| (0.05..0.16).contains(loss)),
        "{loss:?}"
    );
    assert!(loss[5] < 0.005, "{loss:?}");
    assert!(mos[0] > 4.2 && mos[3] < 3.8 && mos[5] > 4.2, "{mos:?}");
}

#[test]
fn what_the_far_side_reports_is_its_direction_for_a_while() {
    let mut world = pair(0);
    world.run(4_000);
    report(&world, Some((1_000, 51)));
    world.run(1_500);
    let (_, quality) = periods(&world)[0];
    let tx = quality.tx.unwrap();
    assert!(
        (tx.loss - 0.2).abs() < 0.01 && (tx.jitter_ms - 10.0).abs() < 0.01,
        "{tx:?}"
    );
    assert!(tx.mos < quality.rx.unwrap().mos - 0.5, "{quality:?}");
    world.run(20_000);
    assert_eq!(periods(&world).last().unwrap().1.tx, None, "of long ago");
}

#[test]
fn a_far_side_whose_reports_stand_still_gets_nothing() {
    let mut world = pair(0);
    for highest in [1_000, 1_250] {
        world.run(5_000);
        report(&world, Some((highest, 0)));
    }
    world.run(5_000);
    assert_eq!(told(&world, deaf), [] as [u64; 0]);
    report(&world, Some((1_250, 0)));
    let reported = world.now_ms();
    world.run(5_000);
    let [at] = told(&world, deaf)[..] else {
        panic!("told once")
    };
    assert!(at - reported <= 1_100, "{at} after {reported}");
    report(&world, Some((1_800, 0)));
    let reported = world.now_ms();
    world.run(2_000);
    let [at] = told(&world, hearing)[..] else {
        panic!("told once")
    };
    assert!(at - reported <= 1_100, "{at} after {reported}");
}

#[test]
fn a_far_side_that_reports_of_nobody_gets_nothing_and_one_that_reports_nothing_is_left_alone() {
    let mut world = pair(0);
    world.run(30_000);
    assert_eq!(told(&world, deaf), [] as [u64; 0]);
    for _ in 0..2 {
        assert_eq!(told(&world, deaf), [] as [u64; 0]);
        report(&world, None);
        world.run(5_000);
    }
    assert_eq!(told(&world, deaf).len(), 1);
    // A refresh that changes nothing leaves it so; another address begins anew.
    let stream = world.parties[0].stream;
    let mut config = world.shard_config(0);
    world.command(vec![Change::Configure {
        stream,
        config: config.clone(),
    }]);
    world.run(3_000);
    assert_eq!((told(&world, deaf).len(), told(&world, hearing).len()), (1, 0));
    config.remote = Some("127.0.0.2:4100".parse().unwrap());
    world.command(vec![Change::Configure { stream, config }]);
    world.run(3_000);
    assert_eq!(told(&world, deaf).len(), 1);
}

#[test]
fn silence_is_told_two_seconds_after_the_last_packet() {
    let mut world = pair(0);
    world.run(1_000);
    world.parties[0].tone_hz = 0.0;
    let stopped = world.now_ms();
    world.run(3_000);
    let silent = told(&world, |event| match event {
        Event::Silent { stream } => Some(*stream),
        _ => None,
    });
    assert_eq!(silent.len(), 1);
    let took = Duration::from_millis(silent[0] - stopped);
    assert!((1_980..=2_040).contains(&took.as_millis()), "{took:?}");
}
