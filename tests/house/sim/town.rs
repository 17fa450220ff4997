//! The town: who is there, and the clock that moves them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gateway::config::Config;
use gateway::control::protocol::parse_frame;
use gateway::core::Core;
use gateway::engine::Setup;
use gateway::engine::io::{
    ConnKey, Input, Now, Output, Prompts, RecorderCommand, RecorderEvent, TraceCommand,
};
use media::recorder::TrackKey;
use media::shard::sim_io::{Network, SimIo};
use media::shard::{BlockReader, Counts, MetricsReader, Shard, ShardConfig, TURN, links};
use media::sound::Sound;
use serde_json::{Value, json};
use sip::endpoint::{Credentials, EndpointConfig, ExtraHeader, Flow, Transport};

use super::party::{Answer, Party};
use super::post::{Letter, Post, Weather};
use super::router::Router;
use crate::tone;

/// Where the carrier's far ends live.
pub const CARRIER: &str = "10.0.1.1";
const GATEWAY: &str = "10.0.0.1:5060";
/// Hold music is this tone.
pub const MUSIC_HZ: f64 = 350.0;
/// The prompt `greeting` is this tone.
pub const GREETING_HZ: f64 = 2500.0;

const CONFIG: &str = r#"
instance = "main"
state_dir = "state"
[sip]
listen = ["udp://10.0.0.1:5060"]
[media]
address = "10.0.0.1"
ports = "20000-29999"
shards = 1
[control]
unix = "state/control.sock"
[limits]
calls = 100
calls_per_second = 10000
[[trunk]]
name = "carrier"
hosts = ["10.0.1.1:5060"]
options_interval_s = 0
allow = ["10.0.1.0/24"]
media_allow = ["10.0.0.0/8"]
caller_ids = ["+493012345678"]
calls = 10000
calls_per_second = 10000
[[trunk]]
name = "agents"
hosts = ["10.0.2.1:5060"]
options_interval_s = 0
allow = ["10.0.2.0/24"]
media_allow = ["10.0.0.0/8"]
caller_ids = ["*"]
agents = true
calls = 10000
calls_per_second = 10000
[[number]]
match = "*"
app = "default"
unclaimed = { after_ms = 5000, action = "reject", status = 503 }
"#;

pub struct Town {
    pub now: Instant,
    pub start: Instant,
    pub core: Core,
    pub parties: Vec<Party>,
    pub routers: Vec<Router>,
    pub records: Vec<Value>,
    pub recorder: Vec<RecorderCommand>,
    pub log: Vec<String>,
    /// Drains that came to their end.
    pub drains: usize,
    /// Questions to DNS that the core asked.
    pub lookups: Vec<sip::transport::target::Question>,
    /// Certificates that the core asked for.
    pub fetches: Vec<gateway::stir::CertificateUrl>,
    /// Orders to the writer of traces.
    pub traced: Vec<TraceCommand>,
    /// Limits as the core last kept them.
    pub saved_limits: Option<String>,
    pub post: Post,
    pub media_net: Network,
    /// Samples that came out of each track.
    pub taped: BTreeMap<TrackKey, Vec<i16>>,
    /// How long the recordings writer takes.
    pub storage_time: Duration,
    setup_seed: u64,
    shards: Vec<Plane>,
    next_turn: Instant,
    stored: BTreeMap<(Instant, u64), RecorderEvent>,
    tracks: BTreeMap<String, Vec<String>>,
    numbered: u64,
    has_media: bool,
}

/// One media shard with its sockets, and where its recorded blocks come out.
struct Plane {
    shard: Shard,
    io: SimIo,
    blocks: BlockReader,
    metrics: MetricsReader,
}

impl Town {
    /// A town with the usual configuration.
    pub fn new(seed: u64) -> Self {
        Self::with(seed, |text| text)
    }

    /// A town whose configuration text was changed by `edit`.
    pub fn with(seed: u64, edit: impl FnOnce(String) -> String) -> Self {
        Self::after(None, seed, edit)
    }

    /// The same after an earlier run that kept these limits.
    pub fn after(saved: Option<String>, seed: u64, edit: impl FnOnce(String) -> String) -> Self {
        let text = edit(CONFIG.to_owned());
        let config =
            Config::parse(&text, Path::new("/town/gateway.toml"), None).expect("the town's configuration");
        let start = Instant::now();
        let mut setup = Setup::new(config, format!("e{seed:x}")).expect("dial rules");
        setup.saved_limits = saved;
        let mut bytes = [3; 32];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        let media_net = Network::new(seed, start);
        let endpoint = EndpointConfig::simple(Transport::Udp, gateway());
        let now = Now {
            mono: start,
            wall_us: wall(start, start),
        };
        let posts = links(setup.config.media.shards);
        let shards = posts.into_iter().enumerate().map(|(index, post)| {
            let width = 10_000 / setup.config.media.shards as u16;
            let config = ShardConfig {
                index: index as u32,
                port_first: 20_000 + index as u16 * width,
                port_last: 20_000 + (index as u16 + 1) * width - 1,
                seed: seed + index as u64,
                ..ShardConfig::default()
            };
            let (mut shard, metrics, blocks) = Shard::new(&config, start);
            shard.join(post);
            Plane {
                shard,
                io: SimIo::new(media_net.clone(), 4096),
                blocks,
                metrics,
            }
        });
        let shards = shards.collect();
        let mut town = Town {
            now: start,
            start,
            core: Core::new(Arc::new(setup), endpoint, bytes, now),
            parties: Vec::new(),
            routers: Vec::new(),
            records: Vec::new(),
            recorder: Vec::new(),
            log: Vec::new(),
            drains: 0,
            lookups: Vec::new(),
            fetches: Vec::new(),
            traced: Vec::new(),
            saved_limits: None,
            post: Post::new(seed),
            media_net,
            taped: BTreeMap::new(),
            storage_time: Duration::from_millis(30),
            setup_seed: seed,
            shards,
            next_turn: start,
            stored: BTreeMap::new(),
            tracks: BTreeMap::new(),
            numbered: 0,
            has_media: true,
        };
        town.load_sounds();
        town
    }

    fn load_sounds(&mut self) {
        let tone_of = |hz: f64, ms: usize| {
            let mut samples = vec![0; ms * 8];
            tone::sine(hz, 0.25, 0, &mut samples);
            Arc::new(Sound::from_pcm(samples))
        };
        let mut prompts = Prompts::default();
        prompts
            .sounds
            .insert("greeting".into(), tone_of(GREETING_HZ, 1000));
        prompts.refused.insert("broken".into(), "not a WAV file".into());
        self.input(Input::Prompts(prompts));
        let music = vec![("default".into(), vec![tone_of(MUSIC_HZ, 10_000)])];
        self.input(Input::Music(music));
    }

    /// Adds a party; its index is its name to the other methods.
    pub fn party(&mut self, name: &str, address: &str, hz: f64) -> usize {
        let address: SocketAddr = address.parse().unwrap();
        let seed = self.setup_seed + self.parties.len() as u64;
        let party = Party::new(name, address, hz, gateway(), seed, &self.media_net);
        self.parties.push(party);
        self.parties.len() - 1
    }

    /// A caller at the carrier.
    pub fn customer(&mut self, hz: f64) -> usize {
        let number = self.parties.len();
        self.party("customer", &format!("{CARRIER}:{}", 6000 + number), hz)
    }

    /// An agent's phone that answers after 100 ms.
    pub fn agent(&mut self, hz: f64) -> usize {
        let number = self.parties.len();
        self.party("agent", &format!("10.0.2.1:{}", 5070 + number), hz)
    }

    /// Connects a router and says hello with a subscription to everything.
    pub fn router(&mut self) -> usize {
        self.router_of("default")
    }

    pub fn router_of(&mut self, app: &str) -> usize {
        let index = self.connect(app);
        self.ask(
            index,
            "hello",
            json!({"app": app, "client": "test", "subscribe": {}}),
        );
        index
    }

    /// Connects without a word.
    pub fn connect(&mut self, app: &str) -> usize {
        self.numbered += 1;
        let conn = ConnKey(self.numbered);
        self.routers.push(Router::new(conn, app));
        self.input(Input::ControlOpened { conn });
        self.routers.len() - 1
    }

    pub fn disconnect(&mut self, router: usize) {
        let conn = self.routers[router].conn;
        self.input(Input::ControlClosed { conn });
    }

    /// Sends a request and gives back the whole reply.
    pub fn request(&mut self, router: usize, method: &str, params: Value) -> Value {
        let (id, line) = self.routers[router].request(method, params);
        self.line(router, &line);
        self.run_for(Duration::ZERO);
        self.routers[router]
            .replies
            .get(&id)
            .cloned()
            .unwrap_or(Value::Null)
    }

    /// Sends a line as it is.
    pub fn line(&mut self, router: usize, line: &str) {
        let frame = parse_frame(line);
        let conn = self.routers[router].conn;
        self.input(Input::Control {
            conn,
            id: frame.id,
            request: frame.request,
        });
    }

    /// Sends a request that must succeed.
    pub fn ask(&mut self, router: usize, method: &str, params: Value) -> Value {
        let reply = self.request(router, method, params.clone());
        assert!(
            reply.get("result").is_some(),
            "{method} {params} was refused: {reply}"
        );
        reply["result"].clone()
    }

    /// Sends a request that must be refused; its kind.
    pub fn refused(&mut self, router: usize, method: &str, params: Value) -> String {
        let reply = self.request(router, method, params.clone());
        let kind = reply["error"]["data"]["kind"].as_str();
        kind.unwrap_or_else(|| panic!("{method} {params} was not refused: {reply}"))
            .to_owned()
    }

    /// A party calls a number.
    pub fn call(&mut self, party: usize, user: &str) {
        self.call_with(party, user, vec![]);
    }

    /// A party calls a number with further headers.
    pub fn call_with(&mut self, party: usize, user: &str, headers: Vec<ExtraHeader>) {
        let now = self.now;
        self.parties[party].call(user, gateway(), headers, now);
        self.collect(party);
    }

    /// A party speaks these extensions with the gateway.
    pub fn speak(&mut self, party: usize, policy: sip::endpoint::Policy) {
        self.parties[party].adopt(policy, gateway());
    }

    /// A party registers with this user and password, for so long each time.
    pub fn register(&mut self, party: usize, user: &str, password: &str, expires: Duration) {
        let now = self.now;
        self.parties[party].account = Some(Credentials {
            username: user.to_owned(),
            password: password.to_owned(),
            realm: None,
        });
        self.parties[party].register(gateway(), expires, now);
        self.collect(party);
    }

    pub fn unregister(&mut self, party: usize) {
        let now = self.now;
        self.parties[party].unregister(now);
        self.collect(party);
    }

    pub fn hang_up(&mut self, party: usize) {
        let now = self.now;
        self.parties[party].hang_up(now);
        self.collect(party);
    }

    pub fn reinvite(&mut self, party: usize, direction: &str) {
        let now = self.now;
        self.parties[party].reinvite(direction, now);
        self.collect(party);
    }
    /// A new inbound call, answered; its leg and call ids.
    pub fn answered_call(&mut self, router: usize, customer: usize) -> (String, String) {
        let before = self.routers[router].of("leg.incoming").len();
        self.call(customer, "+498001234567");
        self.run_for(Duration::from_millis(50));
        let incoming = self.routers[router].of("leg.incoming")[before].clone();
        let leg = incoming["leg"].as_str().unwrap().to_owned();
        let call = incoming["call"].as_str().unwrap().to_owned();
        self.ask(router, "leg.answer", json!({"leg": leg}));
        self.run_for(Duration::from_millis(100));
        (leg, call)
    }

    /// The target that dials this party.
    pub fn target(&self, party: usize) -> String {
        format!("sip:agent@{}", self.parties[party].address)
    }

    /// Dials an agent into a call and waits until it talks; its leg.
    pub fn dialled(&mut self, router: usize, agent: usize, call: &str) -> String {
        self.parties[agent].answer = Answer::After(Duration::from_millis(100));
        let to = self.target(agent);
        let result = self.ask(
            router,
            "leg.dial",
            json!({"to": to, "trunk": "agents", "call": call}),
        );
        self.run_for(Duration::from_millis(300));
        result["leg"].as_str().unwrap().to_owned()
    }

    /// What `party` hears of `hz` in the next `span`.
    pub fn hears(&mut self, party: usize, hz: f64, span: Duration) -> f64 {
        let since = self.now;
        self.run_for(span);
        tone::level(&self.parties[party].samples(since, self.now), hz)
    }

    /// Goes on for so long, from one happening to the next.
    pub fn run_for(&mut self, span: Duration) {
        let end = self.now + span;
        self.settle();
        while let Some(at) = self.next().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.step();
        }
        self.now = end;
        self.step();
    }

    /// Streams and port pairs in use, of each shard.
    pub fn media_in_use(&mut self) -> Vec<(u64, u64)> {
        let in_use = self.shards.iter_mut().map(|plane| {
            plane.shard.publish();
            let counts = plane.metrics.counts();
            (counts.streams, counts.ports_used)
        });
        in_use.collect()
    }

    /// Numbers of each shard.
    pub fn media_counts(&mut self) -> Vec<Counts> {
        let counts = self.shards.iter_mut().map(|plane| {
            plane.shard.publish();
            plane.metrics.counts()
        });
        counts.collect()
    }

    /// Without media: for storms of calls where only the signalling is looked at.
    pub fn without_media(mut self) -> Self {
        self.has_media = false;
        self
    }

    pub fn set_weather(&mut self, weather: Weather) {
        self.post.weather = weather;
    }

    pub fn now(&self) -> Now {
        Now {
            mono: self.now,
            wall_us: wall(self.start, self.now),
        }
    }

    pub fn input(&mut self, input: Input) {
        let now = self.now();
        self.core.handle(input, now);
        self.settle();
    }

    fn next(&self) -> Option<Instant> {
        let planes = self.shards.iter();
        let shards = planes.filter_map(|plane| plane.shard.next_deadline()).min();
        let turn = (self.has_media && shards.is_some()).then_some(self.next_turn);
        let parties = self.parties.iter().filter_map(Party::next_deadline).min();
        let stored = self.stored.first_key_value().map(|((at, _), _)| *at);
        [self.core.next_deadline(), turn, parties, self.post.next(), stored]
            .into_iter()
            .flatten()
            .min()
    }

    fn step(&mut self) {
        self.media_net.set_now(self.now);
        while let Some(letter) = self.post.arrived(self.now) {
            self.deliver(letter);
        }
        if self.core.next_deadline().is_some_and(|at| at <= self.now) {
            self.input(Input::Tick);
        }
        for index in 0..self.parties.len() {
            self.parties[index].handle_timeout(self.now, &self.media_net);
            self.collect(index);
        }
        while let Some(entry) = self
            .stored
            .first_entry()
            .filter(|entry| entry.key().0 <= self.now)
        {
            let event = entry.remove();
            self.input(Input::Recorder(event));
        }
        if self.next_turn <= self.now {
            self.next_turn = self.now + TURN;
            for index in 0..self.shards.len() {
                let Plane {
                    shard, io, blocks, ..
                } = &mut self.shards[index];
                shard.turn(io, self.now);
                while let Some(block) = blocks.pop() {
                    self.taped
                        .entry(block.track)
                        .or_default()
                        .extend_from_slice(&block.samples);
                    blocks.give_back(block.samples);
                }
                self.report(index);
            }
        }
    }

    fn report(&mut self, index: usize) {
        while let Some(event) = self.shards[index].shard.poll_event() {
            self.input(Input::Media { shard: index, event });
        }
    }

    fn deliver(&mut self, letter: Letter) {
        if letter.to == gateway() {
            let flow = Flow {
                transport: Transport::Udp,
                local: gateway(),
                remote: letter.from,
            };
            return self.input(Input::Datagram {
                flow,
                bytes: letter.bytes,
            });
        }
        let is_there = |party: &Party| party.address == letter.to && !party.dead;
        let party = self.parties.iter().position(is_there);
        if let Some(index) = party {
            self.parties[index].handle_letter(letter.from, letter.bytes, self.now);
            self.collect(index);
        }
    }

    fn collect(&mut self, party: usize) {
        while let Some((flow, bytes)) = self.parties[party].take_letter() {
            self.send(flow, bytes);
        }
    }

    fn send(&mut self, flow: Flow, bytes: bytes::Bytes) {
        let (from, to) = (flow.local, flow.remote);
        self.post.send(Letter { from, to, bytes }, self.now);
    }

    fn settle(&mut self) {
        while let Some(output) = self.core.poll_output() {
            self.perform(output);
        }
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Send { flow, bytes } => self.send(flow, bytes),
            Output::Media { shard, command } => {
                let plane = &mut self.shards[shard];
                plane.shard.handle_command(command, &mut plane.io, self.now);
                self.report(shard);
            }
            Output::Control { conn, line } => {
                let router = self.routers.iter_mut().find(|router| router.conn == conn);
                router.expect("a line for a router").take(&line);
            }
            Output::ControlMore { conn } => self.input(Input::ControlDrained { conn }),
            Output::Trace(command) => self.traced.push(command),
            Output::Recorder(command) => self.record(command),
            Output::Record { record, .. } => self.records.push(serde_json::from_str(&record).unwrap()),
            Output::Log { message, .. } => self.log.push(message),
            Output::Lookup(question) => self.lookups.push(question),
            Output::Fetch(url) => self.fetches.push(url),
            Output::Connect { .. }
            | Output::Disconnect { .. }
            | Output::ControlClose { .. }
            | Output::Ledger { .. }
            | Output::Dropped { .. } => {}
            Output::SaveLimits { limits } => self.saved_limits = Some(limits.to_string()),
            Output::Drained => self.drains += 1,
            Output::Sip(_) => panic!("the core keeps orders for the endpoint"),
        }
    }

    fn record(&mut self, command: RecorderCommand) {
        self.recorder.push(command.clone());
        match command {
            RecorderCommand::Start { .. } => {}
            RecorderCommand::Track { recording, leg, .. } => {
                self.tracks.entry(recording).or_default().push(leg)
            }
            RecorderCommand::Stop { recording, .. } => {
                let channels = self.tracks.remove(&recording).unwrap_or_default();
                let uri = format!("file:///town/{recording}.wav");
                let sha256 = "0".repeat(64);
                let event = RecorderEvent::Stored {
                    recording,
                    uri,
                    sha256,
                    channels,
                    duration_ms: 0,
                };
                self.numbered += 1;
                self.stored
                    .insert((self.now + self.storage_time, self.numbered), event);
            }
        }
    }
}

fn gateway() -> SocketAddr {
    GATEWAY.parse().unwrap()
}

/// Virtual time begins on 2026-01-01 00:00:00 UTC.
fn wall(start: Instant, now: Instant) -> i64 {
    1_767_225_600_000_000 + i64::try_from((now - start).as_micros()).unwrap()
}
