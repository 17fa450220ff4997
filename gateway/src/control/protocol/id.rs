//! Names of things: ids, idempotency keys, configured names. Knows nothing of what they name.

use std::borrow::Cow;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Longest id, key or name, bytes.
pub const ID_BYTES_MAX: usize = 64;

/// Why a text is no id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 64 characters of A-Z a-z 0-9 _ -")]
pub struct IdError;

fn is_id(text: &str) -> bool {
    (1..=ID_BYTES_MAX).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

/// Makes a shared-text newtype with serde and schema.
macro_rules! text_newtype {
    ($(#[doc = $doc:literal])* $name:ident, $check:expr, $pattern:literal, $error:literal) => {
        $(#[doc = $doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks the alphabet and the length.
            pub fn new(text: &str) -> Result<Self, IdError> {
                let check: fn(&str) -> bool = $check;
                if check(text) { Ok(Self(text.into())) } else { Err(IdError) }
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                &*self.0 == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                &*self.0 == *other
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<'de, str>::deserialize(deserializer)?;
                Self::new(&text).map_err(|_| de::Error::custom($error))
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "type": "string",
                    "description": concat!($($doc),*).trim(),
                    "pattern": $pattern,
                })
            }
        }
    };
}

text_newtype! {
    /// An id of a call, leg, bridge, recording or op. One name space over all kinds.
    Id, is_id, "^[A-Za-z0-9_-]{1,64}$", "must be 1 to 64 characters of A-Z a-z 0-9 _ -"
}

text_newtype! {
    /// An idempotency key, chosen by the client.
    Key, is_id, "^[A-Za-z0-9_-]{1,64}$", "must be 1 to 64 characters of A-Z a-z 0-9 _ -"
}

text_newtype! {
    /// A configured name: of a trunk, an application, a prompt, a music class.
    Name, |text| (1..=ID_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control),
    "^[^\\u0000-\\u001f\\u007f-\\u009f]{1,64}$", "must be 1 to 64 bytes without control characters"
}

impl Id {
    /// An id of our own making: a short prefix such as `c_` and a number.
    pub fn numbered(prefix: &'static str, number: u64) -> Self {
        let id = Self(format!("{prefix}{number:x}").into());
        debug_assert!(is_id(id.as_str()), "prefixes are of the id alphabet");
        id
    }
}

impl From<&str> for Name {
    /// Takes a name that the configuration has checked already.
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_alphabet_and_nothing_else() {
        for good in ["a", "l_a1", "consult-77-1", &"x".repeat(64)] {
            assert_eq!(Id::new(good).unwrap().as_str(), good);
        }
        for bad in ["", "a b", "ä", "a.b", "$0.leg", &"x".repeat(65)] {
            assert_eq!(Id::new(bad), Err(IdError), "{bad}");
        }
        assert_eq!(Id::numbered("c_", 255), "c_ff");
    }

    #[test]
    fn names_may_have_spaces_but_no_control_characters() {
        assert!(Name::new("my prompt.v2").is_ok());
        assert!(Name::new("a\nb").is_err());
        assert!(Name::new("").is_err());
    }
}
