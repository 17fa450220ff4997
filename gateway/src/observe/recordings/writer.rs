//! The thread that appends blocks to the files of growing recordings.
//!
//! Owns all open recordings. A failed write ends one recording, never the thread.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};
use std::{fs, io};

use media::recorder::{Block, TrackKey};
use nix::sys::statvfs::statvfs;
use tokio::sync::mpsc;

use super::join::Job;
use super::recording::Recording;
use super::{BlockSource, Order, Setup};
use crate::engine::io::{Input, RecorderCommand, RecorderEvent};
use crate::shell::clock;

/// How often the shards' queues are looked at while something is recorded: with blocks of 200 ms a
/// `kill -9` costs at most 220 ms and the time of a write.
const POLL_EVERY: Duration = Duration::from_millis(20);

/// The same when nothing is recorded, and how often free space is measured.
const IDLE_EVERY: Duration = Duration::from_secs(1);

/// How long a stopped recording waits for last blocks that a full queue or a dead shard has swallowed.
const LAST_BLOCK_WAIT: Duration = Duration::from_secs(2);

/// Blocks kept whose track the engine has not named yet: its order is at most a batch behind.
const EARLY_BLOCKS_MAX: usize = 256;

/// Blocks taken from one shard before the others and the orders have their turn.
const BLOCKS_PER_TURN: usize = 1_024;

/// The file that shows whether the folder can be written to.
const PROBE: &str = ".probe";

/// See the module.
pub struct Writer {
    dir: PathBuf,
    blocks: Vec<Box<dyn BlockSource>>,
    report: mpsc::Sender<Input>,
    jobs: SyncSender<Job>,
    open: BTreeMap<String, Open>,
    owners: HashMap<TrackKey, String>,
    /// With the shard each came from.
    early: VecDeque<(usize, Block)>,
    /// What the last look at the folder showed.
    is_writable: bool,
}

struct Open {
    recording: Recording,
    /// Once it is stopped: when it no longer waits for last blocks.
    join_at: Option<Instant>,
}

impl Writer {
    /// A writer that hands what is to be joined to `jobs`.
    pub fn new(setup: Setup, jobs: SyncSender<Job>) -> Writer {
        Writer {
            dir: setup.dir,
            blocks: setup.blocks,
            report: setup.report,
            jobs,
            open: BTreeMap::new(),
            owners: HashMap::new(),
            early: VecDeque::new(),
            is_writable: true,
        }
    }

    /// Works until the engine's end is dropped; then ends every recording with what is there.
    pub fn run(mut self, orders: &Receiver<Order>) {
        let mut measure_at = clock::mono();
        loop {
            let now = clock::mono();
            if measure_at <= now {
                self.measure_free_space();
                measure_at = now + IDLE_EVERY;
            }
            match orders.recv_timeout(if self.open.is_empty() {
                IDLE_EVERY
            } else {
                POLL_EVERY
            }) {
                Ok(order) => {
                    self.handle_order(order, clock::mono());
                    for order in orders.try_iter().take(super::ORDERS_MAX) {
                        self.handle_order(order, clock::mono());
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.take_blocks();
            self.join_what_is_over(Some(clock::mono()));
        }
        self.take_blocks();
        self.join_what_is_over(None);
    }

    fn handle_order(&mut self, order: Order, now: Instant) {
        match order {
            Order::Command(RecorderCommand::Start {
                recording,
                call,
                wall_us,
            }) => match Recording::start(&self.dir, &recording, &call, wall_us) {
                Ok(started) => {
                    self.open.insert(
                        recording,
                        Open {
                            recording: started,
                            join_at: None,
                        },
                    );
                }
                Err(error) => self.report_failed(recording, &error),
            },
            Order::Command(RecorderCommand::Track {
                recording,
                track,
                leg,
            }) => {
                let Some(open) = self.open.get_mut(&recording) else {
                    return;
                };
                match open.recording.begin_track(track, &leg) {
                    Ok(()) => {
                        self.owners.insert(track, recording);
                    }
                    Err(error) => self.fail(&recording, &error),
                }
            }
            Order::Command(RecorderCommand::Stop { recording, pauses }) => {
                let Some(open) = self.open.get_mut(&recording) else {
                    return;
                };
                open.recording.stop(&pauses);
                open.join_at = Some(now + LAST_BLOCK_WAIT);
            }
            // The engine was told when the order was lost.
            Order::Abandon(recording) => {
                if let Some(open) = self.close(&recording) {
                    open.recording.fail(&super::Behind { recording }.to_string());
                }
            }
        }
    }

    fn take_blocks(&mut self) {
        for _ in 0..self.early.len() {
            let Some((shard, block)) = self.early.pop_front() else {
                break;
            };
            self.handle_block(shard, block);
        }
        let mut taken = Vec::new();
        for (shard, source) in self.blocks.iter_mut().enumerate() {
            let blocks = std::iter::from_fn(|| source.pop()).take(BLOCKS_PER_TURN);
            taken.extend(blocks.map(|block| (shard, block)));
        }
        // A track whose stream moved comes from two shards: its blocks go into the file in their order.
        taken.sort_by_key(|(_, block)| block.position);
        for (shard, block) in taken {
            self.handle_block(shard, block);
        }
    }

    /// Keeps a block until its track is named; beyond the limit the oldest goes.
    fn keep(&mut self, shard: usize, early: Block) {
        if self.early.len() >= EARLY_BLOCKS_MAX
            && let Some((shard, oldest)) = self.early.pop_front()
        {
            self.give_back(shard, oldest);
        }
        self.early.push_back((shard, early));
    }

    fn give_back(&mut self, shard: usize, block: Block) {
        if let Some(source) = self.blocks.get_mut(shard) {
            source.give_back(block.samples);
        }
    }

    /// Writes a block, or keeps it where its track is not known yet.
    fn handle_block(&mut self, shard: usize, block: Block) {
        let Some(owner) = self.owners.get(&block.track) else {
            return self.keep(shard, block);
        };
        if let Some(open) = self.open.get_mut(owner)
            && let Err(error) = open.recording.block(&block)
        {
            let owner = owner.clone();
            self.fail(&owner, &error);
        }
        self.give_back(shard, block);
    }

    /// Hands over stopped recordings that have all their blocks or waited long enough; all, without a time.
    fn join_what_is_over(&mut self, now: Option<Instant>) {
        let over: Vec<String> = self
            .open
            .iter()
            .filter(|(_, open)| match (now, open.join_at) {
                (Some(now), Some(join_at)) => join_at <= now || open.recording.has_all_blocks(),
                (Some(_), None) => false,
                (None, _) => true,
            })
            .map(|(id, _)| id.clone())
            .collect();
        for id in over {
            let Some(open) = self.close(&id) else { continue };
            if !open.recording.has_all_blocks() {
                tracing::warn!(
                    recording = id,
                    "a recording ends without the last block of every track"
                );
            }
            if let Err(error) = self.jobs.try_send(open.recording.into_job()) {
                let (std::sync::mpsc::TrySendError::Full(job)
                | std::sync::mpsc::TrySendError::Disconnected(job)) = error;
                let why = io::Error::new(
                    io::ErrorKind::ResourceBusy,
                    "too many recordings wait to be joined",
                );
                job.give_up(&why);
                self.report_failed(id, &why);
            }
        }
    }

    fn close(&mut self, id: &str) -> Option<Open> {
        let open = self.open.remove(id)?;
        for key in open.recording.track_keys() {
            self.owners.remove(&key);
        }
        Some(open)
    }

    fn fail(&mut self, id: &str, error: &io::Error) {
        let Some(open) = self.close(id) else { return };
        open.recording.fail(&error.to_string());
        self.report_failed(id.to_owned(), error);
    }

    fn report_failed(&self, recording: String, error: &io::Error) {
        tracing::error!(%error, recording, "a recording failed; what was written is kept");
        let event = RecorderEvent::Failed {
            recording,
            why: error.to_string(),
        };
        // An engine that is gone needs no report.
        let _ = self.report.blocking_send(Input::Recorder(event));
    }

    /// Tells how much space there is, or that nothing can be written: a disk that is full, gone or read-only
    /// shows so before the next recording begins. A full queue is seen by the next measurement.
    fn measure_free_space(&mut self) {
        let probed = probe(&self.dir);
        let was_writable = std::mem::replace(&mut self.is_writable, probed.is_ok());
        if let Err(error) = probed {
            if was_writable {
                tracing::error!(%error, dir = %self.dir.display(), "recordings cannot be written");
            }
            let why = error.to_string();
            let _ = self.report.try_send(Input::DiskFault { why });
            return;
        }
        match statvfs(&self.dir) {
            Ok(space) => {
                let bytes = space.blocks_available().saturating_mul(space.fragment_size());
                let _ = self.report.try_send(Input::DiskFree {
                    mb: bytes / (1024 * 1024),
                });
            }
            Err(error) => tracing::warn!(%error, "free space for recordings could not be measured"),
        }
    }
}

/// Writes a byte and takes it away again.
fn probe(dir: &Path) -> io::Result<()> {
    let path = dir.join(PROBE);
    fs::write(&path, [0])?;
    fs::remove_file(&path)
}
