//! What a shard asks of the world: sockets in pairs. The real one is [`epoll`](super::epoll), the
//! simulated one [`sim_io`](super::sim_io).

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use super::ports::RtpPort;

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
    System {
        /// The even port.
        rtp: UdpSocket,
        /// The odd port.
        rtcp: UdpSocket,
    },
    /// Of a simulated network.
    Simulated {
        /// The even port.
        rtp: SocketAddr,
        /// The odd port.
        rtcp: SocketAddr,
    },
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

    /// Lists sockets that may have something to read, once a turn. Clears `ready` first and never grows
    /// it past its capacity.
    fn ready(&mut self, ready: &mut Vec<Socket>);

    /// Takes one packet; `None`: nothing more in this turn.
    fn receive(&mut self, socket: Socket, into: &mut [u8]) -> Option<(usize, SocketAddr)>;

    /// Sends `head` and `tail` as one packet; false: the kernel refused it, and it is lost.
    fn send(&mut self, from: Socket, head: &[u8], tail: &[u8], to: SocketAddr) -> bool;
}
