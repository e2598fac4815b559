use http::HeaderName;

use crate::signature::{Ed25519Keys, Ed25519Template, Placement};

/// Where the signature stands (page on webhooks).
const SIGNATURE: HeaderName = HeaderName::from_static("x-fal-webhook-signature");

/// Where its time stands, in seconds since 1970 (page on webhooks).
const TIMESTAMP: HeaderName = HeaderName::from_static("x-fal-webhook-timestamp");

/// The id of the request, the same in all tries of its one message (page on webhooks).
const REQUEST_ID: HeaderName = HeaderName::from_static("x-fal-webhook-request-id");

/// What is signed: two more headers, the time, and the SHA-256 of the body in hexadecimal (page on webhooks).
const TEMPLATE: &str =
    "{x-fal-webhook-request-id}\n{x-fal-webhook-user-id}\n{timestamp}\n{body-sha256}";

/// fal's signature: Ed25519 with any key of its set, not older or newer than 300 seconds (page on webhooks).
///
/// ```
/// use tower_inbox::{provider::fal, signature::{Ed25519Key, Ed25519Keys}};
///
/// // As fetched from https://rest.fal.ai/.well-known/jwks.json, at most a day ago.
/// let fetched = r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
/// let keys = Ed25519Keys::new(Ed25519Key::from_jwks(fetched)?);
/// let model = fal::response::<serde_json::Value>().verified_by(fal::signature(keys.clone()));
/// // Tomorrow:
/// keys.replace(Ed25519Key::from_jwks(fetched)?)?;
/// # let _ = model;
/// # Ok::<(), tower_inbox::signature::Ed25519KeyError>(())
/// ```
pub fn signature(keys: impl Into<Ed25519Keys>) -> Ed25519Template {
    let placement = Placement::headers(SIGNATURE, TIMESTAMP);
    Ed25519Template::new(TEMPLATE, placement, keys).message_id(REQUEST_ID)
}
