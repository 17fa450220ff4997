//! The core of the gateway and an attacker who sends it any bytes from any address, in virtual time.
//!
//! Media is a port number for each stream that is asked for: what an attack does to it is looked at elsewhere.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use gateway::config::Config;
use gateway::control::protocol::parse_frame;
use gateway::core::Core;
use gateway::engine::Setup;
use gateway::engine::io::{ConnKey, Input, Now, Output};
use gateway::stir::CertificateUrl;
use media::Change;
use serde_json::{Value, json};
use sip::endpoint::{EndpointConfig, Flow, Transport};

pub const GATEWAY: &str = "10.0.0.1:5060";
/// An address of the trunk `carrier`.
pub const CARRIER: &str = "10.0.1.1:5060";
/// One of the trunk `other`.
pub const OTHER: &str = "10.0.3.1:5060";
/// One of no trunk.
pub const STRANGER: &str = "10.66.0.66:5060";

const CONFIG: &str = r#"
state_dir = "state"
[sip]
listen = ["udp://10.0.0.1:5060", "tcp://10.0.0.1:5060"]
[media]
address = "10.0.0.1"
ports = "20000-29999"
shards = 1
[limits]
calls = 10000
calls_per_second = 10000
messages_per_second = 1000000
[[trunk]]
name = "carrier"
hosts = ["10.0.1.1:5060"]
options_interval_s = 0
allow = ["10.0.1.0/24"]
caller_ids = ["+493012345678"]
burst = 10000
CARRIER_KEYS
[[trunk]]
name = "other"
hosts = ["10.0.3.1:5060"]
options_interval_s = 0
allow = ["10.0.3.0/24"]
caller_ids = ["*"]
agents = true
burst = 10000
OTHER_KEYS
"#;

pub struct Rig {
    pub core: Core,
    pub now: Instant,
    /// Between two datagrams: the instance takes five calls in one moment.
    pub pause: Duration,
    start: Instant,
    /// Everything the gateway sent, with the flow.
    pub sent: Vec<(Flow, String)>,
    /// Bytes it sent.
    pub bytes_out: usize,
    /// Streams closed by it.
    pub closed: Vec<Flow>,
    pub events: Vec<Value>,
    pub replies: Vec<Value>,
    pub records: Vec<Value>,
    /// Certificates that the core asked for.
    pub fetches: Vec<CertificateUrl>,
    /// Questions to DNS.
    pub lookups: Vec<sip::transport::target::Question>,
    ports: u16,
    asked: u64,
    /// Time that the core itself has taken, without this rig's own.
    pub busy: Duration,
}

impl Rig {
    pub fn new() -> Rig {
        Rig::with("", "")
    }

    /// With further keys of the trunks.
    pub fn with(carrier: &str, other: &str) -> Rig {
        Rig::edited(|text| text.replace("CARRIER_KEYS", carrier).replace("OTHER_KEYS", other))
    }

    pub fn edited(edit: impl FnOnce(String) -> String) -> Rig {
        let text = edit(CONFIG.to_owned())
            .replace("CARRIER_KEYS", "")
            .replace("OTHER_KEYS", "");
        let config =
            Config::parse(&text, "/rig/gateway.toml".as_ref(), None).expect("the rig's configuration");
        let setup = Arc::new(Setup::new(config, "e1".to_owned()).expect("dial rules"));
        let start = Instant::now();
        let now = Now {
            mono: start,
            wall_us: 0,
        };
        let mut endpoint = EndpointConfig::simple(Transport::Udp, address(GATEWAY));
        let tcp = EndpointConfig::simple(Transport::Tcp, address(GATEWAY));
        endpoint.listeners.extend(tcp.listeners);
        let mut rig = Rig {
            core: Core::new(setup, endpoint, [9; 32], now),
            now: start,
            pause: Duration::from_millis(1),
            start,
            sent: Vec::new(),
            bytes_out: 0,
            closed: Vec::new(),
            events: Vec::new(),
            replies: Vec::new(),
            records: Vec::new(),
            lookups: Vec::new(),
            fetches: Vec::new(),
            ports: 20_000,
            asked: 0,
            busy: Duration::ZERO,
        };
        let conn = ConnKey(1);
        rig.handle(Input::ControlOpened { conn });
        rig.ask(
            "hello",
            json!({"app": "default", "client": "test", "subscribe": {}}),
        );
        rig
    }

    /// Its clock.
    pub fn clock(&self) -> Now {
        let since = i64::try_from((self.now - self.start).as_micros()).unwrap();
        Now {
            mono: self.now,
            wall_us: 1_767_225_600_000_000 + since,
        }
    }

    pub fn handle(&mut self, input: Input) {
        let now = self.clock();
        let begun = Instant::now();
        self.core.handle(input, now);
        let outputs: Vec<Output> = std::iter::from_fn(|| self.core.poll_output()).collect();
        self.busy += begun.elapsed();
        let mut answers = Vec::new();
        for output in outputs {
            self.take(output, &mut answers);
        }
        for answer in answers {
            self.handle(answer);
        }
    }

    fn take(&mut self, output: Output, answers: &mut Vec<Input>) {
        match output {
            Output::Send { flow, bytes } => {
                self.bytes_out += bytes.len();
                self.sent
                    .push((flow, String::from_utf8_lossy(&bytes).into_owned()));
            }
            Output::Connect { flow, .. } => answers.push(Input::Connected { flow, peer: None }),
            Output::Disconnect { flow } => self.closed.push(flow),
            Output::Media { shard, command } => {
                for change in command {
                    if let Some(event) = self.media(&change) {
                        answers.push(Input::Media { shard, event });
                    }
                }
            }
            Output::Control { line, .. } => {
                let value: Value = serde_json::from_str(&line).unwrap();
                match value["method"] == "event" {
                    true => self.events.push(value["params"].clone()),
                    false => self.replies.push(value),
                }
            }
            Output::Lookup(question) => self.lookups.push(question),
            Output::Fetch(url) => self.fetches.push(url),
            Output::Record { record, .. } => self.records.push(serde_json::from_str(&record).unwrap()),
            _ => {}
        }
    }

    fn media(&mut self, change: &Change) -> Option<media::Event> {
        match change {
            Change::Open { stream, .. } => {
                self.ports = if self.ports >= 29_990 {
                    20_000
                } else {
                    self.ports + 2
                };
                let local = SocketAddr::from(([10, 0, 0, 1], self.ports));
                Some(media::Event::Opened {
                    stream: *stream,
                    local,
                })
            }
            Change::Close { stream } => Some(media::Event::Closed {
                stream: *stream,
                stats: Box::default(),
            }),
            _ => None,
        }
    }

    /// The result of a command that must succeed.
    pub fn ask(&mut self, method: &str, params: Value) -> Value {
        let reply = self.request(method, &params);
        assert!(reply.get("result").is_some(), "{method} {params}: {reply}");
        reply["result"].clone()
    }

    pub fn request(&mut self, method: &str, params: &Value) -> Value {
        self.asked += 1;
        let line =
            json!({"jsonrpc": "2.0", "id": self.asked, "method": method, "params": params}).to_string();
        let frame = parse_frame(&line);
        self.handle(Input::Control {
            conn: ConnKey(1),
            id: frame.id,
            request: frame.request,
        });
        let id = self.asked;
        let reply = self.replies.iter().rev().find(|reply| reply["id"] == id);
        reply.cloned().unwrap_or(Value::Null)
    }

    /// Sends a datagram; what came for it.
    pub fn udp(&mut self, from: &str, bytes: impl AsRef<[u8]>) -> Vec<String> {
        self.run_for(self.pause);
        let before = self.sent.len();
        let bytes = Bytes::copy_from_slice(bytes.as_ref());
        self.handle(Input::Datagram {
            flow: flow(Transport::Udp, from),
            bytes,
        });
        self.sent[before..].iter().map(|(_, text)| text.clone()).collect()
    }

    /// Sends bytes over a connection of its own; what came for it, and whether it was closed.
    pub fn tcp(&mut self, from: &str, bytes: impl AsRef<[u8]>) -> (Vec<String>, bool) {
        let flow = flow(Transport::Tcp, from);
        let before = self.sent.len();
        self.closed.clear();
        self.handle(Input::Connected { flow, peer: None });
        for piece in bytes.as_ref().chunks(1_400) {
            let bytes = Bytes::copy_from_slice(piece);
            self.handle(Input::StreamData { flow, bytes });
        }
        let came = self.sent[before..].iter().map(|(_, text)| text.clone()).collect();
        let is_closed = self.closed.contains(&flow);
        self.handle(Input::Disconnected { flow });
        (came, is_closed)
    }

    pub fn run_for(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(at) = self.core.next_deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.handle(Input::Tick);
        }
        self.now = end;
    }

    pub fn of(&self, kind: &str) -> Vec<&Value> {
        self.events.iter().filter(|event| event["type"] == kind).collect()
    }

    /// Forgets what it has seen so far.
    pub fn forget(&mut self) {
        self.sent.clear();
        self.events.clear();
        self.replies.clear();
        self.records.clear();
    }

    /// The last message sent that begins so.
    pub fn last(&self, start: &str) -> String {
        let mut sent = self.sent.iter().rev();
        sent.find(|(_, text)| text.starts_with(start)).unwrap().1.clone()
    }

    pub fn dropped(&self, why: &str) -> u64 {
        let drops = self.core.engine().metrics().sip_drops();
        drops
            .iter()
            .filter(|(word, _)| **word == why)
            .map(|(_, count)| count)
            .sum()
    }

    /// No session, transaction, dialog or call is left.
    pub fn is_at_rest(&self) -> bool {
        let endpoint = self.core.endpoint();
        endpoint.sessions() == 0
            && endpoint.transactions() == 0
            && endpoint.dialogs() == 0
            && endpoint.connections() == 0
            && self.core.engine().is_empty()
    }

    /// A call of the carrier goes through as ever.
    pub fn assert_alive(&mut self) {
        let branch = format!("alive{}", self.asked);
        let came = self.udp(CARRIER, invite(CARRIER, &branch, "", SDP));
        let leg = self.of("leg.incoming").last().map(|event| event["leg"].clone());
        let leg = leg.unwrap_or_else(|| panic!("no call after the attack: {came:?}"));
        self.ask("leg.answer", json!({ "leg": leg }));
        let ok = self
            .sent
            .iter()
            .rev()
            .find(|(_, text)| text.starts_with("SIP/2.0 200"))
            .unwrap()
            .1
            .clone();
        assert!(ok.contains(&branch), "{ok}");
        let ack = in_dialog("ACK", CARRIER, &branch, &ok, 1);
        self.udp(CARRIER, ack);
        let came = self.udp(CARRIER, in_dialog("BYE", CARRIER, &branch, &ok, 2));
        assert!(came[0].starts_with("SIP/2.0 200"), "{came:?}");
    }
}

pub fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub fn flow(transport: Transport, from: &str) -> Flow {
    Flow {
        transport,
        local: address(GATEWAY),
        remote: address(from),
    }
}

pub const SDP: &str =
    "v=0\r\no=- 1 1 IN IP4 10.0.1.1\r\ns=-\r\nc=IN IP4 10.0.1.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8\r\n";

/// An INVITE with further headers, each with its line end.
pub fn invite(from: &str, branch: &str, headers: &str, sdp: &str) -> String {
    let headers = format!("Content-Type: application/sdp\r\n{headers}");
    request("INVITE", from, branch, &headers, sdp)
}

pub fn request(method: &str, from: &str, branch: &str, headers: &str, body: &str) -> String {
    format!(
        "{method} sip:+4930123456@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bK{branch}\r\nMax-Forwards: 70\r\n\
         From: <sip:+4930987654@10.0.1.1>;tag=t{branch}\r\nTo: <sip:+4930123456@10.0.0.1>\r\nCall-ID: c{branch}\r\n\
         CSeq: 1 {method}\r\nContact: <sip:peer@{from}>\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A request inside the dialog that a 2xx to `branch` made.
pub fn in_dialog(method: &str, from: &str, branch: &str, ok: &str, cseq: u32) -> String {
    let to = ok.lines().find(|line| line.starts_with("To:")).unwrap();
    format!(
        "{method} sip:10.0.0.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bK{branch}{method}{cseq}\r\nMax-Forwards: 70\r\n\
         From: <sip:+4930987654@10.0.1.1>;tag=t{branch}\r\n{to}\r\nCall-ID: c{branch}\r\nCSeq: {cseq} {method}\r\n\
         Contact: <sip:peer@{from}>\r\nContent-Length: 0\r\n\r\n"
    )
}

/// A response to a request of the gateway's.
pub fn answer(request: &str, status: &str, sdp: &str) -> String {
    let names = ["Via:", "From:", "To:", "Call-ID:", "CSeq:"];
    let copied = request
        .lines()
        .filter(|line| names.iter().any(|name| line.starts_with(name)));
    let tagged = |line: &str| match line.starts_with("To:") && !line.contains(";tag=") {
        true => format!("{line};tag=callee\r\n"),
        false => format!("{line}\r\n"),
    };
    let copied: String = copied.map(tagged).collect();
    format!(
        "SIP/2.0 {status}\r\n{copied}Contact: <sip:peer@{OTHER}>\r\nContent-Type: application/sdp\r\n\
         Content-Length: {}\r\n\r\n{sdp}",
        sdp.len()
    )
}

/// First lines.
pub fn lines(texts: &[String]) -> Vec<&str> {
    texts
        .iter()
        .map(|text| text.lines().next().unwrap_or_default())
        .collect()
}

/// The status of the last response among texts.
pub fn status(texts: &[String]) -> Option<u16> {
    let last = texts.iter().rev().find_map(|text| text.strip_prefix("SIP/2.0 "));
    last.and_then(|rest| rest.get(..3)?.parse().ok())
}

/// A generator of numbers, the same for the same seed (xorshift64*).
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let drawn = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(drawn).unwrap() % bound.max(1)
    }
}

/// How many times more than in every run: `HOSTILE_FACTOR`, which `make soak` sets.
pub fn factor() -> usize {
    std::env::var("HOSTILE_FACTOR")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1)
}
