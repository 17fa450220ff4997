//! One INVITE, several answers.

use sip::endpoint::pair::{Pair, Side::Left};
use sip::endpoint::{Command, Event, Transport};

use super::wire::{give, lines, respond};
use crate::*;

#[test]
fn each_fork_has_its_early_dialog_and_the_first_200_wins() {
    let (mut pair, invite) = calling(1);
    for tag in ["a", "b"] {
        assert_eq!(
            give(&mut pair, &respond(&invite, "183 Session Progress", tag, tag)).len(),
            0
        );
    }
    let tags = pair.take_events(Left).into_iter().map(|event| match event {
        Event::Progress {
            remote_tag,
            sdp: Some(sdp),
            ..
        } => {
            assert_eq!(remote_tag.as_bytes(), sdp.as_ref());
            remote_tag
        }
        other => panic!("{other:?}"),
    });
    assert_eq!(tags.collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(pair.left.dialogs(), 2);

    let sent = give(&mut pair, &respond(&invite, "200 OK", "b", "answer"));
    assert_eq!(lines(&sent), ["ACK sip:b@192.0.2.2:5060 SIP/2.0"]);
    let events = pair.take_events(Left);
    assert!(matches!(events.as_slice(), [Event::Answered { remote_tag, .. }] if remote_tag == "b"));
    assert_eq!(pair.left.dialogs(), 1);

    let sent = give(&mut pair, &respond(&invite, "200 OK", "a", "answer"));
    assert_eq!(
        lines(&sent),
        [
            "ACK sip:a@192.0.2.2:5060 SIP/2.0",
            "BYE sip:a@192.0.2.2:5060 SIP/2.0"
        ]
    );
    assert!(sent[1].contains(";tag=a\r\n"));

    // Repeats get their own ACK again, and nothing else.
    let sent = give(&mut pair, &respond(&invite, "200 OK", "a", "answer"));
    assert_eq!(lines(&sent), ["ACK sip:a@192.0.2.2:5060 SIP/2.0"]);
    let sent = give(&mut pair, &respond(&invite, "200 OK", "b", "answer"));
    assert_eq!(lines(&sent), ["ACK sip:b@192.0.2.2:5060 SIP/2.0"]);
    assert_eq!(pair.take_events(Left).len(), 0);
    assert_eq!(pair.left.sessions(), 1);
}

#[test]
fn a_200_of_another_fork_after_the_session_ended_still_gets_ack_and_bye() {
    let (mut pair, invite) = calling(2);
    give(&mut pair, &respond(&invite, "180 Ringing", "a", ""));
    pair.command(Left, cancel(OUT));
    let sent = give(&mut pair, &respond(&invite, "200 OK", "a", "answer"));
    assert_eq!(
        lines(&sent),
        [
            "ACK sip:a@192.0.2.2:5060 SIP/2.0",
            "BYE sip:a@192.0.2.2:5060 SIP/2.0"
        ]
    );
    assert_eq!(names(&pair.take_events(Left)), ["Progress", "Cancelled"]);
    let sent = give(&mut pair, &respond(&invite, "200 OK", "c", "answer"));
    assert_eq!(
        lines(&sent),
        [
            "ACK sip:c@192.0.2.2:5060 SIP/2.0",
            "BYE sip:c@192.0.2.2:5060 SIP/2.0"
        ]
    );
}

#[test]
fn a_200_without_tag_is_a_dialog_all_the_same() {
    let (mut pair, invite) = calling(3);
    let sent = give(&mut pair, &respond(&invite, "200 OK", "", "answer"));
    assert_eq!(sent.len(), 1);
    let events = pair.take_events(Left);
    assert!(matches!(events.as_slice(), [Event::Answered { remote_tag, .. }] if remote_tag.is_empty()));
    pair.command(Left, bye(OUT));
    assert!(
        !pair
            .sent
            .last()
            .unwrap()
            .text
            .contains("<sip:bob@192.0.2.2:5060>;tag")
    );
}

#[test]
fn early_dialogs_beyond_the_limit_are_not_heard() {
    let (mut pair, invite) = calling(4);
    for tag in 0..20 {
        give(
            &mut pair,
            &respond(&invite, "180 Ringing", &format!("t{tag}"), ""),
        );
    }
    assert_eq!((pair.take_events(Left).len(), pair.left.dialogs()), (16, 16));
}

#[test]
fn a_199_ends_its_early_dialog_alone() {
    let (mut pair, invite) = calling(6);
    for tag in ["a", "b"] {
        give(&mut pair, &respond(&invite, "180 Ringing", tag, ""));
    }
    give(
        &mut pair,
        &respond(&invite, "199 Early Dialog Terminated", "a", ""),
    );
    assert_eq!((pair.left.dialogs(), pair.left.sessions()), (1, 1));
    assert_eq!(
        names(&pair.take_events(Left)),
        ["Progress", "Progress", "Progress"]
    );
}

#[test]
fn forks_beyond_the_limit_are_not_acknowledged() {
    let (mut pair, invite) = calling(7);
    let mut acks = 0;
    for tag in 0..20 {
        let sent = give(
            &mut pair,
            &respond(&invite, "200 OK", &format!("t{tag}"), "answer"),
        );
        acks += sent.iter().filter(|text| text.starts_with("ACK")).count();
    }
    assert_eq!(acks, 16);
}

#[test]
fn routes_are_followed_loosely_and_strictly() {
    for (routes, ack, route) in [
        (
            "<sip:192.0.2.2;lr>, <sip:inner.example;lr>",
            "ACK sip:a@192.0.2.2:5060 SIP/2.0",
            vec!["<sip:inner.example;lr>", "<sip:192.0.2.2;lr>"],
        ),
        (
            "<sip:outer.example;lr>, <sip:192.0.2.2>",
            "ACK sip:192.0.2.2 SIP/2.0",
            vec!["<sip:outer.example;lr>", "<sip:a@192.0.2.2:5060>"],
        ),
    ] {
        let (mut pair, invite) = calling(5);
        let ok = respond(&invite, "200 OK", "a", "answer")
            .replace("Contact:", &format!("Record-Route: {routes}\r\nContact:"));
        let sent = give(&mut pair, &ok);
        assert_eq!(lines(&sent), [ack]);
        let got: Vec<_> = sent[0]
            .lines()
            .filter_map(|line| line.strip_prefix("Route: "))
            .collect();
        assert_eq!(got, route);
    }
}

fn calling(seed: u64) -> (Pair, String) {
    let mut pair = pair(seed);
    pair.link.loss_percent = 100;
    pair.command(
        Left,
        Command::Invite(Box::new(Pair::invite(Left, 1, Transport::Udp))),
    );
    let invite = pair.sent[0].text.clone();
    (pair, invite)
}
