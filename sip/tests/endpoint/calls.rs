//! Calls on a network that does nothing wrong.

use std::time::Duration;

use bytes::Bytes;
use sip::endpoint::pair::{Pair, Side::Left, Side::Right};
use sip::endpoint::{Command, Event, ExtraHeader, Transport, Unanswered};

use crate::*;

#[test]
fn the_caller_hangs_up() {
    for (transport, uri) in [(Transport::Udp, ""), (Transport::Tcp, ";transport=tcp")] {
        let mut pair = pair(1);
        let callee = up(&mut pair, transport);
        pair.command(Left, bye(OUT));
        pair.run_for(ms(100));
        let events = pair.take_events(Right);
        assert!(matches!(events.as_slice(), [Event::Bye { session, .. }] if *session == callee));
        assert_eq!(names(&pair.take_events(Left)), ["ByeDone"]);
        assert_eq!(
            pair.sent_by(Left),
            [
                "INVITE sip:bob@192.0.2.2:5060 SIP/2.0".to_owned(),
                format!("ACK sip:bob@192.0.2.2:5060{uri} SIP/2.0"),
                format!("BYE sip:bob@192.0.2.2:5060{uri} SIP/2.0"),
            ]
        );
        assert_eq!(
            pair.sent_by(Right),
            [
                "SIP/2.0 100 Trying",
                "SIP/2.0 180 Ringing",
                "SIP/2.0 200 OK",
                "SIP/2.0 200 OK"
            ]
        );
        assert_comes_to_rest(&mut pair);
    }
}

#[test]
fn the_callee_hangs_up() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut pair = pair(2);
        let callee = up(&mut pair, transport);
        pair.command(Right, bye(callee));
        pair.run_for(ms(100));
        assert_eq!(names(&pair.take_events(Left)), ["Bye"]);
        assert_eq!(names(&pair.take_events(Right)), ["ByeDone"]);
        assert_comes_to_rest(&mut pair);
    }
}

#[test]
fn the_callee_refuses() {
    let mut pair = pair(3);
    let callee = ringing(&mut pair, Transport::Udp);
    let headers = vec![ExtraHeader {
        name: "Reason".into(),
        value: "Q.850;cause=17".into(),
    }];
    pair.command(
        Right,
        Command::Reject {
            session: callee,
            status: 486,
            reason: None,
            headers,
        },
    );
    pair.run_for(ms(100));
    let events = pair.take_events(Left);
    let [Event::Refused { response, .. }] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!(
        (response.status.code(), response.reason.as_str()),
        (486, "Busy Here")
    );
    assert_eq!(response.headers.get("Reason"), Some("Q.850;cause=17"));
    assert_eq!(names(&pair.take_events(Right)), ["ByeDone"]);
    assert_comes_to_rest(&mut pair);
}

#[test]
fn early_media_has_its_answer_and_its_tag() {
    let mut pair = pair(4);
    let callee = ringing(&mut pair, Transport::Udp);
    let sdp = Some(Bytes::from_static(b"early"));
    pair.command(
        Right,
        Command::Progress {
            session: callee,
            status: 183,
            sdp,
            headers: vec![],
        },
    );
    pair.run_for(ms(100));
    let events = pair.take_events(Left);
    let [
        Event::Progress {
            sdp: Some(sdp),
            remote_tag,
            response,
            ..
        },
    ] = events.as_slice()
    else {
        panic!("{events:?}")
    };
    assert_eq!((sdp.as_ref(), response.status.code()), (&b"early"[..], 183));
    assert_eq!(response.headers.to().tag(), Some(remote_tag.as_str()));
}

#[test]
fn a_long_ringing_is_repeated_every_minute() {
    let mut pair = pair(5);
    ringing(&mut pair, Transport::Udp);
    pair.run_for(Duration::from_secs(130));
    // RFC 3261 §13.3.1.1: at 60 s and at 120 s.
    assert_eq!(names(&pair.take_events(Left)), ["Progress", "Progress"]);
}

#[test]
fn nobody_answers_and_timer_b_ends_it() {
    let mut pair = pair(6);
    pair.link.loss_percent = 100;
    let mut invite = Pair::invite(Left, 1, Transport::Udp);
    invite.timer_b = Duration::from_secs(4);
    let start = pair.now;
    pair.command(Left, Command::Invite(Box::new(invite)));
    pair.run_for(ms(3_999));
    assert_eq!(names(&pair.take_events(Left)), [""; 0]);
    pair.run_for(ms(1));
    let events = pair.take_events(Left);
    assert!(matches!(
        events.as_slice(),
        [Event::Unanswered {
            why: Unanswered::Timeout,
            ..
        }]
    ));
    // Timer A: 0, 0.5, 1.5, 3.5 s.
    let at: Vec<_> = pair
        .sent
        .iter()
        .map(|sent| (sent.at - start).as_millis())
        .collect();
    assert_eq!(at, [0, 500, 1_500, 3_500]);
    assert_comes_to_rest(&mut pair);
}

#[test]
fn a_refused_connection_and_an_unreachable_port_fail_the_invite() {
    let mut tcp = pair(7);
    tcp.refuses_connections = true;
    tcp.command(
        Left,
        Command::Invite(Box::new(Pair::invite(Left, 1, Transport::Tcp))),
    );
    tcp.run_for(ms(100));
    let events = tcp.take_events(Left);
    assert!(matches!(
        events.as_slice(),
        [Event::Unanswered {
            why: Unanswered::Transport,
            ..
        }]
    ));
    assert!(tcp.is_empty());

    let mut udp = pair(8);
    udp.link.loss_percent = 100;
    udp.command(
        Left,
        Command::Invite(Box::new(Pair::invite(Left, 1, Transport::Udp))),
    );
    let now = udp.now;
    udp.left.handle_disconnected(Left.flow(Transport::Udp), now);
    let output = udp.left.poll_output();
    assert!(matches!(
        output,
        Some(sip::endpoint::Output::Event(Event::Unanswered {
            why: Unanswered::Transport,
            ..
        }))
    ));
    assert_eq!(udp.left.poll_output().is_none(), udp.is_empty());
}

#[test]
fn a_closed_connection_is_opened_again_for_bye() {
    for side in [Left, Right] {
        let mut pair = pair(9);
        let callee = up(&mut pair, Transport::Tcp);
        pair.cut_connections();
        pair.run_for(ms(100));
        assert_eq!((pair.left.connections(), pair.right.connections()), (0, 0));
        pair.command(side, bye(if side == Left { OUT } else { callee }));
        pair.run_for(ms(200));
        assert_eq!(names(&pair.take_events(side)), ["ByeDone"]);
        assert_eq!(names(&pair.take_events(side.other())), ["Bye"]);
        assert_comes_to_rest(&mut pair);
    }
}

#[test]
fn a_response_outlives_its_connection() {
    let mut pair = pair(10);
    let callee = ringing(&mut pair, Transport::Tcp);
    pair.cut_connections();
    pair.run_for(ms(100));
    pair.command(Right, answer(callee));
    pair.run_for(ms(200));
    assert_eq!(names(&pair.take_events(Left)), ["Answered"]);
    assert_eq!(names(&pair.take_events(Right)), ["Acknowledged"]);
}

fn info(session: SessionKey, content_type: &str, body: &'static str) -> Command {
    Command::Info {
        session,
        content_type: content_type.to_owned(),
        body: Bytes::from_static(body.as_bytes()),
    }
}

/// Digits the events tell, and the statuses of INFOs.
fn digits_and_statuses(events: &[Event]) -> (Vec<(char, u32)>, Vec<u16>) {
    let digits = events.iter().filter_map(|event| match event {
        Event::Info { digit, .. } => Some((digit.digit, digit.duration_ms)),
        _ => None,
    });
    let statuses = events.iter().filter_map(|event| match event {
        Event::InfoAnswered { status, .. } => Some(*status),
        _ => None,
    });
    (digits.collect(), statuses.collect())
}

#[test]
fn a_digit_by_info_reaches_the_other_side_and_its_answer_comes_back() {
    let mut pair = pair(11);
    up(&mut pair, Transport::Udp);
    for (kind, body, digit, status) in [
        (
            "application/dtmf-relay",
            "Signal=5\r\nDuration=160\r\n",
            Some(('5', 160)),
            200,
        ),
        ("application/dtmf", "11", Some(('#', 100)), 200),
        ("application/dtmf-relay", "Signal=hf\r\n", None, 400),
        ("application/dtmf", "", None, 200),
        ("text/plain", "5", None, 415),
    ] {
        pair.command(Left, info(OUT, kind, body));
        pair.run_for(ms(100));
        let (digits, _) = digits_and_statuses(&pair.take_events(Right));
        let (_, statuses) = digits_and_statuses(&pair.take_events(Left));
        assert_eq!(
            (digits, statuses),
            (digit.into_iter().collect(), vec![status]),
            "{body:?}"
        );
    }
}

#[test]
fn an_info_that_is_sent_again_is_one_digit() {
    for seed in 0..20 {
        let mut pair = pair(500 + seed);
        up(&mut pair, Transport::Udp);
        pair.link.loss_percent = 30;
        pair.command(Left, info(OUT, "application/dtmf-relay", "Signal=7"));
        pair.run_for(Duration::from_secs(33));
        let (digits, _) = digits_and_statuses(&pair.take_events(Right));
        let (_, statuses) = digits_and_statuses(&pair.take_events(Left));
        assert_eq!((digits, statuses), (vec![('7', 100)], vec![200]), "{seed}");
    }
}

#[test]
fn commands_for_sessions_that_are_gone_do_nothing() {
    let mut pair = pair(12);
    let callee = up(&mut pair, Transport::Udp);
    pair.command(Left, bye(OUT));
    pair.run_for(ms(100));
    pair.take_events(Right);
    let sent = pair.sent.len();
    for command in [
        bye(callee),
        answer(callee),
        cancel(callee),
        reinvite(callee, "x"),
        accept(callee),
    ] {
        pair.command(Right, command);
    }
    assert_eq!((pair.sent.len(), names(&pair.take_events(Right))), (sent, vec![]));
}
