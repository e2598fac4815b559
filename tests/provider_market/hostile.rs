//! Hostile payloads of every provider: with deeply nested values, and with duplicate members.

use std::{fs, path::Path, thread};

use bytes::Bytes;
use serde_json::Value;

use crate::every::load_as_any;

/// The default stack size of a tokio thread.
const STACK: usize = 2 << 20;

fn payloads() -> Vec<Bytes> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let folders = fs::read_dir(fixtures).unwrap().map(|entry| entry.unwrap().path());
    let files = folders.flat_map(|folder| fs::read_dir(folder).unwrap());
    files.map(|entry| fs::read(entry.unwrap().path()).unwrap().into()).collect()
}

/// Returns the payload with one more member before all others.
fn with(member: &str, payload: &[u8]) -> Vec<u8> {
    let text = std::str::from_utf8(payload).unwrap();
    let (_, members) = text.split_once('{').unwrap();
    format!("{{{member},{members}").into_bytes()
}

#[test]
fn deep_nesting_is_rejected_or_skipped_on_a_small_stack() {
    let load_all = || {
        for (open, close) in [("[", "]"), (r#"{"a":"#, "}"), (r#"[{"fields":"#, "}]")] {
            for levels in [60, 126, 1000] {
                let deep = format!("{}0{}", open.repeat(levels), close.repeat(levels));
                for payload in payloads() {
                    load_as_any(&with(&format!(r#""deep":{deep}"#), &payload));
                }
                load_as_any(deep.as_bytes());
            }
        }
    };
    thread::Builder::new().stack_size(STACK).spawn(load_all).unwrap().join().unwrap();
}

#[test]
fn deep_value_in_any_place_does_not_overflow_the_stack() {
    let load_all = || {
        let deep = format!("{}0{}", "[".repeat(200), "]".repeat(200));
        for payload in payloads() {
            let json: serde_json::Map<String, Value> = serde_json::from_slice(&payload).unwrap();
            for name in json.keys() {
                let members = json.iter().map(|(other, value)| {
                    let value = if other == name { deep.clone() } else { value.to_string() };
                    format!("{}:{value}", Value::from(other.as_str()))
                });
                let body = format!("{{{}}}", members.collect::<Vec<_>>().join(","));
                load_as_any(body.as_bytes());
            }
        }
    };
    thread::Builder::new().stack_size(STACK).spawn(load_all).unwrap().join().unwrap();
}

/// Readers that use the first and the last duplicate would see different payloads.
#[test]
fn payload_with_a_repeated_member_is_not_decoded_to_more_types() {
    for payload in payloads() {
        let types = load_as_any(&payload);
        let json: serde_json::Map<String, Value> = serde_json::from_slice(&payload).unwrap();
        for (name, value) in &json {
            for other in [value, &Value::from(7)] {
                let twice = with(&format!("{}:{other}", Value::from(name.as_str())), &payload);
                let loaded = load_as_any(&twice);
                assert!(loaded <= types, "{name}: {loaded} of {types}");
            }
        }
    }
}
