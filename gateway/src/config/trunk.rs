//! One carrier relation as the gateway uses it: peers and policy.
//!
//! A value. Knows nothing of calls, sockets or counters.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use sip::auth::Users;

pub use super::file::trunk::{
    AnswerCodecs, DiversionOut, DtmfMethod, EarlyMedia, HoldDirection, IdentityOut, MediaSource, NumberIn,
    NumberOut, Preset, Provenance, Redirect, ReferIn, ReferOut, Srtp, SrtpOffer, StirIn, UriForm,
};
use super::tls::TrunkTls;
use super::{Fraud, Listen, NumberPattern};
use crate::stir::{CertificateHost, Signer, Trust};

pub use super::network::Network;
pub use media::Codec;
pub use sip::endpoint::{Policy, RefreshMethod, RefresherWish, Support, TimerPolicy, Transport};
pub use sip::sdp::CryptoSuite;
use sip::transport::target::{Carriage, Site, default_port};

/// A trunk with every default filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Trunk {
    /// Its name, unique.
    pub name: String,
    /// The carrier profile it began from.
    pub preset: Preset,
    /// What the file said itself and what the profile gave.
    pub provenance: Provenance,
    /// Peers it is dialled at, in the file's order; may be empty for one that only takes calls.
    pub hosts: Vec<Host>,
    /// Signalling sources that are this trunk, and where a `leg.dial` to a `sip:` URI may go.
    pub allow: Vec<Network>,
    /// Where RTP may come from and go to.
    pub media_allow: Vec<Network>,
    /// Legs at once.
    pub calls: u32,
    /// Legs at once from the peer.
    pub calls_in: u32,
    /// Legs at once to the peer.
    pub calls_out: u32,
    /// New INVITEs a second.
    pub calls_per_second: u32,
    /// SIP messages a second from one of its addresses.
    pub messages_per_second: u32,
    /// Depth of the calls-per-second bucket.
    pub burst: u32,
    /// The answer over a limit: 503 or 486.
    pub limit_status: u16,
    /// `Retry-After` with it, seconds.
    pub retry_after_s: u32,
    /// Statuses of a peer after which the next one is tried.
    pub route_on: BTreeSet<u16>,
    /// Names of the trunks tried when no peer here takes the call.
    pub fallback: Vec<String>,
    /// Peers tried for one leg.
    pub attempts_max: usize,
    /// How long an INVITE waits for any answer (RFC 3261 timer B).
    pub timer_b: Duration,
    /// Time between OPTIONS to a peer; none: peers are not checked.
    pub options_interval: Option<Duration>,
    /// OPTIONS in vain after which a peer is down.
    pub options_down_after: u32,
    /// Answers after which it is up again.
    pub options_up_after: u32,
    /// Answers challenges.
    pub auth: Option<Auth>,
    /// Who may send requests; none: whoever is in `allow`.
    pub challenge: Option<Arc<Users>>,
    /// Kept registered at its hosts.
    pub register: Option<Register>,
    /// Takes registrations.
    pub accept_register: Option<AcceptRegister>,
    /// TLS towards its peers.
    pub tls: Option<TrunkTls>,
    /// The listener its messages leave by, where transport and family fit ([`super::Config::listener_for`]).
    pub listen: Listen,
    /// Host in Via and Contact: the trunk's `advertise`, else the instance's, else the listener's address.
    pub advertise: String,
    /// The trunk's `advertise` alone.
    pub own_host: Option<String>,
    /// Host in Contact where it differs from `advertise`.
    pub contact_host: Option<String>,
    /// Host in From: `advertise` unless set.
    pub from_host: String,
    /// Which of our media addresses its streams are bound to.
    pub media_address: IpAddr,
    /// What SDP says in its place.
    pub media_advertise: IpAddr,
    /// Reliable provisional responses and session timers.
    pub sip_policy: Policy,
    /// Default of `leg.dial`.
    pub early_media: EarlyMedia,
    /// How digits are sent.
    pub dtmf: DtmfMethod,
    /// In order of preference; at least one.
    pub codecs: Vec<Codec>,
    /// Packet length, milliseconds.
    pub ptime_ms: u8,
    /// Encryption of media.
    pub srtp: TrunkSrtp,
    /// How many codecs our answer lists.
    pub answer_codecs: AnswerCodecs,
    /// Which source of RTP is believed.
    pub media_source: MediaSource,
    /// A leg without RTP for so long is ended; none: never.
    pub media_timeout: Option<Duration>,
    /// Direction of our hold towards the peer.
    pub hold: HoldDirection,
    /// Region that numbers without `+` are read in; none: only `+` numbers parse.
    pub home_country: Option<String>,
    /// How numbers come in.
    pub number_in: NumberIn,
    /// How numbers go out.
    pub number_out: NumberOut,
    /// Digits put before every number that goes out.
    pub prefix_out: String,
    /// `;user=phone` on numbers that go out.
    pub user_phone: bool,
    /// Agent phones: their legs count as missed, not failed.
    pub agents: bool,
    /// Emergency calls of its home country go here.
    pub emergency: bool,
    /// Limits against toll fraud.
    pub fraud: Fraud,
    /// All-digit users of at most so many digits are extensions, not numbers; 0: none are.
    pub extensions: u8,
    /// P-Asserted-Identity is taken from the peer and given to it.
    pub identity_trusted: bool,
    /// Where our caller id is shown.
    pub identity_out: IdentityOut,
    /// Numbers that may be shown; the first exact one is the default.
    pub caller_ids: Vec<NumberPattern>,
    /// Form of numbers in our requests.
    pub uri: UriForm,
    /// Which header says who sent a call on.
    pub diversion_out: DiversionOut,
    /// Transfers and redirects.
    pub transfers: Transfers,
    /// Signed callers, theirs and ours.
    pub stir: Stir,
    /// `Reason` with a Q.850 cause is sent.
    pub reason_out: bool,
    /// Further headers handed to the engine, lower case.
    pub headers_in: BTreeSet<String>,
    /// Further headers the engine may send, lower case.
    pub headers_out: BTreeSet<String>,
}

/// Who may send a call elsewhere, and how (RFC 3515, RFC 3891, RFC 3261 §8.1.3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfers {
    /// What is made of the peer's REFER.
    pub refer_in: ReferIn,
    /// How ours are done.
    pub refer_out: ReferOut,
    /// Replaces may be sent.
    pub replaces_out: bool,
    /// What is made of a 3xx.
    pub redirect: Redirect,
}

/// Signed callers (RFC 8224, RFC 8588).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stir {
    /// What is made of theirs.
    pub incoming: StirIn,
    /// Who is believed.
    pub trust: Arc<Trust>,
    /// Where certificates may be fetched from.
    pub hosts: Vec<CertificateHost>,
    /// Signs ours.
    pub signer: Option<Signer>,
}

/// The word for a transport in listeners and peers.
pub(super) fn transport_word(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "udp",
        Transport::Tcp => "tcp",
        Transport::Tls => "tls",
    }
}

/// One peer of a trunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Its address or domain, port and transport.
    pub site: Site,
    /// Lower is tried first.
    pub priority: u16,
    /// Share of the draw inside one priority.
    pub weight: u16,
}

/// Encryption of a trunk's media.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrunkSrtp {
    /// Whether.
    pub policy: Srtp,
    /// In order of preference; at least one.
    pub suites: Vec<CryptoSuite>,
    /// The profile of our offers.
    pub offer: SrtpOffer,
    /// The keys may go over signalling that is not encrypted.
    pub without_tls: bool,
}

impl Host {
    /// Where and how, if it is written as an address.
    pub fn literal(&self) -> Option<(Transport, SocketAddr)> {
        let address: IpAddr = self.site.host.parse().ok()?;
        let carriage = self.site.carriage.unwrap_or(Carriage::Udp);
        let port = self.site.port.unwrap_or(default_port(carriage));
        Some((transport_of(carriage)?, SocketAddr::new(address, port)))
    }

    /// The transport that was written; UDP where that is left to DNS or to the default.
    pub fn transport(&self) -> Transport {
        let carriage = self.site.carriage.unwrap_or(Carriage::Udp);
        transport_of(carriage).unwrap_or(Transport::Udp)
    }
}

/// The transport that the endpoint knows it by; `None`: not in this version.
pub fn transport_of(carriage: Carriage) -> Option<Transport> {
    match carriage {
        Carriage::Udp => Some(Transport::Udp),
        Carriage::Tcp => Some(Transport::Tcp),
        Carriage::Tls => Some(Transport::Tls),
    }
}

/// The same the other way.
pub fn carriage_of(transport: Transport) -> Carriage {
    match transport {
        Transport::Udp => Carriage::Udp,
        Transport::Tcp => Carriage::Tcp,
        Transport::Tls => Carriage::Tls,
    }
}

/// Answers to digest challenges.
#[derive(Clone, PartialEq, Eq)]
pub struct Auth {
    /// User.
    pub username: String,
    /// Secret, read from its file.
    pub password: String,
    /// Challenges of this realm only; none: of any realm of the trunk's own addresses.
    pub realm: Option<String>,
}

/// Our registration at a carrier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Register {
    /// For how long each time.
    pub expires: Duration,
    /// One contact for all numbers (RFC 6140).
    pub is_bulk: bool,
    /// The carrier's domain; none: its hosts' addresses.
    pub domain: Option<String>,
}

/// Registrations of phones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptRegister {
    /// Who may.
    pub users: Arc<Users>,
    /// Phones at once.
    pub max: usize,
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Auth")
            .field("username", &self.username)
            .field("realm", &self.realm)
            .finish_non_exhaustive()
    }
}

impl Trunk {
    /// Whether a signalling source, or the target of a `sip:` dial, is inside `allow`.
    pub fn allows(&self, address: IpAddr) -> bool {
        self.allow.iter().any(|net| net.contains(address))
    }

    /// Whether RTP may come from there and go there.
    pub fn allows_media(&self, address: IpAddr) -> bool {
        self.media_allow.iter().any(|net| net.contains(address))
    }

    /// Whether that number may be shown as caller.
    pub fn may_show(&self, e164: &str) -> bool {
        self.caller_ids.iter().any(|pattern| pattern.matches(Some(e164)))
    }

    /// The caller id when a dial names none.
    pub fn default_caller_id(&self) -> Option<&str> {
        self.caller_ids.iter().find_map(NumberPattern::exact)
    }
}
