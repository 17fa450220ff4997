//! Who did it. Knows nothing of what was done.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::id::Name;
use super::words::CauseBy;

/// Who caused an event: a command of an application, or something that is no command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A command.
    Command {
        /// Whose.
        app: Name,
        /// The method.
        cmd: &'static str,
    },
    /// No command.
    By(CauseBy),
}

impl Serialize for Cause {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self {
            Self::Command { app, cmd } => {
                map.serialize_entry("app", app)?;
                map.serialize_entry("cmd", cmd)?;
            }
            Self::By(by) => map.serialize_entry("by", by)?,
        }
        map.end()
    }
}

impl JsonSchema for Cause {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Cause".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (app, by) = (
            generator.subschema_for::<Name>(),
            generator.subschema_for::<CauseBy>(),
        );
        json_schema!({
            "description": "Who caused it: `app` and `cmd`, or `by`.",
            "oneOf": [
                { "type": "object", "required": ["app", "cmd"],
                  "properties": { "app": app, "cmd": { "type": "string", "description": "The method." } } },
                { "type": "object", "required": ["by"], "properties": { "by": by } },
            ],
        })
    }
}
