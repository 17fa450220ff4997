//! REFER each way (RFC 3515, RFC 4488) and its races; INVITE with Replaces (RFC 3891).

use std::time::Duration;

use sip::dialog::refer::REFUSED_TOLD_MAX;
use sip::endpoint::pair::{Pair, Side, Side::Left, Side::Right};
use sip::endpoint::{Command, Event, Policy, ReferOutcome, ReferTarget, SessionKey, Transport};

use super::wire::{give, header, invite, lines, tagged, to_tag};
use crate::*;

const WAIT: Duration = Duration::from_secs(60);

/// A call from left to right, whose callee takes REFER; the callee's session.
fn taking(seed: u64) -> (Pair, SessionKey) {
    let mut pair = pair(seed);
    pair.speak(Policy {
        takes_refer: true,
        ..Policy::default()
    });
    let callee = up(&mut pair, Transport::Udp);
    (pair, callee)
}

fn refer(session: SessionKey) -> Command {
    Command::Refer {
        session,
        to: ReferTarget::Uri("sip:carol@198.51.100.7".into()),
        referred_by: Some("<sip:alice@192.0.2.1>".into()),
        wait: WAIT,
    }
}

fn notify(session: SessionKey, status: u16) -> Command {
    Command::NotifyRefer { session, status }
}

fn texts(pair: &Pair, from: Side, start: &str) -> Vec<String> {
    let sent = pair.sent.iter().filter(|sent| sent.from == from);
    let texts = sent.map(|sent| sent.text.clone());
    texts.filter(|text| text.starts_with(start)).collect()
}

fn outcome(events: &[Event]) -> ReferOutcome {
    match events {
        [Event::ReferDone { outcome, .. }] => *outcome,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_refer_is_decided_by_the_owner_and_told_by_notify_until_the_final_status() {
    let (mut pair, callee) = taking(1);
    pair.command(Left, refer(OUT));
    pair.run_for(ms(100));
    let events = pair.take_events(Right);
    let [
        Event::Referred {
            session,
            referral,
            refused: None,
        },
    ] = events.as_slice()
    else {
        panic!("{events:?}")
    };
    assert_eq!(
        (*session, referral.to.as_str()),
        (callee, "sip:carol@198.51.100.7")
    );
    assert_eq!(referral.referred_by.as_deref(), Some("<sip:alice@192.0.2.1>"));
    assert_eq!((&referral.replaces, referral.replaced), (&None, None));
    assert!(texts(&pair, Right, "SIP/2.0 202").is_empty());
    pair.command(Right, Command::AcceptRefer { session: callee });
    pair.run_for(ms(100));
    pair.command(Right, notify(callee, 180));
    pair.run_for(ms(100));
    pair.command(Right, notify(callee, 200));
    pair.run_for(ms(100));
    let notifies = texts(&pair, Right, "NOTIFY ");
    let told: Vec<_> = notifies
        .iter()
        .map(|text| {
            let body = text.split("\r\n\r\n").nth(1).unwrap();
            (header(text, "Subscription-State").unwrap(), body)
        })
        .collect();
    assert_eq!(
        told,
        [
            ("active;expires=300", "SIP/2.0 100 Trying\r\n"),
            ("active;expires=299", "SIP/2.0 180 Ringing\r\n"),
            ("terminated;reason=noresource", "SIP/2.0 200 OK\r\n"),
        ]
    );
    for text in &notifies {
        assert_eq!(header(text, "Event"), Some("refer;id=2"), "CSeq of the REFER");
        assert_eq!(header(text, "Content-Type"), Some("message/sipfrag"));
        assert!(header(text, "Contact").is_some());
    }
    let events = pair.take_events(Left);
    assert_eq!(names(&events), ["ReferProgress", "ReferProgress", "ReferDone"]);
    assert_eq!(outcome(&events[2..]), ReferOutcome::Notified(200));
    pair.command(Right, notify(callee, 486));
    pair.run_for(ms(100));
    assert_eq!(
        texts(&pair, Right, "NOTIFY ").len(),
        3,
        "a final status is the last word"
    );
    pair.command(Left, bye(OUT));
    assert_comes_to_rest(&mut pair);
}

#[test]
fn where_refer_is_not_taken_it_is_told_405_and_its_owner_hears_of_it_a_few_times() {
    let mut pair = pair(2);
    up(&mut pair, Transport::Udp);
    for _ in 0..REFUSED_TOLD_MAX + 2 {
        pair.command(Left, refer(OUT));
        pair.run_for(ms(100));
        assert_eq!(outcome(&pair.take_events(Left)), ReferOutcome::Refused(405));
    }
    let refused = texts(&pair, Right, "SIP/2.0 405");
    assert!(!header(&refused[0], "Allow").unwrap().contains("REFER"));
    let events = pair.take_events(Right);
    assert_eq!(events.len(), usize::from(REFUSED_TOLD_MAX));
    assert!(events.iter().all(|event| matches!(
        event,
        Event::Referred {
            refused: Some(405),
            ..
        }
    )));
    pair.command(Left, bye(OUT));
    assert_comes_to_rest(&mut pair);
}

#[test]
fn allow_has_refer_only_where_it_is_taken_and_supported_has_replaces_where_it_is_told() {
    for is_set in [false, true] {
        let mut pair = pair(3);
        pair.speak(Policy {
            takes_refer: is_set,
            tells_replaces: is_set,
            ..Policy::default()
        });
        up(&mut pair, Transport::Udp);
        let ok = &texts(&pair, Right, "SIP/2.0 200")[0];
        let allow = header(ok, "Allow").unwrap();
        assert_eq!(
            (allow.contains("NOTIFY"), allow.contains("REFER")),
            (true, is_set)
        );
        let supported = header(ok, "Supported").unwrap_or_default();
        assert_eq!(supported == "replaces", is_set);
    }
}

#[test]
fn a_refer_that_its_owner_refuses_leaves_the_call_as_it_was() {
    let (mut pair, callee) = taking(4);
    pair.command(Left, refer(OUT));
    pair.run_for(ms(100));
    let status = 603;
    pair.command(
        Right,
        Command::RejectRefer {
            session: callee,
            status,
        },
    );
    pair.run_for(ms(100));
    assert_eq!(outcome(&pair.take_events(Left)), ReferOutcome::Refused(603));
    assert!(texts(&pair, Right, "NOTIFY ").is_empty());
    pair.command(Left, reinvite(OUT, "again"));
    pair.run_for(ms(100));
    assert_eq!(names(&pair.take_events(Right)), ["Referred", "Reinvite"]);
    pair.command(Left, bye(OUT));
    assert_comes_to_rest(&mut pair);
}

#[test]
fn refers_that_meet_are_both_told_491() {
    let policy = Policy {
        takes_refer: true,
        ..Policy::default()
    };
    let mut pair = pair(5);
    pair.speak(policy);
    let mut invite = Pair::invite(Left, 1, Transport::Udp);
    invite.policy = policy;
    pair.command(Left, Command::Invite(Box::new(invite)));
    pair.run_for(ms(100));
    let callee = pair.take_events(Right)[0].session();
    pair.command(Right, answer(callee));
    pair.run_for(ms(100));
    pair.take_events(Left);
    pair.take_events(Right);
    pair.command(Left, refer(OUT));
    pair.command(Right, refer(callee));
    pair.run_for(ms(100));
    assert_eq!(outcome(&pair.take_events(Right)), ReferOutcome::Refused(491));
    assert_eq!(outcome(&pair.take_events(Left)), ReferOutcome::Refused(491));
    pair.command(Left, refer(OUT));
    pair.command(Left, refer(OUT));
    assert_eq!(
        outcome(&pair.take_events(Left)),
        ReferOutcome::Refused(491),
        "one at a time"
    );
    pair.command(Left, bye(OUT));
    assert_comes_to_rest(&mut pair);
}

#[test]
fn a_notify_that_is_lost_is_sent_again_and_no_later_one_overtakes_it() {
    let (mut pair, callee) = taking(6);
    pair.lose(Right, "NOTIFY", "NOTIFY", 1);
    pair.command(Left, refer(OUT));
    pair.run_for(ms(100));
    pair.command(Right, Command::AcceptRefer { session: callee });
    for status in [180, 183, 486] {
        pair.command(Right, notify(callee, status));
    }
    pair.run_for(ms(1_000));
    let events = pair.take_events(Left);
    assert_eq!(
        names(&events),
        ["ReferProgress", "ReferDone"],
        "100, then the newest"
    );
    assert_eq!(outcome(&events[1..]), ReferOutcome::Notified(486));
    pair.command(Left, bye(OUT));
    assert_comes_to_rest(&mut pair);
}

#[test]
fn silence_after_the_202_ends_a_refer_and_not_the_call() {
    // No NOTIFY at all: timer N. None after the first: the wait of the command.
    for (lost, seconds) in [(usize::MAX, 32), (0, 60)] {
        let (mut pair, callee) = taking(7);
        pair.lose(Right, "NOTIFY", "NOTIFY", lost);
        pair.command(Left, refer(OUT));
        pair.run_for(ms(100));
        pair.command(Right, Command::AcceptRefer { session: callee });
        pair.run_for(Duration::from_secs(seconds) - ms(200));
        assert!(
            pair.take_events(Left)
                .iter()
                .all(|event| name(event) == "ReferProgress")
        );
        pair.run_for(ms(400));
        assert_eq!(outcome(&pair.take_events(Left)), ReferOutcome::Silent);
        // What comes later finds no subscription, and the call is still there.
        pair.command(Right, notify(callee, 200));
        pair.command(Left, reinvite(OUT, "again"));
        pair.run_for(ms(100));
        assert_eq!(names(&pair.take_events(Left)), [""; 0]);
        assert_eq!(names(&pair.take_events(Right)).last(), Some(&"Reinvite"));
        pair.command(Left, bye(OUT));
        assert_comes_to_rest(&mut pair);
    }
}

#[test]
fn a_subscription_that_nobody_ends_is_ended_after_its_life() {
    let (mut pair, callee) = taking(8);
    pair.command(Left, refer(OUT));
    pair.run_for(ms(100));
    pair.command(Right, Command::AcceptRefer { session: callee });
    pair.run_for(sip::dialog::refer::SUBSCRIPTION_LIFE + ms(100));
    let last = texts(&pair, Right, "NOTIFY ").pop().unwrap();
    assert_eq!(
        header(&last, "Subscription-State"),
        Some("terminated;reason=timeout")
    );
    pair.command(Left, bye(OUT));
    assert_comes_to_rest(&mut pair);
}

#[test]
fn whoever_hangs_up_after_the_202_is_still_told_how_it_came_out() {
    let (mut pair, callee) = taking(9);
    pair.command(Left, refer(OUT));
    pair.run_for(ms(100));
    pair.command(Right, Command::AcceptRefer { session: callee });
    pair.command(Left, bye(OUT));
    pair.run_for(ms(100));
    assert_eq!(names(&pair.take_events(Right)), ["Referred", "Bye"]);
    assert_eq!(names(&pair.take_events(Left)), ["ReferProgress", "ByeDone"]);
    pair.command(Right, notify(callee, 200));
    pair.run_for(ms(100));
    let events = pair.take_events(Left);
    assert_eq!(outcome(&events), ReferOutcome::Notified(200));
    let answer = texts(&pair, Left, "SIP/2.0 200").pop().unwrap();
    assert!(answer.contains(" NOTIFY\r\n"), "{answer}");
    assert_eq!((pair.left.sessions(), pair.right.sessions()), (0, 0));
    assert_comes_to_rest(&mut pair);
}

#[test]
fn a_bye_that_overtakes_the_decision_settles_the_refer() {
    for by_peer in [true, false] {
        let (mut pair, callee) = taking(10);
        pair.command(Left, refer(OUT));
        pair.run_for(ms(100));
        let (side, session) = if by_peer { (Left, OUT) } else { (Right, callee) };
        pair.command(side, bye(session));
        pair.run_for(ms(100));
        assert_eq!(texts(&pair, Right, "SIP/2.0 481").len(), 1);
        // Too late: nothing happens.
        pair.command(Right, Command::AcceptRefer { session: callee });
        pair.command(Right, notify(callee, 200));
        assert!(texts(&pair, Right, "SIP/2.0 202").is_empty());
        assert_comes_to_rest(&mut pair);
    }
}

#[test]
fn a_final_notify_that_a_bye_overtook_is_out_of_order_and_ends_in_silence() {
    let (mut pair, callee) = taking(11);
    pair.command(Left, refer(OUT));
    pair.run_for(ms(100));
    pair.command(Right, Command::AcceptRefer { session: callee });
    pair.run_for(ms(100));
    pair.lose(Right, "NOTIFY", "NOTIFY", 2);
    pair.command(Right, notify(callee, 200));
    pair.command(Right, bye(callee));
    pair.run_for(ms(200));
    assert_eq!(names(&pair.take_events(Left)), ["ReferProgress", "Bye"]);
    pair.run_for(Duration::from_secs(2));
    // RFC 3261 §12.2.2: its CSeq is below that of the BYE.
    assert_eq!(texts(&pair, Left, "SIP/2.0 500").len(), 1);
    pair.run_for(WAIT);
    assert_eq!(outcome(&pair.take_events(Left)), ReferOutcome::Silent);
    assert_comes_to_rest(&mut pair);
}

/// A call of the hand-written peer that is up: our session and our tag.
fn by_hand(seed: u64) -> (Pair, SessionKey, String) {
    let mut pair = pair(seed);
    pair.speak(Policy {
        takes_refer: true,
        ..Policy::default()
    });
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
    pair.take_events(Left);
    (pair, session, ours)
}

fn inside(method: &str, branch: &str, cseq: u32, ours: &str, head: &str, body: &str) -> String {
    let tags = [";tag=peer", &format!(";tag={ours}")];
    tagged(method, branch, cseq, tags, head, body)
}

#[test]
fn refer_sub_false_is_honoured_without_any_notify() {
    let (mut pair, session, ours) = by_hand(12);
    let head = "Refer-To: <sip:carol@198.51.100.7>\r\nRefer-Sub: false\r\n";
    assert!(give(&mut pair, &inside("REFER", "r", 2, &ours, head, "")).is_empty());
    let before = pair.sent.len();
    pair.command(Left, Command::AcceptRefer { session });
    pair.command(Left, notify(session, 200));
    let sent: Vec<_> = pair.sent[before..].iter().map(|sent| sent.text.clone()).collect();
    assert_eq!(lines(&sent), ["SIP/2.0 202 Accepted"]);
    assert_eq!(header(&sent[0], "Refer-Sub"), Some("false"));
    assert!(header(&sent[0], "Contact").is_some());
}

#[test]
fn broken_refers_are_told_400_and_their_subscriptions_481_or_489() {
    let (mut pair, _, ours) = by_hand(13);
    for (number, head) in [
        "",
        "Refer-To: <http://example.com>\r\n",
        "Refer-To: <sip:a@b;method=BYE>\r\n",
        "Refer-To: <sip:a@b?Replaces=x>\r\n",
        "Refer-To: <sip:a@b>\r\nRefer-To: <sip:c@d>\r\n",
        "Refer-To: <sip:a@b>\r\nReplaces: x;to-tag=1;from-tag=2\r\n",
    ]
    .iter()
    .enumerate()
    {
        let cseq = 2 + number as u32;
        let sent = give(
            &mut pair,
            &inside("REFER", &format!("r{number}"), cseq, &ours, head, ""),
        );
        assert!(
            sent[0].starts_with("SIP/2.0 400") || number == 5,
            "{head} {sent:?}"
        );
    }
    for (branch, cseq, event, status) in [
        ("s1", 20, "refer", "SIP/2.0 481 Call/Transaction Does Not Exist"),
        ("s2", 21, "presence", "SIP/2.0 489 Bad Event"),
    ] {
        let text = inside(
            "SUBSCRIBE",
            branch,
            cseq,
            &ours,
            &format!("Event: {event}\r\n"),
            "",
        );
        assert_eq!(lines(&give(&mut pair, &text)), [status]);
        let gone = text
            .replace("by-hand", "gone")
            .replace(branch, &format!("{branch}-gone"));
        assert_eq!(
            lines(&give(&mut pair, &gone)),
            [status],
            "of a call that has ended"
        );
    }
    let stray = "Event: refer\r\nSubscription-State: active\r\nContent-Type: message/sipfrag\r\n";
    let text = inside("NOTIFY", "n", 30, &ours, stray, "SIP/2.0 200 OK");
    let sent = give(&mut pair, &text);
    assert_eq!(lines(&sent), ["SIP/2.0 481 Call/Transaction Does Not Exist"]);
}

#[test]
fn refers_outside_of_dialogs_are_declined() {
    for (takes_refer, line) in [
        (true, "SIP/2.0 603 Decline"),
        (false, "SIP/2.0 405 Method Not Allowed"),
    ] {
        let mut pair = pair(14);
        pair.speak(Policy {
            takes_refer,
            ..Policy::default()
        });
        let head = "Refer-To: <sip:carol@198.51.100.7>\r\n";
        let sent = give(&mut pair, &super::wire::request("REFER", "r", 1, head, ""));
        assert_eq!(lines(&sent), [line]);
    }
}

/// An INVITE of another call that wants to take the place of one.
fn replacing(branch: &str, replaces: &str) -> String {
    let text = invite(branch, &format!("Require: replaces\r\nReplaces: {replaces}\r\n"));
    text.replace("Call-ID: by-hand", &format!("Call-ID: other-{branch}"))
}

#[test]
fn an_invite_with_replaces_names_a_dialog_that_is_up() {
    let (mut pair, session, ours) = by_hand(15);
    let names = format!("by-hand;to-tag={ours};from-tag=peer");
    for (branch, replaces, refusal) in [
        ("r1", names.clone(), None),
        ("r2", format!("{names};early-only"), Some(486)),
    ] {
        give(&mut pair, &replacing(branch, &replaces));
        let events = pair.take_events(Left);
        let [Event::Incoming(incoming)] = events.as_slice() else {
            panic!("{events:?}")
        };
        let replaced = incoming.replaced.unwrap();
        assert_eq!((replaced.session, replaced.refusal), (session, refusal));
    }
    for (branch, replaces, line) in [
        ("r3", "elsewhere;to-tag=1;from-tag=2", "SIP/2.0 481"),
        ("r4", "by-hand;to-tag=peer;from-tag=other", "SIP/2.0 481"),
        ("r5", "by-hand;to-tag=1", "SIP/2.0 400"),
    ] {
        let sent = give(&mut pair, &replacing(branch, replaces));
        assert!(sent.last().unwrap().starts_with(line), "{replaces}: {sent:?}");
    }
    pair.command(Left, bye(session));
    give(&mut pair, &replacing("r6", &names));
    let events = pair.take_events(Left);
    let [Event::Incoming(incoming)] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!(incoming.replaced.unwrap().refusal, Some(603), "it has ended");
}

#[test]
fn an_early_dialog_is_replaced_only_where_we_called() {
    let mut pair = pair(16);
    pair.link.loss_percent = 100;
    let sent = give(&mut pair, &invite("1", ""));
    assert_eq!(lines(&sent), ["SIP/2.0 100 Trying"]);
    let events = pair.take_events(Left);
    let session = events[0].session();
    let status = 180;
    pair.command(
        Left,
        Command::Progress {
            session,
            status,
            sdp: None,
            headers: vec![],
        },
    );
    let ours = to_tag(&pair.sent.last().unwrap().text).to_owned();
    give(
        &mut pair,
        &replacing("r1", &format!("by-hand;to-tag={ours};from-tag=peer")),
    );
    let events = pair.take_events(Left);
    let [Event::Incoming(incoming)] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!(incoming.replaced.unwrap().refusal, Some(481));
}

#[test]
fn an_attended_refer_names_the_other_dialog_as_its_far_end_knows_it() {
    let (mut pair, _) = taking(17);
    let mut second = Pair::invite(Left, 2, Transport::Udp);
    second.request_uri = "sip:carol@192.0.2.2:5060".into();
    pair.command(Left, Command::Invite(Box::new(second)));
    pair.run_for(ms(100));
    let other = pair.take_events(Right)[0].session();
    let to = ReferTarget::Session(SessionKey::Out(2));
    let attended = |to| Command::Refer {
        session: OUT,
        to,
        referred_by: None,
        wait: WAIT,
    };
    pair.command(Left, attended(to.clone()));
    assert_eq!(
        outcome(&pair.take_events(Left)),
        ReferOutcome::Refused(481),
        "the other one is not up yet"
    );
    pair.command(Right, answer(other));
    pair.run_for(ms(100));
    pair.take_events(Left);
    pair.take_events(Right);
    pair.command(Left, attended(to));
    pair.run_for(ms(100));
    let events = pair.take_events(Right);
    let [Event::Referred { referral, .. }] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!(referral.replaced, Some(other), "{referral:?}");
}
