//! The connections of control clients, whatever carries them: frames in, lines out.
//!
//! Owns the table of connections and one task for each. The engine never waits for any of them: what it
//! says is queued ([`Outbox`]), what clients say waits for room in the engine's bounded input.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::{Notify, mpsc};

use super::outbox::{INFLIGHT_MAX, Line, Next, Outbox, Phase};
use super::protocol::{FRAME_BYTES_MAX, Failure, Frame, LineKind, failure_line, parse_frame};
use crate::engine::io::{ConnKey, Input};

/// Most connections at once.
pub const CONNECTIONS_MAX: usize = 64;
/// Longest wait for a client to take what is queued once its connection is to end.
const LINGER: Duration = Duration::from_secs(5);

/// One reading from a client.
#[derive(Debug, PartialEq, Eq)]
pub enum Reading {
    /// A frame of at most [`FRAME_BYTES_MAX`] bytes.
    Frame(String),
    /// A frame that is no UTF-8; the next one can be read.
    NotText,
    /// A frame that is too long; where the next begins is not known.
    TooLong,
    /// The client sends no more.
    End,
}

/// Where frames come from.
pub trait FrameReader: Send {
    /// The next frame.
    fn read(&mut self) -> impl Future<Output = Reading> + Send;
}

/// Where lines go to.
pub trait LineWriter: Send {
    /// Writes lines and hands them to the client.
    fn write(&mut self, lines: &[Line]) -> impl Future<Output = io::Result<()>> + Send;
    /// Ends the connection, saying why where the transport can.
    fn close(&mut self, phase: Phase) -> impl Future<Output = ()> + Send;
}

/// Every open connection. Clones share the table.
#[derive(Clone, Debug)]
pub struct Connections {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    input: mpsc::Sender<Input>,
    table: Mutex<BTreeMap<ConnKey, Arc<Outbox>>>,
    next_key: AtomicU64,
    overruns: AtomicU64,
    one_closed: Notify,
    linger: Duration,
}

impl Connections {
    /// A table whose clients speak to the engine by `input`.
    pub fn new(input: mpsc::Sender<Input>) -> Self {
        Self::with_linger(input, LINGER)
    }

    fn with_linger(input: mpsc::Sender<Input>, linger: Duration) -> Self {
        let shared = Shared {
            input,
            table: Mutex::default(),
            next_key: AtomicU64::new(1),
            overruns: AtomicU64::new(0),
            one_closed: Notify::new(),
            linger,
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Serves a byte stream, one JSON object a line, on a task of its own. Also how an embedding process
    /// gets a client without a socket: one half of `tokio::io::duplex`.
    pub fn attach<S>(&self, stream: S) -> Result<ConnKey, Failure>
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let (read, write) = tokio::io::split(stream);
        self.serve(
            LineReader {
                stream: BufReader::new(read),
            },
            StreamWriter { stream: write },
        )
    }

    /// Serves any transport on a task of its own.
    pub fn serve<R, W>(&self, reader: R, writer: W) -> Result<ConnKey, Failure>
    where
        R: FrameReader + 'static,
        W: LineWriter + 'static,
    {
        let outbox = Arc::new(Outbox::default());
        let conn = {
            let mut table = self.table();
            if table.len() == CONNECTIONS_MAX {
                return Err(Failure::too_many_connections(CONNECTIONS_MAX));
            }
            let conn = ConnKey(self.shared.next_key.fetch_add(1, Ordering::Relaxed));
            table.insert(conn, outbox.clone());
            conn
        };
        tokio::spawn(self.clone().run(conn, outbox, reader, writer));
        Ok(conn)
    }

    /// Queues a line; a connection that is gone takes none. Never waits.
    pub fn push(&self, conn: ConnKey, line: Arc<str>) {
        if let Some(outbox) = self.outbox(conn) {
            let kind = LineKind::of(&line);
            outbox.push(line, kind);
        }
    }

    /// Asks for `Input::ControlDrained` once everything queued is written.
    pub fn more(&self, conn: ConnKey) {
        if let Some(outbox) = self.outbox(conn) {
            outbox.more();
        }
    }

    /// Closes a connection after what is queued.
    pub fn close(&self, conn: ConnKey) {
        if let Some(outbox) = self.outbox(conn) {
            outbox.end(Phase::Closing);
        }
    }

    /// Closes every connection after what is queued.
    pub fn close_all(&self) {
        for outbox in self.table().values() {
            outbox.end(Phase::Closing);
        }
    }

    /// How many are open.
    pub fn count(&self) -> usize {
        self.table().len()
    }

    /// How many were closed because their client was too slow.
    pub fn overruns_total(&self) -> u64 {
        self.shared.overruns.load(Ordering::Relaxed)
    }

    /// Returns when a connection has closed.
    pub async fn one_closed(&self) {
        self.shared.one_closed.notified().await;
    }

    async fn run<R: FrameReader, W: LineWriter>(
        self,
        conn: ConnKey,
        outbox: Arc<Outbox>,
        mut reader: R,
        mut writer: W,
    ) {
        let input = &self.shared.input;
        if input.send(Input::ControlOpened { conn }).await.is_ok() {
            tokio::select! {
                () = read_frames(conn, &outbox, &mut reader, input) => {}
                () = write_lines(conn, &outbox, &mut writer, input) => {}
                () = abandoned(&outbox, self.shared.linger) => {}
            }
        }
        let phase = outbox.phase();
        if phase == Phase::Overrun {
            self.shared.overruns.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(conn = conn.0, "control client too slow: connection closed");
        }
        // A client that does not read must not keep its place for ever.
        let _ = tokio::time::timeout(self.shared.linger, writer.close(phase)).await;
        self.table().remove(&conn);
        self.shared.one_closed.notify_one();
        let _ = input.send(Input::ControlClosed { conn }).await;
    }

    fn outbox(&self, conn: ConnKey) -> Option<Arc<Outbox>> {
        self.table().get(&conn).cloned()
    }

    fn table(&self) -> MutexGuard<'_, BTreeMap<ConnKey, Arc<Outbox>>> {
        self.shared.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hands frames to the engine; at the client's end waits for what it still has to be told.
async fn read_frames<R: FrameReader>(
    conn: ConnKey,
    outbox: &Outbox,
    reader: &mut R,
    input: &mpsc::Sender<Input>,
) {
    loop {
        let frame = match reader.read().await {
            Reading::Frame(text) => parse_frame(&text),
            Reading::NotText => Frame::refused(Failure::parse_error("a frame must be UTF-8")),
            Reading::TooLong => {
                let why = format!("a frame may have {FRAME_BYTES_MAX} bytes");
                outbox.push_refusal(failure_line(None, &Failure::invalid_request(why)));
                break;
            }
            Reading::End => break,
        };
        if let Some(id) = &frame.id
            && !outbox.begin()
        {
            outbox.push_refusal(failure_line(Some(id), &Failure::too_many_inflight(INFLIGHT_MAX)));
            continue;
        }
        let (id, request) = (frame.id, frame.request);
        if input.send(Input::Control { conn, id, request }).await.is_err() {
            return;
        }
    }
    outbox.end(Phase::Answering);
    // The writer ends the connection once everything is answered.
    std::future::pending().await
}

/// Writes what is queued until the connection is to end, or fails.
async fn write_lines<W: LineWriter>(
    conn: ConnKey,
    outbox: &Outbox,
    writer: &mut W,
    input: &mpsc::Sender<Input>,
) {
    loop {
        match outbox.next() {
            Next::Write(lines) => {
                if writer.write(&lines).await.is_err() {
                    return;
                }
                outbox.written(&lines);
            }
            Next::Drained => {
                if input.send(Input::ControlDrained { conn }).await.is_err() {
                    return;
                }
            }
            Next::Wait => outbox.ready().await,
            Next::Close => return,
        }
    }
}

/// Returns when the client is overrun, or had its time to take the rest.
async fn abandoned(outbox: &Outbox, linger: Duration) {
    let mut phase = outbox.watch_phase();
    // The sender lives in the outbox, so waiting cannot fail.
    let _ = phase.wait_for(|phase| *phase != Phase::Open).await;
    let overrun = async { phase.wait_for(|phase| *phase == Phase::Overrun).await.map(|_| ()) };
    let _ = tokio::time::timeout(linger, overrun).await;
}

/// Reads lines of a byte stream.
struct LineReader<R> {
    stream: BufReader<R>,
}

impl<R: AsyncRead + Unpin + Send> FrameReader for LineReader<R> {
    async fn read(&mut self) -> Reading {
        loop {
            let mut line = Vec::new();
            let mut bounded = (&mut self.stream).take(FRAME_BYTES_MAX as u64 + 1);
            if bounded.read_until(b'\n', &mut line).await.is_err() || line.is_empty() {
                return Reading::End;
            }
            if line.last() == Some(&b'\n') {
                line.pop();
            } else if line.len() > FRAME_BYTES_MAX {
                return Reading::TooLong;
            }
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            return String::from_utf8(line).map_or(Reading::NotText, Reading::Frame);
        }
    }
}

/// Writes lines to a byte stream.
struct StreamWriter<W> {
    stream: W,
}

impl<W: AsyncWrite + Unpin + Send> LineWriter for StreamWriter<W> {
    async fn write(&mut self, lines: &[Line]) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(lines.iter().map(|line| line.text.len() + 1).sum());
        for line in lines {
            bytes.extend_from_slice(line.text.as_bytes());
            bytes.push(b'\n');
        }
        self.stream.write_all(&bytes).await?;
        self.stream.flush().await
    }

    async fn close(&mut self, _: Phase) {
        // A peer that is gone already is closed as well.
        let _ = self.stream.shutdown().await;
    }
}

#[cfg(test)]
mod tests;
