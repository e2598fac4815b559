//! Distinct bodies for a load.

use bytes::Bytes;
use serde_json::{Number, Value};

/// A JSON body in which one value is different in each variation.
pub(super) struct Variations {
    body: Value,
    pointer: String,
    original: Original,
}

enum Original {
    Text(String),
    Number(i64),
}

impl Variations {
    /// Varies the value at this JSON pointer.
    ///
    /// # Errors
    ///
    /// If the body is not JSON, or has no string and no integer there.
    pub(super) fn new(body: &[u8], pointer: &str) -> Result<Self, String> {
        let body: Value = serde_json::from_slice(body)
            .map_err(|error| format!("--vary requires a JSON body: {error}"))?;
        let original = match body.pointer(pointer) {
            Some(Value::String(text)) => Some(Original::Text(text.clone())),
            Some(Value::Number(number)) => number.as_i64().map(Original::Number),
            _ => None,
        };
        let original = original.ok_or_else(|| {
            format!(
                "--vary {pointer}: the body has no string or integer there; use a JSON pointer such as /inference/id"
            )
        })?;
        Ok(Self { body, pointer: pointer.to_owned(), original })
    }

    /// The variation with this number.
    pub(super) fn body(&self, number: u32) -> Result<Bytes, serde_json::Error> {
        let mut body = self.body.clone();
        if let Some(value) = body.pointer_mut(&self.pointer) {
            *value = match &self.original {
                Original::Text(text) => Value::String(format!("{text}-{number}")),
                Original::Number(original) => {
                    Value::Number(Number::from(original.wrapping_add(i64::from(number))))
                }
            };
        }
        serde_json::to_vec(&body).map(Bytes::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variations_differ_in_one_string_or_number() {
        let body = br#"{"a": {"id": "x", "n": 7}, "b": [1.5]}"#;
        let varied =
            |pointer, number| Variations::new(body, pointer).unwrap().body(number).unwrap();
        assert_eq!(varied("/a/id", 2), r#"{"a":{"id":"x-2","n":7},"b":[1.5]}"#);
        assert_eq!(varied("/a/n", 2), r#"{"a":{"id":"x","n":9},"b":[1.5]}"#);
        for pointer in ["", "/a", "a", "/c", "/b/0"] {
            assert!(Variations::new(body, pointer).is_err(), "{pointer}");
        }
        assert!(Variations::new(b"{", "/a").is_err());
    }
}
