//! Semantic comparison of JSON.

use serde_json::Value;

/// Normalizes JSON: removes null members, objects that contain only nulls, and empty polygons, which are decoded like
/// absent ones, and converts numbers to `f64`.
pub(crate) fn by_meaning(json: Value) -> Value {
    match json {
        Value::Object(members) => members
            .into_iter()
            .filter(|(name, value)| !value.is_null() && !is_empty_polygon(name, value))
            .map(|(name, value)| (name, by_meaning(value)))
            .filter(|(_, value)| !is_empty(value))
            .collect(),
        Value::Array(items) => items.into_iter().map(by_meaning).map(or_null).collect(),
        Value::Number(number) => number.as_f64().into(),
        other => other,
    }
}

fn or_null(json: Value) -> Value {
    if is_empty(&json) { Value::Null } else { json }
}

fn is_empty(json: &Value) -> bool {
    matches!(json, Value::Object(members) if members.is_empty())
}

fn is_empty_polygon(name: &str, json: &Value) -> bool {
    name == "polygon" && matches!(json, Value::Array(points) if points.is_empty())
}
