//! Recorded requests, posted with the clock set to the time of the recording.

use std::{
    convert::Infallible,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use serde_json::Value;
use tower::{Layer, service_fn};
use tower_inbox::{
    Inbox, InboxBuilder, Secret,
    layer::{Clock, InboxBody},
    provider::{InferenceKey, ModelBuilder, standard},
    signature::StandardWebhooks,
};

use crate::support::{answer, archived, memory};

/// From `test_sign_function` in `libraries/python/tests/test_webhooks.py` of Standard Webhooks.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";

/// The published test vector is not an event, so it has a separate type.
#[derive(serde::Deserialize)]
struct Test {
    #[serde(rename = "test")]
    _test: u64,
}

impl tower_inbox::provider::Payload for Test {
    type Provider = standard::Standard;

    fn decode(body: &Bytes) -> Result<Self, tower_inbox::provider::DecodeError> {
        tower_inbox::provider::decode_json(body)
    }

    fn key(&self) -> InferenceKey {
        InferenceKey::new("test")
    }
}

fn recorded() -> Request<Full<Bytes>> {
    Request::post("/standard")
        .header("webhook-id", ID)
        .header("webhook-timestamp", "1614265330")
        .header("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
        .body(Full::from(r#"{"test": 2432232314}"#))
        .unwrap()
}

fn builder() -> InboxBuilder {
    let model = ModelBuilder::<Test>::new().signed_with(Secret::new(SECRET));
    Inbox::builder(memory()).model("/standard", model)
}

async fn status(inbox: &Inbox, request: Request<Full<Bytes>>) -> u16 {
    let handler = service_fn(async |_: Request<InboxBody<Full<Bytes>>>| {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    crate::support::send(inbox.layer().layer(handler), request).await.status.as_u16()
}

#[tokio::test]
async fn recorded_request_is_accepted_at_its_time_and_rejected_today() {
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_614_265_330);
    let inbox = builder().clock(Clock::new(move || then)).build().unwrap();
    assert_eq!(status(&inbox, recorded()).await, 200);
    inbox.settled().await;
    assert_eq!(archived(inbox.archive()).await[0].delivery.received_at(), then);
    let late = then + Duration::from_secs(301);
    let late = builder().clock(Clock::new(move || late)).build().unwrap();
    assert_eq!(status(&late, recorded()).await, 401);
    assert_eq!(status(&builder().build().unwrap(), recorded()).await, 401);
}

/// An intermediary can add a header, but cannot sign it.
#[tokio::test]
async fn unsigned_message_id_does_not_become_the_inference_key() {
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_614_265_330);
    let scheme = StandardWebhooks::new(Secret::new(SECRET)).svix();
    let model = standard::event::<Value>().verified_by(scheme.clone());
    let inbox = Inbox::builder(memory()).model("/svix", model);
    let inbox = inbox.clock(Clock::new(move || then)).build().unwrap();
    let key = service_fn(async |request: Request<InboxBody<Full<Bytes>>>| {
        let key = request.extensions().get::<InferenceKey>().unwrap().to_string();
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(key)))
    });
    let service = inbox.layer().layer(key);
    let body = r#"{"type": "t", "data": {}}"#;
    let (mut head, ()) =
        Request::post("/svix").header("webhook-id", "chosen").body(()).unwrap().into_parts();
    let signature = tower_inbox::signature::Scheme::signature(&scheme, ID, body.as_bytes(), then);
    signature.unwrap().add_to(&mut head).unwrap();
    let request = Request::from_parts(head, Full::<Bytes>::from(body));
    let response = tower::ServiceExt::oneshot(service, request).await.unwrap();
    assert_eq!(answer(response).await.body, ID);
}
