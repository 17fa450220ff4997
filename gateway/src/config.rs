//! What the gateway is told to be: plain values, defaults filled in, every path made whole.
//!
//! A file goes through two layers. [`file`] says what TOML may hold and is the one list of keys: the
//! schema, the checks of types and ranges and docs/configuration.md come from it. [`resolve`] turns it
//! into the [`Config`] of this page, or into errors that name file, line and key. Nobody past this
//! module sees TOML, and this module knows nothing of calls, sockets or tasks.

mod check;
mod error;
pub mod file;
mod fraud;
mod later;
mod network;
mod number_map;
mod pattern;
mod place;
mod preset;
mod profile;
mod reach;
mod reference;
mod resolve;
mod schema;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod tls;
mod trunk;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

pub use error::{ConfigError, Fault, Problem};
pub use fraud::{Fraud, FraudLimit};
pub use network::network_from_text;
pub use number_map::{NumberMap, NumbersChanged};
pub use pattern::NumberPattern;
pub use reach::Reachable;
pub use reference::reference;
pub use schema::schema;
pub use tls::{IdentityFiles, Known, Shown, SipTls, TlsVersion, TrunkTls};
pub use trunk::{
    AcceptRegister, AnswerCodecs, Auth, Codec, DiversionOut, DtmfMethod, EarlyMedia, HoldDirection, Host,
    IdentityOut, MediaSource, Network, NumberIn, NumberOut, Redirect, ReferIn, ReferOut, Register, Srtp,
    SrtpOffer, Stir, StirIn, Transfers, Transport, Trunk, TrunkSrtp, UriForm, carriage_of, transport_of,
};

/// Everything an operator decides, ready to use.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Name of the instance, in events, records and metrics.
    pub instance: String,
    /// Folder of the journal, the records and, unless said otherwise, socket, prompts and recordings.
    pub state_dir: PathBuf,
    /// Signalling.
    pub sip: Sip,
    /// Name servers.
    pub dns: Dns,
    /// How certificates of signed callers are fetched.
    pub stir: Fetching,
    /// Media plane.
    pub media: Media,
    /// The control socket.
    pub control: Control,
    /// Probes and metrics; none: no HTTP listener.
    pub http: Option<Http>,
    /// Limits of the instance.
    pub limits: Limits,
    /// Carrier relations, in the file's order.
    pub trunks: Vec<Trunk>,
    /// Number map, in the file's order; [`Config::number_for`] picks the longest match.
    pub numbers: Vec<Number>,
    /// What may be dialled.
    pub dial: Dial,
    /// Hold music by class; `default` is always there. An empty list is the built-in tune.
    pub music: BTreeMap<String, Vec<PathBuf>>,
    /// Prompts.
    pub prompts: Prompts,
    /// Recordings.
    pub recordings: Recordings,
    /// What happens per app; [`Config::app`] answers for those not named.
    pub apps: BTreeMap<String, App>,
}

/// Signalling listeners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sip {
    /// At least one; each address and transport once.
    pub listen: Vec<Listen>,
    /// Host in Via and Contact; none: the listener's own address.
    pub advertise: Option<String>,
    /// What the TLS listeners show and ask for; there where there is one of them.
    pub tls: Option<SipTls>,
}

/// One SIP listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Listen {
    /// UDP, TCP or TLS.
    pub transport: Transport,
    /// Where; port 0 takes a free one.
    pub addr: SocketAddr,
}

impl std::fmt::Display for Listen {
    /// As the file writes it: `udp://127.0.0.1:5060`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}", trunk::transport_word(self.transport), self.addr)
    }
}

/// Who is asked about peers named by domain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dns {
    /// Servers; none: those of the system.
    pub servers: Vec<SocketAddr>,
}

/// How certificates of signed callers are fetched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fetching {
    /// A trunk lists hosts.
    pub is_wanted: bool,
    /// The CAs of the servers; none: those of the system.
    pub ca: Option<PathBuf>,
}

/// Media addresses and shards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// Where RTP sockets are bound; at least one.
    pub addresses: Vec<IpAddr>,
    /// What SDP says in their place.
    pub advertise: Option<IpAddr>,
    /// Ports of RTP and RTCP, from an even one to an odd one, both included.
    pub ports: RangeInclusive<u16>,
    /// Media threads; at least one.
    pub shards: usize,
    /// How they reach their sockets.
    pub io: media::shard::io::Choice,
    /// The time between two `leg.quality` of a leg; none: only where quality crosses a mark.
    pub quality_interval: Option<Duration>,
}

/// The control socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    /// Path of the Unix socket; short enough for the kernel.
    pub unix: PathBuf,
    /// User ids let in beside our own and root.
    pub uids: Vec<u32>,
}

/// The HTTP listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Http {
    /// Where.
    pub listen: SocketAddr,
}

/// Limits of the instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Calls at once.
    pub calls: u32,
    /// New INVITEs a second.
    pub calls_per_second: u32,
    /// New INVITEs at once over that rate.
    pub burst: u32,
    /// SIP messages a second from one listed address.
    pub messages_per_second: u32,
    /// Longest call; none: no limit.
    pub max_duration: Option<Duration>,
}

/// One line of the number map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number {
    /// Which called numbers.
    pub pattern: NumberPattern,
    /// Which app gets them.
    pub app: String,
    /// What happens when nobody takes the call.
    pub unclaimed: Unclaimed,
}

/// What happens to a call nobody takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unclaimed {
    /// After so long.
    pub after: Duration,
    /// What.
    pub action: UnclaimedAction,
}

/// The end of an unclaimed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnclaimedAction {
    /// The INVITE is answered with this status, 400 to 699.
    Reject {
        /// The status.
        status: u16,
    },
}

/// Number policy: what may be dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dial {
    /// Regions that may be called, ISO 3166 codes.
    pub countries: Vec<String>,
    /// E.164 prefixes with `+` that may not, whatever their region.
    pub deny_prefixes: Vec<String>,
    /// Kinds of number that may not.
    pub deny_types: Vec<NumberType>,
    /// Named sets of prefixes that may not.
    pub deny_sets: Vec<DenySet>,
    /// By home country: leading digits taken off before the number is read, and what they mean.
    pub prefixes: BTreeMap<String, BTreeMap<String, PrefixMeaning>>,
}

pub use file::{ControllerLostAction, DenySet, NumberType, PrefixMeaning};

/// Prompt files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompts {
    /// Their folder.
    pub dir: PathBuf,
    /// At most so many are kept in memory.
    pub max: usize,
}

/// Recording files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recordings {
    /// Their folder.
    pub dir: PathBuf,
    /// Below so much free space, mebibytes, new recordings are refused.
    pub min_free_mb: u64,
}

/// Policy of one app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct App {
    /// What happens to its calls when its last connection closes.
    pub on_controller_lost: ControllerLost,
}

/// What happens when an app's last connection closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControllerLost {
    /// So long after the loss.
    pub after: Duration,
    /// What.
    pub action: ControllerLostAction,
}

impl Default for App {
    fn default() -> Self {
        App {
            on_controller_lost: ControllerLost {
                after: Duration::from_secs(5),
                action: ControllerLostAction::Keep,
            },
        }
    }
}

impl DenySet {
    /// The E.164 prefixes it stands for.
    pub fn prefixes(self) -> &'static [&'static str] {
        match self {
            DenySet::JpMobile => &["+8170", "+8180", "+8190"],
        }
    }
}

impl Config {
    /// The entry of the number map for a called number, the longest match first; `None` as number is one
    /// that does not parse, and only `*` takes it.
    pub fn number_for(&self, e164: Option<&str>) -> Option<&Number> {
        self.numbers
            .iter()
            .filter(|number| number.pattern.matches(e164))
            .max_by_key(|number| number.pattern.weight())
    }

    /// The policy of an app, named in the file or not.
    pub fn app(&self, name: &str) -> App {
        self.apps.get(name).copied().unwrap_or_default()
    }

    /// The trunk of that name.
    pub fn trunk(&self, name: &str) -> Option<&Trunk> {
        self.trunks.iter().find(|trunk| trunk.name == name)
    }

    /// The trunk an inbound message belongs to: the longest `allow` prefix that holds its source.
    pub fn trunk_by_source(&self, source: IpAddr) -> Option<&Trunk> {
        self.trunks
            .iter()
            .filter_map(|trunk| {
                let longest = trunk
                    .allow
                    .iter()
                    .filter(|net| net.contains(source))
                    .map(|net| net.prefix)
                    .max()?;
                Some((longest, trunk))
            })
            .max_by_key(|(longest, _)| *longest)
            .map(|(_, trunk)| trunk)
    }

    /// The listener that a message of this trunk leaves by: the trunk's own where transport and address
    /// family fit, else the first that fits.
    pub fn listener_for(&self, trunk: &Trunk, transport: Transport, remote: IpAddr) -> Option<Listen> {
        listener_for(&self.sip.listen, trunk.listen, transport, remote)
    }
}

/// See [`Config::listener_for`].
fn listener_for(
    listeners: &[Listen],
    preferred: Listen,
    transport: Transport,
    remote: IpAddr,
) -> Option<Listen> {
    let fits = |listen: &Listen| listen.transport == transport && listen.addr.is_ipv4() == remote.is_ipv4();
    if fits(&preferred) {
        return Some(preferred);
    }
    let same_address = listeners
        .iter()
        .find(|listen| fits(listen) && listen.addr.ip() == preferred.addr.ip());
    same_address
        .or_else(|| listeners.iter().find(|listen| fits(listen)))
        .copied()
}
