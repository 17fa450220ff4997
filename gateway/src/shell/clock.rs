//! The clocks and the randomness of the system: the only place of this crate that reads either.

use std::fs::File;
use std::io::{self, Read};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::engine::io::Now;

/// Monotonic time, for deadlines.
pub fn mono() -> Instant {
    Instant::now()
}

/// Microseconds since the Unix epoch, UTC; 0 on a machine whose clock stands before it.
pub fn wall_us() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX)
}

/// Both clocks.
pub fn now() -> Now {
    Now {
        mono: mono(),
        wall_us: wall_us(),
    }
}

/// Comes back when `at` has come.
pub async fn until(at: Instant) {
    tokio::time::sleep_until(at.into()).await;
}

/// Comes back after `pause`.
pub fn after(pause: Duration) -> tokio::time::Sleep {
    tokio::time::sleep(pause)
}

/// Holds up this thread, which must not be one that serves tasks.
pub fn block(pause: Duration) {
    std::thread::sleep(pause);
}

/// 32 bytes of the kernel's randomness: the seed of everything drawn later.
pub fn seed() -> io::Result<[u8; 32]> {
    let mut seed = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut seed)?;
    Ok(seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_seeds_differ() {
        assert_ne!(seed().unwrap(), seed().unwrap());
    }

    #[test]
    fn the_wall_clock_is_past_2020() {
        assert!(wall_us() > 1_577_836_800_000_000);
    }
}
