//! Reliable provisional responses (RFC 3262), as caller and as callee.

use std::time::Duration;

use bytes::Bytes;
use sip::endpoint::pair::{Pair, Side::Left, Side::Right};
use sip::endpoint::{Command, Credentials, Event, Policy, SessionKey, Support, Transport};

use super::wire::{give, header, invite, lines, respond, tagged, to_tag};
use crate::*;

#[test]
fn our_invite_says_what_is_spoken_and_what_is_required() {
    for (rel100, supported, required) in [
        (Support::Off, None, None),
        (Support::Supported, Some("100rel"), None),
        (Support::Required, Some("100rel"), Some("100rel")),
    ] {
        let (_, invite) = calling(1, speaking(rel100));
        assert_eq!(
            (header(&invite, "Supported"), header(&invite, "Require")),
            (supported, required)
        );
    }
}

#[test]
fn each_number_gets_one_prack_in_order_and_a_gap_waits_for_what_is_missing() {
    let (mut pair, invite) = calling(2, speaking(Support::Supported));
    let first = give(&mut pair, &reliable(&invite, "180 Ringing", "a", 70, ""));
    assert_eq!(lines(&first), ["PRACK sip:a@192.0.2.2:5060 SIP/2.0"]);
    assert_eq!(header(&first[0], "RAck"), Some("70 1 INVITE"));
    assert_eq!(header(&first[0], "CSeq"), Some("2 PRACK"));
    // A repeat, an older one and a gap: neither acknowledged nor heard (RFC 3262 §4).
    for rseq in [70, 69, 72] {
        assert_eq!(
            give(&mut pair, &reliable(&invite, "180 Ringing", "a", rseq, "")).len(),
            0
        );
    }
    let second = give(
        &mut pair,
        &reliable(&invite, "183 Session Progress", "a", 71, "answer"),
    );
    assert_eq!(header(&second[0], "RAck"), Some("71 1 INVITE"));
    let third = give(&mut pair, &reliable(&invite, "180 Ringing", "a", 72, ""));
    assert_eq!(header(&third[0], "RAck"), Some("72 1 INVITE"));
    assert_eq!(names(&pair.take_events(Left)), ["Progress"; 3]);
}

#[test]
fn every_fork_has_an_order_of_its_own() {
    let (mut pair, invite) = calling(3, speaking(Support::Supported));
    for (tag, rseq) in [("a", 10), ("b", 500), ("a", 11), ("b", 501)] {
        let sent = give(&mut pair, &reliable(&invite, "180 Ringing", tag, rseq, ""));
        assert_eq!(lines(&sent), [format!("PRACK sip:{tag}@192.0.2.2:5060 SIP/2.0")]);
        assert!(header(&sent[0], "To").unwrap().ends_with(&format!(";tag={tag}")));
        assert_eq!(
            header(&sent[0], "RAck"),
            Some(format!("{rseq} 1 INVITE").as_str())
        );
    }
    // The dialog that is up goes on from its own numbers: 1 INVITE, 2 and 3 PRACK.
    give(&mut pair, &respond(&invite, "200 OK", "b", "answer"));
    pair.command(Left, bye(OUT));
    assert_eq!(header(&pair.sent.last().unwrap().text, "CSeq"), Some("4 BYE"));
}

#[test]
fn the_answer_of_a_reliable_183_stands_whatever_the_200_says() {
    let (mut pair, invite) = calling(4, speaking(Support::Supported));
    give(
        &mut pair,
        &reliable(&invite, "183 Session Progress", "a", 1, "early answer"),
    );
    give(&mut pair, &respond(&invite, "180 Ringing", "a", "another"));
    // The 200 crosses the PRACK's own.
    let sent = give(&mut pair, &respond(&invite, "200 OK", "a", "a third"));
    assert_eq!(lines(&sent), ["ACK sip:a@192.0.2.2:5060 SIP/2.0"]);
    let events = pair.take_events(Left);
    let [
        Event::Progress { sdp: Some(early), .. },
        Event::Progress { sdp: None, .. },
        Event::Answered {
            sdp: Some(answer), ..
        },
    ] = events.as_slice()
    else {
        panic!("{events:?}")
    };
    assert_eq!(
        (early.as_ref(), answer.as_ref()),
        (&b"early answer"[..], &b"early answer"[..])
    );
}

#[test]
fn the_answer_is_that_of_the_fork_that_wins() {
    let (mut pair, invite) = calling(5, speaking(Support::Supported));
    for tag in ["a", "b"] {
        give(&mut pair, &reliable(&invite, "183 Session Progress", tag, 1, tag));
    }
    give(&mut pair, &respond(&invite, "200 OK", "a", ""));
    let events = pair.take_events(Left);
    let Some(Event::Answered { sdp: Some(sdp), .. }) = events.last() else {
        panic!("{events:?}")
    };
    assert_eq!(sdp.as_ref(), b"a");
}

#[test]
fn a_challenged_prack_goes_out_again_with_the_same_rack() {
    let mut invite = Pair::invite(Left, 1, Transport::Udp);
    invite.policy = speaking(Support::Supported);
    invite.credentials = Some(Credentials {
        username: "user".to_owned(),
        password: "secret".to_owned(),
        realm: None,
    });
    let (mut pair, invite) = started(6, invite);
    let prack = give(&mut pair, &reliable(&invite, "180 Ringing", "a", 9, ""));
    let challenge = respond(&prack[0], "407 Proxy Authentication Required", "", "").replacen(
        "Contact:",
        "Proxy-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\nContact:",
        1,
    );
    let again = give(&mut pair, &challenge);
    assert_eq!(header(&again[0], "RAck"), Some("9 1 INVITE"));
    assert_eq!(header(&again[0], "CSeq"), Some("3 PRACK"));
    assert!(
        header(&again[0], "Proxy-Authorization")
            .unwrap()
            .contains("nonce=\"n\"")
    );
}

#[test]
fn a_prack_that_fails_leaves_the_invite_to_its_answer() {
    let (mut pair, invite) = calling(7, speaking(Support::Supported));
    let prack = give(&mut pair, &reliable(&invite, "180 Ringing", "a", 9, ""));
    give(
        &mut pair,
        &respond(&prack[0], "481 Call/Transaction Does Not Exist", "", ""),
    );
    give(&mut pair, &respond(&invite, "200 OK", "a", "answer"));
    assert_eq!(names(&pair.take_events(Left)), ["Progress", "Answered"]);
}

#[test]
fn a_peer_that_requires_it_gets_18x_reliably_and_200_waits_for_the_prack_of_our_sdp() {
    let (mut pair, session) = called(8, Support::Supported, "Require: 100rel\r\n");
    let sent = progress(&mut pair, session, 183, "early");
    assert_eq!(header(&sent[0], "Require"), Some("100rel"));
    let rseq: u32 = header(&sent[0], "RSeq").unwrap().parse().unwrap();
    assert!((1..=2_147_483_647).contains(&rseq));
    // The next one waits, and so does the 200.
    assert_eq!(progress(&mut pair, session, 180, "").len(), 0);
    pair.command(Left, answer(session));
    assert_eq!(pair.sent.last().unwrap().text, sent[0]);

    let ours = to_tag(&sent[0]).to_owned();
    let stray = give(&mut pair, &prack("p1", 2, &ours, rseq + 1, ""));
    assert_eq!(lines(&stray), ["SIP/2.0 481 Call/Transaction Does Not Exist"]);
    let taken = give(&mut pair, &prack("p2", 3, &ours, rseq, ""));
    assert_eq!(lines(&taken), ["SIP/2.0 200 OK", "SIP/2.0 200 OK"]);
    assert_eq!(header(&taken[0], "CSeq"), Some("3 PRACK"));
    assert_eq!(header(&taken[1], "CSeq"), Some("1 INVITE"));
    // RFC 6337 §3.1.1: the answer is not said twice.
    assert!(header(&taken[1], "Content-Type").is_none() && taken[1].ends_with("\r\n\r\n"));
    let again = give(&mut pair, &prack("p3", 4, &ours, rseq, ""));
    assert_eq!(lines(&again), ["SIP/2.0 481 Call/Transaction Does Not Exist"]);
}

#[test]
fn a_bare_180_holds_no_200_back_and_its_late_prack_is_fine() {
    let (mut pair, session) = called(9, Support::Required, "Supported: 100rel\r\n");
    let ringing = progress(&mut pair, session, 180, "");
    let (ours, rseq) = (
        to_tag(&ringing[0]).to_owned(),
        header(&ringing[0], "RSeq").unwrap().parse().unwrap(),
    );
    pair.command(Left, answer(session));
    let ok = pair.sent.last().unwrap().text.clone();
    assert!(ok.starts_with("SIP/2.0 200") && ok.ends_with("answer"), "{ok}");
    let before = pair.sent.len();
    pair.run_for(ms(300));
    assert!(
        pair.sent[before..]
            .iter()
            .all(|sent| !sent.text.starts_with("SIP/2.0 180"))
    );
    for (branch, cseq, status) in [
        ("a", 2, "SIP/2.0 200 OK"),
        ("b", 3, "SIP/2.0 481 Call/Transaction Does Not Exist"),
    ] {
        assert_eq!(
            lines(&give(&mut pair, &prack(branch, cseq, &ours, rseq, ""))),
            [status]
        );
    }
}

#[test]
fn without_prack_the_response_is_repeated_and_then_the_call_refused() {
    let (mut pair, session) = called(10, Support::Supported, "Require: 100rel\r\n");
    progress(&mut pair, session, 183, "early");
    pair.command(Left, answer(session));
    let start = pair.now;
    pair.run_for(Duration::from_secs(33));
    let of_invite = |text: &str| header(text, "CSeq") == Some("1 INVITE") && text.starts_with("SIP/2.0");
    let sent: Vec<(u128, &str)> = pair
        .sent
        .iter()
        .filter(|sent| of_invite(&sent.text))
        .map(|sent| ((sent.at - start).as_millis(), &sent.text[8..11]))
        .skip(1)
        .collect();
    assert_eq!(
        sent[..8],
        [
            (0, "183"),
            (500, "183"),
            (1_500, "183"),
            (3_500, "183"),
            (7_500, "183"),
            (15_500, "183"),
            (31_500, "183"),
            (32_000, "504")
        ]
    );
    assert_eq!(names(&pair.take_events(Left)), ["PrackMissing"]);
    assert_eq!(pair.left.sessions(), 0);
    pair.run_for(Duration::from_secs(40));
    assert_eq!(pair.left.transactions(), 0);
}

#[test]
fn a_lost_prack_is_sent_again_by_its_transaction() {
    let mut pair = speaking_pair(11, Support::Required);
    pair.lose(Left, "PRACK", "PRACK", 2);
    let (session, _) = early(&mut pair);
    pair.command(Right, answer(session));
    pair.run_for(Duration::from_secs(2));
    let events = pair.take_events(Left);
    assert_eq!(names(&events), ["Progress", "Answered"]);
    let pracks = pair
        .sent_by(Left)
        .iter()
        .filter(|line| line.starts_with("PRACK"))
        .count();
    assert_eq!(pracks, 3);
    assert_eq!(names(&pair.take_events(Right)), ["Acknowledged"]);
    pair.command(Left, bye(OUT));
    assert_comes_to_rest(&mut pair);
}

#[test]
fn cancel_ends_a_call_whose_prack_is_on_its_way() {
    let mut pair = speaking_pair(12, Support::Required);
    pair.lose(Left, "PRACK", "PRACK", usize::MAX);
    let (session, _) = early(&mut pair);
    pair.command(Right, answer(session));
    pair.command(Left, cancel(OUT));
    pair.run_for(ms(200));
    assert_eq!(names(&pair.take_events(Left)), ["Progress", "Cancelled"]);
    assert_eq!(names(&pair.take_events(Right)), ["PeerCancelled"]);
    let answered = pair
        .sent
        .iter()
        .any(|sent| sent.text.starts_with("SIP/2.0 200") && header(&sent.text, "CSeq") == Some("1 INVITE"));
    assert!(!answered);
    assert_comes_to_rest(&mut pair);
}

#[test]
fn a_late_offer_goes_out_reliably_and_is_answered_by_the_prack() {
    for answer_in_prack in ["their answer", ""] {
        let mut pair = pair(13);
        pair.speak(speaking(Support::Supported));
        let bare = super::wire::request("INVITE", "1", 1, "Require: 100rel\r\n", "");
        give(&mut pair, &bare);
        let events = pair.take_events(Left);
        let [Event::Incoming(incoming)] = events.as_slice() else {
            panic!("{events:?}")
        };
        assert!(incoming.is_reliable && incoming.offer.is_none());
        let session = incoming.session;
        let sent = progress(&mut pair, session, 183, "our offer");
        let (ours, rseq) = (
            to_tag(&sent[0]).to_owned(),
            header(&sent[0], "RSeq").unwrap().parse().unwrap(),
        );
        pair.command(Left, answer(session));
        let taken = give(&mut pair, &prack("p", 2, &ours, rseq, answer_in_prack));
        assert_eq!(lines(&taken), ["SIP/2.0 200 OK", "SIP/2.0 200 OK"]);
        let events = pair.take_events(Left);
        let [Event::EarlyAnswer { sdp, .. }] = events.as_slice() else {
            panic!("{events:?}")
        };
        assert_eq!(
            sdp.as_deref(),
            Some(answer_in_prack.as_bytes()).filter(|sdp| !sdp.is_empty())
        );
        // No second offer in the 200, and no answer wanted in the ACK.
        assert!(taken[1].ends_with("\r\n\r\n"));
        give(
            &mut pair,
            &tagged("ACK", "a", 1, [";tag=peer", &format!(";tag={ours}")], "", ""),
        );
        assert!(matches!(
            pair.take_events(Left).as_slice(),
            [Event::Acknowledged { sdp: None, .. }]
        ));
    }
}

#[test]
fn an_offer_in_a_prack_is_the_owners_to_decide() {
    for accepts in [true, false] {
        let (mut pair, session) = called(14, Support::Supported, "Require: 100rel\r\n");
        let sent = progress(&mut pair, session, 183, "early");
        let (ours, rseq) = (
            to_tag(&sent[0]).to_owned(),
            header(&sent[0], "RSeq").unwrap().parse().unwrap(),
        );
        // The 200 waits for the PRACK, and then for the answer to what came with it.
        pair.command(Left, answer(session));
        assert_eq!(give(&mut pair, &prack("p", 2, &ours, rseq, "more")).len(), 0);
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
        assert_eq!((offer.as_ref(), request.method.as_str()), (&b"more"[..], "PRACK"));
        let decide = match accepts {
            true => accept(session),
            false => reject(session),
        };
        let before = pair.sent.len();
        pair.command(Left, decide);
        let [told, ok] = &pair.sent[before..] else {
            panic!("{:?}", &pair.sent[before..])
        };
        match accepts {
            true => assert!(told.text.starts_with("SIP/2.0 200") && told.text.ends_with("re-answer")),
            false => assert!(told.text.starts_with("SIP/2.0 488 Not Acceptable Here")),
        }
        assert_eq!(header(&told.text, "CSeq"), Some("2 PRACK"));
        assert!(ok.text.starts_with("SIP/2.0 200"));
        assert_eq!(header(&ok.text, "CSeq"), Some("1 INVITE"));
    }
}

#[test]
fn a_policy_refuses_what_it_does_not_speak_and_wants_what_it_requires() {
    for (rel100, head, expected) in [
        (
            Support::Off,
            "Require: 100rel\r\n",
            Some(("420 Bad Extension", "Unsupported", "100rel")),
        ),
        (Support::Off, "Supported: 100rel\r\n", None),
        (Support::Supported, "Require: 100rel\r\n", None),
        (Support::Supported, "", None),
        (Support::Required, "Supported: 100rel\r\n", None),
        (
            Support::Required,
            "",
            Some(("421 Extension Required", "Require", "100rel")),
        ),
    ] {
        let mut pair = pair(15);
        pair.speak(speaking(rel100));
        let sent = give(&mut pair, &invite("1", head));
        match expected {
            None => assert_eq!(lines(&sent), ["SIP/2.0 100 Trying"], "{rel100:?} {head}"),
            Some((status, name, value)) => {
                assert_eq!(lines(&sent[1..]), [format!("SIP/2.0 {status}")]);
                assert_eq!(header(&sent[1], name), Some(value));
            }
        }
    }
}

#[test]
fn without_the_peers_support_nothing_is_reliable() {
    let (mut pair, session) = called(16, Support::Supported, "Supported: 100rel\r\n");
    let sent = progress(&mut pair, session, 183, "early");
    assert_eq!(
        (header(&sent[0], "RSeq"), header(&sent[0], "Require")),
        (None, None)
    );
}

fn speaking(rel100: Support) -> Policy {
    Policy {
        rel100,
        ..Policy::default()
    }
}

fn speaking_pair(seed: u64, rel100: Support) -> Pair {
    let mut pair = pair(seed);
    pair.speak(speaking(rel100));
    pair
}

/// A call from left to right with early media: the callee's session.
fn early(pair: &mut Pair) -> (SessionKey, Bytes) {
    let mut invite = Pair::invite(Left, 1, Transport::Udp);
    invite.policy = speaking(Support::Required);
    pair.command(Left, Command::Invite(Box::new(invite)));
    pair.run_for(ms(50));
    let events = pair.take_events(Right);
    let [Event::Incoming(incoming)] = events.as_slice() else {
        panic!("{events:?}")
    };
    let session = incoming.session;
    pair.command(
        Right,
        Command::Progress {
            session,
            status: 183,
            sdp: Some(Bytes::from_static(b"early")),
            headers: vec![],
        },
    );
    pair.run_for(ms(50));
    (session, Bytes::from_static(b"early"))
}

/// Our INVITE is out.
fn calling(seed: u64, policy: Policy) -> (Pair, String) {
    let mut invite = Pair::invite(Left, 1, Transport::Udp);
    invite.policy = policy;
    started(seed, invite)
}

fn started(seed: u64, invite: sip::endpoint::OutgoingInvite) -> (Pair, String) {
    let mut pair = pair(seed);
    pair.link.loss_percent = 100;
    pair.command(Left, Command::Invite(Box::new(invite)));
    let invite = pair.sent[0].text.clone();
    (pair, invite)
}

/// The peer's INVITE is in.
fn called(seed: u64, rel100: Support, head: &str) -> (Pair, SessionKey) {
    let mut pair = speaking_pair(seed, rel100);
    give(&mut pair, &invite("1", head));
    let events = pair.take_events(Left);
    let [Event::Incoming(incoming)] = events.as_slice() else {
        panic!("{events:?}")
    };
    (pair, incoming.session)
}

/// What our provisional response looks like on the wire.
fn progress(pair: &mut Pair, session: SessionKey, status: u16, sdp: &'static str) -> Vec<String> {
    let before = pair.sent.len();
    let sdp = Some(Bytes::from_static(sdp.as_bytes())).filter(|sdp| !sdp.is_empty());
    pair.command(
        Left,
        Command::Progress {
            session,
            status,
            sdp,
            headers: vec![],
        },
    );
    pair.sent[before..].iter().map(|sent| sent.text.clone()).collect()
}

fn reliable(invite: &str, status: &str, tag: &str, rseq: u32, body: &str) -> String {
    let head = format!("Require: 100rel\r\nRSeq: {rseq}\r\nContact:");
    respond(invite, status, tag, body).replacen("Contact:", &head, 1)
}

fn prack(branch: &str, cseq: u32, our_tag: &str, rseq: u32, body: &str) -> String {
    let kind = match body {
        "" => "",
        _ => "Content-Type: application/sdp\r\n",
    };
    let head = format!("RAck: {rseq} 1 INVITE\r\n{kind}");
    tagged(
        "PRACK",
        branch,
        cseq,
        [";tag=peer", &format!(";tag={our_tag}")],
        &head,
        body,
    )
}

fn reject(session: SessionKey) -> Command {
    Command::RejectReinvite {
        session,
        status: 488,
        headers: vec![],
    }
}
