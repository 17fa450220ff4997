//! Wall-clock time, as packets, SIPp's logs and the gateway's events are stamped with.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How often [`until`] looks.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Microseconds since 1970.
pub fn now_us() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as i64
}

/// What `look` finds, as soon as it finds it. Panics with `what` after `patience`.
pub async fn until<T>(what: &str, patience: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < patience, "waited {patience:?} for {what}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
