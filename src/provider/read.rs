//! Pieces that the hand-written readers of payloads share.

mod absent;
mod given;
mod name;
mod over;
mod shallow;

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize,
    de::{Error, MapAccess, Visitor},
};

use absent::Absent;
pub(crate) use given::Given;
pub(crate) use name::Name;
pub(crate) use over::Over;
pub(crate) use shallow::Shallow;

/// Reads the value of a member that may come once only.
pub(crate) fn once<'de, A, T>(
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

/// What a member is that may not have come: what its type makes of null, if it takes null for nothing.
pub(crate) fn or_null<'de, T, E>(slot: Option<T>, name: &'static str) -> Result<T, E>
where
    T: Deserialize<'de>,
    E: Error,
{
    match slot {
        Some(value) => Ok(value),
        None => T::deserialize(Absent::new(name)),
    }
}

/// Notes that a member has come, which may come once only.
pub(crate) fn first<E: Error>(seen: &mut bool, name: &'static str) -> Result<(), E> {
    if std::mem::replace(seen, true) { Err(E::duplicate_field(name)) } else { Ok(()) }
}

/// Reads one of the words of an enum.
pub(crate) struct Word<T>(pub(crate) PhantomData<T>);

impl<T: for<'a> From<&'a str>> Visitor<'_> for Word<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a word")
    }

    fn visit_str<E>(self, word: &str) -> Result<T, E> {
        Ok(word.into())
    }
}
