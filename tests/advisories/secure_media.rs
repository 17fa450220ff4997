//! SRTP against packets that were forged, replayed, or are clear.

use house::sim::{Ask, PartyEvent};

use super::scene::{ATTACKER, MS, Scene, attack, header};

/// Forged packets of a flood; each costs a tag, as a true one does.
const FLOOD: u32 = 20_000;

#[test]
fn a3_what_was_not_checked_is_neither_passed_on_nor_learned_from() {
    let mut scene = Scene::secure();
    let own = 0x1000_0000 + u32::from(scene.town.parties[scene.customer].address.port());
    for from in [ATTACKER.parse().unwrap(), scene.source()] {
        for ssrc in [own, 0xbad] {
            scene.spray(
                from,
                4,
                (0..1_000).map(|sequence| [attack(ssrc, sequence), vec![0; 10]].concat()),
            );
        }
    }
    scene.assert_undisturbed();
    scene.assert_sent_nothing(ATTACKER);
    let counts = scene.counts();
    let refused = counts.dropped_tag + counts.dropped_replay;
    assert!(refused >= 1_900 && counts.dropped_source >= 100, "{counts:?}");
    scene.end();
}

#[test]
fn a4_a_flood_of_wrong_tags_ends_nothing() {
    let mut scene = Scene::secure();
    let source = scene.source();
    let forged = (0..FLOOD).map(|number| {
        let mut packet = attack(number % 64, number as u16);
        packet.extend([number as u8; 10]);
        packet
    });
    scene.spray(source, 20, forged);
    scene.assert_undisturbed();
    scene.end();
}

#[test]
fn a5_no_clear_packet_is_taken_or_sent_in_a_secure_call_and_no_offer_makes_it_clear() {
    let mut scene = Scene::secure();
    let source = scene.source();
    scene.spray(source, 2, (0..500).map(|sequence| attack(0xbad, sequence)));
    assert!(scene.counts().dropped_clear + scene.counts().dropped_tag >= 400);
    let party = scene.customer;
    scene.town.parties[party].sdes.as_mut().unwrap().ask = Ask::Avp;
    scene.town.reinvite(party, "sendrecv");
    scene.town.run_for(200 * MS);
    let refused = scene.town.parties[party]
        .events
        .iter()
        .any(|(_, event)| *event == PartyEvent::ReinviteRefused(488));
    assert!(refused, "{:?}", scene.town.parties[party].events);
    scene.town.parties[party].sdes.as_mut().unwrap().ask = Ask::Savp;
    scene.town.run_for(400 * MS);
    let party = &scene.town.parties[party];
    assert!(party.unread.is_empty() && party.wire.iter().all(|packet| packet.len() > 172));
    scene.end();
}

#[test]
fn a9_no_header_reaches_beyond_its_packet_under_srtp_either() {
    let mut scene = Scene::secure();
    let source = scene.source();
    let odd = (0..=255u8).flat_map(|first| (0..=80usize).step_by(4).map(move |length| vec![first; length]));
    scene.spray(source, 20, odd);
    scene.assert_undisturbed();
    scene.end();
}

#[test]
fn a14_replays_and_jumps_of_the_sequence_move_nothing() {
    let mut scene = Scene::secure();
    // The rollover counter turns in the middle of it.
    assert!((65_400..65_500).contains(&scene.town.parties[scene.customer].sequence));
    let source = scene.source();
    scene.town.run_for(1_000 * MS);
    let jumps = [1, 100, 32_767, 32_768, 65_535].into_iter().cycle().take(2_000);
    let own = 0x1000_0000 + u32::from(scene.town.parties[scene.customer].address.port());
    let forged = jumps.enumerate().map(|(number, jump)| {
        let sequence = 65_400u16.wrapping_add(number as u16).wrapping_add(jump);
        [header(0, own, sequence), vec![0x55; 170]].concat()
    });
    scene.spray(source, 2, forged);
    scene.town.run_for(2_000 * MS);
    scene.assert_undisturbed();
    scene.end();
}
