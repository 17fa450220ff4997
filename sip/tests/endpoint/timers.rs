//! Session timers (RFC 4028): who refreshes, when and how, and what happens to those who do not.

use std::time::Duration;

use sip::endpoint::pair::{Link, Pair, Side, Side::Left, Side::Right};
use sip::endpoint::{
    Command, Credentials, Event, OutgoingInvite, Policy, RefreshMethod, RefresherWish, SessionKey, Support,
    TimerPolicy, Transport,
};

use super::wire::{give, header, invite, lines, respond, tagged, to_tag};
use crate::*;

#[test]
fn our_invite_asks_for_the_interval_of_the_policy() {
    for (support, wish, expires, required) in [
        (Support::Off, RefresherWish::Auto, None, None),
        (Support::Supported, RefresherWish::Auto, Some("1800"), None),
        (
            Support::Supported,
            RefresherWish::Us,
            Some("1800;refresher=uac"),
            None,
        ),
        (
            Support::Required,
            RefresherWish::Peer,
            Some("1800;refresher=uas"),
            Some("timer"),
        ),
    ] {
        let mut policy = policy(1800, 90);
        (policy.timer.support, policy.timer.refresher) = (support, wish);
        let (_, invite) = calling(1, policy);
        assert_eq!(header(&invite, "Session-Expires"), expires);
        assert_eq!(header(&invite, "Min-SE"), expires.map(|_| "90"));
        assert_eq!(header(&invite, "Supported"), expires.map(|_| "timer"));
        assert_eq!(header(&invite, "Require"), required);
    }
}

#[test]
fn a_422_is_answered_once_with_its_min_se() {
    let (mut pair, invite) = calling(2, policy(1800, 90));
    let sent = give(&mut pair, &too_small(&invite, 3600));
    assert_eq!(lines(&sent)[0].split(' ').next(), Some("ACK"));
    let again = &sent[1];
    assert_eq!(header(again, "Session-Expires"), Some("3600"));
    assert_eq!(header(again, "Min-SE"), Some("3600"));
    assert_eq!(header(again, "CSeq"), Some("2 INVITE"));
    for same in ["Call-ID", "From", "To"] {
        assert_eq!(header(again, same), header(&invite, same));
    }
    assert_ne!(header(again, "Via"), header(&invite, "Via"));
    assert_eq!(give(&mut pair, &too_small(again, 7200)).len(), 1);
    let events = pair.take_events(Left);
    assert!(
        matches!(events.as_slice(), [Event::Refused { response, .. }] if response.status.code() == 422),
        "{events:?}"
    );
}

#[test]
fn a_422_that_asks_for_nothing_or_for_more_than_a_day_is_a_refusal() {
    for min_se in [90, 1800, 86_401, u32::MAX] {
        let (mut pair, invite) = calling(3, policy(1800, 90));
        assert_eq!(give(&mut pair, &too_small(&invite, min_se)).len(), 1, "{min_se}");
        assert_eq!(names(&pair.take_events(Left)), ["Refused"]);
    }
}

#[test]
fn we_refresh_at_half_time_by_update_where_the_peer_allows_it() {
    let mut pair = answered(
        4,
        policy(1800, 90),
        "Session-Expires: 1000;refresher=uac\r\nAllow: UPDATE\r\n",
    );
    let first = next_request(&mut pair, Duration::from_secs(499));
    assert_eq!(first, None);
    let update = next_request(&mut pair, Duration::from_secs(2)).unwrap();
    assert!(
        update.starts_with("UPDATE sip:a@192.0.2.2:5060") && update.ends_with("\r\n\r\n"),
        "{update}"
    );
    assert_eq!(header(&update, "Session-Expires"), Some("1000;refresher=uac"));
    assert_eq!(header(&update, "Supported"), Some("timer"));
    assert!(header(&update, "Contact").is_some());
    give(
        &mut pair,
        &with(
            &respond(&update, "200 OK", "", ""),
            "Session-Expires: 1000;refresher=uac\r\n",
        ),
    );
    assert_eq!(next_request(&mut pair, Duration::from_secs(498)), None);
    assert!(
        next_request(&mut pair, Duration::from_secs(3))
            .unwrap()
            .starts_with("UPDATE")
    );
    assert_eq!(pair.take_events(Left).len(), 0);
}

#[test]
fn else_by_a_reinvite_that_changes_nothing() {
    for (method, allow) in [
        (RefreshMethod::Auto, "Allow: INVITE, BYE\r\n"),
        (RefreshMethod::Auto, ""),
        (RefreshMethod::Reinvite, "Allow: INVITE, BYE, UPDATE\r\n"),
    ] {
        let mut wanted = policy(1800, 90);
        wanted.timer.method = method;
        let mut pair = answered(
            5,
            wanted,
            &format!("Session-Expires: 90;refresher=uac\r\n{allow}"),
        );
        let reinvite = next_request(&mut pair, Duration::from_secs(46)).unwrap();
        // The body of our INVITE, to the letter: the same version in `o=`.
        assert!(
            reinvite.starts_with("INVITE ") && reinvite.ends_with("\r\n\r\noffer"),
            "{reinvite}"
        );
        assert_eq!(header(&reinvite, "Session-Expires"), Some("90;refresher=uac"));
        give(&mut pair, &respond(&reinvite, "200 OK", "", "answer"));
        assert_eq!(names(&pair.take_events(Left)), ["Refreshed"]);
    }
}

#[test]
fn what_the_peer_knows_of_us_is_offered_again() {
    let mut pair = answered(6, policy(1800, 90), "Session-Expires: 90;refresher=uac\r\n");
    pair.command(Left, reinvite(OUT, "held"));
    let hold = pair.sent.last().unwrap().text.clone();
    assert_eq!(header(&hold, "Session-Expires"), Some("90;refresher=uac"));
    give(
        &mut pair,
        &with(
            &respond(&hold, "200 OK", "", "answer"),
            "Session-Expires: 90;refresher=uac\r\n",
        ),
    );
    let refresh = next_request(&mut pair, Duration::from_secs(46)).unwrap();
    assert!(refresh.ends_with("\r\n\r\nheld"), "{refresh}");
}

#[test]
fn a_peer_that_stops_refreshing_is_told_of_in_time() {
    // SE − min(32 s, SE/3), RFC 4028 §10.
    for (interval_s, end_s) in [(1800, 1768), (90, 60), (96, 64), (99, 67)] {
        let head = format!("Session-Expires: {interval_s};refresher=uas\r\n");
        let mut pair = answered(7, policy(1800, 90), &head);
        assert_eq!(next_request(&mut pair, Duration::from_secs(end_s - 1)), None);
        assert_eq!(pair.take_events(Left).len(), 0);
        pair.run_for(Duration::from_secs(2));
        assert_eq!(names(&pair.take_events(Left)), ["Expired"], "{interval_s}");
        // The owner ends it; nothing else does.
        assert_eq!(pair.left.sessions(), 1);
        pair.command(Left, bye(OUT));
        assert!(pair.sent_by(Left).last().unwrap().starts_with("BYE"));
        pair.run_for(Duration::from_secs(70));
        assert_eq!(names(&pair.take_events(Left)), ["ByeDone"]);
        assert_eq!((pair.left.sessions(), pair.left.next_deadline()), (0, None));
    }
}

#[test]
fn a_refresh_of_the_peer_starts_its_time_anew() {
    let (mut pair, _, ours) = called(
        8,
        policy(1800, 90),
        "Supported: timer\r\nSession-Expires: 90;refresher=uac\r\n",
    );
    let head = "Supported: timer\r\nSession-Expires: 90;refresher=uac\r\n";
    for (branch, cseq) in [("u1", 2), ("u2", 3), ("u3", 4)] {
        pair.run_for(Duration::from_secs(45));
        let sent = give(&mut pair, &inside("UPDATE", branch, cseq, &ours, head, ""));
        assert_eq!(lines(&sent), ["SIP/2.0 200 OK"]);
        assert_eq!(header(&sent[0], "Session-Expires"), Some("90;refresher=uac"));
        assert_eq!(header(&sent[0], "Require"), Some("timer"));
    }
    pair.run_for(Duration::from_secs(59));
    assert_eq!(pair.take_events(Left).len(), 0);
    pair.run_for(Duration::from_secs(2));
    assert_eq!(names(&pair.take_events(Left)), ["Expired"]);
}

#[test]
fn our_answer_follows_table_2_of_rfc_4028() {
    let asked = |head: &'static str| format!("Supported: timer\r\n{head}");
    for (wish, head, expires, required) in [
        (
            RefresherWish::Auto,
            asked("Session-Expires: 600\r\n"),
            Some("600;refresher=uac"),
            true,
        ),
        (
            RefresherWish::Us,
            asked("Session-Expires: 600\r\n"),
            Some("600;refresher=uas"),
            false,
        ),
        (
            RefresherWish::Us,
            asked("Session-Expires: 600;refresher=uac\r\n"),
            Some("600;refresher=uac"),
            true,
        ),
        (
            RefresherWish::Peer,
            asked("Session-Expires: 600;refresher=uas\r\n"),
            Some("600;refresher=uas"),
            false,
        ),
        (
            RefresherWish::Auto,
            asked("x: 4000;refresher=uas\r\n"),
            Some("1800;refresher=uas"),
            false,
        ),
        (
            RefresherWish::Auto,
            asked("Session-Expires: 4000\r\nMin-SE: 2000\r\n"),
            Some("2000;refresher=uac"),
            true,
        ),
        (RefresherWish::Auto, asked(""), Some("1800;refresher=uas"), false),
        (RefresherWish::Peer, asked(""), Some("1800;refresher=uac"), true),
        (
            RefresherWish::Auto,
            String::new(),
            Some("1800;refresher=uas"),
            false,
        ),
        (
            RefresherWish::Auto,
            "Session-Expires: 3\r\n".to_owned(),
            Some("90;refresher=uas"),
            false,
        ),
        (RefresherWish::Peer, String::new(), None, false),
    ] {
        let mut wanted = policy(1800, 90);
        wanted.timer.refresher = wish;
        let (_, ok, _) = called(9, wanted, &head);
        assert_eq!(header(&ok, "Session-Expires"), expires, "{wish:?} {head}");
        assert_eq!(
            header(&ok, "Require"),
            Some("timer").filter(|_| required),
            "{wish:?} {head}"
        );
    }
}

#[test]
fn an_interval_below_ours_gets_422_and_a_missing_extension_what_the_policy_says() {
    let mut required = policy(1800, 90);
    required.timer.support = Support::Required;
    for (policy, head, status, explains) in [
        (
            policy(1800, 90),
            "Supported: timer\r\nSession-Expires: 89\r\n",
            "422 Session Interval Too Small",
            ("Min-SE", "90"),
        ),
        (required, "", "421 Extension Required", ("Require", "timer")),
        (
            Policy::default(),
            "Require: timer\r\n",
            "420 Bad Extension",
            ("Unsupported", "timer"),
        ),
    ] {
        let mut pair = pair(10);
        pair.speak(policy);
        let sent = give(&mut pair, &invite("1", head));
        assert_eq!(lines(&sent[1..]), [format!("SIP/2.0 {status}")]);
        assert_eq!(header(&sent[1], explains.0), Some(explains.1));
    }
    // Inside the dialog too.
    let (mut pair, _, ours) = called(
        10,
        self::policy(1800, 90),
        "Supported: timer\r\nSession-Expires: 90\r\n",
    );
    let head = "Supported: timer\r\nSession-Expires: 20\r\n";
    let sent = give(&mut pair, &inside("UPDATE", "u", 2, &ours, head, ""));
    assert_eq!(lines(&sent), ["SIP/2.0 422 Session Interval Too Small"]);
}

#[test]
fn a_refresh_that_finds_no_session_ends_it() {
    for status in ["481 Call/Transaction Does Not Exist", "408 Request Timeout"] {
        for allow in ["Allow: UPDATE\r\n", ""] {
            let head = format!("Session-Expires: 90;refresher=uac\r\n{allow}");
            let mut pair = answered(11, policy(1800, 90), &head);
            let refresh = next_request(&mut pair, Duration::from_secs(46)).unwrap();
            give(&mut pair, &respond(&refresh, status, "", ""));
            assert_eq!(names(&pair.take_events(Left)), ["Expired"], "{status}");
            assert_eq!(pair.left.sessions(), 1);
        }
    }
}

#[test]
fn a_refresh_refused_for_now_is_tried_again_until_the_time_is_over() {
    for (status, within_s) in [
        ("491 Request Pending\r\nX: y", 5),
        ("500 Server Internal Error\r\nRetry-After: 7", 8),
        ("500 Server Internal Error\r\nX: y", 3),
        ("503 Service Unavailable\r\nX: y", 3),
    ] {
        let head = "Session-Expires: 90;refresher=uac\r\nAllow: UPDATE\r\n";
        let mut pair = answered(12, policy(1800, 90), head);
        let refresh = next_request(&mut pair, Duration::from_secs(46)).unwrap();
        give(&mut pair, &respond(&refresh, status, "", ""));
        let again = next_request(&mut pair, Duration::from_secs(within_s)).unwrap();
        assert!(again.starts_with("UPDATE"), "{status}");
        pair.run_for(Duration::from_secs(20));
        assert_eq!(names(&pair.take_events(Left)), ["Expired"], "{status}");
    }
}

#[test]
fn a_peer_that_knows_no_update_after_all_gets_a_reinvite() {
    let head = "Session-Expires: 90;refresher=uac\r\nAllow: UPDATE\r\n";
    let mut pair = answered(13, policy(1800, 90), head);
    let refresh = next_request(&mut pair, Duration::from_secs(46)).unwrap();
    give(&mut pair, &respond(&refresh, "405 Method Not Allowed", "", ""));
    let again = next_request(&mut pair, ms(10)).unwrap();
    assert!(
        again.starts_with("INVITE") && again.ends_with("\r\n\r\noffer"),
        "{again}"
    );
}

#[test]
fn a_422_to_a_refresh_makes_the_next_one_longer() {
    for allow in ["Allow: UPDATE\r\n", ""] {
        let head = format!("Session-Expires: 90;refresher=uac\r\n{allow}");
        let mut pair = answered(14, policy(90, 90), &head);
        let refresh = next_request(&mut pair, Duration::from_secs(46)).unwrap();
        give(&mut pair, &too_small(&refresh, 120));
        pair.run_for(ms(10));
        let again = pair.sent.last().unwrap().text.clone();
        assert_eq!(header(&again, "Session-Expires"), Some("120;refresher=uac"));
        assert_eq!(header(&again, "Min-SE"), Some("120"));
    }
}

#[test]
fn a_peer_without_the_extension_is_asked_whether_it_lives() {
    let mut pair = answered(15, policy(200, 90), "Allow: UPDATE\r\n");
    for _ in 0..3 {
        let refresh = next_request(&mut pair, Duration::from_secs(101)).unwrap();
        // Any answer but 408 and 481 shows that it does.
        give(&mut pair, &respond(&refresh, "501 Not Implemented", "", ""));
    }
    assert_eq!(pair.take_events(Left).len(), 0);
    pair.run_for(Duration::from_secs(140));
    assert_eq!(names(&pair.take_events(Left)), ["Expired"]);

    let mut wanting = policy(200, 90);
    wanting.timer.refresher = RefresherWish::Peer;
    let mut pair = answered(16, wanting, "");
    assert_eq!(next_request(&mut pair, Duration::from_secs(7200)), None);
    assert_eq!(pair.take_events(Left).len(), 0);
}

#[test]
fn a_challenged_refresh_goes_out_again() {
    let mut invite = Pair::invite(Left, 1, Transport::Udp);
    invite.policy = policy(1800, 90);
    invite.credentials = Some(Credentials {
        username: "user".to_owned(),
        password: "secret".to_owned(),
        realm: None,
    });
    let mut pair = answered_by_hand(
        17,
        invite,
        "Session-Expires: 90;refresher=uac\r\nAllow: UPDATE\r\n",
    );
    let refresh = next_request(&mut pair, Duration::from_secs(46)).unwrap();
    let challenge = with(
        &respond(&refresh, "401 Unauthorized", "", ""),
        "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n",
    );
    let again = give(&mut pair, &challenge);
    assert_eq!(header(&again[0], "CSeq"), Some("3 UPDATE"));
    assert!(header(&again[0], "Authorization").is_some());
    assert_eq!(header(&again[0], "Session-Expires"), Some("90;refresher=uac"));
}

#[test]
fn two_of_us_keep_a_call_up_for_hours_and_notice_a_dead_network_in_time() {
    for wish in [RefresherWish::Auto, RefresherWish::Us, RefresherWish::Peer] {
        for method in [RefreshMethod::Update, RefreshMethod::Reinvite] {
            let mut wanted = policy(300, 90);
            (wanted.timer.refresher, wanted.timer.method) = (wish, method);
            let mut pair = pair(18);
            pair.speak(wanted);
            pair.link = Link {
                loss_percent: 5,
                ..Link::CLEAN
            };
            let sessions = up_speaking(&mut pair, wanted);
            let end = pair.now + Duration::from_secs(4 * 3600);
            let mut refreshes = 0;
            while pair.step(end) {
                for side in [Left, Right] {
                    for event in pair.take_events(side) {
                        refreshes += usize::from(matches!(event, Event::Refreshed { .. }));
                        answer_changes(&mut pair, side, &event);
                    }
                }
            }
            let updates = pair
                .sent
                .iter()
                .filter(|sent| sent.text.starts_with("UPDATE"))
                .count();
            assert!(
                refreshes + updates >= 4 * 3600 / 150 - 2,
                "{wish:?} {method:?}: {refreshes} {updates}"
            );
            assert_eq!((pair.left.sessions(), pair.right.sessions()), (1, 1));

            pair.link.loss_percent = 100;
            let cut = pair.now;
            let mut expired = vec![];
            while expired.len() < 2 && pair.step(cut + Duration::from_secs(300)) {
                for (side, session) in sessions {
                    for event in pair.take_events(side) {
                        if let Event::Expired { .. } = event {
                            expired.push(pair.now - cut);
                            pair.command(side, bye(session));
                        }
                    }
                }
            }
            assert_eq!(expired.len(), 2, "{wish:?} {method:?}");
            assert!(expired.iter().all(|after| *after <= Duration::from_secs(268)));
            assert_comes_to_rest(&mut pair);
        }
    }
}

fn answer_changes(pair: &mut Pair, side: Side, event: &Event) {
    match event {
        Event::Reinvite { session, .. } => pair.command(side, accept(*session)),
        Event::Acknowledged { .. } | Event::Refreshed { .. } => {}
        other => panic!("{side:?} {other:?}"),
    }
}

/// A call from left to right over a network that may lose: both sessions.
fn up_speaking(pair: &mut Pair, policy: Policy) -> [(Side, SessionKey); 2] {
    let mut invite = Pair::invite(Left, 1, Transport::Udp);
    invite.policy = policy;
    pair.command(Left, Command::Invite(Box::new(invite)));
    let mut theirs = None;
    let end = pair.now + Duration::from_secs(20);
    while pair.step(end) {
        for event in pair.take_events(Right) {
            if let Event::Incoming(incoming) = event {
                theirs = Some(incoming.session);
                pair.command(Right, answer(incoming.session));
            }
        }
    }
    assert_eq!(names(&pair.take_events(Left)), ["Answered"]);
    [(Left, OUT), (Right, theirs.unwrap())]
}

fn policy(interval_s: u32, min_s: u32) -> Policy {
    Policy {
        timer: TimerPolicy {
            support: Support::Supported,
            interval_s,
            min_s,
            ..TimerPolicy::default()
        },
        ..Policy::default()
    }
}

/// Our INVITE is out.
fn calling(seed: u64, policy: Policy) -> (Pair, String) {
    let mut invite = Pair::invite(Left, 1, Transport::Udp);
    invite.policy = policy;
    started(seed, invite)
}

fn started(seed: u64, invite: OutgoingInvite) -> (Pair, String) {
    let mut pair = pair(seed);
    pair.link.loss_percent = 100;
    pair.command(Left, Command::Invite(Box::new(invite)));
    let invite = pair.sent[0].text.clone();
    (pair, invite)
}

/// Our INVITE was answered with these headers.
fn answered(seed: u64, policy: Policy, head: &str) -> Pair {
    let mut invite = Pair::invite(Left, 1, Transport::Udp);
    invite.policy = policy;
    answered_by_hand(seed, invite, head)
}

fn answered_by_hand(seed: u64, invite: OutgoingInvite, head: &str) -> Pair {
    let (mut pair, invite) = started(seed, invite);
    give(&mut pair, &with(&respond(&invite, "200 OK", "a", "answer"), head));
    assert_eq!(names(&pair.take_events(Left)), ["Answered"]);
    pair
}

/// The peer's INVITE with these headers was answered: our 200 and our tag.
fn called(seed: u64, policy: Policy, head: &str) -> (Pair, String, String) {
    let mut pair = pair(seed);
    pair.speak(policy);
    pair.link.loss_percent = 100;
    give(&mut pair, &invite("1", head));
    let events = pair.take_events(Left);
    let [Event::Incoming(incoming)] = events.as_slice() else {
        panic!("{events:?}")
    };
    pair.command(Left, answer(incoming.session));
    let ok = pair.sent.last().unwrap().text.clone();
    let ours = to_tag(&ok).to_owned();
    give(&mut pair, &inside("ACK", "ack", 1, &ours, "", ""));
    assert_eq!(names(&pair.take_events(Left)), ["Acknowledged"]);
    (pair, ok, ours)
}

/// The first request of ours within this time; its repeats are not waited for.
fn next_request(pair: &mut Pair, within: Duration) -> Option<String> {
    let (before, end) = (pair.sent.len(), pair.now + within);
    while pair.sent.len() == before && pair.step(end) {}
    pair.sent.get(before).map(|sent| sent.text.clone())
}

fn with(response: &str, head: &str) -> String {
    response.replacen("Contact:", &format!("{head}Contact:"), 1)
}

fn too_small(request: &str, min_se: u32) -> String {
    with(
        &respond(request, "422 Session Interval Too Small", "a", ""),
        &format!("Min-SE: {min_se}\r\n"),
    )
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
