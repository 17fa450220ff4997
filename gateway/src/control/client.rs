//! A client of the control protocol: calls, events, and following events over reconnects.
//!
//! Speaks to the gateway by any byte stream; knows of the gateway nothing that the protocol does not say.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};

use super::protocol::Failure;

/// Most events that wait for whoever reads [`Events`]; past it the connection is given up, so that
/// replies are never stuck behind events and no event is lost unseen.
pub const EVENTS_MAX: usize = 8_192;
/// Most commands that wait to be written.
const COMMANDS_MAX: usize = 256;
/// Longest line from the gateway, bytes: a snapshot of thousands of legs.
const LINE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Why a call has no result.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ClientError {
    /// The gateway refused.
    #[error("{0}")]
    Refused(Failure),
    /// The connection is gone; whether the command was applied is not known. Ask again with the same `key`.
    #[error("the connection to the gateway is gone")]
    Disconnected,
}

impl ClientError {
    /// The refusal, if it is one.
    pub fn refusal(&self) -> Option<&Failure> {
        match self {
            Self::Refused(failure) => Some(failure),
            Self::Disconnected => None,
        }
    }
}

/// The side of a connection that asks. Clones share it; when the last is dropped the connection closes.
#[derive(Clone, Debug)]
pub struct Client {
    lines: mpsc::Sender<String>,
    pending: Arc<Mutex<Pending>>,
}

/// The side of a connection that listens: the `params` of each event, in order.
#[derive(Debug)]
pub struct Events {
    queue: mpsc::Receiver<Value>,
}

#[derive(Debug, Default)]
struct Pending {
    next_id: u64,
    waiting: BTreeMap<u64, oneshot::Sender<Result<Value, Failure>>>,
    is_closed: bool,
}

impl Client {
    /// Connects to a control socket. `hello` is the caller's to send.
    pub async fn connect(path: &Path) -> io::Result<(Self, Events)> {
        Ok(Self::over(UnixStream::connect(path).await?))
    }

    /// Speaks over a stream that is connected already, such as one half of `tokio::io::duplex`.
    pub fn over<S>(stream: S) -> (Self, Events)
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let (read, write) = tokio::io::split(stream);
        let (lines, queued_lines) = mpsc::channel(COMMANDS_MAX);
        let (events, queue) = mpsc::channel(EVENTS_MAX);
        let pending = Arc::new(Mutex::new(Pending::default()));
        tokio::spawn(write_lines(write, queued_lines));
        tokio::spawn(read_lines(read, pending.clone(), events));
        (Self { lines, pending }, Events { queue })
    }

    /// Says who speaks and subscribes to every event.
    pub async fn hello(&self, app: &str) -> Result<Value, ClientError> {
        self.call("hello", json!({ "app": app, "client": "rust", "subscribe": {} }))
            .await
    }

    /// Sends a command and waits for its reply.
    pub async fn call(&self, method: &str, params: Value) -> Result<Value, ClientError> {
        let (reply, answered) = oneshot::channel();
        let id = {
            let mut pending = lock(&self.pending);
            if pending.is_closed {
                return Err(ClientError::Disconnected);
            }
            pending.next_id += 1;
            let id = pending.next_id;
            pending.waiting.insert(id, reply);
            id
        };
        let line = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string();
        if self.lines.send(line).await.is_err() {
            lock(&self.pending).waiting.remove(&id);
            return Err(ClientError::Disconnected);
        }
        match answered.await {
            Ok(result) => result.map_err(ClientError::Refused),
            Err(_) => Err(ClientError::Disconnected),
        }
    }
}

impl Events {
    /// The next event; `None` once the connection is gone.
    pub async fn next(&mut self) -> Option<Value> {
        self.queue.recv().await
    }

    /// The next event, if one is there already.
    pub fn try_next(&mut self) -> Option<Value> {
        self.queue.try_recv().ok()
    }
}

async fn write_lines<W: AsyncWrite + Unpin>(mut stream: W, mut lines: mpsc::Receiver<String>) {
    while let Some(mut line) = lines.recv().await {
        line.push('\n');
        if stream.write_all(line.as_bytes()).await.is_err() || stream.flush().await.is_err() {
            return;
        }
    }
    // The last client is dropped: the gateway sees our end and closes.
    let _ = stream.shutdown().await;
}

async fn read_lines<R: AsyncRead + Unpin>(
    stream: R,
    pending: Arc<Mutex<Pending>>,
    events: mpsc::Sender<Value>,
) {
    let mut stream = BufReader::new(stream);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut stream)
            .take(LINE_BYTES_MAX)
            .read_until(b'\n', &mut line)
            .await
        {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
        // What is no JSON means that framing is lost, or that this is no gateway.
        let Ok(mut message) = serde_json::from_slice::<Value>(&line) else {
            break;
        };
        if message.get("method").is_some() {
            let params = message.get_mut("params").map(Value::take).unwrap_or_default();
            if let Err(mpsc::error::TrySendError::Full(_)) = events.try_send(params) {
                break;
            }
        } else {
            settle(&pending, &mut message);
        }
    }
    let mut pending = lock(&pending);
    pending.is_closed = true;
    pending.waiting.clear();
}

/// Gives a reply to whoever waits for it. One without an id is the last word of a gateway that closes.
fn settle(pending: &Mutex<Pending>, message: &mut Value) {
    let reply = match message.get("error") {
        Some(error) => Err(Failure::from_value(error)),
        None => Ok(message.get_mut("result").map(Value::take).unwrap_or_default()),
    };
    let mut pending = lock(pending);
    match message.get("id").and_then(Value::as_u64) {
        // Who asked may have stopped waiting.
        Some(id) => drop(pending.waiting.remove(&id).map(|waiting| waiting.send(reply))),
        None => {
            for (_, waiting) in std::mem::take(&mut pending.waiting) {
                let _ = waiting.send(reply.clone());
            }
        }
    }
}

fn lock(pending: &Mutex<Pending>) -> MutexGuard<'_, Pending> {
    pending.lock().unwrap_or_else(PoisonError::into_inner)
}

/// First pause before connecting again; it doubles up to [`RECONNECT_PAUSE_MAX`].
const RECONNECT_PAUSE_MIN: Duration = Duration::from_millis(50);
/// Longest pause before connecting again.
const RECONNECT_PAUSE_MAX: Duration = Duration::from_secs(2);

/// What a follower hears.
#[derive(Clone, Debug, PartialEq)]
pub enum Followed {
    /// An event, each `seq` once.
    Event(Value),
    /// Events are missing; this is true instead, and events go on after its `seq`.
    Snapshot(Value),
}

/// Events over reconnects: resumes by cursor where the connection broke.
#[derive(Debug)]
pub struct Follower {
    path: PathBuf,
    app: String,
    subscribe: Value,
    stats_interval_ms: Option<u32>,
    cursor: Option<(String, u64)>,
    connection: Option<(Client, Events)>,
    pause: Duration,
}

impl Follower {
    /// Follows the events of `subscribe`, the filter object of `hello`.
    pub fn new(path: &Path, app: &str, subscribe: Value) -> Self {
        Self {
            path: path.to_owned(),
            app: app.to_owned(),
            subscribe,
            stats_interval_ms: None,
            cursor: None,
            connection: None,
            pause: RECONNECT_PAUSE_MIN,
        }
    }

    /// Also asks for measurements, so often.
    #[must_use]
    pub fn with_stats(mut self, interval_ms: u32) -> Self {
        self.stats_interval_ms = Some(interval_ms);
        self
    }

    /// Connects once, so that a wrong path or a refusal is told at once.
    pub async fn connect(&mut self) -> Result<Option<Value>, ClientError> {
        let (client, events) = Client::connect(&self.path)
            .await
            .map_err(|_| ClientError::Disconnected)?;
        let mut hello = json!({ "app": self.app, "client": "follower", "subscribe": self.subscribe });
        if let (Some((epoch, seq)), Some(hello)) = (&self.cursor, hello.as_object_mut()) {
            hello.insert("resume".into(), json!({ "epoch": epoch, "seq": seq }));
        }
        let mut greeting = client.call("hello", hello).await?;
        if let Some(interval_ms) = self.stats_interval_ms {
            let mut subscribe = self.subscribe.clone();
            if let Some(subscribe) = subscribe.as_object_mut() {
                subscribe.insert("stats_interval_ms".into(), interval_ms.into());
            }
            client.call("subscribe", subscribe).await?;
        }
        self.connection = Some((client, events));
        self.pause = RECONNECT_PAUSE_MIN;
        let is_resumed = greeting.get("resumed").and_then(Value::as_bool);
        if is_resumed != Some(true) {
            self.advance(&greeting);
        }
        if is_resumed != Some(false) {
            return Ok(None);
        }
        let snapshot = greeting.get_mut("snapshot").map(Value::take).unwrap_or_default();
        self.advance(&snapshot);
        Ok(Some(snapshot))
    }

    /// The next event or snapshot; waits out any loss of the connection. Fails only when refused.
    pub async fn next(&mut self) -> Result<Followed, Failure> {
        loop {
            if let Some((_, events)) = &mut self.connection {
                if let Some(event) = events.next().await {
                    self.advance(&event);
                    return Ok(Followed::Event(event));
                }
                self.connection = None;
            }
            match self.connect().await {
                Ok(Some(snapshot)) => return Ok(Followed::Snapshot(snapshot)),
                Ok(None) => {}
                Err(ClientError::Refused(failure)) => return Err(failure),
                Err(ClientError::Disconnected) => {
                    // Nothing tells when a gateway is back, so the wait has nothing to end it but its limit.
                    let _ = tokio::time::timeout(self.pause, std::future::pending::<()>()).await;
                    self.pause = (self.pause * 2).min(RECONNECT_PAUSE_MAX);
                }
            }
        }
    }

    /// The last event seen: epoch and `seq`.
    pub fn cursor(&self) -> Option<(&str, u64)> {
        self.cursor.as_ref().map(|(epoch, seq)| (epoch.as_str(), *seq))
    }

    fn advance(&mut self, seen: &Value) {
        let epoch = seen.get("epoch").and_then(Value::as_str);
        let seq = seen.get("seq").and_then(Value::as_u64);
        if let (Some(epoch), Some(seq)) = (epoch, seq) {
            self.cursor = Some((epoch.to_owned(), seq));
        }
    }
}

#[cfg(test)]
mod tests;
