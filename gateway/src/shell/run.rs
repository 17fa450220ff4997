//! The engine task: the one loop that owns the core.
//!
//! It takes inputs in batches, reads the clocks once a batch, performs what the core asks for after every
//! input and sleeps until the core's next deadline. It never waits for a client, a file or a socket.
//! Media events come first, then what clients and writers say, then signalling, so that a flood of
//! datagrams delays none of the others by more than a batch.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc, oneshot};

use super::clock;
use super::losses::{self, Losses};
use crate::engine::io::{Input, Now, Output};
use crate::engine::policy::overload::WAIT_TARGET;

/// Datagrams and stream data that wait for the engine. At 20 µs each a full queue is 80 ms of work; more
/// is dropped (UDP, counted) or left with the peer (TCP).
pub const SIGNALLING_INPUTS_MAX: usize = 4_096;

/// Control requests, reports of writers and the like that wait for the engine; senders wait for room.
pub const WORK_INPUTS_MAX: usize = 1_024;

/// Inputs of each kind handled on one reading of the clocks.
pub const BATCH_MAX: usize = 64;

/// How soon a command that a shard's full queue refused is offered again.
const BACKLOG_RETRY: Duration = Duration::from_millis(1);

/// Pause after a panic in a timer, whose deadline may still stand in the past.
const PANIC_PAUSE: Duration = Duration::from_millis(10);

/// How often levels are noted.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);

/// What is driven: the core, or a stand-in in tests.
pub trait Machine: Send + 'static {
    /// Takes an input.
    fn handle(&mut self, input: Input, now: Now);
    /// The next thing to do; drained after every input.
    fn poll_output(&mut self) -> Option<Output>;
    /// When it wants a `Tick`.
    fn next_deadline(&self) -> Option<Instant>;
}

/// What surrounds a machine `M`: sockets, shards, writers. No method waits.
pub trait World<M>: Send + 'static {
    /// Something asked by those who watch the gateway, such as its numbers.
    type Question: Send;

    /// Does what the core asked for.
    fn perform(&mut self, output: Output, now: Now);
    /// Adds what shards report and what performing led to, at most `limit`.
    fn collect(&mut self, batch: &mut Vec<Input>, limit: usize);
    /// Offers again what was refused; true while something still waits.
    fn retry(&mut self) -> bool;
    /// Answers a question.
    fn answer(&mut self, machine: &mut M, question: Self::Question, now: Now);
    /// Takes note of levels; called each second.
    fn sample(&mut self, machine: &mut M);
}

/// The sending ends of the engine's queues.
#[derive(Clone, Debug)]
pub struct Lanes {
    /// Datagrams and streams.
    pub signalling: mpsc::Sender<Input>,
    /// Everything else.
    pub work: mpsc::Sender<Input>,
    /// Called when a shard has events.
    pub wake: Arc<Notify>,
}

/// The receiving ends.
#[derive(Debug)]
pub struct Queues {
    signalling: mpsc::Receiver<Input>,
    work: mpsc::Receiver<Input>,
    wake: Arc<Notify>,
}

/// Both ends of the engine's queues.
pub fn queues() -> (Lanes, Queues) {
    let (signalling, signalling_queue) = mpsc::channel(SIGNALLING_INPUTS_MAX);
    let (work, work_queue) = mpsc::channel(WORK_INPUTS_MAX);
    let wake = Arc::new(Notify::new());
    let lanes = Lanes {
        signalling,
        work,
        wake: Arc::clone(&wake),
    };
    (
        lanes,
        Queues {
            signalling: signalling_queue,
            work: work_queue,
            wake,
        },
    )
}

/// The loop's state.
pub struct EngineTask<M, W: World<M>> {
    machine: M,
    world: W,
    queues: Queues,
    questions: mpsc::Receiver<W::Question>,
    losses: Arc<Losses>,
    /// After a panic in a timer: no further timer before this.
    paused_until: Option<Instant>,
    /// What an input takes, of late.
    pace: Duration,
    was_behind: bool,
}

impl<M: Machine, W: World<M>> EngineTask<M, W> {
    /// A task that is not running yet.
    pub fn new(
        machine: M,
        world: W,
        queues: Queues,
        questions: mpsc::Receiver<W::Question>,
        losses: Arc<Losses>,
    ) -> Self {
        EngineTask {
            machine,
            world,
            queues,
            questions,
            losses,
            paused_until: None,
            pace: Duration::ZERO,
            was_behind: false,
        }
    }

    /// Runs until `stop` is sent or dropped; gives both back.
    pub async fn run(mut self, mut stop: oneshot::Receiver<()>) -> (M, W) {
        let mut batch = Vec::with_capacity(3 * BATCH_MAX);
        let mut question = None;
        let mut retry_at: Option<Instant> = None;
        let mut sample_at = clock::mono() + SAMPLE_EVERY;
        loop {
            let wake_at = self
                .deadline()
                .into_iter()
                .chain(retry_at)
                .fold(sample_at, Instant::min);
            tokio::select! {
                biased;
                _ = &mut stop => break,
                () = self.queues.wake.notified() => {}
                Some(input) = self.queues.work.recv() => batch.push(input),
                Some(asked) = self.questions.recv() => question = Some(asked),
                Some(input) = self.queues.signalling.recv() => batch.push(input),
                () = clock::until(wake_at) => {}
            }
            self.world.collect(&mut batch, BATCH_MAX);
            fill(&mut self.queues.work, &mut batch);
            fill(&mut self.queues.signalling, &mut batch);
            let now = clock::now();
            self.tell_backlog(now);
            let count = batch.len() as u32;
            for input in batch.drain(..) {
                self.step(input, now);
            }
            self.note_pace(count, now);
            if self.deadline().is_some_and(|deadline| deadline <= now.mono) && !self.step(Input::Tick, now) {
                self.paused_until = Some(now.mono + PANIC_PAUSE);
            }
            retry_at = self.world.retry().then(|| now.mono + BACKLOG_RETRY);
            if let Some(question) = question.take() {
                self.world.answer(&mut self.machine, question, now);
            }
            if sample_at <= now.mono {
                self.world.sample(&mut self.machine);
                sample_at = now.mono + SAMPLE_EVERY;
            }
            // One worker must not be held while inputs keep coming.
            tokio::task::consume_budget().await;
        }
        (self.machine, self.world)
    }

    /// One input and all it leads to. False when its handling panicked; the loop goes on, and what the
    /// machine had to say before the panic is still performed.
    fn step(&mut self, input: Input, now: Now) -> bool {
        let handled = catch_unwind(AssertUnwindSafe(|| self.machine.handle(input, now)));
        let performed = catch_unwind(AssertUnwindSafe(|| {
            while let Some(output) = self.machine.poll_output() {
                self.world.perform(output, now);
            }
        }));
        if handled.is_ok() && performed.is_ok() {
            return true;
        }
        self.losses.count(losses::INPUT_PANICKED);
        tracing::error!("the handling of an input panicked; the gateway goes on");
        false
    }

    /// How long what comes now would wait, while that is worth a word.
    fn tell_backlog(&mut self, now: Now) {
        let waiting = u32::try_from(self.queues.signalling.len()).unwrap_or(u32::MAX);
        let wait = self.pace.saturating_mul(waiting);
        let is_behind = wait >= WAIT_TARGET;
        if is_behind || self.was_behind {
            self.step(Input::Backlog { wait }, now);
        }
        self.was_behind = is_behind;
    }

    /// What an input takes, of late.
    fn note_pace(&mut self, count: u32, since: Now) {
        let taken = clock::mono().saturating_duration_since(since.mono);
        if let Some(each) = taken.checked_div(count) {
            self.pace = (self.pace * 7 + each) / 8;
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let deadline = self.machine.next_deadline()?;
        Some(self.paused_until.map_or(deadline, |pause| pause.max(deadline)))
    }
}

fn fill(queue: &mut mpsc::Receiver<Input>, batch: &mut Vec<Input>) {
    for _ in 0..BATCH_MAX {
        let Ok(input) = queue.try_recv() else { break };
        batch.push(input);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::io::Prompts;
    use std::collections::VecDeque;

    /// Answers `Prompts` with `Drained`, panics at `DiskFree`, ticks while a deadline stands.
    #[derive(Default)]
    struct Toy {
        outputs: VecDeque<Output>,
        deadline: Option<Instant>,
        panics_at_tick: bool,
    }

    impl Machine for Toy {
        fn handle(&mut self, input: Input, _now: Now) {
            match input {
                Input::Prompts(_) => self.outputs.push_back(Output::Drained),
                Input::DiskFree { .. } => {
                    self.outputs.push_back(Output::Dropped { why: "said before" });
                    panic!("as told");
                }
                Input::Drain { .. } => self.deadline = Some(clock::mono() + Duration::from_millis(20)),
                Input::Tick => {
                    assert!(!self.panics_at_tick, "as told");
                    self.deadline = None;
                    self.outputs.push_back(Output::Dropped { why: "ticked" });
                }
                other => self.outputs.push_back(Output::Log {
                    warn: false,
                    message: format!("{other:?}"),
                }),
            }
        }
        fn poll_output(&mut self) -> Option<Output> {
            self.outputs.pop_front()
        }
        fn next_deadline(&self) -> Option<Instant> {
            self.deadline
        }
    }

    struct Seen {
        outputs: mpsc::Sender<Output>,
        from_shards: VecDeque<Input>,
    }

    impl World<Toy> for Seen {
        type Question = oneshot::Sender<Option<Instant>>;
        fn answer(&mut self, machine: &mut Toy, question: Self::Question, _now: Now) {
            question.send(machine.next_deadline()).unwrap();
        }
        fn sample(&mut self, _machine: &mut Toy) {}
        fn perform(&mut self, output: Output, _now: Now) {
            self.outputs.try_send(output).unwrap();
        }
        fn collect(&mut self, batch: &mut Vec<Input>, limit: usize) {
            batch.extend(self.from_shards.drain(..).take(limit));
        }
        fn retry(&mut self) -> bool {
            false
        }
    }

    struct Running {
        lanes: Lanes,
        outputs: mpsc::Receiver<Output>,
        questions: mpsc::Sender<oneshot::Sender<Option<Instant>>>,
        losses: Arc<Losses>,
        stop: oneshot::Sender<()>,
        task: tokio::task::JoinHandle<(Toy, Seen)>,
    }

    fn running(toy: Toy, from_shards: Vec<Input>) -> Running {
        let (lanes, queues) = queues();
        let (sender, outputs) = mpsc::channel(1_000);
        let losses = Arc::new(Losses::default());
        let (stop, stopped) = oneshot::channel();
        let world = Seen {
            outputs: sender,
            from_shards: from_shards.into(),
        };
        let (questions, asked) = mpsc::channel(1);
        let task = EngineTask::new(toy, world, queues, asked, Arc::clone(&losses));
        Running {
            lanes,
            outputs,
            questions,
            losses,
            stop,
            task: tokio::spawn(task.run(stopped)),
        }
    }

    #[tokio::test]
    async fn a_panic_costs_its_input_only() {
        let mut running = running(Toy::default(), Vec::new());
        running.lanes.work.send(Input::DiskFree { mb: 1 }).await.unwrap();
        assert!(matches!(
            running.outputs.recv().await,
            Some(Output::Dropped { why: "said before" })
        ));
        running
            .lanes
            .work
            .send(Input::Prompts(Prompts::default()))
            .await
            .unwrap();
        assert!(matches!(running.outputs.recv().await, Some(Output::Drained)));
        assert_eq!(running.losses.of(losses::INPUT_PANICKED), 1);
        running.stop.send(()).unwrap();
        running.task.await.unwrap();
    }

    #[tokio::test]
    async fn a_deadline_is_kept_without_any_input() {
        let mut running = running(Toy::default(), Vec::new());
        running
            .lanes
            .signalling
            .send(Input::Drain { deadline_ms: None })
            .await
            .unwrap();
        assert!(matches!(
            running.outputs.recv().await,
            Some(Output::Dropped { why: "ticked" })
        ));
    }

    #[tokio::test]
    async fn questions_are_answered_between_batches() {
        let running = running(Toy::default(), Vec::new());
        let (reply, answer) = oneshot::channel();
        running.questions.send(reply).await.unwrap();
        assert_eq!(answer.await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_timer_that_panics_does_not_spin() {
        let toy = Toy {
            deadline: Some(clock::mono()),
            panics_at_tick: true,
            ..Toy::default()
        };
        let mut running = running(toy, Vec::new());
        tokio::time::sleep(Duration::from_millis(100)).await;
        running
            .lanes
            .work
            .send(Input::Prompts(Prompts::default()))
            .await
            .unwrap();
        assert!(matches!(running.outputs.recv().await, Some(Output::Drained)));
        let panics = running.losses.of(losses::INPUT_PANICKED);
        assert!((1..=12).contains(&panics), "{panics} panics in 100 ms");
    }

    #[tokio::test]
    async fn a_shard_that_wakes_the_task_is_heard() {
        let mut running = running(Toy::default(), vec![Input::Prompts(Prompts::default())]);
        running.lanes.wake.notify_one();
        assert!(matches!(running.outputs.recv().await, Some(Output::Drained)));
    }

    #[tokio::test]
    async fn work_is_not_starved_by_a_flood_of_signalling() {
        let mut running = running(Toy::default(), Vec::new());
        for _ in 0..900 {
            running
                .lanes
                .signalling
                .try_send(Input::ControlClosed {
                    conn: crate::engine::io::ConnKey(1),
                })
                .unwrap();
        }
        running
            .lanes
            .work
            .try_send(Input::Prompts(Prompts::default()))
            .unwrap();
        for handled in 0..=2 * BATCH_MAX {
            if matches!(running.outputs.recv().await, Some(Output::Drained)) {
                return;
            }
            assert!(handled < 2 * BATCH_MAX, "work waited behind {handled} datagrams");
        }
    }
}
