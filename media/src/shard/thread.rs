//! A shard on its own thread: the only place in this crate that reads a clock or sleeps.
//!
//! Owns the thread, the two bounded queues and the wake-up. Knows nothing of what is in a command.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use rtrb::{Consumer, Producer, RingBuffer};

use super::io::choice::{self, Engine, Ready};
use super::io::{Io, Sleeper, Waker};
use super::mail::{Post, links};
use super::metrics::MetricsReader;
use super::record::BlockReader;
use super::{Shard, ShardConfig};
use crate::command::Command;
use crate::event::Event;

/// Commands waiting for a shard. The engine makes a few per call step; a full queue means the shard hangs.
pub const COMMANDS_MAX: usize = 4096;

/// Events waiting for the engine.
pub const EVENTS_MAX: usize = 8192;

/// Longest sleep of a shard without streams. Any command ends it at once.
const IDLE_SLEEP: Duration = Duration::from_secs(1);

/// A shard's queue is full; the command comes back.
#[derive(Debug, thiserror::Error)]
#[error("the shard does not take commands")]
pub struct ShardBusy(pub Command);

/// The engine's end of a running shard.
pub struct ShardHandle {
    commands: Producer<Command>,
    events: Consumer<Event>,
    metrics: MetricsReader,
    waker: Waker,
    engine: Engine,
    refused: Option<io::Error>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl ShardHandle {
    /// Hands over changes that take effect together, within one turn.
    pub fn send(&mut self, command: Command) -> Result<(), ShardBusy> {
        self.commands
            .push(command)
            .map_err(|rtrb::PushError::Full(command)| ShardBusy(command))?;
        self.waker.wake();
        Ok(())
    }

    /// The next event; call until `None` whenever the wake function given to [`spawn`] was called.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop().ok()
    }

    /// Commands the shard has not taken yet.
    pub fn command_queue_level(&self) -> usize {
        self.commands.buffer().capacity() - self.commands.slots()
    }

    /// Counters and lateness.
    pub fn metrics(&mut self) -> &mut MetricsReader {
        &mut self.metrics
    }

    /// What keeps its sockets.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// Why it is not io_uring, where that was wanted and the kernel refused it.
    pub fn uring_refused(&self) -> Option<&io::Error> {
        self.refused.as_ref()
    }

    /// Ends the thread and waits for it. Open streams say goodbye first.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.waker.wake();
        if let Some(thread) = self.thread.take() {
            // A shard that panicked is already ended.
            let _ = thread.join();
        }
    }
}

impl Drop for ShardHandle {
    fn drop(&mut self) {
        self.end();
    }
}

/// Starts a shard. `wake` is called from its thread after events were queued; the reader takes the
/// blocks of all tracks.
pub fn spawn(config: ShardConfig, wake: Box<dyn Fn() + Send>) -> io::Result<(ShardHandle, BlockReader)> {
    let parts = Parts::new(&config)?;
    start(config, parts, Post::alone(), Instant::now(), wake)
}

/// Starts shards that can hand streams to one another, numbered in this order; see [`spawn`]. Fails with the
/// number of the one that could not be started.
pub fn spawn_all(
    configs: Vec<(ShardConfig, Box<dyn Fn() + Send>)>,
) -> Result<Vec<(ShardHandle, BlockReader)>, (usize, io::Error)> {
    let mut all = Vec::with_capacity(configs.len());
    for (index, (config, _)) in configs.iter().enumerate() {
        all.push(Parts::new(config).map_err(|error| (index, error))?);
    }
    let wakers: Vec<Waker> = all.iter().map(|parts| parts.sleeper.waker()).collect();
    let posts = links(configs.len());
    let begin = Instant::now();
    let mut started = Vec::with_capacity(configs.len());
    for (index, (((config, wake), parts), mut post)) in configs.into_iter().zip(all).zip(posts).enumerate() {
        post.set_wakers(wakers.clone());
        started.push(start(config, parts, post, begin, wake).map_err(|error| (index, error))?);
    }
    Ok(started)
}

/// What a shard has from the operating system.
struct Parts {
    sleeper: Sleeper,
    io: Ready,
    /// Why it is not io_uring, where that was wanted.
    refused: Option<io::Error>,
}

impl Parts {
    fn new(config: &ShardConfig) -> io::Result<Parts> {
        let (io, refused) = choice::make(config.io, config.streams_max as usize)?;
        Ok(Parts {
            sleeper: Sleeper::new()?,
            io,
            refused,
        })
    }
}

fn start(
    config: ShardConfig,
    parts: Parts,
    post: Post,
    begin: Instant,
    wake: Box<dyn Fn() + Send>,
) -> io::Result<(ShardHandle, BlockReader)> {
    let Parts { sleeper, io, refused } = parts;
    let (commands, commands_in) = RingBuffer::new(COMMANDS_MAX);
    let (events_out, events) = RingBuffer::new(EVENTS_MAX);
    let stop = Arc::new(AtomicBool::new(false));
    let (waker, engine) = (sleeper.waker(), io.engine());
    let (cpu, turn, name) = (config.cpu, config.turn, format!("shard-{}", config.index));
    let (mut shard, metrics, blocks) = Shard::new(&config, begin);
    shard.join(post);
    let worker = Worker {
        shard,
        sleeper,
        commands: commands_in,
        events: events_out,
        unsent: None,
        wake,
        stop: Arc::clone(&stop),
        turn,
    };
    let thread = std::thread::Builder::new().name(name).spawn(move || {
        if let Some(cpu) = cpu {
            pin(cpu);
        }
        match io {
            Ready::Epoll(io) => worker.run(*io),
            Ready::Uring(io) => worker.run(*io),
        }
    })?;
    let handle = ShardHandle {
        commands,
        events,
        metrics,
        waker,
        engine,
        refused,
        stop,
        thread: Some(thread),
    };
    Ok((handle, blocks))
}

struct Worker {
    shard: Shard,
    sleeper: Sleeper,
    commands: Consumer<Command>,
    events: Producer<Event>,
    /// An event for which the queue had no room.
    unsent: Option<Event>,
    wake: Box<dyn Fn() + Send>,
    stop: Arc<AtomicBool>,
    turn: Duration,
}

impl Worker {
    fn run(mut self, mut io: impl Io) {
        while !self.stop.load(Ordering::Acquire) {
            let now = Instant::now();
            while self.unsent.is_none() && !self.shard.is_congested() {
                let Ok(command) = self.commands.pop() else { break };
                self.shard.handle_command(command, &mut io, now);
            }
            self.shard.timed_turn(&mut io, now, Instant::now);
            self.hand_out_events();
            if self.shard.is_idle() && self.commands.is_empty() {
                self.shard.publish();
                self.sleeper.sleep(IDLE_SLEEP);
            } else {
                std::thread::sleep(self.turn);
            }
        }
        self.shard.close_all(&mut io, Instant::now());
        self.hand_out_events();
    }

    fn hand_out_events(&mut self) {
        let mut any = false;
        while let Some(event) = self.unsent.take().or_else(|| self.shard.poll_event()) {
            if let Err(rtrb::PushError::Full(event)) = self.events.push(event) {
                self.unsent = Some(event);
                break;
            }
            any = true;
        }
        if any {
            (self.wake)();
        }
    }
}

/// Keeps the thread on one core. A host that forbids it still carries calls.
fn pin(cpu: usize) {
    let mut set = CpuSet::new();
    if set.set(cpu).is_ok() {
        let _ = sched_setaffinity(Pid::from_raw(0), &set);
    }
}
