//! What a shard asks of the world: sockets in pairs, and the packets that came to them.
//!
//! Two engines keep it on real sockets, [`epoll`] and [`uring`]; [`sim_io`](super::sim_io) keeps it on a simulated
//! network. A received packet lies in the engine's own memory from [`Io::receive`] to [`Io::give`] and may leave from
//! there. Knows nothing of RTP beyond the length of a header, and nothing of streams but their slots.

pub mod choice;
pub mod epoll;
mod rtcp;
#[cfg(test)]
mod tests;
mod udp;
pub mod uring;
mod wake;

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::ops::Range;

use super::ports::RtpPort;
use crate::packet::Buf;
use crate::rtp::Header;

pub use choice::{Choice, Engine};
pub use wake::{Sleeper, Waker};

/// One socket of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Socket {
    /// The stream's slot in its shard.
    pub slot: u32,
    /// Which of the two.
    pub channel: Channel,
}

/// RTP or RTCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Channel {
    /// The even port.
    Rtp,
    /// The odd port.
    Rtcp,
}

/// The pair of one stream on its way to another shard; what waits in it goes along.
#[derive(Debug)]
pub enum Sockets {
    /// Of the operating system.
    System(Box<Pair>),
    /// Of a simulated network.
    Simulated {
        /// The even port.
        rtp: SocketAddr,
        /// The odd port.
        rtcp: SocketAddr,
        /// The only source the even one hears, where it is connected.
        peer: Option<SocketAddr>,
        /// Whether RTCP is agreed.
        hears_rtcp: bool,
    },
}

/// A pair of real sockets.
#[derive(Debug)]
pub struct Pair {
    /// The even port.
    pub(super) rtp: UdpSocket,
    /// The odd port; none while no RTCP is agreed.
    pub(super) rtcp: Option<UdpSocket>,
    /// Where RTCP would be taken.
    pub(super) rtcp_at: SocketAddr,
    /// The only source the even one hears, where it is connected.
    pub(super) peer: Option<SocketAddr>,
    /// What was read from the even one and not yet handed out, oldest first.
    pub(super) waiting: Vec<Waiting>,
}

/// A packet that was read and not yet handed out when its socket moved.
#[derive(Debug)]
pub(super) struct Waiting {
    pub bytes: Box<[u8]>,
    pub from: SocketAddr,
}

/// A datagram that came in.
#[derive(Debug)]
pub struct Datagram {
    /// To which socket.
    pub socket: Socket,
    /// From where.
    pub from: SocketAddr,
    /// Where it lies. Given back by [`Io::give`].
    pub buf: Buf,
}

/// Numbers of an engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IoCounts {
    /// Buffers that hold a packet.
    pub buffers_used: u64,
    /// Buffers there are.
    pub buffers: u64,
    /// Times no buffer was left: reading paused and the packets waited in their sockets.
    pub starved: u64,
    /// RTP sockets that hear one source only, by the kernel's own filter.
    pub connected: u64,
}

/// Sockets of one shard. All calls return at once.
pub trait Io {
    /// Binds the pair of one stream: `port` for RTP and the one above it for RTCP.
    fn open(&mut self, slot: u32, address: IpAddr, port: RtpPort) -> io::Result<()>;

    /// Closes the pair.
    fn close(&mut self, slot: u32);

    /// Lets go of a pair without closing it, for another shard to take in.
    fn release(&mut self, slot: u32) -> Option<Sockets>;

    /// Takes in a pair that another shard let go of; where that fails, the pair is closed.
    fn adopt(&mut self, slot: u32, sockets: Sockets) -> io::Result<()>;

    /// Lets the RTP socket hear this source only, or everyone again. Packets of others that wait already still come.
    fn connect(&mut self, slot: u32, peer: Option<SocketAddr>);

    /// Opens the RTCP socket, or closes it: nothing is to come there.
    fn watch_rtcp(&mut self, slot: u32, wanted: bool);

    /// Begins a turn: looks what has arrived.
    fn begin_turn(&mut self);

    /// The next packet of this turn; none: that was all, or all that a turn has time for.
    fn receive(&mut self) -> Option<Datagram>;

    /// A received packet.
    fn packet(&self, buf: &Buf) -> &[u8];

    /// Puts another packet in the place of a received one; what does not fit is cut off.
    fn replace(&mut self, buf: &mut Buf, packet: &[u8]);

    /// Writes an RTP header in front of a payload that lies in a received packet, and says where both lie together;
    /// none: there is no room before it, or what was to be sent from there has not left.
    fn stamp(
        &mut self,
        buf: &Buf,
        header: &[u8; Header::BYTES],
        payload: Range<usize>,
    ) -> Option<Range<usize>>;

    /// Sends a part of a received packet from where it lies, at the latest by the next [`Io::flush`]; false: the
    /// kernel refused it, and it is lost. What is refused later is told by [`Io::refused`].
    fn relay(&mut self, from: Socket, buf: &Buf, part: Range<usize>, to: SocketAddr) -> bool;

    /// Sends `head` and `tail` as one packet at once; false: the kernel refused it, and it is lost.
    fn send(&mut self, from: Socket, head: &[u8], tail: &[u8], to: SocketAddr) -> bool;

    /// Gives a received packet back.
    fn give(&mut self, buf: Buf);

    /// Hands everything to the kernel that [`Io::relay`] has not yet.
    fn flush(&mut self);

    /// The slot of a packet taken by [`Io::relay`] and refused by the kernel afterwards; call until `None`.
    fn refused(&mut self) -> Option<u32>;

    /// Its numbers.
    fn counts(&self) -> IoCounts;
}

/// Writes a header in front of a payload, in place.
pub(super) fn stamp_in_place(
    packet: &mut [u8],
    header: &[u8; Header::BYTES],
    payload: Range<usize>,
) -> Option<Range<usize>> {
    let start = payload.start.checked_sub(Header::BYTES)?;
    let place = packet.get_mut(start..payload.end)?;
    *place.first_chunk_mut::<{ Header::BYTES }>()? = *header;
    Some(start..payload.end)
}
