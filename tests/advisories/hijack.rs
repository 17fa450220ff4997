//! Whose audio and digits a call takes, and where its audio goes: RTP Bleed, RTP Inject and their kin.

use super::scene::{ATTACKER, CUSTOMER_HZ, MS, Scene, attack, header};

/// The customer's own SSRC, as its packets on the wire tell.
fn customers_ssrc(scene: &Scene) -> u32 {
    0x1000_0000 + u32::from(scene.town.parties[scene.customer].address.port())
}

/// A key press by RFC 4733: a digit that ended.
fn press(ssrc: u32, sequence: u16, digit: u8) -> Vec<u8> {
    let mut packet = header(101, ssrc, sequence);
    packet.extend([digit, 0x8a, 4, 0]);
    packet
}

#[test]
fn a1_stray_packets_pull_no_audio_to_their_sender() {
    for mode in ["strict", "address", "nat"] {
        let mut scene = Scene::new(&format!("media_source = \"{mode}\""));
        let from = ATTACKER.parse().unwrap();
        let ssrc = customers_ssrc(&scene);
        scene.spray(from, 2, (0..2_000).map(|sequence| attack(ssrc, sequence)));
        scene.spray(from, 2, (0..2_000).map(|sequence| attack(0xbad, sequence)));
        scene.assert_undisturbed();
        scene.assert_sent_nothing(ATTACKER);
        // Once a source has settled that cannot change, the kernel drops all others, and does not count them.
        let counted = scene.counts().dropped_source;
        assert!(
            counted >= if mode == "nat" { 4_000 } else { 100 },
            "{mode}: {counted}"
        );
        scene.end();
    }
}

#[test]
fn a1_a_sender_that_comes_before_the_true_one_gets_nothing_either() {
    for mode in ["strict", "address", "nat"] {
        let mut scene = Scene::new(&format!("media_source = \"{mode}\""));
        let from = ATTACKER.parse().unwrap();
        scene.town.parties[scene.customer].silent = true;
        scene.town.run_for(200 * MS);
        scene.spray(from, 1, (0..1_000).map(|sequence| attack(0xbad, sequence)));
        scene.assert_sent_nothing(ATTACKER);
        let since = scene.town.now;
        scene.town.run_for(400 * MS);
        let heard = scene.town.parties[scene.agent].samples(since, scene.town.now);
        assert!(
            house::tone::level(&heard, super::scene::ATTACK_HZ) < 0.01,
            "{mode}"
        );
        scene.town.parties[scene.customer].silent = false;
        scene.town.run_for(400 * MS);
        let heard = scene.town.hears(scene.agent, CUSTOMER_HZ, 400 * MS);
        assert!(heard > 0.2, "{mode}: the true one is heard again: {heard}");
        scene.end();
    }
}

#[test]
fn a2_another_stream_from_the_true_address_is_not_heard_beside_it() {
    let mut scene = Scene::new("");
    let source = scene.source();
    scene.spray(source, 2, (0..2_000).map(|sequence| attack(0xbad, sequence)));
    // One of its own SSRC far outside its sequence.
    scene.assert_undisturbed();
    assert!(scene.counts().dropped_ssrc >= 1_000);
    scene.end();
}

#[test]
fn a13_a_digit_of_a_stranger_is_none_and_a_repeated_one_is_told_once() {
    let mut scene = Scene::new("");
    let ssrc = customers_ssrc(&scene);
    let from = ATTACKER.parse().unwrap();
    scene.spray(from, 2, (0..500).map(|sequence| press(ssrc, sequence, 9)));
    scene.town.parties[scene.customer].press(5);
    scene.town.run_for(500 * MS);
    let digits = |scene: &Scene| scene.town.parties[scene.agent].digits.clone();
    assert_eq!(digits(&scene), [5]);
    // What the customer sent was on the wire: replayed from its own address, and each in another order.
    let source = scene.source();
    let sent = scene.town.parties[scene.customer].event_packets.clone();
    assert!(sent.len() >= 3);
    let replayed = sent
        .iter()
        .rev()
        .chain(&sent)
        .cycle()
        .take(1_000)
        .cloned()
        .collect::<Vec<_>>();
    scene.spray(source, 2, replayed);
    scene.town.run_for(500 * MS);
    assert_eq!(digits(&scene), [5]);
    let told = scene.town.routers[scene.router].of("leg.dtmf");
    let told: Vec<_> = told
        .iter()
        .map(|event| event["data"]["digit"].as_str().unwrap())
        .collect();
    assert_eq!(told, ["5"]);
    scene.end();
}

#[test]
fn a13_a_digit_without_an_end_ends_all_the_same() {
    let mut scene = Scene::new("");
    let (ssrc, source) = (customers_ssrc(&scene), scene.source());
    let begin = scene.town.parties[scene.customer].sequence;
    let endless = (0..1_000u16).map(|number| {
        let mut packet = header(101, ssrc, begin);
        packet[2..4].copy_from_slice(&begin.wrapping_add(number).to_be_bytes());
        let duration = number.saturating_mul(160).to_be_bytes();
        packet.extend([3, 10, duration[0], duration[1]]);
        packet
    });
    scene.town.parties[scene.customer].silent = true;
    let endless: Vec<_> = endless.collect();
    for packet in endless {
        scene.send(source, &packet);
        scene.town.run_for(20 * MS);
    }
    scene.town.run_for(1_000 * MS);
    let told = scene.town.routers[scene.router].of("leg.dtmf");
    assert_eq!(told.len(), 1, "{told:?}");
}
