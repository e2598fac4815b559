//! Bodies in which one member is null, missing or of another type.

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};
use tower_inbox::{
    Inference,
    provider::{Payload, Tolerated},
};

use super::{by_meaning, delivery};

/// A body in which every member has its type, and the rules for its members.
pub(crate) struct Body {
    json: Value,
    /// JSON pointers of required members, which determine the key or the kind of the payload.
    required: &'static [&'static str],
    /// JSON pointers of values of the user's type.
    users: &'static [&'static str],
    /// JSON pointers of members that contain values of the user's type among the provider's own. They may be missing,
    /// but not of another type.
    around_users: &'static [&'static str],
    /// Members that are not serialized as received, because they are secrets.
    secrets: &'static [&'static str],
}

pub(crate) fn body(json: Value, required: &'static [&'static str]) -> Body {
    Body { json, required, users: &[], around_users: &[], secrets: &[] }
}

impl Body {
    pub(crate) fn with_users(self, users: &'static [&'static str]) -> Self {
        Self { users, ..self }
    }

    pub(crate) fn with_around_users(self, around_users: &'static [&'static str]) -> Self {
        Self { around_users, ..self }
    }

    pub(crate) fn with_secrets(self, secrets: &'static [&'static str]) -> Self {
        Self { secrets, ..self }
    }

    pub(crate) fn is_lenient_as<T: Payload + Serialize>(&self) {
        assert_eq!(load::<T>(&self.json).unwrap().tolerated(), [], "{}", self.json);
        for pointer in pointers(&self.json).into_iter().skip(1) {
            if self.users.iter().any(|users| is_at_or_below(&pointer, users))
                || self.around_users.contains(&&*pointer)
            {
                continue;
            }
            if self.required.contains(&&*pointer) {
                self.is_required::<T>(&pointer);
            } else {
                self.may_be_anything::<T>(&pointer);
            }
        }
    }

    /// Asserts that null and a missing member are undecodable, and that a number in place of a string is tolerated.
    fn is_required<T: Payload>(&self, pointer: &str) {
        assert!(load::<T>(&self.with(pointer, &Value::Null)).is_err(), "{pointer}");
        assert!(load::<T>(&self.without(pointer)).is_err(), "{pointer}");
        if self.json.pointer(pointer).unwrap().is_string() {
            assert_tolerates::<T>(&self.with(pointer, &json!(7)), pointer);
        }
    }

    fn may_be_anything<T: Payload + Serialize>(&self, pointer: &str) {
        let others = [json!(null), json!(7), json!(1.5), json!(true), json!("x")];
        let nested = [json!([]), json!([7, {"a": "x"}]), json!({}), json!({"id": {"x": [7]}})];
        for other in others.into_iter().chain(nested) {
            let changed = self.with(pointer, &other);
            let inference = assert_tolerates::<T>(&changed, pointer);
            self.keeps_the_rest(&changed, pointer, &inference);
        }
        let changed = self.without(pointer);
        let inference = assert_tolerates::<T>(&changed, pointer);
        self.keeps_the_rest(&changed, pointer, &inference);
    }

    /// Asserts that all members except the first one on the path to `pointer` are serialized as received.
    fn keeps_the_rest<T: Serialize>(&self, sent: &Value, pointer: &str, read: &Inference<T>) {
        let changed = pointer.split('/').nth(1).unwrap();
        let rest = |mut json: Value| {
            let members = json.as_object_mut().unwrap();
            members.retain(|name, _| name != changed && !self.secrets.contains(&&**name));
            by_meaning(json)
        };
        assert_eq!(rest(serde_json::to_value(read).unwrap()), rest(sent.clone()), "{pointer}");
    }

    fn with(&self, pointer: &str, value: &Value) -> Value {
        let mut json = self.json.clone();
        json.pointer_mut(pointer).unwrap().clone_from(value);
        json
    }

    fn without(&self, pointer: &str) -> Value {
        let mut json = self.json.clone();
        let (around, name) = pointer.rsplit_once('/').unwrap();
        match json.pointer_mut(around).unwrap() {
            Value::Object(members) => drop(members.remove(name).unwrap()),
            Value::Array(items) => drop(items.remove(name.parse().unwrap())),
            other => panic!("nothing is in {other}"),
        }
        json
    }
}

fn load<T: Payload>(json: &Value) -> Result<Inference<T>, String> {
    Inference::load(delivery(json.to_string())).map_err(|error| error.to_string())
}

/// Asserts that the body is decoded. If strict decoding fails, a path at, in or around the changed one must be listed.
fn assert_tolerates<T: Payload>(json: &Value, pointer: &str) -> Inference<T> {
    let inference = load::<T>(json).unwrap_or_else(|error| panic!("{pointer}: {error} in {json}"));
    if T::decode(&Bytes::from(json.to_string())).is_err() {
        let path = path_of(pointer);
        let mut listed = inference.tolerated().iter().map(Tolerated::path);
        assert!(
            listed.any(|listed| listed.starts_with(&path) || path.starts_with(listed)),
            "{path} is not listed: {json}"
        );
    }
    inference
}

fn is_at_or_below(pointer: &str, other: &str) -> bool {
    pointer.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Returns the JSON pointers of a value, which comes first, and of all members and elements in it.
fn pointers(json: &Value) -> Vec<String> {
    let named = |name: String, value: &Value| {
        let below = pointers(value).into_iter().map(move |below| format!("/{name}{below}"));
        below.collect::<Vec<_>>()
    };
    let mut all = vec![String::new()];
    match json {
        Value::Object(members) => {
            all.extend(members.iter().flat_map(|(name, value)| named(name.clone(), value)));
        }
        Value::Array(items) => {
            let items = items.iter().enumerate();
            all.extend(items.flat_map(|(index, value)| named(index.to_string(), value)));
        }
        _ => {}
    }
    all
}

fn path_of(pointer: &str) -> String {
    let steps = pointer.split('/').skip(1).map(|step| match step.parse::<usize>() {
        Ok(index) => format!("[{index}]"),
        Err(_) => format!(".{step}"),
    });
    format!("${}", steps.collect::<String>())
}
