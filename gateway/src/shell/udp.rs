//! SIP over UDP: one socket per listener.
//!
//! A reader task per socket turns datagrams into inputs and ICMP errors into `Disconnected`; sending is a
//! single non-blocking call. Knows nothing of what is in a datagram.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, IoSliceMut};
use std::net::{SocketAddr, UdpSocket as StdUdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;

use bytes::Bytes;
use nix::sys::socket::sockopt::{Ipv4RecvErr, Ipv6RecvErr};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt};
use sip::endpoint::{Flow, Transport};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use super::losses::{self, Losses};
use crate::engine::io::Input;

/// Receive buffer asked for, bytes: 2 s of 1,000 calls a second at 2 KiB. The kernel may give less.
pub const RECEIVE_BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// Send buffer asked for, bytes.
pub const SEND_BUFFER_BYTES: usize = 1024 * 1024;

/// Datagrams read before other tasks have their turn.
const READ_BATCH_MAX: usize = 64;

/// Largest datagram there is.
const DATAGRAM_BYTES_MAX: usize = 65_535;

/// Room for the control messages of one error report.
const CONTROL_BYTES: usize = 512;

/// The sockets by their own address.
#[derive(Clone, Debug, Default)]
pub struct UdpSockets {
    /// A second handle on each listener's socket: a send needs no leave of the runtime.
    sockets: BTreeMap<SocketAddr, Arc<StdUdpSocket>>,
}

/// Binds a listener. No address is shared: a second gateway on the same port is an error.
pub fn bind(address: SocketAddr) -> io::Result<StdUdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
        setsockopt(&socket, Ipv6RecvErr, &true)?;
    } else {
        setsockopt(&socket, Ipv4RecvErr, &true)?;
    }
    socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

impl UdpSockets {
    /// Takes over a bound socket and starts to read it. Must run inside the runtime.
    pub fn add(
        &mut self,
        socket: StdUdpSocket,
        inputs: mpsc::Sender<Input>,
        losses: Arc<Losses>,
    ) -> io::Result<()> {
        let local = socket.local_addr()?;
        self.sockets.insert(local, Arc::new(socket.try_clone()?));
        let socket = UdpSocket::from_std(socket)?;
        tokio::spawn(
            Reader {
                socket,
                local,
                inputs,
                losses,
            }
            .run(),
        );
        Ok(())
    }

    /// Sends a datagram, or counts that it could not be sent: SIP sends it again.
    pub fn send(&self, flow: Flow, bytes: &[u8], losses: &Losses) {
        let Some(socket) = self.sockets.get(&flow.local) else {
            return losses.count(losses::DATAGRAM_NOT_SENT);
        };
        // An ICMP error about an earlier datagram fails the next call, once.
        let sent = match socket.send_to(bytes, flow.remote) {
            Err(error) if error.kind() != ErrorKind::WouldBlock => socket.send_to(bytes, flow.remote),
            sent => sent,
        };
        if let Err(error) = sent {
            losses.count(losses::DATAGRAM_NOT_SENT);
            tracing::debug!(%error, remote = %flow.remote, "a datagram was not sent");
        }
    }
}

struct Reader {
    socket: UdpSocket,
    local: SocketAddr,
    inputs: mpsc::Sender<Input>,
    losses: Arc<Losses>,
}

impl Reader {
    /// Ends when the engine is gone.
    async fn run(self) {
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
        while !self.inputs.is_closed() {
            let ready = tokio::select! {
                ready = self.socket.ready(Interest::READABLE | Interest::ERROR) => ready,
                () = self.inputs.closed() => return,
            };
            if ready.is_ok_and(|ready| ready.is_error()) {
                self.read_errors();
            }
            for _ in 0..READ_BATCH_MAX {
                match self.socket.try_recv_from(&mut buffer) {
                    Ok((length, remote)) => {
                        let datagram = buffer.get(..length).unwrap_or_default();
                        let input = Input::Datagram {
                            flow: self.flow(remote),
                            bytes: Bytes::copy_from_slice(datagram),
                        };
                        if self.inputs.try_send(input).is_err() {
                            self.losses.count(losses::DATAGRAM_QUEUE_FULL);
                        }
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    // An ICMP error about something sent earlier; its details are in the error queue.
                    Err(_) => self.read_errors(),
                }
            }
            tokio::task::consume_budget().await;
        }
    }

    /// Empties the socket's error queue: each unreachable destination becomes a `Disconnected`.
    fn read_errors(&self) {
        for _ in 0..READ_BATCH_MAX {
            let read = self
                .socket
                .try_io(Interest::ERROR, || Ok(read_error(&self.socket)?));
            match read {
                Ok(Some(remote)) => {
                    // A full queue costs only the haste: the transaction's own timer remains.
                    let _ = self.inputs.try_send(Input::Disconnected {
                        flow: self.flow(remote),
                    });
                }
                Ok(None) => {}
                Err(_) => return,
            }
        }
    }

    fn flow(&self, remote: SocketAddr) -> Flow {
        Flow {
            transport: Transport::Udp,
            local: self.local,
            remote,
        }
    }
}

/// Reads one report: the destination an ICMP error is about, none where the report is of another kind.
fn read_error(socket: &UdpSocket) -> nix::Result<Option<SocketAddr>> {
    let mut payload = [0; 64];
    let mut slices = [IoSliceMut::new(&mut payload)];
    let mut control = [0; CONTROL_BYTES];
    let message = recvmsg::<SockaddrStorage>(
        socket.as_raw_fd(),
        &mut slices,
        Some(&mut control),
        MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT,
    )?;
    let is_refusal = message.cmsgs()?.any(|control| {
        matches!(
            control,
            ControlMessageOwned::Ipv4RecvErr(..) | ControlMessageOwned::Ipv6RecvErr(..)
        )
    });
    let remote = message.address.and_then(|address| {
        let v4 = address
            .as_sockaddr_in()
            .map(|v4| SocketAddr::from(std::net::SocketAddrV4::from(*v4)));
        v4.or_else(|| {
            address
                .as_sockaddr_in6()
                .map(|v6| SocketAddr::from(std::net::SocketAddrV6::from(*v6)))
        })
    });
    Ok(remote.filter(|_| is_refusal))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY_PORT: &str = "127.0.0.1:0";

    struct Listener {
        sockets: UdpSockets,
        local: SocketAddr,
        inputs: mpsc::Receiver<Input>,
        losses: Arc<Losses>,
    }

    fn listener(room: usize) -> Listener {
        let socket = bind(ANY_PORT.parse().unwrap()).unwrap();
        let local = socket.local_addr().unwrap();
        let (sender, inputs) = mpsc::channel(room);
        let losses = Arc::new(Losses::default());
        let mut sockets = UdpSockets::default();
        sockets.add(socket, sender, Arc::clone(&losses)).unwrap();
        Listener {
            sockets,
            local,
            inputs,
            losses,
        }
    }

    fn flow(local: SocketAddr, remote: SocketAddr) -> Flow {
        Flow {
            transport: Transport::Udp,
            local,
            remote,
        }
    }

    #[tokio::test]
    async fn datagrams_come_with_their_true_source_and_go_back_there() {
        let mut listener = listener(8);
        let peer = UdpSocket::bind(ANY_PORT).await.unwrap();
        peer.send_to(b"hello", listener.local).await.unwrap();
        let Some(Input::Datagram { flow: from, bytes }) = listener.inputs.recv().await else {
            panic!()
        };
        assert_eq!(
            (from, &bytes[..]),
            (flow(listener.local, peer.local_addr().unwrap()), &b"hello"[..])
        );
        listener.sockets.send(from, b"back", &listener.losses);
        let mut buffer = [0; 16];
        assert_eq!(peer.recv(&mut buffer).await.unwrap(), 4);
    }

    #[tokio::test]
    async fn an_unreachable_destination_is_told() {
        let mut listener = listener(8);
        let gone = UdpSocket::bind(ANY_PORT).await.unwrap().local_addr().unwrap();
        listener
            .sockets
            .send(flow(listener.local, gone), b"anyone?", &listener.losses);
        let told = tokio::time::timeout(std::time::Duration::from_secs(10), listener.inputs.recv()).await;
        let Ok(Some(Input::Disconnected { flow: about })) = told else {
            panic!("{told:?}")
        };
        assert_eq!(about, flow(listener.local, gone));
        // The socket serves others after the error.
        let peer = UdpSocket::bind(ANY_PORT).await.unwrap();
        listener.sockets.send(
            flow(listener.local, peer.local_addr().unwrap()),
            b"you",
            &listener.losses,
        );
        assert_eq!(peer.recv(&mut [0; 8]).await.unwrap(), 3);
        assert_eq!(listener.losses.of(losses::DATAGRAM_NOT_SENT), 0);
    }

    #[tokio::test]
    async fn a_full_queue_is_counted() {
        let mut listener = listener(1);
        let peer = UdpSocket::bind(ANY_PORT).await.unwrap();
        while listener.losses.of(losses::DATAGRAM_QUEUE_FULL) == 0 {
            peer.send_to(b"flood", listener.local).await.unwrap();
            tokio::task::yield_now().await;
        }
        assert!(matches!(
            listener.inputs.recv().await,
            Some(Input::Datagram { .. })
        ));
    }

    #[tokio::test]
    async fn a_port_is_never_shared() {
        let listener = listener(1);
        assert_eq!(bind(listener.local).unwrap_err().kind(), ErrorKind::AddrInUse);
    }
}
