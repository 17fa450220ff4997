//! Messages that cross, get lost or come late around CANCEL, 200, ACK and BYE.

use std::time::Duration;

use sip::endpoint::pair::{Pair, Side::Left, Side::Right};
use sip::endpoint::{Command, Event, Transport};

use crate::*;

#[test]
fn cancel_waits_for_a_provisional_response() {
    let mut pair = pair(1);
    pair.command(
        Left,
        Command::Invite(Box::new(Pair::invite(Left, 1, Transport::Udp))),
    );
    pair.command(Left, cancel(OUT));
    assert_eq!(pair.sent_by(Left), ["INVITE sip:bob@192.0.2.2:5060 SIP/2.0"]);
    pair.run_for(ms(100));
    assert_eq!(pair.sent_by(Left)[1], "CANCEL sip:bob@192.0.2.2:5060 SIP/2.0");
    assert!(
        pair.sent[2].text.contains("\r\nReason: Q.850;cause=16\r\n"),
        "{}",
        pair.sent[2].text
    );
    assert_eq!(names(&pair.take_events(Left)), ["Cancelled"]);
    assert_eq!(names(&pair.take_events(Right)), ["Incoming", "PeerCancelled"]);
    assert_comes_to_rest(&mut pair);
}

#[test]
fn cancel_that_nobody_could_hear_ends_with_timer_b() {
    let mut pair = pair(2);
    pair.link.loss_percent = 100;
    pair.command(
        Left,
        Command::Invite(Box::new(Pair::invite(Left, 1, Transport::Udp))),
    );
    pair.command(Left, cancel(OUT));
    pair.run_for(Duration::from_secs(32));
    assert_eq!(names(&pair.take_events(Left)), ["Cancelled"]);
    assert!(pair.sent_by(Left).iter().all(|line| line.starts_with("INVITE")));
    assert_comes_to_rest(&mut pair);
}

#[test]
fn cancel_while_ringing_gets_200_and_487() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut pair = pair(3);
        ringing(&mut pair, transport);
        pair.command(Left, cancel(OUT));
        pair.run_for(ms(100));
        assert_eq!(names(&pair.take_events(Left)), ["Cancelled"]);
        let events = pair.take_events(Right);
        let [Event::PeerCancelled { request, .. }] = events.as_slice() else {
            panic!("{events:?}")
        };
        assert_eq!(request.headers.get("Reason"), Some("Q.850;cause=16"));
        assert_eq!(
            pair.sent_by(Right)[2..],
            ["SIP/2.0 200 OK", "SIP/2.0 487 Request Terminated"]
        );
        assert_comes_to_rest(&mut pair);
    }
}

#[test]
fn cancel_crossing_200_is_acked_and_ended_with_bye() {
    let mut pair = pair(4);
    let callee = ringing(&mut pair, Transport::Udp);
    pair.command(Right, answer(callee));
    pair.command(Left, cancel(OUT));
    pair.run_for(ms(200));
    assert_eq!(names(&pair.take_events(Left)), ["Cancelled"]);
    assert_eq!(names(&pair.take_events(Right)), ["Acknowledged", "Bye"]);
    // The CANCEL found a transaction, but not one it could end.
    assert!(
        !pair
            .sent_by(Right)
            .iter()
            .any(|line| line.contains("487") || line.contains("481"))
    );
    assert_comes_to_rest(&mut pair);
}

#[test]
fn an_answer_after_the_cancel_arrived_is_ignored() {
    let mut pair = pair(5);
    let callee = ringing(&mut pair, Transport::Udp);
    pair.command(Left, cancel(OUT));
    pair.run_for(ms(15));
    pair.command(Right, answer(callee));
    pair.run_for(ms(200));
    assert_eq!(names(&pair.take_events(Left)), ["Cancelled"]);
    assert_eq!(names(&pair.take_events(Right)), ["PeerCancelled"]);
    assert_comes_to_rest(&mut pair);
}

#[test]
fn cancel_without_any_final_is_given_up_after_64_t1() {
    let mut pair = pair(6);
    ringing(&mut pair, Transport::Udp);
    pair.link.loss_percent = 100;
    pair.command(Left, cancel(OUT));
    pair.run_for(ms(31_999));
    assert_eq!(names(&pair.take_events(Left)), [""; 0]);
    pair.run_for(ms(1));
    assert_eq!(names(&pair.take_events(Left)), ["Cancelled"]);
    assert_eq!((pair.left.sessions(), pair.left.transactions()), (0, 0));
}

#[test]
fn a_200_after_the_cancel_was_given_up_is_no_call() {
    let mut pair = pair(7);
    let callee = ringing(&mut pair, Transport::Udp);
    pair.link.loss_percent = 100;
    pair.command(Left, cancel(OUT));
    pair.run_for(Duration::from_secs(33));
    pair.link.loss_percent = 0;
    pair.take_events(Left);
    pair.command(Right, answer(callee));
    pair.run_for(Duration::from_secs(40));
    assert_eq!(names(&pair.take_events(Left)), [""; 0]);
    assert!(pair.take_dropped().contains(&"stray_response"));
    assert_eq!(names(&pair.take_events(Right)), ["AckMissing"]);
    assert_comes_to_rest(&mut pair);
}

#[test]
fn lost_200s_are_repeated_by_the_dialog() {
    let mut pair = pair(8);
    let callee = ringing(&mut pair, Transport::Udp);
    pair.lose(Right, "SIP/2.0 200", "INVITE", 4);
    let start = pair.now;
    pair.command(Right, answer(callee));
    pair.run_for(Duration::from_secs(10));
    let at = pair
        .sent
        .iter()
        .filter(|sent| sent.text.starts_with("SIP/2.0 200"));
    let at: Vec<_> = at.map(|sent| (sent.at - start).as_millis()).collect();
    // RFC 3261 §13.3.1.4: T1, 2·T1, … up to T2.
    assert_eq!(at, [0, 500, 1_500, 3_500, 7_500]);
    assert_eq!(names(&pair.take_events(Left)), ["Answered"]);
    assert_eq!(names(&pair.take_events(Right)), ["Acknowledged"]);
}

#[test]
fn over_tcp_too_the_200_is_repeated_until_ack() {
    let mut pair = pair(9);
    let callee = ringing(&mut pair, Transport::Tcp);
    pair.lose(Left, "ACK", "ACK", 1);
    pair.command(Right, answer(callee));
    pair.run_for(Duration::from_secs(1));
    assert_eq!(names(&pair.take_events(Right)), ["Acknowledged"]);
    assert_eq!(pair.sent_by(Left)[1..].len(), 2);
}

#[test]
fn a_lost_ack_is_sent_again_for_each_200() {
    let mut pair = pair(10);
    let callee = ringing(&mut pair, Transport::Udp);
    pair.lose(Left, "ACK", "ACK", 3);
    pair.command(Right, answer(callee));
    pair.run_for(Duration::from_secs(5));
    let acks: Vec<_> = pair
        .sent
        .iter()
        .filter(|sent| sent.text.starts_with("ACK"))
        .collect();
    assert_eq!(acks.len(), 4);
    assert!(acks.iter().all(|ack| ack.text == acks[0].text));
    assert_eq!(names(&pair.take_events(Left)), ["Answered"]);
    assert_eq!(names(&pair.take_events(Right)), ["Acknowledged"]);
}

#[test]
fn no_ack_in_64_t1_ends_the_session_with_bye() {
    let mut pair = pair(11);
    let callee = ringing(&mut pair, Transport::Udp);
    pair.lose(Left, "ACK", "ACK", usize::MAX);
    let start = pair.now;
    pair.command(Right, answer(callee));
    pair.run_for(ms(31_999));
    assert_eq!(names(&pair.take_events(Right)), [""; 0]);
    pair.run_for(ms(100));
    assert_eq!(names(&pair.take_events(Right)), ["AckMissing"]);
    assert_eq!(names(&pair.take_events(Left)), ["Answered", "Bye"]);
    let bye = pair
        .sent
        .iter()
        .find(|sent| sent.text.starts_with("BYE"))
        .unwrap();
    assert_eq!((bye.at - start).as_millis(), 32_000);
    assert_comes_to_rest(&mut pair);
}

#[test]
fn byes_that_cross_both_end_well() {
    let mut pair = pair(12);
    let callee = up(&mut pair, Transport::Udp);
    pair.command(Left, bye(OUT));
    pair.command(Right, bye(callee));
    pair.run_for(ms(100));
    assert_eq!(names(&pair.take_events(Left)), ["ByeDone"]);
    assert_eq!(names(&pair.take_events(Right)), ["ByeDone"]);
    assert!(pair.sent_by(Left).contains(&"SIP/2.0 200 OK"));
    assert_comes_to_rest(&mut pair);
}

#[test]
fn bye_that_overtakes_the_ack_ends_the_call() {
    let mut pair = pair(13);
    let callee = ringing(&mut pair, Transport::Udp);
    pair.delay(Left, "ACK", "ACK", ms(200));
    pair.command(Right, answer(callee));
    pair.run_for(ms(15));
    pair.command(Left, bye(OUT));
    pair.run_for(Duration::from_secs(1));
    assert_eq!(names(&pair.take_events(Right)), ["Bye"]);
    assert_eq!(names(&pair.take_events(Left)), ["Answered", "ByeDone"]);
    assert_eq!(pair.take_dropped(), ["stray_ack"]);
    assert_comes_to_rest(&mut pair);
}

#[test]
fn a_callee_that_hangs_up_at_once_waits_for_the_ack() {
    let mut pair = pair(14);
    let callee = ringing(&mut pair, Transport::Udp);
    pair.lose(Left, "ACK", "ACK", 1);
    pair.command(Right, answer(callee));
    pair.command(Right, bye(callee));
    pair.run_for(Duration::from_secs(1));
    let lines = pair.sent_by(Right);
    assert_eq!(
        lines[2..],
        [
            "SIP/2.0 200 OK",
            "SIP/2.0 200 OK",
            "BYE sip:alice@192.0.2.1:5060 SIP/2.0"
        ]
    );
    assert_eq!(names(&pair.take_events(Right)), ["Acknowledged", "ByeDone"]);
    assert_eq!(names(&pair.take_events(Left)), ["Answered", "Bye"]);
    assert_comes_to_rest(&mut pair);
}

#[test]
fn a_callee_that_hangs_up_and_never_gets_an_ack_sends_bye_after_64_t1() {
    let mut pair = pair(15);
    let callee = ringing(&mut pair, Transport::Udp);
    pair.lose(Left, "ACK", "ACK", usize::MAX);
    pair.command(Right, answer(callee));
    pair.command(Right, bye(callee));
    pair.run_for(ms(32_100));
    assert_eq!(names(&pair.take_events(Right)), ["ByeDone"]);
    assert_eq!(names(&pair.take_events(Left)), ["Answered", "Bye"]);
    assert_comes_to_rest(&mut pair);
}

#[test]
fn a_bye_that_nobody_answers_is_given_up_after_64_t1() {
    let mut pair = pair(16);
    up(&mut pair, Transport::Udp);
    pair.link.loss_percent = 100;
    pair.command(Left, bye(OUT));
    pair.run_for(Duration::from_secs(32));
    assert_eq!(names(&pair.take_events(Left)), ["ByeDone"]);
    assert_eq!((pair.left.sessions(), pair.left.dialogs()), (0, 0));
}

#[test]
fn a_refusal_is_repeated_until_its_ack() {
    let mut pair = pair(17);
    let callee = ringing(&mut pair, Transport::Udp);
    pair.lose(Left, "ACK", "ACK", 2);
    pair.command(
        Right,
        Command::Reject {
            session: callee,
            status: 480,
            reason: None,
            headers: vec![],
        },
    );
    pair.run_for(Duration::from_secs(3));
    let refusals = pair
        .sent_by(Right)
        .iter()
        .filter(|line| line.contains("480"))
        .count();
    assert_eq!(refusals, 3);
    assert_eq!(names(&pair.take_events(Left)), ["Refused"]);
    assert_comes_to_rest(&mut pair);
}

#[test]
fn an_invite_on_a_bad_network_is_one_session() {
    let mut pair = pair(18);
    pair.lose(Right, "SIP/2.0 100", "INVITE", 2);
    pair.command(
        Left,
        Command::Invite(Box::new(Pair::invite(Left, 1, Transport::Udp))),
    );
    pair.run_for(Duration::from_secs(10));
    assert_eq!(names(&pair.take_events(Right)), ["Incoming"]);
    let invites = pair
        .sent_by(Left)
        .iter()
        .filter(|line| line.starts_with("INVITE"))
        .count();
    assert_eq!(invites, 3);
}
