//! What the configuration file may say: the one list of keys.
//!
//! The doc comments and the bounds below are the schema, the checks and docs/configuration.md. A field
//! that is an `Option` has a default that depends on other keys; its comment tells which. These types know
//! how TOML looks and nothing of what the gateway does with it.

pub mod fraud;
pub mod tls;
pub mod trunk;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The whole file.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct File {
    /// Name of the instance, in events, records and metrics.
    #[schemars(length(min = 1, max = 64))]
    pub instance: String,
    /// Folder of the journal, the records and, unless said otherwise, socket, prompts and recordings.
    pub state_dir: String,
    /// Signalling listeners.
    pub sip: Sip,
    /// Who is asked about peers named by domain.
    pub dns: Dns,
    /// How certificates of signed callers are fetched.
    pub stir: Stir,
    /// Media addresses, ports and threads.
    pub media: Media,
    /// The control socket.
    pub control: Control,
    /// Probes and metrics. Without this table there is no HTTP listener.
    pub http: Option<Http>,
    /// Limits of the instance.
    pub limits: Limits,
    /// Carrier relations.
    pub trunk: Vec<trunk::Trunk>,
    /// Number map; the longest match wins. Default: one entry that takes every number to the app `default`.
    pub number: Option<Vec<Number>>,
    /// What may be dialled; whatever is not allowed here is refused.
    pub dial: Dial,
    /// Hold music by class; `default` is the class used when a command names none.
    pub music: BTreeMap<String, Music>,
    /// Prompt files.
    pub prompts: Prompts,
    /// Recording files.
    pub recordings: Recordings,
    /// Policy of each app, by its name.
    pub app: BTreeMap<String, App>,
}

impl Default for File {
    fn default() -> Self {
        File {
            instance: "main".to_owned(),
            state_dir: "state".to_owned(),
            sip: Sip::default(),
            dns: Dns::default(),
            stir: Stir::default(),
            media: Media::default(),
            control: Control::default(),
            http: None,
            limits: Limits::default(),
            trunk: Vec::new(),
            number: None,
            dial: Dial::default(),
            music: BTreeMap::new(),
            prompts: Prompts::default(),
            recordings: Recordings::default(),
            app: BTreeMap::new(),
        }
    }
}

/// Signalling listeners.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Sip {
    /// `udp://ADDRESS:PORT`, `tcp://ADDRESS:PORT` or `tls://ADDRESS:PORT`; port 0 takes a free one.
    #[schemars(length(min = 1, max = 16))]
    pub listen: Vec<String>,
    /// Host in Via and Contact. Default: the listener's own address.
    pub advertise: Option<String>,
    /// Certificate of the `tls://` listeners, which need it.
    pub tls: Option<tls::SipTls>,
}

impl Default for Sip {
    fn default() -> Self {
        Sip {
            listen: vec![
                "udp://127.0.0.1:5060".to_owned(),
                "tcp://127.0.0.1:5060".to_owned(),
            ],
            advertise: None,
            tls: None,
        }
    }
}

/// Who is asked about peers named by domain.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Dns {
    /// Servers by address and port, such as `127.0.0.1:53`. Default: those of the system's `resolv.conf`.
    #[schemars(length(max = 8))]
    pub servers: Vec<String>,
}

/// How certificates of signed callers are fetched, for trunks with `stir_hosts`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Stir {
    /// File of the CAs that the `https` servers' own certificates must come from, PEM. Default: those of the system.
    /// Read at the start.
    pub fetch_ca: Option<String>,
}

/// Media addresses, ports and threads.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Media {
    /// Where RTP sockets are bound: one address or a list.
    pub address: OneOrMany,
    /// The address that SDP gives in its place. Default: the address itself.
    pub advertise: Option<String>,
    /// `FIRST-LAST`, from an even port to an odd one.
    pub ports: String,
    /// Media threads. Default: one per core.
    #[schemars(range(min = 1, max = 256))]
    pub shards: Option<u32>,
    /// `leg.quality` of each answered leg comes every so many seconds; it comes at once where quality crosses a mark.
    /// 0: only then.
    #[schemars(range(max = 3600))]
    pub quality_interval_s: u32,
    /// How media threads reach their sockets: by plain system calls (`epoll`, which `auto` takes), or by io_uring
    /// (`uring`; where the kernel refuses it, by epoll with a warning). The metric `media_io` says which runs.
    pub io: MediaIo,
}

/// How media threads reach their sockets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MediaIo {
    /// Plain system calls, as they have been shown to be good.
    #[default]
    Auto,
    /// Plain system calls.
    Epoll,
    /// io_uring, with a warning where the kernel refuses it.
    Uring,
}

impl Default for Media {
    fn default() -> Self {
        Media {
            address: OneOrMany::One("127.0.0.1".to_owned()),
            advertise: None,
            ports: "20000-29999".to_owned(),
            shards: None,
            io: MediaIo::Auto,
            quality_interval_s: 30,
        }
    }
}

/// One text or a list of them.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMany {
    /// One.
    One(String),
    /// A list.
    Many(#[schemars(length(min = 1, max = 16))] Vec<String>),
}

impl OneOrMany {
    /// The texts, in order.
    pub fn texts(&self) -> &[String] {
        match self {
            OneOrMany::One(text) => std::slice::from_ref(text),
            OneOrMany::Many(texts) => texts,
        }
    }
}

/// The control socket.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Control {
    /// Path of the Unix socket. Default: `control.sock` in `state_dir`.
    pub unix: Option<String>,
    /// User ids let in beside the gateway's own and root.
    #[schemars(length(max = 64))]
    pub uids: Vec<u32>,
}

/// The HTTP listener for probes and metrics.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// `ADDRESS:PORT`.
    pub listen: String,
}

impl Default for Http {
    fn default() -> Self {
        Http {
            listen: "127.0.0.1:8080".to_owned(),
        }
    }
}

/// Limits of the instance.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Calls at once; over it a new call gets 503 with Retry-After.
    #[schemars(range(min = 1, max = 100_000))]
    pub calls: u32,
    /// New INVITEs a second, dialled ones included.
    #[schemars(range(min = 1, max = 10_000))]
    pub calls_per_second: u32,
    /// New INVITEs at once over that rate. A tenth of a second's worth suits hundreds of calls a second.
    #[schemars(range(min = 1, max = 10_000))]
    pub burst: u32,
    /// SIP messages a second that one listed address (of IPv6 one /64) may send, twice as many at once; what is
    /// over is dropped unread and raises the alarm `flood`. A call takes about 8, so the default is that of a carrier
    /// with 600 new calls a second.
    #[schemars(range(min = 10, max = 1_000_000))]
    pub messages_per_second: u32,
    /// Longest call, seconds; 0: no limit.
    #[schemars(range(max = 604_800))]
    pub max_duration_s: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            calls: 100,
            calls_per_second: 20,
            burst: 5,
            messages_per_second: 5_000,
            max_duration_s: 14_400,
        }
    }
}

/// One line of the number map.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Number {
    /// `+DIGITS`, `+DIGITS*` for a prefix, or `*` for everything.
    pub r#match: String,
    /// Which app gets the call.
    #[serde(default = "default_app")]
    #[schemars(length(min = 1, max = 64))]
    pub app: String,
    /// What happens when nobody takes it.
    #[serde(default)]
    pub unclaimed: Unclaimed,
}

fn default_app() -> String {
    "default".to_owned()
}

/// What happens to a call nobody takes.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Unclaimed {
    /// How long it waits, milliseconds.
    #[schemars(range(max = 180_000))]
    pub after_ms: u32,
    /// What then.
    pub action: UnclaimedAction,
    /// The answer.
    #[schemars(range(min = 400, max = 699))]
    pub status: u16,
}

impl Default for Unclaimed {
    fn default() -> Self {
        Unclaimed {
            after_ms: 5000,
            action: UnclaimedAction::Reject,
            status: 503,
        }
    }
}

/// The end of an unclaimed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnclaimedAction {
    /// The INVITE is answered with `status`.
    Reject,
}

/// What may be dialled.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Dial {
    /// Regions that may be called, ISO 3166 codes.
    pub countries: Vec<String>,
    /// `+DIGITS` prefixes that may not, looked at before the region.
    pub deny_prefixes: Vec<String>,
    /// Kinds of number that may not.
    pub deny_types: Vec<NumberType>,
    /// Named sets of prefixes that may not.
    pub deny_sets: Vec<DenySet>,
    /// By home country: leading digits taken off before the number is read, and what they mean.
    pub prefixes: BTreeMap<String, BTreeMap<String, PrefixMeaning>>,
}

impl Default for Dial {
    fn default() -> Self {
        const COUNTRIES: [&str; 12] = [
            "AU", "CA", "CN", "DE", "HK", "IL", "JP", "MX", "SG", "SE", "US", "GB",
        ];
        let japan = [
            ("184", PrefixMeaning::PrivacyOn),
            ("186", PrefixMeaning::PrivacyOff),
        ];
        Dial {
            countries: COUNTRIES.map(str::to_owned).to_vec(),
            deny_prefixes: vec!["+447".to_owned()],
            deny_types: NumberType::ALL.to_vec(),
            deny_sets: Vec::new(),
            prefixes: BTreeMap::from([(
                "JP".to_owned(),
                japan.map(|(digits, meaning)| (digits.to_owned(), meaning)).into(),
            )]),
        }
    }
}

/// A kind of number, as the numbering plans tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NumberType {
    /// Premium rate.
    Premium,
    /// Shared cost.
    SharedCost,
    /// Personal numbers.
    Personal,
    /// Pagers.
    Pager,
    /// Company-wide numbers, charged in Japan.
    Uan,
    /// Voicemail access.
    Voicemail,
}

impl NumberType {
    /// Every kind; all are denied unless the file says otherwise.
    pub const ALL: [NumberType; 6] = [
        NumberType::Premium,
        NumberType::SharedCost,
        NumberType::Personal,
        NumberType::Pager,
        NumberType::Uan,
        NumberType::Voicemail,
    ];
}

/// A named set of denied prefixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DenySet {
    /// Japanese mobiles: +8170, +8180, +8190.
    JpMobile,
}

/// What leading digits of a dialled number mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PrefixMeaning {
    /// The caller id is withheld.
    PrivacyOn,
    /// The caller id is shown.
    PrivacyOff,
    /// Nothing; they are only taken off.
    Ignore,
}

/// One class of hold music.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Music {
    /// WAV files, played in turn. Empty: a built-in tune.
    #[schemars(length(max = 64))]
    pub files: Vec<String>,
}

/// Prompt files.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Prompts {
    /// Their folder; `greeting.wav` in it is the prompt `greeting`. Default: `prompts` in `state_dir`.
    pub dir: Option<String>,
    /// At most so many are kept in memory.
    #[schemars(range(min = 1, max = 10_000))]
    pub max: u32,
}

impl Default for Prompts {
    fn default() -> Self {
        Prompts { dir: None, max: 500 }
    }
}

/// Recording files.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Recordings {
    /// Their folder. Default: `recordings` in `state_dir`.
    pub dir: Option<String>,
    /// Sealed at rest; only `false` in this version.
    pub encrypt: bool,
    /// Below so much free space, mebibytes, a new recording is refused with `disk_low`.
    pub min_free_mb: u32,
}

impl Default for Recordings {
    fn default() -> Self {
        Recordings {
            dir: None,
            encrypt: false,
            min_free_mb: 512,
        }
    }
}

/// Policy of one app.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct App {
    /// What happens to its calls when its last control connection closes.
    pub on_controller_lost: ControllerLost,
}

/// What happens when an app's last control connection closes.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ControllerLost {
    /// So long after the loss, milliseconds.
    #[schemars(range(max = 3_600_000))]
    pub after_ms: u32,
    /// What.
    pub action: ControllerLostAction,
}

impl Default for ControllerLost {
    fn default() -> Self {
        ControllerLost {
            after_ms: 5000,
            action: ControllerLostAction::Keep,
        }
    }
}

/// What happens to calls without a controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ControllerLostAction {
    /// They go on as they are.
    Keep,
    /// Each party hears hold music.
    Music,
    /// They are ended.
    Hangup,
}
