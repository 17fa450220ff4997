//! The words and the small tables that a `[[trunk]]` is made of.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where the values of a trunk come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provenance {
    /// Keys that the file has.
    pub own: Vec<String>,
    /// Keys that the preset gave, as `key = value`.
    pub preset: Vec<String>,
    /// What the preset would give and this version has not.
    pub missing: Vec<String>,
    /// What of the preset nobody has confirmed with the carrier.
    pub unconfirmed: Vec<String>,
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

/// Credentials that are asked for.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Challenge {
    /// File with a line `user:realm:HASH` for each user, as `htdigest` writes it: HASH is that of
    /// `user:realm:password` in hex, MD5 (32 digits) or SHA-256 (64); a user may have a line for each. SHA-256
    /// is asked for where all users have one. Must not be readable by everyone.
    pub users_file: String,
    /// The realm; lines of other realms are left alone.
    #[schemars(length(min = 1, max = 128))]
    pub realm: String,
}

/// Registrations that are taken.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptRegister {
    /// Who may register, as in `challenge`; each user his own name.
    pub users_file: String,
    /// The realm.
    #[schemars(length(min = 1, max = 128))]
    pub realm: String,
    /// Phones registered at once; one user has at most 8.
    #[serde(default = "accept_register_max")]
    #[schemars(range(min = 1, max = 100_000))]
    pub max: u32,
}

fn accept_register_max() -> u32 {
    1000
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
        /// Twilio Elastic SIP Trunking.
        Twilio = "twilio",
        /// Telnyx.
        Telnyx = "telnyx",
        /// Bandwidth.
        Bandwidth = "bandwidth",
        /// Amazon Chime SDK Voice Connector.
        Chime = "chime",
        /// Microsoft Teams Direct Routing: TLS and SRTP only.
        Teams = "teams",
        /// A Japanese user line.
        Japan = "japan",
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
        /// SIP INFO.
        Info = "info",
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
        /// G.722, 16 kHz audio.
        G722 = "G722",
        /// Opus.
        Opus = "opus",
    }
}
impl Codec {
    /// The codec as the packet path knows it.
    pub fn resolved(self) -> media::Codec {
        match self {
            Codec::Pcmu => media::Codec::Pcmu,
            Codec::Pcma => media::Codec::Pcma,
            Codec::G722 => media::Codec::G722,
            Codec::Opus => media::Codec::Opus,
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
        /// Where the peer has it.
        Optional = "optional",
        /// Always, or the call is refused.
        Required = "required",
    }
}
words! {
    /// A cipher with its authentication.
    SrtpSuite {
        /// RFC 4568 §6.2.1.
        AesCm128Sha1_80 = "AES_CM_128_HMAC_SHA1_80",
        /// RFC 4568 §6.2.2.
        AesCm128Sha1_32 = "AES_CM_128_HMAC_SHA1_32",
        /// RFC 6188.
        Aes256CmSha1_80 = "AES_256_CM_HMAC_SHA1_80",
        /// RFC 6188.
        Aes256CmSha1_32 = "AES_256_CM_HMAC_SHA1_32",
        /// RFC 7714.
        AeadAes128Gcm = "AEAD_AES_128_GCM",
        /// RFC 7714.
        AeadAes256Gcm = "AEAD_AES_256_GCM",
    }
}
impl SrtpSuite {
    /// The suite as SDP knows it.
    pub fn resolved(self) -> sip::sdp::CryptoSuite {
        use sip::sdp::CryptoSuite;
        match self {
            SrtpSuite::AesCm128Sha1_80 => CryptoSuite::AesCm128Sha1_80,
            SrtpSuite::AesCm128Sha1_32 => CryptoSuite::AesCm128Sha1_32,
            SrtpSuite::Aes256CmSha1_80 => CryptoSuite::Aes256CmSha1_80,
            SrtpSuite::Aes256CmSha1_32 => CryptoSuite::Aes256CmSha1_32,
            SrtpSuite::AeadAes128Gcm => CryptoSuite::AeadAes128Gcm,
            SrtpSuite::AeadAes256Gcm => CryptoSuite::AeadAes256Gcm,
        }
    }
}

words! {
    /// The profile of our offers.
    SrtpOffer {
        /// RTP/SAVP.
        Savp = "savp",
        /// RTP/AVP with keys.
        Avp = "avp",
    }
}
words! {
    /// Which source of RTP is believed.
    MediaSource {
        /// Only the address and port in SDP.
        Strict = "strict",
        /// The address in SDP, and there the first steady port.
        Address = "address",
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
    /// How far an extension is wanted.
    Support {
        /// Not spoken; a caller that requires it is told 420.
        Off = "off",
        /// Spoken with peers that have it.
        Supported = "supported",
        /// Peers must have it.
        Required = "required",
    }
}
words! {
    /// Who refreshes a session.
    Refresher {
        /// Whoever wants the timer.
        Auto = "auto",
        /// We do.
        Us = "us",
        /// The peer does.
        Peer = "peer",
    }
}
words! {
    /// How a session is refreshed.
    RefreshBy {
        /// By UPDATE where the peer allows it, else by re-INVITE.
        Auto = "auto",
        /// By UPDATE.
        Update = "update",
        /// By re-INVITE with the session as it is.
        Reinvite = "reinvite",
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
        /// 405; the engine is told.
        Reject = "reject",
        /// The engine decides.
        Ask = "ask",
    }
}
words! {
    /// How a transfer is done.
    ReferOut {
        /// Here: a leg of ours takes the place.
        Bridge = "bridge",
        /// The peer is asked by REFER, and where it refuses it is done here.
        Send = "send",
    }
}
words! {
    /// 3xx answers.
    Redirect {
        /// A failure.
        Refuse = "refuse",
        /// A failure, whose contacts the engine is told.
        Ask = "ask",
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
        /// `tel:+81…`.
        Tel = "tel",
    }
}
words! {
    /// Which header says who sent a call on.
    DiversionOut {
        /// None.
        Off = "off",
        /// Diversion (RFC 5806).
        Diversion = "diversion",
        /// History-Info (RFC 7044).
        HistoryInfo = "history_info",
    }
}
words! {
    /// What is made of a signed caller.
    StirIn {
        /// It is not looked at.
        Off = "off",
        /// What it claims is told, unverified.
        Pass = "pass",
        /// It is verified, and the verdict told.
        Verify = "verify",
        /// Calls without a valid one are refused.
        Require = "require",
    }
}
words! {
    /// Whether our caller ids are signed.
    StirOut {
        /// They are not.
        Off = "off",
        /// They are.
        Sign = "sign",
    }
}
words! {
    /// What a signer vouches for.
    StirAttest {
        /// Customer and number.
        A = "A",
        /// The customer.
        B = "B",
        /// That the call entered here.
        C = "C",
    }
}
