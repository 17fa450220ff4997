//! The real sockets of a shard: plain UDP, polled once a turn.
//!
//! A turn costs one `epoll_wait` and one `recvfrom` per socket that has something. A socket that also
//! had something in the turn before is read several times, so that a burst is caught up within a few
//! turns while a flooded socket cannot hold the others up (docs/threats.md A12).

use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket as Socket2, Type};

use super::io::{Channel, Io, Socket, Sockets};
use super::ports::RtpPort;

/// Packets taken from a socket that was already ready in the turn before.
const READS_IN_A_ROW_MAX: u32 = 8;

/// Sockets reported by one `epoll_wait`; the rest stays ready for the next turn.
pub const READY_MAX: usize = 4096;

/// Kernel receive buffer asked for, bytes: the kernel doubles it and charges about 770 for a G.711
/// packet, so that about 40 packets (0.8 s) fit. Older audio is worthless.
const RECEIVE_BUFFER_BYTES: usize = 16 * 1024;

/// DSCP 46 (expedited forwarding, RFC 3246) in the place it has in the TOS byte.
const TOS_EXPEDITED: u32 = 46 << 2;

/// Epoll data of the wake-up.
const WAKE: u64 = u64::MAX;

#[derive(Debug)]
struct Open {
    socket: UdpSocket,
    /// The turn this socket was last ready in.
    ready_turn: u64,
    /// Reads left in this turn.
    reads_left: u32,
}

#[derive(Debug)]
struct Pair {
    rtp: Open,
    rtcp: Open,
}

/// Sockets, the poller and the wake-up of one shard.
#[derive(Debug)]
pub struct EpollIo {
    epoll: Epoll,
    wake: Arc<EventFd>,
    pairs: Vec<Option<Pair>>,
    events: Vec<EpollEvent>,
    turn: u64,
}

impl EpollIo {
    /// A poller for up to `slots` streams.
    pub fn new(slots: usize) -> io::Result<Self> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let wake = Arc::new(EventFd::from_value_and_flags(0, flags)?);
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(&*wake, EpollEvent::new(EpollFlags::EPOLLIN, WAKE))?;
        Ok(Self {
            epoll,
            wake,
            pairs: std::iter::repeat_with(|| None).take(slots).collect(),
            events: vec![EpollEvent::empty(); READY_MAX.min(slots * 2 + 1)],
            turn: 0,
        })
    }

    /// What ends a sleep from another thread.
    pub fn waker(&self) -> Waker {
        Waker(Arc::clone(&self.wake))
    }

    /// Sleeps until something is ready, the wake-up is written, or `timeout` has passed.
    pub fn sleep(&mut self, timeout: Duration) {
        let timeout = EpollTimeout::try_from(timeout).unwrap_or(EpollTimeout::ZERO);
        // An interrupted wait is as good as a finished one: the caller looks at everything anyway.
        let _ = self.epoll.wait(&mut self.events, timeout);
        // Reset the wake-up, or the next sleep would end at once, and every one after it.
        let _ = self.wake.read();
    }

    fn open_one(&self, address: SocketAddr, data: u64) -> io::Result<Open> {
        let socket = Socket2::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
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
        self.watch(socket.into(), data)
    }

    fn watch(&self, socket: UdpSocket, data: u64) -> io::Result<Open> {
        self.epoll
            .add(&socket, EpollEvent::new(EpollFlags::EPOLLIN, data))?;
        Ok(Open {
            socket,
            ready_turn: 0,
            reads_left: 0,
        })
    }

    fn open_mut(&mut self, socket: Socket) -> Option<&mut Open> {
        let pair = self.pairs.get_mut(socket.slot as usize)?.as_mut()?;
        Some(match socket.channel {
            Channel::Rtp => &mut pair.rtp,
            Channel::Rtcp => &mut pair.rtcp,
        })
    }
}

/// Ends [`EpollIo::sleep`].
#[derive(Clone, Debug)]
pub struct Waker(Arc<EventFd>);

impl Waker {
    /// Ends the sleep, or the next one.
    pub fn wake(&self) {
        // A full counter means that a wake-up is already waiting.
        let _ = self.0.write(1);
    }
}

impl Io for EpollIo {
    fn open(&mut self, slot: u32, address: IpAddr, port: RtpPort) -> io::Result<()> {
        let rtp = self.open_one(SocketAddr::new(address, port.0), data(slot, Channel::Rtp))?;
        let rtcp = self.open_one(SocketAddr::new(address, port.0 + 1), data(slot, Channel::Rtcp))?;
        let place = self
            .pairs
            .get_mut(slot as usize)
            .ok_or(io::ErrorKind::OutOfMemory)?;
        debug_assert!(place.is_none(), "a slot is opened once");
        *place = Some(Pair { rtp, rtcp });
        Ok(())
    }

    fn close(&mut self, slot: u32) {
        // Closing a descriptor takes it out of the poller.
        if let Some(place) = self.pairs.get_mut(slot as usize) {
            *place = None;
        }
    }

    fn release(&mut self, slot: u32) -> Option<Sockets> {
        let Pair { rtp, rtcp } = self.pairs.get_mut(slot as usize)?.take()?;
        for open in [&rtp, &rtcp] {
            // What is open and was added can be taken out.
            let _ = self.epoll.delete(&open.socket);
        }
        Some(Sockets::System {
            rtp: rtp.socket,
            rtcp: rtcp.socket,
        })
    }

    fn adopt(&mut self, slot: u32, sockets: Sockets) -> io::Result<()> {
        let Sockets::System { rtp, rtcp } = sockets else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let rtp = self.watch(rtp, data(slot, Channel::Rtp))?;
        let rtcp = self.watch(rtcp, data(slot, Channel::Rtcp))?;
        let place = self
            .pairs
            .get_mut(slot as usize)
            .ok_or(io::ErrorKind::OutOfMemory)?;
        debug_assert!(place.is_none(), "a slot is opened once");
        *place = Some(Pair { rtp, rtcp });
        Ok(())
    }

    fn ready(&mut self, ready: &mut Vec<Socket>) {
        ready.clear();
        self.turn += 1;
        let room = (ready.capacity()).min(self.events.len());
        let Some(events) = self.events.get_mut(..room) else {
            return;
        };
        let count = self.epoll.wait(events, EpollTimeout::ZERO).unwrap_or(0);
        for at in 0..count {
            let Some(event) = self.events.get(at) else { break };
            if event.data() == WAKE {
                // Reset; a wake-up already taken by an earlier read is no loss.
                let _ = self.wake.read();
                continue;
            }
            let socket = socket(event.data());
            let turn = self.turn;
            let Some(open) = self.open_mut(socket) else {
                continue;
            };
            open.reads_left = if open.ready_turn + 1 == turn {
                READS_IN_A_ROW_MAX
            } else {
                1
            };
            open.ready_turn = turn;
            ready.push(socket);
        }
    }

    fn receive(&mut self, socket: Socket, into: &mut [u8]) -> Option<(usize, SocketAddr)> {
        let open = self.open_mut(socket)?;
        open.reads_left = open.reads_left.checked_sub(1)?;
        // An ICMP error of an earlier send is reported here once; the next turn reads on.
        open.socket.recv_from(into).ok()
    }

    fn send(&mut self, from: Socket, head: &[u8], tail: &[u8], to: SocketAddr) -> bool {
        let Some(open) = self.open_mut(from) else {
            return false;
        };
        if tail.is_empty() {
            return open.socket.send_to(head, to).is_ok();
        }
        let parts = [IoSlice::new(head), IoSlice::new(tail)];
        SockRef::from(&open.socket)
            .send_to_vectored(&parts, &SockAddr::from(to))
            .is_ok()
    }
}

fn data(slot: u32, channel: Channel) -> u64 {
    (u64::from(slot) << 1) | u64::from(channel == Channel::Rtcp)
}

fn socket(data: u64) -> Socket {
    let channel = if data & 1 == 0 {
        Channel::Rtp
    } else {
        Channel::Rtcp
    };
    Socket {
        slot: (data >> 1) as u32,
        channel,
    }
}
