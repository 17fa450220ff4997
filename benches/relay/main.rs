//! CPU per relayed packet: the gateway's shard beside a plain epoll relay of the same turn.
//!
//! Both run in this process, one after the other and round by round, on the same core; a driver on the
//! other core plays all callers. Only the ratio of one run and one number of legs says anything: absolute
//! times move by a quarter from run to run.
//!
//! `cargo bench --bench relay -- [--seconds 4] [--rounds 3] [--turn-us 1000] [--legs 100,400,800]`

mod driver;
mod plain;
mod subject;

use std::time::Duration;

use driver::{Driver, Heard};
use subject::Subject;

/// The core of what is measured, and of the driver.
const SUBJECT_CPU: usize = 0;
const DRIVER_CPU: usize = 1;

struct Options {
    seconds: u64,
    rounds: usize,
    turns: Vec<Duration>,
    legs: Vec<usize>,
}

#[derive(Default)]
struct Sum {
    cpu: Duration,
    heard: Heard,
}

impl Sum {
    fn us_per_packet(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.heard.sent.max(1) as f64
    }
}

fn main() {
    let options = options();
    allow_many_sockets();
    pin(DRIVER_CPU);
    println!("µs = CPU time of the relaying thread per packet sent into it; p50 and p99 = time through it");
    println!(
        "turn_us  legs  shard_us  plain_us  ratio | shard: lost  p50_us  p99_us | plain: lost  p50_us  p99_us"
    );
    for turn in &options.turns {
        for legs in &options.legs {
            let (shard, plain) = measure(*legs, *turn, &options);
            println!(
                "{:>7}  {:>4}  {:>8.2}  {:>8.2}  {:>5.2} | {:>11}  {:>6}  {:>6} | {:>11}  {:>6}  {:>6}",
                turn.as_micros(),
                legs,
                shard.us_per_packet(),
                plain.us_per_packet(),
                shard.us_per_packet() / plain.us_per_packet(),
                shard.heard.lost(),
                shard.heard.latency_us(0.5),
                shard.heard.latency_us(0.99),
                plain.heard.lost(),
                plain.heard.latency_us(0.5),
                plain.heard.latency_us(0.99),
            );
        }
    }
}

/// Rounds of both, in turn.
fn measure(legs: usize, turn: Duration, options: &Options) -> (Sum, Sum) {
    let (mut shard, mut plain) = (Sum::default(), Sum::default());
    for _ in 0..options.rounds {
        round(&mut shard, legs, options.seconds, |driver| {
            subject::shard(driver.addresses(), turn)
        });
        round(&mut plain, legs, options.seconds, |driver| {
            subject::plain(driver.addresses(), turn)
        });
    }
    (shard, plain)
}

fn round(sum: &mut Sum, legs: usize, seconds: u64, start: impl FnOnce(&Driver) -> Subject) {
    let mut driver = Driver::new(legs);
    let subject = start(&driver);
    driver.connect(subject.addresses());
    driver.run(Duration::from_secs(1));
    let before = subject.cpu_time();
    let heard = driver.run(Duration::from_secs(seconds));
    sum.cpu += subject.cpu_time() - before;
    sum.heard.add(&heard);
    subject.stop();
}

fn options() -> Options {
    let mut options = Options {
        seconds: 4,
        rounds: 3,
        turns: vec![media::shard::TURN],
        legs: vec![100, 400, 800],
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        if name == "--bench" {
            continue;
        }
        let value = arguments.next().unwrap_or_else(|| panic!("{name} needs a value"));
        let numbers = || {
            value
                .split(',')
                .map(|number| number.parse::<u64>().expect("a number"))
        };
        match name.as_str() {
            "--seconds" => options.seconds = numbers().sum(),
            "--rounds" => options.rounds = numbers().sum::<u64>() as usize,
            "--turn-us" => options.turns = numbers().map(Duration::from_micros).collect(),
            "--legs" => options.legs = numbers().map(|number| number as usize).collect(),
            _ => panic!("unknown option {name}"),
        }
    }
    options
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
