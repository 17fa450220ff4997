//! The left side registers at the right one, or at a registrar written by hand.

use sip::endpoint::pair::{Link, Pair, Side::Left, Side::Right};
use sip::endpoint::{
    Command, Credentials, Event, Flow, RegisterOrder, RegisterServer, RegistrationEvent, RegistrationKey,
    Transport, Unanswered,
};
use sip::message::StatusCode;
use sip::registration::client::{Failure, LEAVE_WAIT};

use super::registrar::domain;
use super::wire::{PEER, give, header, lines, respond};
use crate::*;

const KEY: RegistrationKey = RegistrationKey(1);

fn order(transport: Transport) -> RegisterOrder {
    let flow = Left.flow(transport);
    RegisterOrder {
        registration: KEY,
        servers: vec![server(flow)],
        contact_user: "peer".to_owned(),
        contact_host: None,
        expires: Duration::from_secs(600),
        is_bulk: false,
        credentials: Credentials {
            username: "peer".to_owned(),
            password: "secret".to_owned(),
            realm: None,
        },
    }
}

fn server(flow: Flow) -> RegisterServer {
    RegisterServer {
        flow,
        request_uri: format!("sip:{}", flow.remote),
        address: format!("<sip:peer@{}>", flow.remote.ip()),
    }
}

fn register(pair: &mut Pair, order: RegisterOrder) {
    pair.command(Left, Command::Register(Box::new(order)));
}

fn leave(pair: &mut Pair) {
    pair.command(Left, Command::Unregister { registration: KEY });
}

/// Two endpoints, the right one a registrar.
fn two(seed: u64) -> Pair {
    let mut pair = pair(seed);
    pair.right.set_domains(vec![domain("192.0.2.0/24")]);
    pair
}

fn registered(event: &RegistrationEvent) -> bool {
    matches!(event, RegistrationEvent::Registered { .. })
}

#[test]
fn it_is_registered_after_one_challenge_and_refreshed_without_another() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut pair = two(1);
        register(&mut pair, order(transport));
        pair.run_for(ms(1_000));
        assert_eq!(pair.right.bindings(), 1);
        let events = pair.take_registrations(Left);
        let [
            RegistrationEvent::Registered {
                registration: KEY,
                flow,
                expires,
            },
        ] = events[..]
        else {
            panic!("{events:?}")
        };
        assert_eq!((flow, expires), (Left.flow(transport), Duration::from_secs(600)));
        assert_eq!(pair.sent_by(Left).len(), 2);
        let sent = &pair
            .sent
            .iter()
            .filter(|one| one.from == Left)
            .nth(1)
            .unwrap()
            .text;
        let answer = header(sent, "Authorization").unwrap();
        assert!(
            answer.contains("algorithm=SHA-256") && answer.contains("nc=00000001"),
            "{answer}"
        );
        leave(&mut pair);
        pair.run_for(ms(1_000));
        let last = &pair.sent.iter().rfind(|one| one.from == Left).unwrap().text;
        assert!(
            header(last, "Authorization").unwrap().contains("nc=00000002"),
            "{last}"
        );
        assert_eq!(
            (header(last, "Expires"), header(last, "CSeq")),
            (Some("0"), Some("3 REGISTER"))
        );
        assert_eq!(
            pair.take_registrations(Left),
            [RegistrationEvent::Left { registration: KEY }]
        );
        assert_eq!(pair.right.bindings(), 0);
        assert_comes_to_rest(&mut pair);
    }
}

#[test]
fn ten_hours_of_bad_weather_leave_it_registered_throughout() {
    let mut pair = two(2);
    pair.link = Link {
        loss_percent: 5,
        duplicate_percent: 5,
        delay_min: ms(5),
        delay_max: ms(200),
    };
    register(&mut pair, order(Transport::Udp));
    pair.run_for(Duration::from_secs(40));
    assert_eq!(pair.right.bindings(), 1);
    let end = pair.now + Duration::from_secs(36_000);
    while pair.step(end) {
        assert_eq!(pair.right.bindings(), 1);
    }
    let events = pair.take_registrations(Left);
    assert!(events.iter().all(registered), "{events:?}");
    // Refreshes after 480 to 540 s of 600.
    assert!((67..=76).contains(&events.len()), "{}", events.len());
    assert_eq!(
        pair.take_registrations(Right).len(),
        1,
        "its contact never changed"
    );
    leave(&mut pair);
    pair.link = Link::CLEAN;
    assert_comes_to_rest(&mut pair);
    assert_eq!(pair.right.bindings(), 0);
}

#[test]
fn a_registered_contact_is_called_by_its_flow() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut pair = two(3);
        register(&mut pair, order(transport));
        pair.run_for(ms(1_000));
        let events = pair.take_registrations(Right);
        let [
            RegistrationEvent::Contacts {
                domain: 0,
                user,
                contacts,
            },
        ] = &events[..]
        else {
            panic!("{events:?}")
        };
        assert_eq!((user.as_str(), contacts.len()), ("peer", 1));
        let connections = (pair.left.connections(), pair.right.connections());
        let mut invite = Pair::invite(Right, 1, transport);
        invite.flow = contacts[0].flow;
        invite.request_uri = contacts[0].uri.clone();
        pair.command(Right, Command::Invite(Box::new(invite)));
        pair.run_for(ms(200));
        let events = pair.take_events(Left);
        let [Event::Incoming(incoming)] = &events[..] else {
            panic!("{events:?}")
        };
        pair.command(Left, answer(incoming.session));
        pair.run_for(ms(200));
        assert_eq!(names(&pair.take_events(Right)), ["Answered"]);
        pair.command(Right, bye(OUT));
        pair.run_for(ms(200));
        assert_eq!(names(&pair.take_events(Left)), ["Acknowledged", "Bye"]);
        assert_eq!((pair.left.connections(), pair.right.connections()), connections);
    }
}

#[test]
fn a_connection_that_closes_takes_the_binding_along_and_is_opened_anew() {
    let mut pair = two(4);
    register(&mut pair, order(Transport::Tcp));
    pair.run_for(ms(1_000));
    pair.take_registrations(Right);
    pair.cut_connections();
    pair.run_for(ms(0));
    let lost = RegistrationEvent::Contacts {
        domain: 0,
        user: "peer".to_owned(),
        contacts: vec![],
    };
    assert_eq!(pair.take_registrations(Right), [lost]);
    pair.run_for(ms(1_000));
    assert_eq!(pair.right.bindings(), 1);
    assert!(pair.take_registrations(Left).iter().all(registered));
}

#[test]
fn a_silent_server_leads_to_the_next_and_its_failure_is_told() {
    let mut pair = two(5);
    let mut order = order(Transport::Udp);
    let dead = Flow {
        remote: "192.0.2.9:5060".parse().unwrap(),
        ..Left.flow(Transport::Udp)
    };
    order.servers.insert(0, server(dead));
    register(&mut pair, order);
    pair.run_for(Duration::from_secs(31));
    assert_eq!(pair.take_registrations(Left), []);
    pair.run_for(Duration::from_secs(2));
    let events = pair.take_registrations(Left);
    let [
        RegistrationEvent::Failed {
            flow, why, retry_in, ..
        },
        RegistrationEvent::Registered { .. },
    ] = events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!((flow, retry_in), (dead, Some(Duration::ZERO)));
    assert_eq!(why, Failure::Unanswered(Unanswered::Timeout));
}

#[test]
fn a_refused_connection_counts_as_a_failure_and_is_tried_again_later() {
    let mut pair = two(6);
    pair.refuses_connections = true;
    register(&mut pair, order(Transport::Tcp));
    pair.run_for(ms(100));
    let events = pair.take_registrations(Left);
    let [
        RegistrationEvent::Failed {
            why,
            retry_in: Some(retry_in),
            ..
        },
    ] = events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!(why, Failure::Unanswered(Unanswered::Transport));
    pair.refuses_connections = false;
    pair.run_for(retry_in + ms(1_000));
    assert!(registered(&pair.take_registrations(Left)[0]));
}

#[test]
fn leaving_is_given_up_when_nobody_answers() {
    let mut pair = two(7);
    register(&mut pair, order(Transport::Udp));
    pair.run_for(ms(1_000));
    pair.take_registrations(Left);
    pair.link.loss_percent = 100;
    leave(&mut pair);
    pair.run_for(LEAVE_WAIT - ms(1));
    assert_eq!(pair.take_registrations(Left), []);
    pair.run_for(ms(1));
    assert_eq!(
        pair.take_registrations(Left),
        [RegistrationEvent::Left { registration: KEY }]
    );
    pair.link.loss_percent = 0;
    register(&mut pair, order(Transport::Udp));
    pair.run_for(ms(1_000));
    assert!(registered(&pair.take_registrations(Left)[0]));
}

#[test]
fn a_wrong_password_is_sent_once() {
    let mut pair = two(8);
    let mut order = order(Transport::Udp);
    order.credentials.password = "guess".to_owned();
    register(&mut pair, order);
    pair.run_for(Duration::from_secs(60));
    assert_eq!(pair.sent_by(Left).len(), 2);
    let events = pair.take_registrations(Left);
    let [RegistrationEvent::Failed { why, .. }] = events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(why, Failure::Status(StatusCode::UNAUTHORIZED));
}

/// The first REGISTER to a server written by hand.
fn by_hand(seed: u64, order: RegisterOrder) -> (Pair, String) {
    let mut pair = pair(seed);
    pair.link.loss_percent = 100;
    register(&mut pair, order);
    let text = pair.sent[0].text.clone();
    (pair, text)
}

fn reply(request: &str, status: &str, head: &str) -> String {
    let bare = respond(request, status, "c", "");
    bare.replace("Contact: <sip:c@192.0.2.2:5060>\r\n", head)
}

#[test]
fn a_register_looks_as_rfc_3261_section_10_2_wants_it() {
    let (mut pair, first) = by_hand(9, order(Transport::Udp));
    assert_eq!(first.lines().next(), Some("REGISTER sip:192.0.2.2:5060 SIP/2.0"));
    assert_eq!(header(&first, "To"), Some("<sip:peer@192.0.2.2>"));
    assert!(
        header(&first, "From")
            .unwrap()
            .starts_with("<sip:peer@192.0.2.2>;tag=")
    );
    assert_eq!(header(&first, "Contact"), Some("<sip:peer@192.0.2.1:5060>"));
    assert_eq!(
        (header(&first, "Expires"), header(&first, "CSeq")),
        (Some("600"), Some("1 REGISTER"))
    );
    assert_eq!(header(&first, "Require"), None);
    let granted =
        "Contact: <sip:other@192.0.2.7>;expires=9\r\nContact: <sip:peer@192.0.2.1:5060>;expires=120\r\n";
    give(&mut pair, &reply(&first, "200 OK", granted));
    let events = pair.take_registrations(Left);
    assert!(
        matches!(events[..], [RegistrationEvent::Registered { expires, .. }] if expires.as_secs() == 120),
        "{events:?}"
    );
    pair.run_for(Duration::from_secs(110));
    let second = &pair.sent[1].text;
    assert_eq!(header(second, "Call-ID"), header(&first, "Call-ID"));
    assert_eq!(header(second, "From"), header(&first, "From"));
    assert_eq!(header(second, "CSeq"), Some("2 REGISTER"));
}

#[test]
fn a_bulk_contact_has_no_user_and_must_be_understood() {
    let mut order = order(Transport::Udp);
    order.is_bulk = true;
    let (mut pair, first) = by_hand(10, order);
    assert_eq!(header(&first, "Contact"), Some("<sip:192.0.2.1:5060;bnc>"));
    assert_eq!(header(&first, "Require"), Some("gin"));
    assert_eq!(header(&first, "Proxy-Require"), Some("gin"));
    assert_eq!(header(&first, "Supported"), Some("path"));
    let listed = "Contact: <sip:192.0.2.1:5060;bnc>;expires=300\r\n";
    give(&mut pair, &reply(&first, "200 OK", listed));
    let events = pair.take_registrations(Left);
    assert!(
        matches!(events[..], [RegistrationEvent::Registered { expires, .. }] if expires.as_secs() == 300),
        "{events:?}"
    );
}

#[test]
fn a_423_a_302_and_a_403_are_taken_as_they_are_meant() {
    let (mut pair, first) = by_hand(11, order(Transport::Udp));
    let sent = give(
        &mut pair,
        &reply(&first, "423 Interval Too Brief", "Min-Expires: 1800\r\n"),
    );
    assert_eq!(header(&sent[0], "Expires"), Some("1800"));
    assert_eq!(header(&sent[0], "CSeq"), Some("2 REGISTER"));
    let moved = "Contact: <sip:elsewhere@203.0.113.9>\r\n";
    assert_eq!(
        give(&mut pair, &reply(&sent[0], "302 Moved Temporarily", moved)).len(),
        0
    );
    let events = pair.take_registrations(Left);
    let [
        RegistrationEvent::Failed {
            retry_in: Some(wait), ..
        },
    ] = events[..]
    else {
        panic!("{events:?}")
    };
    pair.run_for(wait);
    let third = pair.sent.last().unwrap().text.clone();
    assert_eq!(third.lines().next(), Some("REGISTER sip:192.0.2.2:5060 SIP/2.0"));
    give(&mut pair, &reply(&third, "403 Forbidden", ""));
    let events = pair.take_registrations(Left);
    assert!(
        matches!(events[..], [RegistrationEvent::Failed { retry_in: None, .. }]),
        "{events:?}"
    );
    let before = pair.sent.len();
    pair.run_for(Duration::from_secs(86_400));
    assert_eq!(pair.sent.len(), before);
}

fn challenge(request: &str, status: &str, realm: &str, more: &str) -> String {
    let name = if status.starts_with("401") { "WWW" } else { "Proxy" };
    let head = format!("{name}-Authenticate: Digest realm=\"{realm}\", nonce=\"n1\", qop=\"auth\"{more}\r\n");
    reply(request, status, &head)
}

#[test]
fn proxy_and_registrar_are_answered_once_each_and_both_counts_go_up() {
    let (mut pair, first) = by_hand(12, order(Transport::Udp));
    let second = give(
        &mut pair,
        &challenge(&first, "407 Proxy Authentication Required", "r", ""),
    );
    let third = give(&mut pair, &challenge(&second[0], "401 Unauthorized", "r", ""));
    let counts = |text: &str| {
        let of = |name| {
            header(text, name).and_then(|value| value.split("nc=").nth(1)?.get(..8).map(str::to_owned))
        };
        [of("Proxy-Authorization"), of("Authorization")]
    };
    assert_eq!(counts(&second[0]), [Some("00000001".to_owned()), None]);
    assert_eq!(
        counts(&third[0]),
        [Some("00000002".to_owned()), Some("00000001".to_owned())]
    );
    assert_eq!(
        give(
            &mut pair,
            &challenge(&third[0], "401 Unauthorized", "r", ", stale=true")
        )
        .len(),
        0
    );
    let events = pair.take_registrations(Left);
    assert!(
        matches!(events[..], [RegistrationEvent::Failed { .. }]),
        "{events:?}"
    );
}

#[test]
fn another_realm_or_address_gets_no_credentials() {
    let mut named = order(Transport::Udp);
    named.credentials.realm = Some("carrier".to_owned());
    let (mut pair, first) = by_hand(13, named.clone());
    assert_eq!(
        give(&mut pair, &challenge(&first, "401 Unauthorized", "elsewhere", "")).len(),
        0
    );

    let (mut pair, first) = by_hand(14, named);
    pair.left.set_allowed(vec!["192.0.2.0/24".parse().unwrap()]);
    let asked = challenge(&first, "401 Unauthorized", "carrier", "");
    pair.inject(Left, "192.0.2.66:5060".parse().unwrap(), &asked);
    assert!(pair.sent.iter().all(|sent| !sent.text.contains("uthorization")));
    assert_eq!(
        lines(&give(&mut pair, &asked)).len(),
        0,
        "its answer came already"
    );
    assert_eq!(PEER.address(), "192.0.2.2:5060".parse().unwrap());
}
