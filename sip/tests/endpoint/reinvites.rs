//! Changes of a session that is up: both ways, crossing, refused, cut short.

use std::time::Duration;

use bytes::Bytes;
use sip::endpoint::pair::{Pair, Side, Side::Left, Side::Right};
use sip::endpoint::{Command, Event, SessionKey, Transport};

use super::wire::{give, respond, tagged, to_tag};
use crate::*;

#[test]
fn either_side_can_change_the_session() {
    for side in [Left, Right] {
        let mut pair = pair(1);
        let callee = up(&mut pair, Transport::Udp);
        let (own, far) = if side == Left {
            (OUT, callee)
        } else {
            (callee, OUT)
        };
        pair.command(side, reinvite(own, "hold"));
        pair.run_for(ms(100));
        let events = pair.take_events(side.other());
        let [
            Event::Reinvite {
                session,
                offer: Some(offer),
                ..
            },
        ] = events.as_slice()
        else {
            panic!("{events:?}")
        };
        assert_eq!((*session, offer.as_ref()), (far, &b"hold"[..]));
        pair.command(side.other(), accept(far));
        pair.run_for(ms(100));
        let events = pair.take_events(side);
        let [Event::ReinviteAccepted { sdp: Some(sdp), .. }] = events.as_slice() else {
            panic!("{events:?}")
        };
        assert_eq!(sdp.as_ref(), b"re-answer");
        assert_eq!(names(&pair.take_events(side.other())), ["Acknowledged"]);
        pair.command(side, bye(own));
        assert_comes_to_rest(&mut pair);
    }
}

#[test]
fn a_refused_change_leaves_the_session_up() {
    let mut pair = pair(2);
    let callee = up(&mut pair, Transport::Udp);
    pair.command(Left, reinvite(OUT, "x"));
    pair.run_for(ms(100));
    pair.command(
        Right,
        Command::RejectReinvite {
            session: callee,
            status: 488,
            headers: vec![],
        },
    );
    pair.run_for(ms(100));
    let events = pair.take_events(Left);
    assert!(matches!(
        events.as_slice(),
        [Event::ReinviteRefused { status: 488, .. }]
    ));
    assert_eq!((pair.left.sessions(), pair.right.sessions()), (1, 1));
}

#[test]
fn two_offers_that_cross_get_491_and_both_succeed_after_their_waits() {
    for seed in 0..20 {
        let mut pair = pair(seed);
        let callee = up(&mut pair, Transport::Udp);
        let start = pair.now;
        pair.command(Left, reinvite(OUT, "left"));
        pair.command(Right, reinvite(callee, "right"));
        let mut accepted = vec![];
        while pair.step(start + Duration::from_secs(20)) {
            for (side, own) in [(Left, OUT), (Right, callee)] {
                for event in pair.take_events(side) {
                    match event {
                        Event::Reinvite { session, .. } => pair.command(side, accept(session)),
                        Event::ReinviteAccepted { session, .. } => {
                            assert_eq!(session, own);
                            accepted.push((side, (pair.now - start).as_millis()));
                        }
                        Event::Acknowledged { .. } => {}
                        other => panic!("seed {seed}: {other:?}"),
                    }
                }
            }
        }
        // Right did not make the Call-ID: 0 to 2.0 s; left did: 2.1 to 4.0 s (RFC 3261 §14.1).
        let [(Right, right_ms), (Left, left_ms)] = accepted.as_slice() else {
            panic!("seed {seed}: {accepted:?}")
        };
        assert!(
            (20..=2_100).contains(right_ms) && (2_100..=4_100).contains(left_ms),
            "{accepted:?}"
        );
        let glares = |side| {
            pair.sent_by(side)
                .iter()
                .filter(|line| line.contains("491"))
                .count()
        };
        assert_eq!((glares(Left), glares(Right)), (1, 1));
    }
}

#[test]
fn an_offer_waits_while_the_peers_is_open() {
    let mut pair = pair(3);
    let callee = up(&mut pair, Transport::Udp);
    pair.command(Left, reinvite(OUT, "left"));
    pair.run_for(ms(50));
    pair.command(Right, reinvite(callee, "right"));
    pair.run_for(ms(50));
    assert!(!pair.sent_by(Right).iter().any(|line| line.starts_with("INVITE")));
    pair.command(Right, accept(callee));
    pair.run_for(ms(50));
    assert_eq!(names(&pair.take_events(Left)), ["ReinviteAccepted", "Reinvite"]);
}

#[test]
fn the_newest_of_several_offers_follows_the_one_under_way() {
    let mut pair = pair(4);
    let callee = up(&mut pair, Transport::Udp);
    for sdp in ["one", "two", "three"] {
        pair.command(Left, reinvite(OUT, sdp));
    }
    let mut offers = vec![];
    for _ in 0..3 {
        pair.run_for(ms(50));
        for event in pair.take_events(Right) {
            if let Event::Reinvite {
                offer: Some(offer), ..
            } = event
            {
                offers.push(offer);
                pair.command(Right, accept(callee));
            }
        }
    }
    assert_eq!(offers, [Bytes::from_static(b"one"), Bytes::from_static(b"three")]);
}

#[test]
fn a_lost_ack_of_a_change_is_repeated_and_a_missing_one_ends_the_session() {
    let mut lost = pair(5);
    let callee = up(&mut lost, Transport::Udp);
    lost.lose(Left, "ACK", "ACK", 2);
    change(&mut lost, callee);
    lost.run_for(Duration::from_secs(3));
    assert_eq!(names(&lost.take_events(Right)), ["Acknowledged"]);

    let mut missing = pair(6);
    let callee = up(&mut missing, Transport::Udp);
    missing.lose(Left, "ACK", "ACK", usize::MAX);
    change(&mut missing, callee);
    missing.run_for(Duration::from_secs(33));
    assert_eq!(names(&missing.take_events(Right)), ["AckMissing"]);
    assert_eq!(names(&missing.take_events(Left)), ["ReinviteAccepted", "Bye"]);
    assert_comes_to_rest(&mut missing);
}

#[test]
fn hanging_up_settles_a_change_that_is_open() {
    for side in [Left, Right] {
        let mut pair = pair(7);
        let callee = up(&mut pair, Transport::Udp);
        pair.command(Left, reinvite(OUT, "open"));
        pair.run_for(ms(50));
        assert_eq!(names(&pair.take_events(Right)), ["Reinvite"]);
        pair.command(side, bye(if side == Left { OUT } else { callee }));
        pair.run_for(ms(100));
        assert_eq!(names(&pair.take_events(side)), ["ByeDone"]);
        // Who hangs up does not care any more what becomes of its own offer.
        let expected = if side == Left {
            vec!["Bye"]
        } else {
            vec!["ReinviteRefused", "Bye"]
        };
        assert_eq!(names(&pair.take_events(side.other())), expected);
        assert!(pair.sent_by(Right).contains(&"SIP/2.0 487 Request Terminated"));
        assert_comes_to_rest(&mut pair);
    }
}

#[test]
fn bye_crossing_reinvite() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut pair = pair(8);
        let callee = up(&mut pair, transport);
        pair.command(Left, reinvite(OUT, "late"));
        pair.command(Right, bye(callee));
        pair.run_for(ms(200));
        assert_eq!(names(&pair.take_events(Left)), ["Bye"]);
        assert_eq!(names(&pair.take_events(Right)), ["ByeDone"]);
        assert_comes_to_rest(&mut pair);
    }
}

#[test]
fn a_200_to_a_change_that_crosses_our_bye_still_gets_its_ack() {
    let mut pair = pair(9);
    let callee = up(&mut pair, Transport::Udp);
    pair.command(Left, reinvite(OUT, "x"));
    pair.run_for(ms(15));
    pair.command(Right, accept(callee));
    pair.command(Left, bye(OUT));
    pair.run_for(ms(200));
    let acks = pair
        .sent_by(Left)
        .iter()
        .filter(|line| line.starts_with("ACK"))
        .count();
    assert_eq!(acks, 2);
    assert_comes_to_rest(&mut pair);
}

#[test]
fn a_change_that_nobody_answers_loses_the_session() {
    let mut pair = pair(10);
    up(&mut pair, Transport::Udp);
    pair.link.loss_percent = 100;
    pair.command(Left, reinvite(OUT, "x"));
    pair.run_for(Duration::from_secs(32));
    let events = pair.take_events(Left);
    assert!(matches!(
        events.as_slice(),
        [Event::ReinviteRefused { status: 408, .. }, Event::Lost { .. }]
    ));
    assert!(pair.sent_by(Left).last().unwrap().starts_with("BYE"));
    assert_eq!(pair.left.sessions(), 0);
}

#[test]
fn a_change_in_a_dialog_the_peer_has_forgotten_loses_the_session() {
    let mut pair = pair(11);
    let callee = up(&mut pair, Transport::Udp);
    pair.lose(Right, "BYE", "BYE", usize::MAX);
    pair.command(Right, bye(callee));
    pair.run_for(Duration::from_secs(33));
    pair.command(Left, reinvite(OUT, "x"));
    pair.run_for(ms(100));
    let events = pair.take_events(Left);
    assert!(matches!(
        events.as_slice(),
        [Event::ReinviteRefused { status: 481, .. }, Event::Lost { .. }]
    ));
    assert_comes_to_rest(&mut pair);
}

#[test]
fn a_next_offer_stands_for_a_lost_ack() {
    let mut pair = pair(12);
    let callee = ringing(&mut pair, Transport::Udp);
    pair.lose(Left, "ACK", "ACK", 1);
    pair.command(Right, answer(callee));
    pair.run_for(ms(30));
    pair.command(Left, reinvite(OUT, "x"));
    pair.run_for(ms(30));
    assert_eq!(names(&pair.take_events(Right)), ["Acknowledged", "Reinvite"]);
}

#[test]
fn a_peer_that_always_says_491_is_asked_eight_times() {
    let mut pair = pair(13);
    up(&mut pair, Transport::Udp);
    pair.link.loss_percent = 100;
    let mut asked = 0;
    pair.command(Left, reinvite(OUT, "x"));
    while let Some(sent) = pair.sent.last().filter(|sent| sent.text.starts_with("INVITE")) {
        asked += 1;
        let glare = respond(&sent.text, "491 Request Pending", "", "");
        give(&mut pair, &glare);
        pair.run_for(ms(4_000));
    }
    assert_eq!(asked, 8);
    let events = pair.take_events(Left);
    assert!(
        matches!(events.as_slice(), [Event::ReinviteRefused { status: 491, .. }]),
        "{events:?}"
    );
    assert_eq!(pair.left.sessions(), 1);
}

#[test]
fn an_accepted_offer_moves_the_remote_target_and_a_refused_one_does_not() {
    for (accepts, target) in [
        (true, "BYE sip:moved@192.0.2.2:5062"),
        (false, "BYE sip:peer@192.0.2.2:5060"),
    ] {
        let mut pair = pair(14);
        give(&mut pair, &super::wire::invite("first", ""));
        let [Event::Incoming(incoming)] = &pair.take_events(Left)[..] else {
            panic!()
        };
        let session = incoming.session;
        pair.command(Left, answer(session));
        let tag = format!(";tag={}", to_tag(&pair.sent.last().unwrap().text));
        give(&mut pair, &tagged("ACK", "ack", 1, [";tag=peer", &tag], "", ""));
        let offer = "Content-Type: application/sdp\r\n";
        let moved = tagged("INVITE", "re", 2, [";tag=peer", &tag], offer, "offer");
        give(
            &mut pair,
            &moved.replace(
                "Contact: <sip:peer@192.0.2.2:5060>",
                "Contact: <sip:moved@192.0.2.2:5062>",
            ),
        );
        pair.command(
            Left,
            match accepts {
                true => accept(session),
                false => Command::RejectReinvite {
                    session,
                    status: 488,
                    headers: vec![],
                },
            },
        );
        give(&mut pair, &tagged("ACK", "ack2", 2, [";tag=peer", &tag], "", ""));
        pair.command(Left, bye(session));
        assert_eq!(
            pair.sent.last().unwrap().text.lines().next(),
            Some(&*format!("{target} SIP/2.0"))
        );
    }
}

fn change(pair: &mut Pair, callee: SessionKey) {
    pair.command(Side::Left, reinvite(OUT, "x"));
    pair.run_for(ms(50));
    assert_eq!(names(&pair.take_events(Side::Right)), ["Reinvite"]);
    pair.command(Side::Right, accept(callee));
}
