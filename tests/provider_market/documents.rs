//! Providers of document processing.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tower_inbox::provider::{Payload, extend, rossum, vlmrun};

use crate::{
    support::{own, round_trip},
    with_head::delivery,
};

#[derive(Debug, Serialize, Deserialize)]
struct Invoice {
    invoice_id: String,
    total: f64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Run {
    object: String,
    id: String,
    status: String,
    output: Value,
}

#[test]
fn prediction_of_vlmrun_is_typed() {
    let prediction = round_trip::<vlmrun::Prediction<Invoice>>(&own("vlmrun/completed.json"));
    assert_eq!(prediction.key().to_string(), "pred-1");
    assert_eq!(prediction.response.unwrap().total, 1250.0);
    assert_eq!(prediction.other["domain"], "document.invoice");
    let unknown = Bytes::from_static(br#"{"id": "p", "status": "stuck", "response": null}"#);
    let unknown = round_trip::<vlmrun::Prediction<Invoice>>(&unknown);
    assert_eq!(unknown.key().to_string(), "p@stuck");
}

#[test]
fn run_of_extend_is_decoded() {
    let event = round_trip::<extend::Event<Run>>(&own("extend/whole.json"));
    assert_eq!(event.key().to_string(), "evt-1");
    let extend::Event::Whole(event) = event else { panic!("a link") };
    assert_eq!(
        (event.payload.status.as_str(), event.event_type.as_deref()),
        ("PROCESSED", Some("extract_run.processed"))
    );
    assert_eq!(event.other["apiVersion"], "2026-02-09");
}

#[test]
fn run_of_extend_as_a_url_is_decoded_for_any_type() {
    let event = extend::Event::<Run>::decode(&own("extend/link.json")).unwrap();
    assert_eq!(event.key().to_string(), "evt-2");
    let extend::Event::Link(event) = event else { panic!("whole") };
    assert_eq!(event.payload.url.expose(), "https://example.com/wr-1.json?signature=hunter2");
    assert_eq!(event.payload.metadata.unwrap()["env"], "production");
    assert_eq!(event.payload.other["object"], "signed_data_url");
}

#[test]
fn run_of_wrong_type_is_an_error_with_its_path() {
    let body = Bytes::from_static(
        br#"{"eventId": "e", "eventType": "t", "payload": {"object": 7, "id": "r"}}"#,
    );
    let error = extend::Event::<Run>::decode(&body).unwrap_err();
    assert_eq!(error.path(), "$.payload.object");
}

#[test]
fn key_of_rossum_is_the_request_id_or_the_digest() {
    let body = own("rossum/annotation_content.json");
    let event = rossum::Event::decode(&body).unwrap();
    assert_eq!(event.key().to_string(), "ae7bc8dd");
    assert_eq!(event.other["annotation"]["content"][0]["schema_id"], "amount");
    let nameless = Bytes::from_static(br#"{"event": "queue", "timestamp": "t", "new": 1}"#);
    let event = round_trip::<rossum::Event>(&nameless);
    assert_eq!(event.key().to_string(), "queue@t");
    let sent = delivery(&nameless, ("accept", "*/*"));
    assert_eq!(event.key_of(&sent).id(), sent.digest().to_string());
}
