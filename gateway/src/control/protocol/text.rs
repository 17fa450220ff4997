//! Bounded texts: what may end up in a SIP header never has a line break in it.
//!
//! Knows nothing of SIP beyond which characters a header name may have.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A text of 1 to `MAX` bytes without control characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Text<const MAX: usize>(Arc<str>);

impl<const MAX: usize> Text<MAX> {
    /// The text, if it is one.
    pub fn new(text: &str) -> Option<Self> {
        let fits = (1..=MAX).contains(&text.len()) && !text.chars().any(char::is_control);
        fits.then(|| Self(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> Serialize for Text<MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Text<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Self::new(&text).ok_or_else(|| {
            de::Error::custom(format_args!(
                "must be 1 to {MAX} bytes without control characters"
            ))
        })
    }
}

impl<const MAX: usize> JsonSchema for Text<MAX> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("Text{MAX}").into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "maxLength": MAX })
    }
}

/// Digits as a keypad has them: `0-9 * # A-D`, 1 to 64.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Digits(Arc<str>);

/// Longest row of digits.
pub const DIGITS_MAX: usize = 64;

impl Digits {
    /// The digits, letters in upper case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Serialize for Digits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Digits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'*' | b'#' | b'A'..=b'D' | b'a'..=b'd');
        if !(1..=DIGITS_MAX).contains(&text.len()) || !text.bytes().all(is_digit) {
            return Err(de::Error::custom(format_args!(
                "must be 1 to {DIGITS_MAX} of 0-9 * # A-D"
            )));
        }
        Ok(Self(text.to_ascii_uppercase().into()))
    }
}

impl JsonSchema for Digits {
    fn schema_name() -> Cow<'static, str> {
        "Digits".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "Digits as a keypad has them.",
            "pattern": "^[0-9*#A-Da-d]{1,64}$",
        })
    }
}

/// Makes a bounded text map with serde and schema.
macro_rules! text_map {
    ($(#[doc = $doc:literal])* $name:ident, max $max:literal, key $key_check:expr, value_bytes $value_max:literal, $error:literal) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
        #[serde(transparent)]
        pub struct $name(pub BTreeMap<String, String>);

        impl $name {
            /// Whether there is none.
            pub fn is_empty(&self) -> bool {
                self.0.is_empty()
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let map = BTreeMap::<String, String>::deserialize(deserializer)?;
                let key_is_good: fn(&str) -> bool = $key_check;
                let is_good = |(key, value): (&String, &String)| {
                    key_is_good(key) && value.len() <= $value_max && !value.chars().any(char::is_control)
                };
                if map.len() > $max || !map.iter().all(is_good) {
                    return Err(de::Error::custom($error));
                }
                Ok(Self(map))
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "type": "object",
                    "description": concat!($($doc),*).trim(),
                    "maxProperties": $max,
                    "additionalProperties": { "type": "string", "maxLength": $value_max },
                })
            }
        }
    };
}

text_map! {
    /// The application's own words on a call or leg: at most 64, names to 64 bytes, values to 1,024.
    Tags, max 64, key |key| (1..=64).contains(&key.len()) && !key.chars().any(char::is_control), value_bytes 1024,
    "must have at most 64 entries, names of 1 to 64 bytes, values of at most 1024 bytes, no control characters"
}

text_map! {
    /// SIP headers by name: at most 32, names to 64 bytes, values to 1,024.
    Headers, max 32, key is_header_name, value_bytes 1024,
    "must have at most 32 entries, names that are SIP tokens of at most 64 bytes, values of at most 1024 bytes, no control characters"
}

/// RFC 3261 §25.1, `token`.
fn is_header_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_can_carry_no_second_header() {
        assert!(serde_json::from_str::<Headers>(r#"{"X-Case":"77"}"#).is_ok());
        for bad in [
            r#"{"X-Case":"a\r\nVia: x"}"#,
            r#"{"X Case":"a"}"#,
            r#"{"X:Y":"a"}"#,
            r#"{"":"a"}"#,
        ] {
            assert!(serde_json::from_str::<Headers>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn tags_are_bounded() {
        let many: BTreeMap<String, String> = (0..65).map(|n| (format!("t{n}"), String::new())).collect();
        assert!(serde_json::from_value::<Tags>(serde_json::to_value(many).unwrap()).is_err());
        let long = serde_json::json!({ "a": "x".repeat(1025) });
        assert!(serde_json::from_value::<Tags>(long).is_err());
    }

    #[test]
    fn digits_are_those_of_a_keypad() {
        assert_eq!(
            serde_json::from_str::<Digits>("\"12*#a\"").unwrap().as_str(),
            "12*#A"
        );
        for bad in ["\"\"", "\"12x\"", "\"1 2\""] {
            assert!(serde_json::from_str::<Digits>(bad).is_err(), "{bad}");
        }
    }
}
