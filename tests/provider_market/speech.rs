//! Providers of speech recognition and synthesis.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tower_inbox::provider::{Payload, assemblyai, deepgram, elevenlabs, gladia};

use crate::{
    support::{own, round_trip},
    with_head::delivery,
};

#[derive(Debug, Serialize, Deserialize)]
struct Channels {
    channels: Vec<Value>,
}

#[test]
fn key_of_elevenlabs_is_the_conversation_or_request_id() {
    let body = own("elevenlabs/post_call_transcription.json");
    let event = round_trip::<elevenlabs::Event>(&body);
    assert_eq!(event.key().to_string(), "conv-1@post_call_transcription");
    assert_eq!(event.key_of(&delivery(&body, ("accept", "*/*"))), event.key());
    assert_eq!(event.other["workspace"], "w-1");
    let transcript = Bytes::from_static(br#"{"type": "t", "data": {"request_id": "r"}}"#);
    let transcript = round_trip::<elevenlabs::Event>(&transcript);
    assert_eq!((transcript.subject(), transcript.key().version()), (Some("r"), Some("t")));
}

#[test]
fn key_of_elevenlabs_without_an_id_is_the_digest() {
    let body = own("elevenlabs/voice_removed.json");
    let event = round_trip::<elevenlabs::Event>(&body);
    assert_eq!(event.key().to_string(), "voice_removed@1772355600");
    let sent = delivery(&body, ("accept", "*/*"));
    assert_eq!(event.key_of(&sent).id(), sent.digest().to_string());
    let bare = Bytes::from_static(br#"{"type": "ping", "data": "pong"}"#);
    assert_eq!(round_trip::<elevenlabs::Event<String>>(&bare).key().to_string(), "ping");
}

#[test]
fn members_determine_the_variant_of_an_assemblyai_notice() {
    let transcript = round_trip::<assemblyai::Notice>(&own("assemblyai/transcript.json"));
    assert_eq!(transcript.key().to_string(), "5552493-16d8");
    let assemblyai::Notice::Transcript(transcript) = transcript else { panic!("another kind") };
    assert_eq!(transcript.status, Some(assemblyai::Status::Completed));
    assert_eq!(transcript.other["speed"], "best");
    let session = round_trip::<assemblyai::Notice>(&own("assemblyai/session.json"));
    assert_eq!(session.key().to_string(), "sess-1");
    let audio = round_trip::<assemblyai::Notice>(&own("assemblyai/redacted_audio.json"));
    assert_eq!(audio.key().to_string().len(), 64);
    let neither = Bytes::from_static(br#"{"status": "completed"}"#);
    let error = assemblyai::Notice::decode(&neither).unwrap_err();
    assert!(error.parser_error().to_string().contains("transcript_id"));
}

#[test]
fn results_and_failures_of_deepgram_round_trip() {
    let done = round_trip::<deepgram::Response<Channels>>(&own("deepgram/done.json"));
    assert_eq!(done.key().to_string(), "a847f427");
    let deepgram::Response::Done(done) = done else { panic!("failed") };
    assert_eq!((done.results.channels.len(), done.metadata.duration), (1, Some(25.933_313)));
    assert_eq!(done.metadata.other["sha256"], "154e");
    let failed = round_trip::<deepgram::Response<Channels>>(&own("deepgram/failed.json"));
    assert_eq!(failed.key().to_string(), "a847f428");
    assert!(matches!(failed, deepgram::Response::Failed(_)));
    let wrong =
        Bytes::from_static(br#"{"metadata": {"request_id": "r"}, "results": {"channels": 1}}"#);
    let error = deepgram::Response::<Channels>::decode(&wrong).unwrap_err();
    assert_eq!(error.path(), "$.results.channels");
}

#[test]
fn id_of_gladia_is_found_in_callbacks_and_webhooks() {
    let callback = round_trip::<gladia::Event>(&own("gladia/callback_success.json"));
    assert_eq!(callback.key().to_string(), "45463597@transcription.success");
    assert_eq!(callback.custom_metadata.as_ref().unwrap()["user"], "ann");
    let webhook = round_trip::<gladia::Event>(&own("gladia/webhook_success.json"));
    assert_eq!(webhook.key(), callback.key());
    let failed = round_trip::<gladia::Event>(&own("gladia/callback_error.json"));
    assert_eq!(
        (failed.id(), &failed.error.as_ref().unwrap()["code"]),
        (Some("45463598"), &400.into())
    );
}

#[test]
fn last_of_two_ids_in_a_free_object_is_the_id_of_the_event() {
    let twice =
        br#"{"event": "transcription.success", "payload": {"id": "a", "id": 7, "x": {"id": 1}}}"#;
    let event = round_trip::<gladia::Event>(&Bytes::from_static(twice));
    assert_eq!(event.id(), Some("7"));
    let twice = br#"{"type": "t", "data": {"request_id": "r", "conversation_id": "b", "conversation_id": "c"}}"#;
    let event = round_trip::<elevenlabs::Event>(&Bytes::from_static(twice));
    assert_eq!(event.subject(), Some("c"));
}

#[test]
fn key_of_gladia_without_an_id_is_the_digest() {
    let body = Bytes::from_static(br#"{"event": "transcription.created", "payload": {"at": 1}}"#);
    let event = round_trip::<gladia::Event>(&body);
    let sent = delivery(&body, ("accept", "*/*"));
    assert_eq!(event.key_of(&sent).id(), sent.digest().to_string());
}
