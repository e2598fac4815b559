//! Providers of images and video.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tower_inbox::provider::{Payload, bfl, fal};

use crate::support::{own, round_trip};

#[derive(Debug, Serialize, Deserialize)]
struct Images {
    images: Vec<serde_json::Value>,
    seed: u64,
}

#[test]
fn output_of_fal_is_typed() {
    let response = round_trip::<fal::Response<Images>>(&own("fal/ok.json"));
    assert_eq!(response.key().to_string(), "024c-1");
    let images = response.output().unwrap();
    assert_eq!((images.images.len(), images.seed), (1, 196_619_188_014_358_660));
    let fal::Response::Done(ended) = &response else { panic!("failed") };
    assert_eq!(ended.other["metrics"]["inference_time"], 2.5);
}

#[test]
fn failure_of_fal_can_have_another_payload_type() {
    let response = round_trip::<fal::Response<Images>>(&own("fal/error.json"));
    assert!(response.output().is_none());
    let fal::Response::Failed(ended) = &response else { panic!("done") };
    assert_eq!(ended.payload.as_ref().unwrap()["detail"][0]["type"], "missing");
    let unknown = Bytes::from_static(br#"{"request_id": "r", "status": "LATE", "payload": 7}"#);
    let response = round_trip::<fal::Response<Images>>(&unknown);
    assert_eq!((response.request_id(), response.output().is_none()), ("r", true));
}

#[test]
fn output_of_fal_can_be_null_and_wrong_type_is_an_error() {
    let response = round_trip::<fal::Response<Images>>(&own("fal/payload_error.json"));
    assert!(response.output().is_none());
    let fal::Response::Done(ended) = &response else { panic!("failed") };
    assert!(ended.payload_error.is_some());
    let wrong =
        Bytes::from_static(br#"{"request_id": "r", "status": "OK", "payload": {"images": 1}}"#);
    let error = fal::Response::<Images>::decode(&wrong).unwrap_err();
    assert_eq!(error.path(), "$.payload.images");
}

#[test]
fn images_and_failures_of_bfl_round_trip() {
    let ready = round_trip::<bfl::Generation>(&own("bfl/ready.json"));
    let image = ready.result.as_ref().unwrap();
    assert_eq!((image.seed.clone(), &image.other["duration"]), (Some(42.into()), &1.5.into()));
    assert_eq!(ready.key().to_string(), "gen-1");
    let failed = round_trip::<bfl::Generation>(&own("bfl/error.json"));
    assert_eq!((failed.status, failed.error), (Some(bfl::Status::Error), Some("Moderated".into())));
    let unknown = Bytes::from_static(br#"{"id": "g", "status": "Moderated", "timestamp": 7.5}"#);
    let unknown = round_trip::<bfl::Generation>(&unknown);
    assert_eq!(unknown.status, Some(bfl::Status::Other("Moderated".into())));
}
