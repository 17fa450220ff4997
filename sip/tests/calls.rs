//! Whole calls between two endpoints in virtual time.

#![allow(clippy::panic, clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail by panic")]

use std::time::{Duration, Instant};

use bytes::Bytes;
use sip::endpoint::pair::{Pair, Side};
use sip::endpoint::{Command, Event, SessionKey, Transport};

use Side::{Left, Right};

#[test]
fn a_call_is_set_up_and_ended_by_the_caller() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut pair = Pair::new(1, Instant::now());
        let (out, inn) = up(&mut pair, transport);
        pair.command(
            Left,
            Command::Bye {
                session: out,
                headers: vec![],
            },
        );
        pair.run_for(Duration::from_secs(1));
        assert!(
            matches!(pair.take_events(Right).as_slice(), [Event::Bye { session, .. }] if *session == inn)
        );
        assert!(matches!(pair.take_events(Left).as_slice(), [Event::ByeDone { session }] if *session == out));
        assert_eq!(
            pair.sent_by(Left),
            [
                "INVITE sip:bob@192.0.2.2:5060 SIP/2.0",
                contact(transport, "ACK sip:bob@192.0.2.2:5060;transport=tcp SIP/2.0"),
                contact(transport, "BYE sip:bob@192.0.2.2:5060;transport=tcp SIP/2.0"),
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
        pair.run_for(Duration::from_secs(33));
        assert!(pair.is_empty());
    }
}

fn contact(transport: Transport, line: &'static str) -> &'static str {
    match transport {
        Transport::Tcp => line,
        Transport::Udp if line.starts_with("ACK") => "ACK sip:bob@192.0.2.2:5060 SIP/2.0",
        Transport::Udp => "BYE sip:bob@192.0.2.2:5060 SIP/2.0",
    }
}

/// A call from left to right, answered and acknowledged.
fn up(pair: &mut Pair, transport: Transport) -> (SessionKey, SessionKey) {
    let out = SessionKey::Out(1);
    pair.command(Left, Command::Invite(Box::new(Pair::invite(Left, 1, transport))));
    pair.run_for(Duration::from_millis(100));
    let events = pair.take_events(Right);
    let [Event::Incoming(invite)] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!(invite.offer.as_deref(), Some(&b"offer"[..]));
    let inn = invite.session;
    pair.command(
        Right,
        Command::Progress {
            session: inn,
            status: 180,
            sdp: None,
            headers: vec![],
        },
    );
    pair.run_for(Duration::from_millis(100));
    assert!(matches!(
        pair.take_events(Left).as_slice(),
        [Event::Progress { sdp: None, .. }]
    ));
    let sdp = Bytes::from_static(b"answer");
    pair.command(
        Right,
        Command::Answer {
            session: inn,
            sdp: sdp.clone(),
            headers: vec![],
        },
    );
    pair.run_for(Duration::from_millis(100));
    let events = pair.take_events(Left);
    let [
        Event::Answered {
            session, sdp: got, ..
        },
    ] = events.as_slice()
    else {
        panic!("{events:?}")
    };
    assert_eq!((*session, got.as_ref()), (out, Some(&sdp)));
    assert!(matches!(
        pair.take_events(Right).as_slice(),
        [Event::Acknowledged { sdp: None, .. }]
    ));
    (out, inn)
}
