//! Traces: the SIP messages that an engineer asked for, as text with a ladder and as pcap.
//!
//! ```text
//! <state_dir>/traces/20261121T030947.123456Z-<trace>.txt    messages, then the ladder
//!                    20261121T030947.123456Z-<trace>.pcap   the same for Wireshark and the like
//! ```
//! Owns one thread. The engine hands messages over through a bounded queue and never waits: what finds it full
//! is lost, counted and told at the end. Secrets are taken out here, before anything is written. Files are readable
//! by their owner only, and the oldest give way. Knows nothing of what a call is.

mod ladder;
mod pcap;
mod redact;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc;

use super::recordings::path::{is_id, stem};
use crate::engine::io::{Input, TraceCommand, TraceEnd};
use crate::utc::rfc3339;
use ladder::Step;

/// Messages that wait for a slow disk, all traces together. Ours.
pub const MESSAGES_WAITING_MAX: usize = 4_096;

/// Orders beside messages that wait: a start and a stop of each trace that may run.
const ORDERS_MAX: usize = MESSAGES_WAITING_MAX + 2 * crate::engine::TRACES_MAX;

/// Traces whose files are kept; older ones give way. Ours.
pub const TRACES_KEPT: usize = 100;

/// The folder below `state_dir`.
pub const FOLDER: &str = "traces";

/// The engine's end.
#[derive(Debug)]
pub struct Traces {
    orders: SyncSender<Order>,
    waiting: Arc<AtomicUsize>,
    /// Messages lost so far, of traces that run.
    lost: BTreeMap<String, u64>,
    thread: JoinHandle<()>,
}

/// What the thread is told.
#[derive(Debug)]
enum Order {
    Command(TraceCommand),
    /// A trace is over, so many of its messages having been lost.
    Stop(String, u64),
}

impl Traces {
    /// Starts the thread; makes no folder before the first trace.
    pub fn spawn(state_dir: &Path, report: mpsc::Sender<Input>) -> io::Result<Traces> {
        let (orders, queue) = sync_channel(ORDERS_MAX);
        let waiting = Arc::new(AtomicUsize::new(0));
        let mut writer = Writer {
            dir: state_dir.join(FOLDER),
            open: BTreeMap::new(),
        };
        let counted = Arc::clone(&waiting);
        let thread = std::thread::Builder::new()
            .name("traces".to_owned())
            .spawn(move || writer.run(&queue, &counted, &report))?;
        Ok(Traces {
            orders,
            waiting,
            lost: BTreeMap::new(),
            thread,
        })
    }

    /// Hands an order over without waiting; false: a message was lost.
    pub fn order(&mut self, command: TraceCommand) -> bool {
        let order = match command {
            TraceCommand::Message { ref trace, .. } => {
                if self.waiting.load(Ordering::Relaxed) >= MESSAGES_WAITING_MAX {
                    *self.lost.entry(trace.clone()).or_default() += 1;
                    return false;
                }
                self.waiting.fetch_add(1, Ordering::Relaxed);
                Order::Command(command)
            }
            TraceCommand::Start { .. } => Order::Command(command),
            TraceCommand::Stop { trace } => {
                let lost = self.lost.remove(&trace).unwrap_or(0);
                Order::Stop(trace, lost)
            }
        };
        // There is room: messages leave some for every other order.
        self.orders.try_send(order).is_ok()
    }

    /// Ends every trace with what is there. Whether that was done within `patience`.
    pub fn close(self, patience: Duration) -> bool {
        drop(self.orders);
        super::join_within(self.thread, patience)
    }
}

/// The thread's half.
struct Writer {
    dir: PathBuf,
    open: BTreeMap<String, Result<Files, TraceEnd>>,
}

impl Writer {
    fn run(&mut self, queue: &Receiver<Order>, waiting: &AtomicUsize, report: &mpsc::Sender<Input>) {
        for order in queue {
            match order {
                Order::Command(TraceCommand::Start {
                    trace,
                    wall_us,
                    about,
                    shows_numbers,
                }) => self.start(trace, wall_us, &about, shows_numbers),
                Order::Command(message @ TraceCommand::Message { .. }) => {
                    waiting.fetch_sub(1, Ordering::Relaxed);
                    self.message(message);
                }
                Order::Command(TraceCommand::Stop { trace }) => self.stop(&trace, 0, report),
                Order::Stop(trace, lost) => self.stop(&trace, lost, report),
            }
        }
        for trace in self.open.keys().cloned().collect::<Vec<_>>() {
            self.stop(&trace, 0, report);
        }
    }

    fn start(&mut self, trace: String, wall_us: i64, about: &str, shows_numbers: bool) {
        let files =
            Files::create(&self.dir, &trace, wall_us, about, shows_numbers).map_err(|error| TraceEnd {
                trace: trace.clone(),
                text: String::new(),
                pcap: String::new(),
                lost: 0,
                failed: Some(error.to_string()),
            });
        self.open.insert(trace, files);
    }

    fn message(&mut self, message: TraceCommand) {
        let TraceCommand::Message {
            trace,
            wall_us,
            flow,
            is_in,
            bytes,
        } = message
        else {
            return;
        };
        let (from, to) = match is_in {
            true => (flow.remote, flow.local),
            false => (flow.local, flow.remote),
        };
        if let Some(Ok(files)) = self.open.get_mut(&trace)
            && let Err(error) = files.message(wall_us, (from, to), flow.transport, &bytes)
        {
            files.failed.get_or_insert_with(|| error.to_string());
        }
    }

    fn stop(&mut self, trace: &str, lost: u64, report: &mpsc::Sender<Input>) {
        let end = match self.open.remove(trace) {
            Some(Ok(files)) => files.close(trace, lost),
            Some(Err(end)) => TraceEnd { lost, ..end },
            None => return,
        };
        // An engine that is gone needs no report.
        let _ = report.blocking_send(Input::Trace(end));
    }
}

/// One trace's files.
struct Files {
    text: BufWriter<File>,
    text_path: PathBuf,
    pcap: BufWriter<File>,
    pcap_path: PathBuf,
    shows_numbers: bool,
    steps: Vec<Step>,
    failed: Option<String>,
}

impl Files {
    fn create(dir: &Path, trace: &str, wall_us: i64, about: &str, shows_numbers: bool) -> io::Result<Files> {
        if !is_id(trace) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not an id"));
        }
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        make_room(dir)?;
        let path = dir.join(stem(trace, wall_us));
        let create = |path: &Path| {
            let mut options = OpenOptions::new();
            options.write(true).create_new(true).mode(0o600).open(path)
        };
        let (text_path, pcap_path) = (with_ending(&path, "txt"), with_ending(&path, "pcap"));
        let mut text = BufWriter::new(create(&text_path)?);
        let mut pcap = BufWriter::new(create(&pcap_path)?);
        let numbers = if shows_numbers { "shown" } else { "masked" };
        writeln!(
            text,
            "SIP trace {trace} since {}\nfollows {about}; secrets left out, numbers {numbers}\n",
            rfc3339(wall_us)
        )?;
        pcap.write_all(&pcap::file_head())?;
        Ok(Files {
            text,
            text_path,
            pcap,
            pcap_path,
            shows_numbers,
            steps: Vec::new(),
            failed: None,
        })
    }

    fn message(
        &mut self,
        wall_us: i64,
        (from, to): (std::net::SocketAddr, std::net::SocketAddr),
        transport: sip::endpoint::Transport,
        bytes: &[u8],
    ) -> io::Result<()> {
        let kept = redact::redact(bytes, self.shows_numbers);
        let label = ladder::label(&kept);
        self.steps.push(Step {
            wall_us,
            from,
            to,
            label,
        });
        let number = self.steps.len();
        let at = rfc3339(wall_us);
        let transport = format!("{transport:?}").to_ascii_lowercase();
        writeln!(
            self.text,
            "#{number} {at} {from} -> {to} {transport} {} bytes\n{}\n",
            bytes.len(),
            readable(&kept)
        )?;
        self.pcap.write_all(&pcap::record(wall_us, from, to, &kept))
    }

    fn close(mut self, trace: &str, lost: u64) -> TraceEnd {
        let mut finish = || {
            let drawn = ladder::draw(&self.steps);
            write!(self.text, "messages {}, lost {lost}\n\n{drawn}", self.steps.len())?;
            self.text.flush()?;
            self.pcap.flush()
        };
        let failed = finish().err().map(|error| error.to_string());
        TraceEnd {
            trace: trace.to_owned(),
            text: self.text_path.to_string_lossy().into_owned(),
            pcap: self.pcap_path.to_string_lossy().into_owned(),
            lost,
            failed: self.failed.or(failed),
        }
    }
}

/// The path with a further ending: a name may have dots of its own.
fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(".");
    path.push(ending);
    path.into()
}

/// Removes the files of the oldest traces, so that one more is at most [`TRACES_KEPT`]; names sort by time.
fn make_room(dir: &Path) -> io::Result<()> {
    let mut stems = BTreeMap::<String, Vec<PathBuf>>::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let ending = path.extension().and_then(|ending| ending.to_str());
        if let (Some("txt" | "pcap"), Some(stem)) = (ending, path.file_stem()) {
            stems
                .entry(stem.to_string_lossy().into_owned())
                .or_default()
                .push(path);
        }
    }
    let excess = (stems.len() + 1).saturating_sub(TRACES_KEPT);
    for path in stems.into_values().take(excess).flatten() {
        fs::remove_file(path)?;
    }
    Ok(())
}

/// A message as a terminal may show it: line ends of one kind, control bytes written out.
fn readable(message: &[u8]) -> String {
    let mut text = String::with_capacity(message.len());
    for character in String::from_utf8_lossy(message).chars() {
        match character {
            '\r' => {}
            '\n' | '\t' => text.push(character),
            other if crate::inert::is_harmful(other) || other.is_control() => {
                text.push_str(&format!("\\u{{{:04X}}}", u32::from(other)));
            }
            other => text.push(other),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use bytes::Bytes;
    use sip::endpoint::{Flow, Transport};

    use super::*;
    use crate::observe::testing::Scratch;

    const PATIENCE: Duration = Duration::from_secs(10);

    fn start(trace: &str, wall_us: i64) -> TraceCommand {
        TraceCommand::Start {
            trace: trace.to_owned(),
            wall_us,
            about: "trunk carrier".to_owned(),
            shows_numbers: false,
        }
    }

    fn message(trace: &str, is_in: bool, text: &str) -> TraceCommand {
        TraceCommand::Message {
            trace: trace.to_owned(),
            wall_us: 1_767_225_600_000_000,
            flow: Flow {
                transport: Transport::Udp,
                local: "10.0.0.1:5060".parse().unwrap(),
                remote: "10.0.1.1:5060".parse().unwrap(),
            },
            is_in,
            bytes: Bytes::copy_from_slice(text.as_bytes()),
        }
    }

    #[test]
    fn files_are_the_owners_and_tell_the_ladder_without_secrets() {
        let scratch = Scratch::new("traces");
        let (report, mut reports) = mpsc::channel(4);
        let mut traces = Traces::spawn(scratch.path(), report).unwrap();
        assert!(traces.order(start("t_1", 1_767_225_600_000_000)));
        let register =
            "REGISTER sip:a SIP/2.0\r\nAuthorization: Digest response=\"abc\"\r\nX-Odd: \u{1b}[31m\r\n\r\n";
        assert!(traces.order(message("t_1", true, register)));
        assert!(traces.order(message(
            "t_1",
            false,
            "SIP/2.0 200 OK\r\nCSeq: 1 REGISTER\r\n\r\n"
        )));
        assert!(traces.order(TraceCommand::Stop { trace: "t_1".into() }));
        assert!(traces.close(PATIENCE));
        let Some(Input::Trace(end)) = reports.blocking_recv() else {
            panic!("a report");
        };
        assert_eq!((end.trace.as_str(), end.lost, end.failed), ("t_1", 0, None));
        let text = fs::read_to_string(&end.text).unwrap();
        assert!(text.contains("|------------- REGISTER ------------->|"), "{text}");
        assert!(
            text.contains("200 OK (REGISTER)") && text.contains("\\u{001B}[31m"),
            "{text}"
        );
        assert!(!text.contains("abc"), "{text}");
        assert!(
            end.text.ends_with("traces/20260101T000000.000000Z-t_1.txt"),
            "{}",
            end.text
        );
        for path in [&end.text, &end.pcap] {
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let dir = fs::metadata(scratch.path().join(FOLDER)).unwrap();
        assert_eq!(dir.permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_full_queue_loses_messages_and_counts_them_but_no_stop() {
        let (orders, queue) = sync_channel(ORDERS_MAX);
        let mut traces = Traces {
            orders,
            waiting: Arc::new(AtomicUsize::new(0)),
            lost: BTreeMap::new(),
            thread: std::thread::spawn(|| {}),
        };
        assert!(traces.order(start("t_1", 0)));
        for _ in 0..MESSAGES_WAITING_MAX {
            assert!(traces.order(message("t_1", true, "x")));
        }
        for _ in 0..3 {
            assert!(!traces.order(message("t_1", true, "x")));
        }
        assert!(traces.order(TraceCommand::Stop { trace: "t_1".into() }));
        let last = queue.try_iter().last();
        assert!(matches!(last, Some(Order::Stop(trace, 3)) if trace == "t_1"));
    }

    #[test]
    fn the_oldest_traces_give_way() {
        let scratch = Scratch::new("traces-kept");
        let (report, mut reports) = mpsc::channel(4);
        let mut traces = Traces::spawn(scratch.path(), report).unwrap();
        for number in 0..TRACES_KEPT as i64 + 3 {
            let trace = format!("t_{number}");
            traces.order(start(&trace, number * 1_000_000));
            traces.order(TraceCommand::Stop { trace });
            assert!(reports.blocking_recv().is_some());
        }
        let names: Vec<_> = fs::read_dir(scratch.path().join(FOLDER)).unwrap().collect();
        assert_eq!(names.len(), 2 * TRACES_KEPT);
        assert!(
            !scratch
                .path()
                .join(FOLDER)
                .join("19700101T000002.000000Z-t_2.txt")
                .exists()
        );
        assert!(
            scratch
                .path()
                .join(FOLDER)
                .join("19700101T000003.000000Z-t_3.txt")
                .exists()
        );
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_told() {
        let scratch = Scratch::new("traces-none");
        fs::write(scratch.path().join(FOLDER), "in the way").unwrap();
        let (report, mut reports) = mpsc::channel(4);
        let mut traces = Traces::spawn(scratch.path(), report).unwrap();
        traces.order(start("t_1", 0));
        traces.order(message("t_1", true, "x"));
        traces.order(TraceCommand::Stop { trace: "t_1".into() });
        assert!(matches!(reports.blocking_recv(), Some(Input::Trace(end)) if end.failed.is_some()));
    }
}
