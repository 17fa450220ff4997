//! What waits to be written to one client: bounded, never blocking who pushes.
//!
//! Owns the queue, the count of unanswered commands and how the connection is to end. Knows nothing of
//! sockets: a writer takes lines and says when they are written.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};

use super::protocol::LineKind;

/// Most bytes that wait for one client; past it the connection is closed as overrun.
pub const QUEUED_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Most unanswered commands of one connection.
pub const INFLIGHT_MAX: usize = 256;
/// Most bytes handed to the writer at once.
const TAKE_BYTES_MAX: usize = 64 * 1024;

/// How far the connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Lines come and go.
    Open,
    /// The client sends no more: closed once its commands are answered.
    Answering,
    /// Closed once what is queued is written.
    Closing,
    /// The client was too slow: closed at once; it resumes by cursor.
    Overrun,
}

/// What the writer is to do next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Write these.
    Write(Vec<Line>),
    /// Report that everything is written, then ask again.
    Drained,
    /// Wait for [`Outbox::ready`].
    Wait,
    /// Close.
    Close,
}

/// A line without its line end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// One JSON object.
    pub text: Arc<str>,
    kind: LineKind,
    answers: bool,
}

/// The queue of one connection.
#[derive(Debug)]
pub struct Outbox {
    queue: Mutex<Queue>,
    ready: Notify,
    phase: watch::Sender<Phase>,
}

#[derive(Debug, Default)]
struct Queue {
    lines: VecDeque<Line>,
    /// Queued or being written.
    bytes: usize,
    inflight: usize,
    has_stats: bool,
    wants_more: bool,
}

impl Default for Outbox {
    fn default() -> Self {
        Self {
            queue: Mutex::default(),
            ready: Notify::new(),
            phase: watch::Sender::new(Phase::Open),
        }
    }
}

impl Outbox {
    /// Queues a line of the engine. A reply answers one command; of measurements only the newest waits.
    pub fn push(&self, text: Arc<str>, kind: LineKind) {
        self.enqueue(Line {
            text,
            kind,
            answers: kind == LineKind::Reply,
        });
    }

    /// Queues a refusal of the connection itself, for a command that never counted as unanswered.
    pub fn push_refusal(&self, text: Arc<str>) {
        self.enqueue(Line {
            text,
            kind: LineKind::Reply,
            answers: false,
        });
    }

    /// Asks for a report once everything queued is written.
    pub fn more(&self) {
        self.lock().wants_more = true;
        self.ready.notify_one();
    }

    /// Counts a command as unanswered; false when too many are.
    pub fn begin(&self) -> bool {
        let mut queue = self.lock();
        if queue.inflight == INFLIGHT_MAX {
            return false;
        }
        queue.inflight += 1;
        true
    }

    /// Moves towards the end; never back.
    pub fn end(&self, phase: Phase) {
        self.phase.send_if_modified(|current| {
            let goes_on = match (*current, phase) {
                (Phase::Open, _) => phase != Phase::Open,
                (Phase::Answering, Phase::Closing | Phase::Overrun) | (Phase::Closing, Phase::Overrun) => {
                    true
                }
                (Phase::Answering, Phase::Open | Phase::Answering)
                | (Phase::Closing, Phase::Open | Phase::Answering | Phase::Closing)
                | (Phase::Overrun, _) => false,
            };
            if goes_on {
                *current = phase;
            }
            goes_on
        });
        self.ready.notify_one();
    }

    /// What the writer is to do.
    pub fn next(&self) -> Next {
        let phase = self.phase();
        if phase == Phase::Overrun {
            return Next::Close;
        }
        let mut queue = self.lock();
        let lines = queue.take();
        if !lines.is_empty() {
            return Next::Write(lines);
        }
        if std::mem::take(&mut queue.wants_more) {
            return Next::Drained;
        }
        match phase {
            Phase::Closing => Next::Close,
            Phase::Answering if queue.inflight == 0 => Next::Close,
            Phase::Open | Phase::Answering | Phase::Overrun => Next::Wait,
        }
    }

    /// Tells that lines given by [`Outbox::next`] are written.
    pub fn written(&self, lines: &[Line]) {
        let mut queue = self.lock();
        for line in lines {
            queue.bytes -= line.text.len();
            if line.answers {
                queue.inflight = queue.inflight.saturating_sub(1);
            }
        }
    }

    /// Returns when [`Outbox::next`] is worth asking again.
    pub async fn ready(&self) {
        self.ready.notified().await;
    }

    /// How far the connection is.
    pub fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Follows how far the connection is.
    pub fn watch_phase(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    fn enqueue(&self, line: Line) {
        if self.phase() == Phase::Overrun {
            return;
        }
        let mut queue = self.lock();
        queue.push(line);
        if queue.bytes > QUEUED_BYTES_MAX {
            queue.lines = VecDeque::new();
            drop(queue);
            self.end(Phase::Overrun);
            return;
        }
        drop(queue);
        self.ready.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn push(&mut self, line: Line) {
        if line.kind == LineKind::Stats {
            if self.has_stats
                && let Some(at) = self
                    .lines
                    .iter()
                    .rposition(|queued| queued.kind == LineKind::Stats)
                && let Some(older) = self.lines.remove(at)
            {
                self.bytes -= older.text.len();
            }
            self.has_stats = true;
        }
        self.bytes += line.text.len();
        self.lines.push_back(line);
    }

    /// The oldest lines, up to [`TAKE_BYTES_MAX`] but at least one. They count as queued until written.
    fn take(&mut self) -> Vec<Line> {
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while let Some(line) = self.lines.front() {
            bytes += line.text.len();
            if bytes > TAKE_BYTES_MAX && !taken.is_empty() {
                break;
            }
            self.has_stats &= line.kind != LineKind::Stats;
            taken.extend(self.lines.pop_front());
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(next: Next) -> Vec<String> {
        let Next::Write(lines) = next else {
            panic!("{next:?}")
        };
        lines.iter().map(|line| line.text.to_string()).collect()
    }

    #[test]
    fn lines_leave_in_order_and_only_the_newest_stats_wait() {
        let outbox = Outbox::default();
        outbox.push("e1".into(), LineKind::State);
        outbox.push("s1".into(), LineKind::Stats);
        outbox.push("e2".into(), LineKind::State);
        outbox.push("s2".into(), LineKind::Stats);
        assert_eq!(texts(outbox.next()), ["e1", "e2", "s2"]);
        outbox.push("s3".into(), LineKind::Stats);
        assert_eq!(texts(outbox.next()), ["s3"]);
        assert_eq!(outbox.next(), Next::Wait);
    }

    #[test]
    fn past_8_mib_the_connection_is_overrun() {
        let outbox = Outbox::default();
        let mebibyte: Arc<str> = "x".repeat(1024 * 1024).into();
        for _ in 0..8 {
            outbox.push(mebibyte.clone(), LineKind::State);
        }
        assert_eq!(outbox.phase(), Phase::Open);
        outbox.push("x".into(), LineKind::State);
        assert_eq!((outbox.phase(), outbox.next()), (Phase::Overrun, Next::Close));
    }

    #[test]
    fn lines_being_written_still_count() {
        let outbox = Outbox::default();
        let half: Arc<str> = "x".repeat(QUEUED_BYTES_MAX / 2).into();
        outbox.push(half.clone(), LineKind::State);
        let Next::Write(lines) = outbox.next() else {
            panic!()
        };
        outbox.push(half.clone(), LineKind::State);
        outbox.written(&lines);
        outbox.push(half.clone(), LineKind::State);
        assert_eq!(outbox.phase(), Phase::Open);
        outbox.push("x".into(), LineKind::State);
        assert_eq!(outbox.phase(), Phase::Overrun);
    }

    #[test]
    fn the_257th_unanswered_command_is_refused_until_a_reply_is_written() {
        let outbox = Outbox::default();
        for _ in 0..INFLIGHT_MAX {
            assert!(outbox.begin());
        }
        assert!(!outbox.begin());
        outbox.push_refusal("no".into());
        outbox.push("yes".into(), LineKind::Reply);
        let Next::Write(lines) = outbox.next() else {
            panic!()
        };
        assert!(!outbox.begin());
        outbox.written(&lines);
        assert!(outbox.begin());
        assert!(!outbox.begin());
    }

    #[test]
    fn drained_is_told_once_and_only_when_empty() {
        let outbox = Outbox::default();
        outbox.push("e1".into(), LineKind::State);
        outbox.more();
        assert_eq!(texts(outbox.next()), ["e1"]);
        assert_eq!(outbox.next(), Next::Drained);
        assert_eq!(outbox.next(), Next::Wait);
    }

    #[test]
    fn closes_after_what_is_queued_or_once_everything_is_answered() {
        let outbox = Outbox::default();
        outbox.push("e1".into(), LineKind::State);
        outbox.end(Phase::Closing);
        assert_eq!(texts(outbox.next()), ["e1"]);
        assert_eq!(outbox.next(), Next::Close);

        let outbox = Outbox::default();
        assert!(outbox.begin());
        outbox.end(Phase::Answering);
        assert_eq!(outbox.next(), Next::Wait);
        outbox.push("r".into(), LineKind::Reply);
        let Next::Write(lines) = outbox.next() else {
            panic!()
        };
        outbox.written(&lines);
        assert_eq!(outbox.next(), Next::Close);
    }

    #[test]
    fn an_end_is_never_taken_back() {
        let outbox = Outbox::default();
        outbox.end(Phase::Closing);
        outbox.end(Phase::Answering);
        assert_eq!(outbox.phase(), Phase::Closing);
        outbox.end(Phase::Overrun);
        outbox.end(Phase::Closing);
        assert_eq!(outbox.phase(), Phase::Overrun);
    }
}
