//! Events on their way to the engine.

use std::collections::VecDeque;

use super::config::EVENTS_BACKLOG_MAX;
use crate::event::Event;

/// A bounded queue: what answers a command always fits, since no command is taken while it is congested;
/// what packets cause is dropped and counted then.
#[derive(Debug)]
pub struct Events {
    queue: VecDeque<Event>,
    dropped: u64,
}

impl Events {
    /// An empty queue.
    pub fn new() -> Self {
        Self {
            queue: VecDeque::with_capacity(EVENTS_BACKLOG_MAX),
            dropped: 0,
        }
    }

    /// Adds the answer to a command.
    pub fn answer(&mut self, event: Event) {
        self.queue.push_back(event);
    }

    /// Adds what a packet or the clock caused.
    pub fn tell(&mut self, event: Event) {
        if self.is_congested() {
            self.dropped += 1;
        } else {
            self.queue.push_back(event);
        }
    }

    /// The oldest.
    pub fn pop(&mut self) -> Option<Event> {
        self.queue.pop_front()
    }

    /// Whether the engine is far behind.
    pub fn is_congested(&self) -> bool {
        self.queue.len() >= EVENTS_BACKLOG_MAX
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// How many were dropped.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}
