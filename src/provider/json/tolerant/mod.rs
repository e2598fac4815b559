//! The second reading of a body, after the first, strict one failed.
//!
//! It repairs JSON that is not quite JSON ([`repair`]), and reads past members of the provider's own envelope and
//! metadata that have an unexpected type. Values that a user's type asks for stay strict.
//!
//! `Deserialize` can be told nothing, and serde's adapters hide the deserializer from the types inside of them. So the
//! state of the reading is kept in thread-local storage, as long as the reading lasts.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    fmt,
    mem::{replace, take},
};

use serde::{
    Deserialize,
    de::{DeserializeOwned, Error, MapAccess, SeqAccess},
};

use super::{Absent, Name, json_path};
use crate::provider::{DecodeError, Text, error::Mismatch};

mod node;
mod repair;

pub(super) use node::Node;

/// How much is listed. More is tolerated, but not listed: the list must not grow with a hostile body.
const MOST_LISTED: usize = 100;

/// The longest path that is listed, in characters.
const LONGEST_PATH: usize = 256;

/// Something in a body that did not have the expected form, and did not prevent decoding.
///
/// It holds no value of the body, only names of members and kinds of values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tolerated {
    path: String,
    expected: String,
    found: &'static str,
}

impl Tolerated {
    /// The JSON path, such as `$.inference.file.alias`. At most 256 characters.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What was expected there, such as `a string`.
    pub fn expected(&self) -> &str {
        &self.expected
    }

    /// The kind of what was found, such as `an integer`.
    pub fn found(&self) -> &'static str {
        self.found
    }
}

impl fmt::Display for Tolerated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {}, found {}", self.path, self.expected, self.found)
    }
}

thread_local! {
    /// Whether a tolerant reading is under way. Apart from the rest, since every member of every reading asks.
    static ACTIVE: Cell<bool> = const { Cell::new(false) };
    static READING: RefCell<Reading> = const { RefCell::new(Reading::new()) };
}

/// The state of a tolerant reading.
struct Reading {
    /// Whether what is being read belongs to the provider's own envelope or metadata.
    lenient: bool,
    /// The path of the value that is being read.
    path: String,
    /// The path of the innermost value that could not be read.
    failed_at: Option<String>,
    tolerated: Vec<Tolerated>,
}

impl Reading {
    const fn new() -> Self {
        Self { lenient: false, path: String::new(), failed_at: None, tolerated: Vec::new() }
    }

    fn list(&mut self, tolerated: Tolerated) {
        let is_new = |listed: &Tolerated| listed.path != tolerated.path;
        if self.tolerated.len() < MOST_LISTED && self.tolerated.iter().all(is_new) {
            self.tolerated.push(tolerated);
        }
    }
}

/// Restores the state from before a reading, also where the user's code panics in it.
struct Restore {
    active: bool,
    reading: Reading,
}

impl Restore {
    fn begin() -> Self {
        Self { active: ACTIVE.replace(true), reading: READING.replace(Reading::new()) }
    }
}

impl Drop for Restore {
    fn drop(&mut self) {
        ACTIVE.set(self.active);
        READING.replace(replace(&mut self.reading, Reading::new()));
    }
}

/// Decodes a body that could not be decoded strictly.
///
/// # Errors
///
/// `first`, the error of the strict reading, or that of this reading where it failed at another place: what could be
/// tolerated is not what prevents decoding.
pub(in crate::provider) fn decode<T>(
    decode: impl FnOnce() -> Result<T, DecodeError>,
    first: DecodeError,
) -> Result<(T, Vec<Tolerated>), DecodeError> {
    let _restore = Restore::begin();
    match decode() {
        Ok(payload) => {
            Ok((payload, READING.with_borrow_mut(|reading| take(&mut reading.tolerated))))
        }
        Err(second) if !second.is_of_text() && second.path() != first.path() => Err(second),
        Err(_) => Err(first),
    }
}

/// Whether a tolerant reading is under way.
pub(in crate::provider) fn is_active() -> bool {
    ACTIVE.get()
}

/// Whether what is being read may be read past.
pub(in crate::provider) fn is_lenient() -> bool {
    is_active() && READING.with_borrow(|reading| reading.lenient)
}

/// Reads a whole body in a tolerant reading.
pub(in crate::provider) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, DecodeError> {
    let clean = repair::clean(body);
    let node: Node<'_> =
        serde_json::from_slice(&clean.text).map_err(|error| DecodeError::new(None, error))?;
    READING.with_borrow_mut(|reading| {
        json_path::ROOT.clone_into(&mut reading.path);
        reading.lenient = false;
        reading.failed_at = None;
        clean.repairs.into_iter().for_each(|repair| reading.list(repair));
    });
    T::deserialize(&node).map_err(|error| DecodeError::at(take_failed_at(), error))
}

/// Reads the value of a member of the provider's own, in a tolerant reading. What cannot be read is absent, if the type
/// allows that. Of several members of one name the last one counts.
#[cold]
pub(in crate::provider) fn once<'de, A, T>(
    slot: &mut Option<T>,
    name: &'static str,
    members: &mut A,
) -> Result<(), A::Error>
where
    A: MapAccess<'de>,
    T: Deserialize<'de>,
{
    if slot.is_some() {
        list_failure(&A::Error::duplicate_field(name), |path| json_path::push_name(path, name));
    }
    let outer = set_lenient(true);
    let read = members.next_value();
    set_lenient(outer);
    *slot = Some(match (read, T::deserialize(Absent::<A::Error>::new(name))) {
        (Ok(value), _) => value,
        (Err(error), Ok(absent)) => {
            list_failure(&error, |path| json_path::push_name(path, name));
            absent
        }
        (Err(error), Err(_)) => return Err(error),
    });
    Ok(())
}

/// Reads a list. In a lenient reading without the elements that cannot be read.
pub(in crate::provider) fn elements<'de, A, T>(list: &mut A) -> Result<Vec<T>, A::Error>
where
    A: SeqAccess<'de>,
    T: Deserialize<'de>,
{
    let lenient = is_lenient();
    let mut read = Vec::with_capacity(list.size_hint().unwrap_or(0).min(1024));
    for index in 0.. {
        let before = list.size_hint();
        match list.next_element() {
            Ok(Some(element)) => read.push(element),
            Ok(None) => break,
            // A list that knows its length can be read on behind an element. A parser cannot.
            Err(error) if lenient && before.is_some() && list.size_hint() < before => {
                list_failure(&error, |path| json_path::push_index(path, index));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

/// Reads an object with values of one type. In a lenient reading without the members that cannot be read.
pub(in crate::provider) fn entries<'de, A, T>(
    members: &mut A,
) -> Result<BTreeMap<Text, T>, A::Error>
where
    A: MapAccess<'de>,
    T: Deserialize<'de>,
{
    let lenient = is_lenient();
    let mut read = BTreeMap::new();
    while let Some(name) = members.next_key::<Name<'de>>()? {
        let before = members.size_hint();
        match members.next_value() {
            Ok(value) => drop(read.insert(Text::from(&*name), value)),
            Err(error) if lenient && before.is_some() => {
                list_failure(&error, |path| json_path::push_name(path, &name));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

/// Lists what a deserializer read as another type than it was.
fn list_coerced(expected: &'static str, found: &'static str) {
    READING.with_borrow_mut(|reading| {
        let (path, expected) = (short(&reading.path), expected.to_owned());
        reading.list(Tolerated { path, expected, found });
    });
}

/// Lists what could not be read, and is read past. `last` extends the path of the value around it.
fn list_failure(error: &impl Error, last: impl FnOnce(&mut String)) {
    let mismatch = Mismatch::of(&error.to_string());
    let (expected, found) =
        mismatch.map_or_else(|| ("another form".to_owned(), "this one"), |m| (m.expected, m.found));
    READING.with_borrow_mut(|reading| {
        let path = reading.failed_at.take().unwrap_or_else(|| {
            let mut path = reading.path.clone();
            last(&mut path);
            short(&path)
        });
        reading.list(Tolerated { path, expected, found });
    });
}

fn set_lenient(lenient: bool) -> bool {
    READING.with_borrow_mut(|reading| replace(&mut reading.lenient, lenient))
}

fn take_failed_at() -> String {
    let failed_at = READING.with_borrow_mut(|reading| reading.failed_at.take());
    failed_at.unwrap_or_else(|| json_path::ROOT.to_owned())
}

/// Reads a value that is a part of the one that is being read, and notes its path if that fails.
fn within<T, E>(
    push: impl FnOnce(&mut String),
    read: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    let outer = READING.with_borrow_mut(|reading| {
        let outer = reading.path.len();
        push(&mut reading.path);
        outer
    });
    let result = read();
    READING.with_borrow_mut(|reading| {
        if result.is_ok() {
            reading.failed_at = None;
        } else if reading.failed_at.is_none() {
            reading.failed_at = Some(short(&reading.path));
        }
        reading.path.truncate(outer);
    });
    result
}

fn short(path: &str) -> String {
    path.chars().take(LONGEST_PATH).collect()
}
