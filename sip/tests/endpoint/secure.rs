//! TLS: what says so on the wire, and that nothing of a session under TLS ever goes in clear.

use std::net::SocketAddr;
use std::time::Instant;

use sip::endpoint::pair::{Pair, Side};
use sip::endpoint::{
    Command, Endpoint, EndpointConfig, Event, Flow, Listener, Output, SessionKey, Transport, Unanswered,
};

use super::wire::{header, request, tagged, to_tag};
use crate::*;

#[test]
fn what_goes_by_tls_says_so_and_names_no_sips() {
    let mut pair = pair(61);
    up(&mut pair, Transport::Tls);
    pair.command(Side::Left, bye(OUT));
    assert_comes_to_rest(&mut pair);
    // What keeps the connection open is no message.
    pair.sent.retain(|sent| !sent.text.trim().is_empty());
    let lines = pair.sent.iter().map(|sent| sent.text.lines().next().unwrap());
    let methods: Vec<_> = lines.map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(
        methods,
        ["INVITE", "SIP/2.0", "SIP/2.0", "SIP/2.0", "ACK", "BYE", "SIP/2.0"]
    );
    for sent in &pair.sent {
        assert!(
            sent.text.contains("\r\nVia: SIP/2.0/TLS 192.0.2."),
            "{}",
            sent.text
        );
        assert!(!sent.text.contains("sips:"), "{}", sent.text);
    }
    let contacts: Vec<_> = pair
        .sent
        .iter()
        .filter_map(|sent| header(&sent.text, "Contact"))
        .collect();
    assert!(contacts.len() >= 2);
    for contact in contacts {
        assert!(contact.ends_with(";transport=tls>"), "{contact}");
    }
}

#[test]
fn after_a_cut_a_session_goes_on_by_tls_from_either_side() {
    for side in [Side::Left, Side::Right] {
        let mut pair = pair(62);
        let callee = up(&mut pair, Transport::Tls);
        pair.cut_connections();
        pair.run_for(ms(100));
        let session = if side == Side::Left { OUT } else { callee };
        pair.command(side, bye(session));
        pair.run_for(ms(200));
        let last = pair.sent_by(side).last().copied().unwrap_or_default().to_owned();
        assert!(last.starts_with("BYE "), "{last}");
        assert_eq!(names(&pair.take_events(side.other())), ["Bye"]);
        assert_comes_to_rest(&mut pair);
    }
}

/// RFC 3261 §12.2.1.1 sends a BYE where Contact says; the transport of the session fills what it leaves out,
/// and a session under TLS takes no less (§26.2.1).
#[test]
fn the_next_hop_of_a_session_keeps_its_transport_or_gains_tls() {
    use Transport::{Tcp, Tls, Udp};
    for (home, contact, transport, port) in [
        (Tls, "sip:peer@192.0.2.2:5070", Tls, 5070),
        (Tls, "sip:peer@192.0.2.2", Tls, 5061),
        (Tls, "sip:peer@192.0.2.2:5070;transport=TLS", Tls, 5070),
        (Tls, "sips:peer@192.0.2.2:5070;transport=tcp", Tls, 5070),
        (Tls, "sip:peer@192.0.2.2:5070;transport=udp", Tls, 1000),
        (Tls, "sip:peer@192.0.2.2:5070;transport=tcp", Tls, 1000),
        (Tcp, "sip:peer@192.0.2.2:5070;transport=tls", Tls, 5070),
        (Tcp, "sips:peer@192.0.2.2", Tls, 5061),
        (Tcp, "sip:peer@192.0.2.2", Tcp, 5060),
        (Tcp, "sip:peer@192.0.2.2:5070;transport=udp", Udp, 5070),
    ] {
        let (mut endpoint, flow, now) = connected(home);
        let session = confirmed(&mut endpoint, flow, contact, now);
        endpoint.handle_disconnected(flow, now);
        assert!(endpoint.poll_output().is_none());
        endpoint.handle_command(bye(session), now);
        let (Some(Output::Connect { flow: to }) | Some(Output::Send { flow: to, .. })) =
            endpoint.poll_output()
        else {
            panic!("{contact}: nothing goes out")
        };
        assert_eq!(
            (to.transport, to.remote.port()),
            (transport, port),
            "{home:?} {contact}"
        );
    }
}

/// RFC 3261 §18.2.2, with the transport kept.
#[test]
fn a_response_whose_connection_is_gone_goes_by_tls_or_not_at_all() {
    for (via_port, port) in [(":5099", 5099), ("", 5061)] {
        let (mut endpoint, flow, now) = connected(Transport::Tls);
        let session = invited(&mut endpoint, flow, "sip:peer@192.0.2.2", via_port, now);
        endpoint.handle_disconnected(flow, now);
        endpoint.handle_command(answer(session), now);
        let Some(Output::Connect { flow: to }) = endpoint.poll_output() else {
            panic!("no connection is asked for")
        };
        assert_eq!((to.transport, to.remote.port()), (Transport::Tls, port));
        endpoint.handle_disconnected(to, now);
        assert!(endpoint.poll_output().is_none());
    }
}

#[test]
fn an_invite_whose_tls_connection_does_not_open_is_not_sent_otherwise() {
    let mut pair = pair(63);
    pair.refuses_connections = true;
    let invite = Pair::invite(Side::Left, 1, Transport::Tls);
    pair.command(Side::Left, Command::Invite(Box::new(invite)));
    pair.run_for(ms(100));
    let events = pair.take_events(Side::Left);
    assert!(
        matches!(
            events.as_slice(),
            [Event::Unanswered {
                why: Unanswered::Transport,
                ..
            }]
        ),
        "{events:?}"
    );
    assert!(pair.sent.is_empty());
}

/// A peer at port 1000 on an open connection, to an endpoint that listens on everything.
fn connected(transport: Transport) -> (Endpoint, Flow, Instant) {
    let local: SocketAddr = Side::Left.address();
    let listener = |transport| Listener {
        transport,
        local,
        host: local.ip().to_string(),
        port: local.port(),
    };
    let config = EndpointConfig {
        listeners: [Transport::Udp, Transport::Tcp, Transport::Tls]
            .map(listener)
            .into(),
        ..EndpointConfig::simple(transport, local)
    };
    let mut endpoint = Endpoint::new(config, [3; 32]);
    endpoint.set_allowed(vec!["192.0.2.0/28".parse().unwrap()]);
    let remote = "192.0.2.2:1000".parse().unwrap();
    let flow = Flow {
        transport,
        local,
        remote,
    };
    let now = Instant::now();
    endpoint.handle_connected(flow, now);
    assert!(endpoint.poll_output().is_none());
    (endpoint, flow, now)
}

/// An INVITE on the connection, and its session.
fn invited(endpoint: &mut Endpoint, flow: Flow, contact: &str, via_port: &str, now: Instant) -> SessionKey {
    let invite = request("INVITE", "1", 1, "Content-Type: application/sdp\r\n", "offer")
        .replace("192.0.2.2:5060;branch", &format!("192.0.2.2{via_port};branch"));
    endpoint.handle_stream(flow, by_hand(&invite, flow, contact), now);
    let mut session = None;
    while let Some(output) = endpoint.poll_output() {
        if let Output::Event(Event::Incoming(incoming)) = output {
            session = Some(incoming.session);
        }
    }
    session.unwrap()
}

fn confirmed(endpoint: &mut Endpoint, flow: Flow, contact: &str, now: Instant) -> SessionKey {
    confirmed_as(endpoint, flow, contact, now).0
}

/// The session of a call that is up, and our tag.
fn confirmed_as(endpoint: &mut Endpoint, flow: Flow, contact: &str, now: Instant) -> (SessionKey, String) {
    let session = invited(endpoint, flow, contact, "", now);
    endpoint.handle_command(answer(session), now);
    let Some(Output::Send { bytes, .. }) = endpoint.poll_output() else {
        panic!("no 200")
    };
    let ok = String::from_utf8(bytes.to_vec()).unwrap();
    let tag = to_tag(&ok).to_owned();
    let tags = [";tag=peer", &format!(";tag={tag}")];
    let ack = tagged("ACK", "2", 1, tags, "", "");
    endpoint.handle_stream(flow, by_hand(&ack, flow, contact), now);
    while endpoint.poll_output().is_some() {}
    (session, tag)
}

fn by_hand(text: &str, flow: Flow, contact: &str) -> Bytes {
    let word = format!("SIP/2.0/{:?}", flow.transport).to_uppercase();
    let text = text.replace("SIP/2.0/UDP", &word);
    Bytes::from(text.replace("<sip:peer@192.0.2.2:5060>", &format!("<{contact}>")))
}

/// Of two parties behind one address, told apart by what their connections have proved, neither ends the other's call,
/// nor does a connection that proves nothing; a further connection of its own party does.
#[test]
fn a_dialog_is_deaf_to_a_connection_that_proved_another_party() {
    let contact = "sip:peer@192.0.2.2:5060;transport=tls";
    for (port, status) in [(2_000, "481"), (3_000, "481"), (4_000, "200"), (1_000, "200")] {
        let (mut endpoint, flow, now) = of_two_parties();
        let other = at_port(flow, port);
        invited(&mut endpoint, flow, contact, "", now);
        let cancel = request("CANCEL", "1", 1, "", "");
        endpoint.handle_stream(other, by_hand(&cancel, other, contact), now);
        let line = first_line(&mut endpoint);
        assert!(line.contains(status), "CANCEL {port}: {line}");

        let (mut endpoint, flow, now) = of_two_parties();
        let (_, tag) = confirmed_as(&mut endpoint, flow, contact, now);
        if port != 1_000 {
            // Its own connection is gone; what it proved is not.
            endpoint.handle_disconnected(flow, now);
            while endpoint.poll_output().is_some() {}
        }
        let tags = [";tag=peer", &format!(";tag={tag}")];
        let bye = tagged("BYE", "3", 2, tags, "", "");
        endpoint.handle_stream(other, by_hand(&bye, other, contact), now);
        let line = first_line(&mut endpoint);
        assert!(line.contains(status), "BYE {port}: {line}");
    }
}

/// A CANCEL has the branch of its INVITE (RFC 3261 §9.1), so a stranger who has seen that may send one with it; neither
/// that one nor its repeats keep the true one from its end, whether they come after the INVITE or before it.
#[test]
fn a_strangers_cancel_does_not_swallow_the_true_one() {
    let contact = "sip:peer@192.0.2.2:5060;transport=tls";
    for (port, is_first) in [(2_000, false), (3_000, false), (2_000, true)] {
        let (mut endpoint, flow, now) = of_two_parties();
        let stranger = at_port(flow, port);
        let cancel = request("CANCEL", "1", 1, "", "");
        let cancel = by_hand(&cancel, flow, contact);
        if is_first {
            endpoint.handle_stream(stranger, cancel.clone(), now);
            assert!(first_line(&mut endpoint).contains("481"));
        }
        invited(&mut endpoint, flow, contact, "", now);
        for _ in 0..2 {
            endpoint.handle_stream(stranger, cancel.clone(), now);
            assert!(first_line(&mut endpoint).contains("481"), "{port}");
        }
        endpoint.handle_stream(flow, cancel, now);
        let (mut told, mut is_cancelled) = (vec![], false);
        while let Some(output) = endpoint.poll_output() {
            match output {
                Output::Send { flow: to, bytes } if to == flow => {
                    let text = String::from_utf8_lossy(&bytes);
                    told.push(text.lines().next().unwrap_or_default().to_owned());
                }
                Output::Event(Event::PeerCancelled { .. }) => is_cancelled = true,
                _ => {}
            }
        }
        assert_eq!(told, ["SIP/2.0 200 OK", "SIP/2.0 487 Request Terminated"]);
        assert!(is_cancelled, "{port}");
    }
}

/// What it costs to learn whose a connection is does not grow with the sessions of others.
#[test]
fn a_proof_touches_the_sessions_of_its_connection_alone() {
    let contact = "sip:peer@192.0.2.2:5060;transport=tls";
    let cost = |others: u32| {
        let (mut endpoint, flow, now) = of_two_parties();
        let fresh = at_port(flow, 5_000);
        endpoint.handle_connected(fresh, now);
        for number in 0..others {
            let invite =
                request("INVITE", &format!("o{number}"), 1, "", "").replace("by-hand", &number.to_string());
            endpoint.handle_stream(flow, by_hand(&invite, flow, contact), now);
            while endpoint.poll_output().is_some() {}
        }
        assert_eq!(endpoint.sessions(), others as usize);
        let spans = (0..50).map(|_| {
            let began = Instant::now();
            endpoint.prove(fresh, 1);
            began.elapsed()
        });
        spans.min().unwrap()
    };
    let (few, many) = (cost(10), cost(4_000));
    // A walk over all of them would take a hundred times as long.
    assert!(
        many < few * 20 + std::time::Duration::from_micros(2),
        "{few:?} {many:?}"
    );
}

fn at_port(flow: Flow, port: u16) -> Flow {
    Flow {
        remote: SocketAddr::new(flow.remote.ip(), port),
        ..flow
    }
}

/// Connections from ports 1000 and 4000 have proved one party, 2000 another, 3000 none.
fn of_two_parties() -> (Endpoint, Flow, Instant) {
    let (mut endpoint, flow, now) = connected(Transport::Tls);
    for (port, domain) in [
        (1_000, Some(0)),
        (2_000, Some(1)),
        (3_000, None),
        (4_000, Some(0)),
    ] {
        let flow = at_port(flow, port);
        if port != 1_000 {
            endpoint.handle_connected(flow, now);
        }
        if let Some(domain) = domain {
            endpoint.prove(flow, domain);
        }
    }
    (endpoint, flow, now)
}

/// The first line that is sent; nothing else is left.
fn first_line(endpoint: &mut Endpoint) -> String {
    let mut line = String::new();
    while let Some(output) = endpoint.poll_output() {
        if let Output::Send { bytes, .. } = output
            && line.is_empty()
        {
            let text = String::from_utf8_lossy(&bytes);
            line = text.lines().next().unwrap_or_default().to_owned();
        }
    }
    line
}
