//! Whether a peer is there and how it is reached: OPTIONS, long requests, keep-alives.

use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;
use sip::endpoint::config::{PING_IDLE, PONG_WAIT};
use sip::endpoint::oversize::DATAGRAM_REQUEST_BYTES_MAX;
use sip::endpoint::{Endpoint, EndpointConfig, Flow, OutgoingProbe, Output};
use sip::network::Network;

use crate::*;

#[test]
fn a_long_invite_goes_by_tcp() {
    let mut pair = pair(1);
    pair.command(Side::Left, Command::Invite(Box::new(long_invite())));
    pair.run_for(ms(100));
    let invite = &pair.sent[0];
    assert!(
        invite.text.len() > DATAGRAM_REQUEST_BYTES_MAX,
        "{}",
        invite.text.len()
    );
    assert!(invite.text.contains("Via: SIP/2.0/TCP "), "{}", invite.text);
    assert!(invite.text.contains(";transport=tcp"), "{}", invite.text);
    assert!(matches!(pair.take_events(Side::Right)[..], [Event::Incoming(_)]));
}

#[test]
fn a_short_invite_stays_with_udp() {
    let mut pair = pair(2);
    let invite = Pair::invite(Side::Left, 1, Transport::Udp);
    pair.command(Side::Left, Command::Invite(Box::new(invite)));
    pair.run_for(ms(100));
    assert!(pair.sent[0].text.contains("Via: SIP/2.0/UDP "));
}

#[test]
fn a_long_invite_goes_by_udp_where_tcp_is_refused_and_the_call_comes_up() {
    let mut pair = pair(3);
    pair.refuses_connections = true;
    pair.command(Side::Left, Command::Invite(Box::new(long_invite())));
    pair.run_for(ms(100));
    let events = pair.take_events(Side::Right);
    let [Event::Incoming(invite)] = events.as_slice() else {
        panic!("{events:?}")
    };
    let text = &pair.sent[0].text;
    assert!(
        text.contains("Via: SIP/2.0/UDP ") && !text.contains(";transport=tcp"),
        "{text}"
    );
    let session = invite.session;
    pair.command(Side::Right, answer(session));
    pair.run_for(ms(100));
    assert!(matches!(
        pair.take_events(Side::Left)[..],
        [Event::Answered { session: OUT, .. }]
    ));
    pair.command(Side::Left, bye(OUT));
    pair.run_for(ms(60_000));
    assert_eq!((pair.left.sessions(), pair.left.transactions()), (0, 0));
}

#[test]
fn a_call_given_up_before_tcp_is_refused_is_not_tried_again() {
    let mut pair = pair(4);
    pair.refuses_connections = true;
    let invite = long_invite();
    let now = pair.now;
    pair.left.handle_command(Command::Invite(Box::new(invite)), now);
    let Some(Output::Connect { flow }) = pair.left.poll_output() else {
        panic!()
    };
    pair.left.handle_command(cancel(OUT), now);
    assert!(pair.left.poll_output().is_none());
    pair.left.handle_disconnected(flow, now);
    let sends =
        std::iter::from_fn(|| pair.left.poll_output()).filter(|output| matches!(output, Output::Send { .. }));
    assert_eq!(sends.count(), 0);
}

#[test]
fn options_are_answered_and_silence_and_failure_are_told() {
    let mut left = alone();
    let mut right = Endpoint::new(
        EndpointConfig::simple(Transport::Udp, Side::Right.address()),
        [4; 32],
    );
    right.set_allowed(vec![Network::host(Side::Left.address().ip())]);
    let now = Instant::now();
    left.handle_command(probe(7), now);
    let Some(Output::Send { bytes, .. }) = left.poll_output() else {
        panic!()
    };
    assert!(bytes.starts_with(b"OPTIONS sip:192.0.2.2:5060 SIP/2.0\r\n"));
    right.handle_datagram(Side::Right.flow(Transport::Udp), bytes, now);
    let Some(Output::Send { bytes, .. }) = right.poll_output() else {
        panic!()
    };
    left.handle_datagram(Side::Left.flow(Transport::Udp), bytes, now);
    assert!(matches!(
        left.poll_output(),
        Some(Output::Probed {
            number: 7,
            status: Some(200)
        })
    ));

    left.handle_command(probe(8), now);
    assert!(left.poll_output().is_some());
    left.handle_disconnected(Side::Left.flow(Transport::Udp), now);
    assert!(matches!(
        left.poll_output(),
        Some(Output::Probed {
            number: 8,
            status: None
        })
    ));

    left.handle_command(probe(9), now);
    let end = now + ms(40_000);
    let mut told = vec![];
    loop {
        told.extend(
            std::iter::from_fn(|| left.poll_output())
                .filter(|output| matches!(output, Output::Probed { .. })),
        );
        let Some(at) = left.next_deadline().filter(|at| *at <= end) else {
            break;
        };
        left.handle_timeout(at);
    }
    assert!(
        matches!(
            told[..],
            [Output::Probed {
                number: 9,
                status: None
            }]
        ),
        "{told:?}"
    );
    assert_eq!(left.transactions(), 0);
}

#[test]
fn a_quiet_connection_of_ours_is_pinged_and_closed_once_a_peer_stops_to_answer() {
    let (mut endpoint, flow, start) = opened();
    let first = start + PING_IDLE;
    assert_eq!(endpoint.next_deadline(), Some(first));
    endpoint.handle_timeout(first);
    assert_eq!(sent(&mut endpoint), ["\r\n\r\n"]);
    endpoint.handle_stream(flow, Bytes::from_static(b"\r\n"), first + ms(20));
    let second = first + ms(20) + PING_IDLE;
    assert_eq!(endpoint.next_deadline(), Some(second));
    endpoint.handle_timeout(second);
    assert_eq!(sent(&mut endpoint), ["\r\n\r\n"]);
    assert_eq!(endpoint.next_deadline(), Some(second + PONG_WAIT));
    endpoint.handle_timeout(second + PONG_WAIT);
    assert!(matches!(endpoint.poll_output(), Some(Output::Disconnect { .. })));
    assert_eq!(endpoint.connections(), 0);
}

#[test]
fn a_peer_that_knows_no_keep_alives_keeps_its_connection() {
    let (mut endpoint, _, mut now) = opened();
    for _ in 0..5 {
        now += PING_IDLE;
        endpoint.handle_timeout(now);
        assert_eq!(sent(&mut endpoint), ["\r\n\r\n"]);
        now += PONG_WAIT;
        endpoint.handle_timeout(now);
        assert!(endpoint.poll_output().is_none());
    }
    assert_eq!(endpoint.connections(), 1);
}

fn long_invite() -> sip::endpoint::OutgoingInvite {
    let mut invite = Pair::invite(Side::Left, 1, Transport::Udp);
    invite.sdp = Bytes::from(vec![b'x'; DATAGRAM_REQUEST_BYTES_MAX]);
    invite
}

fn alone() -> Endpoint {
    let mut endpoint = Endpoint::new(
        EndpointConfig::simple(Transport::Udp, Side::Left.address()),
        [3; 32],
    );
    endpoint.set_allowed(vec![Network::host(Side::Right.address().ip())]);
    endpoint
}

fn probe(number: u64) -> Command {
    Command::Probe(Box::new(OutgoingProbe {
        number,
        flow: Side::Left.flow(Transport::Udp),
        request_uri: "sip:192.0.2.2:5060".into(),
        from: "<sip:gw@192.0.2.1>".into(),
    }))
}

/// A connection that we opened, quiet since `Instant`.
fn opened() -> (Endpoint, Flow, Instant) {
    let local: SocketAddr = Side::Left.address();
    let mut endpoint = Endpoint::new(EndpointConfig::simple(Transport::Tcp, local), [3; 32]);
    endpoint.set_allowed(vec![Network::host(Side::Right.address().ip())]);
    let now = Instant::now();
    let mut probe = OutgoingProbe {
        number: 1,
        flow: Side::Left.flow(Transport::Tcp),
        request_uri: "sip:192.0.2.2:5060;transport=tcp".into(),
        from: "<sip:gw@192.0.2.1>".into(),
    };
    probe.flow.local = local;
    let flow = probe.flow;
    endpoint.handle_command(Command::Probe(Box::new(probe)), now);
    assert!(matches!(endpoint.poll_output(), Some(Output::Connect { .. })));
    endpoint.handle_connected(flow, now);
    let sent = sent(&mut endpoint);
    assert!(sent[0].starts_with("OPTIONS "), "{sent:?}");
    let head = |name: &str| {
        sent[0]
            .lines()
            .find(|line| line.starts_with(name))
            .unwrap()
            .to_owned()
    };
    let answer = format!(
        "SIP/2.0 200 OK\r\n{}\r\n{}\r\n{};tag=b\r\n{}\r\n{}\r\nContent-Length: 0\r\n\r\n",
        head("Via:"),
        head("From:"),
        head("To:"),
        head("Call-ID:"),
        head("CSeq:"),
    );
    endpoint.handle_stream(flow, Bytes::from(answer), now);
    assert!(matches!(
        endpoint.poll_output(),
        Some(Output::Probed {
            status: Some(200),
            ..
        })
    ));
    // Timer K of a reliable transport is zero.
    endpoint.handle_timeout(now);
    (endpoint, flow, now)
}

fn sent(endpoint: &mut Endpoint) -> Vec<String> {
    let outputs = std::iter::from_fn(|| endpoint.poll_output());
    let sends = outputs.filter_map(|output| match output {
        Output::Send { bytes, .. } => Some(String::from_utf8(bytes.to_vec()).unwrap()),
        _ => None,
    });
    sends.collect()
}
