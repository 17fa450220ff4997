//! What both engines keep, on real sockets.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use super::epoll::EpollIo;
use super::uring::UringIo;
use super::{Channel, Datagram, Io, Socket};
use crate::shard::ports::RtpPort;

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Turns after which whatever was sent must have come.
const TURNS: usize = 40;

/// Each engine, for `slots` streams. A kernel that refuses io_uring leaves one, and says so.
fn engines(slots: usize) -> Vec<Box<dyn Io>> {
    let mut engines: Vec<Box<dyn Io>> = vec![Box::new(EpollIo::new(slots).unwrap())];
    match UringIo::new(slots) {
        Ok(io) => engines.push(Box::new(io)),
        Err(error) => eprintln!("io_uring is not tested, as the kernel refuses it: {error}"),
    }
    engines
}

/// Opens a slot; gives where it takes RTP.
fn open(io: &mut dyn Io, slot: u32) -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        // Tests of one run are processes of their own: each begins somewhere else.
        let step = NEXT.fetch_add(2, Ordering::Relaxed);
        let first = 44_000 + (std::process::id() as u16 % 300) * 20;
        let port = first.wrapping_add(step) & !1;
        if io.open(slot, LOCALHOST, RtpPort(port)).is_ok() {
            return SocketAddr::new(LOCALHOST, port);
        }
    }
}

fn party() -> UdpSocket {
    let party = UdpSocket::bind((LOCALHOST, 0)).unwrap();
    party.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    party
}

fn heard(party: &UdpSocket) -> Vec<u8> {
    let mut bytes = [0; 2048];
    let len = party.recv(&mut bytes).unwrap();
    bytes[..len].to_vec()
}

/// One turn; what came, by socket.
fn turn(io: &mut dyn Io) -> Vec<(Socket, SocketAddr, Vec<u8>)> {
    let mut came = Vec::new();
    io.begin_turn();
    while let Some(Datagram { socket, from, buf }) = io.receive() {
        came.push((socket, from, io.packet(&buf).to_vec()));
        io.give(buf);
    }
    io.flush();
    came
}

/// Turns until `count` packets have come.
fn turns(io: &mut dyn Io, count: usize) -> Vec<(Socket, SocketAddr, Vec<u8>)> {
    let mut came = Vec::new();
    for _ in 0..TURNS {
        came.extend(turn(io));
        if came.len() >= count {
            break;
        }
    }
    came
}

fn rtp(slot: u32) -> Socket {
    Socket {
        slot,
        channel: Channel::Rtp,
    }
}

#[test]
fn a_packet_comes_with_its_source_and_leaves_from_where_it_lies() {
    for mut io in engines(2) {
        let (at, other_at) = (open(&mut *io, 0), open(&mut *io, 1));
        let (party, other) = (party(), party());
        turn(&mut *io);
        party.send_to(b"twelve bytes.payload", at).unwrap();
        io.begin_turn();
        let Datagram { socket, from, buf } = io.receive().unwrap();
        assert_eq!((socket, from), (rtp(0), party.local_addr().unwrap()));
        let part = io.stamp(&buf, b"HEADER BYTES", 12..20).unwrap();
        assert_eq!(part, 0..20);
        assert!(io.relay(rtp(1), &buf, part, other.local_addr().unwrap()));
        io.give(buf);
        io.flush();
        assert_eq!(heard(&other), b"HEADER BYTES.payload");
        assert!(io.send(rtp(1), b"head", b"tail", other.local_addr().unwrap()));
        let mut bytes = [0; 9];
        assert_eq!(other.recv_from(&mut bytes).unwrap(), (8, other_at));
        assert_eq!(io.refused(), None);
    }
}

#[test]
fn each_listener_of_one_packet_gets_its_own_header() {
    for mut io in engines(4) {
        let at: Vec<_> = (0..4).map(|slot| open(&mut *io, slot)).collect();
        let parties: Vec<_> = (0..4).map(|_| party()).collect();
        turn(&mut *io);
        parties[0].send_to(b"twelve bytes.payload", at[0]).unwrap();
        io.begin_turn();
        let Datagram { buf, .. } = io.receive().unwrap();
        for listener in 1..4u32 {
            let header = [b'0' + listener as u8; 12];
            let part = io.stamp(&buf, &header, 12..20).unwrap();
            let to = parties[listener as usize].local_addr().unwrap();
            assert!(io.relay(rtp(listener), &buf, part, to));
        }
        io.give(buf);
        io.flush();
        for (listener, party) in parties.iter().enumerate().skip(1) {
            let expected = [vec![b'0' + listener as u8; 12], b".payload".to_vec()].concat();
            assert_eq!(heard(party), expected);
        }
    }
}

#[test]
fn what_has_come_for_many_sockets_is_read_in_one_turn() {
    const SOCKETS: u32 = 100;
    for mut io in engines(SOCKETS as usize) {
        let at: Vec<_> = (0..SOCKETS).map(|slot| open(&mut *io, slot)).collect();
        let party = party();
        for round in 0..5u8 {
            turn(&mut *io);
            for at in &at {
                party.send_to(&[round; 20], at).unwrap();
            }
            let mut slots: Vec<_> = turn(&mut *io)
                .into_iter()
                .map(|(socket, ..)| socket.slot)
                .collect();
            slots.sort_unstable();
            assert_eq!(slots, (0..SOCKETS).collect::<Vec<_>>(), "round {round}");
        }
    }
}

#[test]
fn a_burst_beyond_every_buffer_is_caught_up_without_loss() {
    const SOCKETS: u32 = 8;
    for mut io in engines(SOCKETS as usize) {
        let at: Vec<_> = (0..SOCKETS).map(|slot| open(&mut *io, slot)).collect();
        let party = party();
        turn(&mut *io);
        // As many as the receive buffer of a socket holds.
        for number in 0..20u8 {
            for at in &at {
                party.send_to(&[number; 172], at).unwrap();
            }
        }
        let came = turns(&mut *io, 160);
        for slot in 0..SOCKETS {
            let numbers = came.iter().filter(|(socket, ..)| socket.slot == slot);
            let numbers: Vec<_> = numbers.map(|(.., bytes)| bytes[0]).collect();
            assert_eq!(numbers, (0..20).collect::<Vec<_>>(), "slot {slot}");
        }
        assert_eq!(io.counts().buffers_used, 0);
    }
}

#[test]
fn a_flooded_socket_does_not_hold_up_another() {
    for mut io in engines(2) {
        let (flooded, quiet) = (open(&mut *io, 0), open(&mut *io, 1));
        let party = party();
        turn(&mut *io);
        let (mut of_flood, mut of_quiet) = (0, 0);
        for _ in 0..TURNS {
            for _ in 0..200 {
                party.send_to(&[1; 172], flooded).unwrap();
            }
            party.send_to(&[2; 172], quiet).unwrap();
            for (socket, ..) in turn(&mut *io) {
                *if socket.slot == 0 {
                    &mut of_flood
                } else {
                    &mut of_quiet
                } += 1;
            }
        }
        assert_eq!(of_quiet, TURNS);
        // Of 8,000 packets; the rest was dropped by the kernel, at no cost to a turn.
        assert!(
            of_flood <= TURNS * 16,
            "{of_flood} packets of the flood were read"
        );
    }
}

#[test]
fn a_connected_socket_hears_its_peer_only_until_it_is_let_go() {
    for mut io in engines(1) {
        let at = open(&mut *io, 0);
        let (peer, stranger) = (party(), party());
        turn(&mut *io);
        io.connect(0, Some(peer.local_addr().unwrap()));
        assert_eq!(io.counts().connected, 1);
        stranger.send_to(b"stranger", at).unwrap();
        peer.send_to(b"peer", at).unwrap();
        let came = turns(&mut *io, 2);
        assert_eq!(came.len(), 1);
        assert_eq!(came[0].2, b"peer");
        assert!(io.send(rtp(0), b"to ", b"peer", peer.local_addr().unwrap()));
        assert_eq!(heard(&peer), b"to peer");
        // Another destination is still reached.
        assert!(io.send(rtp(0), b"elsewhere", b"", stranger.local_addr().unwrap()));
        assert_eq!(heard(&stranger), b"elsewhere");
        io.connect(0, None);
        assert_eq!(io.counts().connected, 0);
        stranger.send_to(b"stranger", at).unwrap();
        assert_eq!(turns(&mut *io, 1).len(), 1);
    }
}

#[test]
fn a_peer_whose_port_was_closed_is_heard_again() {
    for mut io in engines(1) {
        let at = open(&mut *io, 0);
        let peer = party();
        let to = peer.local_addr().unwrap();
        turn(&mut *io);
        io.connect(0, Some(to));
        drop(peer);
        for _ in 0..5 {
            io.send(rtp(0), b"into the void", b"", to);
            turn(&mut *io);
        }
        let peer = UdpSocket::bind(to).unwrap();
        peer.send_to(b"back", at).unwrap();
        assert_eq!(turns(&mut *io, 1).len(), 1);
    }
}

#[test]
fn a_pair_moves_with_everything_that_waits_in_it() {
    for mut old in engines(2) {
        let at = open(&mut *old, 1);
        let party = party();
        turn(&mut *old);
        party.send_to(b"before", at).unwrap();
        let mut pair = old.release(1).unwrap();
        assert!(old.release(1).is_none());
        party.send_to(b"between", at).unwrap();
        for mut new in engines(2) {
            new.adopt(0, pair).unwrap();
            party.send_to(b"after", at).unwrap();
            let came = turns(&mut *new, 3);
            let came: Vec<_> = came
                .iter()
                .map(|(socket, _, bytes)| (socket.slot, bytes.as_slice()))
                .collect();
            let expected: [&[u8]; 3] = [b"before", b"between", b"after"];
            assert_eq!(came, expected.map(|bytes| (0, bytes)));
            pair = new.release(0).unwrap();
            // For the next engine, as for this one.
            party.send_to(b"before", at).unwrap();
            party.send_to(b"between", at).unwrap();
        }
    }
}

#[test]
fn a_closed_pair_frees_its_ports_at_once() {
    for mut io in engines(1) {
        let at = open(&mut *io, 0);
        let above = SocketAddr::new(at.ip(), at.port() + 1);
        turn(&mut *io);
        party().send_to(b"unread", at).unwrap();
        io.close(0);
        assert!(UdpSocket::bind(at).is_ok() && UdpSocket::bind(above).is_ok());
        assert_eq!(turn(&mut *io), []);
        // The next stream of the slot gets nothing of the last one's.
        let next = open(&mut *io, 0);
        party().send_to(b"new", next).unwrap();
        assert_eq!(turns(&mut *io, 1).len(), 1);
        assert_eq!(io.counts().buffers_used, 0);
    }
}

#[test]
fn reports_come_within_a_few_turns_and_not_at_all_where_none_are_agreed() {
    for mut io in engines(1) {
        let at = open(&mut *io, 0);
        let above = SocketAddr::new(at.ip(), at.port() + 1);
        let party = party();
        turn(&mut *io);
        party.send_to(b"report", above).unwrap();
        let came = turns(&mut *io, 1);
        let channel = Channel::Rtcp;
        assert_eq!(came[0].0, Socket { slot: 0, channel });
        let from = Socket { slot: 0, channel };
        assert!(io.send(from, b"answer", b"", party.local_addr().unwrap()));
        assert_eq!(heard(&party), b"answer");
        io.watch_rtcp(0, false);
        assert!(!io.send(from, b"answer", b"", party.local_addr().unwrap()));
        party.send_to(b"report", above).ok();
        assert_eq!(turns(&mut *io, 1), []);
        io.watch_rtcp(0, true);
        party.send_to(b"report", above).ok();
        party.send_to(b"report", above).ok();
        assert!(!turns(&mut *io, 1).is_empty());
    }
}
