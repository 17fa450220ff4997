//! What a `[[trunk]]` may say.
//!
//! As in the rest of the file layer, comments and bounds are the documentation and the checks. A key with
//! a single value stands here so that a file can state it; its other values are not in this version.

mod words;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::words::*;

/// A carrier relation: peers and policy.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["name", "allow"]))]
pub struct Trunk {
    /// Its name, unique; letters, digits, `-`, `_` and `.`.
    #[schemars(length(min = 1, max = 64))]
    pub name: String,
    /// Carrier profile that the other keys start from; each may be written all the same. `media-gateway check`
    /// shows what comes of it.
    pub preset: Preset,
    /// What the file said itself and what the preset gave; filled in by the reader.
    #[serde(skip)]
    #[schemars(skip)]
    pub provenance: Provenance,
    /// Peers it is dialled at: `HOST:PORT;transport=udp|tcp|tls;priority=N;weight=N`. Priority and weight are 1
    /// where left out; a lower priority is tried first, inside one the weights share the calls. Of an
    /// address the port is 5060, with tls 5061, and the transport udp where left out; a domain is located by
    /// RFC 3263, and of what DNS says only addresses inside `allow` are used.
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
    /// SIP messages a second from one address of `allow`. Default: `limits.messages_per_second`.
    #[schemars(range(min = 10, max = 1_000_000))]
    pub messages_per_second: Option<u32>,
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
    /// Peers tried for one leg, those of `fallback` included.
    #[schemars(range(min = 1, max = 8))]
    pub attempts_max: u8,
    /// How long an INVITE waits for any answer, milliseconds (RFC 3261 timer B). With a second peer 4000
    /// is advised.
    #[schemars(range(min = 1000, max = 32_000))]
    pub timer_b_ms: u32,
    /// Answers the peer's digest challenges.
    pub auth: Option<Auth>,
    /// TLS: what its peers must show, and what we show them.
    pub tls: Option<super::tls::TrunkTls>,
    /// Asks the peer for digest credentials: every request outside a call must have them.
    pub challenge: Option<Challenge>,
    /// Registers `auth.username` at the first of `hosts` that takes it, and keeps it registered: calls go out
    /// only meanwhile. The domain is `from_host` where the trunk sets one, else the host's address.
    pub register: bool,
    /// For how long each time, seconds; it is refreshed after 80 to 90 % of what is granted.
    #[schemars(range(min = 60, max = 86_400))]
    pub register_expires_s: u32,
    /// Registers all numbers at once (RFC 6140).
    pub gin: bool,
    /// Phones may register here. Their other requests are asked for the same credentials, unless `challenge`
    /// says otherwise, and `leg.dial` to `sip:NAME` reaches the phones of that user.
    pub accept_register: Option<AcceptRegister>,
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
    /// How digits are sent, those that others press included; by tones also where a call agreed on no
    /// telephone-event. However they come, they are taken: in the audio they are listened for under `inband`, and
    /// where a call agreed on no telephone-event.
    pub dtmf: DtmfMethod,
    /// In order of preference.
    #[schemars(length(min = 1))]
    pub codecs: Vec<Codec>,
    /// Packet length sent, milliseconds: 10, 20, 30, 40 or 60.
    #[schemars(range(min = 10, max = 60))]
    pub ptime_ms: u8,
    /// How many of the common codecs our answer lists.
    pub answer_codecs: AnswerCodecs,
    /// Encryption of media by SRTP with keys in SDP (RFC 4568): `off`: an offer of RTP/SAVP is refused;
    /// `optional`: where the peer has it; `required`: or no call.
    pub srtp: Srtp,
    /// Suites of SRTP, in order of preference.
    #[schemars(length(min = 1))]
    pub srtp_suites: Vec<SrtpSuite>,
    /// How our offers ask for it: `savp`: a peer without it refuses; `avp`: with `optional` it may answer in
    /// clear.
    pub srtp_offer: SrtpOffer,
    /// Allows `srtp` though the keys go over signalling that is not encrypted, where whoever reads it reads
    /// the media.
    pub srtp_without_tls: bool,
    /// `strict`: RTP only from the address and port in SDP; `address`: from that address, its first steady port; `nat`: learned once inside `media_allow`.
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
    /// Adds `;user=phone` to numbers in `sip:` URIs that go out.
    pub user_phone: bool,
    /// Agent phones: their unanswered legs count as missed, not failed.
    pub agents: bool,
    /// Emergency calls of its `home_country` go here, whatever trunk a dial names, before and beyond every limit.
    /// Without any such trunk they are refused, with an alarm.
    pub emergency: bool,
    /// Limits against toll fraud: `{ calls_per_hour, minutes_per_day, redirects, prefix }`.
    pub fraud: super::fraud::Fraud,
    /// All-digit users of at most so many digits are extensions, not numbers; 0: none are.
    #[schemars(range(max = 8))]
    pub extensions: u8,
    /// P-Asserted-Identity and P-Preferred-Identity are taken from the peer, and a withheld number is given to
    /// it in the header of `identity_out`.
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
    /// Reliable provisional answers (RFC 3262), both ways: `supported` sends them to a caller that requires
    /// them; `required` to every caller, and one that has not the extension is told 421.
    pub rel100: Support,
    /// Session timers (RFC 4028): with `supported` a peer without them is asked by refreshes of ours
    /// whether it still lives; with `required` a caller without them is told 421.
    pub session_timer: Support,
    /// The session interval asked for, seconds; at least `min_se_s`.
    #[schemars(range(min = 5, max = 86_400))]
    pub session_expires_s: u32,
    /// The shortest session interval taken, seconds; below 90 for test beds only.
    #[schemars(range(min = 5, max = 86_400))]
    pub min_se_s: u32,
    /// Who refreshes where the peer leaves it open; `auto`: whoever wants the timer.
    pub refresher: Refresher,
    /// How a session is refreshed; `auto`: by UPDATE where the peer allows it.
    pub refresh_by: RefreshBy,
    /// REFER from the peer, which is never followed by itself. The event `leg.transfer_requested` comes either way;
    /// with `ask` `transfer.accept` takes it, and after 10 s without a word it is told 603.
    pub refer_in: ReferIn,
    /// How `transfer.blind` and `transfer.attended` are done: by a leg of ours, or by REFER.
    pub refer_out: ReferOut,
    /// Replaces (RFC 3891) stands in Supported and is sent: by REFER in an attended transfer, and in the INVITE
    /// of one that a peer asks for. An INVITE with it is taken in whatever this says.
    pub replaces_out: bool,
    /// 3xx answers, which are never followed: a failure. With `ask` `leg.ended` has the contacts, and the
    /// engine may dial one of them.
    pub redirect: Redirect,
    /// Fax over T.38.
    pub t38: T38,
    /// Form of numbers in Request-URI, From, To and the identity headers. `tel` with national numbers needs
    /// `home_country`.
    pub uri: UriForm,
    /// How the callee's side is told who sent a call on to us, or that we do.
    pub diversion_out: DiversionOut,
    /// What is made of a signed caller (STIR, RFC 8224). `require` refuses with 428, 436, 437, 438 or 403.
    pub stir_in: StirIn,
    /// Whether our caller ids are signed (SHAKEN, RFC 8588).
    pub stir_out: StirOut,
    /// File of the authorities whose certificates are believed, PEM.
    pub stir_anchors: Option<String>,
    /// Folder of signers' certificates, PEM: `HOST/PATH` in it is that of `https://HOST/PATH`. Read at the start; one
    /// that is not there is fetched only if `stir_hosts` lists its host.
    pub stir_certs: Option<String>,
    /// Hosts that signers' certificates may be fetched from over `https`, as `HOST` or `HOST:PORT`; empty: none is. A
    /// domain that leads to an address which is not public is not fetched from; an address in the list is.
    #[schemars(length(max = 64))]
    pub stir_hosts: Vec<String>,
    /// File of the key we sign with: P-256, PKCS #8, PEM.
    pub stir_key: Option<String>,
    /// Where others find our certificate: an `https` URL.
    #[schemars(length(min = 9, max = 512))]
    pub stir_x5u: Option<String>,
    /// The most we vouch for. Numbers that only a pattern of `caller_ids` allows get B at most, a caller who is sent on C.
    pub stir_attest: Option<StirAttest>,
}

impl Default for Trunk {
    fn default() -> Self {
        Trunk {
            name: String::new(),
            preset: Preset::Generic,
            provenance: Provenance::default(),
            hosts: Vec::new(),
            allow: Vec::new(),
            media_allow: None,
            calls: None,
            calls_in: None,
            calls_out: None,
            calls_per_second: None,
            messages_per_second: None,
            burst: 5,
            limit_status: 503,
            retry_after_s: 10,
            route_on: vec![408, 500, 502, 503, 504],
            fallback: Vec::new(),
            attempts_max: 4,
            timer_b_ms: 32_000,
            auth: None,
            tls: None,
            challenge: None,
            register: false,
            register_expires_s: 3600,
            gin: false,
            accept_register: None,
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
            srtp_suites: vec![SrtpSuite::AesCm128Sha1_80, SrtpSuite::AesCm128Sha1_32],
            srtp_offer: SrtpOffer::Savp,
            srtp_without_tls: false,
            media_source: MediaSource::Strict,
            media_timeout_s: 60,
            hold: HoldDirection::Sendonly,
            home_country: None,
            number_in: NumberIn::E164,
            number_out: NumberOut::E164Plus,
            prefix_out: String::new(),
            user_phone: false,
            agents: false,
            emergency: false,
            fraud: super::fraud::Fraud::default(),
            extensions: 0,
            identity_trusted: false,
            identity_out: IdentityOut::From,
            caller_ids: None,
            reason_out: true,
            headers_in: Vec::new(),
            headers_out: Vec::new(),
            rel100: Support::Supported,
            session_timer: Support::Supported,
            session_expires_s: sip::endpoint::policy::SESSION_EXPIRES_S,
            min_se_s: sip::endpoint::policy::MIN_SE_S,
            refresher: Refresher::Auto,
            refresh_by: RefreshBy::Auto,
            refer_in: ReferIn::Reject,
            refer_out: ReferOut::Bridge,
            replaces_out: false,
            redirect: Redirect::Refuse,
            t38: T38::Refuse,
            uri: UriForm::Sip,
            diversion_out: DiversionOut::Off,
            stir_in: StirIn::Pass,
            stir_out: StirOut::Off,
            stir_anchors: None,
            stir_certs: None,
            stir_hosts: Vec::new(),
            stir_key: None,
            stir_x5u: None,
            stir_attest: None,
        }
    }
}
