//! `media-gateway loadtest`: what may be asked of it, and its exit code. Places no calls itself.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, ValueEnum};
use gateway::loadtest::{self, Bounds, CALLS_MAX, Plan, Routing};

use super::{EXIT_FAILED, EXIT_OK};

/// Calls through a SIP target to answerers of this program, each frame of which is checked.
#[derive(Debug, Args)]
pub struct LoadtestArgs {
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
    /// Calls in all.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=i64::from(CALLS_MAX)))]
    calls: u32,
    /// Calls a second.
    #[arg(long, default_value = "10", value_parser = positive)]
    rate: f64,
    /// Seconds until that rate is reached.
    #[arg(long, value_name = "S", default_value = "0", value_parser = seconds)]
    ramp: Duration,
    /// Seconds that each call lasts.
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
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum CodecWord {
    Pcmu,
    Pcma,
}

/// Runs it; the report goes to `out`. Fails unless the verdict is good.
pub fn run(args: LoadtestArgs, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<u8> {
    let plan = args.plan();
    let report = loadtest::run(&plan, err)?;
    writeln!(
        out,
        "{}",
        serde_json::to_string_pretty(&report).context("report")?
    )?;
    Ok(
        if report.get("verdict").is_some_and(|verdict| verdict == "good") {
            EXIT_OK
        } else {
            EXIT_FAILED
        },
    )
}

impl LoadtestArgs {
    fn plan(self) -> Plan {
        let (app, trunk) = (self.app, self.trunk);
        Plan {
            target: self.target,
            to: self.to,
            from: self.from,
            caller: self.caller,
            answerer: self.answerer,
            calls: self.calls,
            rate: self.rate,
            ramp: self.ramp,
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
            router: self.socket.map(|socket| Routing { socket, app, trunk }),
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
