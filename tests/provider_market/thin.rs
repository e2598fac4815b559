//! Thin events, which announce a result to be fetched.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tower_inbox::{
    Inference,
    provider::{Payload, gemini, huggingface, llamacloud, openai, recall, reducto, standard},
};

use crate::{
    support::{own, round_trip},
    with_head::delivery,
};

#[derive(Debug, Serialize, Deserialize)]
struct Labelled {
    image: String,
    labels: Vec<String>,
    score: f64,
}

#[test]
fn key_of_standard_event_is_the_message_id_or_the_digest() {
    let body = own("standard/event.json");
    let event = round_trip::<standard::Event>(&body);
    assert_eq!(event.other["sequence"], 12);
    assert_eq!(event.key().to_string(), "image.labelled@2026-03-01T09:00:00.000Z");
    for header in ["webhook-id", "svix-id"] {
        let sent = delivery(&body, (header, "msg_1"));
        assert_eq!(event.key_of(&sent).to_string(), "msg_1");
        assert_eq!(Inference::<standard::Event>::load(sent).unwrap().key().id(), "msg_1");
    }
    let nameless = delivery(&body, ("accept", "*/*"));
    assert_eq!(event.key_of(&nameless).id(), nameless.digest().to_string());
}

#[test]
fn standard_event_is_decoded_to_a_user_type() {
    let event = round_trip::<standard::Event<Labelled>>(&own("standard/event.json"));
    assert_eq!((event.data.image.as_str(), event.data.labels.len()), ("img_7", 2));
    let wrong = Bytes::from_static(br#"{"type": "a", "data": {"image": "i", "labels": [7]}}"#);
    let error = standard::Event::<Labelled>::decode(&wrong).unwrap_err();
    assert_eq!(error.path(), "$.data.labels[0]");
}

#[test]
fn key_of_recall_is_the_message_id_or_the_digest() {
    let body = own("recall/recording_done.json");
    let event = round_trip::<recall::Event>(&body);
    assert_eq!(
        (event.event.as_str(), &event.data["bot"]["id"]),
        ("recording.done", &"bot-1".into())
    );
    for header in ["webhook-id", "svix-id"] {
        assert_eq!(event.key_of(&delivery(&body, (header, "msg_1"))).to_string(), "msg_1");
    }
    let nameless = delivery(&body, ("accept", "*/*"));
    assert_eq!(event.key_of(&nameless).id(), nameless.digest().to_string());
}

#[test]
fn key_of_openai_is_the_message_id_or_the_event_id() {
    let body = own("openai/response_completed.json");
    let event = round_trip::<openai::Event>(&body);
    assert_eq!(event.data.id.as_deref(), Some("resp_42"));
    assert_eq!(event.key().id(), "evt_68a1");
    assert_eq!(event.key_of(&delivery(&body, ("webhook-id", "wh_1"))).id(), "wh_1");
    assert_eq!(event.key_of(&delivery(&body, ("accept", "*/*"))).id(), "evt_68a1");
    let call = round_trip::<openai::Event>(&own("openai/incoming_call.json"));
    assert_eq!((call.data.id, &call.other["region"]), (None, &"eu".into()));
    assert_eq!(call.data.other["call_id"], "call_1");
}

#[test]
fn key_of_gemini_is_the_message_id() {
    let body = own("gemini/batch_succeeded.json");
    let event = round_trip::<gemini::Event>(&body);
    assert_eq!(event.data.output_file_uri.as_deref(), Some("files/out-1"));
    assert_eq!(event.key().to_string(), "batches/b1@batch.succeeded");
    assert_eq!(event.key_of(&delivery(&body, ("webhook-id", "wh_1"))).id(), "wh_1");
    let failed = round_trip::<gemini::Event>(&own("gemini/batch_failed.json"));
    assert_eq!(failed.data.error_code, Some(3.into()));
}

#[test]
fn key_of_reducto_is_the_job_id() {
    let notice = round_trip::<reducto::Notice>(&own("reducto/completed.json"));
    assert_eq!(notice.key().to_string(), "job-17");
    let other = Bytes::from_static(br#"{"status": "Idle", "job_id": "j"}"#);
    let notice = round_trip::<reducto::Notice>(&other);
    assert_eq!(notice.status, Some(reducto::Status::Other("Idle".into())));
}

#[test]
fn event_of_llamacloud_is_decoded_from_an_object_and_from_a_string() {
    let object = own("llamacloud/parse_success.json");
    let event = round_trip::<llamacloud::Event>(&object);
    assert_eq!((event.key().id(), event.job_id()), ("ev-1", Some("job-1")));
    let text = std::str::from_utf8(&object).unwrap();
    let string = format!(" {}", serde_json::to_string(text).unwrap());
    assert_eq!(llamacloud::Event::<Value>::decode(&string.into()).unwrap(), event);
    let twice = serde_json::to_string(&serde_json::to_string(text).unwrap()).unwrap();
    assert!(llamacloud::Event::<Value>::decode(&twice.into()).is_err());
    let wrong = Bytes::from_static(br#""{\"event_id\": 7}""#);
    assert_eq!(llamacloud::Event::<Value>::decode(&wrong).unwrap_err().path(), "$.event_id");
}

#[test]
fn key_of_huggingface_is_the_webhook_id_or_the_digest() {
    let body = own("huggingface/update.json");
    let event = round_trip::<huggingface::Event>(&body);
    assert_eq!((event.updated_refs.len(), &event.updated_refs[1].old_sha), (2, &None));
    assert_eq!(event.key().to_string(), "6366c000a2ab@repo.content:update");
    let sent = delivery(&body, ("accept", "*/*"));
    assert_eq!(event.key_of(&sent).id(), sent.digest().to_string());
    let retried = delivery(&body, ("Webhook-Id", "whd-1"));
    assert_eq!(event.key_of(&retried).to_string(), "whd-1");
    assert_eq!(Inference::<huggingface::Event>::load(retried).unwrap().key().id(), "whd-1");
    let discussion = round_trip::<huggingface::Event>(&own("huggingface/discussion.json"));
    assert!(discussion.updated_refs.is_absent() && discussion.repo.head_sha.is_none());
    assert_eq!(discussion.other["movedTo"]["name"], "acme/dogs");
}
