//! Provider members that are null, missing or of another type do not make a delivery undecodable.
//! `Inference::tolerated` lists those of another type.

use serde_json::json;
use tower_inbox::provider::{
    assemblyai, baseten, bfl, deepgram, deepinfra, elevenlabs, extend, fal, gemini, gladia,
    huggingface, llamacloud, openai, recall, reducto, replicate, rossum, runpod, standard, vlmrun,
};

use crate::support::members::body;

#[test]
fn malformed_members_of_jobs_do_not_prevent_decoding() {
    body(
        json!({"id": "p1", "version": "v1", "status": "succeeded", "input": {"a": 1}, "output": ["x"],
            "error": null, "logs": "l", "metrics": {"predict_time": 1.5}, "created_at": "t",
            "started_at": "t", "completed_at": "t", "urls": {"get": "u"}}),
        &["/id"],
    )
    .with_users(&["/output"])
    .is_lenient_as::<replicate::Prediction>();
    body(
        json!({"id": "j1", "status": "COMPLETED", "output": {"a": 1}, "error": "e", "delayTime": 12,
            "executionTime": 7, "input": {"a": 1}, "webhook": "https://example.com/?t=hunter2",
            "workerId": "w1"}),
        &[],
    )
    .with_users(&["/output"])
    .with_secrets(&["webhook"])
    .is_lenient_as::<runpod::Job>();
    body(
        json!({"request_id": "r1", "model_id": "m1", "deployment_id": "d1", "type": "t", "time": "t",
            "data": {"a": 1}, "errors": [{"code": "c", "message": "m", "at": 1}, {"code": "d"}]}),
        &["/request_id"],
    )
    .with_users(&["/data"])
    .is_lenient_as::<baseten::Completed>();
    body(
        json!({"request_id": "r1", "inference_status": {"status": "succeeded", "runtime_ms": 243,
            "cost": 0.5, "tokens_generated": 3}, "results": [{"generated_text": "t"}]}),
        &[],
    )
    .with_users(&["/results"])
    .is_lenient_as::<deepinfra::Completion>();
    body(
        json!({"id": "p1", "status": "completed", "response": {"a": 1}, "created_at": "t",
            "completed_at": "t", "usage": {"credits_used": 1}, "domain": "d"}),
        &["/id"],
    )
    .with_users(&["/response"])
    .is_lenient_as::<vlmrun::Prediction>();
}

#[test]
fn malformed_members_of_images_do_not_prevent_decoding() {
    for status in ["OK", "ERROR"] {
        body(
            json!({"request_id": "r1", "gateway_request_id": "g1", "status": status, "error": "e",
                "payload": {"a": 1}, "payload_error": "p", "metrics": {"inference_time": 1}}),
            &["/request_id"],
        )
        .with_users(&["/payload"])
        .is_lenient_as::<fal::Response>();
    }
    body(
        json!({"id": "g1", "status": "Ready", "result": {"sample": "s", "prompt": "p", "seed": 42, "x": 1},
            "error": "e", "message": "m", "timestamp": "t"}),
        &["/id"],
    )
    .is_lenient_as::<bfl::Generation>();
}

#[test]
fn malformed_members_of_transcripts_do_not_prevent_decoding() {
    body(json!({"transcript_id": "t1", "status": "completed", "x": 1}), &["/transcript_id"])
        .is_lenient_as::<assemblyai::Notice>();
    body(json!({"redacted_audio_url": "u", "status": "s", "x": 1}), &["/redacted_audio_url"])
        .is_lenient_as::<assemblyai::Notice>();
    body(json!({"session_id": "s1", "messages": [{"a": 1}], "x": 1}), &["/session_id"])
        .is_lenient_as::<assemblyai::Notice>();
    body(
        json!({"metadata": {"request_id": "r1", "created": "t", "duration": 3.5, "channels": 1, "x": 1},
            "results": {"channels": []}}),
        &["/metadata", "/metadata/request_id"],
    )
    .with_users(&["/results"])
    .is_lenient_as::<deepgram::Response>();
    body(json!({"err_code": "e", "err_msg": "m", "request_id": "r1", "x": 1}), &["/request_id"])
        .is_lenient_as::<deepgram::Response>();
    body(
        json!({"type": "Results", "start": 1.5, "duration": 2, "is_final": true,
            "channel": {"alternatives": [{"transcript": "hello"}]}, "channel_index": [0, 1],
            "metadata": {"request_id": "r1"}}),
        &["/type"],
    )
    .is_lenient_as::<deepgram::Response>();
    body(
        json!({"type": "t", "event_timestamp": 1_772_355_600, "data": {"conversation_id": "c1"}, "x": 1}),
        &["/type"],
    )
    .with_users(&["/data"])
    .is_lenient_as::<elevenlabs::Event>();
    body(
        json!({"id": "t1", "event": "transcription.success", "payload": {"a": 1}, "error": {"code": 1},
            "custom_metadata": {"user": "ann"}, "x": 1}),
        &["/event"],
    )
    .with_users(&["/payload"])
    .is_lenient_as::<gladia::Event>();
}

#[test]
fn malformed_members_of_documents_do_not_prevent_decoding() {
    body(
        json!({"eventId": "e1", "eventType": "t", "payload": {"object": "run", "id": "r1"}, "x": 1}),
        &["/eventId"],
    )
    .with_users(&["/payload"])
    .is_lenient_as::<extend::Event>();
    body(
        json!({"eventId": "e1", "eventType": "t", "x": 1, "payload": {"object": "signed_data_url",
            "id": "r1", "data": "https://example.com/?s=hunter2", "metadata": {"a": 1}}}),
        &["/eventId", "/payload", "/payload/data"],
    )
    .with_secrets(&["payload"])
    .is_lenient_as::<extend::Event>();
    body(
        json!({"request_id": "r1", "timestamp": "t", "event": "annotation_status", "action": "changed",
            "hook": "h", "base_url": "b", "rossum_authorization_token": "hunter2",
            "secrets": {"a": "hunter2"}, "annotation": {"id": 7}}),
        &["/event"],
    )
    .with_secrets(&["rossum_authorization_token", "secrets"])
    .is_lenient_as::<rossum::Event>();
    body(json!({"status": "Completed", "job_id": "j1", "metadata": {"a": 1}}), &["/job_id"])
        .is_lenient_as::<reducto::Notice>();
    let event = json!({"event_id": "e1", "event_type": "parse.success", "timestamp": 1.5,
        "data": {"job_id": "j1"}, "x": 1});
    body(event, &["/event_id"]).with_users(&["/data"]).is_lenient_as::<llamacloud::Event>();
}

#[test]
fn malformed_members_of_events_do_not_prevent_decoding() {
    body(
        json!({"type": "t", "timestamp": "t", "data": {"a": 1}, "sequence": 12, "event": "e"}),
        &[],
    )
    .with_users(&["/data"])
    .is_lenient_as::<standard::Event>();
    body(json!({"event": "bot.done", "data": {"a": 1}, "x": 1}), &["/event"])
        .with_users(&["/data"])
        .is_lenient_as::<recall::Event>();
    body(
        json!({"id": "evt_1", "object": "event", "type": "t", "created_at": 1_772_355_600,
            "data": {"id": "resp_1", "call_id": "c1"}, "x": 1}),
        &["/id"],
    )
    .is_lenient_as::<openai::Event>();
    body(
        json!({"type": "t", "version": "v1", "timestamp": "t", "data": {"id": "b1",
            "output_file_uri": "u", "error_code": 3, "error_message": "m", "x": 1}}),
        &["/type"],
    )
    .is_lenient_as::<gemini::Event>();
    body(
        json!({"event": {"action": "update", "scope": "repo.content", "x": 1},
            "repo": {"type": "model", "name": "n", "id": "r1", "private": false, "headSha": "c", "x": 1},
            "updatedRefs": [{"ref": "r", "oldSha": null, "newSha": "c"}, {"ref": "s"}],
            "discussion": {"num": 1}, "comment": {"id": "c"}, "webhook": {"id": "w1", "version": 3}}),
        &["/event"],
    )
    .is_lenient_as::<huggingface::Event>();
}
