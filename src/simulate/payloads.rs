use bytes::Bytes;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::mindee::{Inference, Product};

/// The word of no enumeration.
const UNKNOWN_WORD: &str = "SimulatedUnknown";

/// The member of no object.
const UNKNOWN_MEMBER: &str = "simulated_unknown";

/// The bodies that a [`Sender`](super::Sender) posts: a result, another result, an earlier state of the first one, and a
/// failure.
///
/// Use new payloads for each run: a receiver handles the same bodies only once.
#[derive(Clone, Debug)]
pub struct Payloads {
    result: Bytes,
    other: Bytes,
    earlier: Option<Bytes>,
    failure: Option<Bytes>,
    enumeration: Option<String>,
}

impl Payloads {
    /// Creates payloads of any provider: a result, and a result of another job.
    pub fn new(result: impl Into<Bytes>, other: impl Into<Bytes>) -> Self {
        Self {
            result: result.into(),
            other: other.into(),
            earlier: None,
            failure: None,
            enumeration: None,
        }
    }

    /// Sets an earlier state of the job of the result, for [`LateOlderState`](super::Fault::LateOlderState). Default:
    /// none.
    pub fn earlier(mut self, body: impl Into<Bytes>) -> Self {
        self.earlier = Some(body.into());
        self
    }

    /// Sets the failure of a job, for [`Scenario::FailedResult`](super::Scenario::FailedResult). Default: none.
    pub fn failure(mut self, body: impl Into<Bytes>) -> Self {
        self.failure = Some(body.into());
        self
    }

    /// Sets the JSON pointer (RFC 6901) to a value of an enumeration in the result, for
    /// [`UnknownValue`](super::Fault::UnknownValue). Default: none.
    pub fn enumeration(mut self, pointer: impl Into<String>) -> Self {
        self.enumeration = Some(pointer.into());
        self
    }

    /// Creates results of Mindee V2 with new ids. The earlier state is the failure of a first try of the same inference.
    ///
    /// ```
    /// use tower_inbox::simulate::{Payloads, Product};
    ///
    /// let payloads = Payloads::of_mindee(Product::Extraction);
    /// assert!(payloads.result().starts_with(b"{\"inference\":{"));
    /// assert_ne!(payloads.result(), Payloads::of_mindee(Product::Extraction).result());
    /// ```
    pub fn of_mindee(product: Product) -> Self {
        let inference = Inference::sample();
        let other = Inference::sample().result(product);
        let failure = to_bytes(&inference.failure());
        Self::new(to_bytes(&inference.result(product)), to_bytes(&other))
            .earlier(failure.clone())
            .failure(failure)
            .with_confidence(&inference.result(product))
    }

    /// Creates results of Mindee V2 from one: `inference.id` and `inference.job.id` get new values. The body is
    /// serialized anew, on one line.
    ///
    /// # Errors
    ///
    /// If `body` is not a result of Mindee V2: a JSON object with the string `inference.id`.
    pub fn from_mindee_result(body: &[u8]) -> Result<Self, PayloadsError> {
        let result: Value = serde_json::from_slice(body).map_err(PayloadsError::Json)?;
        let first = with_new_ids(&result).ok_or(PayloadsError::NoInferenceId)?;
        let second = with_new_ids(&result).ok_or(PayloadsError::NoInferenceId)?;
        let failure = to_bytes(&Inference::of_result(&first).failure());
        Ok(Self::new(to_bytes(&first), to_bytes(&second))
            .earlier(failure.clone())
            .failure(failure)
            .with_confidence(&first))
    }

    /// Returns the body of the result.
    pub fn result(&self) -> &Bytes {
        &self.result
    }

    /// Returns the body of the result of another job.
    pub fn other(&self) -> &Bytes {
        &self.other
    }

    pub(super) fn earlier_state(&self) -> Option<&Bytes> {
        self.earlier.as_ref()
    }

    pub(super) fn failed_result(&self) -> Option<&Bytes> {
        self.failure.as_ref()
    }

    /// Returns the result with an undocumented value of its enumeration.
    pub(super) fn with_unknown_value(&self) -> Option<Bytes> {
        let mut result: Value = serde_json::from_slice(&self.result).ok()?;
        *result.pointer_mut(self.enumeration.as_deref()?)? = UNKNOWN_WORD.into();
        Some(to_bytes(&result))
    }

    /// Returns the result with an undocumented member in the objects that have a documented set of members: the outer
    /// ones, but not an object from names to values.
    pub(super) fn with_unknown_member(&self) -> Option<Bytes> {
        let mut result: Value = serde_json::from_slice(&self.result).ok()?;
        let members = result.as_object_mut()?;
        for object in members.values_mut().filter_map(Value::as_object_mut) {
            add_unknown_member(object);
        }
        add_unknown_member(members);
        Some(to_bytes(&result))
    }

    fn with_confidence(mut self, result: &Value) -> Self {
        self.enumeration = pointer_of_text(result, "confidence");
        self
    }
}

fn add_unknown_member(object: &mut Map<String, Value>) {
    object.insert(UNKNOWN_MEMBER.to_owned(), serde_json::json!({"list": [1, null, "a"]}));
}

/// Returns the JSON pointer of the first member with this name that is a string, in document order.
fn pointer_of_text(value: &Value, name: &str) -> Option<String> {
    let below = |key: &str, value: &Value| {
        let key = key.replace('~', "~0").replace('/', "~1");
        pointer_of_text(value, name).map(|rest| format!("/{key}{rest}"))
    };
    match value {
        Value::Object(members) if members.get(name).is_some_and(Value::is_string) => {
            Some(format!("/{name}"))
        }
        Value::Object(members) => members.iter().find_map(|(key, value)| below(key, value)),
        Value::Array(items) => {
            let mut items = items.iter().enumerate();
            items.find_map(|(number, value)| below(&number.to_string(), value))
        }
        _ => None,
    }
}

/// Returns the result with a new id of the inference and, if there is one, of the job. `None` if it has no inference id.
fn with_new_ids(result: &Value) -> Option<Value> {
    let mut result = result.clone();
    let id = result.pointer_mut("/inference/id").filter(|id| id.is_string())?;
    *id = Uuid::new_v4().to_string().into();
    if let Some(id) = result.pointer_mut("/inference/job/id") {
        *id = Uuid::new_v4().to_string().into();
    }
    Some(result)
}

/// Serializes on one line, as Mindee does.
pub(super) fn to_bytes(json: &Value) -> Bytes {
    json.to_string().into()
}

/// The body is not a result from which payloads can be created.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PayloadsError {
    /// The body is not JSON.
    #[error("the payload is not JSON")]
    Json(#[source] serde_json::Error),
    /// The body has no string `inference.id`.
    #[error("the payload has no string at inference.id; use a result of Mindee V2")]
    NoInferenceId,
    /// The body has no string `type`.
    #[error("the payload has no string at type; use an event of Standard Webhooks")]
    NoEventType,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::{Payload, mindee};

    #[test]
    fn results_of_every_product_are_decoded_strictly() {
        let key = |product| {
            let payloads = Payloads::of_mindee(product);
            let body = payloads.result();
            match product {
                Product::Extraction => {
                    mindee::Extraction::<mindee::Fields>::decode(body).unwrap().key()
                }
                Product::Classification => {
                    mindee::Classification::<mindee::Fields>::decode(body).unwrap().key()
                }
                Product::Crop => mindee::Crop::<mindee::Fields>::decode(body).unwrap().key(),
                Product::Split => mindee::Split::<mindee::Fields>::decode(body).unwrap().key(),
                Product::Ocr => mindee::Ocr::decode(body).unwrap().key(),
            }
        };
        for product in Product::ALL {
            assert_ne!(key(*product), key(*product), "ids are new");
        }
    }

    #[test]
    fn earlier_state_is_a_failure_of_the_same_inference() {
        let payloads = Payloads::of_mindee(Product::Ocr);
        let earlier = mindee::Ocr::decode(payloads.earlier_state().unwrap()).unwrap();
        assert!(earlier.failed().is_some());
        assert_eq!(earlier.key(), mindee::Ocr::decode(payloads.result()).unwrap().key());
    }

    #[test]
    fn unknown_value_replaces_the_first_confidence() {
        let payloads = Payloads::of_mindee(Product::Extraction);
        let changed = payloads.with_unknown_value().unwrap();
        let text = String::from_utf8(changed.to_vec()).unwrap();
        assert_eq!(text.matches(UNKNOWN_WORD).count(), 1);
        assert!(text.contains("\"confidence\":\"SimulatedUnknown\""), "{text}");
        assert!(Payloads::of_mindee(Product::Ocr).with_unknown_value().is_none());
    }

    #[test]
    fn unknown_members_are_in_both_outer_objects() {
        let payloads = Payloads::of_mindee(Product::Split);
        let changed: Value =
            serde_json::from_slice(&payloads.with_unknown_member().unwrap()).unwrap();
        assert!(changed.get(UNKNOWN_MEMBER).is_some());
        assert!(changed["inference"].get(UNKNOWN_MEMBER).is_some());
        assert!(Payloads::new("[]", "").with_unknown_member().is_none());
    }

    #[test]
    fn payloads_of_a_file_have_new_ids_and_keep_the_rest() {
        let body = br#"{"inference": {"id": "a", "job": {"id": "b"}, "result": {"fields": {"x/y": {"confidence": "Low"}}}}}"#;
        let payloads = Payloads::from_mindee_result(body).unwrap();
        let result: Value = serde_json::from_slice(payloads.result()).unwrap();
        assert_ne!(result["inference"]["id"], "a");
        assert_ne!(result["inference"]["job"]["id"], "b");
        assert_eq!(
            payloads.enumeration.as_deref(),
            Some("/inference/result/fields/x~1y/confidence")
        );
        assert!(payloads.with_unknown_value().is_some());
        for (body, error) in [("{", "not JSON"), ("{\"inference\": {}}", "inference.id")] {
            let found = Payloads::from_mindee_result(body.as_bytes()).unwrap_err().to_string();
            assert!(found.contains(error), "{found}");
        }
    }
}
