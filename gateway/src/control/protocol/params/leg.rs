//! Parameters of legs.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{is_false, params};
use crate::control::protocol::failure::Failure;
use crate::control::protocol::id::{Id, Name};
use crate::control::protocol::source::{Source, Sources, Tone};
use crate::control::protocol::text::{Digits, Headers, Text};
use crate::control::protocol::view::Db;
use crate::control::protocol::within::Within;
use crate::control::protocol::words::{
    CodecName, ControllerLostAction, DtmfMethod, EarlyMedia, MuteDirection, Privacy, RedirectReason,
};

/// A provisional status that a command may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgressStatus {
    /// 180.
    Ringing,
    /// 183.
    SessionProgress,
}

impl ProgressStatus {
    /// The number.
    pub const fn code(self) -> u16 {
        match self {
            Self::Ringing => 180,
            Self::SessionProgress => 183,
        }
    }
}

impl Serialize for ProgressStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u16(self.code())
    }
}

impl<'de> Deserialize<'de> for ProgressStatus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u16::deserialize(deserializer)? {
            180 => Ok(Self::Ringing),
            183 => Ok(Self::SessionProgress),
            _ => Err(de::Error::custom("must be 180 or 183")),
        }
    }
}

impl JsonSchema for ProgressStatus {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "ProgressStatus".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "enum": [180, 183] })
    }
}

/// What an unanswered caller hears.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EarlyPlay {
    /// The pieces.
    pub sources: Sources,
    /// Start again after the last piece.
    #[serde(rename = "loop", skip_serializing_if = "is_false")]
    pub repeat: bool,
    /// Loudness.
    pub gain_db: Db,
}

/// The object forms of an early play: `play.start`'s members, or one source.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EarlyPlayObject {
    sources: Option<Sources>,
    #[serde(rename = "loop", default)]
    repeat: bool,
    #[serde(default)]
    gain_db: Db,
    prompt: Option<Name>,
    tone: Option<Tone>,
    silence_ms: Option<Within<1, 3_600_000>>,
    music: Option<Name>,
}

impl EarlyPlayObject {
    fn into_play<E: de::Error>(self) -> Result<EarlyPlay, E> {
        let sources = match (self.sources, self.prompt, self.tone, self.silence_ms, self.music) {
            (Some(sources), None, None, None, None) => sources,
            (None, Some(prompt), None, None, None) => Sources(vec![Source::Prompt(prompt)]),
            (None, None, Some(tone), None, None) => Sources(vec![Source::Tone(tone)]),
            (None, None, None, Some(span), None) => Sources(vec![Source::SilenceMs(span)]),
            (None, None, None, None, Some(class)) => Sources(vec![Source::Music(class)]),
            _ => {
                return Err(E::custom(
                    "must have exactly one of `sources`, `prompt`, `tone`, `silence_ms`, `music`",
                ));
            }
        };
        Ok(EarlyPlay {
            sources,
            repeat: self.repeat,
            gain_db: self.gain_db,
        })
    }
}

impl<'de> Deserialize<'de> for EarlyPlay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyForm;
        impl AnyForm {
            fn of(sources: Sources) -> EarlyPlay {
                EarlyPlay {
                    sources,
                    repeat: false,
                    gain_db: Db::default(),
                }
            }
        }
        impl<'de> Visitor<'de> for AnyForm {
            type Value = EarlyPlay;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a source, a list of sources, or an object with `sources`")
            }
            fn visit_str<E: de::Error>(self, name: &str) -> Result<EarlyPlay, E> {
                Sources::deserialize(de::value::StrDeserializer::new(name)).map(Self::of)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<EarlyPlay, A::Error> {
                Sources::deserialize(de::value::SeqAccessDeserializer::new(list)).map(Self::of)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<EarlyPlay, A::Error> {
                EarlyPlayObject::deserialize(de::value::MapAccessDeserializer::new(map))?.into_play()
            }
        }
        deserializer.deserialize_any(AnyForm)
    }
}

impl JsonSchema for EarlyPlay {
    fn schema_name() -> Cow<'static, str> {
        "EarlyPlay".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (sources, gain) = (
            generator.subschema_for::<Sources>(),
            generator.subschema_for::<Db>(),
        );
        json_schema!({
            "description": "What an unanswered caller hears: a source, a list of sources, or an object.",
            "anyOf": [sources, {
                "type": "object",
                "properties": {
                    "sources": sources,
                    "loop": { "type": "boolean", "default": false, "description": "Start again after the last piece." },
                    "gain_db": gain,
                },
                "required": ["sources"],
                "additionalProperties": false,
            }],
        })
    }
}

params! {
    /// Sends 180, or 183 with early media, to an unanswered inbound leg.
    LegProgress {
        /// The leg.
        pub leg: Id,
        /// 180 or 183.
        pub status: ProgressStatus,
        /// What the caller hears; needs 183.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub play: Option<EarlyPlay>,
    }
    check fn check(&self) -> Result<(), Failure> {
        if self.play.is_some() && self.status != ProgressStatus::SessionProgress {
            return Err(Failure::invalid_params("params.play", "needs status 183"));
        }
        Ok(())
    }
}

params! {
    /// Answers an inbound leg.
    LegAnswer {
        /// The leg.
        pub leg: Id,
        /// Join this bridge.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub bridge: Option<Id>,
    }
}

params! {
    /// Refuses an unanswered inbound leg.
    LegReject {
        /// The leg.
        pub leg: Id,
        /// The SIP status.
        pub status: Within<400, 699>,
        /// The reason phrase.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub reason: Option<Text<128>>,
        /// Retry-After, seconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub retry_after_s: Option<Within<0, 86_400>>,
    }
}

/// Which number the callee is shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CallerId {
    /// The number; must be one of the trunk's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<Text<64>>,
    /// The display name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Text<128>>,
    /// Whether the number is withheld.
    #[serde(default = "shown")]
    pub privacy: Privacy,
}

fn shown() -> Privacy {
    Privacy::None
}

/// Who sends a call on, as the callee's side is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RedirectedBy {
    /// Its number: one the trunk may show, or one that the call itself brought.
    pub number: Text<64>,
    /// Why.
    #[serde(default = "unknown")]
    pub reason: RedirectReason,
}

fn unknown() -> RedirectReason {
    RedirectReason::Unknown
}

params! {
    /// Calls a number or a SIP address.
    LegDial {
        /// E.164, a `tel:` or a `sip:` URI.
        pub to: Text<256>,
        /// The trunk.
        pub trunk: Name,
        /// The call it joins; a new one when left out (with `bridge`, the bridge's).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub call: Option<Id>,
        /// The new leg's id.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub id: Option<Id>,
        /// What the callee is shown; the trunk's first number when left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub caller_id: Option<CallerId>,
        /// Who sends the call on, for trunks with `diversion_out`; when left out the number called, where the
        /// caller's own number is shown.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub redirected: Option<RedirectedBy>,
        /// Given up after so long, counted from the command.
        #[serde(default)]
        pub ring_timeout_ms: Within<1, 3_600_000, 60_000>,
        /// What is done with early media; as the trunk says when left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub early_media: Option<EarlyMedia>,
        /// The bridge it joins at once; it is audible once its media is up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub bridge: Option<Id>,
        /// Ask the phone to answer by itself.
        #[serde(default, skip_serializing_if = "is_false")]
        pub auto_answer: bool,
        /// More headers of the INVITE, as far as the trunk lets them pass.
        #[serde(default, skip_serializing_if = "Headers::is_empty")]
        pub headers: Headers,
        /// Codecs in order of wish; the trunk's when left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub codecs: Option<Vec<CodecName>>,
    }
    check fn check(&self) -> Result<(), Failure> {
        match &self.codecs {
            Some(codecs) if codecs.is_empty() || codecs.len() > CodecName::ALL.len() => {
                Err(Failure::invalid_params("params.codecs", "must name each codec once, and at least one"))
            }
            Some(_) | None => Ok(()),
        }
    }
}

params! {
    /// Ends a leg. An ended leg succeeds with `already_ended`.
    LegHangup {
        /// The leg.
        pub leg: Id,
        /// Q.850 cause told to the peer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub q850: Option<Within<1, 127>>,
        /// SIP status, where the leg is inbound and not answered; 480 when left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub sip: Option<Within<400, 699>>,
        /// For people.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub reason: Option<Text<128>>,
    }
}

/// What a held leg hears: left out the class `default`, null silence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HoldMusic {
    /// Music of a class.
    Class(Name),
    /// Nothing.
    Silence,
}

impl Default for HoldMusic {
    fn default() -> Self {
        Self::Class(Name::from("default"))
    }
}

impl Serialize for HoldMusic {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Class(class) => class.serialize(serializer),
            Self::Silence => serializer.serialize_none(),
        }
    }
}

impl<'de> Deserialize<'de> for HoldMusic {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::<Name>::deserialize(deserializer)?.map_or(Self::Silence, Self::Class))
    }
}

impl JsonSchema for HoldMusic {
    fn schema_name() -> Cow<'static, str> {
        "HoldMusic".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let class = generator.subschema_for::<Name>();
        json_schema!({ "description": "A class of music, or null for silence.", "anyOf": [class, { "type": "null" }] })
    }
}

params! {
    /// Holds a leg: it hears music only, and nobody hears it. Legal in every state but ended.
    LegHold {
        /// The leg.
        pub leg: Id,
        /// What it hears.
        #[serde(default)]
        pub music: HoldMusic,
        /// Also tell the peer by re-INVITE; the reply then has an `op`.
        #[serde(default, skip_serializing_if = "is_false")]
        pub signal: bool,
    }
}

params! {
    /// Ends a hold. A leg that is not held succeeds with `already`.
    LegResume {
        /// The leg.
        pub leg: Id,
        /// Also tell the peer by re-INVITE; the reply then has an `op`.
        #[serde(default, skip_serializing_if = "is_false")]
        pub signal: bool,
    }
}

params! {
    /// Silences a party, or what it hears.
    LegMute {
        /// The leg.
        pub leg: Id,
        /// Which way.
        pub direction: MuteDirection,
    }
}

params! {
    /// Ends a mute.
    LegUnmute {
        /// The leg.
        pub leg: Id,
        /// Which way.
        pub direction: MuteDirection,
    }
}

params! {
    /// Sends digits to the peer.
    LegSendDtmf {
        /// The leg.
        pub leg: Id,
        /// The digits.
        pub digits: Digits,
        /// Length of each digit.
        #[serde(default)]
        pub duration_ms: Within<40, 8_000, 100>,
        /// How; as agreed with the peer when left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub method: Option<DtmfMethod>,
    }
}

/// What happens when the application's last connection is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OnControllerLost {
    /// How long after the loss.
    pub after_ms: Within<0, 86_400_000>,
    /// What then.
    pub action: ControllerLostAction,
}

params! {
    /// Changes settings of a leg.
    LegSet {
        /// The leg.
        pub leg: Id,
        /// Gain of what the peer says.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub gain_rx_db: Option<Db>,
        /// Gain of what the peer hears.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub gain_tx_db: Option<Db>,
        /// What happens when the application's last connection is gone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub on_controller_lost: Option<OnControllerLost>,
        /// Ended after so long, counted from its answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub max_duration_ms: Option<Within<1, 604_800_000>>,
    }
}

params! {
    /// Measurements of a leg.
    LegStatsGet {
        /// The leg.
        pub leg: Id,
    }
}
