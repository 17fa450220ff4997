//! What can be played: prompts, tones, silence, music. Knows nothing of how they sound.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::id::Name;
use super::within::Within;
use super::words::words;

/// Most pieces in one play.
pub const SOURCES_MAX: usize = 32;

/// One piece of a play. A bare text means a prompt.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(description = "One piece of a play. A bare text means a prompt.")]
pub enum Source {
    /// A prompt by its name.
    Prompt(Name),
    /// A tone.
    Tone(Tone),
    /// Silence, milliseconds.
    SilenceMs(Within<1, 3_600_000>),
    /// A class of music.
    Music(Name),
}

/// A tone.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Tone {
    /// One of the usual ones.
    Named(NamedTone),
    /// Any other.
    Custom(CustomTone),
}

words! {
    /// A usual tone.
    NamedTone {
        /// What a caller hears while the other side rings.
        Ringback = "ringback",
        /// Busy.
        Busy = "busy",
        /// One short beep.
        Beep = "beep",
        /// What a phone gives before the first digit.
        Dial = "dial",
    }
}

/// A tone of one or two frequencies.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct CustomTone {
    /// One or two frequencies, Hz, 20 to 3,900.
    pub hz: Vec<f32>,
    /// Level of each frequency, dBov (0 is full scale), −60 to 0; −16 when left out.
    pub level_dbov: f32,
    /// Spans of tone and pause in turn, milliseconds, at most 16; none: steady.
    pub cadence_ms: Vec<Within<1, 60_000>>,
    /// How long, milliseconds; none: until stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<Within<1, 3_600_000>>,
}

/// One source, or a list of 1 to 32.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Sources(pub Vec<Source>);

/// The members of the object form, of which exactly one is given.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceObject {
    prompt: Option<Name>,
    tone: Option<Tone>,
    silence_ms: Option<Within<1, 3_600_000>>,
    music: Option<Name>,
}

impl SourceObject {
    fn into_source<E: de::Error>(self) -> Result<Source, E> {
        match (self.prompt, self.tone, self.silence_ms, self.music) {
            (Some(prompt), None, None, None) => Ok(Source::Prompt(prompt)),
            (None, Some(tone), None, None) => Ok(Source::Tone(tone)),
            (None, None, Some(span), None) => Ok(Source::SilenceMs(span)),
            (None, None, None, Some(class)) => Ok(Source::Music(class)),
            _ => Err(E::custom(
                "must have exactly one of `prompt`, `tone`, `silence_ms`, `music`",
            )),
        }
    }
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrObject;
        impl<'de> Visitor<'de> for TextOrObject {
            type Value = Source;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "the name of a prompt, or an object with `prompt`, `tone`, `silence_ms` or `music`",
                )
            }
            fn visit_str<E: de::Error>(self, name: &str) -> Result<Source, E> {
                Name::deserialize(de::value::StrDeserializer::new(name)).map(Source::Prompt)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Source, A::Error> {
                SourceObject::deserialize(de::value::MapAccessDeserializer::new(map))?.into_source()
            }
        }
        deserializer.deserialize_any(TextOrObject)
    }
}

impl<'de> Deserialize<'de> for Sources {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrList;
        impl<'de> Visitor<'de> for OneOrList {
            type Value = Vec<Source>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a source or a list of sources")
            }
            fn visit_str<E: de::Error>(self, name: &str) -> Result<Vec<Source>, E> {
                Ok(vec![Source::deserialize(de::value::StrDeserializer::new(name))?])
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Vec<Source>, A::Error> {
                Ok(vec![Source::deserialize(de::value::MapAccessDeserializer::new(
                    map,
                ))?])
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<Source>, A::Error> {
                let mut sources = Vec::new();
                while let Some(source) = list.next_element()? {
                    if sources.len() == SOURCES_MAX {
                        return Err(de::Error::custom(format_args!(
                            "must have at most {SOURCES_MAX} sources"
                        )));
                    }
                    sources.push(source);
                }
                if sources.is_empty() {
                    return Err(de::Error::custom("must have at least one source"));
                }
                Ok(sources)
            }
        }
        deserializer.deserialize_any(OneOrList).map(Self)
    }
}

impl JsonSchema for Sources {
    fn schema_name() -> Cow<'static, str> {
        "Sources".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let object = generator.subschema_for::<Source>();
        let one =
            json_schema!({ "anyOf": [object, { "type": "string", "description": "The name of a prompt." }] });
        json_schema!({
            "description": "One source, or a list played in order. A bare text means a prompt.",
            "anyOf": [one, { "type": "array", "items": one, "minItems": 1, "maxItems": SOURCES_MAX }],
        })
    }
}

/// The object form of a custom tone.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToneObject {
    hz: Frequencies,
    level_dbov: Option<f32>,
    #[serde(default)]
    cadence_ms: Vec<Within<1, 60_000>>,
    duration_ms: Option<Within<1, 3_600_000>>,
}

/// One or two frequencies.
#[derive(Deserialize)]
#[serde(untagged)]
enum Frequencies {
    One(f32),
    List(Vec<f32>),
}

impl ToneObject {
    fn into_tone<E: de::Error>(self) -> Result<Tone, E> {
        let hz = match self.hz {
            Frequencies::One(hz) => vec![hz],
            Frequencies::List(list) => list,
        };
        if !(1..=2).contains(&hz.len()) || !hz.iter().all(|hz| (20.0..=3_900.0).contains(hz)) {
            return Err(E::custom("`hz` must be one or two frequencies from 20 to 3900"));
        }
        let level_dbov = self.level_dbov.unwrap_or(TONE_LEVEL_DBOV);
        if !(-60.0..=0.0).contains(&level_dbov) {
            return Err(E::custom("`level_dbov` must be from -60 to 0"));
        }
        if self.cadence_ms.len() > 16 {
            return Err(E::custom("`cadence_ms` must have at most 16 spans"));
        }
        let (cadence_ms, duration_ms) = (self.cadence_ms, self.duration_ms);
        Ok(Tone::Custom(CustomTone {
            hz,
            level_dbov,
            cadence_ms,
            duration_ms,
        }))
    }
}

/// Level of a tone that names none.
const TONE_LEVEL_DBOV: f32 = -16.0;

impl<'de> Deserialize<'de> for Tone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrObject;
        impl<'de> Visitor<'de> for TextOrObject {
            type Value = Tone;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a tone, or an object with `hz`")
            }
            fn visit_str<E: de::Error>(self, name: &str) -> Result<Tone, E> {
                NamedTone::deserialize(de::value::StrDeserializer::new(name)).map(Tone::Named)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Tone, A::Error> {
                ToneObject::deserialize(de::value::MapAccessDeserializer::new(map))?.into_tone()
            }
        }
        deserializer.deserialize_any(TextOrObject)
    }
}

impl JsonSchema for Tone {
    fn schema_name() -> Cow<'static, str> {
        "Tone".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let named = generator.subschema_for::<NamedTone>();
        json_schema!({
            "description": "A usual tone by name, or one or two frequencies.",
            "anyOf": [named, {
                "type": "object",
                "properties": {
                    "hz": {
                        "description": "One or two frequencies, Hz.",
                        "anyOf": [
                            { "type": "number", "minimum": 20, "maximum": 3900 },
                            { "type": "array", "items": { "type": "number", "minimum": 20, "maximum": 3900 },
                              "minItems": 1, "maxItems": 2 },
                        ],
                    },
                    "level_dbov": { "type": "number", "minimum": -60, "maximum": 0, "default": -16,
                        "description": "Level of each frequency, dBov (0 is full scale)." },
                    "cadence_ms": { "type": "array", "items": { "type": "integer", "minimum": 1, "maximum": 60000 },
                        "maxItems": 16, "description": "Spans of tone and pause in turn; none: steady." },
                    "duration_ms": { "type": "integer", "minimum": 1, "maximum": 3_600_000,
                        "description": "How long; none: until stopped." },
                },
                "required": ["hz"],
                "additionalProperties": false,
            }],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(json: &str) -> Result<Vec<Source>, serde_json::Error> {
        serde_json::from_str::<Sources>(json).map(|sources| sources.0)
    }

    #[test]
    fn a_bare_text_is_a_prompt() {
        let greeting = Source::Prompt("greeting".into());
        assert_eq!(sources(r#""greeting""#).unwrap(), std::slice::from_ref(&greeting));
        assert_eq!(
            sources(r#"["greeting",{"prompt":"greeting"}]"#).unwrap(),
            [greeting.clone(), greeting]
        );
    }

    #[test]
    fn takes_each_kind_of_source() {
        let list = sources(
            r#"[{"tone":"beep"},{"silence_ms":200},{"music":"default"},{"tone":{"hz":[350,440],"cadence_ms":[400,200]}}]"#,
        );
        let list = list.unwrap();
        assert_eq!(list[0], Source::Tone(Tone::Named(NamedTone::Beep)));
        assert_eq!(list[1], Source::SilenceMs(Within::new(200).unwrap()));
        assert_eq!(list[2], Source::Music("default".into()));
        let Source::Tone(Tone::Custom(tone)) = &list[3] else {
            panic!("{:?}", list[3])
        };
        assert_eq!(
            (tone.hz.as_slice(), tone.level_dbov),
            ([350.0, 440.0].as_slice(), -16.0)
        );
    }

    #[test]
    fn refuses_what_is_no_source() {
        for bad in [
            "[]",
            "3",
            "{}",
            r#"{"prompt":"a","music":"b"}"#,
            r#"{"file":"a"}"#,
            r#"{"tone":"siren"}"#,
            r#"{"tone":{"hz":[1,2,3]}}"#,
            r#"{"tone":{"hz":9000}}"#,
            r#"{"tone":{"hz":440,"level_dbov":3}}"#,
            r#"{"silence_ms":0}"#,
        ] {
            assert!(sources(bad).is_err(), "{bad}");
        }
        let long = serde_json::to_string(&vec!["a"; SOURCES_MAX + 1]).unwrap();
        assert!(sources(&long).is_err());
    }
}
