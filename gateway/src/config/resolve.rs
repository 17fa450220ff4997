//! From what the file says to what the gateway uses: defaults, paths, cross references.
//!
//! Goes on after a fault, so that one run shows all of them; what it returns beside faults is never used.

mod fraud;
mod listeners;
mod peers;
mod registration;
mod srtp;
mod stir;
mod tls;
mod trunks;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;
use toml::de::DeTable;

use super::error::{ConfigError, Fault, Problem};
use super::place::{Finding, KeyPath, line_at};
use super::{
    App, Config, Control, ControllerLost, Dial, Dns, Http, Limits, Number, NumberPattern, Prompts,
    Recordings, Unclaimed, UnclaimedAction, check, file, preset, schema,
};

/// Longest path of a Unix socket: `sun_path` without its final zero (unix(7)).
const SOCKET_PATH_BYTES_MAX: usize = 107;

impl Config {
    /// Reads and resolves a file; `state_dir` replaces what the file says.
    pub fn load(path: &Path, state_dir: Option<&Path>) -> Result<Config, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError {
            file: path.display().to_string(),
            faults: vec![Fault {
                line: None,
                key: String::new(),
                problem: Problem::Unreadable {
                    why: error.to_string(),
                },
            }],
        })?;
        Config::parse(&text, path, state_dir)
    }

    /// Resolves the text of the file at `path`: its name is for the errors, its folder for relative paths.
    pub fn parse(text: &str, path: &Path, state_dir: Option<&Path>) -> Result<Config, ConfigError> {
        // A bare file name has an empty parent, which is the working directory.
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            Some(_) | None => Path::new("."),
        };
        let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        let faults = match read(text) {
            Ok((file, table)) => {
                let (config, findings) = resolve(&file, &folder, state_dir);
                if findings.is_empty() {
                    return Ok(config);
                }
                located(text, &table, findings)
            }
            Err(faults) => faults,
        };
        Err(ConfigError {
            file: path.display().to_string(),
            faults,
        })
    }

    /// What `serve` uses without a file: the defaults, and one trunk `local` for softphones on this machine.
    pub fn embedded(own_addresses: &[IpAddr]) -> Config {
        Config::embedded_in(None, own_addresses)
    }

    /// As [`Config::embedded`], with its state in another folder.
    pub fn embedded_in(state_dir: Option<&Path>, own_addresses: &[IpAddr]) -> Config {
        let loopback = std::iter::once("127.0.0.0/8".to_owned());
        let local = file::trunk::Trunk {
            name: "local".to_owned(),
            allow: loopback
                .chain(own_addresses.iter().map(IpAddr::to_string))
                .collect(),
            caller_ids: Some(vec!["*".to_owned()]),
            media_source: file::trunk::MediaSource::Nat,
            agents: true,
            extensions: 8,
            ..Default::default()
        };
        let file = file::File {
            trunk: vec![local],
            http: Some(file::Http::default()),
            ..Default::default()
        };
        let (config, findings) = resolve(&file, &std::path::absolute(".").unwrap_or_default(), state_dir);
        debug_assert!(
            findings.is_empty(),
            "the embedded configuration is whole: {findings:?}"
        );
        config
    }
}

/// Text to file types, by way of the schema.
fn read(text: &str) -> Result<(file::File, Spanned<DeTable<'_>>), Vec<Fault>> {
    let table = DeTable::parse(text).map_err(|error| vec![syntax_fault(text, &error)])?;
    let findings = check::check(&schema(), table.get_ref());
    if !findings.is_empty() {
        return Err(located(text, &table, findings));
    }
    let (file, findings) = preset::read(text).map_err(|error| vec![syntax_fault(text, &error)])?;
    if !findings.is_empty() {
        return Err(located(text, &table, findings));
    }
    Ok((file, table))
}

fn syntax_fault(text: &str, error: &toml::de::Error) -> Fault {
    let mut message = error.message().lines().collect::<Vec<_>>().join("; ");
    if message == "duplicate key"
        && let Some(name) = error.span().and_then(|span| text.get(span))
    {
        message = format!("duplicate key `{}`; keep one of them", name.trim());
    }
    let line = error.span().map(|span| line_at(text, span.start));
    Fault {
        line,
        key: String::new(),
        problem: Problem::Syntax { message },
    }
}

/// Findings as faults, in the order of their lines.
fn located(text: &str, table: &Spanned<DeTable<'_>>, findings: Vec<Finding>) -> Vec<Fault> {
    let fault = |finding: Finding| Fault {
        line: Some(line_at(text, finding.path.offset(table))),
        key: finding.path.to_string(),
        problem: finding.problem,
    };
    let mut faults = findings.into_iter().map(fault).collect::<Vec<_>>();
    faults.sort_by_key(|fault| fault.line);
    faults
}

/// The whole configuration and everything wrong with it.
fn resolve(file: &file::File, folder: &Path, state_dir: Option<&Path>) -> (Config, Vec<Finding>) {
    let mut faults = Faults::default();
    let state_dir = match state_dir {
        Some(given) => std::path::absolute(given).unwrap_or_else(|_| given.to_owned()),
        None => folder.join(&file.state_dir),
    };
    let in_state = |given: &Option<String>, default: &str| match given {
        Some(path) => folder.join(path),
        None => state_dir.join(default),
    };
    let sip = listeners::sip(&file.sip, folder, &mut faults);
    let media = listeners::media(&file.media, &mut faults);
    let limits = Limits {
        calls: file.limits.calls,
        calls_per_second: file.limits.calls_per_second,
        burst: file.limits.burst,
        messages_per_second: file.limits.messages_per_second,
        max_duration: seconds(file.limits.max_duration_s),
    };
    let numbers = numbers(file.number.as_deref(), &mut faults);
    let recordings = recordings(
        &file.recordings,
        in_state(&file.recordings.dir, "recordings"),
        &mut faults,
    );
    let shared = trunks::Shared {
        folder,
        sip: &sip,
        media: &media,
        limits: &limits,
        numbers: &numbers,
    };
    let trunks = trunks::trunks(&file.trunk, &shared, &mut faults);
    let config = Config {
        instance: name(&file.instance, &KeyPath::default().key("instance"), &mut faults),
        control: control(
            &file.control,
            in_state(&file.control.unix, "control.sock"),
            &mut faults,
        ),
        dns: dns(&file.dns, &mut faults),
        stir: stir::fetching(&file.stir, &trunks, folder, &mut faults),
        http: file.http.as_ref().and_then(|http| self::http(http, &mut faults)),
        dial: dial(&file.dial, &mut faults),
        music: music(&file.music, folder),
        prompts: Prompts {
            dir: in_state(&file.prompts.dir, "prompts"),
            max: file.prompts.max as usize,
        },
        apps: file
            .app
            .iter()
            .map(|(name, app)| (name.clone(), self::app(app)))
            .collect(),
        state_dir,
        sip,
        media,
        limits,
        trunks,
        numbers,
        recordings,
    };
    (config, faults.0)
}

/// What was found so far.
#[derive(Default)]
pub(super) struct Faults(Vec<Finding>);

impl Faults {
    pub(super) fn add(&mut self, path: KeyPath, problem: Problem) {
        self.0.push(Finding { path, problem });
    }

    fn malformed(&mut self, path: KeyPath, actual: &str, expected: &'static str) {
        self.add(
            path,
            Problem::Malformed {
                actual: actual.to_owned(),
                expected,
            },
        );
    }
}

fn seconds(count: u32) -> Option<Duration> {
    (count > 0).then(|| Duration::from_secs(u64::from(count)))
}

/// A name that may stand in a metric, a path and a log: letters, digits, `-`, `_`, `.`.
fn name(text: &str, path: &KeyPath, faults: &mut Faults) -> String {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    if text.is_empty() || !text.chars().all(fits) {
        faults.malformed(
            path.clone(),
            text,
            "a name; use letters, digits, `-`, `_` and `.` only",
        );
    }
    text.to_owned()
}

fn control(control: &file::Control, unix: PathBuf, faults: &mut Faults) -> Control {
    let bytes = unix.as_os_str().len();
    if bytes > SOCKET_PATH_BYTES_MAX {
        let path = KeyPath::default().key("control").key("unix");
        faults.add(
            path,
            Problem::SocketPathTooLong {
                bytes,
                max: SOCKET_PATH_BYTES_MAX,
            },
        );
    }
    Control {
        unix,
        uids: control.uids.clone(),
    }
}

fn http(http: &file::Http, faults: &mut Faults) -> Option<Http> {
    let listen = http.listen.parse().ok();
    if listen.is_none() {
        let path = KeyPath::default().key("http").key("listen");
        faults.malformed(
            path,
            &http.listen,
            "an address with port; write one like `127.0.0.1:8080`",
        );
    }
    listen.map(|listen| Http { listen })
}

fn dns(dns: &file::Dns, faults: &mut Faults) -> Dns {
    let mut servers = Vec::with_capacity(dns.servers.len());
    for (index, text) in dns.servers.iter().enumerate() {
        match text.parse() {
            Ok(server) => servers.push(server),
            Err(_) => {
                let path = KeyPath::default().key("dns").key("servers").index(index);
                faults.malformed(path, text, "an address with port; write one like `127.0.0.1:53`");
            }
        }
    }
    Dns { servers }
}

fn numbers(entries: Option<&[file::Number]>, faults: &mut Faults) -> Vec<Number> {
    let everything = [file::Number {
        r#match: "*".to_owned(),
        app: "default".to_owned(),
        unclaimed: file::Unclaimed::default(),
    }];
    let mut numbers: Vec<Number> = Vec::new();
    for (index, entry) in entries.unwrap_or(&everything).iter().enumerate() {
        let path = KeyPath::default().key("number").index(index);
        let Some(pattern) = pattern(&entry.r#match, &path.key("match"), faults) else {
            continue;
        };
        if let Some(other) = numbers.iter().position(|number| number.pattern == pattern) {
            let other = KeyPath::default().key("number").index(other).to_string();
            let value = entry.r#match.clone();
            faults.add(
                path.key("match"),
                Problem::Duplicate {
                    value,
                    other,
                    remedy: "remove one",
                },
            );
        }
        let file::UnclaimedAction::Reject = entry.unclaimed.action;
        numbers.push(Number {
            pattern,
            app: name(&entry.app, &path.key("app"), faults),
            unclaimed: Unclaimed {
                after: Duration::from_millis(u64::from(entry.unclaimed.after_ms)),
                action: UnclaimedAction::Reject {
                    status: entry.unclaimed.status,
                },
            },
        });
    }
    numbers
}

fn pattern(text: &str, path: &KeyPath, faults: &mut Faults) -> Option<NumberPattern> {
    let pattern = NumberPattern::parse(text);
    if pattern.is_none() {
        faults.malformed(
            path.clone(),
            text,
            "a number pattern; write `+81312345678`, `+81*` or `*`",
        );
    }
    pattern
}

/// An ISO 3166 region that the numbering plans know.
fn region(text: &str, path: &KeyPath, faults: &mut Faults) -> String {
    if text.parse::<phonenumber::country::Id>().is_err() {
        faults.malformed(path.clone(), text, "a region; write an ISO 3166 code like `JP`");
    }
    text.to_owned()
}

fn dial(dial: &file::Dial, faults: &mut Faults) -> Dial {
    let path = KeyPath::default().key("dial");
    for (index, text) in dial.countries.iter().enumerate() {
        region(text, &path.key("countries").index(index), faults);
    }
    for (index, text) in dial.deny_prefixes.iter().enumerate() {
        if NumberPattern::parse(text)
            .as_ref()
            .and_then(NumberPattern::exact)
            .is_none()
        {
            let here = path.key("deny_prefixes").index(index);
            faults.malformed(here, text, "a prefix; write it with `+` and digits, like `+447`");
        }
    }
    for (country, prefixes) in &dial.prefixes {
        let here = path.key("prefixes").key(country);
        region(country, &here, faults);
        for digits in prefixes.keys() {
            if !(1..=8).contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                faults.malformed(
                    here.key(digits),
                    digits,
                    "a dial prefix; write 1 to 8 digits, like `184`",
                );
            }
        }
    }
    Dial {
        countries: dial.countries.clone(),
        deny_prefixes: dial.deny_prefixes.clone(),
        deny_types: dial.deny_types.clone(),
        deny_sets: dial.deny_sets.clone(),
        prefixes: dial.prefixes.clone(),
    }
}

fn music(classes: &BTreeMap<String, file::Music>, folder: &Path) -> BTreeMap<String, Vec<PathBuf>> {
    let paths = |class: &file::Music| class.files.iter().map(|path| folder.join(path)).collect();
    let mut music = classes
        .iter()
        .map(|(name, class)| (name.clone(), paths(class)))
        .collect::<BTreeMap<_, _>>();
    music.entry("default".to_owned()).or_default();
    music
}

fn recordings(recordings: &file::Recordings, dir: PathBuf, faults: &mut Faults) -> Recordings {
    if recordings.encrypt {
        let path = KeyPath::default().key("recordings").key("encrypt");
        let instead = "set it to `false`; recordings are plain WAV files".to_owned();
        faults.add(
            path,
            Problem::LaterValue {
                value: "true".to_owned(),
                instead,
            },
        );
    }
    Recordings {
        dir,
        min_free_mb: u64::from(recordings.min_free_mb),
    }
}

fn app(app: &file::App) -> App {
    let lost = &app.on_controller_lost;
    let after = Duration::from_millis(u64::from(lost.after_ms));
    App {
        on_controller_lost: ControllerLost {
            after,
            action: lost.action,
        },
    }
}

/// Stands in for an address that a fault has been reported for.
const UNKNOWN: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
