//! rtpengine beside us, where it is installed: a process of its own on the measured core, told of each call by its NG
//! protocol (bencoded dictionaries over UDP), and ended with the round.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::cases::Kind;
use crate::driver::Driver;
use crate::{SUBJECT_CPU, Sum};

/// Tries of a command, a fifth of a second each: the process takes a moment to listen.
const TRIES: usize = 25;

/// An installed rtpengine.
pub struct Rtpengine {
    program: PathBuf,
}

/// A running one.
struct Running {
    child: Child,
    ng: UdpSocket,
    cookie: u32,
}

/// A part of a message.
enum Word {
    Text(String),
    List(Vec<&'static str>),
}

/// Whether the comparison is made for this work.
pub fn knows(kind: Kind) -> bool {
    kind == Kind::Relay
}

impl Rtpengine {
    /// Where it is installed; none: it is not.
    pub fn find() -> Option<Rtpengine> {
        let path = std::env::var_os("PATH")?;
        let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
        let program = folders
            .map(|folder| folder.join("rtpengine"))
            .find(|file| file.is_file())?;
        Some(Rtpengine { program })
    }

    /// One round, as for our own.
    pub fn round(&self, sum: &mut Sum, kind: Kind, legs: usize, seconds: u64) {
        let mut driver = Driver::new(legs, kind.speech());
        let mut running = self.start();
        let addresses = running.set_up(&driver.addresses());
        driver.connect(&addresses);
        driver.run(Duration::from_millis(1_500));
        let before = running.cpu_time();
        let span = Duration::from_secs(seconds);
        let heard = driver.run(span);
        sum.cpu += running.cpu_time() - before;
        sum.heard.add(&heard);
        sum.span += span;
        running.stop();
    }

    fn start(&self) -> Running {
        let free = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let listen = free.local_addr().expect("bound");
        drop(free);
        let child = Command::new("taskset")
            .args(["-c", &SUBJECT_CPU.to_string()])
            .arg(&self.program)
            .args([
                "--foreground",
                "--no-fallback",
                "--log-stderr",
                "--log-level=1",
                "--num-threads=1",
            ])
            .args([
                "--interface=127.0.0.1",
                "--table=-1",
                "--port-min=30000",
                "--port-max=49999",
            ])
            .arg(format!("--listen-ng={listen}"))
            .stderr(Stdio::null())
            .spawn()
            .expect("taskset and rtpengine run");
        let ng = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        ng.connect(listen).expect("loopback");
        let patience = Some(Duration::from_millis(200));
        ng.set_read_timeout(patience).expect("a timeout");
        Running { child, ng, cookie: 0 }
    }
}

impl Running {
    /// Leg 2n calls leg 2n + 1; where each leg sends to.
    fn set_up(&mut self, parties: &[SocketAddr]) -> Vec<SocketAddr> {
        let mut addresses = Vec::new();
        for (call, pair) in parties.chunks(2).enumerate() {
            let to_callee = self.ask("offer", call, pair[0], false);
            let to_caller = self.ask("answer", call, pair[1], true);
            addresses.extend([to_caller, to_callee]);
        }
        addresses
    }

    /// Tells of one side's SDP and reads where the other side sends to.
    fn ask(&mut self, command: &str, call: usize, party: SocketAddr, has_to: bool) -> SocketAddr {
        let text = |text: &str| Word::Text(text.to_owned());
        let mut words = BTreeMap::from([
            ("call-id", Word::Text(format!("call{call}"))),
            ("command", text(command)),
            ("from-tag", Word::Text(format!("f{call}"))),
            ("ICE", text("remove")),
            ("flags", Word::List(vec!["trust-address"])),
            ("rtcp-mux", Word::List(vec!["accept"])),
            ("sdp", Word::Text(sdp(party))),
        ]);
        if has_to {
            words.insert("to-tag", Word::Text(format!("t{call}")));
        }
        self.cookie += 1;
        let message = format!("{} {}", self.cookie, bencode(&words));
        let mut reply = [0; 4096];
        for _ in 0..TRIES {
            let _ = self.ng.send(message.as_bytes());
            let Ok(len) = self.ng.recv(&mut reply) else {
                std::thread::sleep(Duration::from_millis(20));
                continue;
            };
            let reply = String::from_utf8_lossy(&reply[..len]);
            if !reply.starts_with(&format!("{} ", self.cookie)) {
                continue;
            }
            let port = reply
                .split("m=audio ")
                .nth(1)
                .and_then(|rest| rest.split(' ').next());
            let port = port.and_then(|port| port.parse().ok());
            return SocketAddr::from((
                Ipv4Addr::LOCALHOST,
                port.unwrap_or_else(|| panic!("refused: {reply}")),
            ));
        }
        panic!("rtpengine does not answer");
    }

    /// CPU time of all its threads.
    fn cpu_time(&self) -> Duration {
        let tasks = format!("/proc/{}/task", self.child.id());
        let account = |task: &Path| {
            let account = std::fs::read_to_string(task.join("schedstat")).unwrap_or_default();
            account
                .split(' ')
                .next()
                .and_then(|field| field.parse::<u64>().ok())
        };
        let tasks = std::fs::read_dir(tasks).expect("it runs").flatten();
        Duration::from_nanos(tasks.filter_map(|task| account(&task.path())).sum())
    }

    fn stop(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn sdp(party: SocketAddr) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {} RTP/AVP 0\r\n\
         a=rtpmap:0 PCMU/8000\r\na=rtcp-mux\r\na=ptime:20\r\n",
        party.port()
    )
}

/// A dictionary; its keys stand in order, as the form demands.
fn bencode(words: &BTreeMap<&str, Word>) -> String {
    let text = |text: &str| format!("{}:{text}", text.len());
    let word = |word: &Word| match word {
        Word::Text(word) => text(word),
        Word::List(words) => format!("l{}e", words.iter().map(|word| text(word)).collect::<String>()),
    };
    let all = words.iter().map(|(key, value)| text(key) + &word(value));
    format!("d{}e", all.collect::<String>())
}
