//! Mindee V1: predictions of its older products.
//!
//! The signature is that of [V2](super::mindee), in the header `X-Mindee-Hmac-Signature`. The envelope is the same for
//! every product; the prediction is your own struct, or a map. Times are in RFC 3339 format, with or without a time
//! zone.
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

use bytes::Bytes;
use http::HeaderName;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{
    DecodeError, InferenceKey, Listed, ModelBuilder, OtherMembers, Payload, Profile, Provider,
    SignedProvider, Text, decode_json,
    json::{open_enum, open_struct},
    mindee::Mindee,
};
use crate::signature::{HmacBody, SecretSet};

/// The signature header (readme of the fixture `v1/async/get_completed_empty.json`).
const SIGNATURE: HeaderName = HeaderName::from_static("x-mindee-hmac-signature");

/// Mindee V1.
#[derive(Clone, Copy, Debug)]
pub struct MindeeV1;

impl Provider for MindeeV1 {
    const NAME: &'static str = "mindee-v1";

    /// The reaction of V1 to a 4xx is not published. It is assumed to be that of V2.
    const PROFILE: Profile = Mindee::PROFILE;
}

impl SignedProvider for MindeeV1 {
    type Scheme = HmacBody;

    fn scheme(secrets: SecretSet) -> HmacBody {
        signature(secrets)
    }
}

/// Starts a model for a product of Mindee V1, decoded to [`Response<P>`], where `P` is your own struct or
/// [`Prediction`].
///
/// ```
/// use tower_inbox::{Secret, provider::mindee_v1};
///
/// let model = mindee_v1::document::<mindee_v1::Prediction>().signed_with(Secret::new("correct horse"));
/// # let _ = model;
/// ```
pub fn document<P>() -> ModelBuilder<Response<P>>
where
    P: DeserializeOwned + Send + Sync + 'static,
{
    ModelBuilder::new()
}

/// Returns the signature scheme of Mindee V1: HMAC-SHA256 of the exact body, in hexadecimal, in
/// `X-Mindee-Hmac-Signature`. The key is the text of the secret.
///
/// `signed_with` uses this scheme. Call this function to set the form of the body.
pub fn signature(secrets: impl Into<SecretSet>) -> HmacBody {
    HmacBody::new(SIGNATURE, secrets)
}

/// The prediction of any product.
pub type Prediction = Map<String, Value>;

/// A document with a prediction of type `P`, and its job.
///
/// A failed job has no document. It is not documented whether failed jobs are sent, but Mindee's own library is tested
/// with one. Members that only polling returns, such as `api_request`, are in `other`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Response<P = Prediction> {
    /// The document. `None` if the job failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<Document<P>>,
    /// The job.
    pub job: Job,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Response<P> { job } strict { document } }

impl<P> Response<P> {
    /// Returns the prediction for the document, if there is one.
    pub fn prediction(&self) -> Option<&P> {
        Some(&self.document.as_ref()?.inference.prediction)
    }
}

impl<P: DeserializeOwned + Send + Sync + 'static> Payload for Response<P> {
    type Provider = MindeeV1;

    fn decode(body: &Bytes) -> Result<Self, DecodeError> {
        decode_json(body)
    }

    /// `job.id`, which a failed job has, too.
    fn key(&self) -> InferenceKey {
        InferenceKey::new(&self.job.id)
    }
}

/// A file and its inference.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Document<P> {
    /// The id of the document, a UUID as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Text>,
    /// The name of the file as sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
    /// The number of pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_pages: Option<u32>,
    /// The inference.
    pub inference: Inference<P>,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Document<P> { id, name, n_pages } strict { inference } }

/// The result of a product for a document.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Inference<P> {
    /// The start time, with or without a time zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Text>,
    /// The end time, with or without a time zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Text>,
    /// The processing time, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processing_time: Option<f64>,
    /// Whether pages were rotated. Null if the product does not rotate pages. The tolerant reading accepts the string
    /// `True`, which Mindee sent until 2023.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_rotation_applied: Option<bool>,
    /// The product.
    #[serde(skip_serializing_if = "is_unknown")]
    pub product: Product,
    /// The prediction for the document.
    pub prediction: P,
    /// The prediction for each page.
    #[serde(skip_serializing_if = "Listed::is_absent")]
    pub pages: Listed<Page>,
    /// The requested extras.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extras: Option<Value>,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! {
    Inference<P> {
        started_at, finished_at, processing_time, is_rotation_applied, product, pages, extras,
    } strict { prediction }
}

/// The product of an inference, which identifies the model.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Product {
    /// Owner and name, such as `mindee/international_id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
    /// The version, such as `2.0`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<Text>,
    /// The type, such as `standard`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<Text>,
    /// The names of the members of the prediction.
    #[serde(skip_serializing_if = "Listed::is_absent")]
    pub features: Listed<Text>,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

fn is_unknown(product: &Product) -> bool {
    *product == Product::default()
}

open_struct! { nullable Product { name, version, kind = "type", features } }

/// The prediction for a page. Its members depend on the product; both fixtures have none.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Page {
    /// The page, from 0. The tolerant reading accepts a string with the number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<u32>,
    /// The prediction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prediction: Option<Value>,
    /// The rotation in degrees, in `value`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub orientation: Option<Value>,
    /// The requested extras.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extras: Option<Value>,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Page { id, prediction, orientation, extras } }

/// A job and its status.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Job {
    /// The id that enqueuing returned.
    pub id: Text,
    /// The time of enqueuing, without a time zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issued_at: Option<Text>,
    /// The time of the result, without a time zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available_at: Option<Text>,
    /// The status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<JobStatus>,
    /// The error. Mindee sends an empty object if there is none: see [`failure`](Self::failure).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<JobError>,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Job { id, issued_at, available_at, status, error } }

impl Job {
    /// Returns the error, if there is one.
    pub fn failure(&self) -> Option<&JobError> {
        self.error.as_ref().filter(|error| **error != JobError::default())
    }
}

/// The error of a job; empty if there is none (fixture `v1/async/get_failed_job_error.json`).
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct JobError {
    /// A short name, such as `ServerError`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Text>,
    /// What happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<Text>,
    /// Details: a string in the fixture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { JobError { code, message, details } }

open_enum! {
    /// The status of a job.
    pub enum JobStatus {
        /// Waiting in the queue.
        Waiting = "waiting",
        /// Being processed.
        Processing = "processing",
        /// Finished.
        Completed = "completed",
        /// Failed.
        Failed = "failed",
    }
}
