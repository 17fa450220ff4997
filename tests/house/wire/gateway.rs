//! One `media-gateway` process.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::{AGENTS, CARRIER, Folder, MUSIC_HZ, OUR_NUMBER, binary, clock, ports};
use crate::{phonebook, tone};

/// A debug build decodes its music and opens its sockets in well under a second on an idle machine.
const START_PATIENCE: Duration = Duration::from_secs(30);

/// What tests change about the configuration.
#[derive(Clone)]
pub struct Settings {
    /// `limits.calls`.
    pub calls: u32,
    /// Networks of the agents' media beside their own.
    pub agents_media: Vec<String>,
    /// Networks of the carrier's media beside its own.
    pub carrier_media: Vec<String>,
    /// Networks of the carrier's signalling and media beside its own.
    pub carrier_hosts: Vec<String>,
    /// `media_source` of both trunks.
    pub media_source: &'static str,
    /// Further lines of the agents' trunk.
    pub agents_more: String,
    /// Further lines of the carrier's.
    pub carrier_more: String,
    /// Files beside the configuration that only we may read: names and texts.
    pub secrets: Vec<(&'static str, String)>,
    /// Further lines of both trunks.
    pub trunk_lines: &'static str,
    /// Further keys of the carrier's trunk, and of the agents'.
    pub carrier_keys: String,
    pub agents_keys: String,
    /// `media.ports`; a block of a thousand where left out.
    pub ports: Option<String>,
    /// Further listeners, each after a comma.
    pub listen_more: &'static str,
    /// A further line of `[media]`.
    pub media_addresses: &'static str,
    /// Further entries of the number map.
    pub numbers: String,
    /// Further tables, before the trunks.
    pub tables: String,
    /// A TLS listener.
    pub tls: Option<Secured>,
}

/// Lines of the configuration under TLS.
#[derive(Clone, Default)]
pub struct Secured {
    /// `[sip.tls]`.
    pub listener: String,
    /// The trunk `carrier`.
    pub carrier: String,
    /// The trunk `agents`.
    pub agents: String,
    /// At the end.
    pub more: String,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            calls: 100,
            agents_media: Vec::new(),
            carrier_media: Vec::new(),
            carrier_hosts: Vec::new(),
            media_source: "strict",
            agents_more: String::new(),
            carrier_more: String::new(),
            secrets: Vec::new(),
            trunk_lines: "",
            carrier_keys: String::new(),
            agents_keys: String::new(),
            tables: String::new(),
            ports: None,
            listen_more: "",
            media_addresses: "",
            numbers: String::new(),
            tls: None,
        }
    }
}

/// Killed when dropped.
pub struct Gateway {
    child: Child,
    folder: PathBuf,
    udp: SocketAddr,
    udp6: Option<SocketAddr>,
    tcp: SocketAddr,
    tls: Option<SocketAddr>,
    http: SocketAddr,
}

impl Gateway {
    /// Starts one whose state lies in `folder`, and waits until it can be reached.
    pub async fn start(folder: &Folder, settings: &Settings) -> Self {
        write_music(&folder.join("music.wav"));
        for (name, text) in &settings.secrets {
            phonebook::write(&folder.join(name), text);
        }
        let config = folder.join("gateway.toml");
        std::fs::write(&config, text(settings)).unwrap();
        let log_path = folder.join(&format!("gateway-{}.log", clock::now_us()));
        let child = Command::new(binary::gateway())
            .args(["serve", "--config"])
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(File::create(folder.join("stdout.log")).unwrap())
            .stderr(File::create(&log_path).unwrap())
            .env("NO_COLOR", "1")
            .env_remove("RUST_LOG")
            .spawn()
            .unwrap();
        let log = || std::fs::read_to_string(&log_path).unwrap_or_default();
        let mut gateway = Gateway {
            child,
            folder: folder.path().to_owned(),
            udp: ([127, 0, 0, 1], 0).into(),
            udp6: None,
            tcp: ([127, 0, 0, 1], 0).into(),
            tls: None,
            http: ([127, 0, 0, 1], 0).into(),
        };
        let addresses = clock::until("the gateway to start", START_PATIENCE, || {
            if let Some(status) = gateway.child.try_wait().unwrap() {
                panic!("the gateway ended with {status}: {}", log());
            }
            let text = log();
            Some([
                after(&text, "udp://")?,
                after(&text, "tcp://")?,
                after(&text, "http://")?,
            ])
        })
        .await;
        [gateway.udp, gateway.tcp, gateway.http] = addresses;
        gateway.udp6 = port_after(&log(), "udp://[::1]:");
        gateway.tls = after(&log(), "tls://");
        gateway
    }

    pub fn udp(&self) -> SocketAddr {
        self.udp
    }

    /// Its listener on `::1`.
    pub fn udp6(&self) -> SocketAddr {
        self.udp6.expect("a gateway with a listener on ::1")
    }

    pub fn tcp(&self) -> SocketAddr {
        self.tcp
    }

    pub fn tls(&self) -> SocketAddr {
        self.tls.expect("a gateway with a TLS listener")
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Has it look at its certificate files.
    pub fn hang_up(&self) {
        let pid = nix::unistd::Pid::from_raw(self.child.id() as i32);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGHUP).unwrap();
    }

    pub fn control(&self) -> PathBuf {
        self.state().join("control.sock")
    }

    pub fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    /// SIGKILL: nothing is closed, flushed or said. Returns the moment before it.
    pub fn kill(&mut self) -> i64 {
        let at_us = clock::now_us();
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        at_us
    }

    /// Sum of a metric over all its label sets that hold `label`; some appear with their first event only.
    pub fn metric(&self, name: &str, label: &str) -> u64 {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(self.http).unwrap();
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).unwrap();
        let is_wanted = |line: &&str| {
            line.strip_prefix("media_gateway_")
                .and_then(|line| line.strip_prefix(name))
                .is_some_and(|rest| rest.starts_with(['{', ' ']))
                && line.contains(label)
        };
        let values = page.lines().filter(is_wanted).map(|line| {
            let value: f64 = line.rsplit(' ').next().unwrap().parse().unwrap();
            value as u64
        });
        values.sum()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address that follows `scheme` in the log, once its line is whole.
fn after(log: &str, scheme: &str) -> Option<SocketAddr> {
    let (_, rest) = log.split_once(scheme)?;
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ':')?;
    rest.get(..end)?.parse().ok()
}

/// The port that follows this beginning of an IPv6 address.
fn port_after(log: &str, beginning: &str) -> Option<SocketAddr> {
    let (_, rest) = log.split_once(beginning)?;
    let end = rest.find(|c: char| !c.is_ascii_digit())?;
    let port: u16 = rest.get(..end)?.parse().ok()?;
    Some((std::net::Ipv6Addr::LOCALHOST, port).into())
}

fn text(settings: &Settings) -> String {
    let list = |first: &str, more: &[String]| {
        let all: Vec<_> = std::iter::once(first.to_owned())
            .chain(more.iter().cloned())
            .collect();
        format!("{all:?}")
    };
    let Secured {
        listener,
        carrier,
        agents,
        more,
    } = settings.tls.clone().unwrap_or_default();
    let listen = if settings.tls.is_some() {
        ", \"tls://127.0.0.1:0\""
    } else {
        ""
    };
    format!(
        r#"state_dir = "state"
[sip]
listen = ["udp://127.0.0.1:0", "tcp://127.0.0.1:0"{listen}{listen_more}]
{listener}
[media]
{media_addresses}
ports = "{ports}"
{tables}
[http]
listen = "127.0.0.1:0"
[limits]
calls = {calls}
calls_per_second = 10000
burst = 1000
[recordings]
min_free_mb = 0
[music.default]
files = ["music.wav"]
[[number]]
match = "{OUR_NUMBER}"
{numbers}
[[trunk]]
name = "carrier"
allow = {carrier_hosts}
media_allow = {carrier_media}
media_source = "{media_source}"
burst = 1000
{carrier_more}
{trunk_lines}
{carrier_keys}
{carrier}
[[trunk]]
name = "agents"
agents = true
allow = ["{AGENTS}"]
media_allow = {agents_media}
caller_ids = ["{OUR_NUMBER}", "*"]
media_source = "{media_source}"
burst = 1000
{agents_more}
{trunk_lines}
{agents_keys}
{agents}
{more}
"#,
        carrier_more = settings.carrier_more,
        agents_more = settings.agents_more,
        ports = settings.ports.clone().unwrap_or_else(ports::media_block),
        calls = settings.calls,
        carrier_keys = settings.carrier_keys,
        agents_keys = settings.agents_keys,
        tables = settings.tables,
        listen_more = settings.listen_more,
        media_addresses = settings.media_addresses,
        numbers = settings.numbers,
        carrier_hosts = list(CARRIER, &settings.carrier_hosts),
        carrier_media = list(
            CARRIER,
            &[settings.carrier_hosts.clone(), settings.carrier_media.clone()].concat()
        ),
        media_source = settings.media_source,
        trunk_lines = settings.trunk_lines,
        agents_media = list(AGENTS, &settings.agents_media),
    )
}

/// Ten seconds: a whole number of periods, so that it loops without a click.
fn write_music(path: &Path) {
    let mut samples = vec![0; 80_000];
    tone::sine(MUSIC_HZ, 0.3, 0, &mut samples);
    tone::write_wav(path, &samples);
}
