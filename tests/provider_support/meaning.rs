//! JSON compared by what it means.

use serde_json::Value;

/// JSON in which null is absent, and numbers of the same value are the same.
pub(crate) fn by_meaning(json: Value) -> Value {
    match json {
        Value::Object(members) => members
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name, by_meaning(value)))
            .collect(),
        Value::Array(items) => items.into_iter().map(by_meaning).collect(),
        Value::Number(number) => number.as_f64().into(),
        other => other,
    }
}
