//! Parameters of calls.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::params;
use crate::control::protocol::failure::Failure;
use crate::control::protocol::id::Id;
use crate::control::protocol::text::Text;
use crate::control::protocol::within::Within;

params! {
    /// Puts tags on a call; earlier ones of other names stay.
    CallTag {
        /// The call.
        pub call: Id,
    }
    check fn check(&self) -> Result<(), Failure> {
        if self.tags.is_empty() {
            return Err(Failure::invalid_params("params.tags", "must have at least one entry"));
        }
        Ok(())
    }
}

/// What the peers are told at the end of a call.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct EndCause {
    /// Q.850 cause.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub q850: Option<Within<1, 127>>,
    /// SIP status for legs that are not answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sip: Option<Within<400, 699>>,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text<128>>,
}

/// The object form of a cause.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct EndCauseObject {
    /// Q.850 cause.
    q850: Option<Within<1, 127>>,
    /// SIP status for legs that are not answered.
    sip: Option<Within<400, 699>>,
    /// For people.
    reason: Option<Text<128>>,
}

impl<'de> Deserialize<'de> for EndCause {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrObject;
        impl<'de> Visitor<'de> for NumberOrObject {
            type Value = EndCause;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a Q.850 cause, or an object with `q850`, `sip` or `reason`")
            }
            fn visit_u64<E: de::Error>(self, cause: u64) -> Result<EndCause, E> {
                let q850 = Within::deserialize(de::value::U64Deserializer::new(cause))?;
                Ok(EndCause {
                    q850: Some(q850),
                    sip: None,
                    reason: None,
                })
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<EndCause, A::Error> {
                let EndCauseObject { q850, sip, reason } =
                    EndCauseObject::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(EndCause { q850, sip, reason })
            }
        }
        deserializer.deserialize_any(NumberOrObject)
    }
}

impl JsonSchema for EndCause {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "EndCause".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (number, object) = (
            generator.subschema_for::<Within<1, 127>>(),
            generator.subschema_for::<EndCauseObject>(),
        );
        json_schema!({ "description": "A Q.850 cause, or an object.", "anyOf": [number, object] })
    }
}

params! {
    /// Hangs up every leg of a call. An ended call succeeds with `already_ended`.
    CallEnd {
        /// The call.
        pub call: Id,
        /// What the peers are told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub cause: Option<EndCause>,
    }
}
