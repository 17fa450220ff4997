//! One UDP socket of a stream: how it is bound, connected, let go, and sent from.
//!
//! Knows nothing of pollers and rings.

use std::io::{self, IoSlice};
use std::net::{SocketAddr, UdpSocket};

use socket2::{Domain, Protocol, SockAddr, SockAddrStorage, SockRef, Socket, Type};

/// Kernel receive buffer asked for, bytes: the kernel doubles it and charges about 770 for a G.711
/// packet, so that about 40 packets (0.8 s) fit. Older audio is worthless.
const RECEIVE_BUFFER_BYTES: usize = 16 * 1024;

/// DSCP 46 (expedited forwarding, RFC 3246) in the place it has in the TOS byte.
const TOS_EXPEDITED: u32 = 46 << 2;

/// Binds a socket for media.
pub(super) fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
    // Marking is a wish: a host that forbids it still carries calls.
    match address {
        SocketAddr::V4(_) => drop(socket.set_tos_v4(TOS_EXPEDITED)),
        SocketAddr::V6(_) => {
            socket.set_only_v6(true)?;
            drop(socket.set_tclass_v6(TOS_EXPEDITED));
        }
    }
    socket.bind(&SockAddr::from(address))?;
    Ok(socket.into())
}

/// Lets the socket hear `peer` only, or everyone again; whom it hears only from now on. One that cannot be connected hears
/// everyone, as before, and the stream looks whom it believes.
pub(super) fn hear(socket: &UdpSocket, peer: Option<SocketAddr>) -> Option<SocketAddr> {
    let heard = peer.filter(|peer| connect(socket, Some(*peer)));
    if heard.is_none() {
        connect(socket, None);
    }
    heard
}

/// Whether it is connected, or let go, as asked. It stays bound where it is.
fn connect(socket: &UdpSocket, peer: Option<SocketAddr>) -> bool {
    match peer {
        Some(peer) => socket.connect(peer).is_ok(),
        None => SockRef::from(socket).connect(&nobody()).is_ok(),
    }
}

/// The address that ends a connection (connect(2): AF_UNSPEC).
fn nobody() -> SockAddr {
    let storage = SockAddrStorage::zeroed();
    let length = storage.size_of();
    // SAFETY: a zeroed storage is a valid address of the family AF_UNSPEC, which is 0, and of this length.
    unsafe { SockAddr::new(storage, length) }
}

/// Sends two parts as one packet; `peer` is whom the socket is connected to.
pub(super) fn send(
    socket: &UdpSocket,
    peer: Option<SocketAddr>,
    (head, tail): (&[u8], &[u8]),
    to: SocketAddr,
) -> bool {
    let parts = [IoSlice::new(head), IoSlice::new(tail)];
    let attempt = || match (peer == Some(to), tail.is_empty()) {
        (true, true) => socket.send(head),
        (true, false) => SockRef::from(socket).send_vectored(&parts),
        (false, true) => socket.send_to(head, to),
        (false, false) => SockRef::from(socket).send_to_vectored(&parts, &SockAddr::from(to)),
    };
    match attempt() {
        Ok(_) => true,
        // What a connected socket is told first is the fate of an earlier packet (ICMP), not of this one.
        Err(error) if peer.is_some() && error.kind() == io::ErrorKind::ConnectionRefused => attempt().is_ok(),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local() -> UdpSocket {
        bind("127.0.0.1:0".parse().unwrap()).unwrap()
    }

    fn heard(socket: &UdpSocket) -> Vec<u8> {
        let mut bytes = [0; 16];
        let mut heard = Vec::new();
        while let Ok((len, _)) = socket.recv_from(&mut bytes) {
            heard.extend(&bytes[..len]);
        }
        heard
    }

    #[test]
    fn a_connected_socket_hears_its_peer_only_and_keeps_its_port_when_it_is_let_go() {
        let (peer, stranger) = (local(), local());
        // A port that was asked for by number, as all of ours are; one the kernel chose is lost with the connection.
        let at = local().local_addr().unwrap();
        let ours = bind(at).unwrap();
        assert!(connect(&ours, Some(peer.local_addr().unwrap())));
        peer.send_to(b"p", at).unwrap();
        stranger.send_to(b"s", at).unwrap();
        assert_eq!(heard(&ours), b"p");
        assert!(connect(&ours, None));
        assert_eq!(ours.local_addr().unwrap(), at);
        stranger.send_to(b"s", at).unwrap();
        peer.send_to(b"p", at).unwrap();
        assert_eq!(heard(&ours), b"sp");
    }

    #[test]
    fn an_error_of_an_earlier_packet_does_not_take_the_next_one_along() {
        let (ours, peer) = (local(), local());
        let to = peer.local_addr().unwrap();
        assert!(connect(&ours, Some(to)));
        drop(peer);
        assert!(send(&ours, Some(to), (b"a", b""), to));
        let peer = bind(to).unwrap();
        assert!(
            send(&ours, Some(to), (b"b", b"c"), to),
            "the refusal of a is not that of bc"
        );
        assert_eq!(heard(&peer), b"bc");
    }

    #[test]
    fn both_parts_are_one_packet_whether_connected_or_not() {
        let (ours, peer) = (local(), local());
        let to = peer.local_addr().unwrap();
        assert!(send(&ours, None, (b"head", b"tail"), to));
        assert!(connect(&ours, Some(to)));
        assert!(send(&ours, Some(to), (b"head", b"tail"), to));
        let mut bytes = [0; 16];
        for _ in 0..2 {
            assert_eq!(
                peer.recv_from(&mut bytes).unwrap(),
                (8, ours.local_addr().unwrap())
            );
        }
    }
}
