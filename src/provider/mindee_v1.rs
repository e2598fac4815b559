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

/// Where Mindee V1 puts its signature (readme of the fixture `v1/async/get_completed_empty.json`).
const SIGNATURE: HeaderName = HeaderName::from_static("x-mindee-hmac-signature");

/// Mindee V1.
#[derive(Clone, Copy, Debug)]
pub struct MindeeV1;

impl Provider for MindeeV1 {
    const NAME: &'static str = "mindee-v1";

    /// What V1 does on a 4xx is not published: taken to be what V2 does.
    const PROFILE: Profile = Mindee::PROFILE;
}

impl SignedProvider for MindeeV1 {
    type Scheme = HmacBody;

    fn scheme(secrets: SecretSet) -> HmacBody {
        signature(secrets)
    }
}

/// A product of Mindee V1, loaded into [`Response<P>`], where `P` is a struct of your own or
/// [`Prediction`](super::Prediction).
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

/// The signature of Mindee V1: HMAC-SHA256 of the exact body, in hexadecimal, in `X-Mindee-Hmac-Signature`. The secret
/// is that of the API version's webhook, as text.
///
/// `signed_with` does the same. This is for choosing the form of the body.
pub fn signature(secrets: impl Into<SecretSet>) -> HmacBody {
    HmacBody::new(SIGNATURE, secrets)
}

/// A prediction of any product, as it came.
pub type Prediction = Map<String, Value>;

/// What Mindee V1 posts: a document with its prediction of type `P`, and the job that it was enqueued as.
///
/// A failed job has no document. Whether it is posted is not documented, but Mindee's own loader of webhooks is tested
/// with one. What polling adds, such as `api_request`, is in `other`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Response<P = Prediction> {
    /// The document. None where the job failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<Document<P>>,
    /// The job.
    pub job: Job,
    /// Members that are not known.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Response<P> { job } strict { document } }

impl<P> Response<P> {
    /// What was found in the document as a whole, if there is one.
    pub fn prediction(&self) -> Option<&P> {
        Some(&self.document.as_ref()?.inference.prediction)
    }
}

impl<P: DeserializeOwned + Send + Sync + 'static> Payload for Response<P> {
    type Provider = MindeeV1;

    fn decode(body: &Bytes) -> Result<Self, DecodeError> {
        decode_json(body)
    }

    /// `job.id`: the one id that a failed job has, too.
    fn key(&self) -> InferenceKey {
        InferenceKey::new(&self.job.id)
    }
}

/// A file, and what a product made of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Document<P> {
    /// The id of the document, a UUID as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Text>,
    /// The name that it was sent with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
    /// The number of its pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_pages: Option<u32>,
    /// What was made of it.
    pub inference: Inference<P>,
    /// Members that are not known.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Document<P> { id, name, n_pages } strict { inference } }

/// What a product made of a document.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Inference<P> {
    /// When it began. With or without a zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Text>,
    /// When it was done. With or without a zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Text>,
    /// How long it took, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processing_time: Option<f64>,
    /// Whether pages were turned. Null where that is not done. The text `True`, which Mindee wrote until 2023, is read by
    /// the tolerant reading.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_rotation_applied: Option<bool>,
    /// The product.
    #[serde(skip_serializing_if = "is_unknown")]
    pub product: Product,
    /// What was found in the document as a whole.
    pub prediction: P,
    /// What was found on each page.
    #[serde(skip_serializing_if = "Listed::is_absent")]
    pub pages: Listed<Page>,
    /// What was asked for besides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extras: Option<Value>,
    /// Members that are not known.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! {
    Inference<P> {
        started_at, finished_at, processing_time, is_rotation_applied, product, pages, extras,
    } strict { prediction }
}

/// The product of an inference: what tells the models apart.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Product {
    /// Owner and name, such as `mindee/international_id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
    /// The version, such as `2.0`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<Text>,
    /// Such as `standard`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<Text>,
    /// The names of the members of the prediction.
    #[serde(skip_serializing_if = "Listed::is_absent")]
    pub features: Listed<Text>,
    /// Members that are not known.
    #[serde(flatten)]
    pub other: OtherMembers,
}

fn is_unknown(product: &Product) -> bool {
    *product == Product::default()
}

open_struct! { nullable Product { name, version, kind = "type", features } }

/// What was found on a page. What is in it differs from product to product; in both fixtures it is nothing.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Page {
    /// The page, from 0. A text with the number is read by the tolerant reading.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<u32>,
    /// What was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prediction: Option<Value>,
    /// By how many degrees it was turned, in `value`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub orientation: Option<Value>,
    /// What was asked for besides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extras: Option<Value>,
    /// Members that are not known.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Page { id, prediction, orientation, extras } }

/// A job, and how far it has come.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Job {
    /// What enqueuing returned.
    pub id: Text,
    /// When it was enqueued, without a zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issued_at: Option<Text>,
    /// When its result was there, without a zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available_at: Option<Text>,
    /// How far it has come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<JobStatus>,
    /// What went wrong. Mindee writes an empty object where nothing did: see [`failure`](Self::failure).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<JobError>,
    /// Members that are not known.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Job { id, issued_at, available_at, status, error } }

impl Job {
    /// What went wrong, if anything did.
    pub fn failure(&self) -> Option<&JobError> {
        self.error.as_ref().filter(|error| **error != JobError::default())
    }
}

/// What went wrong with a job; empty if nothing did (fixture `v1/async/get_failed_job_error.json`).
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct JobError {
    /// A short name, such as `ServerError`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Text>,
    /// What happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<Text>,
    /// More about it: a text in the fixture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
    /// Members that are not known.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { JobError { code, message, details } }

open_enum! {
    /// How far a job has come.
    pub enum JobStatus {
        /// Not begun yet.
        Waiting = "waiting",
        /// Begun.
        Processing = "processing",
        /// Done.
        Completed = "completed",
        /// Done, without a result.
        Failed = "failed",
    }
}
