use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};

/// Reads a JSON object. The derive of serde would also take an array of the members' values for one.
pub(super) fn object<'de, D, T>(json: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    json.deserialize_map(Object(PhantomData))
}

/// Reads `null` as the default.
pub(super) fn null_is_default<'de, D, T>(json: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::deserialize(json).map(Option::unwrap_or_default)
}

/// Reads `null`, too, by way of `T`, so that it is not the same as nothing.
pub(super) fn null_is_something<'de, D, T>(json: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(json).map(Some)
}

struct Object<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Pair {
        left: u8,
        #[serde(default, deserialize_with = "null_is_default")]
        right: u8,
    }

    #[test]
    fn an_array_is_not_an_object() {
        let mut json = serde_json::Deserializer::from_str("[1, 2]");
        let error = object::<_, Pair>(&mut json).unwrap_err();
        assert!(error.to_string().contains("expected an object"), "{error}");
    }

    #[test]
    fn null_and_nothing_are_the_default() {
        for text in [r#"{"left": 1, "right": null}"#, r#"{"left": 1}"#] {
            let mut json = serde_json::Deserializer::from_str(text);
            let pair: Pair = object(&mut json).unwrap();
            assert_eq!((pair.left, pair.right), (1, 0));
        }
    }
}
