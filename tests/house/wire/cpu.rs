//! Which core a process runs on.

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

/// Keeps every thread of a process that there is by now, and those they start, on one core.
pub fn pin(process: u32, cpu: usize) {
    let mut set = CpuSet::new();
    set.set(cpu).expect("a core");
    let processes = std::iter::once(process).chain(children(process));
    for process in processes {
        let tasks = std::fs::read_dir(format!("/proc/{process}/task"));
        for task in tasks.expect("its threads").flatten() {
            let thread = task.file_name().to_string_lossy().parse().expect("a number");
            sched_setaffinity(Pid::from_raw(thread), &set).expect("a core of this machine");
        }
    }
}

/// Processes it started.
pub fn children(process: u32) -> Vec<u32> {
    let text = std::fs::read_to_string(format!("/proc/{process}/task/{process}/children"));
    let text = text.unwrap_or_default();
    text.split_whitespace()
        .filter_map(|child| child.parse().ok())
        .collect()
}
