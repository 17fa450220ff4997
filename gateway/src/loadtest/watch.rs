//! What both processes use while calls are under way, looked at once a second on a thread of its own: walking
//! through thousands of descriptors takes longer than a frame.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::shell::clock;

const INTERVAL: Duration = Duration::from_secs(1);
/// Threads of the target that are told apart.
const THREADS_MAX: usize = 1_024;
/// What the kernel counts CPU time in, a second: USER_HZ, which is 100 wherever Linux runs.
const TICKS_PER_SECOND: f64 = 100.0;

/// The most that was seen of each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Watched {
    /// Datagrams that our own sockets had no room for.
    pub own_drops: u64,
    /// The target, where it is a process of this machine.
    pub target: Option<Target>,
}

/// The target's process.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Target {
    /// Cores it used, at most in any second.
    pub cores: f64,
    /// Its busiest thread by name, and what part of a core that used.
    pub thread: (String, f64),
    /// Descriptors open, and how many may be.
    pub descriptors: (u64, u64),
    /// Datagrams its sockets had no room for.
    pub drops: u64,
    /// Memory, bytes.
    pub rss: u64,
}

/// Looks until it is asked for what it saw.
#[derive(Debug)]
pub struct Watch {
    stop: SyncSender<()>,
    thread: JoinHandle<Watched>,
}

impl Watch {
    /// Begins to look at this process and at `pid`.
    pub fn start(pid: Option<u32>) -> std::io::Result<Watch> {
        let (stop, stopped) = sync_channel::<()>(1);
        let looks = move || {
            let mut look = Look::new(pid);
            while stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                look.again();
            }
            look.seen
        };
        let thread = std::thread::Builder::new()
            .name("watch".to_owned())
            .spawn(looks)?;
        Ok(Watch { stop, thread })
    }

    /// Ends and tells.
    pub fn finish(self) -> Watched {
        drop(self.stop);
        self.thread.join().unwrap_or_default()
    }
}

struct Look {
    pid: Option<u32>,
    /// CPU time of each thread of the target, and when it was read.
    before: (Instant, BTreeMap<u32, (String, f64)>),
    drops_at_start: u64,
    seen: Watched,
}

impl Look {
    fn new(pid: Option<u32>) -> Look {
        Look {
            pid,
            before: (clock::mono(), pid.map(threads).unwrap_or_default()),
            drops_at_start: pid.map_or(0, drops),
            seen: Watched::default(),
        }
    }

    fn again(&mut self) {
        self.seen.own_drops = self.seen.own_drops.max(drops(std::process::id()));
        let Some(pid) = self.pid else { return };
        let (now, threads) = (clock::mono(), threads(pid));
        let seconds = now.saturating_duration_since(self.before.0).as_secs_f64();
        let target = self.seen.target.get_or_insert_default();
        let mut cores = 0.0;
        for (thread, (name, cpu)) in &threads {
            let before = self.before.1.get(thread).map_or(0.0, |(_, cpu)| *cpu);
            let share = (cpu - before) / seconds.max(0.001);
            cores += share;
            if share > target.thread.1 {
                target.thread = (name.clone(), share);
            }
        }
        target.cores = target.cores.max(cores);
        let open = fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, |entries| entries.count() as u64);
        let allowed = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap_or_default();
        target.descriptors = (
            target.descriptors.0.max(open),
            descriptors_allowed(&allowed).unwrap_or(u64::MAX),
        );
        target.drops = target.drops.max(drops(pid).saturating_sub(self.drops_at_start));
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        target.rss = target.rss.max(rss_in(&status).unwrap_or(0));
        self.before = (now, threads);
    }
}

impl Target {
    /// For a report.
    pub fn to_json(&self) -> Value {
        json!({
            "cores": self.cores,
            "busiest_thread": self.thread.0,
            "busiest_thread_share": self.thread.1,
            "descriptors": self.descriptors.0,
            "descriptors_allowed": self.descriptors.1,
            "drops": self.drops,
            "rss_bytes": self.rss,
        })
    }
}

/// Name and CPU seconds so far of each thread.
fn threads(pid: u32) -> BTreeMap<u32, (String, f64)> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return BTreeMap::new();
    };
    let thread = |entry: std::io::Result<fs::DirEntry>| {
        let path = entry.ok()?.path();
        let number = path.file_name()?.to_str()?.parse().ok()?;
        let stat = fs::read_to_string(path.join("stat")).ok()?;
        Some((number, thread_in(&stat)?))
    };
    tasks.take(THREADS_MAX).filter_map(thread).collect()
}

/// The name may itself hold spaces and brackets (proc_pid_stat(5)).
fn thread_in(stat: &str) -> Option<(String, f64)> {
    let (start, rest) = stat.rsplit_once(')')?;
    let (_, name) = start.split_once('(')?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((name.to_owned(), (user + system) / TICKS_PER_SECOND))
}

fn descriptors_allowed(limits: &str) -> Option<u64> {
    let line = limits.lines().find(|line| line.starts_with("Max open files"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}

fn rss_in(status: &str) -> Option<u64> {
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1_024)
}

/// Drops so far of the UDP sockets of a process, as the kernel counts them while they are open.
fn drops(pid: u32) -> u64 {
    let own = inodes(pid);
    let tables = ["/proc/net/udp", "/proc/net/udp6"];
    let texts = tables.iter().filter_map(|path| fs::read_to_string(path).ok());
    texts.map(|text| drops_in(&text, &own)).sum()
}

/// Sum of the last column over the lines of those inodes.
fn drops_in(table: &str, own: &BTreeSet<u64>) -> u64 {
    let rows = table.lines().skip(1).filter_map(|line| {
        let mut fields = line.split_whitespace();
        let inode: u64 = fields.nth(9)?.parse().ok()?;
        let drops: u64 = fields.last()?.parse().ok()?;
        own.contains(&inode).then_some(drops)
    });
    rows.sum()
}

fn inodes(pid: u32) -> BTreeSet<u64> {
    let Ok(folder) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return BTreeSet::new();
    };
    let inode = |entry: std::io::Result<fs::DirEntry>| {
        let name = fs::read_link(entry.ok()?.path()).ok()?;
        let name = name.to_str()?;
        name.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
    };
    folder.filter_map(inode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_are_those_of_the_sockets_asked_for() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n\
            10: 0100007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 111 2 0000000000000000 7\n\
            11: 0100007F:0036 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 222 2 0000000000000000 30\n";
        assert_eq!(drops_in(table, &[111].into()), 7);
        assert_eq!(drops_in(table, &[111, 222].into()), 37);
        assert_eq!(drops_in(table, &BTreeSet::new()), 0);
    }

    #[test]
    fn a_thread_is_read_whatever_its_name() {
        let stat = "77 (a) b (c) S 1 77 77 0 -1 4194368 100 0 0 0 250 150 0 0 20 0 9 0 100 0 0 0";
        assert_eq!(thread_in(stat), Some(("a) b (c".to_owned(), 4.0)));
        assert_eq!(thread_in("77 (half"), None);
    }

    #[test]
    fn limits_and_memory_are_those_of_the_kernels_tables() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units\n\
            Max processes             62801                62801                processes\n\
            Max open files            1024                 524288               files\n";
        assert_eq!(descriptors_allowed(limits), Some(1_024));
        assert_eq!(rss_in("Name:\tx\nVmRSS:\t    2048 kB\n"), Some(2_097_152));
    }

    #[test]
    fn a_process_that_works_is_seen_to() {
        let mut look = Look::new(Some(std::process::id()));
        let until = clock::mono() + Duration::from_millis(300);
        let mut turns = 0u64;
        while clock::mono() < until {
            turns = std::hint::black_box(turns + 1);
        }
        look.again();
        let target = look.seen.target.unwrap();
        assert!(target.cores > 0.05, "{target:?}");
        assert!(target.thread.1 > 0.05, "{target:?}");
        assert!(target.descriptors.0 > 2 && target.descriptors.1 >= target.descriptors.0);
        assert!(target.rss > 1_000_000);
    }
}
