//! SIP over TCP, bare or under TLS: listeners, connections and their limits.
//!
//! One table holds both; they differ in how a connection begins. Each is one task that reads and writes; the engine only ever puts a message into its bounded
//! queue. A peer that does not read loses its connection, never the engine's time. Framing is the
//! endpoint's: here bytes are bytes.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener as StdTcpListener};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use sip::endpoint::{Flow, Transport};
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::clock;
use super::losses::{self, Losses};
use super::tls::Tls;
use crate::engine::io::Input;
use crate::engine::trunks::tls_peers::TlsPeer;
use crate::observe::metrics::TlsMetrics;

/// Connections at a time, ours and the peers', those in a handshake too.
pub const CONNECTIONS_MAX: usize = 1_024;

/// Connections one address may open to us: a proxy and its workers.
pub const CONNECTIONS_PER_ADDRESS_MAX: usize = 64;

/// Messages that wait for a peer to read; one more ends the connection.
pub const WRITES_MAX: usize = 256;

/// How long a connection of ours may take to open, without a TLS handshake.
pub const CONNECT_WAIT: Duration = Duration::from_secs(5);

/// How long an accepted connection may stay without its first byte.
pub const FIRST_BYTE_WAIT: Duration = Duration::from_secs(10);

/// How long a connection may stay silent: above the longest registration and keep-alive periods in use.
pub const IDLE_MAX: Duration = Duration::from_secs(3_600);

/// How long one message may take to be written.
pub const WRITE_WAIT: Duration = Duration::from_secs(10);

/// Pending connections in the kernel.
const BACKLOG: i32 = 256;

/// Bytes read at a time.
const READ_BYTES: usize = 16 * 1024;

/// How long what we sent may stay unacknowledged before the kernel ends the connection: as long as a peer may
/// take to answer a keep-alive (RFC 5626 §4.4.1), so that a half-open one is seen at the next message or ping.
const UNACKNOWLEDGED_MAX: Duration = sip::endpoint::config::PONG_WAIT;

/// Silence after which the kernel asks whether the peer is still there.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// Pause after a failed accept, which without file descriptors fails again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// All connections.
#[derive(Clone, Debug)]
pub struct TcpStreams {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    table: Mutex<BTreeMap<Flow, Connection>>,
    numbers: AtomicU64,
    inputs: mpsc::Sender<Input>,
    losses: Arc<Losses>,
    tls: Tls,
}

#[derive(Debug)]
struct Connection {
    number: u64,
    accepted: bool,
    stage: Stage,
    writes: mpsc::Sender<Bytes>,
}

#[derive(Debug)]
enum Stage {
    /// It connects, or shakes hands.
    Opening,
    /// It takes messages; under TLS the peer has shown this.
    Open(Option<TlsPeer>),
}

/// How a connection begins.
#[derive(Debug)]
enum Begin {
    /// The peer's, which connected.
    Accept(TcpStream),
    /// Ours, for a trunk that dials.
    Connect { trunk: Option<usize> },
}

/// A message that was not taken, and the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSent {
    /// The peer did not read; its connection is closed.
    QueueFull,
    /// There is no such connection.
    NotOpen,
}

/// Binds a listener; a port whose last connections still fade away may be bound again.
pub fn bind(address: SocketAddr) -> io::Result<StdTcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

impl TcpStreams {
    /// No connections yet.
    pub fn new(inputs: mpsc::Sender<Input>, losses: Arc<Losses>, tls: Tls) -> TcpStreams {
        let (table, numbers) = (Mutex::default(), AtomicU64::new(0));
        TcpStreams {
            shared: Arc::new(Shared {
                table,
                numbers,
                inputs,
                losses,
                tls,
            }),
        }
    }

    /// Accepts on a bound listener until the engine is gone. Must run inside the runtime.
    pub fn listen(&self, listener: StdTcpListener, transport: Transport) -> io::Result<()> {
        let local = listener.local_addr()?;
        let listener = TcpListener::from_std(listener)?;
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    () = shared.inputs.closed() => return,
                };
                match accepted {
                    Ok((stream, remote)) => {
                        let flow = Flow {
                            transport,
                            local,
                            remote,
                        };
                        Shared::begin(&shared, flow, Begin::Accept(stream));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        clock::after(ACCEPT_PAUSE).await;
                    }
                }
            }
        });
        Ok(())
    }

    /// Opens a connection for the trunk that dials; `Connected` or `Disconnected` follows.
    pub fn connect(&self, flow: Flow, trunk: Option<usize>) {
        Shared::begin(&self.shared, flow, Begin::Connect { trunk });
    }

    /// Queues a message.
    pub fn send(&self, flow: &Flow, bytes: Bytes) -> Result<(), NotSent> {
        let mut table = self.shared.table();
        let Some(connection) = table.get(flow) else {
            self.shared.losses.count(losses::STREAM_NOT_OPEN);
            return Err(NotSent::NotOpen);
        };
        if connection.writes.try_send(bytes).is_err() {
            table.remove(flow);
            self.shared.losses.count(losses::STREAM_QUEUE_FULL);
            return Err(NotSent::QueueFull);
        }
        Ok(())
    }

    /// Closes a connection once what is queued is written. No `Disconnected` follows.
    pub fn close(&self, flow: &Flow) {
        self.shared.table().remove(flow);
    }

    /// Connections open or being opened.
    pub fn count(&self) -> usize {
        self.shared.table().len()
    }

    /// What TLS has counted.
    pub fn tls_metrics(&self) -> TlsMetrics {
        TlsMetrics {
            numbers: self.shared.tls.numbers(),
            connections: self.secure_count() as u64,
        }
    }

    /// Those under TLS whose handshake is done.
    pub fn secure_count(&self) -> usize {
        let is_secure = |(flow, connection): &(&Flow, &Connection)| {
            flow.transport.is_secure() && matches!(connection.stage, Stage::Open(_))
        };
        self.shared.table().iter().filter(is_secure).count()
    }
}

impl Shared {
    /// Enters a connection into the table and starts its task; refuses where there are too many.
    fn begin(shared: &Arc<Shared>, flow: Flow, begin: Begin) {
        let number = shared.numbers.fetch_add(1, Ordering::Relaxed);
        let (writes, queue) = mpsc::channel(WRITES_MAX);
        let accepted = matches!(begin, Begin::Accept(_));
        let connection = Connection {
            number,
            accepted,
            stage: Stage::Opening,
            writes,
        };
        let mut table = shared.table();
        if let Some(there) = table.get(&flow).filter(|_| !accepted) {
            // One that is being opened tells by itself how that went.
            if let Stage::Open(peer) = &there.stage {
                let peer = peer.clone();
                Shared::spawn_tell(shared, Input::Connected { flow, peer });
            }
            return;
        }
        if !has_room(&table, flow.remote.ip(), accepted) {
            drop(table);
            shared.losses.count(losses::STREAM_REFUSED);
            if !accepted {
                Shared::spawn_tell(shared, Input::Disconnected { flow });
            }
            return;
        }
        table.insert(flow, connection);
        drop(table);
        let shared = Arc::clone(shared);
        tokio::spawn(async move {
            shared.serve(flow, number, begin, queue).await;
            let was_open = {
                let mut table = shared.table();
                let is_ours = table
                    .get(&flow)
                    .is_some_and(|connection| connection.number == number);
                is_ours && table.remove(&flow).is_some()
            };
            if was_open {
                shared.tell(Input::Disconnected { flow }).await;
            }
        });
    }

    /// Opens where needed, then reads and writes until either side is done.
    async fn serve(&self, flow: Flow, number: u64, begin: Begin, queue: mpsc::Receiver<Bytes>) {
        let (stream, first_wait, trunk) = match begin {
            Begin::Accept(stream) => (stream, FIRST_BYTE_WAIT, None),
            Begin::Connect { trunk } => match timeout(CONNECT_WAIT, open(flow)).await {
                Ok(Ok(stream)) => (stream, IDLE_MAX, Some(trunk)),
                Ok(Err(error)) => {
                    return tracing::debug!(%error, remote = %flow.remote, "a connection did not open");
                }
                Err(_) => return tracing::debug!(remote = %flow.remote, "a connection took too long to open"),
            },
        };
        if let Err(error) = tune(&stream) {
            tracing::debug!(%error, "a connection's options could not be set");
        }
        if !flow.transport.is_secure() {
            let (reading, writing) = stream.into_split();
            self.opened(flow, number, None).await;
            return self.carry(flow, reading, writing, first_wait, queue).await;
        }
        let secured = match trunk {
            None => self.tls.accept(stream, flow.remote).await,
            Some(trunk) => self.tls.connect(stream, flow.remote, trunk).await,
        };
        // Why not is counted there.
        let Ok((stream, peer)) = secured else { return };
        let (reading, writing) = tokio::io::split(stream);
        self.opened(flow, number, Some(peer)).await;
        self.carry(flow, reading, writing, first_wait, queue).await;
    }

    async fn opened(&self, flow: Flow, number: u64, peer: Option<TlsPeer>) {
        if let Some(connection) = self.table().get_mut(&flow).filter(|one| one.number == number) {
            connection.stage = Stage::Open(peer.clone());
        }
        self.tell(Input::Connected { flow, peer }).await;
    }

    async fn carry(
        &self,
        flow: Flow,
        reading: impl AsyncRead + Unpin,
        writing: impl AsyncWrite + Unpin,
        first_wait: Duration,
        queue: mpsc::Receiver<Bytes>,
    ) {
        tokio::select! {
            () = self.read(flow, reading, first_wait) => {}
            () = write(writing, queue) => {}
            () = self.inputs.closed() => {}
        }
    }

    async fn read(&self, flow: Flow, mut reading: impl AsyncRead + Unpin, first_wait: Duration) {
        let mut wait = first_wait;
        let mut buffer = BytesMut::new();
        loop {
            buffer.reserve(READ_BYTES);
            match timeout(wait, reading.read_buf(&mut buffer)).await {
                Ok(Ok(length)) if length > 0 => {}
                // Its end, an error, or silence for too long.
                Ok(Ok(_) | Err(_)) | Err(_) => return,
            }
            wait = IDLE_MAX;
            // Waiting here leaves the rest with the peer.
            self.tell(Input::StreamData {
                flow,
                bytes: buffer.split().freeze(),
            })
            .await;
        }
    }

    fn spawn_tell(shared: &Arc<Shared>, input: Input) {
        let shared = Arc::clone(shared);
        tokio::spawn(async move { shared.tell(input).await });
    }

    async fn tell(&self, input: Input) {
        // An engine that is gone needs no telling.
        let _ = self.inputs.send(input).await;
    }

    fn table(&self) -> MutexGuard<'_, BTreeMap<Flow, Connection>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn has_room(table: &BTreeMap<Flow, Connection>, remote: IpAddr, accepted: bool) -> bool {
    let from_there = || {
        table
            .iter()
            .filter(|(flow, connection)| connection.accepted && flow.remote.ip() == remote)
            .count()
    };
    table.len() < CONNECTIONS_MAX && (!accepted || from_there() < CONNECTIONS_PER_ADDRESS_MAX)
}

async fn open(flow: Flow) -> io::Result<TcpStream> {
    let socket = if flow.remote.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    if !flow.local.ip().is_unspecified() {
        socket.bind(SocketAddr::new(flow.local.ip(), 0))?;
    }
    socket.connect(flow.remote).await
}

fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    SockRef::from(stream).set_tcp_user_timeout(Some(UNACKNOWLEDGED_MAX))?;
    SockRef::from(stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE))
}

/// Writes until the queue's sender is dropped, then says goodbye.
async fn write(mut writing: impl AsyncWrite + Unpin, mut queue: mpsc::Receiver<Bytes>) {
    while let Some(bytes) = queue.recv().await {
        let written = async {
            writing.write_all(&bytes).await?;
            // Under TLS what is written may still wait to be sent.
            writing.flush().await
        };
        match timeout(WRITE_WAIT, written).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return,
        }
    }
    // What is not taken by now is the peer's loss.
    let _ = timeout(WRITE_WAIT, writing.shutdown()).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const ANY_PORT: &str = "127.0.0.1:0";

    struct House {
        streams: TcpStreams,
        local: SocketAddr,
        inputs: mpsc::Receiver<Input>,
        losses: Arc<Losses>,
    }

    fn house() -> House {
        let (sender, inputs) = mpsc::channel(64);
        let losses = Arc::new(Losses::default());
        let tls = Tls::new(&Config::embedded(&[])).unwrap();
        let streams = TcpStreams::new(sender, Arc::clone(&losses), tls);
        let listener = bind(ANY_PORT.parse().unwrap()).unwrap();
        let local = listener.local_addr().unwrap();
        streams.listen(listener, Transport::Tcp).unwrap();
        House {
            streams,
            local,
            inputs,
            losses,
        }
    }

    impl House {
        async fn input(&mut self) -> Input {
            timeout(Duration::from_secs(10), self.inputs.recv())
                .await
                .unwrap()
                .unwrap()
        }

        fn flow(&self, remote: SocketAddr) -> Flow {
            Flow {
                transport: Transport::Tcp,
                local: self.local,
                remote,
            }
        }
    }

    #[tokio::test]
    async fn an_accepted_connection_lives_from_connected_to_disconnected() {
        let mut house = house();
        let mut peer = TcpStream::connect(house.local).await.unwrap();
        let flow = house.flow(peer.local_addr().unwrap());
        assert!(matches!(house.input().await, Input::Connected { flow: f, peer: None } if f == flow));
        peer.write_all(b"in").await.unwrap();
        assert!(
            matches!(house.input().await, Input::StreamData { flow: f, bytes } if f == flow && &bytes[..] == b"in")
        );
        house.streams.send(&flow, Bytes::from_static(b"out")).unwrap();
        let mut back = [0; 3];
        peer.read_exact(&mut back).await.unwrap();
        assert_eq!(&back, b"out");
        drop(peer);
        assert!(matches!(house.input().await, Input::Disconnected { flow: f } if f == flow));
        assert_eq!(house.streams.send(&flow, Bytes::new()), Err(NotSent::NotOpen));
        assert_eq!(house.streams.count(), 0);
    }

    #[tokio::test]
    async fn our_connections_open_once_and_close_after_the_last_message() {
        let mut house = house();
        let peer = TcpListener::bind(ANY_PORT).await.unwrap();
        let flow = house.flow(peer.local_addr().unwrap());
        house.streams.connect(flow, None);
        let (mut stream, _) = peer.accept().await.unwrap();
        assert!(matches!(house.input().await, Input::Connected { .. }));
        house.streams.connect(flow, None);
        assert!(matches!(house.input().await, Input::Connected { .. }));
        assert_eq!(house.streams.count(), 1);
        house.streams.send(&flow, Bytes::from_static(b"last")).unwrap();
        house.streams.close(&flow);
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, b"last");
    }

    #[tokio::test]
    async fn a_connection_that_cannot_open_is_told() {
        let mut house = house();
        let gone = TcpListener::bind(ANY_PORT).await.unwrap().local_addr().unwrap();
        house.streams.connect(house.flow(gone), None);
        assert!(matches!(house.input().await, Input::Disconnected { .. }));
        assert_eq!(house.streams.count(), 0);
    }

    #[tokio::test]
    async fn a_peer_that_does_not_read_loses_its_connection() {
        let mut house = house();
        let peer = TcpStream::connect(house.local).await.unwrap();
        let flow = house.flow(peer.local_addr().unwrap());
        assert!(matches!(house.input().await, Input::Connected { .. }));
        let message = Bytes::from(vec![b'x'; 256 * 1024]);
        let mut sent = 0;
        let refused = loop {
            match house.streams.send(&flow, message.clone()) {
                Ok(()) => sent += 1,
                Err(why) => break why,
            }
            assert!(sent < 10 * WRITES_MAX);
        };
        assert_eq!(refused, NotSent::QueueFull);
        assert!(sent >= WRITES_MAX);
        assert_eq!(house.losses.of(losses::STREAM_QUEUE_FULL), 1);
        assert_eq!(house.streams.count(), 0);
    }

    #[tokio::test]
    async fn one_address_cannot_take_all_connections() {
        let mut house = house();
        let mut peers = Vec::new();
        for _ in 0..CONNECTIONS_PER_ADDRESS_MAX {
            peers.push(TcpStream::connect(house.local).await.unwrap());
            assert!(matches!(house.input().await, Input::Connected { .. }));
        }
        let mut refused = TcpStream::connect(house.local).await.unwrap();
        assert_eq!(refused.read(&mut [0; 1]).await.unwrap_or(0), 0);
        assert_eq!(house.losses.of(losses::STREAM_REFUSED), 1);
        assert_eq!(house.streams.count(), CONNECTIONS_PER_ADDRESS_MAX);
    }
}
