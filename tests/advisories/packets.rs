//! Packets that are none, too long, too short, or of another protocol, on the ports of a call that goes on.

use super::scene::{ATTACKER, MS, Scene, attack, header};

/// A header of DTLS (RFC 6347 §4.1) with the beginning of a ClientHello.
const CLIENT_HELLO: &[u8] = b"\x16\xfe\xff\0\0\0\0\0\0\0\0\0\x30\x01\0\0\x24\0\0\0\0\0\0\0\x24\xfe\xfd";
/// A binding request (RFC 8489 §5), and one whose attribute is longer than it.
const BINDING: &[u8] = b"\0\x01\0\0\x21\x12\xa4\x42abcdefghijkl";
const TORN_BINDING: &[u8] = b"\0\x01\0\x08\x21\x12\xa4\x42abcdefghijkl\0\x06\xff\xffuser";

/// From the attacker and from the customer's own address.
fn from_both(datagrams: impl Iterator<Item = Vec<u8>> + Clone) {
    let mut scene = Scene::new("");
    for from in [ATTACKER.parse().unwrap(), scene.source()] {
        scene.spray(from, 10, datagrams.clone());
    }
    scene.assert_undisturbed();
    scene.assert_sent_nothing(ATTACKER);
    scene.end();
}

#[test]
fn a6_dtls_that_nobody_agreed_to_is_dropped_and_ends_nothing() {
    from_both((0..1_000).map(|number: u32| [CLIENT_HELLO, &number.to_be_bytes()].concat()));
}

#[test]
fn a7_rtcp_of_every_length_switches_no_check_off() {
    let mut scene = Scene::new("");
    let (source, port) = (scene.source(), scene.rtcp_port());
    for (kind, length) in (200..=207u8).flat_map(|kind| (0..=64usize).map(move |length| (kind, length))) {
        for words in [0, 1, 0xffffu16] {
            let mut report = vec![0x81, kind, (words >> 8) as u8, words as u8];
            report.resize(64, 0);
            report.truncate(length);
            scene.send(source, &report);
            scene.town.media_net.send(source, &report, &[], port);
        }
        scene.town.run_for(MS);
    }
    // After all of it a stranger's stream is still one.
    scene.spray(source, 2, (0..500).map(|sequence| attack(0xbad, sequence)));
    scene.assert_undisturbed();
    scene.end();
}

#[test]
fn a8_an_rtcp_bye_ends_no_call() {
    let mut scene = Scene::new("");
    let own = 0x1000_0000 + u32::from(scene.town.parties[scene.customer].address.port());
    let ssrc = own.to_be_bytes();
    let report = [&[0x80, 201, 0, 1][..], &ssrc].concat();
    let bye = [&[0x81, 203, 0, 1][..], &ssrc].concat();
    let datagram = [report, bye].concat();
    let port = scene.rtcp_port();
    for from in [scene.source(), ATTACKER.parse().unwrap()] {
        for _ in 0..100 {
            scene.send(from, &datagram);
            scene.town.media_net.send(from, &datagram, &[], port);
            scene.town.run_for(5 * MS);
        }
    }
    scene.assert_undisturbed();
    scene.end();
}

#[test]
fn a9_no_header_reaches_beyond_its_packet() {
    from_both((0..=255u8).flat_map(|first| (0..=80usize).map(move |length| vec![first; length])));
}

#[test]
fn a10_too_much_audio_and_other_payload_types_are_dropped() {
    let mut scene = Scene::new("");
    let own = 0x1000_0000 + u32::from(scene.town.parties[scene.customer].address.port());
    let source = scene.source();
    let begin = scene.town.parties[scene.customer].sequence;
    // The sim's network carries at most 2,048 bytes; what is longer is cut by the receive buffer alike.
    let long = (0..100usize).map(|number| {
        let packet = header(0, 0xbad, begin.wrapping_add(number as u16));
        [packet, vec![0x55; 961 + number * 10]].concat()
    });
    scene.spray(source, 2, long);
    let flips = (0..=127u8).map(|payload_type| {
        let packet = header(payload_type, 0xbad, begin.wrapping_add(u16::from(payload_type)));
        [packet, vec![0x55; 33]].concat()
    });
    scene.spray(source, 2, flips);
    scene.assert_undisturbed();
    assert_ne!(own, 0xbad);
    scene.end();
}

#[test]
fn a12_garbage_on_every_port_delays_nobody() {
    let mut scene = Scene::new("");
    let ports: Vec<_> = (0..2).flat_map(|_| [scene.port(), scene.rtcp_port()]).collect();
    let from = ATTACKER.parse().unwrap();
    for number in 0..50_000u32 {
        let garbage = number.wrapping_mul(0x9e37_79b9).to_be_bytes().repeat(8);
        let port = ports[number as usize % ports.len()];
        scene.town.media_net.send(from, &garbage, &[], port);
        if number % 100 == 99 {
            scene.town.run_for(MS);
        }
    }
    scene.assert_undisturbed();
    scene.assert_sent_nothing(ATTACKER);
    scene.end();
}

#[test]
fn a16_stun_that_nobody_agreed_to_is_not_answered() {
    from_both((0..2_000).map(|number: usize| {
        if number.is_multiple_of(2) {
            BINDING
        } else {
            TORN_BINDING
        }
        .to_vec()
    }));
}
