//! `media-gateway loadtest`: what may be asked of it, and its exit code. Places no calls itself.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use gateway::loadtest::{self, Bounds, CALLS_MAX, Plan, Raised, Routing, Search};
use serde_json::Value;

use super::{EXIT_FAILED, EXIT_OK};

/// Calls through a SIP target to answerers of this program, each frame of which is checked.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct LoadtestArgs {
    #[command(subcommand)]
    search: Option<SearchCommand>,
    #[command(flatten)]
    common: Option<CommonArgs>,
    /// Calls in all.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=i64::from(CALLS_MAX)))]
    calls: u32,
    /// Seconds until the rate is reached.
    #[arg(long, value_name = "S", default_value = "0", value_parser = seconds)]
    ramp: Duration,
}

#[derive(Debug, Subcommand)]
enum SearchCommand {
    /// Walk to the most calls at once, and to the most calls a second, that are within the bounds.
    FindLimit(FindArgs),
}

#[derive(Debug, Args)]
struct FindArgs {
    #[command(flatten)]
    common: CommonArgs,
    /// What is looked for.
    #[arg(long, value_enum, default_value_t = What::Both)]
    what: What,
    /// Calls at once of the first trial.
    #[arg(long, value_name = "CALLS", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    calls_start: u32,
    /// The most calls at once that are tried.
    #[arg(long, value_name = "CALLS", default_value_t = CALLS_MAX, value_parser = clap::value_parser!(u32).range(1..=i64::from(CALLS_MAX)))]
    calls_most: u32,
    /// Calls a second of the first trial.
    #[arg(long, value_name = "RATE", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    rate_start: u32,
    /// The most calls a second that are tried.
    #[arg(long, value_name = "RATE", default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..))]
    rate_most: u32,
    /// Seconds for which calls are placed in a trial of a rate.
    #[arg(long, value_name = "S", default_value = "10", value_parser = seconds)]
    window: Duration,
    /// How close the limit is told, percent of it.
    #[arg(long, value_name = "PERCENT", default_value = "5", value_parser = percent)]
    precision: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    Calls,
    Rate,
    Both,
}

/// What a run and a search have in common.
#[derive(Debug, Args)]
struct CommonArgs {
    /// Where calls go, such as `sip:192.0.2.1:5060` (UDP).
    #[arg(long, value_name = "SIP", value_parser = target)]
    target: SocketAddr,
    /// Control socket of the gateway: this program answers, dials and bridges. Without one the target must
    /// bring calls to the answerers by itself and keep the caller's number.
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// The app that the gateway offers the calls to.
    #[arg(long, value_name = "APP", default_value = "default")]
    app: String,
    /// The gateway's trunk for the answerers; its own choice when left out.
    #[arg(long, value_name = "TRUNK")]
    trunk: Option<String>,
    /// The number called.
    #[arg(long, value_name = "NUMBER", default_value = "loadtest")]
    to: String,
    /// Beginning of the callers' numbers; six digits follow.
    #[arg(long, value_name = "PREFIX", default_value = "+49305")]
    from: String,
    /// Address of the callers.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.2:0")]
    caller: SocketAddr,
    /// Address of the answerers.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.3:0")]
    answerer: SocketAddr,
    /// Calls a second; of a search for calls at once, how fast they come.
    #[arg(long, default_value = "10", value_parser = positive)]
    rate: f64,
    /// Seconds that each call lasts; of a search for calls at once, how long all of them do.
    #[arg(long, value_name = "S", default_value = "10", value_parser = seconds)]
    hold: Duration,
    /// What both sides speak.
    #[arg(long, value_enum, default_value_t = CodecWord::Pcmu)]
    codec: CodecWord,
    /// Answerers say nothing, so that the test must fail: a test of the test.
    #[arg(long)]
    mute: bool,
    /// Set-up time that 99 of 100 calls must keep, milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 500)]
    setup_p99_max: u32,
    /// Loss that is allowed, percent.
    #[arg(long, value_name = "PERCENT", default_value = "0.1", value_parser = percent)]
    loss_max: f64,
    /// Longest gap in any stream, milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 100)]
    gap_max: u32,
    /// The target's process, where it is of this machine and has no control socket: what it uses is reported.
    #[arg(long, value_name = "PID")]
    pid: Option<u32>,
    /// Writes the report as a page, too.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum CodecWord {
    Pcmu,
    Pcma,
}

/// Runs it; the report goes to `out`. Fails unless the verdict is good, or each limit looked for was found.
pub fn run(args: LoadtestArgs, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<u8> {
    let (report, html, is_fine) = match (args.search, args.common) {
        (Some(SearchCommand::FindLimit(args)), _) => {
            let html = args.common.html.clone();
            let report = loadtest::find_limits(&args.searches(), err)?;
            let searches = report.get("searches").and_then(Value::as_array);
            let has_limit = |search: &Value| search.get("limit").is_some_and(Value::is_number);
            let is_fine = searches.is_some_and(|searches| searches.iter().all(has_limit));
            (report, html, is_fine)
        }
        (None, Some(common)) => {
            let plan = Plan {
                calls: args.calls,
                ramp: args.ramp,
                ..common.plan()
            };
            let report = loadtest::run(&plan, err)?;
            let is_fine = report.get("verdict").is_some_and(|verdict| verdict == "good");
            (report, common.html, is_fine)
        }
        (None, None) => bail!("loadtest: --target is missing"),
    };
    writeln!(
        out,
        "{}",
        serde_json::to_string_pretty(&report).context("report")?
    )?;
    if let Some(html) = html {
        std::fs::write(&html, loadtest::page(&report)).with_context(|| html.display().to_string())?;
    }
    Ok(if is_fine { EXIT_OK } else { EXIT_FAILED })
}

impl FindArgs {
    fn searches(self) -> Vec<Search> {
        let precision = self.precision / 100.0;
        let search = |raised, start, most| Search {
            plan: self.common.plan(),
            raised,
            start,
            most,
            precision,
        };
        let calls = search(Raised::Calls, self.calls_start, self.calls_most);
        let window = self.window;
        let rate = search(Raised::Rate { window }, self.rate_start, self.rate_most);
        match self.what {
            What::Calls => vec![calls],
            What::Rate => vec![rate],
            What::Both => vec![calls, rate],
        }
    }
}

impl CommonArgs {
    /// Of one call; how many, and how they begin, is left to say.
    fn plan(&self) -> Plan {
        let routing = |socket: &PathBuf| Routing {
            socket: socket.clone(),
            app: self.app.clone(),
            trunk: self.trunk.clone(),
        };
        Plan {
            target: self.target,
            to: self.to.clone(),
            from: self.from.clone(),
            caller: self.caller,
            answerer: self.answerer,
            calls: 1,
            rate: self.rate,
            ramp: Duration::ZERO,
            hold: self.hold,
            codec: match self.codec {
                CodecWord::Pcmu => media::Codec::Pcmu,
                CodecWord::Pcma => media::Codec::Pcma,
            },
            is_mute: self.mute,
            bounds: Bounds {
                setup_p99: Duration::from_millis(u64::from(self.setup_p99_max)),
                loss: self.loss_max / 100.0,
                gap: Duration::from_millis(u64::from(self.gap_max)),
            },
            router: self.socket.as_ref().map(routing),
            pid: self.pid,
        }
    }
}

fn target(text: &str) -> Result<SocketAddr, String> {
    let address = text.strip_prefix("sip:").unwrap_or(text);
    address
        .parse()
        .map_err(|_| "must be sip:ADDRESS:PORT with an IP address, such as sip:192.0.2.1:5060".to_owned())
}

fn number(text: &str, least: f64, most: f64) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "must be a number".to_owned())?;
    if (least..=most).contains(&value) {
        Ok(value)
    } else {
        Err(format!("must be {least} to {most}"))
    }
}

fn positive(text: &str) -> Result<f64, String> {
    number(text, 0.01, 10_000.0)
}

fn percent(text: &str) -> Result<f64, String> {
    number(text, 0.0, 100.0)
}

fn seconds(text: &str) -> Result<Duration, String> {
    number(text, 0.0, 86_400.0).map(Duration::from_secs_f64)
}
