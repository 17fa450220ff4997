//! The left side as a registrar that asks for digest, the right side written by hand.

use std::sync::Arc;

use sip::auth::{Algorithm, Users};
use sip::endpoint::pair::{Pair, Side::Left};
use sip::endpoint::{Domain, Event, Registrar, RegistrationEvent};
use sip::network::Network;

use super::own_digest::Answer;
use super::wire::{PEER, give, header, lines, tagged, to_tag};
use crate::*;

const REALM: &str = "phones";

/// Users `peer` and `other`, password `secret`, with both hashes.
pub fn users() -> Arc<Users> {
    let of =
        |user: &str| [Algorithm::Md5, Algorithm::Sha256].map(|one| Users::line(user, REALM, "secret", one));
    let text = [of("peer"), of("other")].concat().join("\n");
    Arc::new(Users::parse(&text, REALM).unwrap())
}

pub fn domain(networks: &str) -> Domain {
    Domain {
        networks: vec![networks.parse().unwrap()],
        challenge: Some(users()),
        registrar: Some(Registrar {
            users: users(),
            bindings_max: 3,
        }),
        our_host: None,
        contact_host: None,
    }
}

fn registrar(seed: u64) -> Pair {
    let mut pair = pair(seed);
    pair.link.loss_percent = 100;
    pair.left.set_domains(vec![domain("192.0.2.0/24")]);
    pair
}

/// One phone, written by hand: its requests with the branch and the number that are next.
struct Phone {
    user: &'static str,
    password: &'static str,
    algorithm: &'static str,
    number: u32,
    challenge: Option<String>,
    count: u32,
}

impl Phone {
    fn new(user: &'static str) -> Self {
        Phone {
            user,
            password: "secret",
            algorithm: "SHA-256",
            number: 0,
            challenge: None,
            count: 0,
        }
    }

    /// Sends a request and takes the challenge that may come of it.
    fn send(&mut self, pair: &mut Pair, method: &str, to: &str, head: &str) -> Vec<String> {
        self.number += 1;
        let uri = "sip:gw@192.0.2.1";
        let authorization = self.challenge.as_ref().map(|challenge| {
            self.count += 1;
            let answer = Answer {
                user: self.user,
                password: self.password,
                method,
                uri,
                count: self.count,
                cnonce: "0a4f113b",
            };
            format!("Authorization: {}\r\n", answer.to(challenge))
        });
        let head = format!("{}{head}", authorization.unwrap_or_default());
        let branch = format!("{}-{}-{}", self.user, self.number, pair.sent.len());
        let body = if method == "INVITE" { "offer" } else { "" };
        let text = tagged(method, &branch, self.number, [";tag=peer", ""], &head, body)
            .replace("To: <sip:gw@192.0.2.1>", &format!("To: <sip:{to}@192.0.2.1>"))
            .replacen("Contact: <sip:peer@192.0.2.2:5060>\r\n", "", 1)
            .replace("Call-ID: by-hand", &format!("Call-ID: {}-by-hand", self.user));
        let sent = give(pair, &text);
        let response = sent.last().cloned().unwrap_or_default();
        let challenges = response
            .lines()
            .filter_map(|line| line.strip_prefix("WWW-Authenticate: "));
        let wanted = format!("algorithm={},", self.algorithm);
        if let Some(challenge) = challenges.into_iter().find(|one| one.contains(&wanted)) {
            (self.challenge, self.count) = (Some(challenge.to_owned()), 0);
        }
        sent
    }

    /// Registers contacts; the first line of the answer after the challenge.
    fn register(&mut self, pair: &mut Pair, head: &str) -> String {
        let mut sent = self.send(pair, "REGISTER", self.user, head);
        if lines(&sent) == ["SIP/2.0 401 Unauthorized"] {
            sent = self.send(pair, "REGISTER", self.user, head);
        }
        assert_eq!(sent.len(), 1, "{sent:?}");
        sent.remove(0)
    }
}

fn contacts(pair: &mut Pair) -> Vec<(String, Vec<String>)> {
    let events = pair.take_registrations(Left);
    let named = events.into_iter().map(|event| match event {
        RegistrationEvent::Contacts {
            domain: 0,
            user,
            contacts,
        } => {
            let shown = contacts
                .into_iter()
                .map(|one| format!("{} at {}", one.uri, one.flow.remote));
            (user, shown.collect())
        }
        other => panic!("{other:?}"),
    });
    named.collect()
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap()
}

fn listed(text: &str) -> Vec<&str> {
    text.lines()
        .filter_map(|line| line.strip_prefix("Contact: "))
        .collect()
}

const INVITE_HEADERS: &str = "Contact: <sip:phone@192.0.2.10>\r\nContent-Type: application/sdp\r\n";

#[test]
fn a_phone_registers_with_either_algorithm_and_is_listed_until_its_time_is_over() {
    for algorithm in ["SHA-256", "MD5"] {
        let mut pair = registrar(1);
        let mut phone = Phone::new("peer");
        phone.algorithm = algorithm;
        let ok = phone.register(&mut pair, "Contact: <sip:peer@192.0.2.2:5060>\r\nExpires: 60\r\n");
        assert_eq!(first_line(&ok), "SIP/2.0 200 OK");
        assert_eq!(listed(&ok), ["<sip:peer@192.0.2.2:5060>;expires=60"]);
        assert_eq!(pair.left.bindings(), 1);
        let at = ["sip:peer@192.0.2.2:5060 at 192.0.2.2:5060".to_owned()].to_vec();
        assert_eq!(contacts(&mut pair), [("peer".to_owned(), at)]);
        pair.run_for(ms(20_000));
        let again = phone.register(&mut pair, "");
        assert_eq!(listed(&again), ["<sip:peer@192.0.2.2:5060>;expires=40"]);
        assert_eq!(contacts(&mut pair), [], "nothing changed");
        pair.run_for(ms(39_999));
        assert_eq!(pair.left.bindings(), 1);
        pair.run_for(ms(1));
        assert_eq!(pair.left.bindings(), 0);
        assert_eq!(contacts(&mut pair), [("peer".to_owned(), vec![])]);
    }
}

#[test]
fn a_challenge_names_sha_256_before_md5() {
    let mut pair = registrar(2);
    let sent = Phone::new("peer").send(&mut pair, "REGISTER", "peer", "");
    let asked: Vec<_> = sent[0]
        .lines()
        .filter_map(|line| line.strip_prefix("WWW-Authenticate: Digest realm=\"phones\", "))
        .collect();
    assert!(asked[0].contains("algorithm=SHA-256, qop=\"auth\""), "{asked:?}");
    assert!(
        asked[1].contains("algorithm=MD5, qop=\"auth\"") && asked.len() == 2,
        "{asked:?}"
    );
}

#[test]
fn a_wrong_password_and_a_user_there_is_not_get_the_same_words() {
    let mut pair = registrar(3);
    let mut answers = vec![];
    for (user, password) in [("peer", "guess"), ("nobody", "secret"), ("nobody", "")] {
        pair.run_for(ms(33_000));
        let mut phone = Phone::new(user);
        phone.password = password;
        let denied = phone.register(&mut pair, "Contact: <sip:peer@192.0.2.2>\r\n");
        assert_eq!(first_line(&denied), "SIP/2.0 401 Unauthorized");
        let nonce = denied
            .split("nonce=\"")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap()
            .to_owned();
        let tag = to_tag(&denied).to_owned();
        let same = denied
            .replace(&nonce, "N")
            .replace(&tag, "T")
            .replace("peer", "U")
            .replace("nobody", "U");
        let same = same
            .lines()
            .filter(|line| !line.starts_with("Via: "))
            .collect::<Vec<_>>();
        answers.push(same.join("\n"));
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[1], answers[2]);
    assert_eq!(pair.left.bindings(), 0);
}

#[test]
fn an_answer_cannot_be_used_twice_and_an_old_nonce_is_stale() {
    let mut pair = registrar(4);
    let mut phone = Phone::new("peer");
    phone.register(&mut pair, "");
    phone.count -= 1;
    let replayed = phone.send(&mut pair, "REGISTER", "peer", "");
    assert_eq!(lines(&replayed), ["SIP/2.0 401 Unauthorized"]);
    assert!(
        header(&replayed[0], "WWW-Authenticate")
            .unwrap()
            .ends_with(", stale=true")
    );
    let next = phone.send(&mut pair, "REGISTER", "peer", "");
    assert_eq!(lines(&next), ["SIP/2.0 200 OK"]);
    pair.run_for(ms(300_001));
    let old = phone.send(&mut pair, "REGISTER", "peer", "");
    assert!(
        header(&old[0], "WWW-Authenticate")
            .unwrap()
            .ends_with(", stale=true")
    );
    assert_eq!(
        lines(&phone.send(&mut pair, "REGISTER", "peer", "")),
        ["SIP/2.0 200 OK"]
    );
}

#[test]
fn each_may_register_his_own_address_only() {
    let mut pair = registrar(5);
    let mut phone = Phone::new("peer");
    phone.register(&mut pair, "");
    let head = "Contact: <sip:peer@192.0.2.2>\r\n";
    let others = phone.send(&mut pair, "REGISTER", "other", head);
    assert_eq!(lines(&others), ["SIP/2.0 403 Forbidden"]);
    assert_eq!(pair.left.bindings(), 0);
}

#[test]
fn refusals_say_what_would_do() {
    let mut pair = registrar(6);
    let mut phone = Phone::new("peer");
    let brief = phone.register(&mut pair, "Contact: <sip:peer@192.0.2.2>;expires=59\r\n");
    assert_eq!(first_line(&brief), "SIP/2.0 423 Interval Too Brief");
    assert_eq!(header(&brief, "Min-Expires"), Some("60"));
    for head in ["Contact: *\r\n", "Contact: <tel:+4930123456>\r\n"] {
        let bad = phone.register(&mut pair, head);
        assert_eq!(first_line(&bad), "SIP/2.0 400 Bad Request", "{head}");
    }
    let path = phone.register(&mut pair, "Require: path\r\n");
    assert_eq!(first_line(&path), "SIP/2.0 420 Bad Extension");
    for port in 1..=3 {
        let ok = phone.register(&mut pair, &format!("Contact: <sip:peer@192.0.2.2:{port}>\r\n"));
        assert_eq!(first_line(&ok), "SIP/2.0 200 OK");
    }
    let full = phone.register(&mut pair, "Contact: <sip:peer@192.0.2.2:4>\r\n");
    assert_eq!(first_line(&full), "SIP/2.0 503 Service Unavailable");
    assert_eq!(header(&full, "Retry-After"), Some("5"));
    // Its own earlier numbers, once their transactions are over.
    pair.run_for(ms(33_000));
    phone.number = 0;
    let late = phone.register(&mut pair, "Contact: <sip:peer@192.0.2.2:1>\r\n");
    assert_eq!(first_line(&late), "SIP/2.0 500 Server Internal Error");
    assert_eq!(pair.left.bindings(), 3);
}

#[test]
fn contacts_are_removed_one_by_one_or_all() {
    let mut pair = registrar(7);
    let mut phone = Phone::new("peer");
    let all =
        "Contact: <sip:peer@192.0.2.2:1>\r\nContact: <sip:peer@192.0.2.2:2>, <sip:peer@192.0.2.2:3>\r\n";
    assert_eq!(listed(&phone.register(&mut pair, all)).len(), 3);
    let left = phone.register(&mut pair, "Contact: <sip:peer@192.0.2.2:2>;expires=0\r\n");
    assert_eq!(
        listed(&left),
        [
            "<sip:peer@192.0.2.2:1>;expires=3600",
            "<sip:peer@192.0.2.2:3>;expires=3600"
        ]
    );
    let none = phone.register(&mut pair, "Contact: *\r\nExpires: 0\r\n");
    assert_eq!((listed(&none).len(), pair.left.bindings()), (0, 0));
    let told: Vec<_> = contacts(&mut pair)
        .into_iter()
        .map(|(_, contacts)| contacts.len())
        .collect();
    assert_eq!(told, [3, 2, 0]);
}

#[test]
fn a_phone_behind_a_nat_is_reached_where_its_packets_come_from() {
    let mut pair = registrar(8);
    let mut phone = Phone::new("peer");
    phone.register(&mut pair, "");
    // Its Via and Contact name an address of its own network; the packet came from 192.0.2.2:5060.
    let register = |phone: &mut Phone, pair: &mut Pair, via: &str, contact: &str| {
        phone.number += 1;
        phone.count += 1;
        let answer = Answer {
            user: "peer",
            password: "secret",
            method: "REGISTER",
            uri: "sip:gw@192.0.2.1",
            count: phone.count,
            cnonce: "0a4f113b",
        };
        let head = format!(
            "Authorization: {}\r\nContact: {contact}\r\n",
            answer.to(phone.challenge.as_ref().unwrap())
        );
        let branch = format!("nat-{}", phone.number);
        let text = tagged("REGISTER", &branch, phone.number, [";tag=peer", ""], &head, "")
            .replace("SIP/2.0/UDP 192.0.2.2:5060", &format!("SIP/2.0/UDP {via}"))
            .replace("To: <sip:gw@", "To: <sip:peer@")
            .replacen("Contact: <sip:peer@192.0.2.2:5060>\r\n", "", 1);
        let sent = give(pair, &text);
        let answer = lines(&sent).remove(0);
        let told = contacts(pair).into_iter().next();
        let told = told.and_then(|(_, contacts)| contacts.into_iter().next());
        told.map_or(answer.to_owned(), |told| {
            told.split(" at ").nth(1).unwrap().to_owned()
        })
    };
    let refused = "SIP/2.0 403 Forbidden";
    let source = "192.0.2.2:5060";
    for (via, contact, reached) in [
        ("10.0.0.7:5060", "<sip:peer@10.0.0.7:5060>", source),
        // Its own address and another port: it listens there.
        (source, "<sip:peer@192.0.2.2:5070>", "192.0.2.2:5070"),
        // Another host of its network may be named by who is seen as he is, and by nobody else.
        (source, "<sip:peer@192.0.2.9>", "192.0.2.9:5060"),
        ("10.0.0.7:5060", "<sip:peer@192.0.2.9>", source),
        // Seen as it is, it has no reason to name an address outside.
        (source, "<sip:peer@203.0.113.1>", refused),
        (source, "<sip:peer@192.0.2.2>, <sip:peer@203.0.113.1>", refused),
        (source, "<sip:peer@0.0.0.0>", refused),
        // No address at all, or another transport: back where it came from.
        (source, "<sip:peer@phone.example>", source),
        (source, "<sip:peer@192.0.2.2:5070;transport=tcp>", source),
    ] {
        assert_eq!(
            register(&mut phone, &mut pair, via, contact),
            reached,
            "{via} {contact}"
        );
        phone.register(&mut pair, "Contact: *\r\nExpires: 0\r\n");
        contacts(&mut pair);
    }
}

#[test]
fn every_request_outside_dialogs_is_asked_and_an_invite_names_who_sent_it() {
    let mut pair = registrar(9);
    for method in ["OPTIONS", "MESSAGE", "SUBSCRIBE", "REFER", "FOO", "INVITE"] {
        let mut phone = Phone::new("peer");
        let sent = phone.send(&mut pair, method, "gw", "Content-Type: application/sdp\r\n");
        assert_eq!(lines(&sent).last(), Some(&"SIP/2.0 401 Unauthorized"), "{method}");
        assert_eq!(pair.left.sessions(), 0);
    }
    let mut phone = Phone::new("other");
    phone.send(&mut pair, "INVITE", "gw", INVITE_HEADERS);
    phone.send(&mut pair, "INVITE", "gw", INVITE_HEADERS);
    let events = pair.take_events(Left);
    let [Event::Incoming(invite)] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(invite.user.as_deref(), Some("other"));
    let options = phone.send(&mut pair, "OPTIONS", "gw", "");
    assert_eq!(
        header(&options[0], "Allow"),
        Some("INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, PRACK, UPDATE, NOTIFY, REGISTER")
    );
}

#[test]
fn without_a_registrar_register_is_told_405_and_nobody_is_asked() {
    let mut pair = pair(10);
    pair.link.loss_percent = 100;
    let sent = Phone::new("peer").send(&mut pair, "REGISTER", "peer", "");
    assert_eq!(lines(&sent), ["SIP/2.0 405 Method Not Allowed"]);
    assert_eq!(
        header(&sent[0], "Allow"),
        Some("INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, PRACK, UPDATE, NOTIFY")
    );
    let invite = Phone::new("peer").send(&mut pair, "INVITE", "gw", INVITE_HEADERS);
    assert_eq!(lines(&invite), ["SIP/2.0 100 Trying"]);
}

#[test]
fn an_unlisted_source_gets_silence_for_every_method_and_never_a_challenge() {
    let mut pair = registrar(11);
    pair.left
        .set_allowed(vec!["192.0.2.2".parse::<Network>().unwrap()]);
    for method in ["REGISTER", "INVITE", "OPTIONS", "BYE", "MESSAGE", "FOO"] {
        let text = tagged(method, "x", 1, [";tag=p", ""], "", "");
        pair.inject(Left, "192.0.2.66:5060".parse().unwrap(), &text);
    }
    assert_eq!(pair.sent.len(), 0);
    assert_eq!(pair.take_dropped(), ["unlisted_source"; 6]);
    assert_eq!(pair.left.transactions(), 0);
    assert_eq!(PEER.address(), "192.0.2.2:5060".parse().unwrap());
}

#[test]
fn hostile_authorization_is_asked_anew_and_costs_nothing() {
    let mut pair = registrar(12);
    let long = format!("Digest username=\"{}\"", "u".repeat(8_000));
    let hostile = [
        "Digest",
        "Digest =",
        "Digest username=\"peer\"",
        "Digest ,,,,=,\"",
        "Basic cGVlcjpzZWNyZXQ=",
        "Digest username=\"peer\",realm=\"elsewhere\",nonce=\"n\",uri=\"sip:gw\",response=\"0\",qop=auth,nc=00000001,cnonce=\"c\"",
        "Digest username=\"5f4dcc3b\",userhash=true,realm=\"phones\",nonce=\"n\",uri=\"sip:gw\",response=\"0\",qop=auth,nc=00000001,cnonce=\"c\"",
        "Digest username*=UTF-8''peer,realm=\"phones\",nonce=\"n\",uri=\"sip:gw\",response=\"0\",qop=auth,nc=00000001,cnonce=\"c\"",
        long.as_str(),
    ];
    for (number, value) in hostile.into_iter().enumerate() {
        let head = format!("Authorization: {value}\r\nExpires: 60\r\n");
        let text = tagged(
            "REGISTER",
            &format!("h{number}"),
            number as u32,
            [";tag=p", ""],
            &head,
            "",
        );
        let sent = give(&mut pair, &text);
        assert_eq!(lines(&sent), ["SIP/2.0 401 Unauthorized"], "{value:.60}");
        assert!(!sent[0].contains("stale"), "{value:.60}");
    }
    assert_eq!(pair.left.bindings(), 0);
}
