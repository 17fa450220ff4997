//! How a shard without work sleeps, and what ends its sleep from another thread.
//!
//! Knows nothing of the sockets: a shard sleeps here only while it has none.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};

/// The sleeping side.
#[derive(Debug)]
pub struct Sleeper {
    epoll: Epoll,
    wake: Arc<EventFd>,
}

/// Ends [`Sleeper::sleep`].
#[derive(Clone, Debug)]
pub struct Waker(Arc<EventFd>);

impl Sleeper {
    /// One that sleeps until it is woken.
    pub fn new() -> io::Result<Self> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let wake = Arc::new(EventFd::from_value_and_flags(0, flags)?);
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(&*wake, EpollEvent::new(EpollFlags::EPOLLIN, 0))?;
        Ok(Self { epoll, wake })
    }

    /// What ends a sleep from another thread.
    pub fn waker(&self) -> Waker {
        Waker(Arc::clone(&self.wake))
    }

    /// Sleeps until it is woken, or `timeout` has passed.
    pub fn sleep(&self, timeout: Duration) {
        let timeout = EpollTimeout::try_from(timeout).unwrap_or(EpollTimeout::ZERO);
        // An interrupted wait is as good as a finished one: the caller looks at everything anyway.
        let _ = self.epoll.wait(&mut [EpollEvent::empty()], timeout);
        // Reset the wake-up, or the next sleep would end at once, and every one after it.
        let _ = self.wake.read();
    }
}

impl Waker {
    /// Ends the sleep, or the next one.
    pub fn wake(&self) {
        // A full counter means that a wake-up is already waiting.
        let _ = self.0.write(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wake_up_before_the_sleep_ends_it_and_only_it() {
        let sleeper = Sleeper::new().unwrap();
        sleeper.waker().wake();
        sleeper.waker().wake();
        let woken = std::time::Instant::now();
        sleeper.sleep(Duration::from_secs(5));
        assert!(woken.elapsed() < Duration::from_secs(4));
        let again = std::time::Instant::now();
        sleeper.sleep(Duration::from_millis(30));
        assert!(again.elapsed() >= Duration::from_millis(25));
    }
}
