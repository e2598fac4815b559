//! fal: images, video and sound from any model of its catalogue.
//!
//! Signed with Ed25519, which feature `ed25519` checks: fal publishes a set of keys at
//! `https://rest.fal.ai/.well-known/jwks.json`, to be fetched at least once a day and given to the scheme.
//!
//! Sources: fal's page on webhooks, read. No signed delivery was found: the scheme is verified with signatures of
//! our own after the page's recipe. Failures come with a payload of another shape than the model's, which the page
//! shows in examples.
//!
//! ```
//! use bytes::Bytes;
//! use serde::Deserialize;
//! use tower_inbox::provider::{Payload, fal::Response};
//!
//! #[derive(Deserialize)]
//! struct Images {
//!     seed: u64,
//! }
//!
//! let body = Bytes::from_static(br#"{"request_id": "r1", "gateway_request_id": "g1", "status": "OK",
//!     "payload": {"images": [], "seed": 196619188014358660}}"#);
//! let response = Response::<Images>::decode(&body)?;
//! assert_eq!(response.output().map(|images| images.seed), Some(196619188014358660));
//! # Ok::<(), tower_inbox::provider::DecodeError>(())
//! ```

mod response;
#[cfg(feature = "ed25519")]
mod signature;

pub use response::{Ended, Fal, Response, Status, response};
#[cfg(feature = "ed25519")]
pub use signature::signature;
