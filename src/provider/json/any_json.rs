use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{
        DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer,
    },
};
use serde_json::{Map, Value};

/// The member name of a number, if the feature `arbitrary_precision` of `serde_json` is enabled.
pub(in crate::provider) const ARBITRARY_NUMBER: &str = "$serde_json::private::Number";

/// Decodes any JSON up to a number of levels of arrays and objects. Deeper values become null. They are skipped without
/// recursion, so that neither the stack nor the recursion limit of the parser is exceeded.
#[derive(Clone, Copy)]
pub(in crate::provider) struct Shallow {
    pub(in crate::provider) levels: u8,
}

impl Shallow {
    fn below(self) -> Option<Self> {
        self.levels.checked_sub(1).map(|levels| Self { levels })
    }
}

impl<'de> DeserializeSeed<'de> for Shallow {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Shallow {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Value, E> {
        Ok(truth.into())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let Some(below) = self.below() else {
            while items.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(Value::Null);
        };
        let mut read = Vec::new();
        while let Some(item) = items.next_element_seed(below)? {
            read.push(item);
        }
        Ok(read.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut read = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            match self.below() {
                Some(below) => drop(read.insert(name, members.next_value_seed(below)?)),
                None if name == ARBITRARY_NUMBER => {
                    drop(read.insert(name, members.next_value_seed(self)?));
                }
                None => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        Ok(number(&read).unwrap_or_else(|| self.below().map_or(Value::Null, |_| read.into())))
    }
}

fn number(members: &Map<String, Value>) -> Option<Value> {
    let digits = members.get(ARBITRARY_NUMBER).filter(|_| members.len() == 1)?.as_str()?;
    digits.parse().ok().map(Value::Number)
}

/// A type that can be decoded from any JSON.
pub(in crate::provider) trait AnyJson: Sized {
    /// The members of an object.
    type Members;

    fn of_object(members: Self::Members) -> Self;

    /// Creates a value from any other JSON, up to 64 levels deep.
    fn of_other(other: Value) -> Self;
}

/// The maximum depth of other JSON.
const LEVELS: u8 = 64;

/// Decodes any JSON.
pub(in crate::provider) fn any_json<'de, D, T>(json: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: AnyJson<Members: Deserialize<'de>>,
{
    json.deserialize_any(AnyJsonVisitor(PhantomData))
}

struct AnyJsonVisitor<T>(PhantomData<T>);

impl<'de, T: AnyJson<Members: Deserialize<'de>>> Visitor<'de> for AnyJsonVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
        T::Members::deserialize(MapAccessDeserializer::new(members)).map(T::of_object)
    }

    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(T::of_other(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<T, E> {
        Ok(T::of_other(value.into()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<T, E> {
        Ok(T::of_other(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<T, E> {
        Ok(T::of_other(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<T, E> {
        Ok(T::of_other(number.into()))
    }

    fn visit_str<E>(self, text: &str) -> Result<T, E> {
        Ok(T::of_other(text.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<T, A::Error> {
        Shallow { levels: LEVELS }.visit_seq(list).map(T::of_other)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(levels: u8, text: &str) -> serde_json::Result<Value> {
        let mut json = serde_json::Deserializer::from_str(text);
        let read = Shallow { levels }.deserialize(&mut json)?;
        json.end().map(|()| read)
    }

    #[test]
    fn shallow_json_is_decoded_unchanged() {
        let text =
            r#"{"a": [1, -2, 0.5, "x\n", true, null, 18446744073709551615, {}], "b": {"c": []}}"#;
        assert_eq!(read(3, text).unwrap(), serde_json::from_str::<Value>(text).unwrap());
        assert_eq!(read(2, text).unwrap()["a"][7], Value::Null);
        assert_eq!(read(1, text).unwrap(), json!({"a": null, "b": null}));
        assert_eq!(read(0, "7").unwrap(), json!(7));
    }

    #[test]
    fn deeply_nested_json_is_skipped() {
        for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
            let text = format!("{}1{}", open.repeat(200_000), close.repeat(200_000));
            assert!(read(64, &text).is_ok());
            assert!(read(64, &text[..300_000]).is_err(), "it has to be JSON all the same");
        }
    }

    #[test]
    fn arbitrary_precision_number_is_decoded_and_its_member_name_alone_is_an_error() {
        let read = |json: Value| Shallow { levels: 0 }.deserialize(json).unwrap();
        assert_eq!(read(json!({ARBITRARY_NUMBER: "12.5"})), json!(12.5));
        assert_eq!(read(json!({ARBITRARY_NUMBER: {"a": [1]}})), Value::Null);
        assert_eq!(read(json!({ARBITRARY_NUMBER: "twelve", "a": 1})), Value::Null);
    }
}
