//! Values whose range is part of their type, and members that this version refuses.
//!
//! Knows nothing of the fields that use them.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// A whole number from `MIN` to `MAX`; `DEFAULT` is what `Default` gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Within<const MIN: u32, const MAX: u32, const DEFAULT: u32 = MIN>(u32);

impl<const MIN: u32, const MAX: u32, const DEFAULT: u32> Within<MIN, MAX, DEFAULT> {
    /// The number, if it is in range.
    pub const fn new(value: u32) -> Option<Self> {
        if MIN <= value && value <= MAX {
            Some(Self(value))
        } else {
            None
        }
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl<const MIN: u32, const MAX: u32, const DEFAULT: u32> Default for Within<MIN, MAX, DEFAULT> {
    fn default() -> Self {
        const { assert!(MIN <= DEFAULT && DEFAULT <= MAX) };
        Self(DEFAULT)
    }
}

impl<'de, const MIN: u32, const MAX: u32, const DEFAULT: u32> Deserialize<'de> for Within<MIN, MAX, DEFAULT> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Whole<const MIN: u32, const MAX: u32>;
        impl<const MIN: u32, const MAX: u32> Whole<MIN, MAX> {
            fn in_range<E: de::Error>(value: Option<u32>) -> Result<u32, E> {
                value
                    .filter(|value| (MIN..=MAX).contains(value))
                    .ok_or_else(|| E::custom(format_args!("must be from {MIN} to {MAX}")))
            }
        }
        impl<const MIN: u32, const MAX: u32> Visitor<'_> for Whole<MIN, MAX> {
            type Value = u32;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a whole number from {MIN} to {MAX}")
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<u32, E> {
                Self::in_range(u32::try_from(value).ok())
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<u32, E> {
                Self::in_range(u32::try_from(value).ok())
            }
        }
        deserializer.deserialize_any(Whole::<MIN, MAX>).map(Self)
    }
}

impl<const MIN: u32, const MAX: u32, const DEFAULT: u32> JsonSchema for Within<MIN, MAX, DEFAULT> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("Within{MIN}To{MAX}").into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": MIN, "maximum": MAX })
    }
}

/// A member that the contract names but this version refuses whatever its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Later {}

impl<'de> Deserialize<'de> for Later {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        de::IgnoredAny::deserialize(deserializer)?;
        Err(de::Error::custom("is not available in this version"))
    }
}

impl JsonSchema for Later {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Later".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "not": {} })
    }
}

/// The `fence` of a lease: refused, as there are no leases yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum NoFence {}

impl<'de> Deserialize<'de> for NoFence {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        de::IgnoredAny::deserialize(deserializer)?;
        Err(de::Error::custom("leases are not available in this version"))
    }
}

impl JsonSchema for NoFence {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "NoFence".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "not": {} })
    }
}

/// One value, or a list of at most 64.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct OneOrMany<T>(pub Vec<T>);

/// Longest list that [`OneOrMany`] takes.
pub const LIST_MAX: usize = 64;

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Either<T> {
            type Value = Vec<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a list of texts")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Vec<T>, E> {
                Ok(vec![T::deserialize(de::value::StrDeserializer::new(text))?])
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = list.next_element()? {
                    if values.len() == LIST_MAX {
                        return Err(de::Error::custom(format_args!(
                            "must have at most {LIST_MAX} entries"
                        )));
                    }
                    values.push(value);
                }
                Ok(values)
            }
        }
        deserializer.deserialize_any(Either(PhantomData)).map(Self)
    }
}

impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("OneOrMany{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [one, { "type": "array", "items": one, "maxItems": LIST_MAX }] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_outside_the_range_are_refused() {
        type Few = Within<2, 4>;
        assert_eq!(serde_json::from_str::<Few>("4").unwrap().get(), 4);
        for bad in ["1", "5", "-1", "99999999999", "3.5", "\"3\""] {
            assert!(serde_json::from_str::<Few>(bad).is_err(), "{bad}");
        }
        assert_eq!(Within::<1, 9, 7>::default().get(), 7);
    }

    #[test]
    fn lists_may_be_one_value() {
        assert_eq!(
            serde_json::from_str::<OneOrMany<String>>("\"a\"").unwrap().0,
            ["a"]
        );
        assert_eq!(
            serde_json::from_str::<OneOrMany<String>>("[\"a\",\"b\"]")
                .unwrap()
                .0,
            ["a", "b"]
        );
        let long = serde_json::to_string(&vec!["a"; LIST_MAX + 1]).unwrap();
        assert!(serde_json::from_str::<OneOrMany<String>>(&long).is_err());
    }
}
