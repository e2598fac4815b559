//! Bodies in which one member is null, missing, or of another type.

use serde_json::{Value, json};
use tower_inbox::{Inference, provider::Payload};

use super::delivery;

/// What became of a body.
pub(crate) struct Mutated(Result<Vec<String>, String>);

impl Mutated {
    /// Loads it as `T`. Holds the paths of what was tolerated, or the error.
    pub(crate) fn load<T: Payload>(body: &str) -> Self {
        let paths =
            |read: Inference<T>| read.tolerated().iter().map(|odd| odd.path().to_owned()).collect();
        Self(
            Inference::<T>::load(delivery(body.to_owned()))
                .map(paths)
                .map_err(|error| error.to_string()),
        )
    }
}

/// Loads `body` with each of its members in turn null, missing, and of every type. It must be decoded, and nothing may be
/// tolerated but at, in or around the place that was changed. Left out are the members at the paths that are `required`.
pub(crate) fn each_member(body: &str, required: &[&str], load: fn(&str) -> Mutated) {
    let original: Value = serde_json::from_str(body).unwrap();
    assert_eq!(load(body).0, Ok(vec![]), "{body}");
    let mut members = Vec::new();
    paths(&original, "$", "", &mut members);
    members.retain(|(path, _)| !required.contains(&&**path));
    assert!(!members.is_empty());
    for (path, pointer) in members {
        for odd in [
            json!(null),
            json!(7),
            json!(0.5),
            json!("odd"),
            json!(true),
            json!([1]),
            json!({"odd": 1}),
        ] {
            let mut changed = original.clone();
            *changed.pointer_mut(&pointer).unwrap() = odd.clone();
            check(&changed, &path, load);
        }
        let mut changed = original.clone();
        remove(&mut changed, &pointer);
        check(&changed, &path, load);
    }
}

fn check(body: &Value, path: &str, load: fn(&str) -> Mutated) {
    match load(&body.to_string()).0 {
        Ok(tolerated) => assert!(
            tolerated.iter().all(|odd| odd.starts_with(path) || path.starts_with(odd)),
            "{path}: {tolerated:?} in {body}"
        ),
        Err(error) => panic!("{path}: {error} in {body}"),
    }
}

/// The JSON path and the JSON pointer of every member and element.
fn paths(value: &Value, path: &str, pointer: &str, found: &mut Vec<(String, String)>) {
    let mut inner = |path: String, pointer: String, value: &Value| {
        found.push((path.clone(), pointer.clone()));
        paths(value, &path, &pointer, found);
    };
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                inner(format!("{path}.{name}"), format!("{pointer}/{name}"), value);
            }
        }
        Value::Array(elements) => {
            for (index, value) in elements.iter().enumerate() {
                inner(format!("{path}[{index}]"), format!("{pointer}/{index}"), value);
            }
        }
        _ => {}
    }
}

fn remove(value: &mut Value, pointer: &str) {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    match value.pointer_mut(parent).unwrap() {
        Value::Object(members) => drop(members.remove(name)),
        Value::Array(elements) => drop(elements.remove(name.parse().unwrap())),
        _ => unreachable!("a member stands in an object or a list"),
    }
}
