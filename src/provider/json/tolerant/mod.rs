//! Tolerant decoding: the second attempt, after strict decoding failed.
//!
//! Repairs almost valid JSON ([`repair`]), and skips members of the provider's own envelope and metadata that have an
//! unexpected type. Values of the user's types are decoded strictly.
//!
//! `Deserialize` has no context, and serde's adapters hide the deserializer. The state is therefore in thread-local
//! storage while a body is decoded.

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

/// The maximum number of listed mismatches. More are tolerated, but not listed, so that a malicious body cannot fill
/// memory.
const MOST_LISTED: usize = 100;

/// The maximum length of a listed path, in characters.
const LONGEST_PATH: usize = 256;

/// A mismatch in a body that did not prevent decoding.
///
/// Contains no value of the body, only names of members and kinds of values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tolerated {
    path: String,
    expected: String,
    found: &'static str,
}

impl Tolerated {
    /// Returns the JSON path, such as `$.inference.file.alias`. At most 256 characters.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns the expected type, such as `a string`.
    pub fn expected(&self) -> &str {
        &self.expected
    }

    /// Returns the kind of the value that was found, such as `an integer`.
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
    /// Whether a tolerant reading is active. Separate from the other state, because every member of every reading
    /// checks it.
    static ACTIVE: Cell<bool> = const { Cell::new(false) };
    static READING: RefCell<Reading> = const { RefCell::new(Reading::new()) };
}

/// The state of a tolerant reading.
struct Reading {
    /// Whether the current value belongs to the provider's own envelope or metadata.
    lenient: bool,
    /// The path of the current value.
    path: String,
    /// The path of the innermost invalid value.
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

/// Restores the previous state on drop, also after a panic in the user's code.
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

/// Decodes a body tolerantly.
///
/// # Errors
///
/// `first`, the error of the strict reading, or that of this reading if it failed at another path: `first` was then
/// tolerated.
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

/// Returns whether a tolerant reading is active.
pub(in crate::provider) fn is_active() -> bool {
    ACTIVE.get()
}

/// Returns whether the current value can be skipped.
pub(in crate::provider) fn is_lenient() -> bool {
    is_active() && READING.with_borrow(|reading| reading.lenient)
}

/// Decodes a whole body in a tolerant reading.
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

/// Decodes the value of a member of the provider's own types, in a tolerant reading. An invalid value is absent, if its
/// type can be absent. The last of several members of one name counts.
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

/// Decodes a list. A lenient reading skips invalid elements.
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
            // A list with a known length can continue after an invalid element. A parser cannot.
            Err(error) if lenient && before.is_some() && list.size_hint() < before => {
                list_failure(&error, |path| json_path::push_index(path, index));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

/// Decodes an object with values of one type. A lenient reading skips invalid members.
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

/// Lists a value that was converted to the expected type.
fn list_coerced(expected: &'static str, found: &'static str) {
    READING.with_borrow_mut(|reading| {
        let (path, expected) = (short(&reading.path), expected.to_owned());
        reading.list(Tolerated { path, expected, found });
    });
}

/// Lists a skipped value. `last` extends the path of the enclosing value.
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

/// Decodes a nested value, and stores its path if that fails.
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
