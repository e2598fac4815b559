//! Secrets in a body are neither shown nor serialized.

use std::error::Error;

use bytes::Bytes;
use serde_json::Value;
use tower_inbox::provider::{Payload, extend, fal, foxyai, mindee, rossum, runpod};

use crate::support::{by_meaning, own};

/// The placeholder of every secret in the fixtures.
const SECRET: &str = "hunter2";

fn shown_and_written<T: Payload + serde::Serialize + std::fmt::Debug>(body: &Bytes) -> String {
    assert!(String::from_utf8_lossy(body).contains(SECRET), "a fixture without a secret");
    let payload = T::decode(body).unwrap();
    format!("{payload:?} {payload:#?} {}", serde_json::to_string(&payload).unwrap())
}

#[test]
fn secrets_in_a_body_are_neither_shown_nor_serialized() {
    for text in [
        shown_and_written::<rossum::Event>(&own("rossum/annotation_content.json")),
        shown_and_written::<runpod::Job>(&own("runpod/completed.json")),
        shown_and_written::<extend::Event>(&own("extend/link.json")),
    ] {
        assert!(!text.contains(SECRET), "{text}");
    }
}

#[test]
fn token_of_rossum_is_exposed_to_the_handler_only() {
    let event = rossum::Event::decode(&own("rossum/annotation_content.json")).unwrap();
    assert_eq!(event.token.unwrap().expose(), "hunter2-token");
}

#[test]
fn everything_but_secrets_round_trips() {
    let body = own("rossum/annotation_content.json");
    let written = serde_json::to_value(rossum::Event::decode(&body).unwrap()).unwrap();
    let mut original: Value = serde_json::from_slice(&body).unwrap();
    for secret in ["rossum_authorization_token", "secrets"] {
        original.as_object_mut().unwrap().remove(secret).unwrap();
    }
    assert_eq!(by_meaning(written), by_meaning(original));
}

/// Returns everything of an error that a log can contain: both formats of it, and its chain of sources.
fn shown_of(error: &dyn Error) -> String {
    let mut shown = vec![format!("{error} {error:?} {error:#?}")];
    let mut next = error.source();
    while let Some(cause) = next {
        shown.push(format!("{cause} {cause:?}"));
        next = cause.source();
    }
    shown.join(" ")
}

fn assert_hidden<T: Payload + std::fmt::Debug>(body: &'static str, path: &str) {
    assert!(body.contains(SECRET));
    let error = T::decode(&Bytes::from_static(body.as_bytes())).unwrap_err();
    assert_eq!(error.path(), path);
    assert!(!shown_of(&error).contains(SECRET), "{body}");
}

#[test]
fn error_contains_no_secret_even_if_the_secret_is_invalid() {
    assert_hidden::<rossum::Event>(
        r#"{"rossum_authorization_token": "hunter2", "event": 7}"#,
        "$.event",
    );
    assert_hidden::<rossum::Event>(
        r#"{"rossum_authorization_token": {"hunter2": 1}, "event": "e"}"#,
        "$.rossum_authorization_token",
    );
    assert_hidden::<extend::Event>(
        r#"{"eventId": "e1", "eventType": "t", "payload": "https://example.com/run?sig=hunter2"}"#,
        "$.payload",
    );
    assert_hidden::<runpod::Job>(r#"{"id": "j", "status": ["hunter2"]}"#, "$.status");
    assert_hidden::<runpod::Job>(
        r#"{"id": "j", "status": "FAILED", "webhook": ["hunter2"]}"#,
        "$.webhook",
    );
    assert_hidden::<fal::Response>(
        r#"{"request_id": "r", "status": "OK", "gateway_request_id": {"a": "hunter2"}}"#,
        "$.gateway_request_id",
    );
    assert_hidden::<mindee::Extraction<mindee::Fields>>(
        r#"{"inference": "hunter2"}"#,
        "$.inference",
    );
    assert_hidden::<foxyai::Image>(
        r#"{"_id": "i", "status": "s", "models": "hunter2"}"#,
        "$.models",
    );
}
