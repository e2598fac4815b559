use std::{fmt, marker::PhantomData};

use serde::{Deserialize, Deserializer, de};

/// A member that makes a difference between null and nothing.
pub(crate) enum Given<T> {
    Nothing,
    Null,
    Value(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Given<T> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_option(Nullable(PhantomData))
    }
}

struct Nullable<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> de::Visitor<'de> for Nullable<T> {
    type Value = Given<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value or null")
    }

    /// What `Absent` calls, and no reader of JSON does.
    fn visit_unit<E>(self) -> Result<Given<T>, E> {
        Ok(Given::Nothing)
    }

    fn visit_none<E>(self) -> Result<Given<T>, E> {
        Ok(Given::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, json: D) -> Result<Given<T>, D::Error> {
        T::deserialize(json).map(Given::Value)
    }
}
