//! What a provider adds is kept, and told.

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;
use tower_inbox::{
    Inference,
    delivery::{Delivery, DeliveryId, Head, Redaction},
    provider::{
        Payload, assemblyai, baseten, bfl, deepgram, deepinfra, elevenlabs, extend, fal, gemini,
        gladia, huggingface, llamacloud, openai, reducto, replicate, rossum, runpod, standard,
        vlmrun,
    },
    signature::Proof,
};

use crate::support::own;

/// Loads the fixture with one more member in the object at `pointer`.
fn load<T: Payload>(fixture: &str, pointer: &str) -> Inference<T> {
    let mut payload: Value = serde_json::from_slice(&own(fixture)).unwrap();
    let object = payload.pointer_mut(pointer).and_then(Value::as_object_mut).unwrap();
    object.insert("added_today".to_owned(), Value::from(7));
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
    Inference::load(delivery).unwrap()
}

fn assert_told<T: Payload + Serialize>(fixture: &str) {
    let inference = load::<T>(fixture, "");
    let unknown = inference.unknown();
    assert!(unknown.contains(&"$.added_today".to_owned()), "{fixture}: {unknown:?}");
    let again = serde_json::to_value(&inference).unwrap();
    assert_eq!(again.get("added_today"), Some(&7.into()), "{fixture}");
}

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
    for event in ["callback_success", "webhook_success", "callback_error"] {
        assert_told::<gladia::Event>(&format!("gladia/{event}.json"));
    }
    assert_told::<huggingface::Event>("huggingface/discussion.json");
    assert_told::<llamacloud::Event>("llamacloud/parse_success.json");
    assert_told::<openai::Event>("openai/incoming_call.json");
    assert_told::<reducto::Notice>("reducto/completed.json");
    assert_told::<replicate::Prediction<Value>>("replicate/succeeded.json");
    assert_told::<runpod::Job<Value>>("runpod/completed.json");
    assert_told::<standard::Event<Value>>("standard/event.json");
    assert_told::<vlmrun::Prediction<Value>>("vlmrun/completed.json");
}

#[test]
fn the_id_of_a_callback_is_known_and_written_again() {
    let event = load::<gladia::Event>("gladia/callback_success.json", "");
    assert_eq!(event.unknown(), ["$.added_today"]);
    assert_eq!(serde_json::to_value(&event).unwrap()["id"], "45463597");
    let webhook = load::<gladia::Event>("gladia/webhook_success.json", "");
    assert_eq!(webhook.id(), Some("45463597"));
    assert_eq!(
        serde_json::to_value(&webhook).unwrap().get("id"),
        None,
        "it came within the payload"
    );
}

/// Results of DeepInfra stand beside its own members, and those of Rossum differ by event, in ways that are not published.
#[test]
fn what_may_be_a_result_or_belong_to_an_event_is_no_addition() {
    let completion = load::<deepinfra::Completion>("deepinfra/succeeded.json", "");
    assert_eq!(completion.results["added_today"], 7);
    assert!(!completion.unknown().contains(&"$.added_today".to_owned()));
    let event = load::<rossum::Event>("rossum/annotation_content.json", "");
    assert_eq!(event.other["added_today"], 7);
    assert!(!event.unknown().contains(&"$.added_today".to_owned()));
    let completion = load::<deepinfra::Completion>("deepinfra/succeeded.json", "/inference_status");
    assert!(completion.unknown().contains(&"$.inference_status.added_today".to_owned()));
}
