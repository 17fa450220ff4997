//! CPU per packet of the media plane at every kind of work, beside the floor of the same work in the same run.
//!
//! Everything runs in this process, one after the other and round by round, on one core; a driver on the other core
//! plays all callers. Only the ratio of one run and one number of legs says anything: absolute times move by a
//! quarter from run to run. A machine that does other work meanwhile measures that work.
//!
//! `cargo bench -p media --bench media -- [CASE…] [--engine epoll,uring] [--seconds 4] [--rounds 3] [--turn-us 1000]
//! [--write FOLDER] [--find relay,mix]`: a case is `relay-400` or, for all its sizes, `relay`; `all`, or none: all. `--write`
//! puts the figures as JSON and as a chart into a folder. `--find` looks for the most legs one core carries.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a measurement that cannot go on ends"
)]

mod cases;
mod driver;
mod find;
mod floor;
mod report;
mod rtpengine;
mod subject;

use std::path::PathBuf;
use std::time::Duration;

use cases::{CASES, Case, Kind};
use driver::{Driver, Heard, Speech};
use media::shard::io::{Choice, Engine};
use report::Row;
use rtpengine::Rtpengine;
use subject::Subject;

/// The core of what is measured, and of the driver.
const SUBJECT_CPU: usize = 0;
const DRIVER_CPU: usize = 1;

struct Options {
    cases: Vec<Case>,
    find: Vec<Kind>,
    engines: Vec<Choice>,
    seconds: u64,
    rounds: usize,
    turn: Duration,
    write: Option<PathBuf>,
}

/// What one program did in all rounds.
#[derive(Default)]
struct Sum {
    cpu: Duration,
    heard: Heard,
    span: Duration,
    engine: Option<Engine>,
}

impl Sum {
    /// CPU per packet sent into it, or out of it where none come in.
    pub fn us_per_packet(&self, kind: Kind) -> f64 {
        let packets = if kind.is_counted_out() {
            self.heard.received
        } else {
            self.heard.sent
        };
        self.cpu.as_secs_f64() * 1e6 / packets.max(1) as f64
    }

    /// Packets that did not come back, of a hundred: each leg gets one every 20 ms.
    pub fn loss_percent(&self, legs: usize) -> f64 {
        let expected = match self.heard.sent {
            0 => (legs as f64 * self.span.as_secs_f64() * 50.0).max(1.0),
            sent => sent as f64,
        };
        (100.0 * (1.0 - self.heard.received as f64 / expected)).max(0.0)
    }

    /// Time from sending to hearing it where that is measured, else how far packets are from 20 ms apart.
    pub fn delay_us(&self, kind: Kind, quantile: f64) -> u64 {
        let times = match kind.speech() {
            Speech::Stamped if !matches!(kind, Kind::Srtp | Kind::Opus) => &self.heard.latency_us,
            Speech::Bursts { .. } => &self.heard.latency_us,
            Speech::Stamped | Speech::Nothing => &self.heard.jitter_us,
        };
        times.value_at_quantile(quantile)
    }
}

fn main() {
    let options = options();
    allow_many_sockets();
    pin(DRIVER_CPU);
    let rtpengine = Rtpengine::find();
    println!(
        "us = CPU time of the measured thread per packet sent into it (music: out of it); delay = through it"
    );
    println!(
        "(music, srtp, opus: distance from 20 ms between two packets); one core; turn {:?}",
        options.turn
    );
    if rtpengine.is_none() {
        println!("rtpengine is not installed: its column is left out");
    }
    Row::print_head();
    let mut rows = Vec::new();
    for case in &options.cases {
        for choice in &options.engines {
            let row = measure(case, *choice, &options, rtpengine.as_ref());
            row.print();
            rows.push(row);
        }
    }
    let mut found = Vec::new();
    for kind in &options.find {
        for choice in &options.engines {
            found.push(find::most_legs(*kind, *choice, &options));
        }
    }
    if let Some(folder) = &options.write {
        report::write(folder, &rows, &found).expect("the folder can be written to");
    }
}

/// Rounds of the shard, the floor and rtpengine, in turn.
fn measure(case: &Case, choice: Choice, options: &Options, rtpengine: Option<&Rtpengine>) -> Row {
    let (kind, turn) = (case.kind, options.turn);
    let (mut shard, mut relayed, mut floor, mut peer) = <(Sum, Sum, Sum, Sum)>::default();
    let is_extra = matches!(kind, Kind::Record | Kind::Srtp);
    for _ in 0..options.rounds {
        round(&mut shard, kind, case.legs, options.seconds, |driver| {
            subject::shard(kind, &driver.addresses(), turn, choice)
        });
        if is_extra {
            round(&mut relayed, Kind::Relay, case.legs, options.seconds, |driver| {
                subject::shard(Kind::Relay, &driver.addresses(), turn, choice)
            });
        }
        let base = if kind == Kind::Mix || kind == Kind::Music {
            kind
        } else {
            Kind::Relay
        };
        round(&mut floor, base, case.legs, options.seconds, |driver| {
            subject::floor(kind.floor(), &driver.addresses(), turn)
        });
        if let Some(rtpengine) = rtpengine.filter(|_| rtpengine::knows(kind)) {
            rtpengine.round(&mut peer, kind, case.legs, options.seconds);
        }
    }
    Row {
        case: case.name(),
        legs: case.legs,
        engine: shard.engine.map_or("", Engine::name),
        us: shard.us_per_packet(kind),
        floor_us: floor.us_per_packet(kind),
        extra_us: is_extra.then(|| shard.us_per_packet(kind) - relayed.us_per_packet(kind)),
        rtpengine_us: (peer.heard.received > 0).then(|| peer.us_per_packet(kind)),
        loss_percent: shard.loss_percent(case.legs),
        floor_loss_percent: floor.loss_percent(case.legs),
        p50_us: shard.delay_us(kind, 0.5),
        p99_us: shard.delay_us(kind, 0.99),
        floor_p99_us: floor.delay_us(kind, 0.99),
    }
}

/// One round of one program: a second to settle, then what counts.
fn round(sum: &mut Sum, kind: Kind, legs: usize, seconds: u64, start: impl FnOnce(&Driver) -> Subject) {
    let mut driver = Driver::new(legs, kind.speech());
    kind.give_voices(&mut driver, legs);
    let subject = start(&driver);
    driver.connect(subject.addresses());
    driver.run(Duration::from_millis(1_500));
    let before = subject.cpu_time();
    let span = Duration::from_secs(seconds);
    let heard = driver.run(span);
    sum.cpu += subject.cpu_time() - before;
    sum.heard.add(&heard);
    sum.span += span;
    sum.engine = subject.engine();
    subject.stop();
}

fn options() -> Options {
    let mut options = Options {
        cases: Vec::new(),
        find: Vec::new(),
        engines: vec![Choice::Epoll, Choice::Uring],
        seconds: 4,
        rounds: 3,
        turn: media::shard::TURN,
        write: None,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        if name == "--bench" {
            continue;
        }
        if !name.starts_with("--") {
            let found = if name == "all" {
                CASES.to_vec()
            } else {
                Case::find(&name)
            };
            assert!(!found.is_empty(), "unknown case {name}");
            options.cases.extend(found);
            continue;
        }
        let value = arguments.next().unwrap_or_else(|| panic!("{name} needs a value"));
        let number = || value.parse::<u64>().expect("a number");
        match name.as_str() {
            "--engine" => options.engines = value.split(',').map(engine).collect(),
            "--find" => {
                options.find = value
                    .split(',')
                    .flat_map(Case::find)
                    .map(|case| case.kind)
                    .collect()
            }
            "--seconds" => options.seconds = number(),
            "--rounds" => options.rounds = number() as usize,
            "--turn-us" => options.turn = Duration::from_micros(number()),
            "--write" => options.write = Some(PathBuf::from(value)),
            _ => panic!("unknown option {name}"),
        }
    }
    options.find.dedup();
    if options.cases.is_empty() && options.find.is_empty() {
        options.cases = CASES.to_vec();
    }
    options
}

fn engine(name: &str) -> Choice {
    match name {
        "epoll" => Choice::Epoll,
        "uring" => Choice::Uring,
        _ => panic!("unknown engine {name}"),
    }
}

fn pin(cpu: usize) {
    let mut set = nix::sched::CpuSet::new();
    if set
        .set(cpu)
        .and_then(|()| nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &set))
        .is_err()
    {
        eprintln!("cannot pin to core {cpu}: the numbers are worth less");
    }
}

fn allow_many_sockets() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, most, most);
    }
}
