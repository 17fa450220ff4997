//! The closed lists of words, each an enum. Knows nothing of who uses them.

/// Makes an enum of words: `as_str`, serde and schema from one list. Words after `later` belong to the
/// contract but to no version yet; they are refused by name.
macro_rules! words {
    ($(#[doc = $doc:literal])* $name:ident { $($(#[doc = $word_doc:literal])* $variant:ident = $word:literal),+ $(,)? }
     $(later [$($later:literal),+])?) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[doc = $word_doc])* $variant),+ }

        impl $name {
            /// Every word, in the order of the contract.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word as it is written.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl $name {
            /// What the word means, as the schema says it.
            pub const fn doc(self) -> &'static str {
                match self { $(Self::$variant => concat!($($word_doc),*)),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let word = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
                match &*word {
                    $($word => Ok(Self::$variant),)+
                    $($($later => Err(serde::de::Error::custom(
                        concat!("`", $later, "` is not available in this version"))),)+)?
                    _ => Err(serde::de::Error::custom(concat!("must be one of", $(" `", $word, "`"),+))),
                }
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> { stringify!($name).into() }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string",
                    "description": concat!($($doc),*).trim(),
                    "oneOf": [$({ "const": $word, "description": concat!($($word_doc),*).trim() }),+],
                })
            }
        }
    };
}
pub(super) use words;

words! {
    /// Why a dialled leg went to its trunk.
    Route {
        /// The command names it.
        Named = "named",
        /// The trunk that the command names was down.
        Fallback = "fallback",
        /// An emergency call: it takes such calls.
        Emergency = "emergency",
    }
}

words! {
    /// Which way a leg was set up, seen from the gateway.
    Direction {
        /// The peer called us.
        In = "in",
        /// We called the peer.
        Out = "out",
    }
}

words! {
    /// Where a leg stands.
    LegState {
        /// An INVITE came in; nothing but 100 was sent.
        Incoming = "incoming",
        /// Our INVITE is out; no 18x yet.
        Dialing = "dialing",
        /// 18x was sent or came.
        Ringing = "ringing",
        /// Answered.
        Answered = "answered",
        /// Over.
        Ended = "ended",
    }
}

words! {
    /// How a bridge carries audio; chosen by the gateway.
    BridgeMode {
        /// Two legs of one codec: packets pass through.
        Relay = "relay",
        /// Decoded, added up and encoded.
        Mix = "mix",
    }
}

words! {
    /// Which ways of a party are meant: `send` is what it says, `recv` what it hears.
    MuteDirection {
        /// Nobody hears the party.
        Send = "send",
        /// The party hears nobody.
        Recv = "recv",
        /// Both.
        Both = "both",
    }
}

words! {
    /// A direction of media, seen from the gateway.
    MediaDirection {
        /// From the peer to us.
        Rx = "rx",
        /// From us to the peer.
        Tx = "tx",
    }
}

words! {
    /// What a member of a bridge is.
    BridgeRole {
        /// Hears and is heard.
        Party = "party",
    } later ["monitor", "whisper"]
}

words! {
    /// What becomes of the members of a destroyed bridge.
    DestroyThen {
        /// They are hung up.
        Hangup = "hangup",
        /// They stay; hold and music go on.
        Park = "park",
    }
}

words! {
    /// What is done with a dialled party's early media.
    EarlyMedia {
        /// The bridge hears it.
        Connect = "connect",
        /// It is dropped; the bridge hears a ring tone.
        Ignore = "ignore",
    }
}

words! {
    /// A codec by its SDP name.
    CodecName {
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

words! {
    /// How digits are sent, or came.
    DtmfMethod {
        /// telephone-event packets.
        Rfc4733 = "rfc4733",
        /// SIP INFO.
        Info = "info",
        /// Tones in the audio.
        Inband = "inband",
    }
}

words! {
    /// What a digit interrupts.
    BargeIn {
        /// Any digit of a hearing party ends the play.
        Dtmf = "dtmf",
    }
}

words! {
    /// How a recording lays out its parties.
    RecordChannels {
        /// One channel per party.
        PerParty = "per_party",
    } later ["mix"]
}

words! {
    /// File format of a recording.
    RecordFormat {
        /// 16-bit PCM.
        Wav = "wav",
    } later ["opus"]
}

words! {
    /// What a recording holds beyond the rule.
    RecordInclude {
        /// What a muted party says.
        Muted = "muted",
        /// What a held party says.
        Held = "held",
    }
}

words! {
    /// What happens to a leg when its application's last connection is gone.
    ControllerLostAction {
        /// Nothing.
        Keep = "keep",
        /// Held with music.
        Music = "music",
        /// Hung up.
        Hangup = "hangup",
    } later ["fallback"]
}

words! {
    /// Which events a subscription brings.
    EventClass {
        /// Numbered events.
        State = "state",
        /// Measurements, at `stats_interval_ms`.
        Stats = "stats",
    }
}

words! {
    /// What a signed caller was found to be.
    StirVerdict {
        /// Vouched for, and for this call.
        Valid = "valid",
        /// Not looked into: the trunk passes it on.
        Unverified = "unverified",
        /// Not signed.
        Absent = "absent",
        /// Its certificate is in no file, and the trunk fetches none.
        CertificateUnknown = "certificate_unknown",
        /// Its certificate is where the trunk fetches nothing from.
        UrlNotListed = "url_not_listed",
        /// Its certificate could not be fetched, in time or at all.
        CertificateUnreachable = "certificate_unreachable",
        /// What was fetched is no certificate.
        CertificateUnusable = "certificate_unusable",
        /// Its certificate leads to no anchor, is out of date, or may not sign for this number.
        CertificateUntrusted = "certificate_untrusted",
        /// Unreadable, or the signature is wrong.
        Invalid = "invalid",
        /// Signed for another caller or another called party.
        Mismatch = "mismatch",
        /// Signed at another time.
        Stale = "stale",
    }
}

words! {
    /// Why a call was sent on (RFC 5806 §9, RFC 7544 §4.1).
    RedirectReason {
        /// Not said.
        Unknown = "unknown",
        /// Always.
        Unconditional = "unconditional",
        /// Busy.
        Busy = "busy",
        /// Nobody answered.
        NoAnswer = "no_answer",
        /// Sent on by the called party while it rang, or at once.
        Deflection = "deflection",
        /// Not reachable.
        Unavailable = "unavailable",
    }
}

words! {
    /// Whether the caller's number is withheld.
    Privacy {
        /// Shown.
        None = "none",
        /// Withheld from the far end (RFC 3323, 3325).
        Id = "id",
    }
}

words! {
    /// Who did it, where it was no command.
    CauseBy {
        /// The SIP peer.
        Peer = "peer",
        /// A deadline.
        Timer = "timer",
        /// A rule of the configuration.
        Policy = "policy",
        /// Something broke.
        Fault = "fault",
    }
}

words! {
    /// Who ended a leg.
    EndedBy {
        /// The SIP peer.
        Peer = "peer",
        /// A command.
        Control = "control",
        /// A deadline.
        Timer = "timer",
        /// A rule of the configuration.
        Policy = "policy",
        /// Something broke.
        Fault = "fault",
    }
}

words! {
    /// Why a leg ended.
    EndReason {
        /// A normal end of an answered leg.
        Completed = "completed",
        /// Given up by the calling side before the answer.
        Cancelled = "cancelled",
        /// Nobody answered in time.
        NoAnswer = "no_answer",
        /// 486 or 600.
        Busy = "busy",
        /// Declined by a person.
        Rejected = "rejected",
        /// No such number.
        NotFound = "not_found",
        /// The peer does not allow it.
        NotAllowed = "not_allowed",
        /// No peer could be reached.
        Unreachable = "unreachable",
        /// No RTP for too long.
        MediaTimeout = "media_timeout",
        /// The session timer ran out.
        SessionExpired = "session_expired",
        /// The longest length allowed.
        MaxDuration = "max_duration",
        /// A limit was full.
        Limit = "limit",
        /// The gateway is being emptied.
        Draining = "draining",
        /// The application's last connection was gone.
        ControllerLost = "controller_lost",
        /// Anything else.
        Failed = "failed",
    }
}

words! {
    /// How long work came out.
    OpOutcome {
        /// Done.
        Ok = "ok",
        /// Not done.
        Failed = "failed",
        /// Given up by a command or by the end of its leg.
        Cancelled = "cancelled",
    }
}

words! {
    /// What kind of work an op is.
    OpKind {
        /// `leg.dial`.
        Dial = "dial",
        /// `play.start`.
        Play = "play",
        /// `collect.start`.
        Collect = "collect",
        /// `leg.send_dtmf`.
        Dtmf = "dtmf",
        /// `leg.hold` or `leg.resume` with `signal`.
        Signal = "signal",
        /// `transfer.blind`, `transfer.attended` or `transfer.accept`.
        Transfer = "transfer",
    }
}

words! {
    /// Whether long work goes on.
    OpState {
        /// It goes on.
        Running = "running",
        /// Its clock stands still.
        Paused = "paused",
    }
}

words! {
    /// Why a play ended.
    PlayEndedWhy {
        /// Its last piece was heard.
        Completed = "completed",
        /// By `play.stop`.
        Stopped = "stopped",
        /// By a digit.
        BargeIn = "barge_in",
        /// Its hearer is gone.
        LegEnded = "leg_ended",
        /// It could not be played.
        Failed = "failed",
    }
}

words! {
    /// Why collecting ended.
    CollectEndedWhy {
        /// `max` digits came.
        Max = "max",
        /// A terminator came.
        Terminator = "terminator",
        /// No first digit in time.
        FirstTimeout = "first_timeout",
        /// No next digit in time.
        InterTimeout = "inter_timeout",
        /// By a command.
        Stopped = "stopped",
        /// The leg is gone.
        LegEnded = "leg_ended",
    }
}

words! {
    /// Why a leg left a bridge.
    BridgeLeftWhy {
        /// By `bridge.remove` or `bridge.replace`.
        Removed = "removed",
        /// By `bridge.move`.
        Moved = "moved",
        /// The leg is gone.
        LegEnded = "leg_ended",
        /// The bridge is gone.
        Destroyed = "destroyed",
    }
}

words! {
    /// Why a call was throttled; a metric's label.
    ThrottleReason {
        /// The instance has as many calls as it may.
        LimitCalls = "limit_calls",
        /// The instance takes no more calls this second.
        LimitCps = "limit_cps",
        /// No RTP port is free.
        LimitPorts = "limit_ports",
        /// The trunk has as many legs as it may.
        TrunkCalls = "trunk_calls",
        /// The trunk takes no more calls this second.
        TrunkCps = "trunk_cps",
        /// More messages than can be looked at.
        Overload = "overload",
        /// The gateway is being emptied.
        Draining = "draining",
    }
}

words! {
    /// How a call failed; a metric's label.
    FailedClass {
        /// No answer of ours or theirs that is below.
        Error = "error",
        /// The number does not exist.
        BadNumber = "bad_number",
        /// Busy.
        Busy = "busy",
        /// Nobody answered.
        NoAnswer = "no_answer",
        /// An agent did not answer.
        Missed = "missed",
    }
}

words! {
    /// Where a recording stands.
    RecordingState {
        /// It grows.
        Recording = "recording",
        /// It grows by silence.
        Paused = "paused",
        /// Its tracks are being joined.
        Stopping = "stopping",
        /// On disk.
        Stored = "stored",
        /// It could not be kept.
        Failed = "failed",
    }
}

words! {
    /// Whether a trunk can be used.
    TrunkState {
        /// It can.
        Up = "up",
        /// It cannot.
        Down = "down",
    }
}

words! {
    /// Whether calls go to a peer.
    PeerState {
        /// They do.
        Up = "up",
        /// It does not answer.
        Down = "down",
        /// It asked for a pause (503 with Retry-After).
        Resting = "resting",
    }
}

words! {
    /// What the number policy says.
    Decision {
        /// The number may be dialled.
        Allow = "allow",
        /// It may not.
        Deny = "deny",
    }
}

words! {
    /// Where a caller's number was read.
    NumberSource {
        /// P-Asserted-Identity of a trusted trunk.
        PAssertedIdentity = "pai",
        /// P-Preferred-Identity of a trusted trunk.
        PPreferredIdentity = "ppi",
        /// The From header.
        From = "from",
    }
}

words! {
    /// Why a resume could not be honoured.
    NotResumed {
        /// The gateway started anew, or the cursor is ahead of it.
        EpochChanged = "epoch_changed",
        /// The journal no longer holds what is missing.
        TooOld = "too_old",
    }
}

words! {
    /// How a trace writes numbers and names.
    TraceNumbers {
        /// The last two digits of a number, no name.
        Masked = "masked",
        /// As they are.
        Shown = "shown",
    }
}

#[expect(clippy::derivable_impls, reason = "the list of words derives no default")]
impl Default for TraceNumbers {
    fn default() -> Self {
        TraceNumbers::Masked
    }
}

words! {
    /// Why a trace is over.
    TraceEndedWhy {
        /// Its time was over.
        Time = "time",
        /// A command.
        Stopped = "stopped",
        /// It had as many messages as a trace may have.
        Messages = "messages",
        /// It had as many bytes as a trace may have.
        Bytes = "bytes",
        /// A file could not be written.
        Failed = "failed",
    }
}
