//! Digits in the audio through a shard: told once, passed on once in the form each listener takes, and kept
//! out of the audio where they are withheld.

use super::party::{World, level_db};
use crate::codec::{Codec, Encoder};
use crate::command::*;
use crate::dtmf::{Detector, EventPayload, Told, ToneSender, ToneTick};
use crate::event::Event;
use crate::frame::FRAME_SAMPLES;
use crate::recorder::TrackKey;
use crate::shard::sim_io::Weather;

const DIGITS: &str = "0123456789*#ABCD";

/// Payloads of digits in the audio.
fn spoken(digits: &str, codec: Codec) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new(codec);
    let mut sender = ToneSender::new(digits, 100).unwrap();
    let mut payloads = Vec::new();
    let mut frame = [0; FRAME_SAMPLES];
    while sender.tick(&mut frame) == ToneTick::Frame {
        let mut payload = vec![0; 400];
        let length = encoder.encode(&frame, &mut payload);
        payload.truncate(length);
        payloads.push(payload);
    }
    payloads
}

/// A party whose digits are in its audio, and one that takes them as `form` says, in this codec.
fn pair(form: DigitForm, codec: Codec) -> World {
    let mut world = World::new(21);
    world.party_with(Codec::Pcmu, |config| config.digits = DigitForm::Tones);
    world.party_with(codec, |config| config.digits = form);
    world.parties[0].tone_hz = 500.0;
    world.parties[1].tone_hz = 400.0;
    let rows = vec![world.row(0, &[1]), world.row(1, &[0])];
    world.command(rows);
    world.run(300);
    world
}

fn press(world: &mut World, digits: &str) {
    let payloads = spoken(digits, Codec::Pcmu);
    let ms = payloads.len() as u64 * 20;
    world.parties[0].to_send.extend(payloads);
    world.run(ms + 300);
}

fn told(world: &World, way: Told) -> String {
    let told = world.events.iter().filter_map(|(_, event)| match event {
        Event::Dtmf { digit, told, .. } if *told == way => Some(*digit),
        _ => None,
    });
    told.collect()
}

/// Digits in what the second party hears, by their form: tones, events, by signalling.
fn heard(world: &World) -> [String; 3] {
    let mut detector = Detector::new();
    let samples = world.parties[1].samples_since(0);
    let frames = samples.as_chunks::<FRAME_SAMPLES>().0.iter();
    let tones = frames.filter_map(|frame| detector.handle_frame(frame, false).ended);
    let tones = tones.map(|pressed| pressed.digit.to_char()).collect();
    let mut receiver = crate::dtmf::Receiver::new();
    let mut events = String::new();
    for heard in world.parties[1]
        .heard
        .iter()
        .filter(|heard| heard.header.payload_type == 101)
    {
        let payload = EventPayload::parse(&heard.payload).unwrap();
        let now = world.start + std::time::Duration::from_millis(heard.at_ms);
        let ended = receiver.handle_packet(heard.header.time, &payload, now);
        events.extend(ended.into_iter().flatten().map(|pressed| pressed.digit.to_char()));
    }
    let to = world.parties[1].stream;
    let messages = world.events.iter().filter_map(|(_, event)| match event {
        Event::DigitFor { stream, digit, .. } if *stream == to => Some(*digit),
        _ => None,
    });
    [tones, events, messages.collect()]
}

#[test]
fn each_digit_is_told_once_and_heard_once_in_the_form_of_its_listener() {
    for codec in [Codec::Pcmu, Codec::Pcma, Codec::G722] {
        for form in [DigitForm::Tones, DigitForm::Events, DigitForm::Signalling] {
            let mut world = pair(form, codec);
            press(&mut world, DIGITS);
            world.run(2_000);
            assert_eq!(told(&world, Told::Tones), DIGITS, "{form:?} {codec:?}");
            let [tones, events, messages] = heard(&world);
            let wanted = |of| if form == of { DIGITS } else { "" };
            assert_eq!(events, wanted(DigitForm::Events), "{form:?} {codec:?}");
            assert_eq!(messages, wanted(DigitForm::Signalling), "{form:?} {codec:?}");
            assert_eq!(tones, wanted(DigitForm::Tones), "{form:?} {codec:?}");
            // The voice is back on both sides.
            let since = world.now_ms();
            world.run(400);
            assert!(level_db(&world.parties[1].samples_since(since), 500.0) > -20.0);
            assert!(level_db(&world.parties[0].samples_since(since), 400.0) > -20.0);
            world.parties[1].assert_unbroken();
        }
    }
}

#[test]
fn a_relay_with_an_ear_passes_every_packet_bit_by_bit() {
    let mut world = pair(DigitForm::Tones, Codec::Pcmu);
    let payloads = spoken("147#", Codec::Pcmu);
    let since = world.now_ms();
    let relayed = world.shard.metrics.counts.relayed;
    press(&mut world, "147#");
    let got: Vec<_> = world.parties[1]
        .audio_since(since)
        .iter()
        .map(|heard| heard.payload.clone())
        .collect();
    let begin = got.iter().position(|payload| *payload == payloads[0]).unwrap();
    assert_eq!(got[begin..begin + payloads.len()], payloads);
    assert!(world.shard.metrics.counts.relayed - relayed >= payloads.len() as u64);
    assert_eq!(told(&world, Told::Tones), "147#");
}

/// Q.24 table A-1: 23 ms are no digit to anybody.
#[test]
fn of_a_tone_that_is_passed_on_as_an_event_less_than_a_digit_is_heard() {
    let mut world = pair(DigitForm::Events, Codec::Pcmu);
    let since = world.now_ms();
    let mut sender = ToneSender::new("6", 1_000).unwrap();
    let mut frame = [0; FRAME_SAMPLES];
    while sender.tick(&mut frame) == ToneTick::Frame {
        let mut payload = vec![0; FRAME_SAMPLES];
        Encoder::new(Codec::Pcmu).encode(&frame, &mut payload);
        world.parties[0].to_send.push_back(payload);
    }
    world.run(1_300);
    let samples = world.parties[1].samples_since(since);
    let loud = samples
        .chunks(40)
        .filter(|part| level_db(part, 1477.0) > -30.0)
        .count()
        * 5;
    println!("{loud} ms of the tone are heard");
    assert!(loud <= 25, "{loud}");
    world.run(1_500);
    assert_eq!(heard(&world)[..2], ["", "6"]);
}

#[test]
fn no_sample_of_a_withheld_digit_is_heard_or_recorded() {
    for form in [DigitForm::Tones, DigitForm::Events, DigitForm::Signalling] {
        let mut world = pair(form, Codec::Pcmu);
        let (stream, since) = (world.parties[0].stream, world.now_ms());
        world.command(vec![
            Change::PassDtmf { stream, pass: false },
            Change::StartTrack {
                track: TrackKey(1),
                stream,
                gate: TrackGate::Open,
            },
        ]);
        world.run(200);
        press(&mut world, "58D");
        let until = world.now_ms();
        world.command(vec![Change::PassDtmf { stream, pass: true }]);
        world.run(300);
        world.command(vec![Change::StopTrack { track: TrackKey(1) }]);
        world.run(100);
        assert_eq!(told(&world, Told::Tones), "58D", "{form:?}");
        assert_eq!(heard(&world), ["", "", ""], "{form:?}");
        let mut recorded = Vec::new();
        while let Some(block) = world.blocks.pop() {
            recorded.extend_from_slice(&block.samples);
        }
        for samples in [&world.parties[1].samples_since(since), &recorded] {
            assert!(level_db(samples, 500.0) > -25.0, "the voice is there: {form:?}");
            for hz in [770.0, 852.0, 941.0, 1336.0, 1633.0] {
                for part in samples.chunks(160) {
                    assert!(level_db(part, hz) < -30.0, "{form:?} {hz}");
                }
            }
        }
        assert!(until > since);
        press(&mut world, "3");
        world.run(300);
        let [tones, events, messages] = heard(&world);
        assert_eq!(tones + &events + &messages, "3");
        world.parties[1].assert_unbroken();
    }
}

/// One press of the first party, in its audio and by an event.
fn press_both(world: &mut World, digit: u8) {
    let begin = world.parties[0].time;
    let text = char::from(DIGITS.as_bytes()[usize::from(digit)]).to_string();
    world.parties[0].to_send.extend(spoken(&text, Codec::Pcmu));
    let network = world.network.clone();
    for step in 1..=7u16 {
        let payload = EventPayload {
            event: digit,
            is_end: step >= 5,
            volume: 10,
            duration: step.min(5) * 160,
        };
        let sender = &mut world.parties[0];
        let time = std::mem::replace(&mut sender.time, begin);
        sender.send(&network, 101, step == 1, &payload.to_bytes());
        sender.time = time;
        world.run(20);
    }
}

#[test]
fn a_press_in_the_audio_and_by_an_event_is_one() {
    let mut world = pair(DigitForm::Events, Codec::Pcmu);
    press_both(&mut world, 5);
    world.run(1_000);
    assert_eq!(
        (told(&world, Told::Tones), told(&world, Told::Events)),
        (String::new(), "5".into())
    );
    assert_eq!(heard(&world)[..2], ["", "5"]);
}

#[test]
fn a_tone_beside_an_event_is_kept_from_everyone_with_it_and_the_relay_returns() {
    let mut world = World::new(22);
    world.party(Codec::Pcmu);
    world.party(Codec::Pcmu);
    world.parties[0].tone_hz = 500.0;
    let (stream, rows) = (
        world.parties[0].stream,
        vec![world.row(0, &[1]), world.row(1, &[0])],
    );
    world.command(rows);
    world.run(300);
    let since = world.now_ms();
    world.command(vec![
        Change::PassDtmf { stream, pass: false },
        Change::StartTrack {
            track: TrackKey(1),
            stream,
            gate: TrackGate::Open,
        },
    ]);
    world.run(100);
    press_both(&mut world, 5);
    // As a collect that is over with this digit: the tone is still on its way through the jitter buffer.
    world.command(vec![Change::PassDtmf { stream, pass: true }]);
    world.run(1_000);
    world.command(vec![Change::StopTrack { track: TrackKey(1) }]);
    world.run(100);
    assert_eq!(
        (told(&world, Told::Tones), told(&world, Told::Events)),
        (String::new(), "5".into())
    );
    assert_eq!(heard(&world), ["", "", ""]);
    let mut recorded = Vec::new();
    while let Some(block) = world.blocks.pop() {
        recorded.extend_from_slice(&block.samples);
    }
    for samples in [&world.parties[1].samples_since(since), &recorded] {
        assert!(level_db(samples, 500.0) > -25.0, "the voice is there");
        for part in samples.chunks(160) {
            assert!(level_db(part, 1_336.0) < -30.0);
        }
    }
    let relayed = world.shard.metrics.counts.relayed;
    world.run(400);
    assert!(
        world.shard.metrics.counts.relayed - relayed >= 19,
        "relayed again"
    );
    // What else it says in its audio is no digit.
    press(&mut world, "7");
    assert_eq!(told(&world, Told::Tones), "");
}

#[test]
fn digits_are_told_once_over_a_line_that_loses_one_packet_in_a_hundred() {
    let mut world = pair(DigitForm::Events, Codec::Pcmu);
    world.weather(Weather {
        loss_permille: 10,
        duplicate_permille: 20,
        delay: std::time::Duration::from_millis(10),
        jitter: std::time::Duration::from_millis(10),
    });
    for _ in 0..6 {
        press(&mut world, DIGITS);
    }
    assert_eq!(told(&world, Told::Tones), DIGITS.repeat(6));
}

#[test]
fn a_tone_cut_off_by_hold_is_told_and_the_voice_returns() {
    let mut world = pair(DigitForm::Events, Codec::Pcmu);
    world.parties[0].to_send.extend(spoken("9", Codec::Pcmu));
    world.run(90);
    let stream = world.parties[0].stream;
    let mut config = world.shard_config(0);
    config.may_receive = false;
    world.command(vec![Change::Configure {
        stream,
        config: config.clone(),
    }]);
    world.run(500);
    assert_eq!(told(&world, Told::Tones), "9");
    config.may_receive = true;
    world.command(vec![Change::Configure { stream, config }]);
    world.run(500);
    let since = world.now_ms() - 200;
    assert!(level_db(&world.parties[1].samples_since(since), 500.0) > -20.0);
}
