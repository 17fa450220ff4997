//! What goes into the core and what comes out of it, as values.
//!
//! The core is `Endpoint` (sip) and `Engine` (calls) wired together; the shell and the simulation both
//! drive it with these types and nothing else. Nothing here touches a socket, a file or a clock.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use media::recorder::TrackKey;
use media::sound::Sound;

use sip::transport::name_cache::Answer;
use sip::transport::target::Question;

pub use super::audio::sounds::Prompts;
pub use super::callers::certificates::{FetchFailure, FetchedChain, TlsFault};
use super::trunks::tls_peers::TlsPeer;
use crate::config::NumberMap;
use crate::control::protocol::Request;
use crate::stir::CertificateUrl;

/// One reading of both clocks, taken by the shell once per input batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now {
    /// Monotonic time: all deadlines.
    pub mono: Instant,
    /// Microseconds since the Unix epoch, UTC: what records and events show.
    pub wall_us: i64,
}

/// One control connection, numbered by the shell; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnKey(pub u64);

/// Everything that can happen to the core.
#[derive(Debug)]
pub enum Input {
    /// A SIP datagram.
    Datagram {
        /// UDP, with the packet's true source.
        flow: sip::endpoint::Flow,
        /// Its bytes.
        bytes: Bytes,
    },
    /// A TCP or TLS connection is open (asked for by `Output::Connect`, or accepted).
    Connected {
        /// Which flow.
        flow: sip::endpoint::Flow,
        /// Under TLS: what the peer has shown.
        peer: Option<TlsPeer>,
    },
    /// Plain bytes of a TCP or TLS connection.
    StreamData {
        /// Which flow.
        flow: sip::endpoint::Flow,
        /// What was read.
        bytes: Bytes,
    },
    /// A TCP or TLS connection closed, or could not be opened, or a UDP destination is unreachable.
    Disconnected {
        /// Which flow.
        flow: sip::endpoint::Flow,
    },
    /// A shard reports.
    Media {
        /// Which shard.
        shard: usize,
        /// What.
        event: media::Event,
    },
    /// A control connection opened.
    ControlOpened {
        /// Its number.
        conn: ConnKey,
    },
    /// A control client asks.
    Control {
        /// Who.
        conn: ConnKey,
        /// The JSON-RPC id, echoed in the reply; `None` is a notification and gets none.
        id: Option<Box<serde_json::value::RawValue>>,
        /// The typed request, or the error its parsing ended in (answered in order like any other).
        request: Result<Box<Request>, crate::control::protocol::Failure>,
    },
    /// A client that is catching up has written what it had and wants more of the journal.
    ControlDrained {
        /// Who.
        conn: ConnKey,
    },
    /// A control connection closed.
    ControlClosed {
        /// Who.
        conn: ConnKey,
    },
    /// The recordings writer reports.
    Recorder(RecorderEvent),
    /// The prompts folder was read.
    Prompts(Prompts),
    /// Music was loaded: pieces in order, by class.
    Music(Vec<(String, Vec<Arc<Sound>>)>),
    /// The configuration file was read again.
    NumberMap {
        /// Its number map.
        map: NumberMap,
        /// Tables and keys that differ beyond it and wait for a restart.
        waiting: Vec<String>,
    },
    /// DNS answered, or did not.
    LookedUp {
        /// What was asked.
        question: Question,
        /// What it said.
        answer: Answer,
    },
    /// A certificate was fetched, or could not be.
    Fetched {
        /// Where it is.
        url: CertificateUrl,
        /// What came.
        result: Result<FetchedChain, FetchFailure>,
    },
    /// Free space where recordings go, which can be written to.
    DiskFree {
        /// Mebibytes.
        mb: u64,
    },
    /// Where recordings go nothing can be written.
    DiskFault {
        /// The system's words.
        why: String,
    },
    /// A trace is over and written down.
    Trace(TraceEnd),
    /// Stop taking calls; as `drain.start`, from a signal.
    Drain {
        /// After so long the remaining calls are ended; none: never.
        deadline_ms: Option<u64>,
    },
    /// The process stops now: every call is ended.
    Stopping,
    /// Signalling is behind, or was: what comes now waits for so long until it is handled.
    Backlog {
        /// As far as can be told.
        wait: Duration,
    },
    /// Time went by: a deadline given by `next_deadline` was reached.
    Tick,
}

/// Everything the core asks of the world, in order.
#[derive(Debug)]
pub enum Output {
    /// Send a SIP message.
    Send {
        /// Where.
        flow: sip::endpoint::Flow,
        /// The message.
        bytes: Bytes,
    },
    /// Open a TCP or TLS connection.
    Connect {
        /// Which.
        flow: sip::endpoint::Flow,
        /// The trunk that dials there, by index; none: a dialog goes on.
        trunk: Option<usize>,
    },
    /// Close a TCP or TLS connection.
    Disconnect {
        /// Which.
        flow: sip::endpoint::Flow,
    },
    /// Ask DNS; `LookedUp` follows.
    Lookup(Question),
    /// Fetch a certificate; `Fetched` follows.
    Fetch(CertificateUrl),
    /// An order of the engine for the endpoint; the core takes it, the shell never sees it.
    Sip(sip::endpoint::Command),
    /// Give these changes to a shard, together.
    Media {
        /// Which shard.
        shard: usize,
        /// What.
        command: media::Command,
    },
    /// Write one line (without its `\n`) to a control connection.
    Control {
        /// To whom.
        conn: ConnKey,
        /// One JSON object.
        line: Arc<str>,
    },
    /// Ask a catching-up connection to report `ControlDrained` once its queue is written.
    ControlMore {
        /// Whom.
        conn: ConnKey,
    },
    /// Close a control connection after what is queued.
    ControlClose {
        /// Whom.
        conn: ConnKey,
    },
    /// Orders for the recordings writer.
    Recorder(RecorderCommand),
    /// Orders for the writer of traces.
    Trace(TraceCommand),
    /// The state of a call that is up, one JSON object: what a crash would leave of it.
    Ledger {
        /// The call.
        call: String,
        /// Its `call.record` so far.
        record: Arc<str>,
    },
    /// The final record of a call, one JSON object; ends its ledger entry.
    Record {
        /// The call.
        call: String,
        /// Its `call.record`.
        record: Arc<str>,
    },
    /// Keep live limits over a restart (`limits.set`).
    SaveLimits {
        /// One JSON object.
        limits: Arc<str>,
    },
    /// Something for the log, at INFO or WARN, already free of numbers.
    Log {
        /// True for WARN.
        warn: bool,
        /// What happened.
        message: String,
    },
    /// A datagram or message was dropped before any state was made.
    Dropped {
        /// Stable word for the metric's label.
        why: &'static str,
    },
    /// The last call is gone after a drain.
    Drained,
}

/// Orders for the writer of traces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TraceCommand {
    /// A trace begins.
    Start {
        /// Its id.
        trace: String,
        /// Wall clock, microseconds since the Unix epoch.
        wall_us: i64,
        /// What it follows, for the head of the file.
        about: String,
        /// Numbers and names are written as they are.
        shows_numbers: bool,
    },
    /// One message of it.
    Message {
        /// The trace.
        trace: String,
        /// Wall clock, microseconds since the Unix epoch.
        wall_us: i64,
        /// Where it goes or comes from.
        flow: sip::endpoint::Flow,
        /// The peer sent it.
        is_in: bool,
        /// The message, secrets and all.
        bytes: Bytes,
    },
    /// It is over; `Input::Trace` follows.
    Stop {
        /// The trace.
        trace: String,
    },
}

/// What the writer says of a trace that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceEnd {
    /// The trace.
    pub trace: String,
    /// The file with messages and ladder.
    pub text: String,
    /// The pcap file.
    pub pcap: String,
    /// Messages that a full queue lost.
    pub lost: u64,
    /// Why a file could not be written.
    pub failed: Option<String>,
}

/// Orders for the recordings writer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecorderCommand {
    /// A recording begins; its folder and manifest are made. `path` is where the joined file will be.
    Start {
        /// Its id.
        recording: String,
        /// The call it belongs to.
        call: String,
        /// Wall clock at its start, microseconds since the Unix epoch.
        wall_us: i64,
    },
    /// A party's track begins; blocks with this key follow from the shard's block queue.
    Track {
        /// The recording.
        recording: String,
        /// The track.
        track: TrackKey,
        /// The party.
        leg: String,
    },
    /// No more tracks: once every track had its last block, join them and report.
    Stop {
        /// The recording.
        recording: String,
        /// Paused spans for the manifest: (from, to) in milliseconds since the start.
        pauses: Vec<(u64, u64)>,
    },
}

/// What the recordings writer reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecorderEvent {
    /// The joined file is on disk.
    Stored {
        /// The recording.
        recording: String,
        /// `file://` URI of the joined file.
        uri: String,
        /// Lower-case hex SHA-256 of that file.
        sha256: String,
        /// Its channels in order: leg ids.
        channels: Vec<String>,
        /// Length, milliseconds.
        duration_ms: u64,
    },
    /// It could not be kept.
    Failed {
        /// The recording.
        recording: String,
        /// Why, for people.
        why: String,
    },
}
