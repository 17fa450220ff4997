//! UPDATE (RFC 3311): before the answer and after it, with and without an offer.

use bytes::Bytes;
use sip::endpoint::pair::{Pair, Side::Left};
use sip::endpoint::{Command, Event, Policy, SessionKey, Support, Transport};

use super::wire::{give, header, invite, lines, respond, tagged, to_tag};
use crate::*;

const SDP: &str = "Content-Type: application/sdp\r\n";

#[test]
fn an_update_without_offer_moves_the_target_and_nothing_else() {
    let (mut pair, session, ours) = up_by_hand(1);
    let moved = update("u", 2, &ours, "", "").replace(
        "Contact: <sip:peer@192.0.2.2:5060>",
        "Contact: <sip:moved@192.0.2.2:5070>",
    );
    let sent = give(&mut pair, &moved);
    assert_eq!(lines(&sent), ["SIP/2.0 200 OK"]);
    assert!(header(&sent[0], "Contact").is_some() && header(&sent[0], "Allow").unwrap().contains("UPDATE"));
    assert_eq!(pair.take_events(Left).len(), 0);
    pair.command(Left, bye(session));
    assert_eq!(
        pair.sent_by(Left).last().unwrap(),
        &"BYE sip:moved@192.0.2.2:5070 SIP/2.0"
    );
}

#[test]
fn an_offer_in_an_update_is_decided_like_a_reinvite_and_needs_no_ack() {
    for accepts in [true, false] {
        let (mut pair, session, ours) = up_by_hand(2);
        assert_eq!(give(&mut pair, &update("u", 2, &ours, SDP, "change")).len(), 0);
        let events = pair.take_events(Left);
        let [
            Event::Reinvite {
                offer: Some(offer),
                request,
                ..
            },
        ] = events.as_slice()
        else {
            panic!("{events:?}")
        };
        assert_eq!(
            (offer.as_ref(), request.method.as_str()),
            (&b"change"[..], "UPDATE")
        );
        let decision = match accepts {
            true => accept(session),
            false => Command::RejectReinvite {
                session,
                status: 488,
                headers: vec![],
            },
        };
        pair.command(Left, decision);
        let told = &pair.sent.last().unwrap().text;
        assert_eq!(told.starts_with("SIP/2.0 200"), accepts);
        assert_eq!(told.ends_with("re-answer"), accepts);
        assert_eq!(header(told, "CSeq"), Some("2 UPDATE"));
        // Nothing is repeated, nothing waited for.
        let before = pair.sent.len();
        pair.run_for(ms(40_000));
        assert_eq!(pair.sent.len(), before);
        assert_eq!((pair.take_events(Left).len(), pair.left.sessions()), (0, 1));
    }
}

#[test]
fn an_offer_that_meets_ours_gets_491_and_one_that_meets_theirs_500_with_a_wait() {
    let (mut pair, session, ours) = up_by_hand(3);
    pair.command(Left, reinvite(session, "ours"));
    let sent = give(&mut pair, &update("u1", 2, &ours, SDP, "theirs"));
    assert_eq!(lines(&sent), ["SIP/2.0 491 Request Pending"]);
    // Without an offer there is nothing to meet.
    assert_eq!(
        lines(&give(&mut pair, &update("u2", 3, &ours, "", ""))),
        ["SIP/2.0 200 OK"]
    );

    let (mut pair, session, ours) = up_by_hand(4);
    give(&mut pair, &update("u1", 2, &ours, SDP, "first"));
    for (branch, cseq, head, body) in [("u2", 3, SDP, "second"), ("u3", 4, "", "")] {
        let sent = give(&mut pair, &update(branch, cseq, &ours, head, body));
        assert_eq!(lines(&sent), ["SIP/2.0 500 Server Internal Error"]);
        let wait: u32 = header(&sent[0], "Retry-After").unwrap().parse().unwrap();
        assert!(wait <= 10);
    }
    let crossing = give(&mut pair, &inside("INVITE", "r", 5, &ours, SDP, "third"));
    assert_eq!(lines(&crossing[1..]), ["SIP/2.0 500 Server Internal Error"]);
    // Ours waits until theirs is decided.
    pair.command(Left, reinvite(session, "ours"));
    assert!(!pair.sent_by(Left).iter().any(|line| line.starts_with("INVITE")));
    pair.command(Left, accept(session));
    assert!(pair.sent_by(Left).last().unwrap().starts_with("INVITE"));
}

#[test]
fn an_update_while_a_reinvite_of_the_peer_is_open_waits() {
    let (mut pair, _, ours) = up_by_hand(5);
    give(&mut pair, &inside("INVITE", "r", 2, &ours, SDP, "first"));
    let sent = give(&mut pair, &update("u", 3, &ours, SDP, "second"));
    assert_eq!(lines(&sent), ["SIP/2.0 500 Server Internal Error"]);
    assert_eq!(names(&pair.take_events(Left)), ["Reinvite"]);
}

#[test]
fn hanging_up_settles_an_update_that_is_open() {
    for by_peer in [true, false] {
        let (mut pair, session, ours) = up_by_hand(6);
        give(&mut pair, &update("u", 2, &ours, SDP, "open"));
        match by_peer {
            true => drop(give(&mut pair, &inside("BYE", "b", 3, &ours, "", ""))),
            false => pair.command(Left, bye(session)),
        }
        assert!(pair.sent_by(Left).contains(&"SIP/2.0 487 Request Terminated"));
        pair.run_for(ms(70_000));
        assert_eq!((pair.left.sessions(), pair.left.transactions()), (0, 0));
    }
}

#[test]
fn before_a_reliable_answer_an_offer_of_the_callee_meets_ours() {
    let (mut pair, invite) = calling(7);
    give(
        &mut pair,
        &respond(&invite, "183 Session Progress", "a", "foretaste"),
    );
    let sent = give(&mut pair, &of_callee(&invite, "u1", 1, "early"));
    assert_eq!(lines(&sent), ["SIP/2.0 491 Request Pending"]);
    assert_eq!(
        lines(&give(&mut pair, &of_callee(&invite, "u2", 2, ""))),
        ["SIP/2.0 200 OK"]
    );
    assert_eq!(names(&pair.take_events(Left)), ["Progress"]);
}

#[test]
fn after_a_reliable_answer_the_callee_may_change_the_early_session() {
    let (mut pair, invite) = calling(8);
    let answered = respond(&invite, "183 Session Progress", "a", "answer").replacen(
        "Contact:",
        "Require: 100rel\r\nRSeq: 1\r\nContact:",
        1,
    );
    give(&mut pair, &answered);
    assert_eq!(give(&mut pair, &of_callee(&invite, "u", 1, "change")).len(), 0);
    let events = pair.take_events(Left);
    assert_eq!(names(&events), ["Progress", "Reinvite"]);
    pair.command(Left, accept(OUT));
    assert!(pair.sent.last().unwrap().text.ends_with("re-answer"));
    // What was agreed last stands: the first answer is not told again.
    give(&mut pair, &respond(&invite, "200 OK", "a", ""));
    assert!(matches!(
        pair.take_events(Left).as_slice(),
        [Event::Answered { sdp: None, .. }]
    ));
}

#[test]
fn an_update_that_crosses_the_200_is_still_answered() {
    let (mut pair, invite) = calling(9);
    let answered = respond(&invite, "183 Session Progress", "a", "answer").replacen(
        "Contact:",
        "Require: 100rel\r\nRSeq: 1\r\nContact:",
        1,
    );
    give(&mut pair, &answered);
    give(&mut pair, &of_callee(&invite, "u", 1, "change"));
    give(&mut pair, &respond(&invite, "200 OK", "a", ""));
    pair.command(Left, accept(OUT));
    let told = &pair.sent.last().unwrap().text;
    assert!(
        told.starts_with("SIP/2.0 200") && told.ends_with("re-answer"),
        "{told}"
    );
    assert_eq!(header(told, "CSeq"), Some("1 UPDATE"));
}

#[test]
fn the_caller_may_change_the_early_session_once_our_answer_is_acknowledged() {
    let mut pair = pair(10);
    pair.speak(speaking());
    give(&mut pair, &invite("1", "Require: 100rel\r\n"));
    let events = pair.take_events(Left);
    let [Event::Incoming(incoming)] = events.as_slice() else {
        panic!("{events:?}")
    };
    let session = incoming.session;
    pair.command(Left, progress(session, None));
    let first = pair.sent.last().unwrap().text.clone();
    let ours = to_tag(&first).to_owned();
    // Its own offer, in the INVITE, has no answer yet.
    let sent = give(&mut pair, &update("u1", 2, &ours, SDP, "too early"));
    assert_eq!(lines(&sent), ["SIP/2.0 500 Server Internal Error"]);
    let rseq: u32 = header(&first, "RSeq").unwrap().parse().unwrap();
    let rack = format!("RAck: {rseq} 1 INVITE\r\n");
    give(&mut pair, &inside("PRACK", "p1", 3, &ours, &rack, ""));
    pair.command(Left, progress(session, Some("early")));
    let rack = format!("RAck: {} 1 INVITE\r\n", rseq + 1);
    give(&mut pair, &inside("PRACK", "p2", 4, &ours, &rack, ""));
    assert_eq!(give(&mut pair, &update("u2", 5, &ours, SDP, "change")).len(), 0);
    pair.command(Left, accept(session));
    assert!(pair.sent.last().unwrap().text.ends_with("re-answer"));
    pair.command(Left, answer(session));
    let ok = &pair.sent.last().unwrap().text;
    assert!(ok.starts_with("SIP/2.0 200") && ok.ends_with("\r\n\r\n"), "{ok}");
    assert_eq!(names(&pair.take_events(Left)), ["Reinvite"]);
}

fn speaking() -> Policy {
    Policy {
        rel100: Support::Supported,
        ..Policy::default()
    }
}

fn progress(session: SessionKey, sdp: Option<&'static str>) -> Command {
    Command::Progress {
        session,
        status: 183,
        sdp: sdp.map(|sdp| Bytes::from_static(sdp.as_bytes())),
        headers: vec![],
    }
}

/// Our INVITE is out.
fn calling(seed: u64) -> (Pair, String) {
    let mut pair = pair(seed);
    pair.link.loss_percent = 100;
    let mut invite = Pair::invite(Left, 1, Transport::Udp);
    invite.policy = speaking();
    pair.command(Left, Command::Invite(Box::new(invite)));
    let invite = pair.sent[0].text.clone();
    (pair, invite)
}

/// A call of the hand-written peer that is up: our session and our tag.
fn up_by_hand(seed: u64) -> (Pair, SessionKey, String) {
    let mut pair = pair(seed);
    pair.link.loss_percent = 100;
    give(&mut pair, &invite("1", ""));
    let events = pair.take_events(Left);
    let [Event::Incoming(incoming)] = events.as_slice() else {
        panic!("{events:?}")
    };
    let session = incoming.session;
    pair.command(Left, answer(session));
    let ours = to_tag(&pair.sent.last().unwrap().text).to_owned();
    give(&mut pair, &inside("ACK", "ack", 1, &ours, "", ""));
    assert_eq!(names(&pair.take_events(Left)), ["Acknowledged"]);
    (pair, session, ours)
}

fn inside(method: &str, branch: &str, cseq: u32, ours: &str, head: &str, body: &str) -> String {
    tagged(
        method,
        branch,
        cseq,
        [";tag=peer", &format!(";tag={ours}")],
        head,
        body,
    )
}

fn update(branch: &str, cseq: u32, ours: &str, head: &str, body: &str) -> String {
    inside("UPDATE", branch, cseq, ours, head, body)
}

/// An UPDATE of the callee `a` in the early dialog of our INVITE.
fn of_callee(invite: &str, branch: &str, cseq: u32, body: &str) -> String {
    let head = |name| header(invite, name).unwrap();
    let kind = if body.is_empty() { "" } else { SDP };
    format!(
        "UPDATE sip:gw@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bK{branch}\r\n\
         From: {};tag=a\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {cseq} UPDATE\r\n\
         Contact: <sip:a@192.0.2.2:5060>\r\n{kind}Content-Length: {}\r\n\r\n{body}",
        head("To"),
        head("From"),
        head("Call-ID"),
        body.len()
    )
}
