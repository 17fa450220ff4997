//! Three parties, different codecs, and the way between relay and mix.

use super::party::{World, level_db};
use crate::command::*;

const TONES: [f32; 3] = [500.0, 1100.0, 2300.0];

/// Heard: the tone stands out. Sent at a quarter of full scale, −12 dB.
const HEARD_DB: f32 = -15.0;
/// Not heard: G.711's own noise lies lower still.
const UNHEARD_DB: f32 = -50.0;

fn conference(codecs: [Codec; 3]) -> World {
    let mut world = World::new(3);
    for (codec, tone) in codecs.into_iter().zip(TONES) {
        let party = world.party(codec);
        world.parties[party].tone_hz = tone;
    }
    let rows = vec![
        world.row(0, &[1, 2]),
        world.row(1, &[0, 2]),
        world.row(2, &[0, 1]),
    ];
    world.command(rows);
    world
}

/// Which tones `listener` hears from a moment on; a tone neither clearly there nor clearly absent fails.
pub fn tones_heard(world: &World, listener: usize, since_ms: u64) -> Vec<usize> {
    let samples = world.parties[listener].samples_since(since_ms);
    assert!(samples.len() >= 1600, "only {} samples", samples.len());
    let levels: Vec<_> = TONES.iter().map(|hz| level_db(&samples, *hz)).collect();
    assert!(
        levels
            .iter()
            .all(|level| *level > HEARD_DB || *level < UNHEARD_DB),
        "{levels:?}"
    );
    (0..3).filter(|tone| levels[*tone] > HEARD_DB).collect()
}

#[test]
fn three_parties_hear_the_other_two_and_not_themselves() {
    for codecs in [[Codec::Pcmu; 3], [Codec::Pcma, Codec::Pcmu, Codec::Pcma]] {
        let mut world = conference(codecs);
        world.run(2000);
        assert_eq!(tones_heard(&world, 0, 1000), [1, 2]);
        assert_eq!(tones_heard(&world, 1, 1000), [0, 2]);
        assert_eq!(tones_heard(&world, 2, 1000), [0, 1]);
        world.parties.iter().for_each(|party| party.assert_unbroken());
        assert_eq!(world.parties[0].audio_since(1000).len(), 51);
    }
}

#[test]
fn one_speaker_of_another_codec_is_transcoded() {
    let mut world = World::new(3);
    let (a, b) = (world.party(Codec::Pcmu), world.party(Codec::Pcma));
    (world.parties[a].tone_hz, world.parties[b].tone_hz) = (TONES[0], TONES[1]);
    let rows = vec![world.row(a, &[b]), world.row(b, &[a])];
    world.command(rows);
    world.run(2000);
    assert_eq!(tones_heard(&world, a, 1000), [1]);
    assert_eq!(tones_heard(&world, b, 1000), [0]);
    assert!(
        world.parties[b]
            .heard
            .iter()
            .all(|heard| heard.header.payload_type == 8)
    );
}

#[test]
fn g722_and_g711_hear_each_other_and_two_of_g722_are_relayed() {
    let mut world = conference([Codec::G722, Codec::Pcmu, Codec::Pcma]);
    world.run(2000);
    assert_eq!(tones_heard(&world, 0, 1000), [1, 2]);
    assert_eq!(tones_heard(&world, 1, 1000), [0, 2]);
    assert_eq!(tones_heard(&world, 2, 1000), [0, 1]);
    world.parties.iter().for_each(|party| party.assert_unbroken());

    let mut world = World::new(2);
    let (a, b) = (world.party(Codec::G722), world.party(Codec::G722));
    (world.parties[a].tone_hz, world.parties[b].tone_hz) = (TONES[0], TONES[1]);
    let rows = vec![world.row(a, &[b]), world.row(b, &[a])];
    world.command(rows);
    world.run(2000);
    assert_eq!(tones_heard(&world, a, 1000), [1]);
    assert_eq!(tones_heard(&world, b, 1000), [0]);
    world.shard.publish();
    assert_eq!(world.metrics.counts().mixed, 0);
    assert!(world.metrics.counts().relayed > 150);
}

#[test]
fn opus_and_g711_hear_each_other_at_any_packet_length() {
    for ptime_ms in [10, 20, 40, 60] {
        let mut world = World::new(4);
        let a = world.party(Codec::Pcmu);
        let b = world.party_with(Codec::Opus, |config| config.ptime_ms = ptime_ms);
        (world.parties[a].tone_hz, world.parties[b].tone_hz) = (TONES[0], TONES[1]);
        let rows = vec![world.row(a, &[b]), world.row(b, &[a])];
        world.command(rows);
        world.run(3000);
        assert_eq!(tones_heard(&world, a, 1000), [1], "{ptime_ms} ms");
        assert_eq!(tones_heard(&world, b, 1000), [0], "{ptime_ms} ms");
        let heard = world.parties[b].audio_since(1000);
        let step = u32::from(ptime_ms) * 48;
        for pair in heard.windows(2) {
            assert_eq!(pair[1].header.time.since(pair[0].header.time) as u32, step);
        }
        world.parties.iter().for_each(|party| party.assert_unbroken());
    }
}

#[test]
fn two_of_opus_are_relayed() {
    let mut world = World::new(2);
    let (a, b) = (world.party(Codec::Opus), world.party(Codec::Opus));
    (world.parties[a].tone_hz, world.parties[b].tone_hz) = (TONES[0], TONES[1]);
    let rows = vec![world.row(a, &[b]), world.row(b, &[a])];
    world.command(rows);
    world.run(2000);
    assert_eq!(tones_heard(&world, a, 1000), [1]);
    assert_eq!(tones_heard(&world, b, 1000), [0]);
    world.shard.publish();
    assert_eq!(world.metrics.counts().mixed, 0);
    assert!(world.metrics.counts().relayed > 150);
}

#[test]
fn other_packet_lengths_are_filled_from_the_same_grid() {
    for ptime_ms in [10, 30, 40, 60] {
        let mut world = World::new(3);
        let a = world.party(Codec::Pcmu);
        let b = world.party_with(Codec::Pcmu, |config| config.ptime_ms = ptime_ms);
        world.parties[a].tone_hz = TONES[0];
        world.parties[b].tone_hz = TONES[1];
        let rows = vec![world.row(a, &[b]), world.row(b, &[a])];
        world.command(rows);
        world.run(2400);
        assert_eq!(
            (tones_heard(&world, a, 1000), tones_heard(&world, b, 1000)),
            (vec![1], vec![0]),
            "{ptime_ms}"
        );
        assert!(
            world.parties[b]
                .heard
                .iter()
                .all(|heard| heard.payload.len() == usize::from(ptime_ms) * 8)
        );
        let steps = world.parties[b]
            .heard
            .windows(2)
            .map(|pair| pair[1].header.time.since(pair[0].header.time));
        assert!(steps.skip(1).all(|step| step == i32::from(ptime_ms) * 8));
    }
}

#[test]
fn a_party_that_changes_its_codec_is_heard_on() {
    let mut world = World::new(3);
    let (a, b) = (world.party(Codec::Pcmu), world.party(Codec::Pcmu));
    world.parties[a].tone_hz = TONES[0];
    let rows = vec![world.row(a, &[b]), world.row(b, &[a])];
    world.command(rows);
    world.run(1000);
    (world.parties[a].codec, world.parties[a].payload_type) = (Codec::Pcma, 8);
    world.run(2000);
    assert_eq!(tones_heard(&world, b, 1200), [0]);
    assert!(
        world.parties[b]
            .heard
            .iter()
            .all(|heard| heard.header.payload_type == 0)
    );
    world.parties[b].assert_unbroken();
}

#[test]
fn relay_mix_relay_is_one_rtp_sequence() {
    let mut world = conference([Codec::Pcmu; 3]);
    let pair = vec![world.row(0, &[1]), world.row(1, &[0]), world.row(2, &[])];
    world.command(pair.clone());
    world.run(1000);
    assert_eq!(tones_heard(&world, 0, 200), [1]);
    let all = vec![
        world.row(0, &[1, 2]),
        world.row(1, &[0, 2]),
        world.row(2, &[0, 1]),
    ];
    world.command(all);
    world.run(1000);
    assert_eq!(tones_heard(&world, 0, 1200), [1, 2]);
    world.command(pair);
    world.run(1000);
    assert_eq!(tones_heard(&world, 0, 2200), [1]);
    assert_eq!(tones_heard(&world, 2, 2200), Vec::<usize>::new());
    world.parties.iter().for_each(|party| party.assert_unbroken());
    let gap = world
        .parties
        .iter()
        .flat_map(|party| party.heard.windows(2))
        .map(|pair| pair[1].at_ms - pair[0].at_ms);
    assert!(gap.max() <= Some(40));
}

#[test]
fn all_rows_of_a_command_change_on_the_same_frame() {
    let mut world = conference([Codec::Pcmu; 3]);
    let nobody = vec![world.row(0, &[]), world.row(1, &[]), world.row(2, &[])];
    world.command(nobody);
    world.run(500);
    let all = vec![
        world.row(0, &[1, 2]),
        world.row(1, &[0, 2]),
        world.row(2, &[0, 1]),
    ];
    world.command(all);
    world.run(500);
    let first: Vec<_> = world
        .parties
        .iter()
        .map(|party| {
            party
                .heard
                .iter()
                .find(|heard| heard.payload.iter().any(|byte| *byte != 0xff))
                .unwrap()
                .at_ms
        })
        .collect();
    assert!(first.iter().all(|at| *at == first[0]), "{first:?}");
    assert!(first[0] <= 560, "{first:?}");
}

#[test]
fn a_muted_party_is_unheard_at_once_and_still_gets_packets() {
    let mut world = conference([Codec::Pcmu; 3]);
    world.run(1000);
    let muted = vec![world.row(0, &[2]), world.row(1, &[]), world.row(2, &[0])];
    world.command(muted);
    world.run(1000);
    assert_eq!(tones_heard(&world, 0, 1001), [2]);
    assert_eq!(tones_heard(&world, 2, 1001), [0]);
    let silence = world.parties[1].audio_since(1021);
    assert!(silence.len() >= 48 && silence.iter().all(|heard| heard.payload == [0xff; 160]));
    world.parties.iter().for_each(|party| party.assert_unbroken());
}

#[test]
fn gains_and_losses_do_not_break_the_mix() {
    let mut world = conference([Codec::Pcmu; 3]);
    world.weather(crate::shard::sim_io::Weather {
        loss_permille: 50,
        jitter: std::time::Duration::from_millis(30),
        ..Default::default()
    });
    let speakers = vec![
        Heard {
            speaker: world.parties[1].stream,
            gain_db: -6.0,
        },
        Heard {
            speaker: world.parties[2].stream,
            gain_db: 6.0,
        },
    ];
    world.command(vec![Change::Hear {
        listener: world.parties[0].stream,
        speakers,
    }]);
    world.run(5000);
    let samples = world.parties[0].samples_since(1000);
    let (quiet, loud) = (level_db(&samples, TONES[1]), level_db(&samples, TONES[2]));
    assert!((10.0..14.0).contains(&(loud - quiet)), "{quiet} {loud}");
}
