//! Set-up rate and set-up time: the gateway beside Kamailio as a stateful proxy, each pinned to one core.
//!
//! The same SIPp caller and callee, rate by rate, first through the one, then through the other, on the other
//! core. Kamailio relays each message; the gateway ends both legs, opens two RTP ports a call and asks a router over
//! its control socket (this process) whom to dial, so the ratio says what that costs.
//!
//! `cargo bench --bench setup -- [--rates 100,200,400,600] [--seconds 5]`

use std::collections::BTreeMap;
use std::time::Duration;

use house::wire::{AGENTS, CARRIER, Finished, Folder, Heard, Kamailio, Router, Settings, Sipp, Site};
use serde_json::json;

/// The core of what is measured, and of SIPp and this process.
const SUBJECT_CPU: usize = 0;
const DRIVER_CPU: usize = 1;
/// A call is up for so long.
const TALK: Duration = Duration::from_millis(100);
/// A rate is kept while this share of its calls needs no INVITE to be sent again.
const KEPT: f64 = 0.99;

struct Options {
    rates: Vec<u32>,
    seconds: u32,
}

/// What one run showed.
struct Run {
    calls: usize,
    repeated: usize,
    p50_ms: f64,
    p99_ms: f64,
    /// CPU of all threads and processes of what is measured.
    cpu_ms_per_call: f64,
}

impl Run {
    fn read(caller: &Finished, cpu: Duration) -> Self {
        let times = caller.setup_ms();
        let mut invites: BTreeMap<String, usize> = BTreeMap::new();
        for (_, message) in caller.messages() {
            let id = message.lines().find_map(|line| line.strip_prefix("Call-ID: "));
            if let (true, Some(id)) = (message.starts_with("INVITE "), id) {
                *invites.entry(id.to_owned()).or_default() += 1;
            }
        }
        let quantile = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
        Run {
            calls: times.len(),
            repeated: invites.values().filter(|count| **count > 1).count(),
            p50_ms: quantile(0.5),
            p99_ms: quantile(0.99),
            cpu_ms_per_call: cpu.as_secs_f64() * 1_000.0 / times.len() as f64,
        }
    }

    fn is_kept(&self) -> bool {
        (self.calls - self.repeated) as f64 >= self.calls as f64 * KEPT
    }

    fn text(&self) -> String {
        format!(
            "{:>6} {:>8} {:>7.2} {:>7.2} {:>7.2}",
            self.calls, self.repeated, self.p50_ms, self.p99_ms, self.cpu_ms_per_call
        )
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let options = options();
    house::wire::pin(std::process::id(), DRIVER_CPU);
    println!("INVITE to 200 as SIPp sees it; repeated: calls whose INVITE was sent more than once");
    println!("  rate | gateway: calls repeated p50_ms p99_ms cpu_ms a call | kamailio: the same");
    let mut kept = [0, 0];
    let mut cpu = [0.0, 0.0];
    for rate in &options.rates {
        let ours = gateway(*rate, options.seconds).await;
        let theirs = kamailio(*rate, options.seconds).await;
        println!("{rate:>6} | {} | {}", ours.text(), theirs.text());
        for (index, run) in [&ours, &theirs].into_iter().enumerate() {
            if run.is_kept() {
                kept[index] = kept[index].max(*rate);
                cpu[index] = run.cpu_ms_per_call;
            }
        }
    }
    let [ours, theirs] = kept;
    println!(
        "highest rate kept: gateway {ours} calls a second, kamailio {theirs}: ratio {:.2}",
        f64::from(ours) / f64::from(theirs.max(1))
    );
    let [ours, theirs] = cpu;
    println!(
        "CPU of a call at that rate: gateway {ours:.2} ms, kamailio {theirs:.2} ms: ratio {:.2}",
        ours / theirs
    );
}

/// CPU time of a process and its children so far.
fn cpu_time(main: u32) -> Duration {
    let mut total = 0;
    for process in std::fs::read_dir("/proc").expect("/proc").flatten() {
        let path = process.path();
        let stat = std::fs::read_to_string(path.join("stat")).unwrap_or_default();
        // pid (name) state parent …
        let parent = stat
            .rsplit(')')
            .next()
            .and_then(|rest| rest.split_whitespace().nth(1));
        let name = process.file_name();
        let main = main.to_string();
        if name.to_str() != Some(&main) && parent != Some(&main) {
            continue;
        }
        for task in std::fs::read_dir(path.join("task"))
            .into_iter()
            .flatten()
            .flatten()
        {
            let account = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
            let nanoseconds = account
                .split_whitespace()
                .next()
                .and_then(|text| text.parse::<u64>().ok());
            total += nanoseconds.unwrap_or(0);
        }
    }
    Duration::from_nanos(total)
}

/// A caller for so many seconds, and the callee.
fn pair(rate: u32, seconds: u32) -> (Sipp, Sipp) {
    let calls = rate * seconds;
    let patience = Duration::from_secs(u64::from(seconds) + 60);
    let callee = Sipp::new("callee", AGENTS).calls(calls, rate).patience(patience);
    let caller = Sipp::new("caller", CARRIER)
        .calls(calls, rate)
        .talk(TALK)
        .patience(patience);
    (caller, callee)
}

async fn kamailio(rate: u32, seconds: u32) -> Run {
    let folder = Folder::new("setup-kamailio");
    let (caller, callee) = pair(rate, seconds);
    let calls = format!("$du = \"sip:{}\";\n\tt_relay();", callee.address());
    let kamailio = Kamailio::start(&folder, "127.0.0.1", &calls).await;
    house::wire::pin(kamailio.pid(), SUBJECT_CPU);
    let callee = callee.start(&folder).await;
    let before = cpu_time(kamailio.pid());
    let caller = caller.to(kamailio.address()).start(&folder).await;
    let finished = caller.finish().await;
    let cpu = cpu_time(kamailio.pid()) - before;
    drop(callee);
    Run::read(&finished, cpu)
}

async fn gateway(rate: u32, seconds: u32) -> Run {
    let settings = Settings {
        calls: 20_000,
        ports: Some("20000-59999".to_owned()),
        trunk_lines: "calls_per_second = 10000\nmedia_timeout_s = 0",
        ..Settings::default()
    };
    let site = Site::open("setup-gateway", &settings).await;
    house::wire::pin(site.gateway.pid(), SUBJECT_CPU);
    let (caller, callee) = pair(rate, seconds);
    let agent = callee.uri();
    let callee = callee.start(&site.folder).await;
    let driver = site
        .router
        .for_each_call(move |router, call| connect(router, call, agent.clone()));
    let before = cpu_time(site.gateway.pid());
    let caller = caller.to(site.gateway.udp()).start(&site.folder).await;
    let finished = caller.finish().await;
    let cpu = cpu_time(site.gateway.pid()) - before;
    driver.abort();
    drop(callee);
    Run::read(&finished, cpu)
}

/// Dials, answers once that is answered, and ends both when the caller hangs up.
async fn connect(router: Router, call: Heard, agent: String) {
    let caller = call.text("leg");
    let dial = json!({ "to": agent, "trunk": "agents", "call": call.text("call") });
    let dialled = router.call("leg.dial", dial).await;
    let agent = dialled["leg"].as_str().unwrap_or_default();
    router.wait_leg(call.index, "leg.answered", agent).await;
    router.call("leg.answer", json!({ "leg": caller })).await;
    router
        .call("bridge.create", json!({ "legs": [caller, agent] }))
        .await;
    router.wait_leg(call.index, "leg.ended", caller).await;
    router
        .call("call.end", json!({ "call": call.text("call") }))
        .await;
}

fn options() -> Options {
    let mut options = Options {
        rates: vec![100, 200, 400, 600],
        seconds: 5,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            // What `cargo bench` adds.
            "--bench" => {}
            "--rates" => {
                let list = arguments.next().expect("a list after --rates");
                options.rates = list
                    .split(',')
                    .map(|rate| rate.parse().expect("a rate"))
                    .collect();
            }
            "--seconds" => {
                options.seconds = arguments.next().expect("a number").parse().expect("a number");
            }
            other => panic!("--rates A,B,C or --seconds N, not {other}"),
        }
    }
    options
}
