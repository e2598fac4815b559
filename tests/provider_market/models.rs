//! Providers of model hosting: jobs that run a model of the customer's choice.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tower_inbox::provider::{Payload, baseten, bfl, deepinfra, replicate, runpod};

use crate::support::{own, round_trip};

#[derive(Debug, Serialize, Deserialize)]
struct Caption {
    caption: String,
}

#[test]
fn key_of_a_final_prediction_differs_from_earlier_states() {
    let last = round_trip::<replicate::Prediction<Vec<String>>>(&own("replicate/succeeded.json"));
    assert_eq!((last.key().to_string(), last.output.unwrap().len()), ("x4f2kd9s0hrm80c".into(), 2));
    assert_eq!(last.other["model"], "acme/captions");
    let early = round_trip::<replicate::Prediction>(&own("replicate/processing.json"));
    assert_eq!(early.key().to_string(), "x4f2kd9s0hrm80c@processing");
    assert_eq!(early.output, Some(serde_json::json!(["https://example.com/out-0.png"])));
}

#[test]
fn unknown_status_of_a_prediction_is_kept_and_not_final() {
    let body = Bytes::from_static(br#"{"id": "p", "status": "resting", "output": null}"#);
    let prediction = round_trip::<replicate::Prediction<u8>>(&body);
    assert_eq!(prediction.status, Some(replicate::Status::Other("resting".into())));
    assert_eq!(prediction.key().version(), Some("resting"));
    let aborted = Bytes::from_static(br#"{"id": "p", "status": "aborted", "output": null}"#);
    let aborted = round_trip::<replicate::Prediction<u8>>(&aborted);
    assert!(aborted.status.as_ref().is_some_and(replicate::Status::is_terminal));
    assert_eq!(aborted.key().to_string(), "p");
}

#[test]
fn prediction_of_wrong_type_is_an_error_with_its_path() {
    let body = own("replicate/succeeded.json");
    let error = replicate::Prediction::<Vec<u8>>::decode(&body).unwrap_err();
    assert_eq!(error.path(), "$.output[0]");
}

#[test]
fn results_and_failures_of_baseten_round_trip() {
    let done = round_trip::<baseten::Completed<Caption>>(&own("baseten/completed.json"));
    assert_eq!(done.data.as_ref().unwrap().caption, "a cat on an oven");
    assert_eq!((done.key().to_string(), &done.other["attempt"]), ("9f0c".into(), &1.into()));
    let failed = round_trip::<baseten::Completed<Caption>>(&own("baseten/failed.json"));
    assert!(failed.data.is_none());
    assert_eq!(failed.errors[0].code.as_deref(), Some("MODEL_PREDICT_ERROR"));
}

#[test]
fn jobs_of_runpod_are_decoded() {
    let job = runpod::Job::<Value>::decode(&own("runpod/completed.json")).unwrap();
    assert_eq!((job.key().to_string(), job.delay_time), ("c80ffee4-e1".into(), Some(2188.into())));
    assert_eq!(job.other["workerId"], "w1");
    let failed = round_trip::<runpod::Job>(&own("runpod/failed.json"));
    assert_eq!(
        (failed.status, failed.error),
        (Some(runpod::Status::Failed), Some("out of memory".into()))
    );
    let waiting = Bytes::from_static(br#"{"id": "j", "status": "PAUSED"}"#);
    assert_eq!(round_trip::<runpod::Job>(&waiting).key().to_string(), "j@PAUSED");
}

/// The types of these numbers come from secondary sources, so no number makes a result undecodable.
#[test]
fn second_hand_numbers_can_be_of_any_precision() {
    for number in ["12", "12.5", "-1", "18446744073709551615"] {
        let job = format!(
            r#"{{"id": "j", "status": "COMPLETED", "delayTime": {number}, "executionTime": {number}}}"#
        );
        let job = runpod::Job::<Value>::decode(&job.into()).unwrap();
        assert_eq!(job.delay_time.as_ref().unwrap().to_string(), number);
        assert_eq!(serde_json::to_value(&job).unwrap()["executionTime"].to_string(), number);
        let image = format!(
            r#"{{"id": "g", "status": "Ready", "result": {{"sample": "s", "seed": {number}}}}}"#
        );
        let image = bfl::Generation::decode(&image.into()).unwrap();
        assert_eq!(image.result.unwrap().seed.unwrap().to_string(), number);
    }
}

#[test]
fn results_of_deepinfra_are_separated_from_its_own_members() {
    #[derive(Deserialize)]
    struct Generated {
        results: Vec<Value>,
        num_tokens: u32,
    }
    let done = round_trip::<deepinfra::Completion>(&own("deepinfra/succeeded.json"));
    let output: Generated = done.output().unwrap();
    assert_eq!((output.results.len(), output.num_tokens), (1, 20));
    assert_eq!(done.inference_status.as_ref().unwrap().other["tokens_generated"], 20);
    assert_eq!(done.key().to_string(), "RfMW");
    let failed = round_trip::<deepinfra::Completion>(&own("deepinfra/failed.json"));
    assert!(failed.results.is_empty() && failed.output::<Generated>().is_err());
}
