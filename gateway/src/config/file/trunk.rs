//! What a `[[trunk]]` may say.
//!
//! As in the rest of the file layer, comments and bounds are the documentation and the checks. A key with
//! a single value stands here so that a file can state it; its other values are not in this version.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A carrier relation: peers and policy.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["name", "allow"]))]
pub struct Trunk {
    /// Its name, unique; letters, digits, `-`, `_` and `.`.
    #[schemars(length(min = 1, max = 64))]
    pub name: String,
    /// Carrier profile that the other keys start from.
    pub preset: Preset,
    /// Peers it is dialled at: `HOST:PORT;transport=udp|tcp;priority=N;weight=N`. Priority and weight are 1
    /// where left out; a lower priority is tried first, inside one the weights share the calls. Of an
    /// address the port is 5060 and the transport udp where left out; a domain is located by RFC 3263, and
    /// of what DNS says only addresses inside `allow` are used.
    #[schemars(length(max = 32))]
    pub hosts: Vec<String>,
    /// Networks (`10.0.0.0/8`) or addresses whose signalling is this trunk's, and where a `leg.dial` to a
    /// `sip:` URI may go. Of two trunks the longer prefix wins.
    #[schemars(length(min = 1, max = 1024))]
    pub allow: Vec<String>,
    /// Networks where RTP may come from and go to. Default: `allow`.
    #[schemars(length(min = 1, max = 1024))]
    pub media_allow: Option<Vec<String>>,
    /// Legs at once. Default: `limits.calls`.
    #[schemars(range(min = 1, max = 100_000))]
    pub calls: Option<u32>,
    /// Legs at once that the peer began. Default: `calls`.
    #[schemars(range(min = 0, max = 100_000))]
    pub calls_in: Option<u32>,
    /// Legs at once that we began. Default: `calls`.
    #[schemars(range(min = 0, max = 100_000))]
    pub calls_out: Option<u32>,
    /// New INVITEs a second. Default: `limits.calls_per_second`.
    #[schemars(range(min = 1, max = 10_000))]
    pub calls_per_second: Option<u32>,
    /// INVITEs that may come at once: the depth of the calls-per-second bucket.
    #[schemars(range(min = 1, max = 10_000))]
    pub burst: u32,
    /// The answer over a limit: 503 or 486.
    pub limit_status: u16,
    /// `Retry-After` in that answer, seconds.
    #[schemars(range(min = 1, max = 600))]
    pub retry_after_s: u32,
    /// Answers of a peer after which the next one is tried, out of 403 408 480 488 500 502 503 504.
    pub route_on: Vec<u16>,
    /// Trunks tried in turn when no peer here takes the call, each with its own limits and caller ids. They
    /// use the same `media_address`.
    #[schemars(length(max = 8))]
    pub fallback: Vec<String>,
    /// Peers tried for one leg.
    #[schemars(range(min = 1, max = 8))]
    pub attempts_max: u8,
    /// How long an INVITE waits for any answer, milliseconds (RFC 3261 timer B). With a second peer 4000
    /// is advised.
    #[schemars(range(min = 1000, max = 32_000))]
    pub timer_b_ms: u32,
    /// Answers the peer's digest challenges.
    pub auth: Option<Auth>,
    /// Health checks of the peers, seconds between OPTIONS: 10 to 600; 0: none.
    #[schemars(range(max = 600))]
    pub options_interval_s: u32,
    /// OPTIONS without an answer, or with 408 or 503, after which a peer is down.
    #[schemars(range(min = 1, max = 20))]
    pub options_down_after: u32,
    /// Answers after which it is up again.
    #[schemars(range(min = 1, max = 20))]
    pub options_up_after: u32,
    /// Which of `sip.listen` its messages leave by. Default: the first whose transport and address family fit.
    pub listen: Option<String>,
    /// Host in Via and Contact; if an address, also in SDP. Default: `sip.advertise`, `media.advertise`.
    pub advertise: Option<String>,
    /// Which of `media.address` its streams use. Default: the first.
    pub media_address: Option<String>,
    /// Host in Contact. Default: `advertise`.
    pub contact_host: Option<String>,
    /// Host in From. Default: `advertise`.
    pub from_host: Option<String>,
    /// Default of `leg.dial`: early media is heard by the bridge, or ringback is played instead.
    pub early_media: EarlyMedia,
    /// How digits are sent.
    pub dtmf: DtmfMethod,
    /// In order of preference.
    #[schemars(length(min = 1))]
    pub codecs: Vec<Codec>,
    /// Packet length sent, milliseconds: 10, 20, 30, 40 or 60.
    #[schemars(range(min = 10, max = 60))]
    pub ptime_ms: u8,
    /// How many of the common codecs our answer lists.
    pub answer_codecs: AnswerCodecs,
    /// Encryption of media.
    pub srtp: Srtp,
    /// `strict`: RTP only from the address and port in SDP; `nat`: learned once inside `media_allow`.
    pub media_source: MediaSource,
    /// A leg without RTP for so many seconds is ended: 5 to 3600; 0: never.
    #[schemars(range(max = 3600))]
    pub media_timeout_s: u32,
    /// Direction of our hold towards the peer; music reaches it with `sendonly` only.
    pub hold: HoldDirection,
    /// Region (ISO 3166) that numbers without `+` are read in. Default: none, only `+` numbers are read.
    pub home_country: Option<String>,
    /// How numbers come in: `e164` with or without `+`, `national` as dialled in `home_country`.
    pub number_in: NumberIn,
    /// How numbers go out.
    pub number_out: NumberOut,
    /// Digits put before every number that goes out.
    #[schemars(length(max = 16))]
    pub prefix_out: String,
    /// Adds `;user=phone` to numbers that go out.
    pub user_phone: bool,
    /// Agent phones: their unanswered legs count as missed, not failed.
    pub agents: bool,
    /// All-digit users of at most so many digits are extensions, not numbers; 0: none are.
    #[schemars(range(max = 8))]
    pub extensions: u8,
    /// P-Asserted-Identity is taken from the peer and given to it.
    pub identity_trusted: bool,
    /// Where the caller id is shown.
    pub identity_out: IdentityOut,
    /// Numbers that may be shown as caller: `+DIGITS`, `+DIGITS*`, or `*` where any may (agent phones).
    /// Default: the `[[number]]` entries that are one whole number.
    pub caller_ids: Option<Vec<String>>,
    /// Sends `Reason` with a Q.850 cause on BYE, CANCEL and refusals.
    pub reason_out: bool,
    /// Further header names handed to the engine.
    #[schemars(length(max = 32))]
    pub headers_in: Vec<String>,
    /// Further header names the engine may send.
    #[schemars(length(max = 32))]
    pub headers_out: Vec<String>,
    /// Reliable provisional answers (RFC 3262).
    pub rel100: Off,
    /// Session timers (RFC 4028).
    pub session_timer: Off,
    /// REFER from the peer.
    pub refer_in: ReferIn,
    /// How a transfer is done: by the gateway itself.
    pub refer_out: ReferOut,
    /// 3xx answers: a failure, never followed.
    pub redirect: Redirect,
    /// Fax over T.38.
    pub t38: T38,
    /// Form of numbers in Request-URI, From and To.
    pub uri: UriForm,
    /// Diversion or History-Info sent.
    pub diversion_out: Off,
}

impl Default for Trunk {
    fn default() -> Self {
        Trunk {
            name: String::new(),
            preset: Preset::Generic,
            hosts: Vec::new(),
            allow: Vec::new(),
            media_allow: None,
            calls: None,
            calls_in: None,
            calls_out: None,
            calls_per_second: None,
            burst: 5,
            limit_status: 503,
            retry_after_s: 10,
            route_on: vec![408, 500, 502, 503, 504],
            fallback: Vec::new(),
            attempts_max: 4,
            timer_b_ms: 32_000,
            auth: None,
            options_interval_s: 30,
            options_down_after: 3,
            options_up_after: 2,
            listen: None,
            advertise: None,
            media_address: None,
            contact_host: None,
            from_host: None,
            early_media: EarlyMedia::Connect,
            dtmf: DtmfMethod::Rfc4733,
            codecs: vec![Codec::Pcmu, Codec::Pcma],
            ptime_ms: 20,
            answer_codecs: AnswerCodecs::One,
            srtp: Srtp::Off,
            media_source: MediaSource::Strict,
            media_timeout_s: 60,
            hold: HoldDirection::Sendonly,
            home_country: None,
            number_in: NumberIn::E164,
            number_out: NumberOut::E164Plus,
            prefix_out: String::new(),
            user_phone: false,
            agents: false,
            extensions: 0,
            identity_trusted: false,
            identity_out: IdentityOut::From,
            caller_ids: None,
            reason_out: true,
            headers_in: Vec::new(),
            headers_out: Vec::new(),
            rel100: Off::Off,
            session_timer: Off::Off,
            refer_in: ReferIn::Reject,
            refer_out: ReferOut::Bridge,
            redirect: Redirect::Refuse,
            t38: T38::Refuse,
            uri: UriForm::Sip,
            diversion_out: Off::Off,
        }
    }
}

/// Answers to digest challenges.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// User.
    #[schemars(length(min = 1, max = 128))]
    pub username: String,
    /// File whose first line is the password.
    pub password_file: String,
    /// Only challenges of this realm are answered. Default: any realm of this trunk's own addresses.
    pub realm: Option<String>,
}

/// Declares an enum of the file: a word per variant, in lower case.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        pub enum $name { $($(#[$variant_meta])* #[serde(rename = $word)] $variant),+ }

        impl $name {
            /// The word the file uses.
            pub fn word(self) -> &'static str {
                match self { $($name::$variant => $word),+ }
            }
        }
    };
}

words! {
    /// A carrier profile.
    Preset {
        /// SIPconnect 2.0 as it stands.
        Generic = "generic",
    }
}
words! {
    /// What the bridge hears before the answer.
    EarlyMedia {
        /// The peer's early media.
        Connect = "connect",
        /// Our ringback.
        Ignore = "ignore",
    }
}
words! {
    /// How digits are sent.
    DtmfMethod {
        /// telephone-event.
        Rfc4733 = "rfc4733",
        /// Tones in the audio.
        Inband = "inband",
    }
}
words! {
    /// A codec.
    Codec {
        /// G.711 µ-law.
        Pcmu = "PCMU",
        /// G.711 A-law.
        Pcma = "PCMA",
    }
}
impl Codec {
    /// The codec as the packet path knows it.
    pub fn resolved(self) -> media::Codec {
        match self {
            Codec::Pcmu => media::Codec::Pcmu,
            Codec::Pcma => media::Codec::Pcma,
        }
    }
}

words! {
    /// How many codecs an answer lists.
    AnswerCodecs {
        /// The best one: some carriers change codec when two are left.
        One = "one",
        /// Every common one.
        All = "all",
    }
}
words! {
    /// Encryption of media.
    Srtp {
        /// None.
        Off = "off",
    }
}
words! {
    /// Which source of RTP is believed.
    MediaSource {
        /// Only the address and port in SDP.
        Strict = "strict",
        /// The first steady source inside the media networks, then only that one.
        Nat = "nat",
    }
}
words! {
    /// Direction of our hold.
    HoldDirection {
        /// The peer hears music.
        Sendonly = "sendonly",
        /// Nothing flows.
        Inactive = "inactive",
    }
}
words! {
    /// How numbers come in.
    NumberIn {
        /// E.164, a missing `+` is taken for granted.
        E164 = "e164",
        /// As dialled in the home country.
        National = "national",
    }
}
words! {
    /// How numbers go out.
    NumberOut {
        /// `+81312345678`.
        E164Plus = "e164_plus",
        /// `81312345678`.
        E164 = "e164",
        /// `0312345678`, for numbers of the home country.
        National = "national",
    }
}
words! {
    /// Where the caller id is shown.
    IdentityOut {
        /// P-Asserted-Identity and From.
        Pai = "pai",
        /// P-Preferred-Identity and From.
        Ppi = "ppi",
        /// From alone.
        From = "from",
    }
}
words! {
    /// Something that is off.
    Off {
        /// Off.
        Off = "off",
    }
}
words! {
    /// REFER from the peer.
    ReferIn {
        /// 405.
        Reject = "reject",
    }
}
words! {
    /// How a transfer is done.
    ReferOut {
        /// Here, by re-INVITE and bridge.
        Bridge = "bridge",
    }
}
words! {
    /// 3xx answers.
    Redirect {
        /// A failure.
        Refuse = "refuse",
    }
}
words! {
    /// Fax over T.38.
    T38 {
        /// Port 0 or 488; the audio goes on.
        Refuse = "refuse",
    }
}
words! {
    /// Form of numbers.
    UriForm {
        /// `sip:+81…@host`.
        Sip = "sip",
    }
}
