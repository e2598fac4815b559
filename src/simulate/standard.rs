//! Events of Standard Webhooks.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Payloads, PayloadsError, payloads::to_bytes};

impl Payloads {
    /// Creates events in the format that Standard Webhooks recommends: a prediction that has succeeded, with a new id.
    /// The earlier state is the start of the same prediction, and the failure that of another one.
    ///
    /// ```
    /// use tower_inbox::{provider::{Payload, standard::Event}, simulate::Payloads};
    ///
    /// let event = Event::<serde_json::Value>::decode(Payloads::of_standard().result())?;
    /// assert_eq!(event.kind.as_deref(), Some("prediction.succeeded"));
    /// # Ok::<(), tower_inbox::provider::DecodeError>(())
    /// ```
    pub fn of_standard() -> Self {
        let prediction = Uuid::new_v4();
        let earlier = event("prediction.started", prediction, &json!({"status": "processing"}));
        let data = json!({"status": "failed", "error": "the image cannot be read"});
        let failure = event("prediction.failed", Uuid::new_v4(), &data);
        Self::new(succeeded(prediction), succeeded(Uuid::new_v4()))
            .earlier(to_bytes(&earlier))
            .failure(to_bytes(&failure))
            .enumeration("/data/status")
    }

    /// Creates events of Standard Webhooks from one: `timestamp` gets the current time, and one millisecond later in the
    /// other event. The body is serialized anew, on one line.
    ///
    /// # Errors
    ///
    /// If `body` is not a JSON object with the string `type`.
    pub fn from_standard_event(body: &[u8]) -> Result<Self, PayloadsError> {
        let mut event: Value = serde_json::from_slice(body).map_err(PayloadsError::Json)?;
        if !event.get("type").is_some_and(Value::is_string) {
            return Err(PayloadsError::NoEventType);
        }
        let mut at = |time: SystemTime| {
            if let Some(members) = event.as_object_mut() {
                members.insert("timestamp".to_owned(), timestamp(time));
            }
            to_bytes(&event)
        };
        let now = SystemTime::now();
        Ok(Self::new(at(now), at(now + Duration::from_millis(1))))
    }
}

/// Returns the event that a prediction has succeeded.
fn succeeded(prediction: Uuid) -> Bytes {
    let data = json!({"status": "succeeded", "output": {"caption": "a shelf of teapots"}});
    to_bytes(&event("prediction.succeeded", prediction, &data))
}

fn event(kind: &str, prediction: Uuid, data: &Value) -> Value {
    let mut event = json!({"type": kind, "timestamp": timestamp(SystemTime::now()), "data": data});
    if let Some(data) = event.get_mut("data").and_then(Value::as_object_mut) {
        data.insert("id".to_owned(), prediction.to_string().into());
    }
    event
}

/// A time in RFC 3339 format with milliseconds and `Z`.
fn timestamp(time: SystemTime) -> Value {
    humantime::format_rfc3339_millis(time).to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standard_events_are_of_one_prediction_with_its_earlier_state() {
        let payloads = Payloads::of_standard();
        let read = |body: &Bytes| serde_json::from_slice::<Value>(body).unwrap();
        let (result, earlier) = (read(payloads.result()), read(payloads.earlier_state().unwrap()));
        assert_eq!(result["data"]["id"], earlier["data"]["id"]);
        assert_eq!(earlier["type"], "prediction.started");
        assert_ne!(read(payloads.other())["data"]["id"], result["data"]["id"]);
        assert!(payloads.with_unknown_value().is_some());
    }

    #[test]
    fn events_of_a_file_have_the_current_time_and_keep_the_rest() {
        let body = br#"{"type": "a.b", "timestamp": "2020-01-01T00:00:00Z", "data": {"n": 1}}"#;
        let payloads = Payloads::from_standard_event(body).unwrap();
        let read = |body: &Bytes| serde_json::from_slice::<Value>(body).unwrap();
        let (result, other) = (read(payloads.result()), read(payloads.other()));
        assert_eq!((&result["type"], &result["data"]), (&json!("a.b"), &json!({"n": 1})));
        assert_ne!(result["timestamp"], "2020-01-01T00:00:00Z");
        assert_ne!(result["timestamp"], other["timestamp"]);
        for (body, error) in [("{", "not JSON"), ("[]", "at type"), ("{\"type\": 1}", "at type")] {
            let found = Payloads::from_standard_event(body.as_bytes()).unwrap_err().to_string();
            assert!(found.contains(error), "{found}");
        }
    }
}
