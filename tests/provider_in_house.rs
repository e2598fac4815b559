//! Models of providers without a module in the crate: `Model::json`, its validation, and combined schemes.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use serde::{Deserialize, Serialize};
use tower::{Layer, ServiceExt, service_fn};
use tower_inbox::{
    Inbox, Inference, MemoryArchive, Model, Secret,
    layer::InboxBody,
    provider::{DecodeError, InferenceKey, OnClientError, Profile},
    signature::{AnyOf, HmacBody, QueryToken, Scheme, SignError},
};

#[derive(Deserialize, Serialize)]
struct Caption {
    job: String,
    confidence: f64,
}

fn scheme() -> HmacBody {
    HmacBody::sha256("X-My-Signature", Secret::new("correct horse")).prefix("sha256=")
}

fn captions() -> tower_inbox::provider::ModelBuilder<Caption> {
    Model::json::<Caption>("in-house", |caption| InferenceKey::new(&caption.job))
}

/// Posts signed requests with these bodies. Returns the responses, and the keys of the inferences that the handler
/// received.
async fn post(model: Model, bodies: &[&'static str]) -> (Vec<StatusCode>, Vec<String>) {
    let keys = Arc::new(Mutex::new(Vec::new()));
    let handled = Arc::clone(&keys);
    let service = service_fn(move |request: Request<InboxBody<Full<Bytes>>>| {
        let inference = request.extensions().get::<Inference<Caption>>().unwrap();
        assert_eq!(inference.job, inference.key().id());
        handled.lock().unwrap().push(inference.key().to_string());
        async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())) }
    });
    let inbox = Inbox::builder(MemoryArchive::new()).model("/hook", model.clone()).build().unwrap();
    let mut statuses = Vec::new();
    for body in bodies {
        let request = model.sign(Request::post("/hook").body(*body).unwrap()).unwrap();
        let service = inbox.layer().layer(service.clone());
        let response = service.oneshot(request.map(Full::<Bytes>::from)).await.unwrap();
        statuses.push(response.status());
    }
    let keys = keys.lock().unwrap().clone();
    (statuses, keys)
}

#[tokio::test]
async fn signed_json_is_decoded_and_its_key_is_that_of_the_function() {
    let bodies = [r#"{"job": "j1", "confidence": 0.5}"#, r#"{"job": "j2", "confidence": 1}"#];
    let (statuses, keys) = post(captions().verified_by(scheme()), &bodies).await;
    assert_eq!(statuses, [200, 200]);
    assert_eq!(keys, ["j1", "j2"]);
}

#[tokio::test]
async fn body_that_fails_decoding_or_validation_is_answered_by_the_profile_and_not_handled() {
    let validated = || {
        captions().validated_by(|caption| match caption.confidence {
            0.0..=1.0 => Ok(()),
            _ => Err(DecodeError::invalid("$.confidence", "must be between 0 and 1")),
        })
    };
    let bodies = [
        r#"{"job": "j1", "confidence": 7}"#,
        r#"{"confidence": 0.5}"#,
        r#"{"job": "j3", "confidence": 0.5}"#,
    ];
    let (statuses, keys) = post(validated().verified_by(scheme()), &bodies).await;
    assert_eq!(statuses, [202, 202, 200]);
    assert_eq!(keys, ["j3"]);
    let profile = Profile::default()
        .undecodable(StatusCode::UNPROCESSABLE_ENTITY)
        .on_client_error(OnClientError::Reports);
    let (statuses, _) = post(validated().verified_by(scheme()).profile(profile), &bodies).await;
    assert_eq!(statuses, [422, 422, 200]);
}

#[test]
fn error_of_a_validation_holds_path_and_reason_on_one_short_line() {
    let error = DecodeError::invalid("$.confidence", "must be between 0 and 1");
    let expected = "the payload is invalid, at $.confidence: must be between 0 and 1";
    assert_eq!(error.to_string(), expected);
    assert_eq!((error.path(), error.expected(), error.found()), ("$.confidence", None, None));
    let long = DecodeError::invalid("$\n", "x\n".repeat(10_000)).to_string();
    assert!(!long.contains('\n') && long.len() < 400, "{long}");
}

#[tokio::test]
async fn model_that_accepts_any_of_several_boxed_schemes_gets_requests_signed_under_each() {
    let token = || QueryToken::new("ticket", Secret::new("t0ken"));
    let schemes: [Box<dyn Scheme>; 2] = [Box::new(scheme()), Box::new(token())];
    let [first, second] = schemes;
    let inbox = Inbox::builder(MemoryArchive::new())
        .model("/hook", captions().verified_by(AnyOf::new(first).or(second)))
        .build()
        .unwrap();
    for model in [captions().verified_by(scheme()), captions().verified_by(token())] {
        let body = r#"{"job": "j1", "confidence": 1}"#;
        let request = model.sign(Request::post("/hook").body(body).unwrap()).unwrap();
        let service = service_fn(async |_: Request<InboxBody<Full<Bytes>>>| {
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        });
        let service = inbox.layer().layer(service);
        let response = service.oneshot(request.map(Full::<Bytes>::from)).await.unwrap();
        assert_eq!(response.status(), 200);
    }
}

#[test]
fn request_cannot_be_signed_without_a_valid_secret() {
    let expired = Secret::new("correct horse").valid(..std::time::SystemTime::UNIX_EPOCH);
    let model = captions().verified_by(HmacBody::sha256("x-signature", expired));
    let error = model.sign(Request::post("/").body("{}").unwrap()).unwrap_err();
    assert_eq!(error, SignError::NoSecret);
}

#[test]
fn schema_drift_of_a_json_model_can_be_detected() {
    let model = captions().detect_schema_drift_every(1).verified_by(scheme());
    assert_eq!(model.check(), Ok(()));
}
