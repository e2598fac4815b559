// Shared by the examples of docs/mounting.md.

use tower_inbox::{Inference, Model, Secret, provider::replicate::{self, Prediction}};

fn model() -> Model {
    replicate::prediction::<serde_json::Value>()
        .token_in_query("token", Secret::new("correct horse battery"))
}

async fn on_prediction(prediction: Inference<Prediction<serde_json::Value>>) -> String {
    prediction.id.clone()
}

/// Posts a prediction; returns the status and the text of the response.
async fn post_to<S, R>(service: S, uri: &str) -> (u16, String)
where
    S: tower::Service<http::Request<http_body_util::Full<bytes::Bytes>>, Response = http::Response<R>>,
    S::Error: std::fmt::Debug,
    R: http_body::Body<Data = bytes::Bytes>,
    R::Error: std::fmt::Debug,
{
    let body = r#"{"id": "p1", "status": "succeeded", "output": ["a cat"]}"#;
    let request = http::Request::post(uri).body(body.into()).unwrap();
    let response = tower::ServiceExt::oneshot(service, request).await.unwrap();
    let status = response.status().as_u16();
    let text = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
    (status, String::from_utf8(text.to_vec()).unwrap())
}
