//! Digits through relay, through a mix, to a party without events, and not at all while they are collected.

use super::party::{Party, World, level_db};
use crate::command::*;
use crate::dtmf::{EventPayload, Receiver};
use crate::event::Event;
use crate::shard::sim_io::Weather;

/// Presses one digit: 5 packets 20 ms apart, the last three times.
fn press(world: &mut World, party: usize, digit: u8) {
    press_and(world, party, digit, |_, _| {});
}

/// The same, with something done after each packet.
fn press_and(world: &mut World, party: usize, digit: u8, after: impl FnMut(&mut World, u16)) {
    send_steps(world, party, digit, 7, after);
    world.run(100);
}

/// So many packets of a digit, of which those from the fifth on are its end.
fn send_steps(
    world: &mut World,
    party: usize,
    digit: u8,
    steps: u16,
    mut after: impl FnMut(&mut World, u16),
) {
    let time = world.parties[party].time;
    for step in 1..=steps {
        let duration = step.min(5) * 160;
        let payload = EventPayload {
            event: digit,
            is_end: step >= 5,
            volume: 10,
            duration,
        }
        .to_bytes();
        let network = world.network.clone();
        let sender = &mut world.parties[party];
        let current = std::mem::replace(&mut sender.time, time);
        sender.send(&network, 101, step == 1, &payload);
        sender.time = current;
        world.run(20);
        after(world, step);
    }
}

/// Digits a party hears as events.
fn heard_digits(party: &Party, world: &World) -> String {
    let mut receiver = Receiver::new();
    let mut digits = String::new();
    for heard in party
        .heard
        .iter()
        .filter(|heard| heard.header.payload_type == 101)
    {
        let now = world.start + std::time::Duration::from_millis(heard.at_ms);
        digits.extend(
            receiver
                .handle_timeout(now)
                .map(|pressed| pressed.digit.to_char()),
        );
        let payload = EventPayload::parse(&heard.payload).unwrap();
        let ended = receiver.handle_packet(heard.header.time, &payload, now);
        digits.extend(ended.into_iter().flatten().map(|pressed| pressed.digit.to_char()));
    }
    digits.extend(
        receiver
            .handle_timeout(world.now + std::time::Duration::from_secs(1))
            .map(|p| p.digit.to_char()),
    );
    digits
}

fn told_digits(world: &World) -> String {
    let told = world.events.iter().filter_map(|(_, event)| match event {
        Event::Dtmf { digit, .. } => Some(*digit),
        _ => None,
    });
    told.collect()
}

fn pair(codec: Codec, event_payload_type: Option<u8>) -> World {
    let mut world = World::new(11);
    let a = world.party(Codec::Pcmu);
    let b = world.party_with(codec, |config| config.event_payload_type = event_payload_type);
    world.parties[b].tone_hz = 400.0;
    let rows = vec![world.row(a, &[b]), world.row(b, &[a])];
    world.command(rows);
    world.run(200);
    world
}

const LOSSY: Weather = Weather {
    loss_permille: 50,
    duplicate_permille: 20,
    delay: std::time::Duration::from_millis(10),
    jitter: std::time::Duration::ZERO,
};

#[test]
fn digits_pass_a_relay_once_each_despite_loss() {
    let mut world = pair(Codec::Pcmu, Some(101));
    world.weather(LOSSY);
    for digit in 0..16 {
        press(&mut world, 0, digit);
    }
    world.run(500);
    assert_eq!(told_digits(&world), "0123456789*#ABCD");
    assert_eq!(heard_digits(&world.parties[1], &world), "0123456789*#ABCD");
}

/// The first packets of a digit, and none of its end.
fn press_without_end(world: &mut World, party: usize, digit: u8) {
    send_steps(world, party, digit, 4, |_, _| {});
}

#[test]
fn a_digit_that_lost_its_end_is_not_made_anew_behind_the_next_one() {
    for (gap_ms, next, expected) in [(20, 5, "45"), (120, 5, "45"), (120, 4, "44"), (300, 5, "45")] {
        let mut world = pair(Codec::Pcmu, Some(101));
        press_without_end(&mut world, 0, 4);
        world.run(gap_ms);
        press(&mut world, 0, next);
        world.run(500);
        assert_eq!(told_digits(&world), expected);
        assert_eq!(heard_digits(&world.parties[1], &world), expected, "{gap_ms} ms");
    }
}

#[test]
fn digits_pass_a_mix_once_each_despite_loss() {
    let mut world = pair(Codec::Pcma, Some(101));
    world.weather(LOSSY);
    for digit in 0..16 {
        press(&mut world, 0, digit);
        world.run(200);
    }
    world.run(1000);
    assert_eq!(told_digits(&world), "0123456789*#ABCD");
    assert_eq!(heard_digits(&world.parties[1], &world), "0123456789*#ABCD");
}

#[test]
fn a_digit_that_meets_a_switch_from_relay_to_mix_is_heard_once() {
    for switch_after in 0..8 {
        let mut world = pair(Codec::Pcmu, Some(101));
        let third = world.party(Codec::Pcmu);
        let time = world.parties[0].time;
        for step in 1..=7u16 {
            if step == switch_after {
                let rows = vec![world.row(1, &[0, third]), world.row(third, &[0, 1])];
                world.command(rows);
            }
            let duration = step.min(5) * 160;
            let payload = EventPayload {
                event: 7,
                is_end: step >= 5,
                volume: 10,
                duration,
            }
            .to_bytes();
            let network = world.network.clone();
            world.parties[0].time = time;
            world.parties[0].send(&network, 101, step == 1, &payload);
            world.run(20);
        }
        world.run(1000);
        assert_eq!(told_digits(&world), "7");
        assert_eq!(
            heard_digits(&world.parties[1], &world),
            "7",
            "switched before packet {switch_after}"
        );
    }
}

#[test]
fn a_party_without_events_hears_tones() {
    let mut world = pair(Codec::Pcmu, None);
    press(&mut world, 0, 5);
    world.run(200);
    let samples = world.parties[1].samples_since(250);
    // Digit 5 is 770 and 1336 Hz; about 100 ms of these 370.
    assert!(level_db(&samples, 770.0) > -25.0 && level_db(&samples, 1336.0) > -25.0);
    assert!(level_db(&samples, 941.0) < -35.0);
    assert!(
        world.parties[1]
            .heard
            .iter()
            .all(|heard| heard.header.payload_type == 0)
    );
}

#[test]
fn collected_digits_pass_in_no_form() {
    for codec in [Codec::Pcmu, Codec::Pcma] {
        let mut world = pair(codec, Some(101));
        let stream = world.parties[0].stream;
        world.command(vec![Change::PassDtmf { stream, pass: false }]);
        press(&mut world, 0, 1);
        world.parties[0].tone_hz = 500.0;
        world.run(500);
        world.parties[0].tone_hz = 0.0;
        world.command(vec![Change::PassDtmf { stream, pass: true }]);
        press(&mut world, 0, 2);
        world.run(500);
        assert_eq!(told_digits(&world), "12");
        assert_eq!(heard_digits(&world.parties[1], &world), "2");
        world.parties[1].assert_unbroken();
    }
}

#[test]
fn a_digit_that_ends_its_collect_does_not_pass_with_its_last_packets() {
    for codec in [Codec::Pcmu, Codec::Pcma] {
        let mut world = pair(codec, Some(101));
        let stream = world.parties[0].stream;
        world.command(vec![Change::PassDtmf { stream, pass: false }]);
        press_and(&mut world, 0, 7, |world, step| {
            if step == 5 {
                assert_eq!(told_digits(world), "7", "told with the first of its three ends");
                world.command(vec![Change::PassDtmf { stream, pass: true }]);
            }
        });
        assert_eq!(heard_digits(&world.parties[1], &world), "");
        press(&mut world, 0, 2);
        assert_eq!(heard_digits(&world.parties[1], &world), "2");
        world.parties[1].assert_unbroken();
    }
}

#[test]
fn ordered_digits_are_sent_and_told_done_and_the_voice_returns() {
    let mut world = pair(Codec::Pcmu, Some(101));
    world.parties[0].tone_hz = 600.0;
    let stream = world.parties[1].stream;
    let digits = "159#".to_owned();
    world.command(vec![Change::SendDtmf {
        dtmf: DtmfKey(1),
        stream,
        digits,
        duration_ms: 100,
        inband: false,
    }]);
    world.run(2000);
    assert_eq!(heard_digits(&world.parties[1], &world), "159#");
    assert_eq!(
        world.events_of(|event| matches!(event, Event::DtmfSent { dtmf: DtmfKey(1) })),
        1
    );
    assert!(level_db(&world.parties[1].samples_since(1500), 600.0) > -15.0);
    world.parties[1].assert_unbroken();
    assert_eq!(told_digits(&world), "");
}

#[test]
fn a_digit_without_its_end_is_told_after_a_while() {
    let mut world = pair(Codec::Pcmu, Some(101));
    let network = world.network.clone();
    let payload = EventPayload {
        event: 9,
        is_end: false,
        volume: 10,
        duration: 800,
    }
    .to_bytes();
    world.parties[0].send(&network, 101, true, &payload);
    world.run(1000);
    assert_eq!(told_digits(&world), "9");
}

fn by_signalling(world: &mut World, party: usize, digit: char) {
    let stream = world.parties[party].stream;
    world.command(vec![Change::HearDigit {
        stream,
        digit,
        duration_ms: 120,
    }]);
}

/// Digits that are to go to a party by signalling.
fn digits_for(world: &World, party: usize) -> String {
    let wanted = world.parties[party].stream;
    let digits = world.events.iter().filter_map(|(_, event)| match event {
        Event::DigitFor { stream, digit, .. } if *stream == wanted => Some(*digit),
        _ => None,
    });
    digits.collect()
}

#[test]
fn a_digit_by_signalling_is_told_and_passes_as_an_event_or_a_tone_unless_it_is_collected() {
    for events in [Some(101), None] {
        let mut world = pair(Codec::Pcmu, events);
        by_signalling(&mut world, 0, '5');
        world.run(500);
        assert_eq!(told_digits(&world), "5");
        let samples = world.parties[1].samples_since(200);
        assert_eq!(level_db(&samples, 770.0) > -30.0, events.is_none());
        assert_eq!(
            heard_digits(&world.parties[1], &world),
            if events.is_some() { "5" } else { "" }
        );
        let stream = world.parties[0].stream;
        world.command(vec![Change::PassDtmf { stream, pass: false }]);
        by_signalling(&mut world, 0, '6');
        world.run(500);
        assert_eq!(told_digits(&world), "56");
        assert!(!heard_digits(&world.parties[1], &world).contains('6'));
    }
}

#[test]
fn a_press_told_by_events_and_by_signalling_is_one_in_whatever_order() {
    for codec in [Codec::Pcmu, Codec::Pcma] {
        let mut world = pair(codec, Some(101));
        // The message first, in the middle of the events, and behind them.
        by_signalling(&mut world, 0, '1');
        world.run(40);
        press(&mut world, 0, 1);
        press_and(&mut world, 0, 2, |world, step| {
            if step == 3 {
                by_signalling(world, 0, '2');
            }
        });
        press(&mut world, 0, 3);
        by_signalling(&mut world, 0, '3');
        press(&mut world, 0, 3);
        by_signalling(&mut world, 0, '3');
        world.run(1_000);
        assert_eq!(told_digits(&world), "1233");
        assert_eq!(heard_digits(&world.parties[1], &world), "1233");
    }
}

#[test]
fn digits_for_a_party_that_takes_them_otherwise_go_to_it_in_no_packet() {
    for (form, by_message) in [(DigitForm::Signalling, "45"), (DigitForm::Tones, "")] {
        let mut world = World::new(12);
        world.party(Codec::Pcmu);
        world.party_with(Codec::Pcmu, |config| config.digits = form);
        world.parties[1].tone_hz = 400.0;
        let rows = vec![world.row(0, &[1]), world.row(1, &[0])];
        world.command(rows);
        world.run(200);
        press(&mut world, 0, 4);
        by_signalling(&mut world, 0, '5');
        world.run(600);
        assert_eq!(told_digits(&world), "45");
        assert_eq!(digits_for(&world, 1), by_message);
        assert_eq!(heard_digits(&world.parties[1], &world), "");
        let has_tones = level_db(&world.parties[1].samples_since(200), 770.0) > -30.0;
        assert_eq!(has_tones, form == DigitForm::Tones);
    }
}
