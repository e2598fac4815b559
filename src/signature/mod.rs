//! Signature schemes, secrets, and proofs of the sender.
//!
//! | the provider's page mentions | scheme |
//! |---|---|
//! | HMAC of the body in a header | [`HmacBody`] |
//! | `webhook-signature`, `svix-signature`, "Standard Webhooks" | [`StandardWebhooks`] |
//! | HMAC of a timestamp and the body | [`HmacTemplate`] |
//! | Ed25519, public key, JWKS | `Ed25519Template`, with feature `ed25519` |
//! | a header of your choice, API key, bearer token | [`HeaderToken`] |
//! | user and password | [`BasicAuth`] |
//! | only the URL | [`QueryToken`] |
//!
//! For other schemes, implement [`Scheme`]. [`AnyOf`] combines schemes. Schemes also sign, for senders and tests: see
//! [`sign_request`]. The [doctor] finds out why a delivery was rejected.
//!
//! Schemes do no I/O and read no clock: the time of receipt is an argument. Secrets are compared in constant time.
//! Secrets and keys are wiped from memory on drop.

mod any_of;
pub mod doctor;
#[cfg(feature = "ed25519")]
mod ed25519;
mod encoding;
mod error;
mod hmac;
mod hmac_body;
mod hmac_template;
mod place;
mod proof;
mod scheme;
mod secret;
mod secret_set;
mod signing;
mod standard_webhooks;
mod template;
#[cfg(test)]
mod tests;
mod token;
mod tolerance;

pub use any_of::AnyOf;
#[cfg(feature = "ed25519")]
pub use ed25519::{Ed25519Key, Ed25519KeyError, Ed25519Keys, Ed25519Template};
pub(crate) use encoding::BASE64;
pub use encoding::{Encoding, KeyEncoding};
pub use error::{SchemeError, SignError, SignatureError};
pub use hmac_body::HmacBody;
pub use hmac_template::HmacTemplate;
pub use place::Place;
pub use place::Placement;
pub use proof::{ParseProofError, Proof};
pub use scheme::BodyForm;
pub(crate) use scheme::Decompressed;
pub use scheme::{Scheme, Unsigned};
pub use secret::{Secret, SecretError};
pub use secret_set::SecretSet;
pub use signing::{Signature, sign_request};
pub use standard_webhooks::StandardWebhooks;
pub use token::{BasicAuth, HeaderToken, QueryToken};
pub use tolerance::{TimeUnit, Tolerance};
