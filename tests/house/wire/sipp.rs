//! One SIPp process and what its logs tell.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use super::{Folder, OUR_NUMBER, binary, clock, ports};
use crate::tone;

/// Seconds of tone that a streaming scenario has; it starts again after them.
const TONE_S: usize = 10;
const START_PATIENCE: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Udp,
    Tcp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Law {
    A,
    Mu,
}

impl Law {
    fn payload_type(self) -> &'static str {
        match self {
            Law::A => "8",
            Law::Mu => "0",
        }
    }

    fn encoding(self) -> &'static str {
        match self {
            Law::A => "PCMA",
            Law::Mu => "PCMU",
        }
    }
}

/// What a run is to be; see [`Sipp::start`].
pub struct Sipp {
    scenario: &'static str,
    ip: &'static str,
    port: u16,
    media: Option<SocketAddr>,
    transport: Transport,
    law: Law,
    tone_hz: f64,
    talk: Duration,
    calls: u32,
    rate: u32,
    peer: Option<SocketAddr>,
    patience: Duration,
    filled: Vec<(&'static str, String)>,
}

/// A run under way. Ended, with every process of its own, when dropped.
pub struct Running {
    child: Child,
    folder: PathBuf,
    what: String,
    port: u16,
    patience: Duration,
}

impl Sipp {
    /// The scenario `tests/interop/sipp/<scenario>.xml` for one call, as a caller or a callee at `ip`.
    pub fn new(scenario: &'static str, ip: &'static str) -> Self {
        Sipp {
            scenario,
            ip,
            port: ports::free_port(ip),
            media: None,
            transport: Transport::Udp,
            law: Law::Mu,
            tone_hz: super::CALLER_HZ,
            talk: Duration::from_secs(60),
            calls: 1,
            rate: 1,
            peer: None,
            patience: Duration::from_secs(60),
            filled: Vec::new(),
        }
    }

    /// How long it may take, when it waits for more than its own calls.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// At this port.
    pub fn at(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Calls the gateway there.
    pub fn to(mut self, peer: SocketAddr) -> Self {
        self.peer = Some(peer);
        self
    }

    /// What stands in the scenario for `[key]`.
    pub fn fill(mut self, key: &'static str, text: &str) -> Self {
        self.filled.push((key, text.to_owned()));
        self
    }

    /// Over TCP.
    pub fn over(mut self, transport: Transport) -> Self {
        self.transport = transport;
        self
    }

    /// The one codec it offers or answers with.
    pub fn law(mut self, law: Law) -> Self {
        self.law = law;
        self
    }

    /// Its media is this socket of the test's.
    pub fn media(mut self, address: SocketAddr) -> Self {
        self.media = Some(address);
        self
    }

    /// How long it waits for a BYE before it sends one.
    pub fn talk(mut self, talk: Duration) -> Self {
        self.talk = talk;
        self
    }

    pub fn calls(mut self, calls: u32, a_second: u32) -> Self {
        (self.calls, self.rate) = (calls, a_second);
        self
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.ip.parse().unwrap(), self.port)
    }

    /// What a `leg.dial` calls it by.
    pub fn uri(&self) -> String {
        let parameter = match self.transport {
            Transport::Udp => "",
            Transport::Tcp => ";transport=tcp",
        };
        format!("sip:agent@{}:{}{parameter}", self.ip, self.port)
    }

    /// Starts it in a folder of its own; a callee is reachable when this returns.
    pub async fn start(self, folder: &Folder) -> Running {
        let folder = folder.join(&format!("{}-{}", self.scenario, self.port));
        std::fs::create_dir_all(&folder).unwrap();
        self.write_scenario(&folder);
        write_tone(&folder.join("tone.raw"), self.law, self.tone_hz);
        let mut command = binary::peer("sipp", "sip-tester");
        command.current_dir(&folder);
        if let Some(peer) = self.peer {
            command.arg(peer.to_string()).args(["-s", OUR_NUMBER]);
        }
        let media = self.media.unwrap_or_else(|| {
            let port = ports::free_port(self.ip);
            SocketAddr::new(self.ip.parse().unwrap(), port)
        });
        let transport = match self.transport {
            Transport::Udp => "u1",
            Transport::Tcp => "t1",
        };
        let numbers = [self.port, media.port(), ports::free_port(self.ip)].map(|number| number.to_string());
        command
            .args([
                "-sf",
                "scenario.xml",
                "-t",
                transport,
                "-i",
                self.ip,
                "-p",
                &numbers[0],
            ])
            .args([
                "-key",
                "sdp_ip",
                &media.ip().to_string(),
                "-key",
                "sdp_port",
                &numbers[1],
            ]);
        // SIPp opens a media socket in any case: not the test's.
        let own = if self.media.is_some() {
            &numbers[2]
        } else {
            &numbers[1]
        };
        command.args(["-mi", self.ip, "-mp", own]);
        if self.media.is_none() && self.peer.is_none() {
            command.arg("-rtp_echo");
        }
        let [calls, rate, timeout] = [self.calls.into(), self.rate.into(), self.patience.as_secs()]
            .map(|number: u64| number.to_string());
        command
            .args([
                "-m", &calls, "-r", &rate, "-l", &calls, "-timeout", &timeout, "-nostdin",
            ])
            .args([
                "-trace_msg",
                "-message_file",
                "messages.log",
                "-trace_logs",
                "-log_file",
                "log.log",
            ])
            .args([
                "-trace_err",
                "-error_file",
                "errors.log",
                "-trace_rtt",
                "-rtt_freq",
                "1",
            ]);
        let child = command
            .env("TZ", "UTC")
            .stdin(Stdio::null())
            .stdout(File::create(folder.join("screen.log")).unwrap())
            .stderr(File::create(folder.join("stderr.log")).unwrap())
            .spawn()
            .unwrap();
        let running = Running {
            child,
            folder,
            what: self.scenario.to_owned(),
            port: self.port,
            patience: self.patience + Duration::from_secs(5),
        };
        let table = match self.transport {
            Transport::Udp => "/proc/net/udp",
            Transport::Tcp => "/proc/net/tcp",
        };
        if self.peer.is_none() {
            clock::until("SIPp to listen", START_PATIENCE, || {
                is_bound(table, running.port).then_some(())
            })
            .await;
        }
        running
    }

    /// Fills in what SIPp does not expand inside actions and attributes.
    fn write_scenario(&self, folder: &Path) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/sipp");
        let text = std::fs::read_to_string(path.join(format!("{}.xml", self.scenario))).unwrap();
        let text = text
            .replace("[law]", self.law.payload_type())
            .replace("[law_name]", self.law.encoding())
            .replace("[talk_ms]", &self.talk.as_millis().to_string());
        let text = self.filled.iter().fold(text, |text, (key, value)| {
            text.replace(&format!("[{key}]"), value)
        });
        let text = text.replace("[headers]", "");
        std::fs::write(folder.join("scenario.xml"), text).unwrap();
    }
}

impl Running {
    /// Where the gateway wants media, from the last SDP it sent.
    pub async fn gateway_media(&self) -> SocketAddr {
        clock::until("SDP of the gateway", START_PATIENCE, || {
            let messages = self.file("messages.log");
            let received = messages.split("message received").skip(1).filter_map(|message| {
                // The next message that was sent may follow.
                let message = message.split("message sent").next()?;
                let ip = word_after(message, "c=IN IP4 ")?;
                let port = word_after(message, "m=audio ")?;
                format!("{ip}:{port}").parse().ok()
            });
            received.last()
        })
        .await
    }

    /// Every message so far, as it was sent or received.
    pub fn messages(&self) -> Vec<(i64, String)> {
        messages_of(&self.file("messages.log"))
    }

    /// Stops or goes on: a peer that is there and says nothing.
    pub fn pause(&self, is_paused: bool) {
        use nix::sys::signal::Signal;
        let pid = nix::unistd::Pid::from_raw(self.child.id() as i32);
        let signal = if is_paused {
            Signal::SIGSTOP
        } else {
            Signal::SIGCONT
        };
        nix::sys::signal::kill(pid, signal).unwrap();
    }

    /// Ends it now; what it logged until then.
    pub fn kill(mut self) -> Finished {
        let _ = self.child.kill();
        let _ = self.child.wait();
        Finished {
            folder: self.folder.clone(),
        }
    }

    /// How it ended, once it has.
    pub fn exit_code(&mut self) -> Option<Option<i32>> {
        let status = self.child.try_wait().unwrap()?;
        Some(status.code())
    }

    /// Waits until every call is over; none may have failed.
    pub async fn finish(mut self) -> Finished {
        let what = format!("{} to finish", self.what);
        let status = {
            let child = &mut self.child;
            clock::until(&what, self.patience, || child.try_wait().unwrap()).await
        };
        assert!(
            status.success(),
            "{}: {status}\n{}\n{}\n{}",
            self.what,
            self.file("errors.log"),
            self.file("stderr.log"),
            tail(&self.file("messages.log"), 6_000),
        );
        Finished {
            folder: self.folder.clone(),
        }
    }

    fn file(&self, name: &str) -> String {
        read(&self.folder.join(name))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The logs of a run in which no call failed.
pub struct Finished {
    folder: PathBuf,
}

impl Finished {
    /// How many lines of the scenario's own log begin with `word`.
    pub fn logged(&self, word: &str) -> usize {
        let log = read(&self.folder.join("log.log"));
        log.lines().filter(|line| line.starts_with(word)).count()
    }

    /// When the first message whose first line begins so was sent or received.
    pub fn message_at_us(&self, start_line: &str) -> i64 {
        self.messages()
            .into_iter()
            .find_map(|(at_us, message)| message.starts_with(start_line).then_some(at_us))
            .unwrap_or_else(|| panic!("no {start_line} among the messages"))
    }

    /// Every message, as it was sent or received.
    pub fn messages(&self) -> Vec<(i64, String)> {
        messages_of(&read(&self.folder.join("messages.log")))
    }

    /// From INVITE to 200, milliseconds, one a call, sorted. Taken from SIPp's log of messages: its own
    /// response times have the granularity of the kernel's coarse clock, 4 ms.
    pub fn setup_ms(&self) -> Vec<f64> {
        let mut offered = BTreeMap::new();
        let mut times = Vec::new();
        for (at_us, message) in self.messages() {
            let call = word_after(&message, "Call-ID: ").unwrap_or_default().to_owned();
            if message.starts_with("INVITE ") {
                offered.entry(call).or_insert(at_us);
            } else if message.starts_with("SIP/2.0 200") && message.contains(" INVITE\r\n") {
                // Removed, so that a 200 sent again does not count.
                times.extend(
                    offered
                        .remove(&call)
                        .map(|offered_us| (at_us - offered_us) as f64 / 1e3),
                );
            }
        }
        times.sort_by(f64::total_cmp);
        times
    }
}

fn messages_of(log: &str) -> Vec<(i64, String)> {
    // ----------------------------------------------- 2026-11-21\t04:37:20.123456\t1763699840.123456\n
    let blocks = log
        .split("-----------------------------------------------")
        .skip(1);
    blocks
        .filter_map(|block| {
            let (head, rest) = block.split_once('\n')?;
            let (_, message) = rest.split_once("\n\n")?;
            Some((stamp_us(head)?, message.to_owned()))
        })
        .collect()
}

/// `YYYY-MM-DD HH:MM:SS.uuuuuu`, UTC.
fn stamp_us(head: &str) -> Option<i64> {
    let numbers: Vec<i64> = head
        .split(['-', ' ', ':', '.', '\t'])
        .filter_map(|number| number.parse().ok())
        .collect();
    let [year, month, day, hour, minute, second, us] = numbers[..] else {
        return None;
    };
    // Days since 1970, with the year taken to begin in March.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 719_469;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000_000 + us)
}

fn word_after<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(prefix)?;
    rest.split_whitespace().next()
}

/// True once a socket of this machine is bound to `port`.
fn is_bound(table: &str, port: u16) -> bool {
    let wanted = format!(":{port:04X}");
    let is_wanted = |line: &str| {
        line.split_whitespace()
            .nth(1)
            .is_some_and(|local| local.ends_with(&wanted))
    };
    read(Path::new(table)).lines().any(is_wanted)
}

fn write_tone(path: &Path, law: Law, hz: f64) {
    let mut samples = vec![0; TONE_S * 8_000];
    tone::sine(hz, 0.3, 0, &mut samples);
    let encode = match law {
        Law::A => tone::alaw,
        Law::Mu => tone::mulaw,
    };
    let bytes: Vec<u8> = samples.into_iter().map(encode).collect();
    std::fs::write(path, bytes).unwrap();
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}

fn tail(text: &str, bytes: usize) -> &str {
    let mut start = text.len().saturating_sub(bytes);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}
