//! Shared parts of hand-written `Deserialize` implementations: members of objects that are required, optional, nullable
//! or repeated.

use std::{borrow::Cow, fmt, iter, marker::PhantomData, ops::Deref};

use serde::{
    Deserialize, Deserializer,
    de::{
        DeserializeSeed, Error, IgnoredAny, MapAccess, Visitor,
        value::{MapAccessDeserializer, MapDeserializer, SeqDeserializer},
    },
    forward_to_deserialize_any,
};
use serde_json::Value;

use super::{Shallow, tolerant};

/// Decodes the value of a member of the provider's own types. A repeated member is an error.
pub(in crate::provider) fn once<'de, A, T>(
    slot: &mut Option<T>,
    name: &'static str,
    members: &mut A,
) -> Result<(), A::Error>
where
    A: MapAccess<'de>,
    T: Deserialize<'de>,
{
    if tolerant::is_active() {
        return tolerant::once(slot, name, members);
    }
    once_strict(slot, name, members)
}

/// Decodes the value of a member of the user's types, strictly. A repeated member is an error.
pub(in crate::provider) fn once_strict<'de, A, T>(
    slot: &mut Option<T>,
    name: &'static str,
    members: &mut A,
) -> Result<(), A::Error>
where
    A: MapAccess<'de>,
    T: Deserialize<'de>,
{
    if slot.is_some() {
        return Err(A::Error::duplicate_field(name));
    }
    *slot = Some(members.next_value()?);
    Ok(())
}

/// Returns the value of a member or, if it is absent, what its type is decoded to from null.
pub(in crate::provider) fn or_null<'de, T, E>(slot: Option<T>, name: &'static str) -> Result<T, E>
where
    T: Deserialize<'de>,
    E: Error,
{
    match slot {
        Some(value) => Ok(value),
        None => T::deserialize(Absent::new(name)),
    }
}

/// Decodes a member like [`once_strict`], and null as an empty list or object.
pub(in crate::provider) fn once_or_empty<'de, A, T>(
    slot: &mut Option<T>,
    name: &'static str,
    members: &mut A,
) -> Result<(), A::Error>
where
    A: MapAccess<'de>,
    T: Deserialize<'de>,
{
    if slot.is_some() {
        return Err(A::Error::duplicate_field(name));
    }
    *slot = Some(members.next_value().and_then(|value: Option<T>| value.map_or_else(empty, Ok))?);
    Ok(())
}

/// Decodes a type from an empty list or object.
pub(in crate::provider) fn empty<'de, T: Deserialize<'de>, E: Error>() -> Result<T, E> {
    T::deserialize(Empty(PhantomData))
}

struct Empty<E>(PhantomData<E>);

impl<'de, E: Error> Deserializer<'de> for Empty<E> {
    type Error = E;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        visitor.visit_map(MapDeserializer::new(iter::empty::<((), ())>()))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        visitor.visit_seq(SeqDeserializer::new(iter::empty::<()>()))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// Decodes an object, or null as a unit. An absent member is an error, unlike with `deserialize_option`, and an object
/// is decoded faster than with `deserialize_any`.
pub(in crate::provider) fn object_or_null<'de, D, V>(
    json: D,
    visitor: V,
) -> Result<V::Value, D::Error>
where
    D: Deserializer<'de>,
    V: Visitor<'de>,
{
    // JSON deserializers pass newtypes through; only `Absent` does not.
    json.deserialize_newtype_struct("", ObjectOrNull(visitor))
}

struct ObjectOrNull<V>(V);

impl<'de, V: Visitor<'de>> Visitor<'de> for ObjectOrNull<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, json: D) -> Result<V::Value, D::Error> {
        json.deserialize_option(self)
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.0.visit_unit()
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.0.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, json: D) -> Result<V::Value, D::Error> {
        json.deserialize_map(self.0)
    }
}

/// Decodes an object, or null as `None`. An absent member is an error, unlike with `Option`.
pub(in crate::provider) fn unless_null<'de, D, T>(json: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    object_or_null(json, UnlessNull(PhantomData))
}

struct UnlessNull<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for UnlessNull<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E>(self) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Option<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(members)).map(Some)
    }
}

/// Marks a member as seen. A repeated member is an error.
pub(in crate::provider) fn first<E: Error>(seen: &mut bool, name: &'static str) -> Result<(), E> {
    if std::mem::replace(seen, true) { Err(E::duplicate_field(name)) } else { Ok(()) }
}

/// The deserializer of an absent member: `None` for an `Option`, an error for other types.
pub(in crate::provider) struct Absent<E> {
    name: &'static str,
    error: PhantomData<E>,
}

impl<E> Absent<E> {
    pub(in crate::provider) fn new(name: &'static str) -> Self {
        Self { name, error: PhantomData }
    }
}

impl<'de, E: Error> Deserializer<'de> for Absent<E> {
    type Error = E;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, E> {
        Err(E::missing_field(self.name))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        // `Option` treats it like null; `Given` distinguishes the two.
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// A member that distinguishes null from absent.
pub(in crate::provider) enum Given<T> {
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

impl<'de, T: Deserialize<'de>> Visitor<'de> for Nullable<T> {
    type Value = Given<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value or null")
    }

    /// Called by `Absent`, and by no JSON deserializer.
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

/// The name of a member. Borrows from the body unless it has escapes.
pub(in crate::provider) struct Name<'de>(Cow<'de, str>);

impl Deref for Name<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_str(NameCharacters)
    }
}

struct NameCharacters;

impl<'de> Visitor<'de> for NameCharacters {
    type Value = Name<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a member")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Name<'de>, E> {
        Ok(Name(Cow::Borrowed(name)))
    }

    fn visit_str<E>(self, name: &str) -> Result<Name<'de>, E> {
        Ok(Name(Cow::Owned(name.to_owned())))
    }
}

impl<'de> From<Name<'de>> for Cow<'de, str> {
    fn from(name: Name<'de>) -> Self {
        name.0
    }
}

/// Returns an id, which can be a string or a number, as a string. Other values are not ids.
pub(in crate::provider) fn id_text(id: Option<&Value>) -> Option<String> {
    match id? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Decodes the ids in the members of these names, and ignores all others. The last member of a name counts, as in a
/// `Value`.
pub(in crate::provider) fn last_ids<'de, D: Deserializer<'de>, const N: usize>(
    json: D,
    names: [&'static str; N],
) -> Result<[Option<String>; N], D::Error> {
    json.deserialize_map(LastIds(names))
}

struct LastIds<const N: usize>([&'static str; N]);

impl<'de, const N: usize> Visitor<'de> for LastIds<N> {
    type Value = [Option<String>; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut ids = [const { None }; N];
        while let Some(name) = members.next_key::<Name<'de>>()? {
            match ids.iter_mut().zip(self.0).find(|(_, known)| *known == &*name) {
                Some((id, _)) => {
                    *id = id_text(Some(&members.next_value_seed(Shallow { levels: 0 })?));
                }
                None => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        Ok(ids)
    }
}

/// Replaces a value by decoding a new one. Null keeps the value.
pub(in crate::provider) struct Over<'s, T>(pub(in crate::provider) &'s mut T);

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
