//! Bodies that senders were observed to post, or may post, and that their documentation does not show.

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tower_inbox::{
    Inference,
    provider::{
        DecodeError, Payload, Tolerated, assemblyai, baseten, deepgram, deepinfra, elevenlabs,
        gladia, llamacloud, openai, replicate, runpod, standard,
    },
};

use crate::{support::round_trip, with_head::delivery};

#[derive(Debug, Serialize, Deserialize)]
struct Labelled {
    image: String,
}

fn load<T: Payload>(body: impl Into<Bytes>) -> Result<Inference<T>, DecodeError> {
    Inference::load(delivery(&body.into(), ("accept", "*/*")))
}

/// Returns the paths of tolerated members.
fn tolerated<T>(inference: &Inference<T>) -> Vec<&str> {
    inference.tolerated().iter().map(Tolerated::path).collect()
}

fn standard<D: DeserializeOwned + Send + Sync + 'static>(
    body: &'static str,
) -> Inference<standard::Event<D>> {
    let inference = load::<standard::Event<D>>(body).unwrap();
    assert_eq!(tolerated(&inference), <[&str; 0]>::default(), "{body}");
    inference
}

#[test]
fn standard_event_without_data_is_decoded_if_the_type_is_nullable() {
    let ping = r#"{"type": "ping"}"#;
    assert_eq!(standard::<Value>(ping).data, Value::Null);
    assert!(standard::<Option<Labelled>>(ping).data.is_none());
    standard::<()>(r#"{"type": "ping", "data": null}"#);
    for without in [ping, r#"{"type": "ping", "data": null}"#] {
        let error = load::<standard::Event<Labelled>>(without).unwrap_err();
        assert_eq!(error.expected(), Some("the member `data`"));
    }
    let wrong = r#"{"type": "t", "data": {"image": 7}}"#;
    assert_eq!(load::<standard::Event<Labelled>>(wrong).unwrap_err().path(), "$.data.image");
}

#[test]
fn standard_event_with_payload_instead_of_data_round_trips() {
    let body = r#"{"type": "t", "payload": {"image": "i"}}"#;
    let event = standard::<Labelled>(body);
    assert_eq!((event.data.image.as_str(), event.other.is_empty()), ("i", true));
    round_trip::<standard::Event<Labelled>>(&body.into());
    assert_eq!(standard::<Value>(body).unknown(), <[&str; 0]>::default());
    let both = r#"{"type": "t", "data": {"image": "i"}, "payload": 7}"#;
    let event = standard::<Labelled>(both);
    assert_eq!((event.data.image.as_str(), &event.other["payload"]), ("i", &7.into()));
    let wrong = r#"{"type": "t", "payload": {"image": 7}}"#;
    assert_eq!(load::<standard::Event<Labelled>>(wrong).unwrap_err().path(), "$.payload.image");
}

#[test]
fn standard_event_with_another_name_for_its_type_round_trips() {
    for name in ["event", "event_type", "eventType"] {
        let body = Bytes::from(format!(r#"{{"{name}": "a.b", "data": {{"image": "i"}}}}"#));
        let event = round_trip::<standard::Event<Labelled>>(&body);
        assert_eq!((event.kind.as_deref(), event.other.is_empty()), (Some("a.b"), true));
        assert_eq!(load::<standard::Event>(body).unwrap().unknown(), <[&str; 0]>::default());
    }
    let both = standard::<Value>(r#"{"type": "a", "event": "b", "event_type": 7, "data": {}}"#);
    assert_eq!((both.kind.as_deref(), &both.other["event"]), (Some("a"), &"b".into()));
    let nested = standard::<Value>(r#"{"event": {"name": "a"}, "data": {}}"#);
    assert_eq!((nested.kind.as_deref(), &nested.other["event"]["name"]), (None, &"a".into()));
}

#[test]
fn standard_event_with_numeric_timestamp_and_one_without_known_members_are_decoded() {
    for time in ["1772355600", "1772355600.25", "1772355600000"] {
        let body = Bytes::from(format!(r#"{{"type": "t", "timestamp": {time}, "data": {{}}}}"#));
        let event = round_trip::<standard::Event>(&body);
        assert_eq!(event.timestamp.as_ref().unwrap().to_string(), time);
        assert_eq!(event.key().version(), Some(time));
    }
    let event = standard::<Value>(r#"{"greeting": 17}"#);
    assert_eq!((event.kind.as_deref(), &event.other["greeting"]), (None, &17.into()));
}

#[test]
fn error_and_logs_of_replicate_can_be_of_any_type() {
    let body = Bytes::from_static(
        br#"{"id": "p", "status": "failed", "error": {"code": 2}, "logs": ["one", "two"]}"#,
    );
    let failed = round_trip::<replicate::Prediction>(&body);
    assert_eq!(
        (failed.error, failed.logs),
        (Some(json!({"code": 2})), Some(json!(["one", "two"])))
    );
}

#[test]
fn nan_in_an_output_is_null_for_a_nullable_type() {
    let body = r#"{"id": "p", "status": "succeeded", "output": [NaN, 0.5, -Infinity]}"#;
    let inference = load::<replicate::Prediction<Vec<Option<f64>>>>(body).unwrap();
    assert_eq!(inference.output.as_deref(), Some(&[None, Some(0.5), None][..]));
    assert_eq!(tolerated(&inference), ["$.output[0]", "$.output[2]"]);
    let error = load::<replicate::Prediction<Vec<f64>>>(body).unwrap_err();
    assert_eq!(error.path(), "$.output[0]");
}

#[test]
fn values_of_user_types_are_decoded_strictly() {
    let body = r#"{"id": 7, "status": [], "output": {"image": 7}}"#;
    let error = load::<replicate::Prediction<Labelled>>(body).unwrap_err();
    assert_eq!(error.path(), "$.output.image");
    let body = r#"{"id": 7, "status": [], "output": {"image": "i"}}"#;
    let inference = load::<replicate::Prediction<Labelled>>(body).unwrap();
    assert_eq!((inference.key().id(), &inference.status), ("7", &None));
    assert_eq!(tolerated(&inference), ["$.id", "$.status"]);
}

#[test]
fn errors_of_baseten_can_have_numeric_codes_no_message_or_be_strings() {
    let body = r#"{"request_id": "r", "data": 1, "errors": [{"code": 503}, "too late", {"message": "m"}]}"#;
    let inference = load::<baseten::Completed>(body).unwrap();
    let problems: Vec<_> =
        inference.errors.iter().map(|p| (p.code.as_deref(), p.message.as_deref())).collect();
    assert_eq!(problems, [(Some("503"), None), (None, Some("too late")), (None, Some("m"))]);
    assert_eq!(tolerated(&inference), ["$.errors[0].code"]);
    let texts = r#"{"request_id": "r", "errors": ["too late"]}"#;
    assert!(load::<baseten::Completed>(texts).unwrap().tolerated().is_empty());
    let text = load::<baseten::Completed>(r#"{"request_id": "r", "errors": "late"}"#).unwrap();
    assert!(text.errors.is_absent());
    assert_eq!(tolerated(&text), ["$.errors"]);
}

#[test]
fn messages_and_status_of_assemblyai_can_be_null() {
    let body = Bytes::from_static(br#"{"session_id": "s", "messages": null}"#);
    let assemblyai::Notice::Session(session) = round_trip(&body) else { panic!("another kind") };
    assert!(session.messages.is_empty());
    let body = Bytes::from_static(br#"{"transcript_id": "t", "status": null}"#);
    let assemblyai::Notice::Transcript(transcript) = round_trip(&body) else { panic!("another") };
    assert_eq!(transcript.status, None);
}

#[test]
fn key_of_deepinfra_without_request_id_is_the_digest() {
    for id in [r#""request_id": null, "#, ""] {
        let body = format!(r#"{{{id}"inference_status": {{"status": "failed"}}}}"#);
        let inference = load::<deepinfra::Completion>(body).unwrap();
        assert_eq!(inference.key().id(), inference.delivery().digest().to_string());
    }
    assert!(load::<deepinfra::Completion>(r#"{"request_id": null}"#).is_err());
}

/// The local server of `runpod-python` posts only the return value of the handler.
#[test]
fn job_of_runpod_local_server_without_id_and_status_is_decoded() {
    let body = Bytes::from_static(br#"{"output": {"image": "i"}}"#);
    let inference = load::<runpod::Job<Labelled>>(body.clone()).unwrap();
    assert_eq!(inference.output.as_ref().unwrap().image, "i");
    assert_eq!(inference.key().id(), inference.delivery().digest().to_string());
    assert!(inference.tolerated().is_empty());
    round_trip::<runpod::Job<Labelled>>(&body);
    let stream = r#"[{"output": "a"}, {"output": "b"}]"#;
    assert_eq!(load::<runpod::Job>(stream).unwrap_err().path(), "$");
}

#[test]
fn times_of_runpod_can_be_absent_or_strings() {
    let job = r#"{"id": 12, "status": "COMPLETED", "delayTime": "12 ms", "output": 1}"#;
    let inference = load::<runpod::Job>(job).unwrap();
    assert_eq!((inference.key().id(), &inference.delay_time), ("12", &None));
    assert_eq!(tolerated(&inference), ["$.id", "$.delayTime"]);
}

#[test]
fn live_messages_of_deepgram_are_decoded_and_have_distinct_keys() {
    let part = |start: f64| {
        json!({"type": "Results", "channel_index": [0, 1], "start": start, "duration": 1.5,
            "is_final": true, "speech_final": false, "metadata": {"request_id": "r1"},
            "channel": {"alternatives": [{"transcript": "hello", "confidence": 0.5}]}})
    };
    let end = json!({"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": 2.5});
    let metadata = json!({"type": "Metadata", "request_id": "r1", "duration": 2.5, "channels": 1});
    let mut keys = Vec::new();
    for (body, id) in
        [(part(0.0), Some("r1")), (part(1.5), Some("r1")), (end, None), (metadata, Some("r1"))]
    {
        let body = Bytes::from(body.to_string());
        let response = round_trip::<deepgram::Response<Labelled>>(&body);
        let deepgram::Response::Live(live) = response else { panic!("not live: {response:?}") };
        assert_eq!(live.request_id(), id);
        keys.push(load::<deepgram::Response>(body).unwrap().key().to_string());
    }
    keys.dedup();
    assert_eq!(keys.len(), 4);
}

#[test]
fn audio_of_deepgram_is_undecodable() {
    let mp3 = Bytes::from_static(b"ID3\x04\x00\xff\xfb\x90\x64\x00");
    assert!(load::<deepgram::Response>(mp3).unwrap_err().to_string().contains("not JSON"));
}

#[test]
fn numeric_ids_are_keys() {
    let callback = load::<gladia::Event>(r#"{"id": 7, "event": "e", "payload": {}}"#).unwrap();
    assert_eq!(callback.key().to_string(), "7@e");
    let webhook = load::<gladia::Event>(r#"{"event": "e", "payload": {"id": 7}}"#).unwrap();
    assert_eq!(webhook.key().to_string(), "7@e");
    let call = r#"{"type": "t", "data": {"conversation_id": null, "request_id": 7}}"#;
    assert_eq!(load::<elevenlabs::Event>(call).unwrap().key().to_string(), "7@t");
}

#[test]
fn event_without_data_of_openai_is_decoded() {
    for body in [r#"{"id": "e", "type": "t"}"#, r#"{"id": "e", "type": "t", "data": null}"#] {
        assert_eq!(load::<openai::Event>(body).unwrap().data.id, None);
    }
}

#[test]
fn string_of_llamacloud_can_start_with_a_byte_order_mark() {
    let inner = r#"{"event_id": "e", "event_type": 7, "data": {"job_id": "j"}}"#;
    let string = format!("\u{feff}{}", serde_json::to_string(inner).unwrap());
    let inference = load::<llamacloud::Event>(string).unwrap();
    assert_eq!((inference.job_id(), inference.kind.as_deref()), (Some("j"), Some("7")));
}
