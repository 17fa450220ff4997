//! Which engine keeps the sockets: chosen at start, once for the life of a shard.
//!
//! Knows nothing of what the engines do.

use std::io;

use super::epoll::EpollIo;
use super::uring::UringIo;

/// What is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// What docs/decisions/0025-two-engines-for-media-sockets.md says: epoll.
    #[default]
    Auto,
    /// Plain system calls.
    Epoll,
    /// io_uring; epoll where the kernel refuses it.
    Uring,
}

/// What runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Plain system calls.
    Epoll,
    /// io_uring.
    Uring,
}

impl Engine {
    /// Its name in metrics and in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Engine::Epoll => "epoll",
            Engine::Uring => "uring",
        }
    }
}

/// An engine that is ready.
pub(in crate::shard) enum Ready {
    Epoll(Box<EpollIo>),
    Uring(Box<UringIo>),
}

impl Ready {
    pub fn engine(&self) -> Engine {
        match self {
            Ready::Epoll(_) => Engine::Epoll,
            Ready::Uring(_) => Engine::Uring,
        }
    }
}

/// Makes the engine asked for, and says why io_uring was refused where it was wanted.
pub(in crate::shard) fn make(choice: Choice, slots: usize) -> io::Result<(Ready, Option<io::Error>)> {
    let refused = match choice {
        Choice::Auto | Choice::Epoll => None,
        Choice::Uring => match UringIo::new(slots) {
            Ok(io) => return Ok((Ready::Uring(Box::new(io)), None)),
            Err(error) => Some(error),
        },
    };
    Ok((Ready::Epoll(Box::new(EpollIo::new(slots)?)), refused))
}
