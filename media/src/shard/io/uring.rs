//! The engine of io_uring: receives that stay armed and fill buffers of ours, and sends that leave from these buffers
//! with one system call for all of a turn.
//!
//! The kernel runs what has come for a ring only when asked, and at most twenty pieces of it at a time: whoever asks
//! once gets ever further behind, so `begin_turn` asks until the kernel says that nothing is left. What is made here is
//! sent by a plain system call, as its payload belongs to a sound or to a frame that is gone by then. Where the kernel
//! refuses a ring there is [`epoll`](super::epoll). Knows nothing of RTP.

mod buffers;
mod receives;

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::ops::Range;
use std::os::fd::AsRawFd;

use io_uring::squeue::Entry;
use io_uring::types::Fixed;
use io_uring::{IoUring, cqueue, opcode};
use nix::libc;
use socket2::SockAddr;

use super::epoll::take_waiting;
use super::rtcp::RtcpSockets;
use super::{Channel, Datagram, Io, IoCounts, Pair, Socket, Sockets, Waiting, stamp_in_place, udp};
use crate::packet::{Buf, HEADROOM_BYTES, SLOT_BYTES};
use crate::rtp::Header;
use crate::shard::ports::RtpPort;
use buffers::Buffers;
use receives::{Kind, Receive, State, Tag};

/// Requests that wait to be handed over; a full queue is handed over at once.
const SUBMISSIONS: u32 = 2048;

/// Completions that wait to be read. What does not fit is kept by the kernel, at some cost.
const COMPLETIONS: u32 = 8192;

/// Most buffers: ten turns of 4,000 legs. Without one left, packets wait in their sockets.
const BUFFERS_MAX: usize = 2048;

/// Fewest buffers.
const BUFFERS_MIN: usize = 64;

/// Times the kernel is asked in one turn for what has come: a bound for the turn, beyond every buffer there is.
const ASKS_MAX: u32 = 512;

/// Times a cancelled receive is waited for: it ends with the first.
const ENDS_MAX: u32 = 16;

/// Times a queue is handed over: the kernel takes all of it the first time, unless it has no memory.
const FLUSHES_MAX: u32 = 4;

/// Longest report that is read.
const REPORT_BYTES_MAX: usize = SLOT_BYTES - HEADROOM_BYTES;

/// Packets of one socket in one turn that make it rest: whoever floods a port is read at epoll's pace (A12).
const FLOOD_PACKETS: u32 = 32;

/// Turns a flooded socket rests. What does not fit its buffer meanwhile is dropped by the kernel, at no cost to us.
const REST_TURNS: u64 = 8;

/// `IORING_ENTER_GETEVENTS`: run what has come (io_uring_enter(2)).
const GETEVENTS: u32 = 1;

/// The sockets of one stream.
struct Open {
    socket: UdpSocket,
    /// Whom it is connected to.
    peer: Option<SocketAddr>,
    receive: Receive,
    /// Where its last packet went, as the kernel wants it: queued sends point here.
    to: Option<(SocketAddr, SockAddr)>,
    /// The queue its last send is in.
    queued_in: u64,
}

/// Sockets, ring and buffers of one shard.
pub struct UringIo {
    /// Closed before the buffers are freed.
    ring: IoUring,
    buffers: Buffers,
    /// By slot; never moved, as the kernel is given pointers into it.
    open: Box<[Option<Open>]>,
    rtcp: RtcpSockets,
    /// Packets that came and were not handed out yet.
    arrived: VecDeque<Datagram>,
    /// What came along with sockets of other shards.
    waiting: VecDeque<(u32, Waiting)>,
    /// Slots whose receive is to be armed.
    due: VecDeque<u32>,
    /// Flooded slots, and the turn in which each is due again.
    resting: VecDeque<(u64, u32)>,
    /// Slots of packets that were refused.
    refused: VecDeque<u32>,
    is_enabled: bool,
    turn: u64,
    /// Counts the queues of requests handed over.
    queue: u64,
    /// Counts the sockets taken in.
    generation: u32,
    starved: u64,
    connected: u64,
}

impl UringIo {
    /// A ring for up to `slots` streams; an error says that the kernel refuses it. The first turn binds it to its
    /// thread.
    pub fn new(slots: usize) -> io::Result<Self> {
        let ring = IoUring::builder()
            .setup_cqsize(COMPLETIONS)
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .setup_submit_all()
            .setup_r_disabled()
            .build(SUBMISSIONS)?;
        ring.submitter().register_files_sparse(slots as u32)?;
        let count = (2 * slots).next_power_of_two().clamp(BUFFERS_MIN, BUFFERS_MAX);
        let buffers = Buffers::new(&ring, count as u16)?;
        Ok(Self {
            ring,
            buffers,
            open: std::iter::repeat_with(|| None).take(slots).collect(),
            rtcp: RtcpSockets::new(slots)?,
            arrived: VecDeque::with_capacity(count + 1),
            waiting: VecDeque::new(),
            due: VecDeque::with_capacity(slots),
            resting: VecDeque::with_capacity(slots),
            refused: VecDeque::with_capacity(SUBMISSIONS as usize),
            is_enabled: false,
            turn: 0,
            queue: 1,
            generation: 0,
            starved: 0,
            connected: 0,
        })
    }

    fn get_mut(&mut self, slot: u32) -> Option<&mut Open> {
        self.open.get_mut(slot as usize)?.as_mut()
    }

    fn insert(&mut self, slot: u32, socket: UdpSocket, peer: Option<SocketAddr>) -> io::Result<()> {
        let place = self
            .open
            .get_mut(slot as usize)
            .ok_or(io::ErrorKind::OutOfMemory)?;
        debug_assert!(place.is_none(), "a slot is opened once");
        self.ring
            .submitter()
            .register_files_update(slot, &[socket.as_raw_fd()])?;
        self.generation = self.generation.wrapping_add(1);
        self.connected += u64::from(peer.is_some());
        *place = Some(Open {
            socket,
            peer,
            receive: Receive::new(self.generation),
            to: None,
            queued_in: 0,
        });
        self.due.push_back(slot);
        Ok(())
    }

    /// Ends the receive and takes the sockets out. What was read and not handed out comes along.
    fn remove(&mut self, slot: u32) -> Option<Pair> {
        self.end_receive(slot);
        let Open { socket, peer, .. } = self.open.get_mut(slot as usize)?.take()?;
        let _ = self.ring.submitter().register_files_update(slot, &[-1]);
        self.connected -= u64::from(peer.is_some());
        self.due.retain(|due| *due != slot);
        self.resting.retain(|(_, resting)| *resting != slot);
        let mut waiting = take_waiting(&mut self.waiting, slot);
        for _ in 0..self.arrived.len() {
            let Some(datagram) = self.arrived.pop_front() else {
                break;
            };
            if datagram.socket.slot != slot {
                self.arrived.push_back(datagram);
                continue;
            }
            waiting.push(Waiting {
                bytes: self.buffers.packet(&datagram.buf).into(),
                from: datagram.from,
            });
            self.give(datagram.buf);
        }
        let (rtcp_at, rtcp) = self.rtcp.remove(slot)?;
        Some(Pair {
            rtp: socket,
            rtcp,
            rtcp_at,
            peer,
            waiting,
        })
    }

    /// Cancels the receive of a slot and waits for its end, so that nothing holds its socket.
    fn end_receive(&mut self, slot: u32) {
        self.flush();
        let Some(open) = self.get_mut(slot) else { return };
        match open.receive.state {
            State::Due | State::Ended => return,
            State::Armed => {
                open.receive.state = State::Ending;
                self.cancel(slot);
            }
            State::Flooded | State::Ending => open.receive.state = State::Ending,
        }
        for _ in 0..ENDS_MAX {
            self.enter(GETEVENTS);
            self.reap();
            if self
                .get_mut(slot)
                .is_none_or(|open| open.receive.state == State::Ended)
            {
                break;
            }
        }
    }

    fn cancel(&mut self, slot: u32) {
        let Some(detail) = self.get_mut(slot).map(|open| open.receive.generation) else {
            return;
        };
        let kind = Kind::Receive;
        let of = Tag { kind, slot, detail };
        let kind = Kind::Cancel;
        let cancel = opcode::AsyncCancel::new(of.to_bits()).build();
        self.push(&cancel.user_data(Tag { kind, slot, detail }.to_bits()));
    }

    /// Arms what is due.
    fn arm(&mut self) {
        while let Some((until, slot)) = self.resting.front().copied() {
            if until > self.turn {
                break;
            }
            self.resting.pop_front();
            self.due.push_back(slot);
        }
        while let Some(slot) = self.due.pop_front() {
            let Some(open) = self.get_mut(slot) else { continue };
            open.receive.state = State::Armed;
            let (kind, detail) = (Kind::Receive, open.receive.generation);
            let receive = opcode::RecvMsgMulti::new(Fixed(slot), self.buffers.message(), buffers::GROUP);
            let receive = receive.build().user_data(Tag { kind, slot, detail }.to_bits());
            if !self.push(&receive)
                && let Some(open) = self.get_mut(slot)
            {
                open.receive.state = State::Due;
                return self.due.push_front(slot);
            }
        }
    }

    /// Queues a request; false: the kernel takes none.
    fn push(&mut self, request: &Entry) -> bool {
        for _ in 0..2 {
            // SAFETY: what requests point to outlives them: buffers and messages go after the ring, a destination
            // changes and goes only after the queue was handed over (`relay`, `remove`).
            if unsafe { self.ring.submission().push(request) }.is_ok() {
                return true;
            }
            self.flush();
        }
        false
    }

    /// Hands the queue over. An interruption or a full completion queue is met by the next call.
    fn enter(&mut self, flags: u32) {
        if !self.is_enabled {
            self.is_enabled = self.ring.submitter().register_enable_rings().is_ok();
        }
        let length = self.ring.submission().len() as u32;
        // SAFETY: there is no argument, and the flags ask for none.
        let _ = unsafe {
            self.ring
                .submitter()
                .enter::<libc::sigset_t>(length, 0, flags, None)
        };
    }

    /// Reads all completions.
    fn reap(&mut self) {
        loop {
            let next = self.ring.completion().next();
            let Some(completion) = next else { break };
            let Some(tag) = Tag::from_bits(completion.user_data()) else {
                continue;
            };
            match tag.kind {
                Kind::Receive => self.note_received(tag, completion.result(), completion.flags()),
                Kind::Send => {
                    self.buffers.let_go(tag.detail as u16);
                    if completion.result() < 0 && self.refused.len() < SUBMISSIONS as usize {
                        self.refused.push_back(tag.slot);
                    }
                }
                Kind::Cancel => {}
            }
        }
    }

    fn note_received(&mut self, tag: Tag, result: i32, flags: u32) {
        let slot = tag.slot;
        let turn = self.turn;
        let index = cqueue::buffer_select(flags);
        let taken = index.and_then(|index| self.buffers.take(index, usize::try_from(result).unwrap_or(0)));
        let Some(open) = self
            .get_mut(slot)
            .filter(|open| open.receive.generation == tag.detail)
        else {
            // Of sockets that are gone.
            if let Some((buf, _)) = taken {
                self.give(buf);
            }
            return;
        };
        let mut is_flooded = false;
        if taken.is_some() && open.receive.count(turn) == FLOOD_PACKETS && open.receive.state == State::Armed
        {
            open.receive.state = State::Flooded;
            is_flooded = cqueue::more(flags);
        }
        if !cqueue::more(flags) {
            let ended = std::mem::replace(&mut open.receive.state, State::Due);
            match ended {
                State::Ending | State::Ended => open.receive.state = State::Ended,
                State::Flooded => self.resting.push_back((turn + REST_TURNS, slot)),
                // No buffer was left, or an ICMP error of an earlier send came (connected sockets).
                State::Armed | State::Due => self.due.push_back(slot),
            }
            self.starved += u64::from(result == -libc::ENOBUFS);
        }
        if is_flooded {
            self.cancel(slot);
        }
        if let Some((buf, from)) = taken {
            let channel = Channel::Rtp;
            let socket = Socket { slot, channel };
            self.arrived.push_back(Datagram { socket, from, buf });
        }
    }

    /// Whether the kernel has more for us.
    fn has_more(&mut self) -> bool {
        let queue = self.ring.submission();
        queue.taskrun() || queue.cq_overflow()
    }
}

impl Io for UringIo {
    fn open(&mut self, slot: u32, address: IpAddr, port: RtpPort) -> io::Result<()> {
        let rtcp_at = SocketAddr::new(address, port.0 + 1);
        let socket = udp::bind(SocketAddr::new(address, port.0))?;
        let rtcp = udp::bind(rtcp_at)?;
        self.insert(slot, socket, None)?;
        self.rtcp.insert(slot, rtcp_at, Some(rtcp))
    }

    fn close(&mut self, slot: u32) {
        self.remove(slot);
    }

    fn release(&mut self, slot: u32) -> Option<Sockets> {
        Some(Sockets::System(Box::new(self.remove(slot)?)))
    }

    fn adopt(&mut self, slot: u32, sockets: Sockets) -> io::Result<()> {
        let Sockets::System(pair) = sockets else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        self.insert(slot, pair.rtp, pair.peer)?;
        self.rtcp.insert(slot, pair.rtcp_at, pair.rtcp)?;
        self.waiting
            .extend(pair.waiting.into_iter().map(|waiting| (slot, waiting)));
        Ok(())
    }

    fn connect(&mut self, slot: u32, peer: Option<SocketAddr>) {
        // What is queued leaves as it was meant.
        self.flush();
        let Some(Some(open)) = self.open.get_mut(slot as usize) else {
            return;
        };
        self.connected -= u64::from(open.peer.is_some());
        open.peer = udp::hear(&open.socket, peer);
        self.connected += u64::from(open.peer.is_some());
    }

    fn watch_rtcp(&mut self, slot: u32, wanted: bool) {
        self.rtcp.watch(slot, wanted);
    }

    fn begin_turn(&mut self) {
        self.turn += 1;
        self.arm();
        for _ in 0..ASKS_MAX {
            self.enter(GETEVENTS);
            self.reap();
            if !self.has_more() {
                break;
            }
        }
        self.rtcp.begin_turn();
    }

    fn receive(&mut self) -> Option<Datagram> {
        if let Some((slot, Waiting { bytes, from })) = self.waiting.front() {
            if let Some(buf) = self.buffers.keep(bytes) {
                let (channel, from) = (Channel::Rtp, *from);
                let socket = Socket { slot: *slot, channel };
                self.waiting.pop_front();
                return Some(Datagram { socket, from, buf });
            }
            self.flush();
        }
        if let Some(datagram) = self.arrived.pop_front() {
            return Some(datagram);
        }
        let mut report = [0; REPORT_BYTES_MAX];
        let (socket, len, from) = self.rtcp.receive(&mut report)?;
        let buf = self.buffers.keep(report.get(..len)?)?;
        Some(Datagram { socket, from, buf })
    }

    fn packet(&self, buf: &Buf) -> &[u8] {
        self.buffers.packet(buf)
    }

    fn replace(&mut self, buf: &mut Buf, packet: &[u8]) {
        self.buffers.replace(buf, packet);
    }

    fn stamp(
        &mut self,
        buf: &Buf,
        header: &[u8; Header::BYTES],
        payload: Range<usize>,
    ) -> Option<Range<usize>> {
        // Another listener's packet leaves from the same place: it has to go before its header is written over.
        if self.buffers.holders(buf) > 1 {
            self.flush();
        }
        if self.buffers.holders(buf) > 1 {
            return None;
        }
        stamp_in_place(self.buffers.packet_mut(buf), header, payload)
    }

    fn relay(&mut self, from: Socket, buf: &Buf, part: Range<usize>, to: SocketAddr) -> bool {
        let (slot, queue) = (from.slot, self.queue);
        let Some(open) = self.open.get(slot as usize).and_then(Option::as_ref) else {
            return false;
        };
        let is_connected = open.peer == Some(to);
        let has_moved = !is_connected && open.to.as_ref().is_none_or(|(known, _)| *known != to);
        if has_moved && open.queued_in == queue {
            self.flush();
        }
        let packet = self.buffers.packet(buf).get(part).unwrap_or_default();
        let send =
            opcode::Send::new(Fixed(slot), packet.as_ptr(), packet.len() as u32).flags(libc::MSG_DONTWAIT);
        let Some(open) = self.open.get_mut(slot as usize).and_then(Option::as_mut) else {
            return false;
        };
        if has_moved {
            open.to = Some((to, SockAddr::from(to)));
        }
        let send = match &open.to {
            Some((_, name)) if !is_connected => {
                send.dest_addr(name.as_ptr().cast()).dest_addr_len(name.len())
            }
            Some(_) | None => send,
        };
        let (kind, detail) = (Kind::Send, buf.slot());
        let is_queued = self.push(&send.build().user_data(Tag { kind, slot, detail }.to_bits()));
        let queue = self.queue;
        if is_queued && let Some(open) = self.get_mut(slot) {
            open.queued_in = queue;
            self.buffers.hold(buf.slot() as u16);
        }
        is_queued
    }

    fn send(&mut self, from: Socket, head: &[u8], tail: &[u8], to: SocketAddr) -> bool {
        let slot = from.slot;
        if from.channel == Channel::Rtcp {
            return self.rtcp.send(slot, head, to);
        }
        let queue = self.queue;
        if self.get_mut(slot).is_some_and(|open| open.queued_in == queue) {
            // Packets of one stream leave in the order they were made.
            self.flush();
        }
        let open = self.open.get(slot as usize).and_then(Option::as_ref);
        open.is_some_and(|open| udp::send(&open.socket, open.peer, (head, tail), to))
    }

    fn give(&mut self, buf: Buf) {
        self.buffers.let_go(buf.slot() as u16);
    }

    fn flush(&mut self) {
        if self.ring.submission().is_empty() {
            return;
        }
        self.queue += 1;
        for _ in 0..FLUSHES_MAX {
            self.enter(0);
            self.reap();
            if self.ring.submission().is_empty() {
                break;
            }
        }
    }

    fn refused(&mut self) -> Option<u32> {
        self.refused.pop_front()
    }

    fn counts(&self) -> IoCounts {
        IoCounts {
            buffers_used: self.buffers.held() as u64,
            buffers: self.buffers.count() as u64,
            starved: self.starved,
            connected: self.connected,
        }
    }
}
