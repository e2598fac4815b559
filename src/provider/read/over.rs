use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Visitor},
};

/// Reads a value over one that is there already. Null leaves it as it is.
pub(crate) struct Over<'s, T>(pub(crate) &'s mut T);

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for Over<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_option(self)
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Over<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value or null")
    }

    fn visit_none<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        *self.0 = T::deserialize(json)?;
        Ok(())
    }
}
