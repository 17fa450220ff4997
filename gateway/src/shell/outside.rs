//! What surrounds the core in service: sockets, shards, control connections and writers.
//!
//! Owned by the engine task. Each output of the core ends in one call here, none of which waits. Knows
//! nothing of what a call is.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use sip::endpoint::Transport;
use tokio::sync::{mpsc, watch};

use super::fetcher::Fetcher;
use super::losses::{self, Losses};
use super::resolver::Resolver;
use super::run::{Machine, World};
use super::shards::Shards;
use super::tcp::TcpStreams;
use super::udp::UdpSockets;
use crate::control::connection::Connections;
use crate::core::Core;
use crate::engine::io::{Input, Now, Output, RecorderEvent};
use crate::engine::sip_held;
use crate::observe::health::{ObserveRequest, Readiness};
use crate::observe::metrics::{ShardMetrics, Snapshot};
use crate::observe::record_writer::{Entry, RecordWriter};
use crate::observe::recordings::Recordings;
use crate::observe::traces::Traces;

/// How long recordings may take to be joined when the process ends.
pub const RECORDINGS_CLOSE_WAIT: Duration = Duration::from_secs(20);

/// How long records may take to be written when the process ends.
pub const RECORDS_CLOSE_WAIT: Duration = Duration::from_secs(5);

/// See the module.
pub struct Outside {
    /// SIP over UDP.
    pub udp: UdpSockets,
    /// SIP over TCP, bare or under TLS.
    pub tcp: TcpStreams,
    /// Media threads.
    pub shards: Shards,
    /// Their numbers, as sampled.
    pub shard_metrics: Vec<ShardMetrics>,
    /// Control clients.
    pub control: Connections,
    /// The recordings writer.
    pub recordings: Recordings,
    /// The writer of traces.
    pub traces: Traces,
    /// The writer of call records.
    pub records: RecordWriter,
    /// DNS.
    pub resolver: Resolver,
    /// https, for certificates.
    pub fetcher: Fetcher,
    /// Where the answers of both go.
    pub answers: mpsc::Sender<Input>,
    /// What was dropped.
    pub losses: Arc<Losses>,
    /// What performing an output led to at once; at most a few for each output of one input.
    pub echoes: VecDeque<Input>,
    /// Shards have more events than one look takes.
    pub events_left: bool,
    /// Counts the drains that came to their end.
    pub drained: watch::Sender<u64>,
    /// What the readiness probe is told.
    pub readiness: Readiness,
}

impl Machine for Core {
    fn handle(&mut self, input: Input, now: Now) {
        Core::handle(self, input, now);
    }

    fn poll_output(&mut self) -> Option<Output> {
        Core::poll_output(self)
    }

    fn next_deadline(&self) -> Option<std::time::Instant> {
        Core::next_deadline(self)
    }
}

impl World<Core> for Outside {
    type Question = ObserveRequest;

    fn perform(&mut self, output: Output, now: Now) {
        match output {
            Output::Send { flow, bytes } => match flow.transport {
                Transport::Udp => self.udp.send(flow, &bytes, &self.losses),
                Transport::Tcp | Transport::Tls => {
                    if self.tcp.send(&flow, bytes).is_err() {
                        self.echoes.push_back(Input::Disconnected { flow });
                    }
                }
            },
            Output::Connect { flow, trunk } => self.tcp.connect(flow, trunk),
            Output::Disconnect { flow } => self.tcp.close(&flow),
            Output::Lookup(question) => self.resolver.ask(question, self.answers.clone()),
            Output::Fetch(url) => self.fetcher.fetch(url, self.answers.clone()),
            Output::Sip(_) => debug_assert!(false, "the core keeps orders for the endpoint to itself"),
            Output::Media { shard, command } => self.shards.send(shard, command),
            Output::Control { conn, line } => self.control.push(conn, line),
            Output::ControlMore { conn } => self.control.more(conn),
            Output::ControlClose { conn } => self.control.close(conn),
            Output::Recorder(command) => self.order(command),
            Output::Trace(command) => {
                if !self.traces.order(command) {
                    self.losses.count(losses::TRACE_QUEUE_FULL);
                }
            }
            Output::Ledger { call, record } => self.keep(Entry::Live {
                call,
                wall_us: now.wall_us,
                record,
            }),
            Output::Record { call, record } => self.keep(Entry::Final {
                call,
                wall_us: now.wall_us,
                record,
            }),
            Output::SaveLimits { limits } => self.keep(Entry::Limits(limits)),
            Output::Log { warn: true, message } => tracing::warn!("{message}"),
            Output::Log { warn: false, message } => tracing::info!("{message}"),
            Output::Dropped { why } => self.losses.count(why),
            Output::Drained => self.drained.send_modify(|count| *count += 1),
        }
    }

    fn collect(&mut self, batch: &mut Vec<Input>, limit: usize) {
        batch.extend(self.echoes.drain(..));
        self.events_left = self.shards.collect(batch, limit);
    }

    fn retry(&mut self) -> bool {
        let commands_wait = self.shards.retry();
        commands_wait || self.events_left || !self.echoes.is_empty()
    }

    fn answer(&mut self, core: &mut Core, question: ObserveRequest, now: Now) {
        // Whoever asked may have gone.
        match question {
            ObserveRequest::Metrics { reply } => {
                let mut snapshot = Snapshot {
                    engine: core.engine().metrics().clone(),
                    gauges: core.engine().gauges(now),
                    sip: sip_held(core.endpoint()),
                    shards: self.shard_metrics.clone(),
                    losses: self.losses.snapshot(),
                    tls: self.tcp.tls_metrics(),
                };
                for _ in snapshot.engine.overruns()..self.control.overruns_total() {
                    snapshot.engine.control_overrun();
                }
                let _ = reply.send(Box::new(snapshot));
            }
            ObserveRequest::Readiness { reply } => {
                let readiness = if core.engine().gauges(now).draining {
                    Readiness::Draining
                } else {
                    self.readiness
                };
                let _ = reply.send(readiness);
            }
        }
    }

    fn sample(&mut self, _core: &mut Core) {
        for (metrics, handle) in self.shard_metrics.iter_mut().zip(self.shards.handles()) {
            metrics.know_engine(handle.engine());
            metrics.read(handle.metrics());
        }
    }
}

impl Outside {
    fn order(&mut self, command: crate::engine::io::RecorderCommand) {
        if let Err(behind) = self.recordings.order(command) {
            self.losses.count(losses::RECORDER_QUEUE_FULL);
            let why = behind.to_string();
            let failed = RecorderEvent::Failed {
                recording: behind.recording,
                why,
            };
            self.echoes.push_back(Input::Recorder(failed));
        }
    }

    fn keep(&mut self, entry: Entry) {
        if !self.records.push(entry) {
            self.losses.count(losses::RECORD_QUEUE_FULL);
            tracing::error!("a call record or ledger entry was dropped: the disk is too far behind");
        }
    }

    /// Ends everything that writes, so that what was recorded is on disk. Waits; not for the engine task.
    /// False when a disk was too slow for [`RECORDINGS_CLOSE_WAIT`] or [`RECORDS_CLOSE_WAIT`].
    pub fn close(self) -> bool {
        self.control.close_all();
        // The shards first: their last blocks belong into the recordings.
        self.shards.stop();
        let recordings = self.recordings.close(RECORDINGS_CLOSE_WAIT);
        let traces = self.traces.close(RECORDS_CLOSE_WAIT);
        let records = self.records.close(RECORDS_CLOSE_WAIT);
        recordings && traces && records
    }
}
