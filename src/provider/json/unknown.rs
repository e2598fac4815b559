//! Detection of unknown members and enum values: the body is compared with the payload, serialized without unknown
//! values.

use std::cell::Cell;

use serde::{Serialize, Serializer, de::DeserializeSeed};
use serde_json::{Map, Value};

use super::{Shallow, json_path};

/// The maximum depth of the comparison, which is that of decoding.
const LEVELS: u8 = 120;

/// Parses a body for comparison.
pub(in crate::provider) fn read_body(body: &[u8]) -> serde_json::Result<Value> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let read = Shallow { levels: LEVELS }.deserialize(&mut json)?;
    json.end().map(|()| read)
}

/// Returns the paths in `raw` that are absent from `known` or have another value there. Null and empty arrays and
/// objects do not count. Numbers are always equal, because a type can have a lower precision.
pub(in crate::provider) fn paths(raw: &Value, known: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare(raw, Some(known), &mut json_path::ROOT.to_owned(), &mut found);
    found
}

fn compare(raw: &Value, known: Option<&Value>, path: &mut String, found: &mut Vec<String>) {
    match (raw, known) {
        (Value::Object(raw), Some(Value::Object(known))) => members(raw, known, path, found),
        (Value::Array(raw), Some(Value::Array(known))) => items(raw, known, path, found),
        (Value::Number(_), Some(Value::Number(_))) => {}
        (raw, Some(known)) if raw == known => {}
        (raw, _) if says_nothing(raw) => {}
        _ => found.push(path.clone()),
    }
}

fn members(
    raw: &Map<String, Value>,
    known: &Map<String, Value>,
    path: &mut String,
    found: &mut Vec<String>,
) {
    let here = path.len();
    for (name, value) in raw {
        json_path::push_name(path, name);
        compare(value, known.get(name), path, found);
        path.truncate(here);
    }
}

fn items(raw: &[Value], known: &[Value], path: &mut String, found: &mut Vec<String>) {
    let here = path.len();
    for (index, value) in raw.iter().enumerate() {
        json_path::push_index(path, index);
        compare(value, known.get(index), path, found);
        path.truncate(here);
    }
}

fn says_nothing(json: &Value) -> bool {
    match json {
        Value::Null => true,
        Value::Array(items) => items.iter().all(says_nothing),
        Value::Object(members) => members.values().all(says_nothing),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

thread_local! {
    // `Serialize` has no context, and serde's adapters hide the serializer.
    static ONLY_KNOWN: Cell<bool> = const { Cell::new(false) };
}

/// Returns whether unknown values are currently omitted.
pub(in crate::provider) fn is_hidden() -> bool {
    ONLY_KNOWN.get()
}

/// For `skip_serializing_if`: omits a collection of unknown values.
pub(in crate::provider) fn hide<T>(_: &T) -> bool {
    is_hidden()
}

/// Serializes a value of unknown kind, or null if unknown values are omitted.
pub(in crate::provider) fn serialize_unless_hidden<T: Serialize, S: Serializer>(
    kept: &T,
    json: S,
) -> Result<S::Ok, S::Error> {
    if is_hidden() { json.serialize_none() } else { kept.serialize(json) }
}

/// Serializes a payload without unknown values.
pub(in crate::provider) fn to_known_value(
    payload: &impl Serialize,
) -> Result<Value, serde_json::Error> {
    let _restore = Restore(ONLY_KNOWN.replace(true));
    serde_json::to_value(payload)
}

/// Serializes an unknown enum value, or null if unknown values are omitted.
pub(in crate::provider) fn serialize_word<S: Serializer>(
    word: &str,
    json: S,
) -> Result<S::Ok, S::Error> {
    if is_hidden() { json.serialize_none() } else { json.serialize_str(word) }
}

struct Restore(bool);

impl Drop for Restore {
    fn drop(&mut self) {
        ONLY_KNOWN.set(self.0);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn missing_and_different_values_are_found_and_empty_ones_ignored() {
        let raw = json!({"a": 1, "b": {"c": "x", "d e": [1, 2]}, "f": [{"g": true}, {"g": false}], "h": {"i": [null]}});
        assert!(paths(&raw, &raw).is_empty());
        let known = json!({"a": 1.0, "b": {"c": "y"}, "f": [{"g": true}]});
        assert_eq!(paths(&raw, &known), ["$.b.c", "$.b['d e']", "$.f[1]"]);
        assert_eq!(paths(&json!("x"), &json!(null)), ["$"]);
    }
}
