//! Music, announcements and what plays over speech.

use std::sync::Arc;

use super::mix::tones_heard;
use super::party::{World, level_db};
use crate::command::*;
use crate::event::{Event, PlayEnd};
use crate::sound::Sound;

const MUSIC_HZ: f32 = 700.0;
const PROMPT_HZ: f32 = 1700.0;

fn sound(hz: f32, ms: u32) -> Source {
    let samples =
        (0..ms * 8).map(|at| ((at as f32 * hz * std::f32::consts::TAU / 8000.0).sin() * 8000.0) as i16);
    Source::Sound(Arc::new(Sound::from_pcm(samples.collect())))
}

fn play(world: &World, play: u64, listener: usize, source: Source, layer: PlayLayer) -> Change {
    let listener = world.parties[listener].stream;
    let repeat = layer == PlayLayer::Background;
    Change::Play {
        play: PlayKey(play),
        listener,
        sources: vec![source],
        from_ms: 0,
        repeat,
        gain_db: 0.0,
        layer,
    }
}

fn pair() -> World {
    let mut world = World::new(5);
    let (a, b) = (world.party(Codec::Pcmu), world.party(Codec::Pcma));
    (world.parties[a].tone_hz, world.parties[b].tone_hz) = (500.0, 1100.0);
    let rows = vec![world.row(a, &[b]), world.row(b, &[a])];
    world.command(rows);
    world
}

/// Levels of (music, prompt, the other's voice) at `listener` within a span.
fn levels(world: &World, listener: usize, from_ms: u64, to_ms: u64) -> [bool; 3] {
    let samples: Vec<_> = world.parties[listener].samples_since(from_ms);
    let samples = &samples[..((to_ms - from_ms) * 8) as usize];
    let other = [1100.0, 500.0][listener];
    [MUSIC_HZ, PROMPT_HZ, other].map(|hz| {
        let level = level_db(samples, hz);
        assert!(!(-50.0..-15.0).contains(&level), "{hz} Hz at {level}");
        level > -15.0
    })
}

#[test]
fn hold_is_music_alone_and_resume_brings_the_voice_back() {
    let mut world = pair();
    world.run(1000);
    assert_eq!(levels(&world, 0, 500, 900), [false, false, true]);
    let music = play(&world, 1, 0, sound(MUSIC_HZ, 500), PlayLayer::Background);
    let hold = vec![world.row(0, &[]), world.row(1, &[]), music];
    world.command(hold);
    world.run(1000);
    assert_eq!(levels(&world, 0, 1021, 1900), [true, false, false]);
    assert_eq!(levels(&world, 1, 1021, 1900), [false, false, false]);
    let resume = vec![
        Change::StopPlay { play: PlayKey(1) },
        world.row(0, &[1]),
        world.row(1, &[0]),
    ];
    world.command(resume);
    world.run(1000);
    assert_eq!(levels(&world, 0, 2100, 2900), [false, false, true]);
    world.parties.iter().for_each(|party| party.assert_unbroken());
    world.shard.publish();
    assert_eq!(world.metrics.counts().payload_copies, 0);
}

#[test]
fn the_first_frame_after_a_hold_holds_music_and_no_voice() {
    let mut world = pair();
    world.run(1000);
    let music = play(&world, 1, 0, Source::Silence(5000), PlayLayer::Background);
    let hold = vec![world.row(0, &[]), world.row(1, &[]), music];
    world.command(hold);
    world.run(40);
    let after: Vec<_> = world.parties[0].audio_since(1001);
    assert!(
        !after.is_empty()
            && after
                .iter()
                .all(|heard| heard.payload.iter().all(|byte| *byte == 0xff))
    );
}

#[test]
fn an_announcement_interrupts_music_which_goes_on_after_it() {
    let mut world = pair();
    let music = play(&world, 1, 0, sound(MUSIC_HZ, 500), PlayLayer::Background);
    let hold = vec![world.row(0, &[]), music];
    world.command(hold);
    world.run(1000);
    let prompt = play(&world, 2, 0, sound(PROMPT_HZ, 600), PlayLayer::Replace);
    world.command(vec![prompt]);
    world.run(1500);
    assert_eq!(levels(&world, 0, 500, 900), [true, false, false]);
    assert_eq!(levels(&world, 0, 1021, 1600), [false, true, false]);
    assert_eq!(levels(&world, 0, 1700, 2300), [true, false, false]);
    let ended: Vec<_> = world
        .events
        .iter()
        .filter_map(|(at, event)| match event {
            Event::PlayEnded {
                play,
                why,
                position_ms,
            } => Some((*at, *play, *why, *position_ms)),
            _ => None,
        })
        .collect();
    assert_eq!(ended, [(1620, PlayKey(2), PlayEnd::Completed, 600)]);
    let gaps = world.parties[0]
        .heard
        .windows(2)
        .map(|pair| pair[1].at_ms - pair[0].at_ms);
    assert!(gaps.max() <= Some(20), "music and prompt follow without a gap");
    world.parties[0].assert_unbroken();
}

#[test]
fn an_announcement_replaces_speech_and_relay_returns_after_it() {
    let mut world = pair();
    world.run(1000);
    let prompt = play(&world, 2, 0, sound(PROMPT_HZ, 400), PlayLayer::Replace);
    world.command(vec![prompt]);
    world.run(1500);
    assert_eq!(levels(&world, 0, 1021, 1400), [false, true, false]);
    assert_eq!(levels(&world, 1, 1021, 1400), [false, false, true]);
    assert_eq!(levels(&world, 0, 1600, 2400), [false, false, true]);
    assert_eq!(
        world.events_of(|event| matches!(event, Event::PlayStarted { .. })),
        1
    );
}

#[test]
fn a_play_over_speech_is_mixed_with_it() {
    let mut world = pair();
    world.run(500);
    let beep = play(&world, 3, 0, sound(PROMPT_HZ, 800), PlayLayer::Over);
    world.command(vec![beep]);
    world.run(1500);
    assert_eq!(levels(&world, 0, 700, 1200), [false, true, true]);
    assert_eq!(levels(&world, 0, 1500, 1900), [false, false, true]);
}

#[test]
fn pause_stops_the_clock_and_stop_tells_how_far_it_came() {
    let mut world = pair();
    let prompt = play(&world, 4, 0, sound(PROMPT_HZ, 5000), PlayLayer::Replace);
    world.command(vec![prompt]);
    world.run(500);
    world.command(vec![Change::PausePlay {
        play: PlayKey(4),
        paused: true,
    }]);
    world.run(1000);
    world.command(vec![Change::PausePlay {
        play: PlayKey(4),
        paused: false,
    }]);
    world.run(500);
    world.command(vec![Change::StopPlay { play: PlayKey(4) }]);
    world.run(20);
    let ended = world.events.iter().find_map(|(_, event)| match event {
        Event::PlayEnded { why, position_ms, .. } => Some((*why, *position_ms)),
        _ => None,
    });
    assert_eq!(ended, Some((PlayEnd::Stopped, 1000)));
    assert_eq!(levels(&world, 0, 521, 1500), [false, false, false]);
}

#[test]
fn plays_end_with_their_listener_and_a_play_to_nobody_ends_at_once() {
    let mut world = pair();
    let music = play(&world, 1, 0, sound(MUSIC_HZ, 500), PlayLayer::Background);
    world.command(vec![music]);
    world.run(100);
    let stream = world.parties[0].stream;
    let late = play(&world, 2, 0, sound(MUSIC_HZ, 500), PlayLayer::Background);
    world.command(vec![Change::Close { stream }, late]);
    world.run(100);
    let closed = |event: &Event| {
        matches!(
            event,
            Event::PlayEnded {
                why: PlayEnd::ListenerClosed,
                ..
            }
        )
    };
    assert_eq!(world.events_of(closed), 2);
}

#[test]
fn all_listeners_of_one_music_are_sent_the_same_bytes() {
    let mut world = World::new(5);
    let music = sound(MUSIC_HZ, 300);
    for index in 0..3 {
        world.party(Codec::Pcmu);
        let change = play(&world, index as u64, index, music.clone(), PlayLayer::Background);
        world.command(vec![change]);
    }
    world.run(1000);
    let payloads = |index: usize| {
        world.parties[index]
            .heard
            .iter()
            .map(|heard| heard.payload.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(payloads(0), payloads(1));
    assert_eq!(payloads(0), payloads(2));
    assert!(tones_heard(&world, 0, 100).is_empty());
}
