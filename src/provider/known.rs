//! Writing a payload without what its type does not know, to see what that is.

use std::cell::Cell;

use serde::{Serialize, Serializer};
use serde_json::Value;

thread_local! {
    // `Serialize` can be told nothing, and serde's adapters hide the serializer from what is inside of them.
    static ONLY_KNOWN: Cell<bool> = const { Cell::new(false) };
}

/// Whether what the type does not know is to be left out just now.
pub(super) fn only() -> bool {
    ONLY_KNOWN.get()
}

/// For serde's `skip_serializing_if`: hides a collection of what the type does not know.
pub(super) fn hidden<T>(_: &T) -> bool {
    only()
}

/// Writes something whose kind is not known: as null, where only what is known counts.
pub(super) fn unless_only<T: Serialize, S: Serializer>(
    kept: &T,
    json: S,
) -> Result<S::Ok, S::Error> {
    if only() { json.serialize_none() } else { kept.serialize(json) }
}

/// `payload` as JSON, without what its type does not know.
pub(super) fn write(payload: &impl Serialize) -> Result<Value, serde_json::Error> {
    let _restore = Restore(ONLY_KNOWN.replace(true));
    serde_json::to_value(payload)
}

/// Writes an unknown word: as null, where only what is known counts.
pub(super) fn unknown_word<S: Serializer>(word: &str, json: S) -> Result<S::Ok, S::Error> {
    if only() { json.serialize_none() } else { json.serialize_str(word) }
}

struct Restore(bool);

impl Drop for Restore {
    fn drop(&mut self) {
        ONLY_KNOWN.set(self.0);
    }
}
