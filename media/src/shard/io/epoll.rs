//! The engine of plain system calls, which every promise of the gateway holds on: one `epoll_wait` a turn, one
//! `recvfrom` for each socket that has something, one send for each packet.
//!
//! A socket that had something in the turn before as well is behind and is read several times, so that a burst is
//! caught up within a few turns while a flooded socket cannot hold the others up (docs/threats.md A12). A packet is
//! passed on before the next is read, so one buffer is all there is. Knows nothing of RTP.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::ops::Range;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::rtcp::RtcpSockets;
use super::{Channel, Datagram, Io, IoCounts, Pair, Socket, Sockets, Waiting, stamp_in_place, udp};
use crate::packet::{Buf, Pool};
use crate::rtp::Header;
use crate::shard::ports::RtpPort;

/// Packets taken from a socket that was already ready in the turn before.
const READS_IN_A_ROW_MAX: u32 = 8;

/// Sockets reported by one `epoll_wait`; the rest stays ready for the next turn.
pub const READY_MAX: usize = 4096;

#[derive(Debug)]
struct Open {
    socket: UdpSocket,
    /// Whom it is connected to.
    peer: Option<SocketAddr>,
    /// The turn it was last ready in.
    ready_turn: u64,
    /// Reads left in this turn.
    reads_left: u32,
}

/// Sockets and poller of one shard.
#[derive(Debug)]
pub struct EpollIo {
    rtp: RtpSockets,
    rtcp: RtcpSockets,
    /// What came along with sockets of other shards.
    waiting: VecDeque<(u32, Waiting)>,
    pool: Pool,
}

/// The RTP sockets, by slot.
#[derive(Debug)]
struct RtpSockets {
    epoll: Epoll,
    open: Vec<Option<Open>>,
    events: Vec<EpollEvent>,
    /// Of `events`: how many there are, and how many are done.
    ready: usize,
    done: usize,
    turn: u64,
    connected: u64,
}

impl EpollIo {
    /// A poller for up to `slots` streams.
    pub fn new(slots: usize) -> io::Result<Self> {
        Ok(Self {
            rtp: RtpSockets {
                epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?,
                open: std::iter::repeat_with(|| None).take(slots).collect(),
                events: vec![EpollEvent::empty(); READY_MAX.min(slots + 1)],
                ready: 0,
                done: 0,
                turn: 0,
                connected: 0,
            },
            rtcp: RtcpSockets::new(slots)?,
            waiting: VecDeque::new(),
            pool: Pool::new(1),
        })
    }
}

impl RtpSockets {
    fn insert(&mut self, slot: u32, socket: UdpSocket, peer: Option<SocketAddr>) -> io::Result<()> {
        let place = self
            .open
            .get_mut(slot as usize)
            .ok_or(io::ErrorKind::OutOfMemory)?;
        debug_assert!(place.is_none(), "a slot is opened once");
        self.epoll
            .add(&socket, EpollEvent::new(EpollFlags::EPOLLIN, u64::from(slot)))?;
        self.connected += u64::from(peer.is_some());
        *place = Some(Open {
            socket,
            peer,
            ready_turn: 0,
            reads_left: 0,
        });
        Ok(())
    }

    fn remove(&mut self, slot: u32) -> Option<Open> {
        let open = self.open.get_mut(slot as usize)?.take()?;
        self.connected -= u64::from(open.peer.is_some());
        // What is open and was added can be taken out.
        let _ = self.epoll.delete(&open.socket);
        Some(open)
    }

    fn begin_turn(&mut self) {
        self.turn += 1;
        self.done = 0;
        self.ready = self.epoll.wait(&mut self.events, EpollTimeout::ZERO).unwrap_or(0);
    }

    fn send(&self, slot: u32, parts: (&[u8], &[u8]), to: SocketAddr) -> bool {
        let open = self.open.get(slot as usize).and_then(Option::as_ref);
        open.is_some_and(|open| udp::send(&open.socket, open.peer, parts, to))
    }

    /// The next packet of this turn.
    fn receive(&mut self, into: &mut [u8]) -> Option<(Socket, usize, SocketAddr)> {
        while self.done < self.ready {
            let slot = self.events.get(self.done)?.data() as u32;
            let Some(Some(open)) = self.open.get_mut(slot as usize) else {
                self.done += 1;
                continue;
            };
            if open.ready_turn != self.turn {
                let is_behind = open.ready_turn + 1 == self.turn;
                (open.ready_turn, open.reads_left) =
                    (self.turn, if is_behind { READS_IN_A_ROW_MAX } else { 1 });
            }
            open.reads_left -= 1;
            // A connected socket reports the ICMP error of an earlier send here, once; the next turn reads on.
            let read = open.socket.recv_from(into).ok();
            if read.is_none() || open.reads_left == 0 {
                self.done += 1;
            }
            if let Some((len, from)) = read {
                return Some((rtp(slot), len, from));
            }
        }
        None
    }
}

impl Io for EpollIo {
    fn open(&mut self, slot: u32, address: IpAddr, port: RtpPort) -> io::Result<()> {
        let rtcp_at = SocketAddr::new(address, port.0 + 1);
        let socket = udp::bind(SocketAddr::new(address, port.0))?;
        let rtcp = udp::bind(rtcp_at)?;
        self.rtp.insert(slot, socket, None)?;
        self.rtcp.insert(slot, rtcp_at, Some(rtcp))
    }

    fn close(&mut self, slot: u32) {
        self.waiting.retain(|(of, _)| *of != slot);
        self.rtp.remove(slot);
        self.rtcp.remove(slot);
    }

    fn release(&mut self, slot: u32) -> Option<Sockets> {
        let Open { socket, peer, .. } = self.rtp.remove(slot)?;
        let (rtcp_at, rtcp) = self.rtcp.remove(slot)?;
        Some(Sockets::System(Box::new(Pair {
            rtp: socket,
            rtcp,
            rtcp_at,
            peer,
            waiting: take_waiting(&mut self.waiting, slot),
        })))
    }

    fn adopt(&mut self, slot: u32, sockets: Sockets) -> io::Result<()> {
        let Sockets::System(pair) = sockets else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        self.rtp.insert(slot, pair.rtp, pair.peer)?;
        self.rtcp.insert(slot, pair.rtcp_at, pair.rtcp)?;
        self.waiting
            .extend(pair.waiting.into_iter().map(|waiting| (slot, waiting)));
        Ok(())
    }

    fn connect(&mut self, slot: u32, peer: Option<SocketAddr>) {
        let Some(Some(open)) = self.rtp.open.get_mut(slot as usize) else {
            return;
        };
        self.rtp.connected -= u64::from(open.peer.is_some());
        open.peer = udp::hear(&open.socket, peer);
        self.rtp.connected += u64::from(open.peer.is_some());
    }

    fn watch_rtcp(&mut self, slot: u32, wanted: bool) {
        self.rtcp.watch(slot, wanted);
    }

    fn begin_turn(&mut self) {
        self.rtp.begin_turn();
        self.rtcp.begin_turn();
    }

    fn receive(&mut self) -> Option<Datagram> {
        let mut buf = self.pool.take()?;
        if let Some((slot, Waiting { bytes, from })) = self.waiting.pop_front() {
            self.pool.replace(&mut buf, &bytes);
            let socket = rtp(slot);
            return Some(Datagram { socket, from, buf });
        }
        let room = self.pool.room_mut(&buf);
        let read = self.rtp.receive(room);
        let Some((socket, len, from)) = read.or_else(|| self.rtcp.receive(room)) else {
            self.pool.give(buf);
            return None;
        };
        buf.set_len(len);
        Some(Datagram { socket, from, buf })
    }

    fn packet(&self, buf: &Buf) -> &[u8] {
        self.pool.packet(buf)
    }

    fn replace(&mut self, buf: &mut Buf, packet: &[u8]) {
        self.pool.replace(buf, packet);
    }

    fn stamp(
        &mut self,
        buf: &Buf,
        header: &[u8; Header::BYTES],
        payload: Range<usize>,
    ) -> Option<Range<usize>> {
        stamp_in_place(self.pool.packet_mut(buf), header, payload)
    }

    fn relay(&mut self, from: Socket, buf: &Buf, part: Range<usize>, to: SocketAddr) -> bool {
        let packet = self.pool.packet(buf).get(part).unwrap_or_default();
        self.rtp.send(from.slot, (packet, &[]), to)
    }

    fn send(&mut self, from: Socket, head: &[u8], tail: &[u8], to: SocketAddr) -> bool {
        match from.channel {
            Channel::Rtp => self.rtp.send(from.slot, (head, tail), to),
            Channel::Rtcp => self.rtcp.send(from.slot, head, to),
        }
    }

    fn give(&mut self, buf: Buf) {
        self.pool.give(buf);
    }

    fn flush(&mut self) {}

    fn refused(&mut self) -> Option<u32> {
        None
    }

    fn counts(&self) -> IoCounts {
        IoCounts {
            buffers_used: self.pool.level() as u64,
            buffers: self.pool.size() as u64,
            starved: self.pool.empty_total(),
            connected: self.rtp.connected,
        }
    }
}

fn rtp(slot: u32) -> Socket {
    let channel = Channel::Rtp;
    Socket { slot, channel }
}

/// Takes out what waits for one slot, in order.
pub(super) fn take_waiting(all: &mut VecDeque<(u32, Waiting)>, slot: u32) -> Vec<Waiting> {
    let (its, others): (VecDeque<_>, VecDeque<_>) = all.drain(..).partition(|(of, _)| *of == slot);
    *all = others;
    its.into_iter().map(|(_, waiting)| waiting).collect()
}
