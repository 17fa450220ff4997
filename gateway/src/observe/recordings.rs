//! Recordings: one file per party while they grow, one file for all when they are over.
//!
//! Owns two threads. The *writer* takes the engine's orders and the shards' blocks and appends to files;
//! the *joiner* makes one file of a recording's tracks, which may take seconds. A disk that hangs stops
//! these two and nothing else: the queues in front of them are bounded, shards mark gaps when theirs is
//! full. Files under way are not synced: `kill -9` costs what the shard had not handed over, a power cut
//! what the kernel had not written; joined files are synced. Knows nothing of what a call is.

pub mod join;
pub mod lost;
pub mod manifest;
pub mod path;
pub mod recording;
pub mod wav;
mod writer;

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use media::recorder::Block;
use media::shard::BlockReader;
use tokio::sync::mpsc;

pub use path::final_path;

use crate::engine::io::{Input, RecorderCommand, RecorderEvent};
use join::Job;
use writer::Writer;

/// Length of a tick of the shard's grid, milliseconds.
pub const TICK_MS: u64 = 20;

/// Samples of a tick at 8000 Hz.
pub const SAMPLES_PER_TICK: u64 = TICK_MS * media::frame::RATE_HZ as u64 / 1_000;

/// Orders that wait for a slow disk. A call makes about four.
pub const ORDERS_MAX: usize = 16_384;

/// Recordings that wait to be joined; one more keeps its parties' files and is reported as failed.
pub const JOBS_MAX: usize = 4_096;

/// Where one shard's blocks come from and their memory goes back to.
pub trait BlockSource: Send {
    /// The next block of any track.
    fn pop(&mut self) -> Option<Block>;
    /// Gives the memory of a written block back.
    fn give_back(&mut self, samples: Vec<i16>);
}

impl BlockSource for BlockReader {
    fn pop(&mut self) -> Option<Block> {
        BlockReader::pop(self)
    }

    fn give_back(&mut self, samples: Vec<i16>) {
        BlockReader::give_back(self, samples);
    }
}

/// What the writer is given.
pub struct Setup {
    /// Where recordings go: an absolute path.
    pub dir: PathBuf,
    /// The blocks of each shard.
    pub blocks: Vec<Box<dyn BlockSource>>,
    /// Where reports go.
    pub report: mpsc::Sender<Input>,
}

/// The engine's end of the recordings writer.
#[derive(Debug)]
pub struct Recordings {
    orders: SyncSender<Order>,
    /// Recordings of which an order had to be dropped; the writer is told once there is room.
    abandoned: BTreeSet<String>,
    thread: JoinHandle<()>,
}

/// What the writer is told.
#[derive(Debug)]
enum Order {
    /// By the engine.
    Command(RecorderCommand),
    /// An order was lost: keep the files as they are.
    Abandon(String),
}

/// Made and removed at the start: a folder that cannot be written is told then, not at the first recording.
const PROBE: &str = ".can-be-written";

/// An order that was dropped because the disk is too far behind; its recording is over.
#[derive(Debug, thiserror::Error)]
#[error("the disk is too far behind")]
pub struct Behind {
    /// The recording.
    pub recording: String,
}

impl Recordings {
    /// Starts both threads, once a file can be made in the folder.
    pub fn spawn(setup: Setup) -> io::Result<Recordings> {
        recording::make_dirs(&setup.dir)?;
        let probe = setup.dir.join(PROBE);
        std::fs::File::create(&probe)?;
        std::fs::remove_file(&probe)?;
        let (orders, order_queue) = sync_channel(ORDERS_MAX);
        let (jobs, job_queue) = sync_channel(JOBS_MAX);
        let report = setup.report.clone();
        let joiner = std::thread::Builder::new()
            .name("recordings-join".to_owned())
            .spawn(move || run_joiner(&job_queue, &report))?;
        let writer = Writer::new(setup, jobs);
        let thread = std::thread::Builder::new()
            .name("recordings".to_owned())
            .spawn(move || {
                writer.run(&order_queue);
                if joiner.join().is_err() {
                    tracing::error!("the thread that joins recordings panicked");
                }
            })?;
        Ok(Recordings {
            orders,
            abandoned: BTreeSet::new(),
            thread,
        })
    }

    /// Hands over an order without waiting.
    pub fn order(&mut self, command: RecorderCommand) -> Result<(), Behind> {
        while let Some(recording) = self.abandoned.pop_first() {
            if self.orders.try_send(Order::Abandon(recording.clone())).is_err() {
                self.abandoned.insert(recording);
                break;
            }
        }
        let Err(error) = self.orders.try_send(Order::Command(command)) else {
            return Ok(());
        };
        let (TrySendError::Full(order) | TrySendError::Disconnected(order)) = error;
        let recording = match order {
            Order::Command(
                RecorderCommand::Start { recording, .. }
                | RecorderCommand::Track { recording, .. }
                | RecorderCommand::Stop { recording, .. },
            )
            | Order::Abandon(recording) => recording,
        };
        self.abandoned.insert(recording.clone());
        Err(Behind { recording })
    }

    /// Ends every recording with what is there and joins them. Whether that was done within `patience`.
    pub fn close(self, patience: Duration) -> bool {
        drop(self.orders);
        super::join_within(self.thread, patience)
    }
}

fn run_joiner(jobs: &Receiver<Job>, report: &mpsc::Sender<Input>) {
    for job in jobs {
        let recording = job.manifest.recording.clone();
        let event = match job.run() {
            Ok(stored) => RecorderEvent::Stored {
                recording,
                uri: stored.uri,
                sha256: stored.sha256,
                channels: stored.channels,
                duration_ms: stored.duration_ms,
            },
            Err(error) => {
                tracing::error!(%error, recording, "a recording could not be joined; its tracks are kept");
                RecorderEvent::Failed {
                    recording,
                    why: error.to_string(),
                }
            }
        };
        // An engine that is gone needs no report.
        let _ = report.blocking_send(Input::Recorder(event));
    }
}

#[cfg(test)]
mod tests;
