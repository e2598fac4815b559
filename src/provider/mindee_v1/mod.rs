//! Mindee V1: what its older products post.
//!
//! The signature is that of [V2](super::mindee), but stands in `X-Mindee-Hmac-Signature`. The envelope is the same for
//! every product; the prediction in it is a struct of your own, or a map of whatever comes. Times are RFC 3339, some
//! with a zone and some without.
//!
//! Sources: Mindee's pages on webhooks of V1, and the fixtures `v1/async` of `mindee/client-lib-test-data`.
//!
//! ```
//! use bytes::Bytes;
//! use serde::Deserialize;
//! use tower_inbox::{Secret, provider::{Payload, mindee_v1::{self, Response}}};
//!
//! #[derive(Deserialize)]
//! struct IdentityCard {
//!     document_number: Simple,
//! }
//!
//! #[derive(Deserialize)]
//! struct Simple {
//!     value: Option<String>,
//! }
//!
//! let body = Bytes::from_static(br#"{
//!     "document": {"id": "d1", "name": "card.pdf", "n_pages": 1, "inference": {
//!         "product": {"name": "mindee/international_id", "version": "2.0"},
//!         "prediction": {"document_number": {"value": "X12"}}
//!     }},
//!     "job": {"id": "j1", "status": "completed", "error": {}}
//! }"#);
//!
//! let response = Response::<IdentityCard>::decode(&body)?;
//! assert_eq!(response.key().id(), "j1");
//! assert!(response.job.failure().is_none());
//! let card = response.prediction().ok_or("no prediction")?;
//! assert_eq!(card.document_number.value.as_deref(), Some("X12"));
//!
//! let model = mindee_v1::document::<IdentityCard>().signed_with(Secret::new("correct horse"));
//! # let _ = model;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod document;
mod job;
mod model;
mod response;

pub use document::{Document, Inference, Page, Product};
pub use job::{Job, JobError, JobStatus};
pub use model::{MindeeV1, document, signature};
pub use response::{Prediction, Response};
