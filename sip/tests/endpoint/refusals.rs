//! What is refused, and what is not even heard.

use std::net::SocketAddr;
use std::time::Duration;

use sip::endpoint::pair::{Pair, Side::Left};
use sip::endpoint::{Command, Event};

use super::wire::{PEER, give, header, invite, lines, request, tagged, to_tag};
use crate::*;

#[test]
fn an_unlisted_source_hears_nothing_whatever_it_sends() {
    let mut pair = pair(1);
    let stranger: SocketAddr = "192.0.2.66:5060".parse().unwrap();
    for text in [
        invite("1", ""),
        request("OPTIONS", "2", 1, "", ""),
        request("REGISTER", "3", 1, "", ""),
        request("NONSENSE", "4", 1, "", ""),
        "SIP/2.0 200 OK\r\n\r\n".to_owned(),
        "broken".to_owned(),
        "\r\n\r\n".to_owned(),
    ] {
        pair.inject(Left, stranger, &text);
    }
    assert_eq!(pair.sent.len(), 0);
    assert_eq!(pair.take_dropped(), ["unlisted_source"; 7]);
    assert_eq!((pair.left.sessions(), pair.left.transactions()), (0, 0));
}

#[test]
fn refusals_outside_a_dialog() {
    let mark = our_hop_mark();
    let cases = [
        (
            request("REGISTER", "1", 1, "", ""),
            "405 Method Not Allowed",
            "Allow",
        ),
        (
            request("MESSAGE", "2", 1, "", ""),
            "405 Method Not Allowed",
            "Allow",
        ),
        (
            request("NEWMETHOD", "3", 1, "", ""),
            "405 Method Not Allowed",
            "Allow",
        ),
        (
            request("BYE", "4", 1, "", ""),
            "481 Call/Transaction Does Not Exist",
            "",
        ),
        (
            request("INFO", "5", 1, "", ""),
            "481 Call/Transaction Does Not Exist",
            "",
        ),
        (
            request("CANCEL", "6", 1, "", ""),
            "481 Call/Transaction Does Not Exist",
            "",
        ),
        (
            invite("7", "Require: 100rel, gruu\r\n"),
            "420 Bad Extension",
            "Unsupported",
        ),
        (
            invite("8", "").replace("application/sdp", "text/plain"),
            "415 Unsupported Media Type",
            "Accept",
        ),
        (
            invite("9", "Content-Encoding: gzip\r\n"),
            "415 Unsupported Media Type",
            "Accept-Encoding",
        ),
        (invite("16", "Accept: text/plain\r\n"), "406 Not Acceptable", ""),
        (invite("17", "Accept:\r\n"), "406 Not Acceptable", ""),
        (invite("10", "Max-Forwards: 0\r\n"), "483 Too Many Hops", ""),
        (
            invite(
                "11",
                &format!("X-Hop: {mark}\r\nX-Hop: other\r\nX-Hop: {mark}\r\n"),
            ),
            "482 Loop Detected",
            "",
        ),
        (
            invite("12", "").replace("INVITE sip:gw@192.0.2.1", "INVITE urn:uuid:1"),
            "416 Unsupported URI Scheme",
            "",
        ),
        (
            invite("13", "").replace(";rport", ";rport\r\nTo: <sip:two@x.com>"),
            "400 Bad Request (To occurs more than once)",
            "",
        ),
        (
            invite("14", "").replace("Contact: <sip:peer@192.0.2.2:5060>\r\n", ""),
            "400 Bad Request",
            "Warning",
        ),
        (
            invite("15", "Contact: <sip:two@192.0.2.2>\r\n"),
            "400 Bad Request",
            "Warning",
        ),
    ];
    for (text, status, explains) in cases {
        let mut pair = pair(2);
        let sent = give(&mut pair, &text);
        let last = sent.last().unwrap_or_else(|| panic!("no answer to {text}"));
        assert_eq!(
            last.lines().next().unwrap(),
            format!("SIP/2.0 {status}"),
            "{text}"
        );
        assert!(explains.is_empty() || header(last, explains).is_some(), "{last}");
        assert!(
            last.contains(";received=192.0.2.2") && last.contains(";rport=5060"),
            "{last}"
        );
        assert!(header(last, "To").unwrap().contains(";tag="), "{last}");
        assert_eq!((pair.take_events(Left).len(), pair.left.sessions()), (0, 0));
        pair.run_for(Duration::from_secs(33));
        assert_eq!(pair.left.transactions(), 0);
    }
}

#[test]
fn an_accept_that_has_sdp_or_a_range_over_it_or_cannot_be_read_is_fine() {
    for accept in [
        "Accept: text/plain, application/SDP;level=1\r\n",
        "Accept: text/plain\r\nAccept: application/*;q=0.5\r\n",
        "Accept: */*\r\n",
        "Accept: anything\r\n",
    ] {
        let mut pair = pair(6);
        assert_eq!(
            lines(&give(&mut pair, &invite("1", accept))),
            ["SIP/2.0 100 Trying"],
            "{accept}"
        );
    }
}

#[test]
fn unsupported_names_every_extension() {
    let sent = give(
        &mut pair(3),
        &invite("1", "Require: 100rel, gruu\r\nRequire: timer\r\n"),
    );
    assert_eq!(header(&sent[1], "Unsupported"), Some("100rel, gruu, timer"));
}

#[test]
fn options_tells_what_we_take_until_we_drain() {
    let mut pair = pair(4);
    let sent = give(&mut pair, &request("OPTIONS", "1", 1, "Max-Forwards: 0\r\n", ""));
    assert_eq!(lines(&sent), ["SIP/2.0 200 OK"]);
    assert_eq!(
        header(&sent[0], "Allow"),
        Some("INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, PRACK, UPDATE, NOTIFY")
    );
    assert_eq!(header(&sent[0], "Accept"), Some("application/sdp"));
    assert!(header(&sent[0], "Supported").is_some());
    pair.command(Left, Command::SetAccepting { accepting: false });
    let sent = give(&mut pair, &request("OPTIONS", "2", 2, "", ""));
    assert_eq!(lines(&sent), ["SIP/2.0 503 Service Unavailable"]);
    assert_eq!(header(&sent[0], "Retry-After"), Some("5"));
}

#[test]
fn a_merged_invite_is_told_482_and_its_repeat_the_same() {
    let mut pair = pair(5);
    assert_eq!(
        lines(&give(&mut pair, &invite("one", ""))),
        ["SIP/2.0 100 Trying"]
    );
    let second = give(&mut pair, &invite("two", ""));
    assert_eq!(
        lines(&second),
        ["SIP/2.0 100 Trying", "SIP/2.0 482 Loop Detected"]
    );
    assert_eq!(give(&mut pair, &invite("two", "")), second[1..]);
    assert_eq!(names(&pair.take_events(Left)), ["Incoming"]);
}

#[test]
fn repeats_are_absorbed_in_every_state() {
    let mut pair = pair(6);
    let text = invite("same", "");
    let trying = give(&mut pair, &text);
    assert_eq!(give(&mut pair, &text), trying);
    let [Event::Incoming(incoming)] = &pair.take_events(Left)[..] else {
        panic!()
    };
    let session = incoming.session;
    pair.command(
        Left,
        Command::Progress {
            session,
            status: 180,
            sdp: None,
            headers: vec![],
        },
    );
    assert_eq!(lines(&give(&mut pair, &text)), ["SIP/2.0 180 Ringing"]);
    pair.command(Left, answer(session));
    let ok = pair.sent.last().unwrap().text.clone();
    assert_eq!(give(&mut pair, &text).len(), 0);
    let ack = tagged(
        "ACK",
        "ack",
        1,
        [";tag=peer", &format!(";tag={}", to_tag(&ok))],
        "",
        "",
    );
    give(&mut pair, &ack);
    assert_eq!(give(&mut pair, &text).len(), 0);
    assert_eq!(names(&pair.take_events(Left)), ["Acknowledged"]);
}

#[test]
fn an_element_of_rfc_2543_gets_its_repeats_absorbed_too() {
    let mut pair = pair(7);
    let text = invite("x", "").replace(";branch=z9hG4bKx", "");
    let trying = give(&mut pair, &text);
    assert_eq!(lines(&trying), ["SIP/2.0 100 Trying"]);
    assert_eq!(give(&mut pair, &text), trying);
    let cancel = request("CANCEL", "x", 1, "", "").replace(";branch=z9hG4bKx", "");
    let sent = give(&mut pair, &cancel);
    assert_eq!(lines(&sent), ["SIP/2.0 200 OK", "SIP/2.0 487 Request Terminated"]);
    assert_eq!(names(&pair.take_events(Left)), ["Incoming", "PeerCancelled"]);
}

#[test]
fn order_inside_a_dialog_is_kept() {
    let (mut pair, tag) = inbound(8);
    let inside = |method: &str, branch: &str, cseq| tagged(method, branch, cseq, [";tag=peer", &tag], "", "");
    assert_eq!(
        lines(&give(&mut pair, &inside("INFO", "a", 5))),
        ["SIP/2.0 200 OK"]
    );
    // Lower and equal numbers in new transactions are out of order (RFC 3261 §12.2.2); gaps are not.
    assert_eq!(
        lines(&give(&mut pair, &inside("INFO", "b", 4))),
        ["SIP/2.0 500 Server Internal Error"]
    );
    assert_eq!(
        lines(&give(&mut pair, &inside("INFO", "c", 5))),
        ["SIP/2.0 500 Server Internal Error"]
    );
    assert_eq!(
        lines(&give(&mut pair, &inside("OPTIONS", "d", 9))),
        ["SIP/2.0 200 OK"]
    );
    assert_eq!(
        lines(&give(&mut pair, &inside("MESSAGE", "e", 10))),
        ["SIP/2.0 405 Method Not Allowed"]
    );
    assert_eq!(
        lines(&give(&mut pair, &inside("NOTIFY", "f", 11))),
        ["SIP/2.0 481 Call/Transaction Does Not Exist"]
    );
    // An INFO without a body says nothing.
    assert_eq!(names(&pair.take_events(Left)), [""; 0]);
    let other = tagged("BYE", "g", 12, [";tag=other", &tag], "", "");
    assert_eq!(
        lines(&give(&mut pair, &other)),
        ["SIP/2.0 481 Call/Transaction Does Not Exist"]
    );
    assert_eq!(pair.left.sessions(), 1);
}

#[test]
fn a_second_invite_before_the_first_is_answered_gets_500_with_a_wait() {
    let (mut pair, tag) = inbound(9);
    let offer = "Content-Type: application/sdp\r\n";
    let first = tagged("INVITE", "r1", 2, [";tag=peer", &tag], offer, "offer");
    assert_eq!(lines(&give(&mut pair, &first)), ["SIP/2.0 100 Trying"]);
    let second = tagged("INVITE", "r2", 3, [";tag=peer", &tag], offer, "offer");
    let sent = give(&mut pair, &second);
    assert_eq!(
        lines(&sent),
        ["SIP/2.0 100 Trying", "SIP/2.0 500 Server Internal Error"]
    );
    let wait: u32 = header(&sent[1], "Retry-After").unwrap().parse().unwrap();
    assert!(wait <= 10);
    assert_eq!(names(&pair.take_events(Left)), ["Reinvite"]);
}

#[test]
fn a_cancelled_reinvite_leaves_the_session_up() {
    let (mut pair, tag) = inbound(10);
    let offer = "Content-Type: application/sdp\r\n";
    give(
        &mut pair,
        &tagged("INVITE", "r1", 2, [";tag=peer", &tag], offer, "offer"),
    );
    let sent = give(&mut pair, &tagged("CANCEL", "r1", 2, [";tag=peer", &tag], "", ""));
    assert_eq!(lines(&sent), ["SIP/2.0 200 OK", "SIP/2.0 487 Request Terminated"]);
    assert_eq!(
        (names(&pair.take_events(Left)), pair.left.sessions()),
        (vec!["Reinvite"], 1)
    );
}

#[test]
fn a_late_offer_is_answered_in_the_ack() {
    let mut pair = pair(11);
    give(&mut pair, &request("INVITE", "1", 1, "", ""));
    let [Event::Incoming(incoming)] = &pair.take_events(Left)[..] else {
        panic!()
    };
    assert!(incoming.offer.is_none());
    let session = incoming.session;
    pair.command(Left, answer(session));
    let tag = format!(";tag={}", to_tag(&pair.sent.last().unwrap().text));
    // Until then there is an offer of ours without answer (RFC 3261 §14.2).
    let offer = "Content-Type: application/sdp\r\n";
    let early = give(
        &mut pair,
        &tagged("INVITE", "2", 2, [";tag=peer", &tag], offer, "offer"),
    );
    assert_eq!(
        lines(&early),
        ["SIP/2.0 100 Trying", "SIP/2.0 491 Request Pending"]
    );
    give(
        &mut pair,
        &tagged("ACK", "3", 1, [";tag=peer", &tag], offer, "their answer"),
    );
    let events = pair.take_events(Left);
    let [Event::Acknowledged { sdp: Some(sdp), .. }] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!(sdp.as_ref(), b"their answer");
}

#[test]
fn full_tables_say_503() {
    let mut pair = pair(12);
    pair.left = limited(1, 100);
    give(&mut pair, &invite("1", ""));
    let other = invite("2", "").replace("by-hand", "other");
    let sent = give(&mut pair, &other);
    assert_eq!(
        lines(&sent),
        ["SIP/2.0 100 Trying", "SIP/2.0 503 Service Unavailable"]
    );
    assert!(header(&sent[1], "Retry-After").is_some());

    pair.left = limited(100, 1);
    give(&mut pair, &invite("3", ""));
    let sent = give(&mut pair, &other);
    assert_eq!(lines(&sent), ["SIP/2.0 503 Service Unavailable"]);
    assert_eq!(
        (pair.left.transactions(), pair.take_dropped()),
        (1, vec!["transactions_full"])
    );
}

#[test]
fn stray_messages_are_counted_and_forgotten() {
    let mut pair = pair(13);
    assert_eq!(give(&mut pair, &request("ACK", "1", 1, "", "")).len(), 0);
    let response = super::wire::respond(&request("INVITE", "2", 1, "", ""), "200 OK", "x", "");
    assert_eq!(give(&mut pair, &response).len(), 0);
    assert_eq!(pair.take_dropped(), ["stray_ack", "stray_response"]);
    assert_eq!(pair.left.transactions(), 0);
}

/// A session of the hand-written peer, answered and acknowledged, and our To parameter.
fn inbound(seed: u64) -> (Pair, String) {
    let mut pair = pair(seed);
    give(&mut pair, &invite("first", ""));
    let [Event::Incoming(incoming)] = &pair.take_events(Left)[..] else {
        panic!()
    };
    let session = incoming.session;
    pair.command(Left, answer(session));
    let tag = format!(";tag={}", to_tag(&pair.sent.last().unwrap().text));
    give(&mut pair, &tagged("ACK", "ack", 1, [";tag=peer", &tag], "", ""));
    assert_eq!(names(&pair.take_events(Left)), ["Acknowledged"]);
    (pair, tag)
}

#[test]
fn a_digit_by_info_counts_in_an_early_dialog_and_in_none_it_is_481() {
    let mut pair = pair(9);
    give(&mut pair, &invite("first", ""));
    let [Event::Incoming(incoming)] = &pair.take_events(Left)[..] else {
        panic!()
    };
    let (session, status, sdp, headers) = (incoming.session, 180, None, vec![]);
    pair.command(
        Left,
        Command::Progress {
            session,
            status,
            sdp,
            headers,
        },
    );
    let tag = format!(";tag={}", to_tag(&pair.sent.last().unwrap().text));
    let info = |branch: &str, cseq, tag: &str, body: &str| {
        let head = "Content-Type: application/dtmf-relay\r\n";
        tagged("INFO", branch, cseq, [";tag=peer", tag], head, body)
    };
    let digit = info("a", 2, &tag, "Signal=5\r\nDuration=160");
    assert_eq!(lines(&give(&mut pair, &digit)), ["SIP/2.0 200 OK"]);
    // The same message once more is answered once more, and counts no more.
    assert_eq!(lines(&give(&mut pair, &digit)), ["SIP/2.0 200 OK"]);
    assert_eq!(
        lines(&give(&mut pair, &info("b", 3, &tag, "Signal=x"))),
        ["SIP/2.0 400 Bad Request"]
    );
    assert_eq!(
        lines(&give(&mut pair, &info("c", 4, ";tag=other", "Signal=5"))),
        ["SIP/2.0 481 Call/Transaction Does Not Exist"]
    );
    let events = pair.take_events(Left);
    let [Event::Info { digit, .. }] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!((digit.digit, digit.duration_ms), ('5', 160));
}

fn our_hop_mark() -> String {
    let mut pair = pair(2);
    let invite = Pair::invite(Left, 1, sip::endpoint::Transport::Udp);
    pair.command(Left, Command::Invite(Box::new(invite)));
    header(&pair.sent[0].text, "X-Hop").unwrap().to_owned()
}

fn limited(sessions_max: usize, transactions_max: usize) -> sip::endpoint::Endpoint {
    let mut config = sip::endpoint::EndpointConfig::simple(sip::endpoint::Transport::Udp, Left.address());
    config.limits.sessions_max = sessions_max;
    config.limits.transactions_max = transactions_max;
    let mut endpoint = sip::endpoint::Endpoint::new(config, [9; 32]);
    endpoint.set_allowed(vec![sip::network::Network::host(PEER.address().ip())]);
    endpoint
}
