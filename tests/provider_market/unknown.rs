//! What a provider adds is kept, and told.

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value};
use tower_inbox::{
    Inference,
    delivery::{Delivery, DeliveryId, Head, Redaction},
    provider::{
        Payload, assemblyai, baseten, bfl, deepgram, elevenlabs, extend, fal, gemini, huggingface,
        llamacloud, openai, reducto, replicate, runpod, standard, vlmrun,
    },
    signature::Proof,
};

use crate::support::own;

/// Loads the fixture with one more member.
fn assert_told<T: Payload + Serialize>(fixture: &str) {
    let mut payload: Map<String, Value> = serde_json::from_slice(&own(fixture)).unwrap();
    payload.insert("added_today".to_owned(), Value::from(7));
    let body = Bytes::from(serde_json::to_vec(&payload).unwrap());
    let (head, ()) = http::Request::post("/hooks").body(()).unwrap().into_parts();
    let delivery = Delivery::new(
        DeliveryId::new(),
        "/hooks".parse().unwrap(),
        Head::of(&head, &Redaction::default()),
        body,
        std::time::SystemTime::now(),
        Proof::new("none", "none", "raw"),
    );
    let inference = Inference::<T>::load(delivery).unwrap();
    let unknown = inference.unknown();
    assert!(unknown.contains(&"$.added_today".to_owned()), "{fixture}: {unknown:?}");
    let again = serde_json::to_value(&inference).unwrap();
    assert_eq!(again.get("added_today"), Some(&7.into()), "{fixture}");
}

/// Not of DeepInfra, whose results stand beside the other members, and of Rossum and Gladia, which have members by event.
#[test]
fn a_member_that_a_provider_adds_is_told_and_kept() {
    assert_told::<assemblyai::Notice>("assemblyai/transcript.json");
    assert_told::<baseten::Completed<Value>>("baseten/completed.json");
    assert_told::<bfl::Generation>("bfl/ready.json");
    assert_told::<deepgram::Response<Value>>("deepgram/done.json");
    assert_told::<elevenlabs::Event>("elevenlabs/voice_removed.json");
    assert_told::<extend::Event<Value>>("extend/whole.json");
    assert_told::<fal::Response<Value>>("fal/ok.json");
    assert_told::<gemini::Event>("gemini/batch_failed.json");
    assert_told::<huggingface::Event>("huggingface/discussion.json");
    assert_told::<llamacloud::Event>("llamacloud/parse_success.json");
    assert_told::<openai::Event>("openai/incoming_call.json");
    assert_told::<reducto::Notice>("reducto/completed.json");
    assert_told::<replicate::Prediction<Value>>("replicate/succeeded.json");
    assert_told::<runpod::Job<Value>>("runpod/completed.json");
    assert_told::<standard::Event<Value>>("standard/event.json");
    assert_told::<vlmrun::Prediction<Value>>("vlmrun/completed.json");
}
