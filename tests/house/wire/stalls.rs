//! Spans in which this machine let a thread wait that wanted to run: a neighbour's noise, not the gateway's.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

use super::clock;

/// How long a witness sleeps, and how much later than that it must wake for a stall.
const SLEEP: Duration = Duration::from_millis(2);
const STALL_US: i64 = 8_000;

/// Witnesses, one pinned to each core as the gateway's media threads are. Ended when dropped.
pub struct Stalls {
    seen: Arc<Mutex<Vec<(i64, i64)>>>,
    is_over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Stalls {
    pub fn watch() -> Self {
        let mut stalls = Stalls {
            seen: Arc::default(),
            is_over: Arc::default(),
            threads: Vec::new(),
        };
        for core in 0..std::thread::available_parallelism().unwrap().get() {
            let (seen, is_over) = (stalls.seen.clone(), stalls.is_over.clone());
            stalls.threads.push(std::thread::spawn(move || {
                let mut cores = CpuSet::new();
                cores.set(core).unwrap();
                // Not every container allows it; an unpinned witness sees less and excuses less.
                let _ = sched_setaffinity(Pid::from_raw(0), &cores);
                while !is_over.load(Ordering::Relaxed) {
                    let due_us = clock::now_us() + SLEEP.as_micros() as i64;
                    std::thread::sleep(SLEEP);
                    let woken_us = clock::now_us();
                    if woken_us - due_us > STALL_US {
                        seen.lock().unwrap().push((due_us, woken_us));
                    }
                }
            }));
        }
        stalls
    }

    /// How much of a span of time some core was stalled, microseconds.
    pub fn within(&self, from_us: i64, to_us: i64) -> i64 {
        let mut stalls = self.seen.lock().unwrap().clone();
        stalls.sort_unstable();
        let (mut stalled_us, mut counted_to_us) = (0, from_us);
        for (begin_us, end_us) in stalls {
            let (begin_us, end_us) = (begin_us.max(counted_to_us), end_us.min(to_us));
            if begin_us < end_us {
                stalled_us += end_us - begin_us;
                counted_to_us = end_us;
            }
        }
        stalled_us
    }
}

impl Drop for Stalls {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
