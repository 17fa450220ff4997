//! The RTCP sockets of one shard, in a poll set of their own that is looked at every few turns: reports come every
//! few seconds, and the packets of a turn should not pay for their sockets.
//!
//! Knows nothing of what is in a report.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::{Channel, Socket, udp};

/// Turns between two looks: a report is read at most 5 ms late, which is what a measured round trip gains.
const LOOK_TURNS: u32 = 5;

/// Sockets reported by one look; the rest stays ready for the next.
const READY_MAX: usize = 64;

/// All of them, by slot.
#[derive(Debug)]
pub(super) struct RtcpSockets {
    epoll: Epoll,
    sockets: Vec<Option<Open>>,
    events: Vec<EpollEvent>,
    /// Of `events`: how many there are, and how many were read.
    ready: usize,
    read: usize,
    /// Turns until the next look.
    rest: u32,
}

#[derive(Debug)]
struct Open {
    at: SocketAddr,
    /// None while no RTCP is agreed.
    socket: Option<UdpSocket>,
}

impl RtcpSockets {
    /// A poll set for up to `slots` streams.
    pub fn new(slots: usize) -> io::Result<Self> {
        Ok(Self {
            epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?,
            sockets: std::iter::repeat_with(|| None).take(slots).collect(),
            events: vec![EpollEvent::empty(); READY_MAX],
            ready: 0,
            read: 0,
            rest: 0,
        })
    }

    /// Takes in the socket of a stream; without one it is opened when it is wanted.
    pub fn insert(&mut self, slot: u32, at: SocketAddr, socket: Option<UdpSocket>) -> io::Result<()> {
        if let Some(socket) = &socket {
            self.add(socket, slot)?;
        }
        let place = self
            .sockets
            .get_mut(slot as usize)
            .ok_or(io::ErrorKind::OutOfMemory)?;
        debug_assert!(place.is_none(), "a slot is opened once");
        *place = Some(Open { at, socket });
        Ok(())
    }

    /// Lets go of the socket of a stream.
    pub fn remove(&mut self, slot: u32) -> Option<(SocketAddr, Option<UdpSocket>)> {
        let Open { at, socket } = self.sockets.get_mut(slot as usize)?.take()?;
        if let Some(socket) = &socket {
            // What was added can be taken out.
            let _ = self.epoll.delete(socket);
        }
        Some((at, socket))
    }

    /// Opens the socket of a stream, or closes it. One that cannot be opened again stays closed: no report is heard.
    pub fn watch(&mut self, slot: u32, wanted: bool) {
        let Some(Some(open)) = self.sockets.get_mut(slot as usize) else {
            return;
        };
        if wanted == open.socket.is_some() {
            return;
        }
        // Closing a descriptor takes it out of the poller.
        open.socket = None;
        let opened = wanted.then(|| udp::bind(open.at).ok()).flatten();
        let Some(socket) = opened.filter(|socket| self.add(socket, slot).is_ok()) else {
            return;
        };
        if let Some(Some(open)) = self.sockets.get_mut(slot as usize) {
            open.socket = Some(socket);
        }
    }

    fn add(&self, socket: &UdpSocket, slot: u32) -> io::Result<()> {
        let event = EpollEvent::new(EpollFlags::EPOLLIN, u64::from(slot));
        Ok(self.epoll.add(socket, event)?)
    }

    /// Begins a turn.
    pub fn begin_turn(&mut self) {
        (self.ready, self.read) = (0, 0);
        self.rest = match self.rest.checked_sub(1) {
            Some(rest) => rest,
            None => {
                self.ready = self.epoll.wait(&mut self.events, EpollTimeout::ZERO).unwrap_or(0);
                LOOK_TURNS - 1
            }
        };
    }

    /// The next report of this turn: one of each socket.
    pub fn receive(&mut self, into: &mut [u8]) -> Option<(Socket, usize, SocketAddr)> {
        while self.read < self.ready {
            let event = self.events.get(self.read)?;
            self.read += 1;
            let slot = event.data() as u32;
            if let Some(Some(socket)) = self
                .sockets
                .get(slot as usize)
                .map(|open| open.as_ref()?.socket.as_ref())
                && let Ok((len, from)) = socket.recv_from(into)
            {
                let channel = Channel::Rtcp;
                return Some((Socket { slot, channel }, len, from));
            }
        }
        None
    }

    /// Sends a report.
    pub fn send(&self, slot: u32, report: &[u8], to: SocketAddr) -> bool {
        let open = self.sockets.get(slot as usize).and_then(Option::as_ref);
        let socket = open.and_then(|open| open.socket.as_ref());
        socket.is_some_and(|socket| udp::send(socket, None, (report, &[]), to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns_until_read(set: &mut RtcpSockets) -> Option<(u32, u32)> {
        let mut bytes = [0; 100];
        (1..=2 * LOOK_TURNS).find_map(|turn| {
            set.begin_turn();
            set.receive(&mut bytes).map(|(socket, ..)| (turn, socket.slot))
        })
    }

    fn open(set: &mut RtcpSockets, slot: u32) -> SocketAddr {
        let socket = udp::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let at = socket.local_addr().unwrap();
        set.insert(slot, at, Some(socket)).unwrap();
        at
    }

    #[test]
    fn a_report_is_read_within_a_few_turns() {
        let mut set = RtcpSockets::new(4).unwrap();
        let at = open(&mut set, 3);
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert_eq!(turns_until_read(&mut set), None);
        peer.send_to(b"report", at).unwrap();
        let (turn, slot) = turns_until_read(&mut set).unwrap();
        assert!(turn <= LOOK_TURNS && slot == 3, "turn {turn}");
        assert!(set.send(3, b"answer", peer.local_addr().unwrap()));
        let mut bytes = [0; 100];
        assert_eq!(peer.recv_from(&mut bytes).unwrap(), (6, at));
    }

    #[test]
    fn a_socket_that_is_not_wanted_is_closed_and_opened_again_at_its_port() {
        let mut set = RtcpSockets::new(1).unwrap();
        let at = open(&mut set, 0);
        set.watch(0, false);
        assert!(!set.send(0, b"report", at));
        drop(UdpSocket::bind(at).expect("the port is free"));
        set.watch(0, true);
        UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"r", at).unwrap();
        assert!(turns_until_read(&mut set).is_some());
        let (its, socket) = set.remove(0).unwrap();
        assert!(its == at && socket.is_some());
    }
}
