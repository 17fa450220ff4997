//! Connections: framing, keep-alives, slow and greedy peers.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sip::endpoint::config::{CONNECTIONS_PER_ADDRESS_MAX, PENDING_PER_CONNECTION_MAX};
use sip::endpoint::{Command, Endpoint, EndpointConfig, Event, Flow, Output, Transport, Unanswered};

use super::wire::{lines, request};
use crate::*;

#[test]
fn messages_come_one_by_one_and_many_at_once() {
    let (mut endpoint, flow, now) = connected();
    let text = [over_tcp("1"), over_tcp("2")].concat();
    let mut sent = vec![];
    for piece in text.as_bytes().chunks(7) {
        endpoint.handle_stream(flow, Bytes::copy_from_slice(piece), now);
        sent.extend(sends(&mut endpoint));
    }
    endpoint.handle_stream(flow, Bytes::from([over_tcp("3"), over_tcp("4")].concat()), now);
    sent.extend(sends(&mut endpoint));
    assert_eq!(lines(&sent), ["SIP/2.0 200 OK"; 4]);
}

#[test]
fn a_double_line_end_is_answered_with_one() {
    let (mut endpoint, flow, now) = connected();
    endpoint.handle_stream(flow, Bytes::from_static(b"\r\n\r\n"), now);
    assert_eq!(sends(&mut endpoint), ["\r\n"]);
}

#[test]
fn lost_framing_is_told_once_and_closes_the_connection() {
    let (mut endpoint, flow, now) = connected();
    let smuggled =
        over_tcp("1").replace("Content-Length: 0", "Content-Length: 0\r\nContent-Length: 9") + &over_tcp("2");
    endpoint.handle_stream(flow, Bytes::from(smuggled), now);
    let outputs: Vec<_> = std::iter::from_fn(|| endpoint.poll_output()).collect();
    let [
        Output::Dropped { .. },
        Output::Send { bytes, .. },
        Output::Disconnect { .. },
    ] = outputs.as_slice()
    else {
        panic!("{outputs:?}")
    };
    assert!(bytes.starts_with(b"SIP/2.0 400 "));
    endpoint.handle_stream(flow, Bytes::from(over_tcp("3")), now);
    assert!(matches!(
        endpoint.poll_output(),
        Some(Output::Dropped {
            why: "unknown_connection",
            ..
        })
    ));
    assert_eq!((endpoint.connections(), endpoint.transactions()), (0, 0));
}

#[test]
fn a_message_that_takes_over_five_seconds_closes_the_connection() {
    let (mut endpoint, flow, start) = connected();
    endpoint.handle_stream(flow, Bytes::from_static(b"OPTIONS sip:"), start);
    // One byte now and then does not buy more time (docs/threats.md: B13).
    endpoint.handle_stream(flow, Bytes::from_static(b"x"), start + Duration::from_secs(4));
    assert_eq!(endpoint.next_deadline(), Some(start + Duration::from_secs(5)));
    endpoint.handle_timeout(start + Duration::from_secs(5));
    assert!(matches!(endpoint.poll_output(), Some(Output::Disconnect { .. })));
    assert_eq!((endpoint.connections(), endpoint.next_deadline()), (0, None));
}

#[test]
fn an_idle_connection_is_closed_after_two_hours() {
    let (mut endpoint, flow, start) = connected();
    let later = start + Duration::from_secs(3_600);
    endpoint.handle_stream(flow, Bytes::from_static(b"\r\n"), later);
    assert_eq!(endpoint.next_deadline(), Some(later + Duration::from_secs(7_200)));
    endpoint.handle_timeout(later + Duration::from_secs(7_200));
    assert!(matches!(endpoint.poll_output(), Some(Output::Disconnect { .. })));
}

#[test]
fn a_connection_that_does_not_open_fails_what_waits_for_it() {
    let (mut endpoint, _, start) = connected();
    let mut invite = Pair::invite(Side::Left, 1, Transport::Tcp);
    invite.flow.remote.set_port(5070);
    endpoint.handle_command(Command::Invite(Box::new(invite)), start);
    assert!(matches!(endpoint.poll_output(), Some(Output::Connect { .. })));
    assert_eq!(endpoint.next_deadline(), Some(start + Duration::from_secs(10)));
    endpoint.handle_timeout(start + Duration::from_secs(10));
    assert!(matches!(endpoint.poll_output(), Some(Output::Disconnect { .. })));
    let event = endpoint.poll_output();
    assert!(matches!(
        event,
        Some(Output::Event(Event::Unanswered {
            why: Unanswered::Transport,
            ..
        }))
    ));
    assert_eq!((endpoint.sessions(), endpoint.transactions()), (0, 0));
}

#[test]
fn one_address_cannot_take_every_connection() {
    let (mut endpoint, flow, now) = connected();
    for more in 1..CONNECTIONS_PER_ADDRESS_MAX {
        endpoint.handle_connected(from_port(flow, more as u16), now);
        assert!(endpoint.poll_output().is_none());
    }
    endpoint.handle_connected(from_port(flow, 9_999), now);
    assert!(matches!(
        endpoint.poll_output(),
        Some(Output::Dropped {
            why: "connections_full",
            ..
        })
    ));
    assert!(matches!(endpoint.poll_output(), Some(Output::Disconnect { .. })));
    assert_eq!(endpoint.connections(), CONNECTIONS_PER_ADDRESS_MAX);
    let other = Flow {
        remote: "192.0.2.3:1".parse().unwrap(),
        ..flow
    };
    endpoint.handle_connected(other, now);
    assert!(endpoint.poll_output().is_none());
}

#[test]
fn what_waits_for_a_connection_is_bounded() {
    let (mut endpoint, _, now) = connected();
    let mut failed = 0;
    for session in 0..=PENDING_PER_CONNECTION_MAX {
        let mut invite = Pair::invite(Side::Left, session as u64, Transport::Tcp);
        invite.flow.remote.set_port(5070);
        endpoint.handle_command(Command::Invite(Box::new(invite)), now);
        while let Some(output) = endpoint.poll_output() {
            failed += usize::from(matches!(output, Output::Event(Event::Unanswered { .. })));
        }
    }
    assert_eq!(failed, PENDING_PER_CONNECTION_MAX + 1);
    assert_eq!((endpoint.sessions(), endpoint.transactions()), (0, 0));
}

#[test]
fn an_unlisted_address_may_not_connect() {
    let (mut endpoint, flow, now) = connected();
    let stranger = Flow {
        remote: "192.0.2.66:1".parse().unwrap(),
        ..flow
    };
    endpoint.handle_connected(stranger, now);
    assert!(matches!(
        endpoint.poll_output(),
        Some(Output::Dropped {
            why: "unlisted_source",
            ..
        })
    ));
    assert!(matches!(endpoint.poll_output(), Some(Output::Disconnect { .. })));
    assert_eq!(endpoint.connections(), 1);
}

fn connected() -> (Endpoint, Flow, Instant) {
    let local: SocketAddr = Side::Left.address();
    let mut endpoint = Endpoint::new(EndpointConfig::simple(Transport::Tcp, local), [3; 32]);
    endpoint.set_allowed(vec!["192.0.2.0/28".parse().unwrap()]);
    let flow = Flow {
        transport: Transport::Tcp,
        local,
        remote: "192.0.2.2:1000".parse().unwrap(),
    };
    let now = Instant::now();
    endpoint.handle_connected(flow, now);
    assert!(endpoint.poll_output().is_none());
    (endpoint, flow, now)
}

fn from_port(flow: Flow, port: u16) -> Flow {
    Flow {
        remote: SocketAddr::new(flow.remote.ip(), port),
        ..flow
    }
}

fn over_tcp(branch: &str) -> String {
    let cseq = branch.parse().unwrap();
    request("OPTIONS", branch, cseq, "", "").replace("SIP/2.0/UDP", "SIP/2.0/TCP")
}

fn sends(endpoint: &mut Endpoint) -> Vec<String> {
    let mut sent = vec![];
    while let Some(output) = endpoint.poll_output() {
        if let Output::Send { bytes, .. } = output {
            sent.push(String::from_utf8(bytes.to_vec()).unwrap());
        }
    }
    sent
}
