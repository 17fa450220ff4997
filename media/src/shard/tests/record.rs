//! Tracks: what each party says and nothing else, on the grid.

use super::party::{World, level_db};
use crate::command::*;
use crate::recorder::TrackKey;

fn pair() -> World {
    let mut world = World::new(13);
    let (a, b) = (world.party(Codec::Pcmu), world.party(Codec::Pcmu));
    (world.parties[a].tone_hz, world.parties[b].tone_hz) = (500.0, 1100.0);
    let rows = vec![world.row(a, &[b]), world.row(b, &[a])];
    world.command(rows);
    world
}

fn start(world: &World, track: u64, party: usize) -> Change {
    Change::StartTrack {
        track: TrackKey(track),
        stream: world.parties[party].stream,
        gate: TrackGate::Open,
    }
}

/// All samples of a track, and whether its end came.
fn track(world: &mut World, key: u64, kept: &mut Vec<(TrackKey, u64, Vec<i16>, bool)>) -> (Vec<i16>, bool) {
    while let Some(block) = world.blocks.pop() {
        kept.push((block.track, block.position, block.samples.clone(), block.is_last));
        world.blocks.give_back(block.samples);
    }
    let mut samples = Vec::new();
    let mut has_ended = false;
    for (_, position, part, is_last) in kept.iter().filter(|(track, ..)| *track == TrackKey(key)) {
        samples.resize(*position as usize, 0);
        samples.extend(part);
        has_ended |= is_last;
    }
    (samples, has_ended)
}

#[test]
fn each_track_holds_its_party_and_the_relay_goes_on() {
    let mut world = pair();
    let tracks = vec![start(&world, 1, 0), start(&world, 2, 1)];
    world.command(tracks);
    world.run(3000);
    world.command(vec![
        Change::StopTrack { track: TrackKey(1) },
        Change::StopTrack { track: TrackKey(2) },
    ]);
    let mut kept = Vec::new();
    for (key, own, other) in [(1, 500.0, 1100.0), (2, 1100.0, 500.0)] {
        let (samples, has_ended) = track(&mut world, key, &mut kept);
        assert!(has_ended);
        assert_eq!(samples.len(), 3000 * 8);
        assert!(level_db(&samples, own) > -13.0 && level_db(&samples, other) < -50.0);
    }
    world.shard.publish();
    let counts = world.metrics.counts();
    assert!(counts.relayed >= 298 && counts.mixed == 0, "{counts:?}");
    assert_eq!(counts.blocks_dropped, 0);
}

#[test]
fn a_silent_gate_leaves_silence_of_the_same_length() {
    let mut world = pair();
    let begin = start(&world, 1, 0);
    world.command(vec![begin]);
    world.run(1000);
    world.command(vec![Change::GateTrack {
        track: TrackKey(1),
        gate: TrackGate::Silent,
    }]);
    world.run(1000);
    world.command(vec![Change::GateTrack {
        track: TrackKey(1),
        gate: TrackGate::Open,
    }]);
    world.run(1000);
    world.command(vec![Change::StopTrack { track: TrackKey(1) }]);
    let (samples, _) = track(&mut world, 1, &mut Vec::new());
    assert_eq!(samples.len(), 3000 * 8);
    assert!(samples[8000..16_000].iter().all(|sample| *sample == 0));
    assert!(level_db(&samples[1600..8000], 500.0) > -13.0 && level_db(&samples[16_000..], 500.0) > -13.0);
}

#[test]
fn a_writer_that_stops_reading_costs_counted_gaps_and_never_the_end() {
    let mut world = pair();
    let begin = start(&world, 1, 0);
    world.command(vec![begin]);
    // 1024 blocks of 200 ms fill the queue after 204.8 s.
    world.run(220_000);
    world.command(vec![Change::StopTrack { track: TrackKey(1) }]);
    world.run(100);
    world.shard.publish();
    let dropped = world.metrics.counts().blocks_dropped;
    assert!((70..80).contains(&dropped), "{dropped}");
    let mut kept = Vec::new();
    track(&mut world, 1, &mut kept);
    world.run(100);
    let (samples, has_ended) = track(&mut world, 1, &mut kept);
    assert!(has_ended);
    assert_eq!(samples.len(), 220_000 * 8);
}

#[test]
fn tracks_end_with_their_party_and_a_track_of_nobody_ends_at_once() {
    let mut world = pair();
    let begin = start(&world, 1, 0);
    world.command(vec![begin]);
    world.run(500);
    let stream = world.parties[0].stream;
    let late = start(&world, 2, 0);
    world.command(vec![Change::Close { stream }, late]);
    world.run(20);
    let mut kept = Vec::new();
    let (samples, has_ended) = track(&mut world, 1, &mut kept);
    assert!(has_ended && samples.len() == 4000);
    assert_eq!(track(&mut world, 2, &mut kept), (Vec::new(), true));
}

#[test]
fn a_recorded_relay_is_the_speech_bit_exact() {
    let mut world = pair();
    world.parties[0].tone_hz = 0.0;
    let speech: Vec<Vec<u8>> = (0..100)
        .map(|at| (0..160u32).map(|byte| (byte * 31 + at * 7) as u8).collect())
        .collect();
    world.parties[0].to_send.extend(speech.clone());
    let begin = start(&world, 1, 0);
    world.command(vec![begin]);
    world.run(2500);
    world.command(vec![Change::StopTrack { track: TrackKey(1) }]);
    let (samples, _) = track(&mut world, 1, &mut Vec::new());
    let mut expected = vec![0; 16_000];
    crate::codec::Decoder::new(Codec::Pcmu).decode(&speech.concat(), &mut expected);
    let found = samples.windows(expected.len()).any(|window| window == expected);
    assert!(found, "all samples, in order, unchanged");
}
