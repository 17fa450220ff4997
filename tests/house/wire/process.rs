//! One peer's process: ended with its test, its workers too, and never waited for without end.

use std::fs::File;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{clock, cpu};

/// How long it may take to end when asked, and once more when killed.
const END_PATIENCE: Duration = Duration::from_secs(3);

/// Ended when dropped.
pub struct Process {
    child: Child,
    name: &'static str,
    is_paused: bool,
}

impl Process {
    /// Starts it, with what it says in `log`.
    pub fn start(name: &'static str, mut command: Command, log: File) -> Self {
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        Process {
            child,
            name,
            is_paused: false,
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// It is there and says nothing, until it is dropped.
    pub fn pause(&mut self) {
        self.is_paused = true;
        for process in std::iter::once(self.id()).chain(cpu::children(self.id())) {
            signal(process, Signal::SIGSTOP);
        }
    }

    /// Asks it to end, and waits until it has: it closes its files first.
    pub async fn end(&mut self, patience: Duration) {
        signal(self.id(), Signal::SIGTERM);
        let what = format!("{} to end", self.name);
        clock::until(&what, patience, || self.ended()).await;
    }

    fn has_ended_within(&mut self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        true
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Asked, a program ends its workers; killed, it leaves them behind. One that was paused hears nothing.
        let workers = cpu::children(self.id());
        if !self.is_paused && matches!(self.child.try_wait(), Ok(None)) {
            signal(self.id(), Signal::SIGTERM);
            if self.has_ended_within(END_PATIENCE) {
                return;
            }
        }
        for worker in workers {
            signal(worker, Signal::SIGKILL);
        }
        let _ = self.child.kill();
        if !self.has_ended_within(END_PATIENCE) {
            eprintln!("{} {} does not end", self.name, self.id());
        }
    }
}

fn signal(process: u32, signal: Signal) {
    let _ = kill(Pid::from_raw(process as i32), signal);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Process {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Process::start("sh", command, File::create("/dev/null").unwrap())
    }

    fn is_there(process: u32) -> bool {
        // One that has ended and was not waited for is a zombie.
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        stat.rsplit(')')
            .next()
            .is_some_and(|rest| rest.starts_with(' ') && !rest.starts_with(" Z"))
    }

    /// The process and its worker, once both are there.
    fn family(process: &Process) -> [u32; 2] {
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            if let [worker] = cpu::children(process.id())[..] {
                return [process.id(), worker];
            }
            assert!(Instant::now() < deadline, "no worker");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn are_gone(processes: [u32; 2]) -> bool {
        let deadline = Instant::now() + Duration::from_secs(2);
        while processes.iter().any(|process| is_there(*process)) {
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        true
    }

    #[test]
    fn one_that_ends_when_asked_is_not_killed() {
        let process = shell("sleep 60 & worker=$!; trap 'kill $worker; exit 0' TERM; wait");
        let both = family(&process);
        let began = Instant::now();
        drop(process);
        assert!(are_gone(both));
        assert!(began.elapsed() < END_PATIENCE, "{:?}", began.elapsed());
    }

    #[test]
    fn one_that_does_not_listen_is_killed_with_its_worker_in_bounded_time() {
        for paused in [false, true] {
            let mut process = shell("trap '' TERM; sleep 60 & while true; do wait; done");
            let both = family(&process);
            if paused {
                process.pause();
            }
            let began = Instant::now();
            drop(process);
            assert!(are_gone(both), "paused: {paused}");
            assert!(began.elapsed() < 2 * END_PATIENCE + Duration::from_secs(1));
        }
    }
}
