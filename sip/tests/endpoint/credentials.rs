//! Challenges: which are answered, how often, and which never.

use sip::endpoint::pair::{Pair, Side::Left};
use sip::endpoint::{Command, Credentials, Event, Transport};

use super::own_digest::Answer;
use super::wire::{PEER, give, header, lines, request, respond, tagged, to_tag};
use crate::*;

#[test]
fn a_407_is_answered_with_the_next_cseq_and_a_new_branch() {
    let (mut pair, invite) = calling(1, Some("carrier"));
    let sent = give(&mut pair, &challenge(&invite, "carrier", false));
    assert_eq!(
        lines(&sent),
        [
            "ACK sip:bob@192.0.2.2:5060 SIP/2.0",
            "INVITE sip:bob@192.0.2.2:5060 SIP/2.0"
        ]
    );
    let again = &sent[1];
    assert_eq!(header(again, "CSeq"), Some("2 INVITE"));
    assert_eq!(header(again, "Call-ID"), header(&invite, "Call-ID"));
    assert_eq!(header(again, "From"), header(&invite, "From"));
    assert_ne!(header(again, "Via"), header(&invite, "Via"));
    let answer = header(again, "Proxy-Authorization").unwrap();
    assert!(
        answer.starts_with("Digest username=\"user\", realm=\"carrier\", nonce=\"n1\""),
        "{answer}"
    );
    assert!(again.ends_with("\r\n\r\noffer"));

    // ACK and BYE of the dialog: the ACK has the credentials of its INVITE (RFC 3261 §22.1).
    let sent = give(&mut pair, &respond(again, "200 OK", "t", "answer"));
    assert_eq!(header(&sent[0], "Proxy-Authorization"), Some(answer));
    assert_eq!(header(&sent[0], "CSeq"), Some("2 ACK"));
    assert_eq!(names(&pair.take_events(Left)), ["Answered"]);
    pair.command(Left, bye(OUT));
    let first = pair.sent.last().unwrap().text.clone();
    assert_eq!(header(&first, "CSeq"), Some("3 BYE"));
    // The nonce is used again before the BYE is asked, and its count goes up.
    let count = |text: &str| header(text, "Proxy-Authorization").map(|value| value.contains("nc=00000002"));
    assert_eq!((count(again), count(&first)), (Some(false), Some(true)));
    let sent = give(&mut pair, &challenge(&first, "carrier", false));
    assert_eq!(header(&sent[0], "CSeq"), Some("4 BYE"));
    assert!(
        header(&sent[0], "Proxy-Authorization")
            .unwrap()
            .contains("nc=00000003")
    );
    give(&mut pair, &respond(&sent[0], "200 OK", "", ""));
    assert_eq!(names(&pair.take_events(Left)), ["ByeDone"]);
}

#[test]
fn a_carrier_that_always_challenges_gets_two_invites() {
    let (mut pair, invite) = calling(2, Some("carrier"));
    let sent = give(&mut pair, &challenge(&invite, "carrier", false));
    let sent = give(&mut pair, &challenge(&sent[1], "carrier", false));
    assert_eq!(lines(&sent), ["ACK sip:bob@192.0.2.2:5060 SIP/2.0"]);
    let events = pair.take_events(Left);
    assert!(matches!(events.as_slice(), [Event::Refused { response, .. }] if response.status.code() == 407));
}

#[test]
fn sha_256_is_answered_before_md5_unknown_algorithms_never_and_the_sums_are_right() {
    let (mut pair, invite) = calling(10, Some("carrier"));
    let offer = |algorithm: &str| {
        format!(
            "WWW-Authenticate: Digest realm=\"carrier\", nonce=\"n-{algorithm}\", qop=\"auth\", algorithm={algorithm}, \
             opaque=\"o\"\r\n"
        )
    };
    let offered = ["SHA3-512", "MD5", "SHA-256"].map(offer);
    let asked = respond(&invite, "401 Unauthorized", "c", "")
        .replace("Contact:", &format!("{}Contact:", offered.concat()));
    let sent = give(&mut pair, &asked);
    let value = header(&sent[1], "Authorization").unwrap();
    assert!(value.contains("nonce=\"n-SHA-256\""), "{value}");
    // Reckoned again by the second opinion, over the cnonce that was drawn.
    let cnonce = value
        .split("cnonce=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let answer = Answer {
        user: "user",
        password: "secret",
        method: "INVITE",
        uri: "sip:bob@192.0.2.2:5060",
        count: 1,
        cnonce,
    };
    let expected = answer.to(&offered[2]);
    let response = |text: &str| {
        text.split("response=\"")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap()
            .to_owned()
    };
    assert_eq!(response(value), response(&expected));

    let (mut pair, invite) = calling(11, Some("carrier"));
    let only_unknown =
        respond(&invite, "401 Unauthorized", "c", "").replace("Contact:", &format!("{}Contact:", offered[0]));
    assert_eq!(give(&mut pair, &only_unknown).len(), 1, "ACK alone");
    assert_eq!(names(&pair.take_events(Left)), ["Refused"]);
}

#[test]
fn a_stale_nonce_is_answered_once_more_and_no_further() {
    let (mut pair, invite) = calling(3, Some("carrier"));
    let first = give(&mut pair, &challenge(&invite, "carrier", false));
    let second = give(&mut pair, &challenge(&first[1], "carrier", true));
    assert_eq!(header(&second[1], "CSeq"), Some("3 INVITE"));
    let third = give(&mut pair, &challenge(&second[1], "carrier", true));
    assert_eq!(third.len(), 1);
    assert_eq!(names(&pair.take_events(Left)), ["Refused"]);
}

#[test]
fn another_realm_another_source_or_no_credentials_get_no_answer() {
    let (mut pair, invite) = calling(4, Some("carrier"));
    give(&mut pair, &challenge(&invite, "elsewhere", false));
    assert_eq!(names(&pair.take_events(Left)), ["Refused"]);

    let (mut pair, invite) = calling(5, None);
    give(&mut pair, &challenge(&invite, "carrier", false));
    assert_eq!(names(&pair.take_events(Left)), ["Refused"]);

    let (mut pair, invite) = calling(6, Some("carrier"));
    pair.left.set_allowed(vec!["192.0.2.0/24".parse().unwrap()]);
    pair.inject(
        Left,
        "192.0.2.66:5060".parse().unwrap(),
        &challenge(&invite, "carrier", false),
    );
    assert_eq!(names(&pair.take_events(Left)), ["Refused"]);
    assert!(pair.sent.iter().all(|sent| !sent.text.contains("uthorization")));
}

#[test]
fn without_a_named_realm_the_first_one_is_kept() {
    let (mut pair, invite) = calling(7, Some(""));
    let sent = give(&mut pair, &challenge(&invite, "first", false));
    give(&mut pair, &respond(&sent[1], "200 OK", "t", "answer"));
    pair.command(Left, bye(OUT));
    let bye = pair.sent.last().unwrap().text.clone();
    assert_eq!(give(&mut pair, &challenge(&bye, "second", false)).len(), 0);
    assert_eq!(names(&pair.take_events(Left)), ["Answered", "ByeDone"]);
}

#[test]
fn a_session_of_the_peer_never_answers_a_challenge() {
    let mut pair = pair(8);
    give(&mut pair, &request("INVITE", "1", 1, "", ""));
    let [Event::Incoming(incoming)] = &pair.take_events(Left)[..] else {
        panic!()
    };
    let session = incoming.session;
    pair.command(Left, answer(session));
    let tag = format!(";tag={}", to_tag(&pair.sent.last().unwrap().text));
    give(&mut pair, &tagged("ACK", "2", 1, [";tag=peer", &tag], "", ""));
    pair.command(Left, bye(session));
    let bye = pair.sent.last().unwrap().text.clone();
    assert_eq!(give(&mut pair, &challenge(&bye, "carrier", false)).len(), 0);
    assert_eq!(names(&pair.take_events(Left)), ["Acknowledged", "ByeDone"]);
}

#[test]
fn a_cancelled_invite_is_not_sent_again() {
    let (mut pair, invite) = calling(9, Some("carrier"));
    pair.command(Left, cancel(OUT));
    let sent = give(&mut pair, &challenge(&invite, "carrier", false));
    assert_eq!(sent.len(), 1);
    assert_eq!(names(&pair.take_events(Left)), ["Refused"]);
}

fn calling(seed: u64, realm: Option<&str>) -> (Pair, String) {
    let mut pair = pair(seed);
    pair.link.loss_percent = 100;
    let mut invite = Pair::invite(Left, 1, Transport::Udp);
    invite.credentials = realm.map(|realm| Credentials {
        username: "user".to_owned(),
        password: "secret".to_owned(),
        realm: Some(realm.to_owned()).filter(|realm| !realm.is_empty()),
    });
    assert_eq!(invite.flow.remote, PEER.address());
    pair.command(Left, Command::Invite(Box::new(invite)));
    let text = pair.sent[0].text.clone();
    (pair, text)
}

fn challenge(request: &str, realm: &str, stale: bool) -> String {
    let stale = if stale { ", stale=true" } else { "" };
    let header = format!(
        "Proxy-Authenticate: Digest realm=\"{realm}\", nonce=\"n1\", qop=\"auth\"{stale}\r\nContact:"
    );
    respond(request, "407 Proxy Authentication Required", "c", "").replace("Contact:", &header)
}
