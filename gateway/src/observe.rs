//! What the gateway leaves behind for people and machines: recordings, call records, numbers.
//!
//! Everything here may wait for a disk, so nothing here runs on a media thread or in the engine task.

pub mod health;
pub mod log;
pub mod metrics;
pub mod record_writer;
pub mod recordings;
pub mod traces;

#[cfg(test)]
pub(crate) mod testing;

/// Waits for a thread to end, at most `patience`; one that hangs on a disk is left behind.
pub(crate) fn join_within(thread: std::thread::JoinHandle<()>, patience: std::time::Duration) -> bool {
    let give_up_at = crate::shell::clock::mono() + patience;
    while !thread.is_finished() {
        if crate::shell::clock::mono() >= give_up_at {
            return false;
        }
        crate::shell::clock::block(std::time::Duration::from_millis(5));
    }
    thread.join().is_ok()
}
