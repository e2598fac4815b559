//! A parsed body that can be decoded more than once, and past invalid values.

use std::{borrow::Cow, fmt, slice};

use serde::{
    Deserialize, Deserializer,
    de::{
        self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor,
        value::{BorrowedStrDeserializer, MapAccessDeserializer},
    },
    forward_to_deserialize_any,
};
use serde_json::{Error, Number, Value};

use super::{is_lenient, list_coerced, within};
use crate::provider::json::{ARBITRARY_NUMBER, Name, json_path};

/// The maximum depth of a body. `serde_json` accepts 128 levels.
const LEVELS: u8 = 120;

/// A JSON value. Objects keep the order of members, and repeated members.
pub(in crate::provider) enum Node<'de> {
    Null,
    Bool(bool),
    Number(Number),
    Text(Cow<'de, str>),
    List(Vec<Node<'de>>),
    Object(Vec<(Cow<'de, str>, Node<'de>)>),
    /// A value beyond the maximum depth. It can be ignored, but not decoded.
    TooDeep,
}

impl<'de> Deserialize<'de> for Node<'de> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        Levels(LEVELS).deserialize(json)
    }
}

/// Converts an unknown value that was kept.
impl<'de> From<&'de Value> for Node<'de> {
    fn from(value: &'de Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) => Self::Number(number.clone()),
            Value::String(text) => Self::Text(Cow::Borrowed(text)),
            Value::Array(items) => Self::List(items.iter().map(Self::from).collect()),
            Value::Object(members) => Self::of_members(members),
        }
    }
}

impl<'de> Node<'de> {
    /// Creates an object of members that were kept.
    pub(in crate::provider) fn of_members<N: AsRef<str> + 'de>(
        members: impl IntoIterator<Item = (&'de N, &'de Value)>,
    ) -> Self {
        let members = members.into_iter();
        Self::Object(
            members.map(|(name, value)| (Cow::Borrowed(name.as_ref()), value.into())).collect(),
        )
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(number) if number.is_f64() => "a number with a decimal point",
            Self::Number(_) => "an integer",
            Self::Text(_) => "a string",
            Self::List(_) => "an array",
            Self::Object(_) => "an object",
            Self::TooDeep => "deeper nesting",
        }
    }

    /// Returns the number in a string, if a number is expected in the provider's own types.
    fn as_number(&self) -> Option<Number> {
        let Self::Text(text) = self else { return None };
        is_lenient().then(|| serde_json::from_str(text.trim()).ok())?
    }

    /// Returns the integer in a string or in a number with a decimal point, if an integer is expected.
    fn as_integer(&self) -> Option<Number> {
        let number = match self {
            Self::Number(number) if number.is_f64() && is_lenient() => number.clone(),
            other => other.as_number()?,
        };
        if !number.is_f64() {
            return Some(number);
        }
        let whole = number.as_f64().filter(|value| value.fract() == 0.0 && value.abs() < 1e15)?;
        #[expect(clippy::cast_possible_truncation, reason = "whole and below 2^53")]
        Some(Number::from(whole as i64))
    }

    /// Returns the boolean in a string, if a boolean is expected. Python writes `True`.
    fn as_bool(&self) -> Option<bool> {
        let Self::Text(text) = self else { return None };
        let is = |word: &str| text.eq_ignore_ascii_case(word);
        (is_lenient() && (is("true") || is("false"))).then(|| is("true"))
    }

    /// Returns a number or boolean as a string, if a string is expected.
    fn as_text(&self) -> Option<String> {
        let text = match self {
            Self::Number(number) => number.to_string(),
            Self::Bool(value) => value.to_string(),
            _ => return None,
        };
        is_lenient().then_some(text)
    }
}

/// Decodes a value up to this depth.
#[derive(Clone, Copy)]
struct Levels(u8);

impl<'de> DeserializeSeed<'de> for Levels {
    type Value = Node<'de>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Node<'de>, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Levels {
    type Value = Node<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node<'de>, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Node<'de>, E> {
        Ok(Node::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Node<'de>, E> {
        Ok(Node::Number(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Node<'de>, E> {
        Ok(Number::from_f64(number).map_or(Node::Null, Node::Number))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Node<'de>, E> {
        Ok(Node::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node<'de>, A::Error> {
        let Some(below) = self.0.checked_sub(1).map(Self) else {
            while list.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(Node::TooDeep);
        };
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(below)? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Node<'de>, A::Error> {
        let Some(below) = self.0.checked_sub(1).map(Self) else {
            while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(Node::TooDeep);
        };
        let mut members = Vec::new();
        while let Some(name) = object.next_key::<Name<'de>>()? {
            members.push((name.into(), object.next_value_seed(below)?));
        }
        Ok(number(&members).unwrap_or(Node::Object(members)))
    }
}

/// Returns the number in the format of the feature `arbitrary_precision` of `serde_json`.
fn number<'de>(members: &[(Cow<'de, str>, Node<'de>)]) -> Option<Node<'de>> {
    match members {
        [(name, Node::Text(digits))] if name == ARBITRARY_NUMBER => {
            digits.parse().ok().map(Node::Number)
        }
        _ => None,
    }
}

/// Deserializes a number, or a string with a number if that is tolerated.
macro_rules! deserialize_number {
    ($as_number:ident $expected:literal: $($method:ident)+) => {
        $(
            fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
                match self.$as_number() {
                    Some(number) => {
                        list_coerced($expected, self.kind());
                        number.deserialize_any(visitor)
                    }
                    None => self.deserialize_any(visitor),
                }
            }
        )+
    };
}

impl<'de> Deserializer<'de> for &'de Node<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Node::Null => visitor.visit_unit(),
            Node::Bool(value) => visitor.visit_bool(*value),
            Node::Number(number) => number.deserialize_any(visitor),
            Node::Text(text) => visitor.visit_borrowed_str(text),
            Node::List(items) => visitor.visit_seq(Items { items: items.iter().enumerate() }),
            Node::Object(members) => {
                visitor.visit_map(Members { members: members.iter(), value: None })
            }
            // The message of `serde_json`.
            Node::TooDeep => Err(de::Error::custom("recursion limit exceeded")),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    deserialize_number! { as_integer "an integer": deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128 }
    deserialize_number! { as_integer "an integer": deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 }
    deserialize_number! { as_number "a number": deserialize_f32 deserialize_f64 }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let Some(value) = self.as_bool() else { return self.deserialize_any(visitor) };
        list_coerced("a boolean", self.kind());
        visitor.visit_bool(value)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let Some(text) = self.as_text() else { return self.deserialize_any(visitor) };
        list_coerced("a string", self.kind());
        visitor.visit_string(text)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Node::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self {
            Node::Text(word) => {
                BorrowedStrDeserializer::new(word).deserialize_enum(name, variants, visitor)
            }
            Node::Object(members) => {
                let members = Members { members: members.iter(), value: None };
                MapAccessDeserializer::new(members).deserialize_enum(name, variants, visitor)
            }
            other => other.deserialize_any(visitor),
        }
    }

    forward_to_deserialize_any! {
        char bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier
    }
}

struct Items<'de> {
    items: std::iter::Enumerate<slice::Iter<'de, Node<'de>>>,
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        let Some((index, item)) = self.items.next() else { return Ok(None) };
        let push = |path: &mut String| json_path::push_index(path, index);
        within(push, || seed.deserialize(item)).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

struct Members<'de> {
    members: slice::Iter<'de, (Cow<'de, str>, Node<'de>)>,
    value: Option<(&'de str, &'de Node<'de>)>,
}

impl<'de> MapAccess<'de> for Members<'de> {
    type Error = Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        let Some((name, value)) = self.members.next() else { return Ok(None) };
        self.value = Some((name, value));
        seed.deserialize(Key(name)).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        let Some((name, value)) = self.value.take() else {
            return Err(de::Error::custom("the value of a member was asked for before its name"));
        };
        within(|path| json_path::push_name(path, name), || seed.deserialize(value))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.members.len())
    }
}

/// The name of a member. As in `serde_json`, a key of a map can be a number or a boolean.
struct Key<'de>(&'de str);

macro_rules! deserialize_parsed {
    ($($method:ident)+) => {
        $(
            fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
                serde_json::Deserializer::from_str(self.0).$method(visitor)
            }
        )+
    };
}

impl<'de> Deserializer<'de> for Key<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_borrowed_str(self.0)
    }

    deserialize_parsed! { deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128 }
    deserialize_parsed! { deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 }
    deserialize_parsed! { deserialize_f32 deserialize_f64 deserialize_bool }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        BorrowedStrDeserializer::new(self.0).deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}
