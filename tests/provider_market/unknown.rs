//! Unknown members are kept and reported.

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;
use tower_inbox::{
    Inference,
    delivery::{Delivery, DeliveryId, Redaction},
    provider::{
        Payload, assemblyai, baseten, bfl, deepgram, deepinfra, elevenlabs, extend, fal, gemini,
        gladia, huggingface, llamacloud, openai, recall, reducto, replicate, rossum, runpod,
        standard, vlmrun,
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
    let delivery = Delivery::received(
        DeliveryId::new(),
        "/hooks".parse().unwrap(),
        &head,
        body,
        std::time::SystemTime::now(),
        Proof::new("none", "none", "raw"),
        &Redaction::default(),
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
fn added_member_is_reported_as_unknown_and_kept() {
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
    assert_told::<recall::Event>("recall/recording_done.json");
    assert_told::<reducto::Notice>("reducto/completed.json");
    assert_told::<replicate::Prediction<Value>>("replicate/succeeded.json");
    assert_told::<runpod::Job<Value>>("runpod/completed.json");
    assert_told::<standard::Event<Value>>("standard/event.json");
    assert_told::<vlmrun::Prediction<Value>>("vlmrun/completed.json");
}

#[test]
fn id_of_a_gladia_callback_is_known_and_serialized() {
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

/// Collects the JSON pointers of all objects in a payload.
fn objects(json: &Value, here: &str, found: &mut Vec<String>) {
    match json {
        Value::Object(members) => {
            found.push(here.to_owned());
            for (name, value) in members {
                objects(value, &format!("{here}/{name}"), found);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                objects(value, &format!("{here}/{index}"), found);
            }
        }
        _ => {}
    }
}

fn path_of(pointer: &str) -> String {
    let path = |name: &str| match name.parse::<usize>() {
        Ok(index) => format!("[{index}]"),
        Err(_) => format!(".{name}"),
    };
    pointer.split('/').skip(1).map(path).collect()
}

/// Adds a member to each object of a payload, one at a time. Asserts that it is kept, and reported unless it is below
/// one of `free`, where any members are allowed.
fn assert_kept_everywhere<T: Payload + Serialize>(fixtures: &[&str], free: &[&str]) {
    for fixture in fixtures {
        let mut all = Vec::new();
        objects(&serde_json::from_slice(&own(fixture)).unwrap(), "", &mut all);
        for pointer in all {
            let inference = load::<T>(fixture, &pointer);
            let written = serde_json::to_value(&inference).unwrap();
            let kept = written.pointer(&format!("{pointer}/added_today"));
            assert_eq!(kept, Some(&7.into()), "{fixture} at {pointer:?}");
            let path = format!("${}.added_today", path_of(&pointer));
            // Within an unknown object, the object is reported.
            let told = inference.unknown().iter().any(|unknown| path.starts_with(unknown));
            let is_free = free.iter().any(|free| pointer.starts_with(free));
            assert_eq!(told, !is_free, "{fixture} at {pointer:?}");
        }
    }
}

#[test]
fn member_added_anywhere_is_kept_and_reported_in_typed_objects() {
    assert_kept_everywhere::<assemblyai::Notice>(
        &[
            "assemblyai/transcript.json",
            "assemblyai/redacted_audio.json",
            "assemblyai/session.json",
        ],
        &["/messages"],
    );
    assert_kept_everywhere::<baseten::Completed<Value>>(
        &["baseten/completed.json", "baseten/failed.json"],
        &["/data"],
    );
    assert_kept_everywhere::<bfl::Generation>(&["bfl/ready.json", "bfl/error.json"], &["/error"]);
    assert_kept_everywhere::<deepgram::Response<Value>>(
        &["deepgram/done.json", "deepgram/failed.json"],
        &["/results"],
    );
    assert_kept_everywhere::<elevenlabs::Event>(
        &["elevenlabs/post_call_transcription.json", "elevenlabs/voice_removed.json"],
        &["/data"],
    );
    assert_kept_everywhere::<extend::Event>(&["extend/whole.json"], &["/payload"]);
    assert_kept_everywhere::<extend::Event>(&["extend/link.json"], &["/payload/metadata"]);
    assert_kept_everywhere::<fal::Response>(
        &["fal/ok.json", "fal/error.json", "fal/payload_error.json"],
        &["/payload"],
    );
    assert_kept_everywhere::<gemini::Event>(
        &["gemini/batch_failed.json", "gemini/batch_succeeded.json"],
        &["/data/error_code"],
    );
    assert_kept_everywhere::<gladia::Event>(
        &[
            "gladia/callback_success.json",
            "gladia/webhook_success.json",
            "gladia/callback_error.json",
        ],
        &["/payload", "/error", "/custom_metadata"],
    );
    assert_kept_everywhere::<huggingface::Event>(
        &["huggingface/discussion.json", "huggingface/update.json"],
        &["/discussion", "/comment"],
    );
    assert_kept_everywhere::<llamacloud::Event>(&["llamacloud/parse_success.json"], &["/data"]);
    assert_kept_everywhere::<openai::Event>(
        &["openai/incoming_call.json", "openai/response_completed.json"],
        &[],
    );
    assert_kept_everywhere::<recall::Event>(&["recall/recording_done.json"], &["/data"]);
    assert_kept_everywhere::<reducto::Notice>(&["reducto/completed.json"], &["/metadata"]);
    assert_kept_everywhere::<replicate::Prediction<Value>>(
        &["replicate/processing.json", "replicate/succeeded.json"],
        &["/input", "/output", "/metrics", "/logs"],
    );
    assert_kept_everywhere::<runpod::Job<Value>>(
        &["runpod/completed.json", "runpod/failed.json"],
        &["/input", "/output", "/error"],
    );
    assert_kept_everywhere::<standard::Event<Value>>(&["standard/event.json"], &["/data"]);
    assert_kept_everywhere::<vlmrun::Prediction<Value>>(
        &["vlmrun/completed.json"],
        &["/response", "/usage"],
    );
}

/// DeepInfra puts results next to its own members. Rossum's members differ by event and are not fully documented.
#[test]
fn members_of_free_objects_are_not_reported_as_unknown() {
    let completion = load::<deepinfra::Completion>("deepinfra/succeeded.json", "");
    assert_eq!(completion.results["added_today"], 7);
    assert!(!completion.unknown().contains(&"$.added_today".to_owned()));
    let event = load::<rossum::Event>("rossum/annotation_content.json", "");
    assert_eq!(event.other["added_today"], 7);
    assert!(!event.unknown().contains(&"$.added_today".to_owned()));
    let completion = load::<deepinfra::Completion>("deepinfra/succeeded.json", "/inference_status");
    assert!(completion.unknown().contains(&"$.inference_status.added_today".to_owned()));
}
