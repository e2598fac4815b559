//! Secrets that come in a body are neither shown nor written again.

use bytes::Bytes;
use serde_json::Value;
use tower_inbox::provider::{Payload, extend, rossum, runpod};

use crate::support::{by_meaning, own};

/// What stands for every secret in the fixtures.
const SECRET: &str = "hunter2";

fn shown_and_written<T: Payload + serde::Serialize + std::fmt::Debug>(body: &Bytes) -> String {
    assert!(String::from_utf8_lossy(body).contains(SECRET), "a fixture without a secret");
    let payload = T::decode(body).unwrap();
    format!("{payload:?} {payload:#?} {}", serde_json::to_string(&payload).unwrap())
}

#[test]
fn no_secret_of_a_body_is_shown_or_written() {
    for text in [
        shown_and_written::<rossum::Event>(&own("rossum/annotation_content.json")),
        shown_and_written::<runpod::Job>(&own("runpod/completed.json")),
        shown_and_written::<extend::Event>(&own("extend/link.json")),
    ] {
        assert!(!text.contains(SECRET), "{text}");
    }
}

#[test]
fn only_the_handler_gets_the_token_of_rossum() {
    let event = rossum::Event::decode(&own("rossum/annotation_content.json")).unwrap();
    assert_eq!(event.token.unwrap().expose(), "hunter2-token");
}

#[test]
fn all_but_the_secrets_comes_back() {
    let body = own("rossum/annotation_content.json");
    let written = serde_json::to_value(rossum::Event::decode(&body).unwrap()).unwrap();
    let mut original: Value = serde_json::from_slice(&body).unwrap();
    for secret in ["rossum_authorization_token", "secrets"] {
        original.as_object_mut().unwrap().remove(secret).unwrap();
    }
    assert_eq!(by_meaning(written), by_meaning(original));
}

#[test]
fn an_error_shows_no_secret() {
    let body = Bytes::from_static(br#"{"rossum_authorization_token": "hunter2", "event": 7}"#);
    let error = rossum::Event::decode(&body).unwrap_err();
    assert_eq!(error.path(), "$.event");
    assert!(!format!("{error} {error:?}").contains(SECRET));
}
