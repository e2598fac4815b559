//! A provider of your own: its signature scheme, its payload, and how it treats status codes. The program sends itself
//! a delivery and exits. Run it with `cargo run --example own_provider`.

use std::{convert::Infallible, error::Error, time::Duration};

use bytes::Bytes;
use http::{HeaderName, Request, Response, StatusCode};
use http_body_util::Full;
use serde::Deserialize;
use tower::{ServiceBuilder, ServiceExt, service_fn};
use tower_inbox::{
    Inbox, Inference, MemoryArchive, Secret,
    layer::InboxBody,
    provider::{
        DecodeError, InferenceKey, ModelBuilder, Payload, Profile, Provider, SignedProvider,
        decode_json,
    },
    signature::{HmacBody, SecretSet},
};

// ── The provider ───────────────────────────────────────────────────────────────────────────────────────────────────

/// A model that describes pictures of cats.
struct Acme;

impl Provider for Acme {
    const NAME: &'static str = "acme";

    /// Acme repeats a delivery for an hour after any status but 2xx, which does not help if its body is undecodable.
    const PROFILE: Profile = Profile::REPEATS_ON_4XX.tried_for(Duration::from_secs(60 * 60));
}

/// HMAC-SHA256 of the body, in hexadecimal.
impl SignedProvider for Acme {
    type Scheme = HmacBody;

    fn scheme(secrets: SecretSet) -> HmacBody {
        HmacBody::new(HeaderName::from_static("x-acme-signature"), secrets)
    }
}

/// The payload. Unknown members are ignored.
#[derive(Debug, Deserialize)]
struct Look {
    job: String,
    cats: u32,
}

impl Payload for Look {
    type Provider = Acme;

    fn decode(body: &Bytes) -> Result<Self, DecodeError> {
        decode_json(body)
    }

    fn key(&self) -> InferenceKey {
        InferenceKey::new(&self.job)
    }
}

// ── Its use ────────────────────────────────────────────────────────────────────────────────────────────────────────

async fn on_request(
    request: Request<InboxBody<Full<Bytes>>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if let Some(look) = request.extensions().get::<Inference<Look>>() {
        println!("{}: {} cats, archived as {}", look.key(), look.cats, look.delivery().id());
    }
    Ok(Response::default())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let secret = Secret::new("the secret that Acme shows");
    let model = ModelBuilder::<Look>::new().signed_with(secret.clone());
    let inbox = Inbox::builder(MemoryArchive::new()).model("/hooks/cats", model).build()?;
    let service = ServiceBuilder::new().layer(inbox.layer()).service(service_fn(on_request));

    let body = r#"{"job": "j1", "cats": 2, "dogs": 0}"#;
    let signature = Acme::scheme(secret.into()).sign(body.as_bytes()).unwrap_or_default();
    for (signature, expected) in
        [(signature.as_str(), StatusCode::OK), ("0bad", StatusCode::UNAUTHORIZED)]
    {
        let request = Request::post("/hooks/cats")
            .header("x-acme-signature", signature)
            .body(Full::<Bytes>::from(body))?;
        let answer = service.clone().oneshot(request).await?;
        println!("answer {}", answer.status());
        if answer.status() != expected {
            return Err(format!("it was to be answered {expected}").into());
        }
    }
    inbox.settled().await;
    Ok(())
}
