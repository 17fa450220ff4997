//! The command line: what may be asked, and who in the library does it.
//!
//! Results go to `out`, everything else to `err`. Exit codes: 0 fine, 1 the work failed, 2 the command line or
//! the configuration is wrong. Knows nothing of calls.

mod loadtest;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Parser, Subcommand, ValueEnum};
use gateway::config::{self, Config, ConfigError};
use gateway::control;
use gateway::demo::{self, Verdict};
use gateway::observe::log::{self, LogFormat};
use gateway::shell::{self, gateway::StartError, reload::ConfigFile, serve::Served};

/// Everything went well.
const EXIT_OK: u8 = 0;
/// The work failed.
const EXIT_FAILED: u8 = 1;
/// The command line or the configuration is wrong.
const EXIT_USAGE: u8 = 2;

/// An embedded SIP/RTP media gateway.
#[derive(Debug, Parser)]
#[command(name = "media-gateway", version, disable_version_flag = true)]
struct Cli {
    /// How log lines on stderr look.
    #[arg(long, global = true, value_enum, default_value_t = LogWord::Text)]
    log_format: LogWord,
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogWord {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway until a signal: the first drains it, the second ends it.
    Serve(ServeArgs),
    /// Show a whole call between simulated phones, and measure who heard whom.
    Demo(DemoArgs),
    /// Check a configuration and show every trunk as it will be used.
    Check(CheckArgs),
    /// Tell, without placing it, which rule decides a call and which peers it would try.
    Route(RouteArgs),
    /// Give one command to a running gateway and print its result as JSON.
    Ctl(CtlArgs),
    /// Print the events of a running gateway, one JSON object a line.
    Events(EventsArgs),
    /// Print the schema of the control protocol.
    Schema(SchemaArgs),
    /// Place calls through a SIP target and check every frame that is heard.
    Loadtest(Box<loadtest::LoadtestArgs>),
    /// Print the version.
    Version,
}

#[derive(Debug, Args)]
struct ServeArgs {
    /// Its configuration; without one, a gateway for softphones on this machine.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder of its state, instead of the configuration's.
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct DemoArgs {
    /// Folder for the recording, the call record and the picture; made if missing.
    #[arg(long, value_name = "DIR", default_value = "demo-out")]
    out: PathBuf,
    /// Leave at once instead of waiting for calls of a softphone.
    #[arg(long)]
    exit: bool,
}

#[derive(Debug, Args)]
struct CheckArgs {
    /// The file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

#[derive(Debug, Args)]
struct RouteArgs {
    /// The caller id shown.
    #[arg(long, value_name = "NUMBER")]
    from: String,
    /// The number called.
    #[arg(long, value_name = "NUMBER")]
    to: String,
    /// The trunk; the first one when left out.
    #[arg(long, value_name = "NAME")]
    trunk: Option<String>,
    /// The configuration; without one, that of a gateway for softphones on this machine.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// As one JSON object.
    #[arg(long)]
    json: bool,
}

/// Which gateway is meant; without either the one of this folder.
#[derive(Debug, Args)]
#[group(multiple = false)]
struct SocketArgs {
    /// Its control socket.
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Its configuration, which names the socket.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct CtlArgs {
    #[command(flatten)]
    socket: SocketArgs,
    /// Speak as this app.
    #[arg(long)]
    app: Option<String>,
    /// For example `state.get`.
    method: String,
    /// Its parameters, one JSON object.
    #[arg(value_name = "JSON")]
    params: Option<String>,
}

#[derive(Debug, Args)]
struct EventsArgs {
    #[command(flatten)]
    socket: SocketArgs,
    /// Speak as this app.
    #[arg(long)]
    app: Option<String>,
    /// Only events of this type; may be given several times.
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<String>,
    /// Only events of this call; may be given several times.
    #[arg(long = "call", value_name = "CALL")]
    calls: Vec<String>,
    /// Only events of this leg; may be given several times.
    #[arg(long = "leg", value_name = "LEG")]
    legs: Vec<String>,
    /// Also measurements, so often.
    #[arg(long, value_name = "MS")]
    stats_interval_ms: Option<u32>,
    /// Stop after so many lines.
    #[arg(long, value_name = "LINES")]
    count: Option<u64>,
}

#[derive(Debug, Args)]
struct SchemaArgs {
    /// Of the configuration file instead.
    #[arg(long)]
    config: bool,
}

/// Does what the arguments say; the first one is the program's name.
pub fn run(args: impl IntoIterator<Item = OsString>, out: &mut impl Write, err: &mut impl Write) -> u8 {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            let is_wrong = error.use_stderr();
            let text = error.render();
            // Nobody is left to tell when the last word cannot be written.
            let _ = if is_wrong {
                write!(err, "{text}")
            } else {
                write!(out, "{text}")
            };
            return if is_wrong { EXIT_USAGE } else { EXIT_OK };
        }
    };
    log::init(match cli.log_format {
        LogWord::Text => LogFormat::Text,
        LogWord::Json => LogFormat::Json,
    });
    let only_prints = matches!(
        cli.command,
        Command::Check(_) | Command::Route(_) | Command::Schema(_) | Command::Version
    );
    match perform(cli.command, out, err) {
        Ok(code) => code,
        // Whoever read has seen enough, as `head` has.
        Err(error) if only_prints && is_broken_pipe(&error) => EXIT_OK,
        Err(error) => {
            let _ = writeln!(err, "{}", whole(&error));
            if is_configuration(&error) {
                EXIT_USAGE
            } else {
                EXIT_FAILED
            }
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let kinds = error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>());
    kinds
        .into_iter()
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

/// An error with its causes. Those of the library tell their cause in their own words already: nothing is said twice.
fn whole(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.contains(&cause) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause);
    }
    text
}

/// Whether the operator's file is at fault rather than the machine.
fn is_configuration(error: &anyhow::Error) -> bool {
    error.is::<ConfigError>() || matches!(error.downcast_ref(), Some(StartError::Rules(_)))
}

fn perform(command: Command, out: &mut impl Write, err: &mut impl Write) -> anyhow::Result<u8> {
    match command {
        Command::Serve(args) => return serve(&args),
        Command::Demo(DemoArgs { out: folder, exit }) => {
            let options = demo::Options { out: folder, exit };
            return Ok(match demo::run(&options, out)? {
                Verdict::AsIntended => EXIT_OK,
                Verdict::Crosses(_) => EXIT_FAILED,
            });
        }
        Command::Check(args) => {
            let config = Config::load(&args.config, None)?;
            writeln!(out, "OK")?;
            for found in config.reachable() {
                writeln!(out, "look at this: {found}")?;
            }
            for trunk in &config.trunks {
                write!(out, "\n{}", trunk.profile())?;
                for line in config.reach(trunk) {
                    writeln!(out, "  {line}")?;
                }
            }
        }
        Command::Route(args) => return route(&args, out),
        Command::Ctl(args) => {
            let socket = args.socket.path()?;
            let (app, params) = (args.app.as_deref(), args.params.as_deref());
            return Ok(runtime()?.block_on(control::cli::ctl(
                &socket,
                app,
                &args.method,
                params,
                out,
                err,
            ))?);
        }
        Command::Events(args) => {
            let socket = args.socket.path()?;
            let EventsArgs {
                app,
                types,
                calls,
                legs,
                stats_interval_ms,
                count,
                ..
            } = args;
            let wanted = control::cli::EventsArgs {
                app,
                types,
                calls,
                legs,
                stats_interval_ms,
                count,
            };
            return Ok(runtime()?.block_on(control::cli::events(&socket, &wanted, out, err))?);
        }
        Command::Schema(SchemaArgs { config: false }) => return Ok(control::cli::schema(out)?),
        Command::Schema(SchemaArgs { config: true }) => {
            let schema = serde_json::to_string_pretty(&config::schema()).context("schema")?;
            writeln!(out, "{schema}")?;
        }
        Command::Loadtest(args) => return loadtest::run(*args, out, err),
        Command::Version => writeln!(out, "media-gateway {}", env!("CARGO_PKG_VERSION"))?,
    }
    Ok(EXIT_OK)
}

fn serve(args: &ServeArgs) -> anyhow::Result<u8> {
    let state_dir = args.state_dir.as_deref();
    let config = match &args.config {
        Some(file) => Config::load(file, state_dir)?,
        None => Config::embedded_in(state_dir, &shell::addresses::own_addresses()),
    };
    let file = args.config.as_ref().map(|file| {
        let state_dir = state_dir.map(Path::to_owned);
        ConfigFile::new(file.clone(), state_dir, config.clone())
    });
    Ok(match shell::serve::serve(config, file.as_ref())? {
        Served::Cleanly => EXIT_OK,
        Served::InHaste => EXIT_FAILED,
    })
}

fn route(args: &RouteArgs, out: &mut impl Write) -> anyhow::Result<u8> {
    let config = match &args.config {
        Some(file) => Config::load(file, None)?,
        None => Config::embedded(&shell::addresses::own_addresses()),
    };
    let foreseen = shell::route::foresee(config, &args.to, &args.from, args.trunk.as_deref());
    let preview = runtime()?.block_on(foreseen)?;
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&preview).context("preview")?)?;
    } else {
        shell::route::write(&preview, out)?;
    }
    Ok(if preview.is_dialled() {
        EXIT_OK
    } else {
        EXIT_FAILED
    })
}

impl SocketArgs {
    fn path(&self) -> Result<PathBuf, ConfigError> {
        match (&self.socket, &self.config) {
            (Some(socket), _) => Ok(socket.clone()),
            (None, Some(file)) => Ok(Config::load(file, None)?.control.unix),
            (None, None) => Ok(Config::embedded(&[]).control.unix),
        }
    }
}

/// One thread is enough for a client.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("runtime")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Exit code, stdout, stderr.
    fn run_with(args: &[&str]) -> (u8, String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let args = std::iter::once("media-gateway")
            .chain(args.iter().copied())
            .map(OsString::from);
        let code = run(args, &mut out, &mut err);
        (
            code,
            String::from_utf8(out).unwrap(),
            String::from_utf8(err).unwrap(),
        )
    }

    /// A configuration file that is gone when the test is over.
    struct File(PathBuf);

    impl File {
        fn new(name: &str, text: &str) -> Self {
            let path = std::env::temp_dir().join(format!("gw-cli-{}-{name}.toml", std::process::id()));
            std::fs::write(&path, text).unwrap();
            File(path)
        }
    }

    impl Drop for File {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    #[test]
    fn check_of_a_good_file_shows_every_trunk() {
        let trunk = |name: &str, net: &str| format!("[[trunk]]\nname = \"{name}\"\nallow = [\"{net}\"]\n");
        let text = trunk("carrier", "192.0.2.0/24") + &trunk("agents", "127.0.0.1");
        let file = File::new("good", &text);
        let (code, out, err) = run_with(&["check", "--config", file.0.to_str().unwrap()]);
        assert_eq!((code, err.as_str()), (0, ""));
        assert!(
            out.starts_with("OK\n\n[[trunk]] carrier\n  preset = generic\n"),
            "{out}"
        );
        assert!(
            out.contains("\n[[trunk]] agents\n") && out.contains("  allow = [127.0.0.1/32]\n"),
            "{out}"
        );
    }

    #[test]
    fn check_tells_what_each_listener_takes_and_what_looks_closed_and_is_open() {
        let text = "[sip]\nlisten = [\"udp://127.0.0.1:5060\"]\n[[trunk]]\nname = \"carrier\"\nallow = [\"192.0.2.0/24\"]\n\
            tls = { name = \"sip.carrier.example\" }\n";
        let file = File::new("open", text);
        let (code, out, err) = run_with(&["check", "--config", file.0.to_str().unwrap()]);
        assert_eq!((code, err.as_str()), (0, ""));
        let open = "OK\nlook at this: trunk `carrier` asks for TLS, but what comes from 192.0.2.0/24 in clear on \
                    udp://127.0.0.1:5060 is taken for its peers'; ";
        assert!(out.starts_with(open), "{out}");
        assert!(
            out.ends_with("\n  on udp://127.0.0.1:5060: takes what comes, in clear\n"),
            "{out}"
        );
    }

    #[test]
    fn check_of_a_bad_file_names_file_line_and_key() {
        let file = File::new("bad", "instance = \"main\"\n[limits]\ncalls = 0\n");
        let path = file.0.to_str().unwrap();
        let (code, out, err) = run_with(&["check", "--config", path]);
        assert_eq!((code, out.as_str()), (2, ""));
        assert_eq!(
            err,
            format!("{path}:3: limits.calls: must be 1 to 100000, is 0\n")
        );
    }

    #[test]
    fn route_tells_the_rule_the_trunks_and_the_peers_without_a_call() {
        let text = "[[trunk]]\nname = \"carrier\"\nallow = [\"192.0.2.0/24\"]\ncaller_ids = [\"+493012345678\"]\n\
            hosts = [\"192.0.2.1;weight=3\", \"192.0.2.2;weight=1\", \"192.0.2.3;priority=2\"]\n";
        let file = File::new(
            "route",
            &format!("[sip]\nlisten = [\"udp://127.0.0.1:5060\"]\n{text}"),
        );
        let path = file.0.to_str().unwrap();
        let route = |from: &str, to: &str, more: &[&str]| {
            let args = ["route", "--config", path, "--from", from, "--to", to];
            run_with(&[&args[..], more].concat())
        };
        let (code, out, err) = route("+493012345678", "+493055500100", &[]);
        assert_eq!((code, err.as_str()), (0, ""), "{out}");
        assert!(out.starts_with("number policy: allow, "), "{out}");
        assert!(
            out.contains("  3. 192.0.2.3:5060;transport=udp\n"),
            "the second priority is last: {out}"
        );
        assert!(
            out.contains("192.0.2.1:5060;transport=udp of 192.0.2.1: priority 1, weight 3 = 75 %"),
            "{out}"
        );

        let (code, out, _) = route("+493012345678", "+447400123456", &["--json"]);
        assert_eq!(code, 1);
        let told: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(told["decision"]["rule"], "deny_prefix:+447", "{out}");
        assert_eq!(told["trunks"][0]["refused"], "destination_not_allowed");

        let (code, out, _) = route("+493099999999", "+493055500100", &[]);
        assert_eq!(code, 1, "{out}");
        assert!(out.contains("trunk carrier: caller_id_not_allowed"), "{out}");

        let (code, _, err) = route("+493012345678", "+493055500100", &["--trunk", "nobody"]);
        assert_eq!((code, err.contains("nobody")), (1, true), "{err}");
    }

    #[test]
    fn wrong_usage_is_two_and_help_is_fine() {
        for args in [&["fly"][..], &["check"], &[], &["version", "--log-format", "xml"]] {
            let (code, out, err) = run_with(args);
            assert_eq!((code, out.as_str()), (2, ""), "{args:?}");
            assert!(!err.is_empty(), "{args:?}");
        }
        let (code, out, _) = run_with(&["--help"]);
        assert_eq!(code, 0);
        assert!(out.contains("Usage: media-gateway"), "{out}");
    }

    #[test]
    fn schema_of_the_configuration_is_json() {
        let (code, out, _) = run_with(&["schema", "--config"]);
        assert_eq!(code, 0);
        let schema: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert!(
            schema["properties"]["trunk"]["items"]["properties"]["media_allow"].is_object(),
            "{out}"
        );
    }

    #[test]
    fn schema_of_the_protocol_is_json() {
        let (code, out, _) = run_with(&["schema"]);
        assert_eq!(code, 0);
        let schema: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert!(
            schema["methods"]
                .as_array()
                .is_some_and(|methods| methods.len() > 20),
            "{out}"
        );
    }

    #[test]
    fn commands_without_a_gateway_fail_and_name_the_socket() {
        for args in [
            &["ctl", "--socket", "/nonexistent/c.sock", "ping"][..],
            &["events", "--socket", "/nonexistent/c.sock"],
        ] {
            let (code, out, err) = run_with(args);
            assert_eq!((code, out.as_str()), (1, ""), "{args:?}");
            assert!(err.starts_with("/nonexistent/c.sock: "), "{err}");
        }
        let state = File::new("ctl", "state_dir = \"/nonexistent/state\"\n");
        let (code, _, err) = run_with(&["ctl", "--config", state.0.to_str().unwrap(), "ping"]);
        assert_eq!(code, 1);
        assert!(err.starts_with("/nonexistent/state/control.sock: "), "{err}");
    }

    #[test]
    fn serve_tells_a_wrong_file_from_a_machine_that_cannot() {
        let file = File::new("serve", "[media]\nshards = 0\n");
        let path = file.0.to_str().unwrap();
        let (code, out, err) = run_with(&["serve", "--config", path]);
        assert_eq!((code, out.as_str()), (2, ""));
        assert_eq!(err, format!("{path}:2: media.shards: must be 1 to 256, is 0\n"));
        // A file stands where the state folder should be.
        let (code, _, err) = run_with(&["serve", "--state-dir", path]);
        assert_eq!(code, 1);
        assert!(err.contains(path), "{err}");
        let why = err.matches("(os error").count();
        assert_eq!(why, 1, "the system's words come once: {err}");
    }

    /// A reader that has left.
    struct Gone;

    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_has_seen_enough_is_no_error() {
        for args in [&["schema"][..], &["schema", "--config"], &["version"]] {
            let mut err = Vec::new();
            let args = [&["media-gateway"], args].concat();
            let code = run(args.into_iter().map(OsString::from), &mut Gone, &mut err);
            assert_eq!((code, String::from_utf8_lossy(&err).as_ref()), (0, ""));
        }
    }

    #[test]
    fn socket_and_configuration_exclude_each_other() {
        let (code, _, err) = run_with(&["ctl", "--socket", "a", "--config", "b", "ping"]);
        assert_eq!(code, 2);
        assert!(err.contains("cannot be used with"), "{err}");
    }

    #[test]
    fn parameters_that_are_no_json_are_wrong_usage() {
        let (code, _, err) = run_with(&["ctl", "--socket", "/nonexistent/c.sock", "ping", "{"]);
        assert_eq!(code, 2);
        assert!(err.starts_with("the parameters are no JSON: "), "{err}");
    }

    #[test]
    fn version_is_one_line() {
        assert_eq!(
            run_with(&["version", "--log-format", "json"]).1,
            format!("media-gateway {}\n", env!("CARGO_PKG_VERSION"))
        );
    }
}
